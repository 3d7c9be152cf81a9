"""What the runbooks of recovery say is what is planned, their commands are commands, and what they name is there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from operations import promises
from operations.incidents import Step
from operations.recovery import Loss, spelled
from operations.slots import Slot
from rehearsal.recover.run import Scenario
from tests.unit.components.test_environment import facts_of
from tests.unit.pages import code, fences, prose, section, table
from tests.unit.stack_configuration import document

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs/runbooks/recovery"
INDEX: Final = "README.md"
PAGES: Final = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.md"))}
RUNBOOKS: Final = sorted(PAGES.keys() - {INDEX})

every_page = pytest.mark.parametrize("page", PAGES)
every_runbook = pytest.mark.parametrize("page", RUNBOOKS)


def _title(page: str) -> str:
    return PAGES[page].splitlines()[0].removeprefix("# ")


def _loss(page: str) -> Loss:
    return next(loss for loss in Loss if loss.capitalize() == _title(page))


# --- what they say -------------------------------------------------------------------------------------------------


def test_every_loss_has_a_runbook_and_every_runbook_is_in_the_index() -> None:
    assert sorted(map(_title, RUNBOOKS)) == sorted(loss.capitalize() for loss in Loss)
    for page in RUNBOOKS:
        assert f"]({page})" in PAGES[INDEX]


@every_runbook
def test_a_runbook_walks_through_the_process_and_nothing_else(page: str) -> None:
    assert re.findall(r"^## (.+)$", prose(PAGES[page]), re.MULTILINE) == [*Step]


@every_runbook
def test_the_times_are_those_that_are_planned_for_live(page: str) -> None:
    assert table(section(PAGES[page], "Detection")) == [
        {
            "Comes back": recovery.subject,
            "Loses at most": spelled(recovery.point.loses),
            "In all, at most": spelled(_bounded(recovery.time)),
            "Of which": ", ".join(f"{part.step} {spelled(_bounded(part.takes))}" for part in recovery.parts),
        }
        for recovery in promises.kept(facts_of("live").declared).recoveries
        if recovery.loss is _loss(page)
    ]


def _bounded(span: Any) -> Any:
    assert span is not None, "in live somebody is called, and every time has a bound"
    return span


@every_runbook
def test_a_runbook_says_who_decides(page: str) -> None:
    assert "Who decides: " in section(PAGES[page], "Detection")


@every_runbook
def test_a_runbook_ends_with_a_preview_that_has_nothing_to_do(page: str) -> None:
    blocks = "\n".join(fence.body for fence in fences(section(PAGES[page], "Resolution"), "sh"))
    assert 'pulumi preview --stack "$STACK" --refresh --expect-no-changes' in blocks


def test_the_region_is_told_to_the_program_as_the_rehearsal_tells_it() -> None:
    from rehearsal.recover.region import HOME, RECOVERY, WRITER

    assert f"--path '{WRITER}' {RECOVERY}" in PAGES["loss-of-region.md"]
    assert document("live")["quikapp:recovery"]["writer"] == HOME


def test_every_scenario_that_is_rehearsed_is_in_the_index_and_no_other() -> None:
    assert sorted(re.findall(r"--scenario (\w+)", PAGES[INDEX])) == sorted(Scenario)


def linking(page: str) -> set[str]:
    """The runbooks of alerts, and that of every incident, from which a link leads to a page of recovery."""
    return {
        path.name for path in FOLDER.parent.glob("*.md") if f"](recovery/{page}" in prose(path.read_text())
    }


@every_runbook
def test_whoever_is_called_is_led_to_the_runbook_of_what_is_lost(page: str) -> None:
    assert linking(page), f"nobody who follows an alert comes to {page}"


@pytest.mark.parametrize("page", ["loss-of-region.md", "lost-cluster.md"])
def test_the_silence_that_a_lost_region_or_cluster_leaves_leads_to_its_runbook(page: str) -> None:
    """Its alerts are lost with it, so that the heartbeat's end is all that calls."""
    assert "watchdog.md" in linking(page)


# --- what they refer to --------------------------------------------------------------------------------------------


@every_page
def test_every_key_of_a_stack_file_that_is_named_is_one(page: str) -> None:
    for key in re.findall(r"quikapp:[a-zA-Z.]+", PAGES[page]):
        place: Any = document("live")
        group, *path = key.rstrip(".").split(".")
        for step in (group, *path):
            assert step in place, f"{page} names {key}"
            place = place[step]


@every_page
def test_every_source_file_that_is_named_is_there(page: str) -> None:
    for name in code(PAGES[page]):
        if re.fullmatch(r"[\w/]+\.py", name):
            assert (ROOT / name).is_file(), f"{page} names {name}"


