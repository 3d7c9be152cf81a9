"""One service, in both slots."""

from typing import Final

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from components.monitoring.dashboards.key_metrics import key_metric_number, key_metric_trend
from components.monitoring.dashboards.panels import Query, Section, choice, dashboard, trend
from components.monitoring.dashboards.reads import ERRORS, REQUESTS, SLOT_NAMESPACES, runbook
from components.monitoring.rules import Watched, alert_name
from operations.metrics import CPU_USAGE, KEY_METRICS, MEMORY_USAGE, POD_RESTARTS

UID: Final = "service"

VARIABLE: Final = "service"
"""Alerts open the dashboard with `?var-service=…`."""

_CHOSEN: Final = '{service="$service"}'
_CONTAINER: Final = f'namespace=~"{SLOT_NAMESPACES}", container="$service"'
_WORKLOAD: Final = f'namespace=~"{SLOT_NAMESPACES}"'


def service(watched: Watched) -> Dashboard:
    """Whichever service is chosen."""
    return dashboard(
        UID,
        f"One service in {watched.environment}",
        "Choose the service at the top. Lines are per slot, or per pod where it matters which.",
        watched.environment,
        [
            Section(
                "Now: the worse of both slots",
                [key_metric_number(metric, watched, matchers=_CHOSEN) for metric in KEY_METRICS],
                height=4,
            ),
            _requests(),
            Section(
                "Key metrics",
                [
                    key_metric_trend(
                        metric, watched, title=f"{metric.title} by slot", matchers=_CHOSEN, legend="{{slot}}"
                    )
                    for metric in KEY_METRICS
                ],
            ),
            _pods(watched),
        ],
        [choice(VARIABLE, "Service", watched.services)],
    )


def _requests() -> Section:
    duration = f"http_request_duration_seconds_bucket{_CHOSEN}"
    return Section(
        "Requests",
        [
            trend(
                "Requests by slot",
                "Requests a second. Good is the usual course of the day, divided as the weights say.",
                Query(f"{REQUESTS}{_CHOSEN}", "{{slot}}"),
                Query(f"{ERRORS}{_CHOSEN}", "{{slot}} errors"),
                unit=units.RequestsPerSecond,
            ),
            trend(
                "Responses by code",
                "Responses a second, by slot and status. Good is no 5xx; many 4xx mean a client or a release that "
                "do not fit together.",
                Query(
                    f"sum by (slot, code) (rate(http_requests_total{_CHOSEN}[$__rate_interval]))",
                    "{{slot}} {{code}}",
                ),
                unit=units.RequestsPerSecond,
                stacked=True,
            ),
            trend(
                "How long requests take",
                "The time within which half and nine tenths of the requests are answered. Good is the two close "
                "together, and the same in both slots.",
                *(
                    Query(
                        f"histogram_quantile({share}, sum by (slot, le) (rate({duration}[$__rate_interval])))",
                        f"{{{{slot}}}} P{share * 100:g}",
                    )
                    for share in (0.5, 0.9)
                ),
                unit=units.Seconds,
            ),
        ],
    )


def _pods(watched: Watched) -> Section:
    return Section(
        "Pods",
        [
            trend(
                "Pods ready and wanted",
                "Good is as many ready as wanted, and fewer than the autoscaler's maximum: at the maximum more load "
                "finds no more room.",
                Query(
                    f'kube_deployment_status_replicas_ready{{{_WORKLOAD}, deployment="$service"}}',
                    "{{namespace}} ready",
                ),
                Query(
                    f'kube_deployment_spec_replicas{{{_WORKLOAD}, deployment="$service"}}',
                    "{{namespace}} wanted",
                ),
                Query(
                    "kube_horizontalpodautoscaler_spec_max_replicas"
                    f'{{{_WORKLOAD}, horizontalpodautoscaler="$service"}}',
                    "{{namespace}} maximum",
                ),
                unit=units.Short,
                links=[runbook(watched, "ServiceDown")],
            ),
            trend(
                "CPU by pod",
                "Cores that each pod uses. Good is the pods close together: load is spread evenly.",
                Query(
                    f"sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{{{_CONTAINER}}}[$__rate_interval]))",
                    "{{pod}}",
                ),
                unit=units.Short,
                links=[runbook(watched, alert_name(CPU_USAGE))],
            ),
            trend(
                "Memory by pod",
                "Memory that each pod holds. Good is level: a steady climb is a leak.",
                Query(
                    f"sum by (namespace, pod) (container_memory_working_set_bytes{{{_CONTAINER}}})", "{{pod}}"
                ),
                unit=units.BytesIEC,
                links=[runbook(watched, alert_name(MEMORY_USAGE))],
            ),
            trend(
                "Restarts by pod",
                "Restarts in the last hour. Good is none.",
                Query(
                    f"sum by (pod) (round(increase(kube_pod_container_status_restarts_total{{{_CONTAINER}}}[1h])))",
                    "{{pod}}",
                ),
                unit=units.Short,
                links=[runbook(watched, alert_name(POD_RESTARTS))],
            ),
        ],
    )
