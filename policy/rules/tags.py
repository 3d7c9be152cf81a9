"""Required tags: whose a resource is, and who pays."""

from collections.abc import Iterator
from typing import Final

from operations.faults import show
from operations.guardrails import ENVIRONMENT_TAG, REQUIRED_TAGS
from operations.naming import APPLICATION
from policy.resources import Hidden, Resource, Rule, Violation, mapping

TAGLESS: Final = frozenset(
    {
        "aws:acm/certificateValidation:CertificateValidation",
        "aws:backup/restoreTestingSelection:RestoreTestingSelection",
        "aws:backup/selection:Selection",
        "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
        "aws:backup/vaultPolicy:VaultPolicy",
        "aws:cloudwatch/eventTarget:EventTarget",
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        "aws:ec2/route:Route",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:kms/keyPolicy:KeyPolicy",
        "aws:lambda/invocation:Invocation",
        "aws:route53/record:Record",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:scheduler/schedule:Schedule",
        "aws:wafv2/webAclAssociation:WebAclAssociation",
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
    }
)
"""Types of AWS resources that take no tags. Whatever else lacks them is refused: a type that is new here is looked up once,
in the SDK, by the test that holds this list in step."""

_MANAGED_BY: Final = "pulumi"


def _tagged(resource: Resource) -> Iterator[Violation]:
    if resource.package != "aws" or resource.type in TAGLESS:
        return
    tags = resource.at("tags")
    if isinstance(tags, Hidden):
        return
    wanted = {"Application": APPLICATION, "ManagedBy": _MANAGED_BY}
    if resource.environment is not None:
        wanted[ENVIRONMENT_TAG] = resource.environment.value
    stated = {key: mapping(tags).get(key) for key in dict.fromkeys((*REQUIRED_TAGS, *wanted))}
    wrong = {
        key: value
        for key, value in stated.items()
        if not isinstance(value, Hidden) and (not value or value != wanted.get(key, value))
    }
    if wrong:
        allowed = ", ".join(
            f"{key} {show(wanted[key]) if key in wanted else 'with a value'}" for key in wrong
        )
        yield resource.breaks("tags", wrong, allowed)


RULES: Final = (
    Rule(
        name="required-tags",
        description="Every AWS resource says which application, environment, owner and cost center it belongs to.",
        check=_tagged,
    ),
)
