"""`drift` and `preview-report` on the real engine and a real API server, as a pipeline runs them: nothing is changed by looking."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from delivery.preview_report.reader import read
from operations.drift import Cause, Drift
from operations.environments import EnvironmentName
from operations.preview.digest import Digest
from operations.release import SlotRelease
from operations.slots import Slot
from rehearsal.engine import LEFT_OUT_PREFIXES, backend_url
from rehearsal.kubernetes_api import KubernetesApi
from tests.rehearsal.conftest import REPOSITORY, Desk, clear, lay

pytestmark = pytest.mark.rehearsal

STACK = "dev"
SLOTS = """pulumi.export("slots", {
    slot.value: {"version": release.of(slot).version, "weight": release.of(slot).weight} for slot in Slot
})"""
BY_HAND = "registry.example/shop:by-hand"


def run(desk: Desk, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the delivery with the rehearsal's engine, as a pipeline does with a real one."""
    home = desk.home(STACK)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT_PREFIXES)}
    return subprocess.run(
        [
            *(sys.executable, "-c", f"from {module} import main; main()", *arguments, "--stack", STACK),
            *("--work-dir", str(home / "project"), "--program", str(program_of(desk))),
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


def look(desk: Desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(desk, "delivery.cli", *arguments)


def take(desk: Desk) -> tuple[int, Digest]:
    """The exit code of `preview-report take`, and what it wrote."""
    out = desk.project / "digest.json"
    out.unlink(missing_ok=True)
    ended = run(desk, "delivery.preview_report.cli", "take", "--out", str(out))
    assert out.is_file(), ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.returncode, Digest.model_validate_json(out.read_bytes())


def program_of(desk: Desk) -> Path:
    return desk.project / "__main__.py"


def edit(desk: Desk, old: str, new: str) -> None:
    text = program_of(desk).read_text()
    assert old in text
    program_of(desk).write_text(text.replace(old, new))


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


@pytest.fixture(scope="module")
def brought_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One service, whose slots are outputs of the stack as an environment's are; brought up once for all."""
    desk = lay(tmp_path_factory.mktemp("looked-at") / "program", REPOSITORY / "examples" / "one_service")
    edit(desk, 'pulumi.export("url"', f'{SLOTS}\npulumi.export("url"')
    try:
        desk.rehearse("up", "--stack", STACK)
        yield desk
    finally:
        clear(desk)


@pytest.fixture
def desk(brought_up: Desk) -> Iterator[Desk]:
    """The program as it was brought up; what a test changes of it is put back."""
    text = program_of(brought_up).read_text()
    yield brought_up
    program_of(brought_up).write_text(text)


def test_what_a_change_would_do_is_told_and_a_red_preview_fails(desk: Desk) -> None:
    before = backend(desk)
    # Up the ladder, or the guard would refuse it.
    edit(desk, "weight=95", "weight=75")
    edit(desk, "weight=5)", "weight=25)")
    code, digest = take(desk)
    assert (code, digest.errors) == (0, ())
    assert [(change.operation, change.name) for change in digest.changes] == [("update", "shop-shop")]
    assert [(change.slot, change.before, change.after) for change in digest.slots] == [
        (Slot.BLUE, runs("v1.4.0", 95), runs("v1.4.0", 75)),
        (Slot.GREEN, runs("v1.5.0", 5), runs("v1.5.0", 25)),
    ]
    assert (digest.cautions, digest.costs) == ((), ())
    assert digest.unchanged > 50

    events = desk.project / "events.jsonl"
    desk.rehearse("preview", "--stack", STACK, "--events", str(events))
    assert read(EnvironmentName.DEV, events) == digest, "another way to the same digest"
    assert '"severity":"debug"' not in events.read_text()

    edit(desk, "import pulumi\n", 'import pulumi\nraise ValueError("no such zone")\n')
    code, red = take(desk)
    assert (code, red.errors, red.slots) == (1, ("no such zone",), ())
    assert backend(desk) == before, "looking leaves no trace in the backend"


def runs(version: str, weight: int) -> SlotRelease:
    return SlotRelease(version=version, weight=weight)


def test_what_was_changed_by_hand_is_found_and_told_from_what_is_not_deployed(desk: Desk) -> None:
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
    edit(desk, "deregistration_delay_seconds=30", "deregistration_delay_seconds=40")
    both = found(desk)
    assert {name for name, (_, _, cause) in both.items() if cause is Cause.UNDEPLOYED} == {
        "shop-shop-blue",
        "shop-shop-green",
    }
    assert both["shop-shop-blue"] == ("update", ("deregistrationDelay",), Cause.UNDEPLOYED)
    told = look(desk, "--markdown")
    assert BY_HAND not in told.stdout + told.stderr
    assert backend(desk) == before, "looking leaves no trace in the backend"


def change_by_hand(desk: Desk) -> None:
    path = "/apis/apps/v1/namespaces/quikapp-blue/deployments/shop"
    container: dict[str, Any] = {"name": "shop", "image": BY_HAND}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    status, body = api(desk).request("PATCH", path, patch, "application/strategic-merge-patch+json")
    assert status == 200, body
    assert json.loads(body)["spec"]["template"]["spec"]["containers"][0]["image"] == BY_HAND
    api(desk).delete("/api/v1/namespaces/quikapp-green/services/shop")
