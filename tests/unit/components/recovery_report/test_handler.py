"""The report tells how old things are, and is silent about what never happened."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from components.recovery_report import handler
from components.recovery_report.handler import Event, Vault, report
from operations.recovery_alerts import DATA, ENVIRONMENT, NAMESPACE, Figure

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOME, RECOVERY = "eu-west-1", "eu-central-1"
PLAN = "arn:aws:backup:eu-central-1:123456789012:restore-testing-plan:quikapp_live_database"
TASK = "arn:aws:datasync:eu-central-1:123456789012:task/task-0"

CLUSTER = "arn:aws:rds:eu-west-1:123456789012:cluster:quikapp-live-database"
REPLICA = "arn:aws:rds:eu-central-1:123456789012:cluster:quikapp-live-database-recovery"
BUCKET = "arn:aws:s3:::quikapp-live-files"

COPIED: Vault = {
    "data": "database",
    "region": RECOVERY,
    "name": "quikapp-live-database",
    "sources": [CLUSTER, REPLICA],
}
EVENT: Event = {
    "environment": "live",
    "vaults": [
        {"data": "database", "region": HOME, "name": "quikapp-live-database", "sources": [CLUSTER]},
        COPIED,
        {"data": "files", "region": HOME, "name": "quikapp-live-files", "sources": [BUCKET]},
    ],
    "restoreTests": [{"arn": PLAN, "vault": COPIED}],
    "copies": [{"data": "files", "region": RECOVERY, "arn": TASK}],
}


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


class Account:
    """An AWS account as the report sees it: what there is, by what it is asked for; and what was published."""

    def __init__(self) -> None:
        self.points: dict[tuple[str | None, str], list[Mapping[str, Any]]] = {}
        self.jobs: dict[tuple[str | None, str], list[Mapping[str, Any]]] = {}
        self.executions: dict[str, Mapping[str, Any]] = {}
        self.published: list[Mapping[str, Any]] = []
        self.dark: set[str | None] = set()
        """Regions that do not answer."""

    def client(self, service: str, region: str | None) -> _Client:
        assert region is not None or service == "cloudwatch", "every region but the function's own is named"
        return _Client(self, region)

    def point(
        self, source: str, region: str, created: datetime, status: str = "COMPLETED"
    ) -> Mapping[str, Any]:
        held = self.points.setdefault(
            (region, f"quikapp-live-{'files' if source == BUCKET else 'database'}"), []
        )
        made = {
            "RecoveryPointArn": f"{source}:point-{len(held)}",
            "ResourceArn": source,
            "CreationDate": created,
            "Status": status,
        }
        held.append(made)
        return made

    def restored(self, point: Mapping[str, Any], created: datetime, completed: datetime) -> None:
        self.jobs.setdefault((RECOVERY, PLAN), []).append(
            {
                "RecoveryPointArn": point["RecoveryPointArn"],
                "CreationDate": created,
                "CompletionDate": completed,
            }
        )

    def newest(self, source: str, region: str = RECOVERY) -> Mapping[str, Any]:
        """The recovery point that a test restores."""
        held = self.points[region, "quikapp-live-database"]
        return max(
            (point for point in held if point["ResourceArn"] == source),
            key=lambda point: point["CreationDate"],
        )

    def lose(self, source: str, region: str) -> None:
        """Let a source have no recovery point in a vault of the database."""
        held = self.points[region, "quikapp-live-database"]
        held[:] = [point for point in held if point["ResourceArn"] != source]

    def copied(self, begun: datetime, status: str = "SUCCESS") -> None:
        self.executions[f"{TASK}/execution/exec-{len(self.executions)}"] = {
            "StartTime": begun,
            "Status": status,
        }

    def figures(self) -> dict[tuple[str, str], float]:
        return {
            (metric["MetricName"], metric["Dimensions"][1]["Value"]): metric["Value"]
            for call in self.published
            for metric in call["MetricData"]
        }


class _Client:
    def __init__(self, account: Account, region: str | None) -> None:
        self._account = account
        self._region = region

    def get_paginator(self, operation_name: str) -> _Pages:
        if self._region in self._account.dark:
            raise TimeoutError(self._region)
        return _Pages(self._account, self._region, operation_name)

    def describe_task_execution(self, **parameters: Any) -> Mapping[str, Any]:
        return self._account.executions[parameters["TaskExecutionArn"]]

    def put_metric_data(self, **parameters: Any) -> None:
        self._account.published.append(parameters)


class _Pages:
    """Gives one item a page, so that whoever reads the first page only is found out."""

    def __init__(self, account: Account, region: str | None, operation: str) -> None:
        self._account = account
        self._region = region
        self._operation = operation

    def paginate(self, **parameters: Any) -> Iterable[Mapping[str, Any]]:
        match self._operation:
            case "list_recovery_points_by_backup_vault":
                found = self._account.points.get((self._region, parameters["BackupVaultName"]), [])
                return [{"RecoveryPoints": [point]} for point in found]
            case "list_restore_jobs":
                assert parameters["ByStatus"] == "COMPLETED"
                found = self._account.jobs.get((self._region, parameters["ByRestoreTestingPlanArn"]), [])
                return [{"RestoreJobs": [job]} for job in found]
            case "list_task_executions":
                return [
                    {"TaskExecutions": [{"TaskExecutionArn": arn, "Status": execution["Status"]}]}
                    for arn, execution in self._account.executions.items()
                    if arn.startswith(parameters["TaskArn"])
                ]
            case _:
                raise AssertionError(self._operation)


@pytest.fixture
def account() -> Account:
    """An account in which everything has happened lately."""
    account = Account()
    account.point(CLUSTER, HOME, ago(hours=16))
    account.point(CLUSTER, RECOVERY, ago(hours=16))
    account.point(REPLICA, RECOVERY, ago(hours=15))
    account.point(BUCKET, HOME, ago(hours=15))
    account.restored(account.newest(CLUSTER), ago(days=2, minutes=12), ago(days=2))
    account.restored(account.newest(REPLICA), ago(days=2, minutes=9), ago(days=2, minutes=-1))
    account.copied(ago(hours=10))
    return account


def test_every_age_is_told_in_seconds(account: Account) -> None:
    report(EVENT, account.client, NOW)
    assert account.figures() == {
        ("BackupAge", "database"): 16 * 3600,
        ("BackupAge", "files"): 15 * 3600,
        ("RestoreAge", "database"): 2 * 86400,
        ("RestoreDuration", "database"): 12 * 60,
        ("CopyAge", "files"): 10 * 3600,
    }


def test_what_is_published_has_the_names_that_alerts_ask_for(account: Account) -> None:
    report(EVENT, account.client, NOW)
    (call,) = account.published
    assert call["Namespace"] == NAMESPACE
    assert {metric["MetricName"] for metric in call["MetricData"]} == set(Figure)
    for metric in call["MetricData"]:
        assert [dimension["Name"] for dimension in metric["Dimensions"]] == [ENVIRONMENT, DATA]
        assert metric["Dimensions"][0]["Value"] == "live"
        assert metric["Unit"] == "Seconds"


def test_the_newest_counts_wherever_in_the_list_it_stands(account: Account) -> None:
    account.point(BUCKET, HOME, ago(hours=3))
    account.point(BUCKET, HOME, ago(days=9))
    for source in (CLUSTER, REPLICA):
        account.restored(account.newest(source), ago(hours=5), ago(hours=4))
        account.restored(account.newest(source), ago(days=9, hours=1), ago(days=9))
    account.copied(ago(hours=1))
    account.copied(ago(days=9))
    report(EVENT, account.client, NOW)
    told = account.figures()
    assert told["BackupAge", "files"] == 3 * 3600
    assert (told["RestoreAge", "database"], told["RestoreDuration", "database"]) == (4 * 3600, 3600)
    assert told["CopyAge", "files"] == 3600


def test_a_copy_that_no_longer_arrives_ages_the_backup_though_the_replica_has_a_snapshot(
    account: Account,
) -> None:
    account.lose(CLUSTER, RECOVERY)
    account.point(CLUSTER, RECOVERY, ago(days=10))
    account.point(REPLICA, RECOVERY, ago(hours=1))
    report(EVENT, account.client, NOW)
    assert account.figures()["BackupAge", "database"] == 10 * 86400


def test_a_replica_that_is_no_longer_backed_up_ages_the_backup_though_copies_arrive(account: Account) -> None:
    account.lose(REPLICA, RECOVERY)
    account.point(REPLICA, RECOVERY, ago(days=4))
    account.point(CLUSTER, RECOVERY, ago(hours=1))
    report(EVENT, account.client, NOW)
    assert account.figures()["BackupAge", "database"] == 4 * 86400


@pytest.mark.parametrize(("source", "region"), [(CLUSTER, HOME), (CLUSTER, RECOVERY), (REPLICA, RECOVERY)])
def test_a_source_without_a_recovery_point_in_a_vault_leaves_the_age_of_the_backup_unknown(
    account: Account, source: str, region: str
) -> None:
    account.lose(source, region)
    report(EVENT, account.client, NOW)
    told = account.figures()
    assert ("BackupAge", "database") not in told
    assert told["BackupAge", "files"] == 15 * 3600


def test_what_nobody_expects_in_a_vault_does_not_count(account: Account) -> None:
    account.point("arn:aws:rds:eu-central-1:123456789012:cluster:another", RECOVERY, ago(days=60))
    report(EVENT, account.client, NOW)
    assert account.figures()["BackupAge", "database"] == 16 * 3600


def test_a_restore_that_fails_ages_the_tests_though_another_sources_succeeds(account: Account) -> None:
    """Of a test that fails there is no completed job: the last success of its source grows old."""
    account.jobs.clear()
    account.restored(account.newest(REPLICA), ago(days=20, minutes=10), ago(days=20))
    account.restored(account.newest(CLUSTER), ago(minutes=19), ago(minutes=4))
    report(EVENT, account.client, NOW)
    assert account.figures()["RestoreAge", "database"] == 20 * 86400


def test_a_source_that_was_never_restored_leaves_the_age_of_the_tests_unknown(account: Account) -> None:
    account.jobs.clear()
    account.restored(account.newest(CLUSTER), ago(minutes=19), ago(minutes=4))
    report(EVENT, account.client, NOW)
    assert not account.figures().keys() & {("RestoreAge", "database"), ("RestoreDuration", "database")}


def test_the_slowest_source_is_how_long_a_restore_takes(account: Account) -> None:
    account.restored(account.newest(REPLICA), ago(minutes=50), ago(minutes=10))
    account.restored(account.newest(CLUSTER), ago(minutes=50), ago(minutes=40))
    report(EVENT, account.client, NOW)
    assert account.figures()["RestoreDuration", "database"] == 40 * 60


def test_a_restored_recovery_point_that_nobody_expects_is_no_success(account: Account) -> None:
    gone = {"RecoveryPointArn": "arn:aws:rds:eu-central-1:123456789012:cluster-snapshot:awsbackup:gone"}
    account.restored(gone, ago(minutes=50), ago(minutes=40))
    report(EVENT, account.client, NOW)
    assert account.figures()["RestoreAge", "database"] == 2 * 86400


@pytest.mark.parametrize("status", ["AVAILABLE", "COMPLETED"])
def test_a_recovery_point_counts_by_whichever_word_aws_says_that_it_is_ready(
    account: Account, status: str
) -> None:
    account.point(BUCKET, HOME, ago(hours=1), status)
    report(EVENT, account.client, NOW)
    assert account.figures()["BackupAge", "files"] == 3600


def test_a_recovery_point_that_is_not_complete_does_not_count(account: Account) -> None:
    for status in ("PARTIAL", "CREATING", "EXPIRED"):
        account.point(BUCKET, HOME, NOW, status)
    report(EVENT, account.client, NOW)
    assert account.figures()["BackupAge", "files"] == 15 * 3600


@pytest.mark.parametrize("status", ["ERROR", "TRANSFERRING", "QUEUED"])
def test_a_copy_that_did_not_succeed_does_not_count(account: Account, status: str) -> None:
    account.copied(NOW, status)
    report(EVENT, account.client, NOW)
    assert account.figures()["CopyAge", "files"] == 10 * 3600


def test_what_never_happened_has_no_figure(account: Account) -> None:
    account.points[RECOVERY, "quikapp-live-database"].clear()
    account.jobs.clear()
    account.executions.clear()
    report(EVENT, account.client, NOW)
    assert account.figures() == {("BackupAge", "files"): 15 * 3600}


def test_where_nothing_ever_happened_nothing_is_published() -> None:
    empty = Account()
    assert report(EVENT, empty.client, NOW) == []
    assert empty.published == []


def test_a_region_that_does_not_answer_fails_the_run_and_leaves_the_others_figures(account: Account) -> None:
    account.dark.add(RECOVERY)
    with pytest.raises(ExceptionGroup) as failure:
        report(EVENT, account.client, NOW)
    assert len(failure.value.exceptions) == 3, (
        "the database's vaults, its restore test, and the copy of the files"
    )
    assert account.figures() == {("BackupAge", "files"): 15 * 3600}


def test_lambda_gets_back_what_was_published(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    configured: list[Any] = []

    def client(service: str, *, region_name: str | None, config: object) -> _Client:
        configured.append(config)
        return account.client(service, region_name)

    def settings(**values: Any) -> SimpleNamespace:
        return SimpleNamespace(**values)

    for name, attributes in (("boto3", {"client": client}), ("botocore.config", {"Config": settings})):
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    told = handler.handler(EVENT, None)
    assert [{"Namespace": NAMESPACE, "MetricData": told}] == account.published
    assert all(config.connect_timeout < 60 for config in configured), (
        "a dark region does not take all the time"
    )


def test_it_needs_nothing_but_the_standard_library_and_what_lambda_brings() -> None:
    tree = ast.parse(Path(handler.__file__).read_text())
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {
        argument.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "import_module"
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
    assert {name.partition(".")[0] for name in named} - sys.stdlib_module_names == {"boto3", "botocore"}
