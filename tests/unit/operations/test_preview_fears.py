"""What deserves fear in a preview, and what does not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from operations.preview.fears import STATEFUL, Fear, cautions
from operations.preview.steps import Step
from tests.unit.operations.previews import step

DATABASE = "aws:rds/cluster:Cluster"
QUEUE = "aws:sqs/queue:Queue"


def of(*steps: Step) -> list[tuple[Fear, str]]:
    return [(caution.fear, caution.why) for caution in cautions(steps)]


@pytest.mark.parametrize("kind", STATEFUL)
@pytest.mark.parametrize("operation", ["delete", "replace"])
def test_what_is_stateful_is_lost_with_its_deletion_or_replacement(kind: str, operation: str) -> None:
    (lost,) = [each for each in cautions([step(operation, kind, {}, {})]) if each.fear is Fear.LOSS]
    assert lost.why == STATEFUL[kind]


def test_what_stays_or_comes_or_is_of_no_state_is_not_lost() -> None:
    assert of(step("update", DATABASE, {}, {})) == []
    assert of(step("create", DATABASE, None, {})) == []
    assert of(step("delete", QUEUE, {})) == []
    assert of(step("same", DATABASE, {}, {})) == []


def test_what_is_protected_is_feared_for_whatever_it_is() -> None:
    why = "it is protected: the update will be refused"
    assert of(step("replace", QUEUE, {}, {}, protect=True)) == [(Fear.LOSS, why)]
    assert of(step("delete", DATABASE, {}, protect=True)) == [(Fear.LOSS, f"its data; {why}")]


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({"deletionProtection": True}, {"deletionProtection": False}, "deletionProtection is off"),
        ({"deletionProtection": True}, {}, "deletionProtection is off"),
        ({"enableDeletionProtection": True}, {"enableDeletionProtection": False}, "enableDeletionProtection is off"),
        ({"skipFinalSnapshot": False}, {"skipFinalSnapshot": True}, "skipFinalSnapshot is on"),
        ({"forceDestroy": False}, {"forceDestroy": True}, "forceDestroy is on"),
        ({"backupRetentionPeriod": 35}, {"backupRetentionPeriod": 7}, "kept for 7 days, no longer for 35"),
        ({"retentionInDays": 30}, {"retentionInDays": 7}, "kept for 7 days, no longer for 30"),
        (
            {"versioningConfiguration": {"status": "Enabled"}},
            {"versioningConfiguration": {"status": "Suspended"}},
            "versions are not kept any more",
        ),
    ],
)  # fmt: skip
def test_what_loses_a_protection_says_which_and_what_gains_one_says_nothing(
    before: dict[str, Any], after: dict[str, Any], why: str
) -> None:
    assert of(step("update", DATABASE, before, after)) == [(Fear.PROTECTION, why)]
    assert of(step("update", DATABASE, after, before)) == []


def test_a_resource_that_pulumi_may_delete_from_now_on_loses_a_protection() -> None:
    lifted = step("update", QUEUE, {}, {}, protect=True, still=False)
    assert of(lifted) == [(Fear.PROTECTION, "Pulumi would delete it")]
    # The engine calls that no change.
    assert of(replace(lifted, operation="same")) == [(Fear.PROTECTION, "Pulumi would delete it")]
    assert of(step("update", QUEUE, {}, {}, protect=False, still=True)) == []


@pytest.mark.parametrize(
    "kind",
    [
        "aws:backup/plan:Plan",
        "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    ],
)
def test_a_lock_that_goes_leaves_something_unprotected_unless_that_goes_too(kind: str) -> None:
    component = "urn:pulumi:live::quikapp::quikapp:buckets:PrivateBucket::files"
    gone = step("delete", kind, {}, component=component)
    assert [fear for fear, _ in of(gone)] == [Fear.PROTECTION]
    bucket = step("delete", "aws:s3/bucket:Bucket", {}, component=component)
    assert [fear for fear, _ in of(gone, bucket)] == [Fear.LOSS]


def test_beside_one_another_in_the_stack_is_not_together() -> None:
    bucket = step("delete", "aws:s3/bucket:Bucket", {})
    other = step("delete", "aws:s3/bucketVersioning:BucketVersioning", {})
    assert [fear for fear, _ in of(bucket, other)] == [Fear.LOSS, Fear.PROTECTION]


def policy(**statement: object) -> dict[str, str]:
    return {"policy": json.dumps({"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", **statement}]})}


CLOSED: dict[str, bool] = dict.fromkeys(
    ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
)
OPEN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"cidrIpv4": "10.0.0.0/8"}, {"cidrIpv4": "0.0.0.0/0"}),
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {}, {"cidrIpv6": "::/0"}),
    ("aws:ec2/securityGroup:SecurityGroup", {"ingress": []}, {"ingress": [{"cidrBlocks": ["0.0.0.0/0"]}]}),
    ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", {}, {"ingress": [{"ipv6CidrBlocks": ["::/0"]}]}),
    (
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        {"type": "egress", "cidrBlocks": ["0.0.0.0/0"]},
        {"type": "ingress", "cidrBlocks": ["0.0.0.0/0"]},
    ),
    ("aws:lb/loadBalancer:LoadBalancer", {"internal": True}, {"internal": False}),
    ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", CLOSED, {**CLOSED, "ignorePublicAcls": False}),
    ("aws:s3/bucket:Bucket", {"acl": "private"}, {"acl": "public-read"}),
    ("aws:s3/bucketAcl:BucketAcl", {"acl": "private"}, {"acl": "authenticated-read"}),
    ("aws:ec2/subnet:Subnet", {}, {"mapPublicIpOnLaunch": True}),
    ("aws:rds/clusterInstance:ClusterInstance", {"publiclyAccessible": False}, {"publiclyAccessible": True}),
    (
        "aws:eks/cluster:Cluster",
        {"vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["203.0.113.0/24"]}},
        {"vpcConfig": {"endpointPublicAccess": True}},
    ),
    (
        "aws:eks/cluster:Cluster",
        {"vpcConfig": {"endpointPublicAccess": False}},
        {"vpcConfig": {"publicAccessCidrs": ["0.0.0.0/0"]}},
    ),
    ("aws:lambda/functionUrl:FunctionUrl", {"authorizationType": "AWS_IAM"}, {"authorizationType": "NONE"}),
    ("aws:lambda/permission:Permission", {"principal": "s3.amazonaws.com"}, {"principal": "*"}),
    ("aws:s3/bucketPolicy:BucketPolicy", {}, policy(Principal="*")),
    ("aws:sqs/queuePolicy:QueuePolicy", policy(Principal={"Service": "s3.amazonaws.com"}), policy(Principal={"AWS": "*"})),
    ("aws:kms/keyPolicy:KeyPolicy", policy(Principal={"AWS": ["*"]}, Condition={"Bool": {}}), policy(Principal={"AWS": ["*"]})),
    ("kubernetes:core/v1:Service", {"spec": {"type": "ClusterIP"}}, {"spec": {"type": "LoadBalancer"}}),
]  # fmt: skip
"""A type, closed and open."""


@pytest.mark.parametrize(("kind", "closed", "opened"), OPEN)
def test_what_becomes_public_is_feared_and_what_was_or_is_no_more_is_not(
    kind: str, closed: dict[str, Any], opened: dict[str, Any]
) -> None:
    def public(operation: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> bool:
        return Fear.EXPOSURE in {fear for fear, _ in of(step(operation, kind, before, after))}

    assert public("update", closed, opened)
    assert public("create", None, opened)
    assert not public("update", opened, opened)
    assert not public("update", opened, closed)
    assert not public("create", None, closed)


def test_a_bucket_without_its_block_is_public() -> None:
    block = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    assert of(step("delete", block, CLOSED)) == [(Fear.EXPOSURE, "its bucket does not block public access")]


def test_a_policy_that_denies_or_is_not_known_yet_opens_nothing() -> None:
    for unknown in ("04da6b54-80e4-46f7-96ec-b56ff0331ba9", "[secret]", "null", "[]", '{"Statement": null}'):
        assert of(step("update", QUEUE, {}, {"policy": unknown})) == []
    denial = json.dumps({"Statement": {"Effect": "Deny", "Principal": "*"}})
    assert of(step("update", QUEUE, {}, {"policy": denial})) == []


@pytest.mark.parametrize(
    ("kind", "fear"),
    [
        ("aws:iam/role:Role", Fear.IDENTITY),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", Fear.IDENTITY),
        ("aws:eks/accessEntry:AccessEntry", Fear.IDENTITY),
        ("aws:kms/keyPolicy:KeyPolicy", Fear.IDENTITY),
        ("kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding", Fear.IDENTITY),
        ("aws:ec2/securityGroup:SecurityGroup", Fear.REACH),
        ("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", Fear.REACH),
        ("aws:wafv2/webAcl:WebAcl", Fear.REACH),
        ("kubernetes:networking.k8s.io/v1:NetworkPolicy", Fear.REACH),
    ],
)
@pytest.mark.parametrize("operation", ["create", "update", "replace", "delete"])
def test_rights_and_ways_in_are_feared_whatever_becomes_of_them(
    kind: str, fear: Fear, operation: str
) -> None:
    assert (fear, "") in of(step(operation, kind, {}, {}, properties=["tags.Owner", "policy"]))
    assert of(step("same", kind, {}, {})) == []


@pytest.mark.parametrize("path", ["policy", "policy.Statement[0].Action", "assumeRolePolicy"])
def test_a_policy_within_anything_says_who_may_do_what(path: str) -> None:
    assert of(step("update", QUEUE, {}, {}, properties=[path])) == [(Fear.IDENTITY, "")]
    assert of(step("update", QUEUE, {}, {}, properties=["policyName"])) == []


def test_a_name_gives_nobody_a_right() -> None:
    named = ["tags.ChangeRequest", 'metadata.labels["app.kubernetes.io/version"]']
    assert of(step("update", "aws:iam/role:Role", {}, {}, properties=named)) == []


def test_the_worst_comes_first() -> None:
    found = of(
        step("update", "aws:ec2/securityGroup:SecurityGroup", {}, {}),
        step("update", "aws:iam/role:Role", {}, {}),
        step("update", QUEUE, {"deletionProtection": True}, {}),
        step("update", "aws:ec2/subnet:Subnet", {}, {"mapPublicIpOnLaunch": True}),
        step("delete", DATABASE, {}),
    )
    assert [fear for fear, _ in found] == list(Fear)
