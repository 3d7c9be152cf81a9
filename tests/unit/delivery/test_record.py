"""`deploy record`: what a deployment has put in force is committed to the default branch, and nothing else of the file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.deploy import recording
from delivery.deploy.cli import main
from delivery.deploy.recording import ATTEMPTS, record
from delivery.deploy.repository import Repository
from delivery.errors import DeliveryError
from delivery.github import GitHub
from operations.environments import EnvironmentName
from tests.unit.delivery.fake_github import REPOSITORY, TOKEN, FakeGitHub, fake_github

LIVE = EnvironmentName.LIVE
REAL = (Path(__file__).parents[3] / "Pulumi.live.yaml").read_text()
BEFORE = """\
config: # of live
  aws:region: eu-west-1
  quikapp:release:
    blue: {version: v2.3.0, weight: 100}
    green: {version: v2.4.0, weight: 0}
    standby: full # as many as serve
    switch: ladder
  quikapp:changes: # the last one in force
  - {request: CHG0030041, version: v2.3.0}
  - {request: CHG0030042, version: v2.4.0}
  quikapp:sizing:
    replicas: {min: 6, max: 60} # two in each zone
"""
"""Blue serves v2.3.0, as in the real one."""


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    monkeypatch.setattr(recording, "PAUSE_SECONDS", 0)
    with fake_github() as fake:
        monkeypatch.setenv("GITHUB_API_URL", fake.url)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        fake.files["Pulumi.live.yaml"] = BEFORE
        yield fake


def promoted(text: str) -> str:
    """The same file after a rollout to green and one more change request."""
    moved = text.replace(
        "blue: {version: v2.3.0, weight: 100}", "blue: {version: v2.3.0, weight: 0}"
    ).replace("green: {version: v2.4.0, weight: 0}", "green: {version: v2.4.0, weight: 100}")
    last = re.findall(r"^  - \{request: .*\n", moved, re.MULTILINE)[-1]
    noted = moved.replace(last, f"{last}  - {{request: CHG0030099, version: v2.4.0}}\n")
    assert (noted.count("CHG0030099"), noted.count("weight: 100")) == (1, 1)
    return noted


def put(github: FakeGitHub, folder: Path, left: str) -> str:
    """Record a stack file as a deployment left it."""
    file = folder / "left.yaml"
    file.write_text(left)
    repository = Repository(GitHub(REPOSITORY, TOKEN, github.url))
    return record(LIVE, file, repository, pause=0)


def test_release_and_change_requests_are_committed_and_every_comment_stays(
    github: FakeGitHub, tmp_path: Path
) -> None:
    github.files["Pulumi.live.yaml"] = REAL
    said = put(github, tmp_path, promoted(REAL))
    assert said == "Pulumi.live.yaml says now what is in force: v2.4.0 at 100 %."
    assert github.files["Pulumi.live.yaml"] == promoted(REAL)
    assert github.commits == ["live: v2.4.0 at 100 % (CHG0030099)"]


def test_where_nothing_differs_nothing_is_committed(github: FakeGitHub, tmp_path: Path) -> None:
    put(github, tmp_path, BEFORE)
    assert github.commits == []
    put(github, tmp_path, BEFORE.replace("max: 60", "max: 61") + "# a comment of the checkout\n")
    assert github.files["Pulumi.live.yaml"] == BEFORE


def test_what_others_have_merged_meanwhile_stays(github: FakeGitHub, tmp_path: Path) -> None:
    merged = BEFORE.replace("max: 60} # two in", "max: 80} # three in")
    assert merged != BEFORE
    github.files["Pulumi.live.yaml"] = merged
    put(github, tmp_path, promoted(BEFORE))
    assert github.files["Pulumi.live.yaml"] == promoted(merged)


def test_who_is_overtaken_reads_again_and_overwrites_nobody(github: FakeGitHub, tmp_path: Path) -> None:
    merged = BEFORE.replace("max: 60}", "max: 80}")

    def merge() -> None:
        github.files["Pulumi.live.yaml"] = merged

    github.meanwhile = [merge]
    put(github, tmp_path, promoted(BEFORE))
    assert github.files["Pulumi.live.yaml"] == promoted(merged)
    assert [asked.split()[0] for asked in github.asked] == ["GET", "PUT", "GET", "PUT"]


def test_who_is_overtaken_again_and_again_gives_up_and_says_so(github: FakeGitHub, tmp_path: Path) -> None:
    def touch() -> None:
        github.files["Pulumi.live.yaml"] += "#\n"

    github.meanwhile = [touch] * ATTEMPTS
    with pytest.raises(DeliveryError, match="changed by others each of 5 times"):
        put(github, tmp_path, promoted(BEFORE))
    assert github.commits == []


def test_a_branch_whose_rules_take_no_commit_is_told_from_one_that_others_change(
    github: FakeGitHub, tmp_path: Path
) -> None:
    github.protected = True
    with pytest.raises(DeliveryError, match="do the rules of the default branch let workflows commit to it"):
        put(github, tmp_path, promoted(BEFORE))


def test_a_rollout_that_is_under_way_is_recorded_as_it_stands(github: FakeGitHub, tmp_path: Path) -> None:
    half = BEFORE.replace("weight: 100}", "weight: 75}").replace("weight: 0}", "weight: 25}")
    put(github, tmp_path, half)
    (message,) = github.commits
    assert message.startswith("live: v2.3.0 at 75 % and v2.4.0 at 25 % (CHG")


def command(monkeypatch: pytest.MonkeyPatch, file: Path, *arguments: str) -> int:
    words = ["deploy", "record", "--stack", "live", "--file", str(file), *arguments]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_commits_with_the_token_of_the_run(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Pulumi.live.yaml"
    file.write_text(promoted(BEFORE))
    assert command(monkeypatch, file) == 0
    assert "says now what is in force" in capsys.readouterr().out
    assert len(github.commits) == 1


def test_a_token_that_may_not_write_is_told_what_it_needs(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Pulumi.live.yaml"
    file.write_text(promoted(BEFORE))
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_other")
    assert command(monkeypatch, file) == 1
    said = capsys.readouterr().err
    assert "`contents: write`" in said
    assert "ghs_other" not in said
    assert github.commits == []


def test_a_file_that_is_no_stack_file_is_refused(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Pulumi.live.yaml"
    file.write_text("config: {}\n")
    assert command(monkeypatch, file) == 1
    assert "quikapp:release is missing or wrong" in capsys.readouterr().err
    assert github.commits == []
