"""`drift` on the real engine and a real API server: what somebody changed by hand is found, and nothing is changed by looking."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from operations.drift import Cause, Drift
from rehearsal.engine import LEFT_OUT_PREFIXES, backend_url
from rehearsal.kubernetes_api import KubernetesApi
from tests.rehearsal.conftest import REPOSITORY, Desk, clear, lay

pytestmark = pytest.mark.rehearsal

STACK = "dev"
BY_HAND = "registry.example/shop:by-hand"


def look(desk: Desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `drift` with the rehearsal's engine, as a pipeline does with a real one."""
    home = desk.home(STACK)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT_PREFIXES)}
    return subprocess.run(
        [
            *(sys.executable, "-c", "from delivery.cli import main; main()", "--stack", STACK),
            *(
                "--work-dir",
                str(home / "project"),
                "--program",
                str(desk.project / "__main__.py"),
                *arguments,
            ),
        ],
        env={
            **kept,
            "PATH": f"{home / 'engine' / 'bin'}{os.pathsep}{kept['PATH']}",
            "PULUMI_HOME": str(home / "engine" / "home"),
            "PULUMI_BACKEND_URL": backend_url(home / "state"),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(home / "passphrase"),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "REHEARSAL_WORLD": str(home / "world.json"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def found(desk: Desk) -> dict[str, tuple[str, tuple[str, ...], Cause]]:
    """What differs, by resource."""
    ended = look(desk, "--json")
    assert ended.returncode == 2, ended.stderr
    return {
        difference.name: (difference.operation, difference.properties, difference.cause)
        for difference in Drift.model_validate_json(ended.stdout).differences
    }


def backend(desk: Desk) -> dict[str, bytes]:
    """Every file of the state backend: the state, its history and its locks."""
    state = desk.home(STACK) / "state"
    return {str(path.relative_to(state)): path.read_bytes() for path in state.rglob("*") if path.is_file()}


def api(desk: Desk) -> KubernetesApi:
    cluster = desk.home(STACK) / "cluster"
    return KubernetesApi(
        int((cluster / "port").read_text()), cluster / "pki" / "ca.pem", (cluster / "token").read_text()
    )


def test_what_was_changed_by_hand_is_found_and_told_from_what_is_not_deployed(tmp_path: Path) -> None:
    desk = lay(tmp_path / "program", REPOSITORY / "examples" / "one_service")
    try:
        desk.rehearse("up", "--stack", STACK)
        quiet = look(desk)
        assert (quiet.returncode, quiet.stdout) == (0, "dev is as Git declares it.\n"), quiet.stderr

        change_by_hand(desk)
        before = backend(desk)
        assert found(desk) == {
            "shop-blue-shop-deployment": (
                "update",
                ("spec.template.spec.containers[0].image",),
                Cause.OUTSIDE,
            ),
            "shop-green-shop-service": ("create", (), Cause.OUTSIDE),
        }
        change_the_program(desk)
        both = found(desk)
        assert {name for name, (_, _, cause) in both.items() if cause is Cause.UNDEPLOYED} == {
            "shop-shop-blue",
            "shop-shop-green",
        }
        assert both["shop-shop-blue"] == ("update", ("deregistrationDelay",), Cause.UNDEPLOYED)
        told = look(desk, "--markdown")
        assert BY_HAND not in told.stdout + told.stderr
        assert backend(desk) == before, "looking leaves no trace in the backend"
    finally:
        clear(desk)


def change_by_hand(desk: Desk) -> None:
    path = "/apis/apps/v1/namespaces/quikapp-blue/deployments/shop"
    container: dict[str, Any] = {"name": "shop", "image": BY_HAND}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    status, body = api(desk).request("PATCH", path, patch, "application/strategic-merge-patch+json")
    assert status == 200, body
    assert json.loads(body)["spec"]["template"]["spec"]["containers"][0]["image"] == BY_HAND
    api(desk).delete("/api/v1/namespaces/quikapp-green/services/shop")


def change_the_program(desk: Desk) -> None:
    program = desk.project / "__main__.py"
    text = program.read_text()
    assert "deregistration_delay_seconds=30" in text
    program.write_text(text.replace("deregistration_delay_seconds=30", "deregistration_delay_seconds=40"))
