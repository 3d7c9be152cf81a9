"""Whenever a driver dies, as by kill -9, the next one brings the rollout to the same end by the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.release import Standby, Switch
from operations.rollout.actions import Action, Finish, Outcome, Report, SetWeights
from operations.rollout.events import Rollback
from operations.rollout.gate import Verdict
from operations.rollout.machine import next_action
from operations.rollout.state import Direction, Entry, Stage
from operations.slots import Slot
from rollout.errors import UpdateFailed
from rollout.record import LEASE_IN_UPDATE
from tests.unit.rollout.worlds import PASSES, Killed, World, fails_at, release

SECOND = timedelta(seconds=1)

HASTY = 600
"""A speed at which bakes take 1.5, 3 and 6 seconds. A death in one counts as three in which nobody looked: it is forgiven."""

FORGIVING = 60
"""The same with 15, 30 and 60 seconds; three deaths in one are forgiven."""


@dataclass(frozen=True)
class Story:
    """What happens to a rollout beside its drivers' deaths.

    Attributes:
        name: says it in words.
        outcome: how it ends.
        weights: those that the new slot has, one after the other.
        prepare: lets it happen in a world.
        afterwards: whether a person takes the rollout back once it has ended.
    """

    name: str
    switch: Switch
    outcome: Outcome
    weights: tuple[int, ...]
    prepare: Callable[[World], None] = lambda _: None
    afterwards: bool = False

    def __str__(self) -> str:
        return f"{self.switch}: {self.name}"


def a_gate_fails_at(weight: int) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.gates = fails_at(weight)

    return prepare


def an_update_breaks_off_before(weight: int) -> Callable[[World], None]:
    def refuse(action: Action) -> Exception | None:
        moves = isinstance(action, SetWeights) and action.weights.green == weight
        return UpdateFailed("the provider says no") if moves else None

    def prepare(world: World) -> None:
        world.refuse = refuse

    return prepare


def taken_back(world: World) -> Rollback:
    return Rollback(at=world.time, who="eve", reason="empty carts")


def a_person_takes_it_back_at(weight: int) -> Callable[[World], None]:
    def gates(world: World) -> Verdict:
        if world.weight == weight and not world.said:
            world.say(taken_back(world))
        return PASSES

    def prepare(world: World) -> None:
        world.gates = gates

    return prepare


def a_person_takes_it_back_before_it_has_any(world: World) -> None:
    def ailing(slot: Slot) -> str | None:
        if slot is Slot.GREEN and not world.said:
            world.say(taken_back(world))
        return "api: 1 of 6 replicas are available" if slot is Slot.GREEN else None

    world.ailing = ailing


def stories(switch: Switch) -> Iterable[Story]:
    way = tuple(phase.weight for phase in World(release(switch)).plan().phases)
    yield Story("all goes well", switch, Outcome.COMPLETED, (0, *way))
    yield Story("taken back after the end", switch, Outcome.ROLLED_BACK, (0, *way, 0), afterwards=True)
    yield Story(
        "taken back before any weight",
        switch,
        Outcome.ROLLED_BACK,
        (0,),
        a_person_takes_it_back_before_it_has_any,
    )
    for rung, weight in enumerate(way):
        below, up_to = (0, *way[:rung]), (0, *way[: rung + 1])
        back = (*up_to, 0)
        yield Story(f"a gate fails at {weight} %", switch, Outcome.ROLLED_BACK, back, a_gate_fails_at(weight))
        yield Story(
            f"taken back at {weight} %", switch, Outcome.ROLLED_BACK, back, a_person_takes_it_back_at(weight)
        )
        yield Story(
            f"the update to {weight} % breaks off",
            switch,
            Outcome.ROLLED_BACK,
            (*below, 0) if rung else below,
            an_update_breaks_off_before(weight),
        )


def driven(world: World, story: Story, speed: int = HASTY) -> World:
    """Drive a rollout to its end: begin it, or go on with one whose driver is dead, and once more after each death."""
    story.prepare(world)
    while True:
        try:
            if world.written is None:
                world.begin(world.plan(speed, SECOND, drain=5 * SECOND))
            elif not world.record.ended:
                world.take_over()
            elif story.afterwards and world.state.direction is Direction.UP:
                world.take_over(taken_back(world))
            else:
                return world
        except Killed:
            world.time += LEASE_IN_UPDATE


def ended(world: World) -> Report:
    action = next_action(world.state)
    assert isinstance(action, Finish)
    return action.report


def end(world: World) -> tuple[object, ...]:
    """All that a rollout leaves, and the weights on the way to there."""
    report = ended(world)
    return (
        (report.outcome, report.slot, report.version, report.why, report.left_in_full),
        (world.release, world.changes, world.torn),
        world.moves,
        (world.record.inbox, world.state.rung, world.state.paused),
    )


def decided(world: World) -> list[tuple[Direction, int, Stage, str]]:
    """What was decided, in order: without what the gates said, a new driver's first look, and draining, which ends by itself."""
    return [
        (entry.direction, entry.weight, entry.stage, entry.why)
        for entry in world.state.history
        if entry.stage not in {Stage.BAKE, Stage.DRAIN} and entry.why not in {"resumed", "draining is over"}
    ]


