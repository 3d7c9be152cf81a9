"""What is recorded of change requests cannot be forgotten, and whoever listens hears of a new one."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components.change_record import ChangeRecord, ChangeRecordArgs
from operations.changes import ChangeRequest, Ledger, Recorded
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording

PARAMETER = "aws:ssm/parameter:Parameter"
RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
LOG = "aws:cloudwatch/logGroup:LogGroup"
LOG_POLICY = "aws:cloudwatch/logResourcePolicy:LogResourcePolicy"
TAGS = {"Environment": "live"}
REGION = "eu-west-1"

USED: Ledger = (
    ChangeRequest(request="CHG0030041", version="v2.3.0"),
    ChangeRequest(request="CHG0030042", version="v2.4.0"),
)
NEXT = ChangeRequest(request="CHG0030043", version="v2.5.0")


def record_of(changes: Ledger = USED, *, protect: bool = True) -> ChangeRecord:
    return ChangeRecord(
        "record",
        ChangeRecordArgs(
            application="quikapp",
            environment="live",
            prefix="quikapp-live",
            changes=changes,
            region=REGION,
            log_retention_days=30,
            protect=protect,
            tags=TAGS,
        ),
    )


@pytest.fixture
def made(record: Record) -> Recording[ChangeRecord]:
    return record(record_of)


def test_a_parameter_says_which_change_request_is_in_force_for_everybody_to_read(
    made: Recording[ChangeRecord],
) -> None:
    parameter = made.one(PARAMETER).inputs
    assert (parameter["name"], parameter["type"], parameter["tier"]) == (
        "/quikapp/live/change",
        "String",
        "Standard",
    )
    assert json.loads(parameter["insecureValue"]) == {
        "request": "CHG0030042",
        "version": "v2.4.0",
        "changes": 2,
        "ledger": Recorded.of(USED).ledger,
    }
    assert "value" not in parameter


def test_the_event_of_its_change_names_the_change_request(made: Recording[ChangeRecord]) -> None:
    """An event bears the description, and not the value."""
    assert made.one(PARAMETER).inputs["description"] == "CHG0030042 brought v2.4.0"
    assert json.loads(made.one(RULE).inputs["eventPattern"]) == {
        "source": ["aws.ssm"],
        "detail-type": ["Parameter Store Change"],
        "detail": {"name": ["/quikapp/live/change"]},
    }


def test_the_events_go_to_a_log_that_is_there_before_the_first(made: Recording[ChangeRecord]) -> None:
    log, target = made.one(LOG), made.one(TARGET)
    assert (log.inputs["name"], log.inputs["retentionInDays"]) == ("/aws/events/quikapp-live-change", 30)
    assert (target.inputs["arn"], target.inputs["rule"]) == (log.outputs["arn"], "quikapp-live-change")
    assert "roleArn" not in target.inputs
    assert made.one(LOG_POLICY).urn in target.dependencies
    assert target.urn in made.one(PARAMETER).dependencies


def test_what_the_rule_matches_may_be_written_to_that_log_and_nothing_else(
    made: Recording[ChangeRecord],
) -> None:
    log, policy = made.one(LOG).outputs["arn"], made.one(LOG_POLICY).inputs
    assert policy["resourceArn"] == log
    streams, events = json.loads(policy["policyDocument"])["Statement"]
    assert (streams["Action"], streams["Resource"]) == (["logs:CreateLogStream"], [f"{log}:*"])
    assert (events["Action"], events["Resource"]) == (["logs:PutLogEvents"], [f"{log}:*:*"])
    assert events["Condition"] == {"ArnEquals": {"aws:SourceArn": made.one(RULE).outputs["arn"]}}
    assert {service for s in (streams, events) for service in s["Principal"]["Service"]} == {
        "events.amazonaws.com",
        "delivery.logs.amazonaws.com",
    }


@pytest.mark.parametrize("protect", [True, False])
def test_the_record_is_protected_where_the_environment_is(record: Record, protect: bool) -> None:
    assert record(lambda: record_of(protect=protect)).one(PARAMETER).protect is protect


def test_everything_is_tagged_and_in_its_region(made: Recording[ChangeRecord]) -> None:
    made.assert_tagged(TAGS)
    made.assert_in_region(REGION)
    made.assert_least_privilege()


def test_the_whole_ledger_is_known_once_it_is_recorded(made: Recording[ChangeRecord]) -> None:
    assert made.value(made.result.changes) == [change.model_dump() for change in USED]


def update(record: Record, before: Ledger, after: Ledger) -> None:
    """Let the engine ask the guard of the record about an update from one ledger to another."""
    made = record(lambda: record_of(after))
    (name,) = made.one(PARAMETER).before_update
    old: dict[str, Any] = record(lambda: record_of(before)).one(PARAMETER).inputs["insecureValue"]
    made.hooks[name](
        pulumi.ResourceHookArgs(
            "urn", "id", "record", PARAMETER, {"insecureValue": "new"}, {"insecureValue": old}, None, None
        )
    )


@pytest.mark.parametrize("after", [USED, (*USED, NEXT)])
def test_a_change_request_more_is_let_through(record: Record, after: Ledger) -> None:
    update(record, USED, after)


@pytest.mark.parametrize(
    "after",
    [
        USED[:1],
        USED[1:],
        (NEXT,),
        USED[::-1],
        (*USED[:1], NEXT),
        (*USED[:1], ChangeRequest(request="CHG0030042", version="v2.5.0")),
    ],
)
def test_an_update_that_forgets_or_alters_one_is_refused(record: Record, after: Ledger) -> None:
    with pytest.raises(
        ValueError,
        match=r"does not begin with what was used before: 2 change requests, the last one CHG0030042 for v2\.4\.0",
    ):
        update(record, USED, after)


def test_it_is_refused_in_previews_too(made: Recording[ChangeRecord]) -> None:
    options = made.hooks["record-ledger"].opts
    assert options is not None
    assert options.on_dry_run
    assert not options.ignore_errors


def test_a_record_of_nothing_is_refused(record: Record) -> None:
    with pytest.raises(ValueError, match="a record takes at least one change request"):
        record(lambda: record_of(()))
