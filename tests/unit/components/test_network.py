"""The network: addresses that never move, egress that survives a zone, and no way in but the load balancer's."""

import json
from collections.abc import Sequence
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

import pulumi_aws as aws
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.network import ZONE_LETTERS, Network, NetworkArgs, plan_subnets
from tests.unit.components.conftest import Record
from tests.unit.components.policy_decisions import granted
from tests.unit.components.recording import Recording

TAGS = {"owner": "platform", "cost-center": "4711"}


def _vpc(prefix: int, address: int) -> IPv4Network:
    return IPv4Network((address >> (32 - prefix) << (32 - prefix), prefix))


vpcs = st.builds(_vpc, st.integers(16, 21), st.integers(0, 2**32 - 1))
zone_choices = st.lists(st.sampled_from(ZONE_LETTERS), unique=True, min_size=1)


def network_args(zones: Sequence[str] = ("a", "b", "c"), nat_gateways: int = 3) -> NetworkArgs:
    return NetworkArgs(
        cidr=IPv4Network("10.50.0.0/16"),
        region="eu-west-1",
        zones=zones,
        nat_gateways=nat_gateways,
        log_retention_days=30,
        tags=TAGS,
    )


def declare(
    record: Record, zones: Sequence[str] = ("a", "b", "c"), nat_gateways: int = 3
) -> Recording[Network]:
    return record(lambda: Network("net", network_args(zones, nat_gateways)))


def subnets(recording: Recording[Network], role: str) -> dict[str, Any]:
    """Zone to CIDR of the subnets that carry a load balancing role."""
    return {
        subnet.inputs["availabilityZone"]: subnet.inputs["cidrBlock"]
        for subnet in recording.of("aws:ec2/subnet:Subnet")
        if subnet.inputs["tags"].get(f"kubernetes.io/role/{role}") == "1"
    }


def routes(recording: Recording[Network]) -> dict[str, str]:
    """Route table's name to the name of the gateway that its internet traffic leaves by."""
    return {
        recording.by_id(route.inputs["routeTableId"]).name: recording.by_id(
            route.inputs.get("natGatewayId") or route.inputs["gatewayId"]
        ).name
        for route in recording.of("aws:ec2/route:Route")
        if route.inputs["destinationCidrBlock"] == "0.0.0.0/0"
    }


@given(cidr=vpcs, zones=zone_choices)
def test_subnets_lie_in_the_vpc_and_never_overlap(cidr: IPv4Network, zones: list[str]) -> None:
    plans = plan_subnets(cidr, zones)
    planned = [subnet for plan in plans.values() for subnet in (plan.public, plan.private)]
    assert list(plans) == zones
    assert all(subnet.subnet_of(cidr) for subnet in planned)
    assert not any(one.overlaps(other) for one, other in combinations(planned, 2))
    assert all(plan.public.prefixlen <= 27 for plan in plans.values())


@given(cidr=vpcs, zones=zone_choices, others=zone_choices)
def test_a_zone_keeps_its_addresses_whatever_other_zones_come_and_go(
    cidr: IPv4Network, zones: list[str], others: list[str]
) -> None:
    before, after = plan_subnets(cidr, zones), plan_subnets(cidr, others)
    assert {zone: before[zone] for zone in set(zones) & set(others)} == {
        zone: after[zone] for zone in set(zones) & set(others)
    }


