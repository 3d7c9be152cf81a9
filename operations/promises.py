"""What the declared infrastructure keeps of the page's promises for the day that something is lost: how old the data are
that come back, how long it takes and of what parts, how long each place keeps its copies, and what such a day costs.

Pure arithmetic over what a stack file declares. What falls short of a promise is either a fault, or a risk that the
stack file accepts by name (docs/adr/0014). Sources: the operations page, "Backup & Recovery" and "Incident Management",
and the page of the vendor that each part names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum, unique
from itertools import chain
from typing import Final

from operations.backup import SCHEDULE, Data
from operations.environments import error_budget
from operations.faults import Fault, show
from operations.incidents import OBJECTIVES, Severity
from operations.limits import RECOVERY_POINT_MINIMUM, RESTORABLE_LAG, WRITER_FAILOVER, WRITER_RECREATION
from operations.monitoring import OUTAGE_HOLD, SCRAPE
from operations.recovery import AT_RISK, RPO, RTO, Loss, Risk, Site, spelled
from operations.recovery_alerts import BACKUP_PERIOD, overdue

# --- what is declared ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class GlobalDatabase:
    """The database in two regions, and what its stack file accepts besides."""

    recovery_point: timedelta
    """`rds.global_db_rpo`: from this lag on the writer makes commits wait."""
    accepted: tuple[Risk, ...]


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What decides which promises are kept; operations.facts reads it from a stack file."""

    sla: float | None
    """Availability in percent; None where nothing is promised."""
    objectives: bool
    """Whether the page's recovery objectives hold."""
    instances: int
    """Of the database, where its writer is."""
    retention: Mapping[Data, int]
    """Days, of what is not kept without limit."""
    paged: bool
    """Whether an alert calls somebody at any hour, and so does the end of the heartbeat."""
    recovery: GlobalDatabase | None
    """None is one region, with daily copies in the other."""


# --- what is kept --------------------------------------------------------------------------------------------------


@unique
class Subject(StrEnum):
    """What comes back."""

    DATABASE = "database"
    FILES = "files"
    FILE = "a file"
    APPLICATION = "application"


@unique
class Step(StrEnum):
    """A part of a recovery, in order."""

    DETECTION = "detection"
    RESPONSE = "response"
    DECISION = "decision"
    FAILOVER = "failover"
    RESTORE = "restore"
    REBUILD = "rebuild"
    ENDPOINT = "endpoint"
    RECONNECTION = "reconnection"


@dataclass(frozen=True)
class Part:
    """One part of a recovery time."""

    step: Step
    takes: timedelta | None
    """At most, as planned; None is without a bound, which has to have a risk."""
    source: str
    """URL, section of the operations page, or decision."""
    risk: Risk | None = None
    """Under which name its length may be accepted where it breaks the promise."""

    def __post_init__(self) -> None:
        if self.takes is None and self.risk is None:
            raise ValueError(f"a {self.step} without a bound has no risk to be accepted under")


@dataclass(frozen=True)
class Point:
    """Where a recovery goes back to."""

    mechanism: str
    loses: timedelta | None
    """The newest of what was written, at most; None is without a bound, which has to have a risk."""
    source: str
    risk: Risk | None = None
    """Under which name its age may be accepted where it breaks the promise."""

    def __post_init__(self) -> None:
        if self.loses is None and self.risk is None:
            raise ValueError(f"a {self.mechanism} without a bound has no risk to be accepted under")

    @property
    def too_old(self) -> bool:
        """Whether it breaks the promise."""
        return self.loses is None or self.loses >= RPO


