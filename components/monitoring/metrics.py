"""Prometheus: what it scrapes, what it may read, and the replicas that run it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.parts import KUBELET_PORT, PORTS, address
from components.monitoring.rules import STATE_METRICS, Watched, rule_file
from components.monitoring.workload import Place, Workload, config_volume, http_probe, to_api_server
from operations import versions
from operations.monitoring import SCRAPE, SIZES, Part

apps = kubernetes.apps.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1
networking = kubernetes.networking.v1
rbac = kubernetes.rbac.v1

NODE_EXPORTER_PORT: Final = 9100
STATE_METRICS_PORT: Final = 8080

EKS_METRICS: Final = "metrics.eks.amazonaws.com"
"""The API group by which the API server relays what the rest of the control plane tells, from Kubernetes 1.28 on."""

RELAYED: Final[Mapping[str, str]] = MappingProxyType(
    {"kube-scheduler": "ksh", "kube-controller-manager": "kcm"}
)
"""Scrape jobs of what has no address of its own, and what that API group calls them.
Source: https://docs.aws.amazon.com/eks/latest/userguide/view-raw-metrics.html"""

SCRAPE_SECONDS: Final = SCRAPE // timedelta(seconds=1)
"""Between two scrapes, and between two evaluations of the rules."""

RETENTION_SHARE: Final = 0.8
"""The part of the volume that blocks may fill; the write-ahead log and compaction need the rest.
Source: https://prometheus.io/docs/prometheus/latest/storage/"""

USER: Final = 65534
"""`nobody`, the user of the Prometheus image."""

CONFIG_PATH: Final = "/etc/prometheus"
DATA_PATH: Final = "/prometheus"
CONFIG_FILE: Final = "prometheus.json"
RULES_FILE: Final = "rules.json"

ACCOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where a pod finds its service account's token and the cluster's certificate authority."""

UNREAD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cadvisor": (
            "container_(blkio_device_usage_total|file_descriptors|last_seen|memory_failures_total"
            "|network_(tcp|tcp6|udp|udp6)_usage_total|sockets|spec_.+|start_time_seconds|tasks_state|threads.*"
            "|ulimits_soft)"
        ),
        "apiserver": (
            "(apiserver_(request_body_size_bytes|request_duration_seconds|response_sizes|watch_.+)"
            "|(etcd|rest_client|workqueue)_.+)_bucket"
        ),
    }
)
"""Series that no rule and no dashboard reads, by the job that would bring them: most of what there is of it.

kube-prometheus drops such series too:
https://github.com/prometheus-operator/kube-prometheus/blob/main/manifests/kubernetesControlPlane-serviceMonitorKubelet.yaml
"""

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
    """What Prometheus scrapes, evaluates, tells and keeps.

    `external_labels` tell this Prometheus' alerts from another's; they are the same for all replicas, so that
    Alertmanager takes their alerts for one. Blocks go when they are older than `retention_days`, or earlier when they
    fill four fifths of `storage_gib`.
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
        "rule_files": [f"{CONFIG_PATH}/{RULES_FILE}"],
        # To every peer, and not through a load balancer: the peers agree among themselves who sends.
        # Source: https://prometheus.io/docs/alerting/latest/alertmanager/#high-availability
        "alerting": {"alertmanagers": [_replicas_of(Part.ALERTMANAGER, "http")]},
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
            {
                **_kubelet("cadvisor", "/metrics/cadvisor"),
                # cAdvisor stamps its samples; without this a container that is gone would count for five minutes more.
                "track_timestamps_staleness": True,
                "metric_relabel_configs": [
                    _without("cadvisor"),
                    # Of the node's own control groups node-exporter tells more.
                    {"source_labels": ["__name__", "pod"], "action": "drop", "regex": "container_.+;"},
                ],
            },
            {
                **_control_plane("apiserver", "/metrics"),
                "metric_relabel_configs": [_without("apiserver")],
            },
            *(
                _control_plane(job, f"/apis/{EKS_METRICS}/v1/{name}/container/metrics")
                for job, name in RELAYED.items()
            ),
            {"job_name": Part.PROMETHEUS, **_replicas_of(Part.PROMETHEUS, "http")},
            {"job_name": Part.ALERTMANAGER, **_replicas_of(Part.ALERTMANAGER, "http")},
            {"job_name": Part.JAEGER, **_replicas_of(Part.JAEGER, "metrics")},
            *(
                {
                    "job_name": part,
                    "static_configs": [{"targets": [f"{part.host}:{PORTS[part]['http']}"]}],
                }
                for part in (Part.GRAFANA, Part.CLOUDWATCH_EXPORTER)
            ),
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


