"""The Pulumi engine, driven through the Automation API: previews that are read, updates, and the lock on a stack."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import unquote, urlparse

from pulumi import automation as auto
from pulumi.automation import events

from operations.environments import EnvironmentName
from operations.guardrails import POLICY_PACK, level
from operations.preview.digest import Violation
from operations.preview.steps import STACK, State, Step, name_of, type_of
from rollout.errors import RolloutError, UpdateFailed

LOCK_PATIENCE_SECONDS: Final = 600
"""How long another update of the same stack is waited for."""

LOCK_POLL_SECONDS: Final = 3

INSTALL: Final = ": install the Pulumi CLI, https://www.pulumi.com/docs/install/"

SIGN_IN: Final = "this machine is not signed in to the stacks' backend: pulumi login s3://..., or the same address in PULUMI_BACKEND_URL"
"""Of what the engine asks for instead, a token of Pulumi Cloud, there is none where a bucket keeps the state."""

WORLD: Final = "REHEARSAL_WORLD"
"""The environment variable in which a rehearsal tells its recorder where that file is."""

_REPLACING: Final = frozenset({"create-replacement", "delete-replaced", "replace"})
"""Three events of one resource, which is replaced."""

_MARKUP: Final = re.compile(r"<\{%.*?%\}>")
_HOLDER: Final = re.compile(r"created by \S+@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<at>\S+)")
"""The holder of a lock, as the engine tells it. Source:
https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/backend/diy/lock.go"""
_WORDS_AROUND: Final = ("an unhandled error occurred: ", "python inline source runtime error: ")
_LAST_WORDS: Final = frozenset({"preview failed", "update failed"})

Result = TypeVar("Result")


@dataclass
class Plan:
    """What a preview would do, from the engine's events. Of their messages only errors are kept: others may hold secrets."""

    errors: list[str] = field(default_factory=list[str])
    violations: list[Violation] = field(default_factory=list[Violation])
    outside: set[str] = field(default_factory=set[str])
    """URNs of what a refresh found changed or gone: Pulumi did not leave it so."""
    outputs: tuple[Mapping[str, Any], Mapping[str, Any]] = field(default=({}, {}), repr=False)
    """The stack's outputs before and after; after is empty, or as before, until the program has run to its end."""
    _steps: dict[str, Step] = field(default_factory=dict[str, Step])
    _parents: dict[str, str] = field(default_factory=dict[str, str])

    def on_event(self, event: events.EngineEvent) -> None:
        """Take one event of the engine."""
        if event.resource_pre_event:
            self._planned(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._told(event.res_outputs_event.metadata)
        elif event.policy_event:
            self.violations.append(_violation(event.policy_event))
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            self._failed(event.diagnostic_event)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What would change, without the stack's outputs."""
        return tuple(step for step in self.resources if step.changes)

    @property
    def resources(self) -> tuple[Step, ...]:
        """Every resource, whether it changes or not, without the stack."""
        return tuple(
            replace(step, ancestors=self._ancestors(urn))
            for urn, step in self._steps.items()
            if step.type != STACK
        )

    def _planned(self, metadata: events.StepEventMetadata) -> None:
        operation = metadata.op.value
        if operation == "refresh":
            return
        urn = metadata.urn
        if state := metadata.new or metadata.old:
            self._parents[urn] = state.parent
        earlier = self._steps.get(urn, Step(operation, urn, ()))
        details = sorted(metadata.detailed_diff or {}) or list(metadata.diffs or [])
        self._steps[urn] = Step(
            operation="replace" if operation in _REPLACING else operation,
            urn=urn,
            ancestors=(),
            properties=tuple(dict.fromkeys((*earlier.properties, *details))),
            before=_state(metadata.old),
            after=earlier.after or _state(metadata.new),
        )

    def _told(self, metadata: events.StepEventMetadata) -> None:
        if metadata.op.value == "refresh":
            if metadata.detailed_diff or metadata.new is None:
                self.outside.add(metadata.urn)
        elif metadata.type == STACK:
            # Told several times; the last time, when the program has run to its end, with its outputs.
            before, after = (state.outputs if state else None for state in (metadata.old, metadata.new))
            self.outputs = (before or {}, after or {})

    def _failed(self, diagnostic: events.DiagnosticEvent) -> None:
        message = _MARKUP.sub("", diagnostic.message).strip()
        # What a program raises is told twice, in other words around it, and then that the preview failed.
        for words in _WORDS_AROUND:
            message = message.removeprefix(words)
        if "Traceback" in message:
            message = message.splitlines()[0]
        if about := _resource(diagnostic.urn or ""):
            message = f"{about}: {message}"
        elif message in _LAST_WORDS:
            return
        if message and message not in self.errors:
            self.errors.append(message)

    def _ancestors(self, urn: str) -> tuple[str, ...]:
        parent = self._parents.get(urn, "")
        return (parent, *self._ancestors(parent)) if parent else ()


def _state(state: events.StepEventStateMetadata | None) -> State | None:
    return None if state is None else State(inputs=state.inputs or {}, protect=bool(state.protect))


def _violation(event: events.PolicyEvent) -> Violation:
    return Violation(
        policy=event.policy_name,
        mandatory=event.enforcement_level == "mandatory",
        resource=_resource(event.resource_urn or ""),
        message=_MARKUP.sub("", event.message).strip(),
    )


def _resource(urn: str) -> str:
    """Type and name of a resource; nothing for the stack itself."""
    return "" if not urn or type_of(urn) == STACK else f"{type_of(urn)} {name_of(urn)}"


@dataclass(frozen=True)
class Resource:
    """One resource in a stack's state."""

    urn: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    @property
    def type(self) -> str:
        """The type token."""
        return type_of(self.urn)

    @property
    def name(self) -> str:
        """The name in the program."""
        return name_of(self.urn)


@dataclass(frozen=True)
class LastDriver:
    """Whom the journal names, as far as it says whose locks may be lifted."""

    host: str
    here: bool
    """Whether that is this machine since it was started, and not another one of its name."""
    expired: datetime | None
    """When its lease ran out; None while it may be alive."""


@dataclass(frozen=True)
class Engine:
    """One stack of the program, and the folder with its files.

    Attributes:
        stack: as the Automation API has it.
        guardrails: the folder of the program's policy pack and the file that says how firmly the stack is held to it; None
            where the program has none.
        last_driver: whose locks may be in the way; None where nobody is known to have any.
    """

    stack: auto.Stack
    guardrails: tuple[Path, Path] | None = None
    last_driver: LastDriver | None = None

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
                    project_name=workspace_of(work_dir).project_settings().name,
                    program=run,
                    opts=auto.LocalWorkspaceOptions(work_dir=str(work_dir)),
                ),
                guardrails_of(stack, program.parent),
            )
        except auto.StackNotFoundError as error:
            raise RolloutError(f"no stack '{stack}': bring it up first, with pulumi up") from error
        except auto.CommandError as error:
            raise RolloutError(gist(error)) from error

    def preview(self, text: str, target: Sequence[str] | None = None) -> Plan:
        """Return what an update would do if the stack file had this text.

        Args:
            text: of the stack file.
            target: URNs that the update is limited to; None does not limit it.

        Raises:
            UpdateFailed: the program, a provider or a guardrail refuses.
        """
        plan = Plan()
        self._preview(plan, text, self._packs(target), target=target)
        return plan

    def look(
        self,
        plan: Plan,
        *,
        refresh: bool = False,
        guarded: bool = False,
        text: str | None = None,
    ) -> None:
        """Let a plan hear what an update would do. Nothing is written, and no lock taken.

        Args:
            plan: hears everything until the end, or until it failed.
            refresh: whether what is there is read from the providers first.
            guarded: whether the guardrails are asked.
            text: of the stack file, where it is not to be the file's own.

        Raises:
            UpdateFailed: the program, a provider or a guardrail refuses.
        """
        self._preview(plan, text, self._packs() if guarded else (None, None), refresh=refresh)

    def up(self, message: str, target: Sequence[str] | None = None) -> None:
        """Update the stack.

        Args:
            message: why; the history of the stack keeps it.
            target: URNs that the update is limited to; None does not limit it.

        Raises:
            UpdateFailed: it broke off, or a guardrail refuses it.
        """
        plan = Plan()
        pack, levels = self._packs(target)
        self._run(
            plan,
            lambda: self.stack.up(
                on_event=plan.on_event,
                message=message,
                show_secrets=False,
                target=list(target) if target else None,
                policy_packs=pack,
                policy_pack_configs=levels,
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

        What was replaced, and is still to be deleted since the update broke off, is left out: another one has its name.

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
            if not found.get("delete")
        ]

    def _preview(
        self,
        plan: Plan,
        text: str | None,
        packs: tuple[list[str] | None, list[str] | None],
        *,
        refresh: bool = False,
        target: Sequence[str] | None = None,
    ) -> None:
        pack, levels = packs

        def operation() -> None:
            with nullcontext() if text is None else _private(text, f"Pulumi.{self.stack.name}.yaml") as file:
                self.stack.preview(
                    refresh=refresh,
                    target=list(target) if target else None,
                    policy_packs=pack,
                    policy_pack_configs=levels,
                    config_file=file,
                    on_event=plan.on_event,
                )

        self._run(plan, operation)

    def _packs(self, target: Sequence[str] | None = None) -> tuple[list[str] | None, list[str] | None]:
        """Guardrails as the engine takes them: folders, and a file for each. None where the update is limited: that is the way
        back, which waits for nobody."""
        if self.guardrails is None or target:
            return None, None
        pack, levels = self.guardrails
        return [str(pack)], [str(levels)]

    def _run(self, plan: Plan, operation: Callable[[], Result]) -> Result:
        try:
            return patiently(self.stack, operation, self.last_driver)
        except auto.CommandError as error:
            # Of a guardrail's message the last line says what is wrong with which resource.
            refused = [
                f"policy {violation.policy}: {violation.message.splitlines()[-1]}"
                for violation in plan.violations
                if violation.mandatory
            ]
            raise UpdateFailed("; ".join(dict.fromkeys(plan.errors + refused)) or gist(error)) from error
        except OSError as error:  # of a temporary file, mostly
            raise UpdateFailed(f"the engine cannot be run here: {error}") from error


@contextmanager
def _private(text: str, file_name: str) -> Generator[str]:
    """Return a file with this text that nobody else may read, and that is only read: the stack's own file is changed once
    it is known what that would do."""
    with tempfile.TemporaryDirectory(prefix="rollout-") as folder:
        file = Path(folder) / file_name
        file.touch(mode=0o600)
        file.write_text(text)
        yield str(file)


def guardrails_of(stack: str, root: Path) -> tuple[Path, Path] | None:
    """Return the folder of a program's policy pack, and the file that says how firmly a stack is held to it, if it has one."""
    pack = (root / POLICY_PACK).resolve()  # where its Python is, is found from there
    named = EnvironmentName(stack) if stack in set(EnvironmentName) else None
    return (pack, pack / level(named).file) if (pack / "PulumiPolicy.yaml").is_file() else None


def patiently(
    stack: auto.Stack,
    operation: Callable[[], Result],
    last_driver: LastDriver | None = None,
    *,
    named: str | None = None,
    patience_seconds: float = LOCK_PATIENCE_SECONDS,
) -> Result:
    """Run an operation of the engine, waiting while another one has the stack.

    The lock of an engine that is known to have died is lifted: nobody else will.

    Args:
        stack: whose lock it is.
        operation: what is run.
        last_driver: whom the journal names, if anybody.
        named: the stack's name, where it is not to be found by its own.
        patience_seconds: how long others are waited for.

    Raises:
        UpdateFailed: the stack is still in use then.
        auto.CommandError: the operation failed.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            return operation()
        except auto.ConcurrentUpdateError as error:
            if dead(str(error), last_driver):
                stack.cancel()
            elif time.monotonic() >= deadline:
                name = named or stack.name
                raise UpdateFailed(
                    f"{name} is still in use after {timedelta(seconds=patience_seconds)}; if nobody works on it: "
                    f"pulumi cancel --stack {name}"
                ) from error
            else:
                time.sleep(LOCK_POLL_SECONDS)


def workspace_of(work_dir: Path) -> auto.LocalWorkspace:
    """Return the engine's workspace in the folder of a project.

    Raises:
        RolloutError: there is no engine, or no project.
    """
    if shutil.which("pulumi") is None:
        raise RolloutError(f"no pulumi on PATH{INSTALL}")
    try:
        workspace = auto.LocalWorkspace(work_dir=str(work_dir))
    except auto.InvalidVersionError as error:
        raise RolloutError(f"{str(error).rstrip('.')}{INSTALL}") from error
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError) as error:
        raise RolloutError(f"the pulumi on PATH does not run: {str(error).rstrip('.')}{INSTALL}") from error
    try:
        workspace.project_settings()
    except FileNotFoundError as error:
        raise RolloutError(
            f"no Pulumi.yaml in {work_dir}: name the folder that has it with --work-dir"
        ) from error
    except Exception as error:
        # The parser's own, and whatever its reader comes to where it is something else.
        raise RolloutError(
            f"{work_dir / 'Pulumi.yaml'} is no project: {' '.join(str(error).split()) or type(error).__name__}; "
            "allowed is a mapping with the keys name and runtime"
        ) from error
    return workspace


def is_rehearsed() -> bool:
    """Whether the backend is a rehearsal's own: the folder on this machine beside what the rehearsal made up of the world.

    `PULUMI_BACKEND_URL` goes before whatever else names a backend.
    Source: https://www.pulumi.com/docs/iac/cli/environment-variables/
    """
    backend, world = urlparse(os.environ.get("PULUMI_BACKEND_URL", "")), Path(os.environ.get(WORLD, ""))
    state = world.parent / "state"
    return (
        backend.scheme == "file"
        and world.is_file()
        and state.is_dir()
        and state.resolve() == Path(unquote(backend.path)).resolve()
    )


def gist(error: Exception) -> str:
    """Return what the engine's command line said went wrong, without its progress."""
    _, _, told = str(error).rpartition("\n stderr: ")  # before it is what the Automation API puts around
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    if any("PULUMI_ACCESS_TOKEN must be set" in line for line in lines):
        return SIGN_IN
    # Below an error is what it is about, or what to do.
    begins = next((place for place, line in enumerate(lines) if line.startswith("error:")), len(lines) - 1)
    return "; ".join(lines[max(begins, 0) :]) or repr(error)


def dead(message: str, last_driver: LastDriver | None = None) -> bool:
    """Whether every holder of a lock has ended: it is a process of this machine that is gone, or what a driver of another one
    had locked before its lease ran out.

    A lock names its holder's host, and nothing that tells two machines of one name apart: where the journal knows of another
    machine that bears this one's, no lock is taken for that of a process here.

    Args:
        message: in which the engine tells the holders.
        last_driver: whom the journal names, if anybody. What its machine has locked since is somebody else's.
    """
    here = socket.gethostname()

    def ended(holder: re.Match[str]) -> bool:
        drove = last_driver is not None and holder["host"] == last_driver.host
        if holder["host"] == here and (last_driver is None or not drove or last_driver.here):
            return not runs(int(holder["pid"]))
        return (
            last_driver is not None
            and drove
            and last_driver.expired is not None
            and datetime.fromisoformat(holder["at"]) <= last_driver.expired
        )

    holders = list(_HOLDER.finditer(message))
    return bool(holders) and all(ended(holder) for holder in holders)


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
