"""A rollout as a picture: weights, error rate and latency of both slots over time, with the decisions marked (SVG)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise
from math import ceil
from textwrap import shorten
from typing import Final

from operations.metrics import ERROR_RATE, LATENCY_P99, KeyMetric
from operations.rollout.gate import Result, Verdict
from operations.rollout.state import MACHINE, Direction, Entry, Stage
from operations.slots import WHOLE, Slot
from rollout.record import Point, Record

WIDTH: Final = 960
LEFT: Final = 64
RIGHT: Final = 16
TOP: Final = 64
PANEL: Final = 130
GAP: Final = 34
LINE: Final = 18

SHADES: Final = {Slot.BLUE: "#1f6fc4", Slot.GREEN: "#2e9a4b"}
INK: Final = "#24292f"
FAINT: Final = "#d0d7de"
WARNING: Final = "#d4a72c"
CRITICAL: Final = "#cf222e"

NOTHING_WRONG: Final = Verdict(result=Result.PASS).text


@dataclass(frozen=True)
class _Axes:
    """Where a time and a value lie in a panel."""

    begin: datetime
    span: timedelta
    top: float
    most: float

    def x(self, at: datetime) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max((at - self.begin) / self.span, 0), 1)

    def y(self, value: float) -> float:
        return self.top + PANEL * (1 - min(value / self.most, 1))


def draw(record: Record, title: str) -> str:
    """Return the picture of a rollout as an SVG document."""
    state, points = record.state, record.points
    decisions = _decisions(state.history)
    begin = state.history[0].at
    end = max([begin + timedelta(seconds=1), state.history[-1].at, *(point.at for point in points)])
    panels = (
        _panel(0, begin, end, WHOLE, "Weight", lambda value: f"{value:g} %"),
        *(
            _panel(
                place,
                begin,
                end,
                _most(metric, points, values),
                metric.title,
                lambda v, m=metric: m.display(float(f"{v:.2g}")),
            )
            for place, (metric, values) in enumerate(_METRICS, start=1)
        ),
    )
    new, old = state.plan.slot, state.plan.slot.other
    body: list[str] = []
    for axes, caption, shown in panels:
        body += _frame(axes, caption, shown)
    body += _steps(panels[0][0], state.history, new, end)
    for (axes, _, _), (metric, values) in zip(panels[1:], _METRICS, strict=True):
        body += _thresholds(axes, metric)
        for slot, value in ((old, values[1]), (new, values[0])):
            body += _curve(axes, [(point.at, value(point)) for point in points], SHADES[slot])
    bottom = panels[-1][0].top + PANEL
    body += _times(panels[-1][0], begin, end)
    body += _marks(panels[0][0], decisions, bottom)
    legend_top = bottom + 52
    body += _legend(decisions, begin, legend_top)
    height = ceil(legend_top + LINE * len(decisions) + 12)
    head = [
        f'<text x="{LEFT}" y="26" font-size="17" font-weight="600">{escape(title)}</text>',
        _key(new, f"{state.plan.version} in {new} (new)", LEFT),
        _key(old, f"{state.plan.replaces} in {old} (old)", LEFT + 240),
        f'<text x="{LEFT + 480}" y="48" fill="{WARNING}">- - warning</text>',
        f'<text x="{LEFT + 580}" y="48" fill="{CRITICAL}">- - critical</text>',
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
            f'font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="12" fill="{INK}">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            *head,
            *body,
            "</svg>\n",
        ]
    )


_Value = Callable[[Point], float | None]
_METRICS: Final[tuple[tuple[KeyMetric, tuple[_Value, _Value]], ...]] = (
    (ERROR_RATE, (lambda p: p.new_errors, lambda p: p.old_errors)),
    (LATENCY_P99, (lambda p: p.new_p99, lambda p: p.old_p99)),
)


def _most(metric: KeyMetric, points: Sequence[Point], values: tuple[_Value, _Value]) -> float:
    """The top of a panel: both thresholds are in it, and what was measured."""
    seen = [value for point in points for read in values if (value := read(point)) is not None]
    return max([metric.critical, *seen]) * 1.15


def _panel(
    place: int, begin: datetime, end: datetime, most: float, caption: str, shown: Callable[[float], str]
) -> tuple[_Axes, str, Callable[[float], str]]:
    return _Axes(begin, end - begin, TOP + 12 + place * (PANEL + GAP), most), caption, shown


def _frame(axes: _Axes, caption: str, shown: Callable[[float], str]) -> Iterator[str]:
    yield f'<text x="{LEFT}" y="{axes.top - 7:g}" font-weight="600">{escape(caption)}</text>'
    for part in (0, 0.5, 1):
        y = axes.y(axes.most * part)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{FAINT}"/>'
        label = escape(shown(axes.most * part))
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" font-size="11">{label}</text>'


def _steps(axes: _Axes, history: Sequence[Entry], new: Slot, end: datetime) -> Iterator[str]:
    """The shares of both slots, which change where the weights were verified."""
    known = [(history[0].at, 0), *((e.at, e.weight) for e in history if e.stage in {Stage.BAKE, Stage.DRAIN})]
    for slot in (new.other, new):
        path = ""
        for at, weight in known:
            share = weight if slot is new else WHOLE - weight
            path += (
                f"M{axes.x(at):.1f},{axes.y(share):.1f}"
                if not path
                else f"H{axes.x(at):.1f}V{axes.y(share):.1f}"
            )
        path += f"H{axes.x(end):.1f}"
        yield f'<path d="{path}" fill="none" stroke="{SHADES[slot]}" stroke-width="2"/>'


def _curve(axes: _Axes, values: Sequence[tuple[datetime, float | None]], shade: str) -> Iterator[str]:
    """A line through what was measured, broken where nothing was."""
    path, pen = "", "M"
    for at, value in values:
        if value is None:
            pen = "M"
        else:
            path += f"{pen}{axes.x(at):.1f},{axes.y(value):.1f}"
            pen = "L"
    if path:
        yield f'<path d="{path}" fill="none" stroke="{shade}" stroke-width="1.8" stroke-linecap="round"/>'


def _thresholds(axes: _Axes, metric: KeyMetric) -> Iterator[str]:
    for value, shade in ((metric.warning, WARNING), (metric.critical, CRITICAL)):
        y = axes.y(value)
        yield (
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{shade}" '
            f'stroke-dasharray="5 4"/>'
        )


def _times(axes: _Axes, begin: datetime, end: datetime) -> Iterator[str]:
    y = axes.top + PANEL + 18
    for part in range(5):
        at = begin + (end - begin) * part / 4
        anchor = {0: "start", 4: "end"}.get(part, "middle")
        yield f'<text x="{axes.x(at):.1f}" y="{y:g}" text-anchor="{anchor}" font-size="11">{at:%H:%M:%S}</text>'


def _decisions(history: Sequence[Entry]) -> list[Entry]:
    """What changed the course: not each health check and verification on the way, nor that a phase began well."""
    kept = list(history[:1])
    for before, entry in pairwise(history):
        passing = entry.stage in {Stage.HEALTH, Stage.VERIFY, Stage.CONFIRM, Stage.SCALE}
        moving = entry.stage is Stage.MOVE and entry.direction is Direction.UP
        echo = kept[-1] is before and entry.stage is before.stage and entry.why == NOTHING_WRONG
        if entry.who != MACHINE or not (passing or moving or echo):
            kept.append(entry)
    return kept


def _marks(axes: _Axes, decisions: Sequence[Entry], bottom: float) -> Iterator[str]:
    taken = 0.0
    for number, entry in enumerate(decisions, start=1):
        x = axes.x(entry.at)
        # Decisions close to one another would hide each other's numbers.
        label = max(x, taken + 17)
        taken = label
        shade = CRITICAL if entry.direction is Direction.BACK else INK
        yield (
            f'<line x1="{x:.1f}" y1="{axes.top:g}" x2="{x:.1f}" y2="{bottom:g}" stroke="{shade}" '
            f'stroke-opacity="0.45" stroke-dasharray="2 3"/>'
        )
        yield f'<circle cx="{label:.1f}" cy="{bottom + 32:g}" r="8" fill="{shade}"/>'
        yield (
            f'<text x="{label:.1f}" y="{bottom + 36:g}" text-anchor="middle" font-size="10" '
            f'fill="#ffffff">{number}</text>'
        )


def _legend(decisions: Sequence[Entry], begin: datetime, top: float) -> Iterator[str]:
    for number, entry in enumerate(decisions, start=1):
        y = top + LINE * number - 4
        after = str(entry.at - begin).split(".", maxsplit=1)[0]
        what = shorten(f"{entry.stage} at {entry.weight} %: {entry.why}", 118, placeholder=" …")
        yield (
            f'<text x="{LEFT}" y="{y:g}"><tspan font-weight="600">{number}</tspan>  +{after}  '
            f"{escape(entry.who)}  {escape(what)}</text>"
        )


def _key(slot: Slot, label: str, x: int) -> str:
    return (
        f'<line x1="{x}" y1="44" x2="{x + 22}" y2="44" stroke="{SHADES[slot]}" stroke-width="3"/>'
        f'<text x="{x + 28}" y="48">{escape(label)}</text>'
    )
