"""`drift` and `drift report`: one issue for each stack, also of one that could not be looked at, and exit codes that a pipeline
can act on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from delivery import cli
from delivery.errors import DeliveryError
from delivery.github import GitHub, GitHubIssues
from operations.drift import Action, Cause, Difference, Drift, Open, Replication, markdown
from operations.environments import EnvironmentName
from tests.unit.delivery.fake_github import REPOSITORY, TOKEN, FakeGitHub, fake_github

LOG = "https://github.example/quikapp/operations/actions/runs/1"
QUIET = Drift(stack=EnvironmentName.LIVE)
DRIFT = Drift(
    stack=EnvironmentName.LIVE,
    differences=(
        Difference(
            operation="update",
            type="aws:s3/bucket:Bucket",
            name="files",
            properties=("tags.Owner",),
            cause=Cause.OUTSIDE,
        ),
    ),
)


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    with fake_github() as fake:
        monkeypatch.setenv("GITHUB_API_URL", fake.url)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        yield fake


def issues(github: FakeGitHub, token: str = TOKEN) -> GitHubIssues:
    return GitHubIssues(GitHub(REPOSITORY, token, github.url))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["drift", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def report(monkeypatch: pytest.MonkeyPatch, folder: Path, found: Drift | None, log: str = LOG) -> int:
    """Report what was found of live, or that nothing was; all other stacks are quiet."""
    for stack in EnvironmentName:
        (folder / f"{stack}.json").write_text(Drift(stack=stack).model_dump_json(by_alias=True))
    if found is None:
        (folder / "live.json").unlink()
    else:
        (folder / "live.json").write_text(found.model_dump_json(by_alias=True))
    return run(monkeypatch, "report", str(folder), "--log", log)


def found_now(monkeypatch: pytest.MonkeyPatch, found: Drift) -> None:
    """Let the preview find this."""

    def look(*_: object) -> Drift:
        return found

    monkeypatch.setattr(cli, "look", look)


# --- the issue -----------------------------------------------------------------------------------------------------


def test_night_after_night_there_is_one_issue_and_it_is_closed_when_all_is_well(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert report(monkeypatch, tmp_path, QUIET) == 0
    assert github.issues == []
    for _ in range(2):
        assert report(monkeypatch, tmp_path, DRIFT) == 0
        (opened,) = github.issues
        assert (opened["title"], opened["state"], opened["body"]) == ("Drift: live", "open", markdown(DRIFT))
    more = DRIFT.model_copy(update={"differences": DRIFT.differences * 2})
    assert report(monkeypatch, tmp_path, more) == 0
    assert [issue["body"] for issue in github.issues] == [markdown(more)]
    assert report(monkeypatch, tmp_path, QUIET) == 0
    (closed,) = github.issues
    assert (closed["state"], closed["state_reason"]) == ("closed", "completed")
    assert github.comments(1) == ["Nothing differs any more."]
    assert report(monkeypatch, tmp_path, DRIFT) == 0
    assert [issue["state"] for issue in github.issues] == ["closed", "open"]


def test_the_issues_of_other_stacks_and_other_people_are_left_alone(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    others = [
        github.add("Drift: prod"),
        github.add("Drift: live, again"),
        github.add("Drift: live", pull_request=True),
        github.add("Drift: live", state="closed"),
    ]
    before = json.dumps(github.issues)
    assert report(monkeypatch, tmp_path, QUIET) == 0
    assert json.dumps(github.issues) == before
    assert report(monkeypatch, tmp_path, DRIFT) == 0
    assert json.dumps(github.issues[: len(others)]) == before
    assert len(github.issues) == len(others) + 1


def test_an_issue_beyond_the_first_page_is_found(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(230):
        github.add(f"something else {number}")
    wanted = github.add("Drift: live", None)
    assert report(monkeypatch, tmp_path, DRIFT) == 0
    assert github.issues[wanted - 1]["body"] == markdown(DRIFT)
    assert len(github.open_titled("Drift: live")) == 1


def test_a_full_last_page_is_followed_by_an_empty_one(github: FakeGitHub) -> None:
    for number in range(100):
        github.add(f"something else {number}")
    assert issues(github).titled("Drift: live") == []
    assert len(github.asked) == 2


def test_of_two_issues_that_two_runs_opened_the_older_goes_on(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = github.add("Drift: live", "old"), github.add("Drift: live", "new")
    assert report(monkeypatch, tmp_path, DRIFT) == 0
    assert [issue["number"] for issue in github.open_titled("Drift: live")] == [first]
    assert github.comments(second) == [f"Goes on in #{first}."]


def test_a_refusal_says_which_right_is_missing_and_not_the_token(github: FakeGitHub) -> None:
    with pytest.raises(DeliveryError, match=r"401 .*`issues: write`") as refused:
        issues(github, "ghs_other").titled("Drift: live")
    assert "ghs_other" not in str(refused.value)


def test_a_text_that_github_does_not_take_is_an_error(github: FakeGitHub) -> None:
    with pytest.raises(DeliveryError, match="POST issues of quikapp/operations: 422"):
        issues(github).do(Open("Drift: live", "x" * 70_000))


def test_a_github_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DeliveryError, match="did not answer GET issues"):
        GitHubIssues(GitHub(REPOSITORY, TOKEN, "http://127.0.0.1:9")).titled("Drift: live")


def test_without_a_token_nothing_is_asked(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    assert report(monkeypatch, tmp_path, DRIFT) == 1
    assert "GITHUB_TOKEN must be set" in capsys.readouterr().err
    assert github.asked == []


def test_a_night_that_fails_opens_an_issue_and_the_next_that_does_not_closes_it(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert report(monkeypatch, tmp_path, None) == 0
    (opened,) = github.issues
    assert (opened["title"], opened["state"]) == ("Drift: live", "open")
    assert "live could not be held against Git" in opened["body"]
    assert LOG in opened["body"]
    assert report(monkeypatch, tmp_path, QUIET) == 0
    assert [issue["state"] for issue in github.issues] == ["closed"]


def test_a_night_that_fails_forgets_nothing_of_what_was_found_before(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert report(monkeypatch, tmp_path, DRIFT) == 0
    for night in ("2", "3"):
        assert report(monkeypatch, tmp_path, None, f"{LOG}{night}") == 0
        (still,) = github.issues
        assert still["state"] == "open"
        assert f"{LOG}{night}" in still["body"]
        assert still["body"].count(markdown(DRIFT).strip()) == 1
    assert report(monkeypatch, tmp_path, DRIFT) == 0
    assert [issue["body"] for issue in github.issues] == [markdown(DRIFT)]


def test_no_stack_is_left_out_even_where_nothing_was_found_of_any(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run(monkeypatch, "report", str(tmp_path), "--log", LOG) == 0
    assert [issue["title"] for issue in github.issues] == [f"Drift: {stack}" for stack in EnvironmentName]


@pytest.mark.parametrize(
    "text",
    ['{"stack": "live", "differences": [{"value": "hunter2"}]}', "", QUIET.model_dump_json(by_alias=True)],
)
def test_a_file_that_is_something_else_or_of_another_stack_tells_nothing(
    github: FakeGitHub,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "dev.json").write_text(text)
    assert run(monkeypatch, "report", str(tmp_path), "--log", LOG) == 0
    assert "dev.json is not what `drift --stack dev --json` prints" in capsys.readouterr().out
    (opened,) = github.open_titled("Drift: dev")
    assert "dev could not be held against Git" in opened["body"]
    assert "hunter2" not in json.dumps(github.issues)


def test_an_issue_that_is_refused_stops_no_other_and_fails_the_job(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    do = GitHubIssues.do

    def refuse_dev(self: GitHubIssues, action: Action) -> None:
        if isinstance(action, Open) and action.title == "Drift: dev":
            raise DeliveryError("GitHub refused dev's")
        do(self, action)

    monkeypatch.setattr(GitHubIssues, "do", refuse_dev)
    assert run(monkeypatch, "report", str(tmp_path), "--log", LOG) == 1
    assert capsys.readouterr().err == "error: GitHub refused dev's\n"
    assert len(github.issues) == len(EnvironmentName) - 1


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("found", "code"), [(QUIET, 0), (DRIFT, 2)])
def test_the_exit_code_tells_drift_from_quiet(
    monkeypatch: pytest.MonkeyPatch, found: Drift, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found_now(monkeypatch, found)
    assert run(monkeypatch, "--stack", "live", "--json") == code
    assert Drift.model_validate_json(capsys.readouterr().out) == found
    assert run(monkeypatch, "--stack", "live", "--markdown") == code
    assert capsys.readouterr().out == markdown(found)
    assert run(monkeypatch, "--stack", "live") == code
    assert capsys.readouterr().out.startswith("live ")


@pytest.mark.parametrize(("status", "code"), [("COMPLETED", 0), ("FAILED", 2), ("None", 2)])
def test_what_s3_says_of_the_state_goes_into_what_is_reported(
    monkeypatch: pytest.MonkeyPatch, status: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found_now(monkeypatch, QUIET)
    answer = ("--copied", f"2026-11-24T02:00:00+00:00\t{status}")
    assert run(monkeypatch, "--stack", "live", "--json", *answer) == code
    found = Drift.model_validate_json(capsys.readouterr().out)
    assert found.copied is not None
    assert found.copied.status is Replication(status)
    assert found.copied.written.isoformat() == "2026-11-24T02:00:00+00:00"
    assert run(monkeypatch, "--stack", "live", *answer) == code
    assert ("not copied" in capsys.readouterr().out) is (code == 2)


def test_a_state_that_has_just_been_written_has_time_to_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    found_now(monkeypatch, QUIET)
    for age, code in ((timedelta(minutes=1), 0), (timedelta(minutes=16), 2)):
        written = datetime.now(UTC) - age
        assert run(monkeypatch, "--stack", "live", "--copied", f"{written.isoformat()}\tPENDING") == code


def test_a_preview_that_fails_is_neither_quiet_nor_drift(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> Drift:
        raise DeliveryError("no such zone")

    monkeypatch.setattr(cli, "look", fail)
    assert run(monkeypatch, "--stack", "live", "--json") == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "error: no such zone\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--stack"),
        (["--stack", "prod"], "'dev', 'qa', 'uat', 'staging', 'live'"),
        (["--stack", "live", "--json", "--markdown"], "choose one"),
        (["--stack", "live", "--copied", "COMPLETED"], "--copied = 'COMPLETED': allowed is what"),
        (["--stack", "live", "--copied", ""], "--copied = '': allowed is what"),
        (["--stak", "live"], "No such option"),
        (["report"], "Missing"),
        (["report", "."], "--log"),
        (["report", "nowhere", "--log", LOG], "nowhere"),
    ],
)
def test_a_wrong_command_line_is_not_taken_for_drift(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found_now(monkeypatch, QUIET)
    assert run(monkeypatch, *arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert "Traceback" not in printed.err
