"""The journal in the stack's own Pulumi backend (docs/adr/0013).

It is the output of a stack of the same name in a project beside the program's, which declares nothing else. The backend
holds that stack's lock while an update of it runs, so what is read within one and written by it is one step: nobody
writes in between, on whatever machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import pulumi
from pulumi import automation as auto
from pydantic import ValidationError

from rollout.engine import LastDriver, gist, patiently, workspace_of
from rollout.errors import JournalFailed, UpdateFailed
from rollout.record import Record

OUTPUT: Final = "rollout"
"""The name of the stack output that is the record."""

PATIENCE_SECONDS: Final = 30
"""How long another write is waited for, which takes seconds: a driver tries again, and meanwhile sees to the traffic."""


@dataclass
class PulumiJournal:
    """The journal of one stack. Who only reads does not make it.

    Attributes:
        name: the stack's.
        settings: of the journals' project.
        encryption: of the stack's secrets, as its file has it. The journal has no secrets, but no stack is updated without a
            key: where the journal's folder did not say which, the engine would ask for a passphrase.
        folder: where the engine keeps that project's file; it goes with the journal.
        last_driver: whose lock may be in the way; None where nobody is known to have one.
    """

    name: str
    settings: auto.ProjectSettings
    encryption: auto.StackSettings
    folder: tempfile.TemporaryDirectory[str] = field(repr=False)
    last_driver: LastDriver | None = None
    _stack: auto.Stack | None = None

    @classmethod
    def of(cls, stack: str, work_dir: Path, encryption: Mapping[str, str]) -> PulumiJournal:
        """Return the journal beside a stack of the project in `work_dir`.

        Args:
            stack: the stack's name.
            work_dir: the folder with the program's Pulumi.yaml.
            encryption: of the stack's secrets, by the keys of its file; empty where the backend or a passphrase sees to it.

        Raises:
            RolloutError: there is no engine or no project.
        """
        program = workspace_of(work_dir).project_settings()
        settings = auto.ProjectSettings(
            name=f"{program.name}-rollout",
            runtime="python",
            description=f"Journals of the rollouts of {program.name}; it declares nothing",
            backend=program.backend,
        )
        folder = tempfile.TemporaryDirectory(prefix="rollout-journal-")
        return cls(
            stack,
            settings,
            auto.StackSettings(
                secrets_provider=encryption.get("secretsprovider"),
                encrypted_key=encryption.get("encryptedkey"),
                encryption_salt=encryption.get("encryptionsalt"),
            ),
            folder,
        )

    def read(self) -> Record | None:
        """Return the record; None before the first rollout. See `ports`."""
        try:
            stack = self._opened(auto.select_stack)
        except auto.StackNotFoundError:
            return None
        try:
            deployment = stack.export_stack().deployment or {}
        except (auto.CommandError, OSError) as error:
            raise JournalFailed(f"the journal cannot be read: {gist(error)}") from error
        for resource in cast("list[dict[str, Any]]", deployment.get("resources") or []):
            written = cast("dict[str, object]", resource.get("outputs") or {}).get(OUTPUT)
            if isinstance(written, str):
                return self._record(written)
        return None

    def change(self, change: Callable[[Record | None], Record]) -> Record:
        """Replace the record by what `change` makes of it, within the backend's lock. See `ports`."""
        stack = self._opened(auto.create_or_select_stack)
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
            patiently(
                stack,
                lambda: stack.up(program=program, show_secrets=False),
                self.last_driver,
                named=f"organization/{self.settings.name}/{self.name}",
                patience_seconds=PATIENCE_SECONDS,
            )
        except UpdateFailed as error:
            raise JournalFailed(f"the journal cannot be written: {error}") from error
        except (auto.CommandError, OSError) as error:
            if refused:
                raise refused[-1] from None
            raise JournalFailed(f"the journal cannot be written: {gist(error)}") from error
        return done[-1]

    def _opened(self, way: Callable[..., auto.Stack]) -> auto.Stack:
        """The stack, found or made by a function of the Automation API.

        Raises:
            auto.StackNotFoundError: there is none, and it was not to be made.
            JournalFailed: the backend refuses.
        """
        if self._stack is None:
            try:
                self._stack = way(
                    stack_name=self.name,
                    project_name=self.settings.name,
                    program=lambda: None,
                    opts=auto.LocalWorkspaceOptions(
                        work_dir=self.folder.name,
                        project_settings=self.settings,
                        secrets_provider=self.encryption.secrets_provider,
                        stack_settings={self.name: self.encryption},
                    ),
                )
            except auto.StackNotFoundError:
                raise
            except (auto.CommandError, OSError) as error:
                raise JournalFailed(f"the journal cannot be opened: {gist(error)}") from error
        return self._stack

    def _record(self, written: str) -> Record:
        try:
            return Record.model_validate_json(written)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(map(str, fault["loc"])) or "all of it"
            raise JournalFailed(
                f"the journal of '{self.name}' cannot be understood, at {where}: {fault['msg']}. Another version of this tool "
                "wrote it: use that one until the rollout has ended, then remove the journal, with "
                f"pulumi stack rm --force --stack organization/{self.settings.name}/{self.name}"
            ) from error
