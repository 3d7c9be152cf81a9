"""Rollouts as they go, event by event."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from operations.release import Release, SlotCapacity, SlotRelease, Standby, Switch
from operations.rollout.actions import (
    CheckHealth,
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
    Done,
    Event,
    Failed,
    Observed,
    Pause,
    Promote,
    Resume,
    Rollback,
)
from operations.rollout.gate import Result, Verdict, unreachable
from operations.rollout.machine import apply, next_action, refusal
from operations.rollout.plan import Plan
from operations.rollout.state import Direction, Stage, State
from operations.slots import Slot, Weights
from tests.unit.operations.rollouts import (
    PASSES,
    START,
    World,
    measured,
    minutes,
    plan,
    release,
    verdict,
)

Gates = Callable[[World], Verdict]
SECOND = timedelta(seconds=1)


def result(result: Result, error_rate: float | None = 0.0) -> Verdict:
    return PASSES.model_copy(update={"result": result, "error_rate": error_rate})


def from_weight(weight: int, then: Verdict) -> Gates:
    """Gates that pass until the new slot gets a weight."""
    return lambda world: then if world.weight >= weight else PASSES


def baking(weight: int, gates: Gates = lambda _: PASSES) -> World:
    """A rollout that was just seen to bake at a weight, and from then on has these gates."""
    world = World.of(plan()).run(lambda world: world.weight == weight and world.state.stage is Stage.BAKE)
    world.step()
    world.gates = gates
    return world


def at_last_confirm() -> World:
    """A rollout that has drained the old slot and reads its weight back once more."""
    return World.of(plan(standby=Standby.WARM)).run(
        lambda world: world.weight == 100 and world.state.stage is Stage.CONFIRM
    )


def moved_by_hand(world: World, weight: int) -> None:
    """Somebody else gives the new slot a weight."""
    world.rules = Weights.giving(Slot.GREEN, weight)


def at_end(world: World) -> tuple[Outcome, list[int]]:
    """How it ended, and the weights that the new slot was given."""
    return world.run().report.outcome, world.moves


# --- all goes well -------------------------------------------------------------------------------------------------


def test_a_good_release_goes_up_the_ladder_in_an_hour_and_three_quarters() -> None:
    world = World.of(plan())

    assert at_end(world) == (Outcome.COMPLETED, [5, 25, 50, 100])
    assert world.report.slot is Slot.GREEN
    assert world.report.version == "v2.4.0"
    bakes = [world.moved_at(above) - world.moved_at(below) for below, above in ((5, 25), (25, 50), (50, 100))]
    overhead = timedelta(seconds=50)  # verify, the first evaluation, confirm, health, move
    assert [bake - overhead for bake in bakes] == [minutes(15), minutes(30), minutes(60)]


def test_the_steps_of_a_release_that_switches_at_once() -> None:
    world = World.of(plan(Switch.AT_ONCE, Standby.COLD, sla=None)).run()
    green = Weights(blue=0, green=100)

    assert [
        action.model_dump(exclude={"step"}) for _, action in world.done if not isinstance(action, Watch)
    ] == [
        PrepareSlot(step=0, slot=Slot.GREEN, version="v2.4.0").model_dump(exclude={"step"}),
        CheckHealth(step=0, slot=Slot.GREEN, within=minutes(10)).model_dump(exclude={"step"}),
        SetWeights(step=0, weights=green).model_dump(exclude={"step"}),
        VerifyWeights(step=0, weights=green).model_dump(exclude={"step"}),
        VerifyWeights(step=0, weights=green).model_dump(exclude={"step"}),
        ScaleDown(step=0, slot=Slot.BLUE).model_dump(exclude={"step"}),
    ]
    assert world.release.of(Slot.BLUE) == SlotRelease(version="v2.3.0", weight=0)


def test_the_old_slot_stays_in_full_until_its_weight_is_verified_and_its_requests_are_over() -> None:
    world = World.of(plan(standby=Standby.WARM)).run()
    scaled = next(at for at, action in world.done if isinstance(action, ScaleDown))

    assert scaled - world.moved_at(100) == timedelta(seconds=5 + 45 + 5 + 20)  # verify, drain, confirm, scale
    before, last = [action for at, action in world.done if at <= scaled][-2:]
    assert isinstance(before, VerifyWeights)
    assert before.weights == Weights(blue=0, green=100)
    assert isinstance(last, ScaleDown)


def test_a_weight_of_the_old_slot_that_came_back_while_it_drained_stops_the_scaling_down() -> None:
    world = at_last_confirm()
    world.hear(Failed(at=world.now, step=world.state.step, reason="blue has 100 %, not 0 %"))

    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 25, 50, 100, 0])
    assert [action.slot for _, action in world.done if isinstance(action, ScaleDown)] == [Slot.GREEN]


def test_a_slot_is_prepared_in_full_and_moves_of_weights_change_no_sizes() -> None:
    world = World.of(plan(standby=Standby.WARM))
    sizes: list[tuple[SlotCapacity, SlotCapacity]] = []
    while world.state.stage is not Stage.SCALE:
        world.step()
        sizes.append((world.release.capacity_of(Slot.BLUE), world.release.capacity_of(Slot.GREEN)))

    full, serving = SlotCapacity.FULL, SlotCapacity.SERVING
    assert list(dict.fromkeys(sizes)) == [(serving, full), (serving, serving), (full, serving)]


def test_a_slot_has_10_minutes_to_become_healthy_and_must_be_so_at_once_before_each_further_phase() -> None:
    world = World.of(plan()).run()

    assert [action.within for _, action in world.done if isinstance(action, CheckHealth)] == [
        minutes(10),
        minutes(0),
        minutes(0),
        minutes(0),
    ]


def test_a_rehearsal_divides_bakes_and_limits_by_its_speed() -> None:
    hurried = plan(interval=SECOND, speed=60)

    assert [phase.bake for phase in hurried.phases] == [15 * SECOND, 30 * SECOND, 60 * SECOND, 0 * SECOND]
    assert (hurried.warning_limit, hurried.blind_limit) == (15 * SECOND, 10 * SECOND)


@pytest.mark.parametrize(("gaps", "ends"), [(2, Outcome.COMPLETED), (3, Outcome.ROLLED_BACK)])
def test_at_any_speed_the_limits_forgive_a_driver_that_looked_away_twice(gaps: int, ends: Outcome) -> None:
    world = World.of(plan(interval=5 * SECOND, speed=600)).run(lambda world: world.weight == 25)
    world.run(lambda world: world.state.stage is Stage.BAKE)
    world.step()
    for _ in range(gaps):
        world.now += 60 * SECOND
        world.step()

    assert at_end(world)[0] is ends


def test_no_rollout_starts_while_traffic_is_shared() -> None:
    shared = Release(
        blue=SlotRelease(version="v2.3.0", weight=95),
        green=SlotRelease(version="v2.4.0", weight=5),
        standby=Standby.FULL,
        switch=Switch.LADDER,
    )
    with pytest.raises(ValueError, match=r"no slot is idle: blue 95 % and green 5 %"):
        Plan.of(shared, "v2.5.0", sla=None, drain=timedelta())


# --- faults ------------------------------------------------------------------------------------------------------


def test_errors_at_5_percent_of_the_traffic_are_taken_back_at_the_first_evaluation_that_sees_them() -> None:
    world = World.of(plan(), from_weight(5, verdict(measured(errors=0.15))))

    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 0])
    assert world.moved_at(0) - world.moved_at(5) == timedelta(seconds=5 + 15 + 20)  # verify, watch, move
    assert world.report.why == "api: Error Rate: 15% is above the critical threshold, 1%"
    assert world.report.slot is Slot.BLUE
    assert world.report.version == "v2.3.0"


@pytest.mark.parametrize(
    "fault",
    [
        verdict(measured(p99=0.9)),
        verdict(measured(cpu=0.99)),
        verdict(measured(restarts=8)),
        verdict(measured(), available=0),
    ],
    ids=["latency", "saturation", "crash: restarts", "crash: no pod is left"],
)
@pytest.mark.parametrize(("weight", "moves"), [(5, [5, 0]), (25, [5, 25, 0]), (100, [5, 25, 50, 100, 0])])
def test_what_is_critical_is_taken_back_from_every_weight(
    fault: Verdict, weight: int, moves: list[int]
) -> None:
    assert at_end(World.of(plan(), from_weight(weight, fault))) == (Outcome.ROLLED_BACK, moves)


@pytest.mark.parametrize(
    "nothing",
    [verdict(measured(0, None, None)), unreachable("timed out")],
    ids=["no-traffic", "prometheus-down"],
)
def test_without_an_answer_it_holds_for_10_minutes_and_goes_back(nothing: Verdict) -> None:
    world = World.of(plan(), from_weight(25, nothing))

    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 25, 0])
    assert world.moved_at(0) - world.moved_at(25) == minutes(10) + timedelta(seconds=40)
    assert world.report.why.startswith("inconclusive for 0:10:00, allowed are 0:10:00")


def test_a_warning_that_stays_holds_for_15_minutes_and_goes_back() -> None:
    world = World.of(plan(), from_weight(5, verdict(measured(p99=0.3))))

    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 0])
    assert world.moved_at(0) - world.moved_at(5) == minutes(15) + timedelta(seconds=40)


def test_a_warning_that_goes_stops_the_bake_clock_for_as_long() -> None:
    world = baking(5)
    for told in [Result.WARN] * 20 + [Result.PASS] * 60:
        world.gates = lambda _, told=told: result(told)
        world.step()
    assert (world.weight, world.state.stage) == (5, Stage.BAKE)
    assert world.state.clocks.warned == minutes(5)
    # The first pass after the warning ends a span that was not one of passing.
    assert world.state.clocks.baked == minutes(14.75)

    world.step()
    assert world.state.stage is Stage.CONFIRM


def test_warnings_and_passes_by_turns_do_not_go_on_for_ever() -> None:
    world = baking(5)
    world.gates = lambda world: result(Result.WARN if world.now.second % 30 < 15 else Result.PASS)

    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 0])


def test_a_canary_that_spends_more_than_its_share_of_the_error_budget_is_taken_back_though_no_threshold_is_reached() -> (
    None
):
    # Above the warning at every weight, but never for longer than that is borne.
    world = baking(50, lambda _: result(Result.WARN, error_rate=0.0095))
    world.state = world.state.having(spent=timedelta(seconds=12))

    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 25, 50, 0])
    assert (
        world.report.why == "Error budget: the new slot spent 13.0 s of a total outage; its share is 13.0 s"
    )


def test_where_nothing_is_promised_no_budget_is_overspent() -> None:
    world = World.of(plan(sla=None), from_weight(5, result(Result.PASS, error_rate=1.0)))

    assert at_end(world) == (Outcome.COMPLETED, [5, 25, 50, 100])


def test_what_is_spent_is_paid_for_the_time_nobody_watched_and_until_the_weights_are_back() -> None:
    world = baking(50)
    world.now += minutes(20)
    world.gates = lambda _: result(Result.FAIL, error_rate=0.02)
    world.run()

    # Half of the traffic, 2 % of it: for 20 min unwatched, one evaluation, and the move back with its verification.
    assert world.report.spent == (minutes(20) + timedelta(seconds=15 + 20 + 5)) * 0.01


def test_nothing_more_is_spent_once_the_weights_are_back() -> None:
    world = baking(50, lambda _: result(Result.FAIL, error_rate=0.02))
    world.run(lambda world: world.state.stage is Stage.CONFIRM)
    spent = world.state.spent
    world.hear(Failed(at=world.now, step=world.state.step, reason="timed out"))

    assert world.run().report.spent == spent > timedelta()


def test_a_slot_that_does_not_become_healthy_gets_no_traffic() -> None:
    world = World.of(plan()).run(lambda world: world.state.stage is Stage.HEALTH)
    world.hear(Failed(at=world.now, step=world.state.step, reason="api: 4 of 6 replicas after 10 min"))

    assert at_end(world) == (Outcome.ROLLED_BACK, [0])
    assert world.report.why == "api: 4 of 6 replicas after 10 min"


def test_a_slot_that_is_not_whole_gets_no_more_traffic_is_watched_and_goes_back_after_a_limit() -> None:
    world, held = World.of(plan()), timedelta()
    while world.state.stage is not Stage.DONE:
        action, began = next_action(world.state), world.now
        if isinstance(action, CheckHealth) and world.weight == 5:
            world.carry_out(action)
            world.hear(Failed(at=world.now, step=action.step, reason="api: 5 of 6 replicas"))
            assert world.state.direction is Direction.BACK or world.state.stage is Stage.BAKE
        else:
            world.step()
        if (
            world.weight == 5
            and world.state.clocks.baked == minutes(15)
            and world.state.direction is Direction.UP
        ):
            held += world.now - began

    assert world.moves == [5, 0]
    assert world.report.why.endswith(", allowed are 0:15:00: api: 5 of 6 replicas")
    assert minutes(14) < held < minutes(16)


def test_a_slot_that_is_whole_again_in_time_goes_on() -> None:
    world = baking(5)
    while world.weight == 5:
        action = next_action(world.state)
        if isinstance(action, CheckHealth) and world.state.clocks.warned < minutes(14):
            world.carry_out(action)
            world.hear(Failed(at=world.now, step=action.step, reason="api: 5 of 6 replicas"))
        else:
            world.step()

    assert world.weight == 25
    assert world.state.clocks.warned == timedelta(), "each phase has the whole of the limit"


def test_a_slot_that_is_not_whole_when_its_phase_is_promoted_bakes_on() -> None:
    world = baking(5)
    world.hear(Promote(at=world.now + SECOND, who="ada", weight=5, reason="hotfix"))
    world.step()
    world.hear(Failed(at=world.now + SECOND, step=world.state.step, reason="api: 5 of 6 replicas"))
    assert world.state.stage is Stage.BAKE
    for _ in range(57):
        world.step()

    # An evaluation that ends a time with an unhealthy slot in it counts as little as one after a warning.
    assert (world.state.stage, world.state.clocks.baked) == (Stage.BAKE, minutes(14))
    assert at_end(world) == (Outcome.COMPLETED, [5, 25, 50, 100])


@pytest.mark.parametrize("stage", [Stage.PREPARE, Stage.MOVE, Stage.VERIFY])
def test_a_step_that_fails_on_the_way_up_leads_back(stage: Stage) -> None:
    world = World.of(plan()).run(lambda world: world.state.stage is stage)
    world.hear(Failed(at=world.now, step=world.state.step, reason="access denied"))

    assert (world.state.direction, world.state.stage) == (Direction.BACK, Stage.MOVE)
    assert world.run().report.why == "access denied"


def test_on_the_way_back_nothing_is_given_up_and_each_attempt_is_counted() -> None:
    world = baking(50, lambda _: result(Result.FAIL))
    world.step()
    for attempt in range(1, 4):
        world.hear(Failed(at=world.now, step=world.state.step, reason="throttled"))
        assert (world.state.stage, world.state.attempts) == (Stage.MOVE, attempt)
    world.step()
    world.hear(Failed(at=world.now, step=world.state.step, reason="green still has 50 %"))
    assert (world.state.stage, world.state.attempts) == (Stage.MOVE, 4)

    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 25, 50, 0, 0])
    assert [entry.why for entry in world.state.history].count("throttled") == 1


def test_a_scaling_down_that_fails_is_tried_again_and_takes_nothing_back() -> None:
    world = World.of(plan()).run(lambda world: world.state.stage is Stage.SCALE)
    world.hear(Failed(at=world.now, step=world.state.step, reason="throttled"))

    assert at_end(world) == (Outcome.COMPLETED, [5, 25, 50, 100])


def test_a_scaling_down_that_never_works_ends_the_rollout_and_is_told() -> None:
    world = World.of(plan(standby=Standby.WARM)).run(lambda world: world.state.stage is Stage.SCALE)
    for attempt in range(1, 12):
        world.hear(Blocked(at=world.now, step=world.state.step, reason="also + aws:s3:Bucket"))
        assert (world.state.stage, world.state.attempts) == (Stage.SCALE, attempt)
    world.hear(Failed(at=world.now, step=world.state.step, reason="throttled"))

    assert at_end(world) == (Outcome.COMPLETED, [5, 25, 50, 100])
    assert world.report.left_in_full == "throttled"
    assert world.state.history[-1].why == "blue is left in full: throttled"
    world.hear(Rollback(at=world.now + minutes(1), who="ada", reason="enough"))
    assert at_end(world)[0] is Outcome.ROLLED_BACK
    assert world.report.left_in_full is None


def test_a_move_that_would_change_more_than_weights_is_held_at_the_weights_in_force_and_watched() -> None:
    world = baking(5).run(lambda world: world.state.stage is Stage.MOVE)
    world.hear(Blocked(at=world.now, step=world.state.step, reason="also ~ aws:lb:TargetGroup api-green"))

    assert (world.state.stage, world.state.phase.weight, world.state.paused) == (Stage.BAKE, 5, True)
    assert world.state.history[-1].why == "paused: also ~ aws:lb:TargetGroup api-green"
    for _ in range(100):
        world.step()
    assert world.weight == 5
    world.hear(Resume(at=world.now, who="ada"))
    assert at_end(world) == (Outcome.COMPLETED, [5, 25, 50, 100])


def test_a_first_move_that_would_change_more_than_weights_waits_for_a_person() -> None:
    world = World.of(plan()).run(lambda world: world.state.stage is Stage.MOVE)
    world.hear(Blocked(at=world.now, step=world.state.step, reason="also + aws:s3:Bucket"))

    assert isinstance(next_action(world.state), Hold)


# --- time that nobody watched --------------------------------------------------------------------------------------


def test_a_driver_that_was_dead_did_not_watch() -> None:
    world = baking(25)
    for _ in range(40):
        world.step()
    assert world.state.clocks.baked == minutes(10)

    world.now += minutes(600)
    world.step()
    assert (world.weight, world.state.clocks.baked) == (25, minutes(10))
    assert world.state.clocks.blind == timedelta(seconds=45)

    assert at_end(world) == (Outcome.COMPLETED, [5, 25, 50, 100])


def test_an_evaluation_or_two_that_are_missed_were_seen_through_the_metrics_window() -> None:
    world = baking(25)
    world.now += timedelta(seconds=30)
    world.step()

    assert world.state.clocks.baked == timedelta(seconds=45)


def test_a_driver_too_slow_to_watch_is_as_good_as_blind() -> None:
    world = baking(25)
    while world.state.direction is Direction.UP:
        world.now += minutes(1)
        world.step()

    assert world.state.history[-1].why == (
        "unwatched or inconclusive for 0:10:30, allowed are 0:10:00: more than 0:00:45 between two evaluations"
    )


# --- commands ------------------------------------------------------------------------------------------------------


def test_a_pause_stops_the_bake_and_no_failure() -> None:
    world = baking(5)
    world.hear(Pause(at=world.now, who="ada", reason="looking at a trace"))
    for _ in range(200):
        world.step()
    assert (world.weight, world.state.clocks.baked) == (5, timedelta())

    world.gates = lambda _: result(Result.FAIL)
    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 0])


def test_while_it_is_paused_a_person_sees_to_warnings_but_nobody_sees_through_blindness() -> None:
    world = baking(5, lambda _: result(Result.WARN))
    world.hear(Pause(at=world.now, who="ada", reason="looking at a trace"))
    for _ in range(200):
        world.step()
    assert (world.weight, world.state.paused) == (5, True)

    world.gates = lambda _: unreachable("timed out")
    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 0])


def test_a_pause_before_the_first_move_lets_the_slot_get_ready_and_no_request_reach_it() -> None:
    world = World.of(plan())
    world.hear(Pause(at=world.now, who="ada", reason="not before lunch"))
    world.run()
    assert isinstance(next_action(world.state), Hold)
    assert world.moves == []

    world.hear(Resume(at=world.now, who="ada"))
    assert isinstance(next_action(world.state), CheckHealth)
    assert at_end(world) == (Outcome.COMPLETED, [5, 25, 50, 100])


def test_a_pause_between_two_phases_stays_watched_at_the_lower_one() -> None:
    world = baking(25).run(lambda world: world.state.stage is Stage.HEALTH)
    world.hear(Pause(at=world.now, who="ada", reason="not yet"))

    assert isinstance(next_action(world.state), Watch)
    assert (world.weight, world.state.phase.weight) == (25, 25)


def test_a_pause_while_the_slot_gets_healthy_is_not_overrun_by_its_health() -> None:
    world = World.of(plan()).run(lambda world: world.state.stage is Stage.HEALTH)
    checked = Done(at=world.now + SECOND, step=world.state.step)
    world.hear(Pause(at=world.now, who="ada", reason="not before lunch"))

    assert isinstance(next_action(apply(world.state, checked)), Hold)


def test_after_a_pause_a_phase_that_was_baked_waits_for_a_pass_to_go_on() -> None:
    world = baking(25).run(lambda world: world.state.stage is Stage.HEALTH)
    world.hear(Pause(at=world.now, who="ada", reason="not yet"))
    world.hear(Resume(at=world.now + SECOND, who="ada"))
    world.gates = lambda _: result(Result.WARN)
    for _ in range(10):
        world.step()
    assert (world.weight, world.state.stage) == (25, Stage.BAKE)

    world.gates = lambda _: PASSES
    world.step()
    assert world.state.stage is Stage.CONFIRM


def test_a_pause_at_100_percent_keeps_the_old_slot_standing() -> None:
    world = World.of(plan(standby=Standby.COLD)).run(lambda world: world.state.stage is Stage.DRAIN)
    world.hear(Pause(at=world.now, who="ada", reason="keep it a while"))
    for _ in range(100):
        world.step()

    assert world.release.capacity_of(Slot.BLUE) is SlotCapacity.FULL


def test_at_100_percent_the_old_slot_keeps_its_size_until_the_gates_pass() -> None:
    world = World.of(plan(standby=Standby.COLD)).run(lambda world: world.state.stage is Stage.DRAIN)
    world.gates = lambda _: result(Result.INCONCLUSIVE)
    for _ in range(10):
        world.step()
    assert world.now > world.state.since + world.state.plan.drain
    assert (world.state.stage, world.release.capacity_of(Slot.BLUE)) == (Stage.DRAIN, SlotCapacity.FULL)

    world.gates = lambda _: PASSES
    assert at_end(world)[0] is Outcome.COMPLETED


@pytest.mark.parametrize("held", [Result.WARN, Result.INCONCLUSIVE])
def test_gates_that_do_not_pass_at_100_percent_take_everything_back_after_the_limit(held: Result) -> None:
    world = World.of(plan()).run(lambda world: world.state.stage is Stage.DRAIN)
    world.gates = lambda _: result(held)

    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 25, 50, 100, 0])


def test_where_traffic_switches_at_once_the_end_waits_for_no_request() -> None:
    world = World.of(plan(switch=Switch.AT_ONCE), lambda _: result(Result.INCONCLUSIVE))

    assert at_end(world) == (Outcome.COMPLETED, [100])


def test_after_a_pause_the_weights_are_read_back_before_the_bake_goes_on() -> None:
    world = baking(25)
    for _ in range(20):
        world.step()
    world.hear(Pause(at=world.now, who="ada", reason="looking"))
    world.hear(Resume(at=world.now + SECOND, who="ada"))

    assert isinstance(next_action(world.state), VerifyWeights)
    world.step()
    assert (world.state.stage, world.state.clocks.baked) == (Stage.BAKE, minutes(5))


def test_a_promotion_cuts_one_bake_short_and_skips_no_phase() -> None:
    world = baking(5)
    said = world.now + SECOND
    world.hear(Promote(at=said, who="ada", weight=5, reason="hotfix, INC-77"))
    world.run()

    assert world.moves == [5, 25, 50, 100]
    assert world.moved_at(25) - world.moved_at(5) < minutes(2)
    assert world.moved_at(50) - world.moved_at(25) >= minutes(30)
    told = next(entry for entry in world.state.history if "INC-77" in entry.why)
    assert (told.at, told.who, told.why) == (said, "ada", "promoted: hotfix, INC-77")


def test_a_promotion_leads_on_where_the_gates_cannot_tell() -> None:
    world = baking(5, lambda world: verdict(measured(0, None, None)) if world.weight == 5 else PASSES)
    world.step()
    world.hear(Promote(at=world.now, who="ada", weight=5, reason="nobody is up at night"))

    assert at_end(world) == (Outcome.COMPLETED, [5, 25, 50, 100])


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_no_promotion_without_a_reason(reason: str) -> None:
    with pytest.raises(ValidationError, match="reason"):
        Promote(at=START, who="ada", weight=5, reason=reason)


def test_refused_commands_say_why() -> None:
    world = baking(5)
    later, who, why = world.now + SECOND, "ada", "because"
    promote_25 = Promote(at=later, who=who, weight=25, reason=why)
    assert refusal(world.state, promote_25) == "the phase that is baking is 5 %, not 25 %"

    world.hear(Pause(at=later, who=who, reason=why))
    assert refusal(world.state, Pause(at=later + SECOND, who=who, reason=why)) == "it is paused already"
    assert refusal(world.state, Resume(at=later, who=who)) == (
        f"a later command was given at {later.isoformat()}"
    )

    world.hear(Rollback(at=later, who=who, reason=why))
    later += SECOND
    assert refusal(world.state, Rollback(at=later, who=who, reason=why)) == (
        "the traffic is on its way back to blue already"
    )
    assert refusal(world.state, Promote(at=later, who=who, weight=5, reason=why)) == (
        "the traffic is on its way back to blue, which nothing holds up"
    )


def test_a_promotion_said_before_the_phase_began_promotes_nothing() -> None:
    world = World.of(plan())
    early = Promote(at=world.now + SECOND, who="ada", weight=5, reason="in a hurry")
    assert refusal(world.state, early) == "no phase is baking (stage: prepare)"
    world.run(lambda world: world.state.stage is Stage.BAKE)

    assert apply(world.state, early) == world.state


def taken_back_next_morning(standby: Standby) -> World:
    """A release that was complete when somebody has it taken back."""
    world = World.of(plan(standby=standby)).run()
    world.now += minutes(300)
    world.hear(Rollback(at=world.now, who="ada", reason="a customer called"))
    world.done = []
    return world


BACK = ["set-weights", "verify-weights", "verify-weights", "scale-down"]


def kinds(world: World) -> list[str]:
    return [action.kind for _, action in world.done if action.kind != "watch"]


def waits(world: World) -> list[timedelta]:
    """How long each look at a slot's health may take."""
    return [action.within for _, action in world.done if isinstance(action, CheckHealth)]


