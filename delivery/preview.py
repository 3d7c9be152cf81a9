"""A refreshed preview: what is there is read from the providers, and held against what Git declares."""

from __future__ import annotations

from pathlib import Path

from operations.drift import Cause, Difference, Drift
from operations.environments import EnvironmentName
from rollout.engine import Plan
from rollout.infrastructure import PulumiInfrastructure


def look(stack: EnvironmentName, work_dir: Path, program: Path) -> Drift:
    """Return where a stack differs from what the files of a checkout declare. Nothing is written, and no lock taken.

    Args:
        stack: its name.
        work_dir: the folder with Pulumi.yaml and the stack files.
        program: the file that is run in this process.

    Raises:
        RolloutError: there is no such stack or program, or the engine, the program or a provider refuses.
    """
    plan = Plan()
    infrastructure = PulumiInfrastructure.of(stack, work_dir, program)
    # The weights of a rollout that is under way are its driver's, and no drift.
    infrastructure.engine.look(plan, refresh=True, text=infrastructure.text_in_force())
    return Drift(stack=stack, differences=differences(plan))


def differences(plan: Plan) -> tuple[Difference, ...]:
    """Return what differs, in an order that does not depend on the engine's haste. No value of a property is kept."""
    return tuple(
        Difference(
            operation=step.operation,
            type=step.type,
            name=step.name,
            properties=tuple(sorted(step.properties)),
            cause=Cause.OUTSIDE if step.urn in plan.outside else Cause.UNDEPLOYED,
        )
        for step in sorted(plan.steps, key=lambda step: step.urn)
    )
