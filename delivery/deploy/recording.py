"""What a deployment has put in force, recorded in Git: the release and the change requests of one stack file (docs/adr/0023)."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

from delivery.deploy.repository import Repository
from delivery.errors import DeliveryError
from operations.environments import EnvironmentName
from operations.slots import Slot
from rollout.stack_file import StackFile

ATTEMPTS: Final = 5
"""How often a commit is tried while others commit to the same branch."""

PAUSE_SECONDS: Final = 2.0


def record(stack: EnvironmentName, file: Path, repository: Repository, pause: float = PAUSE_SECONDS) -> str:
    """Put the release and the change requests of a file into the stack's file of the default branch, and say what was done.

    All else in that file stays as it is, comments among it: the branch may have moved on since the deployment began.

    Args:
        stack: its name.
        file: the stack file as the deployment left it.
        repository: where it is recorded.
        pause: seconds between two attempts.

    Raises:
        DeliveryError: GitHub refuses it, or others were faster every time.
        RolloutError: a file is no stack file.
    """
    left, name = StackFile(file), f"Pulumi.{stack}.yaml"
    refused = ""
    for _ in range(ATTEMPTS):
        stored = repository.read(name)
        if stored.sha == refused:
            # GitHub answers a rule of the branch as it answers a file that has changed.
            raise DeliveryError(
                f"GitHub refuses the commit to {name}, which nobody has changed: do the rules of the default branch let "
                "workflows commit to it? docs/delivery.md"
            )
        text = _adopting(stored.text, left, name)
        if text == stored.text:
            return f"{name} says what is in force already."
        if repository.write(name, text, _message(stack, left), stored):
            return f"{name} says now what is in force: {_standing(left)}."
        refused = stored.sha
        time.sleep(pause)
    raise DeliveryError(
        f"{name} was changed by others each of {ATTEMPTS} times that it was to be written: run the job again"
    )


def _adopting(text: str, left: StackFile, name: str) -> str:
    """The text of a stack file with what another one says of release and change requests."""
    with tempfile.TemporaryDirectory(prefix="deploy-") as folder:
        there = StackFile(Path(folder) / name)
        there.path.write_text(text)
        if (there.release(), there.changes()) == (left.release(), left.changes()):
            return text
        return there.with_release(left.release(), left.changes())


def _message(stack: EnvironmentName, left: StackFile) -> str:
    changes = left.changes()
    under = f" ({changes[-1].request})" if changes else ""
    return f"{stack}: {_standing(left)}{under}"


def _standing(left: StackFile) -> str:
    release = left.release()
    shares = [f"{release.of(slot).version} at {release.of(slot).weight} %" for slot in Slot]
    return " and ".join(share for share, slot in zip(shares, Slot, strict=True) if release.of(slot).weight)
