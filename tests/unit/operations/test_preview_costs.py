"""What a preview changes of that which costs money, by count and size."""

from __future__ import annotations

from typing import Any

import pytest

from operations.preview.costs import COSTS, Measure, measures
from tests.unit.operations.previews import step

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
AUTOSCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"


def created(kind: str, inputs: dict[str, Any]) -> dict[str, float]:
    return {each.what: each.after for each in measures([step("create", kind, None, inputs)])}


COUNTED: list[tuple[str, dict[str, Any], dict[str, float]]] = [
    ("aws:ec2/natGateway:NatGateway", {}, {"NAT gateways": 1}),
    ("aws:ec2/eip:Eip", {}, {"public IPv4 addresses": 1}),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", {"vpcEndpointType": "Gateway"}, {}),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", {"vpcEndpointType": "Interface", "subnetIds": ["a", "b"]}, {"interface endpoints": 2}),
    ("aws:eks/cluster:Cluster", {}, {"EKS clusters": 1}),
    ("aws:rds/clusterInstance:ClusterInstance", {"instanceClass": "db.r8g.large"}, {"database instances db.r8g.large": 1}),
    ("aws:rds/clusterInstance:ClusterInstance", {"instanceClass": "| @all"}, {"database instances of an unknown class": 1}),
    (
        "aws:rds/cluster:Cluster",
        {"backupRetentionPeriod": 35, "serverlessv2ScalingConfiguration": {"minCapacity": 0.5, "maxCapacity": 2}},
        {"databases with backups of 35 days": 1, "serverless database capacity (least)": 0.5, "serverless database capacity (most)": 2},
    ),
    ("aws:rds/globalCluster:GlobalCluster", {}, {"global databases": 1}),
    ("aws:lb/loadBalancer:LoadBalancer", {"loadBalancerType": "network"}, {"load balancers (network)": 1}),
    ("aws:wafv2/webAcl:WebAcl", {"rules": [{}, {}]}, {"web application firewalls": 1, "rules of web application firewalls": 2}),
    ("aws:kms/key:Key", {}, {"KMS keys": 1}),
    ("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 30}, {"log groups kept for 30 days": 1}),
    ("aws:cloudwatch/logGroup:LogGroup", {}, {"log groups kept for ever": 1}),
    (
        "aws:backup/plan:Plan",
        {"rules": [{"lifecycle": {"deleteAfter": 35}, "copyActions": [{"lifecycle": {"deleteAfter": 90}}]}]},
        {"schedules of recovery points kept for 35 days": 1, "schedules of recovery points kept for 90 days": 1},
    ),
    ("aws:backup/restoreTestingPlan:RestoreTestingPlan", {}, {"restore tests": 1}),
    ("aws:datasync/task:Task", {}, {"DataSync tasks": 1}),
    ("kubernetes:apps/v1:DaemonSet", {}, {"pods on every node": 1}),
    (
        "kubernetes:karpenter.sh/v1:NodePool",
        {"spec": {"limits": {"cpu": "12", "memory": "24Gi"}}},
        {"CPU of nodes (most)": 12, "memory of nodes (most)": 24},
    ),
]  # fmt: skip
"""A type, its inputs, and what they amount to."""


@pytest.mark.parametrize(("kind", "inputs", "amounts"), COUNTED)
def test_each_kind_is_counted_or_sized(kind: str, inputs: dict[str, Any], amounts: dict[str, float]) -> None:
    assert created(kind, inputs) == amounts


def test_every_kind_that_costs_is_tried() -> None:
    assert {kind for kind, _, _ in COUNTED} == set(COSTS)


def workload(
    name: str, replicas: int | None, *requests: tuple[str, str], storage: str = ""
) -> dict[str, Any]:
    containers = [{"resources": {"requests": {"cpu": cpu, "memory": memory}}} for cpu, memory in requests]
    claims = [{"spec": {"resources": {"requests": {"storage": storage}}}}] if storage else []
    return {
        "metadata": {"namespace": "blue", "name": name, "labels": {"app.kubernetes.io/name": name}},
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            "template": {"spec": {"containers": containers}},
            "volumeClaimTemplates": claims,
        },
    }


def autoscaler(name: str, least: int, most: int) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "blue"},
        "spec": {"scaleTargetRef": {"name": name}, "minReplicas": least, "maxReplicas": most},
    }


def test_pods_request_as_much_as_their_replicas_and_containers_together() -> None:
    assert created(DEPLOYMENT, workload("web", 3, ("250m", "256Mi"), ("0.5", "1Gi"))) == {
        "CPU requested by pods (least)": 2.25,
        "CPU requested by pods (most)": 2.25,
        "memory requested by pods (least)": 3.75,
        "memory requested by pods (most)": 3.75,
    }


def test_where_an_autoscaler_says_how_many_the_workload_does_not() -> None:
    pods = step("same", DEPLOYMENT, *[workload("web", None, ("500m", "1Gi"))] * 2)
    other = step("same", AUTOSCALER, *[autoscaler("api", 100, 100)] * 2, name="other")
    grown = step("update", AUTOSCALER, autoscaler("web", 1, 2), autoscaler("web", 2, 8))
    assert measures([pods, other, grown]) == (
        Measure(what="CPU requested by pods (least)", unit="cores", before=0.5, after=1),
        Measure(what="CPU requested by pods (most)", unit="cores", before=1, after=4),
        Measure(what="memory requested by pods (least)", unit="GiB", before=1, after=2),
        Measure(what="memory requested by pods (most)", unit="GiB", before=2, after=8),
    )


def test_volumes_grow_with_the_replicas_and_elasticsearch_is_counted() -> None:
    before, after = (workload("elasticsearch", nodes, ("1", "2Gi"), storage="20Gi") for nodes in (1, 3))
    found = {
        each.what: (each.before, each.after)
        for each in measures([step("update", STATEFUL_SET, before, after)])
    }
    assert found["volumes of pods"] == (20, 60)
    assert found["Elasticsearch nodes"] == (1, 3)


def test_what_stays_as_much_as_it_was_is_not_told() -> None:
    key = "aws:kms/key:Key"
    assert measures([step("replace", key, {}, {}), step("same", key, {}, {}, name="other")]) == ()
    moved = [step("delete", key, {}), step("create", key, None, {}, name="other")]
    assert measures(moved) == ()


def test_what_a_preview_does_not_know_yet_counts_as_nothing() -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    pods = {"metadata": unknown, "spec": {"replicas": unknown, "template": unknown}}
    assert created(DEPLOYMENT, pods) == {}
    assert created("aws:backup/plan:Plan", {"rules": []}) == {}
