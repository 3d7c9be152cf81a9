"""The driver carries out what the machine says, keeps the journal, listens, and may die at any time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NoReturn

import pytest

from operations.release import SlotCapacity, Switch
from operations.rollout.actions import Action, Outcome, Report, ScaleDown, SetWeights
from operations.rollout.events import Pause, Promote, Resume, Rollback
from operations.rollout.gate import Result, Verdict
from operations.rollout.machine import start
from operations.rollout.state import Stage
from operations.slots import Slot, Weights
from rollout.driver import Driver
from rollout.errors import JournalFailed, LeaseLost, PlanRefused, RolloutError, UpdateFailed
from rollout.record import LEASE, LEASE_IN_UPDATE, Command, Record
from tests.unit.rollout.worlds import (
    FAILS,
    PASSES,
    START,
    Immediate,
    Killed,
    Waiting,
    World,
    fails_at,
    release,
)


def says_once(weight: int, command: Callable[[World], Command]) -> Callable[[World], Verdict]:
    """Gates that pass, and say a command at the first evaluation with a weight in force."""
    said: list[Command] = []

    def gates(world: World) -> Verdict:
        if world.weight == weight and not said:
            said.append(command(world))
            world.say(said[0])
        return PASSES

    return gates


def dies_once(instant: str) -> Callable[[str], None]:
    """A driver's death at an instant."""
    died: list[str] = []

    def meanwhile(name: str) -> None:
        if name == instant and not died:
            died.append(name)
            raise Killed(name)

    return meanwhile


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
    seen: list[tuple[str, Stage, bool]] = []

    def look(action: Action) -> None:
        lease = world.record.lease
        # As long as an update may take, in which a driver cannot speak.
        lasts = lease is not None and lease.expires - world.time > timedelta(minutes=29)
        seen.append((action.kind, world.state.stage, lasts))

    world.refuse = look
    world.begin()
    moves = [("set-weights", Stage.MOVE, True)] * 4
    assert seen == [("prepare-slot", Stage.PREPARE, True), *moves, ("scale-down", Stage.SCALE, True)]


def test_a_lease_lasts_in_the_first_update_after_a_takeover_too() -> None:
    world = World(release(), meanwhile=dies_once("before set-weights"))
    with pytest.raises(Killed):
        world.begin()
    world.time += LEASE_IN_UPDATE
    left: list[timedelta] = []

    def look(action: Action) -> None:
        assert action.kind in {"set-weights", "scale-down"}
        lease = world.record.lease
        left.append(timedelta() if lease is None else lease.expires - world.time)

    world.refuse = look
    assert world.take_over().outcome is Outcome.COMPLETED
    assert len(left) == 5
    assert min(left) > timedelta(minutes=29)


@pytest.mark.parametrize("background", [Immediate(), Waiting()], ids=["quick journal", "slow journal"])
def test_the_journal_holds_a_lease_that_lasts_before_weights_that_were_moved_are_read_back(
    background: Executor,
) -> None:
    """That is an update, too: of the state, and it waits for others as long."""
    world = World(release())
    moved: list[str] = []

    def look(instant: str) -> None:
        if instant == "after set-weights":
            moved.append(instant)
        if instant == "before reading back" and moved:
            moved.clear()
            lease = world.record.lease
            assert lease is not None
            assert (world.state.stage, lease.expires - world.time > timedelta(minutes=29)) == (
                Stage.VERIFY,
                True,
            )

    world.meanwhile = look
    assert world.begin(background=background).outcome is Outcome.COMPLETED
    assert moved == []


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


def somebody_moves_to(weight: int, at: int, *, until: timedelta | None = None) -> Callable[[World], Verdict]:
    """Gates that pass, and a person who gives the new slot another weight once it bakes at one, perhaps for a while only."""
    moved: list[datetime] = []

    def gates(world: World) -> Verdict:
        if world.weight == at and not moved:
            moved.append(world.time)
            world.by_hand = Weights.giving(Slot.GREEN, weight)
        if moved and until is not None and world.time - moved[0] >= until:
            world.by_hand = None
        return PASSES

    return gates


