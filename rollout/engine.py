"""The Pulumi engine, driven through the Automation API: previews that are read, updates, and the lock on a stack."""

from __future__ import annotations

import os
import re
import runpy
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from pulumi import automation as auto
from pulumi.automation import events

from rollout.errors import RolloutError, UpdateFailed

LOCK_PATIENCE_SECONDS: Final = 600
"""How long another update of the same stack is waited for."""

LOCK_POLL_SECONDS: Final = 3

STACK: Final = "pulumi:pulumi:Stack"

_UNCHANGED: Final = frozenset({"same", "read", "refresh"})
_MARKUP: Final = re.compile(r"<\{%.*?%\}>")
_HOLDER: Final = re.compile(r"created by \S+@(?P<host>\S+) \(pid (?P<pid>\d+)\)")
_WORDS_AROUND: Final = (
    "python inline source runtime error",
    "an unhandled error occurred",
    "preview failed",
    "update failed",
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Step:
    """One resource that a preview would change."""

    operation: str
    urn: str
    ancestors: tuple[str, ...]
    """URNs of its components, from the nearest to the outermost."""
    properties: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """The type token."""
        return self.urn.split("::")[2].rsplit("$", 1)[-1]

    def __str__(self) -> str:
        what = f" ({', '.join(self.properties)})" if self.properties else ""
        return f"{self.operation} {self.type} {self.urn.split('::', 3)[3]}{what}"


@dataclass
class Plan:
    """What a preview would do, from the engine's events. Of their messages only errors are kept: others may hold secrets."""

    errors: list[str] = field(default_factory=list[str])
    _steps: dict[str, tuple[str, tuple[str, ...]]] = field(
        default_factory=dict[str, tuple[str, tuple[str, ...]]]
    )
    _parents: dict[str, str] = field(default_factory=dict[str, str])

    def on_event(self, event: events.EngineEvent) -> None:
        """Take one event of the engine."""
        if event.resource_pre_event:
            step = event.resource_pre_event.metadata
            state = step.new or step.old
            self._parents[step.urn] = state.parent if state else ""
            if step.op.value not in _UNCHANGED and step.type != STACK:
                details = sorted(step.detailed_diff or {}) or list(step.diffs or [])
                self._steps[step.urn] = (step.op.value, tuple(details))
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            message = _MARKUP.sub("", event.diagnostic_event.message).strip()
            if message and not message.startswith(_WORDS_AROUND):
                self.errors.append(message.splitlines()[0] if "Traceback" in message else message)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What would change, without the stack's outputs."""
        return tuple(
            Step(operation, urn, self._ancestors(urn), properties)
            for urn, (operation, properties) in self._steps.items()
        )

    def _ancestors(self, urn: str) -> tuple[str, ...]:
        parent = self._parents.get(urn, "")
        return (parent, *self._ancestors(parent)) if parent else ()


@dataclass(frozen=True)
class Resource:
    """One resource in a stack's state."""

    urn: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    @property
    def type(self) -> str:
        """The type token."""
        return self.urn.split("::")[2].rsplit("$", 1)[-1]

    @property
    def name(self) -> str:
        """The name in the program."""
        return self.urn.split("::", 3)[3]


@dataclass(frozen=True)
class Engine:
    """One stack of the program, and the folder with its files."""

    stack: auto.Stack

    @classmethod
    def of(cls, stack: str, work_dir: Path, program: Path) -> Engine:
        """Return the stack of the project in `work_dir`, whose program runs in this process.

        Raises:
            RolloutError: there is no such stack, project or program.
        """
        if not program.is_file():
            raise RolloutError(f"no program {program}: name it with --program")

        def run() -> None:
            root = str(program.parent)
            if root not in sys.path:
                sys.path.insert(0, root)
            runpy.run_path(str(program), run_name="__main__")

        try:
            return cls(
                auto.select_stack(
                    stack_name=stack,
                    project_name=project_of(work_dir),
                    program=run,
                    opts=auto.LocalWorkspaceOptions(work_dir=str(work_dir)),
                )
            )
        except auto.StackNotFoundError as error:
            raise RolloutError(f"no stack '{stack}': bring it up first, with pulumi up") from error
        except auto.CommandError as error:
            raise RolloutError(gist(error)) from error

    def preview(self, text: str, file_name: str, target: Sequence[str] | None = None) -> Plan:
        """Return what an update would do if the stack file had this text.

        Args:
            text: of the stack file.
            file_name: its name.
            target: URNs that the update is limited to; None does not limit it.

        Raises:
            UpdateFailed: the program or a provider refuses.
        """
        plan = Plan()
        with tempfile.TemporaryDirectory(prefix="rollout-") as folder:
            # Only read: the stack's own file is changed once it is known that nothing else would.
            file = Path(folder) / file_name
            file.touch(mode=0o600)
            file.write_text(text)
            self._run(
                plan,
                lambda: self.stack.preview(
                    on_event=plan.on_event, config_file=str(file), target=list(target) if target else None
                ),
            )
        return plan

    def up(self, message: str, target: Sequence[str] | None = None) -> None:
        """Update the stack.

        Raises:
            UpdateFailed: it broke off.
        """
        plan = Plan()
        self._run(
            plan,
            lambda: self.stack.up(
                on_event=plan.on_event,
                message=message,
                show_secrets=False,
                target=list(target) if target else None,
            ),
        )

    def refresh(self, target: Sequence[str]) -> None:
        """Read resources back from their providers into the state.

        Raises:
            UpdateFailed: they cannot be read.
        """
        plan = Plan()
        self._run(
            plan, lambda: self.stack.refresh(target=list(target), on_event=plan.on_event, show_secrets=False)
        )

    def resources(self) -> list[Resource]:
        """Return the stack's state. Its secrets are in it, each marked as one: nothing of it is to be shown whole.

        Raises:
            UpdateFailed: it cannot be read.
        """
        deployment = self._run(Plan(), self.stack.export_stack).deployment or {}
        return [
            Resource(
                str(found["urn"]),
                cast("dict[str, Any]", found.get("inputs") or {}),
                cast("dict[str, Any]", found.get("outputs") or {}),
            )
            for found in cast("list[dict[str, Any]]", deployment.get("resources") or [])
        ]

    def _run(self, plan: Plan, operation: Callable[[], Result]) -> Result:
        try:
            return patiently(self.stack, operation)
        except auto.CommandError as error:
            raise UpdateFailed("; ".join(dict.fromkeys(plan.errors)) or gist(error)) from error


def patiently(stack: auto.Stack, operation: Callable[[], Result]) -> Result:
    """Run an operation of the engine, waiting while another one has the stack.

    The lock of an engine on this machine that was killed is lifted: nobody else will.

    Raises:
        RolloutError: the stack is still in use after ten minutes.
        auto.CommandError: the operation failed.
    """
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            return operation()
        except auto.ConcurrentUpdateError as error:
            if _dead(str(error)):
                stack.cancel()
            elif time.monotonic() >= deadline:
                raise UpdateFailed(
                    f"{stack.name} has been in use for ten minutes; if nobody works on it: pulumi cancel --stack {stack.name}"
                ) from error
            else:
                time.sleep(LOCK_POLL_SECONDS)


def project_of(work_dir: Path) -> str:
    """Return the name of the project in a folder.

    Raises:
        RolloutError: there is none.
    """
    try:
        return auto.LocalWorkspace(work_dir=str(work_dir)).project_settings().name
    except FileNotFoundError as error:
        raise RolloutError(
            f"no Pulumi.yaml in {work_dir}: name the folder that has it with --work-dir"
        ) from error


def gist(error: Exception) -> str:
    """Return what the engine's command line said went wrong, without its progress."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(line for line in lines if line.startswith("error:")) or (
        lines[-1] if lines else repr(error)
    )


def _dead(message: str) -> bool:
    """Whether every holder of a lock is a process of this machine that has ended."""
    holders = list(_HOLDER.finditer(message))
    return bool(holders) and all(
        holder["host"] == socket.gethostname() and not runs(int(holder["pid"])) for holder in holders
    )


def runs(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # A zombie has ended; its parent has not looked yet.
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
