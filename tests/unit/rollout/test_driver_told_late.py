"""A way back that a driver is told of as it ends is not lost: it is driven, or waits for who comes next."""

from __future__ import annotations

from datetime import timedelta

import pytest

from operations.rollout.actions import Outcome
from operations.rollout.events import Rollback
from rollout import handover
from tests.unit.rollout.worlds import World, release


@pytest.mark.parametrize("instant", ["amid scale-down", "after writing the journal, ended"])
def test_a_rollback_that_a_driver_is_told_of_as_it_ends_is_not_lost(instant: str) -> None:
    world = World(release())

    def meanwhile(name: str) -> None:
        ended = world.written is not None and world.record.ended
        if not world.said and instant == (f"{name}, ended" if ended else name):
            command = Rollback(at=world.time, who="bob", reason="late")
            world.said.append(command)
            told = handover.taken_over(world.record, "live", command, world.lease("bob", 3))
            assert told.inbox == (command,), "bob is told that the driver hears it within seconds"
            world.written = told.model_dump_json()

    world.meanwhile = meanwhile
    report = world.begin(world.plan(600, timedelta(seconds=1)))
    assert world.said
    # Either the driver takes it back itself, or whoever says it again, or resumes, can.
    if report.outcome is Outcome.COMPLETED:
        world.take_over(Rollback(at=world.time, who="bob", reason="again"))
    assert world.shares[-1] == 0