def test_the_shell_reads_the_stack_file() -> None:
    """Even where neither the region nor Pulumi's state can be reached."""
    shell = "\n".join(
        line
        for line in fences(section(PAGES[INDEX], "Your shell"), "sh")[0].body.splitlines()
        if "sed -n" in line
    )
    for stack in ("dev", "live"):
        printed = subprocess.run(
            ["bash", "-euc", f'STACK={stack}\n{shell}\necho "$REGION,$RECOVERY,$WRITER"'],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout.strip()
        stated = document(stack)
        recovery = stated.get("quikapp:recovery", {"writer": ""})
        wanted = (stated["aws:region"], stated["quikapp:environment"]["recoveryRegion"], recovery["writer"])
        assert printed == ",".join(wanted)


@every_page
def test_every_namespace_is_one_of_a_slot(page: str) -> None:
    assert set(re.findall(r"kubectl -n (\S+)", PAGES[page])) <= {slot.namespace for slot in Slot}


# --- commands ------------------------------------------------------------------------------------------------------

COMMANDS: Final[Mapping[str, set[str]]] = {
    "acm request-certificate": {"--domain-name", "--validation-method"},
    "acm wait certificate-validated": {"--certificate-arn"},
    "backup create-backup-vault": {"--backup-vault-name", "--encryption-key-arn"},
    "backup describe-backup-vault": {"--backup-vault-name"},
    "backup describe-copy-job": {"--copy-job-id"},
    "backup describe-restore-job": {"--restore-job-id"},
    "backup list-recovery-points-by-backup-vault": {"--backup-vault-name"},
    "backup put-backup-vault-access-policy": {"--backup-vault-name", "--policy"},
    "backup start-copy-job": {
        "--destination-backup-vault-arn",
        "--iam-role-arn",
        "--recovery-point-arn",
        "--source-backup-vault-name",
    },
    "backup start-restore-job": {"--iam-role-arn", "--metadata", "--recovery-point-arn", "--resource-type"},
    "backup update-global-settings": {"--global-settings"},
    "cloudtrail lookup-events": {"--lookup-attributes", "--max-results"},
    "cloudwatch get-metric-statistics": {
        "--dimensions",
        "--end-time",
        "--metric-name",
        "--namespace",
        "--period",
        "--start-time",
        "--statistics",
    },
    "datasync list-tasks": set(),
    "datasync update-task": {"--schedule", "--task-arn"},
    "ec2 create-security-group": {"--description", "--group-name", "--vpc-id"},
    "ec2 delete-security-group": {"--group-id"},
    "ec2 describe-security-groups": {"--filters"},
    "ec2 describe-volumes": {"--filters"},
    "eks describe-cluster": {"--name"},
    "eks update-kubeconfig": {"--name"},
    "elbv2 describe-load-balancers": {"--names"},
    "iam attach-role-policy": {"--policy-arn", "--role-name"},
    "iam attach-user-policy": {"--policy-arn", "--user-name"},
    "iam create-role": {"--assume-role-policy-document", "--role-name"},
    "iam delete-role": {"--role-name"},
    "iam detach-role-policy": {"--policy-arn", "--role-name"},
    "iam detach-user-policy": {"--policy-arn", "--user-name"},
    "iam list-entities-for-policy": {"--policy-arn"},
    "iam list-roles": set(),
    "iam list-users": set(),
    "iam update-access-key": {"--access-key-id", "--status", "--user-name"},
    "kms cancel-key-deletion": {"--key-id"},
    "kms create-key": {"--description"},
    "kms describe-key": {"--key-id"},
    "kms enable-key": {"--key-id"},
    "kms get-key-policy": {"--key-id", "--policy-name"},
    "kms list-keys": set(),
    "kms put-key-policy": {"--key-id", "--policy", "--policy-name"},
    "rds copy-db-cluster-snapshot": {
        "--copy-tags",
        "--source-db-cluster-snapshot-identifier",
        "--target-db-cluster-snapshot-identifier",
    },
    "rds create-db-instance": {
        "--availability-zone",
        "--db-cluster-identifier",
        "--db-instance-class",
        "--db-instance-identifier",
        "--engine",
        "--no-publicly-accessible",
    },
    "rds delete-db-cluster": {"--db-cluster-identifier", "--skip-final-snapshot"},
    "rds delete-db-instance": {"--db-instance-identifier"},
    "rds describe-db-cluster-snapshots": set(),
    "rds describe-db-clusters": {"--db-cluster-identifier"},
    "rds describe-db-instances": {"--db-instance-identifier", "--filters"},
    "rds describe-db-subnet-groups": set(),
    "rds describe-events": {"--duration", "--source-identifier", "--source-type"},
    "rds describe-global-clusters": {"--global-cluster-identifier"},
    "rds failover-db-cluster": {"--db-cluster-identifier", "--target-db-instance-identifier"},
    "rds failover-global-cluster": {
        "--allow-data-loss",
        "--global-cluster-identifier",
        "--target-db-cluster-identifier",
    },
    "rds generate-db-auth-token": {"--hostname", "--port", "--username"},
    "rds modify-db-cluster": {
        "--apply-immediately",
        "--db-cluster-identifier",
        "--manage-master-user-password",
        "--master-user-secret-kms-key-id",
        "--new-db-cluster-identifier",
    },
    "rds modify-db-instance": {
        "--apply-immediately",
        "--db-instance-identifier",
        "--new-db-instance-identifier",
    },
    "rds restore-db-cluster-from-snapshot": {
        "--copy-tags-to-snapshot",
        "--db-cluster-identifier",
        "--db-subnet-group-name",
        "--enable-iam-database-authentication",
        "--engine",
        "--snapshot-identifier",
        "--vpc-security-group-ids",
    },
    "rds restore-db-cluster-to-point-in-time": {
        "--copy-tags-to-snapshot",
        "--db-cluster-identifier",
        "--db-subnet-group-name",
        "--enable-iam-database-authentication",
        "--restore-to-time",
        "--source-db-cluster-identifier",
        "--vpc-security-group-ids",
    },
    "rds switchover-global-cluster": {"--global-cluster-identifier", "--target-db-cluster-identifier"},
    "rds wait db-cluster-available": {"--db-cluster-identifier"},
    "rds wait db-instance-available": {"--db-instance-identifier"},
    "rds wait db-instance-deleted": {"--db-instance-identifier"},
    "route53 change-resource-record-sets": {"--change-batch", "--hosted-zone-id"},
    "route53 list-resource-record-sets": {"--hosted-zone-id"},
    "s3 cp": set(),
    "s3 ls": {"--recursive", "--summarize"},
    "s3 sync": {"--dryrun", "--source-region", "--storage-class"},
    "s3api copy-object": {"--bucket", "--copy-source", "--key", "--storage-class"},
    "s3api delete-object": {"--bucket", "--key", "--version-id"},
    "s3api get-object": {"--bucket", "--key", "--version-id"},
    "s3api get-object-lock-configuration": {"--bucket"},
    "s3api list-buckets": set(),
    "s3api list-object-versions": {"--bucket", "--prefix"},
    "sts get-caller-identity": set(),
}
"""Commands of the AWS CLI with options of theirs. All but `eks update-kubeconfig`, `rds generate-db-auth-token` and `s3` were compared
with the models of botocore 1.44.8, from which the CLI makes its commands; who adds one looks it up.

Source: https://docs.aws.amazon.com/cli/latest/reference/
"""

EVERYWHERE: Final = {"--region", "--query", "--output", "--cli-connect-timeout", "--cli-read-timeout"}
"""Options of the CLI itself.

Source: https://docs.aws.amazon.com/cli/latest/reference/
"""


@dataclass(frozen=True)
class AwsCommand:
    """A command of the AWS CLI: its service, its operation, its options."""

    service: str
    operation: str
    options: frozenset[str]


def _shell(page: str) -> str:
    """All commands of a page, a line each; dates, whose parentheses end nothing, are taken out."""
    blocks = [fence.body for fence in fences(PAGES[page], "sh")]
    inline = [text for text in code(PAGES[page]) if re.match(r"(aws|pulumi) \w", text)]
    joined = "\n".join([*blocks, *inline]).replace("\\\n", " ")
    return re.sub(r"\"\$\(date [^)]*\)\"", "DATE", joined)


def _aws(page: str) -> Iterator[AwsCommand]:
    for line in _shell(page).splitlines():
        for found in re.split(r"\baws (?=[a-z0-9]+ [a-z])", line)[1:]:
            # A command ends at a pipe, or where the substitution that it stands in does.
            words = re.split(r" \| |\)\"|\); do| && |\|\|", found)[0]
            service, operation, *rest = words.split()
            if operation == "wait":
                operation = f"wait {rest[0]}"
            plain = re.sub(r"'[^']*'", "", words)
            options = frozenset(re.findall(r"(?<=\s)--[a-z0-9-]+", plain)) - EVERYWHERE
            yield AwsCommand(service, operation, options)


@every_page
def test_every_command_of_aws_is_one_with_options_of_its_own(page: str) -> None:
    for command in _aws(page):
        said = f"{page}: aws {command.service} {command.operation}"
        known = COMMANDS.get(f"{command.service} {command.operation}")
        assert known is not None, said
        assert command.options <= known, f"{said}: {sorted(command.options - known)}"


def test_the_commands_of_aws_are_found_at_all() -> None:
    found = {(command.service, command.operation) for page in PAGES for command in _aws(page)}
    assert {
        ("rds", "failover-global-cluster"),
        ("rds", "switchover-global-cluster"),
        ("rds", "restore-db-cluster-to-point-in-time"),
        ("rds", "wait db-cluster-available"),
        ("s3api", "list-object-versions"),
        ("backup", "start-restore-job"),
        ("kms", "cancel-key-deletion"),
    } <= found
    failover = next(
        command for command in _aws("loss-of-region.md") if command.operation == "failover-global-cluster"
    )
    assert failover.options == {
        "--global-cluster-identifier",
        "--target-db-cluster-identifier",
        "--allow-data-loss",
    }


@every_page
def test_every_block_is_of_commands(page: str) -> None:
    assert {fence.language for fence in fences(PAGES[page])} <= {"sh"}
