"""All five environments, whole, as their stack files declare them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

import settings
from components.environment import DRAIN_SECONDS, Environment, EnvironmentArgs
from operations.environments import EnvironmentName
from operations.facts import EnvironmentFacts
from operations.slots import Slot
from tests.unit.components.recording import Recording, Resource, record
from tests.unit.stack_configuration import SECRETS, configuration, document, secret_keys

HIDDEN = "a-secret-that-must-never-show"

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
AUTOSCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
DISRUPTION_BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
NAMESPACE = "kubernetes:core/v1:Namespace"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
LISTENER_RULE = "aws:lb/listenerRule:ListenerRule"
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
SECURITY_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"


def facts_of(name: str) -> EnvironmentFacts:
    """The facts that a stack file and the project's defaults state."""
    values = {**document(name), **dict.fromkeys(secret_keys(name), HIDDEN)}
    return settings.parse(name, configuration(values), SECRETS)


@pytest.fixture(scope="module", params=list(EnvironmentName))
def facts(request: pytest.FixtureRequest) -> EnvironmentFacts:
    return facts_of(str(request.param))


@pytest.fixture(scope="module")
def recorded(facts: EnvironmentFacts) -> Iterator[Recording[Environment]]:
    made = record(lambda: environment(facts))
    yield made
    made.close()


def environment(facts: EnvironmentFacts) -> Environment:
    secrets = {name: pulumi.Output.secret(HIDDEN) for name in facts.secrets}
    built = Environment(facts.name, EnvironmentArgs(facts=facts, secrets=secrets))
    for name, value in built.outputs.items():
        pulumi.export(name, value)
    return built


RECOVERED = re.compile(
    r"-recovery-(?!report)|-recovery$|-storage-(backup|copies(?!-source))|-restore-tests|-to-recovery"
)
"""How the name says that something lives in the recovery region."""


def of_slots(recorded: Recording[Environment]) -> list[Resource]:
    """The Deployments of the application."""
    namespaces = {slot.namespace for slot in Slot}
    return [item for item in recorded.of(DEPLOYMENT) if item.inputs["metadata"]["namespace"] in namespaces]


