"""The monitoring stack of one environment (the operations page, "Monitoring Stack")."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.alerting import Alertmanager, AlertmanagerArgs
from components.monitoring.apm import Datadog, DatadogArgs
from components.monitoring.cloudwatch import CloudwatchExporter, CloudwatchExporterArgs, DatabaseCluster
from components.monitoring.elasticsearch import Elasticsearch, ElasticsearchArgs
from components.monitoring.elasticsearch_configuration import User
from components.monitoring.grafana import Grafana, GrafanaArgs
from components.monitoring.logging import Logging, LoggingArgs
from components.monitoring.metrics import Prometheus, PrometheusArgs
from components.monitoring.oncall import OnCall, OnCallArgs
from components.monitoring.rules import Watched
from components.monitoring.tracing import Jaeger, JaegerArgs
from components.monitoring.workload import Place
from operations import versions
from operations.monitoring import AGENTS_NAMESPACE, NAMESPACE, Part, TraceStorage
from operations.monitoring import Monitoring as MonitoringFacts
from operations.priorities import Priority
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
    """What is monitored, how much of it is kept, and who hears of it.

    Raises:
        ValueError: a secret that the facts ask for is not among the secrets, or recovery is watched without a cluster that
            follows, or the other way round.
    """

    region: str
    cluster_name: pulumi.Input[str]
    facts: MonitoringFacts
    """The sizes of the parts, and whom they reach."""
    watched: Watched
    """What alerts and dashboards are about; it names the environment."""
    database_services: Collection[str]
    """Those of the watched services that use the database."""
    database_clusters: Sequence[DatabaseCluster]
    """Of the database: the one at home, and where recovery is watched the one in the recovery region."""
    logs_days: int
    """Age up to which log lines are kept, and no longer."""
    slot_namespaces: Mapping[Slot, pulumi.Input[str]]
    """Namespaces of the application, once they exist."""
    network_cidr: str
    """The VPC that nodes and API server have their addresses from."""
    zones: int
    """Zones the nodes are in: 2 or 3."""
    storage_class: pulumi.Input[str]
    secrets: Mapping[str, pulumi.Output[str]]
    """Values by name, at least of those that the facts ask for."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if missing := sorted(self.facts.secrets.keys() - self.secrets.keys()):
            raise ValueError(
                f"{self.facts.secrets[missing[0]]} takes the secret {missing[0]}, which is not given"
            )
        if len(self.database_clusters) != (1 if self.watched.recovery is None else 2):
            raise ValueError(
                "database_clusters is one, and two where watched.recovery is given: "
                f"recovery is {self.watched.recovery} and clusters are {[*self.database_clusters]}"
            )


