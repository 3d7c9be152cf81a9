"""The home of Pulumi's own state: a locked bucket, its copy in the recovery region, and the key of the stacks' secrets.

Whoever reads the state of a stack and may use its key knows every secret of the environment, and whoever deletes it
takes away what says which resources are ours. So both buckets are closed to everybody whom the stack file does not
name, however much IAM allows them; each role reaches its own stack's keys alone; and a version that was written stays
for as long as it is locked, whoever asks (docs/adr/0019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.buckets import (
    Delivery,
    LifecycleRule,
    PrivateBucket,
    PrivateBucketArgs,
    abort_uploads,
    drop_delete_markers,
    encrypted_with,
    every_object,
    expire_noncurrent,
)
from components.policies import Arn, Conditions, Statement, policy_document, trust_policy
from operations.limits import (
    KEY_DELETION_WINDOW,
    REPLICATION_TIME_MINUTES,
    ROLE_NAME_LENGTH,
)
from operations.naming import fit
from operations.state import (
    META_KEY,
    PROJECT,
    STACK_CONTEXT,
    StateFacts,
    login_url,
    project_keys,
    secrets_provider,
    stack_keys,
)

ACCESS_LOG_DAYS: Final = 365
"""Days for which who read or wrote the state can be looked up."""

REPLICATION_RULE: Final = "to-recovery-region"
"""Name of the one rule by which the state is copied: S3's metrics of the copying are kept under it."""

_READ: Final = ("s3:GetObject",)
_WRITE: Final = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")

_ANY_READ: Final = ("s3:GetObject*",)
_ANY_WRITE: Final = ("s3:PutObject*", "s3:DeleteObject*")

_LOOSENING: Final = (
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObjectVersion",
    "s3:PutBucketLogging",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
)
"""What takes a version away, or something that protects it."""

_KEY_USE: Final = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")
_KEY_LOSS: Final = ("kms:DisableKey", "kms:ScheduleKeyDeletion")


@dataclass(frozen=True, kw_only=True)
class StateBucketArgs:
    """What the bucket of one region is made of."""

    facts: StateFacts
    region: str
    """AWS region, such as `eu-west-1`."""
    replication_role_arn: pulumi.Input[str]
    """Role with which S3 copies from the one bucket to the other."""
    after: Sequence[pulumi.Resource]
    """See `StateBackendArgs.after`."""
    tags: Mapping[str, str]


