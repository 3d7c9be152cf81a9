"""What a preview would change of that which costs money every month, by count and size. No price: those are the account's.

Traffic, requests and what is stored cost, too, and no preview knows them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from operations.model import Model
from operations.preview.steps import Inputs, State, Step, at, list_at, map_at, maps_at

DEPLOYMENT: Final = "kubernetes:apps/v1:Deployment"
STATEFUL_SET: Final = "kubernetes:apps/v1:StatefulSet"
AUTOSCALER: Final = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"


class Item(NamedTuple):
    """Something that is paid for."""

    what: str
    unit: str = ""
    """Of the size; empty where things are counted."""


class Measure(Model):
    """How much of something there is, and will be."""

    what: str
    unit: str
    before: float
    after: float


Amounts = Iterator[tuple[Item, Decimal]]


def measures(steps: Sequence[Step]) -> tuple[Measure, ...]:
    """Return what an update changes in count or size, by name.

    Args:
        steps: every resource of the stack, those that stay as they are among them.
    """
    before = _sum((step, step.before) for step in steps)
    after = _sum((step, step.after) for step in steps)
    return tuple(
        Measure(what=item.what, unit=item.unit, before=float(before[item]), after=float(after[item]))
        for item in sorted(before.keys() | after.keys())
        if before[item] != after[item]
    )


def _sum(states: Iterable[tuple[Step, State | None]]) -> Counter[Item]:
    there = [(step.type, state.inputs) for step, state in states if state is not None]
    total: Counter[Item] = Counter()
    for kind, inputs in there:
        if kind in COSTS:
            _add(total, COSTS[kind](inputs))
    autoscalers = {
        _workload(DEPLOYMENT, inputs, at(inputs, "spec", "scaleTargetRef", "name")): map_at(inputs, "spec")
        for kind, inputs in there
        if kind == AUTOSCALER
    }
    for kind, inputs in there:
        if kind in (DEPLOYMENT, STATEFUL_SET):
            name = _workload(kind, inputs, at(inputs, "metadata", "name"))
            _add(total, _pods(inputs, autoscalers.get(name)))
    return total


def _add(total: Counter[Item], amounts: Amounts) -> None:
    for item, amount in amounts:
        total[item] += amount  # pyright: ignore[reportArgumentType] -- counts decimals as well as whole numbers


def _each(what: str) -> Callable[[Inputs], Amounts]:
    def one(_: Inputs) -> Amounts:
        yield Item(what), Decimal(1)

    return one


def _endpoint(inputs: Inputs) -> Amounts:
    # Gateways cost nothing; an interface costs in each subnet.
    if inputs.get("vpcEndpointType") == "Interface":
        yield Item("interface endpoints"), Decimal(len(list_at(inputs, "subnetIds")))


def _database(inputs: Inputs) -> Amounts:
    yield Item(f"databases with backups of {_days(inputs.get('backupRetentionPeriod'))}"), Decimal(1)
    if capacity := map_at(inputs, "serverlessv2ScalingConfiguration"):
        yield Item("serverless database capacity (least)", "ACU"), _number(capacity.get("minCapacity"))
        yield Item("serverless database capacity (most)", "ACU"), _number(capacity.get("maxCapacity"))


def _instance(inputs: Inputs) -> Amounts:
    yield Item(f"database instances {_class(inputs.get('instanceClass'))}"), Decimal(1)


def _load_balancer(inputs: Inputs) -> Amounts:
    yield Item(f"load balancers ({_class(inputs.get('loadBalancerType', 'application'))})"), Decimal(1)


def _firewall(inputs: Inputs) -> Amounts:
    yield Item("web application firewalls"), Decimal(1)
    yield Item("rules of web application firewalls"), Decimal(len(list_at(inputs, "rules")))


def _log_group(inputs: Inputs) -> Amounts:
    yield Item(f"log groups kept for {_days(inputs.get('retentionInDays'))}"), Decimal(1)


def _backups(inputs: Inputs) -> Amounts:
    for rule in maps_at(inputs, "rules"):
        for kept in (rule, *maps_at(rule, "copyActions")):
            days = _days(at(kept, "lifecycle", "deleteAfter"))
            yield Item(f"schedules of recovery points kept for {days}"), Decimal(1)


def _nodes(inputs: Inputs) -> Amounts:
    limits = map_at(inputs, "spec", "limits")
    yield Item("CPU of nodes (most)", "cores"), _quantity(limits.get("cpu"))
    yield Item("memory of nodes (most)", "GiB"), _gib(limits.get("memory"))


COSTS: Final[Mapping[str, Callable[[Inputs], Amounts]]] = MappingProxyType(
    {
        "aws:backup/plan:Plan": _backups,
        "aws:backup/restoreTestingPlan:RestoreTestingPlan": _each("restore tests"),
        "aws:cloudwatch/logGroup:LogGroup": _log_group,
        "aws:datasync/task:Task": _each("DataSync tasks"),
        "aws:ec2/eip:Eip": _each("public IPv4 addresses"),
        "aws:ec2/natGateway:NatGateway": _each("NAT gateways"),
        "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
        "aws:eks/cluster:Cluster": _each("EKS clusters"),
        "aws:kms/key:Key": _each("KMS keys"),
        "aws:lb/loadBalancer:LoadBalancer": _load_balancer,
        "aws:rds/cluster:Cluster": _database,
        "aws:rds/clusterInstance:ClusterInstance": _instance,
        "aws:rds/globalCluster:GlobalCluster": _each("global databases"),
        "aws:wafv2/webAcl:WebAcl": _firewall,
        "kubernetes:apps/v1:DaemonSet": _each("pods on every node"),
        "kubernetes:karpenter.sh/v1:NodePool": _nodes,
    }
)
"""How much of what a resource is, by its type. What pods request takes their autoscalers, too: see `_pods`."""


def _pods(inputs: Inputs, autoscaler: Inputs | None) -> Amounts:
    """What a workload requests at its fewest replicas, and at its most, and what its volumes hold."""
    spec = map_at(inputs, "spec")
    stated = _number(spec.get("replicas", 1))
    fewest, most = (
        (stated, stated)
        if autoscaler is None
        else (_number(autoscaler.get("minReplicas", 1)), _number(autoscaler.get("maxReplicas")))
    )
    requests = [
        map_at(container, "resources", "requests")
        for container in maps_at(spec, "template", "spec", "containers")
    ]
    cpu = sum((_quantity(request.get("cpu")) for request in requests), Decimal())
    memory = sum((_gib(request.get("memory")) for request in requests), Decimal())
    for replicas, bound in ((fewest, "least"), (most, "most")):
        yield Item(f"CPU requested by pods ({bound})", "cores"), cpu * replicas
        yield Item(f"memory requested by pods ({bound})", "GiB"), memory * replicas
    for claim in maps_at(spec, "volumeClaimTemplates"):
        size = _gib(at(claim, "spec", "resources", "requests", "storage"))
        yield Item("volumes of pods", "GiB"), size * stated
    if at(inputs, "metadata", "labels", "app.kubernetes.io/name") == "elasticsearch":
        yield Item("Elasticsearch nodes"), stated


def _workload(kind: str, inputs: Inputs, name: object) -> tuple[str, str, str]:
    return kind, str(at(inputs, "metadata", "namespace")), str(name)


def _class(value: object) -> str:
    """The name of a size; another text than such a name is not told."""
    return str(value) if _CLASS.fullmatch(str(value)) else "of an unknown class"


def _days(value: object) -> str:
    return f"{_number(value):g} days" if value else "ever"


_SUFFIXES: Final[Mapping[str, Decimal]] = MappingProxyType(
    {"m": Decimal("0.001"), "": Decimal(1)}
    | {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTP", start=1)}
    | {letter: Decimal(1000) ** power for power, letter in enumerate("kMGTP", start=1)}
)
"""Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""

_CLASS: Final = re.compile(r"[a-z0-9.]{1,30}", re.ASCII)
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)(m|[KMGTP]i|[kMGTP]|)", re.ASCII)


def _quantity(value: object) -> Decimal:
    """A quantity of Kubernetes; nothing for what a preview does not know yet."""
    found = _QUANTITY.fullmatch(str(value))
    return Decimal(found[1]) * _SUFFIXES[found[2]] if found else Decimal()


def _gib(value: object) -> Decimal:
    return _quantity(value) / _SUFFIXES["Gi"]


def _number(value: object) -> Decimal:
    return Decimal(str(value)) if isinstance(value, (int, float)) else Decimal()
