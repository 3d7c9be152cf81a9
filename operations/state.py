"""Pulumi's own state: where it lies, who may use which stack's, and for how long a version of it can be had back.

All stacks share one bucket, whose copy lies in another region. The secrets of a stack are encrypted with one key of
both regions, under a context that names the stack, so that whoever may update one stack reads no other's.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from operations.delivery import predecessor
from operations.environments import EnvironmentName
from operations.facts import PrincipalArn, Region, TagValue, other_partition
from operations.faults import Fault, show
from operations.limits import BUCKET_NAME_LENGTH, Limit
from operations.model import Model, matching
from operations.naming import APPLICATION
from operations.pipeline import PipelineFacts, Purpose, boundary_name, role_name

PROJECT: Final = "quikapp-state"
"""The project that declares the state's own home; nobody but administrators has its keys."""

STACK_CONTEXT: Final = "stack"
"""The encryption context that names the stack; `awskms://…?context_stack=live` sets it.

Source: https://pkg.go.dev/gocloud.dev/secrets/awskms#URLOpener
"""

META_KEY: Final = ".pulumi/meta.yaml"
"""What every client reads first. The first login writes it, and that is an administrator's."""

SHORTEST_KEPT_DAYS: Final = 30
"""Days that a version is kept at least: a fault that nobody noticed for a month can still be undone."""

LONGEST_KEPT_DAYS: Final = 365
"""Days that a version is locked at most: nobody can shorten a lock in compliance mode, not even for a typing error."""

_NAME_LENGTH: Final = Limit(
    BUCKET_NAME_LENGTH.value - len("-ap-northeast-1"),
    "characters besides the region",
    BUCKET_NAME_LENGTH.source,
)

BucketName = Annotated[
    str,
    AfterValidator(
        matching(
            r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
            "how the buckets' names begin, in lower case: letters, digits and inner hyphens",
            _NAME_LENGTH,
        )
    ),
]
"""How the buckets' names begin; the region follows."""


class StackAccess(Model):
    """Who may use one stack's state, besides the roles of the pipeline: roles that exist already."""

    updates: tuple[PrincipalArn, ...] = ()
    """May change it."""
    reads: tuple[PrincipalArn, ...] = ()
    """May preview against it, and change nothing."""


class StateFacts(Model):
    """The home of Pulumi's state, as the stack file of `bootstrap/` declares it."""

    bucket: BucketName
    """How the names of the buckets begin; the region follows."""
    recovery_region: Region
    """Where the copy lies; another region than the bucket's own."""
    administrators: Annotated[tuple[PrincipalArn, ...], Field(min_length=1)]
    """May use every stack's state and change its home; whoever runs `bootstrap/` is one of them."""
    stacks: Annotated[Mapping[EnvironmentName, StackAccess], Field(min_length=1)]
    """By name, which is also the environment's."""
    pipeline: PipelineFacts | None = None
    """GitHub's workflows, whose roles are declared; None where something else deploys, with roles of its own."""
    kept_days: Annotated[int, Field(ge=SHORTEST_KEPT_DAYS, le=LONGEST_KEPT_DAYS)]
    """Days that each version of the state is locked, and kept once a newer one has followed."""
    owner: TagValue
    """The team that answers for it; a tag on every resource."""
    cost_center: TagValue
    """Who pays; a tag on every resource."""

    @model_validator(mode="after")
    def _principals_are_of_one_account_and_named_once(self) -> Self:
        """All principals are of one account, and none is named twice for one stack."""
        accounts = sorted({account_of(principal) for principal in self.principals})
        if len(accounts) > 1:
            raise ValueError(
                f"names principals of the accounts {' and '.join(accounts)}; allowed is one account"
            )
        for name in self.stacks:
            named = (*self.administrators, *self.updaters(name), *self.readers(name))
            if twice := next((one for place, one in enumerate(named) if one in named[:place]), None):
                raise ValueError(f"stacks.{name} names {twice} twice; {self._why_once(twice)}")
        return self

    @model_validator(mode="after")
    def _somebody_updates_each_stack(self) -> Self:
        """Each stack has somebody who updates it, if not the pipeline."""
        if idle := next((name for name in self.stacks if not self.updaters(name)), None):
            raise ValueError(
                f"stacks.{idle} names nobody under updates; without a pipeline each stack takes at least 1"
            )
        return self

    @model_validator(mode="after")
    def _pipeline_knows_no_other_stack(self) -> Self:
        """The pipeline names no stack that `stacks` does not."""
        if self.pipeline is None:
            return self
        for key, named in (
            ("hostedZoneIds", self.pipeline.hosted_zone_ids),
            ("regions", self.pipeline.regions),
        ):
            if stray := next((name for name in named if name not in self.stacks), None):
                raise ValueError(
                    f"pipeline.{key} names {stray}, which is none of stacks; allowed: {', '.join(self.stacks)}"
                )
        return self

    def _why_once(self, principal: str) -> str:
        if principal in self.administrators:
            return "an administrator may use every stack anyway"
        return "one way to use a stack is enough, and the roles of the pipeline are named by themselves"

    def updaters(self, stack: EnvironmentName) -> tuple[str, ...]:
        """Return the principals that may change a stack's state: the pipeline's, and those that are listed."""
        return (*self._pipeline_roles(stack, writes=True), *self.stacks[stack].updates)

    def readers(self, stack: EnvironmentName) -> tuple[str, ...]:
        """Return the principals that may read a stack's state and change nothing."""
        return (*self._pipeline_roles(stack, writes=False), *self.stacks[stack].reads)

    def followers(self, stack: EnvironmentName) -> tuple[str, ...]:
        """Return the principals that must learn which version a stack runs, since they update one that takes it from there.

        Those who may read the stack's state anyway are not among them.
        """
        known = (*self.administrators, *self.updaters(stack), *self.readers(stack))
        return tuple(
            updater
            for name in self.stacks
            if predecessor(name) is stack
            for updater in self.updaters(name)
            if updater not in known
        )

    def _pipeline_roles(self, stack: EnvironmentName, *, writes: bool) -> tuple[str, ...]:
        if self.pipeline is None:
            return ()
        return tuple(self.role_arn(stack, purpose) for purpose in Purpose if purpose.writes is writes)

    def role_arn(self, stack: EnvironmentName, purpose: Purpose) -> str:
        """Return the ARN of a role of the pipeline: known before the role is there."""
        return f"{self._iam}:role/{role_name(stack, purpose)}"

    def boundary_arn(self, stack: EnvironmentName) -> str:
        """Return the ARN of the policy that bounds every role which a stack declares."""
        return f"{self._iam}:policy/{boundary_name(stack)}"

    @property
    def _iam(self) -> str:
        """How every ARN of the account's IAM begins."""
        return ":".join(self.administrators[0].split(":")[:5])

    @property
    def roles(self) -> tuple[str, ...]:
        """Everybody who may use a stack's state, besides the administrators; each once, in order."""
        return tuple(
            dict.fromkeys(
                role for stack in self.stacks for role in (*self.updaters(stack), *self.readers(stack))
            )
        )

    @property
    def principals(self) -> tuple[str, ...]:
        """Everybody who may use any state."""
        return (*self.administrators, *self.roles)

    def regions_of(self, stack: EnvironmentName, region: str) -> tuple[str, ...]:
        """Return the regions of a stack and of its copies, where the state itself is in `region`."""
        own = (region, self.recovery_region)
        return own if self.pipeline is None else self.pipeline.regions.get(stack, own)

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of every resource, by which cost and ownership reports group them."""
        return {
            "Application": APPLICATION,
            "Owner": self.owner,
            "CostCenter": self.cost_center,
            "ManagedBy": "pulumi",
        }

    @property
    def account(self) -> str:
        """The account that all of it is in, twelve digits."""
        return account_of(self.administrators[0])

    def bucket_name(self, region: str) -> str:
        """The name of the bucket in a region: known beforehand, since `pulumi login` needs it when nothing else is left."""
        return f"{self.bucket}-{region}"

    @property
    def secrets_alias(self) -> str:
        """The alias of the secrets' key, the same in both regions."""
        return f"alias/{self.bucket}-secrets"


def breaches(region: str, facts: StateFacts) -> Iterator[Fault]:
    """Yield what the facts and the bucket's own region break together."""
    if facts.recovery_region == region:
        wrong = "is the region of the bucket itself; the copy must survive the loss of that region"
    else:
        wrong = other_partition(region, facts.recovery_region)
    if wrong is not None:
        yield Fault("quikapp-state:backend.recoveryRegion", wrong, show(facts.recovery_region))


def account_of(principal: str) -> str:
    """The account in the ARN of a principal."""
    return principal.split(":")[4]


def stack_keys(stack: str) -> tuple[str, ...]:
    """The keys in the bucket that hold one stack's state, in every project: patterns with `*`.

    The first is the state itself, its predecessor (`.bak`) and its tags; the second history, backups and locks.
    Source: https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/backend/diy/store.go
    """
    return (f".pulumi/stacks/*/{stack}.*", f".pulumi/*/{stack}/*")


def project_keys(project: str) -> str:
    """The keys that hold the state of a whole project: a pattern with `*`."""
    return f".pulumi/*/{project}/*"


def login_url(bucket: str) -> str:
    """What `pulumi login` takes. The region is AWS_REGION's, so that nothing names one that may be lost."""
    return f"s3://{bucket}"


def secrets_provider(alias: str, stack: str) -> str:
    """What `pulumi stack init --secrets-provider` takes; it names no region either."""
    return f"awskms://{alias}?context_{STACK_CONTEXT}={stack}"
