"""The daily copy of files into a bucket of another region, by AWS DataSync (the operations page, "Backup Schedule": files).

Incremental: DataSync lists both buckets and transfers what differs. It reads current versions only, and a file that is
gone is deleted from the copy too, where versioning turns the deletion into a marker. What such a run replaced or
deleted is the backup bucket's to keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.policies import Arn, Statement, policy_document, trust_policy
from operations.limits import ROLE_NAME_LENGTH
from operations.naming import join

SCHEDULE: Final = "cron(0 2 * * ? *)"
"""Once a day, at 02:00 UTC: after the midnight at which S3 applies lifecycle rules, and before anybody's working day.

A copy is therefore at most a day old, and as much more as a run takes; a run that is still under way is not joined by a
second one, which waits. Source: https://docs.aws.amazon.com/datasync/latest/userguide/task-scheduling.html
"""

COPIER: Final = "datasync.amazonaws.com"

WHOLE_BUCKET: Final = "/"

BUCKET_ACTIONS: Final = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads")
"""What DataSync does with either bucket, and below with the objects of each.

Source: https://docs.aws.amazon.com/datasync/latest/userguide/create-s3-location.html ("Required permissions")
"""

READ_ACTIONS: Final = (
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionTagging",
    "s3:ListMultipartUploadParts",
)

WRITE_ACTIONS: Final = (
    *READ_ACTIONS,
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:PutObject",
    "s3:PutObjectTagging",
)
"""No version can be deleted with these: what is deleted stays, as a noncurrent version."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A bucket, the key that encrypts it, and the region that both are in."""

    bucket_arn: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    region: str
    """AWS region, such as `eu-west-1`."""


