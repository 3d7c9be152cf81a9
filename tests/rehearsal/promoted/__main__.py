"""What a promotion is about and nothing else: one service in two slots, the outputs that others read, change requests.

A stack with `quikapp:bare` has the outputs alone: it stands for an environment that a version has come through.
"""

import pulumi
import pulumi_aws as aws

from operations.services import Replicas
from operations.slots import Slot
from tests.rehearsal import shop

config = pulumi.Config("quikapp")
declared = shop.Declared.read(config)
release = declared.release

replicas = Replicas(min=config.get_int("replicas") or 2, max=4)

record = shop.change_record(declared)
if not config.get_bool("bare"):
    shop.environment(declared, {shop.NAME: shop.service(shop.NAME, "/")}, replicas, after=record)
shop.note(config, declared)
if public := config.get("public"):
    aws.ec2.SecurityGroup(
        shop.NAME,
        description="Everything to everybody",
        vpc_id="vpc-1",
        ingress=[
            aws.ec2.SecurityGroupIngressArgs(protocol="tcp", from_port=22, to_port=22, cidr_blocks=[public])
        ],
        region=shop.REGION,
        tags=declared.tags,
    )
pulumi.export(
    "slots",
    {slot.value: {"version": release.of(slot).version, "weight": release.of(slot).weight} for slot in Slot},
)
pulumi.export("release", release.model_dump(mode="json", by_alias=True, exclude_none=True))
pulumi.export("changes", [entry.model_dump(mode="json", by_alias=True) for entry in declared.changes])
