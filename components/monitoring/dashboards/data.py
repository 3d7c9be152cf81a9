"""Data and recovery: backups, restores and replication, the services that use the database, the volumes."""

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Final

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from components.monitoring.dashboards.key_metrics import key_metric_trend
from components.monitoring.dashboards.panels import (
    CRITICAL,
    GOOD,
    WARNING,
    Query,
    Section,
    dashboard,
    note,
    number,
    trend,
)
from components.monitoring.dashboards.reads import ERRORS, runbook, volume_share
from components.monitoring.rules import (
    FIGURE_TITLE,
    FULL,
    Watched,
    alert_name,
    figure,
    instances_running,
    lag_seconds,
)
from operations.backup import SCHEDULE
from operations.metrics import ERROR_RATE, LATENCY_P99, Level
from operations.monitoring import NAMESPACE
from operations.promises import RESTORE
from operations.recovery import RPO, RTO
from operations.recovery_alerts import (
    BACKUP_PERIOD,
    BACKUPS,
    LONG_OVERDUE,
    RESTORES,
    Figure,
    Lag,
    Told,
    lag_threshold,
    overdue,
)

UID: Final = "data"

FILLING: Final = ((None, GOOD), (0.8, WARNING), (FULL, CRITICAL))
"""The colors of a volume by the share of it that is used."""


def data(watched: Watched, database_services: Collection[str]) -> Dashboard:
    """Data and recovery of one environment."""
    return dashboard(
        UID,
        f"Data and recovery of {watched.environment}",
        "Backups, restores and replication, the services that use the database, and the volumes.",
        watched.environment,
        [
            _promises(),
            _backups(watched),
            *_instances(watched),
            *_recovery(watched),
            *_database(watched, database_services),
            _volumes(watched),
        ],
    )


def _promises() -> Section:
    rows = "\n".join(
        f"| {kind.title()} | {backup.frequency} | {_days(backup.retention)} | {backup.location} |"
        for kind, backup in SCHEDULE.items()
    )
    return Section(
        "What is promised, and where it is seen",
        [
            note(
                "Backups and recovery",
                "The backup schedule and the recovery objectives of the operations page.",
                f"""\
Recovery point: less than {RPO.total_seconds():g} seconds of data are lost.
Recovery time: the service is back in less than {RTO.total_seconds() / 60:g} minutes.

| Data | Backed up | Kept | Where |
| --- | --- | --- | --- |
{rows}
""",
            ),
            note(
                "Not in Prometheus",
                "Where to look for what Prometheus does not scrape.",
                """\
Prometheus scrapes the cluster, and what CloudWatch knows of backups and recovery. The rest stays in CloudWatch:

- **Database**: connections, CPU and storage are metrics in the namespace `AWS/RDS`, by the name of the cluster.
- **Files and backups**: sizes and requests are in the namespace `AWS/S3`, by the name of the bucket.
- **Logs**: Kibana shows whether they arrive; below is whether their volumes have room.
""",
            ),
        ],
    )


def _days(retention: timedelta | None) -> str:
    return "without limit" if retention is None else f"{retention.days} days"


def _backups(watched: Watched) -> Section:
    return Section(
        "Backups",
        [_age(told, BACKUP_PERIOD, "BackupOverdue", watched, critical=LONG_OVERDUE) for told in BACKUPS],
        height=4,
    )


def _instances(watched: Watched) -> Iterator[Section]:
    if not watched.databases:
        return
    yield Section(
        "Instances of the database",
        [
            number(
                f"Instances of {cluster}",
                f"Those that tell how long they have run. Good is {len(instances)}: one writes, the others can take over.",
                Query(f"{instances_running(instances)} or vector(0)"),
                unit=units.Short,
                steps=((None, CRITICAL), (len(instances), GOOD)),
                links=[runbook(watched, "DatabaseInstanceMissing")],
            )
            for cluster, instances in watched.databases.items()
        ],
        height=4,
    )


