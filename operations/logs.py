"""Logs: where their lines lie, how long they are kept and how soon they are found (the operations page, "Backup
Schedule": logs, real-time, 30 days, Elasticsearch).

A line lies in the backing index that was written to when it arrived. Elasticsearch rolls that index over after a day
and deletes it a fixed time after its rollover, so whatever that time is, it is too short for the last line of the index
or too long for its first. Both ends of the promise take two means: indices are deleted late enough for their youngest
line, and a sweep every hour removes single lines that are too old.

Source: https://www.elastic.co/docs/manage-data/lifecycle/index-lifecycle-management/index-lifecycle
"""

from datetime import timedelta
from typing import Final

from operations.naming import APPLICATION

STREAM_TYPE: Final = "logs"
"""The first of the three words of a data stream's name; the application and the environment are the others.
Source: https://www.elastic.co/docs/reference/fleet/data-streams"""


def log_stream(environment: str) -> str:
    """The data stream that holds an environment's lines, such as `logs-quikapp-live`."""
    return f"{STREAM_TYPE}-{APPLICATION}-{environment}"


# --- how long ------------------------------------------------------------------------------------------------------

ROLLOVER: Final = timedelta(days=1)
"""The age at which an index is closed to new lines."""

LIFECYCLE_POLL: Final = timedelta(minutes=10)
"""Between two looks at the indices' ages, Elasticsearch's default: rollover and deletion come this much late.
Source: https://www.elastic.co/docs/reference/elasticsearch/configuration-reference/index-lifecycle-management-settings"""

LATE_LINE: Final = timedelta(hours=1)
"""How much later than its rollover an index may still take a line, with room: a request was on its way, or a node's
clock runs ahead."""

SWEEP: Final = timedelta(hours=1)
"""Between two removals of lines that are older than they may be."""


def index_deleted_after(retention: timedelta) -> timedelta:
    """From the rollover of an index to its deletion."""
    return retention + LATE_LINE


def youngest_lost(retention: timedelta) -> timedelta:
    """The age of the youngest line that can be in an index when it is deleted; no younger one is ever lost."""
    return index_deleted_after(retention) - LATE_LINE


def oldest_found(retention: timedelta) -> timedelta:
    """The age up to which a line can be found: the next sweep takes it, and its index is deleted later."""
    return min(retention + SWEEP, oldest_index(retention))


def oldest_index(retention: timedelta) -> timedelta:
    """The age of the oldest line of an index when that is deleted: what would be found if no sweep ever ran."""
    return ROLLOVER + LIFECYCLE_POLL + index_deleted_after(retention) + LIFECYCLE_POLL


# --- how soon ------------------------------------------------------------------------------------------------------

SCAN: Final = timedelta(seconds=2)
"""Between two looks for new files on a node."""

READ: Final = timedelta(seconds=1)
"""Between two looks at the end of a file that is open."""

COLLECT: Final = timedelta(seconds=1)
"""How long Filebeat waits for more lines before it sends what it has."""

BATCH: Final = timedelta(milliseconds=50)
"""How long Logstash waits for more lines before it handles what it has."""

REFRESH: Final = timedelta(seconds=2)
"""Between two moments at which Elasticsearch lets searches see what was written."""

SEARCHABLE_AFTER: Final = SCAN + READ + COLLECT + BATCH + REFRESH
"""The longest wait of a line that nothing holds up, from its writing until a search finds it."""

REAL_TIME: Final = timedelta(seconds=10)
"""What the page's "real-time" means here: the bound of `SEARCHABLE_AFTER`."""


def seconds(duration: timedelta) -> str:
    """A duration as Elasticsearch, Filebeat and Go read it, in whole seconds such as `7200s`.

    Raises:
        ValueError: it has a fraction of a second.
    """
    whole, rest = divmod(duration, timedelta(seconds=1))
    if rest:
        raise ValueError(f"{duration} has a fraction of a second")
    return f"{whole}s"
