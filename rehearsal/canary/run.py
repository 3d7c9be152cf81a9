"""One rehearsed canary, from the environment that is up to what happened and why."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from rehearsal.canary.driver import Driver, Journal
from rehearsal.canary.faults import (
    DESCRIPTIONS,
    Ending,
    Fault,
    Switch,
    allowed_faults,
    expected_weights,
)
from rehearsal.canary.network import proxied
from rehearsal.canary.prometheus import Prometheus, adapted, interval, rendered
from rehearsal.canary.timescale import Hasty, in_a_hurry
from rehearsal.canary.weights import StateFile
from rehearsal.canary.world import Slots, World, mark_pods, shares_in_force
from rehearsal.errors import RehearsalError
from rehearsal.project import Project
from rehearsal.session import Rehearsal
from rehearsal.toolchain import ToolSet, ensure

REQUESTS_A_SECOND = 40
"""To each service. The first 5 % of them are 600 in five minutes."""

WARM_UP_SCRAPES = 4
"""Scrapes that pass from when the driver watches the new slot at a weight to when it misbehaves."""

LEAST_EVALUATION_SECONDS = 5.0
"""Between two evaluations of the gates. What the driver misses three times is time in which nobody watched; two cores that
an update of the journal keeps busy meanwhile still keep this."""

FASTEST = 60
"""The highest speed: at it, and at any lower one, a fault has begun, has filled the five minutes that the metrics look back
on, and has been evaluated, before the first bake can be over. At a much higher one the new slot may be given more first."""

LONGEST_HOURS = 4.0
"""Twice the ladder of the operations page and what may hold it, before the division by the speed."""
LONGEST_WORK_SECONDS = 900.0
"""For the updates of the stack, which no speed shortens."""

POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happened in a rehearsed canary."""

    fault: Fault
    fault_at: float | None
    """Seconds from the beginning to the fault; None where none has begun."""
    speed: int
    switch: Switch
    slot: str
    """The new slot."""
    version: str
    ending: Ending
    driver_says: Journal
    weights: Sequence[tuple[float, int]]
    """The new slot's share in percent, each with the seconds from the beginning to when it came into force."""
    bad_for_seconds: float | None
    """From the first scrape that told Prometheus of the fault to all requests being back on the old slot."""
    scrape_seconds: float
    """Between two scrapes."""
    evaluation_seconds: float
    """Between two evaluations of the gates."""
    failed_requests: float
    """Of the new slot."""
    outage_seconds: float
    """The same as time of a total outage, by the application's own count."""
    failing: float | None
    """The ratio of the new slot's requests that failed under the fault, 0 to 1; None where it had none."""
    budget_seconds: float | None
    """The environment's error budget of 30 days; None where nothing is promised."""
    took_seconds: float
    picture: Path

    @property
    def budget_share(self) -> float | None:
        """The part of 30 days' error budget that the canary spent, 0 to 1."""
        return self.outage_seconds / self.budget_seconds if self.budget_seconds else None

    @property
    def as_expected(self) -> bool:
        """Whether the fault came, the weights went as they have to with it, and the driver says the same as they do."""
        happened = self.fault is Fault.NONE or self.fault_at is not None
        agreed = self.driver_says.outcome == {
            Ending.COMPLETED: "completed",
            Ending.ROLLED_BACK: "rolled-back",
        }.get(self.ending)
        went = tuple(weight for _, weight in self.weights)
        return happened and agreed and went == expected_weights(self.fault, self.switch)


def rehearse(rehearsal: Rehearsal, fault: Fault, speed: int) -> Story:
    """Release the next version to the idle slot of the rehearsed environment, with a fault; return what happened.

    The environment is brought up where it is not, and left as the rollout leaves it.

    Raises:
        RehearsalError: the fault is not for this stack, something that the canary needs is missing, or nothing has come to
            an end after a long time.
    """
    switch = switch_for(rehearsal.project, rehearsal.stack, fault)
    tools = ensure(ToolSet.PROMETHEUS, console=rehearsal.console)
    state = StateFile(rehearsal.checkpoint)
    if not state.outputs():
        rehearsal.up()
    with rehearsal.entered() as stack:
        folder = rehearsal.directory / "canary"
        folder.mkdir(exist_ok=True)
        plane = rehearsal.plane({})
        for slot in state.outputs().get("slots", {}).values():
            mark_pods(plane.api, slot["namespace"], None)  # a rehearsal that was killed left them so
        rehearsal.settle(stack)
        configuration = rendered(plane.api)
        every = interval(configuration, speed)
        prometheus = Prometheus(folder, tools["prometheus"])
        with in_a_hurry(prometheus.url, speed, every) as hasty:
            driver = Driver(
                stack=rehearsal.stack,
                work=rehearsal.directory / "project",
                program=rehearsal.project.program,
                prometheus=hasty.url,
                log=folder / "rollout.log",
                picture=folder / f"{fault}.svg",
            )
            _put_in_order(driver, rehearsal.console)
            outputs = state.outputs()
            world = World(plane.api, state, slots_of(outputs), REQUESTS_A_SECOND)
            with proxied(world.network) as proxy, world.turning():
                try:
                    prometheus.start(
                        adapted(configuration, kubeconfig=plane.kubeconfig, proxy=proxy, interval=every)
                    )
                    _wait_for_samples(prometheus, world)
                    stage = _Stage(
                        rehearsal.console, world, driver, prometheus, hasty, fault, switch, speed, every
                    )
                    return stage.play(next_version(outputs), next_change(outputs), budget_seconds(outputs))
                finally:
                    driver.kill()
                    prometheus.stop()
                    world.end_faults()


