"""The daily copy of files into another region: on time, incremental, with no more rights than it needs."""

import json
from typing import Any

import pytest

from components.file_copies import FileCopies, FileCopiesArgs, Place
from tests.unit.components.conftest import Record
from tests.unit.components.recording import ACCOUNT, Recording

TAGS = {"environment": "test", "owner": "operations"}

LOCATION = "aws:datasync/s3Location:S3Location"
TASK = "aws:datasync/task:Task"
ROLE = "aws:iam/role:Role"
GRANTS = "aws:iam/rolePolicy:RolePolicy"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
LOG_POLICY = "aws:cloudwatch/logResourcePolicy:LogResourcePolicy"


def place(name: str, region: str) -> Place:
    return Place(
        bucket_arn=f"arn:aws:s3:::{name}",
        kms_key_arn=f"arn:aws:kms:{region}:{ACCOUNT}:key/{name}",
        region=region,
    )


def copies(record: Record, *, destination_region: str = "eu-central-1") -> Recording[FileCopies]:
    return record(
        lambda: FileCopies(
            "copies",
            FileCopiesArgs(
                prefix="quikapp-test",
                source=place("files", "eu-west-1"),
                destination=place("backup", destination_region),
                log_retention_days=30,
                tags=TAGS,
            ),
        )
    )


def statements(text: str) -> list[dict[str, Any]]:
    return json.loads(text)["Statement"]


def granted(made: Recording[FileCopies], end: str) -> dict[str, set[str]]:
    """Resource → actions that the role of one end may do there."""
    assert made.one(GRANTS, f"copies-{end}").inputs["role"] == made.one(ROLE, f"copies-{end}").outputs["name"]
    return {
        resource: set(statement["Action"])
        for statement in statements(made.one(GRANTS, f"copies-{end}").inputs["policy"])
        for resource in statement["Resource"]
    }


def test_files_are_copied_once_a_day(record: Record) -> None:
    """The page, "Backup Schedule": files, frequency daily."""
    schedule = copies(record).one(TASK).inputs["schedule"]
    assert schedule["status"] == "ENABLED"
    minute, hour, day, month, weekday, year = (
        schedule["scheduleExpression"].removeprefix("cron(").removesuffix(")").split()
    )
    assert minute.isdecimal()
    assert hour.isdecimal()
    assert (day, month, weekday, year) == ("*", "*", "?", "*")


def test_a_copy_moves_what_has_changed_and_verifies_it(record: Record) -> None:
    options = copies(record).one(TASK).inputs["options"]
    assert options["transferMode"] == "CHANGED"
    assert options["overwriteMode"] == "ALWAYS"
    assert options["verifyMode"] == "ONLY_FILES_TRANSFERRED"
    assert options["objectTags"] == "PRESERVE"


def test_an_object_gets_no_owner_and_no_mode_of_a_file_system(record: Record) -> None:
    """Left to itself, DataSync carries over those of a file system, and S3 has none."""
    options = copies(record).one(TASK).inputs["options"]
    assert (options["uid"], options["gid"], options["posixPermissions"]) == ("NONE", "NONE", "NONE")


def test_a_deleted_file_is_deleted_from_the_copy_so_that_its_retention_begins(record: Record) -> None:
    assert copies(record).one(TASK).inputs["options"]["preserveDeletedFiles"] == "REMOVE"


def test_the_copy_goes_from_the_files_to_the_backup_each_in_its_region(record: Record) -> None:
    made = copies(record)
    task = made.one(TASK)
    for end, bucket, region in (("source", "files", "eu-west-1"), ("destination", "backup", "eu-central-1")):
        location = made.one(LOCATION, f"copies-{end}")
        assert task.inputs[f"{end}LocationArn"] == location.outputs["arn"]
        assert location.inputs["s3BucketArn"] == f"arn:aws:s3:::{bucket}"
        assert location.inputs["subdirectory"] == "/"
        assert location.inputs["region"] == region
        role = made.one(ROLE, f"copies-{end}")
        assert location.inputs["s3Config"] == {"bucketAccessRoleArn": role.outputs["arn"]}


def test_new_copies_are_verified_before_reading_them_costs(record: Record) -> None:
    assert copies(record).one(LOCATION, "copies-destination").inputs["s3StorageClass"] == "STANDARD"


def test_the_task_and_its_log_are_where_they_survive_the_loss_of_the_files_region(record: Record) -> None:
    made = copies(record)
    for token in (TASK, LOG_GROUP, LOG_POLICY):
        assert made.one(token).inputs["region"] == "eu-central-1"


