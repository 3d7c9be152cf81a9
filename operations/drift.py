"""Where an environment differs from what Git declares for it, and what is to be done about it.

Configuration is kept in Git without limit (the operations page, "Backup Schedule"), which is worth something only as
long as Git says what is there. What differs is told by resource and property and never by value: a value may be a
secret, and the report is read by more people than the state is. For the same reason nothing is told of why a stack could
not be looked at, but where its log is. The same issue tells of a state that lies in one region only: whoever then loses the
region no longer knows what is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from typing import Final, Self

from pydantic import AwareDatetime

from operations.environments import EnvironmentName
from operations.limits import ISSUE_LENGTH, REPLICATION_TIME_MINUTES
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


@unique
class Replication(StrEnum):
    """What S3 says of an object in a bucket that is copied to another region.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-status.html
    """

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    """Not tried again."""
    REPLICA = "REPLICA"
    """It is the copy, and the original is in the other bucket: a stack that nobody updated since its region was lost."""
    NONE = "None"
    """No rule takes it anywhere, which the command line of AWS prints as `None`."""


class StateCopy(Model):
    """What S3 says of the state of a stack: whether it is in the other region, too."""

    status: Replication
    written: AwareDatetime
    """When the state was written."""
    asked: AwareDatetime
    """When S3 was asked."""

    @classmethod
    def told(cls, answer: str, asked: datetime) -> Self:
        """Read what `aws s3api head-object` prints of `[LastModified,ReplicationStatus]` as text.

        Raises:
            ValueError: it is something else.
        """
        written, status = answer.split()
        return cls(status=Replication(status), written=datetime.fromisoformat(written), asked=asked)

    @property
    def is_there(self) -> bool:
        """Whether it is in the other region, or S3 still has time to bring it there (`REPLICATION_TIME_MINUTES`)."""
        if self.status is Replication.PENDING:
            return self.asked - self.written < timedelta(minutes=REPLICATION_TIME_MINUTES.value)
        return self.status in (Replication.COMPLETED, Replication.REPLICA)


class Drift(Model):
    """What a refreshed preview of one stack found, and what S3 says of its state."""

    stack: EnvironmentName
    differences: tuple[Difference, ...] = ()
    copied: StateCopy | None = None
    """None where S3 was not asked, as by hand."""

    @property
    def is_quiet(self) -> bool:
        """Whether an update would change nothing, and the state is where it is kept twice."""
        return not self.differences and self.uncopied is None

    @property
    def uncopied(self) -> StateCopy | None:
        """What S3 says of a state that is in one region only; None where it is in both or nobody asked."""
        return None if self.copied is None or self.copied.is_there else self.copied

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
    """Return what leaves no issue open where all is well, and exactly one where it is not or nothing is known.

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
    """Return one line: how much differs, and whether the state is copied."""
    if isinstance(found, Unknown):
        return f"{found.stack} could not be held against Git: whether it differs is not known."
    uncopied = "" if found.uncopied is None else " Its state is not copied to the other region."
    if not found.differences:
        return f"{found.stack} is as Git declares it.{uncopied}"
    count = len(found.differences)
    outside = sum(difference.cause is Cause.OUTSIDE for difference in found.differences)
    resources = "1 resource" if count == 1 else f"{count} resources"
    return f"{found.stack} differs from Git in {resources}, of which {outside} changed outside of Pulumi.{uncopied}"


def markdown(drift: Drift) -> str:
    """Return the report as GitHub shows it; the same drift gives the same text."""
    said = summary(drift) if drift.uncopied is None else f"{summary(drift)}\n\n{_alone(drift.uncopied)}"
    if not drift.differences:
        return f"{said}\n"
    rows = [
        f"| {difference.operation} | {code(difference.type)} | {code(difference.name)} "
        f"| {_listed(difference.properties)} | {difference.cause} |"
        for difference in drift.differences[:SHOWN_DIFFERENCES]
    ]
    more = len(drift.differences) - SHOWN_DIFFERENCES
    return "\n".join(
        (
            said,
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


def _alone(state: StateCopy) -> str:
    """Return one sentence on a state that is in one region only, the same every night until it is written again."""
    written = f"{state.written.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return (
        f"With the region the state written on {written} would be lost: S3 says {code(state.status)} of its copy, and "
        f"[docs/drift.md]({_PAGE}#a-state-that-is-not-copied) says what to do."
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
