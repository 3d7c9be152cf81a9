"""A driver that a person breaks off with Ctrl-C gives up its lease, so that the next one need not wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.rollout.events import Resume
from operations.rollout.machine import start
from operations.rollout.plan import Plan
from operations.rollout.state import Stage
from operations.slots import Slot
from rollout.cluster import Replicas
from rollout.desk import Desk
from rollout.record import Record
from tests.rehearsal.told_prometheus import told_prometheus
from tests.unit.rollout.worlds import START, World, release


class Standing:
    """A cluster in which nothing runs in the old slot."""

    def replicas(self, slot: Slot) -> dict[str, Replicas]:
        assert slot is Slot.BLUE
        return {}


class Stack(World):
    """A world as a desk knows it."""

    cluster = Standing()

    def bring_in_line(self, plan: Plan) -> bool:
        assert plan.version == "v2.4.0"
        return False


def test_who_breaks_a_driver_off_leaves_no_lease_and_all_that_was_decided(tmp_path: Path) -> None:
    driven: list[bool] = []

    def breaks_off(slot: Slot) -> None:
        assert slot is Slot.GREEN
        driven.append(stack.record.lease is not None)
        raise KeyboardInterrupt

    stack = Stack(release(), ailing=breaks_off)
    stack.written = Record(state=start(stack.plan(), START, "ada", "CHG-1234")).model_dump_json()
    with told_prometheus() as told:
        desk = Desk("live", tmp_path, tmp_path / "__main__.py", told.url)
        desk.__dict__.update(journal=stack.journal(), infrastructure=stack)
        with pytest.raises(KeyboardInterrupt):
            desk.take_over(Resume(at=START, who="bob"), stack)
    assert driven == [True]
    assert (stack.record.lease, stack.state.stage) == (None, Stage.HEALTH)
