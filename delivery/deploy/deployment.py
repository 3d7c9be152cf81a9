"""A deployment: what was decided is previewed under the guardrails, carried out, and told."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from delivery.deploy import prometheus, summary
from delivery.deploy.situation import await_silence, before, situation
from delivery.errors import DeliveryError
from delivery.preview_report import reader
from operations.changes import Ledger
from operations.delivery import (
    Nothing,
    Refused,
    Resume,
    Situation,
    Start,
    Trigger,
    Update,
    decide,
    decide_infrastructure,
    door,
    predecessor,
)
from operations.environments import EnvironmentName
from operations.preview.comment import markdown, warnings
from operations.preview.digest import Digest
from operations.release import Release, Version
from operations.rollout import events
from operations.rollout.actions import Outcome, PrepareSlot, Report, changes_after, release_after
from operations.slots import Slot
from rollout import ending
from rollout.desk import Desk, WallClock
from rollout.record import Lease


@dataclass(frozen=True)
class Pace:
    """How fast a rollout goes: for rehearsals only is it anything but the page's ladder."""

    speed: int
    interval: timedelta


@dataclass(frozen=True)
class Deployment:
    """One deployment to one environment.

    Attributes:
        desk: of the environment's stack; its Prometheus is empty where none was named.
        who: who asks for it.
        change: the number of the change request; None where none was given.
        say: tells a person.
    """

    desk: Desk
    who: str
    change: str | None
    say: Callable[[str], None]

    @property
    def target(self) -> EnvironmentName:
        """Where to."""
        return EnvironmentName(self.desk.stack)

    def decide(self, version: Version | None) -> Refused | Nothing | Start | Resume | Update:
        """Return what the deployment of a version, or of the infrastructure alone, leads to. Nothing is changed."""
        here = situation(self.desk)
        if version is None:
            return self._decide_infrastructure(here)
        return decide(self.target, version, here, before(self.desk), self.change)

    def infrastructure(self) -> None:
        """Bring everything but the versions in line with Git.

        Raises:
            DeliveryError: it is refused, or its preview is red: nothing was changed.
            RolloutError: the update broke off.
        """
        here = situation(self.desk)
        decision = self._decide_infrastructure(here)
        if isinstance(decision, Refused):
            _refuse(decision)
        desk, file = self.desk, self.desk.file
        text = file.with_release(self._in_force(here.ledger), decision.ledger)
        found = self._previewed(text)
        file.write(text)
        under = "" if self.change is None else f" under {self.change}"
        self.say(f"Updating {self.target}{under}: {_counted(found)}.")
        # Also where no resource changes: what others read of the stack is told by an update alone.
        desk.infrastructure.engine.up(f"deploy: infrastructure, by {self.who}{under}")
        self.say(f"{self.target} is up.")

    def release(self, version: Version, pace: Pace, picture: Path | None) -> int:
        """Roll a version out, or go on with that where it is under way, and return the exit code: 0, or 3 if taken back.

        Raises:
            DeliveryError: it is refused, or its preview is red: nothing was changed.
            RolloutError: the driver cannot go on; the weights stay as they are.
        """
        here = situation(self.desk)
        decision = decide(self.target, version, here, before(self.desk), self.change)
        match decision:
            case Refused():
                _refuse(decision)
            case Nothing(reason):
                self.say(f"{reason}: nothing to do.")
                summary.leave(summary.table(str(self.target), [("Nothing to do", reason)]))
                return 0
            case Start():
                ended = self._start(version, here.ledger, pace)
            case Resume():
                ended = self._resume()
        code = ending.end(self.desk, ended, picture, wanted=Outcome.COMPLETED)
        summary.leave(summary.of_rollout(self.target, version, self.change, ended))
        return code

    def _decide_infrastructure(self, here: Situation) -> Refused | Update:
        return decide_infrastructure(self.target, here, self._serving(here), self.change)

    def _serving(self, here: Situation) -> Version:
        """What has the most traffic: in force, or where nothing is yet, in the stack file."""
        if here.running is not None:
            weights, versions = here.running.weights, here.running.versions
            return versions[max(Slot, key=lambda slot: weights[slot])]
        release = self.desk.file.release()
        return release.of(max(Slot, key=release.weights.of)).version

    def _start(self, version: Version, ledger: Ledger, pace: Pace) -> Report:
        file = self.desk.file
        release = self._in_force(ledger)
        if (release, ledger) != (file.release(), file.changes()):
            file.write(file.with_release(release, ledger))
        idle = release.weights.idle
        if idle is not None:  # else the rollout itself refuses, and says so
            prepared = PrepareSlot(step=0, slot=idle, version=version, change=self.change)
            # Before anything changes, and the change request is used: what is red does not begin.
            self._previewed(
                file.with_release(release_after(release, prepared), changes_after(file.changes(), prepared))
            )
        previous = predecessor(self.target)
        why = f"promoted from {previous}" if previous else f"release of {version}"
        with self._driving() as driving, ending.view() as view:
            return driving.begin(version, self.who, why, view, pace.speed, pace.interval, self.change)

    def _resume(self) -> Report:
        await_silence(self.desk.journal, WallClock(), self.say)
        with self._driving() as driving, ending.view() as view:
            ended = driving.take_over(events.Resume(at=WallClock().now(), who=self.who), view)
        if isinstance(ended, Lease):
            raise DeliveryError(f"the rollout is driven by {ended.holder}, who is alive: wait for its end")
        return ended

    def _in_force(self, ledger: Ledger) -> Release:
        """What the stack file has to say of versions and weights: what is in force, whatever it says.

        The default branch is behind where recording failed, and nobody moves traffic by a merge. Where merges deploy, they
        are how versions come, too.

        Args:
            ledger: all change requests that are known, with which the file's are held together for a person to hear of it.
        """
        file = self.desk.file
        stated = file.release()
        merged = door(self.target).trigger is Trigger.MERGE
        told = None if merged else self.desk.infrastructure.told()
        # How ready the idle slot is and how traffic moves belong to the infrastructure.
        release = told and Release.model_validate(
            {**dict(told), "standby": stated.standby, "switch": stated.switch}
        )
        if (release or stated, ledger) != (stated, file.changes()):
            self.say(f"{file.path.name} is behind: its release and change requests are those in force now.")
        return release or stated

    def _previewed(self, text: str) -> Digest:
        """Preview the stack as a text of its file would have it, under the guardrails.

        Raises:
            DeliveryError: it is red.
        """
        self.say(f"Previewing {self.target}.")
        found = reader.preview(self.desk.infrastructure.engine, self.target, text)
        summary.leave(markdown([found]))
        if found.is_red:
            raise DeliveryError("\n".join(("the preview is red, and nothing was changed:", *warnings(found))))
        for line in warnings(found):
            self.say(line)
        return found

    @contextmanager
    def _driving(self) -> Generator[Desk]:
        """The desk with a Prometheus that answers, until the block ends."""
        if self.desk.prometheus:
            yield self.desk
            return
        with prometheus.forwarded(self.desk.infrastructure.kubeconfig, self.say) as url:
            yield replace(self.desk, prometheus=url)


def _refuse(decision: Refused) -> NoReturn:
    raise DeliveryError(decision.reason)


def _counted(found: Digest) -> str:
    return (
        ", ".join(f"{count} to {operation}" for operation, count in sorted(found.counts.items()))
        or "no change"
    )
