"""Files and their backup: private, encrypted, versioned, kept for as long as promised and no longer, in two regions."""

import json
from typing import Any

import pytest

from components.buckets import ObjectLock, PrivateBucketArgs
from components.storage import (
    NEVER_COPIED,
    BackupBucket,
    BackupBucketArgs,
    FilesBucket,
    FilesBucketArgs,
    Storage,
    StorageArgs,
)
from operations.retention import BucketPlan, LockMode, StorageClass, Transition
from tests.unit.components.conftest import Record
from tests.unit.components.policy_decisions import Request, is_allowed
from tests.unit.components.recording import ACCOUNT, Recording, Resource
from tests.unit.pages import PAGES, section

TAGS = {"environment": "test", "owner": "operations"}
REGION = "eu-west-1"
RECOVERY_REGION = "eu-central-1"

BUCKET = "aws:s3/bucket:Bucket"
KEY = "aws:kms/key:Key"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"


def storage(
    record: Record,
    *,
    retention_days: int = 90,
    lock: LockMode | None = None,
    protect: bool = True,
    recovery_region: str = RECOVERY_REGION,
) -> Recording[Storage]:
    return record(
        lambda: Storage(
            "storage",
            StorageArgs(
                prefix="quikapp-test",
                region=REGION,
                recovery_region=recovery_region,
                retention_days=retention_days,
                lock=lock,
                log_retention_days=30,
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
        policy.inputs["bucket"]: [
            statement
            for statement in json.loads(policy.inputs["policy"])["Statement"]
            if "Condition" in statement
        ]
        for policy in made.of(POLICY)
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


def writes(made: Recording[Storage], bucket: str, key: str) -> bool:
    """Whether somebody whom IAM lets write may write a file under the key."""
    request = Request(
        principal=f"arn:aws:iam::{ACCOUNT}:role/quikapp-test-blue-api",
        action="s3:PutObject",
        resource=f"{made.one(BUCKET, bucket).outputs['arn']}/{key}",
        iam_allows=True,
    )
    return is_allowed(made.one(POLICY, f"{bucket}-policy").inputs["policy"], request)


@pytest.mark.parametrize(
    "key",
    ["/", "/photos", "photos//2006/January", "photos/./2006", "photos/../2006", "a/b//", "//", "a/../../b"],
)
def test_a_file_that_would_never_be_copied_is_refused_when_it_is_written(record: Record, key: str) -> None:
    """Else it would be in no daily copy, and the age of the copy would be that of all the others."""
    assert not writes(storage(record), "storage-files", key)


@pytest.mark.parametrize(
    "key", ["photos", "photos/2006/January", "a/b/", "a.b/c..d", "a/.hidden", "a/...", "..", "a b/ü"]
)
def test_any_other_file_may_be_written(record: Record, key: str) -> None:
    assert writes(storage(record), "storage-files", key)


def test_what_cannot_be_copied_can_still_be_read_and_deleted(record: Record) -> None:
    made = storage(record)
    refused = [
        statement["Action"]
        for statement in json.loads(made.one(POLICY, "storage-files-policy").inputs["policy"])["Statement"]
        if "Condition" not in statement
    ]
    assert refused == [["s3:PutObject"]]


def test_whoever_brings_the_application_is_told_of_the_keys_that_are_refused() -> None:
    told = section(PAGES["docs/deployment-guide.md"], "What the application must bring")
    for pattern in NEVER_COPIED:
        assert f"`{pattern.replace('*', '')}`" in told


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


def test_what_a_file_was_is_kept_for_ninety_days_after_it_was_replaced_or_deleted(record: Record) -> None:
    """The page, "Backup Schedule": files, retention 90 days."""
    rule = rules(backup(record), "backup")["expire-noncurrent-versions"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 90}


@pytest.mark.parametrize("days", [1, 90, 365])
def test_the_stated_retention_is_the_one_that_holds(record: Record, days: int) -> None:
    rule = rules(storage(record, retention_days=days), "storage-backup")["expire-noncurrent-versions"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": days}


def test_the_copy_of_a_file_that_still_exists_never_expires(record: Record) -> None:
    assert not [
        rule for rule in rules(backup(record), "backup").values() if "days" in rule.get("expiration", {})
    ]


def test_a_backup_goes_to_glacier_on_its_first_day(record: Record) -> None:
    """The page, "Backup Schedule": files, location S3 + Glacier."""
    rule = rules(backup(record), "backup")["to-glacier"]
    assert rule["transitions"] == [{"days": 0, "storageClass": "GLACIER_IR"}]


def test_a_backup_lies_where_the_plan_that_was_checked_says(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planned(days: int, mode: LockMode | None) -> BucketPlan:
        assert (days, mode) == (365, LockMode.COMPLIANCE)
        steps = (
            Transition(after_days=30, storage_class=StorageClass.STANDARD_IA),
            Transition(after_days=60, storage_class=StorageClass.GLACIER_FLEXIBLE),
        )
        return BucketPlan(name="files", keep_days=days, transitions=steps, object_lock_days=days)

    monkeypatch.setattr("components.storage.files_plan", planned)

    rule = rules(backup(record, retention_days=365, lock=LockMode.COMPLIANCE), "backup")["to-glacier"]
    assert rule["transitions"] == [
        {"days": 30, "storageClass": "STANDARD_IA"},
        {"days": 60, "storageClass": "GLACIER"},
    ]


def test_a_backup_too_short_lived_for_glacier_stays_out_of_it(record: Record) -> None:
    assert "to-glacier" in rules(backup(record, retention_days=90), "backup")
    assert "to-glacier" not in rules(backup(record, retention_days=89), "backup")


def test_no_rule_reaches_only_a_part_of_a_bucket(record: Record) -> None:
    made = storage(record)
    for bucket in ("storage-files", "storage-backup"):
        assert {json.dumps(rule["filter"]) for rule in rules(made, bucket).values()} == {'{"prefix": ""}'}


@pytest.mark.parametrize("lock", [LockMode.GOVERNANCE, LockMode.COMPLIANCE])
def test_a_locked_backup_holds_every_version_for_as_long_as_the_page_promises(
    record: Record, lock: LockMode
) -> None:
    made = storage(record, lock=lock)
    bucket, configuration = made.one(BUCKET, "storage-backup"), made.one(LOCK)
    assert bucket.inputs["objectLockEnabled"] is True
    assert configuration.inputs["bucket"] == bucket.outputs["bucket"]
    assert configuration.inputs["rule"] == {"defaultRetention": {"mode": lock.value.upper(), "days": 90}}
    versioning = made.one("aws:s3/bucketVersioning:BucketVersioning", "storage-backup-versioning")
    assert versioning.urn in configuration.dependencies


@pytest.mark.parametrize("days", [1, 90, 365])
def test_a_lock_lasts_exactly_as_long_as_the_retention(record: Record, days: int) -> None:
    """Shorter, it would let go of what is promised; longer, the lifecycle could not remove what has expired."""
    made = storage(record, lock=LockMode.COMPLIANCE, retention_days=days)
    assert made.one(LOCK).inputs["rule"]["defaultRetention"]["days"] == days


def test_only_the_lifecycle_deletes_versions_from_a_locked_backup(record: Record) -> None:
    made = storage(record, lock=LockMode.GOVERNANCE)
    bucket = made.one(BUCKET, "storage-backup")
    statements = json.loads(made.one(POLICY, "storage-backup-policy").inputs["policy"])["Statement"]
    assert {
        "Effect": "Deny",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:DeleteObjectVersion"],
        "Resource": [f"{bucket.outputs['arn']}/*"],
    } in statements


def test_what_is_not_locked_has_no_trace_of_a_lock(record: Record) -> None:
    made = storage(record, lock=None)
    assert not made.of(LOCK)
    assert {bucket.inputs["objectLockEnabled"] for bucket in made.of(BUCKET)} == {False}
    assert not [policy for policy in made.of(POLICY) if "DeleteObjectVersion" in policy.inputs["policy"]]


def test_files_are_never_locked_since_the_application_deletes_them(record: Record) -> None:
    made = storage(record, lock=LockMode.COMPLIANCE)
    assert made.one(BUCKET, "storage-files").inputs["objectLockEnabled"] is False
    assert "DeleteObjectVersion" not in made.one(POLICY, "storage-files-policy").inputs["policy"]


def test_a_lock_without_versions_or_days_is_refused() -> None:
    with pytest.raises(ValueError, match="must be versioned"):
        PrivateBucketArgs(
            bucket_prefix="quikapp-test",
            region=REGION,
            kms_key_arn=None,
            versioned=False,
            lifecycle=[],
            lock=ObjectLock(mode=LockMode.GOVERNANCE, days=90),
            protect=True,
            tags=TAGS,
        )
    with pytest.raises(ValueError, match="at least 1 day, not 0"):
        ObjectLock(mode=LockMode.GOVERNANCE, days=0)


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


@pytest.mark.parametrize("lock", [LockMode.GOVERNANCE, LockMode.COMPLIANCE])
def test_a_locked_backup_is_never_emptied(record: Record, lock: LockMode) -> None:
    made = storage(record, lock=lock, protect=False)
    assert {bucket.name: bucket.inputs["forceDestroy"] for bucket in made.of(BUCKET)} == {
        "storage-files": True,
        "storage-backup": False,
    }


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


def regional(resource: Resource) -> bool:
    """Whether it is a resource of AWS that lives in a region; roles do not."""
    return resource.package == "aws" and not resource.token.startswith("aws:iam/")


def test_the_backup_is_in_another_region_than_the_files(record: Record) -> None:
    made = storage(record)
    regions = {
        part: {
            resource.inputs["region"]
            for resource in made.resources
            if regional(resource) and resource.name.startswith(f"storage-{part}")
        }
        for part in ("files", "backup")
    }
    assert regions == {"files": {REGION}, "backup": {RECOVERY_REGION}}


def test_a_backup_in_the_region_of_the_files_is_refused(record: Record) -> None:
    with pytest.raises(ValueError, match="both in eu-west-1; allowed is another region"):
        storage(record, recovery_region=REGION)


def test_the_files_are_copied_to_the_backup_bucket_once_it_is_whole(record: Record) -> None:
    """The page, "Backup Schedule": files."""
    made = storage(record, lock=LockMode.COMPLIANCE)
    task = made.one("aws:datasync/task:Task")
    ends = {
        location.outputs["arn"]: location.inputs["s3BucketArn"]
        for location in made.of("aws:datasync/s3Location:S3Location")
    }
    assert ends[task.inputs["sourceLocationArn"]] == made.one(BUCKET, "storage-files").outputs["arn"]
    assert ends[task.inputs["destinationLocationArn"]] == made.one(BUCKET, "storage-backup").outputs["arn"]
    # Children are registered only once their parent is.
    waits_for = made.urn(task.parent).dependencies
    assert {made.one(LOCK).urn, made.one(LIFECYCLE, "storage-backup-lifecycle").urn} <= waits_for
    assert made.value(made.result.copies.task_arn) == task.outputs["arn"]


def test_everything_is_tagged_and_closed(record: Record) -> None:
    made = storage(record, lock=LockMode.COMPLIANCE)
    made.assert_tagged(TAGS)
    made.assert_least_privilege()
