"""docs/state.md and docs/drift.md: every name in them is one that the program makes, and every command is valid shell."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from operations.environments import EnvironmentName
from operations.pipeline import Purpose, github_environment, role_name
from operations.state import PROJECT, login_url, secrets_provider, stack_keys
from settings import STATE, parse_state
from tests.unit.stack_configuration import configuration

ROOT = Path(__file__).parents[3]
PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("state.md", "drift.md")}
STATE_PAGE, DRIFT_PAGE = PAGES["state.md"], PAGES["drift.md"]
REGION, FACTS = parse_state(
    "backend",
    configuration(yaml.safe_load((ROOT / "bootstrap" / "Pulumi.backend.yaml").read_text())["config"]),
)
BUCKETS = {FACTS.bucket_name(REGION), FACTS.bucket_name(FACTS.recovery_region)}


def commands(text: str) -> str:
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def test_every_bucket_is_one_of_the_two_and_both_are_named() -> None:
    assert set(re.findall(rf"\b{FACTS.bucket}-[a-z]+-[a-z]+-\d", STATE_PAGE)) == BUCKETS
    assert {login_url(bucket) for bucket in BUCKETS} == set(re.findall(r"s3://[\w-]+", STATE_PAGE))


def test_a_stack_is_encrypted_under_its_own_name() -> None:
    shown = re.findall(r"stack init (\w+) --secrets-provider \"([^\"]+)\"", STATE_PAGE)
    assert [stack for stack, _ in shown] == ["backend", "live"]
    for stack, provider in shown:
        assert provider == secrets_provider(FACTS.secrets_alias, stack)


def test_every_login_is_to_the_bucket_of_the_region_that_was_chosen() -> None:
    region, logins = "", 0
    for line in commands(STATE_PAGE).splitlines():
        if chosen := re.fullmatch(r"export AWS_REGION=(\S+)", line):
            region = chosen[1]
        elif line.startswith("pulumi login s3://"):
            assert line == f"pulumi login {login_url(FACTS.bucket_name(region))}"
            logins += 1
    assert logins == 3


def test_the_key_that_is_restored_is_that_of_the_programs_stack() -> None:
    name = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["name"]
    key = re.search(r"^KEY=(\S+)", STATE_PAGE, re.MULTILINE)
    assert key is not None
    assert key[1] == f".pulumi/stacks/{name}/live.json"
    assert any(fnmatchcase(key[1], pattern) for pattern in stack_keys("live"))


def test_the_bootstraps_stack_is_called_as_its_file() -> None:
    assert (ROOT / "bootstrap" / f"Pulumi.{STATE.removeprefix(f'{PROJECT}:')}.yaml").is_file()
    assert set(re.findall(r"--stack (\w+)", commands(STATE_PAGE))) == {"backend", "live"}


def test_the_roles_and_environments_of_the_pages_are_those_that_are_declared_and_that_the_workflow_uses() -> (
    None
):
    for stack in EnvironmentName:
        assert f"`{github_environment(stack, Purpose.DRIFT)}`" in DRIFT_PAGE
    for purpose in Purpose:
        assert f"`{role_name(EnvironmentName.LIVE, purpose)}`".replace("live", "<stack>") in STATE_PAGE
        assert f"`{github_environment(EnvironmentName.LIVE, purpose)}`" in STATE_PAGE
    assert "quikapp-<stack>-drift" in DRIFT_PAGE
    workflow = (ROOT / ".github" / "workflows" / "drift.yml").read_text()
    for variable in re.findall(r"vars\.(\w+)", workflow):
        assert f"`{variable}`" in DRIFT_PAGE


def test_the_outputs_that_the_page_asks_for_are_those_of_the_program() -> None:
    program = (ROOT / "bootstrap" / "__main__.py").read_text()
    asked = re.findall(r"pulumi stack output (\w+)", STATE_PAGE)
    assert asked == ["roles", "permissionsBoundaries"]
    assert all(f'pulumi.export("{output}"' in program for output in asked)


def test_the_lines_for_a_stack_file_are_what_it_takes_from_this_bootstrap() -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", STATE_PAGE, re.MULTILINE | re.DOTALL)
    stated = yaml.safe_load(shown)
    live = EnvironmentName.LIVE
    assert stated["quikapp:environment"] == {"permissionsBoundary": FACTS.boundary_arn(live)}
    assert stated["quikapp:cluster"]["administrators"][1:] == [
        FACTS.role_arn(live, purpose) for purpose in Purpose
    ]
