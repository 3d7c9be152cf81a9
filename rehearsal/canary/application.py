"""A simulated application: counters that grow as its requests would make them grow, in Prometheus' text format."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rehearsal.canary.faults import BOUNDS, HEALTHY, Symptoms
from rehearsal.canary.weights import Namespace, Service, Shares

_SUFFIXES = {
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod of one of the services, as the API server has it."""

    name: str
    namespace: Namespace
    service: Service
    """Also the name of its container."""
    slot: str
    address: str
    node_address: str
    uid: str
    ready: bool
    restarts: int
    cpu: float
    """Limit in cores."""
    memory: float
    """Limit in bytes."""

    @property
    def process(self) -> tuple[str, int]:
        """Which run of the pod's container it is: counters begin anew with each."""
        return self.uid, self.restarts


def pods_of(
    answer: Mapping[str, Any], slots: Mapping[Namespace, str], services: Iterable[Service]
) -> list[Pod]:
    """The pods of the services that run, from the API server's list of pods."""
    return list(_pods(answer["items"], slots, set(services)))


def _pods(
    items: Sequence[Mapping[str, Any]], slots: Mapping[Namespace, str], services: set[str]
) -> Iterator[Pod]:
    for item in items:
        metadata, status = item["metadata"], item["status"]
        running = {state["name"]: state for state in status.get("containerStatuses", [])}
        for container in item["spec"]["containers"]:
            name = container["name"]
            if name not in services or name not in running or "podIP" not in status:
                continue
            limits = container["resources"]["limits"]
            yield Pod(
                name=metadata["name"],
                namespace=metadata["namespace"],
                service=name,
                slot=slots[metadata["namespace"]],
                address=status["podIP"],
                node_address=status["hostIP"],
                uid=metadata["uid"],
                ready=bool(running[name]["ready"]) and "deletionTimestamp" not in metadata,
                restarts=int(running[name]["restartCount"]),
                cpu=quantity(limits["cpu"]),
                memory=quantity(limits["memory"]),
            )


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number: `500m` is 0.5, `1Gi` is 1073741824.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if text.endswith(suffix):
            return float(text.removesuffix(suffix)) * _SUFFIXES[suffix]
    return float(text)


@dataclass
class _Process:
    """The counters of one run of a pod's container."""

    served: float = 0
    failed: float = 0
    within: list[float] = field(default_factory=lambda: [0.0] * len(BOUNDS))
    seconds: float = 0
    cpu_seconds: float = 0

    def serve(self, requests: float, symptoms: Symptoms) -> None:
        self.served += requests * (1 - symptoms.failing)
        self.failed += requests * symptoms.failing
        for index, (below, bound) in enumerate(zip(symptoms.within, BOUNDS, strict=True)):
            self.within[index] += requests * below
            share = below - (symptoms.within[index - 1] if index else 0)
            self.seconds += requests * share * bound


@dataclass(frozen=True)
class Spending:
    """What users noticed of the new slot."""

    requests: float = 0
    """To both slots."""
    sent: float = 0
    """Those of them that are the new slot's share."""
    failed: float = 0
    """By the new slot, or on the way to it."""
    outage_seconds: float = 0
    """The failures as time of a total outage: the error ratio of the whole, over time."""

    def failing_since(self, before: "Spending") -> float | None:
        """The ratio of the new slot's requests since then that failed, 0 to 1; None where it had none."""
        sent = self.sent - before.sent
        return (self.failed - before.failed) / sent if sent else None


