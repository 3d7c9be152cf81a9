"""What holds for every rollout, whatever happens to it in whatever order."""

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from operations.release import SlotCapacity, Standby, Switch
from operations.rollout.actions import (
    Action,
    Hold,
    Outcome,
    PrepareSlot,
    ScaleDown,
    SetWeights,
    VerifyWeights,
    Watch,
)
from operations.rollout.events import (
    Blocked,
    Command,
    Done,
    Event,
    Failed,
    Observed,
    Pause,
    Promote,
    Resume,
    Rollback,
)
from operations.rollout.gate import Result, Verdict
from operations.rollout.guard import allowed_moves
from operations.rollout.machine import apply, next_action
from operations.rollout.state import Direction, Stage, State
from operations.slots import Slot, Weights
from tests.unit.operations.rollouts import World, plan

SECOND = timedelta(seconds=1)
LONGEST_GAP = 3 * SECOND
DRAIN = 12 * SECOND
"""Longer than to read the weights back takes twice."""
FAILS = Verdict(result=Result.FAIL, error_rate=0.0)
OLD = Weights(blue=100, green=0)
NEW = Weights(blue=0, green=100)
BAKES = {5: 15 * SECOND, 25: 30 * SECOND, 50: 60 * SECOND}
"""The page's minutes as seconds: the rollouts here run at sixty times the speed, watched every second."""

POINTS = [
    *(
        (weight, stage)
        for stage in (Stage.BAKE, Stage.CONFIRM, Stage.HEALTH, Stage.MOVE, Stage.VERIFY)
        for weight in BAKES
    ),
    *(
        (100, stage)
        for stage in (Stage.PREPARE, Stage.MOVE, Stage.VERIFY, Stage.DRAIN, Stage.CONFIRM, Stage.SCALE)
    ),
]
"""Where on the way up an example begins."""

spans = st.sampled_from([SECOND, 2 * SECOND, LONGEST_GAP, 4 * SECOND, timedelta(hours=1)])
results = st.sampled_from([*[Result.PASS] * 4, *[Result.WARN, Result.INCONCLUSIVE] * 2, Result.FAIL])
rates = st.sampled_from([None, 0.0, 0.0005, 0.004])


