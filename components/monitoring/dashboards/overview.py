"""The dashboard that one opens first: does the environment keep its promise, what is wrong, what runs where."""

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from components.monitoring.dashboards.key_metrics import key_metric_trend
from components.monitoring.dashboards.panels import (
    CRITICAL,
    GOOD,
    TIMES,
    WARNING,
    Query,
    Section,
    dashboard,
    listing,
    number,
    trend,
)
from components.monitoring.dashboards.reads import REQUESTS, runbook
from components.monitoring.rules import BUDGET_LEFT, Watched, budget_window, error_ratio
from operations.metrics import KEY_METRICS, promql_duration
from operations.priorities import ROUTES, Priority
from operations.slo import BurnRate, allowed_error_ratio, burn_rates

UID: Final = "overview"


def overview(watched: Watched) -> Dashboard:
    """The overview of one environment. Without an SLA there is nothing about an error budget in it."""
    return dashboard(
        UID,
        f"Overview of {watched.environment}",
        "Does the environment keep its promise, what is wrong, and what runs where.",
        watched.environment,
        [*_service_level(watched), *_alerts(), _key_metrics(watched), _releases(watched)],
    )


def _service_level(watched: Watched) -> Iterator[Section]:
    if watched.sla is None:
        return
    counted = budget_window(watched)
    allowed = allowed_error_ratio(watched.sla)
    window = f"the last {counted.days} days"
    burn = runbook(watched, "ErrorBudgetBurn")
    yield Section(
        f"Service level: {watched.sla:g} %",
        [
            number(
                "Availability",
                f"The share of requests that did not fail, over {window}. Good is {watched.sla:g} % and more.",
                Query(f"1 - {error_ratio(counted)}"),
                unit=units.PercentUnit,
                decimals=3,
                steps=((None, CRITICAL), (1 - allowed, GOOD)),
                links=[burn],
            ),
            number(
                "Error budget left",
                f"What is left of the failures that {watched.sla:g} % allows in {window}. Good is a quarter and more; "
                "below 0 the promise is broken, and only changes that make the service more reliable are released.",
                Query(BUDGET_LEFT),
                unit=units.PercentUnit,
                decimals=1,
                steps=((None, CRITICAL), (0, WARNING), (0.25, GOOD)),
                links=[burn],
            ),
            trend(
                "Error budget left over time",
                "Good is a line that falls slowly and evenly. A step down is an incident.",
                Query(BUDGET_LEFT, "left"),
                unit=units.PercentUnit,
                steps=((None, CRITICAL), (0, WARNING), (0.25, GOOD)),
                lowest=None,
                highest=1,
                links=[burn],
            ),
        ],
    )
    yield Section(
        "How fast the error budget burns",
        [
            number(
                f"Burn rate over {promql_duration(rate.long)}",
                _burn_description(rate),
                Query(f"{error_ratio(rate.long)} / {allowed}"),
                unit=TIMES,
                decimals=1,
                steps=((None, GOOD), (1, WARNING), (rate.factor, CRITICAL))
                if rate.factor > 1
                else ((None, GOOD), (rate.factor, CRITICAL)),
                links=[burn],
            )
            for rate in burn_rates(watched.sla)
        ],
        height=5,
    )


def _burn_description(rate: BurnRate) -> str:
    return (
        "Times the rate at which the budget lasts exactly its 30 days. Good is at most 1. "
        f"Above {rate.factor:g}, and over {promql_duration(rate.short)} too, an alert of {rate.priority} fires: "
        f"{rate.spent:.0%} of the budget goes in {promql_duration(rate.long)}."
    )


def _alerts() -> Iterator[Section]:
    yield Section(
        "Alerts",
        [
            number(
                f"{priority}: {ROUTES[priority].title}",
                f"Firing alerts of {priority}. Good is none.",
                Query(f'count(ALERTS{{alertstate="firing", priority="{priority}"}}) or vector(0)'),
                unit=units.Short,
                steps=((None, GOOD), (1, CRITICAL if ROUTES[priority].paging else WARNING)),
            )
            for priority in Priority
        ],
        height=4,
    )
    yield Section(
        "What is firing",
        [
            listing(
                "Firing alerts",
                "Every alert that is firing now. Good is an empty list. Each alert's message links to its runbook.",
                "sum by (priority, alertname, severity, slot, service, burn_rate, part, job, node) "
                '(ALERTS{alertstate="firing", alertname!="Watchdog"})',
                unit=units.Short,
                value=None,
                empty="No alert is firing",
            ),
        ],
        height=6,
    )


def _key_metrics(watched: Watched) -> Section:
    return Section(
        "Key metrics",
        [
            key_metric_trend(metric, watched, title=metric.title, legend="{{service}} {{slot}}")
            for metric in KEY_METRICS
        ],
    )


def _releases(watched: Watched) -> Section:
    return Section(
        "What runs where",
        [
            listing(
                "Versions",
                "Pods that answer Prometheus, by slot and version. Good is one version in each slot, "
                "or two while one of them is being replaced.",
                'count by (slot, version) (up{job="slots"} == 1)',
                unit=units.Short,
                value="Pods",
            ),
            trend(
                "Share of requests",
                "The share of requests that each slot serves, as measured. Good is what the release says: "
                "its weights, and a step of the ladder at a time.",
                Query(f"sum by (slot) ({REQUESTS}) / on () group_left () sum({REQUESTS})", "{{slot}}"),
                unit=units.PercentUnit,
                stacked=True,
                highest=1,
            ),
            trend(
                "Requests",
                "Requests a second, by service. Good is the usual course of the day.",
                Query(f"sum by (service) ({REQUESTS})", "{{service}}"),
                unit=units.RequestsPerSecond,
                stacked=True,
            ),
            trend(
                "Pods that answer",
                "Pods that answer Prometheus, by service and slot. Good is none missing: a service without any is down.",
                Query('sum by (service, slot) (up{job="slots"})', "{{service}} {{slot}}"),
                unit=units.Short,
                links=[runbook(watched, "ServiceDown")],
            ),
        ],
    )