@pytest.mark.parametrize("standby", Standby)
def test_a_completed_release_is_taken_back_at_once_where_the_old_slot_stands_in_full_and_else_once_it_does(
    standby: Standby,
) -> None:
    world = taken_back_next_morning(standby).run()

    full = standby is Standby.FULL
    assert kinds(world) == ["check-health", *BACK] if full else ["prepare-slot", "check-health", *BACK]
    assert waits(world) == [minutes(0) if full else minutes(10)]
    assert world.release.weights == Weights(blue=100, green=0)
    assert world.release.of(Slot.BLUE).version == "v2.3.0"
    assert world.report.outcome is Outcome.ROLLED_BACK
    assert world.report.why == "a customer called"


def test_an_old_slot_that_should_stand_in_full_and_does_not_is_prepared_and_waited_for() -> None:
    world = taken_back_next_morning(Standby.FULL)
    action = next_action(world.state)
    world.carry_out(action)
    world.hear(Failed(at=world.now, step=action.step, reason="api: 2 of 6 replicas"))
    assert world.state.history[-1].why == "api: 2 of 6 replicas"
    world.run()

    assert kinds(world) == ["check-health", "prepare-slot", "check-health", *BACK]
    assert waits(world) == [minutes(0), minutes(10)]
    assert world.release.weights == Weights(blue=100, green=0)


