"""Automatic names, as the AWS provider gives them.

The rules are those of https://www.pulumi.com/docs/iac/concepts/resources/names/#autonaming and of the provider's
overrides for the resources whose naming property is not called ``name``.
"""

import hashlib
from collections.abc import Mapping

from rehearsal.providers.schema import Kind, ResourceSchema

_PROPERTIES: Mapping[str, str] = {
    "aws:cloudwatch/eventTarget:EventTarget": "targetId",
    "aws:efs/fileSystem:FileSystem": "creationToken",
    "aws:eks/fargateProfile:FargateProfile": "fargateProfileName",
    "aws:eks/nodeGroup:NodeGroup": "nodeGroupName",
    "aws:elasticsearch/domain:Domain": "domainName",
    "aws:lambda/permission:Permission": "statementId",
    "aws:opensearch/domain:Domain": "domainName",
    "aws:rds/instance:Instance": "identifier",
    "aws:s3/bucket:Bucket": "bucket",
}
_NOT_NAMED = frozenset({"aws:route53/record:Record"})
"""Types whose ``name`` is a fact about the world and never made up."""

_LONGEST: Mapping[str, int] = {
    "aws:elasticsearch/domain:Domain": 28,
    "aws:iam/role:Role": 64,
    "aws:kms/alias:Alias": 238,
    "aws:lambda/function:Function": 64,
    "aws:lb/loadBalancer:LoadBalancer": 32,
    "aws:lb/targetGroup:TargetGroup": 32,
    "aws:s3/bucket:Bucket": 63,
}
_LOWER_CASE = frozenset({"aws:elasticsearch/domain:Domain", "aws:s3/bucket:Bucket"})
_PREFIX: Mapping[str, str] = {"aws:kms/alias:Alias": "alias/"}
_RANDOM = 7


def naming_property(schema: ResourceSchema) -> str | None:
    """The input that the provider names automatically when it is left out, or None."""
    name = _PROPERTIES.get(schema.token, "name")
    given, told = schema.inputs.get(name), schema.outputs.get(name)
    if schema.token in _NOT_NAMED or given is None or told is None:
        return None
    return name if given.optional and given.type.kind is Kind.STRING and not told.optional else None


def automatic_name(token: str, logical_name: str, seed: str) -> str:
    """``<logical name>-<7 hex digits>``, within the type's length limit; the same for the same seed."""
    random = hashlib.sha256(f"{seed}\nname".encode()).hexdigest()[:_RANDOM]
    stem = f"{_PREFIX.get(token, '')}{logical_name}"[: _LONGEST.get(token, 255) - _RANDOM - 1]
    name = f"{stem}-{random}"
    return name.lower() if token in _LOWER_CASE else name
