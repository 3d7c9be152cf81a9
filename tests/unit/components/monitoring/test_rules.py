"""Rules are plain data, rendered from typed objects. What they do is judged in tests/rules."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from components.monitoring.metrics import configuration
from components.monitoring.rules import (
    CHORE_IMPACT,
    IMPACT,
    JOB_IMPACT,
    PART_IMPACT,
    Alert,
    RecoveryWatched,
    Watched,
    alerts,
    error_ratio,
    jobs,
    recorded,
    rule_file,
)
from operations.metrics import KEY_METRICS, Level
from operations.monitoring import DATADOG, INDEX_CLEANER, LOG_SWEEP, Part
from operations.priorities import Priority
from operations.promises import RESTORE
from operations.slo import BURN_RATES

LIVE = Watched(
    environment="live",
    sla=99.99,
    services=("api", "web"),
    replicas=dict.fromkeys(Part, 1),
    grafana_url="https://grafana.quikapp.example",
    runbooks_url="https://docs.quikapp.example/runbooks",
    retention_days=31,
    recovery=RecoveryWatched(recovery_point=timedelta(seconds=30), restore_test_days=7),
    chores=(LOG_SWEEP, INDEX_CLEANER),
    databases={"home": ("home-0", "home-1"), "recovery": ("recovery-0",)},
)
DEV = replace(
    LIVE,
    environment="dev",
    sla=None,
    recovery=None,
    replicas=dict.fromkeys(frozenset(Part) - DATADOG, 1),
    chores=(LOG_SWEEP,),
    databases={"home": ("home-0",)},
)


def minutes(alert: Alert) -> tuple[float | None, float | None]:
    """How long its breach lasts before it fires, and it after its breach."""
    spans = (alert.hold, alert.keep_firing)
    hold, keep = (None if span is None else span.total_seconds() / 60 for span in spans)
    return hold, keep


def recordings(watched: Watched) -> list[str]:
    return [
        rule["record"]
        for group in rule_file(watched)["groups"]
        for rule in group["rules"]
        if "record" in rule
    ]


def test_who_hears_of_what_and_when() -> None:
    """Name, what tells it from others of its name, priority, minutes until it fires, minutes that it outlives its cause."""
    found = [
        (alert.name, " ".join(alert.labels.values()), alert.priority, *minutes(alert))
        for alert in alerts(LIVE)
    ]
    assert found == [
        ("ApiLatencyP99", "", "P3", 5, 5),
        ("ApiLatencyP99", "", "P1", 2, 5),
        ("ErrorRate", "", "P3", 5, 5),
        ("ErrorRate", "", "P1", 2, 5),
        ("CpuUsage", "", "P3", 5, 5),
        ("CpuUsage", "", "P1", 2, 5),
        ("MemoryUsage", "", "P3", 5, 5),
        ("MemoryUsage", "", "P1", 2, 5),
        ("PodRestarts", "", "P3", 5, 5),
        ("PodRestarts", "", "P1", 2, 5),
        ("ErrorBudgetBurn", "fastest", "P1", 2, 5),
        ("ErrorBudgetBurn", "fast", "P2", 2, 5),
        ("ErrorBudgetBurn", "slow", "P3", 2, 5),
        ("ErrorBudgetBurn", "slowest", "P4", 2, 5),
        ("ServiceDown", "api", "P1", 2, 5),
        ("ServiceDown", "web", "P1", 2, 5),
        ("NodeDown", "", "P2", 5, 5),
        ("BackupOverdue", "database BackupAge", "P3", None, 5),
        ("BackupOverdue", "database BackupAge", "P2", None, 5),
        ("RecoveryUnknown", "database BackupAge", "P3", 1440, 5),
        ("BackupOverdue", "files BackupAge", "P3", None, 5),
        ("BackupOverdue", "files BackupAge", "P2", None, 5),
        ("RecoveryUnknown", "files BackupAge", "P3", 1440, 5),
        ("BackupOverdue", "files CopyAge", "P3", None, 5),
        ("BackupOverdue", "files CopyAge", "P2", None, 5),
        ("RecoveryUnknown", "files CopyAge", "P3", 1440, 5),
        ("DatabaseInstanceMissing", "home", "P2", 15, 5),
        ("DatabaseInstanceMissing", "recovery", "P2", 15, 5),
        ("ReplicationLag", "recovery-point", "P3", 5, 5),
        ("ReplicationLag", "recovery-point", "P1", 2, 5),
        ("ReplicationLag", "replication", "P3", 5, 5),
        ("RecoveryUnknown", "database AuroraGlobalDBRPOLag", "P2", 15, 5),
        ("RestoreTestOverdue", "database", "P3", None, 5),
        ("RecoveryUnknown", "database RestoreAge", "P3", 1440, 5),
        ("RestoreTooSlow", "database", "P3", None, 5),
        ("RestoreBeyondPlan", "database", "P3", None, 5),
        ("RestoreTestOverdue", "files", "P3", None, 5),
        ("RecoveryUnknown", "files RestoreAge", "P3", 1440, 5),
        ("RestoreTooSlow", "files", "P3", None, 5),
        ("RestoreBeyondPlan", "files", "P3", None, 5),
        ("MonitoringPartMissing", "prometheus", "P2", 15, 5),
        ("MonitoringPartMissing", "alertmanager", "P2", 15, 5),
        ("MonitoringPartMissing", "grafana", "P3", 15, 5),
        ("MonitoringPartMissing", "jaeger", "P3", 15, 5),
        ("MonitoringPartMissing", "elasticsearch", "P3", 15, 5),
        ("MonitoringPartMissing", "logstash", "P3", 15, 5),
        ("MonitoringPartMissing", "kibana", "P3", 15, 5),
        ("MonitoringPartMissing", "filebeat", "P3", 15, 5),
        ("MonitoringPartMissing", "datadog-agent", "P3", 15, 5),
        ("MonitoringPartMissing", "datadog-cluster-agent", "P3", 15, 5),
        ("MonitoringPartMissing", "cloudwatch-exporter", "P2", 15, 5),
        ("ScrapeTargetMissing", "kube-state-metrics", "P2", 15, 5),
        ("ScrapeTargetMissing", "cadvisor", "P2", 15, 5),
        ("ScrapeTargetMissing", "kubelet", "P3", 15, 5),
        ("ScrapeTargetMissing", "node-exporter", "P3", 15, 5),
        ("ScrapeTargetMissing", "apiserver", "P3", 15, 5),
        ("ScrapeTargetMissing", "kube-scheduler", "P3", 15, 5),
        ("ScrapeTargetMissing", "kube-controller-manager", "P3", 15, 5),
        ("ScrapeTargetMissing", "prometheus", "P2", 15, 5),
        ("ScrapeTargetMissing", "alertmanager", "P2", 15, 5),
        ("ScrapeTargetMissing", "grafana", "P3", 15, 5),
        ("ScrapeTargetMissing", "jaeger", "P3", 15, 5),
        ("ScrapeTargetMissing", "cloudwatch-exporter", "P2", 15, 5),
        ("HousekeepingOverdue", "log-sweep", "P3", None, 5),
        ("HousekeepingOverdue", "jaeger-index-cleaner", "P3", None, 5),
        ("VolumeFilling", "", "P2", 15, 5),
        ("AlertsNotDelivered", "prometheus", "P2", 10, None),
        ("AlertsNotDelivered", "alertmanager", "P2", 5, None),
        ("RuleEvaluationFailing", "", "P2", 5, None),
        ("Watchdog", "", None, None, None),
    ]


def test_every_level_of_a_key_metric_judges_the_recorded_value_strictly() -> None:
    expressions = {alert.expression for alert in alerts(LIVE)}
    assert {
        f"{recorded(metric)} > {metric.threshold(level):g}" for metric in KEY_METRICS for level in Level
    } <= (expressions)


def test_each_value_is_recorded_once() -> None:
    assert recordings(LIVE) == [
        "slot_service:api_latency_p99:5m",
        "slot_service:error_rate:5m",
        "slot_service:cpu_usage:5m",
        "slot_service:memory_usage:5m",
        "slot_service:pod_restarts:1h",
        "slot_service:requests:rate5m",
        "slot_service:errors:rate5m",
        "environment:requests:rate5m",
        "environment:errors:rate5m",
        "environment:error_ratio:5m",
        "environment:error_ratio:30m",
        "environment:error_ratio:1h",
        "environment:error_ratio:2h",
        "environment:error_ratio:6h",
        "environment:error_ratio:1d",
        "environment:error_ratio:3d",
        "environment:error_ratio:30d",
        "environment:error_budget_left:ratio",
    ]


def test_alerts_about_the_application_read_recorded_series_only() -> None:
    for alert in alerts(LIVE):
        assert not re.search(r"\b(http_|container_)", alert.expression), alert.name


def test_what_is_recorded_comes_before_what_reads_it_in_the_same_group() -> None:
    for group in rule_file(LIVE)["groups"]:
        made: set[str] = set()
        for rule in group["rules"]:
            assert set(re.findall(r"\w+:\w+:\w+", rule["expr"])) <= made, rule
            made.add(rule.get("record", ""))


def test_every_span_that_a_burn_rate_looks_back_on_is_recorded_also_where_nothing_is_promised() -> None:
    spans = {error_ratio(span) for rate in BURN_RATES for span in (rate.short, rate.long)}
    assert spans <= set(recordings(DEV))


def test_without_an_sla_there_is_no_budget_to_burn_and_none_left() -> None:
    assert "ErrorBudgetBurn" not in {alert.name for alert in alerts(DEV)}
    assert "environment:error_budget_left:ratio" not in recordings(DEV)
    assert "error_ratio:30d" not in str(rule_file(DEV))


@pytest.mark.parametrize(
    ("sla", "rates"),
    [
        (95, ["fastest", "fast", "slow", "slowest"]),
        (93, ["fast", "slow", "slowest"]),
        (80, ["slow", "slowest"]),
        (50, ["slowest"]),
    ],
)
def test_a_rate_that_no_outage_reaches_raises_no_alert(sla: float, rates: list[str]) -> None:
    burns = [
        alert.labels["burn_rate"]
        for alert in alerts(replace(LIVE, sla=sla))
        if alert.name == "ErrorBudgetBurn"
    ]
    assert burns == rates


@pytest.mark.parametrize(("days", "span"), [(3, "3d"), (7, "7d"), (30, "30d"), (31, "30d"), (365, "30d")])
def test_the_budget_is_counted_over_thirty_days_or_what_is_remembered(days: int, span: str) -> None:
    watched = replace(LIVE, retention_days=days)
    (left,) = [
        rule["expr"]
        for group in rule_file(watched)["groups"]
        for rule in group["rules"]
        if rule.get("record") == "environment:error_budget_left:ratio"
    ]
    assert left == f"1 - environment:error_ratio:{span} / 0.0001"
    assert f"environment:error_ratio:{span}" in recordings(watched)


def test_without_recovery_objectives_backups_and_instances_are_watched_and_nothing_else_of_recovery() -> None:
    def watched(environment: Watched) -> set[str]:
        (group,) = [group for group in rule_file(environment)["groups"] if group["name"] == "recovery"]
        return {rule["alert"] for rule in group["rules"] if "alert" in rule}

    assert watched(DEV) == {"BackupOverdue", "RecoveryUnknown", "DatabaseInstanceMissing"}
    assert watched(LIVE) == watched(DEV) | {
        "ReplicationLag",
        "RestoreTestOverdue",
        "RestoreTooSlow",
        "RestoreBeyondPlan",
    }
    assert "Restore" not in str(rule_file(DEV))
    assert "aws_rds_aurora_global" not in str(rule_file(DEV))


@pytest.mark.parametrize("seconds", [0, 60, 90])
def test_commits_that_wait_only_beyond_the_promised_recovery_point_are_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match=r"recovery_point is .*: allowed is above zero and below 0:01:00"):
        RecoveryWatched(recovery_point=timedelta(seconds=seconds), restore_test_days=7)


def test_restores_that_are_never_tested_are_refused() -> None:
    with pytest.raises(ValueError, match="restore_test_days is 0: allowed is 1 and more"):
        RecoveryWatched(recovery_point=timedelta(seconds=30), restore_test_days=0)


@pytest.mark.parametrize(("bound", "thresholds"), [(20, ["10", "18", "10"]), (59, ["29.5", "53.1", "29.5"])])
def test_lag_is_judged_by_where_commits_wait(bound: int, thresholds: list[str]) -> None:
    recovery = RecoveryWatched(recovery_point=timedelta(seconds=bound), restore_test_days=7)
    assert [
        alert.expression.rpartition(" > ")[2]
        for alert in alerts(replace(LIVE, recovery=recovery))
        if alert.name == "ReplicationLag"
    ] == thresholds


@pytest.mark.parametrize("alert", ["RecoveryUnknown", "DatabaseInstanceMissing"])
def test_what_is_missing_may_be_so_for_longer_than_the_exporter_may_be_silent(alert: str) -> None:
    """Else a scrape that fails would begin the hold anew, or an exporter that is gone would count as one that answers."""
    for one in (one for one in alerts(LIVE) if one.name == alert):
        (found,) = re.findall(r"max_over_time\(up\{[^}]*\}\[(\d+)([mh])\]", one.expression)
        within = timedelta(**{{"m": "minutes", "h": "hours"}[found[1]]: int(found[0])})
        assert one.hold is not None
        assert timedelta(minutes=5) <= within < one.hold


def test_a_silence_of_slow_restores_does_not_hide_one_that_is_beyond_all_plans() -> None:
    """The runbook silences by the alert's name, as long as the risk is accepted."""
    slow, beyond = (
        {one.expression.rpartition(" > ")[2] for one in alerts(LIVE) if one.name == name}
        for name in ("RestoreTooSlow", "RestoreBeyondPlan")
    )
    assert (slow, beyond) == ({"900"}, {f"{RESTORE // timedelta(seconds=1)}"})