def test_weights_that_somebody_moves_are_taken_back_about_a_minute_later() -> None:
    world = World(release(), somebody_moves_to(50, at=5))
    report = world.begin(world.plan(speed=1))
    assert report.outcome is Outcome.ROLLED_BACK
    assert report.why == (
        "somebody moved the weights: in force is blue 50 % and green 50 %; asked for was blue 95 % and green 5 %"
    )
    turned = next(entry.at for entry in world.state.history if entry.why == report.why)
    verified = next(entry.at for entry in world.state.history if entry.stage is Stage.BAKE)
    assert timedelta(minutes=1) <= turned - verified <= timedelta(seconds=90)
    assert world.shares == [0, 5, 0]


def test_weights_that_somebody_moves_are_seen_at_the_end_of_a_bake_where_the_state_does_not_tell() -> None:
    """Outside of the program the state knows nothing of it until the provider is asked."""
    world = World(release(), somebody_moves_to(50, at=5))
    world.unreadable = lambda: UpdateFailed("the listener rules differ")
    report = world.begin(world.plan(speed=1))
    assert report.outcome is Outcome.ROLLED_BACK
    assert report.why == "in force is blue 50 % and green 50 %; asked for was blue 95 % and green 5 %"
    assert report.ended - report.started > timedelta(minutes=15)
    assert world.shares == [0, 5, 0]


OTHERS = Weights(blue=40, green=60)


def somebody_moves_before(world: World, read: int) -> None:
    """Let somebody move the weights right before they are read back for this time; each phase reads them twice."""
    reads: list[str] = []

    def meanwhile(instant: str) -> None:
        if instant == "before reading back":
            reads.append(instant)
            world.by_hand = OTHERS if len(reads) == read else world.by_hand

    world.meanwhile = meanwhile


@pytest.mark.parametrize("stage", [Stage.VERIFY, Stage.CONFIRM])
@pytest.mark.parametrize("rung", range(4), ids=["5 %", "25 %", "50 %", "100 %"])
def test_other_weights_than_were_set_are_taken_back_wherever_they_are_read(rung: int, stage: Stage) -> None:
    world = World(release())
    somebody_moves_before(world, 2 * rung + (1 if stage is Stage.VERIFY else 2))
    report = world.begin()
    weight = [5, 25, 50, 100][rung]
    asked = f"asked for was blue {100 - weight} % and green {weight} %"
    assert (report.outcome, report.why) == (
        Outcome.ROLLED_BACK,
        f"in force is blue 40 % and green 60 %; {asked}",
    )
    assert world.shares == [0, *[5, 25, 50, 100][: rung + 1], 0]
    assert (weight in world.shared) == (stage is Stage.CONFIRM), "gates judge no weights but those asked for"


@pytest.mark.parametrize("read", [4, 5], ids=["verify", "confirm"])
def test_on_the_way_back_other_weights_are_moved_once_more(read: int) -> None:
    world = World(release(), fails_at(25))
    somebody_moves_before(world, read)
    tries: list[Action] = []
    world.refuse = tries.append
    assert world.begin().outcome is Outcome.ROLLED_BACK
    assert [action.weights.green for action in tries if isinstance(action, SetWeights)] == [5, 25, 0, 0]
    assert world.by_hand is None
    assert [entry.why for entry in world.state.history if entry.why.startswith("in force is")] == [
        "in force is blue 40 % and green 60 %; asked for was blue 100 % and green 0 %"
    ]


def test_weights_that_cannot_be_read_for_a_while_are_no_other_weights() -> None:
    world = World(release())
    world.unreadable = lambda: UpdateFailed("the listener rules differ in their weights")
    assert world.begin(world.plan(speed=1)).outcome is Outcome.COMPLETED


def test_weights_are_looked_at_once_a_minute_and_in_a_pause_too() -> None:
    world = World(release(), says_once(5, lambda w: Pause(at=w.time, who="bob", reason="lunch")))
    looks: list[datetime] = []

    def look() -> None:
        looks.append(world.time)
        if len(looks) == 10:
            world.say(Rollback(at=world.time, who="bob", reason="enough"))

    world.unreadable = look
    world.begin(world.plan(speed=1))
    assert {later - earlier for earlier, later in pairwise(looks[:10])} == {timedelta(minutes=1)}


