"""Whose lock on a stack is lifted: that of an engine that is known to have died, and nobody else's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from rollout.engine import LastDriver, dead

HERE, THERE = socket.gethostname(), "runner-7"
EXPIRED = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)


def held_by(*holders: tuple[str, int, datetime]) -> str:
    """What the engine says of a lock."""
    lines = [
        f"  file:///state/.pulumi/locks/quikapp/live/{number}.json: created by ada@{host} (pid {pid}) at "
        f"{at:%Y-%m-%dT%H:%M:%SZ}"
        for number, (host, pid, at) in enumerate(holders)
    ]
    return "\n".join(
        (f"error: the stack is currently locked by {len(lines)} lock(s). Either wait for…", *lines)
    )


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_of_this_machine_the_lock_of_a_process_that_ended(gone: int) -> None:
    assert dead(held_by((HERE, gone, EXPIRED)))
    assert not dead(held_by((HERE, os.getpid(), EXPIRED)))
    assert not dead(held_by((HERE, gone, EXPIRED), (HERE, os.getpid(), EXPIRED)))


def test_of_another_machine_what_the_driver_that_died_there_had_locked() -> None:
    departed = LastDriver(THERE, here=False, expired=EXPIRED)
    assert dead(held_by((THERE, 1, EXPIRED - timedelta(minutes=3))), departed)
    assert not dead(held_by((THERE, 1, EXPIRED - timedelta(minutes=3))))


def test_what_somebody_has_locked_there_since_stays() -> None:
    assert not dead(
        held_by((THERE, 1, EXPIRED + timedelta(seconds=1))), LastDriver(THERE, here=False, expired=EXPIRED)
    )


def test_a_third_machine_is_left_alone() -> None:
    assert not dead(
        held_by(("runner-8", 1, EXPIRED - timedelta(minutes=3))),
        LastDriver(THERE, here=False, expired=EXPIRED),
    )


def test_a_lock_of_a_machine_of_this_one_s_name_is_not_judged_by_what_runs_here(gone: int) -> None:
    """A clone, or this machine before it was started again: the journal tells by the start, and a lock does not."""
    alive = LastDriver(HERE, here=False, expired=None)
    assert not dead(held_by((HERE, gone, EXPIRED)), alive)
    ran_out = LastDriver(HERE, here=False, expired=EXPIRED)
    assert dead(held_by((HERE, os.getpid(), EXPIRED)), ran_out)
    assert not dead(held_by((HERE, gone, EXPIRED + timedelta(seconds=1))), ran_out)
    assert dead(held_by((HERE, gone, EXPIRED)), LastDriver(HERE, here=True, expired=None))


def test_without_a_holder_nobody_is_dead() -> None:
    assert not dead("error: the stack is currently locked", LastDriver(THERE, here=False, expired=EXPIRED))
