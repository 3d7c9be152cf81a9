"""Who GitHub's workflows are in AWS: no key, and for each stack three roles that one GitHub environment each may assume.

A role has what the table in `operations.permissions` says that the stack's resources take, and nothing else. Whoever may
make roles may make an administrator; so every role that a pipeline makes or changes carries a boundary, which the pipeline
can neither take off nor change (docs/adr/0027).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import pulumi
import pulumi_aws as aws

from components.policies import KEY_OF_AWS_BACKUP, Arn, Statement, policy_document
from operations.environments import EnvironmentName
from operations.naming import APPLICATION
from operations.permissions import READS, STACK_TAG, WRITES, Condition, Right
from operations.pipeline import AUDIENCE, ISSUER, PipelineFacts, Purpose, boundary_name, role_name
from operations.state import StateFacts

SERVICES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "network": ("ec2",),
        "traffic": ("acm", "elasticloadbalancing", "route53", "wafv2"),
        "compute": ("eks", "events", "lambda", "scheduler", "ssm"),
        "database": ("kms", "rds", "secretsmanager"),
        "storage": ("backup", "backup-storage", "datasync", "s3"),
        "identity": ("iam", "logs"),
    }
)
"""The services that are changed, by the name of the policy that lets a deploying role change them."""

READ: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "reads-application": ("network", "traffic", "compute"),
        "reads-data": ("database", "storage", "identity"),
    }
)
"""The same, by the name of the policy that lets every role read them: one for all would be longer than IAM takes."""

_BUCKET_OF_TEST: Final = "awsbackup-restore-test-*"
"""How AWS Backup names what it restores for a test."""


@dataclass(frozen=True, kw_only=True)
class PipelineAccessArgs:
    """Whose workflows sign in, and to what.

    Raises:
        ValueError: the facts know no pipeline.
    """

    facts: StateFacts
    region: str
    """AWS region of the state, and of the stacks of which the facts say nothing else."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.facts.pipeline is None:
            raise ValueError("the facts know no pipeline, so nobody signs in")