def test_an_old_slot_that_does_not_become_healthy_is_waited_for_again_and_gets_no_traffic() -> None:
    world = taken_back_next_morning(Standby.WARM)
    for attempt in range(4):
        world.run(lambda world: world.state.stage is Stage.HEALTH)
        assert world.state.attempts == attempt
        world.hear(Failed(at=world.now, step=world.state.step, reason="api: 2 of 6 replicas"))

    assert world.weight == 100
    assert world.run().release.weights == Weights(blue=100, green=0)


# --- weights that somebody else moves -------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0, 5, 50, 100])
def test_weights_that_somebody_moves_in_a_bake_are_taken_back_as_soon_as_they_are_seen(weight: int) -> None:
    world = baking(25)
    moved_by_hand(world, weight)
    world.step()

    assert (world.state.direction, world.state.stage) == (Direction.BACK, Stage.MOVE)
    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 25, 0])
    assert world.report.why.startswith("in force is ")


@pytest.mark.parametrize("promoted", [False, True])
def test_no_phase_ends_before_its_weights_are_read_back_once_more(promoted: bool) -> None:
    world = baking(25)
    if promoted:
        world.hear(Promote(at=world.now + SECOND, who="ada", weight=25, reason="hotfix"))
    world.run(lambda world: world.state.stage is Stage.CONFIRM)
    assert next_action(world.state) == VerifyWeights(
        step=world.state.step, weights=Weights(blue=75, green=25)
    )

    moved_by_hand(world, 5)
    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 25, 0])