def watched(world: World, weight: int) -> timedelta:
    """How long the gates were watched at a weight, without the gaps in which nobody did."""
    times = [at for at, shared in zip(world.evaluations, world.shared, strict=True) if shared == weight]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return sum((gap for gap in gaps if gap <= world.state.plan.longest_gap), timedelta())


def is_baked(entry: Entry) -> bool:
    return entry.stage is Stage.CONFIRM and entry.why.startswith("the gates passed")


def assert_no_phase_is_skipped_repeated_or_shortened(disturbed: World, undisturbed: World) -> None:
    assert decided(disturbed) == decided(undisturbed)
    for entry in filter(is_baked, disturbed.state.history):
        (phase,) = (phase for phase in disturbed.state.plan.phases if phase.weight == entry.weight)
        assert watched(disturbed, phase.weight) >= phase.bake


@pytest.fixture(autouse=True, scope="module")
def attentive() -> Iterator[None]:
    """Drivers listen and look often enough for bakes of a few seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rollout.driver.LISTENING", SECOND)
        patch.setattr("rollout.driver.LOOKING", 2 * SECOND)
        yield


STORIES = [story for switch in Switch for story in stories(switch)]


@pytest.mark.parametrize("standby", list(Standby))
@pytest.mark.parametrize("story", STORIES, ids=str)
def test_killed_at_any_instant_and_resumed_it_ends_the_same_by_the_same_way(
    story: Story, standby: Standby
) -> None:
    undisturbed = driven(World(release(story.switch, standby)), story)
    assert (undisturbed.shares, ended(undisturbed).outcome) == (list(story.weights), story.outcome)
    for instant, world in undisturbed.turns:
        world.time += LEASE_IN_UPDATE
        disturbed = driven(world, story)
        assert end(disturbed) == end(undisturbed), instant
        assert_no_phase_is_skipped_repeated_or_shortened(disturbed, undisturbed)


@settings(max_examples=40)
@given(story=st.sampled_from(STORIES), standby=st.sampled_from(Standby), data=st.data())
def test_killed_again_and_again_it_ends_the_same_by_the_same_way(
    story: Story, standby: Standby, data: st.DataObject
) -> None:
    undisturbed = driven(World(release(story.switch, standby)), story, FORGIVING)
    deaths = data.draw(st.sets(st.integers(1, undisturbed.instants), min_size=2, max_size=3))
    disturbed = driven(World(release(story.switch, standby), deaths=tuple(deaths)), story, FORGIVING)
    assert end(disturbed) == end(undisturbed)
    assert_no_phase_is_skipped_repeated_or_shortened(disturbed, undisturbed)