class PipelineAccess(pulumi.ComponentResource):
    """The identity provider, and for each stack its roles, their policies and the boundary of the roles that it declares."""

    role_arns: Mapping[EnvironmentName, Mapping[Purpose, pulumi.Output[str]]]
    """What the variable AWS_ROLE of a GitHub environment holds."""
    boundary_arns: Mapping[EnvironmentName, pulumi.Output[str]]
    """What `permissionsBoundary` of a stack file names."""

    def __init__(
        self, name: str, args: PipelineAccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("quikapp:state:PipelineAccess", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        provider = aws.iam.OpenIdConnectProvider(
            f"{name}-github",
            url=f"https://{ISSUER}",
            client_id_lists=[AUDIENCE],
            # AWS knows the authorities that sign GitHub's certificates; a thumbprint is for those that it does not know.
            # Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
            tags={**args.tags, "Name": f"{name}-github"},
            opts=self._child,
        )
        self.boundary_arns = MappingProxyType(
            {
                stack: self._policy(boundary_name(stack), self._boundary(stack)).arn
                for stack in args.facts.stacks
            }
        )
        self.role_arns = MappingProxyType(
            {stack: self._roles(stack, provider.arn) for stack in args.facts.stacks}
        )
        self.register_outputs(
            {
                "roleArns": {stack: dict(roles) for stack, roles in self.role_arns.items()},
                "boundaryArns": dict(self.boundary_arns),
            }
        )

    def _roles(
        self, stack: EnvironmentName, provider_arn: pulumi.Output[str]
    ) -> Mapping[Purpose, pulumi.Output[str]]:
        scope = self._scope(stack)
        prefix = f"{APPLICATION}-{stack}"

        def policy(label: str, rights: Iterable[Right], services: Sequence[str]) -> aws.iam.Policy:
            statements = scope.statements(right for right in rights if right.service in services)
            return self._policy(f"{prefix}-{label}", statements)

        common = {
            "apart": self._policy(f"{prefix}-apart", [_apart(stack)]),
            **{
                label: policy(label, READS, [service for part in parts for service in SERVICES[part]])
                for label, parts in READ.items()
            },
        }
        changes = {label: policy(label, WRITES, services) for label, services in SERVICES.items()}
        return MappingProxyType(
            {
                purpose: self._role(
                    stack, purpose, provider_arn, {**common, **(changes if purpose.writes else {})}
                )
                for purpose in Purpose
            }
        )

    def _role(
        self,
        stack: EnvironmentName,
        purpose: Purpose,
        provider_arn: pulumi.Output[str],
        policies: Mapping[str, aws.iam.Policy],
    ) -> pulumi.Output[str]:
        name, pipeline = role_name(stack, purpose), self._pipeline
        subject = pipeline.subject(stack, purpose)
        role = aws.iam.Role(
            name,
            name=name,
            description=f"GitHub's jobs of {subject}",
            assume_role_policy=provider_arn.apply(lambda arn: _trust(arn, subject)),
            max_session_duration=int(timedelta(hours=purpose.session_hours).total_seconds()),
            tags={**self._args.tags, "Name": name},
            opts=self._child,
        )
        for label, policy in policies.items():
            aws.iam.RolePolicyAttachment(
                f"{name}-{label}", role=role.name, policy_arn=policy.arn, opts=self._child
            )
        return role.arn

    def _policy(self, name: str, statements: Sequence[Statement]) -> aws.iam.Policy:
        return aws.iam.Policy(
            name,
            name=name,
            policy=policy_document(*statements),
            tags={**self._args.tags, "Name": name},
            opts=self._child,
        )

    def _boundary(self, stack: EnvironmentName) -> list[Statement]:
        return [_apart(stack), *_bounds(self._scope(stack))]

    def _scope(self, stack: EnvironmentName) -> Scope:
        facts = self._args.facts
        return Scope(
            partition=Arn.parse(facts.administrators[0]).partition,
            account=facts.account,
            stack=stack,
            boundary=facts.boundary_arn(stack),
            zone=self._pipeline.hosted_zone_ids.get(stack),
            regions=facts.regions_of(stack, self._args.region),
        )

    @property
    def _pipeline(self) -> PipelineFacts:
        assert self._args.facts.pipeline is not None  # noqa: S101 - the arguments see to it
        return self._args.facts.pipeline


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a role of one stack's pipeline is let at."""

    partition: str
    account: str
    stack: EnvironmentName
    boundary: str
    """ARN of the boundary of the stack's roles."""
    zone: str | None
    """Id of the hosted zone; None where the pipeline writes no record."""
    regions: Sequence[str]
    """Where requests go to, except those to global services."""

    def statements(self, rights: Iterable[Right]) -> list[Statement]:
        """The rights as statements of a policy."""
        return [
            Statement(
                actions=[f"{right.service}:{action}" for action in right.actions],
                resources=[self._resource(resource) for resource in right.resources],
                conditions=self._conditions(right),
            )
            for right in rights
            if self.zone is not None or not any("{zone}" in resource for resource in right.resources)
        ]

    def arns(self, *resources: str) -> list[str]:
        """ARNs in the stack's partition, of what is written without their first two parts."""
        return [self._resource(resource) for resource in resources]

    def in_regions(self) -> Condition:
        """The condition that a request goes to one of the stack's regions."""
        return Condition("StringEquals", "aws:RequestedRegion", tuple(self.regions))

    def _resource(self, resource: str) -> str:
        return "*" if resource == "*" else self._filled(f"arn:{{partition}}:{resource}")

    def _conditions(self, right: Right) -> dict[str, dict[str, list[str]]]:
        rendered: dict[str, dict[str, list[str]]] = {}
        for condition in (*right.conditions, *([self.in_regions()] if right.regional else [])):
            rendered.setdefault(condition.operator, {})[condition.key] = [
                self._filled(value) for value in condition.values
            ]
        return rendered

    def _filled(self, text: str) -> str:
        return text.format(
            partition=self.partition,
            account=self.account,
            stack=self.stack,
            boundary=self.boundary,
            zone=self.zone,
        )


def _trust(provider_arn: str, subject: str) -> str:
    """Lets in the jobs of one repository and one of its environments: no other branch, repository or pull request.

    Source: https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws
    """
    return policy_document(
        Statement(
            principals={"Federated": [provider_arn]},
            actions=["sts:AssumeRoleWithWebIdentity"],
            conditions={"StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": subject}},
        )
    )


def _apart(stack: EnvironmentName) -> Statement:
    """Refuses whatever has another stack's tag, whatever else allows it."""
    others = [str(other) for other in EnvironmentName if other is not stack]
    return Statement(
        effect="Deny",
        actions=["*"],
        resources=["*"],
        conditions={"StringEquals": {f"aws:ResourceTag/{STACK_TAG}": others}},
    )


def _bounds(scope: Scope) -> list[Statement]:
    """The most that a role may do which a stack declares: what those that there are do, on what is the stack's.

    AWS's policies for clusters and nodes say nothing of whose instances and balancers they are about, so neither can this;
    what is tagged for another stack is refused anyway. Nothing in here changes a role, a policy or a boundary.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    """
    name = f"{APPLICATION}-{scope.stack}"
    regional = scope.in_regions()
    here = {regional.operator: {regional.key: list(regional.values)}}
    own_tag = {"StringEquals": {f"aws:ResourceTag/{STACK_TAG}": [str(scope.stack)]}}
    return [
        # Nodes, their network interfaces and volumes, and load balancers.
        Statement(
            actions=[
                "acm:DescribeCertificate",
                "acm:ListCertificates",
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:UpdateAutoScalingGroup",
                "cognito-idp:DescribeUserPoolClient",
                "ec2:*NetworkInterface*",
                "ec2:*Route",
                "ec2:*SecurityGroup*",
                "ec2:*TrunkInterface",
                "ec2:*Volume*",
                "ec2:Assign*",
                "ec2:CreateFleet",
                "ec2:CreateLaunchTemplate",
                "ec2:CreateSnapshot",
                "ec2:CreateTags",
                "ec2:Describe*",
                "ec2:EnableFastSnapshotRestores",
                "ec2:GetCoipPoolUsage",
                "ec2:ModifyInstanceAttribute",
                "ec2:RunInstances",
                "ec2:Unassign*",
                "ecr:BatchGetImage",
                "ecr:BatchImportUpstreamImage",
                "ecr:GetAuthorizationToken",
                "ecr:GetDownloadUrlForLayer",
                "eks-auth:AssumeRoleForPodIdentity",
                *(
                    f"elasticloadbalancing:{verb}*"
                    for verb in (
                        "Add",
                        "Apply",
                        "Attach",
                        "Configure",
                        "Create",
                        "Delete",
                        "Deregister",
                        "Describe",
                        "Detach",
                        "Modify",
                        "Register",
                        "Remove",
                        "Set",
                    )
                ),
                "shield:CreateProtection",
                "shield:DeleteProtection",
                "shield:TagResource",
                "wafv2:AssociateWebACL",
                "wafv2:DisassociateWebACL",
                "wafv2:GetWebACL",
                "wafv2:GetWebACLForResource",
                "wafv2:ListWebACLs",
            ],
            resources=["*"],
            conditions=here,
        ),
        # Logs and measurements, and how backups and copies went.
        Statement(
            actions=[
                "backup:CopyFromBackupVault",
                "backup:CopyIntoBackupVault",
                "backup:DescribeBackupVault",
                "backup:ListRecoveryPointsByBackupVault",
                "backup:ListRestoreJobs",
                "backup:TagResource",
                "cloudwatch:GetMetricData",
                "cloudwatch:GetMetricStatistics",
                "cloudwatch:PutMetricData",
                "datasync:DescribeTaskExecution",
                "datasync:ListTaskExecutions",
                "events:*Rule*",
                "events:*Targets",
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogGroups",
                "logs:DescribeLogStreams",
                "logs:GetLogEvents",
                "logs:PutLogEvents",
                "logs:PutRetentionPolicy",
                "rds:DescribeDB*",
                "rds:ListTagsForResource",
                "tag:GetResources",
            ],
            resources=["*"],
            conditions=here,
        ),
        # Data: the stack's own, and what is restored for a test.
        Statement(
            actions=[
                "s3:AbortMultipartUpload",
                "s3:CreateBucket",
                "s3:DeleteObject",
                "s3:Get*",
                "s3:List*",
                "s3:PutBucketNotification",
                "s3:PutBucketOwnershipControls",
                "s3:PutBucketVersioning",
                "s3:PutInventoryConfiguration",
                "s3:PutObject*",
            ],
            resources=scope.arns(f"s3:::{name}-*", f"s3:::{_BUCKET_OF_TEST}"),
        ),
        Statement(actions=["s3:ListAllMyBuckets", "iam:ListAccountAliases"], resources=["*"]),
        Statement(
            actions=[
                "kms:CreateGrant",
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey*",
                "kms:ListGrants",
                "kms:ReEncrypt*",
            ],
            resources=scope.arns("kms:*:{account}:key/*"),
            conditions=own_tag,
        ),
        Statement(
            actions=["kms:DescribeKey"],
            resources=scope.arns("kms:*:{account}:key/*"),
            conditions=KEY_OF_AWS_BACKUP,
        ),
        Statement(
            actions=[
                "rds:AddTagsToResource",
                "rds:CopyDBClusterSnapshot",
                "rds:CreateDBClusterSnapshot",
                "rds:DeleteDBCluster",
                "rds:DeleteDBClusterSnapshot",
                "rds:ModifyDBCluster",
                "rds:RestoreDBClusterFromSnapshot",
            ],
            resources=scope.arns("rds:*:{account}:*"),
            conditions=here,
        ),
        # The resource is the id that AWS gives a cluster, which no name begins.
        Statement(actions=["rds-db:connect"], resources=scope.arns("rds-db:*:{account}:dbuser:*")),
        Statement(
            actions=["lambda:InvokeFunction"], resources=scope.arns(f"lambda:*:{{account}}:function:{name}-*")
        ),
        # EKS starts nodes with their role, which has this boundary, too.
        Statement(
            actions=["iam:PassRole"],
            resources=scope.arns("iam::{account}:role/{stack}-cluster-*"),
            conditions={"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com"]}},
        ),
        Statement(
            actions=["iam:AddRoleToInstanceProfile"],
            resources=scope.arns("iam::{account}:instance-profile/eks*"),
        ),
        Statement(
            actions=["iam:CreateServiceLinkedRole"],
            resources=scope.arns("iam::{account}:role/aws-service-role/*"),
            conditions={
                "StringEquals": {
                    "iam:AWSServiceName": ["elasticloadbalancing.amazonaws.com", "spot.amazonaws.com"]
                }
            },
        ),
    ]
