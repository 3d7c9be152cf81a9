"""Where an environment differs from what Git declares for it, and what is to be done about it.

Configuration is kept in Git without limit (the operations page, "Backup Schedule"), which is worth something only as
long as Git says what is there. What differs is told by resource and property and never by value: a value may be a
secret, and the report is read by more people than the state is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from operations.environments import EnvironmentName
from operations.markdown import code
from operations.model import Model

SHOWN_DIFFERENCES: Final = 60
SHOWN_PROPERTIES: Final = 5
"""Of a report that a person reads: rows, and properties of a row. What is beyond is counted, so that any report fits an
issue (`ISSUE_LENGTH`)."""


@unique
class Cause(StrEnum):
    """How a difference came about."""

    OUTSIDE = "outside"
    """What is there is no longer what Pulumi left there: somebody or something else changed it."""
    UNDEPLOYED = "undeployed"
    """What is there is what Pulumi left there; Git has moved on, or the update broke off."""


class Difference(Model):
    """One resource that an update would change."""

    operation: str
    """What the update would do: `create`, `update`, `replace`, `delete`, …"""
    type: str
    """The resource's type token."""
    name: str
    """The resource's name in the program."""
    properties: tuple[str, ...] = ()
    """Paths of the properties that differ, without their values."""
    cause: Cause


class Drift(Model):
    """What a refreshed preview of one stack found."""

    stack: EnvironmentName
    differences: tuple[Difference, ...] = ()

    @property
    def is_quiet(self) -> bool:
        """Whether an update would change nothing."""
        return not self.differences

    @property
    def title(self) -> str:
        """The title of the one issue about this stack."""
        return f"Drift: {self.stack}"


@dataclass(frozen=True)
class Issue:
    """An issue that is open."""

    number: int
    body: str


@dataclass(frozen=True)
class Open:
    """Open an issue."""

    title: str
    body: str


@dataclass(frozen=True)
class Rewrite:
    """Put what is the case now into the issue that is open."""

    number: int
    body: str


@dataclass(frozen=True)
class Close:
    """Close an issue with a last comment."""

    number: int
    comment: str


Action = Open | Rewrite | Close


def actions(drift: Drift, issues: Sequence[Issue]) -> tuple[Action, ...]:
    """Return what leaves exactly one issue open where there is drift, and none where there is none.

    Args:
        drift: what was found now.
        issues: those that are open under the stack's title, the oldest first; more than one where two runs met.
    """
    if drift.is_quiet:
        return tuple(Close(issue.number, "Nothing differs any more.") for issue in issues)
    body = markdown(drift)
    if not issues:
        return (Open(drift.title, body),)
    first, *others = issues
    kept = () if first.body == body else (Rewrite(first.number, body),)
    return (*kept, *(Close(issue.number, f"Goes on in #{first.number}.") for issue in others))


def summary(drift: Drift) -> str:
    """Return one line: how much differs."""
    if drift.is_quiet:
        return f"{drift.stack} is as Git declares it."
    count = len(drift.differences)
    outside = sum(difference.cause is Cause.OUTSIDE for difference in drift.differences)
    resources = "1 resource" if count == 1 else f"{count} resources"
    return f"{drift.stack} differs from Git in {resources}, of which {outside} changed outside of Pulumi."


def markdown(drift: Drift) -> str:
    """Return the report as GitHub shows it; the same drift gives the same text."""
    if drift.is_quiet:
        return f"{summary(drift)}\n"
    rows = [
        f"| {difference.operation} | {code(difference.type)} | {code(difference.name)} "
        f"| {_listed(difference.properties)} | {difference.cause} |"
        for difference in drift.differences[:SHOWN_DIFFERENCES]
    ]
    more = len(drift.differences) - SHOWN_DIFFERENCES
    return "\n".join(
        (
            summary(drift),
            "",
            "| an update would | type | resource | properties | changed |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            *([f"\n… and {more} more."] if more > 0 else []),
            "",
            f"See them with their values: `pulumi preview --refresh --diff --stack {drift.stack}`.",
            "What to do: [docs/drift.md](../blob/HEAD/docs/drift.md).",
            "",
        )
    )


def _listed(properties: Sequence[str]) -> str:
    more = len(properties) - SHOWN_PROPERTIES
    shown = ", ".join(code(path) for path in properties[:SHOWN_PROPERTIES])
    return f"{shown} and {more} more" if more > 0 else shown
