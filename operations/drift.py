"""Where an environment differs from what Git declares for it, and what is to be done about it.

Configuration is kept in Git without limit (the operations page, "Backup Schedule"), which is worth something only as
long as Git says what is there. What differs is told by resource and property and never by value: a value may be a
secret, and the report is read by more people than the state is. For the same reason nothing is told of why a stack could
not be looked at, but where its log is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from operations.environments import EnvironmentName
from operations.limits import ISSUE_LENGTH
from operations.markdown import code
from operations.model import Model

SHOWN_DIFFERENCES: Final = 60
SHOWN_PROPERTIES: Final = 5
"""Of a report that a person reads: rows, and properties of a row. What is beyond is counted, so that any report fits an
issue (`ISSUE_LENGTH`)."""

_PAGE: Final = "../blob/HEAD/docs/drift.md"
_LAST_FOUND: Final = "What was found when it was last looked at:"
"""Above what an issue keeps through nights that fail."""


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
        return _title(self.stack)


@dataclass(frozen=True)
class Unknown:
    """A stack that could not be looked at: whether it drifts is not known, and what is known of before still stands."""

    stack: EnvironmentName
    log: str
    """Address of the log that says why."""

    @property
    def title(self) -> str:
        """See `Drift`: it is the same issue."""
        return _title(self.stack)


Finding = Drift | Unknown


def _title(stack: EnvironmentName) -> str:
    return f"Drift: {stack}"


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


def actions(found: Finding, issues: Sequence[Issue]) -> tuple[Action, ...]:
    """Return what leaves no issue open where nothing differs, and exactly one where something does or nothing is known.

    Args:
        found: what was found now.
        issues: those that are open under the stack's title, the oldest first; more than one where two runs met.
    """
    if isinstance(found, Drift) and found.is_quiet:
        return tuple(Close(issue.number, "Nothing differs any more.") for issue in issues)
    body = markdown(found) if isinstance(found, Drift) else _unknown(found, issues[0].body if issues else "")
    if not issues:
        return (Open(found.title, body),)
    first, *others = issues
    kept = () if first.body == body else (Rewrite(first.number, body),)
    return (*kept, *(Close(issue.number, f"Goes on in #{first.number}.") for issue in others))


def summary(found: Finding) -> str:
    """Return one line: how much differs."""
    if isinstance(found, Unknown):
        return f"{found.stack} could not be held against Git: whether it differs is not known."
    if found.is_quiet:
        return f"{found.stack} is as Git declares it."
    count = len(found.differences)
    outside = sum(difference.cause is Cause.OUTSIDE for difference in found.differences)
    resources = "1 resource" if count == 1 else f"{count} resources"
    return f"{found.stack} differs from Git in {resources}, of which {outside} changed outside of Pulumi."


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
            f"What to do: [docs/drift.md]({_PAGE}).",
            "",
        )
    )


def _unknown(found: Unknown, before: str) -> str:
    """Return what the issue says of a stack that could not be looked at, above what it said when it last could."""
    said = summary(found)
    last = (before.partition(_LAST_FOUND)[2] if before.startswith(said) else before).strip()
    notice = (
        f"{said}\n\nWhy: [its log]({found.log}). What to do: [docs/drift.md]({_PAGE}#a-night-that-fails).\n"
    )
    return f"{notice}\n{_LAST_FOUND}\n\n{last}"[: ISSUE_LENGTH.value] if last else notice


def _listed(properties: Sequence[str]) -> str:
    more = len(properties) - SHOWN_PROPERTIES
    shown = ", ".join(code(path) for path in properties[:SHOWN_PROPERTIES])
    return f"{shown} and {more} more" if more > 0 else shown