def test_a_look_at_the_weights_makes_no_gap_between_evaluations_and_is_over_before_anything_is_changed() -> (
    None
):
    world, log = World(release()), list[str]()

    def look() -> None:
        log.append("look")
        world.time += timedelta(seconds=40)

    def change(action: Action) -> None:
        log.append(action.kind)

    world.unreadable, world.refuse = look, change
    assert world.begin(world.plan(speed=1), Waiting()).outcome is Outcome.COMPLETED
    phases = ["set-weights", "look"] * 3
    assert log == ["prepare-slot", *phases, "set-weights", "scale-down"]
    first = [at for at in world.evaluations if at < START + timedelta(minutes=14)]
    assert {later - earlier for earlier, later in pairwise(first)} == {timedelta(seconds=15)}


def test_each_evaluation_is_told_the_weight_in_force() -> None:
    world = World(release())
    world.begin()
    assert list(dict.fromkeys(world.shared)) == [5, 25, 50, 100]


def test_a_slot_that_is_not_whole_is_looked_at_between_evaluations_and_not_instead_of_them() -> None:
    world = World(release())
    world.ailing = lambda _: "api: 5 of 6 replicas are available" if world.weight == 5 else None
    report = world.begin(world.plan(speed=1))
    assert report.outcome is Outcome.ROLLED_BACK
    assert report.why.endswith("allowed are 0:15:00: api: 5 of 6 replicas are available")
    assert timedelta(minutes=30) < report.ended - report.started < timedelta(minutes=33)
    watched = world.evaluations[: world.shared.count(5)]
    assert {later - earlier for earlier, later in pairwise(watched)} == {timedelta(seconds=15)}


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


@pytest.mark.parametrize("weight", [0, 5, 25, 50])
def test_an_update_that_a_person_takes_back_just_before_it_begins_is_not_made(weight: int) -> None:
    """The driver hears of it when it writes what it is about to do."""
    world = World(release())

    def ailing(_: Slot) -> None:
        if world.weight == weight and not world.said:
            world.say(Rollback(at=world.time, who="bob", reason="support calls"))

    world.ailing = ailing
    report = world.begin()
    assert (report.outcome, report.why) == (Outcome.ROLLED_BACK, "support calls")
    assert any(entry.why == "green is healthy" and entry.weight > weight for entry in world.state.history)
    assert max(world.shares) == weight


def test_the_old_slot_keeps_its_size_where_a_person_wants_it_back_just_before_it_shrinks() -> None:
    world = World(release())
    changes: list[Action] = []
    world.refuse = changes.append

    reads: list[str] = []

    def meanwhile(instant: str) -> None:
        if instant == "after reading back":
            reads.append(instant)
            if len(reads) == 8:  # twice in each phase
                world.say(Rollback(at=world.time, who="bob", reason="support calls"))

    world.meanwhile = meanwhile
    assert world.begin().outcome is Outcome.ROLLED_BACK
    assert [action.slot for action in changes if isinstance(action, ScaleDown)] == [Slot.GREEN]


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
    with pytest.raises(LeaseLost, match="driven by nobody") as lost:
        world.begin()
    assert type(lost.value) is LeaseLost
    assert [report.outcome for report in reports] == [Outcome.COMPLETED]
    assert world.shares == [0, 5, 25, 50, 100]


def test_who_was_replaced_while_it_waited_moves_nothing_more_neither_up_nor_back() -> None:
    world = World(release())
    others: list[Report] = []

    def meanwhile(name: str) -> None:
        if name == "after a look at the slot" and world.weight == 5 and not others:
            world.time += LEASE_IN_UPDATE
            world.meanwhile = lambda _: None
            others.append(world.take_over())

    world.meanwhile = meanwhile
    with pytest.raises(LeaseLost, match="driven by nobody"):
        world.begin()
    assert [report.outcome for report in others] == [Outcome.COMPLETED]
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
    assert world.told == ["the backend is away; trying again"], "it is said once"
    assert {later - earlier for earlier, later in pairwise(blind)} == {timedelta(seconds=15)}


