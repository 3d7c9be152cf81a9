"""What the commands do: begin, take over, tell the driver, look. The command line only reads options and prints."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from operations.release import Version
from operations.rollout.actions import Report
from operations.rollout.events import Promote, Resume, Rollback
from operations.rollout.machine import apply, refusal, start
from operations.rollout.plan import Plan
from operations.slots import WHOLE
from rollout.driver import Driver
from rollout.engine import Engine
from rollout.errors import RolloutError
from rollout.infrastructure import PulumiInfrastructure
from rollout.journal import PulumiJournal
from rollout.lease import is_alive, lease_of
from rollout.observer import Prometheus, PrometheusObserver
from rollout.ports import Narrator
from rollout.record import Command, Lease, Record
from rollout.stack_file import StackFile


class WallClock:
    """The time of this machine."""

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Desk:
    """Everything that is done about the rollouts of one stack.

    Attributes:
        stack: the stack's name.
        work_dir: the folder with Pulumi.yaml and the stack files.
        program: the program that the engine runs.
        prometheus: the URL of the environment's Prometheus.
    """

    stack: str
    work_dir: Path
    program: Path
    prometheus: str

    @cached_property
    def file(self) -> StackFile:
        """The stack's file."""
        return StackFile(self.work_dir / f"Pulumi.{self.stack}.yaml")

    @cached_property
    def journal(self) -> PulumiJournal:
        """The stack's journal."""
        return PulumiJournal.of(self.stack, self.work_dir, self.file.secrets_provider())

    @cached_property
    def infrastructure(self) -> PulumiInfrastructure:
        """The stack itself."""
        return PulumiInfrastructure(Engine.of(self.stack, self.work_dir, self.program), self.file)

    def begin(
        self, version: Version, who: str, why: str, narrator: Narrator, speed: int, interval: timedelta
    ) -> Report:
        """Drive a new rollout to its end.

        Raises:
            RolloutError: another one is under way, or the stack is not as its file says.
        """
        now = datetime.now(UTC)
        lease = lease_of(who, now)
        # Before the stack is looked at, which takes a while.
        _refuse_second(self.journal.read(), now)
        state = start(self._plan(version, speed, interval), now, who, why)

        def begun(found: Record | None) -> Record:
            _refuse_second(found, datetime.now(UTC))
            return Record(state=state, lease=lease)

        return self._drive(self.journal.change(begun), lease, narrator)

    def take_over(self, command: Resume | Rollback, narrator: Narrator) -> Report | Lease:
        """Tell the driver, which is returned; or where none is alive, become it, and return the report of the end.

        Raises:
            RolloutError: there is nothing to go on with, or the command changes nothing.
        """
        lease = lease_of(command.who, command.at)

        def taken(found: Record | None) -> Record:
            record = _under_way(found, self.stack, unless=isinstance(command, Rollback))
            if why := refusal(record.state, command):
                raise RolloutError(why)
            if is_alive(record.lease, datetime.now(UTC)):
                return record.model_copy(update={"inbox": (*record.inbox, command)})
            heard = record.state
            for earlier in record.inbox:
                heard = apply(heard, earlier)
            return record.model_copy(update={"state": apply(heard, command), "lease": lease, "inbox": ()})

        if isinstance(command, Rollback):
            self._refuse_stale(self.journal.read())
        record = self.journal.change(taken)
        if record.lease is not None and record.lease.token != lease.token:
            return record.lease
        return self._drive(record, lease, narrator)

    def tell(self, command: Command) -> Lease:
        """Tell the driver, which is returned.

        Raises:
            RolloutError: there is none, or the command changes nothing.
        """
        holders: list[Lease] = []

        def told(found: Record | None) -> Record:
            record = _under_way(found, self.stack)
            if record.lease is None or not is_alive(record.lease, datetime.now(UTC)):
                raise RolloutError(f"nobody drives this rollout: rollout resume --stack {self.stack}")
            if why := refusal(record.state, command):
                raise RolloutError(why)
            holders.append(record.lease)
            return record.model_copy(update={"inbox": (*record.inbox, command)})

        self.journal.change(told)
        return holders[-1]

    def promotion(self, who: str, reason: str) -> Promote:
        """Return the command that cuts the present phase short."""
        state = _under_way(self.journal.read(), self.stack).state
        return Promote(at=datetime.now(UTC), who=who, weight=state.phase.weight, reason=reason)

    def _plan(self, version: Version, speed: int, interval: timedelta) -> Plan:
        release = self.file.release()
        declared, in_force = release.weights, self.infrastructure.recorded_weights()
        if declared != in_force:
            raise RolloutError(
                f"{self.file.path.name} says blue {declared.blue} %, green {declared.green} %; in force are "
                f"{in_force.blue} and {in_force.green}: bring the stack up first"
            )
        try:
            plan = Plan.of(
                release,
                version,
                sla=self.file.sla(),
                drain=timedelta(seconds=self.infrastructure.drain_seconds()),
                interval=interval,
                speed=speed,
            )
        except ValueError as error:
            raise RolloutError(" ".join(str(error).split())) from error
        if version == plan.replaces:
            raise RolloutError(f"{plan.slot.other} serves {version} already")
        return plan

    def _refuse_stale(self, found: Record | None) -> None:
        """A rollout that has ended can be taken back only while both slots still are as it left them."""
        if found is None or not found.ended:
            return
        plan, release = found.state.plan, self.file.release()
        new, old = release.of(plan.slot), release.of(plan.slot.other)
        if (new.weight, new.version, old.version) != (WHOLE, plan.version, plan.replaces):
            raise RolloutError(
                f"{plan.version} in {plan.slot} is not what the last rollout left any more: start one to another version"
            )

    def _drive(self, record: Record, lease: Lease, narrator: Narrator) -> Report:
        infrastructure = self.infrastructure
        observer = PrometheusObserver(Prometheus(self.prometheus), infrastructure.cluster)
        driver = Driver(infrastructure, observer, self.journal, WallClock(), narrator, lease, record)
        try:
            return driver.drive()
        except KeyboardInterrupt:
            driver.let_go()
            raise


def _refuse_second(found: Record | None, now: datetime) -> None:
    if found is None or found.ended:
        return
    plan = found.state.plan
    under_way = f"a rollout of {plan.version} to {plan.slot} is under way"
    if found.lease is not None and is_alive(found.lease, now):
        raise RolloutError(f"{under_way}, driven by {found.lease.holder}")
    raise RolloutError(f"{under_way}, and nobody drives it: rollout resume, or rollout rollback")


def _under_way(found: Record | None, stack: str, *, unless: bool = False) -> Record:
    if found is None:
        raise RolloutError(
            f"there was no rollout of '{stack}' yet: rollout start --stack {stack} --version …"
        )
    if found.ended and not unless:
        raise RolloutError(f"no rollout of '{stack}' is under way")
    return found
