"""A bucket that nobody reaches by accident: what every bucket of the program has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.policies import Statement, policy_document
from operations.limits import BUCKET_NAME_LENGTH
from operations.naming import fit
from operations.retention import LockMode

ABORT_UPLOADS_AFTER_DAYS: Final = 7
"""Days after which the parts of an upload that nobody completed are removed: they are billed, and no list shows them.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpu-abort-incomplete-mpu-lifecycle-config.html
"""

_UNIQUE_END: Final = 26
"""Characters that the provider appends to a prefix, so that nobody else in the world has the name."""

LifecycleRule = aws.s3.BucketLifecycleConfigurationRuleArgs


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An AWS service that may add objects to a bucket, and do nothing else there."""

    service: str
    """The service's principal."""
    keys: pulumi.Input[str]
    """Keys it may write, with `*` for what it chooses itself."""


@dataclass(frozen=True, kw_only=True)
class ObjectLock:
    """The lock that every version of a bucket gets; what is written and deleted later is free.

    In governance mode whoever has `s3:BypassGovernanceRetention` can delete a version before its time, in compliance mode
    nobody can, the account's root and AWS included.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html

    Raises:
        ValueError: it does not last for at least one day.
    """

    mode: LockMode
    days: int
    """Days that a version is locked, counted from its creation."""

    def __post_init__(self) -> None:
        if self.days < 1:
            raise ValueError(f"a lock must last for at least 1 day, not {self.days}")


