"""IAM acts on every word of every policy that is declared: in the five stacks, and for those who deploy them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import pytest

from components.policies import Conditions, Statement, policy_document
from operations.environments import EnvironmentName
from operations.permissions import READS, WRITES
from tests.monitoring.environments import recorded
from tests.unit.bootstrap.test_bootstrap import DOCUMENT, run
from tests.unit.components import service_authorization as iam
from tests.unit.components.recording import Recording

Rule = Callable[[Sequence[iam.Statement]], Iterator[iam.Fault]]

BOOTSTRAP: Final = "bootstrap"

KINDS: Final = {
    "aws:backup/vaultPolicy:VaultPolicy policy",
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy policyDocument",
    "aws:ec2/vpcEndpoint:VpcEndpoint policy",
    "aws:iam/policy:Policy policy",
    "aws:iam/role:Role assumeRolePolicy",
    "aws:iam/rolePolicy:RolePolicy policy",
    "aws:kms/key:Key policy",
    "aws:kms/keyPolicy:KeyPolicy policy",
    "aws:kms/replicaKey:ReplicaKey policy",
    "aws:s3/bucketPolicy:BucketPolicy policy",
}
"""Where policies are declared."""

_AUTO_MODE: Final = "https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html"
_TESTED: Final = "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSServiceRolePolicyForBackupRestoreTesting.html"

NOT_MISSED: Final[Mapping[tuple[str, str], str]] = {
    # AWS's own policies of the cluster's role grant these; ours adds what is made with more tags.
    ("ec2:CreateNetworkInterface", "subnet"): _AUTO_MODE,
    ("ec2:RunInstances", "image"): _AUTO_MODE,
    ("ec2:RunInstances", "security-group"): _AUTO_MODE,
    ("ec2:RunInstances", "subnet"): _AUTO_MODE,
    # Of a last snapshot. AWS takes none either of what it restored for a test: it may delete what has a test's tag alone.
    ("rds:DeleteDBCluster", "cluster-snapshot"): _TESTED,
}
"""Actions and types of resource that the reference calls required and that nothing here grants → AWS's page that has it so."""


@cache
def documents() -> Mapping[str, tuple[str, ...]]:
    """Every policy that is declared, and where: stack, resource, input."""
    places: dict[str, list[str]] = {}

    def collect(stack: str, made: Recording[Any]) -> None:
        for resource in made.resources:
            for path, text in resource.plain_text():
                if '"Statement"' in text:
                    places.setdefault(text, []).append(f"{stack} {resource.name} {resource.token} {path}")

    for stack in EnvironmentName:
        with recorded(stack) as made:
            collect(stack, made)
    with pytest.MonkeyPatch.context() as patch:
        made = run(patch, DOCUMENT)
        made.close()  # what was declared stays readable
        collect(BOOTSTRAP, made)
    return {text: tuple(found) for text, found in places.items()}


def faults(rule: Rule) -> list[tuple[str, iam.Fault]]:
    """Everything that a rule finds, and where."""
    return [
        (", ".join(places), fault)
        for text, places in documents().items()
        for fault in rule(iam.statements(text))
    ]


def complaints(rule: Rule) -> str:
    return "\n".join(f"{places}: {fault}" for places, fault in faults(rule))


def granted(*actions: str, on: Sequence[str] = ("*",), when: Conditions | None = None) -> Statement:
    return Statement(actions=actions, resources=on, conditions=when)


def found(rule: Rule, *policy: Statement) -> list[tuple[str, str]]:
    """What a rule says of a policy: of which actions, and about what."""
    return [(fault.said, fault.about) for fault in rule(iam.statements(policy_document(*policy)))]


# --- what is declared ----------------------------------------------------------------------------------------------


def test_policies_of_every_kind_are_judged_in_every_stack() -> None:
    places = [place.split() for found in documents().values() for place in found]
    assert {f"{token} {path}" for _, _, token, path in places} == KINDS
    assert {stack for stack, *_ in places} == {*EnvironmentName, BOOTSTRAP}


def test_every_right_of_those_who_deploy_is_judged() -> None:
    judged = {
        action
        for text, places in documents().items()
        if any(place.startswith(BOOTSTRAP) for place in places)
        for statement in iam.statements(text)
        for action in statement.actions
    }
    rights = {f"{right.service}:{action}" for right in (*READS, *WRITES) for action in right.actions}
    assert rights <= judged, sorted(rights - judged)


