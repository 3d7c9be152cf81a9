"""What is backed up, how often, for how long and where (the operations page, "Backup Schedule")."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final


@unique
class Data(StrEnum):
    """A kind of data that the page promises to keep."""

    DATABASE = "database"
    FILES = "files"
    CONFIGS = "configs"
    LOGS = "logs"


@dataclass(frozen=True)
class Backup:
    """A row of the page's backup schedule."""

    frequency: str
    retention: timedelta | None
    """How long a copy is kept; None is without limit."""
    location: str


SCHEDULE: Final[Mapping[Data, Backup]] = MappingProxyType(
    {
        Data.DATABASE: Backup("Continuous", timedelta(days=35), "Multi-region"),
        Data.FILES: Backup("Daily", timedelta(days=90), "S3 + Glacier"),
        Data.CONFIGS: Backup("On change", None, "Git"),
        Data.LOGS: Backup("Real-time", timedelta(days=30), "Elasticsearch"),
    }
)


def retention_days(data: Data) -> int:
    """Return the promised retention in whole days.

    Raises:
        ValueError: the data are kept without limit.
    """
    retention = SCHEDULE[data].retention
    if retention is None:
        raise ValueError(f"{data} are kept without limit")
    return retention.days
