"""A panel for a key metric, wherever it is shown."""

from collections.abc import Mapping
from typing import Final

from grafana_foundation_sdk.models.dashboard import Panel

from components.monitoring.dashboards.panels import UNITS, Query, number, thresholds, trend
from components.monitoring.dashboards.reads import runbook
from components.monitoring.rules import Watched, alert_name, recorded
from operations import metrics
from operations.metrics import KeyMetric, promql_duration

MEANING: Final[Mapping[str, str]] = {
    metrics.LATENCY_P99.name: "The time within which 99 of 100 requests are answered",
    metrics.ERROR_RATE.name: "The share of requests that end in a server error",
    metrics.CPU_USAGE.name: "Use of CPU relative to the limit, over all pods",
    metrics.MEMORY_USAGE.name: "Use of memory relative to the limit, of the fullest pod",
    metrics.POD_RESTARTS.name: "Restarts of all containers in an hour",
}
"""What a key metric says, by its name."""


def description(metric: KeyMetric) -> str:
    """What a key metric says and what is good."""
    return (
        f"{MEANING[metric.name]}, over {promql_duration(metric.window)}. "
        f"Good is at most {metric.display(metric.warning)}; "
        f"above {metric.display(metric.critical)} somebody is called."
    )


def key_metric_trend(
    metric: KeyMetric, watched: Watched, *, title: str, matchers: str = "", legend: str
) -> Panel:
    """A key metric over time, for the recorded series that match."""
    return trend(
        title,
        description(metric),
        Query(f"{recorded(metric)}{matchers}", legend),
        unit=UNITS[metric.unit],
        steps=thresholds(metric),
        highest=metric.critical,
        links=[runbook(watched, alert_name(metric))],
    )


def key_metric_number(metric: KeyMetric, watched: Watched, *, matchers: str) -> Panel:
    """The worst of a key metric now, among the recorded series that match."""
    return number(
        metric.title,
        description(metric),
        Query(f"max({recorded(metric)}{matchers})"),
        unit=UNITS[metric.unit],
        steps=thresholds(metric),
        links=[runbook(watched, alert_name(metric))],
    )
