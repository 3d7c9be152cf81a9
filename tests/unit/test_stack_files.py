"""The five committed stack files: they keep the page's promises and the design's sizes, and read side by side."""

from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

import pytest

from operations.environments import PAGE, EnvironmentName
from operations.facts import EnvironmentFacts
from operations.slots import Slot
from settings import parse
from tests.unit.stack_configuration import SECRETS, STACKS, configuration, document, secret_keys, written


def facts(stack: str) -> EnvironmentFacts:
    return parse(stack, configuration(document(stack)), SECRETS)


# The table of sizes, as it was decided: one row a fact, one column a stack.
SIZES: dict[str, tuple[Any, ...]] = {
    "sla": (None, 95.0, 99.0, 99.9, 99.99),
    "gate": ("auto", "manual", "manual", "approval", "cab"),
    "zones": (2, 2, 2, 3, 3),
    "NAT gateways": (1, 1, 1, 3, 3),
    "replicas": ((1, 2), (1, 3), (2, 4), (3, 12), (6, 60)),
    "standby": ("cold", "cold", "warm", "warm", "full"),
    "switch": ("at-once", "at-once", "ladder", "ladder", "ladder"),
    "database": (1, 1, 2, 2, 3),
    "serverless": (True, True, True, False, False),
    "Prometheus": ((1, 3), (1, 3), (1, 7), (2, 31), (2, 31)),
    "Alertmanager": (1, 1, 1, 2, 3),
    "Elasticsearch": (1, 1, 1, 3, 3),
    "traces": ("memory", "memory", "memory", "elasticsearch", "elasticsearch"),
    "Datadog": (False, False, False, True, True),
    "paging": (False, False, False, False, True),
    "firewall": (False, False, False, True, True),
    "retention": ((35, 90, 30),) * 5,
    "recovery": (None, None, None, ("home", 3, 1, 30, 7), ("home", 3, 2, 30, 7)),
}


def sizes(of: EnvironmentFacts) -> dict[str, Any]:
    replicas = of.sizing.replicas
    return {
        "sla": of.environment.sla,
        "gate": of.environment.gate,
        "zones": len(of.network.zones),
        "NAT gateways": of.network.nat_gateways,
        "replicas": (replicas.min, replicas.max),
        "standby": of.release.standby,
        "switch": of.release.switch,
        "database": of.database.instances,
        "serverless": of.database.serverless is not None,
        "Prometheus": (of.monitoring.prometheus_replicas, of.monitoring.retention_days),
        "Alertmanager": of.monitoring.alertmanager_replicas,
        "Elasticsearch": of.monitoring.elasticsearch.nodes,
        "traces": of.monitoring.tracing.storage,
        "Datadog": of.monitoring.datadog is not None,
        "paging": of.monitoring.paging is not None,
        "firewall": of.traffic.waf,
        "retention": (of.retention.database_days, of.retention.files_days, of.retention.logs_days),
        "recovery": of.recovery
        and (
            of.recovery.writer,
            len(of.recovery.network.zones),
            of.recovery.instances,
            of.recovery.recovery_point_seconds,
            of.recovery.restore_test_days,
        ),
    }


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_has_the_sizes_that_were_decided(stack: str) -> None:
    column = STACKS.index(stack)

    assert sizes(facts(stack)) == {fact: row[column] for fact, row in SIZES.items()}


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_promises_what_the_page_promises(stack: str) -> None:
    promise = PAGE[EnvironmentName(stack)]

    assert (facts(stack).environment.sla, facts(stack).environment.gate) == (promise.sla, promise.gate)


def test_there_is_a_stack_for_each_environment_of_the_page() -> None:
    assert tuple(EnvironmentName) == STACKS


def test_live_is_as_the_page_draws_it_before_the_switch() -> None:
    release = facts("live").release

    assert [(release.of(slot).version, release.of(slot).weight) for slot in Slot] == [
        ("v2.3.0", 100),
        ("v2.4.0", 0),
    ]


