"""Who may drive a stack's rollout, and how commands reach whoever does: what each command makes of the journal's record."""

from __future__ import annotations

import os
import socket
import uuid
from datetime import datetime

from operations.rollout.events import Resume, Rollback
from operations.rollout.machine import apply, refusal
from operations.rollout.state import State
from rollout.engine import runs
from rollout.errors import RolloutError
from rollout.record import LEASE, Command, Lease, Record


def lease_of(who: str, now: datetime) -> Lease:
    """Return a new lease for this process."""
    return Lease(
        token=uuid.uuid4().hex,
        who=who,
        host=socket.gethostname(),
        pid=os.getpid(),
        renewed=now,
        expires=now + LEASE,
    )


def is_alive(lease: Lease | None, now: datetime) -> bool:
    """Whether a driver is to be left alone: its lease has not expired, nor is it a process of this machine that ended."""
    if lease is None or lease.expires <= now:
        return False
    return lease.host != socket.gethostname() or runs(lease.pid)


def begun(found: Record | None, state: State, lease: Lease) -> Record:
    """Return the record of a new rollout.

    Raises:
        RolloutError: another one is under way.
    """
    refuse_second(found, lease.renewed)
    return Record(state=state, lease=lease)


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
    if why := refusal(state, command):
        raise RolloutError(why)
    return record.model_copy(update={"state": apply(state, command), "lease": lease, "inbox": ()})


def _posted(record: Record, command: Command) -> Record:
    if why := refusal(record.state, command):
        raise RolloutError(why)
    return record.model_copy(update={"inbox": (*record.inbox, command)})