AWAY = JournalFailed("the journal cannot be written: error: ExpiredToken")


def test_traffic_goes_back_before_the_journal_can_be_written_which_is_made_up_for() -> None:
    world = World(release(), fails_at(25))
    failing: list[datetime] = []
    moved: list[datetime] = []

    def away() -> JournalFailed | None:
        if world.weight == 25 and world.shared[-1:] == [25]:
            failing.append(world.time)
        return AWAY if failing and world.time - failing[0] < timedelta(minutes=5) else None

    def move(action: Action) -> None:
        if moves_to(action, 0):
            moved.append(world.time)

    world.journal_fails, world.refuse = away, move
    assert world.begin().outcome is Outcome.ROLLED_BACK
    assert world.shares == [0, 5, 25, 0]
    assert moved[0] - failing[0] < timedelta(seconds=30)
    assert world.told == [f"{AWAY}; trying again"], "it is said once"
    assert (world.record.ended, world.record.lease) == (True, None)


def test_nothing_goes_up_that_the_journal_does_not_know_of_and_in_the_end_it_goes_back() -> None:
    world = World(release())
    failing: list[datetime] = []

    def away() -> JournalFailed | None:
        if world.state.stage is Stage.CONFIRM and world.weight == 5:
            failing.append(world.time)
        return AWAY if failing and world.weight == 5 else None

    world.journal_fails = away
    report = world.begin()
    assert (report.outcome, report.why) == (Outcome.ROLLED_BACK, str(AWAY))
    assert world.shares == [0, 5, 0]
    turned = next(entry.at for entry in world.state.history if entry.why == report.why)
    assert LEASE <= turned - failing[0] < LEASE + timedelta(seconds=10)


def test_who_breaks_a_driver_off_that_cannot_let_go_hears_that_nobody_watches() -> None:
    world = World(release())
    lease, state = world.lease("ada", 1), start(world.plan(), START, "ada", "CHG-1234")
    world.written = Record(state=state, lease=lease).model_dump_json()
    driver = Driver(world, world, world.journal(), world, world, Immediate(), lease, state)
    world.journal_fails = lambda: AWAY
    with pytest.raises(
        JournalFailed, match=r"ExpiredToken\. The weights stay as they are, nobody watches them"
    ):
        driver.let_go()
    assert LEASE <= world.time - START < LEASE + timedelta(seconds=10)


def test_a_disk_that_is_full_ends_no_driver() -> None:
    world = World(release(), fails_at(5))
    tries: list[Action] = []

    def refuse(action: Action) -> Exception | None:
        if not moves_to(action, 0):
            return None
        tries.append(action)
        return OSError(28, "No space left on device") if len(tries) < 3 else None

    world.refuse = refuse
    assert world.begin().outcome is Outcome.ROLLED_BACK
    assert len(tries) == 3


def test_an_answer_that_nobody_can_read_is_inconclusive() -> None:
    def gates(_: World) -> NoReturn:
        raise KeyError("metric")

    world = World(release(), gates)
    report = world.begin()
    assert report.outcome is Outcome.ROLLED_BACK
    assert report.why.startswith("inconclusive for ")
    assert report.why.endswith("Prometheus: its answer cannot be read (KeyError: 'metric')")