@dataclass(frozen=True)
class Recovery:
    """How one thing comes back from one loss."""

    loss: Loss
    subject: Subject
    point: Point
    parts: tuple[Part, ...]

    @property
    def time(self) -> timedelta | None:
        """The sum of the parts; None where one of them has no bound."""
        spans = [part.takes for part in self.parts if part.takes is not None]
        return sum(spans, timedelta()) if len(spans) == len(self.parts) else None

    @property
    def time_without_risks(self) -> timedelta:
        """The sum of the parts that no risk stands for."""
        return sum((part.takes for part in self.parts if part.takes and not part.risk), timedelta())

    @property
    def risks(self) -> frozenset[Risk]:
        """The risks that have to be accepted for it."""
        found = [self.point.risk] if self.point.too_old else []
        if self.time is None or self.time >= RTO:
            found += [part.risk for part in self.parts]
        return frozenset(risk for risk in found if risk is not None)


@dataclass(frozen=True)
class Stored:
    """A place that keeps data."""

    data: Data
    place: str
    days: int | None
    """None is without limit."""


@dataclass(frozen=True)
class Kept:
    """What an environment keeps."""

    recoveries: tuple[Recovery, ...]
    retention: tuple[Stored, ...]
    incident_cost: float | None
    """Error budgets of 30 days that one incident as long as the RTO spends: 1 is all of it. None without an SLA."""
    risks: tuple[Risk, ...]
    """What the stack file has to accept, in the order of their definition; none where there are no objectives."""


# --- parts ---------------------------------------------------------------------------------------------------------

HEARTBEAT: Final = timedelta(minutes=5)
"""After the last heartbeat the service outside calls. A lost cluster takes Prometheus with it, and so does a lost region:
no alert tells of it, the silence does. What that service waits on top adds to the recovery time."""

GROUP_WAIT: Final = timedelta(seconds=20)
"""From the first alert of a page to its message, which is to tell of all that fails at once."""

OUTAGE_SEEN: Final = SCRAPE + SCRAPE + OUTAGE_HOLD + GROUP_WAIT
"""From an outage to the page, where Prometheus is left to see it: one scrape, one evaluation of the rules, which come as
often, the alert's hold and the page's wait."""

UNDECIDED: Final = timedelta(minutes=2)
"""From the first look at a loss to the command that answers it: what a runbook's triage may take."""

REGION_FAILOVER: Final = timedelta(minutes=2)
"""Until the other region's cluster is the writer. AWS states no bound: "in the order of minutes" in its guide, less than
one minute elsewhere; drills measure it."""

ENDPOINT: Final = timedelta(seconds=30)
"""Until clients see that a name stands for another host: they keep an address for at most 30 s."""

RECONNECTION: Final = timedelta(seconds=10)
"""Until a pod that has lost its database is ready again: two probes, five seconds apart."""

RESTORE: Final = timedelta(hours=3)
"""Until a restored cluster has its data and an instance: AWS says "up to a few hours". Of files it says nothing. The
weekly restore tests measure both."""

REBUILD: Final = timedelta(minutes=45)
"""Until an update has made a cluster, its nodes, its load balancer and every pod anew, in the region that the program is
written for; drills measure it. In another region no program does it, and nothing bounds it."""

_PLAN = "docs/adr/0014-promises-are-checked.md"
_PAGE_RESPONSE = 'the operations page, "Incident Severity", SEV1'
_PAGE_SCHEDULE = 'the operations page, "Backup Schedule"'
_GLOBAL = RECOVERY_POINT_MINIMUM.source
_AURORA_DNS = "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraPostgreSQL.BestPractices.FastFailover.html"
_RESTORES = "https://repost.aws/knowledge-center/aurora-mysql-slow-snapshot-restore"
_VERSIONS = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/RestoringPreviousVersions.html"
_STORAGE = (
    "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Overview.StorageReliability.html"
)
_BACKUPS = "https://docs.aws.amazon.com/aws-backup/latest/devguide/whatisbackup.html"

_ENDPOINT: Final = Part(Step.ENDPOINT, ENDPOINT, _AURORA_DNS)
_RECONNECTION: Final = Part(Step.RECONNECTION, RECONNECTION, _PLAN)

