"""The roles of a pipeline of all five stacks, recorded, and what AWS would let each of them do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from components.pipeline_access import PipelineAccess, PipelineAccessArgs
from operations.environments import EnvironmentName
from operations.pipeline import PipelineFacts, Purpose, role_name
from operations.state import StackAccess, StateFacts
from tests.unit.components.policy_decisions import Request, may_assume, role_may
from tests.unit.components.recording import ACCOUNT, Recording, Resource, record

REGION, RECOVERY = "eu-west-1", "eu-central-1"
TAGS = {"Application": "quikapp", "Owner": "platform"}
ISSUER = "token.actions.githubusercontent.com"

FACTS = StateFacts(
    bucket="quikapp-state-test",
    recovery_region=RECOVERY,
    administrators=(f"arn:aws:iam::{ACCOUNT}:role/administrator",),
    pipeline=PipelineFacts(
        repository="quikapp/operations",
        hosted_zone_ids={name: f"Z0{name.upper()}" for name in EnvironmentName},
    ),
    stacks={name: StackAccess() for name in EnvironmentName},
    kept_days=90,
    owner="platform",
    cost_center="operations",
)


@dataclass(frozen=True)
class Pipeline:
    """What the program declared, by the questions that are asked of it."""

    made: Recording[PipelineAccess]

    def role(self, stack: EnvironmentName, purpose: Purpose) -> Resource:
        return self.made.one("aws:iam/role:Role", role_name(stack, purpose))

    def policies(self, stack: EnvironmentName, purpose: Purpose) -> list[str]:
        """The documents of the policies that a role has."""
        documents = {
            policy.outputs["arn"]: policy.inputs["policy"] for policy in self.made.of("aws:iam/policy:Policy")
        }
        return [
            documents[attachment.inputs["policyArn"]]
            for attachment in self.made.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
            if attachment.inputs["role"] == role_name(stack, purpose)
        ]

    def boundary(self, stack: EnvironmentName) -> str:
        """The document of the boundary of a stack's roles."""
        return self.made.one("aws:iam/policy:Policy", f"quikapp-{stack}-boundary").inputs["policy"]

    def lets_in(self, stack: EnvironmentName, purpose: Purpose, subject: str, audience: str) -> bool:
        claims = {f"{ISSUER}:sub": subject, f"{ISSUER}:aud": audience}
        return may_assume(self.role(stack, purpose).inputs["assumeRolePolicy"], claims)

    def may(
        self,
        stack: EnvironmentName,
        purpose: Purpose,
        action: str,
        resource: str = "*",
        *,
        region: str = REGION,
        **context: str,
    ) -> bool:
        """Whether a role may do something; `context` is spelled out by `keys`."""
        return role_may(
            self.policies(stack, purpose),
            Request(
                principal=FACTS.role_arn(stack, purpose),
                action=action,
                resource=resource,
                context={"aws:RequestedRegion": region, **keys(context)},
            ),
        )


def keys(context: Mapping[str, str]) -> dict[str, str]:
    """Condition keys by the short names that the tests use."""
    names = {
        "asked": "aws:RequestTag/Environment",
        "tagged": "aws:ResourceTag/Environment",
        "application": "aws:ResourceTag/Application",
        "cluster": "aws:ResourceTag/aws:eks:cluster-name",
        "boundary": "iam:PermissionsBoundary",
        "policy": "iam:PolicyARN",
        "service": "iam:PassedToService",
        "linked": "iam:AWSServiceName",
        "create": "ec2:CreateAction",
    }
    return {names[name]: value for name, value in context.items()}


def declare(facts: StateFacts = FACTS) -> Pipeline:
    """A pipeline, recorded."""
    return Pipeline(
        record(lambda: PipelineAccess("pipeline", PipelineAccessArgs(facts=facts, region=REGION, tags=TAGS)))
    )


@cache
def all_stacks() -> Pipeline:
    """The pipeline of all five stacks, recorded once: no test changes it."""
    pipeline = declare()
    pipeline.made.close()  # what was declared stays readable
    return pipeline
