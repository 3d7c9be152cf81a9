"""The application's files and their backup (the operations page, "Backup Schedule": files, daily, 90 days, S3 + Glacier)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.buckets import (
    LifecycleRule,
    ObjectLock,
    PrivateBucket,
    PrivateBucketArgs,
    drop_delete_markers,
    every_object,
    expire_noncurrent,
)
from components.file_copies import FileCopies, FileCopiesArgs, Place
from operations.backup import Data, retention_days
from operations.limits import (
    KEY_DELETION_WINDOW,
)
from operations.retention import STORAGE, BucketPlan, LockMode, StorageClass, checked, files_plan

FILES_UNDO_DAYS: Final = 30
"""How long an overwritten or deleted file can be brought back in place, without a restore from the backup."""

NEVER_COPIED: Final = ("/*", "*//*", "*/./*", "*/../*")
"""Keys that DataSync passes over. A file under one of them would have no copy, and the age of the copy would not tell; so it is refused
when it is written, and whoever writes it knows.

Source: https://docs.aws.amazon.com/datasync/latest/userguide/API_CreateLocationS3.html
"""


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
    """Where the application keeps its files: private, versioned, encrypted with a key of its own.

    It refuses a file that could not be copied to a backup (`NEVER_COPIED`).
    """

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
                lifecycle=[expire_noncurrent(FILES_UNDO_DAYS), drop_delete_markers()],
                refused_keys=NEVER_COPIED,
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
    """AWS region, such as `eu-central-1`: another than that of what is backed up."""
    retention_days: int = retention_days(Data.FILES)
    """Days that a replaced or deleted object is kept, counted from then on; the page promises 90."""
    lock: LockMode | None = None
    """How firmly every version is held for as many days from its creation; None is not at all. Stated once: S3 sets a bucket's lock when it
    is created, and this program does not empty a locked one when it is destroyed."""
    protect: bool = True
    """Whether bucket and key refuse to be destroyed; where not, they go together with what they hold, unless that is locked."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.retention_days < 1:
            raise ValueError(f"backups must be kept for at least 1 day, not {self.retention_days}")


class BackupBucket(pulumi.ComponentResource):
    """Where a copy of other objects is kept, and what they were: private, versioned, in Glacier, with a key of its own.

    Something outside makes its current objects equal to what they are a copy of; those never expire. What it replaces
    or deletes is a noncurrent version from then on, is kept for the retention, and expires.
    """

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]
    kms_key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: BackupBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:storage:BackupBucket", name, None, opts)
        plan = _plan(args)
        key = _key(name, "Backups", parent=self, args=args)
        bucket = PrivateBucket(
            name,
            PrivateBucketArgs(
                bucket_prefix=args.bucket_prefix,
                region=args.region,
                kms_key_arn=key.arn,
                versioned=True,
                lifecycle=[
                    *_to_glacier(plan),
                    expire_noncurrent(plan.keep_days),
                    drop_delete_markers(),
                ],
                lock=None if args.lock is None else ObjectLock(mode=args.lock, days=args.retention_days),
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
        ValueError: the retention is not at least one day, or the recovery region is the files' own.
    """

    prefix: str
    """How the names of buckets, roles and task begin, such as `quikapp-live`."""
    region: str
    """AWS region of the files, such as `eu-west-1`."""
    recovery_region: str
    """AWS region of their backup, such as `eu-central-1`."""
    retention_days: int
    """Days that a replaced or deleted file is kept in the backup."""
    lock: LockMode | None
    """How firmly every version in the backup is held for as many days."""
    log_retention_days: int
    """Days that the log of failed copies is kept."""
    protect: bool
    """Whether buckets and keys refuse to be destroyed; where not, they go together with what they hold, unless that is locked."""
    tags: Mapping[str, str]


class Storage(pulumi.ComponentResource):
    """The application's files, and once a day a copy of them in another region.

    Each bucket has a key of its own: whoever may use the files cannot read the backup, and the loss of the one key
    does not take the other bucket with it.
    """

    files: FilesBucket
    backup: BackupBucket
    copies: FileCopies

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:storage:Storage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.files = FilesBucket(
            f"{name}-files",
            FilesBucketArgs(
                bucket_prefix=f"{args.prefix}-files",
                region=args.region,
                protect=args.protect,
                tags=args.tags,
            ),
            opts=child,
        )
        self.backup = BackupBucket(
            f"{name}-backup",
            BackupBucketArgs(
                bucket_prefix=f"{args.prefix}-backup",
                region=args.recovery_region,
                retention_days=args.retention_days,
                lock=args.lock,
                protect=args.protect,
                tags=args.tags,
            ),
            opts=child,
        )
        self.copies = FileCopies(
            f"{name}-copies",
            FileCopiesArgs(
                prefix=args.prefix,
                source=Place(
                    bucket_arn=self.files.bucket_arn, kms_key_arn=self.files.kms_key_arn, region=args.region
                ),
                destination=Place(
                    bucket_arn=self.backup.bucket_arn,
                    kms_key_arn=self.backup.kms_key_arn,
                    region=args.recovery_region,
                ),
                log_retention_days=args.log_retention_days,
                tags=args.tags,
            ),
            # A run's first objects are to find the bucket as it will be: versioned, encrypted, locked.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.files, self.backup]),
        )
        self.register_outputs(
            {
                "filesBucket": self.files.bucket_name,
                "backupBucket": self.backup.bucket_name,
                "copyTask": self.copies.task_arn,
            }
        )


def _key(
    name: str, description: str, *, parent: pulumi.Resource, args: FilesBucketArgs | BackupBucketArgs
) -> aws.kms.Key:
    return aws.kms.Key(
        f"{name}-key",
        description=f"{description}: {name}",
        enable_key_rotation=True,
        deletion_window_in_days=KEY_DELETION_WINDOW.value,
        region=args.region,
        tags={**args.tags, "Name": name},
        opts=pulumi.ResourceOptions(parent=parent, protect=args.protect),
    )


def _plan(args: BackupBucketArgs) -> BucketPlan:
    """The plan that a stack file is checked against; without Glacier where that would bill beyond an object's life.

    Glacier bills an object for 90 days from the day it arrives, however soon it is deleted. An object that arrives at
    the midnight after its creation, is replaced by the next daily copy at the earliest and kept for 90 days from
    then on has been there for 90 days. Where replaced objects are kept for less, all stay where they are.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html
    """
    days = args.retention_days
    if days < STORAGE[StorageClass.GLACIER_INSTANT].minimum_days:
        lock_days = None if args.lock is None else days
        return checked(BucketPlan(name="files", keep_days=days, object_lock_days=lock_days))
    return files_plan(days, args.lock)


def _to_glacier(plan: BucketPlan) -> list[LifecycleRule]:
    """Move objects as planned. Those under 128 KB stay, as S3 decides by default: Glacier would bill them as 128 KB.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
    """
    if not plan.transitions:
        return []
    return [
        LifecycleRule(
            id="to-glacier",
            status="Enabled",
            filter=every_object(),
            transitions=[
                aws.s3.BucketLifecycleConfigurationRuleTransitionArgs(
                    days=step.after_days, storage_class=step.storage_class
                )
                for step in plan.transitions
            ],
        )
    ]