class Rollouts(RuleBasedStateMachine):
    """Drives one rollout through anything that may happen, and keeps accounts of its own."""

    said: Bundle[Event] = Bundle("said")

    @initialize(
        switch=st.sampled_from([*[Switch.LADDER] * 4, Switch.AT_ONCE]),
        standby=st.sampled_from(Standby),
        sla=st.sampled_from([None, 99.0, 99.99]),
        point=st.sampled_from(POINTS),
    )
    def begins(self, switch: Switch, standby: Standby, sla: float | None, point: tuple[int, Stage]) -> None:
        self.world = World.of(plan(switch, standby, sla, SECOND, DRAIN, speed=60))
        self.switch = switch
        self.promoted: set[int] = set()
        self.passing: dict[int, timedelta] = {}
        self.last_pass: datetime | None = None
        self.asked = OLD
        """The weights that the rollout put in force last."""
        self.moved = self.world.now
        """When that was."""
        self.confirmed: datetime | None = None
        """When these were last read back."""
        # Somewhere on the way: else few examples would come to the upper phases before something goes wrong.
        while (self.state.phase.weight, self.state.stage) != point and self.state.stage is not Stage.DONE:
            self.work()

    @property
    def state(self) -> State:
        return self.world.state

    # --- accounts ---------------------------------------------------------------------------------------------------

    @property
    def foreign(self) -> bool:
        """Whether somebody else has moved the weights in force."""
        return self.world.rules != self.asked

    def hear(self, event: Event) -> Event:
        before, action = self.state, next_action(self.state)
        self.world.hear(event)
        if isinstance(action, VerifyWeights) and isinstance(event, Done) and event.step == before.step:
            self.confirmed = event.at
        if isinstance(event, Observed) and event.step == before.step and before.stage is Stage.BAKE:
            self.account(event, paused=before.paused)
        elif self.state != before:
            self.last_pass = None
        if self.state.paused:
            assert self.state.stage is before.stage or self.state.stage is not Stage.MOVE
        if self.state.rung > before.rung:
            assert isinstance(action, VerifyWeights)
            assert isinstance(event, Done)
            assert self.world.weight == before.phase.weight
        if (before.stage, self.state.stage) == (Stage.BAKE, Stage.CONFIRM) and not isinstance(event, Promote):
            assert isinstance(event, Observed)
            assert event.verdict.result is Result.PASS
        return event

    def account(self, event: Observed, *, paused: bool) -> None:
        """Add up the time that was seen to pass at the weight in force."""
        passes = event.verdict.result is Result.PASS
        if self.last_pass is not None and passes and not paused:
            gap = event.at - self.last_pass
            if gap <= LONGEST_GAP:
                weight = self.world.weight
                self.passing[weight] = self.passing.get(weight, timedelta()) + gap
        self.last_pass = event.at if passes and not paused else None

    # --- what a driver does -----------------------------------------------------------------------------------------

    def carry_out(self) -> Event | None:
        """Carry the next action out; return why not, where the stack does not let it.

        It may not ask for more than the guard and the bakes allow. Once somebody else has moved weights, its preview has
        listener rules in it where there should be none, and its move may be refused.
        """
        action = next_action(self.state)
        self.asks_no_more_than_it_may(action)
        foreign = self.foreign
        if foreign and (why := self.stopped(action)) is not None:
            self.world.now += SECOND
            return why
        self.world.carry_out(action)
        if isinstance(action, SetWeights) and (foreign or action.weights != self.asked):
            self.asked, self.moved, self.confirmed = action.weights, self.world.now, None
        return None

    def asks_no_more_than_it_may(self, action: Action) -> None:
        release, now = self.world.release, self.world.rules
        if isinstance(action, SetWeights):
            assert action.weights.green in {0, *BAKES, 100}
            assert self.foreign or action.weights in {now, *allowed_moves(now, Slot.BLUE, self.switch)}
            gains = Slot.BLUE if action.weights == OLD else Slot.GREEN
            assert release.capacity_of(gains) in {SlotCapacity.FULL, SlotCapacity.SERVING}
            if gains is Slot.GREEN:
                phases = self.state.plan.phases[: self.state.rung]
                for weight in {phase.weight for phase in phases} - self.promoted:
                    assert self.passing[weight] >= BAKES[weight]
        if isinstance(action, ScaleDown) and not self.foreign:
            assert now.of(action.slot) == 0
            assert self.confirmed is not None
            assert self.confirmed - self.moved >= self.state.plan.drain

    def stopped(self, action: Action) -> Event | None:
        """Why an action does nothing while the weights are not those of the stack file."""
        # On the way back an update is limited to the slot that it prepares.
        if isinstance(action, ScaleDown) or (isinstance(action, PrepareSlot) and action.slot is Slot.GREEN):
            return Blocked(at=self.world.now, step=action.step, reason="update of a listener rule")
        now = self.world.rules
        allowed = {now, OLD, *allowed_moves(now, Slot.BLUE, self.switch)}
        if isinstance(action, SetWeights) and action.weights not in allowed:
            return Failed(at=self.world.now, step=action.step, reason="the guard refuses it")
        return None

    def work(self) -> Event:
        """Carry the next action out and say so; where the gates are watched, they pass."""
        action = next_action(self.state)
        return self.hear(self.carry_out() or self.world.answer(action))

    @rule(target=said)
    def the_driver_works(self) -> Event:
        return self.work()

    @rule(target=said, steps=st.integers(2, 40))
    def the_driver_works_for_a_while(self, steps: int) -> Event:
        return [self.work() for _ in range(steps)][-1]

    @precondition(lambda self: isinstance(next_action(self.state), Watch))
    @rule(target=said, gap=spans, result=results, rate=rates, looks=st.booleans())
    def the_gates_are_evaluated(
        self, gap: timedelta, result: Result, rate: float | None, *, looks: bool
    ) -> Event:
        """Now and then the driver looks at the weights, too."""
        self.world.now += gap
        if self.foreign and looks:
            return self.hear(self.world.answer(next_action(self.state)))
        verdict = Verdict(result=result, error_rate=rate)
        return self.hear(Observed(at=self.world.now, step=self.state.step, verdict=verdict))

    @precondition(lambda self: not isinstance(next_action(self.state), Watch))
    @rule(target=said, blocked=st.booleans())
    def the_action_fails(self, blocked: bool) -> Event:
        self.world.now += SECOND
        kind = Blocked if blocked else Failed
        return self.hear(kind(at=self.world.now, step=self.state.step, reason="throttled"))

    @rule(dead=spans)
    def the_driver_is_killed_with_its_action_carried_out_and_not_recorded(self, dead: timedelta) -> None:
        self.carry_out()
        self.world.now += dead

    # --- what people do, and what the network does ------------------------------------------------------------------

    @rule(target=said, kind=st.sampled_from([Pause, Resume, Resume, Promote, Promote, Promote, Rollback]))
    def somebody_commands(self, kind: type[Command]) -> Event:
        self.world.now += SECOND
        at, who, reason, before = self.world.now, "ada", "hotfix", self.state
        if kind is Promote:
            weight = before.phase.weight
            event = self.hear(Promote(at=at, who=who, weight=weight, reason=reason))
            if self.state != before:
                assert before.stage is Stage.BAKE
                assert (self.state.stage, self.state.phase.weight) == (Stage.CONFIRM, weight)
                self.promoted.add(weight)
            return event
        if kind is Resume:
            return self.hear(Resume(at=at, who=who))
        return self.hear(
            Pause(at=at, who=who, reason=reason) if kind is Pause else Rollback(at=at, who=who, reason=reason)
        )

    @rule(weight=st.sampled_from([0, 5, 25, 30, 50, 100]))
    def somebody_moves_the_weights(self, weight: int) -> None:
        """By an update of their own that the guard lets pass, or in the console. They do not put back what was there: that
        nobody would see who did not look just then."""
        self.world.now += SECOND
        moved = Weights.giving(Slot.GREEN, weight)
        if moved != self.asked:
            self.world.rules, self.last_pass = moved, None

    @rule(event=said)
    def an_event_arrives_late_or_twice_and_changes_nothing(self, event: Event) -> None:
        assert apply(self.state, event) is self.state

    # --- what always holds ------------------------------------------------------------------------------------------

    @invariant()
    def the_rules_in_force_hold_a_rung_of_the_ladder_and_what_the_stack_file_says(self) -> None:
        """That both weights sum to 100 needs no watching: `Weights` takes no others."""
        assert self.world.release.weights == self.asked
        assert self.foreign or self.world.rules.green in {0, *BAKES, 100}

    @invariant()
    def nobody_is_waited_for_while_requests_reach_the_new_slot_unwatched(self) -> None:
        assert self.asked == OLD or not isinstance(next_action(self.state), Hold)

    @invariant()
    def the_state_is_the_same_after_a_way_through_json(self) -> None:
        assert State.model_validate_json(self.state.model_dump_json()) == self.state

    @invariant()
    def a_slot_with_weight_was_given_the_plans_version_in_full(self) -> None:
        if self.world.release.green.weight > 0:
            assert self.world.release.green.version == "v2.4.0"

    @invariant()
    def the_history_only_grows(self) -> None:
        length = getattr(self, "length", 0)
        assert len(self.state.history) >= length
        self.length = len(self.state.history)

    def copy(self) -> World:
        return World(self.state, self.world.release, self.world.rules, now=self.world.now + SECOND)

    @rule()
    def it_would_go_on_to_an_end(self) -> None:
        """On a copy, so that the example goes on from where it was."""
        passes, fails = self.copy(), self.copy()
        for world in (passes, fails):
            if self.state.paused:
                world.hear(Resume(at=world.now, who="ada"))
        passes.run()
        fails.gates = lambda _: FAILS
        fails.run()

        up = self.state.direction is Direction.UP
        last = self.state.stage is Stage.CONFIRM and self.state.phase.weight == 100
        gated = not last and self.state.stage not in {Stage.SCALE, Stage.DONE}
        if self.foreign:
            # Seen or overwritten, but for what nobody looks at any more.
            for world in (passes, fails):
                ends = NEW if world.report.outcome is Outcome.COMPLETED else OLD
                assert self.state.stage in {Stage.SCALE, Stage.DONE} or world.rules == ends
            return
        # The driver may have been dead until now, which is booked as blindness.
        bearable = self.state.clocks.blind + LONGEST_GAP < self.state.plan.blind_limit
        if not up or bearable:
            assert passes.report.outcome is (Outcome.COMPLETED if up else Outcome.ROLLED_BACK)
        for world, ends_up in (
            (passes, passes.report.outcome is Outcome.COMPLETED),
            (fails, up and not gated),
        ):
            assert world.report.outcome is (Outcome.COMPLETED if ends_up else Outcome.ROLLED_BACK)
            assert world.rules == (NEW if ends_up else OLD)

    @rule()
    def it_could_be_taken_back(self) -> None:
        world = self.copy()
        world.hear(Rollback(at=world.now, who="ada", reason="enough"))
        world.gates = lambda _: FAILS
        world.run()

        assert world.report.outcome is Outcome.ROLLED_BACK
        assert world.report.slot is Slot.BLUE
        settled = self.state.direction is Direction.BACK and self.state.stage in {Stage.SCALE, Stage.DONE}
        assert world.rules == OLD or (settled and self.foreign)
        assert world.release.blue.version == "v2.3.0"


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(max_examples=100, stateful_step_count=25)
