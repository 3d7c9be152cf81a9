"""Daemons that outlive the command that started them, and are found again by the next one.

A daemon is known by its process id and the moment that process started, so a process id that the system has
given to somebody else is never taken for a daemon, and never killed.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.errors import RehearsalError

LOG_LIMIT_BYTES = 16 * 1024 * 1024
PATIENCE_SECONDS = 10.0
PORTS = range(20000, 30000)

# The daemon waits for its process id to be on record: whoever starts it and is killed before that leaves nothing
# running, since the read then fails.
_STARTER = 'read -r _ && exec "$@" </dev/null'

_PROC = Path("/proc")
_children: set[int] = set()


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A program that runs in the background.

    `name` is unique in its directory; `command` is the whole command line; `needs` is a TCP port on loopback
    that it must be able to bind.
    """

    name: str
    command: Sequence[str]
    needs: int | None = None


class Daemons:
    """The daemons of one directory: `<name>.log` and `<name>.json` there belong to the daemon `<name>`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def start(self, daemon: Daemon) -> None:
        """Start the daemon unless it runs already.

        Raises RehearsalError when its port belongs to somebody else.
        """
        log = self.log(daemon.name)
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            os.truncate(log, 0)
        if self.pid(daemon.name) is not None:
            return
        if daemon.needs is not None:
            require_free_port(daemon.needs)
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - the command line is the rehearsal's own
                ["/bin/sh", "-c", _STARTER, daemon.name, *daemon.command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self.directory,
                start_new_session=True,
            )
        _children.add(process.pid)
        # It outlives this command: nobody waits for it here, and nobody is to be warned of that.
        process.returncode = 0
        if process.stdin is None:
            raise AssertionError("a pipe was asked for")
        with contextlib.suppress(BrokenPipeError), process.stdin as starter:
            record = self._record(daemon.name)
            partial = record.with_suffix(".partial")
            partial.write_text(json.dumps({"pid": process.pid, "started": started(process.pid)}))
            partial.replace(record)
            starter.write(b"recorded\n")

    def pid(self, name: str) -> int | None:
        """The process id of the daemon while it runs, else None."""
        try:
            record = json.loads(self._record(name).read_text())
            pid, since = int(record["pid"]), str(record["started"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return pid if started(pid) == since else None

    def require(self, name: str) -> None:
        """Raise RehearsalError with the last line of its log if the daemon does not run."""
        if self.pid(name) is None:
            raise RehearsalError(
                f"{name} ended: {self.last_words(name)} (see {self.log(name)}; then start again)"
            )

    def stop(self, names: Sequence[str]) -> None:
        """End the daemons, those named first before the others; kill what does not leave in time.

        Raises RehearsalError when one cannot be ended.
        """
        for name in names:
            for sign in (signal.SIGTERM, signal.SIGKILL):
                if (pid := self.pid(name)) is None:
                    break
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
                deadline = time.monotonic() + PATIENCE_SECONDS
                while self.pid(name) is not None and time.monotonic() < deadline:
                    time.sleep(0.02)
            if (pid := self.pid(name)) is not None:
                raise RehearsalError(
                    f"{name} (process {pid}) cannot be ended; end it by hand, then try again"
                )
            self._record(name).unlink(missing_ok=True)

    def log(self, name: str) -> Path:
        """The file that the daemon's output goes to."""
        return self.directory / f"{name}.log"

    def last_words(self, name: str) -> str:
        """The last line of the daemon's log that says something."""
        log = self.log(name)
        if not log.exists():
            return "it left no log"
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 64 * 1024))
            lines = file.read().decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")

    def _record(self, name: str) -> Path:
        return self.directory / f"{name}.json"


def started(pid: int) -> str | None:
    """When a running process started, in whatever words the system has for it; None if there is none."""
    if pid in _children and os.waitpid(pid, os.WNOHANG)[0] == pid:
        _children.discard(pid)
        return None
    if _PROC.joinpath("self/stat").exists():
        try:
            # The command's name, in parentheses, may itself hold spaces and parentheses.
            fields = _PROC.joinpath(f"{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        state, ticks_since_boot = fields[0], fields[19]
        boot = _PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
        return None if state in "ZX" else f"{boot} {ticks_since_boot}"
    answer = _output(["ps", "-o", "stat=,lstart=", "-p", str(pid)])
    state, _, since = answer.strip().partition(" ")
    return None if not since or state.startswith("Z") else since.strip()


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now, below those that systems give to outgoing connections."""
    return next(port for port in random.sample(PORTS, len(PORTS)) if _can_bind(port))


def require_free_port(port: int) -> None:
    """Return once the port can be bound; a program that was just killed may take a moment to let go of it.

    Raises RehearsalError, naming who holds it where that can be known.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _can_bind(port):
        holder = port_holder(port)
        if holder is not None or time.monotonic() > deadline:
            raise RehearsalError(
                f"port {port}, which this cluster's addresses are built on, is in use by {holder or 'another program'}: "
                "end that program and try again, or bring the stack down and up again to use another port"
            )
        time.sleep(0.05)


def _can_bind(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def port_holder(port: int) -> str | None:
    """The program that listens on a TCP port, as "name (process N)", where the system tells us."""
    if not _PROC.joinpath("net/tcp").exists():
        answer = _output(["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"])
        facts = {line[:1]: line[1:] for line in answer.splitlines()}
        return f"{facts['c']} (process {facts['p']})" if {"c", "p"} <= facts.keys() else None
    sockets = _listening_sockets(port)
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(str(handle.readlink()) in sockets for handle in process.joinpath("fd").iterdir()):
                return f"{process.joinpath('comm').read_text().strip()} (process {process.name})"
    return None


def _listening_sockets(port: int) -> frozenset[str]:
    listening = "0A"
    rows = (
        row.split()
        for table in ("net/tcp", "net/tcp6")
        if _PROC.joinpath(table).exists()
        for row in _PROC.joinpath(table).read_text().splitlines()[1:]
    )
    return frozenset(
        f"socket:[{row[9]}]"
        for row in rows
        if row[3] == listening and int(row[1].rpartition(":")[2], 16) == port
    )


def _output(command: Sequence[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(  # noqa: S603 - the command line is the rehearsal's own
        command, capture_output=True, text=True, check=False
    ).stdout
