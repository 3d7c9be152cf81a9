"""What deserves fear in a preview: what is lost, what loses its protection, what becomes public, who may do what, who reaches what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Any, Final, cast

from operations.model import Model
from operations.preview.steps import STACK, Inputs, State, Step, at, list_at, map_at, maps_at, type_of

ANYWHERE: Final = frozenset({"0.0.0.0/0", "::/0"})
"""Everybody's addresses."""


@unique
class Fear(StrEnum):
    """Why a change deserves a second look, the worst first."""

    LOSS = "deletes or replaces what holds data, what everything stands on, or what is protected"
    EXPOSURE = "makes public"
    PROTECTION = "takes protection away"
    IDENTITY = "changes who may do what"
    REACH = "changes who reaches what"


class Caution(Model):
    """One change that deserves fear."""

    fear: Fear
    operation: str
    type: str
    name: str
    why: str = ""
    """In a few words, without a value; empty where the fear says it all."""


STATEFUL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aws:backup/vault:Vault": "its recovery points",
        "aws:cloudwatch/logGroup:LogGroup": "its logs",
        "aws:ec2/vpc:Vpc": "everything in it",
        "aws:eks/cluster:Cluster": "every workload in it",
        "aws:kms/key:Key": "whatever it encrypts",
        "aws:lb/loadBalancer:LoadBalancer": "its address, and requests meanwhile",
        "aws:rds/cluster:Cluster": "its data",
        "aws:rds/clusterInstance:ClusterInstance": "its connections",
        "aws:rds/globalCluster:GlobalCluster": "the copy in the other region",
        "aws:s3/bucket:Bucket": "its objects",
        "kubernetes:apps/v1:StatefulSet": "its pods, and perhaps their volumes",
        "kubernetes:core/v1:Namespace": "everything in it",
        "kubernetes:core/v1:PersistentVolumeClaim": "its data",
        "kubernetes:storage.k8s.io/v1:StorageClass": "its volumes, once they are claimed anew",
    }
)
"""What is lost with a resource, by its type."""

IDENTITY: Final = (
    "aws:iam/",
    "aws:backup/vaultPolicy:",
    "aws:cloudwatch/logResourcePolicy:",
    "aws:eks/accessEntry:",
    "aws:eks/accessPolicyAssociation:",
    "aws:eks/podIdentityAssociation:",
    "aws:kms/keyPolicy:",
    "aws:lambda/permission:",
    "aws:s3/bucketPolicy:",
    "kubernetes:core/v1:ServiceAccount",
    "kubernetes:rbac.authorization.k8s.io/",
)
"""How the types begin that say who may do what."""

POLICIES: Final = frozenset({"policy", "assumeRolePolicy"})
"""Properties of any type that say so."""

_NAMES: Final = ("tags", "metadata.labels")
"""How the properties begin that give a resource a name and nobody a right."""

REACH: Final = (
    "aws:ec2/defaultSecurityGroup:",
    "aws:ec2/networkAcl",
    "aws:ec2/securityGroup",
    "aws:vpc/securityGroup",
    "aws:wafv2/",
    "kubernetes:networking.k8s.io/v1:NetworkPolicy",
)
"""How the types begin that say who reaches what: security groups, network policies, the firewall."""

LOCKS: Final = (
    "aws:backup/plan:",
    "aws:backup/selection:",
    "aws:backup/vaultLockConfiguration:",
    "aws:s3/bucketObjectLockConfiguration:",
    "aws:s3/bucketServerSideEncryptionConfiguration:",
    "aws:s3/bucketVersioning:",
)
"""How the types begin that protect something else for as long as they are there."""

GUARDS: Final[Mapping[str, bool]] = MappingProxyType(
    {
        "deletionProtection": True,
        "enableDeletionProtection": True,
        "enableKeyRotation": True,
        "storageEncrypted": True,
        "deleteAutomatedBackups": False,
        "forceDestroy": False,
        "skipFinalSnapshot": False,
    }
)
"""Properties of any type that protect it, and the value that does."""

