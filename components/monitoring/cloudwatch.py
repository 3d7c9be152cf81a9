"""The CloudWatch exporter (YACE): what CloudWatch knows of backups and recovery, for Prometheus to read.

Every metric is named in full, with its dimensions, so nothing has to be discovered and one right of reading suffices.
What CloudWatch has no value of has no series either, and its absence is an alert.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import hardening
from components.identity import pod_trust, to_identity_agent
from components.monitoring.parts import PORTS
from components.monitoring.workload import Place, Workload, config_volume, http_probe
from components.policies import Statement, policy_document
from operations import naming, versions
from operations.limits import ROLE_NAME_LENGTH
from operations.monitoring import SIZES, Part
from operations.recovery_alerts import (
    BACKUPS,
    DATA,
    DATABASE_NAMESPACE,
    ENVIRONMENT,
    INSTANCE,
    INSTANCE_UPTIME,
    NAMESPACE,
    PUBLISHED,
    RESTORES,
    STATISTIC,
    Lag,
)

core = kubernetes.core.v1

USER: Final = 65534
"""`nobody`, the user of the image.
Source: https://github.com/prometheus-community/yet-another-cloudwatch-exporter/blob/v0.67.0/Dockerfile"""

CONFIG_PATH: Final = "/etc/yace"
CONFIG_FILE: Final = "cloudwatch.json"

FETCH_SECONDS: Final = 60
"""Between two fetches: Aurora tells CloudWatch of its lag and its instances once a minute. Each metric costs a request."""

AURORA_LOOK_BACK: Final = timedelta(minutes=10)
"""How old the newest value of Aurora's may be: some minutes late it still counts, later it is unknown."""

FIGURE_LOOK_BACK: Final = 3 * PUBLISHED
"""The same of a figure of our own: one that is left out twice is not missed yet."""

FIGURE_PERIOD: Final = timedelta(minutes=5)
"""The span that one value stands for, much shorter than from one value to the next."""

Configuration = Mapping[str, Any]
"""The exporter's configuration as plain data.
Source: https://github.com/prometheus-community/yet-another-cloudwatch-exporter/blob/v0.67.0/docs/configuration.md"""


@dataclass(frozen=True, kw_only=True)
class DatabaseCluster:
    """A cluster of the database, whichever of them writes at present."""

    region: str
    identifier: str
    """Such as `quikapp-live-database`."""
    instances: Sequence[str]
    """Identifiers of the instances that are declared, such as `quikapp-live-database-0`."""


def configuration(*, environment: str, region: str, clusters: Sequence[DatabaseCluster]) -> Configuration:
    """What the exporter fetches of an environment whose figures are in `region`.

    Of every instance it asks how long it has run, and of each of two clusters for the lag, in the cluster's own region: only
    the one that follows has any, so a failover changes nothing here. With one cluster there are no recovery objectives, so
    neither a lag nor restores to ask for.
    """
    follows = len(clusters) > 1
    told = (*BACKUPS, *RESTORES) if follows else BACKUPS
    return {
        "apiVersion": "v1alpha1",
        "sts-region": region,
        "static": [
            *(
                _job(
                    data,
                    NAMESPACE,
                    region,
                    {ENVIRONMENT: environment, DATA: data},
                    [one.figure for one in told if one.data is data],
                    period=FIGURE_PERIOD,
                    look_back=FIGURE_LOOK_BACK,
                )
                for data in dict.fromkeys(one.data for one in told)
            ),
            *(
                _job(
                    cluster.identifier,
                    DATABASE_NAMESPACE,
                    cluster.region,
                    {"DBClusterIdentifier": cluster.identifier},
                    [*Lag],
                    period=timedelta(seconds=FETCH_SECONDS),
                    look_back=AURORA_LOOK_BACK,
                )
                for cluster in clusters
                if follows
            ),
            *(
                _job(
                    instance,
                    DATABASE_NAMESPACE,
                    cluster.region,
                    {INSTANCE: instance},
                    [INSTANCE_UPTIME],
                    period=timedelta(seconds=FETCH_SECONDS),
                    look_back=AURORA_LOOK_BACK,
                )
                for cluster in clusters
                for instance in cluster.instances
            ),
        ],
    }


