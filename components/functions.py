"""A Lambda function whose code is one file of this project, as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_aws as aws

from components.policies import Arn, Statement, function_trust
from operations.versions import LAMBDA_PYTHON


@dataclass(frozen=True, kw_only=True)
class FunctionArgs:
    """What a function is made of."""

    name: str
    """Its own, and that of `log_group`."""
    role_name: str
    description: str
    role_description: str
    beside: pulumi.Input[str]
    """ARN of something of the function's own account and region: the role stands before the function does."""
    grant: str
    """The name of what the role may do."""
    permissions: pulumi.Input[str]
    """The policy that says so; `writes_log` is part of it."""
    source: Path
    """The file with a function `handler`: all that is deployed, so it imports the standard library and boto3 alone."""
    timeout_seconds: int
    memory_mib: int
    log_group: pulumi.Input[str]
    """Its name. It is made before the function, so that it is encrypted and does not keep for ever."""
    region: str
    """AWS region, such as `eu-west-1`."""
    tags: Mapping[str, str]


def declare(name: str, args: FunctionArgs, *, parent: pulumi.Resource) -> aws.lambda_.Function:
    """Declare a function and its role, which only it may take."""
    child = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(
        name,
        name=args.role_name,
        description=args.role_description,
        assume_role_policy=pulumi.Output.from_input(args.beside).apply(
            lambda arn: function_trust(Arn.parse(arn), args.name)
        ),
        tags={**args.tags, "Name": args.role_name},
        opts=child,
    )
    granted = aws.iam.RolePolicy(name, name=args.grant, role=role.name, policy=args.permissions, opts=child)
    return aws.lambda_.Function(
        name,
        name=args.name,
        description=args.description,
        role=role.arn,
        runtime=f"python{LAMBDA_PYTHON}",
        architectures=["arm64"],
        handler=f"{args.source.stem}.handler",
        # As text, not as a path: the state must not differ from one checkout to the next.
        code=pulumi.AssetArchive(
            {args.source.name: pulumi.StringAsset(args.source.read_text(encoding="utf-8"))}
        ),
        timeout=args.timeout_seconds,
        memory_size=args.memory_mib,
        logging_config=aws.lambda_.FunctionLoggingConfigArgs(
            log_format="JSON", log_group=args.log_group, system_log_level="WARN"
        ),
        region=args.region,
        tags={**args.tags, "Name": args.name},
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[granted]),
    )


def writes_log(log_group_arn: str) -> Statement:
    """Lets a function write its own log."""
    return Statement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[f"{log_group_arn}:*"])