def test_a_part_that_the_stack_lacks_is_not_missed() -> None:
    missed = {alert.labels["part"] for alert in alerts(DEV) if alert.name == "MonitoringPartMissing"}
    assert missed == frozenset(Part) - DATADOG
    without = replace(LIVE, replicas={Part.PROMETHEUS: 1})
    assert jobs(without) == (
        "kube-state-metrics",
        "cadvisor",
        "kubelet",
        "node-exporter",
        "apiserver",
        "kube-scheduler",
        "kube-controller-manager",
        "prometheus",
    )


def test_every_scrape_job_is_watched() -> None:
    scraped = configuration(
        slot_namespaces=["quikapp-blue"], external_labels={}, retention_days=31, storage_gib=50
    )["scrape_configs"]
    watched_by_its_services = {"slots"}
    assert {job["job_name"] for job in scraped} == {*jobs(LIVE), *watched_by_its_services}


def test_a_part_is_looked_for_as_the_kind_that_it_is() -> None:
    kinds = {
        alert.labels["part"]: found.group()
        for alert in alerts(LIVE)
        if alert.name == "MonitoringPartMissing"
        and (found := re.search(r"statefulset|deployment|daemonset", alert.expression))
    }
    assert kinds == {
        "prometheus": "statefulset",
        "alertmanager": "statefulset",
        "grafana": "deployment",
        "jaeger": "deployment",
        "elasticsearch": "statefulset",
        "logstash": "statefulset",
        "kibana": "deployment",
        "filebeat": "daemonset",
        "datadog-agent": "daemonset",
        "datadog-cluster-agent": "deployment",
        "cloudwatch-exporter": "deployment",
    }


