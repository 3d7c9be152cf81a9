"""What holds for every rollout, whatever happens to it in whatever order."""

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from operations.release import Standby, Switch
from operations.rollout.actions import Outcome, SetWeights, Watch
from operations.rollout.events import (
    Blocked,
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
from operations.rollout.guard import refusal_of_move
from operations.rollout.machine import apply, next_action
from operations.rollout.state import Direction, Stage, State
from operations.slots import Slot, Weights
from tests.unit.operations.rollouts import PASSES, World, plan

SECOND = timedelta(seconds=1)
LONGEST_GAP = 3 * SECOND
FAILS = Verdict(result=Result.FAIL, error_rate=0.0)
OLD = Weights(blue=100, green=0)
BAKES = {5: 15 * SECOND, 25: 30 * SECOND, 50: 60 * SECOND}
"""The page's minutes as seconds: the rollouts here run at sixty times the speed, watched every second."""

spans = st.sampled_from([SECOND, 2 * SECOND, LONGEST_GAP, 4 * SECOND, timedelta(hours=1)])
results = st.sampled_from([Result.PASS, Result.PASS, Result.WARN, Result.INCONCLUSIVE, Result.FAIL])
rates = st.sampled_from([None, 0.0, 0.0005, 0.004])


class Rollouts(RuleBasedStateMachine):
    """Drives one rollout through anything that may happen, and keeps accounts of its own."""

    said: Bundle[Event] = Bundle("said")

    @initialize(
        switch=st.sampled_from([Switch.LADDER, Switch.LADDER, Switch.AT_ONCE]),
        standby=st.sampled_from(Standby),
        sla=st.sampled_from([None, 99.0, 99.99]),
    )
    def begins(self, switch: Switch, standby: Standby, sla: float | None) -> None:
        self.world = World.of(plan(switch, standby, sla, SECOND, speed=60))
        self.switch = switch
        self.promoted: set[int] = set()
        self.passing: dict[int, timedelta] = {}
        self.last_pass: datetime | None = None

    @property
    def state(self) -> State:
        return self.world.state

    # --- accounts ---------------------------------------------------------------------------------------------------

    def hear(self, event: Event) -> Event:
        before = self.state
        self.world.hear(event)
        if isinstance(event, Observed) and event.step == before.step and before.stage is Stage.BAKE:
            self.account(event, paused=before.paused)
        elif self.state != before:
            self.last_pass = None
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

    def carry_out(self) -> None:
        """Carry the next action out, which may not move weights but as the guard and the bakes allow."""
        action = next_action(self.state)
        now = self.world.release.weights
        if isinstance(action, SetWeights) and action.weights != now:
            assert refusal_of_move(now, action.weights, Slot.BLUE, self.switch) is None
            if action.weights.green > now.green and now.green > 0 and now.green not in self.promoted:
                assert self.passing[now.green] >= BAKES[now.green]
        self.world.carry_out(action)

    @precondition(lambda self: not isinstance(next_action(self.state), Watch))
    @rule(target=said)
    def the_action_succeeds(self) -> Event:
        action = next_action(self.state)
        self.carry_out()
        return self.hear(Done(at=self.world.now, step=action.step))

    @precondition(lambda self: isinstance(next_action(self.state), Watch))
    @rule(target=said, gap=spans, result=results, rate=rates)
    def the_gates_are_evaluated(self, gap: timedelta, result: Result, rate: float | None) -> Event:
        self.world.now += gap
        verdict = Verdict(result=result, error_rate=rate)
        return self.hear(Observed(at=self.world.now, step=self.state.step, verdict=verdict))

    @precondition(lambda self: isinstance(next_action(self.state), Watch))
    @rule(seconds=st.integers(1, 70))
    def the_gates_pass_for_a_while(self, seconds: int) -> None:
        for _ in range(seconds):
            if isinstance(next_action(self.state), Watch):
                self.world.now += SECOND
                self.hear(Observed(at=self.world.now, step=self.state.step, verdict=PASSES))

    @rule(target=said)
    def the_action_fails(self) -> Event:
        self.world.now += SECOND
        return self.hear(Failed(at=self.world.now, step=self.state.step, reason="throttled"))

    @rule(target=said)
    def the_action_is_blocked(self) -> Event:
        self.world.now += SECOND
        return self.hear(Blocked(at=self.world.now, step=self.state.step, reason="also ~ a bucket"))

    @rule(dead=spans)
    def the_driver_is_killed_with_its_action_carried_out_and_not_recorded(self, dead: timedelta) -> None:
        self.carry_out()
        self.world.now += dead

    # --- what people do, and what the network does ------------------------------------------------------------------

    @rule(target=said)
    def somebody_pauses(self) -> Event:
        self.world.now += SECOND
        return self.hear(Pause(at=self.world.now, who="ada", reason="wait"))

    @rule(target=said)
    def somebody_resumes(self) -> Event:
        self.world.now += SECOND
        return self.hear(Resume(at=self.world.now, who="ada"))

    @rule(target=said, weight=st.sampled_from([5, 25, 50]))
    def somebody_promotes(self, weight: int) -> Event:
        self.world.now += SECOND
        before = self.state
        event = self.hear(Promote(at=self.world.now, who="ada", weight=weight, reason="hotfix"))
        if self.state != before:
            assert (before.stage, before.phase.weight) == (Stage.BAKE, weight)
            assert self.state.phase.weight == {5: 25, 25: 50, 50: 100}[weight]
            self.promoted.add(weight)
        return event

    @rule(target=said)
    def somebody_takes_it_back(self) -> Event:
        self.world.now += SECOND
        return self.hear(Rollback(at=self.world.now, who="ada", reason="enough"))

    @rule(event=said)
    def an_event_arrives_late_or_twice_and_changes_nothing(self, event: Event) -> None:
        assert apply(self.state, event) is self.state

    # --- what always holds ------------------------------------------------------------------------------------------

    @invariant()
    def the_weights_sum_to_100(self) -> None:
        for weights in (self.state.weights, self.world.release.weights):
            assert weights.blue + weights.green == 100

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
        """The same world, to be led on from here."""
        return World(self.state, self.world.release, now=self.world.now + SECOND)

    @rule()
    def it_would_go_on_to_an_end(self) -> None:
        """Each example goes on from a copy: what follows does not depend on this."""
        unpaused = self.copy()
        if unpaused.state.paused:
            unpaused.hear(Resume(at=unpaused.now, who="ada"))
        passes, fails = World(unpaused.state, unpaused.release, now=unpaused.now).run(), unpaused
        fails.gates = lambda _: FAILS
        fails.run()

        up = self.state.direction is Direction.UP
        gated = self.state.stage not in {Stage.CONFIRM, Stage.SCALE, Stage.DONE}
        # A phase may have been held up to its limit already, and then a driver's pause is one too many: that is an end too.
        if not up:
            assert passes.report.outcome is Outcome.ROLLED_BACK
        assert passes.release.weights.green in {0, 100}
        assert (passes.report.outcome is Outcome.COMPLETED) == (passes.release.weights.green == 100)
        assert fails.report.outcome is (Outcome.COMPLETED if up and not gated else Outcome.ROLLED_BACK)

    @rule()
    def it_could_be_taken_back(self) -> None:
        world = self.copy()
        world.hear(Rollback(at=world.now, who="ada", reason="enough"))
        world.gates = lambda _: FAILS
        world.run()

        assert world.report.outcome is Outcome.ROLLED_BACK
        assert world.report.slot is Slot.BLUE
        assert world.release.weights == OLD
        assert world.release.blue.version == "v2.3.0"


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
