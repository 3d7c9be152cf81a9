"""Who may drive: one driver a stack, and another only once that one is known or held to be dead."""

from __future__ import annotations

import os
import socket
import uuid
from datetime import datetime

from rollout.engine import runs
from rollout.record import LEASE, Lease


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
