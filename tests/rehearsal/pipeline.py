"""The deployment workflow without GitHub: its jobs' own commands, with the rehearsal's engine, in fresh checkouts of a
default branch that is kept in memory. Of the doors only the approval is left out."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operations.delivery import Trigger, door
from operations.environments import EnvironmentName
from rehearsal.engine import LEFT_OUT_PREFIXES
from tests.rehearsal.conftest import REPOSITORY, Desk
from tests.rehearsal.told_prometheus import Told
from tests.unit.delivery.fake_github import REPOSITORY as NAME
from tests.unit.delivery.fake_github import TOKEN, FakeGitHub
from tests.unit.delivery.workflows import load, rendered, value

WORKFLOW = load("deploy")

UV = """\
#!/bin/sh
# Stands in for uv: what the lock file pins is installed, and the commands are this checkout's.
case "$1" in
sync) exit 0 ;;
run) shift 3; exec '{python}' -c 'from delivery.deploy.cli import main; main()' "$@" ;;
esac
"""


@dataclass
class Job:
    """A job that runs or has run."""

    folder: Path
    """Its checkout."""
    process: subprocess.Popen[str]
    known: Mapping[str, str]
    printed: str = ""

    def wait_for(self, pattern: str, seconds: float = 300) -> None:
        """Read what it prints until a line matches."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (line := self.process.stdout.readline()):
            self.printed += line
            if re.search(pattern, line):
                return
        raise AssertionError(f"no line with {pattern}:\n{self.printed}")

    def die(self) -> None:
        """As when its machine is lost: at once, whole, and without its last steps."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def end(self) -> int:
        """Wait for its end and return the exit code of the deployment."""
        printed, _ = self.process.communicate(timeout=900)
        self.printed += printed
        return self.process.returncode


@dataclass
class Pipeline:
    """Runs of the workflow.

    Attributes:
        desk: with the program, and the stacks' rehearsals.
        github: with the default branch.
        prometheus: of every environment.
        folder: where checkouts and artifacts go.
    """

    desk: Desk
    github: FakeGitHub
    prometheus: Told
    folder: Path
    engine: str = ""
    """The rehearsal whose engine a stack uses that has none of its own."""
    pace: Mapping[str, str] = field(default_factory=dict[str, str])
    """How fast rollouts go."""
    runs: int = 0

    def deploy(
        self, stack: str, version: str = "", change: str = "", *, code: int = 0, record: bool = True
    ) -> str:
        """Run the whole workflow and return what it printed; its deployment must end with this exit code."""
        job = self.start(stack, version, change)
        assert job.end() == code, job.printed
        if record:
            self._record(job)
        return job.printed

    def start(self, stack: str, version: str = "", change: str = "") -> Job:
        """Start the deployment job in a fresh checkout: by a merge or by a person, as the stack's door wants it."""
        self.runs += 1
        folder = self.folder / f"run-{self.runs}"
        folder.mkdir(parents=True)
        for path, text in self.github.files.items():
            (folder / path).write_text(text)
        for name in ("__main__.py", "Pulumi.yaml", "policy"):
            (folder / name).symlink_to(self.desk.project / name)
        merged = door(EnvironmentName(stack)).trigger is Trigger.MERGE
        known = {
            "inputs.environment": "" if merged else stack,
            "inputs.version": version,
            "inputs.change": change,
            "github.triggering_actor": "ada",
            "vars.PULUMI_BACKEND_URL": (self.home(stack) / "state").as_uri(),
        }
        return Job(folder, self._spawn(folder, WORKFLOW["jobs"]["deploy"], "Deploy", known), known)

    def pulumi(self, stack: str, *arguments: str) -> str:
        """Run the engine's own command line and return what it printed."""
        done = subprocess.run(
            ["pulumi", *arguments, "--stack", stack],
            capture_output=True,
            text=True,
            cwd=self.desk.project,
            env={
                **self.commands(self.folder, stack),
                "PULUMI_BACKEND_URL": (self.home(stack) / "state").as_uri(),
            },
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def home(self, stack: str) -> Path:
        """The rehearsal whose engine a stack uses."""
        own = self.desk.home(stack)
        return own if (own / "engine").is_dir() else self.desk.home(self.engine)

    def commands(self, folder: Path, stack: str) -> dict[str, str]:
        """The environment of a job's machine."""
        home, tools = self.home(stack), self.folder / "tools"
        tools.mkdir(parents=True, exist_ok=True)
        uv = tools / "uv"
        uv.write_text(UV.format(python=sys.executable))
        uv.chmod(0o700)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(LEFT_OUT_PREFIXES)}
        return {
            **kept,
            "PATH": os.pathsep.join((str(tools), str(home / "engine" / "bin"), kept["PATH"])),
            "PYTHONPATH": str(REPOSITORY),
            "PULUMI_HOME": str(home / "engine" / "home"),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(home / "passphrase"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true",
            "REHEARSAL_WORLD": str(home / "world.json"),
            "GITHUB_API_URL": self.github.url,
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "DEPLOY_PROMETHEUS": self.prometheus.url,
            "COLUMNS": "200",
            **self.pace,
        }

    def _record(self, deployed: Job) -> None:
        """The second job, with the artifact of the first."""
        job, known = WORKFLOW["jobs"]["record"], deployed.known
        kept = [step for step in WORKFLOW["jobs"]["deploy"]["steps"] if step.get("id") == "keep"]
        patterns = rendered(kept[0]["with"]["path"], known).split()
        files = [file for pattern in patterns for file in deployed.folder.glob(pattern)]
        outcome = {
            "always()": "true",
            "needs.deploy.outputs.kept": "1" if files else "",
            "github.token": TOKEN,
        }
        assert value(job["if"], outcome) == "true"
        folder = deployed.folder / "record"
        (artifact := folder / "deployment").mkdir(parents=True)
        for file in files:
            shutil.copy(file, artifact)
        name = "Commit the release and the change requests to the default branch"
        process = self._spawn(folder, job, name, {**known, **outcome})
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == 0, printed
        deployed.printed += printed

    def _spawn(
        self, folder: Path, job: Mapping[str, Any], name: str, known: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        """Start one step of a job as GitHub's runner does: its own text, by bash, with the environment that it is given."""
        (step,) = [step for step in job["steps"] if step.get("name") == name]
        declared = {**job["env"], **step["env"]}
        environment = {key: rendered(text, known) for key, text in declared.items()}
        return subprocess.Popen(
            ["bash", "-e", "-c", step["run"]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            cwd=folder,
            env={**self.commands(folder, environment["STACK"]), **environment},
        )