DAILY_LOSS: Final = overdue(BACKUP_PERIOD)
"""How old the last of what is copied once a day may be: older ones raise an alert."""

GIT: Final = Point("Git", timedelta(), _PAGE_SCHEDULE)


def kept(declared: Declared) -> Kept:
    """Return what an environment keeps, whether or not that is enough; `breaches` says what is not."""
    recoveries = (
        _writer(declared),
        *_region(declared),
        _migration(declared),
        _files(declared),
        Recovery(
            Loss.CLUSTER,
            Subject.APPLICATION,
            GIT,
            (*_missed(declared), Part(Step.REBUILD, REBUILD, _PLAN, Risk.APPLICATION_REBUILT)),
        ),
        *_ransomware(declared),
    )
    cost = None if declared.sla is None else RTO / error_budget(declared.sla)
    needed = set(chain.from_iterable(recovery.risks for recovery in recoveries))
    if cost is not None and cost > 1:
        needed.add(Risk.BUDGET_SPENT)
    if declared.recovery is not None:
        needed.add(Risk.COMMITS_WAIT)
    risks = tuple(risk for risk in Risk if risk in needed) if declared.objectives else ()
    return Kept(recoveries, tuple(_stored(declared)), cost, risks)


def _called(declared: Declared) -> tuple[Part, ...]:
    """From an outage that Prometheus sees to the command that answers it, as for a total outage (SEV1)."""
    return (Part(Step.DETECTION, OUTAGE_SEEN, _PLAN), *_answered(declared))


def _missed(declared: Declared) -> tuple[Part, ...]:
    """From a loss that takes Prometheus along to the command that answers it: the end of the heartbeat tells of it."""
    if declared.paged:
        detection = Part(Step.DETECTION, HEARTBEAT, _PLAN)
    else:
        detection = Part(Step.DETECTION, None, _PLAN, Risk.NOBODY_CALLED)
    return (detection, *_answered(declared))


def _answered(declared: Declared) -> tuple[Part, ...]:
    if declared.paged:
        response = Part(Step.RESPONSE, OBJECTIVES[Severity.SEV1].response, _PAGE_RESPONSE)
    else:
        response = Part(Step.RESPONSE, None, _PAGE_RESPONSE, Risk.NOBODY_CALLED)
    return (response, Part(Step.DECISION, UNDECIDED, _PLAN))


def _writer(declared: Declared) -> Recovery:
    """A reader takes over, or the writer is made anew, and nobody has to do anything."""
    if declared.instances > 1:
        failover = Part(Step.FAILOVER, timedelta(seconds=WRITER_FAILOVER.value), WRITER_FAILOVER.source)
    else:
        failover = Part(Step.FAILOVER, timedelta(minutes=WRITER_RECREATION.value), WRITER_RECREATION.source)
    point = Point(
        "Aurora's storage, six copies in three zones, of which a commit waits for four", timedelta(), _STORAGE
    )
    return Recovery(Loss.WRITER, Subject.DATABASE, point, (failover, _ENDPOINT, _RECONNECTION))


def _region(declared: Declared) -> Iterator[Recovery]:
    called = _missed(declared)
    if (recovery := declared.recovery) is not None:
        yield Recovery(
            Loss.REGION,
            Subject.DATABASE,
            Point("Aurora global database", recovery.recovery_point, _GLOBAL),
            (*called, Part(Step.FAILOVER, REGION_FAILOVER, _GLOBAL), _ENDPOINT, _RECONNECTION),
        )
    else:
        yield Recovery(
            Loss.REGION,
            Subject.DATABASE,
            Point("daily copy in a vault of the recovery region", DAILY_LOSS, _BACKUPS),
            (*called, Part(Step.RESTORE, RESTORE, _RESTORES)),
        )
    # The program builds no cluster in the recovery region, nor has anybody tried to.
    rebuild = Part(Step.REBUILD, None, _PLAN, Risk.APPLICATION_REBUILT)
    yield Recovery(Loss.REGION, Subject.APPLICATION, GIT, (*called, rebuild))
    yield Recovery(
        Loss.REGION,
        Subject.FILES,
        Point(
            "daily copy in the backup bucket of the recovery region",
            DAILY_LOSS,
            _PAGE_SCHEDULE,
            Risk.FILES_DAILY,
        ),
        # The copies can be read at once; who reads them is the application.
        (*called, rebuild),
    )


