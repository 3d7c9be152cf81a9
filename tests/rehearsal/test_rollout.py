"""Rollouts on the real engine and a real API server, with gates that are told what to say, by the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from operations.rollout.state import Direction
from operations.rollout.state import Stage as RolloutStage
from operations.slots import Slot
from rehearsal.engine import LEFT_OUT_PREFIXES, backend_url
from tests.rehearsal.conftest import Desk, clear, lay
from tests.rehearsal.told_prometheus import FAILING, GOOD, Told, rehearsed_pods, told_prometheus

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(1800)]

PROGRAM = Path(__file__).parent / "released"
LISTENER_RULE = "aws:lb/listenerRule:ListenerRule"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
QUICK = ("--speed", "120", "--interval", "5")
"""Bakes of 10, 15 and 30 seconds; a wait of more than 15 between two evaluations would end it."""

STEADY = ("--speed", "40", "--interval", "3")
"""Bakes of 22, 45 and 90 seconds, in which a driver may die: nobody looks for nine seconds then, and that is forgiven."""


@dataclass
class Stage:
    """A stack that is up, and the `rollout` command beside it."""

    desk: Desk
    stack: str
    prometheus: Told
    started: list[subprocess.Popen[str]] = field(default_factory=list[subprocess.Popen[str]])

    @property
    def work(self) -> Path:
        return self.desk.home(self.stack) / "project"

    def release(self) -> dict[str, Any]:
        """What the stack file says."""
        document = cast(
            "dict[str, Any]", yaml.safe_load((self.work / f"Pulumi.{self.stack}.yaml").read_text())
        )
        return document["config"]["quikapp:release"]

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        path = self.work / f"Pulumi.{self.stack}.yaml"
        document = cast("dict[str, Any]", yaml.safe_load(path.read_text()))
        change(document["config"])
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    def changes(self) -> list[dict[str, str]]:
        """The change requests that the stack file lists."""
        document = cast(
            "dict[str, Any]", yaml.safe_load((self.work / f"Pulumi.{self.stack}.yaml").read_text())
        )
        return document["config"]["quikapp:changes"]

    def fresh(self) -> tuple[str, str]:
        """The option that names a change request which was not used before."""
        return ("--change", f"CHG{len(self.changes()) + 1:07}")

    def weights(self) -> set[tuple[int, int]]:
        """What the provider has, blue and green, of every rule."""
        rules = [r for r in self.desk.resources(self.stack).values() if r["type"] == LISTENER_RULE]
        forwards = [rule["outputs"]["actions"][0].get("forward") for rule in rules]
        shares = [[group["weight"] for group in forward["targetGroups"]] for forward in forwards if forward]
        return {(int(blue), int(green)) for blue, green in shares}

    def images(self) -> dict[str, str]:
        """What the Deployments of each slot run, by their name in the program."""
        found = [r for r in self.desk.resources(self.stack).values() if r["type"] == DEPLOYMENT]
        return {
            r["urn"].split("::")[-1]: r["inputs"]["spec"]["template"]["spec"]["containers"][0]["image"]
            for r in found
        }

    @property
    def backend(self) -> Path:
        return self.desk.home(self.stack) / "state" / ".pulumi"

    def journaled(self) -> tuple[str, str, int] | None:
        """What the journal says is under way: direction, stage and weight of the new slot; None before there is one."""
        try:
            written = json.loads((self.backend / "stacks/quikapp-rollout" / f"{self.stack}.json").read_text())
            resources = written["checkpoint"]["latest"]["resources"]
            state = json.loads(
                next(r["outputs"]["rollout"] for r in resources if "rollout" in r.get("outputs", {}))
            )
        except (FileNotFoundError, KeyError, StopIteration, json.JSONDecodeError):
            return None  # not there yet, or just being written
        state = state["state"]
        return state["direction"], state["stage"], state["history"][-1]["weight"]

    def locks(self) -> list[Path]:
        """What an update of the stack that is under way, or was broken off, holds."""
        return list((self.backend / "locks").rglob(f"quikapp/{self.stack}/*.json"))

    @property
    def environment(self) -> dict[str, str]:
        """The rehearsal's engine, as a person's shell would have a real one."""
        home = self.desk.home(self.stack)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(LEFT_OUT_PREFIXES)}
        return {
            **kept,
            "PATH": f"{home / 'engine' / 'bin'}{os.pathsep}{kept['PATH']}",
            "PULUMI_HOME": str(home / "engine" / "home"),
            "PULUMI_BACKEND_URL": backend_url(home / "state"),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(home / "passphrase"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "REHEARSAL_WORLD": str(home / "world.json"),
            "PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true",
            "COLUMNS": "200",
        }

    def spawn(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        """Start `rollout` in a session of its own."""
        driving = ("--program", str(self.desk.project / "__main__.py"), "--prometheus", self.prometheus.url)
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from rollout.cli import main; main()", command),
                *("--stack", self.stack, "--work-dir", str(self.work), *arguments),
                *(driving if command in {"start", "resume", "rollback"} else ()),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            cwd=self.desk.project,
            env=self.environment,
        )
        self.started.append(process)
        return process

    def rollout(self, command: str, *arguments: str, code: int = 0) -> str:
        """Run `rollout` to its end and return what it printed; its exit code must be ``code``."""
        printed, _ = (process := self.spawn(command, *arguments)).communicate(timeout=540)
        assert process.returncode == code, printed
        return printed

    def pulumi_up(self, *, code: int = 0, skip_preview: bool = False) -> str:
        """What somebody else does, with a real `pulumi up` of the same program and stack file."""
        preview = "" if skip_preview else "engine.look(Plan()); "
        program = (
            "from pathlib import Path; from rollout.engine import Engine, Plan; from rollout.errors import RolloutError\n"
            f"engine = Engine.of({self.stack!r}, Path({str(self.work)!r}), Path({str(self.desk.project / '__main__.py')!r}))\n"
            f"try: {preview}engine.up('somebody else')\n"
            "except RolloutError as error: raise SystemExit(str(error))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=self.environment, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr

    def status(self) -> dict[str, Any]:
        return json.loads(self.rollout("status", "--json"))["rollout"]


@contextmanager
def brought_up(folder: Path, stack: str) -> Generator[Stage]:
    desk = lay(folder / "program", PROGRAM)
    with told_prometheus() as told:
        told.pods = rehearsed_pods(desk.project)
        stage = Stage(desk, stack, told)
        try:
            desk.rehearse("up", "--stack", stack)
            yield stage
        finally:
            for process in stage.started:
                kill(process)
            clear(desk)


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stack whose traffic goes up the ladder; each test starts another version on it."""
    with brought_up(tmp_path_factory.mktemp("ladder"), "uat") as stage:
        yield stage