class Application:
    """All services in both slots. Requests are spread evenly over the ready pods that the weights lead to.

    Args:
        rate: requests a second to each service.
        new: the namespace of the slot that the fault is in.
    """

    def __init__(self, rate: float, new: Namespace) -> None:
        self._rate = rate
        self._new = new
        self._processes: dict[tuple[str, int], _Process] = {}
        self.pods: Sequence[Pod] = ()
        self.symptoms = HEALTHY
        """Of the new slot."""
        self.spending = Spending()

    def pass_time(self, seconds: float, pods: Sequence[Pod], shares: Shares) -> None:
        """Let the services work for a while under these weights."""
        self.pods = pods
        for pod in pods:
            process = self._processes.setdefault(pod.process, _Process())
            if pod.ready:
                process.cpu_seconds += seconds * pod.cpu * self._symptoms_in(pod.namespace).cpu
        requests = arrived = failed = 0.0
        for service, weights in shares.items():
            whole = sum(weights.values())
            requests += self._rate * seconds
            for namespace, weight in weights.items():
                sent = self._rate * seconds * weight / whole
                lost = self._send(sent, service, namespace)
                if namespace == self._new:
                    arrived += sent
                    failed += lost
        before = self.spending
        self.spending = Spending(
            before.requests + requests,
            before.sent + arrived,
            before.failed + failed,
            before.outage_seconds + (seconds * failed / requests if requests else 0),
        )

    def _send(self, requests: float, service: Service, namespace: Namespace) -> float:
        """How many of these requests fail; what the pods know of it is counted by them."""
        symptoms = self._symptoms_in(namespace)
        ready = [
            pod for pod in self.pods if (pod.service, pod.namespace, pod.ready) == (service, namespace, True)
        ]
        if not symptoms.reached:
            return 0
        if not ready:
            return requests
        for pod in ready:
            self._processes[pod.process].serve(requests / len(ready), symptoms)
        return requests * symptoms.failing

    def _symptoms_in(self, namespace: Namespace) -> Symptoms:
        return self.symptoms if namespace == self._new else HEALTHY

    def own_metrics(self, pod: Pod) -> str:
        """What a pod says of itself."""
        process = self._processes[pod.process]
        labels = {"slot": pod.slot, "service": pod.service}
        count = process.served + process.failed
        buckets = [*zip(map(str, BOUNDS), process.within, strict=True), ("+Inf", count)]
        return _text(
            ("counter", "http_requests_total", labels | {"code": "200"}, process.served),
            ("counter", "http_requests_total", labels | {"code": "500"}, process.failed),
            *(
                ("histogram", "http_request_duration_seconds_bucket", labels | {"le": bound}, value)
                for bound, value in buckets
            ),
            ("histogram", "http_request_duration_seconds_sum", labels, process.seconds),
            ("histogram", "http_request_duration_seconds_count", labels, count),
        )

    def cadvisor_metrics(self, node_address: str) -> str:
        """What cAdvisor on a node says of its pods: nothing of containers that do not run."""
        return _text(
            *(
                line
                for pod in self.pods
                if pod.node_address == node_address and pod.ready
                for labels in ({"namespace": pod.namespace, "pod": pod.name, "container": pod.service},)
                for line in (
                    (
                        "counter",
                        "container_cpu_usage_seconds_total",
                        labels | {"cpu": "total"},
                        self._processes[pod.process].cpu_seconds,
                    ),
                    (
                        "gauge",
                        "container_memory_working_set_bytes",
                        labels,
                        pod.memory * self._symptoms_in(pod.namespace).memory,
                    ),
                )
            )
        )

    def state_metrics(self) -> str:
        """What kube-state-metrics says of the pods."""
        return _text(
            *(
                line
                for pod in self.pods
                for labels in ({"namespace": pod.namespace, "pod": pod.name, "container": pod.service},)
                for line in (
                    (
                        "gauge",
                        "kube_pod_container_resource_limits",
                        labels | {"resource": "cpu", "unit": "core"},
                        pod.cpu,
                    ),
                    (
                        "gauge",
                        "kube_pod_container_resource_limits",
                        labels | {"resource": "memory", "unit": "byte"},
                        pod.memory,
                    ),
                    ("counter", "kube_pod_container_status_restarts_total", labels, pod.restarts),
                )
            )
        )


Line = tuple[str, str, Mapping[str, str], float]
"""A sample: the kind and the name of its metric, its labels, its value."""


def _text(*lines: Line) -> str:
    """Samples in Prometheus' text format, by metric.

    Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    """
    written: list[str] = []
    family = ""
    for kind, name, labels, value in sorted(lines, key=lambda line: line[1]):
        own = name.rpartition("_")[0] if kind == "histogram" else name
        if own != family:
            family = own
            written.append(f"# TYPE {family} {kind}")
        named = ",".join(f'{key}="{text}"' for key, text in labels.items())
        written.append(f"{name}{{{named}}} {value:.6f}")
    return "\n".join([*written, ""])