def test_every_metric_part_and_alert_has_its_impact() -> None:
    assert set(IMPACT) == {metric.name for metric in KEY_METRICS}
    assert set(PART_IMPACT) == set(Part)
    assert set(CHORE_IMPACT) == {LOG_SWEEP, INDEX_CLEANER}
    assert set(JOB_IMPACT) >= {Part.PROMETHEUS, Part.ALERTMANAGER}
    assert all(alert.impact and alert.summary for alert in alerts(LIVE))


@pytest.mark.parametrize(
    ("priority", "severity"), [("P1", "critical"), ("P2", "critical"), ("P3", "warning"), ("P4", "warning")]
)
def test_what_pages_is_critical_and_what_is_reviewed_a_warning(priority: str, severity: str) -> None:
    (alert, *_) = alerts(LIVE)
    assert replace(alert, priority=Priority(priority)).severity == severity


@pytest.mark.parametrize(
    ("name", "runbook"),
    [
        ("ApiLatencyP99", "api-latency-p99.md"),
        ("CpuUsage", "cpu-usage.md"),
        ("MonitoringPartMissing", "monitoring-part-missing.md"),
        ("Watchdog", "watchdog.md"),
    ],
)
def test_a_runbook_is_called_like_its_alert(name: str, runbook: str) -> None:
    (alert, *_) = alerts(LIVE)
    assert replace(alert, name=name).runbook == runbook


def test_the_same_facts_render_to_the_same_bytes() -> None:
    def rendered(watched: Watched) -> str:
        return json.dumps(rule_file(watched))

    turned = replace(LIVE, replicas=dict(reversed([*LIVE.replicas.items()])))
    assert rendered(LIVE) == rendered(turned)
    assert rendered(LIVE) != rendered(DEV)
