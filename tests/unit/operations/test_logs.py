"""Lines are kept for as long as promised and no longer, and found within seconds."""

from datetime import timedelta

import pytest

from operations import backup, logs

THIRTY_DAYS = timedelta(days=30)


def test_logs_are_kept_as_long_as_the_page_promises() -> None:
    assert timedelta(days=backup.retention_days(backup.Data.LOGS)) == THIRTY_DAYS


def test_no_line_of_the_last_thirty_days_is_lost() -> None:
    assert logs.youngest_lost(THIRTY_DAYS) == THIRTY_DAYS


def test_a_line_that_came_after_the_rollover_is_thirty_days_old_when_its_index_goes() -> None:
    assert logs.index_deleted_after(THIRTY_DAYS) == timedelta(days=30, hours=1)


def test_no_line_is_found_that_the_next_hourly_sweep_should_have_taken() -> None:
    assert logs.oldest_found(THIRTY_DAYS) == timedelta(days=30, hours=1)


def test_without_any_sweep_a_line_goes_with_its_index_after_little_more_than_a_day() -> None:
    assert logs.oldest_index(THIRTY_DAYS) == timedelta(days=31, hours=1, minutes=20)


@pytest.mark.parametrize("days", [1, 7, 30, 90])
def test_both_ends_hold_for_every_retention(days: int) -> None:
    retention = timedelta(days=days)
    assert logs.youngest_lost(retention) >= retention
    assert logs.oldest_found(retention) - retention <= timedelta(hours=1)


def test_a_line_is_found_within_ten_seconds() -> None:
    assert timedelta(seconds=6, milliseconds=50) == logs.SEARCHABLE_AFTER
    assert logs.SEARCHABLE_AFTER <= logs.REAL_TIME == timedelta(seconds=10)


def test_the_lines_of_an_environment_are_one_data_stream() -> None:
    assert logs.log_stream("live") == "logs-quikapp-live"


def test_a_duration_is_written_in_whole_seconds() -> None:
    assert logs.seconds(timedelta(days=30, hours=1)) == "2595600s"
    with pytest.raises(ValueError, match="fraction of a second"):
        logs.seconds(logs.BATCH)
