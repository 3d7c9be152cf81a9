"""The application's files and their backups (the operations page, "Backup Schedule": files, 90 days, S3 + Glacier)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.buckets import (
    LifecycleRule,
    PrivateBucket,
    PrivateBucketArgs,
    drop_delete_markers,
    every_object,
)
from operations.backup import Data, retention_days
from operations.limits import GLACIER_MINIMUM_STORAGE

FILES_UNDO_DAYS: Final = 30
"""How long an overwritten or deleted file can be brought back in place, without a restore from the backup."""

BACKUP_UNDO_DAYS: Final = 7
"""How long a backup that was overwritten, deleted or has expired can be brought back.

Short, since what has expired is kept for this long beyond its retention.
"""

GLACIER_CLASS: Final = "GLACIER_IR"
"""S3 Glacier Instant Retrieval. It is read in milliseconds; the slower Glacier classes take minutes to hours before
the first byte, and the page promises recovery within 15 minutes.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/glacier-storage-classes.html
"""

KEY_DELETION_DAYS: Final = 30
"""Days in which the deletion of a key can be taken back, as many as KMS allows: without its key, data are lost."""


@dataclass(frozen=True, kw_only=True)
class FilesBucketArgs:
    """What the application's bucket is made of."""

    bucket_prefix: str
    """How the bucket's name begins, such as `quikapp-live-files`."""
    region: str
    """AWS region, such as `eu-west-1`."""
    protect: bool
    """Whether bucket and key refuse to be destroyed; where not, they go together with what they hold."""
    tags: Mapping[str, str]


class FilesBucket(pulumi.ComponentResource):
    """Where the application keeps its files: private, versioned, encrypted with a key of its own."""

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]
    kms_key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: FilesBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:storage:FilesBucket", name, None, opts)
        key = _key(name, "Files of the application", parent=self, args=args)
        bucket = PrivateBucket(
            name,
            PrivateBucketArgs(
                bucket_prefix=args.bucket_prefix,
                region=args.region,
                kms_key_arn=key.arn,
                versioned=True,
                lifecycle=[_expire_noncurrent(FILES_UNDO_DAYS), drop_delete_markers()],
                protect=args.protect,
                tags=args.tags,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.bucket_name = bucket.bucket_name
        self.bucket_arn = bucket.bucket_arn
        self.kms_key_arn = key.arn
        self.register_outputs(
            {"bucketName": self.bucket_name, "bucketArn": self.bucket_arn, "kmsKeyArn": self.kms_key_arn}
        )


@dataclass(frozen=True, kw_only=True)
class BackupBucketArgs:
    """What a backup bucket is made of.

    Raises:
        ValueError: the retention is not at least one day.
    """

    bucket_prefix: str
    """How the bucket's name begins, such as `quikapp-live-backup`."""
    region: str
    """AWS region, such as `eu-west-1`."""
    retention_days: int = retention_days(Data.FILES)
    """Days that a backup is kept, counted from its creation; the page promises 90."""
    protect: bool = True
    """Whether bucket and key refuse to be destroyed; where not, they go together with what they hold."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.retention_days < 1:
            raise ValueError(f"backups must be kept for at least 1 day, not {self.retention_days}")


class BackupBucket(pulumi.ComponentResource):
    """Where backups are kept for their retention and then expire: private, versioned, with a key of its own.

    Expiry counts from an object's creation, so every backup is a set of new objects, as under a prefix that holds the
    day. What has expired can be brought back, and is billed, for `BACKUP_UNDO_DAYS` more.
    """

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]
    kms_key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: BackupBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:storage:BackupBucket", name, None, opts)
        key = _key(name, "Backups", parent=self, args=args)
        bucket = PrivateBucket(
            name,
            PrivateBucketArgs(
                bucket_prefix=args.bucket_prefix,
                region=args.region,
                kms_key_arn=key.arn,
                versioned=True,
                lifecycle=[
                    LifecycleRule(
                        id="retain",
                        status="Enabled",
                        filter=every_object(),
                        transitions=_to_glacier(args.retention_days),
                        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(
                            days=args.retention_days
                        ),
                    ),
                    _expire_noncurrent(BACKUP_UNDO_DAYS),
                    drop_delete_markers(),
                ],
                protect=args.protect,
                tags=args.tags,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.bucket_name = bucket.bucket_name
        self.bucket_arn = bucket.bucket_arn
        self.kms_key_arn = key.arn
        self.register_outputs(
            {"bucketName": self.bucket_name, "bucketArn": self.bucket_arn, "kmsKeyArn": self.kms_key_arn}
        )


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    """What the storage of one environment is made of.

    Raises:
        ValueError: the retention is not at least one day.
    """

    bucket_prefix: str
    """How both buckets' names begin, such as `quikapp-live`."""
    region: str
    """AWS region, such as `eu-west-1`."""
    retention_days: int
    """Days that a backup of the files is kept."""
    protect: bool
    """Whether buckets and keys refuse to be destroyed; where not, they go together with what they hold."""
    tags: Mapping[str, str]


class Storage(pulumi.ComponentResource):
    """The application's files and the bucket of their backups.

    Each bucket has a key of its own: whoever may use the files cannot read the backups, and the loss of the one key
    does not take the other bucket with it.
    """

    files: FilesBucket
    backup: BackupBucket

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:storage:Storage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.files = FilesBucket(
            f"{name}-files",
            FilesBucketArgs(
                bucket_prefix=f"{args.bucket_prefix}-files",
                region=args.region,
                protect=args.protect,
                tags=args.tags,
            ),
            opts=child,
        )
        self.backup = BackupBucket(
            f"{name}-backup",
            BackupBucketArgs(
                bucket_prefix=f"{args.bucket_prefix}-backup",
                region=args.region,
                retention_days=args.retention_days,
                protect=args.protect,
                tags=args.tags,
            ),
            opts=child,
        )
        self.register_outputs(
            {"filesBucket": self.files.bucket_name, "backupBucket": self.backup.bucket_name}
        )


def _key(
    name: str, description: str, *, parent: pulumi.Resource, args: FilesBucketArgs | BackupBucketArgs
) -> aws.kms.Key:
    return aws.kms.Key(
        f"{name}-key",
        description=f"{description}: {name}",
        enable_key_rotation=True,
        deletion_window_in_days=KEY_DELETION_DAYS,
        region=args.region,
        tags={**args.tags, "Name": name},
        opts=pulumi.ResourceOptions(parent=parent, protect=args.protect),
    )


def _to_glacier(retention_days: int) -> list[aws.s3.BucketLifecycleConfigurationRuleTransitionArgs] | None:
    """Move objects on their first day, or never.

    Glacier bills an object for 90 days from the day it arrives, however soon it is deleted. So that nothing is billed
    beyond its life, an object that lives for 90 days has to arrive on day 0, and one that lives for less stays where
    it is. Objects under 128 KB stay too, as S3 decides by default: Glacier would bill them as 128 KB.
    Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html,
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
    """
    if retention_days < GLACIER_MINIMUM_STORAGE.value:
        return None
    return [aws.s3.BucketLifecycleConfigurationRuleTransitionArgs(days=0, storage_class=GLACIER_CLASS)]


def _expire_noncurrent(days: int) -> LifecycleRule:
    return LifecycleRule(
        id="expire-noncurrent-versions",
        status="Enabled",
        filter=every_object(),
        noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=days
        ),
    )