@pytest.fixture(autouse=True)
def well(request: pytest.FixtureRequest) -> None:
    """Both slots are well when a test begins."""
    if "ladder" in request.fixturenames:
        request.getfixturevalue("ladder").prometheus.slots = dict.fromkeys(Slot, GOOD)


@pytest.mark.long
def test_a_version_goes_up_the_ladder_and_comes_back_on_demand(ladder: Stage) -> None:
    serving, idle = sides(ladder)
    old = ladder.release()[serving]["version"]
    printed = ladder.rollout("start", "--version", "v2.0.0", "--why", "a release", *ladder.fresh(), *QUICK)
    assert re.findall(r"verify +(\d+) %", printed) == ["5", "25", "50", "100"]
    assert f"v2.0.0 in {idle}: completed" in printed
    assert "Why: a release" in printed
    release = ladder.release()
    assert release[idle] == {"version": "v2.0.0", "weight": 100}
    assert release[serving] == {"version": old, "weight": 0}
    assert release["stable"] == old
    assert ladder.weights() == {shares(idle, 100)}
    assert (ladder.desk.project / "rollout-uat-v2.0.0.svg").read_text().startswith("<svg ")
    assert ladder.status()["outcome"] == "completed"
    ladder.rollout("draw", "--picture", str(drawn := ladder.desk.project / "again.svg"))
    assert drawn.read_text().startswith("<svg ")

    assert "no rollout of 'uat' is under way" in ladder.rollout("pause", "--reason", "late", code=1)
    printed = ladder.rollout("rollback", "--reason", "next morning")
    assert f"All traffic is on {serving}, which runs {old}" in printed
    assert ladder.weights() == {shares(serving, 100)}


