"""Prometheus: what it scrapes, whom it tells, what it keeps, and the replicas that run it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from components.monitoring.metrics import UNREAD, Prometheus, PrometheusArgs, configuration
from components.monitoring.rules import Watched
from components.monitoring.workload import Place
from operations.monitoring import Part
from operations.slots import Slot
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording

STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SERVICE = "kubernetes:core/v1:Service"
ACCOUNT = "kubernetes:core/v1:ServiceAccount"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"

CONFIGURATION = configuration(
    slot_namespaces=["quikapp-blue", "quikapp-green"],
    external_labels={"environment": "live", "region": "eu-west-1"},
    retention_days=15,
    storage_gib=50,
)


# --- configuration -------------------------------------------------------------------------------------------------


def job(name: str) -> Mapping[str, Any]:
    return next(config for config in CONFIGURATION["scrape_configs"] if config["job_name"] == name)


def targets(name: str) -> Mapping[str, Any]:
    """Target label → what it is taken from."""
    return {
        rule["target_label"]: rule["source_labels"]
        for rule in job(name)["relabel_configs"]
        if "target_label" in rule
    }


def is_dropped(name: str, series: Mapping[str, str]) -> bool:
    """Whether a job forgets a series that it scraped; its name is the label `__name__`."""
    return any(
        rule["action"] == "drop"
        and re.fullmatch(rule["regex"], ";".join(series.get(label, "") for label in rule["source_labels"]))
        for rule in job(name)["metric_relabel_configs"]
    )


def test_everything_that_the_rules_and_dashboards_need_is_scraped() -> None:
    assert [config["job_name"] for config in CONFIGURATION["scrape_configs"]] == [
        "slots",
        "kube-state-metrics",
        "node-exporter",
        "kubelet",
        "cadvisor",
        "apiserver",
        "kube-scheduler",
        "kube-controller-manager",
        "prometheus",
        "alertmanager",
        "jaeger",
        "grafana",
        "cloudwatch-exporter",
    ]


def test_an_alert_says_which_environment_it_comes_from() -> None:
    assert CONFIGURATION["global"]["external_labels"] == {"environment": "live", "region": "eu-west-1"}


def test_metrics_go_by_age_and_before_they_fill_the_volume() -> None:
    assert CONFIGURATION["storage"]["tsdb"]["retention"] == {"time": "15d", "size": "40960MB"}


def test_every_replica_of_alertmanager_is_told() -> None:
    assert CONFIGURATION["alerting"] == {
        "alertmanagers": [
            {
                "dns_sd_configs": [
                    {"names": ["alertmanager-replicas.monitoring.svc"], "type": "A", "port": 9093}
                ]
            }
        ]
    }


@pytest.mark.parametrize(("name", "port"), [("prometheus", 9090), ("alertmanager", 9093), ("jaeger", 8888)])
def test_replicas_are_scraped_one_by_one(name: str, port: int) -> None:
    assert job(name)["dns_sd_configs"] == [
        {"names": [f"{name}-replicas.monitoring.svc"], "type": "A", "port": port}
    ]


def test_grafana_of_which_there_is_one_pod_is_scraped_through_its_service() -> None:
    assert job("grafana")["static_configs"] == [{"targets": ["grafana.monitoring.svc:3000"]}]


def test_a_pod_of_a_slot_carries_slot_service_and_version() -> None:
    assert targets("slots") == {
        "namespace": ["__meta_kubernetes_namespace"],
        "pod": ["__meta_kubernetes_pod_name"],
        "slot": ["__meta_kubernetes_pod_label_app_kubernetes_io_instance"],
        "service": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"],
        "version": ["__meta_kubernetes_pod_label_app_kubernetes_io_version"],
    }


def test_pods_are_looked_for_in_the_slots_only() -> None:
    (discovery,) = job("slots")["kubernetes_sd_configs"]
    assert discovery == {"role": "pod", "namespaces": {"names": ["quikapp-blue", "quikapp-green"]}}


def test_the_state_of_an_object_keeps_the_labels_that_say_which() -> None:
    assert job("kube-state-metrics")["honor_labels"] is True


@pytest.mark.parametrize("name", ["node-exporter", "kubelet", "cadvisor"])
def test_what_a_node_says_names_the_node(name: str) -> None:
    assert targets(name)["node"] == ["__meta_kubernetes_node_name"]


@pytest.mark.parametrize(("name", "path"), [("kubelet", "/metrics"), ("cadvisor", "/metrics/cadvisor")])
def test_the_kubelet_is_asked_directly_as_the_service_account(name: str, path: str) -> None:
    config = job(name)
    assert config["metrics_path"] == path
    assert config["kubernetes_sd_configs"] == [{"role": "node"}]


def test_a_container_that_is_gone_stops_counting_at_once() -> None:
    assert job("cadvisor")["track_timestamps_staleness"] is True


CONTROL_PLANE = {
    "apiserver": "/metrics",
    "kube-scheduler": "/apis/metrics.eks.amazonaws.com/v1/ksh/container/metrics",
    "kube-controller-manager": "/apis/metrics.eks.amazonaws.com/v1/kcm/container/metrics",
}


@pytest.mark.parametrize(("name", "path"), CONTROL_PLANE.items())
def test_every_api_server_is_asked_for_itself_and_for_what_has_no_address(name: str, path: str) -> None:
    config = job(name)
    assert config["metrics_path"] == path
    assert config["tls_config"]["server_name"] == "kubernetes.default.svc"
    assert config["kubernetes_sd_configs"] == [
        {"role": "endpointslice", "namespaces": {"names": ["default"]}}
    ]
    assert config["relabel_configs"] == [
        {
            "source_labels": ["__meta_kubernetes_service_name", "__meta_kubernetes_endpointslice_port_name"],
            "action": "keep",
            "regex": "kubernetes;https",
        }
    ]


@pytest.mark.parametrize("name", ["kubelet", "cadvisor", *CONTROL_PLANE])
def test_tls_is_verified_wherever_the_token_goes(name: str) -> None:
    config = job(name)
    assert config["scheme"] == "https"
    assert config["authorization"]["credentials_file"].endswith("/token")
    assert config["tls_config"]["ca_file"].endswith("/ca.crt")
    assert "insecure_skip_verify" not in config["tls_config"]


def test_the_token_goes_nowhere_else() -> None:
    with_token = {
        config["job_name"] for config in CONFIGURATION["scrape_configs"] if "authorization" in config
    }
    assert with_token == {"kubelet", "cadvisor", *CONTROL_PLANE}


POD = {"namespace": "quikapp-blue", "pod": "api-1", "container": "api"}


@pytest.mark.parametrize(
    "series",
    [
        {**POD, "__name__": "container_cpu_usage_seconds_total"},
        {**POD, "__name__": "container_cpu_cfs_throttled_periods_total"},
        {**POD, "__name__": "container_memory_working_set_bytes"},
        {**POD, "__name__": "container_oom_events_total"},
        {**POD, "__name__": "container_network_receive_bytes_total"},
        {"__name__": "machine_memory_bytes"},
    ],
)
def test_what_containers_use_is_kept(series: Mapping[str, str]) -> None:
    assert not is_dropped("cadvisor", series)


@pytest.mark.parametrize(
    "series",
    [
        {**POD, "__name__": "container_tasks_state"},
        {**POD, "__name__": "container_spec_memory_limit_bytes"},
        {**POD, "__name__": "container_network_tcp_usage_total"},
        {"__name__": "container_memory_working_set_bytes", "id": "/system.slice"},
    ],
)
def test_what_nobody_reads_of_containers_is_dropped(series: Mapping[str, str]) -> None:
    assert is_dropped("cadvisor", series)


@pytest.mark.parametrize(
    ("name", "dropped"),
    [
        ("apiserver_request_total", False),
        ("apiserver_request_sli_duration_seconds_bucket", False),
        ("apiserver_request_duration_seconds_bucket", True),
        ("apiserver_request_duration_seconds_count", False),
        ("etcd_request_duration_seconds_bucket", True),
        ("workqueue_queue_duration_seconds_bucket", True),
    ],
)
def test_of_the_api_servers_large_histograms_only_the_one_of_its_latency_is_kept(
    name: str, dropped: bool
) -> None:
    assert is_dropped("apiserver", {"__name__": name}) is dropped


def test_only_the_two_jobs_that_bring_most_drop_anything() -> None:
    dropping = {
        config["job_name"] for config in CONFIGURATION["scrape_configs"] if "metric_relabel_configs" in config
    }
    assert dropping == {"cadvisor", "apiserver"} == set(UNREAD)


# --- component -----------------------------------------------------------------------------------------------------


def building(**changes: Any) -> Callable[[], Prometheus]:
    args = PrometheusArgs(
        place=Place(
            slot_namespaces={slot: slot.namespace for slot in Slot},
            network_cidr="10.50.0.0/16",
            zones=3,
            storage_class="fast",
            parts=frozenset(Part),
            after=[],
        ),
        external_labels={"environment": "live", "region": "eu-west-1"},
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
    )
    return lambda: Prometheus("metrics", replace(args, watched=replace(args.watched, **changes)))


def server(recording: Recording[Prometheus]) -> Mapping[str, Any]:
    return recording.one(STATEFUL_SET).inputs["spec"]


def pod(recording: Recording[Prometheus]) -> Mapping[str, Any]:
    return server(recording)["template"]["spec"]


def container(recording: Recording[Prometheus]) -> Mapping[str, Any]:
    (only,) = pod(recording)["containers"]
    return only


def granted(recording: Recording[Prometheus]) -> set[tuple[str, str, str]]:
    """Namespace (empty for the cluster), resource or URL, verb."""
    return {
        (role.inputs["metadata"].get("namespace", ""), thing, verb)
        for token in (f"{RBAC}:ClusterRole", f"{RBAC}:Role")
        for role in recording.of(token)
        for rule in role.inputs["rules"]
        for thing in [*rule.get("resources", []), *rule.get("nonResourceURLs", [])]
        for verb in rule["verbs"]
    }


def ends(rules: list[Mapping[str, Any]], side: str) -> dict[str, list[int]]:
    """Pods, namespace or addresses at the other end of a policy's rules → ports."""
    found: dict[str, list[int]] = {}
    for rule in rules:
        for peer in rule[side]:
            pods = peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/name")
            namespaces = peer.get("namespaceSelector", {}).get("matchLabels", {}).values()
            end = pods or next(iter(namespaces), None) or peer["ipBlock"]["cidr"]
            found.setdefault(end, []).extend(port["port"] for port in rule.get("ports", []))
    return found


