"""Files and backups: private, encrypted, versioned, kept for as long as promised and no longer."""

import json
from typing import Any

import pytest

from components.storage import (
    BackupBucket,
    BackupBucketArgs,
    FilesBucket,
    FilesBucketArgs,
    Storage,
    StorageArgs,
)
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording

TAGS = {"environment": "test", "owner": "operations"}
REGION = "eu-west-1"

BUCKET = "aws:s3/bucket:Bucket"
KEY = "aws:kms/key:Key"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


def storage(record: Record, *, retention_days: int = 90, protect: bool = True) -> Recording[Storage]:
    return record(
        lambda: Storage(
            "storage",
            StorageArgs(
                bucket_prefix="quikapp-test",
                region=REGION,
                retention_days=retention_days,
                protect=protect,
                tags=TAGS,
            ),
        )
    )


def backup(record: Record, **args: Any) -> Recording[BackupBucket]:
    return record(
        lambda: BackupBucket(
            "backup", BackupBucketArgs(bucket_prefix="quikapp-test", region=REGION, tags=TAGS, **args)
        )
    )


def rules(made: Recording[Any], bucket: str) -> dict[str, Any]:
    lifecycle = made.one(LIFECYCLE, f"{bucket}-lifecycle")
    assert all(rule["status"] == "Enabled" for rule in lifecycle.inputs["rules"])
    return {rule["id"]: rule for rule in lifecycle.inputs["rules"]}


