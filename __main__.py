"""QuikApp's operations: load the settings of a stack, build its one environment, export what others need of it."""

import pulumi

import settings
from components.environment import Environment, EnvironmentArgs

loaded = settings.load()
environment = Environment(loaded.facts.name, EnvironmentArgs(facts=loaded.facts, secrets=loaded.secrets))
for name, value in environment.outputs.items():
    pulumi.export(name, value)