class _Stage:
    """Follows one rollout, makes the fault happen, and says what is seen."""

    def __init__(
        self,
        console: Console,
        world: World,
        driver: Driver,
        prometheus: Prometheus,
        hasty: Hasty,
        fault: Fault,
        switch: Switch,
        speed: int,
        every: float,
    ) -> None:
        self._console = console
        self._world = world
        self._driver = driver
        self._prometheus = prometheus
        self._hasty = hasty
        self._fault = fault
        self._switch = switch
        self._speed = speed
        self._every = every
        self._evaluation = max(every, LEAST_EVALUATION_SECONDS)
        self._began = time.monotonic()
        self._told = 0
        self._heard: set[str] = set()
        self._due: float | None = None

    def play(self, version: str, change: str | None, budget: float | None) -> Story:
        """From the beginning to the end of the driver."""
        slots = self._world.slots
        self._say(
            "rehearse", f"{version} to {slots.new_name}, fault: {self._fault}, bake times ÷ {self._speed}"
        )
        if self._fault is Fault.NO_TRAFFIC:
            self._happen()
        self._driver.start(version, self._speed, self._evaluation, change)
        limit = self._began + LONGEST_HOURS * 3600 / self._speed + LONGEST_WORK_SECONDS
        with self._console.status("") as status:
            while self._driver.code is None:
                self._follow()
                status.update(self._headline())
                if time.monotonic() > limit:
                    raise RehearsalError(f"the rollout has come to no end; its log: {self._driver.log}")
                time.sleep(POLL_SECONDS)
        self._follow()
        return self._story(version, budget)

    def _follow(self) -> None:
        world = self._world
        for line in self._driver.said():
            if line not in self._heard:  # a driver that takes over tells all that was decided before it
                self._say("rollout", line)
                self._heard.add(line)
        moves = list(world.moves)
        for move in moves[self._told :]:
            if move.weight is not None:
                new, old = world.slots.new_name, world.slots.names[world.slots.old]
                self._say("weights", f"{new} {move.weight} %, {old} {100 - move.weight} %", move.at)
        self._told = len(moves)
        if world.fault_since is None and self._fault is not Fault.NONE and self._is_time():
            self._happen()

    def _is_time(self) -> bool:
        """Whether the driver has watched the new slot at its first weight for a while; at its second, to be killed."""
        world = self._world
        phases = len({move.weight for move in world.moves if move.weight})
        if phases < (2 if self._fault is Fault.KILL_DRIVER else 1) or not world.weight:
            return False
        if self._due is None and self._hasty.asked_at > world.moves[-1].at:
            self._due = time.monotonic() + WARM_UP_SCRAPES * self._every
        return self._due is not None and time.monotonic() >= self._due

    def _happen(self) -> None:
        self._say("fault", f"{self._world.slots.new_name}: {DESCRIPTIONS[self._fault]}")
        self._world.begin(self._fault)
        if self._fault is Fault.PROMETHEUS_DOWN:
            self._prometheus.stop()
        if self._fault is Fault.KILL_DRIVER:
            self._driver.kill()
            self._say("rehearse", "rollout resume")
            self._driver.resume()

    def _story(self, version: str, budget: float | None) -> Story:
        world = self._world
        journal = self._driver.journal()
        if journal is None or world.weight is None or len(shares_in_force(world.moves)) == 1:
            raise RehearsalError(
                f"the rollout gave {world.slots.new_name} no weight: {self._driver.last_words()}"
            )
        bad, returned = world.network.bad_since, world.returned_since
        spending = world.network.application.spending
        ended = {100: Ending.COMPLETED, 0: Ending.ROLLED_BACK}
        return Story(
            fault=self._fault,
            fault_at=None if world.fault_since is None else max(world.fault_since - self._began, 0),
            speed=self._speed,
            switch=self._switch,
            slot=world.slots.new_name,
            version=version,
            ending=ended.get(world.weight, Ending.UNFINISHED),
            driver_says=journal,
            weights=[(max(at - self._began, 0), weight) for at, weight in shares_in_force(world.moves)],
            bad_for_seconds=None if bad is None or returned is None else returned - bad,
            scrape_seconds=self._every,
            evaluation_seconds=self._evaluation,
            failed_requests=spending.failed,
            outage_seconds=spending.outage_seconds,
            failing=spending.failing_since(world.spent_before_fault),
            budget_seconds=budget,
            took_seconds=time.monotonic() - self._began,
            picture=self._driver.picture,
        )

    def _headline(self) -> str:
        application = self._world.network.application
        weight = self._world.weight
        share = "the weights are moving" if weight is None else f"{self._world.slots.new_name} {weight} %"
        return (
            f"{time.monotonic() - self._began:.0f} s, {share}, {application.spending.requests:.0f} requests"
        )

    def _say(self, who: str, what: str, at: float | None = None) -> None:
        colors = {"weights": "cyan", "fault": "red", "rehearse": "bold", "rollout": "dim"}
        seconds = (at or time.monotonic()) - self._began
        self._console.print(f"{max(seconds, 0):6.1f} s  [{colors[who]}]{who:8}[/]  ", end="", highlight=False)
        self._console.print(what, markup=False, highlight=False, soft_wrap=True)


