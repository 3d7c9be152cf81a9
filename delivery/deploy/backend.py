"""What the Pulumi backend says of an environment: its stack outputs, without a right to its secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pulumi import automation as auto

from delivery.errors import DeliveryError
from operations.delivery import Running
from operations.preview.steps import STACK
from rollout.engine import gist, workspace_of


def outputs(stack: str, work_dir: Path) -> Mapping[str, Any] | None:
    """Return a stack's outputs; None where there is no such stack, or it was never brought up.

    The state is read as it lies in the backend. Its secrets stay encrypted, so that whoever deploys to one environment
    need not be able to decrypt those of the one before.

    Args:
        stack: its name.
        work_dir: the folder with Pulumi.yaml.

    Raises:
        DeliveryError: the backend cannot be read.
        RolloutError: there is no engine, or no project.
    """
    workspace = workspace_of(work_dir)
    try:
        exported = workspace.pulumi_command.run(["stack", "export", "--stack", stack], str(work_dir), {})
    except auto.StackNotFoundError:
        return None
    except auto.CommandError as error:
        raise DeliveryError(f"the state of '{stack}' cannot be read: {gist(error)}") from error
    deployment = cast("dict[str, Any]", json.loads(exported.stdout)["deployment"] or {})
    for resource in cast("list[dict[str, Any]]", deployment.get("resources") or []):
        if resource["type"] == STACK:
            return cast("dict[str, Any]", resource.get("outputs") or {})
    return None


def running(stack: str, found: Mapping[str, Any] | None) -> Running | None:
    """Return what an environment runs, from its outputs; None where it runs nothing yet.

    Raises:
        DeliveryError: the outputs say something else than this program's.
    """
    if found is None or "slots" not in found:
        return None
    try:
        return Running.of(found["slots"])
    except (KeyError, TypeError, ValueError) as error:
        raise DeliveryError(f"the output `slots` of '{stack}' is not this program's: {error!r}") from error
