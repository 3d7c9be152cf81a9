"""What an environment keeps of the operations page's "Backup Schedule" and "Recovery Objectives", row by row."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.monitoring.metrics import SCRAPE_SECONDS
from components.monitoring.routes import HEARTBEAT_PACE, pace
from components.monitoring.rules import HOLD
from operations import promises
from operations.backup import Data
from operations.facts import EnvironmentFacts
from operations.metrics import Level
from operations.priorities import ROUTES, Priority
from operations.promises import (
    Declared,
    GlobalDatabase,
    Part,
    Point,
    Recovery,
    Step,
    Subject,
    breaches,
    kept,
    summary,
)
from operations.recovery import AT_RISK, Loss, Risk, Site, spelled
from operations.retention import LockMode, StorageClass
from rehearsal.recover import cluster, region
from settings import parse
from tests.unit.stack_configuration import SECRETS, STACKS, changed, configuration, document

SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
LOCKED: Final = ("staging", "live")
"""The environments with recovery objectives."""


def facts(stack: str, **changes: object) -> EnvironmentFacts:
    return parse(stack, configuration(changed(document(stack), changes)), SECRETS)


def with_a_recovery_region(stack: str) -> EnvironmentFacts:
    """The facts of a stack that calls nobody, were it to have recovery objectives."""
    risks = [risk for risk in Risk if risk is not Risk.BUDGET_SPENT]
    changes = {
        "quikapp:recovery": {
            "network": {"cidr": "10.130.0.0/16", "zones": ["a", "b"]},
            "instances": 1,
            "recoveryPointSeconds": 30,
            "restoreTestDays": 7,
            "acceptedRisks": risks,
        },
        "quikapp:cluster.deletionProtection": True,
        "quikapp:database.serverless": {"minAcu": 8, "maxAcu": 16},
    }
    return facts(stack, **changes)


@pytest.fixture(scope="module")
def live() -> Declared:
    return facts("live").declared


@pytest.fixture(scope="module")
def staging() -> Declared:
    return facts("staging").declared


@pytest.fixture(scope="module")
def uat() -> Declared:
    return facts("uat").declared


def of(declared: Declared, loss: Loss, subject: Subject) -> Recovery:
    (found,) = (r for r in kept(declared).recoveries if (r.loss, r.subject) == (loss, subject))
    return found


def places(declared: Declared, data: Data) -> dict[str, int | None]:
    return {stored.place: stored.days for stored in kept(declared).retention if stored.data is data}


def told(declared: Declared) -> list[str]:
    return [str(fault) for fault in breaches(declared)]


# --- the page's "Backup Schedule", row by row --------------------------------------------------------------------------


@pytest.mark.parametrize("stack", STACKS)
def test_database_continuous_35_days_multi_region(stack: str) -> None:
    assert places(facts(stack).declared, Data.DATABASE) == {
        "home: Aurora's continuous backup": 35,
        "home: vault": 35,
        "recovery: vault": 35,
    }
    plan = facts(stack).vault_plan(Data.DATABASE)
    assert (plan.keep_days, plan.copy_days) == (35, 35)


@pytest.mark.parametrize("stack", STACKS)
def test_files_daily_90_days_s3_and_glacier(stack: str) -> None:
    assert places(facts(stack).declared, Data.FILES) == {
        "recovery: backup bucket, S3 Glacier Instant Retrieval": 90,
        "home: vault": 90,
        "recovery: vault": 90,
    }
    plan = facts(stack).files_plan
    assert (plan.keep_days, [step.storage_class for step in plan.transitions]) == (
        90,
        [StorageClass.GLACIER_INSTANT],
    )
    assert plan.object_lock_days == (90 if stack in LOCKED else None)
    # Daily: older by half a day, and an alert has told of it.
    assert of(facts(stack).declared, Loss.REGION, Subject.FILES).point.loses == 1.5 * DAY


@pytest.mark.parametrize("stack", STACKS)
def test_configs_on_change_unlimited_git(stack: str) -> None:
    declared = facts(stack).declared

    assert places(declared, Data.CONFIGS) == {"Git": None}
    point = of(declared, Loss.CLUSTER, Subject.APPLICATION).point
    assert (point.mechanism, point.loses) == ("Git", timedelta())


@pytest.mark.parametrize("stack", STACKS)
def test_logs_real_time_30_days_elasticsearch(stack: str) -> None:
    assert places(facts(stack).declared, Data.LOGS) == {"Elasticsearch": 30}


@pytest.mark.parametrize(
    ("stack", "mode"),
    [
        ("dev", None),
        ("qa", None),
        ("uat", None),
        ("staging", LockMode.GOVERNANCE),
        ("live", LockMode.COMPLIANCE),
    ],
)
def test_vaults_are_locked_from_an_sla_of_99_9_and_for_good_from_99_99(
    stack: str, mode: LockMode | None
) -> None:
    for data, days in ((Data.DATABASE, 35), (Data.FILES, 90)):
        lock = facts(stack).vault_plan(data).lock
        assert (lock and (lock.mode, lock.min_days)) == (mode and (mode, days))


def test_vaults_are_locked_where_recovery_objectives_hold_whatever_the_sla() -> None:
    without, declared = facts("uat"), with_a_recovery_region("uat")

    assert (without.lock, declared.lock) == (None, LockMode.GOVERNANCE)
    assert declared.declared.objectives


def test_what_is_kept_without_limit_has_no_vault() -> None:
    with pytest.raises(KeyError):
        facts("live").vault_plan(Data.CONFIGS)


# --- the page's "Recovery Objectives", row by row ------------------------------------------------------------------------


@pytest.mark.parametrize("stack", LOCKED)
def test_rpo_below_1_minute_where_the_writer_or_the_region_is_lost(stack: str) -> None:
    declared = facts(stack).declared
    writer, region = (of(declared, loss, Subject.DATABASE).point for loss in (Loss.WRITER, Loss.REGION))

    assert (writer.loses, writer.risk) == (timedelta(), None)
    assert (region.mechanism, region.loses, region.risk) == ("Aurora global database", 30 * SECOND, None)


@pytest.mark.parametrize(
    ("loss", "subject", "mechanism", "risk"),
    [
        (Loss.MIGRATION, Subject.DATABASE, "point-in-time recovery", Risk.MIGRATION_RESTORED),
        (Loss.RANSOMWARE, Subject.DATABASE, "daily recovery point in a vault", Risk.RANSOMWARE_RESTORED),
        (Loss.RANSOMWARE, Subject.FILES, "daily recovery point in a vault", Risk.RANSOMWARE_RESTORED),
    ],
)
def test_rpo_below_1_minute_is_not_what_going_back_to_before_the_harm_keeps_and_that_is_a_risk(
    live: Declared, loss: Loss, subject: Subject, mechanism: str, risk: Risk
) -> None:
    found = of(live, loss, subject)

    # Nobody knows beforehand how long the harm goes unseen.
    assert (found.point.mechanism, found.point.loses) == (mechanism, None)
    assert risk in found.risks


def test_rto_below_15_minutes_in_parts_where_live_loses_its_region(live: Declared) -> None:
    found = of(live, Loss.REGION, Subject.DATABASE)

    assert [(part.step, part.takes) for part in found.parts] == [
        ("detection", 5 * MINUTE),
        ("response", 5 * MINUTE),
        ("decision", 2 * MINUTE),
        ("failover", 2 * MINUTE),
        ("endpoint", 30 * SECOND),
        ("reconnection", 10 * SECOND),
    ]
    assert found.time == 14 * MINUTE + 40 * SECOND
    assert found.risks == frozenset()


@pytest.mark.parametrize(
    ("loss", "subject", "time", "risks"),
    [
        (Loss.WRITER, Subject.DATABASE, 100 * SECOND, set[Risk]()),
        (Loss.REGION, Subject.APPLICATION, None, {Risk.APPLICATION_REBUILT}),
        (Loss.REGION, Subject.FILES, None, {Risk.FILES_DAILY, Risk.APPLICATION_REBUILT}),
        (Loss.MIGRATION, Subject.DATABASE, 3 * HOUR + 10 * MINUTE + 30 * SECOND, {Risk.MIGRATION_RESTORED}),
        (Loss.FILE, Subject.FILE, 7 * MINUTE, set[Risk]()),
        (Loss.CLUSTER, Subject.APPLICATION, 57 * MINUTE, {Risk.APPLICATION_REBUILT}),
        (Loss.RANSOMWARE, Subject.DATABASE, 3 * HOUR + 7 * MINUTE, {Risk.RANSOMWARE_RESTORED}),
        (Loss.RANSOMWARE, Subject.FILES, 3 * HOUR + 7 * MINUTE, {Risk.RANSOMWARE_RESTORED}),
    ],
)
def test_rto_below_15_minutes_is_kept_in_live_or_a_risk_stands_for_it(
    live: Declared, loss: Loss, subject: Subject, time: timedelta | None, risks: set[Risk]
) -> None:
    found = of(live, loss, subject)

    assert (found.time, found.risks) == (time, risks)


def test_rto_below_15_minutes_has_no_bound_where_nobody_is_called(staging: Declared) -> None:
    found = of(staging, Loss.REGION, Subject.DATABASE)

    assert found.time is None
    assert found.risks == {Risk.NOBODY_CALLED}
    # The losses that heal by themselves wait for nobody.
    assert of(staging, Loss.WRITER, Subject.DATABASE).time == 100 * SECOND


@pytest.mark.parametrize(("stack", "paged"), [("staging", False), ("live", True)])
def test_what_takes_prometheus_along_is_told_by_the_heartbeat(stack: str, paged: bool) -> None:
    declared = facts(stack).declared
    for loss in (Loss.CLUSTER, Loss.REGION):
        for found in kept(declared).recoveries:
            if found.loss is loss:
                detection = found.parts[0]
                assert detection.step is Step.DETECTION
                assert (detection.takes, detection.risk) == (
                    (5 * MINUTE, None) if paged else (None, Risk.NOBODY_CALLED)
                )


@pytest.mark.parametrize("stack", STACKS)
def test_no_part_that_nobody_has_ever_done_has_a_bound(stack: str) -> None:
    drilled = {(cluster.LOSS, cluster.SUBJECT), (region.LOSS, region.SUBJECT)}
    lost = {Loss.CLUSTER, Loss.REGION}
    for found in kept(facts(stack).declared).recoveries:
        done = {part.step for part in found.parts if part.takes is not None}
        if found.loss in lost and (found.loss, found.subject) not in drilled:
            assert not done & {Step.FAILOVER, Step.RESTORE, Step.REBUILD}, f"{found.loss}: {found.subject}"
            assert found.time is None


def test_a_writer_without_readers_is_made_anew(live: Declared) -> None:
    assert of(replace(live, instances=1), Loss.WRITER, Subject.DATABASE).time == 10 * MINUTE + 40 * SECOND


@pytest.mark.parametrize(
    ("stack", "site", "time"),
    [
        ("staging", Site.HOME, 100 * SECOND),
        ("staging", Site.RECOVERY, 10 * MINUTE + 40 * SECOND),
        ("live", Site.RECOVERY, 100 * SECOND),
    ],
)
def test_a_writer_is_replaced_by_what_there_is_where_it_is(stack: str, site: Site, time: timedelta) -> None:
    declared = facts(stack, **{"quikapp:recovery.writer": site.value}).declared

    assert of(declared, Loss.WRITER, Subject.DATABASE).time == time


def test_every_loss_of_the_runbooks_has_a_recovery(live: Declared) -> None:
    assert {recovery.loss for recovery in kept(live).recoveries} == set(Loss)


def test_every_part_and_every_point_names_its_source(live: Declared) -> None:
    for recovery in kept(live).recoveries:
        for source in (recovery.point.source, *(part.source for part in recovery.parts)):
            assert source.startswith(("https://", "the operations page, ", "docs/adr/0014-"))


def test_a_part_without_a_bound_has_a_risk_to_be_accepted_under() -> None:
    with pytest.raises(ValueError, match="a response without a bound has no risk"):
        Part(Step.RESPONSE, None, "the operations page")


def test_a_point_without_a_bound_has_a_risk_to_be_accepted_under() -> None:
    with pytest.raises(ValueError, match="a snapshot without a bound has no risk"):
        Point("snapshot", None, "the operations page")


def test_an_outage_is_seen_as_late_as_the_monitoring_is_configured_to_see_it(live: Declared) -> None:
    assert timedelta(seconds=SCRAPE_SECONDS) == promises.SCRAPE
    assert HOLD[Level.CRITICAL] == promises.OUTAGE_HOLD
    assert pace(ROUTES[Priority.P1]).wait == promises.GROUP_WAIT
    # One scrape, one evaluation of the rules, the hold and the wait.
    seen = 2 * SCRAPE_SECONDS * SECOND + HOLD[Level.CRITICAL] + pace(ROUTES[Priority.P1]).wait
    assert of(live, Loss.MIGRATION, Subject.DATABASE).parts[0].takes == seen


def test_a_heartbeat_or_two_may_be_late_before_their_end_is_believed() -> None:
    # It repeats at the first interval at which that long has passed.
    assert HEARTBEAT_PACE.repeat + HEARTBEAT_PACE.interval <= promises.HEARTBEAT / 3


# --- what falls short ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", STACKS)
def test_a_committed_stack_keeps_what_it_promises_or_accepts_the_risk(stack: str) -> None:
    assert told(facts(stack).declared) == []


def test_without_a_recovery_region_all_that_falls_short_is_told_at_once_and_what_would_mend_it(
    live: Declared,
) -> None:
    missing, slow, *risks = told(replace(live, recovery=None))

    assert missing == (
        "quikapp:recovery: is missing; the operations page promises a recovery point < 1 min; after a loss of the region "
        "the daily copy in a vault of the recovery region may have lost 1 d 12 h; declare an Aurora global database here, "
        "with a network and instances in the recovery region"
    )
    assert slow == (
        "quikapp:recovery: the operations page promises a recovery time < 15 min; after a loss of the region the database "
        "takes 3 h 12 min, most of it for the restore; to shorten that: declare an Aurora global database in "
        "quikapp:recovery, which fails over instead"
    )
    # Those that are left once it is declared: whoever does so and accepts them is told nothing more.
    left = [risk.split(" is missing; ")[0].removeprefix("quikapp:recovery.acceptedRisks: ") for risk in risks]
    database = GlobalDatabase(recovery_point=30 * SECOND, accepted=tuple(map(Risk, left)))
    assert told(replace(live, recovery=database)) == []


@pytest.mark.parametrize(
    ("risk", "report"),
    [
        (
            Risk.NOBODY_CALLED,
            "the operations page promises a recovery time < 15 min, and a response within 5 min to SEV1, and that is at "
            "risk: Without PagerDuty alerts go to Slack alone: nobody is sure to answer within the response time, so the "
            "recovery time has no bound. Accept the risk here, by its name, or mend it: declare quikapp:monitoring.paging",
        ),
        (
            Risk.BUDGET_SPENT,
            "the operations page promises both an SLA and a recovery time < 15 min, and that is at risk: One incident "
            "that lasts as long as the recovery time spends more than the error budget of 30 days. One of 15 min spends "
            "347 % of the error budget. Accept the risk here, by its name, or mend it: it takes a lower "
            "quikapp:environment.sla, where the page allows one",
        ),
    ],
)
def test_a_risk_that_is_not_accepted_names_its_promise_and_what_else_would_mend_it(
    live: Declared, risk: Risk, report: str
) -> None:
    unpaged = replace(live, paged=False)
    accepted = tuple(other for other in Risk if other is not risk)

    recovery = GlobalDatabase(recovery_point=30 * SECOND, accepted=accepted)
    assert told(replace(unpaged, recovery=recovery)) == [
        f"quikapp:recovery.acceptedRisks: {risk} is missing; {report}"
    ]


def test_without_objectives_nothing_falls_short(uat: Declared) -> None:
    assert kept(uat).risks == ()
    assert told(replace(uat, retention={Data.DATABASE: 1, Data.FILES: 90, Data.LOGS: 1})) == []


@pytest.mark.parametrize(
    ("data", "days", "report"),
    [
        (
            Data.DATABASE,
            34,
            "quikapp:retention.databaseDays = 34: the operations page promises 35 days, and recovery objectives take them; "
            "Aurora's continuous backup and the vaults would keep 34; allowed is at least 35",
        ),
        (
            Data.FILES,
            89,
            "quikapp:retention.filesDays = 89: the operations page promises 90 days, and recovery objectives take them; "
            "the backup bucket and the vaults would keep 89; allowed is at least 90",
        ),
        (
            Data.LOGS,
            14,
            "quikapp:retention.logsDays = 14: the operations page promises 30 days, and recovery objectives take them; "
            "Elasticsearch and CloudWatch Logs would keep 14; allowed is at least 30",
        ),
    ],
)
def test_a_retention_shorter_than_the_pages_is_a_fault(
    live: Declared, data: Data, days: int, report: str
) -> None:
    assert told(replace(live, retention={**live.retention, data: days})) == [report]


def test_a_part_that_grows_until_the_promise_breaks_is_a_fault_and_no_risk_hides_it(
    monkeypatch: pytest.MonkeyPatch, live: Declared, staging: Declared
) -> None:
    monkeypatch.setattr(promises, "HEARTBEAT", 5 * MINUTE + 20 * SECOND)
    report = (
        "quikapp:recovery: the operations page promises a recovery time < 15 min; after a loss of the region the database "
        "takes 15 min, most of it for the detection; to shorten that: no key does, HEARTBEAT of operations/promises.py and the "
        "monitoring's own pace do"
    )

    # Of the application, too, what no risk stands for is still short enough.
    assert told(live) == [report]
    monkeypatch.setattr(promises, "REGION_FAILOVER", 12 * MINUTE + 20 * SECOND)
    assert told(staging) == [
        "quikapp:recovery: the operations page promises a recovery time < 15 min; after a loss of the region the database "
        "takes 15 min, most of it for the failover; to shorten that: no key does, REGION_FAILOVER of "
        "operations/promises.py does, once a drill is faster"
    ]


def test_a_writer_that_is_made_anew_too_slowly_takes_a_reader(
    monkeypatch: pytest.MonkeyPatch, live: Declared
) -> None:
    monkeypatch.setattr(promises, "WRITER_RECREATION", replace(promises.WRITER_RECREATION, value=15))

    assert told(replace(live, instances=1)) == [
        "quikapp:recovery: the operations page promises a recovery time < 15 min; after a loss of the writer the database "
        "takes 15 min 40 s, most of it for the failover; to shorten that: declare 2 or more quikapp:database.instances, "
        "or quikapp:recovery.instances while the writer is there"
    ]


@given(seconds=st.integers(20, 10_000))
def test_the_bound_on_the_recovery_point_decides_whether_it_is_promised(seconds: int) -> None:
    declared = facts("live").declared
    recovery = GlobalDatabase(
        recovery_point=seconds * SECOND, accepted=declared.recovery.accepted if declared.recovery else ()
    )

    found = [fault.key for fault in breaches(replace(declared, recovery=recovery))]

    assert found == ([] if seconds < 60 else ["quikapp:recovery.recoveryPointSeconds"])


@given(
    accepted=st.lists(st.sampled_from(Risk), unique=True).map(tuple),
    sla=st.sampled_from([None, 95.0, 99.9, 99.99]),
    paged=st.booleans(),
)
def test_the_risks_that_are_accepted_are_those_that_there_are(
    accepted: tuple[Risk, ...], sla: float | None, paged: bool
) -> None:
    declared = replace(
        facts("live").declared,
        sla=sla,
        paged=paged,
        recovery=GlobalDatabase(recovery_point=30 * SECOND, accepted=accepted),
    )
    wanted = set(Risk)
    if sla != 99.99:
        wanted.discard(Risk.BUDGET_SPENT)
    if paged:
        wanted.discard(Risk.NOBODY_CALLED)
    faults = list(breaches(declared))

    assert {fault.message.split(" ")[0] for fault in faults if fault.value is None} == wanted - set(accepted)
    assert {json.loads(fault.value) for fault in faults if fault.value} == set(accepted) - wanted


def test_every_risk_is_told_in_one_sentence() -> None:
    assert set(AT_RISK) == set(Risk)
    for sentence in AT_RISK.values():
        assert sentence[0].isupper()
        assert sentence.count(". ") == 0
        assert sentence.endswith(".")


# --- what it costs, and what is told ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stack", "cost"),
    [
        ("dev", "no error budget"),
        ("qa", "1 % of the error budget"),
        ("uat", "3 % of the error budget"),
        ("staging", "35 % of the error budget"),
        ("live", "347 % of the error budget"),
    ],
)
def test_an_incident_as_long_as_the_recovery_time_costs_its_share_of_the_error_budget(
    stack: str, cost: str
) -> None:
    assert summary(facts(stack).declared)["incidentAtRecoveryTime"] == cost


def test_lives_stack_file_says_beside_the_risk_what_an_incident_costs() -> None:
    (line,) = [
        line
        for line in Path("Pulumi.live.yaml").read_text().splitlines()
        if "- incident-spends-the-error-budget" in line
    ]

    assert line.partition("#")[2].strip() == "15 min are 347 % of it"
    assert summary(facts("live").declared)["incidentAtRecoveryTime"] == "347 % of the error budget"


@pytest.mark.parametrize("stack", STACKS)
def test_the_summary_shows_every_accepted_risk_with_what_is_at_risk(stack: str) -> None:
    found = facts(stack)
    accepted = () if found.recovery is None else found.recovery.accepted_risks

    assert summary(found.declared)["acceptedRisks"] == {risk: AT_RISK[risk] for risk in accepted}


def test_the_summary_says_what_is_kept_for_each_loss(live: Declared, uat: Declared) -> None:
    told_of: Any = summary(live)

    assert told_of["objectives"] == {"recoveryPoint": "< 1 min", "recoveryTime": "< 15 min"}
    assert told_of["recoveries"]["loss of the region"]["database"] == {
        "recoveryPoint": "30 s (Aurora global database)",
        "recoveryTime": "14 min 40 s",
        "parts": {
            "detection": "5 min",
            "response": "5 min",
            "decision": "2 min",
            "failover": "2 min",
            "endpoint": "30 s",
            "reconnection": "10 s",
        },
    }
    assert told_of["recoveries"]["loss of the region"]["application"]["recoveryTime"] == "no bound"
    assert (
        told_of["recoveries"]["bad migration"]["database"]["recoveryPoint"]
        == "no bound (point-in-time recovery)"
    )
    assert told_of["retention"]["files"]["recovery: vault"] == "90 days"
    assert told_of["retention"]["configs"] == {"Git": "unlimited"}
    assert summary(uat)["objectives"] == "none"


@pytest.mark.parametrize("stack", STACKS)
def test_the_summary_is_plain_values_that_an_output_takes(stack: str) -> None:
    told_of = summary(facts(stack).declared)

    assert json.loads(json.dumps(told_of)) == told_of


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(), "0 s"),
        (59 * SECOND, "59 s"),
        (60 * SECOND, "1 min"),
        (14 * MINUTE + 40 * SECOND, "14 min 40 s"),
        (36 * HOUR, "1 d 12 h"),
    ],
)
def test_a_span_is_spelled_as_a_person_writes_it(span: timedelta, text: str) -> None:
    assert spelled(span) == text