RETENTIONS: Final = ("backupRetentionPeriod", "retentionInDays")
"""Properties of any type that say for how many days something is kept."""


def cautions(steps: Sequence[Step]) -> tuple[Caution, ...]:
    """Return what of a preview deserves fear: the worst first, and each kind by operation, type and name."""
    gone = {_component(step) for step in steps if step.operation == "delete" and step.type in STATEFUL} - {""}
    found = [
        caution
        for step in steps
        for caution in _of(step)
        # What goes together with that which it protects leaves nothing unprotected.
        if not (
            caution.fear in (Fear.EXPOSURE, Fear.PROTECTION)
            and step.operation == "delete"
            and _component(step) in gone
        )
    ]
    order = list(Fear)
    return tuple(
        sorted(found, key=lambda each: (order.index(each.fear), each.operation, each.type, each.name))
    )


def _component(step: Step) -> str:
    """The component that a resource belongs to; nothing where it belongs to the stack alone."""
    parent = step.ancestors[0] if step.ancestors else ""
    return "" if not parent or type_of(parent) == STACK else parent


def _of(step: Step) -> Iterator[Caution]:
    def caution(fear: Fear, why: str = "") -> Caution:
        return Caution(fear=fear, operation=step.operation, type=step.type, name=step.name, why=why)

    before, after = step.before or State(), step.after or State()
    if step.operation in ("replace", "delete"):
        lost = [STATEFUL[step.type]] if step.type in STATEFUL else []
        protected = ["it is protected: the update will be refused"] if before.protect else []
        if lost or protected:
            yield caution(Fear.LOSS, "; ".join(lost + protected))
    # A bucket without its block is what the block is there against.
    left = {_UNBLOCKED} if step.type == _BLOCK else set[str]()
    was = set[str]() if step.before is None else _exposures(step.type, before)
    will = left if step.after is None else _exposures(step.type, after)
    for why in sorted(will - was):
        yield caution(Fear.EXPOSURE, why)
    for why in _unprotected(step, before, after):
        yield caution(Fear.PROTECTION, why)
    # What stays as it is may lose its protection all the same, and nothing else.
    if not step.changes or (step.properties and all(path.startswith(_NAMES) for path in step.properties)):
        return
    policies = POLICIES.intersection(path.partition(".")[0].partition("[")[0] for path in step.properties)
    if step.type.startswith(IDENTITY) or policies:
        yield caution(Fear.IDENTITY)
    if step.type.startswith(REACH):
        yield caution(Fear.REACH)


def _unprotected(step: Step, before: State, after: State) -> Iterator[str]:
    if step.operation == "delete":
        if step.type.startswith(LOCKS):
            yield "what it protects is not protected any more"
        return
    if step.before is None:
        return
    if before.protect and not after.protect:
        yield "Pulumi would delete it"
    for name, guarding in GUARDS.items():
        if before.inputs.get(name) is guarding and after.inputs.get(name) is not guarding:
            yield f"{name} is {'off' if guarding else 'on'}"
    for name in RETENTIONS:
        kept, will = before.inputs.get(name), after.inputs.get(name)
        if isinstance(will, (int, float)) and isinstance(kept, (int, float)) and 0 < will < kept:
            yield f"kept for {will:g} days, no longer for {kept:g}"
    if _status(before.inputs) == "Enabled" and _status(after.inputs) != "Enabled":
        yield "versions are not kept any more"


def _status(inputs: Inputs) -> object:
    return at(inputs, "versioningConfiguration", "status")


# --- what is public ------------------------------------------------------------------------------------------------


def _exposures(kind: str, state: State) -> set[str]:
    """Why a resource is public, each in a few words; none where it is not."""
    reasons = set(_EXPOSING[kind](state.inputs)) if kind in _EXPOSING else set[str]()
    for name in POLICIES:
        if _opens(state.inputs.get(name)):
            reasons.add("its policy lets everybody in")
    return reasons


def _ingress(inputs: Inputs) -> Iterator[str]:
    if ANYWHERE.intersection(str(inputs.get(name)) for name in ("cidrIpv4", "cidrIpv6")):
        yield "from everywhere"


