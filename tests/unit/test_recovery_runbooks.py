"""What the runbooks of recovery say is what is planned, their commands are commands, and what they name is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from components.state_backend import StateBackend, StateBackendArgs
from operations import promises
from operations.backup import Data, retention_days
from operations.environments import EnvironmentName
from operations.incidents import Step
from operations.recovery import Loss
from operations.slots import Slot
from operations.state import StackAccess, StateFacts
from rehearsal.recover.run import Scenario
from tests.unit.components.recording import ACCOUNT, record
from tests.unit.components.test_environment import environment, facts_of
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
            "Loses at most": promises.bound(recovery.point.loses),
            "In all, at most": promises.bound(recovery.time),
            "Of which": ", ".join(f"{part.step} {promises.bound(part.takes)}" for part in recovery.parts),
        }
        for recovery in promises.kept(facts_of("live").declared).recoveries
        if recovery.loss is _loss(page)
    ]


def test_who_has_no_reader_to_fail_over_to_is_named() -> None:
    """With the writer at home, and while it is in the recovery region: then the instances there count."""
    alone: dict[str, set[str]] = {"home": set(), "recovery": set()}
    for stack in EnvironmentName:
        stated = document(stack)
        if stated["quikapp:database"]["instances"] < 2:
            alone["home"].add(stack)
        if stated.get("quikapp:recovery", {"instances": 2})["instances"] < 2:
            alone["recovery"].add(stack)
    said = (
        f"one instance where the writer is ({', '.join(sorted(alone['home']))}; {', '.join(sorted(alone['recovery']))}, "
        "while `quikapp:recovery.writer` is `recovery`)"
    )
    assert said in " ".join(section(PAGES["loss-of-writer.md"], "Detection").split())


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
    "s3 cp": {"--only-show-errors", "--source-region", "--storage-class"},
    "s3 ls": {"--recursive", "--summarize"},
    "s3api copy-object": {"--bucket", "--copy-source", "--key", "--storage-class"},
    "s3api delete-object": {"--bucket", "--key", "--version-id"},
    "s3api get-object": {"--bucket", "--key", "--version-id"},
    "s3api get-object-lock-configuration": {"--bucket"},
    "s3api list-buckets": set(),
    "s3api list-object-versions": {"--bucket", "--prefix"},
    "s3api list-objects-v2": {"--bucket"},
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


# --- files that come back ------------------------------------------------------------------------------------------

AWS: Final = """\
import json, os, pathlib, sys

words = sys.argv[1:]
here = pathlib.Path(os.environ["HERE"])
if words[:2] == ["s3api", "list-objects-v2"]:
    listed = here / words[words.index("--bucket") + 1]
    if not listed.exists():
        sys.exit("NoSuchBucket")
    print(json.dumps(json.loads(listed.read_text()) or None))
elif words[:2] == ["s3", "cp"]:
    with (here / "copied").open("a") as log:
        log.write(json.dumps(words[2:4]) + "\\n")
else:
    sys.exit(f"not expected: {words}")
"""
"""A stand-in for the command line of AWS: buckets are files that list their keys, and what is copied is written down."""

JQ: Final = """\
import json, sys

assert sys.argv[1:] == ["-r", ".[]?"], sys.argv
for key in json.load(sys.stdin) or []:
    print(key)