class StateBucket(pulumi.ComponentResource):
    """The state in one region: versioned, locked, encrypted with a key of its own, and a log of who came.

    Home and copy are made alike, since the copy is the home once the region is lost.
    """

    bucket: aws.s3.Bucket
    versioning: aws.s3.BucketVersioning
    """Has to be there before anything is copied to or from the bucket."""
    kms_key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: StateBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:state:StateBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        facts = args.facts

        key = aws.kms.Key(
            f"{name}-key",
            description=f"Pulumi's state: {name}",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_WINDOW.value,
            policy=_bucket_key_policy(facts, args.region),
            region=args.region,
            tags={**args.tags, "Name": name},
            opts=pulumi.ResourceOptions(parent=self, protect=True, depends_on=args.after),
        )
        self.kms_key_arn = key.arn
        self.bucket = aws.s3.Bucket(
            name,
            bucket=facts.bucket_name(args.region),
            object_lock_enabled=True,
            force_destroy=False,
            region=args.region,
            tags={**args.tags, "Name": name},
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        # S3 refuses changes to one bucket's access that arrive at the same time, so these come one by one.
        blocked = aws.s3.BucketPublicAccessBlock(
            f"{name}-public-access",
            bucket=self.bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            region=args.region,
            opts=child,
        )
        owned = aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=self.bucket.bucket,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[blocked]),
        )
        aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.bucket.bucket,
            policy=pulumi.Output.all(self.bucket.arn, args.replication_role_arn).apply(
                lambda arns: _bucket_policy(facts, bucket_arn=arns[0], replication_role_arn=arns[1])
            ),
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[owned, *args.after]),
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.bucket.bucket,
            rules=[encrypted_with(key.arn)],
            region=args.region,
            opts=child,
        )
        self.versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=self.bucket.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            region=args.region,
            opts=child,
        )
        versioned = pulumi.ResourceOptions(parent=self, depends_on=[self.versioning])
        aws.s3.BucketObjectLockConfiguration(
            f"{name}-lock",
            bucket=self.bucket.bucket,
            rule=aws.s3.BucketObjectLockConfigurationRuleArgs(
                default_retention=aws.s3.BucketObjectLockConfigurationRuleDefaultRetentionArgs(
                    mode="COMPLIANCE", days=facts.kept_days
                )
            ),
            region=args.region,
            opts=versioned,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.bucket.bucket,
            rules=[
                # The lock of a version began before it was superseded, and is over by then.
                expire_noncurrent(facts.kept_days),
                drop_delete_markers(),
                abort_uploads(),
            ],
            region=args.region,
            opts=versioned,
        )
        self._log_access(name, args)
        self.register_outputs({"bucketName": self.bucket.bucket, "kmsKeyArn": self.kms_key_arn})

    def _log_access(self, name: str, args: StateBucketArgs) -> None:
        """Who read or wrote what. S3 delivers to no bucket that has Object Lock, so it is one without.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html
        """
        log = PrivateBucket(
            f"{name}-access",
            PrivateBucketArgs(
                bucket_prefix=f"{args.facts.bucket}-access",
                region=args.region,
                kms_key_arn=None,
                versioned=False,
                lifecycle=[
                    LifecycleRule(
                        id="retain",
                        status="Enabled",
                        filter=every_object(),
                        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(
                            days=ACCESS_LOG_DAYS
                        ),
                    )
                ],
                # S3 delivers within one account and region only, so nobody else's log can end up here.
                delivery=Delivery(service="logging.s3.amazonaws.com", keys="*"),
                protect=True,
                tags=args.tags,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.s3.BucketLogging(
            f"{name}-logging",
            bucket=self.bucket.bucket,
            target_bucket=log.bucket_name,
            target_prefix="state/",
            region=args.region,
            # Delivery is refused until the log's bucket lets it in.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[log]),
        )


@dataclass(frozen=True, kw_only=True)
class StateBackendArgs:
    """What the home of the state is made of."""

    facts: StateFacts
    region: str
    """AWS region of the bucket that is written to, such as `eu-west-1`."""
    after: Sequence[pulumi.Resource] = ()
    """What makes some of the principals: AWS takes none in a policy that is not there."""
    tags: Mapping[str, str]


class StateBackend(pulumi.ComponentResource):
    """Bucket, copy in the recovery region, and one key for the secrets of all stacks that works in both regions."""

    login: pulumi.Output[str]
    """What `pulumi login` takes."""
    recovery_login: pulumi.Output[str]
    """What it takes once the region is lost."""
    secrets_providers: pulumi.Output[Mapping[str, str]]
    """What `pulumi stack init --secrets-provider` takes, by stack."""

    def __init__(self, name: str, args: StateBackendArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:state:StateBackend", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)

        role_name = fit(f"{args.facts.bucket}-replication", ROLE_NAME_LENGTH.value)
        role = aws.iam.Role(
            f"{name}-replication",
            name=role_name,
            description="S3 copies Pulumi's state to the recovery region",
            # AWS documents no condition here, and one that S3 does not meet would stop the copying without a word. Nobody
            # else's bucket gets to use the role: whoever names it in a replication needs iam:PassRole in this account.
            # Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
            assume_role_policy=trust_policy("s3.amazonaws.com"),
            tags={**args.tags, "Name": role_name},
            opts=self._child,
        )
        home = self._bucket(f"{name}-home", args.region, role)
        recovery = self._bucket(f"{name}-recovery", args.facts.recovery_region, role)
        self._replicate(home, recovery, role)
        alias = self._declare_secrets_key()

        self.login = home.bucket.bucket.apply(login_url)
        self.recovery_login = recovery.bucket.bucket.apply(login_url)
        self.secrets_providers = alias.apply(
            lambda made: {stack: secrets_provider(made, stack) for stack in args.facts.stacks}
        )
        self.register_outputs(
            {
                "login": self.login,
                "recoveryLogin": self.recovery_login,
                "secretsProviders": self.secrets_providers,
            }
        )

    def _bucket(self, name: str, region: str, role: aws.iam.Role) -> StateBucket:
        return StateBucket(
            name,
            StateBucketArgs(
                facts=self._args.facts,
                region=region,
                replication_role_arn=role.arn,
                after=self._args.after,
                tags=self._args.tags,
            ),
            opts=self._child,
        )

    def _replicate(self, home: StateBucket, recovery: StateBucket, role: aws.iam.Role) -> None:
        """Copy every version, and every delete marker.

        Without the markers the copy would still show each lock that an update ever took, and be locked for good.
        """
        permitted = aws.iam.RolePolicy(
            f"{self._name}-replication",
            role=role.name,
            policy=pulumi.Output.all(
                home.bucket.arn, home.kms_key_arn, recovery.bucket.arn, recovery.kms_key_arn
            ).apply(lambda arns: _replication_policy(*arns)),
            opts=self._child,
        )
        window = REPLICATION_TIME_MINUTES.value
        aws.s3.BucketReplicationConfig(
            f"{self._name}-replication",
            bucket=home.bucket.bucket,
            role=role.arn,
            rules=[
                aws.s3.BucketReplicationConfigRuleArgs(
                    id=REPLICATION_RULE,
                    status="Enabled",
                    priority=0,
                    filter=aws.s3.BucketReplicationConfigRuleFilterArgs(prefix=""),
                    delete_marker_replication=aws.s3.BucketReplicationConfigRuleDeleteMarkerReplicationArgs(
                        status="Enabled"
                    ),
                    source_selection_criteria=aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaArgs(
                        sse_kms_encrypted_objects=aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaSseKmsEncryptedObjectsArgs(
                            status="Enabled"
                        )
                    ),
                    destination=aws.s3.BucketReplicationConfigRuleDestinationArgs(
                        bucket=recovery.bucket.arn,
                        encryption_configuration=aws.s3.BucketReplicationConfigRuleDestinationEncryptionConfigurationArgs(
                            replica_kms_key_id=recovery.kms_key_arn
                        ),
                        replication_time=aws.s3.BucketReplicationConfigRuleDestinationReplicationTimeArgs(
                            status="Enabled",
                            time=aws.s3.BucketReplicationConfigRuleDestinationReplicationTimeTimeArgs(
                                minutes=window
                            ),
                        ),
                        metrics=aws.s3.BucketReplicationConfigRuleDestinationMetricsArgs(
                            status="Enabled",
                            event_threshold=aws.s3.BucketReplicationConfigRuleDestinationMetricsEventThresholdArgs(
                                minutes=window
                            ),
                        ),
                    ),
                )
            ],
            region=self._args.region,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[home.versioning, recovery.versioning, permitted]
            ),
        )

    def _declare_secrets_key(self) -> pulumi.Output[str]:
        """The key that encrypts the stacks' secrets, a replica of it in the recovery region, and one alias for both.

        What the one encrypted the other decrypts, so that the state can be read when the region is lost.
        Source: https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
        """
        facts, name = self._args.facts, f"{self._name}-secrets"
        policy = _secrets_key_policy(facts)
        tags = {**self._args.tags, "Name": name}
        protected = pulumi.ResourceOptions(parent=self, protect=True, depends_on=self._args.after)
        key = aws.kms.Key(
            f"{name}-key",
            description="Secrets of Pulumi's stacks",
            multi_region=True,
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_WINDOW.value,
            policy=policy,
            region=self._args.region,
            tags=tags,
            opts=protected,
        )
        replica = aws.kms.ReplicaKey(
            f"{name}-replica",
            primary_key_arn=key.arn,
            description="Secrets of Pulumi's stacks",
            deletion_window_in_days=KEY_DELETION_WINDOW.value,
            policy=policy,
            region=facts.recovery_region,
            tags=tags,
            opts=protected,
        )
        alias = aws.kms.Alias(
            f"{name}-alias",
            name=facts.secrets_alias,
            target_key_id=key.key_id,
            region=self._args.region,
            opts=self._child,
        )
        aws.kms.Alias(
            f"{name}-replica-alias",
            name=facts.secrets_alias,
            target_key_id=replica.key_id,
            region=facts.recovery_region,
            opts=self._child,
        )
        return alias.name


def _deny(
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    unless: Sequence[str],
    conditions: Conditions | None = None,
) -> Statement:
    """Refuse actions to everybody but these principals, whatever else allows them.

    `aws:PrincipalArn` is the role's for each of its sessions. It is compared as text: a role that is made anew under
    its name is let in again.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    return Statement(
        effect="Deny",
        principals={"AWS": ["*"]},
        actions=actions,
        resources=resources,
        conditions={**(conditions or {}), "ArnNotEquals": {"aws:PrincipalArn": list(unless)}},
    )


def _allow(principals: Sequence[str], actions: Sequence[str], resources: Sequence[str]) -> Statement:
    return Statement(principals={"AWS": list(principals)}, actions=actions, resources=resources)


def _bucket_policy(facts: StateFacts, *, bucket_arn: str, replication_role_arn: str) -> str:
    """Who reaches which keys. Administrators are let in by IAM; the account's root user can always mend this policy.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
    """
    whole = (bucket_arn, f"{bucket_arn}/*")
    everywhere = (*facts.administrators, replication_role_arn)

    def keys(*patterns: str) -> tuple[str, ...]:
        return tuple(f"{bucket_arn}/{pattern}" for pattern in patterns)

    statements = [
        Statement(
            effect="Deny",
            principals={"AWS": ["*"]},
            actions=["s3:*"],
            resources=whole,
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        ),
        _deny(["s3:*"], whole, unless=[*everywhere, *facts.roles]),
        _deny(_LOOSENING, whole, unless=facts.administrators),
        _deny([*_ANY_READ, *_ANY_WRITE], keys(project_keys(PROJECT)), unless=everywhere),
        _allow(facts.roles, ["s3:ListBucket"], [bucket_arn]),
        _allow(facts.roles, _READ, keys(META_KEY)),
    ]
    for stack in facts.stacks:
        its, updaters, readers = keys(*stack_keys(stack)), facts.updaters(stack), facts.readers(stack)
        # The state says which version the stack runs; its secrets in there stay encrypted to whoever has not their key.
        (state, *past), followers = its, facts.followers(stack)
        statements += [
            _deny(_ANY_READ, [state], unless=[*everywhere, *updaters, *readers, *followers]),
            _deny(_ANY_READ, past, unless=[*everywhere, *updaters, *readers]),
            _deny(_ANY_WRITE, its, unless=[*everywhere, *updaters]),
            _allow(updaters, [*_READ, *_WRITE], its),
            *([_allow(readers, _READ, its)] if readers else []),
            *([_allow(followers, _READ, [state])] if followers else []),
        ]
    return policy_document(*statements)


def _account_administers(facts: StateFacts) -> Statement:
    """What keeps a key manageable: the account's own administration of it, through IAM."""
    partition = Arn.parse(facts.administrators[0]).partition
    return Statement(
        principals={"AWS": [f"arn:{partition}:iam::{facts.account}:root"]}, actions=["kms:*"], resources=["*"]
    )


def _bucket_key_policy(facts: StateFacts, region: str) -> str:
    """The key of a bucket: used through S3 alone, whose policy says who reaches what; lost through nobody by accident."""
    return policy_document(
        _account_administers(facts),
        _deny(_KEY_LOSS, ["*"], unless=facts.administrators),
        Statement(
            principals={"AWS": list(facts.roles)},
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=["*"],
            conditions={"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}},
        ),
    )


def _secrets_key_policy(facts: StateFacts) -> str:
    """The key of the stacks' secrets: for each stack, and what is encrypted under its name, its own roles alone."""
    context = f"kms:EncryptionContext:{STACK_CONTEXT}"
    statements = [
        _account_administers(facts),
        _deny(_KEY_LOSS, ["*"], unless=facts.administrators),
        # A negated operator holds for a request without the key as well: no context, no use.
        _deny(
            _KEY_USE,
            ["*"],
            unless=facts.administrators,
            conditions={"StringNotEquals": {context: list(facts.stacks)}},
        ),
    ]
    for stack in facts.stacks:
        of_stack = {"StringEquals": {context: stack}}
        updaters, readers = facts.updaters(stack), facts.readers(stack)
        statements += [
            _deny(_KEY_USE, ["*"], unless=[*facts.administrators, *updaters, *readers], conditions=of_stack),
            Statement(
                principals={"AWS": list(updaters)},
                actions=["kms:Decrypt", "kms:Encrypt"],
                resources=["*"],
                conditions=of_stack,
            ),
            *(
                [
                    Statement(
                        principals={"AWS": list(readers)},
                        actions=["kms:Decrypt"],
                        resources=["*"],
                        conditions=of_stack,
                    )
                ]
                if readers
                else []
            ),
        ]
    return policy_document(*statements)


def _replication_policy(home_arn: str, home_key_arn: str, recovery_arn: str, recovery_key_arn: str) -> str:
    """Read versions here, write copies there, each through S3 and for its bucket alone.

    Both buckets have a bucket key: the encryption context is the bucket's ARN and not the object's, and S3 decrypts the
    copy's bucket key to verify it before each use. Without that right every copy fails, and none is tried again.
    Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html,
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html#bk-replication,
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-status.html,
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html#object-lock-managing-replication
    """

    def through_s3(key_arn: str, bucket_arn: str, *actions: str) -> Statement:
        return Statement(
            actions=actions,
            resources=[key_arn],
            conditions={
                "StringEquals": {
                    "kms:ViaService": f"s3.{Arn.parse(key_arn).region}.amazonaws.com",
                    "kms:EncryptionContext:aws:s3:arn": bucket_arn,
                }
            },
        )

    return policy_document(
        Statement(actions=["s3:GetReplicationConfiguration", "s3:ListBucket"], resources=[home_arn]),
        Statement(
            actions=[
                "s3:GetObjectLegalHold",
                "s3:GetObjectRetention",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionTagging",
            ],
            resources=[f"{home_arn}/*"],
        ),
        Statement(
            actions=["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"],
            resources=[f"{recovery_arn}/*"],
        ),
        through_s3(home_key_arn, home_arn, "kms:Decrypt"),
        through_s3(recovery_key_arn, recovery_arn, "kms:Decrypt", "kms:Encrypt"),
    )