def test_weights_that_somebody_moves_while_all_traffic_drains_are_taken_back() -> None:
    world = World.of(plan()).run(lambda world: world.state.stage is Stage.DRAIN)
    moved_by_hand(world, 50)

    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 25, 50, 100, 0])


@pytest.mark.parametrize("stage", [Stage.VERIFY, Stage.DRAIN, Stage.CONFIRM])
def test_weights_that_somebody_moves_on_the_way_back_are_set_again(stage: Stage) -> None:
    world = baking(50, lambda _: result(Result.FAIL))
    world.run(lambda world: world.state.direction is Direction.BACK and world.state.stage is stage)
    moved_by_hand(world, 25)
    world.step()
    assert (world.state.stage, world.state.attempts) == (Stage.MOVE, 1)

    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 25, 50, 0, 0])
    assert world.rules == Weights(blue=100, green=0)


def confirming(weight: int) -> World:
    """A rollout whose bake is over, and whose weights are being read back."""
    return baking(weight).run(lambda world: world.state.stage is Stage.CONFIRM)


def test_a_pause_while_the_weights_are_read_back_stays_at_them_and_keeps_what_was_baked() -> None:
    world = confirming(25)
    world.hear(Pause(at=world.now + SECOND, who="ada", reason="not yet"))
    assert (world.state.stage, world.state.paused, world.state.phase.weight) == (Stage.BAKE, True, 25)
    assert world.state.clocks.baked == minutes(30)
    for _ in range(20):
        world.step()
    assert world.weight == 25

    world.hear(Resume(at=world.now, who="ada"))
    world.step()
    assert world.state.stage is Stage.BAKE
    world.step()
    assert world.state.stage is Stage.CONFIRM
    assert at_end(world) == (Outcome.COMPLETED, [5, 25, 50, 100])


