"""What a rollout is about and nothing else: two slots of two services, weighted traffic, the release of the stack file."""

import json

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pydantic import TypeAdapter

from components.change_record import ChangeRecord, ChangeRecordArgs
from components.cluster import kubeconfig
from components.slots import Slot, SlotArgs
from components.traffic import ExistingCertificate, Route, Traffic, TrafficArgs
from operations.changes import Ledger, change_of
from operations.release import Release
from operations.services import Replicas, Resources, Service
from operations.slots import Slot as SlotName

NAME, REGION, TAGS = "shop", "eu-west-1", {"owner": "web"}
CERTIFICATE = f"arn:aws:acm:{REGION}:111122223333:certificate/0f9c0f9c-0f9c-4f9c-8f9c-0f9c0f9c0f9c"
SMALL = Resources(cpu_millicores=100, memory_mib=64)

config = pulumi.Config("quikapp")
release = Release.model_validate_json(config.require("release"), by_alias=True, by_name=False)
ledger = TypeAdapter[Ledger](Ledger).validate_json(config.get("changes") or "[]")
services = {
    name: Service(
        image=f"registry.example/{name}", port=8080, path=path, health_path="/health", resources=SMALL
    )
    for name, path in {"api": "/api", "web": "/"}.items()
}

eks = aws.eks.Cluster(
    NAME,
    name=NAME,
    role_arn="arn:aws:iam::111122223333:role/shop",
    vpc_config=aws.eks.ClusterVpcConfigArgs(subnet_ids=["subnet-1", "subnet-2"]),
    region=REGION,
)
provider = kubernetes.Provider(
    NAME,
    kubeconfig=pulumi.Output.all(eks.endpoint, eks.certificate_authority.data).apply(
        lambda parts: kubeconfig(NAME, REGION, endpoint=parts[0], authority=parts[1])
    ),
    enable_server_side_apply=True,
)
approved = [
    ChangeRecord(
        NAME,
        ChangeRecordArgs(
            application=NAME,
            environment="uat",
            prefix=NAME,
            changes=ledger,
            region=REGION,
            log_retention_days=30,
            protect=False,
            tags=TAGS,
        ),
    )
    for _ in ledger[:1]
]
"""Where the stack file lists change requests, one record of them."""
in_cluster = pulumi.ResourceOptions(providers=[provider])
slots = {
    slot: Slot(
        f"{NAME}-{slot}",
        SlotArgs(
            slot=slot,
            namespace=slot.namespace,
            version=release.of(slot).version,
            change_request=change_of(ledger, release.of(slot).version),
            capacity=release.capacity_of(slot),
            services=services,
            replicas=Replicas(min=2, max=4),
            zones=2,
            drain_seconds=15,
            ingress_cidrs=["10.8.0.0/24"],
            network_cidr="10.8.0.0/16",
            secrets={},
            monitoring_namespace="monitoring",
            cluster_name=NAME,
            region=REGION,
            tags=TAGS,
        ),
        opts=pulumi.ResourceOptions(providers=[provider], depends_on=approved),
    )
    for slot in SlotName
}
Traffic(
    NAME,
    TrafficArgs(
        prefix=NAME,
        region=REGION,
        vpc_id="vpc-1",
        public_subnet_ids=["subnet-1", "subnet-2"],
        cluster_name=eks.name,
        cluster_security_group_id="sg-1",
        domain="shop.example",
        dns=ExistingCertificate(certificate_arn=CERTIFICATE),
        routes={
            name: Route(path=service.path, port=service.port, health_path=service.health_path)
            for name, service in services.items()
        },
        weights=release.weights,
        switch=release.switch,
        stable=release.stable_slot,
        namespaces={slot: component.namespace for slot, component in slots.items()},
        deregistration_delay_seconds=1,
        waf=False,
        deletion_protection=False,
        log_retention_days=30,
        tags=TAGS,
    ),
    opts=in_cluster,
)
pulumi.export("release", release.model_dump(mode="json", by_alias=True, exclude_none=True))
if note := config.get("note"):
    aws.ssm.Parameter(NAME, name=f"/{NAME}/note", type="String", value=json.dumps(note), region=REGION)