class Monitoring(pulumi.ComponentResource):
    """Metrics, alerts, on-call, dashboards, logs, traces and APM of one environment, in two closed namespaces.

    `monitoring` refuses every pod that is not restricted; `node-agents` holds what reads its node's files. Nothing in
    either is reached from outside the cluster but by `kubectl port-forward`.
    """

    urls: Mapping[str, pulumi.Output[str]]
    """Where the parts answer that a person or a program asks, within the cluster, by part."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:monitoring:Monitoring", name, None, opts)
        self.name: Final = name
        self.args: Final = args
        self.child: Final = pulumi.ResourceOptions(parent=self)
        self._exporters()
        facts, environment = args.facts, args.watched.environment
        watched = replace(
            args.watched,
            chores=facts.chores,
            databases={cluster.identifier: cluster.instances for cluster in args.database_clusters},
        )
        self.place: Final = Place(
            slot_namespaces=args.slot_namespaces,
            network_cidr=args.network_cidr,
            zones=args.zones,
            storage_class=args.storage_class,
            parts=facts.parts,
            after=[
                *self._namespace(NAMESPACE, "restricted"),
                *self._namespace(AGENTS_NAMESPACE, "privileged"),
            ],
        )

        prometheus = Prometheus(
            f"{name}-{Part.PROMETHEUS}",
            PrometheusArgs(
                place=self.place,
                watched=watched,
                external_labels={"environment": environment, "region": args.region},
                storage_gib=facts.storage_gib,
            ),
            opts=self.child,
        )
        alertmanager = self._alertmanager()
        # Who does not come is not let in.
        stores_traces = facts.tracing.storage is TraceStorage.ELASTICSEARCH
        elasticsearch = Elasticsearch(
            f"{name}-{Part.ELASTICSEARCH}",
            ElasticsearchArgs(
                place=self.place if stores_traces else replace(self.place, parts=facts.parts - {Part.JAEGER}),
                environment=environment,
                nodes=facts.elasticsearch.nodes,
                size=facts.size(Part.ELASTICSEARCH),
                storage_gib=facts.elasticsearch.storage_gib,
                retention_days=args.logs_days,
            ),
            opts=self.child,
        )
        Logging(
            f"{name}-logging",
            LoggingArgs(
                place=self.place,
                environment=environment,
                retention_days=args.logs_days,
                logstash_replicas=facts.replicas(Part.LOGSTASH),
                logstash=elasticsearch.access(User.LOGSTASH),
                kibana=elasticsearch.access(User.KIBANA),
            ),
            opts=self.child,
        )
        jaeger = Jaeger(
            f"{name}-{Part.JAEGER}",
            JaegerArgs(
                # It ends at once where it finds no storage.
                place=replace(self.place, after=[*self.place.after, elasticsearch]),
                storage=facts.tracing.storage,
                replicas=facts.replicas(Part.JAEGER),
                elasticsearch=elasticsearch.access(User.JAEGER),
                index_replicas=min(facts.elasticsearch.nodes - 1, 1),
            ),
            opts=self.child,
        )
        grafana = Grafana(
            f"{name}-{Part.GRAFANA}",
            GrafanaArgs(
                place=self.place,
                watched=watched,
                database_services=args.database_services,
                sign_in=facts.sign_in,
                client_secret=None if facts.sign_in is None else args.secrets["grafana-client-secret"],
                elasticsearch=elasticsearch.access(User.GRAFANA),
            ),
            opts=self.child,
        )
        CloudwatchExporter(
            f"{name}-{Part.CLOUDWATCH_EXPORTER}",
            CloudwatchExporterArgs(
                place=self.place,
                environment=environment,
                region=args.region,
                clusters=args.database_clusters,
                cluster_name=args.cluster_name,
                tags=args.tags,
            ),
            opts=self.child,
        )
        if facts.datadog is not None:
            Datadog(
                f"{name}-datadog",
                DatadogArgs(
                    place=self.place,
                    environment=environment,
                    cluster_name=args.cluster_name,
                    datadog=facts.datadog,
                    api_key=args.secrets["datadog-api-key"],
                    cluster_agent_replicas=facts.replicas(Part.DATADOG_CLUSTER_AGENT),
                ),
                opts=self.child,
            )
        self.urls = {
            Part.PROMETHEUS: prometheus.url,
            Part.ALERTMANAGER: alertmanager.url,
            Part.GRAFANA: grafana.url,
            Part.JAEGER: jaeger.url,
        }
        self.register_outputs({"urls": self.urls})

    def _exporters(self) -> None:
        for exporter, version in EXPORTERS.items():
            aws.eks.Addon(
                f"{self.name}-{exporter}",
                addon_name=exporter,
                addon_version=version,
                cluster_name=self.args.cluster_name,
                region=self.args.region,
                resolve_conflicts_on_create="OVERWRITE",
                resolve_conflicts_on_update="OVERWRITE",
                tags={**self.args.tags, "Name": exporter},
                opts=self.child,
            )

    def _namespace(
        self, namespace: str, standard: Literal["restricted", "privileged"]
    ) -> list[pulumi.Resource]:
        """A namespace in which nobody talks to anybody but the resolver before a policy says so."""
        logical = self.name if namespace == NAMESPACE else f"{self.name}-{namespace}"
        made = core.Namespace(
            f"{logical}-namespace",
            metadata=meta.ObjectMetaArgs(name=namespace, labels=hardening.namespace_labels(standard)),
            opts=self.child,
        )
        closed = [
            networking.NetworkPolicy(
                f"{logical}-{purpose}",
                metadata=meta.ObjectMetaArgs(name=purpose, namespace=namespace),
                spec=spec,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[made]),
            )
            for purpose, spec in (
                ("deny-all", hardening.deny_all()),
                ("resolve-names", hardening.resolve_names()),
            )
        ]
        return [made, *closed]

    def _alertmanager(self) -> Alertmanager:
        """Alertmanager, and in an environment that pages the people whom it may call."""
        facts, secrets, environment = self.args.facts, self.args.secrets, self.args.watched.environment
        keys: Mapping[Priority, pulumi.Output[str]] = {}
        if facts.paging is not None:
            on_call = OnCall(
                f"{self.name}-on-call",
                OnCallArgs(environment=environment, paging=facts.paging, token=secrets["pagerduty-token"]),
                opts=self.child,
            )
            keys = on_call.integration_keys
        return Alertmanager(
            f"{self.name}-{Part.ALERTMANAGER}",
            AlertmanagerArgs(
                place=self.place,
                environment=environment,
                replicas=facts.replicas(Part.ALERTMANAGER),
                slack_token=secrets["slack-token"],
                paging=facts.paging,
                integration_keys=keys,
                heartbeat_url=None if facts.paging is None else secrets["heartbeat-url"],
            ),
            opts=self.child,
        )
