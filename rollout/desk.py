"""What the commands do: begin, take over, tell the driver, look. The command line only reads options and prints."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from operations import changes
from operations.changes import ChangeNumber, Recorded
from operations.monitoring import NAMESPACE, Part
from operations.release import Version
from operations.rollout.actions import Report
from operations.rollout.events import Promote, Resume, Rollback
from operations.rollout.machine import start
from operations.rollout.plan import INTERVAL, Plan
from operations.rollout.state import Direction, State
from operations.slots import WHOLE, Slot
from rollout import handover
from rollout.cluster import ready
from rollout.driver import Driver
from rollout.engine import Engine, is_rehearsed
from rollout.errors import RolloutError, UpdateFailed
from rollout.infrastructure import PulumiInfrastructure
from rollout.journal import PulumiJournal
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
        return StackFile.of(self.stack, self.work_dir)

    @cached_property
    def journal(self) -> PulumiJournal:
        """The stack's journal."""
        return PulumiJournal.of(self.stack, self.work_dir, self.file.encryption())

    @cached_property
    def infrastructure(self) -> PulumiInfrastructure:
        """The stack itself."""
        return PulumiInfrastructure(Engine.of(self.stack, self.work_dir, self.program), self.file)

    def begin(
        self,
        version: Version,
        who: str,
        why: str,
        narrator: Narrator,
        speed: int,
        interval: timedelta,
        change: ChangeNumber | None = None,
    ) -> Report:
        """Drive a new rollout to its end.

        Args:
            version: what shall run.
            who: who asks for it.
            why: the journal keeps it.
            narrator: tells a person.
            speed: what bake times and limits are divided by, for a rehearsal.
            interval: between two evaluations of the gates.
            change: the change request that brings the version; None where the environment takes none.

        Raises:
            RolloutError: another one is under way, the stack is not as its file says, Prometheus does not answer or is
                another environment's, or the change request is missing, malformed, was used before, or is none that the
                environment takes; or bakes are to be shortened, or gates evaluated at another pace, outside of a rehearsal.
        """
        if speed != 1 and not is_rehearsed():
            raise RolloutError(
                f"--speed = {speed}: allowed is 1; bakes and limits are shortened in a rehearsal and nowhere else: "
                f"uv run rehearse canary --stack {self.stack} --speed {speed}"
            )
        if interval != INTERVAL and not is_rehearsed():
            raise RolloutError(
                f"--interval = {interval.total_seconds():g}: allowed is {INTERVAL.total_seconds():g}; gates are evaluated "
                "at another pace, and with other limits, in a rehearsal and nowhere else"
            )
        if refusal := changes.refusal(self.file.gate(), self.file.changes(), change):
            raise RolloutError(f"{self.stack}: {refusal}")
        now = datetime.now(UTC)
        # Before the stack is looked at, which takes a while.
        handover.refuse_second(self.journal.read(), now)
        state = start(self._plan(version, speed, interval, change), now, who, why)
        if unwatched := self._unwatched(state.plan.slot.other):
            raise RolloutError(unwatched)
        lease = handover.lease_of(who, datetime.now(UTC))
        self.journal.change(lambda found: handover.begun(found, state, lease))
        return self._drive(state, lease, narrator)

    def take_over(self, command: Resume | Rollback, narrator: Narrator) -> Report | Lease:
        """Tell the driver, which is returned once it has heard it; or where none is alive, or it turns out to be dead, become
        it, and return the report of the end.

        Raises:
            RolloutError: there is nothing to go on with, or the command changes nothing.
        """
        found = self._latest()
        if isinstance(command, Rollback):
            self._refuse_stale(found)
        self._look_at_locks(found)
        lease = handover.lease_of(command.who, datetime.now(UTC))
        record = self.journal.change(lambda found: handover.taken_over(found, self.stack, command, lease))
        if record.lease is not None and record.lease.token != lease.token:
            heard = handover.is_heard(self.journal, WallClock(), command, narrator.says)
            return record.lease if heard else self.take_over(command, narrator)
        if self.infrastructure.bring_in_line(record.state.plan):
            narrator.says(
                f"{self.file.path.name} was behind: its release and change requests are those in force now"
            )
        serving = record.state.plan.slot.other
        if record.state.direction is Direction.UP and (unwatched := self._unwatched(serving)):
            # Whoever is there may at least hold the weights, and take them back at the limit: nobody else would.
            narrator.says(
                f"{unwatched}; until there is an answer the weights are held, and taken back at the limit"
            )
        return self._drive(record.state, lease, narrator)

    def _latest(self) -> Record:
        """Return the latest record. Where there is none, nothing is written: that would make a journal."""
        return self.journal.read() or handover.under_way(None, self.stack)

    def _look_at_locks(self, found: Record) -> None:
        """Have the locks lifted that a driver left whose lease has run out: its machine may be gone, and nobody else will. Those
        of one that may be alive, on another machine of this one's name, are left alone."""
        if found.lease is None:
            return
        last_driver = handover.last_driver(found.lease, datetime.now(UTC))
        self.journal.last_driver = last_driver
        if last_driver.expired is not None:
            self.infrastructure.engine = replace(self.infrastructure.engine, last_driver=last_driver)

    def _unwatched(self, serving: Slot) -> str | None:
        """Return why nobody could watch a slot now, and what to do about it; None where Prometheus answers and scrapes pods of
        the serving slot, as only the environment's own does."""
        try:
            scraped = Prometheus(self.prometheus).scraped(serving)
            pods = ready(self.infrastructure.cluster.replicas(serving))
        except UpdateFailed as error:
            return str(error)
        except ConnectionError as error:
            why = str(error)
        else:
            if not pods or pods & scraped:
                return None
            why = (
                f"{self.prometheus} scrapes none of the {len(pods)} pods that are ready in {serving}: it is another "
                "environment's, or has only just started"
            )
        return (
            f"--prometheus: {why}. Open a way to the environment's own, with "
            f"kubectl -n {NAMESPACE} port-forward service/{Part.PROMETHEUS} 9090, or name its URL"
        )

    def tell(self, command: Command, say: Callable[[str], None]) -> Lease:
        """Tell the driver, which is returned once it has heard it; a person is told who is waited for.

        Raises:
            RolloutError: there is none, or it turns out to be dead, or the command would change nothing.
        """
        self._look_at_locks(self._latest())
        record = self.journal.change(
            lambda found: handover.told(found, self.stack, command, datetime.now(UTC))
        )
        assert record.lease is not None  # noqa: S101 - whom it was told to
        if not handover.is_heard(self.journal, WallClock(), command, say):
            raise RolloutError(
                f"{record.lease.holder} is dead and has not heard it; whoever goes on will: rollout resume --stack {self.stack}"
            )
        return record.lease

    def promotion(self, who: str, reason: str) -> Promote:
        """Return the command that cuts the present phase short."""
        state = handover.under_way(self.journal.read(), self.stack).state
        return Promote(at=datetime.now(UTC), who=who, weight=state.phase.weight, reason=reason)

    def _plan(self, version: Version, speed: int, interval: timedelta, change: ChangeNumber | None) -> Plan:
        in_force = self.infrastructure.ledger()
        if in_force and (why := Recorded.of(in_force).refusal(self.file.changes())):
            raise RolloutError(f"{self.file.path.name}: {why}")
        release = self.file.release()
        declared, found = release.weights, self.infrastructure.recorded_weights()
        if declared != found:
            raise RolloutError(
                f"{self.file.path.name} says blue {declared.blue} %, green {declared.green} %; in force are "
                f"{found.blue} and {found.green}: bring the stack up first"
            )
        told = self.infrastructure.told() or release
        if any(told.of(slot).version != release.of(slot).version for slot in Slot):
            raise RolloutError(
                f"{self.file.path.name} says blue {release.blue.version}, green {release.green.version}; in force are "
                f"{told.blue.version} and {told.green.version}: take over the file that brought them, or bring the stack up first"
            )
        try:
            plan = Plan.of(
                release,
                version,
                sla=self.file.sla(),
                drain=timedelta(seconds=self.infrastructure.drain_seconds()),
                interval=interval,
                speed=speed,
                change=change,
            )
        except ValueError as error:
            raise RolloutError(" ".join(str(error).split())) from error
        if version == plan.replaces:
            raise RolloutError(f"{plan.slot.other} serves {version} already")
        return plan

    def _refuse_stale(self, found: Record) -> None:
        """A rollout that has ended can be taken back only while both slots still are as it left them."""
        if not found.ended:
            return
        plan, release = found.state.plan, self.infrastructure.told() or self.file.release()
        new, old = release.of(plan.slot), release.of(plan.slot.other)
        if (new.weight, new.version, old.version) != (WHOLE, plan.version, plan.replaces):
            raise RolloutError(
                f"{plan.version} in {plan.slot} is not what the last rollout left any more: start one to another version"
            )

    def _drive(self, state: State, lease: Lease, narrator: Narrator) -> Report:
        infrastructure = self.infrastructure
        observer = PrometheusObserver(Prometheus(self.prometheus), infrastructure.cluster)
        with ThreadPoolExecutor(max_workers=1) as background:
            driver = Driver(
                infrastructure, observer, self.journal, WallClock(), narrator, background, lease, state
            )
            try:
                return driver.drive()
            except KeyboardInterrupt:
                driver.let_go()
                raise