def test_a_rollback_is_heard_though_a_write_before_it_was_reported_as_failed_and_had_come_through() -> None:
    """By its place in the inbox it would be taken for what was heard before, and cut off with it."""
    world = World(release())
    reported: list[datetime] = []
    said = Rollback(at=START + timedelta(minutes=10), who="bob", reason="empty carts")

    def gates(world: World) -> Verdict:
        if not world.said:
            world.say(Pause(at=world.time, who="bob", reason="lunch"))
        if len(world.said) == 1 and reported and world.time - reported[0] >= timedelta(seconds=30):
            world.say(said)
        assert world.time < START + timedelta(hours=1)
        return PASSES

    def meanwhile(name: str) -> None:
        if name == "after writing the journal" and not reported and world.state.paused:
            reported.append(world.time)
            raise AWAY

    world.gates, world.meanwhile = gates, meanwhile
    # Until it is said, nothing can be written.
    world.journal_fails = lambda: AWAY if reported and len(world.said) == 1 else None
    report = world.begin(world.plan(speed=1))
    assert (report.outcome, report.why) == (Outcome.ROLLED_BACK, "empty carts")
    assert world.record.inbox == ()


@pytest.mark.parametrize("heard", [fails_at(25), None], ids=["a gate fails", "a person wants it back"])
def test_a_clock_that_is_set_back_makes_no_driver_blind_or_deaf(
    heard: Callable[[World], Verdict] | None,
) -> None:
    world = World(release())
    jumped: list[datetime] = []

    def gates(world: World) -> Verdict:
        # Not at the first evaluation: what it says is written, and the writing would set the driver right.
        if world.shared.count(25) < 5:
            return PASSES
        if not jumped:
            world.time -= timedelta(minutes=30)
            jumped.append(world.time)
            return PASSES
        if heard is None and not world.said:
            world.say(Rollback(at=world.time, who="bob", reason="empty carts"))
        return PASSES if heard is None else heard(world)

    def move(action: Action) -> None:
        if moves_to(action, 0):
            assert world.time - jumped[0] < timedelta(seconds=30)

    world.gates, world.refuse = gates, move
    assert world.begin(world.plan(speed=1)).outcome is Outcome.ROLLED_BACK
    assert len(jumped) == 1


def test_while_a_slot_is_not_whole_its_gates_are_watched_on_after_a_clock_was_set_back() -> None:
    world = World(release())
    jumped: list[tuple[datetime, int]] = []

    def ailing(_: Slot) -> str | None:
        if world.weight == 5 and not jumped:
            world.time -= timedelta(minutes=30)
            jumped.append((world.time, len(world.evaluations)))
        still = jumped and world.time < jumped[0][0] + timedelta(minutes=1)
        return "api: 5 of 6 replicas are available" if still else None

    world.ailing = ailing
    assert world.begin(world.plan(speed=1)).outcome is Outcome.COMPLETED
    at, evaluations = jumped[0]
    assert world.evaluations[evaluations] - at < timedelta(seconds=20)


def test_a_driver_that_has_let_go_in_a_write_that_was_reported_as_failed_has_ended_well() -> None:
    world = World(release())
    reported: list[str] = []

    def meanwhile(name: str) -> None:
        if name == "after writing the journal" and world.record.lease is None and not reported:
            reported.append(name)
            raise AWAY

    world.meanwhile = meanwhile
    assert world.begin().outcome is Outcome.COMPLETED
    assert reported
    assert world.record.lease is None


def test_a_person_is_shown_each_state_and_each_evaluation() -> None:
    world = World(release())
    world.begin()
    assert [entry.why for entry in world.shown[-1].history] == [e.why for e in world.state.history]
    assert {(state.stage, state.weights.green) for state in world.shown} >= {
        (Stage.BAKE, 5),
        (Stage.BAKE, 25),
        (Stage.BAKE, 50),
        (Stage.DRAIN, 100),
        (Stage.DONE, 100),
    }
    assert world.seen == [(at, Result.PASS) for at in world.evaluations]


def test_who_cannot_be_told_anything_holds_nothing_up() -> None:
    def closed(*_: object, **__: object) -> NoReturn:
        raise BrokenPipeError(32, "Broken pipe")

    world = World(release(), fails_at(25))
    world.is_at = world.sees = world.says = closed
    world.journal_fails = lambda: AWAY if len(world.evaluations) == 1 else None
    assert world.begin().outcome is Outcome.ROLLED_BACK


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


def test_leases_are_long_enough_for_what_they_cover() -> None:
    assert (timedelta(minutes=2), timedelta(minutes=30)) == (LEASE, LEASE_IN_UPDATE)
