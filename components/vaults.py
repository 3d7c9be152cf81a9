"""Recovery points of database and files in vaults of two regions (the operations page, "Backup Schedule").

Kept by AWS Backup, beside what Aurora and S3 keep themselves, and behind locks: what a lock in compliance mode holds, nobody
deletes before its time. No lock guards a key, and without its key a recovery point cannot be read. Recovery points of files,
and every copy in the recovery region, lie under the key of their region's vaults; a snapshot of a cluster, at home or of the
replica, lies under that cluster's key. Whoever administers the account can have any of them deleted, in 7 to 30 days
(docs/adr/0017).
Source: https://docs.aws.amazon.com/aws-backup/latest/devguide/encryption.html

AWS Backup must be opted in to Aurora and to S3, once in each region of an account: `aws backup update-region-settings`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import pulumi
import pulumi_aws as aws

from components.policies import KEY_OF_AWS_BACKUP, Arn, Statement, policy_document, trust_policy
from operations.backup import Data
from operations.limits import (
    BACKUP_NAME_LENGTH,
    KEY_DELETION_WINDOW,
    LOCK_GRACE_MINIMUM,
    ROLE_NAME_LENGTH,
)
from operations.naming import join
from operations.recovery import Site
from operations.retention import LockMode, VaultPlan, checked

SCHEDULE: Final = "cron(0 20 * * ? *)"
"""Daily at 20:00 UTC: hours away from Aurora's own snapshot at 01:00, and from the maintenance on Sunday mornings."""

START_WINDOW_MINUTES: Final = 60
"""Within which a backup begins; AWS Backup takes no less."""

COMPLETION_WINDOW: Final[Mapping[Data, timedelta]] = MappingProxyType(
    {
        # A snapshot of a cluster is a matter of minutes: one that hangs is given up for the next one.
        Data.DATABASE: timedelta(hours=20),
        # The first one copies every file, which can take days; given up each night, there would never be one. AWS Backup
        # runs one job of a bucket at a time: those of the nights meanwhile expire, and the age tells of them.
        # https://docs.aws.amazon.com/aws-backup/latest/devguide/aws-backup-limits.html
        Data.FILES: timedelta(days=7),
    }
)
"""From its schedule on, the time in which a backup must be complete, or AWS Backup cancels it."""

LOCK_GRACE_DAYS: Final = LOCK_GRACE_MINIMUM.value
"""Days in which a lock in compliance mode can still be taken off, as few as AWS takes. Then nobody can, ever."""

SNAPSHOTS: Final = "cluster-snapshot:awsbackup:*"
"""What AWS Backup calls its snapshots of Aurora clusters, copies included."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Something that is backed up, in the region of the vault that it is backed up to."""

    arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    """The key that encrypts it."""


@dataclass(frozen=True, kw_only=True)
class Vault:
    """Where recovery points of one kind of data are, in one region."""

    region: str
    """AWS region, such as `eu-west-1`."""
    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    key_arn: pulumi.Output[str]
    """The key of what AWS Backup encrypts itself: files, and copies from the other region."""
    sources: Sequence[pulumi.Input[str]]
    """ARNs of all that has recovery points here: what is backed up to this vault, and what is copied to it."""


