"""A world for a driver to run in, which may kill it between any two things that it asks for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
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
from rollout.errors import UpdateFailed
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


class Waiting(Executor):
    """Does what it is given when somebody waits for the result, and not before."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        class Awaited(Future[Any]):
            def cancel(self) -> bool:
                return False  # it is under way, as far as anybody knows

            def result(self, timeout: float | None = None) -> Any:
                assert timeout is None
                return fn(*args, **kwargs)

        return Awaited()


@lru_cache(maxsize=8)
def read(written: str) -> Record:
    """Return what a journal says."""
    return Record.model_validate_json(written)


@dataclass
class World:
    """Stands in for the stack, its cluster, Prometheus, the journal and the clock of one rollout after another.

    Attributes:
        gates: what an evaluation says.
        deaths: at which instants a driver dies, by their number; the first is 1.
        refuse: why a change fails.
        unreadable: why the weights in the stack's state cannot be read.
        meanwhile: what else happens at an instant, which is given by its name.
        by_hand: the weights in force where somebody else has moved them.
        written: the journal's record as JSON.
        changes: the change requests that were recorded.
        moves: the weights that came into force, without repetitions.
        torn: whether a move of the weights broke off, so that some listener rules have others than the rest.
        said: what persons told the drivers.
        instants: how often a driver could have died: before, amid or after what it asked for.
        turns: those of them before which something changed that outlives a driver, and the world as it was then. To die at
            any other is the same as at the one before.
        shared: the weight that each evaluation was told.
        shown: the states that a person was shown.
        seen: the results that a person was shown, and of when.
    """

    release: Release
    gates: Callable[[World], Verdict] = lambda _: PASSES
    deaths: tuple[int, ...] = ()
    refuse: Callable[[Action], Exception | None] = lambda _: None
    ailing: Callable[[Slot], str | None] = lambda _: None
    unreadable: Callable[[], Exception | None] = lambda: None
    journal_fails: Callable[[], Exception | None] = lambda: None
    meanwhile: Callable[[str], None] = lambda _: None
    by_hand: Weights | None = None
    time: datetime = START
    written: str | None = None
    changes: Ledger = ()
    moves: list[Weights] = field(default_factory=list[Weights])
    evaluations: list[datetime] = field(default_factory=list[datetime])
    shared: list[int] = field(default_factory=list[int])
    told: list[str] = field(default_factory=list[str])
    shown: list[State] = field(default_factory=list[State])
    seen: list[tuple[datetime, Result]] = field(default_factory=list["tuple[datetime, Result]"])
    torn: bool = False
    said: list[Command] = field(default_factory=list[Command])
    instants: int = 0
    turns: list[tuple[str, World]] = field(default_factory=list["tuple[str, World]"])

    def _instant(self, name: str) -> None:
        self.meanwhile(name)
        if not self.turns or self.turns[-1][1].lasting != self.lasting:
            self.turns.append((name, self._copy()))
        self.instants += 1
        if self.instants in self.deaths:
            raise Killed(name)

    def _copy(self) -> World:
        return replace(
            self,
            moves=[*self.moves],
            evaluations=[*self.evaluations],
            shared=[*self.shared],
            told=[*self.told],
            shown=[],
            seen=[],
            said=[*self.said],
            turns=[],
        )

    @property
    def lasting(self) -> tuple[object, ...]:
        """All that outlives a driver, but for the time."""
        return (self.written, self.release, self.changes, self.torn, self.by_hand)

    # --- infrastructure

    def change(self, action: PrepareSlot | SetWeights | ScaleDown, stable: Version) -> None:
        self._instant(f"before {action.kind}")
        if (why := self.refuse(action)) is not None:
            raise why
        self.time += timedelta(seconds=20)
        self.changes = changes_after(self.changes, action)
        self.torn |= isinstance(action, SetWeights)
        self._instant(f"amid {action.kind}")
        self.release = release_after(self.release, action).model_copy(update={"stable": stable})
        if isinstance(action, SetWeights):
            self.torn, self.by_hand = False, None
        if not self.moves or self.moves[-1] != self.release.weights:
            self.moves.append(self.release.weights)
        self._instant(f"after {action.kind}")

    def weights(self) -> Weights:
        self._instant("before reading back")
        found = self._in_force()
        self._instant("after reading back")
        return found

    def recorded_weights(self) -> Weights:
        self._instant("before a look at the state")
        if (why := self.unreadable()) is not None:
            raise why
        found = self._in_force()
        self._instant("after a look at the state")
        return found

    def _in_force(self) -> Weights:
        if self.torn:
            raise UpdateFailed("the listener rules differ in their weights")
        return self.by_hand or self.release.weights

    def ailment(self, slot: Slot) -> str | None:
        self._instant("before a look at the slot")
        found = self.ailing(slot)
        self._instant("after a look at the slot")
        return found

    # --- observer

    def evaluate(self, new: Slot, weight: int) -> Evaluation:
        self._instant("before an evaluation")
        assert new is Slot.GREEN
        self.shared.append(weight)
        self.evaluations.append(self.time)
        try:
            return Evaluation(self.gates(self))
        except AssertionError as error:
            raise Killed("a test's own claim does not hold") from error  # no driver is to outlive that

    # --- clock

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self._instant("before a wait")
        self.time += timedelta(seconds=seconds)

    # --- narrator

    def is_at(self, state: State) -> None:
        self.shown.append(state)

    def sees(self, evaluation: Evaluation, at: datetime) -> None:
        self.seen.append((at, evaluation.verdict.result))

    def says(self, line: str) -> None:
        self.told.append(line)

    # --- journal

    @property
    def record(self) -> Record:
        assert self.written is not None
        return read(self.written)

    @property
    def state(self) -> State:
        return self.record.state

    def journal(self) -> _Journal:
        return _Journal(self)

    def exchange(self, change: Callable[[Record | None], Record] | None) -> Record | None:
        self._instant("before reading the journal" if change is None else "before writing the journal")
        if (why := self.journal_fails()) is not None:
            raise why
        found = None if self.written is None else self.record
        if change is None:
            return found
        changed = change(found)
        self.written = changed.model_dump_json()
        self._instant("after writing the journal")
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

    def begin(self, plan: Plan | None = None, background: Executor | None = None) -> Report:
        """Drive a new rollout to its end."""
        lease = self.lease("ada", 1)
        state = start(plan or self.plan(), self.time, "ada", "CHG-1234")
        found = None if self.written is None else self.record
        self.written = handover.begun(found, state, lease).model_dump_json()
        return self._drive(lease, state, background)

    def take_over(self, command: Resume | Rollback | None = None) -> Report:
        """Drive a rollout to its end whose driver is dead."""
        lease = self.lease("bob", 2)
        record = handover.taken_over(self.record, "live", command or Resume(at=self.time, who="bob"), lease)
        assert record.lease is not None
        assert record.lease.token == lease.token, "the other driver is alive"
        self.written = record.model_dump_json()
        return self._drive(lease, record.state)

    def say(self, command: Command) -> None:
        """Tell the driver."""
        self.said.append(command)
        self.written = handover.told(self.record, "live", command, self.time).model_dump_json()

    def plan(
        self,
        speed: int = 12,
        interval: timedelta = INTERVAL,
        drain: timedelta = timedelta(seconds=45),
    ) -> Plan:
        return Plan.of(
            self.release,
            "v2.4.0",
            sla=99.99,
            drain=drain,
            interval=interval,
            speed=speed,
            change="CHG0030043",
        )

    def _drive(self, lease: Lease, state: State, background: Executor | None = None) -> Report:
        background = background or Immediate()
        return Driver(self, self, self.journal(), self, self, background, lease, state).drive()


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


def fails_at(weight: int) -> Callable[[World], Verdict]:
    """Gates that fail at a weight of the new slot."""
    return lambda world: FAILS if world.weight == weight else PASSES