def test_files_and_backups_have_a_bucket_and_a_key_each(record: Record) -> None:
    made = storage(record)
    assert {bucket.inputs["bucketPrefix"] for bucket in made.of(BUCKET)} == {
        "quikapp-test-files-",
        "quikapp-test-backup-",
    }
    keys = {made.value(made.result.files.kms_key_arn), made.value(made.result.backup.kms_key_arn)}
    assert len(keys) == 2
    encryptions = made.of(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    )
    assert {
        encryption.inputs["rules"][0]["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
        for encryption in encryptions
    } == keys


def test_every_bucket_is_encrypted_with_a_key_that_rotates(record: Record) -> None:
    made = storage(record)
    for encryption in made.of(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    ):
        (rule,) = encryption.inputs["rules"]
        assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms"
        assert rule["bucketKeyEnabled"] is True
    assert all(key.inputs["enableKeyRotation"] is True for key in made.of(KEY))


def test_no_bucket_can_become_public(record: Record) -> None:
    made = storage(record)
    buckets = {bucket.outputs["bucket"] for bucket in made.of(BUCKET)}
    blocks = made.of("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    assert {block.inputs["bucket"] for block in blocks} == buckets
    for block in blocks:
        assert block.inputs["blockPublicAcls"] is True
        assert block.inputs["blockPublicPolicy"] is True
        assert block.inputs["ignorePublicAcls"] is True
        assert block.inputs["restrictPublicBuckets"] is True


def test_access_lists_are_off_in_every_bucket(record: Record) -> None:
    made = storage(record)
    controls = made.of("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
    assert [control.inputs["rule"]["objectOwnership"] for control in controls] == ["BucketOwnerEnforced"] * 2


def test_every_bucket_refuses_plain_http_to_itself_and_its_objects(record: Record) -> None:
    made = storage(record)
    policies = {
        policy.inputs["bucket"]: json.loads(policy.inputs["policy"])["Statement"]
        for policy in made.of("aws:s3/bucketPolicy:BucketPolicy")
    }
    assert policies == {
        bucket.outputs["bucket"]: [
            {
                "Effect": "Deny",
                "Principal": {"AWS": ["*"]},
                "Action": ["s3:*"],
                "Resource": [bucket.outputs["arn"], f"{bucket.outputs['arn']}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]
        for bucket in made.of(BUCKET)
    }


def test_every_bucket_is_versioned_before_its_lifecycle_counts_versions(record: Record) -> None:
    made = storage(record)
    for bucket in ("storage-files", "storage-backup"):
        versioning = made.one("aws:s3/bucketVersioning:BucketVersioning", f"{bucket}-versioning")
        assert versioning.inputs["versioningConfiguration"] == {"status": "Enabled"}
        assert versioning.urn in made.one(LIFECYCLE, f"{bucket}-lifecycle").dependencies


@pytest.mark.parametrize("bucket", ["storage-files", "storage-backup"])
def test_what_nobody_needs_any_more_is_removed(record: Record, bucket: str) -> None:
    removed = rules(storage(record), bucket)
    assert removed["abort-uploads"]["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}
    assert removed["drop-delete-markers"]["expiration"] == {"expiredObjectDeleteMarker": True}
    assert removed["expire-noncurrent-versions"]["noncurrentVersionExpiration"]["noncurrentDays"] > 0


def test_files_never_expire_by_age(record: Record) -> None:
    assert not [
        rule
        for rule in rules(storage(record), "storage-files").values()
        if "days" in rule.get("expiration", {})
    ]


def test_a_changed_file_can_be_brought_back_for_thirty_days(record: Record) -> None:
    rule = rules(storage(record), "storage-files")["expire-noncurrent-versions"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 30}


def test_a_backup_is_kept_for_ninety_days_in_glacier(record: Record) -> None:
    retain = rules(backup(record), "backup")["retain"]
    assert retain["expiration"] == {"days": 90}
    assert retain["transitions"] == [{"days": 0, "storageClass": "GLACIER_IR"}]


@pytest.mark.parametrize("days", [90, 91, 365])
def test_glacier_never_bills_a_backup_beyond_its_life(record: Record, days: int) -> None:
    retain = rules(backup(record, retention_days=days), "backup")["retain"]
    assert retain["expiration"]["days"] - retain["transitions"][0]["days"] >= 90


@pytest.mark.parametrize("days", [1, 30, 89])
def test_a_backup_too_short_lived_for_glacier_stays_out_of_it(record: Record, days: int) -> None:
    retain = rules(backup(record, retention_days=days), "backup")["retain"]
    assert retain["expiration"] == {"days": days}
    assert "transitions" not in retain


def test_a_deleted_backup_can_be_brought_back_for_a_week(record: Record) -> None:
    rule = rules(backup(record), "backup")["expire-noncurrent-versions"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 7}


def test_a_retention_of_no_days_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 day, not 0"):
        BackupBucketArgs(bucket_prefix="quikapp-test", region=REGION, retention_days=0, tags=TAGS)


@pytest.mark.parametrize("protect", [True, False])
def test_protection_keeps_bucket_and_key_or_lets_them_go_with_their_contents(
    record: Record, protect: bool
) -> None:
    made = storage(record, protect=protect)
    assert {resource.protect for resource in [*made.of(BUCKET), *made.of(KEY)]} == {protect}
    assert {bucket.inputs["forceDestroy"] for bucket in made.of(BUCKET)} == {not protect}


def test_a_backup_bucket_alone_is_protected_unless_told_otherwise(record: Record) -> None:
    assert backup(record).one(BUCKET).protect


def test_the_deletion_of_a_key_can_be_taken_back_for_thirty_days(record: Record) -> None:
    assert {key.inputs["deletionWindowInDays"] for key in storage(record).of(KEY)} == {30}


def test_a_long_prefix_leaves_room_for_the_unique_end_of_the_name(record: Record) -> None:
    made = record(
        lambda: FilesBucket(
            "files", FilesBucketArgs(bucket_prefix="q" * 60, region=REGION, protect=False, tags=TAGS)
        )
    )
    assert len(made.one(BUCKET).inputs["bucketPrefix"]) == 37


def test_a_bucket_tells_its_name_arn_and_key(record: Record) -> None:
    made = backup(record)
    bucket, key = made.one(BUCKET), made.one(KEY)
    assert made.value(made.result.bucket_name) == bucket.outputs["bucket"]
    assert made.value(made.result.bucket_arn) == bucket.outputs["arn"]
    assert made.value(made.result.kms_key_arn) == key.outputs["arn"]


def test_everything_is_tagged_in_its_region_and_closed(record: Record) -> None:
    made = storage(record)
    made.assert_tagged(TAGS)
    made.assert_in_region(REGION)
    made.assert_least_privilege()
