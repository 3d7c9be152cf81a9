"""The recovery objectives (the operations page, "Recovery Objectives"). Both are strict upper bounds."""

from datetime import timedelta
from typing import Final

RPO: Final = timedelta(minutes=1)
"""Recovery point: the data lost is always younger than this."""

RTO: Final = timedelta(minutes=15)
"""Recovery time: the service is back in less than this."""