def _recovery(watched: Watched) -> Iterator[Section]:
    recovery = watched.recovery
    if recovery is None:
        return
    steps = (
        (None, GOOD),
        *(
            (lag_threshold(level, recovery.recovery_point).total_seconds(), color)
            for level, color in ((Level.WARNING, WARNING), (Level.CRITICAL, CRITICAL))
        ),
    )
    waits = f"from {recovery.recovery_point.total_seconds():g} s on commits wait"
    yield Section(
        "Replication to the recovery region",
        [
            trend(
                "Recovery point",
                f"How late commits reach the recovery region: what would be lost with the region. Good is below a second; "
                f"{waits}, and {RPO.total_seconds():g} s are promised.",
                Query(lag_seconds(Lag.RECOVERY_POINT), "behind"),
                unit=units.Seconds,
                steps=steps,
                links=[runbook(watched, "ReplicationLag")],
            ),
            trend(
                "Replication",
                "How long updates of any kind take to get there. Good is below a second.",
                Query(lag_seconds(Lag.REPLICATION), "behind"),
                unit=units.Seconds,
                steps=steps[:2],
                links=[runbook(watched, "ReplicationLag")],
            ),
        ],
    )
    period = timedelta(days=recovery.restore_test_days)
    yield Section(
        "Restore tests",
        [
            _age(told, period, "RestoreTestOverdue", watched)
            if told.figure is Figure.RESTORE_AGE
            else number(
                f"Time of the last {FIGURE_TITLE[told]}",
                f"Good is at most {RTO.total_seconds() / 60:g} minutes; {RESTORE / timedelta(hours=1):g} hours are planned with.",
                Query(figure(told)),
                unit=units.DurationSeconds,
                steps=((None, GOOD), (RTO.total_seconds(), WARNING), (RESTORE.total_seconds(), CRITICAL)),
                links=[runbook(watched, "RestoreTooSlow"), runbook(watched, "RestoreBeyondPlan")],
            )
            for told in RESTORES
        ],
        height=4,
    )


def _age(
    told: Told, period: timedelta, alert: str, watched: Watched, critical: timedelta | None = None
) -> Panel:
    limit = overdue(period)
    later = () if critical is None else ((critical.total_seconds(), CRITICAL),)
    return number(
        f"Since the last {FIGURE_TITLE[told]}",
        f"Good is about {period.days * 24} hours at most; {limit / timedelta(hours=1):g} are too many.",
        Query(figure(told)),
        unit=units.DurationSeconds,
        steps=((None, GOOD), (limit.total_seconds(), WARNING), *later),
        links=[runbook(watched, alert)],
    )


def _database(watched: Watched, services: Collection[str]) -> Iterator[Section]:
    if not services:
        return
    users = f'{{service=~"{"|".join(services)}"}}'
    yield Section(
        "Services that use the database",
        [
            *(
                key_metric_trend(
                    metric,
                    watched,
                    title=f"{metric.title} of the database's users",
                    matchers=users,
                    legend="{{service}} {{slot}}",
                )
                for metric in (LATENCY_P99, ERROR_RATE)
            ),
            trend(
                "Errors of the database's users",
                "Failed requests a second. Good is none. When all of them fail at once in both slots, look at the database.",
                Query(f"sum by (service) ({ERRORS}{users})", "{{service}}"),
                unit=units.RequestsPerSecond,
                stacked=True,
                links=[runbook(watched, alert_name(ERROR_RATE))],
            ),
        ],
    )


def _volumes(watched: Watched) -> Section:
    stored = f'namespace="{NAMESPACE}"'
    volume = "by (persistentvolumeclaim)"
    links = [runbook(watched, "VolumeFilling")]
    return Section(
        "Volumes of the monitoring: metrics, logs, traces, silences",
        [
            trend(
                "Used of each volume",
                "Good is below 80 %, and level once it is as old as what is kept.",
                Query(volume_share(stored), "{{persistentvolumeclaim}}"),
                unit=units.PercentUnit,
                steps=FILLING,
                highest=1,
                links=links,
            ),
            trend(
                "Bytes on each volume",
                "Good is a saw-tooth: what is older than its retention goes.",
                Query(
                    f"max {volume} (kubelet_volume_stats_used_bytes{{{stored}}})",
                    "{{persistentvolumeclaim}}",
                ),
                unit=units.BytesIEC,
                links=links,
            ),
            trend(
                "Files on each volume",
                "Inodes used, of those there are. Good is below 80 %: without inodes a volume is full before its "
                "bytes are.",
                Query(
                    f"max {volume} (kubelet_volume_stats_inodes_used{{{stored}}}) "
                    f"/ max {volume} (kubelet_volume_stats_inodes{{{stored}}})",
                    "{{persistentvolumeclaim}}",
                ),
                unit=units.PercentUnit,
                steps=FILLING,
                highest=1,
                links=links,
            ),
        ],
    )