@pytest.mark.parametrize(
    ("cidr", "zones"),
    [("10.0.0.0/15", ["a"]), ("10.0.0.0/22", ["a"]), ("10.0.0.0/16", ["a", "a"]), ("10.0.0.0/16", ["h"])],
)
def test_a_vpc_that_cannot_be_planned_is_refused(cidr: str, zones: list[str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        plan_subnets(IPv4Network(cidr), zones)


@pytest.mark.parametrize("nat_gateways", [-1, 2, 4])
def test_nat_gateways_are_none_or_one_or_one_per_zone(nat_gateways: int) -> None:
    with pytest.raises(ValueError, match="NAT gateways must be 0, 1 or 3"):
        network_args(nat_gateways=nat_gateways)


def test_each_zone_has_a_large_private_and_a_small_public_subnet(record: Record) -> None:
    recording = declare(record)
    assert subnets(recording, "internal-elb") == {
        "eu-west-1a": "10.50.0.0/19",
        "eu-west-1b": "10.50.32.0/19",
        "eu-west-1c": "10.50.64.0/19",
    }
    assert subnets(recording, "elb") == {
        "eu-west-1a": "10.50.224.0/22",
        "eu-west-1b": "10.50.228.0/22",
        "eu-west-1c": "10.50.232.0/22",
    }


def test_the_addresses_are_plain_values_in_the_order_of_the_zones(record: Record) -> None:
    network = declare(record, zones=["c", "a"], nat_gateways=1).result
    assert network.zone_names == ["eu-west-1c", "eu-west-1a"]
    assert network.public_cidrs == ["10.50.232.0/22", "10.50.224.0/22"]
    assert network.private_cidrs == ["10.50.64.0/19", "10.50.0.0/19"]


def test_subnet_identifiers_are_those_of_their_kind(record: Record) -> None:
    recording = declare(record)
    network = recording.result
    publics = [recording.by_id(recording.value(output)).name for output in network.public_subnet_ids]
    privates = [recording.by_id(recording.value(output)).name for output in network.private_subnet_ids]
    assert publics == ["net-public-a", "net-public-b", "net-public-c"]
    assert privates == ["net-private-a", "net-private-b", "net-private-c"]


def test_with_a_nat_gateway_per_zone_a_lost_zone_takes_no_other_along(record: Record) -> None:
    recording = declare(record)
    assert routes(recording) == {
        "net-public": "net-internet-gateway",
        "net-private-a": "net-nat-a",
        "net-private-b": "net-nat-b",
        "net-private-c": "net-nat-c",
    }
    for nat in recording.of("aws:ec2/natGateway:NatGateway"):
        assert recording.by_id(nat.inputs["subnetId"]).name == nat.name.replace("nat", "public")
        assert recording.by_id(nat.inputs["allocationId"]).name == nat.name


def test_with_one_nat_gateway_all_zones_share_it(record: Record) -> None:
    recording = declare(record, zones=["a", "b"], nat_gateways=1)
    assert routes(recording) == {
        "net-public": "net-internet-gateway",
        "net-private-a": "net-nat-a",
        "net-private-b": "net-nat-a",
    }
    assert len(recording.of("aws:ec2/eip:Eip")) == 1


def test_without_a_nat_gateway_there_is_no_way_to_the_internet_nor_from_it(record: Record) -> None:
    recording = declare(record, nat_gateways=0)
    assert routes(recording) == {}
    assert not recording.of("aws:ec2/internetGateway:InternetGateway")
    assert not recording.of("aws:ec2/natGateway:NatGateway")
    assert not recording.of("aws:ec2/eip:Eip")
    assert subnets(recording, "elb") == {}
    assert recording.result.public_subnet_ids == []
    assert recording.result.public_cidrs == []


def test_without_a_nat_gateway_the_private_subnets_are_as_they_are_elsewhere(record: Record) -> None:
    closed, open_to_all = declare(record, nat_gateways=0), declare(record)
    assert subnets(closed, "internal-elb") == subnets(open_to_all, "internal-elb")
    assert closed.result.private_cidrs == open_to_all.result.private_cidrs
    assert len(closed.result.private_subnet_ids) == 3


def test_a_network_that_gets_its_way_out_later_changes_nothing_that_it_has(record: Record) -> None:
    before, after = declare(record, nat_gateways=0), declare(record)
    kept = {resource.urn: resource.inputs for resource in before.resources}
    assert kept == {resource.urn: resource.inputs for resource in after.resources if resource.urn in kept}
    assert len(kept) < len(after.resources)


def test_every_subnet_uses_the_route_table_of_its_kind_and_zone(record: Record) -> None:
    recording = declare(record)
    tables = {
        recording.by_id(association.inputs["subnetId"]).name: recording.by_id(
            association.inputs["routeTableId"]
        ).name
        for association in recording.of("aws:ec2/routeTableAssociation:RouteTableAssociation")
    }
    assert tables == {
        **{f"net-public-{zone}": "net-public" for zone in "abc"},
        **{f"net-private-{zone}": f"net-private-{zone}" for zone in "abc"},
    }


@pytest.mark.parametrize("kind", ["public", "private"])
def test_what_is_put_in_a_subnet_comes_after_its_way_out_and_goes_before_it(
    record: Record, kind: str
) -> None:
    def build() -> Network:
        network = Network("net", network_args())
        ids = network.public_subnet_ids if kind == "public" else network.private_subnet_ids
        aws.ec2.NetworkInterface("tenant", subnet_id=ids[0])
        return network

    recording = record(build)
    association = recording.one("aws:ec2/routeTableAssociation:RouteTableAssociation", f"net-{kind}-a")
    assert association.urn in recording.one("aws:ec2/networkInterface:NetworkInterface").dependencies
    (route,) = (
        route
        for route in recording.of("aws:ec2/route:Route")
        if route.inputs["routeTableId"] == association.inputs["routeTableId"]
    )
    assert route.urn in association.dependencies


def test_nothing_gets_a_public_address_by_default(record: Record) -> None:
    assert not any(
        subnet.inputs["mapPublicIpOnLaunch"] for subnet in declare(record).of("aws:ec2/subnet:Subnet")
    )


def test_the_default_security_group_lets_nothing_through(record: Record) -> None:
    group = declare(record).one("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert (group.inputs["ingress"], group.inputs["egress"]) == ([], [])


def test_names_resolve_inside_the_vpc(record: Record) -> None:
    vpc = declare(record).one("aws:ec2/vpc:Vpc")
    assert vpc.inputs["enableDnsSupport"]
    assert vpc.inputs["enableDnsHostnames"]


def test_private_subnets_reach_s3_without_the_nat_gateway(record: Record) -> None:
    recording = declare(record)
    endpoint = recording.one("aws:ec2/vpcEndpoint:VpcEndpoint")
    assert endpoint.inputs["serviceName"] == "com.amazonaws.eu-west-1.s3"
    assert [recording.by_id(table).name for table in endpoint.inputs["routeTableIds"]] == [
        "net-private-a",
        "net-private-b",
        "net-private-c",
    ]


def test_the_s3_endpoint_serves_own_buckets_and_image_layers_only(record: Record) -> None:
    recording = declare(record)
    own, layers = json.loads(recording.one("aws:ec2/vpcEndpoint:VpcEndpoint").inputs["policy"])["Statement"]
    assert own["Condition"] == {"StringEqualsIfExists": {"aws:ResourceAccount": "123456789012"}}
    assert layers["Action"] == ["s3:GetObject"]
    assert layers["Resource"] == [
        "arn:aws:s3:::prod-eu-west-1-starport-layer-bucket/*",
        "arn:aws:s3:::prod-registry-k8s-io-eu-west-1/*",
    ]
    assert layers["Condition"] == {
        "StringEquals": {"aws:SourceVpc": recording.value(recording.result.vpc_id)}
    }


def test_every_flow_is_logged_encrypted_for_the_days_asked(record: Record) -> None:
    recording = declare(record)
    flow_log = recording.one("aws:ec2/flowLog:FlowLog").inputs
    log_group = recording.one("aws:cloudwatch/logGroup:LogGroup")
    key = recording.one("aws:kms/key:Key")
    assert flow_log["trafficType"] == "ALL"
    assert flow_log["logDestination"] == log_group.outputs["arn"]
    assert log_group.inputs["retentionInDays"] == 30
    assert log_group.inputs["kmsKeyId"] == key.outputs["arn"]
    assert key.inputs["enableKeyRotation"]


def test_the_key_serves_the_flow_logs_before_they_are_made(record: Record) -> None:
    recording = declare(record)
    key_policy = recording.one("aws:kms/keyPolicy:KeyPolicy")
    log_group = recording.one("aws:cloudwatch/logGroup:LogGroup")
    _, service = json.loads(key_policy.inputs["policy"])["Statement"]
    assert service["Principal"] == {"Service": ["logs.eu-west-1.amazonaws.com"]}
    assert service["Condition"] == {
        "ArnEquals": {"kms:EncryptionContext:aws:logs:arn": [log_group.outputs["arn"]]}
    }
    assert key_policy.urn in log_group.dependencies


def test_the_delivery_role_serves_this_account_and_writes_this_log_group_only(record: Record) -> None:
    recording = declare(record)
    (trust,) = json.loads(recording.one("aws:iam/role:Role").inputs["assumeRolePolicy"])["Statement"]
    policy = recording.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"]
    arn = recording.one("aws:cloudwatch/logGroup:LogGroup").outputs["arn"]
    assert trust["Principal"] == {"Service": ["vpc-flow-logs.amazonaws.com"]}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:ec2:eu-west-1:123456789012:vpc-flow-log/*"},
    }
    written = {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"}
    assert granted(policy) == {
        (arn, "{}"): written,
        (f"{arn}:*", "{}"): written,
        ("*", "{}"): {"logs:DescribeLogGroups"},  # IAM knows no resource for it
    }


@pytest.mark.parametrize(("zones", "nat_gateways"), [(["a", "b"], 0), (["a", "b"], 1), (["a", "b", "c"], 3)])
def test_it_is_tagged_in_its_region_and_of_least_privilege(
    record: Record, zones: list[str], nat_gateways: int
) -> None:
    recording = declare(record, zones, nat_gateways)
    recording.assert_tagged(TAGS)
    recording.assert_in_region("eu-west-1")
    recording.assert_least_privilege()


def test_everything_belongs_to_the_network(record: Record) -> None:
    recording = declare(record)
    network = recording.one("quikapp:network:Network")
    assert {child.parent for child in recording.resources if child is not network} == {network.urn}


def test_it_previews_before_anything_exists(record: Record) -> None:
    previewed = record(lambda: Network("net", network_args()), preview=True)
    assert [resource.urn for resource in previewed.resources] == [
        resource.urn for resource in declare(record).resources
    ]