def test_the_replicas_keep_their_identity_in_the_state(record: Record) -> None:
    assert (
        record(building())
        .one(STATEFUL_SET)
        .urn.endswith("quikapp:monitoring:Prometheus$kubernetes:apps/v1:StatefulSet::metrics-server")
    )


def test_prometheus_reaches_what_it_scrapes_and_whom_it_tells(record: Record) -> None:
    assert ends(record(building()).one(POLICY).inputs["spec"]["egress"], "to") == {
        "prometheus": [9090],
        "alertmanager": [9093],
        "grafana": [3000],
        "jaeger": [8888],
        "cloudwatch-exporter": [5000],
        "quikapp-blue": [],
        "quikapp-green": [],
        "kube-state-metrics": [8080],
        "10.50.0.0/16": [9100, 10250, 443],
        "10.100.0.0/16": [443],
        "172.20.0.0/16": [443],
    }


def test_prometheus_answers_grafana_and_its_own_replicas(record: Record) -> None:
    assert ends(record(building()).one(POLICY).inputs["spec"]["ingress"], "from") == {
        "prometheus": [9090],
        "grafana": [9090],
    }


def test_prometheus_may_look_at_exactly_what_it_discovers_and_scrapes(record: Record) -> None:
    assert granted(record(building())) == {
        ("", "nodes", "list"),
        ("", "nodes", "watch"),
        ("", "nodes/metrics", "get"),
        ("", "/metrics", "get"),
        ("", "ksh/metrics", "get"),
        ("", "kcm/metrics", "get"),
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


def test_rights_are_given_to_prometheus_account_alone_before_it_runs(record: Record) -> None:
    recording = record(building())
    account = {"kind": "ServiceAccount", "name": "prometheus", "namespace": "monitoring"}
    bindings = [*recording.of(f"{RBAC}:ClusterRoleBinding"), *recording.of(f"{RBAC}:RoleBinding")]
    assert len(bindings) == 4
    assert all(binding.inputs["subjects"] == [account] for binding in bindings)
    assert {binding.urn for binding in bindings} <= recording.one(STATEFUL_SET).dependencies


def test_only_prometheus_own_pods_are_given_the_accounts_token(record: Record) -> None:
    recording = record(building())
    assert recording.one(ACCOUNT).inputs["automountServiceAccountToken"] is False
    assert pod(recording)["serviceAccountName"] == "prometheus"
    assert pod(recording)["automountServiceAccountToken"] is True


def test_two_replicas_never_share_a_node_and_one_may_go_at_a_time(record: Record) -> None:
    recording = record(building())
    assert server(recording)["replicas"] == 2
    (term,) = pod(recording)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"]["matchLabels"] == server(recording)["selector"]["matchLabels"]
    assert recording.one(BUDGET).inputs["spec"]["maxUnavailable"] == 1


def test_a_single_replica_may_move_to_a_node_before_it_has_left_the_last(record: Record) -> None:
    assert "affinity" not in pod(record(building(replicas={Part.PROMETHEUS: 1})))


def test_each_replica_keeps_its_metrics_on_a_volume_of_its_own(record: Record) -> None:
    recording = record(building())
    (claim,) = server(recording)["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"] == {"storage": "50Gi"}
    mounts = {mount["mountPath"]: mount["name"] for mount in container(recording)["volumeMounts"]}
    assert mounts["/prometheus"] == claim["metadata"]["name"] == "data"
    assert "--storage.tsdb.path=/prometheus" in container(recording)["args"]


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
    assert only["resources"]["limits"] == only["resources"]["requests"] == {"cpu": "500m", "memory": "2048Mi"}
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(only)


def test_a_replay_of_the_log_may_take_a_quarter_of_an_hour(record: Record) -> None:
    probe = container(record(building()))["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 900


def test_the_image_is_pinned_to_a_version(record: Record) -> None:
    image = container(record(building()))["image"]
    assert re.fullmatch(r"quay\.io/prometheus/prometheus:v3\.\d+\.\d+", image)


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
    assert names(retention_days=16)[0] != one


def test_the_config_map_holds_the_configuration_and_the_rules_it_points_to(record: Record) -> None:
    recording = record(building())
    files = recording.one(CONFIG_MAP).inputs["data"]
    assert json.loads(files["prometheus.json"]) == CONFIGURATION
    assert CONFIGURATION["rule_files"] == ["/etc/prometheus/rules.json"]
    assert json.loads(files["rules.json"])["groups"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container(recording)["volumeMounts"]}
    assert mounts["config"] == "/etc/prometheus"
    assert "--config.file=/etc/prometheus/prometheus.json" in container(recording)["args"]


def test_a_headless_service_names_the_replicas_and_another_balances_over_them(record: Record) -> None:
    recording = record(building())
    addresses = {
        service.inputs["metadata"]["name"]: service.inputs["spec"].get("clusterIP")
        for service in recording.of(SERVICE)
    }
    assert addresses == {"prometheus": None, "prometheus-replicas": "None"}
    assert server(recording)["serviceName"] == "prometheus-replicas"


def test_the_output_names_prometheus_address(record: Record) -> None:
    recording = record(building())
    assert recording.value(recording.result.url) == "http://prometheus.monitoring.svc:9090"
