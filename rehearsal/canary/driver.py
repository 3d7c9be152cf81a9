"""The real rollout driver, run the way a person runs it: by its command line."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rehearsal.errors import RehearsalError

_SPAN = TypeAdapter(timedelta)


def command() -> Path:
    """The `rollout` command that is installed beside this Python.

    Raises:
        RehearsalError: there is none.
    """
    path = Path(sys.executable).with_name("rollout")
    if not path.exists():
        raise RehearsalError(f"there is no {path}: uv sync installs it")
    return path


@dataclass(frozen=True, kw_only=True)
class Journal:
    """What the driver says of its latest rollout."""

    outcome: str | None
    """None while it is under way."""
    version: str
    going_back: bool
    """Whether the traffic is on its way to the old slot, or was in the end."""
    why: str
    """What decided how it ended."""
    spent_seconds: float
    """Of the error budget, as time of a total outage, by the driver's own books."""
    allowed_seconds: float | None

    @classmethod
    def of(cls, status: dict[str, Any]) -> "Journal | None":
        """The journal from what `rollout status --json` prints; None where there was no rollout yet."""
        rollout = status.get("rollout")
        if rollout is None:
            return None
        state = rollout["state"]
        history = state["history"]
        turn = next((entry for entry in history if entry["direction"] == "back"), None)
        budget = state["plan"]["budget"]
        return cls(
            outcome=rollout["outcome"],
            version=rollout["version"],
            going_back=rollout["direction"] == "back",
            why=(turn or history[-1])["why"],
            spent_seconds=_seconds(state["spent"]),
            allowed_seconds=None if budget is None else _seconds(budget),
        )


def _seconds(span: str) -> float:
    return _SPAN.validate_python(span).total_seconds()


@dataclass
class Driver:
    """Runs `rollout` for one stack. One at a time; what it says goes to a log."""

    stack: str
    work: Path
    program: Path
    prometheus: str
    log: Path
    picture: Path
    _process: "subprocess.Popen[bytes] | None" = None
    _read: int = field(default=0)

    def __post_init__(self) -> None:
        self.log.write_text("")

    def start(self, version: str, speed: int, interval: float, change: str | None) -> None:
        """Begin a rollout, under a change request where the environment takes one."""
        self._run(
            "start",
            *("--version", version),
            *("--speed", str(speed)),
            *("--interval", f"{interval:g}"),
            *("--why", "a rehearsal"),
            *(() if change is None else ("--change", change)),
        )

    def resume(self) -> None:
        """Go on where a driver was killed."""
        self._run("resume")

    def roll_back(self, reason: str) -> None:
        """Give all traffic back to the old slot where a driver was killed, and see it through."""
        self._run("rollback", "--reason", reason)

    def kill(self) -> None:
        """End it in the middle of whatever it does, and only it: kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return None if self._process is None else self._process.poll()

    def said(self) -> list[str]:
        """Whole lines that it has said since they were last asked for."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole, _, _ = text.rpartition(b"\n")
        self._read += len(whole) + 1 if whole else 0
        return [line for line in whole.decode(errors="replace").splitlines() if line.strip()]

    def last_words(self) -> str:
        """The end of what it has said."""
        return " ".join(self.log.read_text().strip().splitlines()[-3:])

    def journal(self) -> Journal | None:
        """What it says of its latest rollout.

        Raises:
            RehearsalError: it does not answer.
        """
        asked = subprocess.run(  # noqa: S603 - the project's own command
            [str(command()), "status", "--stack", self.stack, "--work-dir", str(self.work), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            return Journal.of(json.loads(asked.stdout))
        except (ValueError, KeyError, TypeError) as error:
            raise RehearsalError(f"rollout status: {asked.stderr.strip() or error}") from error

    def _run(self, verb: str, *options: str) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the project's own command
                [
                    str(command()),
                    verb,
                    *("--stack", self.stack),
                    *("--work-dir", str(self.work)),
                    *("--program", str(self.program)),
                    *("--prometheus", self.prometheus),
                    *("--picture", str(self.picture)),
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
