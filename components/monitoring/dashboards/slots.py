"""Blue beside green: the same panel for each slot, so that a release is judged at a glance."""

from typing import Final

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from components.monitoring.dashboards.key_metrics import key_metric_trend
from components.monitoring.dashboards.panels import Query, Section, dashboard, number, trend
from components.monitoring.dashboards.reads import ERRORS, REQUESTS, runbook
from components.monitoring.rules import Watched
from operations.metrics import KEY_METRICS
from operations.slots import Slot

UID: Final = "slots"


def slots(watched: Watched) -> Dashboard:
    """Both slots of one environment, side by side."""
    return dashboard(
        UID,
        f"Blue and green in {watched.environment}",
        "The same panel for each slot: blue on the left, green on the right.",
        watched.environment,
        [
            Section("What runs", [panel for slot in Slot for panel in _state(slot, watched)], height=5),
            Section("Requests", [_requests(slot) for slot in Slot]),
            *(
                Section(
                    metric.title,
                    [
                        key_metric_trend(
                            metric,
                            watched,
                            title=f"{metric.title} of {slot}",
                            matchers=f'{{slot="{slot}"}}',
                            legend="{{service}}",
                        )
                        for slot in Slot
                    ],
                )
                for metric in KEY_METRICS
            ),
        ],
    )


def _state(slot: Slot, watched: Watched) -> list[Panel]:
    return [
        number(
            f"Versions of {slot}",
            "Pods that answer Prometheus, by version. Good is one version, or two while one is being replaced; "
            "a cold slot has none.",
            Query(f'count by (version) (up{{job="slots", slot="{slot}"}} == 1)', "{{version}}"),
            unit=units.Short,
            with_name=True,
            links=[runbook(watched, "ServiceDown")],
        ),
        number(
            f"Share of requests of {slot}",
            "As measured. Good is the weight that the release gives the slot.",
            Query(f'(sum({REQUESTS}{{slot="{slot}"}}) or vector(0)) / sum({REQUESTS})'),
            unit=units.PercentUnit,
        ),
    ]


def _requests(slot: Slot) -> Panel:
    return trend(
        f"Requests and errors of {slot}",
        "Requests a second by service, and those that end in a server error. Good is no error, and as many requests "
        "as the slot's weight says.",
        Query(f'{REQUESTS}{{slot="{slot}"}}', "{{service}}"),
        Query(f'{ERRORS}{{slot="{slot}"}}', "{{service}} errors"),
        unit=units.RequestsPerSecond,
    )
