"""What every part of the monitoring stack is built from: names, configuration, network policy, budget, pods."""

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.parts import (
    PORTS,
    Flow,
    Neighbour,
    flows_into,
    flows_out_of,
    peer,
)
from operations.limits import SERVICE_RANGES
from operations.monitoring import Part
from operations.slots import Slot

apps = kubernetes.apps.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1
networking = kubernetes.networking.v1
policy = kubernetes.policy.v1
rbac = kubernetes.rbac.v1

SKIP_AWAIT: Final = {"pulumi.com/skipAwait": "true"}
"""For a Service whose workload is awaited anyway: Pulumi would wait for endpoints."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the parts run, and what they need to know of what is around them."""

    slot_namespaces: Mapping[Slot, pulumi.Input[str]]
    """Namespaces of the application, once they exist."""
    network_cidr: str
    """The VPC: nodes and the API server's addresses are in it."""
    zones: int
    """Zones the nodes are in: 2 or 3."""
    storage_class: pulumi.Input[str]
    parts: Set[Part]
    """The parts that this stack has; connections to others stay closed."""
    after: Sequence[pulumi.Resource]
    """The namespaces and the policies that close them: no pod runs before."""


class Workload(pulumi.ComponentResource):
    """One part: a base that names its objects alike and opens exactly its flows.

    A subclass calls what it needs of `account`, `grant`, `traffic`, `service`, `disruption_budget`, `config` and `secret`,
    then `deployment`, `stateful_set` or `daemon_set`, which come after all of these.
    """

    def __init__(
        self, name: str, part: Part, image: str, place: Place, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Begin a part that runs `image`, whose tag is the version on every label."""
        # `prometheus` → `quikapp:monitoring:Prometheus`, `datadog-agent` → `quikapp:monitoring:DatadogAgent`
        super().__init__(f"quikapp:monitoring:{part.title().replace('-', '')}", name, None, opts)
        self.name: Final = name
        self.part: Final = part
        self.place: Final = place
        self.labels: Final = hardening.labels(part, part, image.rpartition(":")[2])
        self.selector: Final = hardening.selector(part, part)
        self.child: Final = pulumi.ResourceOptions(parent=self, depends_on=place.after)
        self.after: Final[list[pulumi.Resource]] = [*place.after]
        """What must be there before the pods; the methods below add to it."""

    def metadata(
        self, name: pulumi.Input[str] | None = None, *, annotations: Mapping[str, str] | None = None
    ) -> meta.ObjectMetaArgs:
        """Metadata of an object of this part, called like the part unless `name` says otherwise."""
        return meta.ObjectMetaArgs(
            name=name or self.part,
            namespace=self.part.namespace,
            labels=self.labels,
            annotations=annotations,
        )

    def account(self) -> core.ServiceAccount:
        """The part's service account. No token is mounted unless the pods ask for one."""
        account = core.ServiceAccount(
            f"{self.name}-account",
            metadata=self.metadata(),
            automount_service_account_token=False,
            opts=self.child,
        )
        self.after.append(account)
        return account

    def traffic(self, *further_egress: networking.NetworkPolicyEgressRuleArgs) -> networking.NetworkPolicy:
        """The part's network policy: its flows in and out, and out of the stack to `further_egress`."""
        into = list(flows_into(self.part, self.place.parts))
        out_of = flows_out_of(self.part, self.place.parts)
        made = networking.NetworkPolicy(
            f"{self.name}-traffic",
            metadata=self.metadata(),
            spec=networking.NetworkPolicySpecArgs(
                pod_selector=meta.LabelSelectorArgs(match_labels=self.selector),
                policy_types=["Ingress", "Egress"],
                ingress=[
                    networking.NetworkPolicyIngressRuleArgs(
                        from_=[p for flow in into if flow.port == port for p in self._sources(flow)],
                        ports=self._ports(port),
                    )
                    for port in dict.fromkeys(flow.port for flow in into)
                ],
                egress=[
                    *(
                        networking.NetworkPolicyEgressRuleArgs(
                            to=[peer(flow.target)], ports=_ports(flow.target, flow.port)
                        )
                        for flow in out_of
                    ),
                    *further_egress,
                ],
            ),
            opts=self.child,
        )
        self.after.append(made)
        return made

    def _sources(self, flow: Flow) -> list[networking.NetworkPolicyPeerArgs]:
        if flow.source is Neighbour.SLOTS:
            return [
                networking.NetworkPolicyPeerArgs(
                    namespace_selector=hardening.in_namespace(namespace), pod_selector=hardening.EVERY_POD
                )
                for namespace in self.place.slot_namespaces.values()
            ]
        return [peer(Part(flow.source))]

    def _ports(self, port: str) -> list[networking.NetworkPolicyPortArgs]:
        return _ports(self.part, port)

    def service(self, *ports: str, headless: bool = False, only_local: bool = False) -> core.Service:
        """A Service of the named ports (see `PORTS`), called like the part; a headless one ends in `-replicas`.

        The headless one resolves to pods that are not ready too, so that replicas find each other while they start.
        `only_local` sends each client to the pod of its own node.
        """
        made = core.Service(
            f"{self.name}-{'replicas' if headless else 'service'}",
            metadata=self.metadata(f"{self.part}-replicas" if headless else None, annotations=SKIP_AWAIT),
            spec=core.ServiceSpecArgs(
                cluster_ip="None" if headless else None,
                publish_not_ready_addresses=True if headless else None,
                internal_traffic_policy="Local" if only_local else None,
                selector=self.selector,
                ports=[
                    # EKS enforces network policies for a Service only where its port is the container's.
                    core.ServicePortArgs(
                        name=port, port=PORTS[self.part][port], target_port=port, protocol="TCP"
                    )
                    for port in ports
                ],
            ),
            opts=self.child,
        )
        self.after.append(made)
        return made

    def disruption_budget(self) -> policy.PodDisruptionBudget:
        """Voluntary disruptions take one pod at a time; a single replica never blocks a drain."""
        return policy.PodDisruptionBudget(
            f"{self.name}-disruptions",
            metadata=self.metadata(),
            spec=policy.PodDisruptionBudgetSpecArgs(
                max_unavailable=1,
                unhealthy_pod_eviction_policy="AlwaysAllow",
                selector=meta.LabelSelectorArgs(match_labels=self.selector),
            ),
            opts=self.child,
        )

    def config(self, files: pulumi.Input[Mapping[str, str]], purpose: str = "config") -> pulumi.Output[str]:
        """Name of an immutable ConfigMap of these files. It ends in their hash, so that a change rolls the pods."""
        data = pulumi.Output.from_input(files)
        name = data.apply(lambda given: f"{self.part}-{purpose}-{_digest(given)}")
        made = core.ConfigMap(
            f"{self.name}-{purpose}", metadata=self.metadata(name), data=data, immutable=True, opts=self.child
        )
        self.after.append(made)
        return made.metadata.apply(lambda metadata: str(metadata.name))

    def secret(self, files: Mapping[str, pulumi.Input[str]], purpose: str = "secrets") -> pulumi.Output[str]:
        """Name of an immutable Secret of these values.

        Pulumi names it: a changed value makes a new Secret with a new name, which rolls the pods, and no name or
        annotation says anything about the value.
        """
        made = core.Secret(
            f"{self.name}-{purpose}",
            metadata=meta.ObjectMetaArgs(namespace=self.part.namespace, labels=self.labels),
            type="Opaque",
            immutable=True,
            string_data={name: pulumi.Output.secret(value) for name, value in files.items()},
            opts=self.child,
        )
        self.after.append(made)
        return made.metadata.apply(lambda metadata: str(metadata.name))

    def grant(self, purpose: str, role: rbac.ClusterRole) -> None:
        """Give the part's account the cluster role of its name, everywhere."""
        self.after.append(
            rbac.ClusterRoleBinding(
                f"{self.name}-{purpose}",
                metadata=meta.ObjectMetaArgs(name=self.part, labels=self.labels),
                role_ref=self._role_ref("ClusterRole"),
                subjects=self._subjects(),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
            )
        )

    def grant_in(self, namespace: pulumi.Input[str], purpose: str, role: rbac.Role) -> None:
        """Give the part's account the role of its name in a namespace."""
        self.after.append(
            rbac.RoleBinding(
                f"{self.name}-{purpose}",
                metadata=meta.ObjectMetaArgs(name=self.part, namespace=namespace, labels=self.labels),
                role_ref=self._role_ref("Role"),
                subjects=self._subjects(),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
            )
        )

    def _role_ref(self, kind: str) -> rbac.RoleRefArgs:
        return rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind=kind, name=self.part)

    def _subjects(self) -> list[rbac.SubjectArgs]:
        return [rbac.SubjectArgs(kind="ServiceAccount", name=self.part, namespace=self.part.namespace)]

    def container_ports(self, *ports: str) -> list[core.ContainerPortArgs]:
        """The named ports as a container declares them."""
        return [
            core.ContainerPortArgs(name=port, container_port=PORTS[self.part][port], protocol="TCP")
            for port in ports
        ]

    def _pods(
        self,
        containers: Sequence[core.ContainerArgs],
        *,
        user: int,
        volumes: Sequence[core.VolumeArgs],
        revision_label: str,
        apart: bool = False,
        init_containers: Sequence[core.ContainerArgs] | None = None,
        reads_api: bool = False,
        grace_seconds: int = 30,
    ) -> core.PodTemplateSpecArgs:
        """The template of a restricted pod, spread over zones and hosts.

        Args:
            containers: each with requests, limits, probes and `hardening.restricted_container()`.
            user: numeric user and group of the image; it owns the volumes.
            volumes: what the containers mount.
            revision_label: `pod-template-hash` of a Deployment, `controller-revision-hash` of a StatefulSet.
            apart: whether two replicas may never share a node, rather than seldom.
            init_containers: what runs before them.
            reads_api: whether the service account's token is mounted.
            grace_seconds: from the request to stop until the pod is killed.
        """
        alone = core.PodAffinityTermArgs(
            topology_key="kubernetes.io/hostname",
            label_selector=meta.LabelSelectorArgs(match_labels=self.selector),
        )
        return core.PodTemplateSpecArgs(
            metadata=meta.ObjectMetaArgs(labels=self.labels),
            spec=core.PodSpecArgs(
                service_account_name=self.part,
                automount_service_account_token=reads_api,
                enable_service_links=False,
                security_context=hardening.restricted_pod(user=user),
                termination_grace_period_seconds=grace_seconds,
                affinity=core.AffinityArgs(
                    pod_anti_affinity=core.PodAntiAffinityArgs(
                        required_during_scheduling_ignored_during_execution=[alone]
                    )
                )
                if apart
                else None,
                topology_spread_constraints=hardening.spread(
                    zones=self.place.zones, match=self.selector, revision_label=revision_label
                ),
                init_containers=init_containers,
                containers=containers,
                volumes=volumes,
            ),
        )

    def deployment(
        self,
        containers: Sequence[core.ContainerArgs],
        volumes: Sequence[core.VolumeArgs],
        *,
        replicas: int,
        user: int,
        recreate: bool = False,
        reads_api: bool = False,
    ) -> apps.Deployment:
        """Restricted pods (see `_pods`). A new one is ready before an old one goes; with `recreate` all go first."""
        rolling = apps.DeploymentStrategyArgs(
            type="RollingUpdate",
            rolling_update=apps.RollingUpdateDeploymentArgs(max_unavailable=0, max_surge=1),
        )
        return apps.Deployment(
            f"{self.name}-server",
            metadata=self.metadata(),
            spec=apps.DeploymentSpecArgs(
                replicas=replicas,
                revision_history_limit=3,
                strategy=apps.DeploymentStrategyArgs(type="Recreate") if recreate else rolling,
                selector=meta.LabelSelectorArgs(match_labels=self.selector),
                template=self._pods(
                    containers,
                    user=user,
                    volumes=volumes,
                    revision_label="pod-template-hash",
                    reads_api=reads_api,
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=self.after),
        )

    def stateful_set(
        self,
        containers: Sequence[core.ContainerArgs],
        volumes: Sequence[core.VolumeArgs],
        *,
        headless: core.Service,
        replicas: int,
        user: int,
        storage_gib: int,
        init_containers: Sequence[core.ContainerArgs] | None = None,
        reads_api: bool = False,
        grace_seconds: int = 30,
        min_ready_seconds: int | None = None,
    ) -> apps.StatefulSet:
        """Restricted pods (see `_pods`), each with a volume `data` of its own, started all at once.

        Two of them never share a node. `headless` is the Service that names each.
        """
        return apps.StatefulSet(
            f"{self.name}-server",
            metadata=self.metadata(),
            spec=apps.StatefulSetSpecArgs(
                service_name=headless.metadata.name,
                replicas=replicas,
                pod_management_policy="Parallel",
                min_ready_seconds=min_ready_seconds,
                revision_history_limit=3,
                selector=meta.LabelSelectorArgs(match_labels=self.selector),
                template=self._pods(
                    containers,
                    init_containers=init_containers,
                    user=user,
                    volumes=volumes,
                    revision_label="controller-revision-hash",
                    apart=replicas > 1,
                    reads_api=reads_api,
                    grace_seconds=grace_seconds,
                ),
                volume_claim_templates=[self._claim(storage_gib)],
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=self.after),
        )

    def daemon_set(
        self,
        name: str,
        containers: Sequence[core.ContainerArgs],
        volumes: Sequence[core.VolumeArgs],
        *,
        security_context: core.PodSecurityContextArgs,
        priority_class_name: str | None = None,
    ) -> apps.DaemonSet:
        """A pod on every node, full and failing ones too, that has the service account's token.

        Updates take a fifth of them at a time.
        """
        return apps.DaemonSet(
            name,
            metadata=self.metadata(),
            spec=apps.DaemonSetSpecArgs(
                revision_history_limit=3,
                selector=meta.LabelSelectorArgs(match_labels=self.selector),
                update_strategy=apps.DaemonSetUpdateStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=apps.RollingUpdateDaemonSetArgs(max_unavailable="20%"),
                ),
                template=core.PodTemplateSpecArgs(
                    metadata=meta.ObjectMetaArgs(labels=self.labels),
                    spec=core.PodSpecArgs(
                        service_account_name=self.part,
                        automount_service_account_token=True,
                        enable_service_links=False,
                        priority_class_name=priority_class_name,
                        tolerations=[core.TolerationArgs(operator="Exists")],
                        security_context=security_context,
                        containers=containers,
                        volumes=volumes,
                    ),
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=self.after),
        )

    def _claim(self, gib: int) -> core.PersistentVolumeClaimArgs:
        """A template of the volume `data` of each replica of a StatefulSet."""
        return core.PersistentVolumeClaimArgs(
            metadata=meta.ObjectMetaArgs(name="data", labels=self.selector),
            spec=core.PersistentVolumeClaimSpecArgs(
                access_modes=["ReadWriteOnce"],
                storage_class_name=self.place.storage_class,
                resources=core.VolumeResourceRequirementsArgs(requests={"storage": f"{gib}Gi"}),
            ),
        )


def to_api_server(network_cidr: str) -> list[networking.NetworkPolicyEgressRuleArgs]:
    """Egress to the API server: its Service has no pods behind it that a selector could name."""
    ranges = [network_cidr, *map(str, SERVICE_RANGES)]
    return [networking.NetworkPolicyEgressRuleArgs(to=hardening.blocks(ranges), ports=hardening.tcp(443))]


def http_probe(path: str, port: str, *, period: int, failures: int, timeout: int = 3) -> core.ProbeArgs:
    """A probe that asks a path every `period` seconds and gives up after `failures` of them."""
    return core.ProbeArgs(
        http_get=core.HTTPGetActionArgs(path=path, port=port),
        period_seconds=period,
        timeout_seconds=timeout,
        failure_threshold=failures,
    )


def tcp_probe(port: str, *, period: int, failures: int) -> core.ProbeArgs:
    """A probe that connects to a port every `period` seconds and gives up after `failures` of them."""
    return core.ProbeArgs(
        tcp_socket=core.TCPSocketActionArgs(port=port),
        period_seconds=period,
        timeout_seconds=3,
        failure_threshold=failures,
    )


def of_pod(name: str, field: str) -> core.EnvVarArgs:
    """A variable that says what is known of the pod only where it runs, such as `status.podIP`."""
    return core.EnvVarArgs(
        name=name,
        value_from=core.EnvVarSourceArgs(field_ref=core.ObjectFieldSelectorArgs(field_path=field)),
    )


def config_volume(name: str, config: pulumi.Input[str], *files: str) -> core.VolumeArgs:
    """A volume of the named files of a ConfigMap, or of all of them."""
    return core.VolumeArgs(
        name=name, config_map=core.ConfigMapVolumeSourceArgs(name=config, items=_items(files))
    )


def secret_volume(name: str, secret: pulumi.Input[str], *files: str) -> core.VolumeArgs:
    """A volume of the named files of a Secret, or of all of them, which the pod's group may read."""
    return core.VolumeArgs(
        name=name,
        secret=core.SecretVolumeSourceArgs(secret_name=secret, items=_items(files), default_mode=0o440),
    )


def _items(files: Sequence[str]) -> list[core.KeyToPathArgs] | None:
    return [core.KeyToPathArgs(key=file, path=file) for file in files] or None


def _ports(part: Part, port: str) -> list[networking.NetworkPolicyPortArgs]:
    protocols = ("TCP", "UDP") if port == "gossip" else ("TCP",)
    return [
        networking.NetworkPolicyPortArgs(port=PORTS[part][port], protocol=protocol) for protocol in protocols
    ]


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:10]
