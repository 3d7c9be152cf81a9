"""Rollouts on the real engine and a real API server, with gates that are told what to say, by the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from operations.slots import Slot
from rehearsal.engine import LEFT_OUT_PREFIXES, backend_url
from tests.rehearsal.conftest import Desk, clear, lay
from tests.rehearsal.told_prometheus import FAILING, GOOD, Told, told_prometheus

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(1800)]

PROGRAM = Path(__file__).parent / "released"
LISTENER_RULE = "aws:lb/listenerRule:ListenerRule"
QUICK = ("--speed", "120", "--interval", "5")
"""Bakes of 10, 15 and 30 seconds; a wait of more than 15 between two evaluations would end it."""

STEADY = ("--speed", "40", "--interval", "3")
"""Bakes of 22, 45 and 90 seconds, in which a driver may die once: nobody looks for nine seconds then, of fifteen allowed."""


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

    def pulumi_up(self, *, code: int = 0) -> str:
        """What somebody else does, with a real `pulumi up` of the same program and stack file."""
        program = (
            "import runpy; from pathlib import Path; from rollout.engine import Engine; from rollout.errors import RolloutError\n"
            f"engine = Engine.of({self.stack!r}, Path({str(self.work)!r}), Path({str(self.desk.project / '__main__.py')!r}))\n"
            "try: engine.up('somebody else')\n"
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


@pytest.mark.long
def test_killed_again_and_again_it_is_resumed_to_the_same_end(ladder: Stage) -> None:
    _, idle = sides(ladder)
    stack_file = ladder.work / "Pulumi.uat.yaml"
    checkout = stack_file.read_text()
    process = ladder.spawn("start", "--version", "v2.2.0", *ladder.fresh(), *STEADY)
    for line in ("prepare", "move +5", "move +25", "bake +25", "verify +50", "drain"):
        wait_for(process, line)
        kill(process)
        assert "and nobody drives it" in ladder.rollout(
            "start", "--version", "v9.0.0", *ladder.fresh(), code=1
        )
        # Elsewhere, with the file of a checkout from before all this.
        stack_file.write_text(checkout)
        process = ladder.spawn("resume", "--who", "bob")
    printed, _ = process.communicate(timeout=900)
    assert process.returncode == 0, printed
    assert f"v2.2.0 in {idle}: completed" in printed
    assert ladder.weights() == {shares(idle, 100)}
    history = ladder.status()["state"]["history"]
    verified = dict.fromkeys(entry["weight"] for entry in history if entry["stage"] == "verify")
    assert list(verified) == [5, 25, 50, 100]


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
    refused = ladder.pulumi_up(code=1)
    assert f"the weight of {idle} may not move from 5 % to 50 %" in refused
    assert "25 % (the next phase)" in refused
    assert ladder.weights() == {shares(idle, 5)}
    stack_file.write_text(as_it_was)

    ladder.edit(lambda config: config["quikapp:changes"].pop())
    assert "quikapp:changes does not begin with what was used before" in ladder.pulumi_up(code=1)
    stack_file.write_text(as_it_was)

    ladder.edit(lambda config: config.update({"quikapp:note": "something else"}))
    noted = stack_file.read_text()
    assert json.loads(ladder.rollout("promote", "--reason", "known good", "--json"))["command"] == "promote"
    wait_for(process, "paused")
    status = ladder.status()
    assert (status["paused"], status["weight"]) == (True, 5)
    assert "create aws:ssm/parameter:Parameter shop" in status["lastDecision"]["why"]
    assert stack_file.read_text() == noted

    assert "told" in ladder.rollout("rollback", "--reason", "enough")
    # Traffic does not wait for what else has changed; the slot that is to be scaled down does.
    wait_for(process, "verify +0 %")
    assert ladder.weights() == {shares(serving, 100)}
    ladder.edit(lambda config: config.pop("quikapp:note"))
    printed = process.communicate(timeout=600)[0]
    assert process.returncode == 3, printed


@pytest.mark.long
def test_where_there_is_no_ladder_traffic_switches_at_once(tmp_path: Path) -> None:
    with brought_up(tmp_path, "dev") as stage:
        printed = stage.rollout("start", "--version", "v2.0.0", *QUICK)
        assert re.findall(r"verify +(\d+) %", printed) == ["100"]
        assert stage.weights() == {(0, 100)}


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
