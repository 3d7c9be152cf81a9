"""One rehearsal of one stack: the control plane, the engine and the program, brought together."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pulumi import automation as auto
from rich.console import Console
from rich.table import Table

from rehearsal.certificates import write_private
from rehearsal.control_plane import ControlPlane, Nodes
from rehearsal.engine import Engine, checkpoint_of, clear_dead_update, only_one
from rehearsal.errors import RehearsalError
from rehearsal.events import STREAMED, EventLog
from rehearsal.narration import Watch, changed_lines, changes_table, outputs_table
from rehearsal.picture import mermaid
from rehearsal.processes import Daemons
from rehearsal.project import Project
from rehearsal.recover.leftovers import Leftovers
from rehearsal.toolchain import ToolSet, ensure

Result = TypeVar("Result")

CLUSTER_TYPE = "aws:eks/cluster:Cluster"
"""The resource whose recorded outputs lead the program to the local API server."""


@dataclass(frozen=True)
class Rehearsal:
    """A stack of a project, brought up on this machine.

    Attributes:
        project: the program and its stack files; only read.
        stack: the stack's name.
        console: where a person reads what happens.
    """

    project: Project
    stack: str
    console: Console

    @property
    def directory(self) -> Path:
        """Everything that this rehearsal leaves on disk; `down` removes it."""
        return self.project.home / self.stack

    @property
    def _lock(self) -> Path:
        """Beside the folder and not in it: `down` holds it while the folder goes."""
        return self.project.home / f"{self.stack}.lock"

    def plane(self, tools: Mapping[str, Path]) -> ControlPlane:
        """The local Kubernetes control plane of this stack, with nodes in three zones of the stack's region."""
        region = self.project.region(self.stack)
        nodes = Nodes(region=region, zones=[f"{region}{letter}" for letter in "abc"])
        return ControlPlane(self.directory / "cluster", tools, nodes)

    def preview(self, log: EventLog | None = None) -> Watch:
        """Show what `up` would do; manifests are judged by the real API server.

        Args:
            log: keeps the engine's events, until it failed if it does.

        Raises:
            RehearsalError: the program, the engine or the API server refuses the stack.
        """
        with self.entered() as stack:
            return self._preview(stack, log)

    def up(self) -> Watch:
        """Preview, bring the stack up, and show the outputs.

        Raises:
            RehearsalError: something was refused or failed; what was done so far is kept, and the next `up` goes on.
        """
        with self.entered() as stack:
            planned = self._preview(stack)
            with Watch(self.console, "up", total=len(planned.steps)) as watch:
                result = self.run(
                    watch,
                    lambda: stack.up(
                        on_event=watch.on_event, show_secrets=False, **self.project.policies(self.stack)
                    ),
                )
            self.console.print(changes_table(watch, f"\n{self.stack} is up"))
            self.console.print(outputs_table(result.outputs, "\nOutputs"))
            self.console.print(
                f"\nkubectl works at once:  export KUBECONFIG={self.plane({}).kubeconfig}",
                highlight=False,
                soft_wrap=True,
            )
            return watch

    def settle(self, stack: auto.Stack) -> None:
        """Bring a stack that is up in line with the program, where that has changed since.

        Raises:
            RehearsalError: something was refused or failed.
        """
        with Watch(self.console, "preview") as watch:
            planned = self.run(
                watch, lambda: stack.preview(on_event=watch.on_event, **self.project.policies(self.stack))
            )
        if set(planned.change_summary) <= {auto.OpType.SAME}:
            return
        with Watch(self.console, "up", total=len(watch.steps)) as watch:
            self.run(
                watch,
                lambda: stack.up(
                    on_event=watch.on_event, show_secrets=False, **self.project.policies(self.stack)
                ),
            )
        self.console.print(changes_table(watch, f"\n{self.stack} is in line with the program"))

    def down(self) -> None:
        """End every process of the rehearsal and remove its state."""
        if not self.directory.is_dir():
            self.console.print(f"The rehearsal of '{self.stack}' is not up.")
            return
        with only_one(self._lock, self.stack):
            clear_dead_update(self.directory)
            Daemons(self.directory / "canary").stop(("prometheus",))
            self.plane({}).stop(remove=True)
            shutil.rmtree(self.directory)
        self._lock.unlink(missing_ok=True)
        self.console.print(f"The rehearsal of '{self.stack}' is down: no process and no state is left.")

    def describe(self) -> None:
        """Print what runs for this stack, what the engine's state holds and where the kubeconfig is."""
        plane = self.plane({})
        status = plane.status()
        ready = (
            "[green]ready[/]"
            if status.ready
            else "[red]not ready[/]; mend it: rehearse up --stack " + self.stack
        )
        table = Table(
            title=f"{self.stack}: control plane {ready}",
            title_justify="left",
            show_edge=False,
            pad_edge=False,
        )
        table.add_column("part", style="cyan")
        table.add_column("process", justify="right")
        table.add_column("log", overflow="fold")
        for daemon in status.daemons:
            table.add_row(daemon.name, str(daemon.pid or "[red]not running[/]"), str(daemon.log))
        self.console.print(table)
        self.console.print(f"{len(self._recorded())} resources in the state")
        self.console.print(f"export KUBECONFIG={plane.kubeconfig}\n", soft_wrap=True)

    def draw(self) -> str:
        """A picture of what the program declared, as the engine's state holds it: a Mermaid flowchart.

        Raises:
            RehearsalError: the stack is not up.
        """
        resources = self._recorded()
        if not resources:
            raise RehearsalError(f"'{self.stack}' is not up: rehearse up --stack {self.stack}, then draw it.")
        return mermaid(resources)

    @property
    def checkpoint(self) -> Path:
        """The file that holds the engine's state of this stack; it is there once the stack was up."""
        return checkpoint_of(self.directory / "state", self.project.name, self.stack)

    def _recorded(self) -> list[dict[str, Any]]:
        if not self.checkpoint.is_file():
            return []
        latest: dict[str, Any] = json.loads(self.checkpoint.read_text())["checkpoint"].get("latest") or {}
        return latest.get("resources") or []

    @contextmanager
    def entered(self) -> Generator[auto.Stack]:
        """Everything in place for the engine: tools, control plane, plugins, project files, secrets; the stack is ours alone."""
        self.project.stack_file(self.stack)
        with only_one(self._lock, self.stack):
            tools = ensure(ToolSet.PULUMI, ToolSet.KUBERNETES, ToolSet.KWOK, console=self.console)
            plane = self.plane(tools)
            with self.console.status("starting the control plane"):
                plane.start()
            passphrase = self._passphrase()
            work = self.directory / "project"
            made_up = self.project.copy_to(work, self.stack, passphrase.read_text())
            engine = Engine(self.directory, tools["pulumi"], work, plane.directory / "token")
            engine.install(world=_world(plane), passphrase=passphrase)
            stack = engine.stack(self.stack, self.project.name, self.project.program)
            if made_up:
                stack.set_all_config(
                    {key: auto.ConfigValue(value, secret=True) for key, value in made_up.items()}
                )
            Leftovers(self.directory).mend(self.checkpoint, lambda: self.refresh(stack))
            yield stack

    def refresh(self, stack: auto.Stack) -> None:
        """Read what is really there into the state; what is gone leaves it.

        Raises:
            RehearsalError: it cannot be read.
        """
        with Watch(self.console, "refresh") as watch:
            self.run(watch, lambda: stack.refresh(on_event=watch.on_event, show_secrets=False))

    def _preview(self, stack: auto.Stack, log: EventLog | None = None) -> Watch:
        if log is not None:
            log.start()
            stack.workspace.env_vars = {**stack.workspace.env_vars, **STREAMED}
        with Watch(self.console, "preview") as watch:
            self.run(
                watch,
                lambda: stack.preview(
                    on_event=watch.on_event,
                    on_output=log and log.take,
                    json=log is not None,
                    **self.project.policies(self.stack),
                ),
            )
        self.console.print(changes_table(watch, f"\nPreview of {self.stack}"))
        for line in changed_lines(watch):
            self.console.print(line, highlight=False, soft_wrap=True)
        return watch

    def run(self, watch: Watch, operation: Callable[[], Result]) -> Result:
        """Let the engine do something that `watch` follows.

        Raises:
            RehearsalError: it was refused or failed, for the reasons that the engine gave.
        """
        try:
            return operation()
        except auto.CommandError as error:
            reasons = watch.errors or [
                line for line in str(error).splitlines() if line.strip().startswith("error:")
            ]
            raise RehearsalError("\n".join(reasons or str(error).splitlines()[-3:])) from error

    def _passphrase(self) -> Path:
        path = self.directory / "passphrase"
        if not path.is_file():
            fresh = path.with_suffix(".new")
            write_private(fresh, secrets.token_urlsafe(32).encode())
            fresh.replace(path)
        return path


def _world(plane: ControlPlane) -> Mapping[str, Mapping[str, object]]:
    return {
        CLUSTER_TYPE: {
            "endpoint": plane.endpoint,
            "certificateAuthority": {"data": plane.certificate_authority},
        }
    }


def standing(project: Project) -> list[str]:
    """The stacks of a project that have a rehearsal on this machine."""
    return [stack for stack in project.stacks if (project.home / stack).is_dir()]