"""


def brought_back(folder: Path, *, kept: list[str], there: list[str] | None) -> list[tuple[str, str]]:
    """What the runbook copies from the backup to the files where these are in the buckets; None is one that cannot be listed."""
    step = re.split(r"^\d\. ", section(PAGES["lost-file.md"], "Mitigation"), flags=re.MULTILINE)[5]
    (script,) = fences(step, "sh")
    tools = folder / "tools"
    tools.mkdir()
    for name, text in (("aws", AWS), ("jq", JQ)):
        (tools / name).write_text(f"#!{sys.executable}\n{text}")
        (tools / name).chmod(0o700)
    (folder / "the-backup").write_text(json.dumps(kept))
    if there is not None:
        (folder / "the-files").write_text(json.dumps(there))
    (folder / "missing").write_text("of-another-day\n")
    subprocess.run(
        ["bash", "-c", script.body],  # each line, whatever became of the one before, as at a prompt
        cwd=folder,
        env={
            "PATH": f"{tools}:/usr/bin:/bin",
            "HERE": str(folder),
            "BACKUP": "the-backup",
            "FILES": "the-files",
            "REGION": "eu-west-1",
            "RECOVERY": "eu-central-1",
        },
        capture_output=True,
        check=False,
    )
    log = folder / "copied"
    copied = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return sorted((source, destination) for source, destination in copied)


def test_only_files_that_are_missing_come_back_and_none_that_users_changed_is_overwritten(
    tmp_path: Path,
) -> None:
    kept = ["a/1.pdf", "a/10.pdf", 'b/it\'s a "name" with $HOME.txt', "c/ärger.txt", "Z/upper.txt", "-dash"]
    there = ["a/1.pdf", "Z/upper.txt", "new/since-then.txt"]
    assert brought_back(tmp_path, kept=kept, there=there) == sorted(
        (f"s3://the-backup/{key}", f"s3://the-files/{key}") for key in kept if key not in there
    )


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        pytest.param([], 2, id="a bucket that is empty gets all"),
        pytest.param(["a", "b", "c"], 0, id="one that lacks nothing gets nothing"),
        pytest.param(None, 0, id="one that cannot be listed is not taken for empty"),
    ],
)
def test_how_much_comes_back(tmp_path: Path, there: list[str] | None, wanted: int) -> None:
    assert len(brought_back(tmp_path, kept=["a", "b"], there=there)) == wanted


@every_page
def test_nothing_is_synchronized_onto_the_files_of_users(page: str) -> None:
    """`aws s3 sync` replaces what has another size, also where that is newer."""
    for line in _shell(page).splitlines():
        words = line.split()
        for at in (at for at in range(len(words)) if words[at : at + 3] == ["aws", "s3", "sync"]):
            assert "$FILES" not in words[at + 4], line


# --- the keys ------------------------------------------------------------------------------------------------------


def descriptions() -> set[str]:
    """Of every key that live and the home of the state have."""
    home = StateBackendArgs(
        facts=StateFacts(
            bucket="quikapp-state-test",
            recovery_region="eu-central-1",
            administrators=(f"arn:aws:iam::{ACCOUNT}:role/administrator",),
            stacks={
                EnvironmentName.LIVE: StackAccess(updates=(f"arn:aws:iam::{ACCOUNT}:role/live-pipeline",))
            },
            kept_days=90,
            owner="platform",
            cost_center="operations",
        ),
        region="eu-west-1",
        tags={"owner": "platform"},
    )
    found: set[str] = set()
    for program in (lambda: environment(facts_of("live")), lambda: StateBackend("state", home)):
        made = record(program)
        keys = (*made.of("aws:kms/key:Key"), *made.of("aws:kms/replicaKey:ReplicaKey"))
        found |= {key.inputs["description"] for key in keys}
        made.close()
    return found


def test_every_key_that_an_intruder_could_destroy_has_a_row_that_says_what_it_opens() -> None:
    triage = section(PAGES["ransomware.md"], "Triage")
    shown = triage[triage.index("   | key, by its description |") :].partition("\n\n")[0]
    rows = table(textwrap.dedent(shown))
    patterns = [
        ".+".join(map(re.escape, said.split("…")))
        for row in rows
        for said in re.findall(r"`([^`]+)`", row["key, by its description"])
    ]
    known = descriptions()
    for description in known:
        matching = [pattern for pattern in patterns if re.fullmatch(pattern, description)]
        assert len(matching) == 1, f"{description}: {matching}"
    for pattern in patterns:
        assert any(re.fullmatch(pattern, description) for description in known), pattern
    assert all(row["opens"] for row in rows)


def test_what_is_held_for_good_is_not_promised_of_a_copy_whose_lock_is_over() -> None:
    """ADR 16: the lock of a version counts from its creation, and a file that does not change has one version."""
    triage = section(PAGES["ransomware.md"], "Triage")
    rows = table(triage[triage.index("\n| copy |") + 1 :].partition("\n\n")[0])
    days = retention_days(Data.FILES)
    told = {row["copy"]: row["who can destroy it"] for row in rows if "backup bucket of live" in row["copy"]}
    locked, over = (told[copy] for copy in sorted(told, key=lambda copy: "lock is over" in copy))
    assert all(f"{days} days" in copy for copy in told)
    assert locked.startswith("nobody")
    assert "administrator" in over
    assert "the vault" in over


@every_page
def test_every_block_is_of_commands(page: str) -> None:
    assert {fence.language for fence in fences(PAGES[page])} <= {"sh"}
