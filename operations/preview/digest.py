"""What is told of a preview: of values only versions, weights, counts and sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pydantic import ValidationError

from operations.environments import EnvironmentName
from operations.model import Model
from operations.preview.costs import Measure, measures
from operations.preview.fears import Caution, cautions
from operations.preview.steps import Inputs, Step, map_at
from operations.release import SlotRelease
from operations.slots import Slot


class Change(Model):
    """One resource that an update would change."""

    operation: str
    """`create`, `update`, `replace`, `delete`, …"""
    type: str
    name: str
    properties: tuple[str, ...] = ()
    """Paths of the properties that differ, without their values."""


class SlotChange(Model):
    """What a slot runs, and will run; None where that is not known, or the slot is not there."""

    slot: Slot
    before: SlotRelease | None = None
    after: SlotRelease | None = None


class Violation(Model):
    """A rule of the guardrails that is broken."""

    policy: str
    mandatory: bool
    """Whether the update is refused for it."""
    resource: str
    """Type and name; empty where the rule is about the whole stack."""
    message: str


class Digest(Model):
    """What a preview of one stack found."""

    stack: EnvironmentName
    errors: tuple[str, ...] = ()
    """Why the preview failed. What else is here is then not the whole."""
    unchanged: int = 0
    """How many resources stay as they are."""
    changes: tuple[Change, ...] = ()
    slots: tuple[SlotChange, ...] = ()
    """The slots whose version or weight changes."""
    costs: tuple[Measure, ...] = ()
    cautions: tuple[Caution, ...] = ()
    violations: tuple[Violation, ...] = ()

    @property
    def refused(self) -> tuple[Violation, ...]:
        """The violations for which an update would be refused."""
        return tuple(each for each in self.violations if each.mandatory)

    @property
    def is_red(self) -> bool:
        """Whether an update would be refused."""
        return bool(self.errors or self.refused)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many resources each operation meets."""
        return Counter(change.operation for change in self.changes)


def digest(
    stack: EnvironmentName,
    steps: Sequence[Step],
    outputs: tuple[Inputs, Inputs],
    violations: Iterable[Violation],
    errors: Iterable[str],
) -> Digest:
    """Return what is told of a preview, in an order that does not depend on the engine's haste.

    Args:
        stack: its name.
        steps: every resource, those that stay as they are among them.
        outputs: the stack's, before and after; after is empty where the program did not run to its end.
        violations: of the guardrails.
        errors: why the preview failed.
    """
    steps = [step for step in steps if not step.is_default_provider]
    changes = [
        Change(
            operation=step.operation,
            type=step.type,
            name=step.name,
            properties=tuple(sorted(step.properties)),
        )
        for step in sorted(steps, key=lambda step: (step.type, step.name))
        if step.changes
    ]
    failed = tuple(dict.fromkeys(errors))
    return Digest(
        stack=stack,
        errors=failed,
        unchanged=len(steps) - len(changes),
        changes=tuple(changes),
        slots=_slots(*outputs),
        # Of a program that broke off, what it did not come to would look as if it were taken away.
        costs=() if failed else measures(steps),
        cautions=cautions(steps),
        violations=tuple(
            sorted(
                map(_without_values, violations),
                key=lambda each: (not each.mandatory, each.policy, each.resource),
            )
        ),
    )


def _without_values(violation: Violation) -> Violation:
    """The violation with the first line of its message: what the rule is about. What follows quotes the resource."""
    return violation.model_copy(update={"message": violation.message.partition("\n")[0]})


def _slots(before: Inputs, after: Inputs) -> tuple[SlotChange, ...]:
    if not after:
        return ()
    found = [
        SlotChange(slot=slot, before=_release(before, slot), after=_release(after, slot)) for slot in Slot
    ]
    return tuple(change for change in found if change.before != change.after)


def _release(outputs: Inputs, slot: Slot) -> SlotRelease | None:
    """What the output `slots` says of a slot's version and weight, and nothing else that it says."""
    said = map_at(outputs, "slots", slot)
    try:
        return SlotRelease(version=said["version"], weight=said["weight"])
    except (KeyError, ValidationError):
        return None
