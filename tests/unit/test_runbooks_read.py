"""What the runbooks say is what the program is: its tables, its names, its series; and their commands are a shell's."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.cluster import NODE_POOL
from components.monitoring.parts import PORTS
from components.monitoring.rules import (
    STATE_METRICS,
    Alert,
    RecoveryWatched,
    Watched,
    alerts,
    jobs,
    recorded,
    rule_file,
)
from components.monitoring.stack import EXPORTERS
from operations.environments import error_budget
from operations.incidents import OBJECTIVES, Severity, Step
from operations.metrics import KEY_METRICS, KeyMetric, Level, promql_duration
from operations.monitoring import AGENTS_NAMESPACE, INDEX_CLEANER, LOG_SWEEP, NAMESPACE, ON_NODES, Part
from operations.priorities import PRIORITY_OF_LEVEL, ROUTES, Paging, Priority
from operations.promises import RESTORE
from operations.recovery import RTO
from operations.recovery_alerts import BACKUP_PERIOD, LAG_SHARES, LONG_OVERDUE, overdue
from operations.release import Release, SlotCapacity
from operations.slo import BURN_RATES
from operations.slots import Slot
from tests.unit.components.recording import record
from tests.unit.components.test_environment import environment, facts_of
from tests.unit.pages import code, fences, prose, section, table
from tests.unit.stack_configuration import SECRETS, document

ROOT: Final = Path(__file__).parents[2]
RUNBOOKS: Final = ROOT / "docs/runbooks"
PAGES: Final = {path.name: path.read_text() for path in sorted(RUNBOOKS.glob("*.md"))}
INCIDENT: Final = PAGES["incident.md"]

every_page = pytest.mark.parametrize("page", PAGES)

NONE: Final = "none"
"""How a table says that there is nothing."""


def span(words: str) -> timedelta:
    number, unit = words.split()
    return timedelta(**{unit.removesuffix("s") + "s": float(number)})


# --- tables --------------------------------------------------------------------------------------------------------


def test_the_severities_are_those_of_the_operations_page() -> None:
    rows = [
        (
            Severity(row["Severity"]),
            row["Description"],
            span(row["Response"]),
            None if row["Resolution"] == "Best effort" else span(row["Resolution"]),
        )
        for row in table(section(INCIDENT, "Severities"))
    ]
    assert rows == [
        (severity, objective.description, objective.response, objective.resolution)
        for severity, objective in OBJECTIVES.items()
    ]


def test_the_routes_are_those_of_the_operations_page() -> None:
    paging = {Paging.ALWAYS: "at any hour", Paging.BUSINESS_HOURS: "in business hours", None: NONE}
    assert table(section(INCIDENT, "Priorities and routes")) == [
        {
            "Priority": priority,
            "Name": route.title,
            "PagerDuty": paging[route.paging],
            "Escalation": " → ".join(route.escalation) or NONE,
            "Slack": route.channel or NONE,
            "Review": route.review or NONE,
            "Opens": route.opens,
        }
        for priority, route in ROUTES.items()
    ]


def test_the_escalation_calls_the_people_of_the_route_each_after_another_response_time() -> None:
    rows = [row for row in table(section(INCIDENT, "Escalation")) if row["By whom"] == "PagerDuty"]
    assert [row["Who is called"] for row in rows] == [
        person.lower() for person in ROUTES[Priority.P1].escalation
    ]
    steps = [OBJECTIVES[ROUTES[priority].opens].response for priority in (Priority.P1, Priority.P2)]
    waits = [re.findall(r"\d+ minutes", row["When"]) for row in rows]
    assert [[span(wait) for wait in found] for found in waits] == [[], steps, [2 * step for step in steps]]


def test_the_process_is_that_of_the_operations_page() -> None:
    headings = re.findall(r"^## (.+)$", prose(INCIDENT), re.MULTILINE)
    assert headings[-len(Step) :] == [step.value for step in Step]


@every_page
def test_a_runbook_walks_through_the_process_and_nothing_else(page: str) -> None:
    if page != "incident.md":
        headings = re.findall(r"^## (.+)$", prose(PAGES[page]), re.MULTILINE)
        assert headings == ["Detection", "Triage", "Mitigation", "Resolution", "Postmortem"] == [*Step]


def test_the_postmortem_counts_in_the_budget_of_live() -> None:
    minutes = error_budget(document("live")["quikapp:environment"]["sla"]) / timedelta(minutes=1)
    cost = section(INCIDENT, "What it cost")
    assert f"**{minutes:.2f} minutes" in cost
    assert "Twelve minutes in which 9 % failed cost 1.08 minutes: 25 %" in cost
    failed = 12 * 0.09
    assert failed == pytest.approx(1.08)
    assert failed / minutes == pytest.approx(0.25)


def test_the_burn_rates_are_those_that_are_watched() -> None:
    rows = table(section(PAGES["error-budget-burn.md"], "Detection"))
    sla = document("live")["quikapp:environment"]["sla"]
    assert [
        tuple(
            row[column]
            for column in (
                "Fires when",
                "Burn rate",
                "Windows",
                "Spent by then",
                "In live: errors above",
                "Priority",
            )
        )
        for row in rows
    ] == [
        (
            rate.name,
            f"{rate.factor:g}",
            f"{promql_duration(rate.long)} and {promql_duration(rate.short)}",
            f"{rate.spent * 100:g} %",
            f"{rate.error_ratio(sla) * 100:.4g} %",
            rate.priority,
        )
        for rate in BURN_RATES
    ]


def test_every_part_of_the_stack_has_its_paragraph_with_two_commands() -> None:
    triage = section(PAGES["monitoring-part-missing.md"], "Triage")
    assert re.findall(r"^### (.+)$", triage, re.MULTILINE) == list(Part)
    for part in Part:
        paragraph = section(triage, part)
        assert "Lost: " in paragraph, part
        assert fences(paragraph)[0].body.count("kubectl") == 2, part


# --- alerts --------------------------------------------------------------------------------------------------------

LIVE: Final = Watched(
    environment="live",
    sla=99.99,
    services=("api",),
    replicas=dict.fromkeys(Part, 3),
    grafana_url="https://grafana.example",
    runbooks_url="https://runbooks.example",
    retention_days=31,
    recovery=RecoveryWatched(recovery_point=timedelta(seconds=30), restore_test_days=7),
    chores=(LOG_SWEEP, INDEX_CLEANER),
    databases={"quikapp-live-database": ("quikapp-live-database-0",)},
)


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {alert.runbook for alert in alerts(LIVE)} == PAGES.keys() - {"incident.md"}


@pytest.mark.parametrize("page", sorted({alert.runbook for alert in alerts(LIVE)}))
def test_a_page_says_when_its_alert_fires_and_what_it_opens(page: str) -> None:
    rows = table(section(PAGES[page], "Detection"))
    said = {(None if row["For"] == NONE else span(row["For"]), row["Priority"], row["Opens"]) for row in rows}
    assert said == {
        (
            alert.hold,
            alert.priority or NONE,
            ROUTES[alert.priority].opens if alert.priority else NONE,
        )
        for alert in alerts(LIVE)
        if alert.runbook == page
    }


@pytest.mark.parametrize("metric", KEY_METRICS, ids=lambda metric: metric.name)
def test_the_page_of_a_key_metric_has_its_thresholds_and_its_series(metric: KeyMetric) -> None:
    text = PAGES[f"{metric.name.replace('_', '-')}.md"]
    rows = table(section(text, "Detection"))
    assert [(row["Fires when"].rpartition("> ")[2], row["Priority"]) for row in rows] == [
        (metric.display(metric.threshold(level)), PRIORITY_OF_LEVEL[level]) for level in Level
    ]
    assert recorded(metric) in text


def hours(period: timedelta) -> str:
    return f"above {overdue(period) / timedelta(hours=1):g} hours"


def test_the_pages_of_backups_and_recovery_have_the_thresholds_of_live() -> None:
    recovery = document("live")["quikapp:recovery"]
    lag = section(PAGES["replication-lag.md"], "Detection")
    assert f"in live {recovery['recoveryPointSeconds']} s" in lag
    shares = {Level.CRITICAL: "nine tenths of the bound", Level.WARNING: "half of the bound"}
    said = {shares[level]: share for level, share in LAG_SHARES.items()}
    assert said == {"nine tenths of the bound": 0.9, "half of the bound": 0.5}
    assert all(words in lag for words in shares.values())
    *backups, late = table(section(PAGES["backup-overdue.md"], "Detection"))
    assert all(hours(BACKUP_PERIOD) in row["Fires when"] for row in backups)
    assert f"above {LONG_OVERDUE / timedelta(hours=1):g} hours" in late["Fires when"]
    (restores,) = table(section(PAGES["restore-test-overdue.md"], "Detection"))
    days = timedelta(days=recovery["restoreTestDays"])
    assert f"in live {hours(days).removeprefix('above ')}" in restores["Fires when"]
    (slow,) = table(section(PAGES["restore-too-slow.md"], "Detection"))
    assert f"above {RTO / timedelta(minutes=1):g} minutes" in slow["Fires when"]
    (beyond,) = table(section(PAGES["restore-beyond-plan.md"], "Detection"))
    assert f"above {RESTORE / timedelta(hours=1):g} hours" in beyond["Fires when"]


def test_no_page_silences_the_alert_that_a_silence_of_slow_restores_must_not_hide() -> None:
    assert "alertname=RestoreTooSlow" in PAGES["restore-too-slow.md"]
    assert [name for name, text in PAGES.items() if "alertname=RestoreBeyondPlan" in text] == []


@pytest.mark.parametrize("alert", alerts(LIVE), ids=lambda alert: f"{alert.name} {dict(alert.labels)}")
def test_a_page_names_the_labels_and_the_dashboard_of_its_alert(alert: Alert) -> None:
    detection = section(PAGES[alert.runbook], "Detection")
    assert f"`/d/{alert.dashboard.partition('?')[0]}`" in detection
    for label in alert.labels:
        assert f"`{label}`" in detection


def test_priorities_that_differ_by_what_is_missing_are_told_apart() -> None:
    for page, label in (("monitoring-part-missing.md", "part"), ("scrape-target-missing.md", "job")):
        first, _ = table(section(PAGES[page], "Detection"))
        assert {*re.findall(r"`([\w-]+)`", first["Fires when"])} == {
            alert.labels[label]
            for alert in alerts(LIVE)
            if alert.runbook == page and alert.priority is Priority.P2
        }


def test_every_scrape_job_that_is_watched_is_in_the_table_of_jobs() -> None:
    triage = section(PAGES["scrape-target-missing.md"], "Triage")
    rows = table(triage[triage.index("| job |") :].replace("\n   |", "\n|"))
    assert sorted(job for row in rows for job in re.findall(r"`([\w-]+)`", row["job"])) == sorted(jobs(LIVE))


@every_page
def test_every_recorded_series_that_is_named_is_recorded(page: str) -> None:
    series = {rule.get("record") for group in rule_file(LIVE)["groups"] for rule in group["rules"]}
    mentioned = set(re.findall(r"\b(?:slot_service|environment):[\w:]+", PAGES[page]))
    assert mentioned <= series


# --- references ----------------------------------------------------------------------------------------------------


@every_page
def test_every_key_of_a_stack_file_that_is_named_is_one(page: str) -> None:
    for key in re.findall(r"quikapp:[a-zA-Z.]+", PAGES[page]):
        place: Any = document("live")
        group, *path = key.split(".")
        for step in (group, *path):
            assert step in place, f"{page} names {key}"
            place = place[step]


@every_page
def test_every_secret_that_is_named_is_one(page: str) -> None:
    assert set(re.findall(r"secrets:[a-z-]+", PAGES[page])) <= SECRETS


@every_page
def test_every_source_file_that_is_named_is_there(page: str) -> None:
    for name in code(PAGES[page]):
        if re.fullmatch(r"[\w/]+\.py", name):
            assert (ROOT / name).is_file(), f"{page} names {name}"


def test_the_switch_that_is_shown_changes_nothing_but_weights() -> None:
    shown = fences(section(INCIDENT, "Give the weight to the other slot"), "yaml")[0].body
    warm = {**document("live")["quikapp:release"], "standby": "warm"}
    after = Release.model_validate_json(json.dumps({**warm, **yaml.safe_load(shown)}))
    assert after.weights.of(Slot.BLUE) == 100
    assert after.capacity_of(Slot.GREEN) is SlotCapacity.FULL


# --- commands ------------------------------------------------------------------------------------------------------

KINDS: Final = {
    "daemonset": "daemonset",
    "deployment": "deployment",
    "deployments": "deployment",
    "hpa": "hpa",
    "pod": "pod",
    "pods": "pod",
    "pvc": "pvc",
    "secret": "secret",
    "events": "event",
    "statefulset": "statefulset",
    "svc": "service",
    "clusterrolebinding": "clusterrolebinding",
    "cronjob": "cronjob",
    "job": "job",
    "node": "node",
    "nodes": "node",
    "nodeclaims": "nodeclaim",
    "nodepool": "nodepool",
}
"""What commands call kinds, and what they are called here."""

NODE_SCOPED: Final = frozenset({"node", "nodeclaim", "nodepool", "clusterrolebinding"})
STATEFUL: Final = frozenset({Part.PROMETHEUS, Part.ALERTMANAGER, Part.ELASTICSEARCH, Part.LOGSTASH})
SHORT: Final = frozenset({"-n", "-l", "-o", "-L", "--raw"})
"""Options whose value is the next word."""


def workload(part: Part) -> str:
    if part in STATEFUL:
        return "statefulset"
    return "daemonset" if part in ON_NODES else "deployment"


def _objects() -> Iterator[tuple[str, str, str]]:
    """Namespace, kind and name of what the program and its add-ons make and a runbook may name."""
    for part in Part:
        yield part.namespace, workload(part), part
        if PORTS[part]:
            yield part.namespace, "service", part
        if part in STATEFUL:
            for number in range(2):
                yield part.namespace, "pod", f"{part}-{number}"
                yield part.namespace, "pvc", f"data-{part}-{number}"
    for slot in Slot:
        for service in document("live")["quikapp:services"]:
            yield slot.namespace, "deployment", service
            yield slot.namespace, "hpa", service
            yield slot.namespace, "pod", f"{service}-5d9c7b6f4-x2x7k"
    yield NAMESPACE, "secret", "elasticsearch-operator"
    for chore in LIVE.chores:
        yield NAMESPACE, "cronjob", chore.name
        yield NAMESPACE, "job", f"{chore.name}-by-hand"
    yield STATE_METRICS, "deployment", STATE_METRICS
    yield "kube-system", "deployment", "metrics-server"
    yield "", "nodepool", NODE_POOL
    yield "", "node", "i-0123456789abcdef0"
    yield "", "clusterrolebinding", Part.PROMETHEUS


OBJECTS: Final = frozenset(_objects())
NAMESPACES: Final = frozenset(
    {NAMESPACE, AGENTS_NAMESPACE, "kube-system", *EXPORTERS, *(s.namespace for s in Slot)}
)
APPLICATIONS: Final = frozenset({*Part, *document("live")["quikapp:services"]})
"""What the label `app.kubernetes.io/name` may be."""


def variables(page: str) -> dict[str, str]:
    """What the page and the shell that it begins with set."""
    blocks = [fence.body for text in (INCIDENT, PAGES[page]) for fence in fences(text, "sh")]
    return dict(re.findall(r"^(?:.* )?([A-Z]+)=([\w-]+)", "\n".join(blocks).replace(" ", "\n"), re.MULTILINE))


def commands(page: str) -> Iterator[list[str]]:
    """The words of every kubectl command of a page, with its variables filled in."""
    values = variables(page)
    texts = [fence.body for fence in fences(PAGES[page], "sh")]
    texts += [text for text in code(PAGES[page]) if text.startswith("kubectl ")]
    for line in filter(lambda line: "kubectl" in line, "\n".join(texts).replace("\\\n", " ").splitlines()):
        filled = re.sub(r"\$([A-Z]+)", lambda match: values[match[1]], line)
        lexer = shlex.shlex(filled, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
        for start in (number for number, word in enumerate(words) if word == "kubectl"):
            rest = words[start + 1 :]
            end = next((n for n, word in enumerate(rest) if word in {"|", ";", "&&", ")"}), len(rest))
            yield rest[:end]


@dataclass(frozen=True)
class Command:
    """What a kubectl command is about."""

    namespace: str
    selector: str
    everywhere: bool
    words: Sequence[str]
    """The verb and what follows it, without options."""


def parsed(words: Sequence[str]) -> Command:
    given: dict[str, str] = {}
    plain: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        if word in SHORT:
            given[word] = next(rest)
        elif not word.startswith("-"):
            plain.append(word)
    return Command(given.get("-n", ""), given.get("-l", ""), "-A" in words, plain)


def named(command: Command) -> Iterator[tuple[str, str]]:
    """Kind and name of each object that a command names; an empty name for all of a kind."""
    verb, *words = command.words
    match verb:
        case "exec" | "logs" if words and "/" not in words[0]:
            yield "pod", words[0]
        case "logs" if not words:
            yield "pod", ""
        case "logs" | "port-forward":
            kind, _, name = words[0].partition("/")
            yield KINDS[kind], name
        case "cordon" | "drain":
            yield "node", words[0]
        case "rollout":
            yield KINDS[words[1]], words[2]
        case "get" | "describe" | "create" | "delete" | "patch" | "scale" | "top" if words:
            for kind in words[0].split(","):
                yield from ((KINDS[kind], name) for name in words[1:] or [""])
        case "get":
            return
        case _:
            raise AssertionError(f"kubectl {verb} is not known here")


def test_commands_call_each_workload_what_the_program_calls_it() -> None:
    recorded = record(lambda: environment(facts_of("live")))
    made = {
        (resource.inputs["metadata"]["namespace"], kind.lower(), resource.inputs["metadata"]["name"])
        for resource in recorded.resources
        for package, _, kind in [resource.token.rpartition(":")]
        if package in ("kubernetes:apps/v1", "kubernetes:batch/v1")
    }
    recorded.close()
    assert {(NAMESPACE, "statefulset", Part.PROMETHEUS), (NAMESPACE, "cronjob", LOG_SWEEP.name)} <= made
    assert made <= OBJECTS


@every_page
def test_every_block_says_what_it_is(page: str) -> None:
    assert {fence.language for fence in fences(PAGES[page])} <= {"sh", "yaml", "markdown"}


@every_page
def test_every_kubectl_command_names_what_the_program_makes(page: str) -> None:
    for words in commands(page):
        command = parsed(words)
        said = f"{page}: kubectl {' '.join(words)}"
        for kind, name in named(command):
            if kind in NODE_SCOPED:
                assert not command.namespace, said
            else:
                assert command.everywhere or command.namespace in NAMESPACES, said
            assert not name or (command.namespace, kind, name) in OBJECTS, said
        for label in re.findall(r"app\.kubernetes\.io/name=([\w-]+)", command.selector):
            assert label in APPLICATIONS, said
