"""What a rollout is about and nothing else: two slots of two services, weighted traffic, the release of the stack file."""

import pulumi

from operations.services import Replicas
from tests.rehearsal import shop

config = pulumi.Config("quikapp")
declared = shop.Declared.read(config)
shop.environment(
    declared,
    {name: shop.service(name, path) for name, path in {"api": "/api", "web": "/"}.items()},
    Replicas(min=2, max=4),
    after=shop.change_record(declared),
)
shop.note(config, declared)
pulumi.export("release", declared.release.model_dump(mode="json", by_alias=True, exclude_none=True))
