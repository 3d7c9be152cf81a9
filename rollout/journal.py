"""The journal in the stack's own Pulumi backend (docs/adr/0013).

It is the output of a stack of the same name in a project beside the program's, which declares nothing else. The backend
holds that stack's lock while an update of it runs, so what is read within one and written by it is one step: nobody
writes in between, on whatever machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import pulumi
from pulumi import automation as auto

from rollout.engine import Departed, gist, patiently, workspace_of
from rollout.errors import JournalFailed, RolloutError
from rollout.record import Record

OUTPUT: Final = "rollout"
"""The name of the stack output that is the record."""


@dataclass
class PulumiJournal:
    """The journal of one stack."""

    stack: auto.Stack
    _folder: tempfile.TemporaryDirectory[str] = field(repr=False)
    departed: Departed | None = None
    """Who left a lock that nobody else lifts."""

    @classmethod
    def of(cls, stack: str, work_dir: Path, secrets_provider: str | None) -> PulumiJournal:
        """Return the journal beside a stack of the project in `work_dir`; it is made where there is none yet.

        Args:
            stack: the stack's name.
            work_dir: the folder with the program's Pulumi.yaml.
            secrets_provider: how the backend encrypts the stack's secrets; the journal has none, but a stack takes one.

        Raises:
            RolloutError: there is no engine or no project, or the backend refuses.
        """
        program = workspace_of(work_dir).project_settings()
        project = f"{program.name}-rollout"
        settings = auto.ProjectSettings(
            name=project,
            runtime="python",
            description=f"Journals of the rollouts of {program.name}; it declares nothing",
            backend=program.backend,
        )
        folder = tempfile.TemporaryDirectory(prefix="rollout-journal-")
        try:
            return cls(
                auto.create_or_select_stack(
                    stack_name=stack,
                    project_name=project,
                    program=lambda: None,
                    opts=auto.LocalWorkspaceOptions(
                        work_dir=folder.name, project_settings=settings, secrets_provider=secrets_provider
                    ),
                ),
                folder,
            )
        except auto.CommandError as error:
            raise RolloutError(f"the journal cannot be opened: {gist(error)}") from error

    def read(self) -> Record | None:
        """Return the record; None before the first rollout. See `ports`."""
        try:
            deployment = self.stack.export_stack().deployment or {}
        except auto.CommandError as error:
            raise JournalFailed(f"the journal cannot be read: {gist(error)}") from error
        for resource in cast("list[dict[str, Any]]", deployment.get("resources") or []):
            written = cast("dict[str, object]", resource.get("outputs") or {}).get(OUTPUT)
            if isinstance(written, str):
                return Record.model_validate_json(written)
        return None

    def change(self, change: Callable[[Record | None], Record]) -> Record:
        """Replace the record by what `change` makes of it, within the backend's lock. See `ports`."""
        done: list[Record] = []
        refused: list[Exception] = []

        def program() -> None:
            try:
                done.append(change(self.read()))
            except Exception as error:
                refused.append(error)
                raise
            pulumi.export(OUTPUT, done[-1].model_dump_json())

        try:
            patiently(self.stack, lambda: self.stack.up(program=program, show_secrets=False), self.departed)
        except auto.CommandError as error:
            if refused:
                raise refused[-1] from None
            raise JournalFailed(f"the journal cannot be written: {gist(error)}") from error
        return done[-1]
