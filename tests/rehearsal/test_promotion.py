"""The deployment workflow's own commands, on the real engine and a real API server: a version on its way, and all that stops it."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.slots import Slot
from tests.rehearsal.conftest import REPOSITORY, clear, lay
from tests.rehearsal.pipeline import Pipeline
from tests.rehearsal.told_prometheus import FAILING, GOOD, rehearsed_pods, told_prometheus
from tests.unit.delivery.fake_github import fake_github

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(1800)]

PROGRAM = Path(__file__).parent / "promoted"
WALKS = "v2.5.0"
OLD, NEW, NEWER = "v2.3.0", "v2.4.0", "v2.6.0"
FRESH, OTHER = "CHG0030042", "CHG0030098"

QUICK = {"DEPLOY_SPEED": "300", "DEPLOY_INTERVAL": "3"}
"""Bakes of 3, 6 and 12 seconds; a wait of more than nine between two evaluations would end one."""


REFUSED = ("config:\n", 'config:\n  quikapp:replicas: "-1"\n')
FORBIDDEN = ("config:\n", "config:\n  quikapp:public: 0.0.0.0/0\n")
"""What a stack file must not say: the program refuses the one, a guardrail the other."""


@contextmanager
def pipeline(folder: Path, program: Path) -> Generator[Pipeline]:
    """A pipeline for a program; its stacks keep their state in one backend, as a team's do."""
    desk = lay(folder / "program", program)
    (desk.project / "policy").symlink_to(REPOSITORY / "policy")
    (folder / "state").mkdir()
    with told_prometheus() as told, fake_github() as github:
        told.pods = rehearsed_pods(desk.project)
        github.files = {path.name: path.read_text() for path in desk.project.glob("Pulumi.*.yaml")}
        try:
            yield Pipeline(desk, github, told, folder / "runs", pace=QUICK)
        finally:
            clear(desk)


def bring_up(line: Pipeline, stack: str) -> None:
    """Make a stack as a team does, and commit its secrets, encrypted, and how they are."""
    home = line.desk.home(stack)
    home.mkdir(parents=True)
    (home / "state").symlink_to(line.folder.parent / "state")
    line.desk.rehearse("up", "--stack", stack)
    made: dict[str, Any] = yaml.safe_load((home / "project" / f"Pulumi.{stack}.yaml").read_text())
    secrets = {key: value for key, value in made["config"].items() if "secure" in value}
    lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in secrets.items())
    merge(line, stack, "config:\n", f"encryptionsalt: {made['encryptionsalt']}\nconfig:\n{lines}")


def merge(line: Pipeline, stack: str, old: str, new: str) -> None:
    """Commit a change of a stack file to the default branch."""
    name = f"Pulumi.{stack}.yaml"
    assert line.github.files[name].count(old) == 1, old
    line.github.files[name] = line.github.files[name].replace(old, new)