def _migration(declared: Declared) -> Recovery:
    """A cluster is restored beside the live one, to the moment before; what was written since is lost or carried over by
    hand. The time counts from a migration that breaks the application, which alerts tell of; one that spoils data and
    nothing else is told by whoever misses them, and has been written over until then."""
    point = Point("point-in-time recovery", None, RESTORABLE_LAG.source, Risk.MIGRATION_RESTORED)
    restore = Part(Step.RESTORE, RESTORE, _RESTORES, Risk.MIGRATION_RESTORED)
    return Recovery(
        Loss.MIGRATION, Subject.DATABASE, point, (*_called(declared), restore, _ENDPOINT, _RECONNECTION)
    )


def _files(declared: Declared) -> Recovery:
    """The version before is still in the bucket and is put back, in the time that a request takes. No alert tells of it:
    the time counts from when somebody does."""
    return Recovery(
        Loss.FILE,
        Subject.FILE,
        Point("versions in the files' bucket", timedelta(), _VERSIONS),
        (*_answered(declared), Part(Step.RESTORE, timedelta(), _VERSIONS)),
    )


def _ransomware(declared: Declared) -> Iterator[Recovery]:
    """The last clean recovery point of a vault is restored: it is older than the first sign of an intruder, who may have
    been there for weeks. Nothing that Prometheus measures shows them: the time counts from when somebody tells."""
    for subject, source in ((Subject.DATABASE, _RESTORES), (Subject.FILES, _PLAN)):
        yield Recovery(
            Loss.RANSOMWARE,
            subject,
            Point("daily recovery point in a vault", None, _BACKUPS, Risk.RANSOMWARE_RESTORED),
            (*_answered(declared), Part(Step.RESTORE, RESTORE, source, Risk.RANSOMWARE_RESTORED)),
        )


def _stored(declared: Declared) -> Iterator[Stored]:
    for data, days in declared.retention.items():
        match data:
            case Data.DATABASE:
                yield Stored(data, f"{Site.HOME}: Aurora's continuous backup", days)
            case Data.FILES:
                yield Stored(data, f"{Site.RECOVERY}: backup bucket, S3 Glacier Instant Retrieval", days)
            case _:
                yield Stored(data, SCHEDULE[data].location, days)
                continue
        for site in Site:
            yield Stored(data, f"{site}: vault", days)
    yield Stored(Data.CONFIGS, SCHEDULE[Data.CONFIGS].location, None)


# --- what falls short ----------------------------------------------------------------------------------------------

KEY: Final = "quikapp:recovery"
RISKS_KEY: Final = f"{KEY}.acceptedRisks"

_RETENTION_KEYS: Final[Mapping[Data, str]] = {
    Data.DATABASE: "quikapp:retention.databaseDays",
    Data.FILES: "quikapp:retention.filesDays",
    Data.LOGS: "quikapp:retention.logsDays",
}

_KEEPERS: Final[Mapping[Data, str]] = {
    Data.DATABASE: "Aurora's continuous backup and the vaults",
    Data.FILES: "the backup bucket and the vaults",
    Data.LOGS: "Elasticsearch and CloudWatch Logs",
}
"""What keeps each kind of data for as long as its key says."""

_POINT_PROMISE: Final = f"a recovery point < {spelled(RPO)}"
_TIME_PROMISE: Final = f"a recovery time < {spelled(RTO)}"


@dataclass(frozen=True)
class _Way:
    """How a risk would go away."""

    promise: str
    """What the operations page promises and the risk breaks."""
    mend: str
    """What would keep the promise, other than to accept the risk."""


