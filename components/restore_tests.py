"""Restore tests by schedule: what the vault of the recovery region holds is restored, timed and removed again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import pulumi
import pulumi_aws as aws

from components.policies import Arn, Statement, policy_document, trust_policy
from operations.backup import Data
from operations.limits import BACKUP_NAME_LENGTH, ROLE_NAME_LENGTH
from operations.naming import fit, join

START_WINDOW_HOURS: Final = 1
"""Within which a test begins; AWS Backup takes no less."""

SELECTION_WINDOW_DAYS: Final = 7
"""A test takes the newest recovery point of so many days: with an older one it would show too little, and is left out."""

DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

RESTORED: Final = "awsbackup-restore-test"
"""How the names begin of what a test restores; by them AWS Backup finds it again to remove it.

Source: https://docs.aws.amazon.com/aws-backup/latest/devguide/restore-testing-inferred-metadata.html
"""


@dataclass(frozen=True, kw_only=True)
class RestoreTestsArgs:
    """What is restored, how often, and where.

    Raises:
        ValueError: the tests are not 1 to 7 days apart.
    """

    prefix: str
    """How names begin, such as `quikapp-live`."""
    region: str
    """AWS region of vaults, key and network, such as `eu-central-1`."""
    every_days: int
    """Days from one test to the next at most, 1 to 7."""
    vault_arns: Mapping[Data, pulumi.Input[str]]
    """Vaults of database and files, each of which holds one kind of data."""
    key_arn: pulumi.Input[str]
    """Key of the vaults and of the copies in them; what is restored is encrypted with it, too."""
    cluster_key_arn: pulumi.Input[str]
    """Key of the cluster in this region. Its own snapshots lie under it, in whichever vault they are: only a copy from
    another region gets the vault's key.
    Source: https://docs.aws.amazon.com/aws-backup/latest/devguide/encryption.html
    """
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    """Private subnets in which a cluster is restored, in at least two zones."""
    zones: Sequence[str]
    """Full names of the zones of the subnets, such as `eu-central-1a`."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if not 1 <= self.every_days <= len(DAYS):
            raise ValueError(f"restore tests every {self.every_days} days: allowed is 1 to {len(DAYS)}")


class RestoreTests(pulumi.ComponentResource):
    """A restore testing plan for each kind of data.

    Tested is what the recovery region has, the copies and its own cluster's snapshots: to be restored they need everything
    that counts when home is gone, the snapshot, the copy and that region's keys and network. Each source is restored in a
    job of its own. AWS Backup removes what it has restored as soon as the test has ended; a bucket is emptied by a
    lifecycle rule first, which takes some days.

    A cluster is restored without an instance, and reachable by nobody: the time that is measured is that of its data.
    Source: https://docs.aws.amazon.com/aws-backup/latest/devguide/restore-testing.html
    """

    plan_arns: Mapping[Data, pulumi.Output[str]]
    """The testing plans, by which their restore jobs are found."""

    def __init__(self, name: str, args: RestoreTestsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:recovery:RestoreTests", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)

        role, granted = self._role()
        database = self._plan(Data.DATABASE, "Aurora", self._cluster_metadata(), role, granted)
        files = self._plan(Data.FILES, "S3", self._bucket_metadata(), role, granted)

        self.plan_arns = MappingProxyType({Data.DATABASE: database, Data.FILES: files})
        self.register_outputs({"planArns": dict(self.plan_arns)})

    def _tags(self, label: str) -> dict[str, str]:
        return {**self._args.tags, "Name": f"{self._args.prefix}-{label}"}

    def _plan(
        self,
        data: Data,
        resource_type: str,
        metadata: Mapping[str, pulumi.Input[str]],
        role: aws.iam.Role,
        granted: aws.iam.RolePolicy,
    ) -> pulumi.Output[str]:
        args = self._args
        # Names may hold letters, digits and underscores.
        plan_name = fit(f"{args.prefix}-{data}", BACKUP_NAME_LENGTH.value).replace("-", "_")
        plan = aws.backup.RestoreTestingPlan(
            f"{self._name}-{data}",
            name=plan_name,
            schedule_expression=schedule(args.every_days),
            start_window_hours=START_WINDOW_HOURS,
            recovery_point_selection=aws.backup.RestoreTestingPlanRecoveryPointSelectionArgs(
                algorithm="LATEST_WITHIN_WINDOW",
                include_vaults=[args.vault_arns[data]],
                recovery_point_types=["SNAPSHOT"],
                selection_window_days=SELECTION_WINDOW_DAYS,
            ),
            region=args.region,
            tags=self._tags(f"{data}-restore-test"),
            opts=self._child,
        )
        aws.backup.RestoreTestingSelection(
            f"{self._name}-{data}",
            name=str(data),
            restore_testing_plan_name=plan.name,
            protected_resource_type=resource_type,
            # Whatever the vault holds: after a failover that is another cluster.
            protected_resource_arns=["*"],
            restore_metadata_overrides=metadata,
            iam_role_arn=role.arn,
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted]),
        )
        return plan.arn

    def _cluster_metadata(self) -> dict[str, pulumi.Input[str]]:
        """Where a cluster is restored: in private subnets, behind a security group that lets nothing in or out."""
        args = self._args
        subnets = aws.rds.SubnetGroup(
            f"{self._name}-subnets",
            description=f"Restore tests of {args.prefix}",
            subnet_ids=args.subnet_ids,
            region=args.region,
            tags=self._tags("restore-test"),
            opts=self._child,
        )
        closed = aws.ec2.SecurityGroup(
            f"{self._name}-closed",
            description="Restore tests: nothing in, nothing out",
            vpc_id=args.vpc_id,
            region=args.region,
            tags=self._tags("restore-test"),
            opts=self._child,
        )
        return {
            "dbSubnetGroupName": subnets.name,
            # Lists are given as JSON. Left to itself, AWS Backup picks zones at random.
            "vpcSecurityGroupIds": closed.id.apply(lambda identifier: json.dumps([identifier])),
            "availabilityZones": json.dumps(list(args.zones)),
            "kmsKeyId": args.key_arn,
        }

    def _bucket_metadata(self) -> dict[str, pulumi.Input[str]]:
        """How a bucket is restored: under our key, and without access lists, which the original has none of."""
        return {"encryptionType": "SSE-KMS", "kmsKey": self._args.key_arn, "restoreACLs": "false"}

    def _role(self) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        """The role with which AWS Backup restores, and what grants it that."""
        args = self._args
        role_name = join(args.prefix, "restore-tests", limit=ROLE_NAME_LENGTH.value)
        keys = pulumi.Output.all(args.key_arn, args.cluster_key_arn)
        role = aws.iam.Role(
            f"{self._name}-role",
            name=role_name,
            description="AWS Backup restores recovery points for a test",
            assume_role_policy=keys.apply(lambda made: _trust(made[0])),
            tags={**args.tags, "Name": role_name},
            opts=self._child,
        )
        granted = aws.iam.RolePolicy(
            f"{self._name}-role",
            name="restore",
            role=role.name,
            policy=keys.apply(lambda made: permissions(made[0], cluster_key=made[1])),
            opts=self._child,
        )
        return role, granted