def _as_account(**tls: str) -> Configuration:
    """HTTPS with the service account's token, to servers whose certificate the cluster's own authority signed."""
    return {
        "scheme": "https",
        "authorization": {"credentials_file": f"{ACCOUNT_PATH}/token"},
        "tls_config": {"ca_file": f"{ACCOUNT_PATH}/ca.crt", **tls},
    }


def _kubelet(job: str, path: str) -> Configuration:
    """Every node's kubelet, by the address that is in its certificate.

    EKS signs the kubelet's serving certificate with the cluster's authority up to a minute after the node has joined;
    until then a scrape fails.
    Source: https://repost.aws/articles/ARv5gI9t1CSeqnp7oDcKV14A/aws-samples-eks-k8s-project-kubelet-server-certificate-untaint
    """
    return {
        "job_name": job,
        **_as_account(),
        "metrics_path": path,
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": [_NODE],
    }


def _control_plane(job: str, path: str) -> Configuration:
    """A path of every API server. The relayed ones answer alike wherever they are asked."""
    return {
        "job_name": job,
        **_as_account(server_name="kubernetes.default.svc"),
        "metrics_path": path,
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
    }


def _without(job: str) -> Configuration:
    return {"source_labels": ["__name__"], "action": "drop", "regex": UNREAD[job]}


def _replicas_of(part: Part, port: str) -> Configuration:
    """Each replica of a part by its own address, ready or not."""
    return {"dns_sd_configs": [{"names": [part.replicas_host], "type": "A", "port": PORTS[part][port]}]}


@dataclass(frozen=True, kw_only=True)
class PrometheusArgs:
    """What a Prometheus watches and how much it keeps."""

    place: Place
    watched: Watched
    """What its rules are about; also how many replicas there are, each of which scrapes everything, and for how many
    days they remember."""
    external_labels: Mapping[str, str]
    """Where its alerts come from."""
    storage_gib: int
    """Size of each replica's volume."""


