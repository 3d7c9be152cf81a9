"""The stack as a rollout moves it: updates of its configuration, previewed, limited to what they are about, read back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self, cast

from operations.changes import Ledger, ledger_of
from operations.preview.steps import type_of
from operations.release import Release, Version
from operations.rollout.actions import (
    PrepareSlot,
    ScaleDown,
    SetWeights,
    changes_after,
    release_after,
    released,
)
from operations.rollout.plan import Plan
from operations.slots import WHOLE, Slot, Weights
from rollout.cluster import Cluster
from rollout.engine import STACK, Engine, Resource, Step
from rollout.errors import PlanRefused, UpdateFailed
from rollout.stack_file import StackFile

LISTENER_RULE: Final = "aws:lb/listenerRule:ListenerRule"
TARGET_GROUP: Final = "aws:lb/targetGroup:TargetGroup"
KUBERNETES: Final = "pulumi:providers:kubernetes"
SLOT: Final = "quikapp:slots:Slot"
CHANGE_RECORD: Final = "quikapp:changes:ChangeRecord"

SHOWN_STEPS: Final = 10
"""Of the steps that a refused preview contains."""


@dataclass
class PulumiInfrastructure:
    """One stack, its file and its cluster."""

    engine: Engine
    file: StackFile

    @classmethod
    def of(cls, stack: str, work_dir: Path, program: Path) -> Self:
        """Return the stack of the project in `work_dir`, whose program runs in this process.

        Raises:
            RolloutError: there is no such stack, project or program.
        """
        return cls(Engine.of(stack, work_dir, program), StackFile.of(stack, work_dir))

    def change(self, action: PrepareSlot | SetWeights | ScaleDown, stable: Version) -> None:
        """Update the stack so that the action's effect is in force, and nothing else changes. See `ports`."""
        while True:
            stated = self.file.text()
            release = release_after(self.file.release(), action).model_copy(update={"stable": stable})
            changes = changes_after(self.file.changes(), action)
            text = self.file.with_release(release, changes)
            target = self._way_back(action, release.stable_slot)
            plan = self.engine.preview(text, target)
            others = [step for step in plan.steps if not _belongs(step, action)]
            if others:
                raise PlanRefused(_refusal(action, others))
            if self.file.text() == stated:
                break  # else somebody has edited it meanwhile, which is kept and previewed, too
        self.file.write(text)
        # Others read of the stack's outputs what its release is: they are told where nothing else changes, too.
        before, after = plan.outputs
        if plan.steps or before.get("release") != after.get("release"):
            self.engine.up(f"rollout: {_said(action)}", target)

    def weights(self) -> Weights:
        """Return the weights that the provider has, the same in every listener rule. See `ports`."""
        rules = _rules(self.engine.resources())
        self.engine.refresh([rule.urn for rule in rules])
        found = self.engine.resources()
        if gone := {rule.name for rule in rules} - {rule.name for rule in _rules(found)}:
            raise UpdateFailed(
                f"the provider has no more of these listener rules, or they share nothing out: {', '.join(sorted(gone))}; "
                "bring the stack up, which makes them anew"
            )
        return _recorded_weights(found)

    def recorded_weights(self) -> Weights:
        """Return the weights in the stack's state, the same in every listener rule. See `ports`.

        Raises:
            UpdateFailed: there is no rule that shares requests out, or the rules differ.
        """
        return _recorded_weights(self.engine.resources())

    def told(self) -> Release | None:
        """Return the release that the stack's outputs tell; None where the program tells none."""
        return _told(self.engine.resources())

    def ledger(self) -> Ledger:
        """Return the change requests in force, as the stack's state has them; none where none is recorded."""
        return _ledger(self.engine.resources())

    def bring_in_line(self, plan: Plan) -> bool:
        """Make the stack file say of release and change requests what is in force; return whether it said something else.

        A rollout that is gone on with on another machine finds the stack file of a checkout there, which may be older than
        what the rollout has done so far.
        """
        resources = self.engine.resources()
        if (told := _told(resources)) is None:
            return False
        try:
            weights = _recorded_weights(resources)
        except UpdateFailed:
            weights = None
        ledger = _ledger(resources)
        release = released(told, plan, ledger, weights)
        if (release, ledger) == (self.file.release(), self.file.changes()):
            return False
        self.file.write(self.file.with_release(release, ledger))
        return True

    def text_in_force(self) -> str | None:
        """Return the stack file's text with the release and the change requests in force, while traffic is shared between the
        slots: whoever previews a checkout that does not know of the rollout sees with it all else that it would change.

        None while one slot has all traffic, where a checkout's own release is what would be put in force.
        """
        resources = self.engine.resources()
        told = _told(resources)
        if told is None or told.weights.idle is not None:
            return None
        return self.file.with_release(told, _ledger(resources))

    def ailment(self, slot: Slot) -> str | None:
        """Return why a slot is not healthy; None if it is. See `ports`."""
        try:
            return self.cluster.ailment(slot)
        except UpdateFailed as error:
            return str(error)

    @cached_property
    def cluster(self) -> Cluster:
        """The stack's cluster."""
        return Cluster(self.kubeconfig)

    def drain_seconds(self) -> int:
        """Return how long a target still gets the requests that were under way once it leaves: the longest of all."""
        groups = [group for group in self.engine.resources() if group.type == TARGET_GROUP]
        return max((int(group.outputs.get("deregistrationDelay", 0)) for group in groups), default=0)

    def kubeconfig(self) -> str:
        """Return the way into the stack's cluster, as its state has it.

        Raises:
            UpdateFailed: there is none.
        """
        for provider in self.engine.resources():
            if provider.type == KUBERNETES and isinstance(found := provider.inputs.get("kubeconfig"), str):
                return found
        raise UpdateFailed("the stack's state has no kubeconfig: bring it up first")

    def _way_back(
        self, action: PrepareSlot | SetWeights | ScaleDown, old: Slot | None
    ) -> Sequence[str] | None:
        """Return what an update is limited to on the way back: the listener rules, or what lies in the old slot; else None.

        Traffic does not wait there for whatever else somebody has changed in the program meanwhile.
        """
        match action:
            case SetWeights() if old is not None and action.weights.of(old) == WHOLE:
                return [rule.urn for rule in _rules(self.engine.resources())]
            case PrepareSlot() if action.slot is old:
                return _within(self.engine.resources(), action.slot)
            case _:
                return None