def slots(said: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Version and weight of each slot, from a stack output or a stack file."""
    return {slot: (said[slot]["version"], said[slot]["weight"]) for slot in ("blue", "green")}


def in_force(line: Pipeline, stack: str) -> dict[str, tuple[str, int]]:
    """What the stack's outputs say of its slots."""
    return slots(json.loads(line.pulumi(stack, "stack", "output", "slots", "--json")))


def recorded(line: Pipeline, stack: str) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """What the default branch says of a stack's slots, and the numbers of its change requests."""
    config = yaml.safe_load(line.github.files[f"Pulumi.{stack}.yaml"])["config"]
    return slots(config["quikapp:release"]), [entry["request"] for entry in config.get("quikapp:changes", [])]


def test_a_version_comes_through_two_doors_and_whatever_must_stop_it_does(tmp_path: Path) -> None:
    with pipeline(tmp_path, PROGRAM) as line:
        bring_up(line, "qa")
        line.prometheus.services = ("shop",)
        line.engine = "qa"  # dev has nothing that would need one of its own
        line.pulumi("dev", "stack", "init")

        # A merge deploys what it says of dev; what the program refuses does not begin.
        merge(line, "dev", *REFUSED)
        said = line.deploy("dev", code=1)
        assert "the preview is red, and nothing was changed" in said
        assert "validation error for Replicas" in said
        merge(line, "dev", *reversed(REFUSED))
        merge(line, "dev", "blue: {version: v2.3.0, weight: 100}", "blue: {version: v2.3.0, weight: 0}")
        merge(line, "dev", "green: {version: v2.2.0, weight: 0}", "green: {version: v2.4.0, weight: 100}")
        assert "says what is in force already" in line.deploy("dev")
        assert in_force(line, "dev") == {"blue": (OLD, 0), "green": (NEW, 100)}

        # No environment is skipped.
        said = line.deploy("uat", NEW, code=1)
        assert "qa runs v2.3.0 at 100 %, not v2.4.0: deploy v2.4.0 to qa first" in said

        # What a guardrail forbids does not begin either, and uses no change request up.
        before = recorded(line, "qa")
        merge(line, "qa", *FORBIDDEN)
        said = line.deploy("qa", NEW, FRESH, code=1)
        assert "the preview is red, and nothing was changed" in said
        assert re.search(r"qa: refused: .*`?shop`?", said)
        merge(line, "qa", *reversed(FORBIDDEN))
        assert recorded(line, "qa") == before
        assert in_force(line, "qa") == before[0]

        # A job dies in the middle of the canary. The same trigger goes on with it, in a checkout that knows nothing of it, and
        # where the new slot fails it comes back.
        job = line.start("qa", NEW, FRESH)
        job.wait_for("bake")
        job.die()
        assert in_force(line, "qa") == {"blue": (OLD, 95), "green": (NEW, 5)}
        line.prometheus.slots = {Slot.BLUE: GOOD, Slot.GREEN: FAILING}
        said = line.deploy("qa", NEW, FRESH, code=3)
        assert "Pulumi.qa.yaml was behind" in said
        assert re.findall(r"verify +(\d+) %", said) == ["5", "0"]
        assert in_force(line, "qa") == {"blue": (OLD, 100), "green": (NEW, 0)}
        assert recorded(line, "qa") == (in_force(line, "qa"), [*before[1], FRESH])
        assert line.github.commits == [f"qa: {OLD} at 100 % ({FRESH})"]
        assert "# the last one in force" in line.github.files["Pulumi.qa.yaml"]

        # Its change request brings nothing else.
        assert f"{FRESH} was used before, for {NEW}" in line.deploy("qa", change=FRESH, code=1)


@pytest.mark.long
@pytest.mark.timeout(3600)  # six rollouts of the whole program
def test_a_version_walks_from_a_merge_to_live(tmp_path: Path) -> None:
    """Through all five stacks of the real program; staging takes it back once, and in live a job dies."""
    with pipeline(tmp_path, REPOSITORY) as line:
        bring_up(line, "dev")
        merge(line, "dev", "blue: {version: v2.3.0, weight: 0}", f"blue: {{version: {WALKS}, weight: 100}}")
        merge(line, "dev", "green: {version: v2.4.0, weight: 100}", "green: {version: v2.4.0, weight: 0}")
        line.deploy("dev")
        assert serves(line, "dev") == WALKS
        for stack in ("qa", "uat", "staging", "live"):
            bring_up(line, stack)
            before, (_, requests) = serves(line, stack), recorded(line, stack)
            change = "CHG0030099" if stack == "live" else ""
            if stack == "staging":
                idle = next(Slot(slot) for slot, (_, weight) in in_force(line, stack).items() if weight == 0)
                line.prometheus.slots = {idle: FAILING, idle.other: GOOD}
                said = line.deploy(stack, WALKS, code=3)
                assert "Error Rate: 15% is above the critical threshold" in said
                assert serves(line, stack) == before
                assert line.github.commits[-1] == f"staging: {before} at 100 %"
                line.prometheus.slots = dict.fromkeys(Slot, GOOD)
            if stack == "live":  # where the job dies once, too
                job = line.start(stack, WALKS, change)
                job.wait_for("bake +5 %")
                job.die()
                assert serves(line, stack) is None
                said = line.deploy(stack, NEWER, OTHER, code=1)
                assert f"a rollout of {WALKS} to" in said
            line.deploy(stack, WALKS, change)
            assert serves(line, stack) == WALKS
            assert recorded(line, stack) == (
                in_force(line, stack),
                [*requests, *([change] if change else [])],
            )
        assert json.loads(line.pulumi("live", "stack", "output", "changeRequest", "--json")) == "CHG0030099"


def serves(line: Pipeline, stack: str) -> str | None:
    """The version that has all traffic; None while two share it."""
    return next((version for version, weight in in_force(line, stack).values() if weight == 100), None)
