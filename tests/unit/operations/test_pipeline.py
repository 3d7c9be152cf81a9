"""How GitHub's workflows sign in: names of roles and environments, and what a repository may be called."""

import pytest
from pydantic import ValidationError

from operations.delivery import door
from operations.environments import EnvironmentName
from operations.limits import ROLE_NAME_LENGTH
from operations.pipeline import PipelineFacts, Purpose, boundary_name, github_environment, role_name


def test_each_purpose_has_an_environment_of_its_own_and_a_deployment_its_door() -> None:
    assert [github_environment(EnvironmentName.LIVE, purpose) for purpose in Purpose] == [
        "live-cab",
        "preview-live",
        "drift-live",
    ]
    for stack in EnvironmentName:
        assert github_environment(stack, Purpose.DEPLOY) == door(stack).environment
    named = [github_environment(stack, purpose) for stack in EnvironmentName for purpose in Purpose]
    assert len(set(named)) == len(named)


def test_roles_are_named_after_stack_and_purpose_as_iam_takes_names() -> None:
    assert role_name(EnvironmentName.LIVE, Purpose.DRIFT) == "quikapp-live-drift"
    assert boundary_name(EnvironmentName.LIVE) == "quikapp-live-boundary"
    assert all(
        len(role_name(stack, purpose)) <= ROLE_NAME_LENGTH.value
        for stack in EnvironmentName
        for purpose in Purpose
    )


def test_only_a_deployment_writes() -> None:
    assert [purpose for purpose in Purpose if purpose.writes] == [Purpose.DEPLOY]


@pytest.mark.parametrize("repository", ["quikapp/operations", "q/x.y_z-1", "quikapp@123/operations@456"])
def test_a_repository_is_owner_and_name_with_the_ids_of_both_or_of_neither(repository: str) -> None:
    facts = PipelineFacts(repository=repository)
    assert facts.subject(EnvironmentName.DEV, Purpose.DEPLOY) == f"repo:{repository}:environment:dev"


@pytest.mark.parametrize(
    "repository",
    [
        "operations",
        "quikapp/",
        "/operations",
        "quikapp/operations/",
        "https://github.com/quikapp/operations",
        "quikapp/*",
        "*/operations",
        "quikapp/operations:*",
        "quikapp/operations:environment:live-cab",
        "quikapp@123/operations",
        "quikapp/operations@456",
        "quikapp@x/operations@y",
        "quik app/operations",
    ],
)
def test_anything_else_is_refused_for_it_would_be_somebody_else_who_is_trusted(repository: str) -> None:
    with pytest.raises(ValidationError, match="allowed is owner/name, or owner@id/name@id"):
        PipelineFacts(repository=repository)
