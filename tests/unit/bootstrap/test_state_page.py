"""docs/state.md and docs/drift.md: every name in them is one that the program makes, and every command is valid shell; what they leave to a
person is among the duties."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import yaml

from components.state_backend import REPLICATION_RULE
from operations.drift import Drift, Open, Replication, StateCopy, Unknown, actions
from operations.environments import EnvironmentName
from operations.limits import REPLICATION_TIME_MINUTES
from operations.pipeline import Purpose, github_environment, role_name
from operations.state import META_KEY, PROJECT, login_url, project_keys, secrets_provider, stack_keys
from settings import STATE, parse_state
from tests.unit.pages import PAGES, ROOT, section, table
from tests.unit.stack_configuration import configuration

STATE_PAGE, DRIFT_PAGE = PAGES["docs/state.md"], PAGES["docs/drift.md"]
STACK = STATE.removeprefix(f"{PROJECT}:")
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
    assert (ROOT / "bootstrap" / f"Pulumi.{STACK}.yaml").is_file()
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


# --- what a person looks at ----------------------------------------------------------------------------------------


def duties(when: str) -> list[str]:
    """What the maintenance guide wants looked at so often."""
    found, current = list[str](), ""
    for row in table(section(PAGES["docs/maintenance-guide.md"], "Duties")):
        current = row["when"] or current
        if current == when:
            found.append(row["look at"])
    return found


def test_whether_it_is_copied_is_asked_where_s3_tells_it_and_under_the_name_of_the_rule() -> None:
    """Failed operations are told in the region of the source.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html
    """
    asked = " ".join(commands(section(STATE_PAGE, "Is it copied")).replace("\\\n", " ").split())
    asked, _, mended = asked.partition("aws s3 sync ")
    home, copy = FACTS.bucket_name(REGION), FACTS.bucket_name(FACTS.recovery_region)
    assert asked.startswith(
        f"export AWS_REGION={REGION} aws cloudwatch get-metric-statistics --namespace AWS/S3 "
    )
    assert "--metric-name OperationsFailedReplication " in asked
    assert re.findall(r"Name=(\w+),Value=(\S+)", asked) == [
        ("SourceBucket", home),
        ("DestinationBucket", copy),
        ("RuleId", REPLICATION_RULE),
    ]
    # What no night asks of.
    (keys,) = re.findall(r"for KEY in (.+?); do", asked)
    assert keys.split() == [META_KEY, f".pulumi/stacks/{PROJECT}/{STACK}.json"]
    assert any(fnmatchcase(keys.split()[1], pattern) for pattern in project_keys(PROJECT))
    assert re.findall(r"head-object --bucket (\S+) --key (\S+)", asked) == [(home, '"$KEY"')]
    assert any("(state.md#is-it-copied)" in duty for duty in duties("every month"))
    # What S3 does not try again is copied once it is written once more.
    assert re.findall(r"BUCKET=(\S+)", mended) == [home]
    assert "s3api copy-object" in mended
    assert "--metadata-directive REPLACE" in mended, (
        "S3 takes no copy of an object onto itself that changes nothing"
    )


def test_nothing_is_carried_back_before_what_the_loss_cut_off_is_known_to_be_here() -> None:
    """`aws s3 sync` puts an older state over a newer one of another size."""
    back = commands(section(STATE_PAGE, "The region is lost"))
    before, sync = re.split(r"(?=aws s3 sync )", back)
    (keys,) = re.findall(r"for KEY in (.+?); do", before)
    name = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["name"]
    assert keys.split() == [*(f"{name}/{stack}" for stack in EnvironmentName), f"{PROJECT}/{STACK}"]
    assert f"for PLACE in {REGION} {FACTS.recovery_region}; do" in before
    assert ".pulumi/stacks/$KEY.json" in before
    assert "[LastModified,ReplicationStatus]" in before
    assert sync.startswith(
        f"aws s3 sync {login_url(FACTS.bucket_name(FACTS.recovery_region))} {login_url(FACTS.bucket_name(REGION))} "
    )
    assert "--delete" not in sync
    assert '--exclude ".pulumi/locks/*"' in sync


def test_an_issue_of_a_state_that_is_not_copied_leads_to_what_to_do_about_it() -> None:
    written, asked = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
    told = {
        status: Drift(
            stack=EnvironmentName.LIVE, copied=StateCopy(status=status, written=written, asked=asked)
        )
        for status in Replication
    }
    bad = {status for status, drift in told.items() if not drift.is_quiet}
    for status in bad:
        (opened,) = actions(told[status], [])
        assert isinstance(opened, Open)
        assert re.findall(r"docs/drift\.md#([\w-]+)", opened.body) == ["a-state-that-is-not-copied"]
    said = section(DRIFT_PAGE, "A state that is not copied")
    rows = table(said)
    assert {word for row in rows for word in re.findall(r"`([^`]+)`", row["S3 says"])} == bad
    assert f"`PENDING`, {REPLICATION_TIME_MINUTES.value} minutes" in said
    assert all(row["what to do"] for row in rows)
    for status in set(Replication) - bad:
        assert f"`{status}`" in said


def test_a_night_that_never_began_is_seen_by_a_person_every_day() -> None:
    shown = "gh run list --workflow drift.yml --branch main --limit 1"
    assert f"`{shown}`" in duties("every day")
    assert shown in commands(section(DRIFT_PAGE, "A night that fails"))
    assert "schedule:" in (ROOT / ".github" / "workflows" / "drift.yml").read_text()


def test_the_page_promises_of_the_copy_what_replication_time_control_does() -> None:
    assert f"99.99 % within {REPLICATION_TIME_MINUTES.value} minutes" in STATE_PAGE
    assert f"in the last {REPLICATION_TIME_MINUTES.value} minutes may not have been copied" in STATE_PAGE


def test_the_stack_that_no_night_looks_at_is_looked_at_by_an_administrator_every_month() -> None:
    assert STACK not in list(EnvironmentName)
    by_hand = commands(section(DRIFT_PAGE, "The home of the state"))
    assert f"pulumi login {login_url(FACTS.bucket_name(REGION))}\n" in by_hand
    assert f"pulumi preview --stack {STACK} --refresh --diff --expect-no-changes\n" in by_hand
    assert any("(drift.md#the-home-of-the-state)" in duty for duty in duties("every month"))


def test_an_issue_of_a_night_that_failed_leads_to_what_to_do_about_it() -> None:
    (opened,) = actions(Unknown(EnvironmentName.LIVE, "https://github.example/log"), [])
    assert isinstance(opened, Open)
    (anchor,) = re.findall(r"docs/drift\.md#([\w-]+)", opened.body)
    assert anchor == "a-night-that-fails"
    assert "what to do" in section(DRIFT_PAGE, "A night that fails")
