"""A server that answers a driver's questions to Prometheus as a test tells it."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import yaml

from operations.metrics import ERROR_RATE, EVERYTHING, KEY_METRICS, LATENCY_P99, POD_RESTARTS, request_rate
from operations.slots import Slot
from rehearsal.canary.loopback import Answers, served
from rollout.cluster import Cluster, ready
from rollout.errors import UpdateFailed
from rollout.observer import SCRAPED

GOOD: Mapping[str, float] = {
    LATENCY_P99.name: 0.12,
    ERROR_RATE.name: 0.0,
    POD_RESTARTS.name: 0,
    "cpu_usage": 0.4,
    "memory_usage": 0.5,
}
FAILING: Mapping[str, float] = {**GOOD, ERROR_RATE.name: 0.15}
REQUESTS_A_SECOND = 20.0
STANDING: Mapping[Slot, Sequence[str]] = {slot: (f"api-{slot}-1", f"web-{slot}-1") for slot in Slot}
"""Pods that are scraped where no cluster says which there are."""


@dataclass
class Told:
    """What both slots' metrics are, and where they are asked for.

    Attributes:
        slots: values by the key metric's name.
        services: which both slots run.
        pods: names of those of a slot that are scraped.
        reachable: whether it answers at all.
    """

    url: str
    slots: dict[Slot, Mapping[str, float]] = field(
        default_factory=lambda: dict[Slot, Mapping[str, float]](dict.fromkeys(Slot, GOOD))
    )
    services: tuple[str, ...] = ("api", "web")
    reachable: bool = True
    asked: int = 0
    pods: Callable[[Slot], Iterable[str]] = lambda slot: STANDING[slot]

    def answer(self, query: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        self.asked += 1
        for slot in Slot:
            if query == SCRAPED.format(namespace=slot.namespace):
                return [{"metric": {"pod": pod}, "value": [0, "1"]} for pod in self.pods(slot)]
        if query == request_rate(EVERYTHING, "5m"):
            return self._series(dict.fromkeys(Slot, REQUESTS_A_SECOND))
        for metric in KEY_METRICS:
            if query == metric.expression():
                return self._series({slot: values[metric.name] for slot, values in self.slots.items()})
        return []

    def _series(self, values: Mapping[Slot, float]) -> list[dict[str, Any]]:
        return [
            {"metric": {"slot": slot.value, "service": service}, "value": [0, str(value)]}
            for slot, value in values.items()
            for service in self.services
        ]


@contextmanager
def told_prometheus() -> Generator[Told]:
    """Serve on a free loopback port; both slots are well until a test says otherwise."""
    told = Told("")

    class Handler(Answers):
        def do_GET(self) -> None:
            if not told.reachable:
                self.send_error(503)
                return
            query = parse_qs(urlparse(self.path).query)["query"][0]
            answer = json.dumps({"status": "success", "data": {"result": told.answer(query)}}).encode()
            self.reply(200, "application/json", answer)

    with served(Handler) as told.url:
        yield told


def rehearsed_pods(project: Path) -> Callable[[Slot], Iterable[str]]:
    """Return what tells the ready pods of a slot in every cluster that is rehearsed for a project."""

    def pods(slot: Slot) -> Iterable[str]:
        for kubeconfig in project.glob(".rehearsal/*/cluster/kubeconfig"):
            way_in = json.dumps(yaml.safe_load(kubeconfig.read_text()))
            with suppress(UpdateFailed):  # this one is down
                yield from ready(Cluster(lambda way_in=way_in: way_in).replicas(slot))

    return pods
