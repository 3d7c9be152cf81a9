"""The monitoring stack as a whole: its namespaces, who waits for whom, and what it refuses to be made of."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pulumi
import pytest

from components.monitoring.cloudwatch import DatabaseCluster
from components.monitoring.rules import RecoveryWatched, Watched
from components.monitoring.stack import Monitoring, MonitoringArgs
from operations import versions
from operations.facts import EnvironmentFacts
from operations.monitoring import TraceStorage
from operations.slots import Slot
from settings import parse
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording
from tests.unit.stack_configuration import SECRETS, configuration, document

STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
NAMESPACE = "kubernetes:core/v1:Namespace"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
CRON_JOB = "kubernetes:batch/v1:CronJob"
ADDON = "aws:eks/addon:Addon"
LIVE = parse("live", configuration(document("live")), SECRETS)


RECOVERY = RecoveryWatched(recovery_point=timedelta(seconds=30), restore_test_days=7)
CLUSTERS = (
    DatabaseCluster(
        region="eu-west-1", identifier="quikapp-live-database", instances=("quikapp-live-database-0",)
    ),
    DatabaseCluster(
        region="eu-central-1",
        identifier="quikapp-live-database-recovery",
        instances=("quikapp-live-database-recovery-0",),
    ),
)


def building(facts: EnvironmentFacts = LIVE, **changes: Any) -> Callable[[], Monitoring]:
    def build() -> Monitoring:
        args = MonitoringArgs(
            region="eu-west-1",
            cluster_name="quikapp-live",
            facts=facts.monitoring,
            watched=Watched(
                environment="live",
                sla=99.99,
                services=("api", "web"),
                replicas={part: facts.monitoring.replicas(part) for part in facts.monitoring.parts},
                grafana_url="https://grafana.quikapp.example",
                runbooks_url="https://runbooks.quikapp.example",
                retention_days=31,
                recovery=RECOVERY,
            ),
            database_services=["api"],
            database_clusters=CLUSTERS,
            logs_days=30,
            slot_namespaces={slot: slot.namespace for slot in Slot},
            network_cidr="10.50.0.0/16",
            zones=3,
            storage_class="fast",
            secrets={name: pulumi.Output.secret(f"the {name}") for name in facts.monitoring.secrets},
            tags={"owner": "platform"},
        )
        return Monitoring("quikapp-live-monitoring", replace(args, **changes))

    return build


def test_only_the_agents_namespace_takes_pods_that_are_not_restricted(record: Record) -> None:
    standards = {
        made.inputs["metadata"]["name"]: (
            made.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
            made.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce-version"],
        )
        for made in record(building()).of(NAMESPACE)
    }
    assert standards == {
        "monitoring": ("restricted", "v1.36"),
        "node-agents": ("privileged", "v1.36"),
    }


def test_both_namespaces_deny_all_traffic_before_their_first_pod(record: Record) -> None:
    recording = record(building())
    denials = {
        policy.inputs["metadata"]["namespace"]: policy
        for policy in recording.of(POLICY)
        if policy.inputs["metadata"]["name"] == "deny-all"
    }
    assert denials.keys() == {"monitoring", "node-agents"}
    for denial in denials.values():
        assert denial.inputs["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for workload in _workloads(recording):
        namespace = workload.inputs["metadata"]["namespace"]
        assert denials[namespace].urn in workload.dependencies, workload.urn


def _workloads(recording: Recording[Monitoring]) -> list[Any]:
    return [made for token in (STATEFUL_SET, DEPLOYMENT, DAEMON_SET) for made in recording.of(token)]


def test_jaeger_starts_after_the_storage_that_it_cannot_start_without(record: Record) -> None:
    recording = record(building())
    nodes = next(made for made in recording.of(STATEFUL_SET) if "elasticsearch" in made.name)
    jaeger = next(made for made in recording.of(DEPLOYMENT) if "jaeger" in made.name)
    assert nodes.urn in jaeger.dependencies


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("elasticsearch", {"log-sweep": 10_800, "jaeger-index-cleaner": 259_200}),
        ("memory", {"log-sweep": 10_800}),
    ],
)
def test_every_cron_job_that_there_is_has_an_alert_and_no_other_has(
    record: Record, storage: str, expected: dict[str, int]
) -> None:
    tracing = LIVE.monitoring.tracing.model_copy(update={"storage": TraceStorage(storage)})
    monitoring = LIVE.monitoring.model_copy(update={"tracing": tracing})
    recording = record(building(LIVE.model_copy(update={"monitoring": monitoring})))
    assert {made.inputs["metadata"]["name"] for made in recording.of(CRON_JOB)} == expected.keys()
    (rules,) = [
        json.loads(config.inputs["data"]["rules.json"])
        for config in recording.of(CONFIG_MAP)
        if "rules.json" in config.inputs["data"]
    ]
    assert {
        rule["labels"]["cronjob"]: int(rule["expr"].rpartition(" > ")[2])
        for group in rules["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "HousekeepingOverdue"
    } == expected


def test_the_clusters_and_instances_that_are_alerted_are_those_that_are_asked_for(record: Record) -> None:
    made = record(building())
    (fetched,) = [
        json.loads(config.inputs["data"]["cloudwatch.json"])
        for config in made.of(CONFIG_MAP)
        if "cloudwatch.json" in config.inputs["data"]
    ]
    (rules,) = [
        json.loads(config.inputs["data"]["rules.json"])
        for config in made.of(CONFIG_MAP)
        if "rules.json" in config.inputs["data"]
    ]
    assert {
        (*job["regions"], *(dimension["value"] for dimension in job["dimensions"]))
        for job in fetched["static"]
    } == {
        ("eu-west-1", "live", "database"),
        ("eu-west-1", "live", "files"),
        ("eu-west-1", "quikapp-live-database"),
        ("eu-central-1", "quikapp-live-database-recovery"),
        ("eu-west-1", "quikapp-live-database-0"),
        ("eu-central-1", "quikapp-live-database-recovery-0"),
    }
    assert {
        rule["labels"]["database"]
        for group in rules["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "DatabaseInstanceMissing"
    } == {cluster.identifier for cluster in CLUSTERS}


@pytest.mark.parametrize(("recovery", "clusters"), [(None, CLUSTERS), (None, ()), (RECOVERY, CLUSTERS[:1])])
def test_recovery_without_a_second_cluster_and_a_second_cluster_without_recovery_are_refused(
    record: Record, recovery: RecoveryWatched | None, clusters: tuple[DatabaseCluster, ...]
) -> None:
    made: list[MonitoringArgs] = []

    def build() -> None:
        given = building()()
        made.append(given.args)

    record(build)
    with pytest.raises(
        ValueError, match=r"database_clusters is one, and two where watched\.recovery is given"
    ):
        replace(made[0], watched=replace(made[0].watched, recovery=recovery), database_clusters=clusters)


def test_the_exporters_are_eks_add_ons(record: Record) -> None:
    recording = record(building())
    addons = {addon.inputs["addonName"]: addon.inputs["addonVersion"] for addon in recording.of(ADDON)}
    assert addons == {
        "kube-state-metrics": versions.KUBE_STATE_METRICS_ADDON,
        "prometheus-node-exporter": versions.NODE_EXPORTER_ADDON,
    }
    recording.assert_tagged({"owner": "platform"})


def test_outputs_name_the_addresses_of_what_has_a_page_of_its_own(record: Record) -> None:
    recording = record(building())
    assert {part: recording.value(url) for part, url in recording.result.urls.items()} == {
        "prometheus": "http://prometheus.monitoring.svc:9090",
        "alertmanager": "http://alertmanager.monitoring.svc:9093",
        "grafana": "http://grafana.monitoring.svc:3000",
        "jaeger": "http://jaeger.monitoring.svc:16686",
    }


def test_each_secret_reaches_kubernetes_as_a_secret_and_nothing_else(record: Record) -> None:
    recording = record(building())
    for name in LIVE.monitoring.secrets:
        recording.assert_hidden(f"the {name}")


@pytest.mark.parametrize("name", ["slack-token", "pagerduty-token", "heartbeat-url", "datadog-api-key"])
def test_a_secret_that_is_asked_for_and_not_given_is_named(record: Record, name: str) -> None:
    asks = LIVE.monitoring.secrets[name]
    with pytest.raises(ValueError, match=f"{asks} takes the secret {name}, which is not given"):
        record(
            lambda: building(
                secrets={
                    other: pulumi.Output.secret("x") for other in LIVE.monitoring.secrets if other != name
                }
            )()
        )
