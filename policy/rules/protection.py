"""What is stateful is protected: by Pulumi from a deletion that was not meant, by AWS from everybody else's."""

from collections.abc import Iterator, Sequence
from typing import Final

from operations.guardrails import loses_nothing
from policy.resources import Hidden, Resource, Rule, StackRule, Violation
from policy.rules.buckets import BUCKET, ENCRYPTION

_KEY: Final = "aws:kms/key:Key"
_LOAD_BALANCER: Final = "aws:lb/loadBalancer:LoadBalancer"

_STATEFUL: Final = {
    "aws:rds/cluster:Cluster": {"deletionProtection": True, "skipFinalSnapshot": False},
    "aws:rds/globalCluster:GlobalCluster": {"deletionProtection": True},
    "aws:rds/instance:Instance": {"deletionProtection": True, "skipFinalSnapshot": False},
    "aws:eks/cluster:Cluster": {"deletionProtection": True},
    "aws:backup/vault:Vault": {"forceDestroy": False},
    "aws:efs/fileSystem:FileSystem": {},
    _LOAD_BALANCER: {"enableDeletionProtection": True},
}
"""What holds data or traffic, and the inputs by which AWS itself refuses to delete it."""


def _protected(resource: Resource) -> Iterator[Violation]:
    inputs = _STATEFUL.get(resource.type)
    if inputs is None or not loses_nothing(resource.environment):
        return
    if not resource.protect:
        yield resource.breaks("option protect", False, "true")
    for path, wanted in inputs.items():
        found = resource.at(path)
        if not isinstance(found, Hidden) and (found or False) is not wanted:
            yield resource.breaks(path, found, str(wanted).lower())


def _buckets_and_keys(resources: Sequence[Resource]) -> Iterator[Violation]:
    """A bucket may hold nothing but logs, and a key encrypt nothing else: what they are for, their users tell."""
    delivered = frozenset[str]().union(
        *(resource.dependencies for resource in resources if resource.type == _LOAD_BALANCER)
    )
    kept = [
        resource
        for resource in resources
        if loses_nothing(resource.environment)
        and (resource.type in _STATEFUL or (resource.type == BUCKET and resource.urn not in delivered))
    ]
    for bucket in kept:
        if bucket.type == BUCKET:
            if not bucket.protect:
                yield bucket.breaks(
                    "option protect", False, "true, as for all that holds more than access logs"
                )
            if bucket.at("forceDestroy") not in (False, None, *Hidden):
                yield bucket.breaks("forceDestroy", bucket.at("forceDestroy"), "false")
    buckets = {resource.urn for resource in kept if resource.type == BUCKET}
    users = [
        *kept,
        *(other for other in resources if other.type == ENCRYPTION and other.dependencies & buckets),
    ]
    used = {urn: user for user in users for urn in user.dependencies}
    for key in resources:
        if key.type == _KEY and key.urn in used and not key.protect:
            yield key.breaks(
                "option protect", False, f"true, since {used[key.urn].name} is encrypted with it"
            )


RULES: Final = (
    Rule(
        name="protected-stateful",
        description="Where the SLA asks for it, what holds data or traffic refuses to be deleted.",
        check=_protected,
    ),
    StackRule(
        name="protected-buckets-and-keys",
        description="Where the SLA asks for it, buckets and the keys of what is kept refuse to be deleted.",
        check=_buckets_and_keys,
    ),
)
