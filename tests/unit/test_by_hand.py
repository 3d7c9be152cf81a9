"""What the pages tell people to do with weights by hand, the guard lets them do."""

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
import yaml

from operations.release import Release
from operations.rollout.guard import Terms, refusal
from operations.slots import Slot, Weights
from tests.unit.pages import PAGES, fences, section
from tests.unit.stack_configuration import STACKS, document

README_STEPS: list[Mapping[str, Any]] = list(
    yaml.safe_load_all(fences(section(PAGES["README.md"], "A release, by hand"), "yaml")[0].body)
)
INCIDENT: Mapping[str, Any] = yaml.safe_load(
    fences(section(PAGES["docs/runbooks/incident.md"], "Give the weight to the other slot"), "yaml")[0].body
)


def shipped(stack: str) -> dict[str, Any]:
    return document(stack)["quikapp:release"]


def release(stated: Mapping[str, Any]) -> Release:
    return Release.model_validate_json(json.dumps(stated), by_alias=True, by_name=False)


def refused(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """What the guard says of a `pulumi up` from one release to the next."""
    now, then = release(before), release(after)
    return refusal(now.weights, then.weights, Terms.of(now), Terms.of(then))


@pytest.mark.parametrize("stable", ["v2.3.0", "v2.2.0", None])
def test_a_release_by_hand_goes_all_the_way_whatever_led_back_before(stable: str | None) -> None:
    steps: list[dict[str, Any]] = [{**shipped("live"), "stable": stable}]
    for step in README_STEPS:
        steps.append({**steps[-1], **step})
    assert [refused(before, after) for before, after in pairwise(steps)] == [None] * len(README_STEPS)
    assert release(steps[-1]).weights == Weights.giving(Slot.GREEN, 100)

    back = {**steps[-1], **INCIDENT, "green": {**INCIDENT["green"], "version": steps[-1]["green"]["version"]}}
    assert refused(steps[-1], back) is None


def test_only_the_first_step_changes_more_than_weights() -> None:
    _, *moves = README_STEPS
    assert {key for step in moves for key in step} == {"blue", "green"}


@pytest.mark.parametrize("stack", ["uat", "staging"])
def test_in_an_incident_the_weight_goes_to_the_other_slot_at_once(stack: str) -> None:
    assert shipped(stack)["green"]["weight"] == 100
    assert refused(shipped(stack), {**shipped(stack), **INCIDENT}) is None


@pytest.mark.parametrize("stable", ["v2.4.0", None])
def test_where_the_way_back_is_not_in_force_the_incident_page_says_what_to_do_first(
    stable: str | None,
) -> None:
    before = {**shipped("staging"), "stable": stable}
    after = {**before, **INCIDENT}
    assert "put `stable: v2.3.0` in force first" in (refused(before, after) or "")
    named = {**before, "stable": INCIDENT["stable"]}
    assert (refused(before, named), refused(named, after)) == (None, None)


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_file_names_the_slot_that_a_way_back_leads_to(stack: str) -> None:
    assert release(shipped(stack)).stable_slot is Slot.BLUE