def test_every_action_exists() -> None:
    assert not complaints(iam.unknown_actions)


def test_an_action_that_knows_no_resource_is_granted_on_all() -> None:
    assert not complaints(iam.resources_for_actions_without)


def test_an_action_is_granted_on_a_resource_of_a_type_that_it_knows() -> None:
    assert not complaints(iam.misplaced_actions)


def test_a_resource_is_of_a_type_that_an_action_of_its_statement_knows() -> None:
    assert not complaints(iam.idle_resources)


def test_conditions_are_on_what_a_request_tells() -> None:
    assert not complaints(iam.unheard_conditions)


def test_an_action_is_granted_on_every_type_of_resource_that_its_requests_name() -> None:
    missed = [
        f"{places}: {fault}"
        for places, fault in faults(iam.refused_for_a_resource)
        if (fault.said, fault.about) not in NOT_MISSED
    ]
    assert not missed, "\n".join(missed)


def test_every_exception_is_still_needed() -> None:
    missed = {(fault.said, fault.about) for _, fault in faults(iam.refused_for_a_resource)}
    assert NOT_MISSED.keys() <= missed, NOT_MISSED.keys() - missed


# --- what the judge sees -------------------------------------------------------------------------------------------

TASK: Final = "arn:aws:datasync:eu-west-1:123456789012:task/task-1"
LOGS: Final = "arn:aws:logs:eu-west-1:123456789012:log-group:/a"
BUCKET: Final = "arn:aws:s3:::bucket"


@pytest.mark.parametrize("action", ["s3:GetObjekt", "s3:Obtain*", "s4:GetObject", "GetObject"])
def test_an_action_that_is_none_is_found(action: str) -> None:
    assert found(iam.unknown_actions, granted("s3:getobject", "s3:Get*", action, "*")) == [(action, action)]


@pytest.mark.parametrize(
    ("action", "resource"), [("datasync:ListTaskExecutions", TASK), ("logs:DescribeLogGroups", LOGS)]
)
def test_a_resource_for_an_action_that_knows_none_is_found(action: str, resource: str) -> None:
    assert found(iam.resources_for_actions_without, granted(action, on=[resource])) == [(action, resource)]
    assert not found(iam.resources_for_actions_without, granted(action))


def test_an_action_on_resources_of_other_types_is_found() -> None:
    policy = granted("s3:GetObject", "s3:ListBucket", on=[BUCKET])
    assert found(iam.misplaced_actions, policy) == [("s3:GetObject", BUCKET)]
    assert not found(iam.misplaced_actions, granted("s3:GetObject", on=[f"{BUCKET}/*"]))


def test_a_resource_that_no_action_knows_is_found() -> None:
    policy = granted("s3:GetObject", "s3:PutObject", on=[BUCKET, f"{BUCKET}/*", LOGS])
    assert found(iam.idle_resources, policy) == [
        ("s3:GetObject, s3:PutObject", BUCKET),
        ("s3:GetObject, s3:PutObject", LOGS),
    ]


@pytest.mark.parametrize(
    ("action", "key"),
    [
        ("kms:Decrypt", "kms:GrantOperation"),  # of kms:CreateGrant alone
        ("kms:Decrypt", "aws:RequestTag/Environment"),
        ("route53:GetHostedZone", "aws:ResourceTag/Environment"),
        ("kms:Decrypt", "aws:RequestdRegion"),
    ],
)
def test_a_condition_key_that_an_action_does_not_know_is_found(action: str, key: str) -> None:
    assert found(iam.unheard_conditions, granted(action, when={"StringEquals": {key: "x"}})) == [
        (action, key)
    ]


