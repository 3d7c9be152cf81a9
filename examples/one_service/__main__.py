"""One service in two slots, a twentieth of its requests on the new version; no database, no files, no monitoring."""

from ipaddress import IPv4Network as IPv4

import pulumi

from components import cluster, network, slots, traffic
from operations.release import Release, SlotRelease, Standby, Switch
from operations.services import Replicas, Resources, Service
from operations.slots import Slot
from operations.versions import KUBERNETES

# fmt: off
region, name, tags, days = pulumi.Config("aws").require("region"), "shop", {"owner": "web"}, 30
certificate = f"arn:aws:acm:{region}:111122223333:certificate/0f9c0f9c-0f9c-4f9c-8f9c-0f9c0f9c0f9c"
shop = Service(image="registry.example/shop", port=8080, path="/", health_path="/health", resources=Resources(cpu_millicores=250, memory_mib=256))

net = network.Network(name, network.NetworkArgs(
    cidr=IPv4("10.8.0.0/16"), region=region, zones=["a", "b"], nat_gateways=1, log_retention_days=days, tags=tags))
eks = cluster.Cluster(name, cluster.ClusterArgs(
    cluster_name=name, region=region, kubernetes_version=KUBERNETES, subnet_ids=net.private_subnet_ids, zones=net.zone_names,
    cpu_limit=16, memory_limit_gib=64, administrators=["arn:aws:iam::111122223333:role/shop"], viewers=[], api_access_cidrs=[],
    deletion_protection=False, log_retention_days=days, tags=tags))
in_cluster = pulumi.ResourceOptions(providers=[eks.provider])
release = Release(blue=SlotRelease(version="v1.4.0", weight=95), green=SlotRelease(version="v1.5.0", weight=5),
    stable="v1.4.0", standby=Standby.FULL, switch=Switch.LADDER)
both = {slot: slots.Slot(f"{name}-{slot}", slots.SlotArgs(
    slot=slot, namespace=slot.namespace, version=release.of(slot).version, capacity=release.capacity_of(slot), services={name: shop},
    replicas=Replicas(min=1, max=4), zones=2, drain_seconds=45, ingress_cidrs=net.public_cidrs, network_cidr="10.8.0.0/16",
    secrets={}, monitoring_namespace="monitoring", cluster_name=eks.cluster_name, region=region, tags=tags), in_cluster)
    for slot in Slot}
front = traffic.Traffic(name, traffic.TrafficArgs(
    prefix=name, region=region, vpc_id=net.vpc_id, public_subnet_ids=net.public_subnet_ids, cluster_name=eks.cluster_name,
    cluster_security_group_id=eks.security_group_id, domain="shop.example", dns=traffic.ExistingCertificate(certificate_arn=certificate),
    routes={name: traffic.Route(path=shop.path, port=shop.port, health_path=shop.health_path)}, release=release,
    namespaces={slot: component.namespace for slot, component in both.items()}, deregistration_delay_seconds=30, waf=False,
    deletion_protection=False, log_retention_days=days, tags=tags), in_cluster)
pulumi.export("url", front.url)
