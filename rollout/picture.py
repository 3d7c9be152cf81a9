"""A rollout as a picture: weights, error rate and latency of both slots over time, with the decisions marked (SVG)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import pairwise
from math import ceil, floor, log10
from textwrap import shorten
from typing import Final

from operations.metrics import ERROR_RATE, LATENCY_P99, KeyMetric
from operations.rollout.actions import Finish
from operations.rollout.gate import Result, Verdict
from operations.rollout.machine import next_action
from operations.rollout.state import MACHINE, Direction, Entry, Stage, State
from operations.slots import WHOLE, Slot
from rollout.record import LEASE_IN_UPDATE, Point, Record

WIDTH: Final = 960
LEFT: Final = 64
RIGHT: Final = 16
TOP: Final = 64
PANEL: Final = 130
GAP: Final = 34
LINE: Final = 18
BREAK: Final = 96
"""Of a time that is left out."""
LEAST_STRETCH: Final = 150
"""Of a time that is drawn, however short: its decisions are to be told apart."""
NUMBER: Final = 17
"""From the number of a decision to the next."""

TICK_ROOM: Final = 80
TICKS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        1,
        2,
        5,
        10,
        15,
        30,
        *(60 * n for n in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)),
    )
)
"""Between two times on the axis."""

SHADES: Final = {Slot.BLUE: "#1f6fc4", Slot.GREEN: "#2e9a4b"}
INK: Final = "#24292f"
FAINT: Final = "#d0d7de"
WARNING: Final = "#9a6700"
CRITICAL: Final = "#cf222e"

NOTHING_WRONG: Final = Verdict(result=Result.PASS).text


@dataclass(frozen=True)
class _Stretch:
    """A time that is drawn to scale, from one x to another."""

    begin: datetime
    end: datetime
    left: float
    right: float

    def x(self, at: datetime) -> float:
        return self.left + (self.right - self.left) * ((at - self.begin) / (self.end - self.begin))


@dataclass(frozen=True)
class _Times:
    """Where times lie: stretches to scale, and between two of them a break for the time in which nobody drove."""

    stretches: tuple[_Stretch, ...]

    @classmethod
    def of(cls, known: Sequence[datetime]) -> _Times:
        """Return the axis on which these times, in order, can be read."""
        spans: list[tuple[datetime, datetime]] = []
        begin = known[0]
        for before, at in pairwise(known):
            if at - before > LEASE_IN_UPDATE:
                spans.append((begin, before))
                begin = at
        spans.append((begin, known[-1]))
        spans = [(begin, max(end, begin + timedelta(seconds=1))) for begin, end in spans]
        inner = WIDTH - LEFT - RIGHT
        gap = min(BREAK, inner / 2 / len(spans))
        room = inner - gap * (len(spans) - 1)
        least = min(LEAST_STRETCH, room / len(spans))
        whole = sum((end - begin for begin, end in spans), timedelta())
        stretches: list[_Stretch] = []
        left = float(LEFT)
        for begin, end in spans:
            right = left + least + (room - least * len(spans)) * ((end - begin) / whole)
            stretches.append(_Stretch(begin, end, left, right))
            left = right + gap
        return cls(tuple(stretches))

    def x(self, at: datetime) -> float:
        stretch = next((stretch for stretch in self.stretches if at <= stretch.end), self.stretches[-1])
        return stretch.x(min(max(at, stretch.begin), stretch.end))

    def broken(self, before: datetime, at: datetime) -> bool:
        return any(before <= left.end and at >= right.begin for left, right in pairwise(self.stretches))


@dataclass(frozen=True)
class _Axes:
    """Where a time and a value lie in a panel."""

    times: _Times
    top: float
    most: float

    def x(self, at: datetime) -> float:
        return self.times.x(at)

    def y(self, value: float) -> float:
        return self.top + PANEL * (1 - min(value / self.most, 1))


def draw(record: Record, title: str) -> str:
    """Return the picture of a rollout as an SVG document; times are in UTC."""
    state, points = record.state, record.points
    decisions = _decisions(state.history)
    known = sorted({*(entry.at for entry in state.history), *(point.at for point in points)})
    times = _Times.of(known)
    new, old = state.plan.slot, state.plan.slot.other
    weights = _Axes(times, TOP + 12, WHOLE)
    body = [*_frame(weights, "Weight", (0, WHOLE / 2, WHOLE), lambda value: f"{value:g} %")]
    body += _steps(weights, state.history, new, known[-1])
    bottom = weights.top + PANEL
    for metric, values in _METRICS:
        axes = _Axes(times, bottom + GAP, _most(metric, points, values))
        bottom = axes.top + PANEL
        body += _frame(
            axes, metric.title, _nice(axes.most), lambda v, m=metric: m.display(float(f"{v:.3g}")), metric
        )
        body += _thresholds(axes, metric)
        for slot, value in ((old, values[1]), (new, values[0])):
            body += _curve(axes, [(point.at, value(point)) for point in points], SHADES[slot])
    body += _breaks(times, weights.top, bottom)
    body += _ticks(times, bottom)
    body += _marks(times, decisions, weights.top, bottom)
    legend_top = bottom + 60
    body += _legend(decisions, legend_top)
    height = ceil(legend_top + LINE * (len(decisions) + 1) + 12)
    head = [
        f'<text x="{LEFT}" y="26" font-size="17" font-weight="600">{escape(title)}</text>',
        f'<text x="{WIDTH - RIGHT}" y="26" text-anchor="end">{escape(_when(state, known))}</text>',
        _key(new, f"{state.plan.version} in {new} (new)", LEFT),
        _key(old, f"{state.plan.replaces} in {old} (old)", LEFT + 240),
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


def _when(state: State, known: Sequence[datetime]) -> str:
    """How it ended, if it did, and from when to when this was."""
    action = next_action(state)
    ended = f"{action.report.outcome}, " if isinstance(action, Finish) else ""
    begin, end = known[0].astimezone(UTC), known[-1].astimezone(UTC)
    until = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{ended}{begin:%Y-%m-%d %H:%M} to {until} UTC"


_Value = Callable[[Point], float | None]
_METRICS: Final[tuple[tuple[KeyMetric, tuple[_Value, _Value]], ...]] = (
    (ERROR_RATE, (lambda p: p.new_errors, lambda p: p.old_errors)),
    (LATENCY_P99, (lambda p: p.new_p99, lambda p: p.old_p99)),
)


def _most(metric: KeyMetric, points: Sequence[Point], values: tuple[_Value, _Value]) -> float:
    """The top of a panel: both thresholds are in it, and what was measured."""
    seen = [value for point in points for read in values if (value := read(point)) is not None]
    return max([metric.critical, *seen]) * 1.15


def _nice(most: float) -> tuple[float, ...]:
    """Round values from zero to the top of a panel, three to seven of them."""
    rough = most / 3
    size = 10.0 ** floor(log10(rough))
    step = max(factor * size for factor in (1, 2, 5) if factor * size <= rough)
    return tuple(step * place for place in range(floor(most / step) + 1))


def _frame(
    axes: _Axes,
    caption: str,
    values: Sequence[float],
    shown: Callable[[float], str],
    metric: KeyMetric | None = None,
) -> Iterator[str]:
    limits = (
        ""
        if metric is None
        else "".join(
            f'<tspan dx="14" font-weight="400" fill="{shade}">- - {level} above {escape(metric.display(value))}</tspan>'
            for level, value, shade in (
                ("warning", metric.warning, WARNING),
                ("critical", metric.critical, CRITICAL),
            )
        )
    )
    yield f'<text x="{LEFT}" y="{axes.top - 7:g}" font-weight="600">{escape(caption)}{limits}</text>'
    for value in values:
        y = axes.y(value)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{FAINT}"/>'
        yield (
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" font-size="11">{escape(shown(value))}</text>'
        )


def _steps(axes: _Axes, history: Sequence[Entry], new: Slot, end: datetime) -> Iterator[str]:
    """The shares of both slots, which change where the weights were verified."""
    known = [(history[0].at, 0), *((e.at, e.weight) for e in history if e.stage in {Stage.BAKE, Stage.DRAIN})]
    # Where both have the same share, the one below is seen beside the other.
    for slot, width in ((new.other, 4), (new, 2)):
        path = ""
        for at, weight in known:
            share = weight if slot is new else WHOLE - weight
            path += (
                f"M{axes.x(at):.1f},{axes.y(share):.1f}"
                if not path
                else f"H{axes.x(at):.1f}V{axes.y(share):.1f}"
            )
        path += f"H{axes.x(end):.1f}"
        yield f'<path d="{path}" fill="none" stroke="{SHADES[slot]}" stroke-width="{width}"/>'


def _curve(axes: _Axes, values: Sequence[tuple[datetime, float | None]], shade: str) -> Iterator[str]:
    """A line through what was measured, broken where nothing was."""
    path, pen = "", "M"
    before: datetime | None = None
    for at, value in values:
        if before is not None and axes.times.broken(before, at):
            pen = "M"
        before = at
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


def _ticks(times: _Times, bottom: float) -> Iterator[str]:
    """Round times, as many as there is room for; the begin of a stretch that has none."""
    for stretch in times.stretches:
        pixels = (stretch.right - stretch.left) / (stretch.end - stretch.begin).total_seconds()
        step = next((step for step in TICKS if step.total_seconds() * pixels >= TICK_ROOM), TICKS[-1])
        midnight = stretch.begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        at = midnight + step * ceil((stretch.begin - midnight) / step)
        round_times: list[datetime] = []
        while at <= stretch.end:
            round_times.append(at)
            at += step
        form = "%H:%M" if step >= timedelta(minutes=1) and round_times else "%H:%M:%S"
        for at in round_times or [stretch.begin.astimezone(UTC)]:
            x = stretch.x(at)
            yield f'<line x1="{x:.1f}" y1="{bottom:g}" x2="{x:.1f}" y2="{bottom + 5:g}" stroke="{INK}"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 18:g}" text-anchor="middle" font-size="11">{at:{form}}</text>'


def _breaks(times: _Times, top: float, bottom: float) -> Iterator[str]:
    """The marks of the time that is left out, and how long it was."""
    for before, after in pairwise(times.stretches):
        left, middle = before.right + 4, (before.right + after.left) / 2
        yield (
            f'<rect x="{left:.1f}" y="{top - 2:g}" width="{after.left - 4 - left:.1f}" height="{bottom - top + 4:g}" '
            f'fill="#ffffff"/>'
        )
        for x in (left, after.left - 4):
            yield (
                f'<path d="M{x - 4:.1f},{bottom + 6:g}L{x + 4:.1f},{bottom - 6:g}M{x - 4:.1f},{top + 6:g}'
                f'L{x + 4:.1f},{top - 6:g}" stroke="{INK}"/>'
            )
        minutes = round((after.begin - before.end).total_seconds() / 60)
        hours = f"{minutes // 60} h " if minutes >= 60 else ""
        for line, text in ((0, f"{hours}{minutes % 60} min"), (14, "nobody drove")):
            yield (
                f'<text x="{middle:.1f}" y="{(top + bottom) / 2 + line:g}" text-anchor="middle" font-size="11">{text}</text>'
            )


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


def _marks(times: _Times, decisions: Sequence[Entry], top: float, bottom: float) -> Iterator[str]:
    lines = [times.x(entry.at) for entry in decisions]
    for number, (entry, x, label) in enumerate(zip(decisions, lines, _apart(lines), strict=True), start=1):
        shade = CRITICAL if entry.direction is Direction.BACK else INK
        yield (
            f'<path d="M{x:.1f},{top:g}V{bottom:g}" stroke="{shade}" stroke-opacity="0.45" stroke-dasharray="2 3"/>'
        )
        yield f'<path d="M{x:.1f},{bottom + 22:g}L{label:.1f},{bottom + 32:g}" stroke="{shade}"/>'
        yield f'<circle cx="{label:.1f}" cy="{bottom + 38:g}" r="8" fill="{shade}"/>'
        yield (
            f'<text x="{label:.1f}" y="{bottom + 42:g}" text-anchor="middle" font-size="10" '
            f'fill="#ffffff">{number}</text>'
        )


def _apart(places: Sequence[float]) -> list[float]:
    """Places for numbers that would hide each other, in the same order and none beyond the right edge."""
    apart: list[float] = []
    for place in places:
        apart.append(max(place, apart[-1] + NUMBER) if apart else place)
    most = float(WIDTH - RIGHT)
    for index in reversed(range(len(apart))):
        apart[index] = min(apart[index], most)
        most = apart[index] - NUMBER
    return apart


def _legend(decisions: Sequence[Entry], top: float) -> Iterator[str]:
    yield f'<text x="{LEFT}" y="{top + LINE - 4:g}" font-weight="600">Decisions, in UTC</text>'
    for number, entry in enumerate(decisions, start=1):
        y = top + LINE * (number + 1) - 4
        what = shorten(f"{entry.stage} at {entry.weight} %: {entry.why}", 110, placeholder=" …")
        yield (
            f'<text x="{LEFT}" y="{y:g}"><tspan font-weight="600">{number}</tspan>  '
            f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}  {escape(entry.who)}  {escape(what)}</text>"
        )


def _key(slot: Slot, label: str, x: int) -> str:
    return (
        f'<line x1="{x}" y1="44" x2="{x + 22}" y2="44" stroke="{SHADES[slot]}" stroke-width="3"/>'
        f'<text x="{x + 28}" y="48">{escape(label)}</text>'
    )
