"""Whether a driver on another machine has died: its lease runs out, unless it is renewed meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from delivery.deploy.situation import POLL_SECONDS, await_silence
from delivery.errors import DeliveryError
from operations.rollout.machine import start
from rollout.handover import lease_of
from rollout.record import Lease, Record
from tests.unit.operations.rollouts import START, minutes, plan

STATE = start(plan(), START, "ada", "a release")


def lease(host: str = "runner-7", renewed: timedelta = timedelta(), pid: int = 1) -> Lease:
    at = START + renewed
    return Lease(token="t", who="ada", host=host, pid=pid, renewed=at, expires=at + minutes(2))  # noqa: S106


@dataclass
class World:
    """A journal and a clock."""

    record: Record | None
    at: timedelta = timedelta()
    then: Callable[[timedelta], Record | None] | None = None
    """What the journal holds later."""
    said: list[str] = field(default_factory=list[str])

    def read(self) -> Record | None:
        return self.then(self.at) if self.then and self.at else self.record

    def change(self, change: Callable[[Record | None], Record]) -> Record:
        raise AssertionError(f"waiting changes nothing, and was to: {change}")

    def now(self) -> datetime:
        return START + self.at

    def sleep(self, seconds: float) -> None:
        assert seconds == POLL_SECONDS
        self.at += timedelta(seconds=seconds)

    def wait(self) -> timedelta:
        """Wait for silence, and return how long that took."""
        await_silence(self, self, self.said.append)
        return self.at


def test_a_driver_that_died_elsewhere_is_known_when_its_lease_has_run_out() -> None:
    world = World(Record(state=STATE, lease=lease()))
    assert minutes(2) <= world.wait() < minutes(2) + timedelta(seconds=2 * POLL_SECONDS)
    (said,) = world.said
    assert said.startswith("ada on runner-7 (process 1) drove this rollout and may still")
    assert said.endswith("09:02:00 UTC")


def test_a_driver_that_renews_its_lease_is_left_alone() -> None:
    world = World(
        Record(state=STATE, lease=lease()),
        then=lambda at: Record(state=STATE, lease=lease(renewed=at)),
    )
    with pytest.raises(DeliveryError, match=r"driven by ada on runner-7 .*, who is alive: wait for its end"):
        world.wait()


@pytest.mark.parametrize(
    "record",
    [None, Record(state=STATE), Record(state=STATE, lease=lease(renewed=-minutes(3)))],
    ids=["no rollout", "let go", "expired"],
)
def test_where_nobody_drives_nobody_is_waited_for(record: Record | None) -> None:
    assert World(record).wait() == timedelta()


def test_a_process_of_this_machine_that_is_gone_needs_no_waiting() -> None:
    here = lease_of("ada", START)
    gone = lease(socket.gethostname(), pid=2**22 + 1).model_copy(
        update={"boot": here.boot, "namespace": here.namespace}
    )
    assert World(Record(state=STATE, lease=gone)).wait() == timedelta()


def test_a_driver_that_ends_its_rollout_meanwhile_is_silent_too() -> None:
    world = World(Record(state=STATE, lease=lease()), then=lambda _: Record(state=STATE))
    assert world.wait() == timedelta(seconds=POLL_SECONDS)