def test_what_fails_at_five_percent_comes_back_by_itself(ladder: Stage) -> None:
    serving, idle = sides(ladder)
    ladder.prometheus.slots = {Slot(idle): FAILING, Slot(serving): GOOD}
    (_, change), before = ladder.fresh(), ladder.changes()
    assert "none was given" in ladder.rollout("start", "--version", "v2.1.0", code=1)
    used = ladder.rollout("start", "--version", "v2.1.0", "--change", before[-1]["request"], code=1)
    assert f"was used before, for {before[-1]['version']}" in used
    printed = ladder.rollout("start", "--version", "v2.1.0", "--change", change, *QUICK, code=3)
    assert re.findall(r"verify +(\d+) %", printed) == ["5", "0"]
    assert "Error Rate: 15% is above the critical threshold, 1%" in printed
    assert ladder.weights() == {shares(serving, 100)}

    # Taken back or not, the change request is used, and everything says for what.
    assert ladder.changes() == [*before, {"request": change, "version": "v2.1.0"}]
    found = ladder.desk.resources(ladder.stack).values()
    (recorded,) = [r["inputs"] for r in found if r["type"] == "aws:ssm/parameter:Parameter"]
    assert recorded["description"] == f"{change} brought v2.1.0"
    (told,) = [r["outputs"] for r in found if r["type"] == "quikapp:changes:ChangeRecord"]
    assert told["changes"] == ladder.changes()
    (stack,) = [r["outputs"] for r in found if r["type"] == "pulumi:pulumi:Stack"]
    assert stack["release"] == ladder.release()
    assert f"Change request: {change}." in printed


def test_nothing_begins_while_another_environment_s_prometheus_answers(ladder: Stage) -> None:
    serving, _ = sides(ladder)
    own = ladder.prometheus.pods
    ladder.prometheus.pods = lambda _: ["api-elsewhere-1"]
    said = ladder.rollout("start", "--version", "v2.8.0", *ladder.fresh(), *QUICK, code=1)
    ladder.prometheus.pods = own
    assert re.search(rf"scrapes none of the \d+ pods that are ready in {serving}", said)


def test_weights_that_somebody_puts_in_force_in_a_bake_take_it_back(ladder: Stage) -> None:
    serving, idle = sides(ladder)
    process = ladder.spawn("start", "--version", "v2.5.0", *ladder.fresh(), "--speed", "1", "--interval", "2")
    wait_for(process, "bake")
    ladder.edit(lambda config: config["quikapp:release"][idle].update(weight=0))
    ladder.edit(lambda config: config["quikapp:release"][serving].update(weight=100))
    ladder.pulumi_up()
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 3, printed
    assert re.search(rf"somebody moved the weights: in force is .*{serving} 100 %.*; asked for", printed)
    assert ladder.weights() == {shares(serving, 100)}


Instant = Callable[[Stage, "subprocess.Popen[str]"], object]
"""Waits until a driver is where it is to die; says whether it leaves a lock there."""


def prints(pattern: str) -> Instant:
    """It says that it has begun something; nothing of that is in the journal yet, or all."""
    return lambda _, process: wait_for(process, pattern)


def has_journaled(direction: Direction, stage: RolloutStage, weight: int) -> Instant:
    """Its intent is in the journal."""
    return lambda at, process: wait_until(process, lambda: at.journaled() == (direction, stage, weight))


def updates(direction: Direction, stage: RolloutStage, weight: int) -> Instant:
    """Its engine is in the midst of an update of the stack."""

    def wait(at: Stage, process: subprocess.Popen[str]) -> bool:
        has_journaled(direction, stage, weight)(at, process)
        wait_until(process, at.locks)
        return True

    return wait


def driven_to_death(at: Stage, process: subprocess.Popen[str], instants: Sequence[Instant]) -> str:
    """Kill a driver and its engine at the first instant, and each further one that resumes, elsewhere, at the next; return
    what the last one printed that came to the end."""
    stack_file = at.work / "Pulumi.uat.yaml"
    checkout = stack_file.read_text()
    for instant in instants:
        locked = instant(at, process)
        kill(process)
        assert at.locks() or not locked
        if instant is instants[0]:
            refused = at.rollout("start", "--version", "v9.0.0", *at.fresh(), code=1)
            assert "and nobody drives it" in refused
        # With the file of a checkout from before all this.
        stack_file.write_text(checkout)
        process = at.spawn("resume", "--who", "bob")
    printed, _ = process.communicate(timeout=900)
    return printed


@pytest.mark.long
def test_killed_again_and_again_it_is_resumed_to_the_same_end(ladder: Stage) -> None:
    _, idle = sides(ladder)
    process = ladder.spawn("start", "--version", "v2.2.0", *ladder.fresh(), *STEADY)
    up = Direction.UP
    printed = driven_to_death(
        ladder,
        process,
        [
            prints("prepare"),
            updates(up, RolloutStage.PREPARE, 5),
            prints("move +5"),
            updates(up, RolloutStage.MOVE, 25),
            prints("bake +25"),
            prints("verify +50"),
            has_journaled(up, RolloutStage.MOVE, 100),
            prints("drain"),
            prints("confirm +100"),
            updates(up, RolloutStage.SCALE, 100),
        ],
    )
    assert f"v2.2.0 in {idle}: completed" in printed
    assert ladder.weights() == {shares(idle, 100)}
    assert (ladder.locks(), ladder.release()[idle]) == ([], {"version": "v2.2.0", "weight": 100})
    history = ladder.status()["state"]["history"]
    assert [e["weight"] for e in history if e["why"] == "the weights are set"] == [5, 25, 50, 100]
    assert [e["weight"] for e in history if e["why"].startswith("the gates passed for")] == [5, 25, 50]


