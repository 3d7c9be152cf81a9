"""IAM policy documents as typed values, and the parts of an ARN that they are written with.

Pure: no resource, no invoke. Account and partition are read from the ARN of a resource that the program creates,
so a preview needs no reachable account.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Conditions = Mapping[str, Mapping[str, str | Sequence[str]]]
"""Condition operator → condition key → value or values."""

KEY_OF_AWS_BACKUP: Final[Conditions] = {
    "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/aws/backup"}
}
"""That a key is AWS Backup's own, which carries no tag: its alias alone tells.

Whoever begins a copy into another region may look at it.
Source: https://docs.aws.amazon.com/aws-backup/latest/devguide/encryption.html ("grants, and deny statements")
"""


@dataclass(frozen=True, kw_only=True)
class Arn:
    """An Amazon Resource Name in its parts.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    """

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Arn:
        """Read an ARN; raises ValueError when `text` is none."""
        prefix, *parts = text.split(":", 5)
        if prefix != "arn" or len(parts) != 5:
            raise ValueError(f"{text!r} is no ARN")
        partition, service, region, account, resource = parts
        return cls(partition=partition, service=service, region=region, account=account, resource=resource)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a policy document.

    `principals` maps a kind of principal (`Service`, `AWS`) to its names and is empty in an identity policy;
    `resources` is empty in a trust policy.
    """

    actions: Sequence[str]
    resources: Sequence[str] = ()
    principals: Mapping[str, Sequence[str]] | None = None
    conditions: Conditions | None = None
    effect: Literal["Allow", "Deny"] = "Allow"

    def render(self) -> dict[str, Any]:
        """The statement in the policy language; elements that say nothing are left out."""
        elements: dict[str, Any] = {
            "Effect": self.effect,
            "Principal": {kind: list(names) for kind, names in (self.principals or {}).items()},
            "Action": list(self.actions),
            "Resource": list(self.resources),
            "Condition": {operator: dict(test) for operator, test in (self.conditions or {}).items()},
        }
        return {element: value for element, value in elements.items() if value}


def policy_document(*statements: Statement) -> str:
    """A policy document as the JSON text that AWS takes; the same statements give the same text."""
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [statement.render() for statement in statements]}
    )


def trust_policy(
    service: str, *, actions: Sequence[str] = ("sts:AssumeRole",), conditions: Conditions | None = None
) -> str:
    """Who may take on a role: the AWS service with this principal, such as `eks.amazonaws.com`."""
    return policy_document(
        Statement(actions=actions, principals={"Service": [service]}, conditions=conditions)
    )


def function_trust(beside: Arn, function: str) -> str:
    """Who may take on the role of a Lambda function: Lambda, for this function only.

    Args:
        beside: something of the function's own account and region.
        function: its name.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
    """
    arn = f"arn:{beside.partition}:lambda:{beside.region}:{beside.account}:function:{function}"
    return trust_policy(
        "lambda.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": beside.account},
            "ArnLike": {"aws:SourceArn": arn},
        },
    )


def log_key_policy(key_arn: str, log_groups: Sequence[str]) -> str:
    """Key policy of a KMS key that encrypts the named log groups of its own account and region.

    The account keeps administering the key through IAM; CloudWatch Logs may use it for these log groups only.
    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    key = Arn.parse(key_arn)
    prefix = f"arn:{key.partition}:logs:{key.region}:{key.account}:log-group"
    return policy_document(
        Statement(
            actions=["kms:*"],
            resources=["*"],
            principals={"AWS": [f"arn:{key.partition}:iam::{key.account}:root"]},
        ),
        Statement(
            actions=[
                "kms:Encrypt*",
                "kms:Decrypt*",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:Describe*",
            ],
            resources=["*"],
            principals={"Service": [f"logs.{key.region}.amazonaws.com"]},
            conditions={
                "ArnEquals": {
                    "kms:EncryptionContext:aws:logs:arn": [f"{prefix}:{name}" for name in log_groups]
                }
            },
        ),
    )
