"""What each committed stack file makes of the monitoring, recorded whole."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pulumi

import settings
from components.environment import Environment, EnvironmentArgs
from operations.facts import EnvironmentFacts
from tests.unit.components.recording import Recording, record
from tests.unit.stack_configuration import SECRETS, configuration, document

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


def facts_of(stack: str) -> EnvironmentFacts:
    """The facts that a stack file and the project's defaults state."""
    return settings.parse(stack, configuration(document(stack)), SECRETS)


@contextmanager
def recorded(stack: str) -> Generator[Recording[Environment]]:
    """Everything that a stack declares; outputs of it can be read no more."""
    yield _recorded(stack)


@cache
def _recorded(stack: str) -> Recording[Environment]:
    """A whole stack takes seconds, and nobody changes what was recorded: once is enough for all tests."""
    return recording_of(facts_of(stack))


def recording_of(facts: EnvironmentFacts) -> Recording[Environment]:
    """Everything that an environment with these facts declares; outputs of it can be read no more."""

    def build() -> Environment:
        secrets = {name: pulumi.Output.secret("never shown") for name in facts.secrets}
        return Environment(facts.name, EnvironmentArgs(facts=facts, secrets=secrets))

    made = record(build)
    made.close()
    return made


def config_map(recording: Recording[Any], prefix: str) -> dict[str, str]:
    """The files of the only ConfigMap whose name begins so."""
    (found,) = [
        resource.inputs["data"]
        for resource in recording.of(CONFIG_MAP)
        if resource.inputs["metadata"]["name"].startswith(prefix)
    ]
    return dict(found)
