"""What `rehearse canary` and `rehearse recover` refuse, they refuse before they build a tool or start anything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

import rehearsal.canary.run
import rehearsal.cli
import rehearsal.recover.run
import rehearsal.session
from rehearsal.canary.faults import Fault
from rehearsal.canary.run import FASTEST
from rehearsal.cli import main
from rehearsal.recover.run import Scenario


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program with two stacks, on a machine where a tool that is asked for is a failure."""
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    (tmp_path / "__main__.py").touch()
    for stack, switch in {"dev": "at-once", "live": "ladder"}.items():
        settings = {"config": {"shop:release": {"switch": switch}}}
        if stack == "live":
            settings["config"]["shop:recovery"] = {}
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(settings))

    def built(*sets: object, **_: object) -> object:
        raise AssertionError(f"{sets} were built")

    for module in (rehearsal.canary.run, rehearsal.recover.run, rehearsal.session):
        monkeypatch.setattr(module, "ensure", built)
    return tmp_path


def _refused(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[object, str]:
    """The exit code, and what is said on standard error, which is one line."""
    monkeypatch.setattr(sys, "argv", ["rehearse", *words, "--project", str(program)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as left:
        main()
    assert not (program / ".rehearsal").exists()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return left.value.code, said.strip()


@pytest.mark.parametrize(
    "words", [("canary", "--stack", "nosuch"), ("recover", "--stack", "nosuch", "--scenario", "cluster")]
)
def test_a_stack_without_a_file_is_refused_with_those_that_have_one(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert _refused(program, monkeypatch, capsys, *words) == (
        1,
        "error: no stack 'nosuch': Pulumi.nosuch.yaml does not exist. Stacks with a file: dev, live.",
    )


def test_a_fault_whose_outcome_is_not_certain_is_refused_with_the_stacks_that_take_it(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = _refused(
        program, monkeypatch, capsys, "canary", "--stack", "dev", "--fault", "prometheus-down"
    )
    assert code == 1
    assert said.startswith("error: --fault prometheus-down is not rehearsed with --stack dev")
    assert said.endswith("allowed are --fault none, or a stack with a ladder (live)")


def test_a_region_is_swapped_in_two_regions_only(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = _refused(program, monkeypatch, capsys, "recover", "--stack", "dev", "--scenario", "region")
    assert code == 1
    assert said.startswith("error: --scenario region is not for --stack dev")
    assert said.endswith("allowed are --scenario cluster, state, or a stack with two regions (live)")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("canary", "--fault", "boom"), f"--fault = boom: allowed are {', '.join(Fault)}"),
        (("canary", "--speed", "0"), f"--speed = 0: allowed is a whole number, 1 to {FASTEST}"),
        (("canary", "--speed", "61"), f"--speed = 61: allowed is a whole number, 1 to {FASTEST}"),
        (("canary", "--speed", "x"), f"--speed = x: allowed is a whole number, 1 to {FASTEST}"),
        (("recover", "--scenario", "x"), f"--scenario = x: allowed are {', '.join(Scenario)}"),
        (("canary", "--bogus"), "No such option: --bogus"),
    ],
)
def test_a_wrong_option_is_one_line_with_its_value_and_what_is_allowed(
    program: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert FASTEST == 60
    assert _refused(program, monkeypatch, capsys, *words, "--stack", "live") == (2, f"error: {said}")


def test_who_breaks_it_off_hears_what_is_kept(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken_off(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(rehearsal.cli, "rehearse", broken_off)
    code, said = _refused(program, monkeypatch, capsys, "canary", "--stack", "live")
    assert code == 130
    assert said.startswith("interrupted: what was done is kept")