@pytest.mark.long
def test_killed_again_and_again_on_the_way_back_it_comes_back_all_the_same(ladder: Stage) -> None:
    serving, idle = sides(ladder)
    old = ladder.release()[serving]["version"]
    ladder.prometheus.slots = {Slot(idle): FAILING, Slot(serving): GOOD}
    process = ladder.spawn("start", "--version", "v2.6.0", *ladder.fresh(), *STEADY)
    back = Direction.BACK
    printed = driven_to_death(
        ladder,
        process,
        [
            has_journaled(back, RolloutStage.MOVE, 0),
            updates(back, RolloutStage.MOVE, 0),
            has_journaled(back, RolloutStage.VERIFY, 0),
            prints("confirm +0"),
        ],
    )
    assert f"All traffic is on {serving}, which runs {old}" in printed
    assert "Error Rate: 15% is above the critical threshold, 1%" in printed
    assert ladder.weights() == {shares(serving, 100)}
    assert (ladder.locks(), ladder.release()[serving]) == ([], {"version": old, "weight": 100})
    history = ladder.status()["state"]["history"]
    assert [e["weight"] for e in history if e["why"] == "the weights are set"] == [5, 0]


def test_a_driver_that_is_told_to_end_gives_up_its_lease_and_whoever_wants_it_back_need_not_wait(
    ladder: Stage,
) -> None:
    serving, idle = sides(ladder)
    process = ladder.spawn("start", "--version", "v2.7.0", *ladder.fresh(), "--speed", "1", "--interval", "2")
    wait_for(process, "bake")
    process.terminate()
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 130, printed
    assert "interrupted: the weights stay as they are" in printed
    assert (ladder.status()["driver"], ladder.weights()) == (None, {shares(idle, 5)})
    assert f"All traffic is on {serving}" in ladder.rollout("rollback", "--reason", "enough")
    assert ladder.weights() == {shares(serving, 100)}


def test_others_do_what_they_do_in_the_middle(ladder: Stage) -> None:
    """A second driver, commands, somebody's update, a leap, and something else in the program, in one long phase."""
    serving, idle = sides(ladder)
    process = ladder.spawn("start", "--version", "v2.3.0", *ladder.fresh(), "--speed", "1", "--interval", "2")
    wait_for(process, "bake")
    assert "is under way, driven by" in ladder.rollout(
        "start", "--version", "v9.0.0", *ladder.fresh(), code=1
    )

    before = ladder.weights()
    ladder.pulumi_up()
    assert ladder.weights() == before == {shares(idle, 5)}

    stack_file = ladder.work / "Pulumi.uat.yaml"
    as_it_was = stack_file.read_text()
    ladder.edit(lambda config: config["quikapp:release"].update({idle: {"version": "v2.3.0", "weight": 50}}))
    ladder.edit(lambda config: config["quikapp:release"][serving].update(weight=50))
    for skip_preview in (False, True):
        refused = ladder.pulumi_up(code=1, skip_preview=skip_preview)
        assert f"the weight of {idle} may not move from 5 % to 50 %" in refused
        assert "25 % (the next phase)" in refused
        assert ladder.weights() == {shares(idle, 5)}
    stack_file.write_text(as_it_was)

    ladder.edit(lambda config: config["quikapp:changes"].pop())
    assert "quikapp:changes does not begin with what was used before" in ladder.pulumi_up(code=1)
    stack_file.write_text(as_it_was)

    ladder.edit(lambda config: config.update({"quikapp:note": "something else"}))
    noted = stack_file.read_text()
    promoted = ladder.rollout("promote", "--reason", "known good", "--json")
    assert json.loads(promoted[promoted.index("{") :])["command"] == "promote"
    wait_for(process, "paused")
    status = ladder.status()
    assert (status["paused"], status["weight"]) == (True, 5)
    assert "create aws:ssm/parameter:Parameter shop" in status["lastDecision"]["why"]
    assert stack_file.read_text() == noted

    assert "has heard it." in ladder.rollout("rollback", "--reason", "enough")
    # Traffic does not wait for what else has changed; the slot that is to be scaled down does.
    wait_for(process, "verify +0 %")
    assert ladder.weights() == {shares(serving, 100)}
    ladder.edit(lambda config: config.pop("quikapp:note"))
    printed = process.communicate(timeout=600)[0]
    assert process.returncode == 3, printed


