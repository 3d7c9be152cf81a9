"""What a drill lays down before it takes something away, so that whoever comes next can mend what it left when it was killed."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Leftovers:
    """The folder of the drills of one rehearsal.

    Attributes:
        directory: the rehearsal's own folder.
    """

    directory: Path

    @property
    def kept_state(self) -> Path:
        """The copy of the state, as a bucket with versions would have it; there while the state may be lost."""
        return self.directory / "recover" / "state.json"

    @property
    def lost_cluster(self) -> Path:
        """A mark that is there while the state may hold objects that no longer exist."""
        return self.directory / "recover" / "lost-cluster"

    def keep(self, state: Path) -> None:
        """Copy the state; the copy is there whole or not at all."""
        self.kept_state.parent.mkdir(exist_ok=True)
        replaced(self.kept_state, state)

    def mark(self) -> None:
        """Say that objects are about to be lost."""
        self.lost_cluster.parent.mkdir(exist_ok=True)
        self.lost_cluster.touch()

    def mend(self, state: Path, refresh: Callable[[], object]) -> None:
        """Put a lost state back where it lay, and let the engine look at what is really there, where that is needed.

        Args:
            state: the file that holds the stack's state.
            refresh: reads what is really there into the state.
        """
        if self.kept_state.is_file():
            if not _holds_resources(state):
                replaced(state, self.kept_state)
            self.kept_state.unlink()
        if self.lost_cluster.exists():
            refresh()
            self.lost_cluster.unlink()


def replaced(target: Path, source: Path) -> None:
    """Put a copy of a file in the place of another at once, so that it is never seen half-written."""
    partial = target.with_suffix(".partial")
    shutil.copyfile(source, partial)
    partial.chmod(0o600)
    partial.replace(target)


def _holds_resources(state: Path) -> bool:
    if not state.is_file():
        return False
    checkpoint: dict[str, Any] = json.loads(state.read_text())["checkpoint"]
    latest: dict[str, Any] = checkpoint.get("latest") or {}
    return bool(latest.get("resources"))
