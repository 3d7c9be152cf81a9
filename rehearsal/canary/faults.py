"""What goes wrong in the new slot, and how a rollout has to end then."""

from collections.abc import Mapping, Sequence
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


@unique
class Switch(StrEnum):
    """How a release moves traffic, as the stack files say it."""

    LADDER = "ladder"
    AT_ONCE = "at-once"


CLIMB: Mapping[Switch, Sequence[int]] = {Switch.LADDER: (5, 25, 50, 100), Switch.AT_ONCE: (100,)}
"""The new slot's shares of the requests on its way up, in percent (the operations page, "Canary Deployment"). They are said
here once more and not asked of the program, since the rehearsal judges it."""

EXPECTED: Mapping[Fault, Ending] = {
    Fault.NONE: Ending.COMPLETED,
    Fault.ERRORS: Ending.ROLLED_BACK,
    Fault.LATENCY: Ending.ROLLED_BACK,
    Fault.CRASH: Ending.ROLLED_BACK,
    Fault.SATURATION: Ending.ROLLED_BACK,
    Fault.NO_TRAFFIC: Ending.ROLLED_BACK,
    Fault.PROMETHEUS_DOWN: Ending.ROLLED_BACK,
    Fault.KILL_DRIVER: Ending.COMPLETED,
}


def expected_weights(fault: Fault, switch: Switch) -> tuple[int, ...]:
    """The new slot's shares of the requests from the beginning to the end, in percent.

    A fault that is not survived begins at the first share, and no second one may follow.
    """
    climb = CLIMB[switch]
    return (0, *climb) if EXPECTED[fault] is Ending.COMPLETED else (0, climb[0], 0)


def allowed_faults(switch: Switch) -> tuple[Fault, ...]:
    """The faults whose outcome is certain. Traffic that switches at once is watched for no longer than the old slot
    drains: whether a fault is seen in that time is a matter of luck."""
    return tuple(Fault) if switch is Switch.LADDER else (Fault.NONE,)


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
