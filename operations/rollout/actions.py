"""What a driver does next. Every action may be repeated: done twice, it leaves what it leaves when done once."""

from datetime import timedelta
from enum import StrEnum, unique
from typing import Literal

from pydantic import AwareDatetime

from operations.changes import ChangeNumber, ChangeRequest, Ledger
from operations.model import Model
from operations.release import Release, SlotCapacity, Version
from operations.rollout.plan import Plan
from operations.slots import Slot, Weights


@unique
class Outcome(StrEnum):
    """How a rollout ended."""

    COMPLETED = "completed"
    ROLLED_BACK = "rolled-back"


class Report(Model):
    """A rollout that ended."""

    outcome: Outcome
    slot: Slot
    """Which has all traffic now."""
    version: Version
    """Which that slot runs."""
    started: AwareDatetime
    ended: AwareDatetime
    spent: timedelta
    """What the new slot spent of the error budget, as time of a total outage."""
    why: str
    """Why it was rolled back; else why it was started."""
    left_in_full: str | None
    """Why the other slot was not scaled down; None where it was left to its standby."""


class _Action(Model):
    step: int
    """An event that answers this action names it."""


class PrepareSlot(_Action):
    """Give a slot without weight its version and full capacity, in an update that moves no weight."""

    kind: Literal["prepare-slot"] = "prepare-slot"
    slot: Slot
    version: Version
    change: ChangeNumber | None = None
    """The change request that brings the version; None where none is taken, and on the way back, which needs no other."""


class CheckHealth(_Action):
    """See that all replicas of a slot are available and all its targets healthy, within a time; zero: look once."""

    kind: Literal["check-health"] = "check-health"
    slot: Slot
    within: timedelta


class SetWeights(_Action):
    """Move the weights, in an update that changes listener rules and nothing else."""

    kind: Literal["set-weights"] = "set-weights"
    weights: Weights


class VerifyWeights(_Action):
    """Read the weights back from the provider: they are these."""

    kind: Literal["verify-weights"] = "verify-weights"
    weights: Weights


class Watch(_Action):
    """Evaluate the gates and say what they say, again and again; meanwhile see that nobody else moves the weights."""

    kind: Literal["watch"] = "watch"
    every: timedelta
    weights: Weights
    """Those in force, unless somebody else has moved them."""
    until: AwareDatetime | None
    """The earliest end, should all go well from now on; None while it is paused."""


class Hold(_Action):
    """Wait for a person: nothing is under way, and no request reaches the new slot."""

    kind: Literal["hold"] = "hold"


class ScaleDown(_Action):
    """Leave a slot without weight to its standby."""

    kind: Literal["scale-down"] = "scale-down"
    slot: Slot


class Finish(_Action):
    """Say how it ended. There is nothing more to do."""

    kind: Literal["finish"] = "finish"
    report: Report


Action = PrepareSlot | CheckHealth | SetWeights | VerifyWeights | Watch | Hold | ScaleDown | Finish


def release_after(release: Release, action: PrepareSlot | SetWeights | ScaleDown) -> Release:
    """Return the release that the stack must declare for an action to be carried out.

    A slot that loses its weight stays at full capacity until it is scaled down: the update that moves the weights moves
    nothing else, and for an hour a rollback finds the slot as large as its load had made it (docs/adr/0007).
    """
    full = SlotCapacity.FULL
    match action:
        case PrepareSlot():
            changes = {action.slot: {"version": action.version, "capacity": full}}
        case SetWeights():
            changes = {
                slot: {"weight": weight, "capacity": None if weight else full}
                for slot in Slot
                for weight in (action.weights.of(slot),)
            }
        case ScaleDown():
            changes = {action.slot: {"capacity": None}}
    slots = {
        slot.value: type(release.of(slot)).model_validate({**dict(release.of(slot)), **changes.get(slot, {})})
        for slot in Slot
    }
    return Release.model_validate({**dict(release), **slots})


def changes_after(ledger: Ledger, action: PrepareSlot | SetWeights | ScaleDown) -> Ledger:
    """Return the change requests that the stack must declare for an action to be carried out: at most one more."""
    if not isinstance(action, PrepareSlot) or action.change is None:
        return ledger
    brings = ChangeRequest(request=action.change, version=action.version)
    return ledger if brings in ledger else (*ledger, brings)


def released(told: Release, plan: Plan, ledger: Ledger, weights: Weights | None) -> Release:
    """Return the release that is in force in the middle of a rollout, or was left by an update that broke off.

    Args:
        told: what the stack last told, at the end of an update.
        plan: the rollout's.
        ledger: the change requests in force, which are recorded at the beginning of an update.
        weights: those of the listener rules; None while they differ, since a move of them broke off.
    """
    prepared = PrepareSlot(step=0, slot=plan.slot, version=plan.version, change=plan.change)
    recorded = plan.change is not None and changes_after(ledger, prepared) == ledger
    if recorded and told.of(plan.slot).version != plan.version:
        told = release_after(told, prepared)
    if weights is None or weights == told.weights:
        return told
    return release_after(told, SetWeights(step=0, weights=weights))
