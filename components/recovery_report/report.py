"""The hourly report on backups, copies and restore tests: a Lambda function that publishes figures in CloudWatch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
import pulumi_aws as aws

from components import encrypted_log
from components.encrypted_log import EncryptedLogArgs
from components.functions import FunctionArgs, declare, writes_log
from components.policies import (
    Arn,
    Statement,
    policy_document,
    trust_policy,
)
from operations.backup import Data
from operations.limits import (
    FUNCTION_NAME_LENGTH,
    ROLE_NAME_LENGTH,
    SCHEDULE_NAME_LENGTH,
)
from operations.naming import join
from operations.recovery_alerts import NAMESPACE, PUBLISHED

SOURCE: Final = Path(__file__).with_name("handler.py")
"""All that is deployed."""

TIMEOUT_SECONDS: Final = 300
"""A run takes seconds; this is for one in which a region does not answer."""

MEMORY_MIB: Final = 256


@dataclass(frozen=True, kw_only=True)
class WatchedVault:
    """A vault whose newest recovery points are told.

    Raises:
        ValueError: it has no source, so nothing would ever be told of it.
    """

    data: Data
    region: str
    """AWS region, such as `eu-west-1`."""
    name: pulumi.Input[str]
    arn: pulumi.Input[str]
    sources: Sequence[pulumi.Input[str]]
    """ARNs of all that must have recovery points in it."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError(f"a vault of {self.data} needs at least one source")


@dataclass(frozen=True, kw_only=True)
class WatchedTest:
    """A restore testing plan; told is its last success of every source of the vault."""

    arn: pulumi.Input[str]
    vault: WatchedVault
    """The vault from which it restores."""