def _ingress_lists(inputs: Inputs) -> Iterator[str]:
    for rule in maps_at(inputs, "ingress"):
        if ANYWHERE.intersection(map(str, list_at(rule, "cidrBlocks") + list_at(rule, "ipv6CidrBlocks"))):
            yield "from everywhere"


def _rule(inputs: Inputs) -> Iterator[str]:
    if inputs.get("type") == "ingress":
        yield from _ingress_lists({"ingress": [inputs]})


def _load_balancer(inputs: Inputs) -> Iterator[str]:
    if inputs.get("internal") is not True:
        yield "it faces the internet"


_BLOCK: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_UNBLOCKED: Final = "its bucket does not block public access"


def _block(inputs: Inputs) -> Iterator[str]:
    blocks = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    if any(inputs.get(name) is not True for name in blocks):
        yield _UNBLOCKED


def _acl(inputs: Inputs) -> Iterator[str]:
    if str(inputs.get("acl")).startswith(("public", "authenticated")):
        yield "everybody may read it"


def _cluster(inputs: Inputs) -> Iterator[str]:
    # EKS lets everybody in where no range is stated.
    ranges = list_at(inputs, "vpcConfig", "publicAccessCidrs") or [*ANYWHERE]
    if at(inputs, "vpcConfig", "endpointPublicAccess") is not False and ANYWHERE.intersection(
        map(str, ranges)
    ):
        yield "its API answers everywhere"


def _flag(name: str, why: str) -> Callable[[Inputs], Iterator[str]]:
    def told(inputs: Inputs) -> Iterator[str]:
        if inputs.get(name) is True:
            yield why

    return told


def _function_url(inputs: Inputs) -> Iterator[str]:
    if inputs.get("authorizationType") == "NONE":
        yield "everybody may call it"


def _permission(inputs: Inputs) -> Iterator[str]:
    if inputs.get("principal") == "*":
        yield "everybody may call it"


def _service(inputs: Inputs) -> Iterator[str]:
    if at(inputs, "spec", "type") in ("LoadBalancer", "NodePort"):
        yield "it is reached from outside of the cluster"


_EXPOSING: Final[Mapping[str, Callable[[Inputs], Iterator[str]]]] = MappingProxyType(
    {
        _BLOCK: _block,
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _ingress_lists,
        "aws:ec2/securityGroup:SecurityGroup": _ingress_lists,
        "aws:ec2/securityGroupRule:SecurityGroupRule": _rule,
        "aws:ec2/subnet:Subnet": _flag("mapPublicIpOnLaunch", "what is in it gets a public address"),
        "aws:eks/cluster:Cluster": _cluster,
        "aws:lambda/functionUrl:FunctionUrl": _function_url,
        "aws:lambda/permission:Permission": _permission,
        "aws:lb/loadBalancer:LoadBalancer": _load_balancer,
        "aws:rds/cluster:Cluster": _flag("publiclyAccessible", "it has a public address"),
        "aws:rds/clusterInstance:ClusterInstance": _flag("publiclyAccessible", "it has a public address"),
        "aws:s3/bucket:Bucket": _acl,
        "aws:s3/bucketAcl:BucketAcl": _acl,
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress,
        "kubernetes:core/v1:Service": _service,
    }
)
"""What makes a resource public, by its type."""


def _opens(policy: object) -> bool:
    """Whether a policy of IAM lets everybody in without a condition."""
    try:
        document: Any = json.loads(str(policy))
    except ValueError:
        return False  # it is not known yet, or secret
    if not isinstance(document, dict):
        return False
    policy = cast("Inputs", document)
    return any(
        statement.get("Effect") == "Allow"
        and not statement.get("Condition")
        and "*" in _principals(statement.get("Principal"))
        for statement in (maps_at(policy, "Statement") or [map_at(policy, "Statement")])
    )


def _principals(principal: object) -> list[object]:
    if isinstance(principal, Mapping):
        return [
            each
            for group in cast("Inputs", principal).values()
            for each in (cast("list[object]", group) if isinstance(group, list) else [group])
        ]
    return [principal]
