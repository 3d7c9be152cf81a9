"""What goes wrong in the new slot, and how a rollout has to end then."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique


@unique
class Fault(StrEnum):
    """What goes wrong in a rehearsed canary."""

    NONE = "none"
    ERRORS = "errors"
    LATENCY = "latency"
    CRASH = "crash"
    SATURATION = "saturation"
    NO_TRAFFIC = "no-traffic"
    PROMETHEUS_DOWN = "prometheus-down"
    KILL_DRIVER = "kill-driver"


@unique
class Ending(StrEnum):
    """Where the weights are when the driver has ended."""

    COMPLETED = "completed"
    ROLLED_BACK = "rolled back"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """How a rollout with a fault has to end."""

    ending: Ending
    advances: bool = True
    """Whether the new slot may get more than its first share of the requests."""


_COMPLETED = Expectation(ending=Ending.COMPLETED)
_ROLLED_BACK = Expectation(ending=Ending.ROLLED_BACK)
_HELD = Expectation(ending=Ending.ROLLED_BACK, advances=False)

EXPECTED: Mapping[Fault, Expectation] = {
    Fault.NONE: _COMPLETED,
    Fault.ERRORS: _ROLLED_BACK,
    Fault.LATENCY: _ROLLED_BACK,
    Fault.CRASH: _ROLLED_BACK,
    Fault.SATURATION: _ROLLED_BACK,
    Fault.NO_TRAFFIC: _HELD,
    Fault.PROMETHEUS_DOWN: _HELD,
    Fault.KILL_DRIVER: _COMPLETED,
}

BOUNDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Upper bounds in seconds of the latency histogram's buckets, without the last, infinite one."""


@dataclass(frozen=True, kw_only=True)
class Symptoms:
    """How the pods of a slot behave."""

    failing: float = 0.001
    """The ratio of requests that end in a 5xx, 0 to 1."""
    within: tuple[float, ...] = (0.7, 0.985, 0.9995, 1, 1, 1)
    """The ratio of requests that take no longer than each of `BOUNDS`. The P99 is at 134 ms."""
    cpu: float = 0.4
    """CPU time used, as a part of the limit."""
    memory: float = 0.5
    """Memory in use, as a part of the limit."""
    reached: bool = True
    """Whether the requests that are its share arrive; if not, somebody else answers them."""


HEALTHY = Symptoms()

SYMPTOMS: Mapping[Fault, Symptoms] = {
    # Of 5 % of all requests that is 0.75 % of the whole: no alert on the whole would fire at 1 %.
    Fault.ERRORS: replace(HEALTHY, failing=0.15),
    Fault.LATENCY: replace(HEALTHY, within=(0.1, 0.4, 0.8, 0.95, 1, 1)),
    Fault.SATURATION: replace(HEALTHY, cpu=0.97),
    Fault.NO_TRAFFIC: replace(HEALTHY, reached=False),
}
"""How the new slot behaves under a fault of its own; under any other it is healthy."""

DESCRIPTIONS: Mapping[Fault, str] = {
    Fault.NONE: "nothing goes wrong",
    Fault.ERRORS: "15 % of its requests fail",
    Fault.LATENCY: "5 % of its requests take more than half a second",
    Fault.CRASH: "its pods crash, are started again, and crash",
    Fault.SATURATION: "its pods use 97 % of their CPU limit",
    Fault.NO_TRAFFIC: "no request reaches it",
    Fault.PROMETHEUS_DOWN: "Prometheus is killed",
    Fault.KILL_DRIVER: "the rollout driver is killed (kill -9)",
}
"""What a person reads when the fault begins."""
