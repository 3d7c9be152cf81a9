"""The way to Prometheus: kubectl with the stack's own kubeconfig, again whenever it ends, and nothing left of it at the end."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import time
from pathlib import Path

import pytest

from components.monitoring.parts import PORTS
from delivery.deploy import prometheus
from delivery.deploy.prometheus import PORT, forwarded
from delivery.errors import DeliveryError
from operations.monitoring import Part
from rollout.engine import runs

KUBECONFIG = '{"users": [{"user": {"token": "hunter2"}}]}'

KUBECTL = """\
#!/bin/sh
echo "$$ $(stat -c %a "$2") $(cat "$2" | tr -d ' ') $*" >> "{log}"
{then}
"""
"""A stand-in that writes down how it was started, and then does what a test wants."""


def kubectl(monkeypatch: pytest.MonkeyPatch, folder: Path, then: str = "exec sleep 60") -> Path:
    """Put one on PATH and return the file that it writes to."""
    log, stand_in = folder / "log", folder / "kubectl"
    stand_in.write_text(KUBECTL.format(log=log, then=then))
    stand_in.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(prometheus, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(prometheus, "OPENING_SECONDS", 0.1)
    return log


def starts(log: Path, count: int) -> list[list[str]]:
    """Wait until it was started so often, and return the words of each line."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines() if log.exists() else []
        if len(lines) >= count:
            return [line.split() for line in lines]
        time.sleep(0.01)
    raise AssertionError(f"kubectl was not started {count} times")


def test_it_leads_to_the_service_of_prometheus_with_the_kubeconfig_of_the_stack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = kubectl(monkeypatch, tmp_path)
    with forwarded(lambda: KUBECONFIG, print) as url:
        ((pid, mode, held, *arguments),) = starts(log, 1)
        file = Path(arguments[1])
        assert (mode, held) == ("600", KUBECONFIG.replace(" ", ""))
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        port = url.removeprefix("http://127.0.0.1:")
        assert arguments == [
            *("--kubeconfig", str(file), "--namespace", "monitoring", "port-forward"),
            *("--address", "127.0.0.1", "service/prometheus", f"{port}:http"),
        ]
    assert not file.parent.exists()
    assert not runs(int(pid))


def test_the_port_is_one_that_the_service_has() -> None:
    assert PORT in PORTS[Part.PROMETHEUS]


def test_when_it_ends_another_one_takes_its_place_on_the_same_port(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log, said = kubectl(monkeypatch, tmp_path), list[str]()
    with forwarded(lambda: KUBECONFIG, said.append):
        ((first, *_),) = starts(log, 1)
        os.kill(int(first), signal.SIGKILL)
        before, after = starts(log, 2)
    assert before[1:] == after[1:]
    assert said == ["the way to Prometheus ended (exit code -9); opening it again"]


def test_it_is_open_when_it_is_given_to_whoever_asks_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    serve = (
        f"port=${{9%:http}}; exec {sys.executable} -c 'import socket, sys, time; time.sleep(0.5); "
        'held = socket.create_server(("127.0.0.1", int(sys.argv[1]))); time.sleep(60)\' "$port"'
    )
    kubectl(monkeypatch, tmp_path, then=serve)
    monkeypatch.setattr(prometheus, "OPENING_SECONDS", 30)
    with forwarded(lambda: KUBECONFIG, print) as url:
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=1).close()


def test_why_it_ends_again_and_again_is_said_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = kubectl(monkeypatch, tmp_path, then="echo 'pods \"prometheus-0\" not found' >&2; exit 1")
    said = list[str]()
    with forwarded(lambda: KUBECONFIG, said.append):
        starts(log, 3)
    assert said == ['the way to Prometheus ended (pods "prometheus-0" not found); opening it again']


def test_without_kubectl_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(DeliveryError, match="install it, or name a URL with --prometheus"),
        forwarded(lambda: KUBECONFIG, print),
    ):
        raise AssertionError("there is no way")
