"""Prometheus: what it scrapes, what it may read, and the replicas that run it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.rules import rule_file
from operations import versions
from operations.limits import SERVICE_RANGES
from operations.slots import Slot

apps = kubernetes.apps.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1
networking = kubernetes.networking.v1
policy = kubernetes.policy.v1
rbac = kubernetes.rbac.v1

NAME: Final = hardening.PROMETHEUS
PORT: Final = 9090
NODE_EXPORTER_PORT: Final = 9100
KUBELET_PORT: Final = 10250
STATE_METRICS_PORT: Final = 8080
STATE_METRICS: Final = "kube-state-metrics"
"""Namespace and Service of the EKS add-on of that name.
Source: https://docs.aws.amazon.com/eks/latest/userguide/community-addons.html"""

SCRAPE_SECONDS: Final = 15
"""Between two scrapes, and between two evaluations of the rules."""

RETENTION_SHARE: Final = 0.8
"""The part of the volume that blocks may fill; the write-ahead log and compaction need the rest.
Source: https://prometheus.io/docs/prometheus/latest/storage/"""

CPU_MILLICORES: Final = 500
MEMORY_MIB: Final = 2048
USER: Final = 65534
"""`nobody`, the user of the Prometheus image."""

CONFIG_PATH: Final = "/etc/prometheus"
DATA_PATH: Final = "/prometheus"

_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_AS_ACCOUNT: Final[Mapping[str, Any]] = {
    "scheme": "https",
    "authorization": {"credentials_file": f"{_ACCOUNT}/token"},
}

Configuration = Mapping[str, Any]
"""Prometheus' configuration as plain data.
Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/"""


def configuration(
    *,
    slot_namespaces: Sequence[str],
    external_labels: Mapping[str, str],
    retention_days: int,
    storage_gib: int,
) -> Configuration:
    """What Prometheus scrapes, evaluates and keeps.

    `external_labels` tell this Prometheus' alerts from another's. Blocks go when they are older than
    `retention_days`, or earlier when they fill four fifths of `storage_gib`.
    """
    interval = f"{SCRAPE_SECONDS}s"
    return {
        "global": {
            "scrape_interval": interval,
            "evaluation_interval": interval,
            "external_labels": dict(external_labels),
        },
        "storage": {
            "tsdb": {
                "retention": {
                    "time": f"{retention_days}d",
                    "size": f"{int(storage_gib * RETENTION_SHARE * 1024)}MB",
                }
            }
        },
        "rule_files": [f"{CONFIG_PATH}/rules.json"],
        "scrape_configs": [
            _slots(slot_namespaces),
            {
                "job_name": STATE_METRICS,
                # Its series name the namespace and pod they are about, not those of the exporter.
                "honor_labels": True,
                "static_configs": [
                    {"targets": [f"{STATE_METRICS}.{STATE_METRICS}.svc:{STATE_METRICS_PORT}"]}
                ],
            },
            {
                "job_name": "node-exporter",
                "kubernetes_sd_configs": [{"role": "node"}],
                "relabel_configs": [
                    {
                        "source_labels": ["__meta_kubernetes_node_address_InternalIP"],
                        "target_label": "__address__",
                        "replacement": f"$1:{NODE_EXPORTER_PORT}",
                    },
                    _NODE,
                ],
            },
            _kubelet("kubelet", "/metrics"),
            _kubelet("cadvisor", "/metrics/cadvisor"),
            {
                "job_name": "apiserver",
                **_AS_ACCOUNT,
                "tls_config": {"ca_file": f"{_ACCOUNT}/ca.crt", "server_name": "kubernetes.default.svc"},
                "kubernetes_sd_configs": [{"role": "endpointslice", "namespaces": {"names": ["default"]}}],
                "relabel_configs": [
                    {
                        "source_labels": [
                            "__meta_kubernetes_service_name",
                            "__meta_kubernetes_endpointslice_port_name",
                        ],
                        "action": "keep",
                        "regex": "kubernetes;https",
                    }
                ],
            },
            {"job_name": NAME, "static_configs": [{"targets": [f"localhost:{PORT}"]}]},
        ],
    }


_NODE: Final = {"source_labels": ["__meta_kubernetes_node_name"], "target_label": "node"}