def test_every_resource_carries_the_tags_of_cost_and_ownership_reports(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    recorded.assert_tagged(facts.tags)


def test_what_survives_the_region_is_in_the_recovery_region_and_all_else_in_the_stacks_own(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    away = {urn for urn, region in recorded.regions.items() if region == facts.recovery_region}
    assert {region for urn, region in recorded.regions.items() if urn not in away} == {facts.region}
    survives = {urn for urn in recorded.regions if RECOVERED.search(urn.rsplit("::", 1)[1])}
    assert away == survives
    holds = {"aws:s3/bucket:Bucket", "aws:backup/vault:Vault", "aws:datasync/task:Task"}
    if facts.recovery is not None:
        holds |= {
            "aws:rds/cluster:Cluster",
            "aws:ec2/vpc:Vpc",
            "aws:backup/restoreTestingPlan:RestoreTestingPlan",
        }
    assert {token for urn in away if (token := urn.split("::")[2].rsplit("$", 1)[-1]) in holds} == holds


def test_no_policy_is_boundless(recorded: Recording[Environment]) -> None:
    recorded.assert_least_privilege()


def test_no_secret_shows_in_plain_text(recorded: Recording[Environment]) -> None:
    recorded.assert_hidden(HIDDEN)


def test_every_manifest_goes_to_the_environments_own_cluster(recorded: Recording[Environment]) -> None:
    provider = recorded.one("pulumi:providers:kubernetes")
    strangers = [
        resource.urn
        for resource in recorded.resources
        if resource.package == "kubernetes" and resource.provider.rsplit("::", 1)[0] != provider.urn
    ]
    assert strangers == []


def test_the_internet_reaches_the_load_balancer_on_80_and_443_and_nothing_else(
    recorded: Recording[Environment],
) -> None:
    rules = recorded.of(SECURITY_RULE)
    open_ports = {
        (rule.inputs["fromPort"], rule.inputs["toPort"])
        for rule in rules
        if rule.inputs.get("cidrIpv4") == "0.0.0.0/0" or rule.inputs.get("cidrIpv6") == "::/0"
    }
    assert open_ports == {(80, 80), (443, 443)}
    inline = [
        group.urn
        for group in recorded.of("aws:ec2/securityGroup:SecurityGroup")
        if group.inputs.get("ingress")
    ]
    assert inline == []


def test_ec2_takes_the_description_of_every_security_group_and_rule(recorded: Recording[Environment]) -> None:
    """Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html"""
    described = [
        resource.inputs["description"]
        for token in (SECURITY_GROUP, SECURITY_RULE, EGRESS_RULE)
        for resource in recorded.of(token)
    ]
    assert described
    assert [
        text for text in described if not re.fullmatch(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}", text)
    ] == []


def test_no_bucket_and_no_database_is_public(recorded: Recording[Environment]) -> None:
    buckets = {bucket.name for bucket in recorded.of("aws:s3/bucket:Bucket")}
    blocks = recorded.of("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    assert len(buckets) == len(blocks)
    for block in blocks:
        assert [block.inputs[flag] for flag in ("blockPublicAcls", "blockPublicPolicy")] == [True, True]
        assert [block.inputs[flag] for flag in ("ignorePublicAcls", "restrictPublicBuckets")] == [True, True]
    for instance in recorded.of("aws:rds/clusterInstance:ClusterInstance"):
        assert instance.inputs.get("publiclyAccessible") is not True


def test_data_is_encrypted_where_it_lies(recorded: Recording[Environment]) -> None:
    for cluster in recorded.of("aws:rds/cluster:Cluster"):
        assert cluster.inputs["storageEncrypted"] is True, cluster.urn
    encrypted = recorded.of(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    )
    assert len(encrypted) == len(recorded.of("aws:s3/bucket:Bucket"))
    assert recorded.one("aws:eks/cluster:Cluster").inputs["encryptionConfig"]["resources"] == ["secrets"]
    for key in recorded.of("aws:kms/key:Key"):
        assert key.inputs["enableKeyRotation"] is True, key.urn


def test_each_service_has_one_rule_with_both_slots_at_the_weights_of_the_stack_file(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    rules = [rule for rule in recorded.of(LISTENER_RULE) if "forward" in rule.inputs["actions"][0]]
    assert len(rules) == len(facts.services)
    for rule in rules:
        (action,) = rule.inputs["actions"]
        weights = [target["weight"] for target in action["forward"]["targetGroups"]]
        assert weights == [facts.release.weights.blue, facts.release.weights.green]
        assert sum(weights) == 100
        assert not rule.ignore_changes


def test_both_slots_hold_every_service_at_their_own_version(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    images = {
        (item.inputs["metadata"]["namespace"], container["name"], container["image"].rsplit(":", 1)[1])
        for item in of_slots(recorded)
        for container in item.inputs["spec"]["template"]["spec"]["containers"]
    }
    assert images == {
        (slot.namespace, service, facts.release.of(slot).version)
        for slot in Slot
        for service in facts.services
    }


def test_the_serving_slot_scales_within_the_sizing(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    serving = next(slot for slot in Slot if facts.release.weights.of(slot) == 100)
    ranges = {
        (item.inputs["spec"]["minReplicas"], item.inputs["spec"]["maxReplicas"])
        for item in recorded.of(AUTOSCALER)
        if item.inputs["metadata"]["namespace"] == serving.namespace
    }
    assert ranges == {(facts.sizing.replicas.min, facts.sizing.replicas.max)}


def test_every_workload_spreads_over_the_zones_and_has_a_budget_for_disruption(
    recorded: Recording[Environment],
) -> None:
    declared = [*recorded.of(DEPLOYMENT), *recorded.of(STATEFUL_SET)]
    workloads = [workload for workload in declared if workload.inputs["spec"].get("replicas") != 0]
    for workload in workloads:
        spread = workload.inputs["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert "topology.kubernetes.io/zone" in {constraint["topologyKey"] for constraint in spread}, (
            workload.urn
        )
    guarded = {
        (budget.inputs["metadata"]["namespace"], budget.inputs["metadata"]["name"])
        for budget in recorded.of(DISRUPTION_BUDGET)
    }
    assert {
        (workload.inputs["metadata"]["namespace"], workload.inputs["metadata"]["name"])
        for workload in workloads
    } == guarded


def test_a_pod_serves_on_for_longer_than_its_target_takes_to_leave(recorded: Recording[Environment]) -> None:
    delays = {group.inputs["deregistrationDelay"] for group in recorded.of("aws:lb/targetGroup:TargetGroup")}
    assert len(delays) == 1
    assert int(delays.pop()) < DRAIN_SECONDS
    for deployment in of_slots(recorded):
        pod = deployment.inputs["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] > DRAIN_SECONDS


def test_what_holds_data_is_protected_exactly_where_the_stack_file_says(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    wanted = facts.cluster.deletion_protection
    for token in ("aws:rds/cluster:Cluster", "aws:eks/cluster:Cluster"):
        for resource in recorded.of(token):
            assert resource.protect is wanted, resource.urn
            assert resource.inputs["deletionProtection"] is wanted, resource.urn
    assert {vault.protect for vault in recorded.of("aws:backup/vault:Vault")} == {wanted}
    assert {bucket.protect for bucket in recorded.of("aws:s3/bucket:Bucket") if "log" not in bucket.name} == {
        wanted
    }


def test_pods_come_after_the_pool_of_nodes_and_leave_before_it(recorded: Recording[Environment]) -> None:
    pool = recorded.one("kubernetes:karpenter.sh/v1:NodePool").urn
    homes = [*recorded.of("quikapp:slots:Slot"), *recorded.of("quikapp:monitoring:Monitoring")]
    assert [home.name for home in homes if pool not in home.dependencies] == []


def opened(recorded: Recording[Environment], direction: str) -> set[tuple[str, str, str, str, int]]:
    """What network policies open between pods: namespace and name of who has it opened, and of the other; the port."""
    return {
        (
            item.inputs["metadata"]["namespace"],
            item.inputs["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"],
            peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            peer["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name", "*"),
            port["port"],
        )
        for item in recorded.of(NETWORK_POLICY)
        for rule in item.inputs["spec"].get(direction, [])
        for peer in rule.get("from" if direction == "ingress" else "to", [])
        if "namespaceSelector" in peer and "matchLabels" in item.inputs["spec"]["podSelector"]
        for port in rule.get("ports", [])
    }


def test_every_connection_that_one_end_opens_the_other_opens_too(recorded: Recording[Environment]) -> None:
    """But for the add-ons, whose namespaces are not ours, and the scraped slots, which Prometheus reaches as a whole."""
    ours = {item.inputs["metadata"]["name"] for item in recorded.of(NAMESPACE)}
    out = {flow for flow in opened(recorded, "egress") if flow[2] in ours}
    into = opened(recorded, "ingress")
    assert out, "parts talk to each other"
    deaf = [flow for flow in out if not _answered(flow, into)]
    assert deaf == [], "nobody lets these in"
    silent = [flow for flow in into if not _answered(flow, out) and flow[3] != "prometheus"]
    assert silent == [], "nobody may send these"


def _answered(flow: tuple[str, str, str, str, int], others: set[tuple[str, str, str, str, int]]) -> bool:
    """Whether the other end of a connection is open, for this pod or for all of its namespace."""
    here, name, there, other, port = flow
    return any(
        (namespace, peer_namespace, at) == (there, here, port) and other in {who, "*"} and peer in {name, "*"}
        for namespace, who, peer_namespace, peer, at in others
    )


def test_the_whole_monitoring_stack_is_there_and_nothing_that_the_stack_file_leaves_out(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    placed = {
        (item.inputs["metadata"]["namespace"], item.inputs["metadata"]["name"])
        for token in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
        for item in recorded.of(token)
        if item.inputs["metadata"]["namespace"] not in {slot.namespace for slot in Slot}
    }
    always = {
        ("monitoring", "prometheus"),
        ("monitoring", "alertmanager"),
        ("monitoring", "grafana"),
        ("monitoring", "jaeger"),
        ("monitoring", "elasticsearch"),
        ("monitoring", "logstash"),
        ("monitoring", "kibana"),
        ("monitoring", "cloudwatch-exporter"),
        ("node-agents", "filebeat"),
    }
    datadog = {("monitoring", "datadog-agent"), ("monitoring", "datadog-cluster-agent")}
    assert placed == always | (datadog if facts.name in ("staging", "live") else set())


def test_only_live_can_reach_pagerduty(recorded: Recording[Environment], facts: EnvironmentFacts) -> None:
    made = [resource.token for resource in recorded.resources if resource.package == "pagerduty"]
    mentioned = [
        resource.urn
        for resource in recorded.of("kubernetes:core/v1:ConfigMap")
        if any("pagerduty_configs" in text for text in resource.inputs["data"].values())
    ]
    assert (bool(made), bool(mentioned)) == ((True, True) if facts.name == "live" else (False, False))


def test_the_pods_that_alerts_miss_are_those_that_are_declared(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    declared = {
        item.inputs["metadata"]["name"]: item.inputs["spec"]["replicas"]
        for token in (DEPLOYMENT, STATEFUL_SET)
        for item in recorded.of(token)
        if item.inputs["metadata"]["namespace"] == "monitoring"
    }
    assert declared == {
        part: facts.monitoring.replicas(part) for part in facts.monitoring.parts if part in declared
    }
    kinds = {
        item.inputs["metadata"]["name"]: item.token.rpartition(":")[2].lower()
        for token in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
        for item in recorded.of(token)
    }
    (rules,) = [
        resource.inputs["data"]["rules.json"]
        for resource in recorded.of("kubernetes:core/v1:ConfigMap")
        if "rules.json" in resource.inputs["data"]
    ]
    for part in facts.monitoring.parts:
        assert f'{kinds[part]}=\\"{part}\\"' in rules, part


def pods_of(
    recorded: Recording[Environment],
) -> Iterator[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
    """Of every workload its URN, its containers, and those that run before them."""
    for token in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET):
        for item in recorded.of(token):
            pod = item.inputs["spec"]["template"]["spec"]
            yield item.urn, pod["containers"], pod.get("initContainers") or []


def test_no_image_is_without_an_exact_version(recorded: Recording[Environment]) -> None:
    images = {
        str(container["image"]) for _, main, before in pods_of(recorded) for container in [*main, *before]
    }
    assert [image for image in images if not re.search(r":v?\d+\.\d+\.\d+(-[\w.]+)?$", image)] == []


def test_every_container_has_limits_and_probes_and_no_privilege(recorded: Recording[Environment]) -> None:
    for urn, main, before in pods_of(recorded):
        for container in [*main, *before]:
            where = f"{urn} {container['name']}"
            resources, security = container["resources"], container["securityContext"]
            assert "memory" in resources["limits"], where
            assert set(resources["requests"]) == {"cpu", "memory"}, where
            assert security["allowPrivilegeEscalation"] is False, where
            assert security["readOnlyRootFilesystem"] is True, where
            assert security["capabilities"]["drop"] == ["ALL"], where
        for container in main:
            assert {"livenessProbe", "readinessProbe"} <= set(container), urn


def test_a_firewall_stands_before_staging_and_live(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    assert bool(recorded.of("aws:wafv2/webAcl:WebAcl")) is (facts.name in ("staging", "live"))


def test_outputs_say_where_what_and_how_well(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    outputs = recorded.stack_outputs
    assert outputs["endpoints"]["application"] == f"https://{facts.traffic.domain}"
    assert {name: (slot["version"], slot["weight"]) for name, slot in outputs["slots"].items()} == {
        slot.value: (facts.release.of(slot).version, facts.release.of(slot).weight) for slot in Slot
    }


def test_outputs_say_what_is_kept_of_the_recovery_promises_and_which_risks_are_accepted(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    told = recorded.stack_outputs["recovery"]
    if facts.recovery is None:
        assert (told["objectives"], told["acceptedRisks"]) == ("none", {})
        return
    assert told["objectives"] == {"recoveryPoint": "< 1 min", "recoveryTime": "< 15 min"}
    assert set(told["acceptedRisks"]) == set(facts.recovery.accepted_risks)
    assert (
        told["incidentAtRecoveryTime"]
        == {
            "staging": "35 % of the error budget",
            "live": "347 % of the error budget",
        }[facts.name]
    )


def test_outputs_say_the_sla_and_its_error_budget(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    outputs = recorded.stack_outputs
    assert (outputs["sla"], outputs["errorBudget"]) == {
        "dev": ("none", "none"),
        "qa": ("95 %", "2160 min in 30 days"),
        "uat": ("99 %", "432 min in 30 days"),
        "staging": ("99.9 %", "43.2 min in 30 days"),
        "live": ("99.99 %", "4.32 min in 30 days"),
    }[facts.name]
