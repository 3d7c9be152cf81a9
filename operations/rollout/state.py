"""Where a rollout is: immutable, and the same after a way through JSON."""

from datetime import datetime, timedelta
from enum import StrEnum, unique
from typing import Final, Self

from pydantic import AwareDatetime

from operations.ladder import Phase
from operations.model import Model
from operations.rollout.gate import Result
from operations.rollout.plan import Plan, Span
from operations.slots import WHOLE, Slot, Weights

MACHINE: Final = "rollout"
"""Who decides where no person does."""


@unique
class Direction(StrEnum):
    """Up the ladder with the new slot, or back to the old one."""

    UP = "up"
    BACK = "back"


@unique
class Stage(StrEnum):
    """What is under way. Up: prepare, then for each phase health, move, verify, bake, confirm. After the last phase, and
    on the way back, drain takes the place of bake; after confirm, scale and done follow.

    prepare: a slot gets its version and full capacity.
    health:  it is healthy. Every move up takes it, and a move back where the old slot has stood by since the end of the
             rollout: before that it served a moment ago, and what is broken does not wait.
    move:    the weights are set.
    verify:  they are read back.
    bake:    the gates are watched.
    drain:   the slot that lost its weight finishes its requests; on the way up the gates are watched still.
    confirm: the weights are read back once more, since somebody may have moved them meanwhile.
    scale:   the slot that lost its weight is left to its standby.
    done:    nothing is left to do.
    """

    PREPARE = "prepare"
    HEALTH = "health"
    MOVE = "move"
    VERIFY = "verify"
    BAKE = "bake"
    DRAIN = "drain"
    CONFIRM = "confirm"
    SCALE = "scale"
    DONE = "done"


class Clocks(Model):
    """What the gates said in one phase, as time. Time is booked when an evaluation ends it, never in advance."""

    baked: Span = timedelta()
    """Between two passes that were no further apart than the longest gap."""
    warned: Span = timedelta()
    """Before warnings, and after the bake while the slot's health holds up the next phase; nothing while it is paused. The
    plan's limit on warnings is for this."""
    blind: Span = timedelta()
    """Before inconclusive evaluations, and of each time that nobody watched as much as the longest gap. The plan's limit on
    blindness is for this."""
    last: AwareDatetime | None = None
    """When the gates, or the slot's health for the next phase, were last looked at."""
    result: Result | None = None
    """What the gates said then; None before they said anything, and after a pause, a new driver, or a slot that was not
    healthy."""

    def after(
        self, at: datetime, result: Result, longest_gap: timedelta, *, paused: bool, baked: bool
    ) -> "Clocks":
        """Return the clocks after one more evaluation.

        The time since the one before belongs to this one's result, as its metrics look back on it. Of a longer gap
        only so much counts as held, and nothing as baked: whoever was dead or slow was not watching, and is blind
        for as long as somebody else would have noticed. While it is paused, only blindness counts: a person looks
        after warnings, but nobody can where there is nothing to see.

        Args:
            at: when.
            result: what the gates said.
            longest_gap: beyond which nobody was watching.
            paused: whether a person holds the phase.
            baked: whether the phase's bake was over before: then it is held by the slot's health, as by a warning.
        """
        gap = timedelta() if self.last is None else at - self.last
        held = min(gap, longest_gap)
        passed, warned, blind = self.baked, self.warned, self.blind
        if result is Result.INCONCLUSIVE or (gap > longest_gap and result is Result.PASS):
            blind += held
        elif paused:
            pass
        elif baked or result is Result.WARN:
            warned += held
        elif result is self.result is Result.PASS:
            passed += gap
        return Clocks(baked=passed, warned=warned, blind=blind, last=at, result=result)

    def held_by_health(self, at: datetime, longest_gap: timedelta) -> "Clocks":
        """Return the clocks after a look at the slot's health that did not let it go on: they go by the time that it is now, and
        book none that a clock set back would count twice."""
        gap = timedelta() if self.last is None else max(at - self.last, timedelta())
        return self.model_copy(
            update={"warned": self.warned + min(gap, longest_gap), "last": at, "result": None}
        )


class Entry(Model):
    """A line of the journal: what was decided, when, by whom and why."""

    at: AwareDatetime
    who: str
    direction: Direction
    stage: Stage
    """What was begun, or went on."""
    weight: int
    """Of the new slot, in percent: where it was to be."""
    why: str


class State(Model):
    """A rollout between two events. The stage is the recorded intent: begun, perhaps carried out, not yet answered."""

    plan: Plan
    direction: Direction
    stage: Stage
    rung: int
    """The index of the phase that is under way on the way up; on the way back, the last one that was."""
    step: int
    """Counts the actions: each has a number of its own."""
    since: AwareDatetime
    """When this stage began."""
    paused: bool = False
    clocks: Clocks = Clocks()
    spent: Span = timedelta()
    """What the new slot spent of the error budget, as time of a total outage. While its error rate is unknown nothing is
    added; all of that time is booked at the first rate that is known again, or at the last one that was if it goes back
    before."""
    paid_until: AwareDatetime | None = None
    """Up to when `spent` counts; None while the new slot is no canary: before its first weight, and once it is done."""
    error_rate: float = 0
    """The last known ratio of the new slot's requests that failed, 0 to 1."""
    commanded: AwareDatetime | None = None
    """When the last pause, resume or promotion was said."""
    attempts: int = 0
    """How often the action under way, or the one that it makes up for, has failed; the driver waits longer with each."""
    left_in_full: str | None = None
    """Why the slot that lost its weight was not scaled down in the end; None where it was, or is not yet."""
    history: tuple[Entry, ...]

    @property
    def phase(self) -> Phase:
        """The phase of the ladder that is under way; on the way back, the last one that was."""
        return self.plan.phases[self.rung]

    @property
    def target(self) -> Slot:
        """The slot that all this leads to: the new one, or on the way back the old one."""
        return self.plan.slot if self.direction is Direction.UP else self.plan.slot.other

    @property
    def weights(self) -> Weights:
        """The weights of the phase under way; on the way back, all traffic on the old slot."""
        weight = self.phase.weight if self.direction is Direction.UP else WHOLE
        return Weights.giving(self.target, weight)

    def having(self, **changes: object) -> Self:
        """Return the same state with other fields.

        Raises:
            pydantic.ValidationError: there is no such field, or it takes no such value.
        """
        return self.model_validate({**dict(self), **changes})

    def noting(self, at: datetime, who: str, why: str) -> Self:
        """Return the same state with one more line in its history, unless the last one says the same."""
        entry = Entry(
            at=at,
            who=who,
            direction=self.direction,
            stage=self.stage,
            weight=self.weights.of(self.plan.slot),
            why=why,
        )
        if self.history and self.history[-1].model_copy(update={"at": at}) == entry:
            return self
        return self.having(history=(*self.history, entry))
