"""Prometheus' rules for the five key metrics, as plain data rendered from `operations.metrics`."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final, NotRequired, TypedDict

from operations import metrics
from operations.metrics import KEY_METRICS, KeyMetric, Level, promql_duration
from operations.priorities import PRIORITY_OF_LEVEL

Rule = TypedDict(
    "Rule",
    {
        "record": NotRequired[str],
        "alert": NotRequired[str],
        "expr": str,
        "for": NotRequired[str],
        "keep_firing_for": NotRequired[str],
        "labels": NotRequired[Mapping[str, str]],
        "annotations": NotRequired[Mapping[str, str]],
    },
)
"""A rule as Prometheus reads it.
Source: https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/"""


class Group(TypedDict):
    """Rules that are evaluated one after the other."""

    name: str
    rules: Sequence[Rule]


class RuleFile(TypedDict):
    """A rule file."""

    groups: Sequence[Group]


HOLD: Final[Mapping[Level, timedelta]] = MappingProxyType(
    {Level.WARNING: timedelta(minutes=5), Level.CRITICAL: timedelta(minutes=2)}
)
"""How long a breach lasts before the alert fires. With the two minutes of a critical one and the five of its window,
a page is out well before the response time of the mildest incident that someone is paged for."""

KEEP_FIRING: Final = timedelta(minutes=5)
"""How long an alert outlives its breach: a value that hovers around its threshold pages once."""

IMPACT: Final[Mapping[str, str]] = MappingProxyType(
    {
        metrics.LATENCY_P99.name: "One request in a hundred takes longer than this: users wait.",
        metrics.ERROR_RATE.name: "Requests fail: users see errors.",
        metrics.CPU_USAGE.name: "Scaling does not keep up: latency rises next.",
        metrics.MEMORY_USAGE.name: "At the limit the kernel kills the fullest pod and its requests fail.",
        metrics.POD_RESTARTS.name: "Pods die and lose the requests they were serving.",
    }
)
"""What a breach of a key metric means to users, by the metric's name."""

RUNBOOKS: Final = "docs/runbooks"
"""Where the runbooks are, each named after its metric."""


_HUMAN: Final[Mapping[metrics.Unit, str]] = MappingProxyType(
    {
        metrics.Unit.SECONDS: "humanizeDuration",
        metrics.Unit.RATIO: "humanizePercentage",
        metrics.Unit.PER_HOUR: 'printf "%.0f per hour"',
    }
)


def rule_file() -> RuleFile:
    """Every rule: a group for each key metric, which records its value by slot and service, then judges it."""
    return {"groups": [_group(metric) for metric in KEY_METRICS]}


def recorded(metric: KeyMetric) -> str:
    """The series that holds a key metric's value, such as `slot_service:error_rate:5m`.

    Source of the form: https://prometheus.io/docs/practices/rules/
    """
    return f"slot_service:{metric.name}:{promql_duration(metric.window)}"


def alert_name(metric: KeyMetric) -> str:
    """The alert of a key metric, such as `ErrorRate`; its levels differ in the label `severity`."""
    return "".join(word.capitalize() for word in metric.name.split("_"))


def _group(metric: KeyMetric) -> Group:
    return {
        "name": metric.name,
        "rules": [
            {"record": recorded(metric), "expr": metric.expression()},
            *(_alert(metric, level) for level in Level),
        ],
    }


def _alert(metric: KeyMetric, level: Level) -> Rule:
    threshold = metric.threshold(level)
    return {
        "alert": alert_name(metric),
        "expr": f"{recorded(metric)} > {threshold:g}",
        "for": promql_duration(HOLD[level]),
        "keep_firing_for": promql_duration(KEEP_FIRING),
        "labels": {"severity": level, "priority": PRIORITY_OF_LEVEL[level]},
        "annotations": {
            "summary": (
                f"{metric.title} of {{{{ $labels.service }}}} in slot {{{{ $labels.slot }}}} is "
                f"{{{{ $value | {_HUMAN[metric.unit]} }}}}, above {metric.display(threshold)}"
            ),
            "impact": IMPACT[metric.name],
            "runbook": f"{RUNBOOKS}/{metric.name.replace('_', '-')}.md",
        },
    }
