"""The monitoring stack of one environment (the operations page, "Monitoring Stack")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.metrics import Prometheus, PrometheusArgs
from components.monitoring.rules import Watched
from components.monitoring.workload import Place
from operations import versions
from operations.monitoring import Part
from operations.slots import Slot

core = kubernetes.core.v1
meta = kubernetes.meta.v1
networking = kubernetes.networking.v1

EXPORTERS: Final[Mapping[str, str]] = {
    "kube-state-metrics": versions.KUBE_STATE_METRICS_ADDON,
    "prometheus-node-exporter": versions.NODE_EXPORTER_ADDON,
}
"""EKS community add-ons whose metrics the key metrics and dashboards need, and their versions. Each brings its own
namespace.
Source: https://docs.aws.amazon.com/eks/latest/userguide/community-addons.html"""


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What is monitored and how much of it is kept."""

    environment: str
    region: str
    cluster_name: pulumi.Input[str]
    namespace: str
    slot_namespaces: Mapping[Slot, pulumi.Input[str]]
    """Namespaces of the application, once they exist."""
    network_cidr: str
    """The VPC that nodes and API server have their addresses from."""
    zones: int
    """Zones the nodes are in: 2 or 3."""
    watched: Watched
    """What the rules are about."""
    storage_gib: int
    """Volume of each replica of Prometheus."""
    storage_class: pulumi.Input[str]
    tags: Mapping[str, str]


class Monitoring(pulumi.ComponentResource):
    """A closed namespace with Prometheus in it, and the exporters that Prometheus reads."""

    namespace: pulumi.Output[str]
    """The namespace, once it exists."""
    prometheus_url: pulumi.Output[str]
    """Where Prometheus answers within the cluster."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:monitoring:Monitoring", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = core.Namespace(
            f"{name}-namespace",
            metadata=meta.ObjectMetaArgs(
                name=args.namespace, labels=hardening.namespace_labels("restricted")
            ),
            opts=child,
        )
        closed = [
            networking.NetworkPolicy(
                f"{name}-{purpose}",
                metadata=meta.ObjectMetaArgs(name=purpose, namespace=args.namespace),
                spec=spec,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[namespace]),
            )
            for purpose, spec in (
                ("deny-all", hardening.deny_all()),
                ("resolve-names", hardening.resolve_names()),
            )
        ]
        for exporter, version in EXPORTERS.items():
            aws.eks.Addon(
                f"{name}-{exporter}",
                addon_name=exporter,
                addon_version=version,
                cluster_name=args.cluster_name,
                region=args.region,
                resolve_conflicts_on_create="OVERWRITE",
                resolve_conflicts_on_update="OVERWRITE",
                tags={**args.tags, "Name": exporter},
                opts=child,
            )
        prometheus = Prometheus(
            f"{name}-prometheus",
            PrometheusArgs(
                place=Place(
                    slot_namespaces=args.slot_namespaces,
                    network_cidr=args.network_cidr,
                    zones=args.zones,
                    storage_class=args.storage_class,
                    parts=frozenset({Part.PROMETHEUS}),
                    after=[namespace, *closed],
                ),
                external_labels={"environment": args.environment, "region": args.region},
                watched=args.watched,
                storage_gib=args.storage_gib,
            ),
            opts=child,
        )
        self.namespace = namespace.metadata.apply(lambda _: args.namespace)
        self.prometheus_url = prometheus.url
        self.register_outputs({"namespace": self.namespace, "prometheus_url": self.prometheus_url})
