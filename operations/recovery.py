"""What is promised for the day that something is lost (the operations page, "Recovery Objectives"), what can be lost,
and the risks that a stack file may have to accept. Both objectives are strict upper bounds."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

RPO: Final = timedelta(minutes=1)
"""Recovery point: the data lost is always younger than this."""

RTO: Final = timedelta(minutes=15)
"""Recovery time: the service is back in less than this."""


def spelled(span: timedelta) -> str:
    """Return a span of whole seconds as a person writes it: `20 s`, `14 min 40 s`, `1 d 12 h`, `0 s`."""
    left = round(span.total_seconds())
    words: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words) or "0 s"


@unique
class Site(StrEnum):
    """A place where an environment's data live, by its part and not by its region: a failover swaps who writes, and
    renames nothing."""

    HOME = "home"
    """The environment's own region."""
    RECOVERY = "recovery"
    """The recovery region."""


@unique
class Loss(StrEnum):
    """Something that can be lost, each with a runbook."""

    WRITER = "loss of the writer"
    REGION = "loss of the region"
    MIGRATION = "bad migration"
    FILE = "deleted or overwritten files"
    CLUSTER = "lost cluster"
    RANSOMWARE = "ransomware"


@unique
class Risk(StrEnum):
    """A promise of the page that an environment with recovery objectives does not keep, and says so by name."""

    APPLICATION_REBUILT = "application-rebuilt-from-git"
    FILES_DAILY = "files-copied-daily"
    MIGRATION_RESTORED = "bad-migration-takes-a-restore"
    RANSOMWARE_RESTORED = "ransomware-takes-a-restore"
    BUDGET_SPENT = "incident-spends-the-error-budget"
    COMMITS_WAIT = "commits-wait-for-the-recovery-region"
    NOBODY_CALLED = "nobody-is-called"


AT_RISK: Final[Mapping[Risk, str]] = MappingProxyType(
    {
        Risk.APPLICATION_REBUILT: "The application runs in one cluster: when that is lost, it is built anew from Git, which "
        "takes longer than the recovery time; when its region is, it takes a program that nobody has written yet, and no time "
        "bounds that.",
        Risk.FILES_DAILY: "Files are copied to the recovery region once a day, as the page has it: what was written since "
        "is lost with the region.",
        Risk.MIGRATION_RESTORED: "Replicas repeat a bad migration at once: what undoes it is a restore to the moment "
        "before, which takes up to a few hours, and what was written since is lost or carried over by hand.",
        Risk.RANSOMWARE_RESTORED: "What an intruder has destroyed comes back from a locked vault: as it was before the "
        "first sign of them, however long ago that is, and after a restore of up to a few hours.",
        Risk.BUDGET_SPENT: "One incident that lasts as long as the recovery time spends more than the error budget of 30 "
        "days.",
        Risk.COMMITS_WAIT: "The bound on the recovery point makes commits wait while the recovery region, the only other "
        "one, is out of reach or too far behind: losing it stops all writes until the bound is taken off.",
        Risk.NOBODY_CALLED: "Without PagerDuty alerts go to Slack alone: nobody is sure to answer within the response time, "
        "so the recovery time has no bound.",
    }
)
"""What is at risk, in one sentence."""
