"""`deploy`: what the workflow types, what it ends with, and what the summary of the job says."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from delivery.deploy import cli, summary
from delivery.errors import DeliveryError
from operations.delivery import Nothing, Refused, Resume, Start, Update
from operations.rollout.actions import Outcome, Report
from operations.slots import Slot
from rollout.errors import RolloutError

START = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)


@dataclass
class Stand:
    """Stands in for a deployment: it writes down what it was asked for, and ends as a test wants."""

    asked: ClassVar[list[Any]] = []
    ends: ClassVar[int | Exception] = 0
    decides: ClassVar[object] = None

    desk: Any
    who: str
    change: str | None
    say: Any = field(repr=False)

    def release(self, version: str, pace: cli.Pace, picture: Path | None) -> int:
        self.asked.append((self.desk.stack, version, self.change, self.who, pace, picture))
        return self._end()

    def infrastructure(self) -> None:
        self.asked.append((self.desk.stack, None, self.change, self.who))
        self._end()

    def decide(self, version: str | None) -> object:
        self.asked.append((self.desk.stack, version, self.change))
        return self.decides

    def _end(self) -> int:
        if isinstance(self.ends, Exception):
            raise self.ends
        return self.ends


@pytest.fixture(autouse=True)
def stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Stand]:
    monkeypatch.setattr(cli, "Deployment", Stand)
    monkeypatch.setattr(Stand, "asked", list[Any]())
    monkeypatch.setattr(Stand, "ends", 0)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    return Stand


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["deploy", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_what_was_not_typed_into_the_workflow_is_not_there(
    monkeypatch: pytest.MonkeyPatch, stand: type[Stand]
) -> None:
    words = ("run", "--stack", "dev", "--version", "", "--change", "", "--who", "ada")
    assert run(monkeypatch, *words) == 0
    assert stand.asked == [("dev", None, None, "ada")]


def test_a_version_goes_at_the_pace_of_the_page(monkeypatch: pytest.MonkeyPatch, stand: type[Stand]) -> None:
    words = ("--version", "v2.4.0", "--change", "CHG0030042", "--who", "ada")
    assert run(monkeypatch, "run", "--stack", "live", *words) == 0
    page = cli.Pace(1, timedelta(seconds=15))
    assert stand.asked == [("live", "v2.4.0", "CHG0030042", "ada", page, None)]


@pytest.mark.parametrize("error", [DeliveryError("skipped | `qa`"), RolloutError("skipped | `qa`")])
def test_a_refusal_is_told_on_the_terminal_and_in_the_summary(
    monkeypatch: pytest.MonkeyPatch,
    stand: type[Stand],
    tmp_path: Path,
    error: Exception,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(stand, "ends", error)
    assert run(monkeypatch, "run", "--stack", "live") == 1
    assert capsys.readouterr().err == "error: skipped | `qa`\n"
    assert (tmp_path / "summary.md").read_text() == (
        "## live: not deployed\n\n```text\nskipped | ?qa?\n```\n\n"
    )


def test_a_rollout_that_was_taken_back_has_a_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, stand: type[Stand]
) -> None:
    monkeypatch.setattr(stand, "ends", 3)
    assert run(monkeypatch, "run", "--stack", "qa", "--version", "v2.4.0") == 3


def test_who_breaks_it_off_hears_what_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stand, "infrastructure", interrupted)
    assert run(monkeypatch, "run", "--stack", "dev") == 130
    assert "the weights stay as they are, and nobody watches them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("decides", "version", "code", "said"),
    [
        (Refused("no"), "v2.4.0", 1, "error: no\n"),
        (Nothing("qa runs it already"), "v2.4.0", 0, "qa runs it already: nothing to do.\n"),
        (Start("v2.4.0", None), "v2.4.0", 0, "a rollout of v2.4.0 to qa would start.\n"),
        (Resume("v2.4.0", None), "v2.4.0", 0, "the rollout of v2.4.0 to qa would be gone on with.\n"),
        (Update(()), "", 0, "the infrastructure of qa would be brought in line with Git.\n"),
    ],
)
def test_check_says_what_run_would_do_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
    stand: type[Stand],
    decides: object,
    version: str,
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(stand, "decides", decides)
    assert run(monkeypatch, "check", "--stack", "qa", "--version", version) == code
    printed = capsys.readouterr()
    assert printed.out + printed.err == said
    assert stand.asked == [("qa", version or None, None)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "--stack"),
        (["run", "--stack", "prod"], "'dev', 'qa', 'uat', 'staging', 'live'"),
        (["run", "--stack", "qa", "--version", "2.4"], "a version such as v2.4.0"),
        (["record", "--stack", "qa", "--file", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_a_wrong_command_line_deploys_nothing(
    monkeypatch: pytest.MonkeyPatch,
    stand: type[Stand],
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *arguments) == 1
    assert said in capsys.readouterr().err
    assert stand.asked == []


def test_the_summary_of_a_rollout_says_how_it_ended_and_why() -> None:
    report = Report(
        outcome=Outcome.ROLLED_BACK,
        slot=Slot.BLUE,
        version="v2.3.0",
        started=START,
        ended=START + timedelta(minutes=20, seconds=3.5),
        spent=timedelta(),
        why="Error Rate: 15% is above the critical threshold, 1%",
        left_in_full=None,
    )
    text = summary.of_rollout("live", "v2.4.0", "CHG0030042", report)
    assert text.splitlines() == [
        "## live: v2.4.0",
        "",
        "| | |",
        "| --- | --- |",
        "| Version | `v2.4.0` |",
        "| Change request | `CHG0030042` |",
        "| Outcome | **rolled-back** |",
        "| All traffic is on | blue, which runs `v2.3.0` |",
        "| Why | Error Rate: 15% is above the critical threshold, 1% |",
        "| Took | 0:20:03 |",
    ]


def test_outside_of_a_job_no_summary_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    monkeypatch.chdir(tmp_path)
    summary.leave("nothing")
    assert list(tmp_path.iterdir()) == []
