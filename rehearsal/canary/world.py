"""The rehearsed world while a canary runs: time passes, pods come and go, weights move, and one slot may misbehave."""

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from rehearsal.canary.application import Application, Pod, Spending, pods_of
from rehearsal.canary.faults import HEALTHY, SYMPTOMS, Fault
from rehearsal.canary.network import Network
from rehearsal.canary.weights import Destination, Namespace, Shares, StateFile, destinations, shares
from rehearsal.errors import RehearsalError
from rehearsal.kubernetes_api import KubernetesApi, Unreachable

TICK_SECONDS = 0.1
POLL_SECONDS = 0.5
"""Between two looks at the pods."""

BINDINGS = "/apis/eks.amazonaws.com/v1/targetgroupbindings"
CRASHES = "rehearsal/crashes"
"""The annotation of a pod that crashes again and again: see `rehearsal/kwok/stages.yaml`."""


@dataclass(frozen=True)
class Slots:
    """The two slots' namespaces and names."""

    new: Namespace
    old: Namespace
    names: Mapping[Namespace, str]

    @property
    def new_name(self) -> str:
        """The name of the slot that is released to."""
        return self.names[self.new]


@dataclass(frozen=True)
class Move:
    """The new slot's share of the requests, from a moment on."""

    at: float
    """By the monotonic clock."""
    weight: int | None
    """In percent; None while the services differ, in the middle of an update."""


def shares_in_force(moves: Sequence[Move]) -> list[tuple[float, int]]:
    """The new slot's shares in percent, one after the other, each with when it came into force."""
    known = [(move.at, move.weight) for move in moves if move.weight is not None]
    return [share for index, share in enumerate(known) if index == 0 or known[index - 1][1] != share[1]]


class World:
    """Everything that the simulated application depends on.

    Args:
        rate: requests a second to each service.
    """

    def __init__(self, api: KubernetesApi, state: StateFile, slots: Slots, rate: float) -> None:
        self._api = api
        self._state = state
        self.slots = slots
        self._behind: Mapping[str, Destination] = {}
        self._pods: list[Pod] = []
        self._polled = float("-inf")
        self.network = Network(Application(rate, slots.new))
        self.moves: list[Move] = []
        """Every change of the weights in force, the oldest first."""
        self.fault_since: float | None = None
        self.spent_before_fault = Spending()

    @property
    def weight(self) -> int | None:
        """The new slot's share now; None while the services differ."""
        return self.moves[-1].weight if self.moves else None

    @property
    def returned_since(self) -> float | None:
        """When the old slot had all requests again, to stay; None while the new one has any, or never had."""
        if self.weight != 0 or len(self.moves) == 1:
            return None
        return self.moves[-1].at

    @contextmanager
    def turning(self) -> Generator[None]:
        """Let time pass until the end of the block."""
        self._look()
        stopped = threading.Event()

        def turn() -> None:
            before = time.monotonic()
            while not stopped.wait(TICK_SECONDS):
                now = time.monotonic()
                self._turn(now, now - before)
                before = now

        thread = threading.Thread(target=turn, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def begin(self, fault: Fault) -> None:
        """Make the new slot misbehave; faults that are not the slot's own change nothing here."""
        symptoms = SYMPTOMS.get(fault, HEALTHY)
        with self.network.lock:
            self.network.application.symptoms = symptoms
            self.network.telling = self._telling(fault)
            self.spent_before_fault = self.network.application.spending
        if fault is Fault.CRASH:
            mark_pods(self._api, self.slots.new, "true")
        self.fault_since = time.monotonic()

    def end_faults(self) -> None:
        """Let every pod of the new slot be well again."""
        with self.network.lock:
            self.network.application.symptoms = HEALTHY
        mark_pods(self._api, self.slots.new, None)

    def _telling(self, fault: Fault) -> Callable[[str, str], bool]:
        """Which scrapes tell Prometheus of a fault."""
        application, new = self.network.application, self.slots.new

        def of_new(host: str) -> Pod | None:
            return next((p for p in application.pods if p.address == host and p.namespace == new), None)

        def telling(what: str, host: str) -> bool:
            match fault:
                case Fault.ERRORS | Fault.LATENCY:
                    return what == "pod" and of_new(host) is not None
                case Fault.CRASH:
                    return what == "pod" and (pod := of_new(host)) is not None and not pod.ready
                case Fault.SATURATION:
                    return what == "cadvisor" and any(
                        p.node_address == host and p.namespace == new for p in application.pods
                    )
                case _:
                    return False

        return telling

    def _turn(self, now: float, seconds: float) -> None:
        try:
            if now - self._polled >= POLL_SECONDS:
                self._look()
        except Unreachable:  # the control plane is started again by whoever needs it
            pass
        in_force = shares(self._state.resources(), self._behind)
        with self.network.lock:
            self.network.application.pass_time(seconds, self._pods, in_force)
        self._note(now, in_force)

    def _note(self, now: float, in_force: Shares) -> None:
        found = {weights.get(self.slots.new, 0) for weights in in_force.values()}
        weight = found.pop() if len(found) == 1 else None
        if not self.moves or self.moves[-1].weight != weight:
            self.moves.append(Move(now, weight))

    def _look(self) -> None:
        self._polled = time.monotonic()
        bindings = self._api.get(BINDINGS)
        self._behind = destinations(bindings or {"items": []})
        services = {destination.service for destination in self._behind.values()}
        if not services:
            raise RehearsalError("the cluster has no TargetGroupBinding: no request leads to a pod")
        self._pods = [
            pod
            for namespace in (self.slots.new, self.slots.old)
            if (answer := self._api.get(f"/api/v1/namespaces/{namespace}/pods")) is not None
            for pod in pods_of(answer, self.slots.names, services)
        ]


def mark_pods(api: KubernetesApi, namespace: Namespace, value: str | None) -> None:
    """Let the pods of a namespace crash again and again, or with None no longer."""
    answer = api.get(f"/api/v1/namespaces/{namespace}/pods") or {"items": []}
    for item in answer["items"]:
        metadata = item["metadata"]
        annotations = cast("Mapping[str, str]", metadata.get("annotations") or {})
        if annotations.get(CRASHES) != value:
            api.request(
                "PATCH",
                f"/api/v1/namespaces/{namespace}/pods/{metadata['name']}",
                {"metadata": {"annotations": {CRASHES: value}}},
                "application/merge-patch+json",
            )
