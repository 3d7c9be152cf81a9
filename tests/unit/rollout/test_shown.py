"""What a person is shown: a line for each decision, both slots beside the thresholds, a picture, a short report."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import cast
from xml.dom.minidom import parseString

from rich.console import Console

from operations.metrics import ERROR_RATE, KEY_METRICS, LATENCY_P99
from operations.rollout.gate import Measured, Sample, ServiceSample, judge
from operations.slots import Slot
from rollout.picture import draw
from rollout.ports import Evaluation
from rollout.record import MOST_POINTS, point, thinned
from rollout.report import status, summary
from rollout.view import View, headline, metrics_table
from tests.unit.rollout.worlds import FAILS, PASSES, START, World, release

VALUES = {metric.name: metric.warning / 2 for metric in KEY_METRICS}
SAMPLE = Sample(
    services=(
        ServiceSample(
            service="api",
            new=Measured(requests=500, values={**VALUES, ERROR_RATE.name: 0.15}),
            old=Measured(requests=9_500, values=VALUES),
            wanted=6,
            available=6,
        ),
    ),
    unscraped=0,
)


def printed(console: Console) -> str:
    return cast("StringIO", console.file).getvalue()


def ended(bad: int | None = None) -> World:
    world = World(release(), lambda w: FAILS if w.weight == bad else PASSES)
    world.begin()
    return world


def test_the_table_has_both_slots_beside_the_thresholds() -> None:
    console = Console(file=StringIO(), width=160)
    console.print(metrics_table(ended().state, Evaluation(judge(SAMPLE), SAMPLE)))
    shown = printed(console)
    assert "gates: fail api: Error Rate: 15% is above the critical threshold, 1%" in shown
    line = next(line for line in shown.splitlines() if "Error Rate" in line and "gates" not in line)
    assert [cell.strip() for cell in line.split("│")][1:] == ["Error Rate", "15%", "0.25%", "0.5%", "1%"]


def test_each_decision_is_told_once() -> None:
    world = ended(5)
    console = Console(file=StringIO(), width=160)
    view = View(console, live=False)
    for length in range(1, len(world.state.history) + 1):
        state = world.state.model_copy(update={"history": world.state.history[:length]})
        view.is_at(state)
        view.is_at(state)
    lines = printed(console).splitlines()
    assert len(lines) == len(world.state.history)
    assert lines[0].endswith("ada: CHG-1234")


def test_the_headline_says_where_it_is_and_how_it_ended() -> None:
    assert headline(ended().state, START) == "[bold]v2.4.0[/] in green: completed"
    assert headline(ended(25).state, START) == "[bold]v2.4.0[/] in green: rolled-back"


def test_the_report_says_how_it_ended_why_and_what_it_cost() -> None:
    text = summary(ended(25).record)
    assert text.startswith("v2.4.0 in green: rolled-back after 0:0")
    assert "All traffic is on blue, which runs v2.3.0." in text
    assert "of 13.0 s allowed" in text


def test_the_report_says_what_was_left_to_do() -> None:
    record = ended().record
    assert "in full" not in summary(record)
    left = record.state.model_copy(update={"left_in_full": "throttled"})
    text = summary(record.model_copy(update={"state": left}))
    assert "blue still runs in full: throttled. When that is mended, take `capacity` out of blue" in text


def test_the_status_is_plain_data() -> None:
    told = status("live", ended().record, START)["rollout"]
    assert (told["version"], told["slot"], told["outcome"], told["driver"]) == (
        "v2.4.0",
        "green",
        "completed",
        None,
    )
    assert status("live", None, START) == {"stack": "live", "rollout": None}


def test_the_picture_is_a_drawing_with_both_slots_and_every_decision() -> None:
    world = ended(25)
    svg = draw(world.record, 'Rollout of "v2.4.0" & more')
    drawn = parseString(svg)  # noqa: S318 - our own
    texts = [node.firstChild.nodeValue for node in drawn.getElementsByTagName("text") if node.firstChild]
    assert 'Rollout of "v2.4.0" & more' in texts
    assert {
        "Weight",
        "Error Rate",
        "API Latency P99",
        "v2.4.0 in green (new)",
        "v2.3.0 in blue (old)",
    } <= set(texts)
    marks = [node.getAttribute("fill") for node in drawn.getElementsByTagName("circle")]
    assert "#cf222e" in marks, "the turn is marked"


def test_a_point_is_the_whole_slot_and_its_slowest_service() -> None:
    slow = SAMPLE.services[0].model_copy(
        update={"service": "web", "new": Measured(requests=500, values={**VALUES, LATENCY_P99.name: 0.4})}
    )
    sample = Sample(services=(*SAMPLE.services, slow), unscraped=0)
    made = point(START, ended().state, sample, judge(sample).result)
    assert (made.new_errors, made.new_p99) == ((0.15 + VALUES[ERROR_RATE.name]) / 2, 0.4)
    assert (made.old_errors, made.old_p99) == (VALUES[ERROR_RATE.name], 0.1)
    assert made.weight == 100
    assert Slot.GREEN is ended().state.plan.slot


def test_a_long_rollout_keeps_a_picture_of_all_of_it() -> None:
    state = ended().state
    points = [
        point(START + timedelta(seconds=n), state, SAMPLE, judge(SAMPLE).result)
        for n in range(MOST_POINTS + 1)
    ]
    kept = thinned(points)
    assert len(kept) < MOST_POINTS
    assert (kept[0], kept[-1]) == (points[0], points[-1])
