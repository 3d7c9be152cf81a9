"""How a version gets from one environment to the next, and how infrastructure does (the operations page, "Operations
Workflow" and "Deployment Environments").

One and the same version moves forward: an environment accepts only what the one before it runs at 100 %. What is under
way is gone on with and never begun anew. Where the change advisory board decides, each deployment names a change request
of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, Self

from operations.changes import ChangeRequest, Ledger, unfit
from operations.environments import PAGE, EnvironmentName, Gate
from operations.release import Version
from operations.slots import WHOLE, Slot

# --- the environments and their doors ------------------------------------------------------------------------------


@unique
class Trigger(StrEnum):
    """What starts a deployment, as GitHub calls the event."""

    MERGE = "push"
    """A merge into the default branch."""
    PERSON = "workflow_dispatch"
    """A person who may write to the repository asks for it."""


@dataclass(frozen=True)
class Door:
    """What a deployment has to pass."""

    environment: str
    """GitHub's environment: its reviewers are asked, and its name is in the identity that AWS trusts."""
    trigger: Trigger
    reviewers: bool
    """Whether somebody has to approve before the job begins."""
    change_request: bool
    """Whether it takes the number of a change request, each one once."""


_GATES: Final[Mapping[Gate, tuple[Trigger, bool, bool]]] = MappingProxyType(
    {
        Gate.AUTO: (Trigger.MERGE, False, False),
        Gate.MANUAL: (Trigger.PERSON, False, False),
        Gate.APPROVAL: (Trigger.PERSON, True, False),
        Gate.CAB: (Trigger.PERSON, True, True),
    }
)


def door(environment: EnvironmentName) -> Door:
    """Return the door of an environment, which follows from the gate that the page gives it.

    Where the change advisory board approves, the door is named after it, as its members are the reviewers and not the team.
    """
    gate = PAGE[environment].gate
    trigger, reviewers, change_request = _GATES[gate]
    name = f"{environment}-{gate}" if change_request else str(environment)
    return Door(name, trigger, reviewers, change_request)


def predecessor(environment: EnvironmentName) -> EnvironmentName | None:
    """Return the environment that a version comes from; None for the first."""
    order = list(EnvironmentName)
    place = order.index(environment)
    return order[place - 1] if place else None


# --- what is known of them -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Running:
    """What an environment's slots run, as its stack output `slots` says."""

    versions: Mapping[Slot, Version]
    weights: Mapping[Slot, int]
    """Percent."""

    @classmethod
    def of(cls, slots: Mapping[str, Mapping[str, object]]) -> Self:
        """Return the same from the stack output.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        return cls(
            versions={slot: str(slots[slot]["version"]) for slot in Slot},
            weights={slot: int(str(slots[slot]["weight"])) for slot in Slot},
        )

    @property
    def whole(self) -> Version | None:
        """The version that has all traffic; None while two share it."""
        found = {self.versions[slot] for slot in Slot if self.weights[slot] > 0}
        return found.pop() if len(found) == 1 else None

    def __str__(self) -> str:
        if self.whole is not None:
            return f"{self.whole} at {WHOLE} %"
        return " and ".join(f"{self.versions[slot]} at {self.weights[slot]} %" for slot in Slot)


@dataclass(frozen=True)
class Rollout:
    """The latest rollout of an environment, as its journal says."""

    version: Version
    slot: Slot
    change: str | None
    """The change request that it was started with."""
    ended: bool


@dataclass(frozen=True)
class Situation:
    """What is known of an environment before anything is deployed to it."""

    running: Running | None
    """None where it was never brought up."""
    gate: Gate
    """As its stack file has it: the page's, or a stricter one."""
    rollout: Rollout | None = None
    """None before the first."""
    through: Ledger = ()
    """The change requests whose deployments went through, as the stack output says."""
    begun: Ledger = ()
    """Those on record in the stack: perhaps one more, of a deployment that broke off."""
    noted: Ledger = ()
    """Those in the stack file: perhaps fewer, where recording them failed."""

    @property
    def ledger(self) -> Ledger:
        """All of them: the longest of three of which each continues the others.

        Raises:
            ValueError: one does not.
        """
        longest = max((self.through, self.begun, self.noted), key=len)
        for name, other in (("gone through", self.through), ("on record", self.begun), ("noted", self.noted)):
            if longest[: len(other)] != other:
                raise ValueError(
                    f"the change requests {name} ({_listed(other)}) are no beginning of all that are known "
                    f"({_listed(longest)}): put those that are on record into the stack file"
                )
        return longest


# --- decisions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """Nothing is done."""

    reason: str
    """What is wrong and what to do."""