def test_a_promotion_while_the_weights_are_read_back_is_told_that_the_bake_is_over() -> None:
    world = confirming(25)
    late, early = (
        Promote(at=world.now + SECOND, who="ada", weight=weight, reason="hotfix") for weight in (25, 50)
    )
    assert refusal(world.state, late) == "the bake at 25 % is over already"
    assert refusal(world.state, early) == "no phase is baking (stage: confirm)"
    assert apply(world.state, late) is world.state


def test_a_resume_or_a_rollback_while_the_weights_are_read_back_is_heard() -> None:
    world = confirming(25)
    step = world.state.step
    world.hear(Resume(at=world.now + SECOND, who="bob"))
    assert (world.state.stage, world.state.step) == (Stage.CONFIRM, step)

    world.hear(Rollback(at=world.now + SECOND, who="ada", reason="enough"))
    assert at_end(world) == (Outcome.ROLLED_BACK, [5, 25, 0])


def test_once_all_traffic_is_on_the_new_slot_a_last_reading_back_cannot_be_paused() -> None:
    late = Pause(at=at_last_confirm().now + SECOND, who="ada", reason="wait")
    assert refusal(at_last_confirm().state, late) == "green has all traffic; nothing is left to hold"


# --- the journal ----------------------------------------------------------------------------------------------------


