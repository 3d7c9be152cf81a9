"""The database's administrator signs in with IAM: RDS keeps no password of a global database, and neither does the program."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
import pulumi_aws as aws

from components.functions import FunctionArgs, declare, writes_log
from components.policies import Statement, policy_document
from operations.limits import FUNCTION_NAME_LENGTH, ROLE_NAME_LENGTH
from operations.naming import join

SOURCE: Final = Path(__file__).with_name("handler.py")
"""All that is deployed."""

TIMEOUT_SECONDS: Final = 900
"""As long as Lambda lets a call take; the two changes of the cluster take a few minutes.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

MEMORY_MIB: Final = 256


def log_group_name(prefix: str) -> str:
    """Where the function writes its log: the key that encrypts it has to name it."""
    return f"/aws/lambda/{_function_name(prefix)}"


def _function_name(prefix: str) -> str:
    return join(prefix, "database-administrator", limit=FUNCTION_NAME_LENGTH.value)


@dataclass(frozen=True, kw_only=True)
class AdministratorArgs:
    """Whose administrator it is."""

    prefix: str
    """How names begin, such as `quikapp-live`."""
    region: str
    """AWS region of the cluster, such as `eu-west-1`."""
    cluster_identifier: str
    cluster_arn: pulumi.Input[str]
    cluster_resource_id: pulumi.Input[str]
    """What a cluster has only once: with another one, the function is called again."""
    key_arn: pulumi.Input[str]
    """Key of the function's log; its policy names `log_group_name`."""
    ready: Sequence[pulumi.Resource]
    """What has to be there first: the cluster's instances, and the policy of the key."""
    log_retention_days: int
    """Days that the function's log is kept; a period that CloudWatch Logs offers."""
    tags: Mapping[str, str]


class Administrator(pulumi.ComponentResource):
    """A function that is called once in a cluster's life, before it becomes part of a global database.

    Until then RDS makes the password, rotates it and keeps it in Secrets Manager, which it does not do for a cluster of a global
    database. So the password is given up, and the administrator signs in with a token of IAM from then on.
    Sources: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html ("Limitations"),
    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBCluster.html (`MasterUserAuthenticationType`)
    """

    signs_in_with_iam: aws.lambda_.Invocation
    """Done when the administrator has no password any more."""

    def __init__(
        self, name: str, args: AdministratorArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("quikapp:database:Administrator", name, None, opts)
        ready = pulumi.ResourceOptions(parent=self, depends_on=list(args.ready))
        function_name = _function_name(args.prefix)
        cluster_arn = pulumi.Output.from_input(args.cluster_arn)

        # Made before the function, so that it is encrypted and does not keep for ever.
        log_group = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=log_group_name(args.prefix),
            kms_key_id=args.key_arn,
            retention_in_days=args.log_retention_days,
            region=args.region,
            tags={**args.tags, "Name": function_name},
            opts=ready,
        )
        function = declare(
            f"{name}-function",
            FunctionArgs(
                name=function_name,
                role_name=join(args.prefix, "database-administrator", limit=ROLE_NAME_LENGTH.value),
                description=f"Lets the administrator of {args.cluster_identifier} sign in with IAM",
                role_description=f"Lets the administrator of {args.cluster_identifier} sign in with IAM",
                beside=cluster_arn,
                grant="sign-in",
                permissions=pulumi.Output.all(cluster_arn, log_group.arn).apply(
                    lambda arns: permissions(*arns)
                ),
                source=SOURCE,
                timeout_seconds=TIMEOUT_SECONDS,
                memory_mib=MEMORY_MIB,
                log_group=log_group.name,
                region=args.region,
                tags=args.tags,
            ),
            parent=self,
        )
        self.signs_in_with_iam = aws.lambda_.Invocation(
            f"{name}-signs-in-with-iam",
            function_name=function.name,
            input=json.dumps({"cluster": args.cluster_identifier}),
            triggers={"cluster": args.cluster_resource_id},
            region=args.region,
            opts=ready,
        )
        self.register_outputs({"functionName": function.name})


def permissions(cluster: str, log_group: str) -> str:
    """What the function may do, given ARNs: change this one cluster, see how far that is, and write its log."""
    return policy_document(
        Statement(actions=["rds:DescribeDBClusters", "rds:ModifyDBCluster"], resources=[cluster]),
        writes_log(log_group),
    )
