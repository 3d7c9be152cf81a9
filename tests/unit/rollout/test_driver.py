"""The driver carries out what the machine says, keeps the journal, listens, and may die at any time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.release import SlotCapacity, Standby, Switch
from operations.rollout.actions import Action, Outcome, Report, SetWeights
from operations.rollout.events import Pause, Promote, Resume, Rollback
from operations.rollout.gate import Verdict
from operations.rollout.state import Stage
from operations.slots import Slot
from rollout.errors import JournalFailed, LeaseLost, PlanRefused, RolloutError, UpdateFailed
from rollout.record import LEASE, LEASE_IN_UPDATE, Command
from tests.unit.rollout.worlds import FAILS, PASSES, START, Killed, World, release


def fails_at(weight: int | None) -> Callable[[World], Verdict]:
    return lambda world: FAILS if world.weight == weight else PASSES


def says_once(weight: int, command: Callable[[World], Command]) -> Callable[[World], Verdict]:
    """Gates that pass, and say a command at the first evaluation with a weight in force."""
    said: list[Command] = []

    def gates(world: World) -> Verdict:
        if world.weight == weight and not said:
            said.append(command(world))
            world.say(said[0])
        return PASSES

    return gates


def moves_to(action: Action, weight: int) -> bool:
    return isinstance(action, SetWeights) and action.weights.green == weight


def test_a_version_goes_up_the_ladder_and_the_old_slot_stands_by() -> None:
    world = World(release())
    report = world.begin()
    assert report.outcome is Outcome.COMPLETED
    assert world.shares == [0, 5, 25, 50, 100]
    assert (world.release.green.version, world.release.stable) == ("v2.4.0", "v2.3.0")
    assert world.release.capacity_of(Slot.BLUE) is SlotCapacity.WARM
    assert timedelta(minutes=105) / 12 <= report.ended - report.started < timedelta(minutes=12)


def test_where_there_is_no_ladder_traffic_switches_at_once_when_the_slot_is_healthy() -> None:
    world = World(release(Switch.AT_ONCE))
    assert world.begin().outcome is Outcome.COMPLETED
    assert world.shares == [0, 100]


def test_what_fails_is_taken_back() -> None:
    world = World(release(), fails_at(25))
    assert world.begin().outcome is Outcome.ROLLED_BACK
    assert world.shares == [0, 5, 25, 0]


def test_the_gates_are_evaluated_every_fifteen_seconds() -> None:
    world = World(release())
    world.begin()
    first_phase = [at for at in world.evaluations if at < START + timedelta(minutes=14) / 12]
    assert {later - earlier for earlier, later in pairwise(first_phase)} == {timedelta(seconds=15)}


def test_the_journal_holds_the_intent_and_a_lease_that_lasts_before_anything_is_changed() -> None:
    world = World(release())
    seen: list[tuple[str, Stage]] = []

    def look(action: Action) -> None:
        lease = world.record.lease
        assert lease is not None
        seen.append((action.kind, world.state.stage))
        # As long as an update may take, in which a driver cannot speak.
        if len(seen) > 1:
            assert lease.expires - world.time > timedelta(minutes=29)

    world.refuse = look
    world.begin()
    moves = [("set-weights", Stage.MOVE)] * 4
    assert seen == [("prepare-slot", Stage.PREPARE), *moves, ("scale-down", Stage.SCALE)]


def test_a_preview_with_something_else_in_it_holds_the_rollout_until_a_person_lets_it_go_on() -> None:
    world = World(release())
    resumed: list[datetime] = []

    def refuse(action: Action) -> Exception | None:
        stopped = moves_to(action, 25) and not resumed
        return PlanRefused("the preview would change update aws:sqs/queue:Queue jobs") if stopped else None

    def gates(world: World) -> Verdict:
        if world.state.paused and not resumed:
            assert world.weight == 5
            resumed.append(world.time)
            world.say(Resume(at=world.time, who="ada"))
        return PASSES

    world.refuse, world.gates = refuse, gates
    assert world.begin().outcome is Outcome.COMPLETED
    assert world.shares == [0, 5, 25, 50, 100]
    assert any("aws:sqs/queue:Queue jobs" in entry.why for entry in world.state.history)


def test_an_update_that_breaks_off_is_taken_back() -> None:
    world = World(release())
    world.refuse = lambda action: UpdateFailed("the provider says no") if moves_to(action, 50) else None
    report = world.begin()
    assert (report.outcome, report.why) == (Outcome.ROLLED_BACK, "the provider says no")
    assert world.shares == [0, 5, 25, 0]


def test_the_way_back_is_tried_until_it_succeeds_and_less_and_less_often() -> None:
    world = World(release(), fails_at(5))
    tries: list[datetime] = []

    def refuse(action: Action) -> Exception | None:
        if not moves_to(action, 0):
            return None
        tries.append(world.time)
        return UpdateFailed("the provider is away") if len(tries) < 7 else None

    world.refuse = refuse
    assert world.begin().outcome is Outcome.ROLLED_BACK
    waits = [round((later - earlier).total_seconds()) for earlier, later in pairwise(tries)]
    assert waits == [5, 10, 20, 40, 60, 60]


def test_a_slot_that_does_not_become_healthy_is_given_up_after_ten_minutes() -> None:
    world = World(release())
    world.ailing = lambda slot: "api: 1 of 6 replicas are available" if slot is Slot.GREEN else None
    report = world.begin()
    assert (report.outcome, report.why) == (Outcome.ROLLED_BACK, "api: 1 of 6 replicas are available")
    assert timedelta(minutes=10) <= report.ended - report.started < timedelta(minutes=13)
    assert world.shares == [0]


def test_a_slot_may_take_its_time_to_become_healthy() -> None:
    world = World(release())
    world.ailing = lambda _: "not yet" if world.time < START + timedelta(minutes=5) else None
    assert world.begin().outcome is Outcome.COMPLETED


def test_a_person_takes_it_back_within_seconds() -> None:
    world = World(
        release(),
        says_once(25, lambda w: Rollback(at=w.time, who="bob", reason=f"support calls at {w.time}")),
    )
    report = world.begin()
    assert report.outcome is Outcome.ROLLED_BACK
    turned = next(entry for entry in world.state.history if entry.why == report.why)
    assert turned.who == "bob"
    assert report.why == f"support calls at {turned.at}"
    back = next(e for e in world.state.history if e.at > turned.at and e.stage is Stage.VERIFY)
    assert back.at - turned.at <= timedelta(seconds=20 + 5)


def test_a_person_promotes_one_phase_only() -> None:
    world = World(
        release(),
        says_once(
            25,
            lambda w: Promote(at=w.time + timedelta(seconds=1), who="bob", weight=25, reason="known good"),
        ),
    )
    report = world.begin()
    assert report.outcome is Outcome.COMPLETED
    assert world.shares == [0, 5, 25, 50, 100]
    assert timedelta(minutes=75) / 12 < report.ended - report.started < timedelta(minutes=10)
    assert any((e.who, e.why) == ("bob", "promoted: known good") for e in world.state.history)


def test_a_paused_rollout_stays_where_it_is() -> None:
    paused: list[datetime] = []

    def gates(world: World) -> Verdict:
        if world.weight == 25 and not paused:
            paused.append(world.time)
            world.say(Pause(at=world.time, who="bob", reason="lunch"))
        elif len(paused) == 1 and world.time - paused[0] > timedelta(minutes=20):
            assert world.weight == 25
            paused.append(world.time)
            world.say(Resume(at=world.time, who="bob"))
        return PASSES

    world = World(release(), gates)
    report = world.begin()
    assert report.outcome is Outcome.COMPLETED
    assert report.ended - report.started > timedelta(minutes=20) + timedelta(minutes=105) / 12


def test_a_command_that_came_too_late_is_said_and_forgotten() -> None:
    late: list[Command] = []

    def gates(world: World) -> Verdict:
        if world.weight == 50 and not late:
            late.append(Promote(at=world.time, who="bob", weight=25, reason="was on its way"))
            world.written = world.record.model_copy(update={"inbox": tuple(late)}).model_dump_json()
        return PASSES

    world = World(release(), gates)
    world.begin()
    assert world.told == ["promote by bob changes nothing: the phase that is baking is 50 %, not 25 %"]
    assert world.record.inbox == ()


def test_a_second_driver_is_refused_while_the_first_one_lives() -> None:
    def gates(world: World) -> Verdict:
        with pytest.raises(
            RolloutError, match=r"v2.4.0 to green is under way, driven by ada on elsewhere \(process 1\)"
        ):
            world.begin(plan)
        return PASSES

    world = World(release(), gates)
    plan = world.plan()
    world.begin(plan)
    assert world.shares == [0, 5, 25, 50, 100]


def test_a_driver_that_was_silent_for_too_long_finds_another_in_its_place() -> None:
    reports: list[Report] = []

    def gates(world: World) -> Verdict:
        if world.weight == 25 and not world.told:
            world.told.append("taken over")
            world.time += LEASE_IN_UPDATE
            reports.append(world.take_over())
        return PASSES

    world = World(release(), gates)
    with pytest.raises(LeaseLost, match="driven by nobody"):
        world.begin()
    assert [report.outcome for report in reports] == [Outcome.COMPLETED]
    assert world.shares == [0, 5, 25, 50, 100]


def test_what_has_ended_can_be_taken_back_and_not_gone_on_with() -> None:
    world = World(release())
    world.begin()
    with pytest.raises(RolloutError, match="no rollout of 'live' is under way"):
        world.take_over()
    report = world.take_over(Rollback(at=world.time, who="bob", reason="next morning"))
    assert (report.outcome, report.slot) == (Outcome.ROLLED_BACK, Slot.BLUE)
    assert world.shares == [0, 5, 25, 50, 100, 0]


def test_the_gates_are_watched_on_while_the_journal_cannot_be_written() -> None:
    blind: list[datetime] = []

    def gates(world: World) -> Verdict:
        if world.weight == 25:
            blind.append(world.time)
        return FAILS if len(blind) >= 8 else PASSES

    world = World(release(), gates)
    world.journal_fails = lambda: JournalFailed("the backend is away") if 1 < len(blind) < 8 else None
    assert world.begin().outcome is Outcome.ROLLED_BACK
    assert set(world.told) == {"the backend is away; trying again"}
    assert {later - earlier for earlier, later in pairwise(blind)} == {timedelta(seconds=15)}


def test_the_lease_outlives_the_silence_between_two_renewals() -> None:
    world = World(release())
    left: list[timedelta] = []

    def gates(world: World) -> Verdict:
        lease = world.record.lease
        assert lease is not None
        left.append(lease.expires - world.time)
        return PASSES

    world.gates = gates
    world.begin()
    assert min(left) > LEASE / 2


def test_the_journal_is_left_without_a_driver_and_with_what_the_picture_needs() -> None:
    world = World(release())
    world.begin()
    assert world.record.lease is None
    assert {point.weight for point in world.record.points} == {5, 25, 50, 100}
    assert len(world.record.points) == len(world.evaluations)


def driven_through(deaths: set[int], standby: Standby, bad: int | None, speed: int = 60) -> World:
    """Drive a rollout to its end with a new driver after each death.

    Each death in a bake counts as three seconds in which nobody saw anything, of ten that are allowed at this speed.
    """
    world = World(release(standby=standby), fails_at(bad), tuple(deaths))
    plan = world.plan(speed, timedelta(seconds=1))
    drive = lambda: world.begin(plan)  # noqa: E731 - the first driver begins, the others resume
    while True:
        try:
            drive()
            return world
        except Killed:
            world.time += LEASE_IN_UPDATE
            if world.record.ended:
                return world
            drive = world.take_over


@pytest.mark.parametrize("standby", list(Standby))
@pytest.mark.parametrize("bad", [None, 5, 25, 50])
@settings(max_examples=8)
@given(data=st.data())
def test_killed_at_any_instants_and_resumed_it_ends_the_same_by_the_same_way(
    standby: Standby, bad: int | None, data: st.DataObject
) -> None:
    undisturbed = driven_through(set(), standby, bad)
    deaths = data.draw(st.sets(st.integers(1, undisturbed.asked), min_size=1, max_size=3))
    disturbed = driven_through(deaths, standby, bad)
    assert disturbed.moves == undisturbed.moves
    assert disturbed.release == undisturbed.release
    assert [(change.request, change.version) for change in disturbed.changes] == [("CHG0030043", "v2.4.0")]
    assert disturbed.state.stage is undisturbed.state.stage is Stage.DONE


def test_killed_at_each_instant_of_a_short_rollout_it_ends_the_same_by_the_same_way() -> None:
    undisturbed = driven_through(set(), Standby.WARM, None, speed=180)
    for death in range(1, undisturbed.asked + 1):
        world = driven_through({death}, Standby.WARM, None, speed=180)
        assert (world.moves, world.release) == (undisturbed.moves, undisturbed.release), death


def test_leases_are_long_enough_for_what_they_cover() -> None:
    assert (timedelta(minutes=2), timedelta(minutes=30)) == (LEASE, LEASE_IN_UPDATE)
