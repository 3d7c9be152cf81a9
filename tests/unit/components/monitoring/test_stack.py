"""The monitoring stack: Prometheus in a closed namespace, with the least it needs."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from components.monitoring.rules import Watched
from components.monitoring.stack import Monitoring, MonitoringArgs
from operations import versions
from operations.monitoring import Part
from operations.slots import Slot
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording

STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
NAMESPACE = "kubernetes:core/v1:Namespace"
SERVICE = "kubernetes:core/v1:Service"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
ADDON = "aws:eks/addon:Addon"


def building(**changes: Any) -> Callable[[], Monitoring]:
    args = MonitoringArgs(
        environment="live",
        region="eu-west-1",
        cluster_name="quikapp-live",
        namespace="monitoring",
        slot_namespaces={slot: slot.namespace for slot in Slot},
        network_cidr="10.50.0.0/16",
        zones=3,
        watched=Watched(
            environment="live",
            sla=99.99,
            services=("api", "web"),
            replicas={Part.PROMETHEUS: 2},
            grafana_url="https://grafana.quikapp.example",
            runbooks_url="https://runbooks.quikapp.example",
            retention_days=15,
        ),
        storage_gib=50,
        storage_class="fast",
        tags={"owner": "platform"},
    )
    return lambda: Monitoring("quikapp-live-monitoring", replace(args, **changes))


def server(recording: Recording[Monitoring]) -> Mapping[str, Any]:
    return recording.one(STATEFUL_SET).inputs["spec"]


def pod(recording: Recording[Monitoring]) -> Mapping[str, Any]:
    return server(recording)["template"]["spec"]


def container(recording: Recording[Monitoring]) -> Mapping[str, Any]:
    (only,) = pod(recording)["containers"]
    return only


def granted(recording: Recording[Monitoring]) -> set[tuple[str, str, str]]:
    """Namespace (empty for the cluster), resource or URL, verb."""
    return {
        (role.inputs["metadata"].get("namespace", ""), thing, verb)
        for token in (f"{RBAC}:ClusterRole", f"{RBAC}:Role")
        for role in recording.of(token)
        for rule in role.inputs["rules"]
        for thing in [*rule.get("resources", []), *rule.get("nonResourceURLs", [])]
        for verb in rule["verbs"]
    }


def test_the_namespace_refuses_pods_that_are_not_restricted(record: Record) -> None:
    labels = record(building()).one(NAMESPACE).inputs["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["pod-security.kubernetes.io/enforce-version"] == "v1.36"


def test_the_namespace_denies_all_traffic_before_its_first_pod(record: Record) -> None:
    recording = record(building())
    (denial,) = [p for p in recording.of(POLICY) if p.inputs["metadata"]["name"] == "deny-all"]
    assert denial.inputs["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert denial.urn in recording.one(STATEFUL_SET).dependencies


def test_prometheus_may_look_at_exactly_what_it_discovers_and_scrapes(record: Record) -> None:
    assert granted(record(building())) == {
        ("", "nodes", "list"),
        ("", "nodes", "watch"),
        ("", "nodes/metrics", "get"),
        ("", "/metrics", "get"),
        ("quikapp-blue", "pods", "list"),
        ("quikapp-blue", "pods", "watch"),
        ("quikapp-green", "pods", "list"),
        ("quikapp-green", "pods", "watch"),
        ("default", "services", "list"),
        ("default", "services", "watch"),
        ("default", "pods", "list"),
        ("default", "pods", "watch"),
        ("default", "endpointslices", "list"),
        ("default", "endpointslices", "watch"),
    }


def test_rights_are_given_to_prometheus_account_alone(record: Record) -> None:
    recording = record(building())
    account = {"kind": "ServiceAccount", "name": "prometheus", "namespace": "monitoring"}
    bindings = [*recording.of(f"{RBAC}:ClusterRoleBinding"), *recording.of(f"{RBAC}:RoleBinding")]
    assert len(bindings) == 4
    assert all(binding.inputs["subjects"] == [account] for binding in bindings)
    assert pod(recording)["serviceAccountName"] == "prometheus"


def test_two_replicas_spread_over_zones_and_hosts_and_one_may_go_at_a_time(record: Record) -> None:
    recording = record(building())
    assert server(recording)["replicas"] == 2
    keys = [constraint["topologyKey"] for constraint in pod(recording)["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert recording.one(BUDGET).inputs["spec"]["maxUnavailable"] == 1


def test_each_replica_keeps_its_metrics_on_a_volume_of_its_own(record: Record) -> None:
    recording = record(building())
    (claim,) = server(recording)["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"] == {"storage": "50Gi"}
    assert {"name": claim["metadata"]["name"], "mountPath": "/prometheus"} in container(recording)[
        "volumeMounts"
    ]


def test_prometheus_runs_as_nobody_without_privilege_on_a_read_only_file_system(record: Record) -> None:
    recording = record(building())
    context = pod(recording)["securityContext"]
    assert context["runAsNonRoot"] is True
    assert (context["runAsUser"], context["fsGroup"]) == (65534, 65534)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(recording)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_prometheus_has_limits_equal_to_its_requests_and_probes(record: Record) -> None:
    only = container(record(building()))
    assert only["resources"]["limits"] == only["resources"]["requests"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(only)


def test_the_image_is_pinned_to_a_version(record: Record) -> None:
    image = container(record(building()))["image"]
    assert image.startswith("quay.io/prometheus/prometheus:v3.")


def test_a_changed_configuration_gets_a_new_name_and_so_rolls_the_replicas(record: Record) -> None:
    def names(**changes: Any) -> tuple[str, str]:
        recording = record(building(**changes))
        config = recording.one(CONFIG_MAP)
        (volume,) = pod(recording)["volumes"]
        assert config.inputs["immutable"] is True
        return config.inputs["metadata"]["name"], volume["configMap"]["name"]

    one, mounted = names()
    assert one == mounted
    assert names() == (one, one)
    assert names(environment="qa")[0] != one


def test_the_config_map_holds_the_configuration_and_the_rules_it_points_to(record: Record) -> None:
    recording = record(building())
    files = recording.one(CONFIG_MAP).inputs["data"]
    config = json.loads(files["prometheus.json"])
    assert config["rule_files"] == ["/etc/prometheus/rules.json"]
    assert config["global"]["external_labels"] == {"environment": "live", "region": "eu-west-1"}
    assert json.loads(files["rules.json"])["groups"]
    assert "--config.file=/etc/prometheus/prometheus.json" in container(recording)["args"]


def test_a_headless_service_names_the_replicas_and_another_balances_over_them(record: Record) -> None:
    recording = record(building())
    addresses = {
        service.inputs["metadata"]["name"]: service.inputs["spec"].get("clusterIP")
        for service in recording.of(SERVICE)
    }
    assert addresses == {"prometheus": None, "prometheus-replicas": "None"}
    assert server(recording)["serviceName"] == "prometheus-replicas"


def test_the_exporters_are_eks_add_ons(record: Record) -> None:
    recording = record(building())
    addons = {addon.inputs["addonName"]: addon.inputs["addonVersion"] for addon in recording.of(ADDON)}
    assert addons == {
        "kube-state-metrics": versions.KUBE_STATE_METRICS_ADDON,
        "prometheus-node-exporter": versions.NODE_EXPORTER_ADDON,
    }
    recording.assert_tagged({"owner": "platform"})


def test_outputs_name_the_namespace_and_prometheus_address(record: Record) -> None:
    recording = record(building())
    assert recording.value(recording.result.namespace) == "monitoring"
    assert recording.value(recording.result.prometheus_url) == "http://prometheus.monitoring.svc:9090"