def schedule(every_days: int) -> str:
    """When tests begin: at 08:00 UTC, on weekdays that are never more than so many days apart, as a cron expression.

    The copies of the evening before have arrived by then.
    """
    return f"cron(0 8 ? * {','.join(DAYS[::every_days])} *)"


def permissions(vault_key: str, *, cluster_key: str) -> str:
    """What AWS Backup may do to restore what is encrypted with these keys, under the names of restore tests only.

    The actions are those of AWS's own policies for restores; what they may be done to is narrower (docs/adr/0017). Left out is
    what other kinds of data need, and of Aurora what is not done here: restoring from a continuous backup
    (`rds:RestoreDBClusterToPointInTime`). The cluster's key opens snapshots for RDS alone, as in AWS's policy.
    Sources: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupServiceRolePolicyForRestores.html,
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupServiceRolePolicyForS3Restore.html
    """
    key = Arn.parse(vault_key)
    uses = [
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ]
    rds = f"arn:{key.partition}:rds:{key.region}:{key.account}"
    bucket = f"arn:{key.partition}:s3:::{RESTORED}-*"
    return policy_document(
        # These only read, and know no resource.
        Statement(
            actions=[
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
            ],
            resources=["*"],
        ),
        Statement(
            actions=["rds:AddTagsToResource", "rds:RestoreDBClusterFromSnapshot"],
            resources=[
                f"{rds}:cluster:{RESTORED}*",
                f"{rds}:cluster-snapshot:awsbackup:*",
                f"{rds}:cluster-pg:*",
                f"{rds}:og:*",
                f"{rds}:subgrp:*",
            ],
        ),
        Statement(actions=["rds:DeleteDBCluster"], resources=[f"{rds}:cluster:{RESTORED}*"]),
        Statement(
            actions=[
                "s3:CreateBucket",
                "s3:GetBucketLocation",
                "s3:GetBucketOwnershipControls",
                "s3:GetBucketVersioning",
                "s3:ListBucket",
                "s3:ListBucketVersions",
                "s3:PutBucketOwnershipControls",
                "s3:PutBucketVersioning",
            ],
            resources=[bucket],
        ),
        Statement(
            actions=[
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
            ],
            resources=[f"{bucket}/*"],
        ),
        Statement(actions=["kms:DescribeKey"], resources=[vault_key, cluster_key]),
        Statement(actions=uses, resources=[vault_key]),
        Statement(
            actions=uses,
            resources=[cluster_key],
            conditions={"StringLike": {"kms:ViaService": "rds.*.amazonaws.com"}},
        ),
        Statement(
            actions=["kms:CreateGrant"],
            resources=[vault_key, cluster_key],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    )


def _trust(arn: str) -> str:
    """Lets AWS Backup take the role for jobs of the account that `arn` belongs to."""
    return trust_policy(
        "backup.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Arn.parse(arn).account}}
    )
