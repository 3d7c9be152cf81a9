"""The workflows of deployments and pull requests: the order, doors and times of `operations`, and the least rights."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from operations.delivery import Trigger, door
from operations.environments import EnvironmentName
from operations.ladder import LADDER
from operations.rollout.plan import BLIND_LIMIT, SCALE_ATTEMPTS, STARTUP_LIMIT, WARNING_LIMIT
from rollout.driver import LONGEST_RETRY
from rollout.engine import LOCK_PATIENCE_SECONDS
from rollout.record import LEASE_IN_UPDATE
from tests.unit.delivery.workflows import FOLDER, ROOT, load, rendered, steps_of, value

WORKFLOWS = {path.stem: load(path.stem) for path in sorted(FOLDER.glob("*.yml"))}
DEPLOY, PULL_REQUEST, DRIFT = WORKFLOWS["deploy"], WORKFLOWS["pull-request"], WORKFLOWS["drift"]

JOB_LIMIT = timedelta(hours=6)
"""Of a job on GitHub's own runners. Source: https://docs.github.com/en/actions/reference/limits"""


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every job of every workflow."""
    for name, workflow in WORKFLOWS.items():
        for job, body in workflow["jobs"].items():
            yield f"{name}.{job}", body


JOBS = dict(jobs())
EVERY_JOB = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS.keys())


def run_for(stack: EnvironmentName) -> dict[str, str]:
    """What a run knows that deploys to a stack."""
    chosen = "" if door(stack).trigger is Trigger.MERGE else str(stack)
    return {"inputs.environment": chosen, "inputs.version": "", "inputs.change": ""}


# --- deployments ---------------------------------------------------------------------------------------------------


def test_a_merge_deploys_where_nobody_is_asked_and_a_person_everywhere_else() -> None:
    on_merge = [name for name in EnvironmentName if door(name).trigger is Trigger.MERGE]
    assert set(DEPLOY["on"]) == {trigger.value for trigger in Trigger}
    assert DEPLOY["on"]["push"] == {"branches": ["main"]}
    assert [rendered(DEPLOY["jobs"]["deploy"]["env"]["STACK"], {"inputs.environment": ""})] == on_merge
    choice = DEPLOY["on"]["workflow_dispatch"]["inputs"]["environment"]
    assert choice["options"] == [name for name in EnvironmentName if name not in on_merge]
    assert choice["required"] == "true"


@pytest.mark.parametrize("stack", EnvironmentName)
def test_every_stack_is_deployed_through_its_own_door_and_one_deployment_at_a_time(
    stack: EnvironmentName,
) -> None:
    job, run = DEPLOY["jobs"]["deploy"], run_for(stack)
    assert rendered(job["environment"], run) == door(stack).environment
    assert rendered(job["env"]["STACK"], run) == stack
    group = rendered(DRIFT["jobs"]["drift"]["concurrency"]["group"], {"matrix.stack": stack})
    assert {key: rendered(text, run) for key, text in job["concurrency"].items()} == {
        "group": group,
        "cancel-in-progress": "false",
    }
    record = DEPLOY["jobs"]["record"]
    assert rendered(record["env"]["STACK"], run) == stack
    assert record["concurrency"]["cancel-in-progress"] == "false"


def test_the_change_request_and_the_version_reach_the_command_as_they_were_typed() -> None:
    (step,) = [step for step in DEPLOY["jobs"]["deploy"]["steps"] if step.get("name") == "Deploy"]
    typed = {
        "vars.PULUMI_BACKEND_URL": "s3://state",
        "github.triggering_actor": "ada",
        "inputs.version": "v2.4.0",
        "inputs.change": "CHG0030042; rm -rf /",
    }
    assert {key: rendered(text, typed) for key, text in step["env"].items()} == {
        "PULUMI_BACKEND_URL": "s3://state",
        "VERSION": "v2.4.0",
        "CHANGE": "CHG0030042; rm -rf /",
        "WHO": "ada",
    }
    assert re.findall(r'"\$(\w+)"', step["run"]) == ["STACK", "VERSION", "CHANGE", "WHO"]


def test_a_job_lasts_as_long_as_the_ladder_with_all_that_may_hold_it_and_aws_as_long_as_the_job() -> None:
    job = DEPLOY["jobs"]["deploy"]
    timeout = timedelta(minutes=int(job["timeout-minutes"]))
    baking = [phase for phase in LADDER if phase.bake]
    ladder = sum((phase.bake for phase in baking), timedelta())
    holds = (WARNING_LIMIT + BLIND_LIMIT) * len(baking)
    around = STARTUP_LIMIT + SCALE_ATTEMPTS * LONGEST_RETRY
    waits = timedelta(seconds=LOCK_PATIENCE_SECONDS) + LEASE_IN_UPDATE
    assert ladder + holds + around + waits < timeout < JOB_LIMIT
    (sign_in,) = steps_of(job, "configure-aws-credentials")
    duration = timedelta(seconds=int(sign_in["with"]["role-duration-seconds"]))
    assert timeout <= duration <= JOB_LIMIT


def test_what_is_in_force_is_recorded_whatever_came_of_the_deployment() -> None:
    deploy, record = DEPLOY["jobs"]["deploy"], DEPLOY["jobs"]["record"]
    (keep,) = steps_of(deploy, "upload-artifact")
    (fetch,) = steps_of(record, "download-artifact")
    assert keep["if"] == "always()"
    assert record["needs"] == "deploy"
    for result, kept, runs in (
        ("failure", "1234", "true"),
        ("success", "1234", "true"),
        ("cancelled", "", ""),
    ):
        known = {"always()": "true", "needs.deploy.outputs.kept": kept, "needs.deploy.result": result}
        assert value(record["if"], known) == runs
    assert deploy["outputs"]["kept"] == f"${{{{ steps.{keep['id']}.outputs.artifact-id }}}}"
    assert keep["with"]["name"] == fetch["with"]["name"]
    assert rendered(keep["with"]["path"], run_for(EnvironmentName.LIVE)).split() == [
        "Pulumi.live.yaml",
        "rollout-*.svg",
    ]
    (commit,) = [step for step in record["steps"] if "deploy record" in step.get("run", "")]
    assert f'"{fetch["with"]["path"]}/Pulumi.$STACK.yaml"' in commit["run"]


# --- pull requests -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("job", ["preview", "rehearse"])
def test_a_pull_request_is_previewed_for_every_stack(job: str) -> None:
    strategy = PULL_REQUEST["jobs"][job]["strategy"]
    assert strategy["matrix"]["stack"] == list(EnvironmentName)
    assert strategy["fail-fast"] == "false"


def test_a_branch_of_this_repository_meets_the_accounts_and_a_fork_the_rehearsal() -> None:
    def judged(head: str) -> dict[str, bool]:
        known = {
            "github.event.pull_request.head.repo.full_name": head,
            "github.repository": "quikapp/operations",
            "cancelled()": "",
        }
        conditions = {name: job.get("if", "'true'") for name, job in PULL_REQUEST["jobs"].items()}
        return {
            name: bool(value(text.removeprefix("${{").removesuffix("}}"), known))
            for name, text in conditions.items()
        }

    ours = {"checks": True, "preview": True, "comment": True, "rehearse": False}
    assert judged("quikapp/operations") == ours
    assert judged("mallory/operations") == {**ours, "preview": False, "comment": False, "rehearse": True}


@pytest.mark.parametrize("job", ["checks", "rehearse"])
def test_what_a_stranger_proposes_runs_on_githubs_machines_with_no_right_but_to_read(job: str) -> None:
    body = PULL_REQUEST["jobs"][job]
    assert body["permissions"] == {"contents": "read"}
    assert body["runs-on"] == "ubuntu-24.04"
    assert "vars." not in str(body)
    assert "environment" not in body
    assert "github.token" not in str(body)
    assert set(PULL_REQUEST["on"]) == {"pull_request"}


def test_the_comment_is_written_once_all_previews_are_there_even_the_red_ones() -> None:
    comment = PULL_REQUEST["jobs"]["comment"]
    assert comment["needs"] == "preview"
    assert "!cancelled()" in comment["if"]
    (keep,) = steps_of(PULL_REQUEST["jobs"]["preview"], "upload-artifact")
    assert keep["if"] == "always()"


def test_the_rehearsal_survives_the_second_checkout() -> None:
    base, head = steps_of(PULL_REQUEST["jobs"]["rehearse"], "actions/checkout")
    assert base["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert "ref" not in head["with"]
    assert head["with"]["clean"] == "false"


@pytest.mark.parametrize(("code", "after"), [(0, 0), (1, 1)])
def test_a_red_rehearsal_is_shown_and_fails_the_job(tmp_path: Path, code: int, after: int) -> None:
    (step,) = [
        step
        for step in PULL_REQUEST["jobs"]["rehearse"]["steps"]
        if step.get("name") == "Preview what is proposed"
    ]
    stand_in = tmp_path / "uv"
    stand_in.write_text(f'#!/bin/sh\necho "$3 $4"\n[ "$4" = show ] || exit {code}\n')
    stand_in.chmod(0o700)
    ended = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "STACK": "live",
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == after
    assert ended.stdout.splitlines() == ["rehearse preview", "preview-report read"]
    assert (tmp_path / "summary").read_text() == "preview-report show\n"


# --- all of them ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=WORKFLOWS.keys())
def test_a_workflow_has_no_right_of_its_own(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {}


def test_the_jobs_have_these_rights_and_no_others() -> None:
    reads, signs_in = {"contents": "read"}, {"contents": "read", "id-token": "write"}
    expected = {
        "deploy.deploy": signs_in,
        "deploy.record": {"contents": "write"},
        "drift.drift": signs_in,
        "drift.report": {**reads, "issues": "write"},
        "pull-request.checks": reads,
        "pull-request.preview": signs_in,
        "pull-request.comment": {**reads, "pull-requests": "write"},
        "pull-request.rehearse": reads,
    }
    assert {name: JOBS[name]["permissions"] for name in expected} == expected


@EVERY_JOB
def test_a_job_that_signs_in_does_so_in_an_environment_and_is_given_no_key(job: dict[str, Any]) -> None:
    signs_in = bool(steps_of(job, "configure-aws-credentials"))
    proves_itself = signs_in or bool(
        steps_of(job, "deploy-pages")
    )  # GitHub's own pages ask for the same token
    assert (job["permissions"].get("id-token") == "write") is proves_itself
    assert ("vars.AWS_ROLE" in str(job)) is signs_in
    if signs_in:
        assert "environment" in job
    assert "secrets." not in str(job)
    assert "aws-secret-access-key" not in str(job)


@EVERY_JOB
def test_nothing_that_somebody_typed_becomes_part_of_a_script(job: dict[str, Any]) -> None:
    for step in job["steps"]:
        assert "${{" not in step.get("run", "")


@EVERY_JOB
def test_no_checkout_leaves_its_token_behind(job: dict[str, Any]) -> None:
    for step in steps_of(job, "actions/checkout"):
        assert step["with"]["persist-credentials"] == "false"


@EVERY_JOB
def test_what_signs_in_or_writes_runs_nothing_from_a_cache(job: dict[str, Any]) -> None:
    if "write" in job["permissions"].values():
        assert steps_of(job, "actions/cache") == []
        for step in steps_of(job, "setup-uv"):
            assert step["with"]["enable-cache"] == "false"


def test_all_workflows_use_one_version_of_each_action_and_tool() -> None:
    text = "".join(path.read_text() for path in FOLDER.glob("*.yml"))
    pins: dict[str, set[str]] = {}
    for action, pin in re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40} # v\S+)", text):
        pins.setdefault(action, set()).add(pin)
    assert {action: len(found) for action, found in pins.items() if len(found) != 1} == {}
    dependencies: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (pulumi,) = [pin.removeprefix("pulumi==") for pin in dependencies if pin.startswith("pulumi==")]
    uv = re.search(r"^UV_VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert uv is not None
    installed = set(re.findall(r"version: (\S+) # renovate: datasource=pypi depName=(\S+)", text))
    assert installed == {(uv[1], "uv"), (pulumi, "pulumi")}


@EVERY_JOB
def test_a_job_runs_commands_of_this_project(job: dict[str, Any]) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for step in job["steps"]:
        for command in re.findall(r"uv run (?:--\S+ )*(\S+)", step.get("run", "")):
            assert command in scripts