def _job(
    name: str,
    namespace: str,
    region: str,
    dimensions: Mapping[str, str],
    metrics: Sequence[str],
    *,
    period: timedelta,
    look_back: timedelta,
) -> Configuration:
    """The newest value of each metric, of those that are at most as old as the look back."""
    return {
        "name": name,
        "namespace": namespace,
        "regions": [region],
        "dimensions": [{"name": dimension, "value": value} for dimension, value in dimensions.items()],
        "metrics": [
            {
                "name": metric,
                "statistics": [STATISTIC],
                "period": period // timedelta(seconds=1),
                "length": look_back // timedelta(seconds=1),
            }
            for metric in metrics
        ],
    }


def flags(path: str, *, listen: str) -> list[str]:
    """Flags of the exporter, whose configuration is at `path` and which listens at `listen`, such as `:5000`."""
    return [f"--config.file={path}", f"--listen-address={listen}", f"--scraping-interval={FETCH_SECONDS}"]


@dataclass(frozen=True, kw_only=True)
class CloudwatchExporterArgs:
    """What the exporter fetches, and who it is in AWS."""

    place: Place
    environment: str
    region: str
    """Of the cluster it runs in, and of the environment's own figures."""
    clusters: Sequence[DatabaseCluster]
    """Of the database: one in each region that it lives in."""
    cluster_name: pulumi.Input[str]
    """Of the Kubernetes cluster."""
    tags: Mapping[str, str]


class CloudwatchExporter(Workload):
    """The exporter, and the role by which it reads statistics of metrics in its regions, and nothing else of the account.

    CloudWatch knows no resources that statistics could be limited to, only regions; the account's alias, which has no
    resource either, is asked for with every fetch and would else be refused each time.
    Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html,
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    """

    def __init__(
        self, name: str, args: CloudwatchExporterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, Part.CLOUDWATCH_EXPORTER, versions.CLOUDWATCH_EXPORTER_IMAGE, args.place, opts)
        self.account()
        self._identity(args)
        self.traffic(to_identity_agent(), hardening.to_internet())
        self.service("http")
        self.disruption_budget()
        files = {
            CONFIG_FILE: json.dumps(
                configuration(environment=args.environment, region=args.region, clusters=args.clusters),
                indent=2,
            )
        }
        self.deployment(
            [self._container()],
            [config_volume("config", self.config(files))],
            # Prometheus asks one address, and twice as many would fetch everything twice.
            replicas=1,
            user=USER,
        )
        self.register_outputs({})

    def _identity(self, args: CloudwatchExporterArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        # IAM knows one set of names for an account and all its regions.
        role_name = naming.join(naming.APPLICATION, self.name, limit=ROLE_NAME_LENGTH.value)
        tags = {**args.tags, "Name": role_name}
        role = aws.iam.Role(
            f"{self.name}-role",
            name=role_name,
            description=f"The CloudWatch exporter of {args.environment}",
            assume_role_policy=pulumi.Output.from_input(args.cluster_name).apply(
                lambda cluster: pod_trust(cluster, namespace=self.part.namespace, service_account=self.part)
            ),
            tags=tags,
            opts=child,
        )
        regions = sorted({args.region, *(cluster.region for cluster in args.clusters)})
        grants = aws.iam.RolePolicy(
            f"{self.name}-grants",
            name="reads-metrics",
            role=role.name,
            policy=policy_document(
                Statement(
                    actions=["cloudwatch:GetMetricStatistics"],
                    resources=["*"],
                    conditions={"StringEquals": {"aws:RequestedRegion": regions}},
                ),
                Statement(actions=["iam:ListAccountAliases"], resources=["*"]),
            ),
            opts=child,
        )
        association = aws.eks.PodIdentityAssociation(
            f"{self.name}-identity",
            cluster_name=args.cluster_name,
            namespace=self.part.namespace,
            service_account=self.part,
            role_arn=role.arn,
            region=args.region,
            tags=tags,
            opts=child,
        )
        # A pod gets its role when it starts, or never.
        self.after.extend([grants, association])

    def _container(self) -> core.ContainerArgs:
        size = SIZES[self.part]
        return core.ContainerArgs(
            name=self.part,
            image=versions.CLOUDWATCH_EXPORTER_IMAGE,
            image_pull_policy="IfNotPresent",
            args=flags(f"{CONFIG_PATH}/{CONFIG_FILE}", listen=f":{PORTS[self.part]['http']}"),
            ports=self.container_ports("http"),
            resources=hardening.guaranteed(size.cpu_millicores, size.memory_mib),
            security_context=hardening.restricted_container(),
            readiness_probe=http_probe("/healthz", "http", period=5, failures=3),
            liveness_probe=http_probe("/healthz", "http", period=10, failures=6),
            volume_mounts=[core.VolumeMountArgs(name="config", mount_path=CONFIG_PATH, read_only=True)],
        )
