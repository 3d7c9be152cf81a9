"""The nightly workflow looks at every stack, tells what it found and where it could not look, with the least that it needs, and
runs only what is pinned."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.drift import Cause, Difference, Drift, StateCopy
from operations.environments import EnvironmentName
from tests.unit.delivery.fake_github import REPOSITORY, TOKEN, FakeGitHub, fake_github
from tests.unit.delivery.workflows import FOLDER, ROOT, load, rendered, steps_of, value

FILE = FOLDER / "drift.yml"
TEXT = FILE.read_text()
WORKFLOW = load("drift")
JOB: dict[str, Any] = WORKFLOW["jobs"]["drift"]
REPORT: dict[str, Any] = WORKFLOW["jobs"]["report"]
LOOK, KEEP = "Read what is there, and hold it against Git", "Keep what was found"
TELL = "Open, rewrite or close the issues"
DIFFERENCE = Difference(operation="update", type="aws:s3/bucket:Bucket", name="files", cause=Cause.OUTSIDE)


def test_it_looks_at_every_stack_every_night_and_when_somebody_asks() -> None:
    assert JOB["strategy"]["matrix"]["stack"] == list(EnvironmentName)
    (cron,) = WORKFLOW["on"]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", cron["cron"])
    assert "workflow_dispatch" in WORKFLOW["on"]
    assert JOB["strategy"]["fail-fast"] == "false"


def test_what_looks_may_sign_in_and_what_tells_may_write_issues_and_neither_does_both() -> None:
    assert WORKFLOW["permissions"] == {}
    assert JOB["permissions"] == {"contents": "read", "id-token": "write"}
    assert REPORT["permissions"] == {"contents": "read", "issues": "write"}


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
    assert "github.token" not in str(JOB)
    assert [step["name"] for step in REPORT["steps"] if "github.token" in str(step)] == [TELL]
    for job in (JOB, REPORT):
        (checkout,) = steps_of(job, "actions/checkout")
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


# --- from what was found to the issues -----------------------------------------------------------------------------


WRITTEN = "2026-11-24T02:00:00+00:00"
COPIED = f"printf '{WRITTEN}\\tCOMPLETED\\n'"
BACKEND = "s3://quikapp-state-test"


def perform(
    job: dict[str, Any], step: str, folder: Path, uv: str, aws: str = COPIED, **environment: str
) -> int:
    """The exit code of a step's script, run in a folder as the runner does it, with stand-ins for `uv` and `aws`."""
    (found,) = [each for each in job["steps"] if each.get("name") == step]
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name, script in (("uv", uv), ("aws", aws)):
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o700)
    return subprocess.run(
        ["bash", "-e", "-c", found["run"]],
        cwd=folder,
        env={"PATH": f"{tools}:/usr/bin:/bin", **environment},
        check=False,
    ).returncode


@pytest.mark.parametrize(("code", "after"), [(0, 0), (2, 0), (1, 1), (137, 137)])
def test_drift_is_kept_and_a_failure_fails_the_job(tmp_path: Path, code: int, after: int) -> None:
    uv = f'echo "$@"\nexit {code}'
    assert perform(JOB, LOOK, tmp_path, uv, STACK="live", PULUMI_BACKEND_URL=BACKEND) == after
    assert (tmp_path / "live.json").read_text() == (
        f"run --no-sync drift --stack live --copied {WRITTEN}\tCOMPLETED --json\n"
    )


def test_whether_the_state_is_copied_is_asked_of_the_stacks_own_in_the_bucket_that_is_the_backend(
    tmp_path: Path,
) -> None:
    aws = f'printf "%s\\n" "$@" > asked\n{COPIED}'
    uv = 'printf "%s\\n" "$@" > told'
    assert perform(JOB, LOOK, tmp_path, uv, aws, STACK="live", PULUMI_BACKEND_URL=BACKEND) == 0
    operation, options = (tmp_path / "asked").read_text().splitlines()[:2], asked_of(tmp_path / "asked")
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["name"]
    assert operation == ["s3api", "head-object"]
    assert options == {
        "--bucket": "quikapp-state-test",
        "--key": f".pulumi/stacks/{project}/live.json",
        "--query": "[LastModified,ReplicationStatus]",
        "--output": "text",
    }
    told = (tmp_path / "told").read_text().splitlines()
    assert StateCopy.told(told[told.index("--copied") + 1], datetime.now(UTC)).is_there


def asked_of(file: Path) -> dict[str, str]:
    """The options of a command of AWS with their values, a line each."""
    words = file.read_text().splitlines()[2:]
    return dict(zip(words[::2], words[1::2], strict=True))


def test_a_copy_that_cannot_be_asked_for_fails_the_job_and_nothing_is_kept(tmp_path: Path) -> None:
    assert perform(JOB, LOOK, tmp_path, "exit 0", "exit 254", STACK="live", PULUMI_BACKEND_URL=BACKEND) == 254
    assert not (tmp_path / "live.json").exists()


