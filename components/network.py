"""A network of one environment: a VPC with a private subnet in each zone, and a public one where there is a way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import islice
from typing import Final

import pulumi
import pulumi_aws as aws

from components import encrypted_log
from components.encrypted_log import EncryptedLogArgs
from components.policies import Arn, Statement, policy_document, trust_policy

ANYWHERE: Final = "0.0.0.0/0"

ZONE_LETTERS: Final = "abcdefg"
"""Letters that a zone of a region can have here; no AWS region has a zone beyond `f`.

Each letter owns its part of the address plan, whether the environment uses the zone or not.
"""

SHORTEST_PREFIX: Final = 16
"""Largest VPC that AWS takes. Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"""

LONGEST_PREFIX: Final = 21
"""Smallest VPC whose public subnets are /27, the least that a load balancer takes.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
"""


@dataclass(frozen=True, kw_only=True)
class SubnetPlan:
    """The two subnets of one zone."""

    public: IPv4Network
    """A sixty-fourth of the VPC: load balancer and NAT gateway only."""
    private: IPv4Network
    """An eighth of the VPC: nodes, and the pods that each take an address of their own."""


def plan_subnets(cidr: IPv4Network, zones: Sequence[str]) -> Mapping[str, SubnetPlan]:
    """The subnets of each zone, by its letter.

    A zone's addresses follow from the VPC and its own letter alone, so that adding or removing a zone never moves
    another one's: letters `a` to `g` own the first seven eighths of the VPC, and of the last eighth the first seven
    eighths again. A /16 gives private subnets of /19 and public ones of /22.

    Raises ValueError for a VPC outside /16 to /21, or zones that are not distinct letters from `a` to `g`.
    """
    if not SHORTEST_PREFIX <= cidr.prefixlen <= LONGEST_PREFIX:
        raise ValueError(f"the VPC must be a /{SHORTEST_PREFIX} to /{LONGEST_PREFIX}, not {cidr}")
    if len(set(zones)) != len(zones) or not set(zones) <= set(ZONE_LETTERS):
        raise ValueError(
            f"zones must be distinct letters from {ZONE_LETTERS[0]} to {ZONE_LETTERS[-1]}, not {zones}"
        )
    *privates, shared = cidr.subnets(prefixlen_diff=3)
    publics = islice(shared.subnets(prefixlen_diff=3), len(ZONE_LETTERS))
    plans = {
        letter: SubnetPlan(public=public, private=private)
        for letter, public, private in zip(ZONE_LETTERS, publics, privates, strict=True)
    }
    return {zone: plans[zone] for zone in zones}


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What a network is made of.

    Raises ValueError when the zones or the CIDR cannot be planned (see `plan_subnets`), or when the NAT gateways
    are neither none, nor one, nor one per zone.
    """

    cidr: IPv4Network
    """Addresses of the VPC, /16 to /21."""
    region: str
    """AWS region, such as `eu-west-1`."""
    zones: Sequence[str]
    """Letters of the zones to use, such as `["a", "b", "c"]`."""
    nat_gateways: int
    """One for all zones, or one per zone: with one, the loss of its zone cuts every private subnet off.

    With none there is no way to the internet or from it, nor a public subnet: a network for data alone. It gets them when it
    gets gateways, and nothing that it has moves for it.
    """
    log_retention_days: int
    """Days that flow logs are kept; a period that CloudWatch Logs offers."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        plan_subnets(self.cidr, self.zones)
        if self.nat_gateways not in (0, 1, len(self.zones)):
            raise ValueError(
                f"NAT gateways must be 0, 1 or {len(self.zones)}, one per zone, not {self.nat_gateways}"
            )


class Network(pulumi.ComponentResource):
    """A VPC with flow logs, a public and a private subnet in each zone, and private egress through NAT gateways.

    Only the public subnets have a route from the internet, and nothing in them gets a public address by default. Without NAT
    gateways there are private subnets only, from which no route leads out but that to S3.
    """

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    """What is in a public or private subnet can count on the subnet's way to the internet, from first to last, if there is
    one."""
    private_subnet_ids: list[pulumi.Output[str]]
    zone_names: list[str]
    """Full names of the zones, such as `eu-west-1a`, in the order of `NetworkArgs.zones`."""
    public_cidrs: list[str]
    """Addresses that the load balancer speaks from; none without a public subnet."""
    private_cidrs: list[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:network:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        plans = plan_subnets(args.cidr, args.zones)

        def tags(label: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
            return {**args.tags, **(extra or {}), "Name": f"{name}-{label}"}

        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=str(args.cidr),
            enable_dns_support=True,
            enable_dns_hostnames=True,
            region=args.region,
            tags=tags("vpc"),
            opts=child,
        )
        # Without rules nothing that forgets to name its security group can speak or be spoken to.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default-security-group",
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            region=args.region,
            tags=tags("default-unused"),
            opts=child,
        )

        # The role tags are how EKS load balancing tells public from private subnets; Auto Mode needs no cluster tag.
        # Source: https://docs.aws.amazon.com/eks/latest/userguide/tag-subnets-auto.html
        def subnet(kind: str, zone: str, cidr: IPv4Network, role: str) -> aws.ec2.Subnet:
            return aws.ec2.Subnet(
                f"{name}-{kind}-{zone}",
                vpc_id=vpc.id,
                cidr_block=str(cidr),
                availability_zone=f"{args.region}{zone}",
                map_public_ip_on_launch=False,
                region=args.region,
                tags=tags(f"{kind}-{zone}", {role: "1"}),
                opts=child,
            )

        def route_table(label: str) -> aws.ec2.RouteTable:
            return aws.ec2.RouteTable(
                f"{name}-{label}", vpc_id=vpc.id, region=args.region, tags=tags(label), opts=child
            )

        # Whoever is given the subnet's id by this comes after the subnet's way out, if there is one, and goes before it.
        def associate(
            label: str, table: aws.ec2.RouteTable, member: aws.ec2.Subnet, way_out: list[aws.ec2.Route]
        ) -> pulumi.Output[str]:
            association = aws.ec2.RouteTableAssociation(
                f"{name}-{label}",
                route_table_id=table.id,
                subnet_id=member.id,
                region=args.region,
                opts=pulumi.ResourceOptions(parent=self, depends_on=way_out),
            )
            return association.id.apply(lambda _: member.id)

        def public_side() -> tuple[list[pulumi.Output[str]], dict[str, aws.ec2.NatGateway]]:
            """The way to the internet: ids of the public subnets, and the NAT gateways in them by zone."""
            gateway = aws.ec2.InternetGateway(
                f"{name}-internet-gateway",
                vpc_id=vpc.id,
                region=args.region,
                tags=tags("internet-gateway"),
                opts=child,
            )

            publics = {
                zone: subnet("public", zone, plan.public, "kubernetes.io/role/elb")
                for zone, plan in plans.items()
            }

            public_table = route_table("public")
            public_route = aws.ec2.Route(
                f"{name}-public-internet",
                route_table_id=public_table.id,
                destination_cidr_block=ANYWHERE,
                gateway_id=gateway.id,
                region=args.region,
                opts=child,
            )
            member_ids = [
                associate(f"public-{zone}", public_table, member, [public_route])
                for zone, member in publics.items()
            ]

            after_gateway = pulumi.ResourceOptions(parent=self, depends_on=[gateway])
            nats: dict[str, aws.ec2.NatGateway] = {}
            for zone in args.zones[: args.nat_gateways]:
                address = aws.ec2.Eip(
                    f"{name}-nat-{zone}",
                    domain="vpc",
                    region=args.region,
                    tags=tags(f"nat-{zone}"),
                    opts=after_gateway,
                )
                nats[zone] = aws.ec2.NatGateway(
                    f"{name}-nat-{zone}",
                    subnet_id=publics[zone].id,
                    allocation_id=address.allocation_id,
                    region=args.region,
                    tags=tags(f"nat-{zone}"),
                    opts=after_gateway,
                )
            return member_ids, nats

        self.public_subnet_ids, nats = public_side() if args.nat_gateways else ([], {})

        privates = {
            zone: subnet("private", zone, plan.private, "kubernetes.io/role/internal-elb")
            for zone, plan in plans.items()
        }
        private_tables: list[aws.ec2.RouteTable] = []
        self.private_subnet_ids = []
        for zone, member in privates.items():
            table = route_table(f"private-{zone}")
            private_tables.append(table)
            way_out: list[aws.ec2.Route] = []
            if nats:
                way_out.append(
                    aws.ec2.Route(
                        f"{name}-private-{zone}-internet",
                        route_table_id=table.id,
                        destination_cidr_block=ANYWHERE,
                        nat_gateway_id=nats.get(zone, nats[args.zones[0]]).id,
                        region=args.region,
                        opts=child,
                    )
                )
            self.private_subnet_ids.append(associate(f"private-{zone}", table, member, way_out))

        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{args.region}.s3",
            route_table_ids=[table.id for table in private_tables],
            policy=vpc.arn.apply(lambda arn: _s3_endpoint_policy(Arn.parse(arn))),
            region=args.region,
            tags=tags("s3"),
            opts=child,
        )

        self._log_flows(name, args, vpc, tags("flow-logs"))

        self.vpc_id = vpc.id
        self.zone_names = [f"{args.region}{zone}" for zone in plans]
        self.public_cidrs = [str(plan.public) for plan in plans.values()] if nats else []
        self.private_cidrs = [str(plan.private) for plan in plans.values()]
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "publicSubnetIds": self.public_subnet_ids,
                "privateSubnetIds": self.private_subnet_ids,
            }
        )

    def _log_flows(self, name: str, args: NetworkArgs, vpc: aws.ec2.Vpc, tags: Mapping[str, str]) -> None:
        """Every accepted and rejected flow, encrypted, delivered by a role that can write to this log group only."""
        child = pulumi.ResourceOptions(parent=self)
        log_group, *_ = encrypted_log.declare(
            f"{name}-flow-logs",
            f"{name}-flow-logs",
            EncryptedLogArgs(
                group_name=f"/aws/vpc/{name}/flow-logs",
                retention_days=args.log_retention_days,
                key_description=f"Flow logs of {name}",
                region=args.region,
                tags=tags,
            ),
            parent=self,
        )
        role = aws.iam.Role(
            f"{name}-flow-logs",
            description=f"Delivers the flow logs of {name}",
            assume_role_policy=vpc.arn.apply(lambda arn: _flow_log_trust(Arn.parse(arn))),
            tags=tags,
            opts=child,
        )
        role_policy = aws.iam.RolePolicy(
            f"{name}-flow-logs",
            role=role.name,
            policy=log_group.arn.apply(
                lambda arn: policy_document(
                    Statement(
                        actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                        resources=[arn, f"{arn}:*"],
                    ),
                    Statement(actions=["logs:DescribeLogGroups"], resources=["*"]),  # knows no resource
                )
            ),
            opts=child,
        )
        aws.ec2.FlowLog(
            f"{name}-flow-logs",
            vpc_id=vpc.id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=log_group.arn,
            iam_role_arn=role.arn,
            region=args.region,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role_policy]),
        )


def _flow_log_trust(vpc: Arn) -> str:
    """Lets the flow log service take the role for flow logs of this account and region only.

    Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    """
    return trust_policy(
        "vpc-flow-logs.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": vpc.account},
            "ArnLike": {
                "aws:SourceArn": f"arn:{vpc.partition}:ec2:{vpc.region}:{vpc.account}:vpc-flow-log/*",
            },
        },
    )


def _s3_endpoint_policy(vpc: Arn) -> str:
    """Lets the private subnets reach the account's own buckets, and read image layers, and nothing else in S3.

    The policy is a filter, not a grant: whoever calls still needs permission of their own. `IfExists` because a
    bucket that is being created belongs to no account yet. Layers come from buckets of AWS (ECR) and of the
    Kubernetes project (registry.k8s.io), both in the caller's region.
    Sources: https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html ("Minimum Amazon S3 Bucket
    Permissions"), https://github.com/kubernetes/registry.k8s.io
    """
    buckets = f"arn:{vpc.partition}:s3:::"
    return policy_document(
        Statement(
            actions=["s3:*"],
            resources=[f"{buckets}*"],
            principals={"AWS": ["*"]},
            conditions={"StringEqualsIfExists": {"aws:ResourceAccount": vpc.account}},
        ),
        Statement(
            actions=["s3:GetObject"],
            resources=[
                f"{buckets}prod-{vpc.region}-starport-layer-bucket/*",
                f"{buckets}prod-registry-k8s-io-{vpc.region}/*",
            ],
            principals={"AWS": ["*"]},
            conditions={"StringEquals": {"aws:SourceVpc": vpc.resource.removeprefix("vpc/")}},
        ),
    )
