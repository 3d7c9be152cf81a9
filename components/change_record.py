"""What AWS keeps of change requests: which one is in force, an event whenever that changes, and proof that none is forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.policies import Statement, policy_document
from operations.changes import ChangeRequest, Recorded
from operations.limits import EVENT_RULE_NAME_LENGTH
from operations.naming import join

WRITERS: Final = ("events.amazonaws.com", "delivery.logs.amazonaws.com")
"""Who writes an event to a log group.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
"""


@dataclass(frozen=True, kw_only=True)
class ChangeRecordArgs:
    """What is recorded, and where.

    Raises:
        ValueError: there is no change request.
    """

    application: str
    environment: str
    """With the application the path of the parameter: `/quikapp/live/change`."""
    prefix: str
    """How other names begin, such as `quikapp-live`."""
    changes: Sequence[ChangeRequest]
    """All that were used, the oldest first, the one in force last."""
    region: str
    """AWS region, such as `eu-west-1`."""
    log_retention_days: int
    """Days that the log of events is kept; a period that CloudWatch Logs offers. The ledger itself is in Git."""
    protect: bool
    """Whether the record refuses to be deleted, and with it what is known to have been used."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if not self.changes:
            raise ValueError("a record takes at least one change request")


class ChangeRecord(pulumi.ComponentResource):
    """A parameter that says which change request is in force, and a log of the events that its changes are.

    The parameter holds the number of the change requests and their digest, too. By these a hook refuses any update that
    takes one out or alters it: what was used cannot be used again. An event names the change request, since it bears the
    parameter's description; the value it leaves out. Events are sent on a best effort basis, so a record of all is the
    ledger, and the parameter's history.
    Source: https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html
    """

    parameter_name: pulumi.Output[str]
    changes: pulumi.Output[list[dict[str, str]]]
    """The whole ledger, once it is recorded."""

    def __init__(self, name: str, args: ChangeRecordArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:changes:ChangeRecord", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        path = f"/{args.application}/{args.environment}/change"
        # Whoever hears of the first change request is there before it.
        parameter = self._parameter(path, after=self._log_of(path))
        self.parameter_name = parameter.name
        # In the state as soon as the parameter is, whatever of the same update fails after it.
        used = [change.model_dump(mode="json", by_alias=True) for change in args.changes]
        self.changes = parameter.arn.apply(lambda _: used)
        self.register_outputs({"parameterName": self.parameter_name, "changes": self.changes})

    def _tags(self, label: str) -> dict[str, str]:
        return {**self._args.tags, "Name": label}

    def _parameter(self, path: str, after: Sequence[pulumi.Resource]) -> aws.ssm.Parameter:
        args = self._args
        recorded = Recorded.of(args.changes)
        guard = pulumi.ResourceHook(
            f"{self._name}-ledger", self._refuse_forgetting, pulumi.ResourceHookOptions(on_dry_run=True)
        )
        return aws.ssm.Parameter(
            f"{self._name}-parameter",
            name=path,
            description=f"{recorded.request} brought {recorded.version}",
            type=aws.ssm.ParameterType.STRING,
            tier="Standard",
            # Nothing of it is secret, and a preview is to show it.
            insecure_value=recorded.model_dump_json(),
            region=args.region,
            tags=self._tags(path),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=after,
                protect=args.protect,
                hooks=pulumi.ResourceHookBinding(before_update=[guard]),
            ),
        )

    def _log_of(self, path: str) -> list[pulumi.Resource]:
        """What writes every change of the parameter to a log group.

        The policy belongs to the log group: an account has room for only ten that do not. Without it the rule would
        match and nothing would be written; a role is not asked for.
        Sources: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html,
        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
        """
        args = self._args
        label = join(args.prefix, "change", limit=EVENT_RULE_NAME_LENGTH.value)
        log_group = aws.cloudwatch.LogGroup(
            f"{self._name}-log",
            name=f"/aws/events/{label}",
            retention_in_days=args.log_retention_days,
            region=args.region,
            tags=self._tags(label),
            opts=self._child,
        )
        rule = aws.cloudwatch.EventRule(
            f"{self._name}-rule",
            name=label,
            description=f"Changes of {path}: another change request is in force",
            event_pattern=json.dumps(
                {
                    "source": ["aws.ssm"],
                    "detail-type": ["Parameter Store Change"],
                    "detail": {"name": [path]},
                }
            ),
            region=args.region,
            tags=self._tags(label),
            opts=self._child,
        )
        policy = aws.cloudwatch.LogResourcePolicy(
            f"{self._name}-log",
            resource_arn=log_group.arn,
            policy_document=pulumi.Output.all(log_group.arn, rule.arn).apply(
                lambda arns: _log_policy(log_group=arns[0], rule=arns[1])
            ),
            region=args.region,
            opts=self._child,
        )
        target = aws.cloudwatch.EventTarget(
            f"{self._name}-target",
            rule=rule.name,
            target_id="log",
            arn=log_group.arn,
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        return [target]

    def _refuse_forgetting(self, update: pulumi.ResourceHookArgs) -> None:
        """Let no update of the record, by whoever runs it, leave out or alter a change request that was used.

        Raises:
            ValueError: says which ones there are; the engine then fails the update, or the preview of it.
        """
        used = Recorded.model_validate_json((update.old_inputs or {})["insecureValue"])
        if why := used.refusal(self._args.changes):
            raise ValueError(why)


def _log_policy(*, log_group: str, rule: str) -> str:
    """Lets events that one rule matches be written to one log group.

    A log stream is made before anybody knows for which rule, so there it is the account that counts.
    """
    return policy_document(
        Statement(
            principals={"Service": list(WRITERS)},
            actions=["logs:CreateLogStream"],
            resources=[f"{log_group}:*"],
        ),
        Statement(
            principals={"Service": list(WRITERS)},
            actions=["logs:PutLogEvents"],
            resources=[f"{log_group}:*:*"],
            conditions={"ArnEquals": {"aws:SourceArn": rule}},
        ),
    )
