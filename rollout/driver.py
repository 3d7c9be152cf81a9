"""The loop between the state machine and the world.

Each turn carries out the action that the state asks for and tells the machine what came of it. The state is in the journal
before anything is changed: a driver that dies leaves either an action that was not begun, or one whose outcome is not
recorded, and either is simply done again. What was only seen is written while the looking goes on, so that a slow backend
makes no gaps between two evaluations. Traffic goes back before anything is written where the journal cannot be reached.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVarTuple

from operations.rollout.actions import (
    Action,
    CheckHealth,
    Finish,
    Hold,
    PrepareSlot,
    Report,
    ScaleDown,
    SetWeights,
    VerifyWeights,
    Watch,
)
from operations.rollout.events import Blocked, Done, Event, Failed, Observed
from operations.rollout.gate import unreachable
from operations.rollout.machine import apply, next_action, refusal
from operations.rollout.state import Direction, State
from operations.slots import Slot, Weights
from rollout.errors import JournalFailed, LeaseLost, PlanRefused, RolloutError, UpdateFailed
from rollout.ports import Clock, Evaluation, Infrastructure, Journal, Narrator, Observer
from rollout.record import LEASE, Command, Lease, Point, Record, point, thinned

LISTENING: Final = timedelta(seconds=5)
"""How often the driver looks whether somebody said something, and the first wait before a failed action is tried again."""

RENEWAL: Final = timedelta(seconds=30)
"""How often the journal is written where nothing was decided: a quarter of what another driver waits for."""

LOOKING: Final = timedelta(minutes=1)
"""How often the weights in the stack's state are looked at while the gates are watched."""

HEALTH_POLL: Final = timedelta(seconds=2)

LONGEST_RETRY: Final = timedelta(minutes=1)
"""The longest wait before an action that failed is tried again."""

Told = TypeVarTuple("Told")