_WAYS: Final[Mapping[Risk, _Way]] = {
    Risk.APPLICATION_REBUILT: _Way(
        _TIME_PROMISE, "it takes a second cluster that runs in the recovery region, which no key declares"
    ),
    Risk.FILES_DAILY: _Way(
        _POINT_PROMISE, "it takes files that S3 replicates as they are written, which no key declares"
    ),
    Risk.MIGRATION_RESTORED: _Way(
        f"{_POINT_PROMISE} and {_TIME_PROMISE}",
        "it takes migrations that can be undone without a restore, which the application has to bring",
    ),
    Risk.RANSOMWARE_RESTORED: _Way(
        f"{_POINT_PROMISE} and {_TIME_PROMISE}",
        "it takes a copy that runs in an account of its own, which no key declares",
    ),
    Risk.BUDGET_SPENT: _Way(
        f"both an SLA and {_TIME_PROMISE}",
        "it takes a lower quikapp:environment.sla, where the page allows one",
    ),
    Risk.COMMITS_WAIT: _Way(
        f"both an SLA and {_POINT_PROMISE}",
        "it takes a follower in a third region, which no key declares",
    ),
    Risk.NOBODY_CALLED: _Way(
        f"{_TIME_PROMISE}, and a response within {spelled(OBJECTIVES[Severity.SEV1].response)} to SEV1",
        "declare quikapp:monitoring.paging",
    ),
}

_SHORTER: Final[Mapping[Step, str]] = {
    Step.DETECTION: "no key does, HEARTBEAT of operations/promises.py and the monitoring's own pace do",
    Step.RESPONSE: "no key does, the page's response to SEV1 does",
    Step.DECISION: "no key does, UNDECIDED of operations/promises.py and the runbooks do",
    Step.FAILOVER: "no key does, REGION_FAILOVER of operations/promises.py does, once a drill is faster",
    Step.RESTORE: f"declare an Aurora global database in {KEY}, which fails over instead",
    Step.REBUILD: "no key does, REBUILD of operations/promises.py does, once a drill is faster",
    Step.ENDPOINT: "no key does, ENDPOINT of operations/promises.py and the names' time to live do",
    Step.RECONNECTION: "no key does, RECONNECTION of operations/promises.py and the pods' probes do",
}
"""What makes each part of a recovery shorter; of a writer without readers it is a reader."""


