"""The shop: what an environment has of cluster, slots and weighted traffic, and nothing that takes long to bring up.

The programs beside it are made of it: `released`, of which a rollout is driven, and `promoted`, through which a version walks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

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
KEY = f"arn:aws:kms:{REGION}:111122223333:key/0f9c0f9c-0f9c-4f9c-8f9c-0f9c0f9c0f9c"
CERTIFICATE = f"arn:aws:acm:{REGION}:111122223333:certificate/0f9c0f9c-0f9c-4f9c-8f9c-0f9c0f9c0f9c"


@dataclass(frozen=True)
class Declared:
    """What a stack file says of the release. It is read in each run: a program may run twice in a process."""

    release: Release
    changes: Ledger
    tags: Mapping[str, str]

    @classmethod
    def read(cls, config: pulumi.Config) -> Self:
        """Return what the stack file of this run says."""
        return cls(
            Release.model_validate_json(config.require("release"), by_alias=True, by_name=False),
            TypeAdapter[Ledger](Ledger).validate_json(config.get("changes") or "[]", by_alias=True),
            {
                "Application": "quikapp",
                "Environment": pulumi.get_stack(),
                "Owner": "web",
                "CostCenter": "shop",
                "ManagedBy": "pulumi",
            },
        )


def service(name: str, path: str) -> Service:
    """A small service behind a path."""
    return Service(
        image=f"registry.example/{name}",
        port=8080,
        path=path,
        health_path="/health",
        resources=Resources(cpu_millicores=100, memory_mib=64),
    )


def change_record(declared: Declared) -> list[ChangeRecord]:
    """The record of the change requests, where the stack file lists any."""
    if not declared.changes:
        return []
    return [
        ChangeRecord(
            f"{NAME}-change-record",
            ChangeRecordArgs(
                application=NAME,
                environment=pulumi.get_stack(),
                prefix=NAME,
                changes=declared.changes,
                region=REGION,
                log_retention_days=30,
                protect=False,
                tags=declared.tags,
            ),
        )
    ]


def note(config: pulumi.Config, declared: Declared) -> None:
    """Something small beside the rest, where the stack file has a note to keep."""
    if text := config.get("note"):
        aws.ssm.Parameter(
            NAME, name=f"/{NAME}/note", type="String", value=text, region=REGION, tags=declared.tags
        )


def environment(
    declared: Declared, services: Mapping[str, Service], replicas: Replicas, after: Sequence[ChangeRecord]
) -> None:
    """Cluster, slots and traffic; the slots once the change requests are recorded."""
    release, tags = declared.release, declared.tags
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
        tags=tags,
        region=REGION,
    )
    provider = kubernetes.Provider(
        NAME,
        kubeconfig=pulumi.Output.all(eks.endpoint, eks.certificate_authority.data).apply(
            lambda parts: kubeconfig(NAME, REGION, endpoint=parts[0], authority=parts[1])
        ),
        enable_server_side_apply=True,
    )
    slots = {
        slot: Slot(
            f"{NAME}-{slot}",
            SlotArgs(
                slot=slot,
                namespace=slot.namespace,
                version=release.of(slot).version,
                change_request=change_of(declared.changes, release.of(slot).version),
                capacity=release.capacity_of(slot),
                services=services,
                replicas=replicas,
                zones=2,
                drain_seconds=15,
                ingress_cidrs=["10.8.0.0/24"],
                network_cidr="10.8.0.0/16",
                secrets={},
                monitoring_namespace="monitoring",
                cluster_name=NAME,
                region=REGION,
                tags=tags,
            ),
            opts=pulumi.ResourceOptions(providers=[provider], depends_on=after),
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
                name: Route(path=each.path, port=each.port, health_path=each.health_path)
                for name, each in services.items()
            },
            release=release,
            namespaces={slot: component.namespace for slot, component in slots.items()},
            deregistration_delay_seconds=1,
            waf=False,
            deletion_protection=False,
            log_retention_days=30,
            tags=tags,
        ),
        opts=pulumi.ResourceOptions(providers=[provider]),
    )
