"""Datadog: an agent on every node, two cluster agents, and no right, path or feature beyond what they are for."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from components.monitoring.apm import (
    Datadog,
    DatadogArgs,
    agent_configuration,
    cluster_agent_configuration,
)
from components.monitoring.workload import Place
from operations import versions
from operations.monitoring import Datadog as DatadogFacts
from operations.monitoring import DatadogSite, Part
from operations.slots import Slot
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording, Resource

DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a resource type
SERVICE = "kubernetes:core/v1:Service"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
CLUSTER_ROLE = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
CLUSTER_BINDING = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
ROLE = "kubernetes:rbac.authorization.k8s.io/v1:Role"
BINDING = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 - a resource type

API_KEY = "0123456789abcdef-of-the-organization"
COMMON: Mapping[str, Any] = {
    "site": "datadoghq.eu",
    "env": "live",
    "cluster_name": "quikapp-live",
    "logs_enabled": False,
    "orchestrator_explorer": {"enabled": False},
    "remote_configuration": {"enabled": False},
    "cloud_provider_metadata": [],
    "disable_file_logging": True,
    "auth_token_file_path": "/var/run/datadog/auth_token",
    "ipc_cert_file_path": "/var/run/datadog/ipc_cert.pem",
}


@pytest.fixture
def made(record: Record) -> Recording[Datadog]:
    return record(
        lambda: Datadog(
            "datadog",
            DatadogArgs(
                place=Place(
                    slot_namespaces={Slot.BLUE: "quikapp-blue", Slot.GREEN: "quikapp-green"},
                    network_cidr="10.50.0.0/16",
                    zones=3,
                    storage_class="encrypted",
                    parts=frozenset(Part),
                    after=[],
                ),
                environment="live",
                cluster_name="quikapp-live",
                datadog=DatadogFacts(site=DatadogSite.EU1),
                api_key=API_KEY,
                cluster_agent_replicas=2,
            ),
        )
    )


def of_part(made: Recording[Any], token: str, part: str) -> Resource:
    (found,) = [
        resource
        for resource in made.of(token)
        if resource.inputs["metadata"]["labels"]["app.kubernetes.io/name"] == part
    ]
    return found


def pod(made: Recording[Any], token: str) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = made.one(token).inputs["spec"]["template"]["spec"]
    return spec


def containers(made: Recording[Any]) -> dict[str, Mapping[str, Any]]:
    return {
        container["name"]: container
        for token in (DAEMON_SET, DEPLOYMENT)
        for container in pod(made, token)["containers"]
    }


def variables(container: Mapping[str, Any]) -> dict[str, Any]:
    """Name → its value, or the field that it is taken from, or the key of the Secret."""
    found: dict[str, Any] = {}
    for variable in container["env"]:
        source = variable.get("valueFrom", {})
        found[variable["name"]] = (
            variable.get("value")
            or source.get("fieldRef", {}).get("fieldPath")
            or ("secret", source["secretKeyRef"]["key"])
        )
    return found


def rules(resource: Resource) -> list[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]:
    """Each rule's resources with their group, the names it is limited to, and verbs."""
    return [
        (
            tuple(
                f"{group}/{name}" if group else name
                for group in rule["apiGroups"]
                for name in rule["resources"]
            ),
            tuple(rule.get("resourceNames", ())),
            tuple(rule["verbs"]),
        )
        for rule in resource.inputs["rules"]
    ]


def egress(policy: Resource) -> list[tuple[Any, list[int]]]:
    """Whom each rule lets a pod speak to, an address or a part, and at which ports."""
    return [
        (
            [
                peer["ipBlock"]["cidr"]
                if "ipBlock" in peer
                else peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
                for peer in rule["to"]
            ],
            [port["port"] for port in rule["ports"]],
        )
        for rule in policy.inputs["spec"]["egress"]
    ]


# --- configuration -------------------------------------------------------------------------------------------------