def test_of_a_stack_that_could_not_be_looked_at_nothing_is_kept() -> None:
    looks, keeps = (step.get("name") for step in JOB["steps"][-2:])
    assert (looks, keeps) == (LOOK, KEEP)
    assert all("continue-on-error" not in step for step in JOB["steps"])
    assert "continue-on-error" not in JOB
    (keep,) = steps_of(JOB, "upload-artifact")
    assert "if" not in keep, "without a condition it runs only where all before it succeeded"
    assert keep["with"]["if-no-files-found"] == "error"


def test_what_one_job_keeps_the_other_fetches() -> None:
    (keep,), (fetch,) = steps_of(JOB, "upload-artifact"), steps_of(REPORT, "download-artifact")
    names = {stack: rendered(keep["with"]["name"], {"matrix.stack": stack}) for stack in EnvironmentName}
    assert len(set(names.values())) == len(EnvironmentName)
    assert all(fnmatchcase(name, fetch["with"]["pattern"]) for name in names.values())
    # By a name instead of a pattern, the action fails where there is none.
    assert "name" not in fetch["with"]
    assert fetch["with"]["merge-multiple"] == "true"


@pytest.mark.parametrize("result", ["success", "failure", "cancelled"])
def test_it_is_told_whatever_became_of_the_jobs_and_only_of_the_branch_that_is_deployed(result: str) -> None:
    assert REPORT["needs"] == "drift"
    (branch,) = load("deploy")["on"]["push"]["branches"]
    known = {
        "always()": "true",
        "success()": "true" if result == "success" else "",
        "failure()": "true" if result == "failure" else "",
        "cancelled()": "",  # of the run, not of a job
        "needs.drift.result": result,
    }
    condition = REPORT["if"]
    if not any(status in condition for status in known if status.endswith("()")):
        condition = f"success() && {condition}"  # what GitHub adds
    assert value(condition, {**known, "github.ref": f"refs/heads/{branch}"}) == "true"
    assert value(condition, {**known, "github.ref": "refs/heads/try"}) == ""
    assert all("if" not in step for step in REPORT["steps"])


def test_what_was_found_reaches_the_issues_and_so_does_what_could_not_be(tmp_path: Path) -> None:
    """The scripts of both jobs, with the real report and a GitHub on loopback: qa drifts, live cannot be looked at."""
    (keep,), (fetch,) = steps_of(JOB, "upload-artifact"), steps_of(REPORT, "download-artifact")
    fetched = tmp_path / "report" / fetch["with"]["path"]
    for stack in EnvironmentName:
        differs = stack is EnvironmentName.QA
        found = Drift(stack=stack, differences=(DIFFERENCE,) if differs else ())
        code = 1 if stack is EnvironmentName.LIVE else 2 if differs else 0
        (folder := tmp_path / stack).mkdir()
        uv = f"cat <<'END'\n{found.model_dump_json(by_alias=True)}\nEND\nexit {code}"
        if perform(JOB, LOOK, folder, uv, STACK=stack, PULUMI_BACKEND_URL=BACKEND) == 0:
            fetched.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / rendered(keep["with"]["path"], {"matrix.stack": stack}), fetched)
    with fake_github() as github:
        assert tell(tmp_path / "report", github) == 0
        assert [issue["title"] for issue in github.issues] == ["Drift: qa", "Drift: live"]
        drifted, unknown = (issue["body"] for issue in github.issues)
    assert "`files`" in drifted
    assert unknown.startswith("live could not be held against Git")
    assert f"(https://github.example/{REPOSITORY}/actions/runs/42)" in unknown


def test_where_nothing_was_found_of_any_that_is_told_of_all(tmp_path: Path) -> None:
    (report := tmp_path / "report").mkdir()
    with fake_github() as github:
        assert tell(report, github) == 0
        assert len(github.issues) == len(EnvironmentName)


def tell(folder: Path, github: FakeGitHub) -> int:
    """The exit code of the last step of the report, as it is run in a folder with what was fetched."""
    assert REPORT["steps"][-1]["name"] == TELL
    run = {
        "github.token": TOKEN,
        "github.server_url": "https://github.example",
        "github.repository": REPOSITORY,
        "github.run_id": "42",
    }
    return perform(
        REPORT,
        TELL,
        folder,
        'test "$1 $2 $3" = "run --no-sync drift" || exit 99\nshift 3\n'
        f"exec {sys.executable} -c 'from delivery.cli import main; main()' \"$@\"",
        **{name: rendered(text, run) for name, text in REPORT["steps"][-1]["env"].items()},
        GITHUB_REPOSITORY=REPOSITORY,
        GITHUB_API_URL=github.url,
        PYTHONPATH=str(ROOT),
    )


# --- all of them ---------------------------------------------------------------------------------------------------


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
