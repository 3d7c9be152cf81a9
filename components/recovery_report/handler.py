"""A Lambda function: tells CloudWatch how old backups, copies and restore tests are.

It stands alone. AWS's Python runtime brings boto3, and this file is all that is deployed. What it looks at comes with the
event, so it knows no environment:

    {"environment": "live",
     "vaults": [{"data": "database", "region": "eu-west-1", "name": "quikapp-live-database", "sources": ["arn:aws:rds:…"]}, …],
     "restoreTests": [{"arn": "arn:aws:backup:…", "vault": {"data": "database", …}}, …],
     "copies": [{"data": "files", "region": "eu-central-1", "arn": "arn:aws:datasync:…"}, …]}

Every vault names its sources: the ARN of each cluster or bucket that has recovery points in it. A figure is that of the source
that is worst off, so one that does well hides none that fails.

What never happened has no figure. An alert on the absence says so, where a made-up number would hide it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, Final, Protocol, TypedDict

NAMESPACE: Final = "QuikApp/Recovery"

READY: Final = ("AVAILABLE", "COMPLETED")
"""States of a recovery point from which it can be restored: AWS has used both words for it."""

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 20
ATTEMPTS: Final = 2
"""A region that does not answer must not take the time that the figures of the other one need."""


class Vault(TypedDict):
    """A vault that holds one kind of data, and nothing else."""

    data: str
    region: str
    name: str
    sources: Sequence[str]
    """ARNs of all that has recovery points here: what is backed up to this vault, and what is copied to it."""


class RestoreTest(TypedDict):
    """A restore testing plan of AWS Backup, in the region of the vault from which it restores every source."""

    arn: str
    vault: Vault


class Copy(TypedDict):
    """A task of DataSync."""

    data: str
    region: str
    arn: str


class Event(TypedDict):
    """What is reported on."""

    environment: str
    vaults: Sequence[Vault]
    restoreTests: Sequence[RestoreTest]
    copies: Sequence[Copy]


class Paginator(Protocol):
    """One of boto3's paginators."""

    def paginate(self, **parameters: Any) -> Iterable[Mapping[str, Any]]: ...


class Client(Protocol):
    """What is used of boto3's clients of AWS Backup, DataSync and CloudWatch."""

    def get_paginator(self, operation_name: str) -> Paginator: ...

    def describe_task_execution(self, **parameters: Any) -> Mapping[str, Any]: ...

    def put_metric_data(self, **parameters: Any) -> object: ...


Clients = Callable[[str, str | None], Client]
"""A client by service and region; without a region, in the function's own."""

Figure = tuple[str, str, timedelta]
"""The metric, the data that it is about, and its value."""


def handler(event: Event, _context: object) -> list[dict[str, Any]]:
    """Publish the figures of now; see `report`."""
    boto3, config = import_module("boto3"), import_module("botocore.config")
    patience = config.Config(
        connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": ATTEMPTS}
    )

    def client(service: str, region: str | None) -> Client:
        return boto3.client(service, region_name=region, config=patience)

    return report(event, client, datetime.now(UTC))


def report(event: Event, clients: Clients, now: datetime) -> list[dict[str, Any]]:
    """Publish what there is to tell, and return it in the form of `PutMetricData`; every value is in seconds.

    Raises:
        ExceptionGroup: some figures could not be read. The others are published nevertheless.
    """
    told: list[Figure] = []
    failed: list[Exception] = []
    for read in _readings(event, clients, now):
        try:
            told.extend(read())
        except Exception as error:
            failed.append(error)
    metrics = [_metric(event["environment"], *figure) for figure in told]
    if metrics:
        clients("cloudwatch", None).put_metric_data(Namespace=NAMESPACE, MetricData=metrics)
    if failed:
        raise ExceptionGroup("some figures could not be read", failed)
    return metrics