def _within(resources: Sequence[Resource], slot: Slot) -> list[str]:
    """Return a slot's URN, and a pattern for all that lies in it: what is still to be created has no URN in the state.

    Source of the pattern: https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/resource/deploy/deployment.go#L194-L214
    """
    targets: list[str] = []
    for found in resources:
        if _is_slot(found.urn, slot):
            types, name = found.urn.rsplit("::", maxsplit=1)
            targets += [found.urn, f"{types}$**::{name}-*"]
    return targets


def _told(resources: Sequence[Resource]) -> Release | None:
    for found in resources:
        if found.type == STACK and (release := found.outputs.get("release")) is not None:
            return Release.model_validate_json(json.dumps(release), by_alias=True)
    return None


def _ledger(resources: Sequence[Resource]) -> Ledger:
    # The component that records the change requests says which there are, as soon as they are recorded: an update that
    # breaks off after that leaves the stack's outputs as they were.
    for found in resources:
        if found.type == CHANGE_RECORD:
            return ledger_of(found.outputs.get("changes", []))
    return ()


def _recorded_weights(resources: Sequence[Resource]) -> Weights:
    slots = {
        str(group.outputs["arn"]): slot
        for group in resources
        if group.type == TARGET_GROUP
        for slot in Slot
        if group.name.endswith(f"-{slot}")
    }
    found = {rule.name: _weights(rule, slots) for rule in _rules(resources)}
    if not found:
        raise UpdateFailed("the stack has no listener rule that shares requests out: bring it up first")
    if len(set(found.values())) > 1:
        listed = ", ".join(
            f"{name} {weights.blue}:{weights.green}" for name, weights in sorted(found.items())
        )
        raise UpdateFailed(f"the listener rules differ in their weights (blue:green): {listed}")
    return next(iter(found.values()))


def _rules(resources: Sequence[Resource]) -> list[Resource]:
    return [rule for rule in resources if rule.type == LISTENER_RULE and _forward(rule)]


def _forward(rule: Resource) -> list[dict[str, Any]]:
    """The target groups that a rule shares requests out to; none where it does something else."""
    actions = cast("list[dict[str, Any]]", rule.outputs.get("actions") or [])
    forwards = [cast("dict[str, list[dict[str, Any]]]", action.get("forward") or {}) for action in actions]
    return [group for forward in forwards for group in forward.get("targetGroups") or []]


def _weights(rule: Resource, slots: Mapping[str, Slot]) -> Weights:
    shares = dict.fromkeys(Slot, 0)
    for group in _forward(rule):
        slot = slots.get(str(group["arn"]))
        if slot is None:
            raise UpdateFailed(f"{rule.name} sends requests to {group['arn']}, which belongs to no slot")
        shares[slot] += int(group["weight"])
    try:
        return Weights(blue=shares[Slot.BLUE], green=shares[Slot.GREEN])
    except ValueError as error:
        raise UpdateFailed(f"{rule.name}: {error}") from error


def _belongs(step: Step, action: PrepareSlot | SetWeights | ScaleDown) -> bool:
    """Whether an action is about this step: listener rules for a move of weights, else what lies in the slot; for a new
    version also what says so elsewhere, the tags of listener rules and the record of the change request that brings it."""
    if isinstance(action, SetWeights):
        return step.type == LISTENER_RULE and _updates_only(step, "actions", "tags")
    if isinstance(action, PrepareSlot):
        if step.type == LISTENER_RULE:
            return _updates_only(step, "tags")
        if any(type_of(urn) == CHANGE_RECORD for urn in step.ancestors):
            return action.change is not None and step.operation == "update"
    return any(_is_slot(urn, action.slot) for urn in (step.urn, *step.ancestors))


def _updates_only(step: Step, *properties: str) -> bool:
    """Whether a step is an update of these properties, or parts of them, and of no other."""
    names = {
        re.split(r"[.\[]", path)[0].removesuffix("All") for path in step.properties
    }  # AWS's tagsAll are tags
    return step.operation == "update" and bool(names) and names <= set(properties)


def _is_slot(urn: str, slot: Slot) -> bool:
    return type_of(urn) == SLOT and urn.endswith(f"-{slot}")


def _refusal(action: PrepareSlot | SetWeights | ScaleDown, others: Sequence[Step]) -> str:
    allowed = "listener rules" if isinstance(action, SetWeights) else f"the slot {action.slot}"
    listed = [str(step) for step in others[:SHOWN_STEPS]]
    more = f" and {len(others) - SHOWN_STEPS} more" if len(others) > SHOWN_STEPS else ""
    return f"the preview would change more than {allowed}: {', '.join(listed)}{more}; bring that in force first, or take it back"


def _said(action: PrepareSlot | SetWeights | ScaleDown) -> str:
    match action:
        case PrepareSlot():
            return f"{action.slot} at {action.version}"
        case SetWeights():
            return f"blue {action.weights.blue} %, green {action.weights.green} %"
        case ScaleDown():
            return f"{action.slot} to its standby"