def _put_in_order(driver: Driver, console: Console) -> None:
    """Take back a rollout that a killed rehearsal left in the middle."""
    journal = driver.journal()
    if journal is None or journal.outcome is not None:
        return
    with console.status(f"taking back the rollout of {journal.version} that was left in the middle"):
        if journal.going_back:
            driver.resume()
        else:
            driver.roll_back("left in the middle by an earlier rehearsal")
        try:
            _wait(lambda: driver.code is not None, LONGEST_WORK_SECONDS, "the end of an earlier rollout")
        finally:
            driver.kill()
            driver.said()
    if (left := driver.journal()) is not None and left.outcome is None:
        raise RehearsalError(
            f"a rollout was left in the middle, and cannot be taken back: {driver.last_words()}"
        )


def _wait_for_samples(prometheus: Prometheus, world: World) -> None:
    """Until every pod is scraped: Prometheus looks for targets every five seconds."""

    def scraped() -> bool:
        return prometheus.scraped() > sum(pod.ready for pod in world.network.application.pods)

    _wait(scraped, 60, "Prometheus' first scrape of every pod")


def _wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RehearsalError(f"{what} did not come within {seconds:.0f} seconds")
        time.sleep(POLL_SECONDS)


def switch_for(project: Project, stack: str, fault: Fault) -> Switch:
    """How a stack's release moves traffic, as its file says; looked at before anything is built or brought up.

    Raises:
        RehearsalError: there is no such file, it does not say, or the fault's outcome is not certain with that switch.
    """
    said = _switch_said(project, stack)
    if said not in list(Switch):
        found = "is missing" if said is None else f"= {said}"
        raise RehearsalError(
            f"Pulumi.{stack}.yaml: {project.name}:release.switch {found}: allowed are {', '.join(Switch)}"
        )
    switch = Switch(said)
    if fault not in (allowed := allowed_faults(switch)):
        ladders = [name for name in project.stacks if _switch_said(project, name) == Switch.LADDER]
        raise RehearsalError(
            f"--fault {fault} is not rehearsed with --stack {stack}, whose traffic switches at once and is then watched too "
            f"short a time for the outcome to be certain: allowed are --fault {', '.join(allowed)}, or a stack with a "
            f"ladder ({', '.join(ladders) or 'none here'})"
        )
    return switch


def _switch_said(project: Project, stack: str) -> object:
    release = project.setting(stack, "release")
    return cast("Mapping[str, object]", release).get("switch") if isinstance(release, Mapping) else None


def slots_of(outputs: Mapping[str, Any]) -> Slots:
    """The slot to release to, which has no weight, and the one that serves.

    Raises:
        RehearsalError: the stack exports no two slots of which one is idle.
    """
    slots = outputs.get("slots", {})
    idle = [name for name, slot in slots.items() if slot["weight"] == 0]
    if len(slots) != 2 or len(idle) != 1:
        raise RehearsalError(
            "the stack's output `slots` does not say which of two slots is idle: bring it up first"
        )
    names = {slot["namespace"]: name for name, slot in slots.items()}
    new = slots[idle[0]]["namespace"]
    return Slots(new=new, old=next(name for name in names if name != new), names=names)


def next_version(outputs: Mapping[str, Any]) -> str:
    """The minor version after the newest of both slots: v2.5.0 after v2.3.0 and v2.4.1."""
    found = [re.match(r"v(\d+)\.(\d+)\.", str(slot["version"])) for slot in outputs["slots"].values()]
    major, minor = max((int(match[1]), int(match[2])) for match in found if match is not None)
    return f"v{major}.{minor + 1}.0"


def next_change(outputs: Mapping[str, Any]) -> str | None:
    """A change request that was not used before: CHG0030043 after CHG0030042; None where the gate takes none."""
    if outputs.get("gate") != "cab":
        return None
    used = [int(str(change["request"]).removeprefix("CHG")) for change in outputs.get("changes", [])]
    return f"CHG{max(used, default=0) + 1:07}"


def budget_seconds(outputs: Mapping[str, Any]) -> float | None:
    """The error budget of 30 days that the stack exports, such as `4.32 min in 30 days`; None where it exports none."""
    found = re.match(r"([\d.]+) min\b", str(outputs.get("errorBudget", "")))
    return float(found[1]) * 60 if found else None