def _slots(namespaces: Sequence[str]) -> Configuration:
    """Every running pod of both slots, under the labels that the key metrics are about."""
    labels = {
        "namespace": "__meta_kubernetes_namespace",
        "pod": "__meta_kubernetes_pod_name",
        "slot": _pod_label(hardening.INSTANCE),
        "service": _pod_label(hardening.NAME),
        "version": _pod_label(hardening.VERSION),
    }
    return {
        "job_name": "slots",
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": list(namespaces)}}],
        "relabel_configs": [
            {
                "source_labels": ["__meta_kubernetes_pod_container_port_name", "__meta_kubernetes_pod_phase"],
                "action": "keep",
                "regex": "http;Running",
            },
            *({"source_labels": [source], "target_label": label} for label, source in labels.items()),
        ],
    }


def _pod_label(label: str) -> str:
    return "__meta_kubernetes_pod_label_" + "".join(c if c.isalnum() else "_" for c in label)


def _kubelet(job: str, path: str) -> Configuration:
    return {
        "job_name": job,
        **_AS_ACCOUNT,
        "tls_config": {"ca_file": f"{_ACCOUNT}/ca.crt"},
        "metrics_path": path,
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": [_NODE],
    }


@dataclass(frozen=True, kw_only=True)
class PrometheusArgs:
    """What a Prometheus watches and how much it keeps."""

    namespace: str
    slot_namespaces: Mapping[Slot, pulumi.Input[str]]
    """Namespaces whose pods are scraped; they exist before Prometheus may look into them."""
    network_cidr: str
    """The VPC: nodes and the API server's addresses are in it."""
    external_labels: Mapping[str, str]
    replicas: int
    """Each scrapes everything; two, so that one may go."""
    zones: int
    retention_days: int
    storage_gib: int
    """Size of each replica's volume."""
    storage_class: pulumi.Input[str]
    after: Sequence[pulumi.Resource]
    """The namespace and the policies that close it."""