def breaches(declared: Declared) -> Iterator[Fault]:
    """Yield what an environment with recovery objectives promises and does not keep: what has to be mended, the risks
    that have to be accepted, and those that are accepted for nothing."""
    if not declared.objectives:
        return
    yield from _short_retention(declared)
    what = kept(declared)
    old = [recovery for recovery in what.recoveries if recovery.point.too_old and not recovery.point.risk]
    if (recovery := declared.recovery) is None:
        yield from (
            Fault(
                KEY,
                f"is missing; {_broken_point(found)}; declare an Aurora global database here, with a network and instances "
                "in the recovery region",
            )
            for found in old
        )
        yield from chain.from_iterable(map(_broken_time, what.recoveries))
        # Those that are left once it is declared, so that nobody is told of them one mistake later.
        declares = GlobalDatabase(recovery_point=timedelta(seconds=RECOVERY_POINT_MINIMUM.value), accepted=())
        left = kept(replace(declared, recovery=declares))
        yield from (_missing(risk, left) for risk in left.risks)
        return
    for found in old:
        yield Fault(
            f"{KEY}.recoveryPointSeconds",
            f"{_broken_point(found)}; allowed is less than {round(RPO.total_seconds())}",
            show(recovery.recovery_point // timedelta(seconds=1)),
        )
    yield from chain.from_iterable(map(_broken_time, what.recoveries))
    for risk in what.risks:
        if risk not in recovery.accepted:
            yield _missing(risk, what)
    for place, risk in enumerate(recovery.accepted):
        if risk not in what.risks:
            yield Fault(
                f"{RISKS_KEY}[{place}]",
                f"is not at risk here; what is: {', '.join(what.risks)}",
                show(risk),
            )


def _missing(risk: Risk, what: Kept) -> Fault:
    """The fault of a risk that nobody has accepted."""
    way = _WAYS[risk]
    figure = f" One of {spelled(RTO)} spends {_cost(what)}." if risk is Risk.BUDGET_SPENT else ""
    return Fault(
        RISKS_KEY,
        f"{risk} is missing; the operations page promises {way.promise}, and that is at risk: {AT_RISK[risk]}{figure} "
        f"Accept the risk here, by its name, or mend it: {way.mend}",
    )


def _short_retention(declared: Declared) -> Iterator[Fault]:
    for data, days in declared.retention.items():
        promised = SCHEDULE[data].retention
        if promised is not None and timedelta(days=days) < promised:
            yield Fault(
                _RETENTION_KEYS[data],
                f"the operations page promises {promised.days} days, and recovery objectives take them; "
                f"{_KEEPERS[data]} would keep {days}; allowed is at least {promised.days}",
                show(days),
            )


def _broken_point(recovery: Recovery) -> str:
    return (
        f"the operations page promises {_POINT_PROMISE}; after a {recovery.loss} the "
        f"{recovery.point.mechanism} may have lost {bound(recovery.point.loses)}"
    )


def _broken_time(recovery: Recovery) -> Iterator[Fault]:
    """Yield a recovery time that breaks the promise even without the parts that a risk stands for."""
    time = recovery.time_without_risks
    if time >= RTO:
        longest = max(
            (part for part in recovery.parts if not part.risk), key=lambda part: part.takes or timedelta()
        )
        lonely = recovery.loss is Loss.WRITER and longest.step is Step.FAILOVER
        shorter = (
            "declare 2 or more quikapp:database.instances, or quikapp:recovery.instances while the writer is there"
            if lonely
            else _SHORTER[longest.step]
        )
        yield Fault(
            KEY,
            f"the operations page promises {_TIME_PROMISE}; after a {recovery.loss} the {recovery.subject} takes "
            f"{spelled(time)}, most of it for the {longest.step}; to shorten that: {shorter}",
        )


def _cost(what: Kept) -> str:
    if what.incident_cost is None:
        return "no error budget"
    return f"{what.incident_cost:.0%} of the error budget".replace("%", " %")


def bound(span: timedelta | None) -> str:
    """Return a time or an age as a person writes it; without one it is `no bound`."""
    return "no bound" if span is None else spelled(span)


# --- told ----------------------------------------------------------------------------------------------------------


def summary(declared: Declared) -> Mapping[str, object]:
    """Return what is promised, kept and accepted, as plain values for outputs and documents."""
    what = kept(declared)
    recoveries: dict[str, dict[str, object]] = {}
    for recovery in what.recoveries:
        recoveries.setdefault(recovery.loss, {})[recovery.subject] = {
            "recoveryPoint": f"{bound(recovery.point.loses)} ({recovery.point.mechanism})",
            "recoveryTime": bound(recovery.time),
            "parts": {part.step.value: bound(part.takes) for part in recovery.parts},
        }
    retention: dict[str, dict[str, str]] = {}
    for stored in what.retention:
        retention.setdefault(stored.data, {})[stored.place] = (
            "unlimited" if stored.days is None else f"{stored.days} days"
        )
    return {
        "objectives": {
            "recoveryPoint": f"< {spelled(RPO)}",
            "recoveryTime": f"< {spelled(RTO)}",
        }
        if declared.objectives
        else "none",
        "recoveries": recoveries,
        "retention": retention,
        "incidentAtRecoveryTime": _cost(what),
        "acceptedRisks": {risk.value: AT_RISK[risk] for risk in what.risks},
    }