def test_the_journal_says_what_since_when_who_and_why() -> None:
    world = World.of(plan()).run(lambda world: world.state.stage is Stage.BAKE)

    assert [(entry.stage.value, entry.weight, entry.who, entry.why) for entry in world.state.history] == [
        ("prepare", 5, "ada", "CHG-1234"),
        ("health", 5, "rollout", "green is deployed"),
        ("move", 5, "rollout", "green is healthy"),
        ("verify", 5, "rollout", "the weights are set"),
        ("bake", 5, "rollout", "the weights are verified"),
    ]
    assert world.state.since == START + timedelta(seconds=20 + 5 + 20 + 5)


def test_a_driver_killed_after_it_acted_and_before_it_said_so_takes_the_same_action_up_again() -> None:
    """At every step: the same end, the same moves but for those that were repeated, and no bake shortened."""
    world = World.of(plan(speed=60, interval=SECOND))
    while world.state.stage is not Stage.DONE:
        world.carry_out(next_action(world.state))  # and here it is killed
        world.state = State.model_validate_json(world.state.model_dump_json())
        world.step()

    assert world.report.outcome is Outcome.COMPLETED
    assert world.moves == [5, 5, 25, 25, 50, 50, 100, 100]
    assert world.release == World.of(plan()).run().release


