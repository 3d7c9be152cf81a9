"""`preview-report`: digests are written, shown, and put into one comment, with exit codes that a pipeline can act on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.preview_report import cli
from operations.environments import EnvironmentName
from operations.preview.comment import MARKER, markdown
from operations.preview.digest import Digest
from tests.unit.delivery.fake_github import REPOSITORY, TOKEN, FakeGitHub, fake_github
from tests.unit.delivery.plans import FOLDER, digest_of


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    with fake_github() as fake:
        monkeypatch.setenv("GITHUB_API_URL", fake.url)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        yield fake


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["preview-report", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def written(folder: Path, plan: str, stack: EnvironmentName = EnvironmentName.DEV) -> Path:
    file = folder / f"{stack}.json"
    file.write_text(digest_of(plan, stack).model_dump_json(by_alias=True))
    return file


@pytest.mark.parametrize(
    ("plan", "code"),
    [("weights", 0), ("database-replaced", 0), ("refused-stack-file", 1), ("guardrails-mandatory", 1)],
)
def test_a_red_preview_writes_its_digest_and_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plan: str, code: int
) -> None:
    out = tmp_path / "dev.json"
    assert run(monkeypatch, "read", FOLDER / f"{plan}.jsonl", "--stack", "dev", "--out", out) == code
    assert Digest.model_validate_json(out.read_bytes()) == digest_of(plan)


def test_what_was_found_is_shown_to_a_person_and_to_the_summary_of_a_job(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    files = [written(tmp_path, "database-replaced"), written(tmp_path, "weights", EnvironmentName.LIVE)]
    assert run(monkeypatch, "show", *files) == 0
    shown = capsys.readouterr().out
    assert "blue v2.3.0, 0 → 5 %" in shown
    assert "replace `aws:rds/cluster:Cluster` `dev-database-cluster`: its data" in shown
    assert run(monkeypatch, "show", *files, "--markdown") == 0
    digests = [digest_of("database-replaced"), digest_of("weights", EnvironmentName.LIVE)]
    assert capsys.readouterr().out == markdown(digests)


def test_push_after_push_there_is_one_comment_and_it_says_what_is_the_case_now(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number = github.add("A change", pull_request=True)
    for plan, done in (("weights", "written"), ("weights", "unchanged"), ("sizes", "rewritten")):
        file = written(tmp_path, plan)
        assert run(monkeypatch, "comment", file, "--pull-request", str(number)) == 0
        assert github.comments(number) == [f"{MARKER}\n{markdown([digest_of(plan)])}"]
        assert capsys.readouterr().out == f"The comment on #1: {done}.\n"


def test_our_comment_is_found_on_a_later_page_and_nobody_elses_is_touched(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    number, other = github.add("A change", pull_request=True), github.add("Another", pull_request=True)
    github.comment(other, f"{MARKER}\nof the other")
    github.comment(number, f"{MARKER}\nof a person who would edit what we say", by="User")
    github.comment(number, f"As {MARKER} said")
    for count in range(140):
        github.comment(number, f"a word {count}", by="User")
    github.comment(number, f"{MARKER}\nold")
    before = [comment["body"] for comment in github.written[:-1]]
    assert run(monkeypatch, "comment", written(tmp_path, "weights"), "--pull-request", str(number)) == 0
    assert [comment["body"] for comment in github.written[:-1]] == before
    assert github.written[-1]["body"] == f"{MARKER}\n{markdown([digest_of('weights')])}"
    assert len(github.written) == 144


def test_a_refusal_says_which_right_is_missing_and_not_the_token(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_other")
    assert run(monkeypatch, "comment", written(tmp_path, "weights"), "--pull-request", "1") == 1
    said = capsys.readouterr().err
    assert "401" in said
    assert "`pull-requests: write`" in said
    assert "ghs_other" not in said
    assert github.written == []


def test_a_file_that_is_no_digest_or_a_second_one_is_refused(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"stack": "live", "password": "hunter2"}')
    assert run(monkeypatch, "comment", other, "--pull-request", "1") == 1
    said = capsys.readouterr().err
    assert "other.json is not a digest" in said
    assert "hunter2" not in said
    file = written(tmp_path, "weights")
    assert run(monkeypatch, "comment", file, file, "--pull-request", "1") == 1
    assert "is a second digest of dev" in capsys.readouterr().err
    assert github.asked == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["take", "--stack", "prod", "--out", "x"], "'dev', 'qa', 'uat', 'staging', 'live'"),
        (["take", "--stack", "dev", "--out", "x", "--program", "nowhere.py"], "no program"),
        (["read", "nowhere.jsonl", "--stack", "dev", "--out", "x"], "nowhere.jsonl"),
        (["show"], "Missing"),
        (["comment", "nowhere.json", "--pull-request", "1"], "nowhere.json"),
        (["comment", str(FOLDER / "weights.jsonl")], "--pull-request"),
        (["comment", str(FOLDER / "weights.jsonl"), "--pull-request", "0"], "--pull-request"),
    ],
)
def test_a_wrong_command_line_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 1
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err
    assert not (tmp_path / "x").exists()
