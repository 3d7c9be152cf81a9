"""`rehearse canary`: each fault, on the real engine, API server, Prometheus and rollout driver.

One environment is up for all of them; each rollout starts from where the one before it left the slots.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.rehearsal.conftest import Desk, clear, lay

pytestmark = [pytest.mark.rehearsal, pytest.mark.long, pytest.mark.timeout(2400)]

STACK = "uat"
"""The smallest environment with a ladder."""

SPEED = 30
"""Bakes of 30, 60 and 120 seconds. A fault begins two seconds into the first, and is beyond the threshold within ten more: a
machine that is busy with something else may take twice as long over it."""

LISTENER_RULE = "aws:lb/listenerRule:ListenerRule"

PATIENCE_SECONDS = 2100
"""Of a machine that updates the stack in minutes, not seconds: a ladder takes five updates, and as many looks at the weights."""

# A pod has nothing to drain here, and eight rollouts would each wait for half a minute.
SHORT_DRAIN = "import components.environment\n\ncomponents.environment.DEREGISTRATION_SECONDS = 2\n"


@dataclass(frozen=True)
class Told:
    """What `rehearse canary` printed."""

    text: str

    @property
    def weights(self) -> list[int]:
        """The new slot's share of the requests, in percent, from the beginning to the end."""
        return [int(found) for found in re.findall(r"weights +\w+ (\d+) %", self.text)]

    def row(self, title: str) -> str:
        """A row of the summary."""
        found = re.search(rf"^{re.escape(title)} +│ (.*(?:\n +│ .*)*)", self.text, re.MULTILINE)
        assert found, f"no row '{title}' in:\n{self.text}"
        return re.sub(r" *\n +│ ", " ", found[1]).strip()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An environment that is up."""
    laid = lay(tmp_path_factory.mktemp("canary") / "program")
    program = laid.project / "__main__.py"
    program.write_text(program.read_text().replace("import settings\n", f"{SHORT_DRAIN}import settings\n"))
    try:
        laid.rehearse("up", "--stack", STACK)
        yield laid
    finally:
        clear(laid)


def _canary(desk: Desk, fault: str) -> Told:
    with desk.start("canary", "--stack", STACK, "--fault", fault, "--speed", str(SPEED)) as process:
        late = threading.Timer(PATIENCE_SECONDS, process.terminate)  # it then says how far it came
        late.start()
        try:
            told = Told(process.communicate()[0])
        finally:
            late.cancel()
            process.terminate()
    assert process.returncode == 0, told.text
    assert "as expected" in told.text, told.text
    assert (desk.home(STACK) / "canary" / f"{fault}.svg").read_text().startswith("<")
    # What was watched is what is in force.
    final = set(_shares(desk))
    assert final == {(told.weights[-1], 100 - told.weights[-1])} or final == {
        (100 - told.weights[-1], told.weights[-1])
    }
    return told


def _shares(desk: Desk) -> Iterator[tuple[int, int]]:
    """The weights of blue and green in each listener rule that shares requests out."""
    for resource in desk.resources(STACK).values():
        if resource["type"] == LISTENER_RULE:
            action: dict[str, Any] = resource["outputs"]["actions"][0]
            if action["type"] == "forward":
                blue, green = (int(group["weight"]) for group in action["forward"]["targetGroups"])
                yield blue, green


def test_a_healthy_version_climbs_the_ladder_to_its_end(desk: Desk) -> None:
    told = _canary(desk, "none")
    assert told.weights == [0, 5, 25, 50, 100]


def test_a_version_whose_requests_fail_goes_back_at_its_first_weight(desk: Desk) -> None:
    told = _canary(desk, "errors")
    assert told.weights == [0, 5, 0]
    assert "Error Rate" in told.row("the driver's reason")
    assert "above the critical threshold, 1%" in told.row("the driver's reason")
    seconds = re.match(r"([\d.]+) s", told.row("first bad sample to old slot"))
    assert seconds is not None
    assert float(seconds[1]) > 0


def test_a_version_that_is_slow_goes_back_at_its_first_weight(desk: Desk) -> None:
    told = _canary(desk, "latency")
    assert told.weights == [0, 5, 0]
    assert "API Latency P99" in told.row("the driver's reason")


def test_a_version_whose_pods_crash_goes_back_at_its_first_weight(desk: Desk) -> None:
    told = _canary(desk, "crash")
    assert told.weights == [0, 5, 0]
    assert re.search(r"Replicas: \d of \d are available|Pod Restarts", told.row("the driver's reason"))


def test_a_version_that_wants_more_cpu_than_it_has_goes_back_at_its_first_weight(desk: Desk) -> None:
    told = _canary(desk, "saturation")
    assert told.weights == [0, 5, 0]
    assert "CPU Usage" in told.row("the driver's reason")


def test_a_version_that_no_request_reaches_is_held_and_goes_back_after_the_limit(desk: Desk) -> None:
    told = _canary(desk, "no-traffic")
    assert told.weights == [0, 5, 0]
    assert re.search(r"inconclusive for .*Requests: 0 reached the new slot", told.row("the driver's reason"))


def test_without_prometheus_the_canary_is_held_and_goes_back_after_the_limit(desk: Desk) -> None:
    told = _canary(desk, "prometheus-down")
    assert told.weights == [0, 5, 0]
    assert re.search(r"inconclusive for .*Prometheus", told.row("the driver's reason"))


def test_a_killed_driver_is_taken_over_and_skips_and_repeats_no_phase(desk: Desk) -> None:
    told = _canary(desk, "kill-driver")
    assert told.weights == [0, 5, 25, 50, 100]
    assert "rollout resume" in told.text