@dataclass(frozen=True, kw_only=True)
class WatchedCopy:
    """A DataSync task whose last success is told."""

    data: Data
    region: str
    """AWS region, such as `eu-west-1`."""
    arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class RecoveryReportArgs:
    """What the report is about, and where it runs.

    Raises:
        ValueError: there is no vault to report on.
    """

    prefix: str
    """How names begin, such as `quikapp-live`."""
    environment: str
    """The value of the dimension `Environment`, such as `live`."""
    region: str
    """AWS region in which the figures are published, such as `eu-west-1`."""
    vaults: Sequence[WatchedVault]
    """All vaults of a kind of data count as one: the source furthest behind, in whichever of them, is told."""
    restore_tests: Sequence[WatchedTest] = ()
    copies: Sequence[WatchedCopy] = ()
    log_retention_days: int
    """Days that the function's log is kept; a period that CloudWatch Logs offers."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if not self.vaults:
            raise ValueError("a report needs at least one vault")


class RecoveryReport(pulumi.ComponentResource):
    """A function that EventBridge Scheduler calls every hour, and that may read what it reports on and nothing more.

    Its code is `handler.py` as it stands; what it looks at comes with the schedule. It publishes no figure of what never
    happened.
    """

    function_name: pulumi.Output[str]
    """Who is in doubt calls it: `aws lambda invoke` returns the figures."""

    def __init__(
        self, name: str, args: RecoveryReportArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("quikapp:recovery:RecoveryReport", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._function_name = join(args.prefix, "recovery-report", limit=FUNCTION_NAME_LENGTH.value)

        log_group = self._log()
        function = self._function(log_group)
        self._schedule(function)

        self.function_name = function.name
        self.register_outputs({"functionName": self.function_name})

    def _tags(self) -> dict[str, str]:
        return {**self._args.tags, "Name": self._function_name}

    def _log(self) -> aws.cloudwatch.LogGroup:
        args = self._args
        return encrypted_log.declare(
            f"{self._name}-log",
            f"{self._name}-key",
            EncryptedLogArgs(
                group_name=f"/aws/lambda/{self._function_name}",
                retention_days=args.log_retention_days,
                key_description=f"Log of {self._function_name}",
                region=args.region,
                tags=self._tags(),
            ),
            parent=self,
        ).group

    def _function(self, log_group: aws.cloudwatch.LogGroup) -> aws.lambda_.Function:
        args = self._args
        return declare(
            f"{self._name}-function",
            FunctionArgs(
                name=self._function_name,
                role_name=join(args.prefix, "recovery-report", limit=ROLE_NAME_LENGTH.value),
                description="How old backups, copies and restore tests are",
                role_description="Reads backups, restore tests and copies, and publishes their age",
                beside=log_group.arn,
                grant="report",
                permissions=pulumi.Output.all(
                    log_group.arn,
                    pulumi.Output.all(*(vault.arn for vault in args.vaults)),
                    pulumi.Output.all(*(copy.arn for copy in args.copies)),
                ).apply(lambda made: permissions(made[0], vaults=made[1], copies=made[2])),
                source=SOURCE,
                timeout_seconds=TIMEOUT_SECONDS,
                memory_mib=MEMORY_MIB,
                log_group=log_group.name,
                region=args.region,
                tags=args.tags,
            ),
            parent=self,
        )

    def _schedule(self, function: aws.lambda_.Function) -> None:
        """Calls the function every hour. What failed is not tried again: the next call is near."""
        args = self._args
        role_name = join(args.prefix, "recovery-report-schedule", limit=ROLE_NAME_LENGTH.value)
        role = aws.iam.Role(
            f"{self._name}-schedule",
            name=role_name,
            description=f"Calls {self._function_name}",
            assume_role_policy=function.arn.apply(lambda arn: _schedule_trust(Arn.parse(arn))),
            tags={**args.tags, "Name": role_name},
            opts=self._child,
        )
        granted = aws.iam.RolePolicy(
            f"{self._name}-schedule",
            name="call",
            role=role.name,
            policy=function.arn.apply(
                lambda arn: policy_document(Statement(actions=["lambda:InvokeFunction"], resources=[arn]))
            ),
            opts=self._child,
        )
        aws.scheduler.Schedule(
            f"{self._name}-schedule",
            name=join(args.prefix, "recovery-report", limit=SCHEDULE_NAME_LENGTH.value),
            description="How old backups, copies and restore tests are",
            schedule_expression=f"rate({PUBLISHED.total_seconds() / 60:.0f} minutes)",
            flexible_time_window=aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
            target=aws.scheduler.ScheduleTargetArgs(
                arn=function.arn,
                role_arn=role.arn,
                input=self._event(),
                retry_policy=aws.scheduler.ScheduleTargetRetryPolicyArgs(maximum_retry_attempts=0),
            ),
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted]),
        )

    def _event(self) -> pulumi.Output[str]:
        """What the handler gets; its form is `handler.Event`."""
        args = self._args

        def told(vault: WatchedVault) -> dict[str, object]:
            return {
                "data": vault.data,
                "region": vault.region,
                "name": vault.name,
                "sources": list(vault.sources),
            }

        event: pulumi.Output[dict[str, object]] = pulumi.Output.from_input(
            {
                "environment": args.environment,
                "vaults": [told(vault) for vault in args.vaults],
                "restoreTests": [{"arn": test.arn, "vault": told(test.vault)} for test in args.restore_tests],
                "copies": [
                    {"data": copy.data, "region": copy.region, "arn": copy.arn} for copy in args.copies
                ],
            }
        )
        return event.apply(json.dumps)


def permissions(log_group: str, *, vaults: Sequence[str], copies: Sequence[str]) -> str:
    """What the function may do, given ARNs.

    `backup:ListRestoreJobs`, `datasync:ListTaskExecutions` and `cloudwatch:PutMetricData` know no resource; the last is
    bounded by its namespace.
    Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbackup.html,
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsdatasync.html
    """
    statements = [
        writes_log(log_group),
        Statement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
        ),
        Statement(actions=["backup:ListRestoreJobs"], resources=["*"]),
        Statement(actions=["backup:ListRecoveryPointsByBackupVault"], resources=vaults),
    ]
    if copies:
        statements += [
            Statement(actions=["datasync:ListTaskExecutions"], resources=["*"]),
            Statement(
                actions=["datasync:DescribeTaskExecution"],
                resources=[f"{task}/execution/*" for task in copies],
            ),
        ]
    return policy_document(*statements)


def _schedule_trust(function: Arn) -> str:
    """Lets EventBridge Scheduler take the role for schedules of this account's default group.

    A schedule group is the narrowest that Scheduler states.
    Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    group = f"arn:{function.partition}:scheduler:{function.region}:{function.account}:schedule-group/default"
    return trust_policy(
        "scheduler.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": function.account},
            "ArnEquals": {"aws:SourceArn": group},
        },
    )
