"""The five key metrics, once (the operations page, "Key Metrics").

Alert rules, canary gates and dashboards all derive from `KEY_METRICS`. What the application must export:

- the histogram `http_request_duration_seconds`, with bucket bounds at 0.2 and 0.5 so that the thresholds are exact,
- the counter `http_requests_total` with the label `code`,

both with the labels `slot` and `service`. The other three come from cAdvisor and kube-state-metrics, whose series
name a namespace and a container: the slot is its own namespace, and a service's container bears the service's name.
Every expression yields one series per `slot` and `service`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, unique
from typing import Final

from operations.naming import APPLICATION
from operations.services import Name
from operations.slots import Slot


@unique
class Level(StrEnum):
    """How bad a breach is; the page has a threshold for each."""

    WARNING = "warning"
    CRITICAL = "critical"


@unique
class Unit(StrEnum):
    """What a metric's values and thresholds count in."""

    SECONDS = "s"
    RATIO = "ratio"
    PER_HOUR = "/hour"


@dataclass(frozen=True)
class Selector:
    """Which series to look at: one slot or both, one service or all."""

    slot: Slot | None = None
    service: Name | None = None

    @property
    def application(self) -> tuple[str, ...]:
        """Matchers for the series that the application exports."""
        return (
            *((f'slot="{self.slot}"',) if self.slot else ()),
            *((f'service="{self.service}"',) if self.service else ()),
        )

    @property
    def container(self) -> tuple[str, ...]:
        """Matchers for the series of cAdvisor and kube-state-metrics."""
        slots = (self.slot,) if self.slot else tuple(Slot)
        namespaces = "|".join(slot.namespace for slot in slots)
        return (
            f'namespace=~"{namespaces}"',
            f'container="{self.service}"' if self.service else 'container!=""',
        )


EVERYTHING: Final = Selector()
"""Both slots, all services."""


@dataclass(frozen=True)
class KeyMetric:
    """One of the page's key metrics. A level is reached when the value is strictly greater than its threshold."""

    name: str
    """In snake case, as it appears in rule names."""
    title: str
    """As the page writes it."""
    unit: Unit
    warning: float
    """Threshold in `unit`."""
    critical: float
    """Threshold in `unit`; greater than the warning's."""
    window: timedelta
    """The span that one value looks back on."""
    build: Callable[[Selector, str], str]
    """Builds the expression from a selector and the window as PromQL writes it."""

    def threshold(self, level: Level) -> float:
        """Return the threshold of a level, in `unit`."""
        return self.critical if level is Level.CRITICAL else self.warning

    def expression(self, selector: Selector = EVERYTHING) -> str:
        """Return the PromQL of the metric's value, in `unit`, per slot and service."""
        return self.build(selector, promql_duration(self.window))

    def breach(self, level: Level, selector: Selector = EVERYTHING) -> str:
        """Return the PromQL that yields a series for each slot and service above the threshold of a level."""
        return f"{self.expression(selector)} > {self.threshold(level):g}"

    def display(self, value: float) -> str:
        """Return a value in `unit` as the page writes it: milliseconds, percent, or per hour."""
        match self.unit:
            case Unit.SECONDS:
                return f"{value * 1000:g}ms"
            case Unit.RATIO:
                return f"{value * 100:g}%"
            case Unit.PER_HOUR:
                return f"{value:g}/hour"


def promql_duration(span: timedelta) -> str:
    """Return a span the way PromQL writes it, in the largest unit that divides it: `5m`, `1h`, `90s`.

    Raises:
        ValueError: the span is not a positive number of whole seconds.
    """
    seconds, rest = divmod(span, timedelta(seconds=1))
    if seconds <= 0 or rest:
        raise ValueError(f"{span} is not a positive number of whole seconds")
    for size, suffix in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{suffix}"
    return f"{seconds}s"


def _series(metric: str, *matchers: str) -> str:
    return f"{metric}{{{', '.join(matchers)}}}" if matchers else metric


