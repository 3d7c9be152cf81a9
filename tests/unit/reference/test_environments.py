"""The table of the environments says of each what its stack file states, and what follows from that."""

import sys
from pathlib import Path

import pytest

from operations.environments import EnvironmentName
from operations.recovery import Risk
from reference.cli import WIDTH, main
from reference.environments import Section, sections
from reference.stack_files import StackFiles
from tests.unit.stack_configuration import ROOT, STACKS

FACTS, _ = StackFiles(ROOT).all_facts()
TOLD = sections(FACTS)


def row(label: str, title: str | None = None) -> tuple[str, ...]:
    """The cells of a row, of dev to live."""
    (found,) = (
        row.cells
        for section in TOLD
        for row in section.rows
        if row.label == label and title in (None, section.title)
    )
    return found


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["environments", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


# --- what it says --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "cells"),
    [
        ("SLA", ("none", "95 %", "99 %", "99.9 %", "99.99 %")),
        ("error budget in 30 days", ("none", "2160 min", "432 min", "43.2 min", "4.32 min")),
        ("gate", ("auto", "manual", "manual", "approval", "cab")),
        ("recovery point", ("none", "none", "none", "< 1 min", "< 1 min")),
        ("recovery time", ("none", "none", "none", "< 15 min", "< 15 min")),
        ("replicas of a service", ("1 to 2", "1 to 3", "2 to 4", "3 to 12", "6 to 60")),
        ("database instances", ("1", "1", "2", "2", "3")),
        (
            "size of an instance",
            ("0.5 to 2 ACU", "0.5 to 4 ACU", "0.5 to 8 ACU", "db.r8g.large", "db.r8g.xlarge"),
        ),
        ("P1 alerts go to", ("Slack", "Slack", "Slack", "Slack", "PagerDuty")),
        ("files, daily", ("90 days",) * 5),
        ("configs, on change", ("unlimited",) * 5),
        ("lock on backups", ("none", "none", "none", "governance", "compliance")),
        ("error budget that 15 min spend", ("none", "1 %", "3 %", "35 %", "347 %")),
        ("nobody-is-called", ("-", "-", "-", "accepted", "-")),
        ("incident-spends-the-error-budget", ("-", "-", "-", "-", "accepted")),
    ],
)
def test_a_row_says_it_of_each_environment(label: str, cells: tuple[str, ...]) -> None:
    assert row(label) == cells


def test_versions_weights_and_the_change_request_are_the_release_that_is_stated() -> None:
    for place, facts in enumerate(FACTS):
        release = facts.release
        assert row("blue version and weight")[place] == f"{release.blue.version} {release.blue.weight} %"
        assert row("green version and weight")[place] == f"{release.green.version} {release.green.weight} %"
    *others, live = row("change request in force")
    assert others == ["none"] * 4
    assert live == FACTS[-1].changes[-1].request


@pytest.mark.parametrize(
    ("loss", "promise", "lost", "back"),
    [
        ("loss of the writer: database", "kept", "0 s", "1 min 40 s"),
        ("loss of the region: database", "kept", "30 s", "14 min 40 s"),
        ("loss of the region: files", "at risk", "1 d 12 h", "no bound"),
        ("bad migration: database", "at risk", "no bound", "3 h 10 min 30 s"),
        ("lost cluster: application", "at risk", "0 s", "57 min"),
        ("deleted or overwritten files: a file", "kept", "0 s", "7 min"),
    ],
)
def test_a_promise_is_kept_or_at_risk_by_what_is_lost_and_for_how_long(
    loss: str, promise: str, lost: str, back: str
) -> None:
    assert row(loss, "Recovery promises, after a loss")[-1] == promise
    assert row(loss, "Data lost at most")[-1] == lost
    assert row(loss, "Back within")[-1] == back


def test_an_environment_without_objectives_promises_no_recovery() -> None:
    assert row("loss of the region: database", "Recovery promises, after a loss")[0] == "none promised"


def test_every_risk_has_a_row() -> None:
    risks = next(section for section in TOLD if section.title == "Risks")

    assert {row.label for row in risks.rows} >= set(Risk)


def test_every_row_has_a_cell_for_each_environment() -> None:
    assert [one.name for one in FACTS] == list(EnvironmentName)
    assert all(len(row.cells) == len(FACTS) for section in TOLD for row in section.rows)


def test_no_section_but_the_release_moves_with_a_release() -> None:
    assert [section.title for section in TOLD if section.moves] == ["Release"]


def test_without_environments_there_is_nothing_to_say() -> None:
    empty: tuple[Section, ...] = sections([])

    assert not [cell for section in empty for row in section.rows for cell in row.cells]


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in ROOT.glob("Pulumi*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_the_table_fits_its_width_and_has_every_fact_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--work-dir", str(ROOT), monkeypatch=monkeypatch) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == list(STACKS)
    assert max(map(len, lines)) <= WIDTH
    shown = [" ".join(line.split()) for line in lines]
    for section in TOLD:
        assert section.title in shown
        for line in section.rows:
            assert " ".join((line.label, *line.cells)) in shown


def test_a_document_gets_every_section_as_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--markdown", "--work-dir", str(ROOT), monkeypatch=monkeypatch) == 0

    said = capsys.readouterr().out
    assert [line.removeprefix("## ") for line in said.splitlines() if line.startswith("## ")] == [
        section.title for section in TOLD
    ]
    assert "| SLA | none | 95 % | 99 % | 99.9 % | 99.99 % |" in said


def test_a_faulty_file_is_left_out_and_its_faults_are_the_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stack, old, new in (("live", "sla: 99.99", "sla: 101"), ("qa", "gate: manual", "gate: committee")):
        path = folder / f"Pulumi.{stack}.yaml"
        path.write_text(path.read_text().replace(old, new))

    assert run("--work-dir", str(folder), monkeypatch=monkeypatch) == 1

    printed = capsys.readouterr()
    assert printed.out.splitlines()[0].split() == ["dev", "uat", "staging"]
    assert printed.err.splitlines() == [
        "error: Pulumi.qa.yaml has 1 fault:",
        '  quikapp:environment.gate = "committee": is no known value; allowed: auto, manual, approval, cab',
        "error: Pulumi.live.yaml has 1 fault:",
        "  quikapp:environment.sla = 101: allowed is less than 100",
    ]


def test_where_there_are_no_stack_files_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--work-dir", str(tmp_path), monkeypatch=monkeypatch) == 1

    printed = capsys.readouterr()
    assert not printed.out
    assert (
        printed.err
        == f"error: no Pulumi.yaml in {tmp_path}: name the folder of the stack files with --work-dir\n"
    )
