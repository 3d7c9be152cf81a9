"""Who is alive, by lease, machine and process; and what was said to a driver that died is heard by the next."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from operations.rollout.events import Pause, Promote, Resume, Rollback
from operations.rollout.state import Direction, Stage
from rollout import handover
from rollout.engine import LastDriver
from rollout.errors import RolloutError
from rollout.handover import is_alive, is_heard, last_driver, lease_of, taken_over
from rollout.record import LEASE, Command, Lease, Record
from tests.unit.operations.rollouts import START, World, minutes, plan


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def lease(**changes: object) -> Lease:
    return lease_of("ada", START).model_copy(update=changes)


def test_a_process_of_this_machine_is_known_at_once_to_have_ended(gone: int) -> None:
    assert is_alive(lease(), START)
    assert not is_alive(lease(pid=gone), START)


def test_a_process_of_another_machine_is_alive_until_its_lease_runs_out(gone: int) -> None:
    away = lease(host="elsewhere", pid=gone)
    assert is_alive(away, START + LEASE - timedelta(seconds=1))
    assert not is_alive(away, START + LEASE)


def test_another_machine_of_the_same_name_is_another_machine(gone: int) -> None:
    assert is_alive(lease(pid=gone, boot="another"), START)
    assert is_alive(lease(pid=gone, boot=None), START)


def test_a_container_of_this_machine_is_as_good_as_another_one(gone: int) -> None:
    """It may have the machine's name and start, and processes of the same numbers."""
    elsewhere = lease(pid=gone, namespace=(lease().namespace or 0) + 1)
    assert is_alive(elsewhere, START)
    assert last_driver(elsewhere, START) == LastDriver(socket.gethostname(), here=False, expired=None)


def test_where_a_machine_does_not_say_which_start_it_is_its_name_alone_tells(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gone: int
) -> None:
    monkeypatch.setattr(handover, "BOOT", tmp_path / "none")
    monkeypatch.setattr(handover, "PID_NAMESPACE", tmp_path / "none")
    assert (lease().boot, lease().namespace) == (None, None)
    assert not is_alive(lease(pid=gone), START)


def test_a_lease_names_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (boot := tmp_path / "boot_id").write_text("5f1c\n")
    monkeypatch.setattr(handover, "BOOT", boot)
    monkeypatch.setattr(handover, "PID_NAMESPACE", boot)
    found = lease()
    assert (found.host, found.boot, found.pid) == (socket.gethostname(), "5f1c", os.getpid())
    assert found.namespace == boot.stat().st_ino


def test_whose_locks_may_be_lifted_is_told_by_the_lease(gone: int) -> None:
    here = socket.gethostname()
    ended = START + LEASE
    assert last_driver(lease(), START) == LastDriver(here, here=True, expired=None)
    assert last_driver(lease(pid=gone), START) == LastDriver(here, here=True, expired=ended)
    assert last_driver(lease(boot="another"), START) == LastDriver(here, here=False, expired=None)
    assert last_driver(lease(boot="another"), ended) == LastDriver(here, here=False, expired=ended)
    assert last_driver(lease(host="x"), ended) == LastDriver("x", here=False, expired=ended)


def left(*inbox: Pause | Promote | Rollback | Resume) -> Record:
    """A rollout at 25 %, whose driver died with this in its inbox."""
    world = World.of(plan()).run(lambda w: w.weight == 25 and w.state.clocks.baked > minutes(2))
    return Record(state=world.state, lease=lease(host="elsewhere"), inbox=inbox)


AT = START + minutes(60)
RESUME = Resume(at=AT + minutes(1), who="bob")


def take_over(record: Record, command: Resume | Rollback = RESUME) -> Record:
    return taken_over(record, "live", command, lease().model_copy(update={"renewed": AT + minutes(1)}))


def test_what_was_waiting_is_heard_by_whoever_takes_over() -> None:
    record = take_over(left(Rollback(at=AT, who="eve", reason="empty carts")))
    assert record.state.direction is Direction.BACK
    assert "empty carts" in [entry.why for entry in record.state.history]
    assert record.inbox == ()