@dataclass(frozen=True, kw_only=True)
class PrivateBucketArgs:
    """What a bucket is made of.

    Raises:
        ValueError: the bucket is locked and not versioned; a lock holds versions.
    """

    bucket_prefix: str
    """How the bucket's name begins; cut where it leaves no room for a unique end."""
    region: str
    """AWS region, such as `eu-west-1`."""
    kms_key_arn: pulumi.Input[str] | None
    """Key that encrypts the objects; None is the key that S3 manages, for writers that support no other."""
    versioned: bool
    """Whether an overwritten or deleted object stays as a noncurrent version."""
    lifecycle: Sequence[LifecycleRule]
    """Rules besides the one for uploads that nobody completed."""
    delivery: Delivery | None = None
    """Who writes from outside the account; None is nobody."""
    refused_keys: Sequence[str] = ()
    """Keys under which nobody may write, with `*` for anything."""
    lock: ObjectLock | None = None
    """What every version is locked with. A bucket has it from its creation or never, and never loses it."""
    protect: bool
    """Whether the bucket refuses to be destroyed; where not, it goes together with what it holds, unless that is locked."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.lock is not None and not self.versioned:
            raise ValueError("a bucket that is locked must be versioned: a lock holds versions")


class PrivateBucket(pulumi.ComponentResource):
    """A bucket with public access blocked, ACLs off, encryption at rest, and TLS as the only way in."""

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: PrivateBucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("quikapp:buckets:PrivateBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        bucket = aws.s3.Bucket(
            name,
            bucket_prefix=f"{fit(args.bucket_prefix, BUCKET_NAME_LENGTH.value - _UNIQUE_END - 1)}-",
            force_destroy=not args.protect and args.lock is None,
            object_lock_enabled=args.lock is not None,
            region=args.region,
            tags={**args.tags, "Name": name},
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        # S3 refuses changes to one bucket's access that arrive at the same time, so these come one by one.
        blocked = aws.s3.BucketPublicAccessBlock(
            f"{name}-public-access",
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            region=args.region,
            opts=child,
        )
        owned = aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=bucket.bucket,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[blocked]),
        )
        aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.bucket,
            policy=_policy(bucket.arn, args),
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[owned]),
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.bucket,
            rules=[encrypted_with(args.kms_key_arn)],
            region=args.region,
            opts=child,
        )
        after: list[pulumi.Resource] = []
        if args.versioned:
            versioning = aws.s3.BucketVersioning(
                f"{name}-versioning",
                bucket=bucket.bucket,
                versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
                region=args.region,
                opts=child,
            )
            after.append(versioning)
        if args.lock is not None:
            aws.s3.BucketObjectLockConfiguration(
                f"{name}-lock",
                bucket=bucket.bucket,
                rule=aws.s3.BucketObjectLockConfigurationRuleArgs(
                    default_retention=aws.s3.BucketObjectLockConfigurationRuleDefaultRetentionArgs(
                        mode=args.lock.mode.upper(), days=args.lock.days
                    )
                ),
                region=args.region,
                opts=pulumi.ResourceOptions(parent=self, depends_on=after),
            )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            rules=[*args.lifecycle, abort_uploads()],
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

        self.bucket_name = bucket.bucket
        self.bucket_arn = bucket.arn
        self.register_outputs({"bucketName": self.bucket_name, "bucketArn": self.bucket_arn})


def every_object() -> aws.s3.BucketLifecycleConfigurationRuleFilterArgs:
    """The filter of a lifecycle rule that holds for the whole bucket."""
    return aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")


def drop_delete_markers() -> LifecycleRule:
    """Removes what is left of an object whose versions are all gone; S3 wants this in a rule of its own.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
    """
    return LifecycleRule(
        id="drop-delete-markers",
        status="Enabled",
        filter=every_object(),
        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
    )


def expire_noncurrent(days: int) -> LifecycleRule:
    """Removes a version so many days after it was superseded."""
    return LifecycleRule(
        id="expire-noncurrent-versions",
        status="Enabled",
        filter=every_object(),
        noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=days
        ),
    )


def abort_uploads() -> LifecycleRule:
    """Removes what is left of an upload that nobody completed."""
    return LifecycleRule(
        id="abort-uploads",
        status="Enabled",
        filter=every_object(),
        abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
            days_after_initiation=ABORT_UPLOADS_AFTER_DAYS
        ),
    )


def encrypted_with(
    kms_key_arn: pulumi.Input[str] | None,
) -> aws.s3.BucketServerSideEncryptionConfigurationRuleArgs:
    """Encryption of every new object, with a key that S3 manages where none is given.

    The bucket key spares a call to KMS for each of them.
    """
    default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs
    if kms_key_arn is None:
        return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
            apply_server_side_encryption_by_default=default(sse_algorithm="AES256")
        )
    return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
        apply_server_side_encryption_by_default=default(
            sse_algorithm="aws:kms", kms_master_key_id=kms_key_arn
        ),
        bucket_key_enabled=True,
    )


def _policy(bucket_arn: pulumi.Input[str], args: PrivateBucketArgs) -> pulumi.Output[str]:
    delivery = args.delivery
    keys = None if delivery is None else delivery.keys

    def document(arn: str, keys: str | None) -> str:
        statements = [
            Statement(
                effect="Deny",
                principals={"AWS": ["*"]},
                actions=["s3:*"],
                resources=[arn, f"{arn}/*"],
                conditions={"Bool": {"aws:SecureTransport": "false"}},
            )
        ]
        if args.refused_keys:
            statements.append(
                Statement(
                    effect="Deny",
                    principals={"AWS": ["*"]},
                    actions=["s3:PutObject"],
                    resources=[f"{arn}/{refused}" for refused in args.refused_keys],
                )
            )
        if args.lock is not None:
            # A version that outlives its lock still goes by the lifecycle alone, which no policy hinders.
            # Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html
            statements.append(
                Statement(
                    effect="Deny",
                    principals={"AWS": ["*"]},
                    actions=["s3:DeleteObjectVersion"],
                    resources=[f"{arn}/*"],
                )
            )
        if delivery is not None:
            statements.append(
                Statement(
                    principals={"Service": [delivery.service]},
                    actions=["s3:PutObject"],
                    resources=[f"{arn}/{keys}"],
                )
            )
        return policy_document(*statements)

    return pulumi.Output.all(bucket_arn, keys).apply(lambda made: document(*made))
