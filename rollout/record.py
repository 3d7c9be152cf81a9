"""What the journal holds of a stack's latest rollout: where it is, who drives it, what it was told, what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, Self

from pydantic import AwareDatetime, Field

from operations.metrics import ERROR_RATE, LATENCY_P99
from operations.model import Model
from operations.rollout.actions import PrepareSlot, ScaleDown, SetWeights, VerifyWeights
from operations.rollout.events import Pause, Promote, Resume, Rollback
from operations.rollout.gate import Measured, Result, Sample
from operations.rollout.machine import next_action
from operations.rollout.state import Stage, State

LEASE: Final = timedelta(minutes=2)
"""How long a driver may be silent before another may take its place."""

LEASE_IN_UPDATE: Final = timedelta(minutes=30)
"""The same while an update of the stack is under way, during which it cannot speak: longer than a slot's start takes."""

IN_UPDATE: Final = PrepareSlot | SetWeights | VerifyWeights | ScaleDown
"""The actions that take an update of the stack, or of its state."""

MOST_POINTS: Final = 500
"""Points kept for the picture; beyond them every second one goes."""

Command = Annotated[Pause | Resume | Promote | Rollback, Field(discriminator="kind")]
"""What a person said; `kind` tells them apart in JSON."""


class Lease(Model):
    """Who drives a rollout, and until when nobody else may."""

    token: str
    """One of its own for each driver."""
    who: str
    host: str
    boot: str | None = None
    """Of the host, one of its own each time that it starts, where it has such: two machines may have one name."""
    namespace: int | None = None
    """Of the process, where the system has such: two containers of one host may each have a process of this number."""
    pid: int
    renewed: AwareDatetime
    expires: AwareDatetime

    @property
    def holder(self) -> str:
        """The same for a person."""
        return f"{self.who} on {self.host} (process {self.pid})"

    def from_now(self, now: datetime, state: State) -> Self:
        """Return the same lease renewed, for as long as what the state asks for next may keep its driver silent."""
        span = LEASE_IN_UPDATE if isinstance(next_action(state), IN_UPDATE) else LEASE
        return self.model_copy(update={"renewed": now, "expires": now + span})


class Point(Model):
    """One evaluation as the picture shows it; None where there is no data."""

    at: AwareDatetime
    weight: int
    """Of the new slot, in percent."""
    new_errors: float | None
    """Ratio of all requests to the slot that failed, 0 to 1."""
    old_errors: float | None
    new_p99: float | None
    """Seconds, of the slowest service."""
    old_p99: float | None
    result: Result


class Record(Model):
    """Everything that a stack's journal holds."""

    state: State
    lease: Lease | None = None
    """None while nobody drives."""
    inbox: tuple[Command, ...] = ()
    """Said by persons and not yet heard by the driver, the oldest first."""
    points: tuple[Point, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do: a way back that nobody has heard of yet is."""
        return self.state.stage is Stage.DONE and not any(isinstance(said, Rollback) for said in self.inbox)


def point(at: datetime, state: State, sample: Sample | None, result: Result) -> Point:
    """Return an evaluation as the picture shows it."""
    services = sample.services if sample else ()
    new = [service.new for service in services]
    old = [service.old for service in services if service.old is not None]
    return Point(
        at=at,
        weight=state.weights.of(state.plan.slot),
        new_errors=error_ratio(new),
        old_errors=error_ratio(old),
        new_p99=slowest(new),
        old_p99=slowest(old),
        result=result,
    )


def thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points, or every second one, and the last, where they are too many."""
    return tuple(points) if len(points) <= MOST_POINTS else (*points[:-1:2], points[-1])


def error_ratio(measured: Sequence[Measured]) -> float | None:
    """Return the ratio of a slot's requests that failed, 0 to 1; None without requests or where it is unknown."""
    requests = sum(service.requests for service in measured)
    known = all(m.requests == 0 or m.values.get(ERROR_RATE.name) is not None for m in measured)
    return min(sum(service.failed for service in measured) / requests, 1.0) if requests and known else None


def slowest(measured: Sequence[Measured]) -> float | None:
    """Return the P99 of the slot's slowest service in seconds; None where none is known."""
    values = [value for m in measured if (value := m.values.get(LATENCY_P99.name)) is not None]
    return max(values, default=None)