def test_an_agent_takes_traces_asks_the_kubelet_and_nothing_else() -> None:
    assert agent_configuration(environment="live", cluster_name="quikapp-live", site="datadoghq.eu") == {
        **COMMON,
        "cluster_agent": {"enabled": True, "url": "https://datadog-cluster-agent.monitoring.svc:5005"},
        "apm_config": {"enabled": True, "apm_non_local_traffic": True, "receiver_port": 8126},
        "process_config": {
            "process_collection": {"enabled": False},
            "container_collection": {"enabled": False},
            "process_discovery": {"enabled": False},
        },
        "kubelet_tls_verify": True,
        "kubelet_client_ca": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
        "container_lifecycle": {"enabled": False},
        "container_image": {"enabled": False},
    }


def test_the_cluster_agent_elects_a_leader_by_lease_who_reads_events() -> None:
    assert cluster_agent_configuration(
        environment="live", cluster_name="quikapp-live", site="datadoghq.eu"
    ) == {
        **COMMON,
        "cluster_agent": {
            "cmd_port": 5005,
            "service_account_name": "datadog-cluster-agent",
            "token_name": "datadog-cluster-agent-events",
        },
        "kube_resources_namespace": "monitoring",
        "kubernetes_use_endpoint_slices": True,
        "collect_kubernetes_events": True,
        "leader_election": True,
        "leader_election_default_resource": "lease",
        "leader_lease_name": "datadog-cluster-agent-leader",
        "cluster_checks": {"enabled": False},
        "admission_controller": {"enabled": False},
        "external_metrics_provider": {"enabled": False},
    }


@pytest.mark.parametrize(
    ("token", "part", "file", "check", "configure"),
    [
        (DAEMON_SET, "datadog-agent", "datadog.yaml", "kubelet", agent_configuration),
        (
            DEPLOYMENT,
            "datadog-cluster-agent",
            "datadog-cluster.yaml",
            "kubernetes_apiserver",
            cluster_agent_configuration,
        ),
    ],
)
def test_each_agent_finds_its_file_and_its_one_check_where_it_looks(
    made: Recording[Datadog], token: str, part: str, file: str, check: str, configure: Any
) -> None:
    config_map = of_part(made, CONFIG_MAP, part)
    assert {name: json.loads(text) for name, text in config_map.inputs["data"].items()} == {
        file: configure(environment="live", cluster_name="quikapp-live", site="datadoghq.eu"),
        f"{check}.yaml": {"init_config": {}, "instances": [{}]},
    }
    volumes = {volume["name"]: volume for volume in pod(made, token)["volumes"]}
    assert volumes["config"]["configMap"] == {
        "name": config_map.inputs["metadata"]["name"],
        "items": [
            {"key": file, "path": file},
            {"key": f"{check}.yaml", "path": f"conf.d/{check}.d/conf.yaml"},
        ],
    }
    for container in pod(made, token)["containers"]:
        assert {"name": "config", "mountPath": "/etc/datadog-agent", "readOnly": True} in container[
            "volumeMounts"
        ]


# --- secrets -------------------------------------------------------------------------------------------------------


def test_the_api_key_and_the_token_are_in_secrets_and_nowhere_in_plain_text(
    made: Recording[Datadog],
) -> None:
    token = made.one(PASSWORD).outputs["result"]
    made.assert_hidden(API_KEY)
    made.assert_hidden(token)
    assert [secret.inputs["stringData"] for secret in made.of(SECRET)] == [
        {"api-key": API_KEY, "token": token}
    ] * 2
    assert {secret.inputs["metadata"]["namespace"] for secret in made.of(SECRET)} == {"monitoring"}


def test_the_token_is_made_by_chance_and_as_long_as_the_agents_want_it(made: Recording[Datadog]) -> None:
    assert made.one(PASSWORD).inputs["length"] == 32
    assert made.one(PASSWORD).inputs["special"] is False


def test_every_variable_is_a_key_of_a_secret_or_says_where_the_pod_is(made: Recording[Datadog]) -> None:
    secrets = {
        "DD_API_KEY": ("secret", "api-key"),
        "DD_CLUSTER_AGENT_AUTH_TOKEN": ("secret", "token"),
    }
    node = {"DD_HOSTNAME": "spec.nodeName", "DD_KUBERNETES_KUBELET_HOST": "status.hostIP"}
    assert {name: variables(container) for name, container in containers(made).items()} == {
        "agent": {**secrets, **node, "DD_HEALTH_PORT": "5555"},
        "trace-agent": {**secrets, **node},
        "cluster-agent": {
            **secrets,
            "DD_HOSTNAME": "spec.nodeName",
            "DD_POD_NAME": "metadata.name",
            "DD_HEALTH_PORT": "5556",
        },
    }


