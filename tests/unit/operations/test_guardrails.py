"""How firmly each environment is held to the guardrails, and that everybody who asks is told the same."""

import json
import tomllib

import pytest

from operations.environments import EnvironmentName
from operations.guardrails import ALLOWED_REGIONS, POLICY_PACK, Level, level, loses_nothing
from rehearsal.project import POLICY_PACK as REHEARSED_PACK
from rehearsal.project import Project
from tests.unit.stack_configuration import ROOT, STACKS, written


def test_dev_is_warned_and_everybody_else_is_refused() -> None:
    assert {name: level(name) for name in EnvironmentName} == {
        EnvironmentName.DEV: Level.ADVISORY,
        EnvironmentName.QA: Level.MANDATORY,
        EnvironmentName.UAT: Level.MANDATORY,
        EnvironmentName.STAGING: Level.MANDATORY,
        EnvironmentName.LIVE: Level.MANDATORY,
    }


def test_what_is_stateful_stays_from_staging_on_and_where_there_is_no_environment() -> None:
    assert {name for name in EnvironmentName if loses_nothing(name)} == {
        EnvironmentName.STAGING,
        EnvironmentName.LIVE,
    }
    assert loses_nothing(None)


@pytest.mark.parametrize("firmness", Level)
def test_each_level_has_the_configuration_that_sets_every_rule_to_it(firmness: Level) -> None:
    assert json.loads((ROOT / POLICY_PACK / firmness.file).read_text()) == {"all": firmness}


@pytest.mark.parametrize("stack", STACKS)
def test_a_rehearsal_is_held_to_what_its_environment_is(stack: str) -> None:
    pack = ROOT / POLICY_PACK
    file = pack / level(EnvironmentName(stack)).file
    assert Project(ROOT).policies(stack) == {
        "policy_packs": [str(pack)],
        "policy_pack_configs": [str(file)],
    }


def test_a_rehearsal_looks_for_the_pack_where_it_is() -> None:
    assert REHEARSED_PACK == POLICY_PACK
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["rehearsal"]["policy"]["advisory"]
    assert set(named) <= set(EnvironmentName)


@pytest.mark.parametrize("stack", STACKS)
def test_the_regions_of_every_stack_file_are_allowed(stack: str) -> None:
    config = written(stack)
    assert {config["aws:region"], config["quikapp:environment"]["recoveryRegion"]} <= set(ALLOWED_REGIONS)
