"""A log group of CloudWatch, and the KMS key that encrypts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pulumi
import pulumi_aws as aws

from components.policies import log_key_policy
from operations.limits import KEY_DELETION_WINDOW


@dataclass(frozen=True, kw_only=True)
class EncryptedLogArgs:
    """What a log group and its key are made of."""

    group_name: str
    """What the service that writes to it expects: it writes whether the group exists or not. Made first, the group is
    encrypted and does not keep for ever."""
    retention_days: int
    """A retention that CloudWatch knows, such as 30."""
    key_description: str
    further_groups: Sequence[str] = ()
    """Names of log groups declared elsewhere that the key encrypts, too."""
    protect_key: bool = False
    """Whether Pulumi refuses to delete the key: data is encrypted with it that outlives the log."""
    region: str
    """AWS region, such as `eu-west-1`."""
    tags: Mapping[str, str]
    """Tags of the group, among them its `Name`."""
    key_tags: Mapping[str, str] | None = None
    """Tags of the key; None gives it those of the group."""


class EncryptedLog(NamedTuple):
    """What was declared."""

    group: aws.cloudwatch.LogGroup
    key: aws.kms.Key
    key_policy: aws.kms.KeyPolicy


def declare(name: str, key_name: str, args: EncryptedLogArgs, *, parent: pulumi.Resource) -> EncryptedLog:
    """Declare a log group called ``name`` and a key called ``key_name`` that may encrypt it."""
    key = aws.kms.Key(
        key_name,
        description=args.key_description,
        enable_key_rotation=True,
        deletion_window_in_days=KEY_DELETION_WINDOW.value,
        region=args.region,
        tags=args.tags if args.key_tags is None else args.key_tags,
        opts=pulumi.ResourceOptions(parent=parent, protect=args.protect_key or None),
    )
    key_policy = aws.kms.KeyPolicy(
        key_name,
        key_id=key.key_id,
        policy=key.arn.apply(lambda arn: log_key_policy(arn, [args.group_name, *args.further_groups])),
        region=args.region,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    group = aws.cloudwatch.LogGroup(
        name,
        name=args.group_name,
        kms_key_id=key.arn,
        retention_in_days=args.retention_days,
        region=args.region,
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[key_policy]),
    )
    return EncryptedLog(group, key, key_policy)