# --- pods ----------------------------------------------------------------------------------------------------------


def test_an_agent_runs_on_every_node_whatever_its_taints(made: Recording[Datadog]) -> None:
    agents = made.one(DAEMON_SET)
    assert agents.inputs["metadata"]["namespace"] == "monitoring"
    assert pod(made, DAEMON_SET)["tolerations"] == [{"operator": "Exists"}]
    assert "topologySpreadConstraints" not in pod(made, DAEMON_SET)
    assert "nodeSelector" not in pod(made, DAEMON_SET)


def test_two_cluster_agents_run_and_a_drain_takes_one(made: Recording[Datadog]) -> None:
    assert made.one(DEPLOYMENT).inputs["spec"]["replicas"] == 2
    assert made.one(BUDGET).inputs["spec"]["maxUnavailable"] == 1


def test_no_agent_reads_its_node_runs_as_root_or_writes_where_it_should_not(
    made: Recording[Datadog],
) -> None:
    for token in (DAEMON_SET, DEPLOYMENT):
        spec = pod(made, token)
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 100
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {volume["name"]: "hostPath" in volume for volume in spec["volumes"]} == {
            "config": False,
            "run": False,
            "state": False,
            "tmp": False,
        }
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert container["resources"]["requests"] == container["resources"]["limits"]
            assert all("hostPort" not in port for port in container["ports"])
            assert {
                mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")
            } == {"/var/run/datadog", "/opt/datadog-agent/run", "/tmp"}  # noqa: S108


def test_both_programs_of_a_node_share_its_size(made: Recording[Datadog]) -> None:
    agents = containers(made)
    assert agents["agent"]["resources"]["limits"] == {"cpu": "200m", "memory": "512Mi"}
    assert agents["trace-agent"]["resources"]["limits"] == {"cpu": "100m", "memory": "256Mi"}


def test_the_images_are_of_one_release_and_run_what_they_are_for(made: Recording[Datadog]) -> None:
    assert {name: container["command"] for name, container in containers(made).items()} == {
        "agent": ["agent", "run"],
        "trace-agent": ["trace-agent", "-config=/etc/datadog-agent/datadog.yaml"],
        "cluster-agent": ["datadog-cluster-agent", "start"],
    }
    assert (
        versions.DATADOG_AGENT_IMAGE.rpartition(":")[2]
        == versions.DATADOG_CLUSTER_AGENT_IMAGE.rpartition(":")[2]
    )


