"""How fast an incident is answered and resolved, and in which steps (the operations page, "Incident Management")."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final


@unique
class Severity(StrEnum):
    """The severity of an incident, from the worst down."""

    SEV1 = "SEV1"
    SEV2 = "SEV2"
    SEV3 = "SEV3"
    SEV4 = "SEV4"


@dataclass(frozen=True)
class Objective:
    """A row of the page's table of severities."""

    description: str
    response: timedelta
    """Until someone works on it."""
    resolution: timedelta | None
    """Until it is resolved; None is best effort."""


OBJECTIVES: Final[Mapping[Severity, Objective]] = MappingProxyType(
    {
        Severity.SEV1: Objective("Total outage", timedelta(minutes=5), timedelta(hours=1)),
        Severity.SEV2: Objective("Major degradation", timedelta(minutes=15), timedelta(hours=4)),
        Severity.SEV3: Objective("Minor impact", timedelta(hours=1), timedelta(hours=24)),
        Severity.SEV4: Objective("No user impact", timedelta(hours=24), None),
    }
)


@unique
class Step(StrEnum):
    """The steps of the incident process, in order."""

    DETECTION = "Detection"
    TRIAGE = "Triage"
    MITIGATION = "Mitigation"
    RESOLUTION = "Resolution"
    POSTMORTEM = "Postmortem"
