"""The loop between the state machine and the world.

Each turn carries out the action that the state asks for, tells the machine what came of it, and writes the new state to
the journal before the next turn begins. So a driver that dies leaves either an action that was not begun, or one that was
and is not recorded, and either is simply done again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

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
from operations.rollout.machine import apply, next_action, refusal
from operations.rollout.state import State
from operations.slots import Slot, Weights
from rollout.errors import LeaseLost, PlanRefused, UpdateFailed
from rollout.ports import Clock, Infrastructure, Journal, Narrator, Observer
from rollout.record import LEASE, LEASE_IN_UPDATE, Command, Lease, Point, Record, point, thinned

LISTENING: Final = timedelta(seconds=5)
"""How often the driver looks whether somebody said something."""

RENEWAL: Final = timedelta(seconds=30)
"""How often the journal is written where nothing was decided: a quarter of what another driver waits for."""

HEALTH_POLL: Final = timedelta(seconds=2)

LONGEST_RETRY: Final = timedelta(minutes=1)
"""The longest wait before an action that failed is tried again; the first takes five seconds."""


@dataclass
class Driver:
    """Drives the rollout of one stack, whose record in the journal holds this driver's lease.

    Attributes:
        lease: this driver's own.
        record: the journal's, with what has happened since it was last written.
    """

    infrastructure: Infrastructure
    observer: Observer
    journal: Journal
    clock: Clock
    narrator: Narrator
    lease: Lease
    record: Record
    _written: datetime = field(init=False)
    _listened: datetime = field(init=False)
    _heard: int = field(init=False, default=0)
    """Of the inbox as it stands in the journal: how many are in this driver's state."""
    _unwritten: list[Point] = field(init=False, default_factory=list[Point])

    def __post_init__(self) -> None:
        self._written = self._listened = self.clock.now()

    @property
    def state(self) -> State:
        """Where the rollout is."""
        return self.record.state

    def drive(self) -> Report:
        """Lead the rollout to its end.

        Raises:
            LeaseLost: another driver goes on with it.
            RolloutError: the journal cannot be written.
        """
        while True:
            self.narrator.is_at(self.state)
            self._listen()
            action = next_action(self.state)
            if isinstance(action, Finish):
                self._write(hold=False)
                return action.report
            self.narrator.begins(action)
            if self.state.attempts and not self._waited(_pause_before(self.state.attempts), action):
                continue
            event = self._perform(action)
            if event is not None:
                self._take(event)

    def let_go(self) -> None:
        """Give up the lease, so that another driver need not wait for it to expire."""
        self._write(hold=False)

    def _perform(self, action: Action) -> Event | None:
        """Carry out an action and return what came of it; None where a command has overtaken it, or nothing has."""
        step = action.step if not isinstance(action, Finish) else 0
        try:
            match action:
                case PrepareSlot() | SetWeights() | ScaleDown():
                    self.infrastructure.change(action, stable=self.state.plan.replaces)
                case VerifyWeights():
                    found = self.infrastructure.weights()
                    if found != action.weights:
                        reason = f"in force are {_shares(found)}; asked for was {_shares(action.weights)}"
                        return Failed(at=self.clock.now(), step=step, reason=reason)
                case CheckHealth():
                    return self._check(action)
                case Watch():
                    return self._watch(action)
                case Hold() | Finish():
                    self._waited(LISTENING, action)
                    return None
        except PlanRefused as refused:
            return Blocked(at=self.clock.now(), step=step, reason=str(refused))
        except UpdateFailed as failed:
            return Failed(at=self.clock.now(), step=step, reason=str(failed))
        return Done(at=self.clock.now(), step=step)

    def _check(self, action: CheckHealth) -> Event | None:
        deadline = self.state.since + action.within
        while (ailment := self.infrastructure.ailment(action.slot)) is not None:
            if self.clock.now() >= deadline:
                return Failed(at=self.clock.now(), step=action.step, reason=ailment)
            if not self._waited(HEALTH_POLL, action):
                return None
        return Done(at=self.clock.now(), step=action.step)

    def _watch(self, action: Watch) -> Event | None:
        last = self.state.clocks.last
        due = max(last, self.state.since) + action.every if last else self.clock.now()
        if not self._waited(due - self.clock.now(), action):
            return None
        at = self.clock.now()
        evaluation = self.observer.evaluate(self.state.plan.slot)
        self.narrator.sees(evaluation, at)
        self._unwritten.append(point(at, self.state, evaluation.sample, evaluation.verdict.result))
        return Observed(at=at, step=action.step, verdict=evaluation.verdict)

    def _waited(self, span: timedelta, action: Action) -> bool:
        """Wait and listen; False as soon as a command has made another action the next one."""
        end = self.clock.now() + span
        while (left := end - self.clock.now()) > timedelta():
            self.clock.sleep(min(left, LISTENING).total_seconds())
            self._listen()
            if next_action(self.state) != action:
                return False
        return True

    def _listen(self) -> None:
        """Take in what persons have said, and show that this driver is alive."""
        now = self.clock.now()
        if now - self._listened >= LISTENING:
            self._listened = now
            found = self._held(self.journal.read())
            for command in found.inbox[self._heard :]:
                self._hear(command)
            if len(found.inbox) > self._heard:
                self._heard = len(found.inbox)
                self._write()
        if now - self._written >= RENEWAL:
            self._write()

    def _hear(self, command: Command) -> None:
        if why := refusal(self.state, command):
            self.narrator.says(f"{command.kind} by {command.who} changes nothing: {why}")
        else:
            self.record = self.record.model_copy(update={"state": apply(self.state, command)})
            self.narrator.is_at(self.state)

    def _take(self, event: Event) -> None:
        before, after = self.state, apply(self.state, event)
        self.record = self.record.model_copy(update={"state": after})
        if (after.step, after.history) != (before.step, before.history):
            self._write()

    def _write(self, *, hold: bool = True) -> None:
        """Write what has happened, without what was heard of the inbox, and renew the lease or give it up."""
        now = self.clock.now()
        in_update = isinstance(next_action(self.state), PrepareSlot | SetWeights | VerifyWeights | ScaleDown)
        self.lease = self.lease.model_copy(
            update={"renewed": now, "expires": now + (LEASE_IN_UPDATE if in_update else LEASE)}
        )

        def written(found: Record | None) -> Record:
            held = self._held(found)
            return Record(
                state=self.state,
                lease=self.lease if hold else None,
                inbox=held.inbox[self._heard :],
                points=thinned([*held.points, *self._unwritten]),
            )

        self.record = self.journal.change(written)
        self._written = self.clock.now()
        self._heard = 0
        self._unwritten.clear()

    def _held(self, found: Record | None) -> Record:
        """Return the journal's record while it is this driver's to write."""
        if found is None or found.lease is None or found.lease.token != self.lease.token:
            holder = found.lease.holder if found and found.lease else "nobody"
            raise LeaseLost(f"another driver took this rollout over; now it is driven by {holder}")
        return found


def _pause_before(attempts: int) -> timedelta:
    return min(LISTENING * 2 ** (attempts - 1), LONGEST_RETRY)


def _shares(weights: Weights) -> str:
    return " and ".join(f"{slot} {weights.of(slot)} %" for slot in Slot)
