"""A world for rollouts to run in: a driver, a clock, weights in force, and gates that say what a test tells them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from operations.metrics import CPU_USAGE, ERROR_RATE, LATENCY_P99, MEMORY_USAGE, POD_RESTARTS
from operations.release import Release, SlotRelease, Standby, Switch
from operations.rollout.actions import (
    Action,
    CheckHealth,
    Finish,
    Hold,
    PrepareSlot,
    Report,
    ScaleDown,
    SetWeights,
    VerifyWeights,
    Watch,
    release_after,
)
from operations.rollout.events import Done, Event, Failed, Observed
from operations.rollout.gate import Measured, Result, Sample, ServiceSample, Verdict, judge
from operations.rollout.machine import apply, next_action, start
from operations.rollout.plan import INTERVAL, Plan
from operations.rollout.state import State
from operations.slots import Weights

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PASSES = Verdict(result=Result.PASS, error_rate=0.0)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def release(switch: Switch = Switch.LADDER, standby: Standby = Standby.FULL) -> Release:
    return Release(
        blue=SlotRelease(version="v2.3.0", weight=100),
        green=SlotRelease(version="v2.2.0", weight=0),
        standby=standby,
        switch=switch,
    )


def plan(
    switch: Switch = Switch.LADDER,
    standby: Standby = Standby.FULL,
    sla: float | None = 99.99,
    interval: timedelta = INTERVAL,
    drain: timedelta = timedelta(seconds=45),
    speed: int = 1,
) -> Plan:
    return Plan.of(release(switch, standby), "v2.4.0", sla=sla, drain=drain, interval=interval, speed=speed)


def measured(
    requests: float = 5_000,
    errors: float | None = 0.0,
    p99: float | None = 0.12,
    cpu: float | None = 0.4,
    memory: float | None = 0.5,
    restarts: float | None = 0,
) -> Measured:
    return Measured(
        requests=requests,
        values={
            ERROR_RATE.name: errors,
            LATENCY_P99.name: p99,
            CPU_USAGE.name: cpu,
            MEMORY_USAGE.name: memory,
            POD_RESTARTS.name: restarts,
        },
    )


def service(
    new: Measured, old: Measured | None = None, name: str = "api", wanted: int = 6, available: int = 6
) -> ServiceSample:
    return ServiceSample(
        service=name, new=new, old=old or measured(95_000), wanted=wanted, available=available
    )


def sample(*services: ServiceSample, weight: int = 5, unscraped: int = 0) -> Sample:
    return Sample(services=services, weight=weight, unscraped=unscraped)


def verdict(new: Measured, old: Measured | None = None, *, wanted: int = 6, available: int = 6) -> Verdict:
    return judge(sample(service(new, old, wanted=wanted, available=available)))


@dataclass
class World:
    """Carries actions out. The state goes through JSON after every event, as it does in a journal.

    `release` is what the stack file says, `rules` the weights in force, which somebody else may move: they are what is read
    back, and while the gates are watched they are looked at beside each evaluation.
    """

    state: State
    release: Release
    rules: Weights
    gates: Callable[["World"], Verdict] = lambda _: PASSES
    """What an evaluation says."""
    now: datetime = START
    done: list[tuple[datetime, Action]] = field(default_factory=list[tuple[datetime, Action]])

    @classmethod
    def of(cls, plan: Plan, gates: Callable[["World"], Verdict] = lambda _: PASSES) -> "World":
        stack = release(plan.switch, plan.standby)
        return cls(start(plan, START, "ada", "CHG-1234"), stack, stack.weights, gates)

    @property
    def weight(self) -> int:
        """Of the new slot, in force."""
        return self.rules.of(self.state.plan.slot)

    @property
    def moves(self) -> list[int]:
        """The weights that the new slot was given, in order."""
        return [
            action.weights.of(self.state.plan.slot)
            for _, action in self.done
            if isinstance(action, SetWeights)
        ]

    @property
    def report(self) -> Report:
        action = next_action(self.state)
        assert isinstance(action, Finish)
        return action.report

    def moved_at(self, weight: int) -> datetime:
        """When the new slot was first given a weight."""
        return next(
            at
            for at, action in self.done
            if isinstance(action, SetWeights) and action.weights.of(self.state.plan.slot) == weight
        )

    def carry_out(self, action: Action) -> None:
        """Let an action take its time, and leave its effect."""
        match action:
            case PrepareSlot() | SetWeights() | ScaleDown():
                self.now += timedelta(seconds=20)
                self.release = release_after(self.release, action)
                self.rules = action.weights if isinstance(action, SetWeights) else self.rules
            case CheckHealth() | VerifyWeights():
                self.now += timedelta(seconds=5)
            case Watch():
                self.now += action.every
            case Hold() | Finish():
                return
        self.done.append((self.now, action))

    def answer(self, action: Action) -> Event:
        """What a driver says once an action was carried out."""
        if isinstance(action, VerifyWeights | Watch) and self.rules != action.weights:
            return Failed(at=self.now, step=action.step, reason=f"in force is {self.rules}")
        if isinstance(action, Watch):
            return Observed(at=self.now, step=action.step, verdict=self.gates(self))
        return Done(at=self.now, step=action.step)

    def hear(self, event: Event) -> None:
        self.state = State.model_validate_json(apply(self.state, event).model_dump_json())

    def step(self) -> None:
        action = next_action(self.state)
        self.carry_out(action)
        self.hear(self.answer(action))

    def run(self, until: Callable[["World"], bool] = lambda _: False, steps: int = 2_000) -> "World":
        """Drive to the end, or to a point on the way, or to where only a person leads on."""
        for _ in range(steps):
            action = next_action(self.state)
            if isinstance(action, Finish | Hold) or until(self):
                return self
            self.step()
        raise AssertionError(f"not at an end after {steps} steps: {self.state.stage}")
