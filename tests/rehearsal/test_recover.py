"""`rehearse recover`: what is lost comes back, on the real engine and a real API server."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rehearsal.kubernetes_api import KubernetesApi
from tests.rehearsal.conftest import Desk, clear, lay

pytestmark = [pytest.mark.rehearsal, pytest.mark.long, pytest.mark.timeout(900)]

STACK = "dev"
TWO_REGIONS = "staging"
DEPLOYMENTS = "/apis/apps/v1/deployments"
CLUSTER = "aws:rds/cluster:Cluster"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An environment that is up; each drill leaves it as it found it."""
    laid = lay(tmp_path_factory.mktemp("recover") / "program")
    try:
        laid.rehearse("up", "--stack", STACK)
        yield laid
    finally:
        clear(laid)


def _recover(desk: Desk, scenario: str, stack: str = STACK) -> str:
    process = desk.start("recover", "--stack", stack, "--scenario", scenario)
    printed, _ = process.communicate(timeout=800)
    assert process.returncode == 0, printed
    assert "Traceback" not in printed
    return printed


def _deployments(desk: Desk) -> dict[str, str]:
    """The identity of each Deployment by its name."""
    folder = desk.home(STACK) / "cluster"
    api = KubernetesApi(
        int((folder / "port").read_text()), folder / "pki" / "ca.pem", (folder / "token").read_text()
    )
    items: list[dict[str, Any]] = (api.get(DEPLOYMENTS) or {"items": []})["items"]
    return {f"{i['metadata']['namespace']}/{i['metadata']['name']}": i["metadata"]["uid"] for i in items}


def _unchanged(desk: Desk, stack: str = STACK) -> None:
    """A preview finds nothing to do."""
    assert "unchanged" in (printed := desk.rehearse("preview", "--stack", stack))
    assert not re.search(r"[+~±-] (create|update|replace|delete)", printed), printed


def _steps(printed: str) -> list[tuple[str, float]]:
    """The steps of the summary with their seconds."""
    table = printed[printed.rindex("all came back") :]
    return [
        (title.strip(), float(seconds))
        for title, seconds in re.findall(r"^(\w[^│\n]*?) +│ +([\d.]+) s", table, re.MULTILINE)
    ]


def test_a_lost_cluster_comes_back_with_everything_in_it(desk: Desk) -> None:
    before = _deployments(desk)
    printed = _recover(desk, "cluster")
    after = _deployments(desk)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values()), "nothing of the old cluster was kept"
    gone, held = map(int, re.findall(r"(\d+) of (\d+) resources are gone", printed)[0])
    assert len(before) < gone < held
    assert f"{gone} resources are made anew" in printed
    assert "45 min" in printed, "beside what is planned for AWS"
    assert all(seconds > 0 for _, seconds in _steps(printed))
    _unchanged(desk)


def test_a_lost_state_comes_back_and_an_old_one_is_told_the_truth(desk: Desk) -> None:
    before, resources = _deployments(desk), desk.resources(STACK).keys()
    printed = _recover(desk, "state")
    assert _deployments(desk) == before, "nothing was made a second time"
    assert desk.resources(STACK).keys() == resources
    titles = [title for title, _ in _steps(printed)]
    assert titles.count("keep a copy of the state, as the bucket keeps each version") == 1
    assert titles.count("see that nothing is left to do") == 2
    _unchanged(desk)


@pytest.mark.parametrize("after", ["nothing", "up"])
def test_a_drill_that_is_killed_while_the_cluster_is_lost_is_mended_by_the_next_command(
    desk: Desk, after: str
) -> None:
    before = _deployments(desk).keys()
    process = desk.start("recover", "--stack", STACK, "--scenario", "cluster")
    mark = desk.home(STACK) / "recover" / "lost-cluster"
    assert _wait(lambda: mark.exists() and not (desk.home(STACK) / "cluster" / "etcd").exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert mark.exists()
    if after == "up":
        desk.rehearse("up", "--stack", STACK)
        assert _deployments(desk).keys() == before
        assert not mark.exists()
    _recover(desk, "cluster")
    assert _deployments(desk).keys() == before
    _unchanged(desk)


def test_a_drill_that_is_killed_while_the_state_is_lost_is_mended_by_the_next_up(desk: Desk) -> None:
    before = _deployments(desk)
    kept = desk.home(STACK) / "recover" / "state.json"
    process = desk.start("recover", "--stack", STACK, "--scenario", "state")
    state = next((desk.home(STACK) / "state" / ".pulumi" / "stacks").glob(f"*/{STACK}.json"))
    assert _wait(lambda: kept.exists() and not state.exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    desk.rehearse("up", "--stack", STACK)
    assert not kept.exists()
    assert _deployments(desk) == before
    _unchanged(desk)


def test_a_failover_and_the_way_back_replace_and_delete_nothing(desk: Desk) -> None:
    desk.rehearse("up", "--stack", TWO_REGIONS)
    before = {urn: each["id"] for urn, each in desk.resources(TWO_REGIONS).items() if "id" in each}
    printed = _recover(desk, "region", stack=TWO_REGIONS)
    after = desk.resources(TWO_REGIONS)
    assert {urn: each["id"] for urn, each in after.items() if "id" in each} == before
    hosts = {each["outputs"]["endpoint"] for each in after.values() if each["type"] == CLUSTER}
    assert set(re.findall(r"containers are told of (\S+)", printed)) == hosts
    assert len(hosts) == 2
    assert "eu-central-1" in json.dumps(sorted(hosts))
    _unchanged(desk, TWO_REGIONS)


def _wait(condition: Callable[[], bool], seconds: float = 300) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return False