def test_it_is_heard_in_the_order_in_which_it_was_said() -> None:
    paused = Pause(at=AT, who="eve", reason="a sale")
    assert left().state.paused is False
    record = take_over(left(paused))
    assert record.state.paused is False, "the resumption that takes over was said last"
    assert [entry.who for entry in record.state.history[-2:]] == ["eve", "bob"]


def test_who_says_what_waits_already_carries_it_out() -> None:
    rollback = Rollback(at=AT, who="eve", reason="empty carts")
    record = take_over(left(rollback), Rollback(at=AT, who="bob", reason="the same"))
    assert (record.state.direction, record.inbox) == (Direction.BACK, ())
    assert record.state.history[-1].who == "eve"


def test_a_command_that_changes_nothing_takes_nothing_over() -> None:
    back = take_over(left(), Rollback(at=AT, who="eve", reason="empty carts"))
    with pytest.raises(RolloutError, match="on its way back to blue already"):
        take_over(Record(state=back.state), Rollback(at=AT, who="bob", reason="the same"))


# --- who waits until it is heard -----------------------------------------------------------------------------------


@dataclass
class Told:
    """A journal with a command in its inbox, and a clock.

    Attributes:
        then: what becomes of the journal while time passes.
    """

    record: Record
    then: Callable[[Record, timedelta], Record] = lambda record, _: record
    at: timedelta = timedelta()
    said: list[str] = field(default_factory=list[str])

    def read(self) -> Record | None:
        return self.then(self.record, self.at)

    def change(self, change: Callable[[Record | None], Record]) -> Record:
        raise AssertionError(f"who waits changes nothing, and was to: {change}")

    def now(self) -> datetime:
        return AT + self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def is_heard(self, command: Command) -> bool:
        return is_heard(self, self, command, self.said.append)


BACK = Rollback(at=AT, who="eve", reason="empty carts")


def waiting(lasts: timedelta, stage: Stage = Stage.BAKE) -> Record:
    """A rollout in a stage, whose driver of another machine has a command in its inbox and a lease for so long."""
    state = World.of(plan()).run(lambda w: w.weight == 25 and w.state.stage is stage).state
    driver = lease(host="elsewhere", renewed=AT, expires=AT + lasts)
    return Record(state=state, lease=driver, inbox=(BACK,))


def test_a_command_is_heard_when_it_has_left_the_inbox() -> None:
    def heard(record: Record, at: timedelta) -> Record:
        return record.model_copy(update={"inbox": ()}) if at >= timedelta(seconds=10) else record

    told = Told(waiting(minutes(2)), heard)
    assert told.is_heard(BACK)
    assert told.at == timedelta(seconds=10)
    assert told.said == [
        f"rollback: told ada on elsewhere (process {os.getpid()}), who hears it within seconds, or is dead: that is "
        "known at 10:02:00 UTC"
    ]


def test_of_a_driver_in_an_update_it_is_said_that_it_hears_nothing_before_the_end() -> None:
    told = Told(
        waiting(minutes(30), Stage.MOVE),
        lambda record, at: record if at < minutes(1) else record.model_copy(update={"inbox": ()}),
    )
    assert told.is_heard(BACK)
    assert (
        "who hears it once the update under way is over, or is dead: that is known at 10:30:00"
        in told.said[0]
    )


def test_a_driver_that_dies_without_having_heard_it_is_known_when_its_lease_has_run_out() -> None:
    told = Told(waiting(minutes(2)))
    assert not told.is_heard(BACK)
    assert minutes(2) <= told.at < minutes(2) + timedelta(seconds=10)


def test_a_driver_that_lives_on_is_waited_for_as_long_as_it_renews_its_lease() -> None:
    def renewed(record: Record, at: timedelta) -> Record:
        assert record.lease is not None
        now = min(at, minutes(20))
        fresh = record.lease.model_copy(update={"expires": AT + now + minutes(2)})
        return record.model_copy(update={"lease": fresh})

    told = Told(waiting(minutes(2)), renewed)
    assert not told.is_heard(BACK)
    assert told.at >= minutes(22)


def test_who_lets_go_without_having_heard_it_is_not_waited_for() -> None:
    assert not Told(waiting(minutes(2)).model_copy(update={"lease": None})).is_heard(BACK)
