"""Figures of backups and recovery: what they are called, and from when on each is worth a word."""

from datetime import timedelta

import pytest

from operations.backup import Data
from operations.metrics import Level
from operations.recovery import RPO
from operations.recovery_alerts import (
    BACKUP_PERIOD,
    BACKUPS,
    DATABASE_NAMESPACE,
    NAMESPACE,
    PUBLISHED,
    RESTORES,
    SLACK,
    Figure,
    Lag,
    lag_threshold,
    overdue,
    series,
)


@pytest.mark.parametrize(
    ("namespace", "metric", "name"),
    [
        (NAMESPACE, Figure.BACKUP_AGE, "aws_quikapp_recovery_backup_age_maximum"),
        (NAMESPACE, Figure.RESTORE_DURATION, "aws_quikapp_recovery_restore_duration_maximum"),
        (DATABASE_NAMESPACE, Lag.RECOVERY_POINT, "aws_rds_aurora_global_dbrpolag_maximum"),
        (DATABASE_NAMESPACE, Lag.REPLICATION, "aws_rds_aurora_global_dbreplication_lag_maximum"),
    ],
)
def test_a_metric_is_called_in_prometheus_what_the_exporter_calls_it(
    namespace: str, metric: str, name: str
) -> None:
    assert series(namespace, metric) == name


def test_backups_are_told_of_everywhere_and_every_restore_is_timed() -> None:
    assert {(told.data, told.figure) for told in BACKUPS} == {
        (Data.DATABASE, "BackupAge"),
        (Data.FILES, "BackupAge"),
        (Data.FILES, "CopyAge"),
    }
    assert {(told.data, told.figure) for told in RESTORES} == {
        (data, figure) for data in (Data.DATABASE, Data.FILES) for figure in ("RestoreAge", "RestoreDuration")
    }


def test_a_lag_alerts_before_commits_wait_and_a_warning_comes_first() -> None:
    bound = timedelta(seconds=30)
    assert lag_threshold(Level.WARNING, bound) == timedelta(seconds=15)
    assert lag_threshold(Level.CRITICAL, bound) == timedelta(seconds=27)
    assert lag_threshold(Level.CRITICAL, RPO) < RPO


def test_one_run_that_is_left_out_is_noticed_before_the_next_and_one_that_takes_hours_is_not() -> None:
    assert overdue(BACKUP_PERIOD) == timedelta(hours=36)
    assert timedelta(hours=1) + PUBLISHED < SLACK < BACKUP_PERIOD