class Prometheus(pulumi.ComponentResource):
    """Replicas of Prometheus that scrape the slots and the cluster and judge the key metrics.

    They may list and watch nodes, the pods of the slots and the API server's endpoints, read metrics, and nothing else.
    """

    url: pulumi.Output[str]
    """Where Prometheus answers within the cluster."""

    def __init__(self, name: str, args: PrometheusArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:monitoring:Prometheus", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self, depends_on=args.after)
        version = versions.PROMETHEUS_IMAGE.rpartition(":")[2]
        self._labels = hardening.labels(NAME, NAME, version)
        self._selector = hardening.selector(NAME, NAME)

        account = core.ServiceAccount(f"{name}-account", metadata=self._metadata(), opts=self._child)
        rights = self._rights()
        traffic = networking.NetworkPolicy(
            f"{name}-traffic", metadata=self._metadata(), spec=self._traffic(), opts=self._child
        )
        config = self._config()
        for service_name, cluster_ip in ((NAME, None), (f"{NAME}-replicas", "None")):
            core.Service(
                f"{name}-{'replicas' if cluster_ip else 'service'}",
                # Pulumi would wait for endpoints; the StatefulSet is awaited anyway.
                metadata=self._metadata(service_name, annotations={"pulumi.com/skipAwait": "true"}),
                spec=core.ServiceSpecArgs(
                    cluster_ip=cluster_ip,
                    selector=self._selector,
                    ports=[core.ServicePortArgs(name="http", port=PORT, target_port="http", protocol="TCP")],
                ),
                opts=self._child,
            )
        policy.PodDisruptionBudget(
            f"{name}-disruptions",
            metadata=self._metadata(),
            spec=policy.PodDisruptionBudgetSpecArgs(
                max_unavailable=1,
                unhealthy_pod_eviction_policy="AlwaysAllow",
                selector=meta.LabelSelectorArgs(match_labels=self._selector),
            ),
            opts=self._child,
        )
        replicas = self._replicas(config, [*args.after, account, traffic, *rights])
        self.url = replicas.metadata.apply(lambda _: f"http://{NAME}.{args.namespace}.svc:{PORT}")
        self.register_outputs({"url": self.url})

    def _metadata(
        self, name: pulumi.Input[str] = NAME, *, annotations: Mapping[str, str] | None = None
    ) -> meta.ObjectMetaArgs:
        return meta.ObjectMetaArgs(
            name=name, namespace=self._args.namespace, labels=self._labels, annotations=annotations
        )

    def _config(self) -> core.ConfigMap:
        """Configuration and rules, under a name that ends in their hash: a change rolls the replicas.

        Both are JSON, which Prometheus reads as the YAML it is.
        """
        args = self._args

        def render(namespaces: Sequence[str]) -> dict[str, str]:
            config = configuration(
                slot_namespaces=namespaces,
                external_labels=args.external_labels,
                retention_days=args.retention_days,
                storage_gib=args.storage_gib,
            )
            return {
                "prometheus.json": json.dumps(config, indent=2),
                "rules.json": json.dumps(rule_file(), indent=2),
            }

        data = pulumi.Output.all(*args.slot_namespaces.values()).apply(render)
        digest = data.apply(lambda files: sha256(json.dumps(files).encode()).hexdigest()[:10])
        return core.ConfigMap(
            f"{self._name}-config",
            metadata=self._metadata(digest.apply(lambda suffix: f"{NAME}-{suffix}")),
            data=data,
            immutable=True,
            opts=self._child,
        )

    def _rights(self) -> list[pulumi.Resource]:
        """What Prometheus' service account may do, each right where it is used.

        `nodes/metrics` covers the kubelet's own metrics and cAdvisor's; `nodes/proxy`, which would also run commands in
        pods, is not given. Source: https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/
        """
        subjects = [rbac.SubjectArgs(kind="ServiceAccount", name=NAME, namespace=self._args.namespace)]
        watch = ["list", "watch"]
        cluster_role = rbac.ClusterRole(
            f"{self._name}-nodes",
            metadata=meta.ObjectMetaArgs(name=NAME, labels=self._labels),
            rules=[
                rbac.PolicyRuleArgs(api_groups=[""], resources=["nodes"], verbs=watch),
                rbac.PolicyRuleArgs(api_groups=[""], resources=["nodes/metrics"], verbs=["get"]),
                rbac.PolicyRuleArgs(non_resource_urls=["/metrics"], verbs=["get"]),
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        cluster_binding = rbac.ClusterRoleBinding(
            f"{self._name}-reads-nodes",
            metadata=meta.ObjectMetaArgs(name=NAME, labels=self._labels),
            role_ref=rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=NAME),
            subjects=subjects,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[cluster_role]),
        )
        pods = rbac.PolicyRuleArgs(api_groups=[""], resources=["pods"], verbs=watch)
        # Discovery by EndpointSlice watches Services and pods too.
        endpoints = [
            rbac.PolicyRuleArgs(api_groups=[""], resources=["services", "pods"], verbs=watch),
            rbac.PolicyRuleArgs(api_groups=["discovery.k8s.io"], resources=["endpointslices"], verbs=watch),
        ]
        places: list[tuple[str, pulumi.Input[str], list[rbac.PolicyRuleArgs]]] = [
            (slot.value, namespace, [pods]) for slot, namespace in self._args.slot_namespaces.items()
        ]
        bindings: list[pulumi.Resource] = [cluster_binding]
        for place, namespace, rules in [*places, ("apiserver", "default", endpoints)]:
            metadata = meta.ObjectMetaArgs(name=NAME, namespace=namespace, labels=self._labels)
            role = rbac.Role(
                f"{self._name}-{place}",
                metadata=metadata,
                rules=rules,
                opts=pulumi.ResourceOptions(parent=self),
            )
            bindings.append(
                rbac.RoleBinding(
                    f"{self._name}-reads-{place}",
                    metadata=metadata,
                    role_ref=rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=NAME),
                    subjects=subjects,
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
                )
            )
        return bindings

    def _traffic(self) -> networking.NetworkPolicySpecArgs:
        """Out to what is scraped and to the API server; nothing in."""

        def namespaces(names: Sequence[pulumi.Input[str]]) -> list[networking.NetworkPolicyPeerArgs]:
            return [
                networking.NetworkPolicyPeerArgs(
                    namespace_selector=meta.LabelSelectorArgs(
                        match_labels={"kubernetes.io/metadata.name": name}
                    ),
                    pod_selector=hardening.EVERY_POD,
                )
                for name in names
            ]

        return networking.NetworkPolicySpecArgs(
            pod_selector=meta.LabelSelectorArgs(match_labels=self._selector),
            policy_types=["Ingress", "Egress"],
            egress=[
                # Each slot lets Prometheus in at its services' ports and no other.
                networking.NetworkPolicyEgressRuleArgs(to=namespaces([*self._args.slot_namespaces.values()])),
                networking.NetworkPolicyEgressRuleArgs(
                    to=namespaces([STATE_METRICS]), ports=hardening.tcp(STATE_METRICS_PORT)
                ),
                networking.NetworkPolicyEgressRuleArgs(
                    to=hardening.blocks([self._args.network_cidr]),
                    ports=hardening.tcp(443, NODE_EXPORTER_PORT, KUBELET_PORT),
                ),
                # The API server's Service has no pods behind it that a selector could name.
                networking.NetworkPolicyEgressRuleArgs(
                    to=hardening.blocks([str(cidr) for cidr in SERVICE_RANGES]), ports=hardening.tcp(443)
                ),
            ],
        )

    def _container(self) -> core.ContainerArgs:
        def probe(path: str, period: int, failures: int) -> core.ProbeArgs:
            return core.ProbeArgs(
                http_get=core.HTTPGetActionArgs(path=path, port="http"),
                period_seconds=period,
                timeout_seconds=3,
                failure_threshold=failures,
            )

        return core.ContainerArgs(
            name=NAME,
            image=versions.PROMETHEUS_IMAGE,
            image_pull_policy="IfNotPresent",
            args=[f"--config.file={CONFIG_PATH}/prometheus.json", f"--storage.tsdb.path={DATA_PATH}"],
            ports=[core.ContainerPortArgs(name="http", container_port=PORT, protocol="TCP")],
            resources=hardening.guaranteed(CPU_MILLICORES, MEMORY_MIB),
            security_context=hardening.restricted_container(),
            # After a crash the write-ahead log is replayed first: up to a quarter of an hour.
            startup_probe=probe("/-/ready", period=15, failures=60),
            readiness_probe=probe("/-/ready", period=5, failures=3),
            liveness_probe=probe("/-/healthy", period=10, failures=6),
            volume_mounts=[
                core.VolumeMountArgs(name="config", mount_path=CONFIG_PATH, read_only=True),
                core.VolumeMountArgs(name="data", mount_path=DATA_PATH),
            ],
        )

    def _replicas(self, config: core.ConfigMap, after: Sequence[pulumi.Resource]) -> apps.StatefulSet:
        args = self._args
        claim = core.PersistentVolumeClaimArgs(
            metadata=meta.ObjectMetaArgs(name="data", labels=self._selector),
            spec=core.PersistentVolumeClaimSpecArgs(
                access_modes=["ReadWriteOnce"],
                storage_class_name=args.storage_class,
                resources=core.VolumeResourceRequirementsArgs(requests={"storage": f"{args.storage_gib}Gi"}),
            ),
        )
        return apps.StatefulSet(
            f"{self._name}-server",
            metadata=self._metadata(),
            spec=apps.StatefulSetSpecArgs(
                service_name=f"{NAME}-replicas",
                replicas=args.replicas,
                pod_management_policy="Parallel",
                revision_history_limit=3,
                selector=meta.LabelSelectorArgs(match_labels=self._selector),
                template=core.PodTemplateSpecArgs(
                    metadata=meta.ObjectMetaArgs(labels=self._labels),
                    spec=core.PodSpecArgs(
                        service_account_name=NAME,
                        enable_service_links=False,
                        security_context=hardening.restricted_pod(user=USER),
                        # Time to write the head block's remains to disk.
                        termination_grace_period_seconds=120,
                        topology_spread_constraints=hardening.spread(
                            zones=args.zones, match=self._selector, revision_label="controller-revision-hash"
                        ),
                        containers=[self._container()],
                        volumes=[
                            core.VolumeArgs(
                                name="config",
                                config_map=core.ConfigMapVolumeSourceArgs(name=config.metadata.name),
                            )
                        ],
                    ),
                ),
                volume_claim_templates=[claim],
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )
