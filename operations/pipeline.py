"""How GitHub's workflows sign in to AWS: one role for each stack and purpose, which one GitHub environment may assume.

There is no key. GitHub tells AWS who runs: of which repository, and for which of its environments. Who reaches an
environment is GitHub's to guard, with reviewers and rules for branches; what a role may do is AWS's.
"""

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from operations.delivery import door
from operations.environments import EnvironmentName
from operations.facts import HostedZoneId, Region
from operations.model import Model, matching
from operations.naming import APPLICATION

ISSUER: Final = "token.actions.githubusercontent.com"
"""Who says who runs. It is the same for all of GitHub, so the repository is part of what is trusted."""

AUDIENCE: Final = "sts.amazonaws.com"
"""Whom it says it to; aws-actions/configure-aws-credentials asks for this one."""


@unique
class Purpose(StrEnum):
    """What a role is for."""

    DEPLOY = "deploy"
    """Changes the stack, and its state."""
    PREVIEW = "preview"
    """Shows in a pull request what would change, and changes nothing."""
    DRIFT = "drift"
    """Looks every night for what differs, and changes nothing."""

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self is Purpose.DEPLOY

    @property
    def session_hours(self) -> int:
        """For how long a session lasts at most.

        A rollout takes as long as its steps: GitHub ends a job after six hours, and what was cut off is resumed.
        Source: https://docs.github.com/en/actions/reference/limits
        """
        return 6 if self.writes else 1


Repository = Annotated[
    str,
    AfterValidator(
        matching(
            r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}"
            r"|[A-Za-z0-9][A-Za-z0-9-]{0,38}@[0-9]{1,19}/[A-Za-z0-9._-]{1,100}@[0-9]{1,19}",
            "owner/name, or owner@id/name@id with the ids of both, as GitHub writes the repository in its tokens",
        )
    ),
]
"""The repository as the subject of GitHub's tokens spells it. Since July 2026 new and renamed ones have ids there, so that
whoever takes a name that has become free is not taken for its owner.

Source: https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
"""


class PipelineFacts(Model):
    """Which repository's workflows sign in, and what their roles must know of the stacks."""

    repository: Repository
    """Whose workflows these are."""
    hosted_zone_ids: Mapping[EnvironmentName, HostedZoneId] = {}
    """The zone that a stack's domain is in; without one its pipeline writes no record."""
    regions: Mapping[EnvironmentName, Annotated[tuple[Region, ...], Field(min_length=1, max_length=2)]] = {}
    """The region of a stack and that of its copies, where they are not those of the state."""

    def subject(self, stack: EnvironmentName, purpose: Purpose) -> str:
        """Return how GitHub's tokens call a job of this repository and of one environment."""
        return f"repo:{self.repository}:environment:{github_environment(stack, purpose)}"


def github_environment(stack: EnvironmentName, purpose: Purpose) -> str:
    """Return the GitHub environment whose jobs assume a role; a deployment's is its door."""
    return door(stack).environment if purpose.writes else f"{purpose}-{stack}"


def role_name(stack: EnvironmentName, purpose: Purpose) -> str:
    """Return the name of a role."""
    return f"{APPLICATION}-{stack}-{purpose}"


def boundary_name(stack: EnvironmentName) -> str:
    """Return the name of the policy that bounds every role which the stack declares."""
    return f"{APPLICATION}-{stack}-boundary"
