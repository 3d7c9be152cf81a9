"""Where Pulumi keeps the state of every stack. Its own state is kept there too, once it is up: see docs/state.md."""

import pulumi

import settings
from components.state_backend import StateBackend, StateBackendArgs

region, facts = settings.load_state()
backend = StateBackend("state", StateBackendArgs(facts=facts, region=region, tags=facts.tags))
pulumi.export("login", backend.login)
pulumi.export("recoveryLogin", backend.recovery_login)
pulumi.export("secretsProviders", backend.secrets_providers)