@dataclass
class Driver:
    """Drives the rollout of one stack, whose record in the journal holds this driver's lease.

    Attributes:
        background: where the journal is read and written, and the stack's state looked at, while the gates are watched; one
            worker, so that only one thing is done at a time.
        lease: this driver's own.
        state: where the rollout is.
    """

    infrastructure: Infrastructure
    observer: Observer
    journal: Journal
    clock: Clock
    narrator: Narrator
    background: Executor
    lease: Lease
    state: State
    _written: datetime = field(init=False)
    _listened: datetime = field(init=False)
    _looked: datetime = field(init=False)
    _look: Future[str | None] | None = field(init=False, default=None)
    """A look at the weights in the stack's state that is under way; its result says how somebody moved them, if so."""
    _pending: Future[Callable[[], Record]] | None = field(init=False, default=None)
    """An exchange with the journal that is under way; its result takes in what it brings."""
    _dirty: bool = field(init=False, default=False)
    """Whether something was decided that is not in the journal."""
    _heard: set[Command] = field(init=False, default_factory=set[Command])
    """The commands that are in the state; some may still be in the journal's inbox."""
    _complaint: str = field(init=False, default="")
    """What was last said of the journal, which is not said again while it stays the same."""
    _unwritten: tuple[Point, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        self._written = self._listened = self._looked = self.clock.now()

    def drive(self) -> Report:
        """Lead the rollout to its end.

        Raises:
            LeaseLost: another driver goes on with it.
        """
        while True:
            self._tell(self.narrator.is_at, self.state)
            self._listen()
            action = next_action(self.state)
            if isinstance(action, Finish):
                self._settle()
                if next_action(self.state) == action and self._leave():
                    return action.report
                continue
            if self.state.attempts and not self._waited(_pause_before(self.state.attempts), action):
                continue
            event = self._perform(action)
            if event is not None:
                self._take(event)

    def let_go(self) -> None:
        """Give up the lease, so that another driver need not wait for it to expire.

        Raises:
            LeaseLost: another driver has it.
            JournalFailed: the journal cannot be written.
        """
        self._settle()
        give_up = self.clock.now() + LEASE
        while not self._leave():
            if self._complaint and self.clock.now() >= give_up:
                raise JournalFailed(
                    f"{self._complaint}. The weights stay as they are, nobody watches them, and who says rollout resume "
                    "may have to wait for the lease to run out"
                )

    def _perform(self, action: Action) -> Event | None:
        """Carry out an action and return what came of it; None where nothing did, or a command has overtaken it."""
        match action:
            case PrepareSlot() | SetWeights() | ScaleDown():
                self._look_away()
                return self._tried(
                    action, lambda: self.infrastructure.change(action, self.state.plan.replaces)
                )
            case VerifyWeights():
                return self._tried(action, lambda: self._verify(action.weights))
            case CheckHealth():
                return self._check(action)
            case Watch():
                return self._watch(action)
            case Hold() | Finish():
                self._waited(LISTENING, action)
                return None

    def _tried(self, action: Action, attempt: Callable[[], None]) -> Event | None:
        try:
            if self._overtaken(action):
                return None
            attempt()
        except LeaseLost:
            raise
        except PlanRefused as refused:
            return Blocked(at=self.clock.now(), step=action.step, reason=str(refused))
        except (RolloutError, OSError) as failed:
            return Failed(at=self.clock.now(), step=action.step, reason=str(failed))
        return Done(at=self.clock.now(), step=action.step)

    def _verify(self, asked: Weights) -> None:
        found = self.infrastructure.weights()
        self._looked = self.clock.now()
        if found != asked:
            raise UpdateFailed(_other(found, asked))

    def _check(self, action: CheckHealth) -> Event | None:
        deadline = self.state.since + action.within
        while (ailment := self.infrastructure.ailment(action.slot)) is not None:
            # Where it is looked at once, meanwhile nobody watches: that is not left to a clock, which may have been set back.
            if not action.within or self.clock.now() >= deadline:
                return Failed(at=self.clock.now(), step=action.step, reason=ailment)
            if not self._waited(HEALTH_POLL, action):
                return None
        return Done(at=self.clock.now(), step=action.step)

    def _watch(self, action: Watch) -> Event | None:
        if (moved := self._seen_moved(action.weights)) is not None:
            return Failed(at=self.clock.now(), step=action.step, reason=moved)
        now, last = self.clock.now(), self.state.clocks.last
        if not self._waited(timedelta() if last is None else min(last, now) + action.every - now, action):
            return None
        at = self.clock.now()
        evaluation = self._evaluated(action.weights)
        self._tell(self.narrator.sees, evaluation, at)
        seen = point(at, self.state, evaluation.sample, evaluation.verdict.result)
        self._unwritten = (*self._unwritten, seen)
        return Observed(at=at, step=action.step, verdict=evaluation.verdict)

    def _evaluated(self, weights: Weights) -> Evaluation:
        new = self.state.plan.slot
        try:
            return self.observer.evaluate(new, weights.of(new))
        except Exception as error:  # a driver that ends here leaves the weights with nobody to watch them
            return Evaluation(unreachable(f"its answer cannot be read ({type(error).__name__}: {error})"))

    def _seen_moved(self, verified: Weights) -> str | None:
        """Look now and then, in the background, whether somebody moves the weights; return what was seen if so."""

        def look() -> str | None:
            try:
                found = self.infrastructure.recorded_weights()
            except RolloutError:
                # Nobody knows, or an update is under way: that is not yet another weight.
                return None
            return None if found == verified else f"somebody moved the weights: {_other(found, verified)}"

        if self._look is not None:
            if not self._look.done():
                return None
            done, self._look = self._look, None
            return done.result()
        if self._is_over(LOOKING, self._looked):
            self._looked = self.clock.now()
            self._look = self.background.submit(look)
        return None

    def _look_away(self) -> None:
        """Forget the look that is under way, once it is over: what it saw may be the driver's own next move."""
        look, self._look = self._look, None
        if look is not None and not look.cancel():
            look.result()

    def _take(self, event: Event) -> None:
        before, self.state = self.state, apply(self.state, event)
        self._dirty |= (self.state.step, self.state.history) != (before.step, before.history)

    def _waited(self, span: timedelta, action: Action) -> bool:
        """Wait and listen; False as soon as a command has made another action the next one."""
        begun = self.clock.now()
        while True:
            self._listen()
            if next_action(self.state) != action:
                return False
            if self._is_over(span, begun):
                return True
            left = begun + span - self.clock.now()
            self.clock.sleep(min(left, timedelta(seconds=1)).total_seconds())

    def _is_over(self, span: timedelta, since: datetime) -> bool:
        """Whether so much time has passed; also where the clock was set back meanwhile, and nobody knows."""
        return not timedelta() <= self.clock.now() - since < span

    def _listen(self) -> None:
        """Take in what persons have said, and show that this driver is alive; the journal is not waited for."""
        if self._pending is not None:
            if self._pending.done():
                self._settle()
            return
        due = self._is_over(RENEWAL, self._written)
        if self._dirty or due or self._is_over(LISTENING, self._listened):
            self._listened = self.clock.now()
            exchange = self._writing(hold=True) if self._dirty or due else self._reading()
            self._pending = self.background.submit(exchange)

    def _commit(self) -> None:
        """Have everything in the journal before going on: on the way back, as far as one attempt does it. What is done twice
        there does no harm, and the traffic does not wait.

        Raises:
            JournalFailed: on the way up, when another driver may take this one's place.
        """
        self._settle()
        give_up = self.clock.now() + LEASE
        while self._dirty and self._written_once(hold=True) is None:
            if self.state.direction is Direction.BACK:
                return
            if self.clock.now() >= give_up:
                raise JournalFailed(self._complaint)
            self.clock.sleep(LISTENING.total_seconds())

    def _overtaken(self, action: Action) -> bool:
        """Have everything in the journal; return whether a command that was heard of it has made another action the next one.

        Raises:
            JournalFailed: see `_commit`.
        """
        self._commit()
        return next_action(self.state) != action

    def _leave(self) -> bool:
        """Have everything in the journal and give up the lease; False where it cannot be written, or somebody has said something
        meanwhile, which is to be seen to first."""
        if (record := self._written_once(hold=False)) is None:
            self.clock.sleep(LISTENING.total_seconds())
        return record is not None and record.lease is None

    def _written_once(self, *, hold: bool) -> Record | None:
        """Write once and return the record; None where it fails."""
        try:
            record = self._writing(hold=hold)()()
        except JournalFailed as failed:
            self._complain(failed)
            return None
        self._complaint = ""
        self._hear(record)
        return record

    def _complain(self, failed: JournalFailed) -> None:
        if self._complaint != str(failed):
            self._complaint = str(failed)
            self._tell(self.narrator.says, f"{failed}; trying again")

    def _tell(self, tell: Callable[[*Told], None], *what: *Told) -> None:
        """Tell a person something: where nobody can hear it, as at the end of a pipe that is closed, that holds nothing up."""
        with suppress(Exception):
            tell(*what)

    def _settle(self) -> None:
        """Wait for the exchange with the journal that is under way."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            self._hear(pending.result()())
        except JournalFailed as failed:
            # The gates are watched on: of the two, it is the traffic that cannot wait.
            self._complain(failed)
        else:
            self._complaint = ""

    def _reading(self) -> Callable[[], Callable[[], Record]]:
        def exchange() -> Callable[[], Record]:
            found = self._held(self.journal.read())
            return lambda: found

        return exchange

    def _writing(self, *, hold: bool) -> Callable[[], Callable[[], Record]]:
        """Return what writes the present state, without what was heard of the inbox, and renews the lease.

        Where it is not to be held it is given up, unless there is something in the inbox that was not heard.
        """
        now, state, heard, points = self.clock.now(), self.state, frozenset(self._heard), self._unwritten
        lease = self.lease.from_now(now, state)
        self._dirty = False

        def written(found: Record | None) -> Record:
            held = self._held(found)
            unheard = tuple(command for command in held.inbox if command not in heard)
            return Record(
                state=state,
                lease=lease if hold or unheard else None,
                inbox=unheard,
                points=thinned([*held.points, *points]),
            )

        def exchange() -> Callable[[], Record]:
            try:
                record = self.journal.change(written)
            except JournalFailed:
                self._dirty = True
                raise

            def taken_in() -> Record:
                self._written = now
                self._unwritten = self._unwritten[len(points) :]
                return record

            return taken_in

        return exchange

    def _hear(self, found: Record) -> None:
        for command in found.inbox:
            if command in self._heard:
                continue
            self._heard.add(command)
            self._dirty = True
            if why := refusal(self.state, command):
                self._tell(self.narrator.says, f"{command.kind} by {command.who} changes nothing: {why}")
            else:
                self.state = apply(self.state, command)
                self._tell(self.narrator.is_at, self.state)

    def _held(self, found: Record | None) -> Record:
        """Return the journal's record while it is this driver's to write: also where it has let go already, in a write that was
        reported as failed, and nobody has done anything since.

        Raises:
            LeaseLost: it is another's.
        """
        if found is not None and (
            found.state == self.state if found.lease is None else found.lease.token == self.lease.token
        ):
            return found
        holder = found.lease.holder if found and found.lease else "nobody"
        raise LeaseLost(f"another driver took this rollout over; now it is driven by {holder}")


def _pause_before(attempts: int) -> timedelta:
    return min(LISTENING * 2 ** (attempts - 1), LONGEST_RETRY)


def _other(found: Weights, asked: Weights) -> str:
    return f"in force is {_shares(found)}; asked for was {_shares(asked)}"


def _shares(weights: Weights) -> str:
    return " and ".join(f"{slot} {weights.of(slot)} %" for slot in Slot)
