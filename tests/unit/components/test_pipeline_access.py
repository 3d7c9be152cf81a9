"""The roles of the pipeline: who may assume them, what they may do, and that nobody makes more of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from components.pipeline_access import SERVICES, PipelineAccessArgs
from operations import permissions
from operations.environments import EnvironmentName
from operations.limits import MANAGED_POLICY_LENGTH, POLICIES_PER_ROLE
from operations.pipeline import PipelineFacts, Purpose, github_environment
from tests.unit.components.pipeline_roles import (
    FACTS,
    RECOVERY,
    REGION,
    TAGS,
    Pipeline,
    all_stacks,
    declare,
)
from tests.unit.components.recording import ACCOUNT

DEV, LIVE = EnvironmentName.DEV, EnvironmentName.LIVE
DEPLOY, PREVIEW, DRIFT = Purpose.DEPLOY, Purpose.PREVIEW, Purpose.DRIFT
POLICY = "aws:iam/policy:Policy"
ROLE = "aws:iam/role:Role"

every_stack = pytest.mark.parametrize("stack", list(EnvironmentName))
every_purpose = pytest.mark.parametrize("purpose", list(Purpose))
readers = pytest.mark.parametrize("purpose", [PREVIEW, DRIFT])


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return all_stacks()


@pytest.fixture(scope="module")
def other() -> Iterator[Pipeline]:
    """The pipeline of a repository with ids, of a stack in other regions than the state, and of stacks without a zone."""
    facts = PipelineFacts(
        repository="quikapp@123456/operations@456789", regions={DEV: ("us-east-1", "us-west-2")}
    )
    pipeline = declare(FACTS.model_copy(update={"pipeline": facts}))
    yield pipeline
    pipeline.made.close()


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def statements(pipeline: Pipeline) -> list[dict[str, Any]]:
    return [
        statement
        for policy in pipeline.made.of(POLICY)
        for statement in json.loads(policy.inputs["policy"])["Statement"]
    ]


# --- who signs in --------------------------------------------------------------------------------------------------


def test_github_is_believed_without_a_thumbprint_and_for_aws_alone(pipeline: Pipeline) -> None:
    provider = pipeline.made.one("aws:iam/openIdConnectProvider:OpenIdConnectProvider")
    assert provider.inputs["url"] == "https://token.actions.githubusercontent.com"
    assert provider.inputs["clientIdLists"] == ["sts.amazonaws.com"]
    assert not provider.inputs.get("thumbprintLists")


@pytest.mark.parametrize(
    ("purpose", "environment"),
    [(DEPLOY, "live-cab"), (PREVIEW, "preview-live"), (DRIFT, "drift-live")],
)
def test_a_role_is_assumed_by_the_jobs_of_its_environment(
    pipeline: Pipeline, purpose: Purpose, environment: str
) -> None:
    subject = f"repo:quikapp/operations:environment:{environment}"
    assert pipeline.lets_in(LIVE, purpose, subject, "sts.amazonaws.com")


@every_purpose
@every_stack
def test_a_role_is_assumed_by_no_other_environment_branch_pull_request_repository_or_audience(
    pipeline: Pipeline, stack: EnvironmentName, purpose: Purpose
) -> None:
    own = github_environment(stack, purpose)
    environments = {github_environment(other, kind) for other in EnvironmentName for kind in Purpose} - {own}
    for what in (
        *(f"quikapp/operations:environment:{other}" for other in environments),
        f"quikapp/operations:environment:{own}-2",
        "quikapp/operations:ref:refs/heads/main",
        f"quikapp/operations:ref:refs/heads/environment:{own}",
        "quikapp/operations:pull_request",
        f"stranger/operations:environment:{own}",
        f"quikapp/operations-fork:environment:{own}",
        f"quikapp@1/operations@2:environment:{own}",
    ):
        assert not pipeline.lets_in(stack, purpose, f"repo:{what}", "sts.amazonaws.com"), what
    subject = f"repo:quikapp/operations:environment:{own}"
    assert not pipeline.lets_in(stack, purpose, subject, "https://github.com/quikapp")


@every_purpose
@every_stack
def test_nobody_but_github_assumes_a_role(
    pipeline: Pipeline, stack: EnvironmentName, purpose: Purpose
) -> None:
    (statement,) = json.loads(pipeline.role(stack, purpose).inputs["assumeRolePolicy"])["Statement"]
    provider = pipeline.made.one("aws:iam/openIdConnectProvider:OpenIdConnectProvider")
    assert statement["Principal"] == {"Federated": [provider.outputs["arn"]]}
    assert set(statement["Condition"]) == {"StringEquals"}


def test_a_repository_with_ids_is_trusted_with_its_ids(other: Pipeline) -> None:
    ours = "repo:quikapp@123456/operations@456789:environment:dev"
    assert other.lets_in(DEV, DEPLOY, ours, "sts.amazonaws.com")
    assert not other.lets_in(DEV, DEPLOY, ours.replace("456789", "456780"), "sts.amazonaws.com"), (
        "the same names, taken by somebody else"
    )


def test_a_session_lasts_as_long_as_a_job_of_a_rollout_and_else_an_hour(pipeline: Pipeline) -> None:
    hours = {purpose: pipeline.role(LIVE, purpose).inputs["maxSessionDuration"] / 3600 for purpose in Purpose}
    assert hours == {DEPLOY: 6, PREVIEW: 1, DRIFT: 1}


def test_without_a_pipeline_nobody_signs_in() -> None:
    with pytest.raises(ValueError, match="know no pipeline"):
        PipelineAccessArgs(facts=FACTS.model_copy(update={"pipeline": None}), region=REGION, tags=TAGS)


# --- what they may do ----------------------------------------------------------------------------------------------


def test_no_statement_lets_everything_loose_and_none_leaves_a_policy_by_exception(pipeline: Pipeline) -> None:
    pipeline.made.assert_least_privilege()
    allowing = [statement for statement in statements(pipeline) if statement["Effect"] == "Allow"]
    assert not [statement for statement in allowing if "*" in statement["Action"]]
    assert not [
        statement
        for statement in allowing
        if statement["Resource"] == ["*"] and any(action.endswith(":*") for action in statement["Action"])
    ]


def test_what_may_be_changed_anywhere_is_new_and_tagged_or_has_no_resource_at_all(pipeline: Pipeline) -> None:
    names = [f"quikapp-live-{label}" for label in SERVICES]
    anywhere = {
        action
        for name in names
        for statement in json.loads(pipeline.made.one(POLICY, name).inputs["policy"])["Statement"]
        for action in statement["Action"]
        if statement["Resource"] == ["*"]
        and statement["Condition"]["StringEquals"].get("aws:RequestTag/Environment") != ["live"]
    }
    assert anywhere == {
        "backup-storage:MountCapsule",
        "elasticloadbalancing:SetWebAcl",
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DeleteResourcePolicy",
        "logs:PutResourcePolicy",
    }


def test_requests_go_to_the_stacks_regions_except_those_to_services_that_have_one_for_all(
    pipeline: Pipeline,
) -> None:
    names = [f"quikapp-live-{label}" for label in (*SERVICES, "reads-application", "reads-data")]
    for name in names:
        for statement in json.loads(pipeline.made.one(POLICY, name).inputs["policy"])["Statement"]:
            region = statement.get("Condition", {}).get("StringEquals", {}).get("aws:RequestedRegion")
            services = {action.split(":")[0] for action in statement["Action"]}
            expected = None if services <= {"iam", "route53"} else [REGION, RECOVERY]
            assert region == expected, statement


def test_a_stack_elsewhere_has_its_own_regions(other: Pipeline) -> None:
    subnet = f"arn:aws:ec2:us-east-1:{ACCOUNT}:subnet/*"
    assert other.may(DEV, DEPLOY, "ec2:CreateSubnet", subnet, region="us-east-1", asked="dev")
    assert not other.may(DEV, DEPLOY, "ec2:CreateSubnet", subnet, region=REGION, asked="dev")
    assert other.may(LIVE, DEPLOY, "ec2:CreateSubnet", subnet, region=REGION, asked="live")


def test_a_stack_without_a_zone_writes_no_record(other: Pipeline) -> None:
    assert "route53:ChangeResourceRecordSets" not in json.dumps(statements(other))
    assert "hostedzone" not in json.dumps(statements(other))


@every_stack
def test_policies_are_as_long_and_as_many_as_iam_takes(pipeline: Pipeline, stack: EnvironmentName) -> None:
    for purpose in Purpose:
        assert 0 < len(pipeline.policies(stack, purpose)) <= POLICIES_PER_ROLE.value
    for policy in pipeline.made.of(POLICY):
        # IAM does not count white space.
        assert len(re.sub(r"\s", "", policy.inputs["policy"])) <= MANAGED_POLICY_LENGTH.value, policy.name


def test_every_service_of_the_table_is_in_one_policy() -> None:
    named = [service for services in SERVICES.values() for service in services]
    assert sorted(named) == sorted({right.service for right in (*permissions.READS, *permissions.WRITES)})


OWN = [
    ("rds:ModifyDBCluster", f"arn:aws:rds:eu-west-1:{ACCOUNT}:cluster:quikapp-{{}}-database"),
    ("eks:UpdateClusterConfig", f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/quikapp-{{}}"),
    ("s3:PutBucketPolicy", "arn:aws:s3:::quikapp-{}-files-1234567"),
    (
        "lambda:UpdateFunctionCode",
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:quikapp-{{}}-recovery-report",
    ),
    ("ssm:PutParameter", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/quikapp/{{}}/change"),
    (
        "elasticloadbalancing:ModifyRule",
        f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:listener-rule/app/quikapp-{{}}/1/2/3",
    ),
    (
        "elasticloadbalancing:DeleteTargetGroup",
        f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:targetgroup/quikapp-{{}}-api-blue-8080/1",
    ),
    (
        "backup:PutBackupVaultAccessPolicy",
        f"arn:aws:backup:eu-west-1:{ACCOUNT}:backup-vault:quikapp-{{}}-files",
    ),
    ("logs:DeleteLogGroup", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/eks/quikapp-{{}}/cluster"),
]
"""What is known by its name, with a place for the stack's."""

