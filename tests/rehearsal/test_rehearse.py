"""`rehearse`, end to end: the program's own stacks on the real engine and a real API server."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rehearsal.kubernetes_api import KubernetesApi
from tests.rehearsal.conftest import REPOSITORY, Desk, clear, lay

pytestmark = pytest.mark.rehearsal

LISTENER_RULE = "aws:lb/listenerRule:ListenerRule"
WORKLOADS = ("/apis/apps/v1/deployments", "/apis/apps/v1/statefulsets", "/apis/apps/v1/daemonsets")
DECLARED = tuple(f"kubernetes:apps/v1:{kind}" for kind in ("Deployment", "StatefulSet", "DaemonSet"))
SECRETS = "/api/v1/secrets"


@pytest.fixture(scope="module", params=["dev", "live"])
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def up(stack: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, str]]:
    """One desk a stack, brought up once for the whole module, and what `up` printed."""
    desk = lay(tmp_path_factory.mktemp(stack) / "program")
    try:
        yield desk, desk.rehearse("up", "--stack", stack)
    finally:
        clear(desk)


def _counts(printed: str) -> dict[str, int]:
    """The last table of changes that `rehearse` printed."""
    table = re.split(r"is up|Preview of", printed)[-1]
    found = re.findall(r"^[+~±-]? *(create|update|replace|delete|unchanged)[ │]+(\d+) ", table, re.MULTILINE)
    return {change: int(count) for change, count in found}


def _token(resource: dict[str, Any]) -> str:
    return str(resource["type"])


class TestAStackThatIsUp:
    def test_keeps_a_state_of_which_every_file_is_whole_or_not_there(
        self, up: tuple[Desk, str], stack: str
    ) -> None:
        desk, _ = up
        state = desk.home(stack) / "state"
        assert {path.suffix for path in state.rglob("*") if path.is_file()} <= {".json", ".bak", ".yaml"}

    def test_shows_its_preview_its_result_and_its_outputs(self, up: tuple[Desk, str], stack: str) -> None:
        _, printed = up
        assert f"Preview of {stack}" in printed
        assert f"{stack} is up" in printed
        assert "export KUBECONFIG=" in printed
        assert re.search(r"slots\.blue.* v\d+\.\d", printed)

    def test_has_every_workload_available_on_the_api_server(self, up: tuple[Desk, str], stack: str) -> None:
        desk, _ = up
        _assert_available(desk, stack)

    def test_changes_nothing_the_second_time(self, up: tuple[Desk, str], stack: str) -> None:
        desk, _ = up
        before = desk.resources(stack)
        assert set(_counts(desk.rehearse("up", "--stack", stack))) == {"unchanged"}
        assert desk.resources(stack).keys() == before.keys()

    def test_holds_no_secret_in_plain_text(self, up: tuple[Desk, str], stack: str) -> None:
        desk, printed = up
        held: list[dict[str, str]] = [item.get("data") or {} for item in _get(desk, stack, SECRETS)]
        files = [file for data in held for file in data.items()]
        # A certificate is shown to everybody who connects; it lies beside its key, which is a secret.
        encoded = {value for name, value in files if not name.endswith(".crt") and name != "username"}
        assert len(encoded) > 5, "the stack has secrets"
        decoded = {base64.b64decode(value).decode() for value in encoded}
        state = "\n".join(path.read_text() for path in desk.home(stack).glob("state/**/*.json"))
        for value in encoded | {json.dumps(text)[1:-1] for text in decoded}:
            assert value not in state
            assert value not in printed

    def test_changes_listener_rules_only_when_a_weight_changes(
        self, up: tuple[Desk, str], stack: str
    ) -> None:
        desk, _ = up
        release = desk.stack_file(stack)["config"]["quikapp:release"]
        serving, idle = sorted(("blue", "green"), key=lambda slot: -release[slot]["weight"])

        def put(slot: str, **facts: object) -> None:
            version = release[slot]["version"]
            desk.edit(
                stack, lambda config: config["quikapp:release"].update({slot: {"version": version, **facts}})
            )

        try:
            # The idle slot is made ready first, as a rollout does it: then the weights are all that changes.
            put(idle, weight=0, capacity="full")
            desk.rehearse("up", "--stack", stack)
            before = _comparable(desk, stack)
            if release["switch"] == "ladder":
                put(idle, weight=5)
                put(serving, weight=95)
            else:
                put(idle, weight=100)
                put(serving, weight=0, capacity="full")
            printed = desk.rehearse("up", "--stack", stack)
        finally:
            desk.edit(stack, lambda config: config.update({"quikapp:release": release}))
        changed = _differences(before, _comparable(desk, stack))
        assert {urn.split("::")[2].rsplit("$", 1)[-1] for urn in changed} == {LISTENER_RULE}
        assert set(_counts(printed)) == {"update", "unchanged"}

    def test_looks_like_the_picture_in_the_readme(self, up: tuple[Desk, str], stack: str) -> None:
        desk, _ = up
        drawn = desk.rehearse("draw", "--stack", stack)
        if stack == "live":
            readme = (REPOSITORY / "README.md").read_text()
            assert f"```mermaid\n{drawn.strip()}\n```" in readme, drawn
        assert drawn.startswith("flowchart LR\n")

    def test_is_shown_by_status_with_a_kubeconfig_that_works(self, up: tuple[Desk, str], stack: str) -> None:
        desk, _ = up
        printed = desk.rehearse("status")
        assert f"{stack}: control plane ready" in printed
        assert f"{len(desk.resources(stack))} resources" in printed
        assert f"export KUBECONFIG={desk.home(stack)}/cluster/kubeconfig" in printed


@pytest.mark.parametrize("stack", ["qa", "uat", "staging"])
def test_every_other_stack_comes_up_whole_too(desk: Desk, stack: str) -> None:
    desk.rehearse("up", "--stack", stack)
    _assert_available(desk, stack)


def _assert_available(desk: Desk, stack: str) -> None:
    """Everything that the program declared runs, as far as nodes that are played can run anything."""
    declared = [
        resource["outputs"]["metadata"]["name"]
        for resource in desk.resources(stack).values()
        if _token(resource) in DECLARED
    ]
    live = [item for kind in WORKLOADS for item in _get(desk, stack, kind)]
    assert sorted(declared) == sorted(item["metadata"]["name"] for item in live)
    for item in live:
        status, name = item["status"], item["metadata"]["name"]
        if "desiredNumberScheduled" in status:
            assert status["numberReady"] == status["desiredNumberScheduled"] > 0, name
        else:
            assert status.get("readyReplicas", 0) == item["spec"]["replicas"], name


def test_the_second_of_two_commands_on_one_stack_is_refused_in_a_line(desk: Desk) -> None:
    first = desk.start("up", "--stack", "dev")
    try:
        _wait(lambda: (desk.project / ".rehearsal" / "dev.lock").exists())
        time.sleep(0.5)
        printed = desk.rehearse("up", "--stack", "dev", code=1)
        assert re.fullmatch(rf"error: the rehearsal of 'dev' is in use by process {first.pid}: .*\n", printed)
    finally:
        _kill(first)


def test_down_leaves_no_process_and_no_state(desk: Desk) -> None:
    desk.rehearse("up", "--stack", "dev")
    assert _processes(desk)
    printed = desk.rehearse("down", "--stack", "dev")
    assert "no process and no state is left" in printed
    assert _wait(lambda: not _processes(desk))
    assert list((desk.project / ".rehearsal").iterdir()) == []
    assert "Nothing is up" in desk.rehearse("status")


def test_a_bad_stack_file_is_refused_before_planning_without_a_traceback(desk: Desk) -> None:
    desk.edit("dev", lambda config: config["quikapp:release"]["blue"].update(weight=90))
    desk.edit("dev", lambda config: config["quikapp:release"]["green"].update(weight=20))
    desk.edit("dev", lambda config: config.update({"quikapp:netwrok": {}}))
    printed = desk.rehearse("preview", "--stack", "dev", code=1)
    assert printed == (
        "error: Pulumi.dev.yaml has 2 faults:\n"
        "  quikapp:release: the weights of blue (90) and green (20) sum to 110; they must sum to 100\n"
        "  quikapp:netwrok: is no known key; did you mean network?\n"
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    desk = lay(tmp_path_factory.mktemp("undisturbed") / "program")
    try:
        desk.rehearse("up", "--stack", "dev")
        yield _comparable(desk, "dev")
    finally:
        clear(desk)


@pytest.mark.parametrize(
    "resources", [20, 180, *(pytest.param(number, marks=pytest.mark.long) for number in (1, 100, 240))]
)
def test_killed_in_the_middle_the_next_up_completes_to_the_same_end(
    desk: Desk, resources: int, undisturbed: dict[str, Any]
) -> None:
    process = desk.start("up", "--stack", "dev")
    assert _wait(lambda: process.poll() is not None or _recorded(desk, "dev") >= resources), (
        "nothing was recorded"
    )
    assert process.poll() is None, process.communicate()[0]
    _kill(process)
    desk.rehearse("up", "--stack", "dev")
    assert _differences(_comparable(desk, "dev"), undisturbed) == {}


def test_the_command_alone_killed_leaves_nothing_in_the_way(desk: Desk, undisturbed: dict[str, Any]) -> None:
    process = desk.start("up", "--stack", "dev")
    _wait(lambda: _recorded(desk, "dev") >= 40)
    process.kill()
    process.communicate()
    desk.rehearse("up", "--stack", "dev")
    assert _differences(_comparable(desk, "dev"), undisturbed) == {}


def test_down_ends_the_engine_that_a_killed_command_left_behind(desk: Desk) -> None:
    process = desk.start("up", "--stack", "dev")
    assert _wait(lambda: _recorded(desk, "dev") >= 10)
    process.kill()
    process.communicate()
    desk.rehearse("down", "--stack", "dev")
    assert _wait(lambda: not _processes(desk), seconds=20)
    assert not desk.home("dev").exists()


def test_an_api_server_killed_in_the_middle_is_healed_by_the_next_up(
    desk: Desk, undisturbed: dict[str, Any]
) -> None:
    process = desk.start("up", "--stack", "dev")
    _wait(lambda: _recorded(desk, "dev") >= 60)
    record = json.loads((desk.home("dev") / "cluster" / "kube-apiserver.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    printed, _ = process.communicate(timeout=500)
    assert "Traceback" not in printed
    desk.rehearse("up", "--stack", "dev")
    assert _differences(_comparable(desk, "dev"), undisturbed) == {}


def test_several_stacks_are_up_at_once(desk: Desk) -> None:
    desk.rehearse("up", "--stack", "dev")
    desk.rehearse("up", "--stack", "qa")
    printed = desk.rehearse("status")
    assert "dev: control plane ready" in printed
    assert "qa: control plane ready" in printed


def _recorded(desk: Desk, stack: str) -> int:
    try:
        return len(desk.resources(stack))
    except (OSError, KeyError, TypeError, ValueError):
        return 0


def _comparable(desk: Desk, stack: str) -> dict[str, Any]:
    """What is the same in every rehearsal of a stack: all inputs, but for what each rehearsal makes for itself."""
    resources = desk.resources(stack)
    own = json.loads((desk.home(stack) / "world.json").read_text())["aws:eks/cluster:Cluster"]
    names = {own["endpoint"]: "<endpoint>", own["certificateAuthority"]["data"]: "<authority>"}
    for resource in resources.values():
        inputs: dict[str, Any] = resource.get("inputs") or {}
        metadata: dict[str, Any] = inputs.get("metadata") or {}
        annotations: dict[str, str] = metadata.get("annotations") or {}
        if "pulumi.com/autonamed" in annotations:
            names[metadata["name"]] = f"<{resource['urn'].split('::')[3]}>"
    state = {
        urn: {key: resource.get(key) for key in ("type", "id", "parent", "inputs", "protect")}
        for urn, resource in resources.items()
        if "pulumi:providers:" not in urn
    }
    live = {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}": item["spec"]["template"]
        for path in WORKLOADS
        for item in _get(desk, stack, path)
    }
    text = json.dumps({**state, **live}, sort_keys=True)
    for value, name in names.items():
        text = text.replace(value, name)
    return json.loads(re.sub(r'"ciphertext": "[^"]*"', '"ciphertext": "<own>"', text))


def _differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[object, object]]:
    return {
        key: (one.get(key), other.get(key))
        for key in one.keys() | other.keys()
        if one.get(key) != other.get(key)
    }


def _get(desk: Desk, stack: str, path: str) -> list[dict[str, Any]]:
    """The objects at a path of the API server, of every namespace."""
    cluster = desk.home(stack) / "cluster"
    api = KubernetesApi(
        int((cluster / "port").read_text()), cluster / "pki" / "ca.pem", (cluster / "token").read_text()
    )
    answer = api.get(path)
    assert answer is not None, path
    return answer["items"]


def _processes(desk: Desk) -> list[str]:
    """The command lines of what runs for a desk."""
    listed = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(desk.project) in line and "ps -ewwo" not in line]


def _kill(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _wait(condition: Any, seconds: float = 300) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