@dataclass(frozen=True, kw_only=True)
class FileCopiesArgs:
    """What the copy of one bucket into another is made of.

    Raises:
        ValueError: both buckets are in the same region, so the loss of one region takes both.
    """

    prefix: str
    """How the names of roles and task begin, such as `quikapp-live`."""
    source: Place
    """Where the files are."""
    destination: Place
    """Where they are copied to: versioned, since every run replaces and deletes what has changed."""
    log_retention_days: int
    """Days that the log of failed transfers is kept."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.source.region == self.destination.region:
            raise ValueError(
                f"files and their copy are both in {self.source.region}; allowed is another region, whose loss is another's"
            )


class FileCopies(pulumi.ComponentResource):
    """A DataSync task that makes one bucket equal to another in a second region, once a day.

    Each location is in the region of its bucket. The task is in the destination's, as one of the two must be, so that
    what it did last can be told when the files' own region cannot answer.
    Source: https://docs.aws.amazon.com/datasync/latest/userguide/working-with-locations.html
    """

    task_arn: pulumi.Output[str]
    """The task, whose executions tell when files were last copied; DataSync remembers them for 30 days."""

    def __init__(self, name: str, args: FileCopiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:storage:FileCopies", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)

        source = self._location("source", args.source, READ_ACTIONS, ["kms:Decrypt"])
        destination = self._location(
            "destination", args.destination, WRITE_ACTIONS, ["kms:Decrypt", "kms:GenerateDataKey"]
        )
        log_group, log_policy = self._log()
        task = aws.datasync.Task(
            f"{name}-task",
            name=f"{args.prefix}-files",
            source_location_arn=source.arn,
            destination_location_arn=destination.arn,
            # Enhanced tasks have no quota of objects, but log to one group that the account's tasks share (ADR 16).
            task_mode="BASIC",
            schedule=aws.datasync.TaskScheduleArgs(schedule_expression=SCHEDULE, status="ENABLED"),
            options=aws.datasync.TaskOptionsArgs(
                transfer_mode="CHANGED",
                overwrite_mode="ALWAYS",
                preserve_deleted_files="REMOVE",
                verify_mode="ONLY_FILES_TRANSFERRED",
                object_tags="PRESERVE",
                # Objects have no owner and no mode of a file system.
                uid="NONE",
                gid="NONE",
                posix_permissions="NONE",
                log_level="BASIC",
            ),
            cloudwatch_log_group_arn=log_group.arn,
            region=args.destination.region,
            tags=self._tags("files"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[log_policy]),
        )

        self.task_arn = task.arn
        self.register_outputs({"taskArn": self.task_arn})

    def _tags(self, label: str) -> dict[str, str]:
        return {**self._args.tags, "Name": f"{self._args.prefix}-{label}"}

    def _location(
        self, end: str, place: Place, object_actions: Sequence[str], key_actions: Sequence[str]
    ) -> aws.datasync.S3Location:
        """One end of the copy, and a role that reaches its bucket and key and nothing else."""
        args = self._args
        role_name = join(args.prefix, "files", end, limit=ROLE_NAME_LENGTH.value)
        role = aws.iam.Role(
            f"{self._name}-{end}",
            name=role_name,
            description=f"DataSync copies files: the {end}",
            assume_role_policy=pulumi.Output.from_input(place.kms_key_arn).apply(
                lambda arn: _trust(Arn.parse(arn), [args.source.region, args.destination.region])
            ),
            tags={**args.tags, "Name": role_name},
            opts=self._child,
        )
        grants = aws.iam.RolePolicy(
            f"{self._name}-{end}",
            name="copy",
            role=role.name,
            policy=pulumi.Output.all(place.bucket_arn, place.kms_key_arn).apply(
                lambda made: policy_document(
                    Statement(actions=BUCKET_ACTIONS, resources=[made[0]]),
                    Statement(actions=object_actions, resources=[f"{made[0]}/*"]),
                    Statement(actions=key_actions, resources=[made[1]]),
                )
            ),
            opts=self._child,
        )
        return aws.datasync.S3Location(
            f"{self._name}-{end}",
            s3_bucket_arn=place.bucket_arn,
            subdirectory=WHOLE_BUCKET,
            # New objects are verified in S3 Standard, where reading is free; the lifecycle moves them to Glacier at midnight.
            s3_storage_class="STANDARD",
            s3_config=aws.datasync.S3LocationS3ConfigArgs(bucket_access_role_arn=role.arn),
            region=place.region,
            tags=self._tags(f"files-{end}"),
            # DataSync tries the role on the bucket when a location is made.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[grants]),
        )

    def _log(self) -> tuple[aws.cloudwatch.LogGroup, aws.cloudwatch.LogResourcePolicy]:
        """The log of transfers that failed, and what lets DataSync write it.

        The policy belongs to the log group: an account has room for only ten that do not.
        Sources: https://docs.aws.amazon.com/datasync/latest/userguide/configure-logging.html,
        https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html
        """
        args = self._args
        region = args.destination.region
        log_group = aws.cloudwatch.LogGroup(
            f"{self._name}-log",
            name=f"/aws/datasync/{args.prefix}-files",
            retention_in_days=args.log_retention_days,
            region=region,
            tags=self._tags("files"),
            opts=self._child,
        )
        policy = aws.cloudwatch.LogResourcePolicy(
            f"{self._name}-log",
            resource_arn=log_group.arn,
            policy_document=log_group.arn.apply(_log_policy),
            region=region,
            opts=self._child,
        )
        return log_group, policy


def _trust(key: Arn, regions: Sequence[str]) -> str:
    """Lets DataSync take a role for locations and tasks of this account, in the two regions of the copy.

    The location's own ARN cannot stand here, since it exists only after the role.
    Source: https://docs.aws.amazon.com/datasync/latest/userguide/cross-service-confused-deputy-prevention.html
    """
    return trust_policy(
        COPIER,
        conditions={
            "StringEquals": {"aws:SourceAccount": key.account},
            "ArnLike": {
                "aws:SourceArn": [
                    f"arn:{key.partition}:datasync:{region}:{key.account}:*" for region in regions
                ]
            },
        },
    )


def _log_policy(log_group_arn: str) -> str:
    """Lets tasks of this account and region write to one log group."""
    log_group = Arn.parse(log_group_arn)
    tasks = f"arn:{log_group.partition}:datasync:{log_group.region}:{log_group.account}:task/*"
    return policy_document(
        Statement(
            principals={"Service": [COPIER]},
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[f"{log_group_arn}:*"],
            conditions={
                "StringEquals": {"aws:SourceAccount": log_group.account},
                "ArnLike": {"aws:SourceArn": tasks},
            },
        )
    )