def test_a_copy_within_one_region_is_refused(record: Record) -> None:
    with pytest.raises(ValueError, match="both in eu-west-1; allowed is another region"):
        copies(record, destination_region="eu-west-1")


def test_the_source_is_only_read(record: Record) -> None:
    assert granted(copies(record), "source") == {
        "arn:aws:s3:::files": {"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"},
        "arn:aws:s3:::files/*": {
            "s3:GetObject",
            "s3:GetObjectTagging",
            "s3:GetObjectVersion",
            "s3:GetObjectVersionTagging",
            "s3:ListMultipartUploadParts",
        },
        f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/files": {"kms:Decrypt"},
    }


def test_the_destination_is_written_and_none_of_its_versions_can_be_deleted(record: Record) -> None:
    assert granted(copies(record), "destination") == {
        "arn:aws:s3:::backup": {"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"},
        "arn:aws:s3:::backup/*": {
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:GetObjectTagging",
            "s3:GetObjectVersion",
            "s3:GetObjectVersionTagging",
            "s3:ListMultipartUploadParts",
            "s3:PutObject",
            "s3:PutObjectTagging",
        },
        f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/backup": {"kms:Decrypt", "kms:GenerateDataKey"},
    }


@pytest.mark.parametrize("end", ["source", "destination"])
def test_only_datasync_takes_a_role_and_only_for_this_account_in_these_regions(
    record: Record, end: str
) -> None:
    (statement,) = statements(copies(record).one(ROLE, f"copies-{end}").inputs["assumeRolePolicy"])
    assert statement["Principal"] == {"Service": ["datasync.amazonaws.com"]}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {
            "aws:SourceArn": [
                f"arn:aws:datasync:eu-west-1:{ACCOUNT}:*",
                f"arn:aws:datasync:eu-central-1:{ACCOUNT}:*",
            ]
        },
    }


@pytest.mark.parametrize("end", ["source", "destination"])
def test_a_location_is_tried_only_when_its_role_may_reach_the_bucket(record: Record, end: str) -> None:
    made = copies(record)
    assert made.one(GRANTS, f"copies-{end}").urn in made.one(LOCATION, f"copies-{end}").dependencies


def test_failures_are_logged_for_as_long_as_logs_are_kept(record: Record) -> None:
    made = copies(record)
    task, log_group = made.one(TASK), made.one(LOG_GROUP)
    assert log_group.inputs["retentionInDays"] == 30
    assert task.inputs["cloudwatchLogGroupArn"] == log_group.outputs["arn"]
    assert task.inputs["options"]["logLevel"] == "BASIC"
    # An enhanced task would log to a group that is not the environment's.
    assert task.inputs["taskMode"] == "BASIC"


def test_only_tasks_of_this_account_write_the_log_and_may_before_the_first_run(record: Record) -> None:
    made = copies(record)
    log_group, policy = made.one(LOG_GROUP), made.one(LOG_POLICY)
    assert policy.urn in made.one(TASK).dependencies
    assert policy.inputs["resourceArn"] == log_group.outputs["arn"]
    assert statements(policy.inputs["policyDocument"]) == [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["datasync.amazonaws.com"]},
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [f"{log_group.outputs['arn']}:*"],
            "Condition": {
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnLike": {"aws:SourceArn": f"arn:aws:datasync:eu-central-1:{ACCOUNT}:task/*"},
            },
        }
    ]


def test_the_task_is_told_to_whoever_watches_its_age(record: Record) -> None:
    made = copies(record)
    assert made.value(made.result.task_arn) == made.one(TASK).outputs["arn"]


def test_long_names_stay_within_what_iam_takes(record: Record) -> None:
    made = record(
        lambda: FileCopies(
            "copies",
            FileCopiesArgs(
                prefix="q" * 60,
                source=place("files", "eu-west-1"),
                destination=place("backup", "eu-central-1"),
                log_retention_days=30,
                tags=TAGS,
            ),
        )
    )
    names = [role.inputs["name"] for role in made.of(ROLE)]
    assert len(set(names)) == 2
    assert max(map(len, names)) <= 64


def test_a_preview_needs_no_account(record: Record) -> None:
    made = record(
        lambda: FileCopies(
            "copies",
            FileCopiesArgs(
                prefix="quikapp-test",
                source=place("files", "eu-west-1"),
                destination=place("backup", "eu-central-1"),
                log_retention_days=30,
                tags=TAGS,
            ),
        ),
        preview=True,
    )
    assert made.one(TASK)


def test_everything_is_tagged_and_closed(record: Record) -> None:
    made = copies(record)
    made.assert_tagged(TAGS)
    made.assert_least_privilege()