def test_keys_that_no_one_type_of_resource_has_together_are_found() -> None:
    """The tag of a request is that of the new subnet, and a VPC is what has one already."""
    asked, has = "aws:RequestTag/Environment", "aws:ResourceTag/Environment"
    both = {"StringEquals": {asked: "live", has: "live"}}
    assert len(found(iam.unheard_conditions, granted("ec2:CreateSubnet", when=both))) == 1
    assert not found(
        iam.unheard_conditions, granted("ec2:CreateSubnet", when={"StringEquals": {has: "live"}})
    )
    on_subnets = granted(
        "ec2:CreateSubnet", on=["arn:aws:ec2:*:*:subnet/*"], when={"StringEquals": {has: "live"}}
    )
    assert found(iam.unheard_conditions, on_subnets) == [("ec2:CreateSubnet", has)]


def test_a_policy_of_a_resource_is_judged_by_its_actions_and_keys_alone() -> None:
    everybody = {"AWS": ["*"]}
    policy = [
        Statement(
            actions=["s3:GetObject", "s3:GetObjekt"],
            resources=[BUCKET, LOGS],
            principals=everybody,
            conditions={"Bool": {"aws:SecureTransport": "false", "kms:ViaService": "x"}},
        )
    ]
    assert found(iam.unknown_actions, *policy) == [("s3:GetObjekt", "s3:GetObjekt")]
    assert found(iam.unheard_conditions, *policy) == [("s3:GetObject, s3:GetObjekt", "kms:ViaService")]
    for rule in (iam.misplaced_actions, iam.idle_resources, iam.refused_for_a_resource):
        assert not found(rule, *policy)


def test_a_token_tells_the_claims_of_its_own_issuer() -> None:
    policy = Statement(
        actions=["sts:AssumeRoleWithWebIdentity"],
        principals={"Federated": ["arn:aws:iam::123456789012:oidc-provider/tokens.example.com"]},
        conditions={"StringEquals": {"tokens.example.com:sub": "x", "token.example.com:sub": "x"}},
    )
    assert found(iam.unheard_conditions, policy) == [
        ("sts:AssumeRoleWithWebIdentity", "token.example.com:sub")
    ]


def test_a_type_of_resource_that_is_required_and_not_granted_is_found() -> None:
    """A subnet is made with the tag that is asked for, in a VPC that has its own."""
    asked = granted("ec2:CreateSubnet", when={"StringEquals": {"aws:RequestTag/Environment": "live"}})
    owned = granted("ec2:Create*", when={"StringEquals": {"aws:ResourceTag/Environment": "live"}})
    assert found(iam.refused_for_a_resource, asked) == [("ec2:CreateSubnet", "vpc")]
    assert not found(iam.refused_for_a_resource, asked, owned)
    refused = Statement(effect="Deny", actions=owned.actions, resources=owned.resources)
    assert found(iam.refused_for_a_resource, asked, refused) == [("ec2:CreateSubnet", "vpc")]


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("arn:aws:s3:::${BucketName}", "arn:aws:s3:::a-*", True),
        ("arn:aws:s3:::${BucketName}", "arn:aws:s3:::a/b", False),
        ("arn:aws:s3:::${BucketName}/${ObjectName}", "arn:aws:s3:::a/b/c:d", True),
        ("arn:aws:s3:::${BucketName}/${ObjectName}", "arn:aws:s3:::a", False),
        ("a:task/${TaskId}", "a:task/*", True),
        ("a:task/${TaskId}", "a:task/1/execution/2", False),
        ("a:task/${TaskId}/execution/${ExecutionId}", "a:task/1/execution/*", True),
        ("a:task/${TaskId}/execution/${ExecutionId}", "a:task/1", False),
        ("a:${Name}:b", "a:*", True),
        ("a:${Name}", "a:b:c", False),
        ("a:b", "a:b", True),
        ("a:b", "a:bc", False),
        ("a:*c", "a:b*", True),
        ("a:*c", "a:b*d", False),
    ],
)
def test_two_patterns_overlap_where_an_arn_is_meant_by_both(one: str, other: str, meet: bool) -> None:
    assert iam.overlap(iam.pattern(one), iam.pattern(other)) is meet
    assert iam.overlap(iam.pattern(other), iam.pattern(one)) is meet


def test_what_is_not_known_here_is_refused_rather_than_passed() -> None:
    with pytest.raises(AssertionError):
        iam.statements('{"Statement": [{"Effect": "Allow", "NotAction": ["s3:*"], "Resource": ["*"]}]}')
    with pytest.raises(AssertionError):
        iam.pattern("arn:aws:s3:::a?")
