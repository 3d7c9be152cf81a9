"""What a person sees of a rollout under way: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from operations.metrics import KEY_METRICS
from operations.rollout.actions import Finish, Watch
from operations.rollout.gate import FLOOR, Measured, Result
from operations.rollout.machine import next_action
from operations.rollout.state import Direction, Entry, State
from rollout.ports import Evaluation

COLORS: Final = {
    Result.PASS: "green",
    Result.WARN: "yellow",
    Result.INCONCLUSIVE: "magenta",
    Result.FAIL: "red",
}


@dataclass
class View:
    """Follows a rollout on a console."""

    console: Console
    live: bool
    """Whether the view stands still and changes, or lines follow each other."""
    _state: State | None = None
    _evaluation: Evaluation | None = None
    _told: int | None = None
    _display: Live | None = None

    def __enter__(self) -> Self:
        if self.live:
            self._display = Live(
                console=self.console, get_renderable=self._render, refresh_per_second=2, transient=True
            )
            self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.stop()

    def is_at(self, state: State) -> None:
        """Tell the decisions that were not told yet. See `ports.Narrator`."""
        self._state = state
        # Who takes a rollout over is told the last decision of those before.
        fresh = state.history[-1:] if self._told is None else state.history[self._told :]
        self._told = len(state.history)
        for entry in fresh:
            self._print(line_of(entry))

    def sees(self, evaluation: Evaluation, at: datetime) -> None:
        """See `ports.Narrator`."""
        changed = self._evaluation is None or self._evaluation.verdict.result is not evaluation.verdict.result
        self._evaluation = evaluation
        if changed and not self.live:
            result = evaluation.verdict.result
            self._print(
                f"{time_of(at)}  gates: [{COLORS[result]}]{result}[/] {escape(evaluation.verdict.text)}"
            )

    def says(self, line: str) -> None:
        """See `ports.Narrator`."""
        self._print(escape(line))

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True)

    def _render(self) -> RenderableType:
        if self._state is None:
            return ""
        parts: list[RenderableType] = ["", self._headline(self._state)]
        if self._evaluation is not None:
            parts.append(metrics_table(self._state, self._evaluation))
        return Group(*parts)

    def _headline(self, state: State) -> str:
        return headline(state, datetime.now(UTC))


def headline(state: State, now: datetime) -> str:
    """Return in a line where a rollout is and how long it takes to the next phase at least."""
    plan, action = state.plan, next_action(state)
    weight = state.weights.of(plan.slot)
    way = "" if state.direction is Direction.UP else "[red]going back[/], "
    left = ""
    if isinstance(action, Watch) and action.until is not None:
        left = f", at least {_span(action.until - now)} left"
    held = ", [yellow]paused[/]" if state.paused else ""
    if isinstance(action, Finish):
        return f"[bold]{plan.version}[/] in {plan.slot}: {action.report.outcome}"
    return f"[bold]{plan.version}[/] in {plan.slot}: {way}{state.stage} at {weight} %{left}{held}"


def metrics_table(state: State, evaluation: Evaluation) -> Table:
    """Return both slots' key metrics beside their thresholds."""
    verdict, new = evaluation.verdict, state.plan.slot
    color = COLORS[verdict.result]
    table = Table(
        title=f"gates: [{color}]{verdict.result}[/] {escape(verdict.text)}",
        title_justify="left",
        show_edge=False,
        pad_edge=False,
    )
    for column in ("service", "metric", f"{new} (new)", f"{new.other} (old)", "warning", "critical"):
        table.add_column(column, justify="left" if column in {"service", "metric"} else "right")
    for service in evaluation.sample.services if evaluation.sample else ():
        old = service.old
        table.add_row(
            service.service,
            "Requests",
            f"{service.new.requests:.0f}",
            "" if old is None else f"{old.requests:.0f}",
            f"at least {FLOOR}",
        )
        table.add_row("", "Replicas", f"{service.available} of {service.wanted}", "", "", "")
        for metric in KEY_METRICS:
            value = service.new.values.get(metric.name)
            bad = value is not None and value > metric.warning
            worse = value is not None and value > metric.critical
            shown = _value(metric.name, service.new)
            table.add_row(
                "",
                metric.title,
                f"[red]{shown}[/]" if worse else f"[yellow]{shown}[/]" if bad else shown,
                "" if old is None else _value(metric.name, old),
                metric.display(metric.warning),
                metric.display(metric.critical),
            )
    return table


def line_of(entry: Entry) -> str:
    """Return a decision as a line."""
    color = "red" if entry.direction is Direction.BACK else "cyan"
    return f"{time_of(entry.at)}  [{color}]{entry.stage:8}[/] {entry.weight:3} %  {escape(entry.who)}: {escape(entry.why)}"


def time_of(at: datetime) -> str:
    """Return a time as a change ticket needs it, with its date and zone."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _value(name: str, measured: Measured) -> str:
    value = measured.values.get(name)
    metric = next(metric for metric in KEY_METRICS if metric.name == name)
    return "no data" if value is None else metric.display(float(f"{value:.3g}"))


def _span(span: timedelta) -> str:
    return str(max(span, timedelta())).split(".", maxsplit=1)[0]
