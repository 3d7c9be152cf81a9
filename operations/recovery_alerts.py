"""What is watched of backups and recovery: the figures that CloudWatch has, and from when on each is worth a word.

Whoever publishes a figure, fetches it, alerts on it or draws it takes its name from here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from operations.backup import Data
from operations.metrics import Level

# --- figures -------------------------------------------------------------------------------------------------------

NAMESPACE: Final = "QuikApp/Recovery"
"""Where CloudWatch keeps the figures of our own, each under the dimensions `ENVIRONMENT` and `DATA`."""

ENVIRONMENT: Final = "Environment"
"""The dimension that holds an environment's name."""

DATA: Final = "Data"
"""The dimension that holds a kind of data, `database` or `files`."""

PUBLISHED: Final = timedelta(hours=1)
"""From one value of a figure to the next."""


@unique
class Figure(StrEnum):
    """A metric of our own, in seconds; its value is the metric's name."""

    BACKUP_AGE = "BackupAge"
    """Since the newest complete recovery point was made, of the source and in the vault that is furthest behind."""
    COPY_AGE = "CopyAge"
    """Since files were last copied to the backup bucket, all of them."""
    RESTORE_AGE = "RestoreAge"
    """Since the last successful restore test ended, of the source whose last success is the oldest."""
    RESTORE_DURATION = "RestoreDuration"
    """What the last successful test took, of the source that took longest."""


@dataclass(frozen=True)
class Told:
    """A figure, and the data that it is about."""

    data: Data
    figure: Figure


BACKUPS: Final = (
    Told(Data.DATABASE, Figure.BACKUP_AGE),
    Told(Data.FILES, Figure.BACKUP_AGE),
    Told(Data.FILES, Figure.COPY_AGE),
)
"""What every environment tells."""

RESTORES: Final = tuple(
    Told(data, figure)
    for data in (Data.DATABASE, Data.FILES)
    for figure in (Figure.RESTORE_AGE, Figure.RESTORE_DURATION)
)
"""What those with recovery objectives tell besides."""

DATABASE_NAMESPACE: Final = "AWS/RDS"


@unique
class Lag(StrEnum):
    """How far a global database's other region is behind; its value is the name of Aurora's metric, in milliseconds.

    Only the cluster that follows has it, in its own region, under the dimension `DBClusterIdentifier`.
    Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html
    """

    RECOVERY_POINT = "AuroraGlobalDBRPOLag"
    """Of users' transactions: what would be lost with the writer's region."""
    REPLICATION = "AuroraGlobalDBReplicationLag"
    """Of everything that is replicated, between the servers that do it."""


INSTANCE_UPTIME: Final = "EngineUptime"
"""Aurora's metric of how long the engine of one instance has run, in seconds, under the dimension `INSTANCE`. Writer and
readers alike have it in their own region, and what is lost has none.
Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Reboot.Uptime.html"""

INSTANCE: Final = "DBInstanceIdentifier"
"""The dimension that holds an instance's name."""

STATISTIC: Final = "Maximum"
"""What is asked of each metric: the worst of a minute counts."""


def series(namespace: str, metric: str) -> str:
    """What a metric of CloudWatch is called in Prometheus, such as `aws_rds_cpuutilization_maximum`.

    Source: https://github.com/prometheus-community/yet-another-cloudwatch-exporter/blob/v0.67.0/pkg/promutil/migrate.go
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", metric)
    prefix = "" if namespace.lower().startswith("aws") else "aws_"
    return f"{prefix}{namespace}_{words}_{STATISTIC}".replace("/", "_").lower()


# --- when each is worth a word -------------------------------------------------------------------------------------

LAG_SHARES: Final[Mapping[Level, float]] = MappingProxyType({Level.WARNING: 0.5, Level.CRITICAL: 0.9})
"""Of the lag from which on the database makes commits wait. It never gets much beyond, so what alerts is below it:
at the warning there is as much left as is used, at the critical one users' writes are about to hang."""


def lag_threshold(level: Level, recovery_point: timedelta) -> timedelta:
    """The lag above which a level is reached, of a database that makes commits wait from `recovery_point` on."""
    return recovery_point * LAG_SHARES[level]


BACKUP_PERIOD: Final = timedelta(days=1)
"""From one backup, and one copy of the files, to the next (the operations page: files daily)."""

SLACK: Final = timedelta(hours=12)
"""For the window in which a job begins, the hours that it takes, and the hour that a figure may be old; and shorter than a
day, so that one run that fails or is left out is noticed before the next has ended. A job that takes longer than this is
overdue, and rightly told of while it still runs: until it ends there is nothing newer to go back to."""

LONG_OVERDUE: Final = timedelta(days=3)
"""The age from which on a backup no longer waits for the day's review: at least two runs have failed, and nobody has mended it.
Unmended, the last recovery point expires with its retention."""


def overdue(period: timedelta) -> timedelta:
    """The age from which on the last success of what succeeds once in a period is too old."""
    return period + SLACK
