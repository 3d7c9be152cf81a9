"""A refreshed preview: what is there is read from the providers, and held against what Git declares."""

from __future__ import annotations

import re
import runpy
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pulumi import automation as auto
from pulumi.automation import events

from delivery.errors import DeliveryError
from operations.drift import Cause, Difference, Drift
from operations.environments import EnvironmentName

STACK: Final = "pulumi:pulumi:Stack"

_NO_CHANGE: Final = frozenset({"same", "read", "refresh"})
_REPLACING: Final = frozenset({"create-replacement", "delete-replaced", "replace"})
"""Three events of one resource, which is replaced."""

_MARKUP: Final = re.compile(r"<\{%.*?%\}>")
"""The engine's colours."""


@dataclass
class Watch:
    """What a refreshed preview would change, from the engine's events. No value of a property is kept."""

    errors: list[str] = field(default_factory=list[str])
    _changes: dict[str, tuple[str, set[str]]] = field(default_factory=dict[str, tuple[str, set[str]]])
    _outside: set[str] = field(default_factory=set[str])

    def on_event(self, event: events.EngineEvent) -> None:
        """Take one event of the engine."""
        if event.resource_pre_event:
            self._plans(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._refreshed(event.res_outputs_event.metadata)
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            self.errors.append(_MARKUP.sub("", event.diagnostic_event.message).strip())

    def _plans(self, step: events.StepEventMetadata) -> None:
        if step.op.value in _NO_CHANGE or step.type == STACK:
            return
        operation = "replace" if step.op.value in _REPLACING else step.op.value
        _, properties = self._changes.get(step.urn, ("", set[str]()))
        self._changes[step.urn] = (operation, properties | set(step.detailed_diff or step.diffs or ()))

    def _refreshed(self, step: events.StepEventMetadata) -> None:
        """The refresh comes first: what it finds changed, or gone, Pulumi did not leave so."""
        if step.op.value == "refresh" and (step.detailed_diff or step.new is None):
            self._outside.add(step.urn)

    def differences(self) -> tuple[Difference, ...]:
        """What differs, in an order that does not depend on the engine's haste."""
        return tuple(
            Difference(
                operation=operation,
                type=urn.split("::")[2].rsplit("$", 1)[-1],
                name=urn.split("::", 3)[3],
                properties=tuple(sorted(properties)),
                cause=Cause.OUTSIDE if urn in self._outside else Cause.UNDEPLOYED,
            )
            for urn, (operation, properties) in sorted(self._changes.items())
        )


def look(stack: EnvironmentName, work_dir: Path, program: Path) -> Drift:
    """Return where a stack differs from what the files of a checkout declare. Nothing is written, and no lock taken.

    Args:
        stack: its name.
        work_dir: the folder with Pulumi.yaml and the stack files.
        program: the file that is run in this process.

    Raises:
        DeliveryError: there is no such stack or program, or the engine, the program or a provider refuses.
    """
    if not program.is_file():
        raise DeliveryError(f"no program {program}: name it with --program")
    watch = Watch()
    try:
        selected = auto.select_stack(
            stack_name=stack,
            project_name=auto.LocalWorkspace(work_dir=str(work_dir)).project_settings().name,
            program=lambda: _run(program),
            opts=auto.LocalWorkspaceOptions(work_dir=str(work_dir)),
        )
        selected.preview(refresh=True, on_event=watch.on_event)
    except FileNotFoundError as error:
        raise DeliveryError(
            f"no Pulumi.yaml in {work_dir}: name the folder that has it with --work-dir"
        ) from error
    except auto.StackNotFoundError as error:
        raise DeliveryError(
            f"no stack '{stack}' in the backend: bring it up first, with pulumi up"
        ) from error
    except auto.CommandError as error:
        raise DeliveryError("\n".join(dict.fromkeys(watch.errors)) or str(error)) from error
    return Drift(stack=stack, differences=watch.differences())


def _run(program: Path) -> None:
    root = str(program.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    runpy.run_path(str(program), run_name="__main__")
