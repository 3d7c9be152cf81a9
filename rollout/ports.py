"""What the driver needs of the world. The real ones are in the modules named; tests bring their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from operations.release import Version
from operations.rollout.actions import PrepareSlot, ScaleDown, SetWeights
from operations.rollout.gate import Sample, Verdict
from operations.rollout.state import State
from operations.slots import Slot, Weights
from rollout.record import Record


@dataclass(frozen=True)
class Evaluation:
    """What the gates said, and on what; no sample where there was nothing to see."""

    verdict: Verdict
    sample: Sample | None = None


class Infrastructure(Protocol):
    """The stack and its cluster (`rollout.infrastructure`). Every method may be repeated."""

    def change(self, action: PrepareSlot | SetWeights | ScaleDown, stable: Version) -> None:
        """Update the stack so that the action's effect is in force, and nothing else changes.

        Args:
            action: what to do.
            stable: the version that a rollback leads to.

        Raises:
            PlanRefused: its preview would change something else; nothing was done.
            UpdateFailed: it broke off.
        """
        ...

    def weights(self) -> Weights:
        """Return the weights that the provider has, the same in every listener rule.

        Raises:
            UpdateFailed: they cannot be read, or the rules differ.
        """
        ...

    def recorded_weights(self) -> Weights:
        """Return the weights in the stack's state, the same in every listener rule. Nothing is locked, and no provider asked.

        Raises:
            UpdateFailed: they cannot be read, or the rules differ, as they do while an update moves them.
        """
        ...

    def ailment(self, slot: Slot) -> str | None:
        """Return why a slot is not healthy: replicas that are not available, targets that are not healthy; else None."""
        ...


class Observer(Protocol):
    """Prometheus, and the cluster's replicas (`rollout.observer`)."""

    def evaluate(self, new: Slot, weight: int) -> Evaluation:
        """Return what the gates say of the new slot now: inconclusive where nothing answers. It raises nothing.

        Args:
            new: the slot.
            weight: the share of requests that it should receive, in percent.
        """
        ...


class Journal(Protocol):
    """The durable record of a stack's rollout, shared between machines (`rollout.journal`)."""

    def read(self) -> Record | None:
        """Return the record; None before the first rollout."""
        ...

    def change(self, change: Callable[[Record | None], Record]) -> Record:
        """Replace the record by what `change` makes of it, with nobody else writing in between, and return it.

        What `change` raises is raised, and leaves the record as it was.
        """
        ...


class Clock(Protocol):
    """The time, and its passing."""

    def now(self) -> datetime:
        """Return the time, aware of its zone."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Narrator(Protocol):
    """Who tells a person what happens (`rollout.view`). A driver goes on whether it succeeds in that or not."""

    def is_at(self, state: State) -> None:
        """The rollout is in this state."""
        ...

    def sees(self, evaluation: Evaluation, at: datetime) -> None:
        """The gates were evaluated."""
        ...

    def says(self, line: str) -> None:
        """Something else worth a line."""
        ...