def test_an_answer_to_an_action_that_is_no_longer_wanted_changes_nothing() -> None:
    world = baking(5).run(lambda world: world.state.stage is Stage.MOVE)
    moved = Done(at=world.now + SECOND, step=world.state.step)
    world.hear(Rollback(at=world.now, who="ada", reason="enough"))

    assert apply(world.state, moved) is world.state


def test_an_evaluation_that_is_told_twice_or_late_counts_once() -> None:
    world = baking(5)
    for lateness in (timedelta(), SECOND):
        late = Observed(at=world.now - lateness, step=world.state.step, verdict=result(Result.WARN))
        assert apply(world.state, late) is world.state


def test_what_fails_is_taken_back_by_a_clock_that_is_behind_too() -> None:
    world = baking(5)
    behind = Observed(at=world.now - minutes(30), step=world.state.step, verdict=result(Result.FAIL))
    state = apply(world.state, behind)
    assert (state.direction, state.since) == (Direction.BACK, world.state.since)


@pytest.mark.parametrize(
    "event",
    [
        Done(at=START, step=3),
        Failed(at=START, step=3, reason="timed out"),
        Blocked(at=START, step=3, reason="also ~ aws:lb:Listener"),
        Observed(at=START, step=3, verdict=verdict(measured(errors=0.15))),
        Pause(at=START, who="ada", reason="why"),
        Resume(at=START, who="ada"),
        Promote(at=START, who="ada", weight=5, reason="why"),
        Rollback(at=START, who="ada", reason="why"),
    ],
    ids=lambda event: event.kind,
)
def test_an_event_is_the_same_after_a_way_through_json(event: Event) -> None:
    events: TypeAdapter[Event] = TypeAdapter(Event)
    assert events.validate_json(events.dump_json(event)) == event


def test_a_rollout_starts_from_the_slot_that_is_idle_whichever_it_is() -> None:
    turned = Release(
        blue=SlotRelease(version="v2.3.0", weight=0),
        green=SlotRelease(version="v2.4.0", weight=100),
        standby=Standby.WARM,
        switch=Switch.LADDER,
    )
    planned = Plan.of(turned, "v2.5.0", sla=None, drain=timedelta())

    assert (planned.slot, planned.replaces) == (Slot.BLUE, "v2.4.0")
    assert Plan.of(release(), "v2.5.0", sla=None, drain=timedelta()).slot is Slot.GREEN
