"""Logging: the way of a line from the node that it was written on to the person who searches for it."""

from dataclasses import dataclass

import pulumi

from components.monitoring.access import ElasticsearchAccess
from components.monitoring.certificates import Authority, AuthorityArgs, Leaf, Use
from components.monitoring.filebeat import Filebeat, FilebeatArgs
from components.monitoring.kibana import Kibana, KibanaArgs
from components.monitoring.logstash import Logstash, LogstashArgs
from components.monitoring.workload import Place
from operations.monitoring import Part


@dataclass(frozen=True, kw_only=True)
class LoggingArgs:
    """What leads to Elasticsearch and what shows what is there."""

    place: Place
    environment: str
    retention_days: int
    """Age up to which a line may be kept."""
    logstash_replicas: int
    logstash: ElasticsearchAccess
    """As whom Logstash writes."""
    kibana: ElasticsearchAccess
    """As whom Kibana keeps its own indices; a person signs in to it as somebody else."""


class Logging(pulumi.ComponentResource):
    """Filebeat on every node, Logstash, Kibana, and the authority by which the first two know each other.

    Elasticsearch is not in here: Grafana and Jaeger read and write there too.
    """

    def __init__(self, name: str, args: LoggingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:monitoring:Logging", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        authority = Authority(
            f"{name}-authority",
            AuthorityArgs(
                common_name=f"log shipping of {args.environment}",
                leaves={
                    Part.LOGSTASH: Leaf(
                        common_name=Part.LOGSTASH,
                        uses=[Use.SERVER],
                        dns_names=[f"*.{Part.LOGSTASH.replicas_host}"],
                    ),
                    Part.FILEBEAT: Leaf(common_name=Part.FILEBEAT, uses=[Use.CLIENT]),
                },
            ),
            opts=child,
        )
        logstash = Logstash(
            f"{name}-{Part.LOGSTASH}",
            LogstashArgs(
                place=args.place,
                environment=args.environment,
                replicas=args.logstash_replicas,
                retention_days=args.retention_days,
                certificate=authority.leaves[Part.LOGSTASH],
                authority=authority.certificate,
                elasticsearch=args.logstash,
            ),
            opts=child,
        )
        Filebeat(
            f"{name}-{Part.FILEBEAT}",
            FilebeatArgs(
                place=args.place,
                logstash=logstash.hosts,
                certificate=authority.leaves[Part.FILEBEAT],
                authority=authority.certificate,
            ),
            opts=child,
        )
        Kibana(
            f"{name}-{Part.KIBANA}",
            KibanaArgs(place=args.place, elasticsearch=args.kibana),
            opts=child,
        )
        self.register_outputs({})
