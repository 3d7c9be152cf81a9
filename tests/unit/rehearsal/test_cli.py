"""What `rehearse canary` and `rehearse recover` refuse, they refuse before they build a tool or start anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

import rehearsal.canary.run
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
    """The exit code, and what is said on standard error in one line."""
    monkeypatch.setattr(sys, "argv", ["rehearse", *words, "--project", str(program)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as left:
        main()
    assert not (program / ".rehearsal").exists()
    said = capsys.readouterr().err.translate(str.maketrans(dict.fromkeys("│╭╮╰╯─")))
    return left.value.code, " ".join(said.split())


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
    ("words", "key", "value", "allowed"),
    [
        (("canary", "--fault", "nonsense"), "--fault", "nonsense", list(Fault)),
        (("canary", "--speed", "0"), "--speed", "0", [f"allowed are 1 to {FASTEST}"]),
        (
            ("canary", "--speed", str(FASTEST + 1)),
            "--speed",
            str(FASTEST + 1),
            [f"allowed are 1 to {FASTEST}"],
        ),
        (("recover", "--scenario", "x"), "--scenario", "x", list(Scenario)),
    ],
)
def test_a_wrong_option_is_refused_with_its_value_and_what_is_allowed(
    program: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    key: str,
    value: str,
    allowed: list[str],
) -> None:
    code, said = _refused(program, monkeypatch, capsys, *words, "--stack", "live")
    assert code == 2
    assert f"Invalid value for '{key}'" in said
    told = said.partition("Invalid value")[2]
    assert value in told
    assert all(each in told for each in allowed)
