"""No public data: what may be reached from anywhere, and by anybody."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any, Final

from operations.guardrails import LARGEST_ACCESS_PREFIX, PUBLIC_PORTS
from policy.documents import Statement, listed, statements
from policy.resources import Hidden, Resource, Rule, Violation, items, mapping

_PUBLICLY_ACCESSIBLE: Final = ("aws:rds/clusterInstance:ClusterInstance", "aws:rds/instance:Instance")
_INGRESS: Final = ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",)
_GROUPS: Final = ("aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")

_ENDPOINT: Final = "aws:ec2/vpcEndpoint:VpcEndpoint"
"""Its policy only takes away from what callers within the VPC may do, so it may name everybody."""

_NARROWING: Final = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "kms:calleraccount",
    }
)
"""Condition keys that leave somebody in particular of everybody; the policy language does not mind their case.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""


def _databases(resource: Resource) -> Iterator[Violation]:
    if resource.type in _PUBLICLY_ACCESSIBLE and resource.at("publiclyAccessible") not in (
        False,
        None,
        *Hidden,
    ):
        yield resource.breaks("publiclyAccessible", resource.at("publiclyAccessible"), "false")


def _cluster(resource: Resource) -> Iterator[Violation]:
    if (
        resource.type == "aws:eks/cluster:Cluster"
        and resource.at("vpcConfig", "endpointPublicAccess") is not False
    ):
        ranges = resource.at("vpcConfig", "publicAccessCidrs")
        for cidr in ("0.0.0.0/0",) if ranges is None else items(ranges):  # AWS's own default
            if isinstance(cidr, str) and _prefix(cidr) < LARGEST_ACCESS_PREFIX:
                yield resource.breaks(
                    "vpcConfig.publicAccessCidrs", cidr, f"a /{LARGEST_ACCESS_PREFIX} or smaller"
                )


def _ports(resource: Resource) -> Iterator[Violation]:
    if resource.type in _INGRESS:
        yield from _port(resource, "", resource.inputs, [resource.at("cidrIpv4"), resource.at("cidrIpv6")])
    if resource.type in _GROUPS:
        for place, rule in enumerate(items(resource.at("ingress"))):
            ranges = [*items(mapping(rule).get("cidrBlocks")), *items(mapping(rule).get("ipv6CidrBlocks"))]
            yield from _port(resource, f"ingress[{place}].", mapping(rule), ranges)


def _port(group: Resource, path: str, rule: Mapping[str, Any], ranges: list[Any]) -> Iterator[Violation]:
    ports = (rule.get("fromPort"), rule.get("toPort"))
    if any(isinstance(port, Hidden) for port in ports):
        return
    for cidr in ranges:
        if (
            isinstance(cidr, str)
            and _prefix(cidr) == 0
            and (ports[0] != ports[1] or ports[0] not in PUBLIC_PORTS)
        ):
            allowed = " or ".join(map(str, PUBLIC_PORTS))
            yield group.breaks(f"{path}fromPort to toPort, from {cidr},", list(ports), allowed)


def _kubernetes(resource: Resource) -> Iterator[Violation]:
    if resource.type == "kubernetes:core/v1:Service":
        if resource.at("spec", "type") not in ("ClusterIP", None, *Hidden):
            yield resource.breaks("spec.type", resource.at("spec", "type"), "ClusterIP")
        if items(resource.at("spec", "externalIPs")):
            yield resource.breaks("spec.externalIPs", resource.at("spec", "externalIPs"), "none")


def _functions(resource: Resource) -> Iterator[Violation]:
    if resource.kind == "FunctionUrl" and resource.at("authorizationType") not in ("AWS_IAM", *Hidden):
        yield resource.breaks("authorizationType", resource.at("authorizationType"), "AWS_IAM")
    if (
        resource.type == "aws:lambda/permission:Permission"
        and resource.at("principal") == "*"
        and resource.at("sourceAccount") is None
        and resource.at("principalOrgId") is None
    ):
        yield resource.breaks("principal", "*", "somebody in particular")


def _policies(resource: Resource) -> Iterator[Violation]:
    if resource.type == _ENDPOINT:
        return
    for path, statement in statements(resource, "Allow"):
        if "NotPrincipal" in statement:
            yield resource.breaks(f"{path}.NotPrincipal", statement["NotPrincipal"], "a Principal")
        elif _is_everybody(statement.get("Principal")) and not _is_narrowed(statement):
            yield resource.breaks(
                f"{path}.Principal",
                statement.get("Principal"),
                "somebody in particular, or a condition that says who",
            )


def _is_everybody(principal: object) -> bool:
    return "*" in listed(principal if isinstance(principal, str) else mapping(principal).get("AWS"))


def _is_narrowed(statement: Statement) -> bool:
    return any(
        key.lower() in _NARROWING and "*" not in listed(mapping(tests)[key])
        for operator, tests in mapping(statement.get("Condition")).items()
        if operator.startswith(("String", "Arn"))
        and "Not" not in operator
        and not operator.endswith("IfExists")
        for key in mapping(tests)
    )


def _prefix(cidr: str) -> int:
    return ip_network(cidr, strict=False).prefixlen


_CHECKS: Final = (_databases, _cluster, _ports, _kubernetes, _functions, _policies)


def _public(resource: Resource) -> Iterator[Violation]:
    for check in _CHECKS:
        yield from check(resource)


RULES: Final = (
    Rule(
        name="no-public-data",
        description="Nothing but the load balancer is reached from anywhere, and no policy lets everybody in.",
        check=_public,
    ),
)
