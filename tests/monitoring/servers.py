"""The real Prometheus and the real Alertmanager, each on a loopback port that the system chose."""

import json
import os
import queue
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

from rehearsal.toolchain import ToolSet, ensure

PATIENCE_SECONDS: Final = 60.0
"""Until a server is ready; on two busy cores it may take some."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_LISTENING = re.compile(rb'msg="Listening on".* address=(127\.0\.0\.1:\d+)')


@contextmanager
def prometheus(
    directory: Path,
    config: Mapping[str, Any],
    files: Mapping[str, str] = _NOTHING,
    flags: Sequence[str] = (),
) -> Generator[str]:
    """Run Prometheus and yield its URL, such as `http://127.0.0.1:41299`.

    Args:
        directory: holds the configuration, the files and the data; it exists.
        config: as Prometheus reads it. Its `rule_files` are relative to the directory.
        files: further files, such as rules, by name.
        flags: further flags, such as `--web.enable-remote-write-receiver`.
    """
    command = [
        str(ensure(ToolSet.PROMETHEUS)["prometheus"]),
        f"--config.file={_laid(directory, 'prometheus.json', config, files)}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        *flags,
    ]
    with _running(command) as url:
        yield url


@contextmanager
def alertmanager(
    directory: Path,
    config: Mapping[str, Any],
    files: Mapping[str, str] = _NOTHING,
    flags: Sequence[str] = (),
    *,
    clustered: bool = False,
) -> Generator[str]:
    """Run an Alertmanager and yield its URL. It has no peers unless the flags name them.

    Args:
        directory: holds the configuration, the files and the data; it exists.
        config: as Alertmanager reads it. The files it names are relative to the directory.
        files: further files, such as templates and credentials, by name.
        flags: further flags; `--cluster.listen-address` among them takes the place of `clustered`.
        clustered: whether it looks out for peers, of which it has none.
    """
    gossip = f"--cluster.listen-address={'127.0.0.1:0' if clustered else ''}"
    command = [
        str(ensure(ToolSet.ALERTMANAGER)["alertmanager"]),
        f"--config.file={_laid(directory, 'alertmanager.json', config, files)}",
        f"--storage.path={directory / 'data'}",
        *([] if any(flag.startswith("--cluster.listen-address=") for flag in flags) else [gossip]),
        "--web.listen-address=127.0.0.1:0",
        *flags,
    ]
    with _running(command) as url:
        yield url


def get(url: str) -> str:
    """What a server answers.

    Raises:
        OSError: nobody answers, or with an error (`urllib.error.HTTPError`).
    """
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - a server of this module's own
        return answer.read().decode()


def _laid(directory: Path, name: str, config: Mapping[str, Any], files: Mapping[str, str]) -> Path:
    for file, text in files.items():
        (directory / file).write_text(text)
    path = directory / name
    path.write_text(json.dumps(config, indent=2))
    return path


@contextmanager
def _running(command: Sequence[str]) -> Generator[str]:
    """Run a server until the end of the block; what it says goes to the test's standard error."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        if process.stderr is None:
            raise AssertionError("a pipe was asked for")
        addresses: queue.Queue[str | None] = queue.Queue()
        listener = threading.Thread(target=_relay, args=(process.stderr, addresses), daemon=True)
        listener.start()
        try:
            address = addresses.get(timeout=PATIENCE_SECONDS)
            assert address is not None, f"{Path(command[0]).name} ended before it listened"
            url = f"http://{address}"
            _wait_until_ready(url, process)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
            listener.join()


def _relay(stderr: IO[bytes], addresses: "queue.Queue[str | None]") -> None:
    """Pass on what the server says, and the address that it listens on; None when it falls silent."""
    for line in stderr:
        # By its number: pytest exchanges `sys.stderr` between the phases of a test.
        os.write(2, line)
        if found := _LISTENING.search(line):
            addresses.put(found[1].decode())
    addresses.put(None)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            get(f"{url}/-/ready")
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{url} did not become ready: {error}") from error
        else:
            return
        time.sleep(0.05)
