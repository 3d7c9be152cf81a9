"""Buckets, which are made safe by resources of their own."""

from collections.abc import Iterator, Sequence
from typing import Final

from policy.documents import listed, statements
from policy.resources import Hidden, Resource, Rule, StackRule, Violation, items, mapping

BUCKET: Final = "aws:s3/bucket:Bucket"
ENCRYPTION: Final = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
_ACCESS: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_POLICY: Final = "aws:s3/bucketPolicy:BucketPolicy"

_COMPANIONS: Final = (ENCRYPTION, _ACCESS, _POLICY)

_BLOCKS: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")

_ALGORITHMS: Final = ("aws:kms", "aws:kms:dsse", "AES256")
"""The last for the load balancer's logs, which it delivers to no bucket with a key.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
"""


def _private(resource: Resource) -> Iterator[Violation]:
    if resource.type == _ACCESS:
        for block in _BLOCKS:
            if resource.at(block) not in (True, *Hidden):
                yield resource.breaks(block, resource.at(block), "true")
    if resource.type == ENCRYPTION:
        for place, rule in enumerate(items(resource.at("rules"))):
            algorithm = mapping(mapping(rule).get("applyServerSideEncryptionByDefault")).get("sseAlgorithm")
            if algorithm not in (*_ALGORITHMS, *Hidden):
                path = f"rules[{place}].applyServerSideEncryptionByDefault.sseAlgorithm"
                yield resource.breaks(path, algorithm, ", ".join(_ALGORITHMS))
    if resource.type == _POLICY and isinstance(resource.at("policy"), str) and not _refuses_plain(resource):
        yield resource.breaks(
            "policy", resource.at("policy"), "one that denies every request without TLS (aws:SecureTransport)"
        )
    if resource.kind in ("BucketAcl", "BucketAclV2") and str(resource.at("acl")).startswith("public"):
        yield resource.breaks("acl", resource.at("acl"), "none that lets the public in")


def _refuses_plain(policy: Resource) -> bool:
    return any(
        listed(mapping(mapping(statement.get("Condition")).get("Bool")).get("aws:SecureTransport"))
        == ("false",)
        and "s3:*" in listed(statement.get("Action"))
        for _, statement in statements(policy, "Deny")
    )


def _complete(resources: Sequence[Resource]) -> Iterator[Violation]:
    for bucket in resources:
        if bucket.type == BUCKET:
            found = {other.type for other in resources if bucket.urn in other.dependencies}
            for companion in _COMPANIONS:
                if companion not in found:
                    yield bucket.breaks(companion.rpartition(":")[2], None, "one for each bucket")


RULES: Final = (
    Rule(
        name="private-buckets",
        description="A bucket is encrypted, blocks the public, and refuses requests without TLS.",
        check=_private,
    ),
    StackRule(
        name="complete-buckets",
        description="No bucket is without encryption, a block of public access, and a policy.",
        check=_complete,
    ),
)
