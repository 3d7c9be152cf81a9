"""The application as operations sees it: services with an image, a route, a size and what they use."""

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from operations.limits import (
    DNS_LABEL_LENGTH,
    HEALTH_PATH_LENGTH,
    IMAGE_LENGTH,
    MEMORY_MIB_PER_CONTAINER,
    MILLICORES_PER_CONTAINER,
    PORTS,
    REPLICAS,
    ROUTE_LENGTH,
    UNPRIVILEGED_PORT,
)
from operations.model import Model, matching

Name = Annotated[
    str,
    AfterValidator(
        matching(
            r"[a-z]([a-z0-9-]*[a-z0-9])?",
            "a DNS label: lower-case letters, digits and hyphens, beginning with a letter",
            DNS_LABEL_LENGTH,
        )
    ),
]
"""A DNS label that begins with a letter: what Kubernetes takes for a Service (RFC 1035)."""

Image = Annotated[
    str,
    AfterValidator(
        matching(
            r"[a-z0-9]+([._-][a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+",
            "a registry and a repository, without tag and digest: the slot's version is the tag",
            IMAGE_LENGTH,
        )
    ),
]
"""Registry and repository without tag and digest: the tag is the slot's version."""

# A trailing slash or a wildcard would make two spellings of one route; "*" and "?" mean something to the balancer.
Path = Annotated[
    str,
    AfterValidator(
        matching(
            r"/([A-Za-z0-9_.$~@:+-]+(/[A-Za-z0-9_.$~@:+-]+)*)?",
            "a path that begins with a slash, does not end in one, and has no wildcard",
            ROUTE_LENGTH,
        )
    ),
]
"""The prefix of a route: it and everything below it."""

HealthPath = Annotated[
    str,
    AfterValidator(
        matching(
            r"/[A-Za-z0-9_.$~@:+/-]*", "a path that begins with a slash, without query", HEALTH_PATH_LENGTH
        )
    ),
]
"""Where a service answers 200 while it is healthy."""

EnvironmentVariable = Annotated[
    str,
    AfterValidator(
        matching(
            r"[A-Za-z_][A-Za-z0-9_]*",
            "the name of an environment variable: letters, digits and underscores, not beginning with a digit",
        )
    ),
]


SLOT_VARIABLES: Final = frozenset(
    {
        "SLOT",
        "VERSION",
        "DATABASE_HOST",
        "DATABASE_PORT",
        "DATABASE_NAME",
        "DATABASE_USER",
        "FILES_BUCKET",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "DD_AGENT_HOST",
        "DD_TRACE_AGENT_PORT",
        "DD_ENV",
        "DD_SERVICE",
        "DD_VERSION",
    }
)
"""Environment variables that every slot gives its services, each where there is what it names."""


def environment_variable(secret: str) -> str:
    """The environment variable that carries a secret: `session-signing-key` arrives as `SESSION_SIGNING_KEY`."""
    return secret.upper().replace("-", "_")


@unique
class Use(StrEnum):
    """What a service may use besides its own pods; each grants exactly the access it needs."""

    DATABASE = "database"
    FILES = "files"


class Resources(Model):
    """Requests and limits of one pod."""

    cpu_millicores: Annotated[int, Field(ge=10, le=MILLICORES_PER_CONTAINER.value)]
    """Thousandths of a core."""
    memory_mib: Annotated[int, Field(ge=16, le=MEMORY_MIB_PER_CONTAINER.value)]
    """Mebibytes."""


class Replicas(Model):
    """The range in which the autoscaler keeps the number of pods of a serving slot."""

    min: Annotated[int, Field(ge=1, le=REPLICAS.value)]
    """Pods without load."""
    max: Annotated[int, Field(ge=1, le=REPLICAS.value)]
    """Pods under the most load."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        """`min` is not greater than `max`."""
        if self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        return self


class Service(Model):
    """One service of the application: the same in both slots but for its version."""

    image: Image
    """The tag is the slot's version."""
    port: Annotated[int, Field(ge=UNPRIVILEGED_PORT.value, le=PORTS.value)]
    """The container's port: 1024 to 65535, since a restricted pod may bind no lower one."""
    path: Path
    """The prefix of its route: it and everything below it."""
    health_path: HealthPath
    """Where it answers 200 while it is healthy."""
    resources: Resources
    replicas: Replicas | None = None
    """Its own range where the environment's does not suit it."""
    uses: frozenset[Use] = frozenset()
    """What it is given access to."""
    secrets: tuple[Name, ...] = ()
    """Names under the `secrets:` namespace of the stack's configuration, handed to this service alone."""
    env: Mapping[EnvironmentVariable, str] = {}
    """Plain environment variables; nothing secret."""

    @model_validator(mode="after")
    def _names_each_variable_once(self) -> Self:
        """No secret is named twice, and `env` sets no variable that the slot sets itself."""
        if len(set(self.secrets)) < len(self.secrets):
            raise ValueError("secrets names one secret twice")
        if taken := {*SLOT_VARIABLES, *map(environment_variable, self.secrets)} & {*self.env}:
            raise ValueError(f"env sets {', '.join(sorted(taken))}, which the slot sets itself")
        return self
