"""The report runs every hour, sees what it reports on, and may do nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.recovery_report.report import (
    SOURCE,
    TIMEOUT_SECONDS,
    RecoveryReport,
    RecoveryReportArgs,
    WatchedCopy,
    WatchedTest,
    WatchedVault,
)
from operations.backup import Data
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording

TAGS = {"environment": "test", "owner": "operations"}
REGION = "eu-west-1"
VAULT = "arn:aws:backup:eu-west-1:123456789012:backup-vault:quikapp-test-database"
COPIED_VAULT = "arn:aws:backup:eu-central-1:123456789012:backup-vault:quikapp-test-database"
PLAN = "arn:aws:backup:eu-central-1:123456789012:restore-testing-plan:quikapp_test_database"
TASK = "arn:aws:datasync:eu-central-1:123456789012:task/task-0"
CLUSTER = "arn:aws:rds:eu-west-1:123456789012:cluster:quikapp-test-database"
REPLICA = "arn:aws:rds:eu-central-1:123456789012:cluster:quikapp-test-database-recovery"

FUNCTION = "aws:lambda/function:Function"
SCHEDULE = "aws:scheduler/schedule:Schedule"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"


def vault(region: str, arn: str, *sources: str) -> WatchedVault:
    return WatchedVault(
        data=Data.DATABASE, region=region, name="quikapp-test-database", arn=arn, sources=sources
    )


def report(record: Record, **changes: Any) -> Recording[RecoveryReport]:
    copied = vault("eu-central-1", COPIED_VAULT, CLUSTER, REPLICA)
    args: dict[str, Any] = {
        "prefix": "quikapp-test",
        "environment": "test",
        "region": REGION,
        "vaults": [vault("eu-west-1", VAULT, CLUSTER), copied],
        "restore_tests": [WatchedTest(arn=PLAN, vault=copied)],
        "copies": [WatchedCopy(data=Data.FILES, region="eu-central-1", arn=TASK)],
        "log_retention_days": 30,
        "tags": TAGS,
    }
    return record(lambda: RecoveryReport("report", RecoveryReportArgs(**{**args, **changes})))


def statements(made: Recording[Any], name: str) -> list[dict[str, Any]]:
    return json.loads(made.one(ROLE_POLICY, name).inputs["policy"])["Statement"]


def test_it_runs_every_hour_and_is_told_what_to_look_at(record: Record) -> None:
    made = report(record)
    schedule = made.one(SCHEDULE).inputs
    assert schedule["scheduleExpression"] == "rate(60 minutes)"
    assert schedule["target"]["arn"] == made.one(FUNCTION).outputs["arn"]
    home, copied = (
        {"data": "database", "region": region, "name": "quikapp-test-database", "sources": sources}
        for region, sources in (("eu-west-1", [CLUSTER]), ("eu-central-1", [CLUSTER, REPLICA]))
    )
    assert json.loads(schedule["target"]["input"]) == {
        "environment": "test",
        "vaults": [home, copied],
        "restoreTests": [{"arn": PLAN, "vault": copied}],
        "copies": [{"data": "files", "region": "eu-central-1", "arn": TASK}],
    }


def test_what_is_deployed_is_the_handler_as_it_stands(record: Record) -> None:
    function = report(record).one(FUNCTION).inputs
    assert function["handler"] == "handler.handler"
    assert function["code"]["assets"][SOURCE.name]["text"] == SOURCE.read_text()
    assert len(function["code"]["assets"]) == 1


def test_a_run_that_failed_is_not_tried_again_since_the_next_is_near(record: Record) -> None:
    """Left to itself, Scheduler tries 185 times within a day."""
    assert report(record).one(SCHEDULE).inputs["target"]["retryPolicy"] == {"maximumRetryAttempts": 0}


def test_it_reserves_nothing_of_what_the_account_may_run_at_a_time(record: Record) -> None:
    """New accounts may run so few functions at a time that AWS refuses to set any of them apart."""
    assert "reservedConcurrentExecutions" not in report(record).one(FUNCTION).inputs


def test_it_runs_not_for_long(record: Record) -> None:
    function = report(record).one(FUNCTION).inputs
    assert function["timeout"] == TIMEOUT_SECONDS < 3600
    assert function["architectures"] == ["arm64"]
    assert function["runtime"].startswith("python3.")
    assert "vpcConfig" not in function
    assert "environment" not in function


def test_it_may_read_what_it_reports_on_and_publish_its_own_figures(record: Record) -> None:
    made = report(record)
    allowed = {
        (action, resource): statement.get("Condition")
        for statement in statements(made, "report-function")
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    log = made.one("aws:cloudwatch/logGroup:LogGroup").outputs["arn"]
    own_namespace = {"StringEquals": {"cloudwatch:namespace": "QuikApp/Recovery"}}
    assert allowed == {
        ("logs:CreateLogStream", f"{log}:*"): None,
        ("logs:PutLogEvents", f"{log}:*"): None,
        ("cloudwatch:PutMetricData", "*"): own_namespace,
        ("backup:ListRestoreJobs", "*"): None,
        ("backup:ListRecoveryPointsByBackupVault", VAULT): None,
        ("backup:ListRecoveryPointsByBackupVault", COPIED_VAULT): None,
        ("datasync:ListTaskExecutions", "*"): None,
        ("datasync:DescribeTaskExecution", f"{TASK}/execution/*"): None,
    }


def test_without_copies_it_may_not_ask_for_any(record: Record) -> None:
    made = report(record, copies=())
    granted = [action for statement in statements(made, "report-function") for action in statement["Action"]]
    assert granted
    assert not [action for action in granted if action.startswith("datasync")]


def test_each_role_is_for_one_service_and_one_purpose(record: Record) -> None:
    made = report(record)
    trusts = {
        role.name: json.loads(role.inputs["assumeRolePolicy"])["Statement"][0] for role in made.of(ROLE)
    }
    assert trusts["report-function"]["Principal"] == {"Service": ["lambda.amazonaws.com"]}
    assert trusts["report-function"]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {
            "aws:SourceArn": "arn:aws:lambda:eu-west-1:123456789012:function:quikapp-test-recovery-report"
        },
    }
    assert trusts["report-schedule"]["Principal"] == {"Service": ["scheduler.amazonaws.com"]}
    assert trusts["report-schedule"]["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    assert statements(made, "report-schedule") == [
        {
            "Effect": "Allow",
            "Action": ["lambda:InvokeFunction"],
            "Resource": [made.one(FUNCTION).outputs["arn"]],
        }
    ]


def test_its_log_is_encrypted_and_kept_for_as_long_as_said(record: Record) -> None:
    made = report(record)
    log = made.one("aws:cloudwatch/logGroup:LogGroup").inputs
    assert log["name"] == "/aws/lambda/quikapp-test-recovery-report"
    assert log["retentionInDays"] == 30
    assert log["kmsKeyId"] == made.one("aws:kms/key:Key").outputs["arn"]
    assert made.one(FUNCTION).inputs["loggingConfig"]["logGroup"] == log["name"]


def test_what_it_needs_is_there_before_it_is(record: Record) -> None:
    made = report(record)
    assert made.one(ROLE_POLICY, "report-function").urn in made.one(FUNCTION).dependencies
    assert made.one(ROLE_POLICY, "report-schedule").urn in made.one(SCHEDULE).dependencies


def test_it_tells_the_name_by_which_it_is_called(record: Record) -> None:
    made = report(record)
    assert made.value(made.result.function_name) == "quikapp-test-recovery-report"


def test_a_report_on_nothing_is_refused(record: Record) -> None:
    with pytest.raises(ValueError, match="at least one vault"):
        report(record, vaults=[])


def test_a_vault_in_which_nothing_is_expected_is_refused() -> None:
    with pytest.raises(ValueError, match="a vault of database needs at least one source"):
        vault(REGION, VAULT)


def test_everything_is_tagged_in_its_region_and_closed(record: Record) -> None:
    made = report(record)
    made.assert_tagged(TAGS)
    made.assert_in_region(REGION)
    made.assert_least_privilege()