def _by_slot_and_service(expression: str) -> str:
    """Derive the labels `slot` and `service` of a series that names a namespace and a container."""
    named = f'label_replace({expression}, "service", "$1", "container", "(.+)")'
    return f'label_replace({named}, "slot", "$1", "namespace", "{APPLICATION}-(.+)")'


def _latency_p99(selector: Selector, window: str) -> str:
    buckets = _series("http_request_duration_seconds_bucket", *selector.application)
    return f"histogram_quantile(0.99, sum by (slot, service, le) (rate({buckets}[{window}])))"


def request_rate(selector: Selector, window: str) -> str:
    """Return the PromQL of requests a second over a window, per slot and service."""
    return f"sum by (slot, service) (rate({_series('http_requests_total', *selector.application)}[{window}]))"


def failure_rate(selector: Selector, window: str) -> str:
    """Return the PromQL of failed requests a second over a window, per slot and service that has requests."""
    failures = _series("http_requests_total", 'code=~"5.."', *selector.application)
    # A service that never failed has no 5xx series: without the zero it would have no rate of failures either.
    return f"sum by (slot, service) (rate({failures}[{window}])) or 0 * {request_rate(selector, window)}"


def _error_rate(selector: Selector, window: str) -> str:
    return f"({failure_rate(selector, window)}) / {request_rate(selector, window)}"


def _cpu_usage(selector: Selector, window: str) -> str:
    used = _series("container_cpu_usage_seconds_total", *selector.container)
    limit = _series("kube_pod_container_resource_limits", 'resource="cpu"', *selector.container)
    # The mean over the pods, since load is spread over them and the autoscaler looks at the mean too.
    return (
        f"sum by (slot, service) ({_by_slot_and_service(f'rate({used}[{window}])')}) / "
        f"sum by (slot, service) ({_by_slot_and_service(limit)})"
    )


def _memory_usage(selector: Selector, window: str) -> str:
    used = _series("container_memory_working_set_bytes", *selector.container)
    limit = _series("kube_pod_container_resource_limits", 'resource="memory"', *selector.container)
    # The fullest pod, since the kernel kills each pod by its own limit; a mean would hide one that leaks.
    ratio = (
        f"max by (namespace, pod, container) (avg_over_time({used}[{window}])) / "
        f"max by (namespace, pod, container) ({limit})"
    )
    return f"max by (slot, service) ({_by_slot_and_service(ratio)})"


def _pod_restarts(selector: Selector, window: str) -> str:
    restarts = _series("kube_pod_container_status_restarts_total", *selector.container)
    # increase() extrapolates to the window's edges: unrounded, two restarts would read 2.02 and breach "> 2". Only pods
    # that exist count: those of a version that crashed and went say nothing about the one that took its slot.
    increase = f"round(increase({restarts}[{window}])) and {restarts}"
    return f"sum by (slot, service) ({_by_slot_and_service(increase)})"


LATENCY_P99: Final = KeyMetric(
    "api_latency_p99", "API Latency P99", Unit.SECONDS, 0.2, 0.5, timedelta(minutes=5), _latency_p99
)
ERROR_RATE: Final = KeyMetric(
    "error_rate", "Error Rate", Unit.RATIO, 0.005, 0.01, timedelta(minutes=5), _error_rate
)
CPU_USAGE: Final = KeyMetric(
    "cpu_usage", "CPU Usage", Unit.RATIO, 0.70, 0.85, timedelta(minutes=5), _cpu_usage
)
MEMORY_USAGE: Final = KeyMetric(
    "memory_usage", "Memory Usage", Unit.RATIO, 0.75, 0.90, timedelta(minutes=5), _memory_usage
)
POD_RESTARTS: Final = KeyMetric(
    "pod_restarts", "Pod Restarts", Unit.PER_HOUR, 2, 5, timedelta(hours=1), _pod_restarts
)

KEY_METRICS: Final = (LATENCY_P99, ERROR_RATE, CPU_USAGE, MEMORY_USAGE, POD_RESTARTS)
"""In the page's order."""