def _readings(event: Event, clients: Clients, now: datetime) -> Iterator[Callable[[], Iterator[Figure]]]:
    for data in sorted({vault["data"] for vault in event["vaults"]}):
        vaults = [vault for vault in event["vaults"] if vault["data"] == data]
        yield lambda data=data, vaults=vaults: backup_age(data, vaults, clients, now)
    for test in event["restoreTests"]:
        yield lambda test=test: restore_test(test, clients, now)
    for copy in event["copies"]:
        yield lambda copy=copy: copy_age(copy, clients, now)


def backup_age(data: str, vaults: Sequence[Vault], clients: Clients, now: datetime) -> Iterator[Figure]:
    """Age of the newest recovery point of the source that is furthest behind, in the vault in which it is.

    So a copy that no longer arrives in the other region shows, even if the vault there is filled by another source as well. A
    source without any recovery point in a vault leaves no figure at all.
    A copy has the creation date of what it is a copy of, and names the same resource.
    Sources: https://docs.aws.amazon.com/aws-backup/latest/devguide/recov-point-create-a-copy.html,
    https://docs.aws.amazon.com/aws-backup/latest/devguide/API_RecoveryPointByBackupVault.html
    """
    newest = [made for vault in vaults for made in _newest_recovery_points(vault, clients)]
    known = [made for made in newest if made is not None]
    if known and len(known) == len(newest):
        yield "BackupAge", data, now - min(known)


def _newest_recovery_points(vault: Vault, clients: Clients) -> list[datetime | None]:
    """When the newest of each source was made; None for a source that has none."""
    complete = [point for point in _recovery_points(vault, clients) if point["Status"] in READY]
    return [
        max((point["CreationDate"] for point in complete if point.get("ResourceArn") == source), default=None)
        for source in vault["sources"]
    ]


def _recovery_points(vault: Vault, clients: Clients) -> Iterator[Mapping[str, Any]]:
    pages = clients("backup", vault["region"]).get_paginator("list_recovery_points_by_backup_vault")
    for page in pages.paginate(BackupVaultName=vault["name"]):
        yield from page["RecoveryPoints"]


def restore_test(test: RestoreTest, clients: Clients, now: datetime) -> Iterator[Figure]:
    """Time since the last successful restore of the source whose last success is the oldest, and how long the slowest took.

    A source that was never restored leaves no figure at all. Whose recovery point a job has restored, the vault tells: of a job
    itself, older versions of boto3 do not read it (`SourceResourceArn`).
    """
    vault = test["vault"]
    source_of = {
        point["RecoveryPointArn"]: point.get("ResourceArn") for point in _recovery_points(vault, clients)
    }
    pages = clients("backup", vault["region"]).get_paginator("list_restore_jobs")
    jobs = [
        job
        for page in pages.paginate(ByRestoreTestingPlanArn=test["arn"], ByStatus="COMPLETED")
        for job in page["RestoreJobs"]
    ]
    last = [
        max(
            (job for job in jobs if source_of.get(job["RecoveryPointArn"]) == source),
            key=lambda job: job["CompletionDate"],
            default=None,
        )
        for source in vault["sources"]
    ]
    known = [job for job in last if job is not None]
    if known and len(known) == len(last):
        yield "RestoreAge", vault["data"], now - min(job["CompletionDate"] for job in known)
        yield (
            "RestoreDuration",
            vault["data"],
            max(job["CompletionDate"] - job["CreationDate"] for job in known),
        )


def copy_age(copy: Copy, clients: Clients, now: datetime) -> Iterator[Figure]:
    """Time since the last successful copy began: it holds what was there then, and nothing later for sure."""
    datasync = clients("datasync", copy["region"])
    pages = datasync.get_paginator("list_task_executions").paginate(TaskArn=copy["arn"])
    begun = [
        datasync.describe_task_execution(TaskExecutionArn=execution["TaskExecutionArn"])["StartTime"]
        for page in pages
        for execution in page["TaskExecutions"]
        if execution["Status"] == "SUCCESS"
    ]
    if begun:
        yield "CopyAge", copy["data"], now - max(begun)


def _metric(environment: str, name: str, data: str, value: timedelta) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Dimensions": [{"Name": "Environment", "Value": environment}, {"Name": "Data", "Value": data}],
        "Unit": "Seconds",
        "Value": value.total_seconds(),
    }
