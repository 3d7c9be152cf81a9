"""Restores are tested by schedule: often enough, of what counts, and without a trace."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest

from components.restore_tests import DAYS, RestoreTests, RestoreTestsArgs, schedule
from operations.backup import Data
from tests.unit.components.conftest import Record
from tests.unit.components.policy_decisions import granted
from tests.unit.components.recording import Recording

TAGS = {"environment": "test", "owner": "operations"}
REGION = "eu-central-1"
ACCOUNT = "123456789012"
VAULTS = {
    data: f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:quikapp-test-{data}"
    for data in (Data.DATABASE, Data.FILES)
}
VAULT_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/vaults"
CLUSTER_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/replica"

PLAN = "aws:backup/restoreTestingPlan:RestoreTestingPlan"
SELECTION = "aws:backup/restoreTestingSelection:RestoreTestingSelection"


def restore_tests(record: Record, *, every_days: int = 7) -> Recording[RestoreTests]:
    return record(
        lambda: RestoreTests(
            "tests",
            RestoreTestsArgs(
                prefix="quikapp-test",
                region=REGION,
                every_days=every_days,
                vault_arns=VAULTS,
                key_arn=VAULT_KEY,
                cluster_key_arn=CLUSTER_KEY,
                vpc_id="vpc-1",
                subnet_ids=["subnet-1", "subnet-2"],
                zones=["eu-central-1a", "eu-central-1b"],
                tags=TAGS,
            ),
        )
    )


def metadata(made: Recording[RestoreTests], data: Data) -> dict[str, Any]:
    return made.one(SELECTION, f"tests-{data}").inputs["restoreMetadataOverrides"]


def policy(made: Recording[RestoreTests]) -> str:
    """What the one role may do."""
    return made.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"]


def allowed(made: Recording[RestoreTests]) -> list[dict[str, Any]]:
    return json.loads(policy(made))["Statement"]


@pytest.mark.parametrize(("data", "kind"), [(Data.DATABASE, "Aurora"), (Data.FILES, "S3")])
def test_the_newest_copy_of_each_kind_of_data_is_restored(record: Record, data: Data, kind: str) -> None:
    made = restore_tests(record)
    plan = made.one(PLAN, f"tests-{data}").inputs
    assert plan["recoveryPointSelection"] == {
        "algorithm": "LATEST_WITHIN_WINDOW",
        "includeVaults": [VAULTS[data]],
        "recoveryPointTypes": ["SNAPSHOT"],
        "selectionWindowDays": 7,
    }
    selection = made.one(SELECTION, f"tests-{data}").inputs
    assert selection["restoreTestingPlanName"] == plan["name"]
    assert selection["protectedResourceType"] == kind
    assert selection["protectedResourceArns"] == ["*"]


@pytest.mark.parametrize("every_days", range(1, 8))
def test_tests_are_never_further_apart_than_said(record: Record, every_days: int) -> None:
    for plan in restore_tests(record, every_days=every_days).of(PLAN):
        found = re.fullmatch(r"cron\(0 8 \? \* ([A-Z,]+) \*\)", plan.inputs["scheduleExpression"])
        assert found
        days = [DAYS.index(day) for day in found.group(1).split(",")]
        gaps = [later - earlier for earlier, later in pairwise([*days, days[0] + 7])]
        assert max(gaps) <= every_days


def test_once_a_week_is_once_a_week() -> None:
    assert schedule(7) == "cron(0 8 ? * SUN *)"


@pytest.mark.parametrize("every_days", [0, 8])
def test_tests_too_often_or_too_seldom_are_refused(record: Record, every_days: int) -> None:
    with pytest.raises(ValueError, match=f"every {every_days} days: allowed is 1 to 7"):
        restore_tests(record, every_days=every_days)


def test_a_restored_cluster_is_encrypted_private_and_reachable_by_nobody(record: Record) -> None:
    made = restore_tests(record)
    restored = metadata(made, Data.DATABASE)
    group = made.one("aws:ec2/securityGroup:SecurityGroup")
    assert restored == {
        "dbSubnetGroupName": made.one("aws:rds/subnetGroup:SubnetGroup").outputs["name"],
        "vpcSecurityGroupIds": json.dumps([group.id]),
        "availabilityZones": '["eu-central-1a", "eu-central-1b"]',
        "kmsKeyId": VAULT_KEY,
    }
    assert made.one("aws:rds/subnetGroup:SubnetGroup").inputs["subnetIds"] == ["subnet-1", "subnet-2"]
    assert group.inputs["vpcId"] == "vpc-1"
    assert "ingress" not in group.inputs
    assert made.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule") == []
    assert made.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule") == []


def test_restored_files_are_encrypted_with_the_key_of_the_vault(record: Record) -> None:
    assert metadata(restore_tests(record), Data.FILES) == {
        "encryptionType": "SSE-KMS",
        "kmsKey": VAULT_KEY,
        "restoreACLs": "false",
    }


def test_a_test_begins_within_the_hour(record: Record) -> None:
    """Left to itself, AWS Backup may begin any time within a day, and a test that is late is not yet overdue."""
    assert [plan.inputs["startWindowHours"] for plan in restore_tests(record).of(PLAN)] == [1, 1]


def test_what_was_restored_is_removed_as_soon_as_the_test_has_ended(record: Record) -> None:
    for selection in restore_tests(record).of(SELECTION):
        assert "validationWindowHours" not in selection.inputs


def test_plans_have_names_that_aws_backup_takes(record: Record) -> None:
    for plan in restore_tests(record).of(PLAN):
        assert re.fullmatch(r"[A-Za-z0-9_]{1,50}", plan.inputs["name"])


def test_the_role_restores_under_the_names_of_tests_only(record: Record) -> None:
    writes = {
        resource
        for statement in allowed(restore_tests(record))
        for action in statement["Action"]
        for resource in statement["Resource"]
        if action.startswith("s3:") or action == "rds:DeleteDBCluster"
    }
    assert writes == {
        f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:awsbackup-restore-test*",
        "arn:aws:s3:::awsbackup-restore-test-*",
        "arn:aws:s3:::awsbackup-restore-test-*/*",
    }


def test_no_cluster_but_a_tests_own_can_be_made(record: Record) -> None:
    (restores,) = [
        statement["Resource"]
        for statement in allowed(restore_tests(record))
        if "rds:RestoreDBClusterFromSnapshot" in statement["Action"]
    ]
    clusters = [arn for arn in restores if ":cluster:" in arn or arn == "*"]
    assert clusters == [f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:awsbackup-restore-test*"]


def test_what_only_reads_is_all_that_holds_for_every_resource(record: Record) -> None:
    everywhere = [
        action
        for statement in allowed(restore_tests(record))
        for action in statement["Action"]
        if "*" in statement["Resource"]
    ]
    assert everywhere
    assert [
        action for action in everywhere if not action.split(":")[1].startswith(("Describe", "List"))
    ] == []


def test_the_role_opens_copies_with_the_vaults_key_and_snapshots_with_the_clusters_own(
    record: Record,
) -> None:
    """A snapshot keeps the key of its cluster, in whichever vault it lies."""
    keys = {
        resource
        for statement in allowed(restore_tests(record))
        for action in statement["Action"]
        for resource in statement["Resource"]
        if action.startswith("kms:")
    }
    assert keys == {VAULT_KEY, CLUSTER_KEY}


def test_what_the_role_may_do_and_to_what(record: Record) -> None:
    rds = f"arn:aws:rds:{REGION}:{ACCOUNT}"
    anyhow = "{}"
    by_rds = '{"StringLike": {"kms:ViaService": "rds.*.amazonaws.com"}}'
    for_aws = '{"Bool": {"kms:GrantIsForAWSResource": "true"}}'
    crypt = {
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    }
    restore = {"rds:AddTagsToResource", "rds:RestoreDBClusterFromSnapshot"}
    assert granted(policy(restore_tests(record))) == {
        ("*", anyhow): {
            "ec2:DescribeAccountAttributes",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeInternetGateways",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
            "rds:DescribeDBClusterSnapshots",
            "rds:DescribeDBClusters",
            "rds:DescribeDBInstances",
            "rds:ListTagsForResource",
        },
        (f"{rds}:cluster:awsbackup-restore-test*", anyhow): {*restore, "rds:DeleteDBCluster"},
        (f"{rds}:cluster-snapshot:awsbackup:*", anyhow): restore,
        (f"{rds}:cluster-pg:*", anyhow): restore,
        (f"{rds}:og:*", anyhow): restore,
        (f"{rds}:subgrp:*", anyhow): restore,
        ("arn:aws:s3:::awsbackup-restore-test-*", anyhow): {
            "s3:CreateBucket",
            "s3:GetBucketLocation",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketVersioning",
            "s3:ListBucket",
            "s3:ListBucketVersions",
            "s3:PutBucketOwnershipControls",
            "s3:PutBucketVersioning",
        },
        ("arn:aws:s3:::awsbackup-restore-test-*/*", anyhow): {
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:GetObjectAcl",
            "s3:GetObjectTagging",
            "s3:GetObjectVersion",
            "s3:GetObjectVersionAcl",
            "s3:ListMultipartUploadParts",
            "s3:PutObject",
            "s3:PutObjectAcl",
            "s3:PutObjectTagging",
            "s3:PutObjectVersionAcl",
        },
        (VAULT_KEY, anyhow): {"kms:DescribeKey", *crypt},
        (CLUSTER_KEY, anyhow): {"kms:DescribeKey"},
        (CLUSTER_KEY, by_rds): crypt,
        (VAULT_KEY, for_aws): {"kms:CreateGrant"},
        (CLUSTER_KEY, for_aws): {"kms:CreateGrant"},
    }


def test_aws_backup_takes_the_role_for_this_account_only(record: Record) -> None:
    role = restore_tests(record).one("aws:iam/role:Role")
    (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": ["backup.amazonaws.com"]}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_a_test_begins_when_the_role_may_restore(record: Record) -> None:
    made = restore_tests(record)
    granted = made.one("aws:iam/rolePolicy:RolePolicy").urn
    assert [selection.name for selection in made.of(SELECTION) if granted not in selection.dependencies] == []


def test_the_plans_are_told_by_data(record: Record) -> None:
    made = restore_tests(record)
    for data in VAULTS:
        assert made.value(made.result.plan_arns[data]) == made.one(PLAN, f"tests-{data}").outputs["arn"]


def test_everything_is_tagged_in_its_region_and_closed(record: Record) -> None:
    made = restore_tests(record)
    made.assert_tagged(TAGS)
    made.assert_in_region(REGION)
    made.assert_least_privilege()