def test_the_guard_holds_a_release_by_hand_to_what_is_in_force_whatever_an_edit_says(ladder: Stage) -> None:
    serving, idle = sides(ladder)
    stack_file = ladder.work / "Pulumi.uat.yaml"
    (_, change), elsewhere = ladder.fresh(), ladder.release()
    old, new = elsewhere[serving]["version"], "v2.4.0"

    def put(weight: int, **facts: object) -> None:
        """Write a weight of the new slot, and what else an edit says of the release."""
        capacity = {"capacity": "full"} if weight == 0 else {}
        ladder.edit(
            lambda config: config["quikapp:release"].update(
                {
                    serving: {"version": old, "weight": 100 - weight},
                    idle: {"version": new, "weight": weight, **capacity},
                    **facts,
                }
            )
        )

    ladder.edit(lambda config: config["quikapp:changes"].append({"request": change, "version": new}))
    put(0, stable=old)
    ladder.pulumi_up()
    put(100, stable=new)
    assert "may not move from 0 % to 100 %" in ladder.pulumi_up(code=1)
    put(5, stable=old)
    ladder.pulumi_up()
    assert ladder.weights() == {shares(idle, 5)}
    images, in_force = ladder.images(), stack_file.read_text()

    # A second checkout, which knows of the release nothing but its change request.
    ladder.edit(lambda config: config.update({"quikapp:release": elsewhere}))
    refused = ladder.pulumi_up(code=1)
    assert f"in force is {idle} {new}" in refused
    assert f"this stack file says {idle} {elsewhere[idle]['version']}" in refused
    assert (ladder.weights(), ladder.images()) == ({shares(idle, 5)}, images)

    for excuse in ({"stable": new}, {"switch": "at-once"}):
        stack_file.write_text(in_force)
        put(100, **excuse)
        assert "nothing but the weights may change" in ladder.pulumi_up(code=1)
    assert (ladder.weights(), ladder.images()) == ({shares(idle, 5)}, images)

    stack_file.write_text(in_force)
    put(25)
    ladder.pulumi_up()
    assert ladder.weights() == {shares(idle, 25)}
    put(0)
    ladder.edit(lambda config: config["quikapp:release"][idle].pop("capacity"))
    ladder.pulumi_up()
    assert ladder.weights() == {shares(serving, 100)}


@pytest.mark.long
def test_where_there_is_no_ladder_traffic_switches_at_once(tmp_path: Path) -> None:
    with brought_up(tmp_path, "dev") as stage:
        printed = stage.rollout("start", "--version", "v2.0.0", *QUICK)
        assert re.findall(r"verify +(\d+) %", printed) == ["100"]
        assert stage.weights() == {(0, 100)}

        # The old slot is small by now. It is made full, though somebody has something else in the program that is not in force.
        stage.edit(lambda config: config.update({"quikapp:note": "something else"}))
        process = stage.spawn("rollback", "--reason", "next morning")
        wait_for(process, "verify +0 %")
        assert stage.weights() == {(100, 0)}
        stage.edit(lambda config: config.pop("quikapp:note"))
        printed, _ = process.communicate(timeout=600)
        assert process.returncode == 0, printed


def kill(process: subprocess.Popen[str]) -> None:
    """End a command and its engine at once, unless it has ended."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def sides(stage: Stage) -> tuple[str, str]:
    """The slot that serves, and the idle one."""
    release = stage.release()
    serving, idle = sorted(("blue", "green"), key=lambda slot: -release[slot]["weight"])
    return serving, idle


def shares(slot: str, weight: int) -> tuple[int, int]:
    """Blue's and green's weight, given one slot's."""
    return (weight, 100 - weight) if slot == "blue" else (100 - weight, weight)


def wait_until(process: subprocess.Popen[str], holds: Callable[[], object], seconds: float = 300) -> None:
    """Wait while a command runs until something holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if holds():
            return
        time.sleep(0.02)
    kill(process)
    raise AssertionError("it did not come to that")


def wait_for(process: subprocess.Popen[str], pattern: str, seconds: float = 300) -> None:
    """Read what a command prints until a line matches."""
    deadline = time.monotonic() + seconds
    seen: list[str] = []
    assert process.stdout is not None
    while time.monotonic() < deadline and (line := process.stdout.readline()):
        seen.append(line)
        if re.search(pattern, line):
            return
    raise AssertionError(f"no line with {pattern}:\n{''.join(seen)}")
