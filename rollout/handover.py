"""Who may drive a stack's rollout, and how commands reach whoever does: what each command makes of the journal's record, and the
wait until it is heard."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from operations.rollout.events import Resume, Rollback
from operations.rollout.machine import apply, next_action, refusal
from operations.rollout.state import State
from rollout.engine import LastDriver, runs
from rollout.errors import RolloutError
from rollout.ports import Clock, Journal
from rollout.record import IN_UPDATE, LEASE, Command, Lease, Record

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux says which start of the machine this is. Source: https://man7.org/linux/man-pages/man4/random.4.html"""

PID_NAMESPACE: Final = Path("/proc/self/ns/pid")
"""Whose inode on Linux says among which processes a process has its number. Source:
https://man7.org/linux/man-pages/man7/namespaces.7.html"""

POLL_SECONDS: Final = 5.0
"""Between two looks whether a command was heard."""


def lease_of(who: str, now: datetime) -> Lease:
    """Return a new lease for this process."""
    return Lease(
        token=uuid.uuid4().hex,
        who=who,
        host=socket.gethostname(),
        boot=_boot(),
        namespace=_namespace(),
        pid=os.getpid(),
        renewed=now,
        expires=now + LEASE,
    )


def is_alive(lease: Lease | None, now: datetime) -> bool:
    """Whether a driver is to be left alone: its lease has not expired, nor is it a process of this machine that ended.

    After a restart of its machine nobody knows: the lease then has to run out.
    """
    if lease is None or lease.expires <= now:
        return False
    return not _is_here(lease) or runs(lease.pid)


def last_driver(lease: Lease, now: datetime) -> LastDriver:
    """Return what a lease says of whose locks may be lifted."""
    return LastDriver(lease.host, _is_here(lease), None if is_alive(lease, now) else lease.expires)


def _is_here(lease: Lease) -> bool:
    return (lease.host, lease.boot, lease.namespace) == (socket.gethostname(), _boot(), _namespace())


def _boot() -> str | None:
    try:
        return BOOT.read_text().strip()
    except OSError:
        return None


def _namespace() -> int | None:
    try:
        return PID_NAMESPACE.stat().st_ino
    except OSError:
        return None


def begun(found: Record | None, state: State, lease: Lease) -> Record:
    """Return the record of a new rollout.

    Raises:
        RolloutError: another one is under way.
    """
    refuse_second(found, lease.renewed)
    return Record(state=state, lease=lease.from_now(lease.renewed, state))


def refuse_second(found: Record | None, now: datetime) -> None:
    """Let no rollout begin beside another.

    Raises:
        RolloutError: names the one that is under way, and who drives it.
    """
    if found is None or found.ended:
        return
    plan = found.state.plan
    under_way = f"a rollout of {plan.version} to {plan.slot} is under way"
    if found.lease is not None and is_alive(found.lease, now):
        raise RolloutError(f"{under_way}, driven by {found.lease.holder}")
    raise RolloutError(f"{under_way}, and nobody drives it: rollout resume, or rollout rollback")


def under_way(found: Record | None, stack: str) -> Record:
    """Return the record of a rollout that has not ended.

    Raises:
        RolloutError: there is none.
    """
    if found is None:
        raise RolloutError(
            f"there was no rollout of '{stack}' yet: rollout start --stack {stack} --version …"
        )
    if found.ended:
        raise RolloutError(f"no rollout of '{stack}' is under way")
    return found


def told(found: Record | None, stack: str, command: Command, now: datetime) -> Record:
    """Return the record with a command in the inbox of the driver, who is in the lease.

    Raises:
        RolloutError: nobody drives, or the command would change nothing.
    """
    record = under_way(found, stack)
    if record.lease is None or not is_alive(record.lease, now):
        raise RolloutError(f"nobody drives this rollout: rollout resume --stack {stack}")
    return _posted(record, command)


def taken_over(found: Record | None, stack: str, command: Resume | Rollback, lease: Lease) -> Record:
    """Return the record with the command told to the driver; or where none is alive, with it carried out under a new lease.

    Raises:
        RolloutError: there is nothing to go on with, or the command would change nothing.
    """
    # What has ended can be taken back, and not gone on with.
    record = found if found is not None and isinstance(command, Rollback) else under_way(found, stack)
    if is_alive(record.lease, lease.renewed):
        return _posted(record, command)
    state = record.state
    for waiting in record.inbox:
        state = apply(state, waiting)
    # What waited may have been the same command, to a driver who has not heard it.
    if state is record.state and (why := refusal(state, command)):
        raise RolloutError(why)
    state = apply(state, command)
    return record.model_copy(
        update={"state": state, "lease": lease.from_now(lease.renewed, state), "inbox": ()}
    )


def is_heard(journal: Journal, clock: Clock, command: Command, say: Callable[[str], None]) -> bool:
    """Wait until the driver has taken a command out of the inbox; False where it turns out to be dead.

    Raises:
        JournalFailed: the journal cannot be read.
    """
    told = False
    while (record := journal.read()) is not None and command in record.inbox:
        if record.lease is None or not is_alive(record.lease, clock.now()):
            return False
        if not told:
            told = True
            within = (
                "once the update under way is over"
                if isinstance(next_action(record.state), IN_UPDATE)
                else "within seconds"
            )
            say(
                f"{command.kind}: told {record.lease.holder}, who hears it {within}, or is dead: that is known at "
                f"{record.lease.expires.astimezone(UTC):%H:%M:%S} UTC"
            )
        clock.sleep(POLL_SECONDS)
    return True


def _posted(record: Record, command: Command) -> Record:
    if why := refusal(record.state, command):
        raise RolloutError(why)
    return record.model_copy(update={"inbox": (*record.inbox, command)})
