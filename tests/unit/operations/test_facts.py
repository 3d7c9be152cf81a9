"""The rules between groups of facts hold for code as they do for stack files."""

from ipaddress import IPv4Network
from typing import Any

import pytest
from pydantic import ValidationError

from operations.facts import Database, EnvironmentFacts, Network, Serverless, breaches
from operations.services import Replicas, Resources, Service, Use
from settings import parse
from tests.unit.stack_configuration import SECRETS, configuration, document


@pytest.fixture
def live() -> EnvironmentFacts:
    return parse("live", configuration(document("live")), SECRETS)


def with_groups(facts: EnvironmentFacts, **groups: Any) -> EnvironmentFacts:
    changed: dict[str, Any] = {**dict(facts), **groups}
    return EnvironmentFacts(**changed)


def test_facts_built_in_code_keep_the_rules_too(live: EnvironmentFacts) -> None:
    two_zones = Network(cidr=IPv4Network("10.0.0.0/16"), zones=("a", "b"), nat_gateways=2)

    with pytest.raises(ValidationError, match=r"an SLA of 99\.99 takes at least 3 zones"):
        with_groups(live, network=two_zones)


def test_a_rule_whose_groups_are_not_all_there_is_silent(live: EnvironmentFacts) -> None:
    one_instance = Database(instances=1, serverless=Serverless(min_acu=1, max_acu=2))

    assert breaches({"database": one_instance}) == []
    assert [fault.key for fault in breaches({"database": one_instance, "environment": live.environment})] == [
        "quikapp:database.instances"
    ]


def test_a_service_of_its_own_size_is_not_the_environments(live: EnvironmentFacts) -> None:
    sized = live.services["web"].model_copy(update={"replicas": Replicas(min=3, max=9)})
    facts = with_groups(live, services={**live.services, "web": sized})

    assert (facts.replicas_of("web").max, facts.replicas_of("api").max) == (9, 60)
    with pytest.raises(KeyError):
        facts.replicas_of("wbe")


def test_code_spells_facts_in_snake_case() -> None:
    service = Service(
        image="registry.example/api",
        port=8080,
        path="/",
        health_path="/health",
        resources=Resources(cpu_millicores=100, memory_mib=128),
        uses=frozenset({Use.FILES}),
    )

    assert service.secrets == ()
    assert service.model_dump(by_alias=True)["healthPath"] == "/health"


@pytest.mark.parametrize("nothing", [True, "8080", 8080.0])
def test_nothing_is_coerced(nothing: object) -> None:
    with pytest.raises(ValidationError, match="valid integer"):
        Replicas.model_validate({"min": nothing, "max": nothing})
