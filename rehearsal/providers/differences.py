"""How new inputs differ from old ones, and which differences replace the resource."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import PropertyDiff, PropertyDiffKind

from rehearsal.providers.checking import join
from rehearsal.providers.plausible import NAMING, identifying
from rehearsal.providers.schema import ANY, Properties, ResourceSchema, Schema, Type
from rehearsal.providers.values import Values, elements, members, public, same

_IMMUTABLE: Mapping[str, frozenset[str]] = {
    "aws:acm/certificate:Certificate": frozenset(
        {"domainName", "subjectAlternativeNames", "validationMethod"}
    ),
    "aws:ec2/flowLog:FlowLog": frozenset({"vpcId", "logDestination", "trafficType", "iamRoleArn"}),
    "aws:ec2/natGateway:NatGateway": frozenset({"allocationId", "subnetId", "connectivityType"}),
    "aws:ec2/routeTable:RouteTable": frozenset({"vpcId"}),
    "aws:ec2/securityGroup:SecurityGroup": frozenset({"description", "name", "vpcId"}),
    "aws:ec2/subnet:Subnet": frozenset({"availabilityZone", "cidrBlock", "vpcId"}),
    "aws:ec2/vpc:Vpc": frozenset({"cidrBlock"}),
    "aws:ec2/vpcEndpoint:VpcEndpoint": frozenset({"serviceName", "vpcEndpointType", "vpcId"}),
    "aws:eks/cluster:Cluster": frozenset({"encryptionConfig", "kubernetesNetworkConfig.ipFamily", "roleArn"}),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": frozenset(
        {"clusterName", "namespace", "serviceAccount"}
    ),
    "aws:iam/role:Role": frozenset({"path"}),
    "aws:lb/loadBalancer:LoadBalancer": frozenset({"internal", "loadBalancerType"}),
    "aws:lb/targetGroup:TargetGroup": frozenset(
        {"port", "protocol", "protocolVersion", "targetType", "vpcId"}
    ),
    "aws:rds/cluster:Cluster": frozenset(
        {"databaseName", "dbSubnetGroupName", "engine", "kmsKeyId", "masterUsername", "storageEncrypted"}
    ),
    "aws:rds/clusterInstance:ClusterInstance": frozenset({"clusterIdentifier", "engine"}),
}
"""Properties that force a new resource where the SDK's documentation does not say so: it lost the bracketed marks of
https://registry.terraform.io/providers/hashicorp/aws/latest/docs. For the resources of an environment, no more."""


class Difference(NamedTuple):
    """One difference: where, what, and whether it replaces the resource."""

    path: str
    diff: PropertyDiff
    replaces: bool


def differences(
    schema: Schema, resource: ResourceSchema, identifier: str, old: Values, new: Values
) -> Iterator[Difference]:
    """What changed between the inputs of a recorded resource, one entry per innermost property."""
    fixed = _IMMUTABLE.get(resource.token, frozenset()) | identifying(resource.token)

    def replaced(path: str) -> bool:
        value = public(old[path]) if path in NAMING and path in old else None
        return path in fixed or (isinstance(value, str) and value in identifier)

    for path, kind, documented in _changes(schema, resource.inputs, old, new, "", False):
        top = path.split(".")[0].split("[")[0]
        replaces = documented or replaced(top) or replaced(path)
        yield Difference(path, PropertyDiff(_KINDS[kind][replaces], input_diff=True), replaces)


_KINDS = {
    "add": (PropertyDiffKind.ADD, PropertyDiffKind.ADD_REPLACE),
    "delete": (PropertyDiffKind.DELETE, PropertyDiffKind.DELETE_REPLACE),
    "update": (PropertyDiffKind.UPDATE, PropertyDiffKind.UPDATE_REPLACE),
}

_Change = tuple[str, str, bool]


def _changes(
    schema: Schema, properties: Properties, old: Values, new: Values, parent: str, replaces: bool
) -> Iterator[_Change]:
    for name in sorted(old.keys() | new.keys()):
        if name.startswith("__"):
            continue
        declared = properties.get(name)
        forced = replaces or (declared is not None and declared.replaces)
        kind = declared.type if declared else ANY
        yield from _change(schema, kind, old.get(name), new.get(name), join(parent, name), forced)


def _change(
    schema: Schema,
    kind: Type,
    old: PropertyValue | None,
    new: PropertyValue | None,
    path: str,
    replaces: bool,
) -> Iterator[_Change]:
    if old is None or old.value is None:
        if new is not None and new.value is not None:
            yield path, "add", replaces
        return
    if new is None or new.value is None:
        yield path, "delete", replaces
        return
    old_members, new_members = members(old), members(new)
    old_elements, new_elements = elements(old), elements(new)
    if old_members is not None and new_members is not None:
        yield from _changes(schema, schema.fields(kind), old_members, new_members, path, replaces)
    elif old_elements is not None and new_elements is not None:
        element = kind.element or ANY
        for index in range(max(len(old_elements), len(new_elements))):
            before = old_elements[index] if index < len(old_elements) else None
            after = new_elements[index] if index < len(new_elements) else None
            yield from _change(schema, element, before, after, f"{path}[{index}]", replaces)
    elif not same(old, new):
        yield path, "update", replaces
