"""A world for a driver to run in, which may kill it between any two things that it asks for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from operations.changes import Ledger
from operations.release import Release, SlotRelease, Standby, Switch, Version
from operations.rollout.actions import (
    Action,
    PrepareSlot,
    Report,
    ScaleDown,
    SetWeights,
    changes_after,
    release_after,
)
from operations.rollout.events import Resume, Rollback
from operations.rollout.gate import Result, Verdict
from operations.rollout.machine import start
from operations.rollout.plan import INTERVAL, Plan
from operations.rollout.state import State
from operations.slots import Slot, Weights
from rollout import handover
from rollout.driver import Driver
from rollout.ports import Evaluation
from rollout.record import Command, Lease, Record

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PASSES = Verdict(result=Result.PASS, error_rate=0.0)
FAILS = Verdict(result=Result.FAIL, error_rate=0.15)

T = TypeVar("T")


class Killed(BaseException):
    """The driver is gone, as by kill -9: nothing that it would have done comes after."""


class Immediate(Executor):
    """Does at once what it is given."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass
class World:
    """Stands in for the stack, its cluster, Prometheus, the journal and the clock of one rollout after another.

    Attributes:
        gates: what an evaluation says.
        deaths: at which of the things that it asks for a driver dies; changes are counted before and after.
        refuse: why a change fails.
        written: the journal's record as JSON.
        changes: the change requests that were recorded.
        moves: the weights that came into force, without repetitions.
    """

    release: Release
    gates: Callable[[World], Verdict] = lambda _: PASSES
    deaths: tuple[int, ...] = ()
    refuse: Callable[[Action], Exception | None] = lambda _: None
    ailing: Callable[[Slot], str | None] = lambda _: None
    journal_fails: Callable[[], Exception | None] = lambda: None
    time: datetime = START
    written: str | None = None
    changes: Ledger = ()
    moves: list[Weights] = field(default_factory=list[Weights])
    evaluations: list[datetime] = field(default_factory=list[datetime])
    told: list[str] = field(default_factory=list[str])
    asked: int = 0

    def _point(self) -> None:
        self.asked += 1
        if self.asked in self.deaths:
            raise Killed

    # --- infrastructure

    def change(self, action: PrepareSlot | SetWeights | ScaleDown, stable: Version) -> None:
        self._point()
        if (why := self.refuse(action)) is not None:
            raise why
        self.time += timedelta(seconds=20)
        self.release = release_after(self.release, action).model_copy(update={"stable": stable})
        self.changes = changes_after(self.changes, action)
        if not self.moves or self.moves[-1] != self.release.weights:
            self.moves.append(self.release.weights)
        self._point()

    def weights(self) -> Weights:
        self._point()
        return self.release.weights

    def ailment(self, slot: Slot) -> str | None:
        self._point()
        return self.ailing(slot)

    # --- observer

    def evaluate(self, new: Slot) -> Evaluation:
        self._point()
        assert new is Slot.GREEN
        self.evaluations.append(self.time)
        return Evaluation(self.gates(self))

    # --- clock

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self._point()
        self.time += timedelta(seconds=seconds)

    # --- narrator

    def begins(self, action: Action) -> None: ...

    def is_at(self, state: State) -> None: ...

    def sees(self, evaluation: Evaluation, at: datetime) -> None: ...

    def says(self, line: str) -> None:
        self.told.append(line)

    # --- journal

    @property
    def record(self) -> Record:
        assert self.written is not None
        return Record.model_validate_json(self.written)

    @property
    def state(self) -> State:
        return self.record.state

    def journal(self) -> _Journal:
        return _Journal(self)

    def exchange(self, change: Callable[[Record | None], Record] | None) -> Record | None:
        self._point()
        if (why := self.journal_fails()) is not None:
            raise why
        found = None if self.written is None else self.record
        if change is None:
            return found
        changed = change(found)
        self.written = changed.model_dump_json()
        self._point()
        return changed

    # --- drivers

    @property
    def weight(self) -> int:
        """Of the new slot, in force."""
        return self.release.weights.green

    @property
    def shares(self) -> list[int]:
        """The weights that the new slot had, one after the other."""
        return [weights.green for weights in self.moves]

    def lease(self, who: str, pid: int) -> Lease:
        return handover.lease_of(who, self.time).model_copy(update={"host": "elsewhere", "pid": pid})

    def begin(self, plan: Plan | None = None) -> Report:
        """Drive a new rollout to its end."""
        lease = self.lease("ada", 1)
        state = start(plan or self.plan(), self.time, "ada", "CHG-1234")
        found = None if self.written is None else self.record
        self.written = handover.begun(found, state, lease).model_dump_json()
        return self._drive(lease, state)

    def take_over(self, command: Resume | Rollback | None = None) -> Report:
        """Drive a rollout to its end whose driver is dead."""
        lease = self.lease("bob", 2)
        record = handover.taken_over(self.record, "live", command or Resume(at=self.time, who="bob"), lease)
        assert record.lease == lease, "the other driver is alive"
        self.written = record.model_dump_json()
        return self._drive(lease, record.state)

    def say(self, command: Command) -> None:
        """Tell the driver."""
        self.written = handover.told(self.record, "live", command, self.time).model_dump_json()

    def plan(self, speed: int = 12, interval: timedelta = INTERVAL) -> Plan:
        return Plan.of(
            self.release,
            "v2.4.0",
            sla=99.99,
            drain=timedelta(seconds=45),
            interval=interval,
            speed=speed,
            change="CHG0030043",
        )

    def _drive(self, lease: Lease, state: State) -> Report:
        return Driver(self, self, self.journal(), self, self, Immediate(), lease, state).drive()


@dataclass
class _Journal:
    world: World

    def read(self) -> Record | None:
        return self.world.exchange(None)

    def change(self, change: Callable[[Record | None], Record]) -> Record:
        changed = self.world.exchange(change)
        assert changed is not None
        return changed


def release(switch: Switch = Switch.LADDER, standby: Standby = Standby.WARM) -> Release:
    """Blue serves."""
    return Release(
        blue=SlotRelease(version="v2.3.0", weight=100),
        green=SlotRelease(version="v2.2.0", weight=0),
        standby=standby,
        switch=switch,
    )