@dataclass(frozen=True)
class Nothing:
    """There is nothing to do."""

    reason: str


@dataclass(frozen=True)
class Start:
    """Start a rollout."""

    version: Version
    change: str | None


@dataclass(frozen=True)
class Resume:
    """Go on with the rollout that is under way."""

    version: Version
    change: str | None


@dataclass(frozen=True)
class Update:
    """Bring everything but the versions in line with Git."""

    ledger: Ledger
    """The change requests that the stack file must list, this deployment's last."""


def decide(
    target: EnvironmentName,
    version: Version,
    here: Situation,
    before: Running | None,
    change: str | None = None,
) -> Refused | Nothing | Start | Resume:
    """Return what a request to deploy a version leads to.

    Args:
        target: where to.
        version: what shall have all traffic there.
        here: what is known of the target.
        before: what the environment before it runs; None where that was never brought up, or there is none.
        change: the number of the change request, as a person typed it; None where they typed none.
    """
    if reason := _unfit(target, here.gate, change) or _contradiction(here):
        return Refused(reason)
    rollout = here.rollout
    if rollout is not None and not rollout.ended:
        if (version, change) == (rollout.version, rollout.change):
            return Resume(version, change)
        return Refused(_under_way(target, rollout))
    if here.running is None:
        not_up = f"{target} is not up: deploy its infrastructure first, without a version"
        return Refused(_out_of_turn(target, version, before) or not_up)
    used = _uses(here, change)
    if here.running.whole == version and used in {None, version}:
        return Nothing(f"{target} runs {here.running} already")
    if used is not None:
        return Refused(_used(change, used))
    if reason := _out_of_turn(target, version, before):
        return Refused(reason)
    return Start(version, change)


def decide_infrastructure(
    target: EnvironmentName, here: Situation, serving: Version, change: str | None = None
) -> Refused | Update:
    """Return what a request to deploy everything but a version leads to.

    A change request whose deployment broke off is known and did not go through: the same request goes on with it.

    Args:
        target: where to.
        here: what is known of it.
        serving: the version that serves, for which the change request is noted.
        change: the number of the change request, as a person typed it; None where they typed none.
    """
    if reason := _unfit(target, here.gate, change) or _contradiction(here):
        return Refused(reason)
    if here.rollout is not None and not here.rollout.ended:
        return Refused(_under_way(target, here.rollout))
    if change is None:
        return Update(here.ledger)
    entry = ChangeRequest(request=change, version=serving)
    if here.ledger[len(here.through) :] == (entry,):
        return Update(here.ledger)
    if (used := _uses(here, change)) is not None:
        return Refused(_used(change, used))
    return Update((*here.ledger, entry))


def _unfit(target: EnvironmentName, gate: Gate, change: str | None) -> str | None:
    """Why a change request is not what the gate takes; None if it is."""
    why = unfit(gate, change)
    return None if why is None else f"{target}: {why}"


def _contradiction(here: Situation) -> str | None:
    try:
        _ = here.ledger
    except ValueError as error:
        return str(error)
    return None


def _uses(here: Situation, change: str | None) -> Version | None:
    """The version that a change request was used for; None if for none."""
    if change is None:
        return None
    if here.rollout is not None and here.rollout.change == change:
        return here.rollout.version
    return next((entry.version for entry in here.ledger if entry.request == change), None)


def _used(change: str | None, version: Version) -> str:
    return f"{change} was used before, for {version}: each deployment takes a change request of its own"


def _under_way(target: EnvironmentName, rollout: Rollout) -> str:
    under = "" if rollout.change is None else f" under {rollout.change}"
    return (
        f"a rollout of {rollout.version} to {rollout.slot} of {target}{under} is under way: deploy {rollout.version}"
        f"{under} to go on with it, or take it back: rollout rollback --stack {target} --reason …"
    )


def _out_of_turn(target: EnvironmentName, version: Version, before: Running | None) -> str | None:
    """Why the environment before does not let a version through; None if it does."""
    previous = predecessor(target)
    if previous is None or (before is not None and before.whole == version):
        return None
    if before is None:
        return f"{previous} is not up, and {target} takes what {previous} runs: deploy {version} to {previous} first"
    if before.whole is None and version in before.versions.values():
        return f"{previous} runs {before}, not {version} at {WHOLE} %: let its rollout end first"
    return f"{previous} runs {before}, not {version}: deploy {version} to {previous} first"


def _listed(ledger: Sequence[ChangeRequest]) -> str:
    return ", ".join(f"{entry.request} for {entry.version}" for entry in ledger) or "none"
