"""The parts of the monitoring stack (the operations page, "Monitoring Stack"): their ports, and who talks to whom.

`FLOWS` is the one list of connections. Every network policy of the stack opens its own end of these and nothing else,
so a flow that is not listed here is refused at both ends.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

import pulumi_kubernetes as kubernetes

from components import hardening
from operations.monitoring import Part

meta = kubernetes.meta.v1
networking = kubernetes.networking.v1


@unique
class Neighbour(StrEnum):
    """Who talks to a part and is none."""

    SLOTS = "slots"
    """Every pod of both slots."""


PORTS: Final[Mapping[Part, Mapping[str, int]]] = MappingProxyType(
    {
        Part.PROMETHEUS: {"http": 9090},
        Part.ALERTMANAGER: {"http": 9093, "gossip": 9094},
        Part.GRAFANA: {"http": 3000},
        Part.JAEGER: {"otlp-http": 4318, "query": 16686, "metrics": 8888, "health": 13133},
        Part.ELASTICSEARCH: {"https": 9200, "transport": 9300},
        Part.LOGSTASH: {"beats": 5044, "api": 9600},
        Part.KIBANA: {"http": 5601},
        Part.FILEBEAT: {"http": 5066},
        Part.DATADOG_AGENT: {"apm": 8126, "health": 5555},
        Part.DATADOG_CLUSTER_AGENT: {"agents": 5005, "health": 5556},
        Part.CLOUDWATCH_EXPORTER: {"http": 5000},
    }
)
"""The ports that each part listens on, by the name they have in its Service."""


KUBELET_PORT: Final = 10250
"""Of every node's kubelet."""


@dataclass(frozen=True)
class Flow:
    """Connections from every pod of `source` to the named port of `target`."""

    source: Part | Neighbour
    target: Part
    port: str

    @property
    def number(self) -> int:
        """The port's number."""
        return PORTS[self.target][self.port]


FLOWS: Final = (
    Flow(Part.PROMETHEUS, Part.PROMETHEUS, "http"),
    Flow(Part.PROMETHEUS, Part.ALERTMANAGER, "http"),
    Flow(Part.ALERTMANAGER, Part.ALERTMANAGER, "gossip"),
    Flow(Part.PROMETHEUS, Part.GRAFANA, "http"),
    Flow(Part.PROMETHEUS, Part.JAEGER, "metrics"),
    Flow(Part.PROMETHEUS, Part.CLOUDWATCH_EXPORTER, "http"),
    Flow(Part.GRAFANA, Part.PROMETHEUS, "http"),
    Flow(Part.GRAFANA, Part.ALERTMANAGER, "http"),
    Flow(Part.GRAFANA, Part.JAEGER, "query"),
    Flow(Part.GRAFANA, Part.ELASTICSEARCH, "https"),
    Flow(Neighbour.SLOTS, Part.JAEGER, "otlp-http"),
    Flow(Part.JAEGER, Part.ELASTICSEARCH, "https"),
    Flow(Part.FILEBEAT, Part.LOGSTASH, "beats"),
    Flow(Part.LOGSTASH, Part.ELASTICSEARCH, "https"),
    Flow(Part.KIBANA, Part.ELASTICSEARCH, "https"),
    Flow(Part.ELASTICSEARCH, Part.ELASTICSEARCH, "transport"),
    Flow(Neighbour.SLOTS, Part.DATADOG_AGENT, "apm"),
    Flow(Part.DATADOG_AGENT, Part.DATADOG_CLUSTER_AGENT, "agents"),
)
"""Who talks to whom within the stack. What leaves it (scrapes of slots and nodes, the API server, Slack, PagerDuty,
Datadog, CloudWatch) each part declares where it is made."""


def flows_into(part: Part, present: Set[Part]) -> Iterator[Flow]:
    """The flows that end at a part, from the parts that the stack has."""
    return (
        flow
        for flow in FLOWS
        if flow.target is part and (isinstance(flow.source, Neighbour) or flow.source in present)
    )


def flows_out_of(source: Part | Neighbour, present: Set[Part]) -> Iterator[Flow]:
    """The flows that begin at a part or neighbour, to the parts that the stack has."""
    return (flow for flow in FLOWS if flow.source is source and flow.target in present)


def peer(part: Part) -> networking.NetworkPolicyPeerArgs:
    """Every pod of a part, as a network policy names it from whatever namespace."""
    return networking.NetworkPolicyPeerArgs(
        namespace_selector=hardening.in_namespace(part.namespace),
        pod_selector=meta.LabelSelectorArgs(match_labels=hardening.selector(part, part)),
    )


def address(part: Part, port: str) -> str:
    """Where a part's Service answers within the cluster, such as `http://grafana.monitoring.svc:3000`."""
    scheme = "https" if port == "https" else "http"
    return f"{scheme}://{part.host}:{PORTS[part][port]}"
