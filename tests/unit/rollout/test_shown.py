"""What a person is shown: a line for each decision, both slots beside the thresholds, a picture, a short report."""

from __future__ import annotations

from datetime import timedelta, timezone
from io import StringIO
from itertools import pairwise
from typing import cast
from xml.dom.minidom import parseString

from rich.console import Console

from operations.metrics import ERROR_RATE, KEY_METRICS, LATENCY_P99
from operations.rollout.events import Pause, Resume, Rollback
from operations.rollout.gate import Measured, Sample, ServiceSample, judge
from operations.slots import Slot
from rollout.handover import lease_of
from rollout.picture import RIGHT, WIDTH, draw
from rollout.ports import Evaluation
from rollout.record import MOST_POINTS, Record, point, thinned
from rollout.report import status, summary
from rollout.view import View, headline, line_of, metrics_table
from tests.unit.operations.rollouts import World as Rehearsed
from tests.unit.operations.rollouts import minutes, plan
from tests.unit.rollout.worlds import FAILS, PASSES, START, World, release

VALUES = {metric.name: metric.warning / 2 for metric in KEY_METRICS}
SAMPLE = Sample(
    weight=5,
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


def test_a_decision_has_its_date_and_zone() -> None:
    entry = ended().state.history[0]
    elsewhere = entry.model_copy(update={"at": entry.at.astimezone(timezone(timedelta(hours=2)))})
    assert line_of(elsewhere).startswith("2026-11-24 09:00:00 UTC  [cyan]prepare ")


def baking(weight: int = 25) -> Rehearsed:
    """A rollout five minutes into a phase."""
    return Rehearsed.of(plan()).run(lambda w: w.weight == weight and w.state.clocks.baked >= minutes(5))


def test_the_headline_says_how_long_the_phase_takes_at_least() -> None:
    world = baking()
    assert world.state.clocks.baked == minutes(5)
    assert headline(world.state, world.now) == "[bold]v2.4.0[/] in green: bake at 25 %, at least 0:25:00 left"
    late = world.now + minutes(26)
    assert headline(world.state, late).endswith("at least 0:00:00 left")


def test_the_headline_of_a_paused_rollout_has_no_end() -> None:
    world = baking()
    world.hear(Pause(at=world.now, who="bob", reason="a sale"))
    assert headline(world.state, world.now) == "[bold]v2.4.0[/] in green: bake at 25 %, [yellow]paused[/]"


def test_the_headline_says_that_it_goes_back() -> None:
    world = baking()
    world.hear(Rollback(at=world.now, who="bob", reason="empty carts"))
    assert headline(world.state, world.now) == "[bold]v2.4.0[/] in green: [red]going back[/], move at 0 %"


def test_the_live_view_shows_the_headline_and_both_slots() -> None:
    state = baking().state
    console = Console(file=StringIO(), width=160, force_terminal=True, color_system=None)
    with View(console, live=True) as view:
        view.is_at(state)
        view.sees(Evaluation(judge(SAMPLE), SAMPLE), START)
    shown = printed(console)
    assert "v2.4.0 in green: bake at 25 %, at least 0:00:00 left" in shown
    assert "green (new)" in shown
    assert "gates: fail api: Error Rate" in shown


def test_what_the_gates_say_is_a_line_where_it_changes_and_nothing_moves_on_the_screen() -> None:
    console = Console(file=StringIO(), width=160)
    view = View(console, live=False)
    for at in range(3):
        view.sees(Evaluation(judge(SAMPLE), SAMPLE), START + timedelta(seconds=at))
    view.sees(Evaluation(PASSES), START + minutes(1))
    first, second = printed(console).splitlines()
    assert first.startswith("2026-11-24 09:00:00 UTC  gates: fail api: Error Rate")
    assert second.startswith("2026-11-24 09:01:00 UTC  gates: pass")


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


def test_the_status_of_a_rollout_under_way_says_how_long_and_whether_its_driver_lives() -> None:
    world = baking()
    lease = lease_of("ada", world.now).model_copy(update={"host": "elsewhere"})
    record = Record(state=world.state, lease=lease, inbox=(Resume(at=world.now, who="bob"),))
    told = status("live", record, world.now)["rollout"]
    assert (told["weight"], told["paused"], told["outcome"]) == (25, False, None)
    assert (told["secondsLeft"], told["until"]) == (1500.0, (world.now + minutes(25)).isoformat())
    assert (told["driver"]["who"], told["driver"]["alive"]) == ("ada", True)
    assert told["waitingCommands"] == 1
    later = status("live", record, world.now + minutes(30))["rollout"]
    assert (later["secondsLeft"], later["driver"]["alive"]) == (0.0, False)
    held = world.state.model_copy(update={"paused": True})
    assert (
        status("live", record.model_copy(update={"state": held}), world.now)["rollout"]["secondsLeft"] is None
    )


def texts(svg: str) -> list[str]:
    """All that can be read in a picture."""
    drawn = parseString(svg)  # noqa: S318 - our own
    return [
        "".join(child.toxml() for child in node.childNodes if child.nodeType == child.TEXT_NODE)
        for node in (*drawn.getElementsByTagName("text"), *drawn.getElementsByTagName("tspan"))
    ]


def numbered(svg: str) -> list[float]:
    """Where the numbers of the decisions stand, from the left."""
    drawn = parseString(svg)  # noqa: S318 - our own
    return [float(node.getAttribute("cx")) for node in drawn.getElementsByTagName("circle")]


def next_morning(hours: int) -> World:
    """A rollout that is taken back so many hours after it had ended."""
    world = ended()
    world.time += timedelta(hours=hours)
    world.take_over(Rollback(at=world.time, who="bob", reason="next morning"))
    return world


def test_the_picture_says_the_date_and_the_zone() -> None:
    seen = texts(draw(ended().record, "Rollout"))
    assert "completed, 2026-11-24 09:00 to 09:11 UTC" in seen
    assert "Decisions, in UTC" in seen
    assert any(text.strip().startswith("2026-11-24 09:00:00  ada  prepare at 5 %") for text in seen)
    over_night = texts(draw(next_morning(14).record, "Rollout"))
    assert "rolled-back, 2026-11-24 09:00 to 2026-11-24 23:12 UTC" not in over_night
    assert any(text.startswith("rolled-back, 2026-11-24 09:00 to 23:") for text in over_night)
    assert any(
        text.startswith("rolled-back, 2026-11-24 09:00 to 2026-11-25 ")
        for text in texts(draw(next_morning(20).record, "Rollout"))
    )


def test_the_picture_has_round_times_and_names_the_thresholds() -> None:
    seen = texts(draw(ended().record, "Rollout"))
    assert {"09:02", "09:04", "09:10"} <= set(seen)
    assert {"- - warning above 0.5%", "- - critical above 1%"} <= set(seen)
    assert {"- - warning above 200ms", "- - critical above 500ms"} <= set(seen)
    assert {"0%", "0.4%", "1%", "0ms", "200ms", "500ms"} <= set(seen)


def test_the_time_in_which_nobody_drove_does_not_squeeze_the_ladder() -> None:
    before = numbered(draw(ended().record, "Rollout"))
    after = draw(next_morning(14).record, "Rollout")
    assert "14 h 0 min" in texts(after)
    assert "nobody drove" in texts(after)
    ladder = numbered(after)[: len(before)]
    assert ladder[-1] - ladder[0] > (before[-1] - before[0]) / 2
    assert "nobody drove" not in texts(draw(ended().record, "Rollout"))


def test_a_curve_does_not_lead_over_the_time_in_which_nobody_drove() -> None:
    world = next_morning(14)
    known = [point(p.at, world.state, SAMPLE, p.result) for p in world.record.points]
    curves = [
        line
        for line in draw(world.record.model_copy(update={"points": tuple(known)}), "Rollout").splitlines()
        if 'stroke-linecap="round"' in line
    ]
    assert [curve.count("M") for curve in curves] == [2, 2, 2, 2]


def test_the_numbers_of_the_decisions_are_apart_and_on_the_picture() -> None:
    page = World(release())
    page.begin(page.plan(speed=1))
    for record in (page.record, ended(25).record, next_morning(14).record):
        places = numbered(draw(record, "Rollout"))
        assert all(later - earlier >= 16.9 for earlier, later in pairwise(places))
        assert places[-1] <= WIDTH - RIGHT


def test_a_rollout_that_only_began_can_be_drawn() -> None:
    state = Rehearsed.of(plan()).state
    assert "2026-11-24 09:00 to 09:00 UTC" in texts(draw(Record(state=state), "Rollout"))


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
    sample = SAMPLE.model_copy(update={"services": (*SAMPLE.services, slow)})
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
