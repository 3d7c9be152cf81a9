"""Where Pulumi keeps the state of every stack, and who GitHub's workflows are. Its own state is kept there too, once it is
up: see docs/state.md."""

import pulumi

import settings
from components.pipeline_access import PipelineAccess, PipelineAccessArgs
from components.state_backend import StateBackend, StateBackendArgs

region, facts = settings.load_state()
after: list[pulumi.Resource] = []
if facts.pipeline is not None:
    access = PipelineAccess("pipeline", PipelineAccessArgs(facts=facts, region=region, tags=facts.tags))
    after.append(access)  # the state lets the roles in by name
    pulumi.export("roles", {stack: dict(roles) for stack, roles in access.role_arns.items()})
    pulumi.export("permissionsBoundaries", dict(access.boundary_arns))
backend = StateBackend("state", StateBackendArgs(facts=facts, region=region, after=after, tags=facts.tags))
pulumi.export("login", backend.login)
pulumi.export("recoveryLogin", backend.recovery_login)
pulumi.export("secretsProviders", backend.secrets_providers)
