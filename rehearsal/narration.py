"""What a person sees: progress while the engine works, and a summary worth reading at the end."""

from __future__ import annotations

import collections
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pulumi import automation as auto
from pulumi.automation import events
from rich.console import Console
from rich.markup import escape, render
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

CHANGES = {
    "create": "[green]+ create[/]",
    "update": "[yellow]~ update[/]",
    "replace": "[magenta]± replace[/]",
    "delete": "[red]- delete[/]",
    "same": "[dim]  unchanged[/]",
}
"""The engine's operations as a person reads them; steps inside a replacement count once, as ``replace``."""

PLAIN_STEP = 25
"""Where the output is no terminal, a line is printed each so many resources."""

INLINE_CHARACTERS = 80
"""An output with fields is one row where it fits into so many characters, else a row a field."""

DEEPEST_ROW = 2
"""Steps below an output from which on everything is one row, however long: a table is for reading."""

_CLOSING_WORDS = ("preview failed", "update failed")
"""What the engine says after the reasons, and a person knows by then."""

_MARKUP = re.compile(r"<\{%.*?%\}>")


def resource_name(urn: str) -> str:
    """``type name`` of a URN: ``aws:ec2/vpc:Vpc network``."""
    parts = urn.split("::", 3)
    return f"{parts[2].rsplit('$', 1)[-1]} {parts[3]}" if len(parts) == 4 else urn


@dataclass
class Watch:
    """Follows the engine's events of one preview or update.

    Attributes:
        console: where progress goes.
        title: what is going on, in a word.
        total: how many resources are expected, where a preview has counted them.
    """

    console: Console
    title: str
    total: int | None = None
    steps: dict[str, tuple[str, Sequence[str]]] = field(default_factory=dict[str, tuple[str, Sequence[str]]])
    errors: list[str] = field(default_factory=list[str])
    _done: set[str] = field(default_factory=set[str])
    _started: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Watch:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[latest]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._progress.add_task(self.title, total=self.total, latest="")
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_event(self, event: events.EngineEvent) -> None:
        """Take one event of the engine."""
        if event.resource_pre_event:
            self._planned(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._finished(event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            self._finished(event.res_op_failed_event.metadata)
        elif event.diagnostic_event:
            self._heard(event.diagnostic_event)
        elif event.policy_event:
            self._violated(event.policy_event)

    def _planned(self, step: events.StepEventMetadata) -> None:
        operation = step.op.value.removesuffix("-replacement").removeprefix("create-")
        if operation in CHANGES and step.type != "pulumi:pulumi:Stack" and step.op.value != "delete-replaced":
            details = sorted(step.detailed_diff or {}) or list(step.diffs or [])
            self.steps[step.urn] = (operation, details)
        self._progress.update(self._task, latest=escape(resource_name(step.urn)))

    def _finished(self, step: events.StepEventMetadata) -> None:
        if step.urn in self._done:  # a component tells its outputs a second time
            return
        self._done.add(step.urn)
        done = len(self._done)
        self._progress.update(self._task, completed=done)
        if not self.console.is_terminal and done % PLAIN_STEP == 0:
            of = f" of {self.total}" if self.total else ""
            self.console.print(
                f"  {self.title}: {done}{of} resources, {time.monotonic() - self._started:.0f} s"
                f" (now {escape(resource_name(step.urn))})",
                highlight=False,
                soft_wrap=True,
            )

    def _heard(self, diagnostic: events.DiagnosticEvent) -> None:
        message = _plain(diagnostic.message)
        if not message or diagnostic.ephemeral or message in _CLOSING_WORDS:
            return
        about = resource_name(diagnostic.urn) if diagnostic.urn else ""
        about = "" if about.startswith("pulumi:pulumi:Stack") else about
        if diagnostic.severity == "error":
            line = f"{about}: {message}" if about else message
            # The engine reports a program's own failure a second time, in a sentence around it.
            if not any(heard in line for heard in self.errors):
                self.errors.append(line)
        elif diagnostic.severity == "warning":
            self._say(f"[yellow]warning[/] {escape(f'{about} {message}'.strip())}")

    def _violated(self, violation: events.PolicyEvent) -> None:
        """Of a rule's message the last line says what is wrong with which resource; before it stands what the rule is about."""
        about = _plain(violation.message).splitlines()[-1]
        if violation.enforcement_level == "mandatory":
            self.errors.append(f"policy {violation.policy_name}: {about}")
        else:
            self._say(f"[yellow]warning[/] policy {violation.policy_name}: {escape(about)}")

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many resources each operation met."""
        return collections.Counter(operation for operation, _ in self.steps.values())


def changes_table(watch: Watch, title: str) -> Table:
    """Counts by operation and provider, and under them every update and replacement with the properties that differ."""
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("change")
    table.add_column("resources", justify="right")
    table.add_column("of")
    by_operation: dict[str, collections.Counter[str]] = {}
    for urn, (operation, _) in watch.steps.items():
        kind = resource_name(urn).split(":", 1)[0]
        by_operation.setdefault(operation, collections.Counter())[kind] += 1
    for operation, label in CHANGES.items():
        if kinds := by_operation.get(operation):
            listed = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
            table.add_row(label, str(kinds.total()), listed)
    return table


def changed_lines(watch: Watch) -> list[str]:
    """One line for each update, replacement and deletion, with the properties that differ; creations are only counted."""
    return [
        f"{CHANGES[operation]} {escape(resource_name(urn))}"
        + (f" [dim]({', '.join(map(escape, details))})[/]" if details else "")
        for urn, (operation, details) in watch.steps.items()
        if operation in ("update", "replace", "delete")
    ]


def outputs_table(outputs: Mapping[str, auto.OutputValue], title: str) -> Table:
    """The stack's outputs, secrets hidden; a nested output takes a row for each of its fields."""
    table = Table(title=title, title_justify="left", show_header=False, show_edge=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, output in sorted(outputs.items()):
        if output.secret:
            table.add_row(name, "[dim]secret[/]")
        else:
            for path, value in _rows(name, output.value):
                table.add_row(path, value)
    return table


def _rows(path: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict) and path.count(".") < DEEPEST_ROW:
        items = cast("dict[str, Any]", value)
        if len(render(_inline(items)).plain) > INLINE_CHARACTERS or any(
            isinstance(inner, (dict, list)) for inner in items.values()
        ):
            return [row for key, inner in items.items() for row in _rows(f"{path}.{key}", inner)]
    return [(path, _inline(value))]


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(
            f"{escape(str(key))} ({_inline(inner)})"
            if isinstance(inner, dict)
            else f"{escape(str(key))} [bold]{_inline(inner)}[/]"
            for key, inner in cast("dict[str, Any]", value).items()
        )
    if isinstance(value, list):
        return ", ".join(_inline(inner) for inner in cast("list[Any]", value))
    return escape(str(value))


def _plain(message: str) -> str:
    return _MARKUP.sub("", message).strip()
