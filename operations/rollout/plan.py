"""What a rollout is going to do, fixed when it starts, and how long it waits for what."""

from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import Field

from operations.changes import ChangeNumber
from operations.ladder import LADDER, Phase
from operations.model import Model
from operations.release import Release, Standby, Switch, Version
from operations.rollout.budget import allowance
from operations.slots import WHOLE, Slot

Span = Annotated[timedelta, Field(ge=timedelta())]
"""A length of time, not negative."""

INTERVAL: Final = timedelta(seconds=15)
"""How often the gates are evaluated: each scrape is looked at once."""

UNWATCHED_INTERVALS: Final = 3
"""Evaluations that may be missed before the time between two of them counts as unwatched."""

WARNING_LIMIT: Final = timedelta(minutes=15)
"""How long a phase may be held by warnings, in all. That is three windows of the key metrics: what was a moment's leaves
the window within one, what is still there after three belongs to the version."""

BLIND_LIMIT: Final = timedelta(minutes=10)
"""How long a phase may be held by inconclusive evaluations, in all. A window must fill before there are requests to judge,
which takes one of five minutes; a second one for Prometheus to restart in. It is shorter than the limit on warnings since
a warning is at least known to be no worse."""

STARTUP_LIMIT: Final = timedelta(minutes=10)
"""How long a slot may take to become healthy: Kubernetes' own default for a Deployment.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds"""


FORGIVEN_GAPS: Final = 2
"""Of unwatched time, what every limit leaves room for, at any speed: whoever looks away twice is not taken back for it."""

SCALE_ATTEMPTS: Final = 12
"""How often the slot that lost its weight is tried to be scaled down before it is left as it is. With the driver's waits
between them that is ten minutes; traffic does not wait for it, and a job must end."""


class Plan(Model):
    """Which version goes to which slot, and how."""

    slot: Slot
    """The new slot: the one that was idle."""
    version: Version
    replaces: Version
    """What the old slot runs."""
    change: ChangeNumber | None = None
    """The change request that brings the version, where the environment takes one."""
    switch: Switch
    standby: Standby
    """The readiness of the slot that is left without traffic at the end."""
    budget: Span | None
    """What the canary may spend of the error budget, as time of a total outage; None where nothing is promised."""
    drain: Span
    """How long a pod may still serve requests after its slot lost its weight."""
    interval: Annotated[timedelta, Field(gt=timedelta())] = INTERVAL
    """How often the gates are evaluated."""
    speed: Annotated[int, Field(ge=1)] = 1
    """What bake times and limits are divided by, for a rehearsal; the interval and the draining are what they are."""

    @classmethod
    def of(
        cls,
        release: Release,
        version: Version,
        *,
        sla: float | None,
        drain: timedelta,
        interval: timedelta = INTERVAL,
        speed: int = 1,
        change: ChangeNumber | None = None,
    ) -> Self:
        """Return the plan that takes a version to the slot that is idle.

        Args:
            release: what runs now.
            version: what shall run.
            sla: availability in percent; None promises nothing.
            drain: how long a pod may still serve requests after its slot lost its weight.
            interval: how often the gates are evaluated.
            speed: what bake times and limits are divided by, for a rehearsal.
            change: the change request that brings the version, where the environment takes one.

        Raises:
            ValueError: no slot is idle, since both have weight.
        """
        idle = release.weights.idle
        if idle is None:
            shares = " and ".join(f"{slot} {release.of(slot).weight} %" for slot in Slot)
            raise ValueError(
                f"no slot is idle: {shares} of the traffic; a rollout starts from 0 and {WHOLE} %"
            )
        return cls(
            slot=idle,
            version=version,
            replaces=release.of(idle.other).version,
            change=change,
            switch=release.switch,
            standby=release.standby,
            budget=allowance(sla),
            drain=drain,
            interval=interval,
            speed=speed,
        )

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The page's ladder, or its last phase alone where traffic switches at once."""
        phases = LADDER if self.switch is Switch.LADDER else LADDER[-1:]
        return tuple(Phase(phase.weight, phase.bake / self.speed) for phase in phases)

    @property
    def longest_gap(self) -> timedelta:
        """The time between two evaluations beyond which nobody was watching."""
        return self.interval * UNWATCHED_INTERVALS

    @property
    def warning_limit(self) -> timedelta:
        """How long warnings may hold a phase, in all."""
        return self._hastened(WARNING_LIMIT)

    @property
    def blind_limit(self) -> timedelta:
        """How long inconclusive evaluations may hold a phase, in all."""
        return self._hastened(BLIND_LIMIT)

    def _hastened(self, limit: timedelta) -> timedelta:
        # What reaches a limit is taken back: one gap more.
        return max(limit / self.speed, self.longest_gap * (FORGIVEN_GAPS + 1))
