"""The workflow of the long tests runs them all every night and when somebody asks, and may do nothing else."""

from __future__ import annotations

import re

from tests.unit.delivery.workflows import FOLDER, ROOT, load, steps_of

WORKFLOW = load("canaries")
(JOB,) = WORKFLOW["jobs"].values()


def test_it_runs_every_night_and_when_somebody_asks() -> None:
    assert set(WORKFLOW["on"]) == {"schedule", "workflow_dispatch"}
    (schedule,) = WORKFLOW["on"]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", schedule["cron"])


def test_it_runs_every_long_test_and_is_red_when_one_is() -> None:
    (command,) = [step["run"] for step in JOB["steps"] if "run" in step]
    assert command == "make canaries"
    assert not any("continue-on-error" in part for part in (JOB, *JOB["steps"]))
    recipe = re.search(r"^canaries: .*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    assert recipe[1].endswith("pytest -m long tests/rehearsal")
    marked = {
        path.parent.name
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"^[^#\"]*pytest\.mark\.long\b", path.read_text(), re.MULTILINE)
    }
    assert marked == {"rehearsal"}


def test_it_may_read_and_knows_no_secret() -> None:
    assert WORKFLOW["permissions"] == {}
    assert JOB["permissions"] == {"contents": "read"}
    assert "environment" not in JOB
    assert not re.search(r"\b(secrets|vars|inputs)\.", (FOLDER / "canaries.yml").read_text())


def test_one_run_is_under_way_at_a_time_and_goes_to_its_end() -> None:
    assert WORKFLOW["concurrency"] == {"group": "canaries", "cancel-in-progress": "false"}


def test_the_tools_are_those_that_pull_requests_keep() -> None:
    (ours,), (theirs,) = (
        steps_of(job, "actions/cache") for job in (JOB, load("pull-request")["jobs"]["checks"])
    )
    assert ours == theirs
