"""Datadog, where the stack turns it on: an agent on every node that takes the application's traces, and a cluster agent
that watches the cluster's events.

Logs stay in the stack's own Elasticsearch and metrics in its Prometheus, so the agents run one check each and read
nothing of their nodes: no process, no container runtime, no host path. What they may do is the vendor's own list,
shorter by what is off here.
Sources: https://github.com/DataDog/helm-charts/tree/main/charts/datadog/templates (rbac.yaml,
cluster-agent-rbac.yaml, daemonset.yaml), https://docs.datadoghq.com/containers/kubernetes/
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

from components import hardening
from components.monitoring.parts import KUBELET_PORT, PORTS
from components.monitoring.workload import Place, Workload, http_probe, of_pod, tcp_probe, to_api_server
from operations import versions
from operations.monitoring import NAMESPACE, SIZES, Part
from operations.monitoring import Datadog as DatadogFacts

apps = kubernetes.apps.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1
networking = kubernetes.networking.v1
rbac = kubernetes.rbac.v1

USER: Final = 100
"""`dd-agent` of the images. Source: https://docs.datadoghq.com/data_security/kubernetes/"""

LEASE: Final = f"{Part.DATADOG_CLUSTER_AGENT}-leader"
EVENTS_SEEN: Final = f"{Part.DATADOG_CLUSTER_AGENT}-events"
"""ConfigMap in which the leader keeps how far it has read the cluster's events."""
CLUSTER_ID: Final = "datadog-cluster-id"
"""ConfigMap in which the cluster agent keeps the identifier of the cluster."""

CONFIG_PATH: Final = "/etc/datadog-agent"
"""The folder that all agents read; what is mounted there takes the place of the image's own checks. The commands below
start the programs themselves, and so none of the images' scripts that would write to it.
Source: https://github.com/DataDog/datadog-agent/tree/main/Dockerfiles"""
RUN_PATH: Final = "/var/run/datadog"
STATE_PATH: Final = "/opt/datadog-agent/run"

Configuration = Mapping[str, Any]
"""An agent's configuration, or a check's, as plain data.
Source: https://github.com/DataDog/datadog-agent/blob/main/pkg/config/config_template.yaml"""

ONCE: Final[Configuration] = {"init_config": {}, "instances": [{}]}
"""A check that runs once, as it does by default."""


