"""A rollout to where the board approves begins under a change request of its own, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

import pytest

from operations.changes import Ledger
from operations.rollout.events import Rollback
from operations.rollout.plan import INTERVAL
from rollout.desk import Desk
from rollout.errors import RolloutError
from rollout.infrastructure import PulumiInfrastructure
from rollout.ports import Narrator
from rollout.record import Record
from tests.unit.rollout.worlds import World, release

ROOT = Path(__file__).parents[3]


def desk(folder: Path, stack: str) -> Desk:
    """A desk with the committed stack file and nothing else: no engine is asked before the change request is judged."""
    shutil.copy(ROOT / f"Pulumi.{stack}.yaml", folder)
    return Desk(stack, folder, folder / "__main__.py", "http://localhost:9090")


def begin(at: Desk, change: str | None) -> None:
    at.begin("v2.5.0", "ada", "a release", cast("Narrator", None), 1, INTERVAL, change)


@pytest.mark.parametrize(
    ("stack", "change", "why"),
    [
        (
            "live",
            None,
            "live: gate: cab takes the number of a change request, such as CHG0030042, and none was given",
        ),
        (
            "live",
            "CHG43",
            "live: CHG43: allowed is the number of a change request such as CHG0030042: CHG and seven digits",
        ),
        (
            "live",
            "CHG0030041",
            "live: CHG0030041: was used before, for v2.3.0; allowed is a change request that was not",
        ),
        (
            "staging",
            "CHG0030043",
            "staging: CHG0030043: gate: approval takes no change request; allowed: none",
        ),
    ],
)
def test_a_rollout_is_refused_before_anything_is_asked_or_done(
    tmp_path: Path, stack: str, change: str | None, why: str
) -> None:
    with pytest.raises(RolloutError) as refused:
        begin(desk(tmp_path, stack), change)
    assert str(refused.value) == why


class Standing:
    """A stack in whose state these change requests are in force."""

    def __init__(self, in_force: Ledger) -> None:
        self.in_force = in_force

    def ledger(self) -> Ledger:
        return self.in_force


class Empty:
    """The journal of a stack that had no rollout yet."""

    def read(self) -> Record | None:
        return None


def test_a_stack_file_that_has_forgotten_what_is_in_force_is_refused(tmp_path: Path) -> None:
    at = desk(tmp_path, "live")
    at.__dict__["journal"] = Empty()
    used = at.file.changes()
    at.__dict__["infrastructure"] = cast(
        "PulumiInfrastructure", Standing((*used, used[0].model_copy(update={"request": "CHG0030050"})))
    )
    with pytest.raises(RolloutError) as refused:
        begin(at, "CHG0030043")
    assert str(refused.value) == (
        "Pulumi.live.yaml: quikapp:changes does not begin with what was used before: 3 change requests, the last one "
        "CHG0030050 for v2.3.0; none may be taken out or changed, and a new one comes last"
    )


def test_the_journal_keeps_the_change_request_and_one_from_before_there_were_any_is_read() -> None:
    world = World(release())
    world.begin()
    assert world.state.plan.change == "CHG0030043"
    assert world.written is not None
    older = world.written.replace('"change":"CHG0030043",', "")
    assert older != world.written
    assert Record.model_validate_json(older).state.plan.change is None


def test_the_way_back_takes_no_change_request_of_its_own() -> None:
    world = World(release())
    world.begin()
    world.take_over(Rollback(at=world.time, who="bob", reason="next morning"))
    assert world.release.blue.weight == 100
    assert [change.request for change in world.changes] == ["CHG0030043"]
