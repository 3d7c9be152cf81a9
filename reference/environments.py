"""The five environments side by side: what each promises, runs, keeps and accepts, from the settings alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from operations import promises
from operations.backup import SCHEDULE, Data
from operations.environments import BUDGET_WINDOW, PAGE
from operations.facts import EnvironmentFacts
from operations.promises import Recovery, Subject
from operations.recovery import RPO, RTO, Loss, Risk, spelled
from operations.slots import Slot

NONE: Final = "none"

Cell = Callable[[EnvironmentFacts], str]
"""What one environment has in a row."""

Cells = Iterable[tuple[str, Cell]]
"""Rows: each with its label."""


@dataclass(frozen=True)
class Row:
    """One fact, of each environment."""

    label: str
    cells: tuple[str, ...]
    """In the order of the environments."""


@dataclass(frozen=True)
class Section:
    """Rows that belong together."""

    title: str
    rows: tuple[Row, ...]
    moves: bool = False
    """Whether a release changes it, so that no page can tell it for long."""


# --- what is said of each ------------------------------------------------------------------------------------------


def _sla(facts: EnvironmentFacts) -> str:
    return NONE if facts.environment.sla is None else _percent(facts.environment.sla)


def _budget(facts: EnvironmentFacts) -> str:
    return NONE if facts.error_budget is None else f"{facts.error_budget.total_seconds() / 60:g} min"


def _change(facts: EnvironmentFacts) -> str:
    return facts.changes[-1].request if facts.changes else NONE


def _promised(bound: str) -> Cell:
    return lambda facts: bound if facts.declared.objectives else NONE


_PROMISE: Final[Cells] = (
    ("purpose", lambda facts: PAGE[facts.name].purpose),
    ("SLA", _sla),
    (f"error budget in {BUDGET_WINDOW.days} days", _budget),
    ("gate", lambda facts: facts.environment.gate),
    ("recovery point", _promised(f"< {spelled(RPO)}")),
    ("recovery time", _promised(f"< {spelled(RTO)}")),
    ("region", lambda facts: facts.region),
    ("recovery region", lambda facts: facts.recovery_region),
)


def _version(slot: Slot) -> Cell:
    return lambda facts: f"{facts.release.of(slot).version} {_percent(facts.release.of(slot).weight)}"


def _capacity(slot: Slot) -> Cell:
    return lambda facts: facts.release.capacity_of(slot)


_RELEASE: Final[Cells] = (
    *(
        row
        for slot in Slot
        for row in ((f"{slot} version and weight", _version(slot)), (f"{slot} capacity", _capacity(slot)))
    ),
    ("change request in force", _change),
)


def _instance(facts: EnvironmentFacts) -> str:
    serverless = facts.database.serverless
    if serverless is None:
        return str(facts.database.instance_class)
    return f"{serverless.min_acu:g} to {serverless.max_acu:g} ACU"


_SIZE: Final[Cells] = (
    ("zones", lambda facts: str(len(facts.network.zones))),
    ("NAT gateways", lambda facts: str(facts.network.nat_gateways)),
    (
        "replicas of a service",
        lambda facts: f"{facts.sizing.replicas.min} to {facts.sizing.replicas.max}",
    ),
    ("standby", lambda facts: facts.release.standby),
    ("traffic switches", lambda facts: facts.release.switch),
    ("cores at most", lambda facts: str(facts.cluster.cpu_limit)),
    ("memory at most", lambda facts: f"{facts.cluster.memory_limit_gib} GiB"),
    ("database instances", lambda facts: str(facts.database.instances)),
    ("size of an instance", _instance),
    (
        "database in the recovery region",
        lambda facts: NONE if facts.recovery is None else str(facts.recovery.instances),
    ),
    ("web application firewall", lambda facts: _yes(facts.traffic.waf)),
    ("deletion protection", lambda facts: _yes(facts.cluster.deletion_protection)),
)

_MONITORING: Final[Cells] = (
    ("P1 alerts go to", lambda facts: "Slack" if facts.monitoring.paging is None else "PagerDuty"),
    ("Prometheus replicas", lambda facts: str(facts.monitoring.prometheus_replicas)),
    ("metrics kept", lambda facts: _days(facts.monitoring.retention_days)),
    ("Alertmanager peers", lambda facts: str(facts.monitoring.alertmanager_replicas)),
    ("Elasticsearch nodes", lambda facts: str(facts.monitoring.elasticsearch.nodes)),
    ("requests traced", lambda facts: _percent(facts.monitoring.tracing.sampling_percent)),
    ("traces kept in", lambda facts: facts.monitoring.tracing.storage),
    (
        "Datadog",
        lambda facts: NONE if facts.monitoring.datadog is None else facts.monitoring.datadog.site,
    ),
)


def _kept(data: Data) -> Cell:
    return lambda facts: (
        "unlimited" if data not in facts.retention.days else _days(facts.retention.days[data])
    )


_RETENTION: Final[Cells] = (
    *((f"{data}, {SCHEDULE[data].frequency.lower()}", _kept(data)) for data in Data),
    ("lock on backups", lambda facts: facts.lock or NONE),
    (
        "restore tests",
        lambda facts: NONE if facts.recovery is None else f"every {_days(facts.recovery.restore_test_days)}",
    ),
)


def _recoveries(
    facts: Sequence[EnvironmentFacts], tell: Callable[[EnvironmentFacts, Recovery], str]
) -> Cells:
    """Yield a row for each loss. The losses are the same in each environment; how each comes back from them is not."""

    def cell(loss: Loss, subject: Subject) -> Cell:
        return lambda one: next(
            tell(one, recovery)
            for recovery in promises.kept(one.declared).recoveries
            if (recovery.loss, recovery.subject) == (loss, subject)
        )

    for recovery in promises.kept(facts[0].declared).recoveries if facts else ():
        yield f"{recovery.loss}: {recovery.subject}", cell(recovery.loss, recovery.subject)


def _verdict(facts: EnvironmentFacts, recovery: Recovery) -> str:
    if not facts.declared.objectives:
        return "none promised"
    return "at risk" if recovery.risks else "kept"


def _lost(_: EnvironmentFacts, recovery: Recovery) -> str:
    return promises.bound(recovery.point.loses)


def _back(_: EnvironmentFacts, recovery: Recovery) -> str:
    return promises.bound(recovery.time)


def _incident(facts: EnvironmentFacts) -> str:
    cost = promises.kept(facts.declared).incident_cost
    return NONE if cost is None else f"{_percent(round(cost * 100))}"


def _risk(risk: Risk) -> Cell:
    return lambda facts: "accepted" if facts.recovery and risk in facts.recovery.accepted_risks else "-"


_RISKS: Final[Cells] = (
    (f"error budget that {spelled(RTO)} spend", _incident),
    *((risk.value, _risk(risk)) for risk in Risk),
)


# --- words ---------------------------------------------------------------------------------------------------------


def _percent(value: float) -> str:
    return f"{value:g} %"


def _days(days: int) -> str:
    return f"{days} days"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


# --- the table ------------------------------------------------------------------------------------------------------


def sections(facts: Sequence[EnvironmentFacts]) -> tuple[Section, ...]:
    """Return the whole table, with a cell for each of the given environments in each row."""

    def section(title: str, cells: Cells, *, moves: bool = False) -> Section:
        rows = tuple(Row(label, tuple(cell(one) for one in facts)) for label, cell in cells)
        return Section(title, rows, moves)

    return (
        section("Promise", _PROMISE),
        section("Release", _RELEASE, moves=True),
        section("Size", _SIZE),
        section("Monitoring", _MONITORING),
        section("Retention", _RETENTION),
        section("Recovery promises, after a loss", _recoveries(facts, _verdict)),
        section("Data lost at most", _recoveries(facts, _lost)),
        section("Back within", _recoveries(facts, _back)),
        section("Risks", _RISKS),
    )
