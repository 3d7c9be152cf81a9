"""The operations page's tables, word for word, against the facts that stand for them."""

from datetime import timedelta
from typing import Final

import pytest

from operations.backup import SCHEDULE, Data, retention_days
from operations.environments import PAGE, EnvironmentName, Gate, error_budget
from operations.incidents import OBJECTIVES, Severity, Step
from operations.ladder import LADDER
from operations.metrics import KEY_METRICS, Level
from operations.priorities import PRIORITY_OF_LEVEL, ROUTES, Paging, Priority, Review
from operations.recovery import RPO, RTO

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


def test_environments() -> None:
    assert [(name, promise.purpose, promise.sla, promise.gate) for name, promise in PAGE.items()] == [
        ("dev", "Development", None, "auto"),
        ("qa", "Testing", 95, "manual"),
        ("uat", "Acceptance", 99, "manual"),
        ("staging", "Pre-prod", 99.9, "approval"),
        ("live", "Production", 99.99, "cab"),
    ]
    assert list(PAGE) == list(EnvironmentName)


def test_gates_from_the_least_to_the_most_strict() -> None:
    assert sorted(Gate, key=lambda gate: gate.strictness) == ["auto", "manual", "approval", "cab"]


@pytest.mark.parametrize(
    ("sla", "budget"),
    [(95, 36 * HOUR), (99, 7.2 * HOUR), (99.9, 43.2 * MINUTE), (99.99, 4.32 * MINUTE), (50, 15 * DAY)],
)
def test_the_error_budget_of_thirty_days(sla: float, budget: timedelta) -> None:
    assert error_budget(sla) == budget


@pytest.mark.parametrize("sla", [0, 100, -1, 101, float("nan"), float("inf")])
def test_an_sla_out_of_range_has_no_error_budget(sla: float) -> None:
    with pytest.raises(ValueError, match="out of range"):
        error_budget(sla)


def test_the_canary_ladder() -> None:
    assert [(phase.weight, phase.bake) for phase in LADDER] == [
        (5, 15 * MINUTE),
        (25, 30 * MINUTE),
        (50, 1 * HOUR),
        (100, timedelta()),
    ]


def test_key_metrics() -> None:
    assert [
        (metric.title, *(f"> {metric.display(metric.threshold(level))}" for level in Level))
        for metric in KEY_METRICS
    ] == [
        ("API Latency P99", "> 200ms", "> 500ms"),
        ("Error Rate", "> 0.5%", "> 1%"),
        ("CPU Usage", "> 70%", "> 85%"),
        ("Memory Usage", "> 75%", "> 90%"),
        ("Pod Restarts", "> 2/hour", "> 5/hour"),
    ]


def test_alert_routes() -> None:
    assert [
        (priority, route.title, route.paging, route.escalation, route.channel, route.review)
        for priority, route in ROUTES.items()
    ] == [
        (
            "P1",
            "Critical",
            Paging.ALWAYS,
            ("On-call Engineer", "Team Lead", "Engineering Manager"),
            None,
            None,
        ),
        ("P2", "High", Paging.BUSINESS_HOURS, (), "#incidents", None),
        ("P3", "Medium", None, (), "#alerts", Review.DAILY),
        ("P4", "Low", None, (), "#alerts", Review.WEEKLY),
    ]
    assert list(ROUTES) == list(Priority)


def test_a_critical_breach_pages_and_a_warning_waits_for_the_days_review() -> None:
    assert dict(PRIORITY_OF_LEVEL) == {Level.CRITICAL: Priority.P1, Level.WARNING: Priority.P3}


def test_incident_severities() -> None:
    assert [(severity, o.description, o.response, o.resolution) for severity, o in OBJECTIVES.items()] == [
        ("SEV1", "Total outage", 5 * MINUTE, 1 * HOUR),
        ("SEV2", "Major degradation", 15 * MINUTE, 4 * HOUR),
        ("SEV3", "Minor impact", 1 * HOUR, 24 * HOUR),
        ("SEV4", "No user impact", 24 * HOUR, None),
    ]
    assert list(OBJECTIVES) == list(Severity)


def test_the_incident_process() -> None:
    assert list(Step) == ["Detection", "Triage", "Mitigation", "Resolution", "Postmortem"]


def test_the_backup_schedule() -> None:
    assert [(data, b.frequency, b.retention, b.location) for data, b in SCHEDULE.items()] == [
        ("database", "Continuous", 35 * DAY, "Multi-region"),
        ("files", "Daily", 90 * DAY, "S3 + Glacier"),
        ("configs", "On change", None, "Git"),
        ("logs", "Real-time", 30 * DAY, "Elasticsearch"),
    ]
    assert list(SCHEDULE) == list(Data)


def test_what_is_kept_without_limit_has_no_days() -> None:
    with pytest.raises(ValueError, match="configs are kept without limit"):
        retention_days(Data.CONFIGS)


def test_recovery_objectives() -> None:
    assert (RPO, RTO) == (1 * MINUTE, 15 * MINUTE)


def test_no_table_can_be_changed() -> None:
    for table in (PAGE, ROUTES, OBJECTIVES, SCHEDULE, PRIORITY_OF_LEVEL):
        assert not hasattr(table, "__setitem__")
