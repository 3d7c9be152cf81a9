"""Digests: taken from a preview that is made here, or read from the events that an engine recorded elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, cast

from pulumi.automation import events

from delivery.errors import DeliveryError
from operations.environments import EnvironmentName
from operations.preview.digest import Digest, digest
from rollout.engine import Engine, Plan
from rollout.errors import UpdateFailed
from rollout.infrastructure import PulumiInfrastructure

BROKEN_OFF: Final = "the events end before the preview does"


def take(stack: EnvironmentName, work_dir: Path, program: Path) -> Digest:
    """Return what an update with the files of a checkout would do. Nothing is written, and no lock taken.

    While a rollout shares traffic out, the release is taken as it is in force, of which the checkout need not know.
    A preview that fails is told by the errors of the digest.

    Args:
        stack: its name.
        work_dir: the folder with Pulumi.yaml and the stack files.
        program: the file that is run in this process; the guardrails are those beside it.

    Raises:
        RolloutError: there is no such stack, project or program.
    """
    infrastructure = PulumiInfrastructure.of(stack, work_dir, program)
    return preview(infrastructure.engine, stack, infrastructure.text_in_force())


def preview(engine: Engine, stack: EnvironmentName, text: str | None = None) -> Digest:
    """Return what an update would do. Nothing is written, and no lock taken.

    Args:
        engine: of the stack.
        stack: its name.
        text: of the stack file, where it is not to be the file's own.
    """
    plan = Plan()
    try:
        engine.look(plan, guarded=True, text=text)
    except UpdateFailed as error:
        return _told(stack, plan, str(error))
    return _told(stack, plan)


def read(stack: EnvironmentName, file: Path) -> Digest:
    """Return the same from the events of a preview, one in a line, as the engine writes them.

    Raises:
        DeliveryError: the file is something else.
    """
    plan = Plan()
    ended: dict[str, Any] = {}
    try:
        for document in _documents(file.read_text().splitlines()):
            plan.on_event(events.EngineEvent.from_json(document))  # pyright: ignore[reportUnknownMemberType] -- the SDK types it as bare dict
            ended = document.get("summaryEvent") or ended
    except (ValueError, TypeError, AttributeError) as error:
        raise DeliveryError(f"{file} does not hold an engine's events, one in a line") from error
    if not ended:
        return _told(stack, plan, BROKEN_OFF)
    return _told(stack, plan, "" if ended.get("result") != "failed" else "the preview failed")


def _documents(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    return (cast("dict[str, Any]", json.loads(line)) for line in lines if line.strip())


def _told(stack: EnvironmentName, plan: Plan, failure: str = "") -> Digest:
    """The digest of a plan. What failed is told by the guardrails that refuse it, by the errors, or else as it was said."""
    errors = list(plan.errors)
    if failure and not errors and not any(violation.mandatory for violation in plan.violations):
        errors = [failure]
    return digest(stack, plan.resources, plan.outputs, plan.violations, errors)