TAGGED = [
    ("ec2:DeleteVpc", f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/vpc-1"),
    ("ec2:RevokeSecurityGroupIngress", f"arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group/sg-1"),
    ("kms:ScheduleKeyDeletion", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"),
    ("kms:PutKeyPolicy", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"),
    ("acm:DeleteCertificate", f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/1"),
    ("datasync:DeleteTask", f"arn:aws:datasync:eu-west-1:{ACCOUNT}:task/task-1"),
    ("backup:DeleteBackupPlan", f"arn:aws:backup:eu-west-1:{ACCOUNT}:backup-plan:1"),
]
"""What is known by its tag, since AWS makes up its name."""


@pytest.mark.parametrize(("action", "resource"), OWN)
def test_a_deployment_changes_what_has_its_stacks_name_and_nothing_with_anothers(
    pipeline: Pipeline, action: str, resource: str
) -> None:
    assert pipeline.may(DEV, DEPLOY, action, resource.format("dev"))
    assert pipeline.may(LIVE, DEPLOY, action, resource.format("live"))
    assert not pipeline.may(DEV, DEPLOY, action, resource.format("live"))
    assert not pipeline.may(LIVE, DEPLOY, action, resource.format("dev"))


@pytest.mark.parametrize(("action", "resource"), TAGGED)
def test_a_deployment_changes_what_has_its_stacks_tag_and_nothing_with_anothers_or_none(
    pipeline: Pipeline, action: str, resource: str
) -> None:
    assert pipeline.may(DEV, DEPLOY, action, resource, tagged="dev")
    assert not pipeline.may(DEV, DEPLOY, action, resource, tagged="live")
    assert not pipeline.may(DEV, DEPLOY, action, resource)


@pytest.mark.parametrize("action", ["rds:ModifyDBCluster", "wafv2:AssociateWebACL", "s3:PutBucketPolicy"])
def test_another_stacks_tag_keeps_a_role_out_whatever_the_name(pipeline: Pipeline, action: str) -> None:
    resource = {
        "rds:ModifyDBCluster": f"arn:aws:rds:eu-west-1:{ACCOUNT}:cluster:quikapp-dev-database",
        "wafv2:AssociateWebACL": f"arn:aws:wafv2:eu-west-1:{ACCOUNT}:regional/webacl/quikapp-dev/1",
        "s3:PutBucketPolicy": "arn:aws:s3:::quikapp-dev-files-1",
    }[action]
    assert pipeline.may(DEV, DEPLOY, action, resource)
    assert not pipeline.may(DEV, DEPLOY, action, resource, tagged="live")


def test_what_is_made_gets_the_stacks_tag_at_once(pipeline: Pipeline) -> None:
    vpc = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/*"
    for action, resource in (("ec2:CreateVpc", vpc), ("kms:CreateKey", "*"), ("eks:CreateCluster", "*")):
        assert pipeline.may(LIVE, DEPLOY, action, resource, asked="live")
        assert not pipeline.may(LIVE, DEPLOY, action, resource, asked="dev")
        assert not pipeline.may(LIVE, DEPLOY, action, resource)
    assert pipeline.may(LIVE, DEPLOY, "ec2:CreateTags", vpc, asked="live", create="CreateVpc")
    assert not pipeline.may(LIVE, DEPLOY, "ec2:CreateTags", vpc, asked="live", create="RunInstances")


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("kms:TagResource", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"),
        ("ec2:CreateTags", f"arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group/sg-1"),
        ("acm:AddTagsToCertificate", f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/1"),
        ("datasync:TagResource", f"arn:aws:datasync:eu-west-1:{ACCOUNT}:task/task-1"),
        ("backup:TagResource", f"arn:aws:backup:eu-west-1:{ACCOUNT}:backup-plan:1"),
    ],
)
def test_nothing_of_ours_is_claimed_by_giving_it_a_tag(
    pipeline: Pipeline, action: str, resource: str
) -> None:
    assert pipeline.may(DEV, DEPLOY, action, resource, asked="dev"), (
        "what nobody has claimed, such as the new"
    )
    assert not pipeline.may(DEV, DEPLOY, action, resource, asked="dev", tagged="live", application="quikapp")
    assert not pipeline.may(DEV, DEPLOY, action, resource, asked="dev", application="quikapp"), (
        "the keys of the state have no stack's tag"
    )


def test_the_security_group_that_eks_makes_is_opened_by_its_own_stack(pipeline: Pipeline) -> None:
    group = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group/sg-1"
    action = "ec2:AuthorizeSecurityGroupIngress"
    assert pipeline.may(DEV, DEPLOY, action, group, cluster="quikapp-dev")
    assert not pipeline.may(DEV, DEPLOY, action, group, cluster="quikapp-live")
    assert not pipeline.may(DEV, DEPLOY, "ec2:DeleteSecurityGroup", group, cluster="quikapp-dev")


def test_records_are_written_in_the_stacks_own_zone(pipeline: Pipeline) -> None:
    action = "route53:ChangeResourceRecordSets"
    assert pipeline.may(DEV, DEPLOY, action, "arn:aws:route53:::hostedzone/Z0DEV", region="us-east-1")
    assert not pipeline.may(DEV, DEPLOY, action, "arn:aws:route53:::hostedzone/Z0LIVE", region="us-east-1")


# --- what previews and the search for drift may do -----------------------------------------------------------------


@readers
@every_stack
def test_who_looks_changes_nothing(pipeline: Pipeline, stack: EnvironmentName, purpose: Purpose) -> None:
    allowed = {
        action
        for document in pipeline.policies(stack, purpose)
        for statement in json.loads(document)["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }
    assert allowed
    assert {re.sub(r".*:([A-Z][a-z]+).*", r"\1", action) for action in allowed} == {"Describe", "Get", "List"}
    assert not [action for action in allowed if "*" in action]
    for right in permissions.WRITES:
        for action in right.actions:
            assert f"{right.service}:{action}" not in allowed


@every_purpose
@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", "arn:aws:s3:::quikapp-live-files-1/invoice.pdf"),
        ("s3:DeleteObject", "arn:aws:s3:::quikapp-live-files-1/invoice.pdf"),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:rds!cluster-1"),
        ("logs:GetLogEvents", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/eks/quikapp-live/cluster"),
        ("logs:FilterLogEvents", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/eks/quikapp-live/cluster"),
        ("rds-db:connect", f"arn:aws:rds-db:eu-west-1:{ACCOUNT}:dbuser:cluster-1/quikapp_app"),
        ("ssm:GetParameter", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/quikapp/dev/change"),
        ("ssm:GetParameter", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/somebody-elses-password"),
        ("backup:StartRestoreJob", f"arn:aws:backup:eu-west-1:{ACCOUNT}:recovery-point:1"),
        ("backup:DeleteRecoveryPoint", f"arn:aws:backup:eu-west-1:{ACCOUNT}:recovery-point:1"),
        ("datasync:StartTaskExecution", f"arn:aws:datasync:eu-west-1:{ACCOUNT}:task/1"),
        ("ec2:RunInstances", f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/i-1"),
        ("ec2:DescribeInstanceAttribute", f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/i-1"),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/administrator"),
    ],
)
def test_no_role_reads_data_or_takes_it_away(
    pipeline: Pipeline, purpose: Purpose, action: str, resource: str
) -> None:
    assert not pipeline.may(LIVE, purpose, action, resource)
    assert not pipeline.may(LIVE, purpose, action, resource, tagged="live")


@readers
def test_who_looks_decrypts_nothing_in_aws(pipeline: Pipeline, purpose: Purpose) -> None:
    key = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"
    assert not pipeline.may(LIVE, purpose, "kms:Decrypt", key, tagged="live")
    assert pipeline.may(LIVE, purpose, "kms:DescribeKey", key, tagged="live")
    assert not pipeline.may(DEV, purpose, "kms:DescribeKey", key, tagged="live")


# --- that nobody makes more of a role ------------------------------------------------------------------------------

ESCALATING = (
    "iam:CreateRole",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
    "iam:DeleteRolePolicy",
    "iam:DeleteRole",
)
ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"
NODES = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodeMinimalPolicy"


@pytest.mark.parametrize("action", ESCALATING)
def test_a_deployment_makes_and_changes_roles_with_its_stacks_boundary_and_no_others(
    pipeline: Pipeline, action: str
) -> None:
    own = role("quikapp-dev-blue-api")
    assert pipeline.may(DEV, DEPLOY, action, own, boundary=FACTS.boundary_arn(DEV))
    assert not pipeline.may(DEV, DEPLOY, action, own), "no boundary"
    assert not pipeline.may(DEV, DEPLOY, action, own, boundary=FACTS.boundary_arn(LIVE))
    assert not pipeline.may(DEV, DEPLOY, action, own, boundary=ADMINISTRATOR_ACCESS)


@pytest.mark.parametrize("action", ESCALATING)
@pytest.mark.parametrize(
    "name",
    [
        "quikapp-dev-deploy",
        "quikapp-live-deploy",
        "quikapp-dev-administrators",
        "quikapp-live-blue-api",
        "live-cluster-node-1234567",
        "administrator",
    ],
)
def test_a_deployment_touches_no_role_of_a_pipeline_of_a_person_or_of_another_stack(
    pipeline: Pipeline, name: str, action: str
) -> None:
    carried: dict[str, dict[str, str]] = {
        "quikapp-live-blue-api": {"boundary": FACTS.boundary_arn(LIVE)},
        "live-cluster-node-1234567": {"boundary": FACTS.boundary_arn(LIVE)},
    }
    assert not pipeline.may(DEV, DEPLOY, action, role(name), **carried.get(name, {}))


@pytest.mark.parametrize("policy", ["arn:aws:iam::aws:policy/PowerUserAccess", ADMINISTRATOR_ACCESS])
def test_a_deployment_attaches_the_policies_that_the_program_uses_and_no_others(
    pipeline: Pipeline, policy: str
) -> None:
    for action in ("iam:AttachRolePolicy", "iam:DetachRolePolicy"):
        own = role("dev-cluster-node-1234567")
        boundary = FACTS.boundary_arn(DEV)
        assert pipeline.may(DEV, DEPLOY, action, own, boundary=boundary, policy=NODES)
        assert not pipeline.may(DEV, DEPLOY, action, own, policy=NODES)
        assert not pipeline.may(DEV, DEPLOY, action, own, boundary=boundary, policy=policy)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:DeleteRolePermissionsBoundary", "role/quikapp-dev-blue-api"),
        ("iam:PutRolePermissionsBoundary", "role/quikapp-dev-administrators"),
        ("iam:CreatePolicyVersion", "policy/quikapp-dev-boundary"),
        ("iam:SetDefaultPolicyVersion", "policy/quikapp-dev-boundary"),
        ("iam:DeletePolicy", "policy/quikapp-dev-boundary"),
        ("iam:CreatePolicy", "policy/quikapp-dev-more"),
        ("iam:CreateUser", "user/quikapp-dev-user"),
        ("iam:CreateAccessKey", "user/quikapp-dev-user"),
        ("iam:PutUserPolicy", "user/quikapp-dev-user"),
        ("iam:AddRoleToInstanceProfile", "instance-profile/quikapp-dev"),
        ("iam:UpdateOpenIDConnectProviderThumbprint", "oidc-provider/token.actions.githubusercontent.com"),
        ("iam:AddClientIDToOpenIDConnectProvider", "oidc-provider/token.actions.githubusercontent.com"),
        ("iam:DeleteOpenIDConnectProvider", "oidc-provider/token.actions.githubusercontent.com"),
        ("iam:CreateOpenIDConnectProvider", "oidc-provider/somebody.example"),
    ],
)
def test_a_deployment_takes_off_no_boundary_and_changes_neither_policies_nor_who_signs_in(
    pipeline: Pipeline, action: str, resource: str
) -> None:
    request = f"arn:aws:iam::{ACCOUNT}:{resource}"
    for boundary in ({}, {"boundary": FACTS.boundary_arn(DEV)}):
        assert not pipeline.may(DEV, DEPLOY, action, request, **boundary)


def test_roles_are_handed_to_the_services_that_take_them_and_to_no_instance(pipeline: Pipeline) -> None:
    own = role("quikapp-dev-recovery-report")
    assert pipeline.may(DEV, DEPLOY, "iam:PassRole", own, service="lambda.amazonaws.com")
    assert not pipeline.may(DEV, DEPLOY, "iam:PassRole", own, service="ec2.amazonaws.com")
    assert not pipeline.may(
        DEV, DEPLOY, "iam:PassRole", role("quikapp-live-recovery-report"), service="lambda.amazonaws.com"
    )
    assert not pipeline.may(
        DEV, DEPLOY, "iam:PassRole", role("administrator"), service="lambda.amazonaws.com"
    )


def test_the_boundary_of_a_role_is_the_one_that_the_state_names(pipeline: Pipeline) -> None:
    for stack in EnvironmentName:
        made = pipeline.made.one(POLICY, f"quikapp-{stack}-boundary")
        assert made.outputs["arn"] == FACTS.boundary_arn(stack)


def test_nothing_within_a_boundary_makes_roles_or_reaches_the_state(pipeline: Pipeline) -> None:
    for stack in EnvironmentName:
        allowed = [
            (action, statement["Resource"])
            for statement in json.loads(pipeline.boundary(stack))["Statement"]
            if statement["Effect"] == "Allow"
            for action in statement["Action"]
        ]
        about_iam = {action for action, _ in allowed if action.startswith("iam:")}
        assert about_iam == {
            "iam:AddRoleToInstanceProfile",
            "iam:CreateServiceLinkedRole",
            "iam:ListAccountAliases",
            "iam:PassRole",
        }
        assert not [action for action, _ in allowed if action.startswith(("sts:", "organizations:", "*"))]


# --- the rest ------------------------------------------------------------------------------------------------------


def test_everything_is_tagged_and_named_for_who_answers_for_it(pipeline: Pipeline) -> None:
    pipeline.made.assert_tagged(TAGS)
    assert len(pipeline.made.of(ROLE)) == len(EnvironmentName) * len(Purpose)
