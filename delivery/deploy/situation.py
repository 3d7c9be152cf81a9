"""What the decisions in `operations.delivery` are made on, gathered from the backend, the journal and the stack file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Final

from delivery.deploy.backend import outputs, running
from delivery.errors import DeliveryError
from operations.changes import ledger_of
from operations.delivery import Rollout, Running, Situation, predecessor
from operations.environments import EnvironmentName
from rollout.desk import Desk
from rollout.handover import is_alive
from rollout.ports import Clock, Journal
from rollout.record import Record

POLL_SECONDS: Final = 10.0


def situation(desk: Desk) -> Situation:
    """Return what is known of the desk's stack.

    Raises:
        DeliveryError, RolloutError: the backend or the stack file cannot be read.
    """
    found = outputs(desk.stack, desk.work_dir)
    if found is None:
        return Situation(running=None, gate=desk.file.gate(), noted=desk.file.changes())
    return Situation(
        running=running(desk.stack, found),
        gate=desk.file.gate(),
        rollout=_rollout(desk.journal.read()),
        through=ledger_of(found.get("changes", [])),
        begun=desk.infrastructure.ledger(),
        noted=desk.file.changes(),
    )


def before(desk: Desk) -> Running | None:
    """Return what the environment before the desk's runs; None where there is none, or it runs nothing.

    Raises:
        DeliveryError: the backend cannot be read.
    """
    previous = predecessor(EnvironmentName(desk.stack))
    return None if previous is None else running(previous, outputs(previous, desk.work_dir))


def await_silence(journal: Journal, clock: Clock, say: Callable[[str], None]) -> None:
    """Wait until nobody drives the rollout that is under way: a driver that died elsewhere is known by its lease running out.

    Raises:
        DeliveryError: the driver lives, as it has renewed its lease meanwhile.
        RolloutError: the journal cannot be read.
    """
    first = journal.read()
    if first is None or first.lease is None or not is_alive(first.lease, clock.now()):
        return
    say(
        f"{first.lease.holder} drove this rollout and may still; its lease runs out at "
        f"{first.lease.expires.astimezone(UTC):%H:%M:%S} UTC"
    )
    record: Record | None = first
    while record is not None and record.lease is not None and is_alive(record.lease, clock.now()):
        if record.lease.renewed > first.lease.renewed:
            raise DeliveryError(
                f"the rollout is driven by {record.lease.holder}, who is alive: wait for its end"
            )
        clock.sleep(POLL_SECONDS)
        record = journal.read()


def _rollout(record: Record | None) -> Rollout | None:
    if record is None:
        return None
    plan = record.state.plan
    return Rollout(plan.version, plan.slot, plan.change, record.ended)