def test_each_program_is_asked_for_its_health_where_it_answers(made: Recording[Datadog]) -> None:
    agents = containers(made)
    for name, port in (("agent", 5555), ("cluster-agent", 5556)):
        assert {
            probe: agents[name][probe]["httpGet"]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        } == {
            "startupProbe": {"path": "/startup", "port": "health"},
            "readinessProbe": {"path": "/ready", "port": "health"},
            "livenessProbe": {"path": "/live", "port": "health"},
        }
        assert {"name": "health", "containerPort": port, "protocol": "TCP"} in agents[name]["ports"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert agents["trace-agent"][probe]["tcpSocket"] == {"port": "apm"}
    assert agents["trace-agent"]["ports"] == [{"name": "apm", "containerPort": 8126, "protocol": "TCP"}]


def test_pods_wait_for_their_files_secrets_rights_and_policies(made: Recording[Datadog]) -> None:
    for token, part in ((DAEMON_SET, "datadog-agent"), (DEPLOYMENT, "datadog-cluster-agent")):
        for needed in (CONFIG_MAP, SECRET, POLICY, CLUSTER_BINDING):
            assert of_part(made, needed, part).urn in made.one(token).dependencies
    assert made.one(BINDING).urn in made.one(DEPLOYMENT).dependencies


# --- rights --------------------------------------------------------------------------------------------------------


def test_an_agent_may_read_what_its_kubelet_tells_and_nothing_of_the_api_server(
    made: Recording[Datadog],
) -> None:
    assert rules(of_part(made, CLUSTER_ROLE, "datadog-agent")) == [
        (("nodes/healthz", "nodes/metrics", "nodes/pods", "nodes/spec", "nodes/stats"), (), ("get",))
    ]


def test_the_cluster_agent_may_read_events_and_what_tags_are_made_of(made: Recording[Datadog]) -> None:
    assert rules(of_part(made, CLUSTER_ROLE, "datadog-cluster-agent")) == [
        (("events", "namespaces", "nodes", "services"), (), ("get", "list", "watch")),
        (("discovery.k8s.io/endpointslices",), (), ("get", "list", "watch")),
    ]


def test_the_cluster_agent_may_write_its_lease_and_its_two_notes_only(made: Recording[Datadog]) -> None:
    role = made.one(ROLE)
    assert role.inputs["metadata"]["namespace"] == "monitoring"
    assert rules(role) == [
        (("coordination.k8s.io/leases",), (), ("create",)),
        (("coordination.k8s.io/leases",), ("datadog-cluster-agent-leader",), ("get", "update")),
        (("configmaps", "events"), (), ("create",)),
        (
            ("configmaps",),
            ("datadog-cluster-id", "datadog-cluster-agent-events"),
            ("get", "update"),
        ),
    ]


def test_each_role_is_given_to_the_account_of_its_own_agent(made: Recording[Datadog]) -> None:
    given = {
        (binding.inputs["roleRef"]["kind"], binding.inputs["roleRef"]["name"]): binding.inputs["subjects"]
        for binding in [*made.of(CLUSTER_BINDING), *made.of(BINDING)]
    }
    agent = {"kind": "ServiceAccount", "name": "datadog-agent", "namespace": "monitoring"}
    cluster_agent = {"kind": "ServiceAccount", "name": "datadog-cluster-agent", "namespace": "monitoring"}
    assert given == {
        ("ClusterRole", "datadog-agent"): [agent],
        ("ClusterRole", "datadog-cluster-agent"): [cluster_agent],
        ("Role", "datadog-cluster-agent"): [cluster_agent],
    }
    assert pod(made, DAEMON_SET)["serviceAccountName"] == "datadog-agent"
    assert pod(made, DEPLOYMENT)["serviceAccountName"] == "datadog-cluster-agent"


# --- who talks to whom ---------------------------------------------------------------------------------------------


def test_a_slots_pod_reaches_the_agent_of_its_own_node(made: Recording[Datadog]) -> None:
    service = of_part(made, SERVICE, "datadog-agent").inputs
    assert service["metadata"]["name"] == "datadog-agent"
    assert service["metadata"]["namespace"] == "monitoring"
    assert service["spec"]["internalTrafficPolicy"] == "Local"
    assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == [("apm", 8126)]
    assert made.value(made.result.agent_host) == "datadog-agent.monitoring.svc"

    (rule,) = of_part(made, POLICY, "datadog-agent").inputs["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == [8126]
    assert [peer["namespaceSelector"]["matchLabels"] for peer in rule["from"]] == [
        {"kubernetes.io/metadata.name": "quikapp-blue"},
        {"kubernetes.io/metadata.name": "quikapp-green"},
    ]


def test_an_agent_reaches_the_cluster_agent_datadog_and_kubelets(made: Recording[Datadog]) -> None:
    assert egress(of_part(made, POLICY, "datadog-agent")) == [
        (["datadog-cluster-agent"], [5005]),
        (["0.0.0.0/0"], [443]),
        (["10.50.0.0/16"], [10250]),
    ]


def test_the_cluster_agent_hears_agents_and_reaches_the_api_server_and_datadog(
    made: Recording[Datadog],
) -> None:
    policy = of_part(made, POLICY, "datadog-cluster-agent")
    (rule,) = policy.inputs["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == [5005]
    assert [peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in rule["from"]] == [
        "datadog-agent"
    ]
    (api_server, ports), internet = egress(policy)
    assert api_server[0] == "10.50.0.0/16"
    assert "0.0.0.0/0" not in api_server
    assert ports == [443]
    assert internet == (["0.0.0.0/0"], [443])
    service = of_part(made, SERVICE, "datadog-cluster-agent").inputs
    assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == [("agents", 5005)]
    assert service["metadata"]["name"] == "datadog-cluster-agent"
