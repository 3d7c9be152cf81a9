"""The monitoring stack itself: who watches the watchers."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from components.monitoring.dashboards.data import FILLING
from components.monitoring.dashboards.panels import (
    CRITICAL,
    GOOD,
    NONE_IS_GOOD,
    WARNING,
    Query,
    Section,
    dashboard,
    listing,
    number,
    thresholds,
    trend,
)
from components.monitoring.dashboards.reads import runbook, volume_share
from components.monitoring.rules import OVERDUE_PERIODS, Watched, last_success
from operations.metrics import CPU_USAGE, MEMORY_USAGE
from operations.monitoring import AGENTS_NAMESPACE, NAMESPACE

UID: Final = "monitoring"

_STACK: Final = f'namespace=~"{NAMESPACE}|{AGENTS_NAMESPACE}"'
_RATE: Final = "[$__rate_interval]"


def monitoring(watched: Watched) -> Dashboard:
    """The monitoring stack of one environment."""
    return dashboard(
        UID,
        f"Monitoring of {watched.environment}",
        "Whether what watches everything else works.",
        watched.environment,
        [
            _now(watched),
            _parts(watched),
            _scrapes(watched),
            _rules(watched),
            _alerts(watched),
            _storage(watched),
            *_housekeeping(watched),
            _traces(),
            _grafana(),
        ],
    )


def _now(watched: Watched) -> Section:
    return Section(
        "Now",
        [
            number(
                "Targets down",
                "Targets that Prometheus cannot scrape. Good is none.",
                Query("count(up == 0) or vector(0)"),
                unit=units.Short,
                steps=NONE_IS_GOOD,
                links=[runbook(watched, "ScrapeTargetMissing")],
            ),
            number(
                "Watchdog",
                "The alert that always fires, so that its absence tells of a broken chain. Good is 1.",
                Query('count(ALERTS{alertname="Watchdog", alertstate="firing"}) or vector(0)'),
                unit=units.Short,
                steps=((None, CRITICAL), (1, GOOD)),
                links=[runbook(watched, "Watchdog")],
            ),
            number(
                "Notifications failed in an hour",
                "Messages that Alertmanager could not hand over. Good is none.",
                Query("sum(round(increase(alertmanager_notifications_failed_total[1h])))"),
                unit=units.Short,
                steps=NONE_IS_GOOD,
                links=[runbook(watched, "AlertsNotDelivered")],
            ),
            number(
                "Rules failed in an hour",
                "Evaluations of rules that ended in an error. Good is none.",
                Query("sum(round(increase(prometheus_rule_evaluation_failures_total[1h])))"),
                unit=units.Short,
                steps=NONE_IS_GOOD,
                links=[runbook(watched, "RuleEvaluationFailing")],
            ),
        ],
        height=4,
    )


def _parts(watched: Watched) -> Section:
    kinds = (
        ("deployment", "kube_deployment_status_replicas_ready", "kube_deployment_spec_replicas"),
        ("statefulset", "kube_statefulset_status_replicas_ready", "kube_statefulset_replicas"),
        (
            "daemonset",
            "kube_daemonset_status_number_ready",
            "kube_daemonset_status_desired_number_scheduled",
        ),
    )
    links = [runbook(watched, "MonitoringPartMissing")]

    def of_limit(used: str, resource: str) -> Query:
        limit = f'kube_pod_container_resource_limits{{{_STACK}, resource="{resource}"}}'
        return Query(f"sum by (pod) ({used}) / sum by (pod) ({limit})", "{{pod}}")

    return Section(
        "Parts",
        [
            trend(
                "Replicas ready, of those wanted",
                "Good is 100 % of every part.",
                *(
                    Query(f"{ready}{{{_STACK}}} / {wanted}{{{_STACK}}}", f"{{{{{kind}}}}}")
                    for kind, ready, wanted in kinds
                ),
                unit=units.PercentUnit,
                steps=((None, CRITICAL), (1, GOOD)),
                highest=1,
                links=links,
            ),
            trend(
                "CPU of the limit, by pod",
                "Good is below 70 %: at the limit a part is slowed down.",
                of_limit(f'rate(container_cpu_usage_seconds_total{{{_STACK}, container!=""}}{_RATE})', "cpu"),
                unit=units.PercentUnit,
                steps=thresholds(CPU_USAGE),
                links=links,
            ),
            trend(
                "Memory of the limit, by pod",
                "Good is below 75 %: at the limit the kernel kills a part.",
                of_limit(f'container_memory_working_set_bytes{{{_STACK}, container!=""}}', "memory"),
                unit=units.PercentUnit,
                steps=thresholds(MEMORY_USAGE),
                links=links,
            ),
        ],
    )


def _scrapes(watched: Watched) -> Section:
    links = [runbook(watched, "ScrapeTargetMissing")]
    return Section(
        "Scrapes",
        [
            listing(
                "Targets",
                "The share of each job's targets that answer. Good is 100 %.",
                "avg by (job) (up)",
                unit=units.PercentUnit,
                value="Up",
                steps=((None, CRITICAL), (1, GOOD)),
                links=links,
            ),
            trend(
                "Targets down by job",
                "Good is none.",
                Query("count by (job) (up == 0) or 0 * count by (job) (up)", "{{job}}"),
                unit=units.Short,
                stacked=True,
                links=links,
            ),
            trend(
                "Scrape duration",
                "The slowest target of each job. Good is below 5 s: after 10 s a scrape is given up.",
                Query("max by (job) (scrape_duration_seconds)", "{{job}}"),
                unit=units.Seconds,
                steps=((None, GOOD), (5, WARNING), (10, CRITICAL)),
                links=links,
            ),
        ],
    )


def _rules(watched: Watched) -> Section:
    links = [runbook(watched, "RuleEvaluationFailing")]
    return Section(
        "Rules",
        [
            trend(
                "Evaluation time, of the interval",
                "How much of its interval each group of rules takes. Good is below 50 %: "
                "a group that takes longer than its interval misses evaluations.",
                Query(
                    "max by (rule_group) (prometheus_rule_group_last_duration_seconds "
                    "/ prometheus_rule_group_interval_seconds)",
                    "{{rule_group}}",
                ),
                unit=units.PercentUnit,
                steps=((None, GOOD), (0.5, WARNING), (1, CRITICAL)),
                links=links,
            ),
            trend(
                "Failed evaluations",
                "Evaluations a second that ended in an error. Good is none.",
                Query(
                    f"sum by (rule_group) (rate(prometheus_rule_evaluation_failures_total{_RATE}))",
                    "{{rule_group}}",
                ),
                unit=units.OpsPerSecond,
                links=links,
            ),
            trend(
                "Missed evaluations",
                "Evaluations a second that were skipped because the one before took too long. Good is none.",
                Query(
                    f"sum by (rule_group) (rate(prometheus_rule_group_iterations_missed_total{_RATE}))",
                    "{{rule_group}}",
                ),
                unit=units.OpsPerSecond,
                links=links,
            ),
        ],
    )


def _alerts(watched: Watched) -> Section:
    links = [runbook(watched, "AlertsNotDelivered")]
    return Section(
        "Delivery of alerts",
        [
            trend(
                "From Prometheus to Alertmanager",
                "Alerts a second that were sent, and those that were dropped or met an error. Good is only sent ones.",
                *(
                    Query(f"sum(rate(prometheus_notifications_{outcome}_total{_RATE}))", outcome)
                    for outcome in ("sent", "errors", "dropped")
                ),
                unit=units.OpsPerSecond,
                links=links,
            ),
            trend(
                "From Alertmanager to people",
                "Messages a second, by the kind of receiver, and those that failed. Good is no failed one.",
                Query(
                    f"sum by (integration) (rate(alertmanager_notifications_total{_RATE})) > 0",
                    "{{integration}}",
                ),
                Query(
                    f"sum by (integration) (rate(alertmanager_notifications_failed_total{_RATE})) > 0",
                    "{{integration}} failed",
                ),
                unit=units.OpsPerSecond,
                links=links,
            ),
            trend(
                "Alertmanagers",
                "Peers that each Alertmanager sees, itself included, and those that Prometheus found. "
                "Good is the same number everywhere: peers that do not see each other send a message twice.",
                Query("min(alertmanager_cluster_members)", "seen by the loneliest"),
                Query("max(alertmanager_cluster_failed_peers)", "failed"),
                Query("min(prometheus_notifications_alertmanagers_discovered)", "found by Prometheus"),
                unit=units.Short,
                links=links,
            ),
        ],
    )


def _storage(watched: Watched) -> Section:
    links = [runbook(watched, "VolumeFilling")]
    return Section(
        "Storage",
        [
            trend(
                "Series of Prometheus",
                "Series in memory. Good is level: a jump means a label with too many values.",
                Query("max(prometheus_tsdb_head_series)", "series"),
                unit=units.Short,
            ),
            trend(
                "Bytes of Prometheus",
                "Blocks, write-ahead log and chunks on disk of the fullest replica, and the size from which on old "
                "blocks go. Good is below it: then they go by their age.",
                Query(
                    "max(prometheus_tsdb_storage_blocks_bytes + prometheus_tsdb_wal_storage_size_bytes "
                    "+ prometheus_tsdb_head_chunks_storage_size_bytes)",
                    "stored",
                ),
                Query("min(prometheus_tsdb_retention_limit_bytes)", "limit"),
                unit=units.BytesIEC,
                links=links,
            ),
            number(
                "Prometheus remembers",
                f"The age of its oldest sample. Good is {watched.retention_days} days, once it is as old itself.",
                Query("time() - max(prometheus_tsdb_lowest_timestamp_seconds)"),
                unit=units.DurationSeconds,
            ),
            trend(
                "Used of each volume",
                "Volumes of Prometheus, Alertmanager and Elasticsearch. Good is below 80 %: from 85 % on Elasticsearch "
                "gives a node no new shards.",
                Query(volume_share(f'namespace="{NAMESPACE}"'), "{{persistentvolumeclaim}}"),
                unit=units.PercentUnit,
                steps=FILLING,
                highest=1,
                links=links,
            ),
        ],
    )


def _housekeeping(watched: Watched) -> Iterator[Section]:
    if watched.chores:
        yield Section(
            "Housekeeping",
            [
                trend(
                    f"Since {chore.name} succeeded",
                    f"Good is below {OVERDUE_PERIODS} of its periods.",
                    Query(f"time() - {last_success(chore)}", chore.name),
                    unit=units.DurationSeconds,
                    steps=((None, GOOD), (OVERDUE_PERIODS * chore.period / timedelta(seconds=1), WARNING)),
                    links=[runbook(watched, "HousekeepingOverdue")],
                )
                for chore in watched.chores
            ],
        )


def _traces() -> Section:
    return Section(
        "Jaeger",
        [
            trend(
                "Spans received",
                "Spans a second that Jaeger took, and those it refused. Good is none refused.",
                *(
                    Query(f"sum(rate(otelcol_receiver_{outcome}_spans_total{_RATE}))", outcome)
                    for outcome in ("accepted", "refused")
                ),
                unit=units.OpsPerSecond,
            ),
            trend(
                "Spans stored",
                "Spans a second that were written to storage, and those that failed. Good is none failed.",
                Query(f"sum(rate(otelcol_exporter_sent_spans_total{_RATE}))", "stored"),
                Query(f"sum(rate(otelcol_exporter_send_failed_spans_total{_RATE}))", "failed"),
                unit=units.OpsPerSecond,
            ),
            trend(
                "Memory of Jaeger",
                "Good is level. Where traces are kept in memory it rises to its bound and stays there.",
                Query('max(otelcol_process_memory_rss_bytes{job="jaeger"})', "resident"),
                unit=units.BytesIEC,
            ),
        ],
    )


def _grafana() -> Section:
    return Section(
        "Grafana",
        [
            trend(
                "Responses by code",
                "Responses a second. Good is no 5xx.",
                Query(
                    f"sum by (status_code) (rate(grafana_http_request_duration_seconds_count{_RATE}))",
                    "{{status_code}}",
                ),
                unit=units.RequestsPerSecond,
                stacked=True,
            ),
            trend(
                "Latency P99",
                "The time within which 99 of 100 requests are answered. Good is below 2 s.",
                Query(
                    f"histogram_quantile(0.99, sum by (le) (rate(grafana_http_request_duration_seconds_bucket{_RATE})))",
                    "P99",
                ),
                unit=units.Seconds,
                steps=((None, GOOD), (2, WARNING)),
            ),
            trend(
                "Queries to data sources",
                "Queries a second, by data source and outcome. Good is no error.",
                Query(
                    f"sum by (plugin_id, status) (rate(grafana_plugin_request_total{_RATE}))",
                    "{{plugin_id}} {{status}}",
                ),
                unit=units.RequestsPerSecond,
            ),
        ],
    )
