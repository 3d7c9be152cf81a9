"""Rehearsals on the real engine and a real API server, started the way a person starts them: by the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
PROGRAM_FILES = ("__main__.py", "Pulumi.yaml", "pyproject.toml")


@dataclass(frozen=True)
class Desk:
    """A copy of a program's files that a test may change, and the `rehearse` command beside it."""

    project: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `rehearse` in a session of its own, so that a test can kill it whole."""
        return subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from rehearsal.cli import main; main()",
                *arguments,
                "--project",
                str(self.project),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "COLUMNS": "200"},
        )

    def rehearse(self, *arguments: str, code: int = 0) -> str:
        """Run `rehearse` to its end and return what it printed; its exit code must be ``code``."""
        process = self.start(*arguments)
        printed, _ = process.communicate(timeout=540)
        assert process.returncode == code, printed
        return printed

    def stack_file(self, stack: str) -> dict[str, Any]:
        """The stack file as data."""
        return cast("dict[str, Any]", yaml.safe_load((self.project / f"Pulumi.{stack}.yaml").read_text()))

    def edit(self, stack: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change a stack file's configuration in place."""
        document = self.stack_file(stack)
        change(document["config"])
        (self.project / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    def home(self, stack: str) -> Path:
        """The folder of one rehearsal."""
        return self.project / ".rehearsal" / stack

    def state(self, stack: str) -> dict[str, Any]:
        """The engine's own state of a stack, as it lies on disk."""
        name = yaml.safe_load((self.project / "Pulumi.yaml").read_text())["name"]
        path = self.home(stack) / "state" / ".pulumi" / "stacks" / name / f"{stack}.json"
        return cast("dict[str, Any]", json.loads(path.read_text()))["checkpoint"]["latest"]

    def resources(self, stack: str) -> dict[str, dict[str, Any]]:
        """The resources of a stack by URN."""
        return {resource["urn"]: resource for resource in self.state(stack)["resources"]}


def lay(folder: Path, source: Path = REPOSITORY) -> Desk:
    """Copy the files of the program in ``source`` that the engine reads into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAM_FILES:
        if (source / name).exists():
            shutil.copy(source / name, folder / name)
    for stack_file in source.glob("Pulumi.*.yaml"):
        shutil.copy(stack_file, folder / stack_file.name)
    return Desk(folder)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A copy of the program for one test; whatever it brings up is taken down."""
    laid = lay(tmp_path / "program")
    yield laid
    clear(laid)


def clear(desk: Desk) -> None:
    """Take down every rehearsal of a desk."""
    for home in (desk.project / ".rehearsal").glob("*/"):
        desk.rehearse("down", "--stack", home.name)
