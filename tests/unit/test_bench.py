"""What `make bench` leaves behind, and what it makes of canaries that were taken back."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from operations.ladder import LADDER
from rehearsal.canary.faults import Ending, Fault
from rehearsal.canary.run import Story
from rehearsal.errors import RehearsalError
from rehearsal.session import Rehearsal
from tests import bench
from tests.unit.rehearsal.stories import story


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the bench makes its folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _rehearsed(folder: Path, name: str) -> Path:
    """A program of which a rehearsal left something."""
    project = folder / name
    (project / ".rehearsal" / bench.STACK).mkdir(parents=True)
    for file in ("Pulumi.yaml", "__main__.py", f"Pulumi.{bench.STACK}.yaml"):
        (project / file).write_text("{}")
    return project


def test_it_takes_down_every_rehearsal_and_leaves_no_folder(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    down: list[Path] = []

    def noted(rehearsal: Rehearsal) -> None:
        down.append(rehearsal.project.root)

    monkeypatch.setattr(Rehearsal, "down", noted)
    with bench.workshop() as folder:
        projects = {_rehearsed(folder, "program"), _rehearsed(folder, "bare")}
    assert set(down) == projects
    assert list(temporary.iterdir()) == []


def test_it_tells_what_went_wrong_and_not_what_came_of_it(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def held(_: Rehearsal) -> None:
        raise RehearsalError("another process has it")

    monkeypatch.setattr(Rehearsal, "down", held)
    workshop = bench.workshop()
    project = _rehearsed(workshop.__enter__(), "program")
    with pytest.raises(FileNotFoundError, match="what went wrong"):
        workshop.gen.throw(FileNotFoundError("what went wrong"))
    said = "".join(capsys.readouterr().out.split())
    assert "nottakendown:anotherprocesshasit.rehearsedown--stacklive--project" in said
    assert str(project) in said
    assert project.is_dir(), "its processes are found by what lies there"
    assert len(list(temporary.iterdir())) == 1


def test_nothing_that_was_laid_is_no_error_of_its_own(temporary: Path) -> None:
    with pytest.raises(FileNotFoundError, match="what went wrong"), bench.workshop():
        raise FileNotFoundError("what went wrong")
    assert list(temporary.iterdir()) == []


STORY = story(
    fault=Fault.ERRORS,
    fault_at=60,
    driver_says=replace(story().driver_says, why="too many errors"),
    bad_for_seconds=55,
    scrape_seconds=15,
    evaluation_seconds=15,
    outage_seconds=0.25,
    failing=0.15,
    budget_seconds=250,
)


def _rows(*stories: Story) -> dict[str, str]:
    taken_back = [bench.TakenBack(story, [10, 20, 90]) for story in stories]
    return {title.strip(): value for title, value, *_ in bench.returned(taken_back)}


def test_it_holds_the_way_back_against_the_median_update() -> None:
    rows = _rows(STORY)
    assert rows["3 bare updates before and after, s"] == "20.0"
    assert rows["(e) errors: first bad sample to old slot ÷ (scrape + evaluation + bare update)"] == "1.10"
    assert "55.0 s ÷ 50.0 s" in rows


@pytest.mark.parametrize(("outage", "worst"), [(0.2, "errors"), (0.75, "crash")])
def test_it_names_the_canary_that_spends_the_larger_share(outage: float, worst: str) -> None:
    rows = _rows(STORY, replace(STORY, fault=Fault.CRASH, failing=0.5, outage_seconds=outage))
    assert rows["(f) errors, 15% of its requests fail: error budget of 30 days that it spends"] == "0.10%"
    crash = rows["(f) crash, 50% of its requests fail: error budget of 30 days that it spends"]
    assert crash == f"{outage / 250:.2%}"
    assert rows[f"(f) the worst of them, {worst}"] == f"{max(outage, 0.25) / 250:.2%}"


def test_without_a_gate_a_slot_spends_by_its_own_failures_for_the_whole_bake() -> None:
    outage = sum(phase.weight / 100 * 0.5 * phase.bake.total_seconds() for phase in LADDER)
    assert bench.ungated(0.5) == pytest.approx(outage / (30 * 24 * 3600 * 0.0001))


@pytest.mark.parametrize("change", [{"ending": Ending.COMPLETED}, {"bad_for_seconds": None}])
def test_a_canary_that_was_not_taken_back_is_no_figure(change: dict[str, object]) -> None:
    with pytest.raises(SystemExit, match="errors: the canary was not taken back: too many errors"):
        bench.returned([bench.TakenBack(replace(STORY, **change), [10])])  # pyright: ignore[reportArgumentType]