def agent_configuration(*, environment: str, cluster_name: str, site: str) -> Configuration:
    """Of both programs on a node: traces from the node's pods, and what the kubelet says of them."""
    return {
        **_common(environment=environment, cluster_name=cluster_name, site=site),
        "cluster_agent": {
            "enabled": True,
            "url": f"https://{Part.DATADOG_CLUSTER_AGENT.host}:{PORTS[Part.DATADOG_CLUSTER_AGENT]['agents']}",
        },
        "apm_config": {
            "enabled": True,
            # From other pods, which the network policy names.
            "apm_non_local_traffic": True,
            "receiver_port": PORTS[Part.DATADOG_AGENT]["apm"],
        },
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


def cluster_agent_configuration(*, environment: str, cluster_name: str, site: str) -> Configuration:
    """Of the cluster agent: the cluster's events from the leader, and the names of Services for the agents' tags."""
    return {
        **_common(environment=environment, cluster_name=cluster_name, site=site),
        "cluster_agent": {
            "cmd_port": PORTS[Part.DATADOG_CLUSTER_AGENT]["agents"],
            "service_account_name": Part.DATADOG_CLUSTER_AGENT.value,
            "token_name": EVENTS_SEEN,
        },
        "kube_resources_namespace": NAMESPACE,
        "kubernetes_use_endpoint_slices": True,
        "collect_kubernetes_events": True,
        "leader_election": True,
        "leader_election_default_resource": "lease",
        "leader_lease_name": LEASE,
        "cluster_checks": {"enabled": False},
        "admission_controller": {"enabled": False},
        "external_metrics_provider": {"enabled": False},
    }


def _common(*, environment: str, cluster_name: str, site: str) -> Configuration:
    return {
        "site": site,
        "env": environment,
        "cluster_name": cluster_name,
        "logs_enabled": False,
        "orchestrator_explorer": {"enabled": False},
        # What runs here is what this program declares, not what is switched on from outside.
        "remote_configuration": {"enabled": False},
        # The node's metadata service is closed to pods.
        "cloud_provider_metadata": [],
        "disable_file_logging": True,
        "auth_token_file_path": f"{RUN_PATH}/auth_token",
        "ipc_cert_file_path": f"{RUN_PATH}/ipc_cert.pem",
    }


@dataclass(frozen=True, kw_only=True)
class DatadogArgs:
    """Whose Datadog it is, and what this cluster is called there."""

    place: Place
    environment: str
    """The tag `env` of everything that is sent."""
    cluster_name: pulumi.Input[str]
    datadog: DatadogFacts
    api_key: pulumi.Input[str]
    """A secret."""
    cluster_agent_replicas: int
    """One leads, the others wait to."""


class Datadog(pulumi.ComponentResource):
    """The cluster agent, the agents on the nodes, and the token by which they know each other."""

    agent_host: pulumi.Output[str]
    """Where the application finds the agent of its own node."""

    def __init__(self, name: str, args: DatadogArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:monitoring:Datadog", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        token = random.RandomPassword(f"{name}-token", length=32, special=False, opts=child)
        agents = AgentArgs(
            place=args.place,
            environment=args.environment,
            cluster_name=args.cluster_name,
            datadog=args.datadog,
            api_key=args.api_key,
            cluster_agent_replicas=args.cluster_agent_replicas,
            token=token.result,
        )
        DatadogClusterAgent(f"{name}-cluster-agent", agents, opts=child)
        self.agent_host = DatadogAgent(f"{name}-agent", agents, opts=child).host
        self.register_outputs({"agent_host": self.agent_host})


@dataclass(frozen=True, kw_only=True)
class AgentArgs(DatadogArgs):
    """What each agent is told."""

    token: pulumi.Input[str]
    """A secret of 32 letters and digits that the agents and the cluster agent share."""


class DatadogAgent(Workload):
    """An agent on every node: one container takes traces, the other asks the kubelet and speaks to Datadog.

    Its service account may read what the node's own kubelet tells, path by path, and nothing of the API server; the
    vendor's list has `nodes/configz` and `nodes/logs` besides.
    Source: https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/
    """

    host: pulumi.Output[str]
    """Where a pod finds the agent of its own node."""

    def __init__(self, name: str, args: AgentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, Part.DATADOG_AGENT, versions.DATADOG_AGENT_IMAGE, args.place, opts)
        self.account()
        role = rbac.ClusterRole(
            f"{name}-reads-kubelets",
            metadata=meta.ObjectMetaArgs(name=self.part, labels=self.labels),
            rules=[
                rbac.PolicyRuleArgs(
                    api_groups=[""],
                    resources=["nodes/healthz", "nodes/metrics", "nodes/pods", "nodes/spec", "nodes/stats"],
                    verbs=["get"],
                )
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.grant("binding", role)
        self.traffic(
            hardening.to_internet(),
            networking.NetworkPolicyEgressRuleArgs(
                to=hardening.blocks([args.place.network_cidr]), ports=hardening.tcp(KUBELET_PORT)
            ),
        )
        self.service("apm", only_local=True)
        secrets = _secrets(self, args)
        volumes = [_config(self, args, agent_configuration, "datadog.yaml", "kubelet"), *_folders()]
        # On every node run pods whose traces end here. The kubelet asks for the token.
        agents = self.daemon_set(
            f"{name}-nodes",
            [self._agent(secrets, volumes), self._trace_agent(secrets, volumes)],
            volumes,
            security_context=hardening.restricted_pod(user=USER),
        )
        self.host = agents.metadata.apply(lambda _: Part.DATADOG_AGENT.host)
        self.register_outputs({"host": self.host})

    def _agent(
        self, secrets: Sequence[core.EnvVarArgs], volumes: Sequence[core.VolumeArgs]
    ) -> core.ContainerArgs:
        size = SIZES[self.part]
        return core.ContainerArgs(
            name="agent",
            image=versions.DATADOG_AGENT_IMAGE,
            image_pull_policy="IfNotPresent",
            command=["agent", "run"],
            env=[
                *secrets,
                *self._node(),
                # The port is this container's: in the file, the other would want it too.
                core.EnvVarArgs(name="DD_HEALTH_PORT", value=str(PORTS[self.part]["health"])),
            ],
            ports=self.container_ports("health"),
            resources=hardening.guaranteed(size.cpu_millicores * 2 // 3, size.memory_mib * 2 // 3),
            security_context=hardening.restricted_container(),
            startup_probe=http_probe("/startup", "health", period=5, failures=24),
            readiness_probe=http_probe("/ready", "health", period=15, failures=3),
            liveness_probe=http_probe("/live", "health", period=15, failures=6),
            volume_mounts=_mounts(volumes),
        )

    def _trace_agent(
        self, secrets: Sequence[core.EnvVarArgs], volumes: Sequence[core.VolumeArgs]
    ) -> core.ContainerArgs:
        size = SIZES[self.part]
        return core.ContainerArgs(
            name="trace-agent",
            image=versions.DATADOG_AGENT_IMAGE,
            image_pull_policy="IfNotPresent",
            command=["trace-agent", f"-config={CONFIG_PATH}/datadog.yaml"],
            env=[*secrets, *self._node()],
            ports=self.container_ports("apm"),
            resources=hardening.guaranteed(size.cpu_millicores // 3, size.memory_mib // 3),
            security_context=hardening.restricted_container(),
            # It has no port of its own for its health.
            startup_probe=tcp_probe("apm", period=5, failures=24),
            readiness_probe=tcp_probe("apm", period=15, failures=3),
            liveness_probe=tcp_probe("apm", period=15, failures=6),
            volume_mounts=_mounts(volumes),
        )

    def _node(self) -> list[core.EnvVarArgs]:
        """Which node this is: its name, which in EKS Auto Mode is the instance's id, and its kubelet's address."""
        return [
            of_pod("DD_HOSTNAME", "spec.nodeName"),
            of_pod("DD_KUBERNETES_KUBELET_HOST", "status.hostIP"),
        ]


class DatadogClusterAgent(Workload):
    """The cluster agent: of two, the one that holds the lease reads the cluster's events.

    Cluster-wide its service account reads events, and of nodes, namespaces, Services and their endpoints what the
    agents tag with; in its own namespace it holds the lease and keeps two ConfigMaps. Left out of the vendor's list is
    what only disabled features need: pods, autoscalers, workloads, webhooks, secrets, every other ConfigMap.
    """

    def __init__(self, name: str, args: AgentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(
            name, Part.DATADOG_CLUSTER_AGENT, versions.DATADOG_CLUSTER_AGENT_IMAGE, args.place, opts
        )
        self.account()
        self._rights()
        self.traffic(*to_api_server(args.place.network_cidr), hardening.to_internet())
        self.service("agents")
        self.disruption_budget()
        secrets = _secrets(self, args)
        volumes = [
            _config(self, args, cluster_agent_configuration, "datadog-cluster.yaml", "kubernetes_apiserver"),
            *_folders(),
        ]
        self.deployment(
            [self._container(secrets, volumes)],
            volumes,
            replicas=args.cluster_agent_replicas,
            user=USER,
            reads_api=True,
        )
        self.register_outputs({})

    def _rights(self) -> None:
        own = pulumi.ResourceOptions(parent=self)
        cluster_role = rbac.ClusterRole(
            f"{self.name}-reads-cluster",
            metadata=meta.ObjectMetaArgs(name=self.part, labels=self.labels),
            rules=[
                rbac.PolicyRuleArgs(api_groups=[group], resources=resources, verbs=["get", "list", "watch"])
                for group, resources in (
                    ("", ["events", "namespaces", "nodes", "services"]),
                    ("discovery.k8s.io", ["endpointslices"]),
                )
            ],
            opts=own,
        )
        role = rbac.Role(
            f"{self.name}-keeps-state",
            metadata=self.metadata(),
            rules=[
                # To create what is not there yet cannot be limited to a name.
                rbac.PolicyRuleArgs(
                    api_groups=["coordination.k8s.io"], resources=["leases"], verbs=["create"]
                ),
                rbac.PolicyRuleArgs(
                    api_groups=["coordination.k8s.io"],
                    resources=["leases"],
                    resource_names=[LEASE],
                    verbs=["get", "update"],
                ),
                rbac.PolicyRuleArgs(api_groups=[""], resources=["configmaps", "events"], verbs=["create"]),
                rbac.PolicyRuleArgs(
                    api_groups=[""],
                    resources=["configmaps"],
                    resource_names=[CLUSTER_ID, EVENTS_SEEN],
                    verbs=["get", "update"],
                ),
            ],
            opts=self.child,
        )
        self.grant("binding", cluster_role)
        self.grant_in(self.part.namespace, "may-keep-state", role)

    def _container(
        self, secrets: Sequence[core.EnvVarArgs], volumes: Sequence[core.VolumeArgs]
    ) -> core.ContainerArgs:
        size = SIZES[self.part]
        return core.ContainerArgs(
            name="cluster-agent",
            image=versions.DATADOG_CLUSTER_AGENT_IMAGE,
            image_pull_policy="IfNotPresent",
            command=["datadog-cluster-agent", "start"],
            env=[
                *secrets,
                of_pod("DD_HOSTNAME", "spec.nodeName"),
                # Who holds the lease.
                of_pod("DD_POD_NAME", "metadata.name"),
                core.EnvVarArgs(name="DD_HEALTH_PORT", value=str(PORTS[self.part]["health"])),
            ],
            ports=self.container_ports("agents", "health"),
            resources=hardening.guaranteed(size.cpu_millicores, size.memory_mib),
            security_context=hardening.restricted_container(),
            startup_probe=http_probe("/startup", "health", period=5, failures=24),
            readiness_probe=http_probe("/ready", "health", period=15, failures=3),
            liveness_probe=http_probe("/live", "health", period=15, failures=6),
            volume_mounts=_mounts(volumes),
        )


def _secrets(agent: Workload, args: AgentArgs) -> list[core.EnvVarArgs]:
    """The API key and the token, as variables: no setting of the agents names a file to read them from."""
    secret = agent.secret({"api-key": args.api_key, "token": args.token})
    return [
        core.EnvVarArgs(
            name=name,
            value_from=core.EnvVarSourceArgs(secret_key_ref=core.SecretKeySelectorArgs(name=secret, key=key)),
        )
        for name, key in (("DD_API_KEY", "api-key"), ("DD_CLUSTER_AGENT_AUTH_TOKEN", "token"))
    ]


class _Configure(Protocol):
    def __call__(self, *, environment: str, cluster_name: str, site: str) -> Configuration: ...


def _config(
    agent: Workload, args: AgentArgs, configure: _Configure, file: str, check: str
) -> core.VolumeArgs:
    """The folder `CONFIG_PATH`: the agent's own file, and the one check that it runs."""

    def render(cluster_name: str) -> Mapping[str, str]:
        configuration = configure(
            environment=args.environment, cluster_name=cluster_name, site=args.datadog.site.value
        )
        return {
            file: json.dumps(configuration, indent=2),
            f"{check}.yaml": json.dumps(ONCE, indent=2),
        }

    config = agent.config(pulumi.Output.from_input(args.cluster_name).apply(render))
    return core.VolumeArgs(
        name="config",
        config_map=core.ConfigMapVolumeSourceArgs(
            name=config,
            items=[
                core.KeyToPathArgs(key=file, path=file),
                core.KeyToPathArgs(key=f"{check}.yaml", path=f"conf.d/{check}.d/conf.yaml"),
            ],
        ),
    )


_WRITTEN: Final[Mapping[str, str]] = {
    "run": RUN_PATH,
    "state": STATE_PATH,
    "tmp": "/tmp",  # noqa: S108 - a volume of the pod's own
}
"""Folders that the agents write to: sockets and what their processes know each other by; state; the rest."""


def _folders() -> list[core.VolumeArgs]:
    return [core.VolumeArgs(name=name, empty_dir=core.EmptyDirVolumeSourceArgs()) for name in _WRITTEN]


def _mounts(volumes: Sequence[core.VolumeArgs]) -> list[core.VolumeMountArgs]:
    paths = {"config": CONFIG_PATH, **_WRITTEN}
    return [
        core.VolumeMountArgs(
            name=str(volume.name),
            mount_path=paths[str(volume.name)],
            read_only=volume.name == "config" or None,
        )
        for volume in volumes
    ]
