"""A way to the environment's Prometheus, which no network but its cluster's reaches: `kubectl port-forward`, kept open."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from delivery.errors import DeliveryError
from operations.monitoring import NAMESPACE, Part

PORT: Final = "http"
"""The port's name in the Service."""

OPENING_SECONDS: Final = 20.0
"""The longest wait for the way to be open the first time: what begins a rollout asks once, and goes no further without an answer."""

RESTART_SECONDS: Final = 1.0
"""The wait before a forwarder that ended is started again."""


@contextmanager
def forwarded(kubeconfig: Callable[[], str], say: Callable[[str], None]) -> Generator[str]:
    """Return a URL of the environment's Prometheus that works until the block ends.

    A forwarder ends with the pod that it leads to, or with its connection: another one takes its place, on the same port.

    Args:
        kubeconfig: tells the way into the cluster; it lies in a file that nobody else may read, and only meanwhile.
        say: is told why a forwarder ended.

    Raises:
        DeliveryError: there is no kubectl.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise DeliveryError(
            "Prometheus is reached through kubectl, which is not on PATH: install it, or name a URL with --prometheus"
        )
    with tempfile.TemporaryDirectory(prefix="deploy-") as folder:
        # The folder is this user's alone; so is the file, should somebody open the folder.
        way_in = Path(folder) / "kubeconfig"
        way_in.touch(mode=0o600)
        way_in.write_text(kubeconfig())
        port = _free_port()
        command = (
            *(kubectl, "--kubeconfig", str(way_in), "--namespace", NAMESPACE, "port-forward"),
            *("--address", "127.0.0.1", f"service/{Part.PROMETHEUS}", f"{port}:{PORT}"),
        )
        keeper = _Keeper(command, say)
        keeper.start()
        try:
            _await(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            keeper.stop()


@dataclass
class _Keeper:
    """Runs a command again whenever it ends, until it is stopped."""

    command: tuple[str, ...]
    say: Callable[[str], None]
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _process: subprocess.Popen[str] | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        with self._lock:
            if self._process is not None:
                self._process.terminate()
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        last = ""
        while True:
            with self._lock:
                if self._stopping.is_set():
                    return
                self._process = subprocess.Popen(  # noqa: S603 - kubectl, with arguments of our own
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # a line for every connection
                    stderr=subprocess.PIPE,
                    text=True,
                    env=os.environ,
                )
            _, said = self._process.communicate()
            why = said.strip().splitlines()[-1] if said.strip() else f"exit code {self._process.returncode}"
            if not self._stopping.is_set() and why != last:
                # The same again and again is said once: the gates, which then see nothing, tell the rest.
                self.say(f"the way to Prometheus ended ({why}); opening it again")
                last = why
            if self._stopping.wait(RESTART_SECONDS):
                return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(port: int) -> None:
    """Wait until somebody listens on a port of this machine, for as long as it is worth."""
    deadline = time.monotonic() + OPENING_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(RESTART_SECONDS)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
