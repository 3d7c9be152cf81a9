"""The CloudWatch exporter: what it may read, whom it reaches, and what it is told to fetch."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from components.monitoring.cloudwatch import CloudwatchExporter, CloudwatchExporterArgs, DatabaseCluster
from components.monitoring.workload import Place
from operations.monitoring import Part
from operations.slots import Slot
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
ROLE = "aws:iam/role:Role"
GRANTS = "aws:iam/rolePolicy:RolePolicy"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"

LIVE = CloudwatchExporterArgs(
    place=Place(
        slot_namespaces={slot: slot.namespace for slot in Slot},
        network_cidr="10.50.0.0/16",
        zones=3,
        storage_class="encrypted",
        parts=frozenset(Part),
        after=[],
    ),
    environment="live",
    region="eu-west-1",
    clusters=[
        DatabaseCluster(
            region="eu-west-1", identifier="quikapp-live-database", instances=("quikapp-live-database-0",)
        ),
        DatabaseCluster(
            region="eu-central-1",
            identifier="quikapp-live-database-recovery",
            instances=("quikapp-live-database-recovery-0",),
        ),
    ],
    cluster_name="quikapp-live",
    tags={"owner": "platform"},
)
DEV = replace(LIVE, environment="dev", clusters=LIVE.clusters[:1], cluster_name="quikapp-dev")


def exporter(record: Record, given: CloudwatchExporterArgs) -> Recording[CloudwatchExporter]:
    return record(lambda: CloudwatchExporter("live-monitoring-cloudwatch-exporter", given))


def statements(made: Recording[Any]) -> list[Mapping[str, Any]]:
    return json.loads(made.one(GRANTS).inputs["policy"])["Statement"]


def container(made: Recording[Any]) -> Mapping[str, Any]:
    (only,) = made.one(DEPLOYMENT).inputs["spec"]["template"]["spec"]["containers"]
    return only


def test_it_may_read_statistics_in_the_regions_that_it_asks_and_nothing_else(record: Record) -> None:
    made = exporter(record, LIVE)
    assert statements(made) == [
        {
            "Effect": "Allow",
            "Action": ["cloudwatch:GetMetricStatistics"],
            "Resource": ["*"],
            "Condition": {"StringEquals": {"aws:RequestedRegion": ["eu-central-1", "eu-west-1"]}},
        },
        {"Effect": "Allow", "Action": ["iam:ListAccountAliases"], "Resource": ["*"]},
    ]
    made.assert_least_privilege()


def test_in_one_region_it_reads_in_one_region(record: Record) -> None:
    first, _ = statements(exporter(record, DEV))
    assert first["Condition"] == {"StringEquals": {"aws:RequestedRegion": ["eu-west-1"]}}


def test_its_role_is_that_of_its_own_service_account(record: Record) -> None:
    made = exporter(record, LIVE)
    association = made.one(ASSOCIATION).inputs
    assert (association["clusterName"], association["region"]) == ("quikapp-live", "eu-west-1")
    assert (association["namespace"], association["serviceAccount"]) == ("monitoring", "cloudwatch-exporter")
    assert association["roleArn"] == made.one(ROLE).outputs["arn"]
    (trust,) = json.loads(made.one(ROLE).inputs["assumeRolePolicy"])["Statement"]
    assert trust["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-name": "quikapp-live",
        "aws:RequestTag/kubernetes-namespace": "monitoring",
        "aws:RequestTag/kubernetes-service-account": "cloudwatch-exporter",
    }
    assert made.one(ROLE).inputs["name"] == "quikapp-live-monitoring-cloudwatch-exporter"
    made.assert_tagged({"owner": "platform"})


def test_pods_start_when_they_have_their_role_and_what_else_they_need(record: Record) -> None:
    made = exporter(record, LIVE)
    needed = {made.one(token).urn for token in (ASSOCIATION, GRANTS, POLICY, CONFIG_MAP)}
    assert needed <= made.one(DEPLOYMENT).dependencies


def test_prometheus_comes_in_and_aws_and_the_agent_of_the_node_are_reached(record: Record) -> None:
    spec = exporter(record, LIVE).one(POLICY).inputs["spec"]
    (into,) = spec["ingress"]
    assert [peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in into["from"]] == [
        "prometheus"
    ]
    assert into["ports"] == [{"port": 5000, "protocol": "TCP"}]
    assert {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in spec["egress"]
        for peer in rule["to"]
        for port in rule["ports"]
    } == {("169.254.170.23/32", 80), ("0.0.0.0/0", 443)}


def test_one_pod_fetches_every_minute_from_a_file_that_is_mounted(record: Record) -> None:
    made = exporter(record, LIVE)
    assert made.one(DEPLOYMENT).inputs["spec"]["replicas"] == 1
    assert container(made)["args"] == [
        "--config.file=/etc/yace/cloudwatch.json",
        "--listen-address=:5000",
        "--scraping-interval=60",
    ]
    assert container(made)["volumeMounts"] == [{"name": "config", "mountPath": "/etc/yace", "readOnly": True}]
    assert set(made.one(CONFIG_MAP).inputs["data"]) == {"cloudwatch.json"}


def test_the_pod_is_restricted_sized_and_probed(record: Record) -> None:
    made = exporter(record, LIVE)
    spec = made.one(DEPLOYMENT).inputs["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsUser"] == 65534
    assert container(made)["securityContext"]["readOnlyRootFilesystem"] is True
    assert container(made)["resources"]["limits"] == {"cpu": "100m", "memory": "128Mi"}
    for probe in ("readinessProbe", "livenessProbe"):
        assert container(made)[probe]["httpGet"] == {"path": "/healthz", "port": "http"}
