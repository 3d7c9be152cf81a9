"""The nightly workflow looks at every stack, with the least that it needs, and runs only what is pinned."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.environments import EnvironmentName

ROOT = Path(__file__).parents[3]
FILE = ROOT / ".github" / "workflows" / "drift.yml"
TEXT = FILE.read_text()
WORKFLOW: dict[str, Any] = yaml.load(TEXT, Loader=yaml.BaseLoader)  # noqa: S506 - it reads `on` as the text that it is
JOB: dict[str, Any] = WORKFLOW["jobs"]["drift"]


def test_it_looks_at_every_stack_every_night_and_when_somebody_asks() -> None:
    assert JOB["strategy"]["matrix"]["stack"] == list(EnvironmentName)
    (cron,) = WORKFLOW["on"]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", cron["cron"])
    assert "workflow_dispatch" in WORKFLOW["on"]
    assert JOB["strategy"]["fail-fast"] == "false"


def test_it_may_sign_in_read_and_write_issues_and_nothing_more() -> None:
    assert WORKFLOW["permissions"] == {}
    assert JOB["permissions"] == {"contents": "read", "id-token": "write", "issues": "write"}


def test_it_holds_no_key() -> None:
    assert "secrets." not in TEXT
    assert "aws-secret-access-key" not in TEXT


def test_each_stack_has_a_role_of_its_own() -> None:
    assert JOB["environment"] == "drift-${{ matrix.stack }}"
    (sign_in,) = [step for step in JOB["steps"] if "configure-aws-credentials" in step.get("uses", "")]
    assert sign_in["with"]["role-to-assume"] == "${{ vars.AWS_ROLE }}"


def test_it_waits_for_whatever_else_is_done_to_the_stack() -> None:
    assert JOB["concurrency"] == {"group": "stack-${{ matrix.stack }}", "cancel-in-progress": "false"}


def test_the_token_is_given_to_the_report_alone() -> None:
    holders = [step["name"] for step in JOB["steps"] if "github.token" in str(step)]
    assert holders == ["Open, rewrite or close the issue"]
    (checkout,) = [step for step in JOB["steps"] if "actions/checkout" in step.get("uses", "")]
    assert checkout["with"]["persist-credentials"] == "false"


@pytest.mark.parametrize("workflow", sorted(FILE.parent.glob("*.yml")), ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_and_says_its_version(workflow: Path) -> None:
    uses = re.findall(r"uses: (.+)", workflow.read_text())
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_it_installs_the_versions_that_the_project_names() -> None:
    installed = dict(re.findall(r"version: (\S+) # renovate: datasource=pypi depName=(\S+)", TEXT))
    pinned: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    uv = re.search(r"^UV_VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert uv is not None
    assert {name: version for version, name in installed.items()} == {
        "uv": uv[1],
        "pulumi": next(dep.removeprefix("pulumi==") for dep in pinned if dep.startswith("pulumi==")),
    }


def script(step: str) -> str:
    (found,) = [s["run"] for s in JOB["steps"] if s.get("name") == step]
    return found


@pytest.mark.parametrize(("code", "after"), [(0, 0), (2, 0), (1, 1), (137, 137)])
def test_drift_is_reported_and_a_failure_fails_the_job(tmp_path: Path, code: int, after: int) -> None:
    stand_in = tmp_path / "uv"
    stand_in.write_text(f'#!/bin/sh\necho "$@"\nexit {code}\n')
    stand_in.chmod(0o700)
    ended = subprocess.run(
        ["bash", "-e", "-c", script("Read what is there, and hold it against Git")],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "STACK": "live"},
        check=False,
    )
    assert ended.returncode == after
    assert (tmp_path / "drift.json").read_text() == "run --no-sync drift --stack live --json\n"


@pytest.mark.parametrize("workflow", sorted(FILE.parent.glob("*.yml")), ids=lambda path: path.name)
def test_an_attacker_finds_nothing(workflow: Path) -> None:
    zizmor = shutil.which("zizmor", path=sysconfig.get_path("scripts"))
    assert zizmor is not None
    verdict = subprocess.run(
        [zizmor, "--offline", "--no-progress", "--persona=pedantic", str(workflow)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
