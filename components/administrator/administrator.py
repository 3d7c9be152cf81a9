"""The database's administrator signs in with IAM: RDS keeps no password of a global database, and neither does the program."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
import pulumi_aws as aws

from components.policies import Arn, Statement, function_trust, policy_document
from operations.limits import FUNCTION_NAME_LENGTH, ROLE_NAME_LENGTH
from operations.naming import join
from operations.versions import LAMBDA_PYTHON

SOURCE: Final = Path(__file__).with_name("handler.py")
"""All that is deployed."""

ENTRY: Final = "handler.handler"

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
        child = pulumi.ResourceOptions(parent=self)
        ready = pulumi.ResourceOptions(parent=self, depends_on=list(args.ready))
        function_name = _function_name(args.prefix)
        role_name = join(args.prefix, "database-administrator", limit=ROLE_NAME_LENGTH.value)
        cluster_arn = pulumi.Output.from_input(args.cluster_arn)

        def tags(label: str) -> dict[str, str]:
            return {**args.tags, "Name": label}

        # Made before the function, so that it is encrypted and does not keep for ever.
        log_group = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=log_group_name(args.prefix),
            kms_key_id=args.key_arn,
            retention_in_days=args.log_retention_days,
            region=args.region,
            tags=tags(function_name),
            opts=ready,
        )
        role = aws.iam.Role(
            f"{name}-function",
            name=role_name,
            description=f"Lets the administrator of {args.cluster_identifier} sign in with IAM",
            assume_role_policy=cluster_arn.apply(lambda arn: function_trust(Arn.parse(arn), function_name)),
            tags=tags(role_name),
            opts=child,
        )
        granted = aws.iam.RolePolicy(
            f"{name}-function",
            name="sign-in",
            role=role.name,
            policy=pulumi.Output.all(cluster_arn, log_group.arn).apply(lambda arns: permissions(*arns)),
            opts=child,
        )
        function = aws.lambda_.Function(
            f"{name}-function",
            name=function_name,
            description=f"Lets the administrator of {args.cluster_identifier} sign in with IAM",
            role=role.arn,
            runtime=f"python{LAMBDA_PYTHON}",
            architectures=["arm64"],
            handler=ENTRY,
            # As text, not as a path: the state must not differ from one checkout to the next.
            code=pulumi.AssetArchive({SOURCE.name: pulumi.StringAsset(SOURCE.read_text(encoding="utf-8"))}),
            timeout=TIMEOUT_SECONDS,
            memory_size=MEMORY_MIB,
            logging_config=aws.lambda_.FunctionLoggingConfigArgs(
                log_format="JSON", log_group=log_group.name, system_log_level="WARN"
            ),
            region=args.region,
            tags=tags(function_name),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted]),
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
        Statement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[f"{log_group}:*"]),
    )