@dataclass(frozen=True, kw_only=True)
class VaultsArgs:
    """What is kept, for how long, and how hard it is to delete.

    Raises:
        ValueError: both regions are one; a plan has a trap, or is one that the vaults do not carry out; a lock stands on
            a vault that is not protected.
    """

    prefix: str
    """How names begin, such as `quikapp-live`."""
    regions: Mapping[Site, str]
    """AWS region of each site, such as `eu-west-1`."""
    cluster: Source
    """The Aurora cluster at home."""
    replica: Source | None = None
    """The cluster in the recovery region, which writes after a failover; None where there is none."""
    bucket: Source
    """The bucket of the files, at home and versioned."""
    database: VaultPlan
    files: VaultPlan
    protect: bool
    """Whether vaults and keys refuse to be destroyed, and recovery points to be deleted before their time."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.regions[Site.HOME] == self.regions[Site.RECOVERY]:
            raise ValueError(
                f"both regions are {self.regions[Site.HOME]}: a copy is lost together with what it copies"
            )
        for plan in (self.database, self.files):
            checked(plan)
            if plan.continuous or plan.cold_after_days is not None:
                raise ValueError(
                    f"{plan.name}: a vault keeps daily snapshots, warm: AWS Backup's continuous backup would take over the "
                    "cluster's own retention and window, and neither Aurora nor S3 has cold storage"
                )
            if plan.lock is not None and not self.protect:
                raise ValueError(f"{plan.name}: a locked vault cannot be emptied, so it has to be protected")


class Vaults(pulumi.ComponentResource):
    """A vault for each kind of data in each region, and daily recovery points in all of them.

    What is backed up at home is copied to the recovery region. Where a replica is, it is backed up there as well, so that
    backups go on without a change when it has become the writer.
    """

    vaults: Mapping[Data, Mapping[Site, Vault]]

    def __init__(self, name: str, args: VaultsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:vaults:Vaults", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        plans = {Data.DATABASE: args.database, Data.FILES: args.files}
        backed_up = [(Data.DATABASE, Site.HOME, args.cluster), (Data.FILES, Site.HOME, args.bucket)]
        if args.replica is not None:
            backed_up.append((Data.DATABASE, Site.RECOVERY, args.replica))

        keys = {site: self._key(site) for site in Site}
        self.vaults = MappingProxyType(
            {
                data: MappingProxyType(
                    {
                        site: self._vault(
                            data,
                            site,
                            plan,
                            keys[site],
                            # What is backed up at home is in both vaults.
                            [
                                source.arn
                                for of, at, source in backed_up
                                if of is data and at in (site, Site.HOME)
                            ],
                        )
                        for site in Site
                    }
                )
                for data, plan in plans.items()
            }
        )
        role, granted = self._role(keys)
        for data, site, source in backed_up:
            self._back_up(data, site, plans[data], source, role, granted)

        self.register_outputs(
            {
                "vaults": {
                    data: {site: vault.arn for site, vault in sites.items()}
                    for data, sites in self.vaults.items()
                }
            }
        )

    def _tags(self, label: str) -> dict[str, str]:
        return {**self._args.tags, "Name": f"{self._args.prefix}-{label}"}

    def _key(self, site: Site) -> aws.kms.Key:
        """The key of a region's vaults.

        It has KMS's default policy: who may use it is said by the account's IAM policies. A copy between regions of one
        account needs no more.
        Source: https://docs.aws.amazon.com/aws-backup/latest/devguide/encryption.html
        """
        args = self._args
        return aws.kms.Key(
            f"{self._name}-{site}-key",
            description=f"Recovery points of {args.prefix}: {site}",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_WINDOW.value,
            region=args.regions[site],
            tags=self._tags(f"vaults-{site}"),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )

    def _vault(
        self,
        data: Data,
        site: Site,
        plan: VaultPlan,
        key: aws.kms.Key,
        sources: Sequence[pulumi.Input[str]],
    ) -> Vault:
        args = self._args
        region = args.regions[site]
        name = f"{self._name}-{data}-{site}"
        vault = aws.backup.Vault(
            name,
            name=join(args.prefix, data, limit=BACKUP_NAME_LENGTH.value),
            kms_key_arn=key.arn,
            force_destroy=not args.protect,
            region=region,
            tags=self._tags(data),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        if args.protect:
            aws.backup.VaultPolicy(
                name,
                backup_vault_name=vault.name,
                policy=_kept(),
                region=region,
                opts=self._child,
            )
        if (lock := plan.lock) is not None:
            compliance = lock.mode is LockMode.COMPLIANCE
            aws.backup.VaultLockConfiguration(
                name,
                backup_vault_name=vault.name,
                changeable_for_days=LOCK_GRACE_DAYS if compliance else None,
                min_retention_days=lock.min_days,
                max_retention_days=lock.max_days,
                region=region,
                # AWS refuses every change once the grace is over, and a change is a replacement.
                opts=pulumi.ResourceOptions(parent=self, protect=compliance),
            )
        return Vault(region=region, name=vault.name, arn=vault.arn, key_arn=key.arn, sources=sources)

    def _role(self, keys: Mapping[Site, aws.kms.Key]) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        """The role with which AWS Backup reads what it backs up, and what grants it that."""
        args = self._args
        role_name = join(args.prefix, "backup", limit=ROLE_NAME_LENGTH.value)
        role = aws.iam.Role(
            f"{self._name}-backup",
            name=role_name,
            description="AWS Backup makes recovery points and copies them",
            assume_role_policy=keys[Site.HOME].arn.apply(_trust),
            tags={**args.tags, "Name": role_name},
            opts=self._child,
        )
        clusters = [args.cluster, *([] if args.replica is None else [args.replica])]
        vaults = [vault for sites in self.vaults.values() for vault in sites.values()]
        granted = aws.iam.RolePolicy(
            f"{self._name}-backup",
            name="backup",
            role=role.name,
            policy=pulumi.Output.all(
                pulumi.Output.all(*(cluster.arn for cluster in clusters)),
                pulumi.Output.all(*(cluster.key_arn for cluster in clusters)),
                args.bucket.arn,
                args.bucket.key_arn,
                pulumi.Output.all(*(vault.arn for vault in vaults)),
                pulumi.Output.all(*(key.arn for key in keys.values())),
            ).apply(
                lambda made: permissions(
                    clusters=made[0],
                    cluster_keys=made[1],
                    bucket=made[2],
                    bucket_key=made[3],
                    vaults=made[4],
                    vault_keys=made[5],
                )
            ),
            opts=self._child,
        )
        return role, granted

    def _back_up(
        self,
        data: Data,
        site: Site,
        plan: VaultPlan,
        source: Source,
        role: aws.iam.Role,
        granted: aws.iam.RolePolicy,
    ) -> None:
        """A recovery point a day; from home, a copy of it in the recovery region."""
        args = self._args
        region = args.regions[site]
        name = f"{self._name}-{data}-{site}"
        declared = aws.backup.Plan(
            name,
            name=join(args.prefix, data, limit=BACKUP_NAME_LENGTH.value),
            rules=[
                aws.backup.PlanRuleArgs(
                    rule_name="daily",
                    target_vault_name=self.vaults[data][site].name,
                    schedule=SCHEDULE,
                    start_window=START_WINDOW_MINUTES,
                    completion_window=COMPLETION_WINDOW[data] // timedelta(minutes=1),
                    lifecycle=aws.backup.PlanRuleLifecycleArgs(delete_after=plan.keep_days),
                    copy_actions=[
                        aws.backup.PlanRuleCopyActionArgs(
                            destination_vault_arn=self.vaults[data][Site.RECOVERY].arn,
                            lifecycle=aws.backup.PlanRuleCopyActionLifecycleArgs(delete_after=plan.copy_days),
                        )
                    ]
                    if site is Site.HOME
                    else [],
                    recovery_point_tags=self._tags(data),
                )
            ],
            region=region,
            tags=self._tags(data),
            opts=self._child,
        )
        aws.backup.Selection(
            name,
            name=str(data),
            plan_id=declared.id,
            iam_role_arn=role.arn,
            resources=[source.arn],
            region=region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted]),
        )


def _trust(arn: str) -> str:
    """Lets AWS Backup take the role for jobs of the account that `arn` belongs to."""
    return trust_policy(
        "backup.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Arn.parse(arn).account}}
    )


def permissions(
    *,
    clusters: Sequence[str],
    cluster_keys: Sequence[str],
    bucket: str,
    bucket_key: str,
    vaults: Sequence[str],
    vault_keys: Sequence[str],
) -> str:
    """What AWS Backup may do to make recovery points of these clusters and this bucket, given ARNs.

    The actions are those of AWS's own policies for backups, on these resources; AWS's policies hold for every bucket and
    cluster of the account (docs/adr/0017). Left out is what other kinds of data need, and of Aurora what is not done here:
    AWS Backup's continuous backup (`rds:ModifyDBCluster`, `rds:DeleteDBClusterAutomatedBackup`), and sharing snapshots with
    other accounts (`rds:ModifyDBClusterSnapshotAttribute`).
    Sources: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupServiceRolePolicyForBackup.html,
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupServiceRolePolicyForS3Backup.html
    """
    key = Arn.parse(vault_keys[0])
    arn = f"arn:{key.partition}"
    snapshots = f"{arn}:rds:*:{key.account}:{SNAPSHOTS}"
    points = f"{arn}:backup:*:{key.account}:recovery-point:*"
    return policy_document(
        # These only read, and know no resource.
        Statement(
            actions=[
                "cloudwatch:GetMetricData",
                "events:ListRules",
                "rds:DescribeDBClusterAutomatedBackups",
                "rds:DescribeDBClusterSnapshots",
                "rds:DescribeDBClusters",
                "rds:DescribeDBInstances",
                "rds:ListTagsForResource",
                "s3:ListAllMyBuckets",
                "tag:GetResources",
            ],
            resources=["*"],
        ),
        Statement(
            actions=["rds:AddTagsToResource", "rds:CopyDBClusterSnapshot", "rds:CreateDBClusterSnapshot"],
            resources=[*clusters, snapshots],
        ),
        Statement(actions=["rds:DeleteDBClusterSnapshot"], resources=[snapshots]),
        Statement(
            actions=[
                "s3:GetBucketAcl",
                "s3:GetBucketLocation",
                "s3:GetBucketNotification",
                "s3:GetBucketTagging",
                "s3:GetBucketVersioning",
                "s3:GetInventoryConfiguration",
                "s3:ListBucket",
                "s3:ListBucketVersions",
                "s3:ListTagsForResource",
                "s3:PutBucketNotification",
                "s3:PutInventoryConfiguration",
            ],
            resources=[bucket],
        ),
        Statement(
            actions=[
                "s3:GetObject",
                "s3:GetObjectAcl",
                "s3:GetObjectTagging",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
            ],
            resources=[f"{bucket}/*"],
        ),
        Statement(
            actions=[
                "events:DeleteRule",
                "events:DescribeRule",
                "events:DisableRule",
                "events:EnableRule",
                "events:ListTargetsByRule",
                "events:PutRule",
                "events:PutTargets",
                "events:RemoveTargets",
            ],
            resources=[f"{arn}:events:*:{key.account}:rule/AwsBackupManagedRule*"],
        ),
        Statement(
            actions=["kms:Decrypt", "kms:DescribeKey"],
            resources=[bucket_key],
            conditions={"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}},
        ),
        Statement(actions=["kms:DescribeKey"], resources=[*cluster_keys, *vault_keys]),
        Statement(
            actions=["kms:DescribeKey"],
            resources=[f"{arn}:kms:*:{key.account}:key/*"],
            conditions=KEY_OF_AWS_BACKUP,
        ),
        Statement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=vault_keys),
        Statement(
            actions=["kms:CreateGrant"],
            resources=[*cluster_keys, *vault_keys],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
        Statement(actions=["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"], resources=vaults),
        Statement(
            actions=["backup:CopyFromBackupVault"],
            resources=[points, snapshots],
            conditions={"ForAllValues:ArnLike": {"backup:CopyTargets": vaults}},
        ),
        Statement(actions=["backup:TagResource"], resources=[points]),
    )


def _kept() -> str:
    """Nobody deletes a recovery point or shortens its life, and AWS Backup does when its time is over.

    Whoever has to has to take this policy away first: that is a step of its own, which CloudTrail shows. Under a lock in
    compliance mode it does not help them.
    Source: https://docs.aws.amazon.com/aws-backup/latest/devguide/create-a-vault-access-policy.html
    """
    return policy_document(
        Statement(
            effect="Deny",
            principals={"AWS": ["*"]},
            actions=[
                "backup:DeleteRecoveryPoint",
                "backup:DisassociateRecoveryPoint",
                "backup:UpdateRecoveryPointLifecycle",
            ],
            resources=["*"],
        )
    )