def test_live_alone_takes_change_requests_and_the_one_in_force_brought_what_stands_by() -> None:
    in_force = {stack: facts(stack).changes[-1:] for stack in STACKS}
    assert {stack for stack, changes in in_force.items() if changes} == {"live"}
    assert [facts("live").change_of(slot) for slot in Slot] == ["CHG0030041", "CHG0030042"]
    assert [facts("staging").change_of(slot) for slot in Slot] == [None, None]


def test_the_networks_of_the_environments_can_be_peered() -> None:
    networks: list[IPv4Network] = [facts(stack).network.cidr for stack in STACKS]
    networks += [recovery.network.cidr for stack in STACKS if (recovery := facts(stack).recovery)]

    assert len(networks) == 7
    assert not [(one, other) for one, other in combinations(networks, 2) if one.overlaps(other)]


def test_each_environment_has_a_domain_of_its_own() -> None:
    assert len({facts(stack).traffic.domain for stack in STACKS}) == len(STACKS)


def test_the_files_read_side_by_side() -> None:
    def outline(stack: str) -> list[tuple[str, list[str]]]:
        # The size of the database is stated in one of two ways, in one place.
        spelling: dict[str, str] = {"instanceClass": "size", "serverless": "size"}
        # What only the larger environments have is left out where it is off.
        larger = {"datadog", "paging", "grafanaUrl", "signIn"}
        groups: dict[str, dict[str, Any]] = {
            key: group
            for key, group in written(stack).items()
            if key not in {"aws:region", "quikapp:recovery", "quikapp:changes"}
        }
        return [
            (key, [spelling.get(fact, fact) for fact in group if fact not in larger])
            for key, group in groups.items()
        ]

    assert [outline(stack) for stack in STACKS] == [outline("dev")] * len(STACKS)
    assert list(written("staging")) == [key for key in written("live") if key != "quikapp:changes"]
    assert list(written("staging")["quikapp:recovery"]) == list(written("live")["quikapp:recovery"])


@pytest.mark.parametrize(
    ("stack", "risks"),
    [
        (
            "staging",
            (
                "application-rebuilt-from-git",
                "files-copied-daily",
                "bad-migration-takes-a-restore",
                "ransomware-takes-a-restore",
                "commits-wait-for-the-recovery-region",
                "nobody-is-called",
            ),
        ),
        (
            "live",
            (
                "application-rebuilt-from-git",
                "files-copied-daily",
                "bad-migration-takes-a-restore",
                "ransomware-takes-a-restore",
                "incident-spends-the-error-budget",
                "commits-wait-for-the-recovery-region",
            ),
        ),
    ],
)
def test_a_stack_accepts_the_risks_that_were_decided(stack: str, risks: tuple[str, ...]) -> None:
    recovery = facts(stack).recovery

    assert recovery is not None
    assert recovery.accepted_risks == risks


@pytest.mark.parametrize("stack", STACKS)
def test_the_services_are_stated_once_for_all_environments(stack: str) -> None:
    assert "quikapp:services" not in written(stack)
    assert list(facts(stack).services) == ["api", "web"]


@pytest.mark.parametrize("stack", STACKS)
def test_no_secret_is_committed(stack: str) -> None:
    assert not [key for key in written(stack) if key.startswith("secrets:")]


def test_facts_derive_what_components_ask_for() -> None:
    live = facts("live")

    assert live.zone_names == ("eu-west-1a", "eu-west-1b", "eu-west-1c")
    assert live.recovery_region == "eu-central-1"
    assert {f"secrets:{name}" for name in live.secrets} == set(secret_keys("live"))
    assert live.replicas_of("web").max == 60
    assert str(live.error_budget) == "0:04:19.200000"
    assert facts("dev").error_budget is None
    assert live.tags == {
        "Application": "quikapp",
        "Environment": "live",
        "Owner": "platform",
        "CostCenter": "quikapp-live",
        "ManagedBy": "pulumi",
    }
