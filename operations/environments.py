"""The five environments and what the operations page promises for each ("Deployment Environments")."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

BUDGET_WINDOW: Final = timedelta(days=30)
"""The span over which an error budget is spent."""

RESILIENT_SLA: Final = 99.9
"""From this SLA on, in percent, a whole zone may fail without an outage: three zones, each with its own way out."""


@unique
class EnvironmentName(StrEnum):
    """An environment's name, which is its stack's name, in the order in which a version moves forward."""

    DEV = "dev"
    QA = "qa"
    UAT = "uat"
    STAGING = "staging"
    LIVE = "live"


@unique
class Gate(StrEnum):
    """What has to happen before a version is deployed, from the least to the most strict.

    auto: a merge. manual: a person triggers it. approval: a second person approves. cab: the change advisory
    board approves.
    """

    AUTO = "auto"
    MANUAL = "manual"
    APPROVAL = "approval"
    CAB = "cab"

    @property
    def strictness(self) -> int:
        """The place in the order of strictness: 0 is the least strict."""
        return list(Gate).index(self)


@dataclass(frozen=True)
class Promise:
    """A row of the page's table of environments."""

    purpose: str
    sla: float | None
    """Availability in percent; None where nothing is promised."""
    gate: Gate


PAGE: Final[Mapping[EnvironmentName, Promise]] = MappingProxyType(
    {
        EnvironmentName.DEV: Promise("Development", None, Gate.AUTO),
        EnvironmentName.QA: Promise("Testing", 95.0, Gate.MANUAL),
        EnvironmentName.UAT: Promise("Acceptance", 99.0, Gate.MANUAL),
        EnvironmentName.STAGING: Promise("Pre-prod", 99.9, Gate.APPROVAL),
        EnvironmentName.LIVE: Promise("Production", 99.99, Gate.CAB),
    }
)


def error_budget(sla: float) -> timedelta:
    """Return how long an environment may be down in 30 days and still meet its SLA.

    Args:
        sla: availability in percent, above 0 and below 100.

    Raises:
        ValueError: the SLA is not in that range; 100 % would leave no budget to spend.
    """
    if not 0 < sla < 100:
        raise ValueError(f"an SLA of {sla} % is out of range: above 0 and below 100")
    return BUDGET_WINDOW * ((100 - sla) / 100)
