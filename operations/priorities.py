"""Who hears of an alert, and how (the operations page, "Alert Routing")."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from operations.incidents import Severity
from operations.metrics import Level


@unique
class Priority(StrEnum):
    """The priority of an alert, from the most to the least urgent."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


@unique
class Paging(StrEnum):
    """When PagerDuty is told."""

    ALWAYS = "always"
    BUSINESS_HOURS = "business-hours"


@unique
class Review(StrEnum):
    """How often the alerts in a channel are gone through."""

    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True)
class Route:
    """A branch of the page's routing tree."""

    title: str
    opens: Severity
    """The severity of the incident that an alert of this priority opens; triage may change it."""
    paging: Paging | None = None
    escalation: tuple[str, ...] = ()
    """Whom PagerDuty calls, in turn, until someone acknowledges."""
    channel: str | None = None
    """Slack channel that also hears of it."""
    review: Review | None = None


ROUTES: Final[Mapping[Priority, Route]] = MappingProxyType(
    {
        Priority.P1: Route(
            "Critical",
            opens=Severity.SEV1,
            paging=Paging.ALWAYS,
            escalation=("On-call Engineer", "Team Lead", "Engineering Manager"),
        ),
        Priority.P2: Route("High", opens=Severity.SEV2, paging=Paging.BUSINESS_HOURS, channel="#incidents"),
        Priority.P3: Route("Medium", opens=Severity.SEV3, channel="#alerts", review=Review.DAILY),
        Priority.P4: Route("Low", opens=Severity.SEV4, channel="#alerts", review=Review.WEEKLY),
    }
)

PRIORITY_OF_LEVEL: Final[Mapping[Level, Priority]] = MappingProxyType(
    {Level.CRITICAL: Priority.P1, Level.WARNING: Priority.P3}
)
"""The page calls P1 critical. A warning is for the day's review: it leaves time before anything breaks, and a page
at night that can wait teaches people to ignore pages."""
