"""What the page on rollouts says is what the code does: its numbers, its picture, its commands; and its links lead somewhere."""

import importlib
import re
import shlex
import sys
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final, cast

import click
import pytest
import typer

import rehearsal.cli
import rollout.cli
import rollout.ending
from operations.ladder import LADDER
from operations.metrics import KEY_METRICS
from operations.release import Standby, Switch
from operations.rollout.budget import allowance
from operations.rollout.events import Blocked, Done, Event, Failed, Observed, Pause, Promote, Resume, Rollback
from operations.rollout.gate import Result, Verdict
from operations.rollout.machine import apply, start
from operations.rollout.state import Direction, Stage, State
from rollout.errors import RolloutError
from tests.unit.operations.rollouts import START, plan
from tests.unit.stack_configuration import STACKS, written

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/rollouts.md"
TEXT: Final = PAGE.read_text()
HERE, BESIDE = TEXT.split("\n## Beside Argo Rollouts and Flagger\n")
"""The halves: how it works here, and what others do."""

Row = dict[str, str]


# --- reading the page ----------------------------------------------------------------------------------------------


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def tables(text: str) -> Iterator[list[Row]]:
    for block in re.findall(r"(?:^\|.*\n)+", without_fences(text), re.MULTILINE):
        header, _, *rows = (
            [cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()
        )
        yield [dict(zip(header, row, strict=True)) for row in rows]


def table(text: str, *columns: str) -> list[Row]:
    """The one table with these columns."""
    (found,) = (rows for rows in tables(text) if tuple(rows[0]) == columns)
    return found


def span(words: str) -> timedelta:
    number, unit = words.split()
    return timedelta(**{unit.removesuffix("s") + "s": float(number)})


def numbers(text: str) -> set[str]:
    """The numbers in a text; a digit within a word, such as P99, is none."""
    return set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?", text))


def value(words: str, like: object) -> object:
    """A value as the page writes it, in the type and unit of a constant."""
    if isinstance(like, timedelta):
        return span(words)
    if words.endswith(" %"):
        return float(words.removesuffix(" %")) / 100
    return span(words).total_seconds() if " " in words else float(words)


# --- numbers -------------------------------------------------------------------------------------------------------


def test_the_ladder_is_the_ladder() -> None:
    rows = table(HERE, "Weight of the new slot", "Bake")
    assert [
        (row["Weight of the new slot"], timedelta() if row["Bake"] == "none" else span(row["Bake"]))
        for row in rows
    ] == [(f"{phase.weight} %", phase.bake) for phase in LADDER]


def test_the_gates_are_the_key_metrics() -> None:
    rows = table(HERE, "Key metric", "Window", "Warning above", "Critical above")
    assert [
        (row["Key metric"], span(row["Window"]), row["Warning above"], row["Critical above"]) for row in rows
    ] == [
        (metric.title, metric.window, metric.display(metric.warning), metric.display(metric.critical))
        for metric in KEY_METRICS
    ]


def test_the_results_are_those_of_an_evaluation() -> None:
    rows = table(HERE, "Result", "What brings it about", "What follows")
    assert [row["Result"].strip("`") for row in rows] == list(Result)
    assert not numbers(" ".join(cell for row in rows for cell in row.values()))


@pytest.mark.parametrize("row", table(HERE, "What", "Value", "In the code"), ids=lambda row: row["What"])
def test_a_number_is_that_of_the_code(row: Row) -> None:
    module, _, name = row["In the code"].strip("`").rpartition(".")
    constant: object = getattr(importlib.import_module(module), name)
    assert value(row["Value"], constant) == constant


def test_what_a_canary_may_spend_follows_from_each_stack() -> None:
    rows = table(HERE, "Stack", "Switch", "Standby", "SLA", "One canary may spend, as time of a total outage")
    expected: list[tuple[str, ...]] = []
    for stack in STACKS:
        release, sla = written(stack)["quikapp:release"], written(stack)["quikapp:environment"]["sla"]
        spent = allowance(None if sla == "none" else sla)
        expected.append(
            (
                f"`{stack}`",
                release["switch"],
                release["standby"],
                "none" if spent is None else f"{sla} %",
                "no limit" if spent is None else _seconds(spent),
            )
        )
    assert [tuple(row.values()) for row in rows] == expected


def _seconds(span: timedelta) -> str:
    seconds = round(span.total_seconds(), 1)
    return f"{seconds:.0f} s" if seconds >= 1000 else f"{seconds} s"


def test_numbers_stand_in_tables() -> None:
    prose = re.sub(r"^\|.*$|`[^`]*`|\]\([^)]*\)|ADR \d+", "", without_fences(HERE), flags=re.MULTILINE)
    assert numbers(prose) == {"0", "100"}


def test_each_table_of_numbers_is_compared() -> None:
    assert [next(iter(rows[0])) for rows in tables(HERE)] == [
        "Weight of the new slot",
        "Key metric",
        "Result",
        "What",
        "Stack",
        "Exit code",
    ]


def test_the_comparison_repeats_no_number_of_ours() -> None:
    rows = table(BESIDE, "Situation", "Here", "Argo Rollouts", "Flagger")
    assert not numbers(" ".join(row["Here"] for row in rows))


# --- picture -------------------------------------------------------------------------------------------------------

Place = tuple[Direction, Stage]


def drawn() -> set[tuple[str, str]]:
    (chart,) = re.findall(r"^```mermaid\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for line in chart.splitlines()]
    edges = [re.fullmatch(r'(\w+) -->(?:\|"[^"|]+"\|)? (\w+)', line) for line in lines if "-->" in line]
    assert all(edges)
    others = {line for line in lines if "-->" not in line}
    assert others == {
        "flowchart TB",
        'subgraph up["up, with the new slot"]',
        'subgraph back["back, to the old slot"]',
        "end",
    }
    return {(edge[1], edge[2]) for edge in edges if edge}


def name_of(place: Place) -> str:
    direction, stage = place
    return stage.value if direction is Direction.UP else f"back_{stage.value}"


def moves(standby: Standby) -> set[tuple[Place, Place]]:
    """Every change of stage that some event brings about, from any state that can be reached."""
    first = start(plan(Switch.LADDER, standby, drain=timedelta(), sla=None), START, "ada", "CHG-1234")
    seen: set[tuple[Direction, Stage, int, bool]] = set()
    found: set[tuple[Place, Place]] = set()
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        key = (state.direction, state.stage, state.rung, state.paused)
        if key in seen:
            continue
        seen.add(key)
        for event in events(state):
            after = apply(state, event)
            if (after.direction, after.stage) != (state.direction, state.stage):
                found.add(((state.direction, state.stage), (after.direction, after.stage)))
            waiting.append(after)
    return found


def events(state: State) -> Iterator[Event]:
    at, step = state.since + timedelta(minutes=1), state.step
    yield Done(at=at, step=step)
    yield Failed(at=at, step=step, reason="it broke off")
    yield Blocked(at=at, step=step, reason="more would change")
    for result in Result:
        yield Observed(at=at, step=step, verdict=Verdict(result=result, error_rate=0.0))
    yield Pause(at=at, who="ada", reason="a sale")
    yield Resume(at=at, who="ada")
    yield Promote(at=at, who="ada", weight=state.phase.weight, reason="a fix")
    yield Rollback(at=at, who="ada", reason="empty carts")


def test_the_picture_has_every_stage_both_ways_but_for_a_bake_on_the_way_back() -> None:
    edges = drawn() - {("up", "back_move")}
    stages = {name_of((direction, stage)) for direction in Direction for stage in Stage}
    assert {name for edge in edges for name in edge} == stages - {"back_bake"}


@pytest.mark.parametrize("direction", Direction)
def test_the_picture_has_the_moves_of_the_machine_and_no_other(direction: Direction) -> None:
    made = {
        (name_of(before), name_of(after))
        for standby in Standby
        for before, after in moves(standby)
        if before[0] is after[0] is direction
    }
    up = {edge for edge in drawn() if not edge[1].startswith("back_")}
    back = {edge for edge in drawn() if edge[0].startswith("back_")}
    assert made == (up if direction is Direction.UP else back)


def test_the_picture_turns_back_where_the_machine_does() -> None:
    turns = {
        (name_of(before), name_of(after))
        for standby in Standby
        for before, after in moves(standby)
        if before[0] is not after[0]
    }
    # The subgraph's own edge stands for one from each stage in it, and the end is not.
    assert turns == {(stage.value, "back_move") for stage in Stage if stage is not Stage.DONE} | {
        edge for edge in drawn() if edge[0] in set(Stage) and edge[1].startswith("back_")
    }
    inside = TEXT.split('subgraph up["up, with the new slot"]')[1].split("end\n")[0]
    assert " done" not in inside


# --- commands ------------------------------------------------------------------------------------------------------

PROGRAMS: Final = {"rollout": rollout.cli.app, "rehearse": rehearsal.cli.app}
SHELL: Final = [
    shlex.split(line)
    for block in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def commands_of(program: str) -> dict[str, click.Command]:
    group = cast("click.Group", typer.main.get_command(PROGRAMS[program]))
    return dict(group.commands)


def test_every_command_of_a_rollout_is_shown() -> None:
    assert {words[3] for words in SHELL if words[2] == "rollout"} == set(commands_of("rollout"))


def test_commands_and_options_in_the_text_exist() -> None:
    code = re.findall(r"`([^`]+)`", without_fences(HERE))
    named = {words.split()[1] for words in code if words.startswith("rollout ")}
    assert named <= set(commands_of("rollout"))


def test_who_takes_a_reason_is_told() -> None:
    asking = {
        name
        for name, command in commands_of("rollout").items()
        for parameter in command.params
        if "--reason" in parameter.opts and parameter.required
    }
    assert asking == {"promote", "pause", "rollback"}
    assert "It wants a reason, as `pause` and `rollback` do" in HERE


def test_the_exit_codes_are_those_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(error: BaseException) -> typer.Typer:
        app = typer.Typer()

        @app.command()
        def fail() -> None:  # pyright: ignore[reportUnusedFunction]
            raise error

        return app

    def code(error: BaseException) -> object:
        monkeypatch.setattr(rollout.cli, "app", raising(error))
        return ended()

    def ended(*arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["rollout", *arguments])
        with pytest.raises(SystemExit) as left:
            rollout.cli.main()
        return left.value.code

    wrong = ended("start", "--no-such-option")
    codes = [
        ended("--help"),
        code(RolloutError("no")),
        wrong,
        rollout.ending.ROLLED_BACK,
        code(KeyboardInterrupt()),
    ]
    assert [int(row["Exit code"]) for row in table(HERE, "Exit code", "Means")] == codes


# --- links ---------------------------------------------------------------------------------------------------------

DEFINED: Final = dict(re.findall(r"^\[([\w-]+)\]: (\S+)$", TEXT, re.MULTILINE))
SOURCES: Final = {
    "Argo Rollouts": r"https://github\.com/argoproj/argo-rollouts/(blob|tree)/v1\.9\.1(/[\w./-]+)?(#[\w-]+)?",
    "Flagger": r"https://github\.com/fluxcd/flagger/(blob|tree)/v1\.44\.0(/[\w./-]+)?(#[\w-]+)?",
}
"""What a source of a statement about each looks like: the file, at the version that was read."""


def references(text: str) -> list[str]:
    return re.findall(r"\[[^\[\]]+\]\[([\w-]+)\]", text)


def test_every_reference_is_defined_once_and_used() -> None:
    assert len(re.findall(r"^\[[\w-]+\]: ", TEXT, re.MULTILINE)) == len(DEFINED)
    assert set(references(TEXT)) == set(DEFINED)


def test_every_source_is_a_file_at_the_version_that_was_read() -> None:
    for target in DEFINED.values():
        assert any(re.fullmatch(pattern, target) for pattern in SOURCES.values()), target


def test_no_link_is_broken_in_its_form() -> None:
    rest = re.sub(r"^\[[\w-]+\]: \S+$", "", without_fences(TEXT), flags=re.MULTILINE)
    rest = re.sub(r"\[[^\[\]]+\](\[[\w-]+\]|\([^()\s]+\))", "", rest)
    assert not re.search(r"[\[\]]|https?:", rest)


def test_every_source_file_that_is_named_is_there() -> None:
    for name in re.findall(r"`([\w/]+/[\w/]+(?:\.py)?)`", without_fences(HERE)):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("other", SOURCES)
@pytest.mark.parametrize(
    "row", table(BESIDE, "Situation", "Here", "Argo Rollouts", "Flagger"), ids=lambda row: row["Situation"]
)
def test_every_statement_about_another_has_its_source(row: Row, other: str) -> None:
    """A statement ends at a semicolon; a source in brackets belongs to the statement before it."""
    for statement in re.sub(r"`[^`]*`", "", row[other]).split(";"):
        sources = [DEFINED[name] for name in references(statement)]
        assert sources, statement
        assert all(re.fullmatch(SOURCES[other], source) for source in sources), statement


def test_what_others_do_better_has_its_sources() -> None:
    better = BESIDE.split("What they do better:")[1].split("\n[argo]:")[0]
    points = [point for point in better.split("\n- ") if point.strip()]
    assert len(points) == 7
    assert all(references(point) for point in points)
