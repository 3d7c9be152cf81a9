"""What a promotion is about and nothing else: one service in two slots, the outputs that others read, change requests.

A stack with `quikapp:bare` has the outputs alone: it stands for an environment that a version has come through.
"""

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

NAME, REGION = "shop", "eu-west-1"
TAGS = {
    "Application": "quikapp",
    "Environment": pulumi.get_stack(),
    "Owner": "web",
    "CostCenter": "shop",
    "ManagedBy": "pulumi",
}
KEY = f"arn:aws:kms:{REGION}:111122223333:key/0f9c0f9c-0f9c-4f9c-8f9c-0f9c0f9c0f9c"
CERTIFICATE = f"arn:aws:acm:{REGION}:111122223333:certificate/0f9c0f9c-0f9c-4f9c-8f9c-0f9c0f9c0f9c"

config = pulumi.Config("quikapp")
release = Release.model_validate_json(config.require("release"), by_alias=True, by_name=False)
changes = TypeAdapter(Ledger).validate_json(config.get("changes") or "[]", by_alias=True)
replicas = Replicas(min=config.get_int("replicas") or 2, max=4)
service = Service(
    image="registry.example/shop",
    port=8080,
    path="/",
    health_path="/health",
    resources=Resources(cpu_millicores=100, memory_mib=64),
)


def environment() -> None:
    """Cluster, slots and traffic."""
    eks = aws.eks.Cluster(
        NAME,
        name=NAME,
        role_arn="arn:aws:iam::111122223333:role/shop",
        vpc_config=aws.eks.ClusterVpcConfigArgs(
            subnet_ids=["subnet-1", "subnet-2"], public_access_cidrs=["203.0.113.0/24"]
        ),
        encryption_config=aws.eks.ClusterEncryptionConfigArgs(
            provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=KEY), resources=["secrets"]
        ),
        tags=TAGS,
        region=REGION,
    )
    provider = kubernetes.Provider(
        NAME,
        kubeconfig=pulumi.Output.all(eks.endpoint, eks.certificate_authority.data).apply(
            lambda parts: kubeconfig(NAME, REGION, endpoint=parts[0], authority=parts[1])
        ),
        enable_server_side_apply=True,
    )
    in_cluster = pulumi.ResourceOptions(providers=[provider])
    slots = {
        slot: Slot(
            f"{NAME}-{slot}",
            SlotArgs(
                slot=slot,
                namespace=slot.namespace,
                version=release.of(slot).version,
                change_request=change_of(changes, release.of(slot).version),
                capacity=release.capacity_of(slot),
                services={NAME: service},
                replicas=replicas,
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
            opts=in_cluster,
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
            routes={NAME: Route(path="/", port=service.port, health_path=service.health_path)},
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


if changes:
    ChangeRecord(
        f"{NAME}-change-record",
        ChangeRecordArgs(
            application=NAME,
            environment=pulumi.get_stack(),
            prefix=NAME,
            changes=changes,
            region=REGION,
            log_retention_days=30,
            protect=False,
            tags=TAGS,
        ),
    )
if not config.get_bool("bare"):
    environment()
if note := config.get("note"):
    aws.ssm.Parameter(NAME, name=f"/{NAME}/note", type="String", value=note, region=REGION, tags=TAGS)
if public := config.get("public"):
    aws.ec2.SecurityGroup(
        NAME,
        description="Everything to everybody",
        vpc_id="vpc-1",
        ingress=[
            aws.ec2.SecurityGroupIngressArgs(protocol="tcp", from_port=22, to_port=22, cidr_blocks=[public])
        ],
        region=REGION,
        tags=TAGS,
    )
pulumi.export(
    "slots",
    {
        slot.value: {"version": release.of(slot).version, "weight": release.of(slot).weight}
        for slot in SlotName
    },
)
pulumi.export("release", release.model_dump(mode="json", by_alias=True, exclude_none=True))
pulumi.export("changes", [entry.model_dump(mode="json", by_alias=True) for entry in changes])