class Prometheus(Workload):
    """Replicas of Prometheus that scrape the slots and the cluster and judge the key metrics.

    They may list and watch nodes, the pods of the slots and the API server's endpoints, read metrics, and nothing else.
    """

    url: pulumi.Output[str]
    """Where Prometheus answers within the cluster."""

    def __init__(self, name: str, args: PrometheusArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, Part.PROMETHEUS, versions.PROMETHEUS_IMAGE, args.place, opts)
        self.account()
        self._rights()
        self.traffic(*self._scrapes())
        config = self.config(
            pulumi.Output.all(*args.place.slot_namespaces.values()).apply(
                lambda namespaces: {
                    CONFIG_FILE: json.dumps(
                        configuration(
                            slot_namespaces=namespaces,
                            external_labels=args.external_labels,
                            retention_days=args.watched.retention_days,
                            storage_gib=args.storage_gib,
                        ),
                        indent=2,
                    ),
                    RULES_FILE: json.dumps(rule_file(args.watched), indent=2),
                }
            )
        )
        self.service("http")
        headless = self.service("http", headless=True)
        self.disruption_budget()
        server = self.stateful_set(
            [self._container()],
            [config_volume("config", config)],
            headless=headless,
            replicas=args.watched.replicas[Part.PROMETHEUS],
            user=USER,
            storage_gib=args.storage_gib,
            reads_api=True,
            # Time to write the head block's remains to disk.
            grace_seconds=120,
        )
        self.url = server.metadata.apply(lambda _: address(Part.PROMETHEUS, "http"))
        self.register_outputs({"url": self.url})

    def _rights(self) -> None:
        """What Prometheus' service account may do, each right where it is used.

        `nodes/metrics` covers the kubelet's own metrics and cAdvisor's; `nodes/proxy`, which would also run commands in
        pods, is not given. Source: https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/
        """
        watch = ["list", "watch"]
        role = rbac.ClusterRole(
            f"{self.name}-nodes",
            metadata=meta.ObjectMetaArgs(name=self.part, labels=self.labels),
            rules=[
                rbac.PolicyRuleArgs(api_groups=[""], resources=["nodes"], verbs=watch),
                rbac.PolicyRuleArgs(api_groups=[""], resources=["nodes/metrics"], verbs=["get"]),
                rbac.PolicyRuleArgs(non_resource_urls=["/metrics"], verbs=["get"]),
                rbac.PolicyRuleArgs(
                    api_groups=[EKS_METRICS],
                    resources=[f"{name}/metrics" for name in RELAYED.values()],
                    verbs=["get"],
                ),
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.grant("reads-nodes", role)
        for slot, namespace in self.place.slot_namespaces.items():
            pods = rbac.PolicyRuleArgs(api_groups=[""], resources=["pods"], verbs=watch)
            self._right(slot, namespace, pods)
        self._right(
            "apiserver",
            "default",
            # Discovery by EndpointSlice watches Services and pods too.
            rbac.PolicyRuleArgs(api_groups=[""], resources=["services", "pods"], verbs=watch),
            rbac.PolicyRuleArgs(api_groups=["discovery.k8s.io"], resources=["endpointslices"], verbs=watch),
        )

    def _right(self, place: str, namespace: pulumi.Input[str], *rules: rbac.PolicyRuleArgs) -> None:
        role = rbac.Role(
            f"{self.name}-{place}",
            metadata=meta.ObjectMetaArgs(name=self.part, namespace=namespace, labels=self.labels),
            rules=rules,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.grant_in(namespace, f"reads-{place}", role)

    def _scrapes(self) -> list[networking.NetworkPolicyEgressRuleArgs]:
        """Out to what is scraped outside of the stack, and to the API server."""

        def peer(namespace: pulumi.Input[str]) -> networking.NetworkPolicyPeerArgs:
            return networking.NetworkPolicyPeerArgs(
                namespace_selector=hardening.in_namespace(namespace), pod_selector=hardening.EVERY_POD
            )

        return [
            # Each slot lets Prometheus in at its services' ports and no other.
            networking.NetworkPolicyEgressRuleArgs(to=[*map(peer, self.place.slot_namespaces.values())]),
            networking.NetworkPolicyEgressRuleArgs(
                to=[peer(STATE_METRICS)], ports=hardening.tcp(STATE_METRICS_PORT)
            ),
            networking.NetworkPolicyEgressRuleArgs(
                to=hardening.blocks([self.place.network_cidr]),
                ports=hardening.tcp(NODE_EXPORTER_PORT, KUBELET_PORT),
            ),
            *to_api_server(self.place.network_cidr),
        ]

    def _container(self) -> core.ContainerArgs:
        size = SIZES[Part.PROMETHEUS]
        return core.ContainerArgs(
            name=self.part,
            image=versions.PROMETHEUS_IMAGE,
            image_pull_policy="IfNotPresent",
            args=[f"--config.file={CONFIG_PATH}/{CONFIG_FILE}", f"--storage.tsdb.path={DATA_PATH}"],
            ports=self.container_ports("http"),
            resources=hardening.guaranteed(size.cpu_millicores, size.memory_mib),
            security_context=hardening.restricted_container(),
            # After a crash the write-ahead log is replayed first: up to a quarter of an hour.
            startup_probe=http_probe("/-/ready", "http", period=15, failures=60),
            readiness_probe=http_probe("/-/ready", "http", period=5, failures=3),
            liveness_probe=http_probe("/-/healthy", "http", period=10, failures=6),
            volume_mounts=[
                core.VolumeMountArgs(name="config", mount_path=CONFIG_PATH, read_only=True),
                core.VolumeMountArgs(name="data", mount_path=DATA_PATH),
            ],
        )
