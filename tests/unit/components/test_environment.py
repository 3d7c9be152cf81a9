"""All five environments, whole, as their stack files declare them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import pulumi
import pytest

import settings
from components.environment import DRAIN_SECONDS, Environment, EnvironmentArgs
from operations import permissions
from operations.environments import EnvironmentName
from operations.facts import EnvironmentFacts
from operations.pipeline import Purpose
from operations.slots import Slot
from tests.unit.components.pipeline_roles import FACTS, Pipeline, all_stacks, keys
from tests.unit.components.policy_decisions import Request, role_may
from tests.unit.components.recording import ACCOUNT, Recording, Resource, record
from tests.unit.stack_configuration import SECRETS, configuration, document, secret_keys

HIDDEN = "a-secret-that-must-never-show"
UNBOUNDED = EnvironmentName.DEV
"""The one stack whose file names no boundary here."""
BOUNDARY = "permissionsBoundary"

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
    stated = document(name)
    group = {key: value for key, value in stated["quikapp:environment"].items() if key != BOUNDARY}
    if name != UNBOUNDED:
        group[BOUNDARY] = FACTS.boundary_arn(EnvironmentName(name))
    values = {**stated, "quikapp:environment": group, **dict.fromkeys(secret_keys(name), HIDDEN)}
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


def test_a_restore_test_opens_what_either_cluster_left_in_the_recovery_region(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    """Copies from home lie under the vaults' key there, snapshots of the replica under its own."""
    roles = [
        policy for policy in recorded.of("aws:iam/rolePolicy:RolePolicy") if "-restore-tests-" in policy.name
    ]
    if facts.recovery is None:
        assert roles == []
        return
    opened = {
        resource
        for statement in json.loads(roles[0].inputs["policy"])["Statement"]
        if "kms:Decrypt" in statement["Action"]
        for resource in statement["Resource"]
    }
    (replica,) = [
        cluster.inputs["kmsKeyId"]
        for cluster in recorded.of("aws:rds/cluster:Cluster")
        if cluster.inputs["region"] == facts.recovery_region
    ]
    copies = {
        vault.inputs["kmsKeyArn"]
        for vault in recorded.of("aws:backup/vault:Vault")
        if vault.inputs["region"] == facts.recovery_region
    }
    assert opened == {replica, *copies}


def test_the_report_expects_every_source_in_every_vault_in_which_it_has_recovery_points(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    event = json.loads(
        recorded.one("aws:scheduler/schedule:Schedule", f"{facts.name}-recovery-report-schedule").inputs[
            "target"
        ]["input"]
    )
    clusters = {
        cluster.inputs["region"]: cluster.outputs["arn"] for cluster in recorded.of("aws:rds/cluster:Cluster")
    }
    (files,) = [
        bucket.outputs["arn"]
        for bucket in recorded.of("aws:s3/bucket:Bucket")
        if bucket.name == f"{facts.name}-storage-files"
    ]
    expected = {
        ("database", facts.region): {clusters[facts.region]},
        ("database", facts.recovery_region): set(clusters.values()),
        ("files", facts.region): {files},
        ("files", facts.recovery_region): {files},
    }
    assert {(vault["data"], vault["region"]): set(vault["sources"]) for vault in event["vaults"]} == expected
    assert {
        (test["vault"]["data"], test["vault"]["region"]): set(test["vault"]["sources"])
        for test in event["restoreTests"]
    } == (
        {}
        if facts.recovery is None
        else {key: sources for key, sources in expected.items() if key[1] == facts.recovery_region}
    )


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


def test_outputs_say_which_change_requests_are_in_force_and_the_release_as_the_stack_file_spells_it(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    outputs = recorded.stack_outputs
    said = (
        outputs["changeRequest"],
        {name: slot.get("changeRequest") for name, slot in outputs["slots"].items()},
    )
    if facts.name == "live":
        assert said == ("CHG0030042", {"blue": "CHG0030041", "green": "CHG0030042"})
    else:
        assert said == ("none", {"blue": None, "green": None})
    assert outputs["changes"] == document(facts.name).get("quikapp:changes", [])
    assert outputs["release"] == document(facts.name)["quikapp:release"]


def test_a_version_comes_after_the_record_of_its_change_request(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    records = recorded.of("aws:ssm/parameter:Parameter")
    assert len(records) == (1 if facts.name == "live" else 0)
    for slot in recorded.of("quikapp:slots:Slot"):
        assert {record.urn for record in records} <= slot.dependencies


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


# --- the pipeline that declares it ---------------------------------------------------------------------------------

READS = r"Describe|Get|List"
MAKES = r"Allocate|Associate|Attach|Authorize|Change|Create|Invoke|Put|Request"
TAKES_AWAY = r"Change|Delete|Detach|Disassociate|Put|Release|Revoke|Schedule"

EXISTING: Mapping[str, Callable[[Resource], tuple[str, str]]] = {
    "aws:backup/restoreTestingPlan:RestoreTestingPlan": lambda made: (
        "backup:DeleteRestoreTestingPlan",
        f"backup:{{}}:{ACCOUNT}:restore-testing-plan:{made.inputs['name']}-1",
    ),
    "aws:backup/vault:Vault": lambda made: (
        "backup:DeleteBackupVault",
        f"backup:{{}}:{ACCOUNT}:backup-vault:{made.inputs['name']}",
    ),
    "aws:cloudwatch/eventRule:EventRule": lambda made: (
        "events:DeleteRule",
        f"events:{{}}:{ACCOUNT}:rule/{made.inputs['name']}",
    ),
    "aws:cloudwatch/logGroup:LogGroup": lambda made: (
        "logs:DeleteLogGroup",
        f"logs:{{}}:{ACCOUNT}:log-group:{made.inputs['name']}",
    ),
    "aws:eks/cluster:Cluster": lambda made: (
        "eks:DeleteCluster",
        f"eks:{{}}:{ACCOUNT}:cluster/{made.inputs['name']}",
    ),
    "aws:eks/addon:Addon": lambda made: (
        "eks:DeleteAddon",
        f"eks:{{}}:{ACCOUNT}:addon/{made.inputs['clusterName']}/{made.inputs['addonName']}/1",
    ),
    "aws:iam/role:Role": lambda made: (
        "iam:UpdateAssumeRolePolicy",
        f"iam::{ACCOUNT}:role/{made.inputs.get('name', f'{made.name}-1234567')}",
    ),
    "aws:lambda/function:Function": lambda made: (
        "lambda:DeleteFunction",
        f"lambda:{{}}:{ACCOUNT}:function:{made.inputs['name']}",
    ),
    "aws:lb/loadBalancer:LoadBalancer": lambda made: (
        "elasticloadbalancing:DeleteLoadBalancer",
        f"elasticloadbalancing:{{}}:{ACCOUNT}:loadbalancer/app/{made.inputs['name']}/1",
    ),
    "aws:lb/targetGroup:TargetGroup": lambda made: (
        "elasticloadbalancing:DeleteTargetGroup",
        f"elasticloadbalancing:{{}}:{ACCOUNT}:targetgroup/{made.inputs['name']}/1",
    ),
    "aws:rds/cluster:Cluster": lambda made: (
        "rds:DeleteDBCluster",
        f"rds:{{}}:{ACCOUNT}:cluster:{made.inputs['clusterIdentifier']}",
    ),
    "aws:rds/clusterInstance:ClusterInstance": lambda made: (
        "rds:DeleteDBInstance",
        f"rds:{{}}:{ACCOUNT}:db:{made.inputs['identifier']}",
    ),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": lambda made: (
        "rds:DeleteDBClusterParameterGroup",
        f"rds:{{}}:{ACCOUNT}:cluster-pg:{made.name}-1234567",
    ),
    "aws:rds/globalCluster:GlobalCluster": lambda made: (
        "rds:DeleteGlobalCluster",
        f"rds::{ACCOUNT}:global-cluster:{made.inputs['globalClusterIdentifier']}",
    ),
    "aws:rds/subnetGroup:SubnetGroup": lambda made: (
        "rds:DeleteDBSubnetGroup",
        f"rds:{{}}:{ACCOUNT}:subgrp:{made.name}-1234567",
    ),
    "aws:s3/bucket:Bucket": lambda made: ("s3:DeleteBucket", f"s3:::{made.inputs['bucketPrefix']}1234567"),
    "aws:scheduler/schedule:Schedule": lambda made: (
        "scheduler:DeleteSchedule",
        f"scheduler:{{}}:{ACCOUNT}:schedule/default/{made.inputs['name']}",
    ),
    "aws:ssm/parameter:Parameter": lambda made: (
        "ssm:DeleteParameter",
        f"ssm:{{}}:{ACCOUNT}:parameter{made.inputs['name']}",
    ),
    "aws:wafv2/webAcl:WebAcl": lambda made: (
        "wafv2:DeleteWebACL",
        f"wafv2:{{}}:{ACCOUNT}:regional/webacl/{made.inputs['name']}/1",
    ),
}
"""What is known to IAM by a name that the program or the provider gives: an action, and the ARN but for its region."""

AWS_POLICIES = {
    "acm": "DescribeCertificate ListCertificates",
    "autoscaling": "DescribeAutoScalingGroups UpdateAutoScalingGroup",
    "cognito-idp": "DescribeUserPoolClient",
    "ec2": (
        "AssignIpv6Addresses AssignPrivateIpAddresses AssociateTrunkInterface AttachNetworkInterface "
        "AttachVolume AuthorizeSecurityGroupIngress CreateFleet CreateLaunchTemplate CreateNetworkInterface "
        "CreateRoute CreateSecurityGroup CreateSnapshot CreateTags CreateVolume DeleteNetworkInterface "
        "DeleteRoute DeleteSecurityGroup DeleteVolume DescribeAccountAttributes DescribeAddresses "
        "DescribeAvailabilityZones DescribeCapacityReservations DescribeClassicLinkInstances "
        "DescribeCoipPools DescribeDhcpOptions DescribeInstanceTopology DescribeInstances "
        "DescribeInternetGateways DescribeIpamPools DescribeNetworkInterfaces DescribeRouteTables "
        "DescribeSecurityGroups DescribeSubnets DescribeVolumes DescribeVolumesModifications "
        "DescribeVpcClassicLink DescribeVpcPeeringConnections DescribeVpcs DetachNetworkInterface "
        "DetachVolume DisassociateTrunkInterface EnableFastSnapshotRestores GetCoipPoolUsage "
        "GetSecurityGroupsForVpc ModifyInstanceAttribute ModifyNetworkInterfaceAttribute ModifyVolume "
        "RevokeSecurityGroupIngress RunInstances UnassignIpv6Addresses UnassignPrivateIpAddresses"
    ),
    "ecr": "BatchGetImage BatchImportUpstreamImage GetAuthorizationToken GetDownloadUrlForLayer",
    "eks-auth": "AssumeRoleForPodIdentity",
    "elasticloadbalancing": (
        "AddListenerCertificates AddTags ApplySecurityGroupsToLoadBalancer AttachLoadBalancerToSubnets "
        "ConfigureHealthCheck CreateListener CreateLoadBalancer CreateLoadBalancerListeners "
        "CreateLoadBalancerPolicy CreateRule CreateTargetGroup DeleteListener DeleteLoadBalancer "
        "DeleteLoadBalancerListeners DeleteTargetGroup DeregisterInstancesFromLoadBalancer DeregisterTargets "
        "DescribeListeners DescribeLoadBalancerAttributes DescribeLoadBalancerPolicies DescribeLoadBalancers "
        "DescribeTargetGroupAttributes DescribeTargetGroups DescribeTargetHealth "
        "DetachLoadBalancerFromSubnets ModifyCapacityReservation ModifyIpPools ModifyListener "
        "ModifyListenerAttributes ModifyLoadBalancerAttributes ModifyRule ModifyTargetGroup "
        "ModifyTargetGroupAttributes RegisterInstancesWithLoadBalancer RegisterTargets "
        "RemoveListenerCertificates SetIpAddressType SetLoadBalancerPoliciesForBackendServer "
        "SetLoadBalancerPoliciesOfListener SetRulePriorities SetSecurityGroups SetSubnets SetWebAcl"
    ),
    "kms": "DescribeKey",
    "logs": (
        "CreateLogGroup CreateLogStream DescribeLogStreams GetLogEvents PutLogEvents PutRetentionPolicy"
    ),
    "shield": "CreateProtection DeleteProtection TagResource",
    "wafv2": "AssociateWebACL DisassociateWebACL GetWebACL GetWebACLForResource ListWebACLs",
}
"""What AWS's own policies that roles of the program have allow, but for IAM, as AWS published them in November 2026.

Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
"""


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return all_stacks()


def test_the_roles_of_the_pipeline_have_what_every_type_of_the_stack_takes(
    recorded: Recording[Environment], facts: EnvironmentFacts, pipeline: Pipeline
) -> None:
    declared = {item.token for item in recorded.resources if item.custom and item.package == "aws"}
    assert not declared - permissions.TYPES.keys(), "types of which nobody said what they take in IAM"
    granted = {
        purpose: {
            action
            for document in pipeline.policies(facts.name, purpose)
            for statement in json.loads(document)["Statement"]
            if statement["Effect"] == "Allow"
            for action in statement["Action"]
        }
        for purpose in Purpose
    }
    for token in declared:
        rights = permissions.TYPES[token]
        reads, writes = (
            {f"{right.service}:{action}" for right in given for action in right.actions}
            for given in (rights.reads, rights.writes)
        )
        for purpose in Purpose:
            assert reads <= granted[purpose], token
        assert writes <= granted[Purpose.DEPLOY], token
        if token != "aws:lambda/invocation:Invocation":  # noqa: S105 - the name of a type
            assert any(re.search(f":({READS})", action) for action in reads), token
        if token != "aws:acm/certificateValidation:CertificateValidation":  # noqa: S105 - the name of a type
            assert any(re.search(f":({MAKES})", action) for action in writes), token
            if token != "aws:lambda/invocation:Invocation":  # noqa: S105 - the name of a type
                assert any(re.search(f":({TAKES_AWAY})", action) for action in writes), token


def test_a_deployment_reaches_what_the_stack_has_by_its_name_and_no_other_deployment_does(
    recorded: Recording[Environment], facts: EnvironmentFacts, pipeline: Pipeline
) -> None:
    seen = 0
    for item in recorded.resources:
        if item.token not in EXISTING:
            continue
        seen += 1
        action, name = EXISTING[item.token](item)
        region = item.inputs.get("region", facts.region)
        arn = f"arn:aws:{name.format(region)}"
        # Without a tag: the name alone decides.
        allowed = {
            stack
            for stack in EnvironmentName
            if pipeline.may(
                stack, Purpose.DEPLOY, action, arn, region=region, boundary=FACTS.boundary_arn(facts.name)
            )
        }
        assert allowed == {facts.name}, arn
    assert seen > len(EXISTING)


def test_roles_are_handed_to_the_services_that_trust_them_and_have_the_policies_that_may_be_attached(
    recorded: Recording[Environment], facts: EnvironmentFacts, pipeline: Pipeline
) -> None:
    for item in recorded.of("aws:iam/role:Role"):
        _, name = EXISTING[item.token](item)
        for statement in json.loads(item.inputs["assumeRolePolicy"])["Statement"]:
            for service in statement["Principal"]["Service"]:
                handed = pipeline.may(
                    facts.name, Purpose.DEPLOY, "iam:PassRole", f"arn:aws:{name}", service=service
                )
                assert handed is (service != "ec2.amazonaws.com"), service
    for item in recorded.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment"):
        assert pipeline.may(
            facts.name,
            Purpose.DEPLOY,
            "iam:AttachRolePolicy",
            f"arn:aws:iam::{ACCOUNT}:role/{item.inputs['role']}",
            boundary=FACTS.boundary_arn(facts.name),
            policy=item.inputs["policyArn"],
        ), item.inputs["policyArn"]


def test_the_boundary_leaves_every_role_what_its_own_policies_allow(
    recorded: Recording[Environment], facts: EnvironmentFacts, pipeline: Pipeline
) -> None:
    seen = 0
    for item in recorded.of("aws:iam/rolePolicy:RolePolicy"):
        for statement in json.loads(item.inputs["policy"])["Statement"]:
            alias = (
                statement.get("Condition", {}).get("ForAnyValue:StringEquals", {}).get("kms:ResourceAliases")
            )
            for action, resource in product(statement["Action"], statement["Resource"]):
                seen += 1
                assert bounded(pipeline, facts, action, resource, alias), (item.name, action, resource)
    assert seen > 100


def test_the_boundary_leaves_clusters_and_nodes_what_the_policies_of_aws_allow(pipeline: Pipeline) -> None:
    live = facts_of("live")
    for service, actions in AWS_POLICIES.items():
        for action in actions.split():
            resource = f"arn:aws:kms:{live.region}:{ACCOUNT}:key/1" if service == "kms" else "*"
            assert bounded(pipeline, live, f"{service}:{action}", resource), (service, action)


def test_a_boundary_holds_back_whoever_would_reach_another_stack_or_make_a_role(pipeline: Pipeline) -> None:
    everything = json.dumps({"Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]})

    def unbound(action: str, resource: str, **context: str) -> bool:
        request = Request(
            principal="",
            action=action,
            resource=f"arn:aws:{resource}",
            context={"aws:RequestedRegion": "eu-west-1", **keys(context)},
        )
        return role_may([everything], request, boundary=pipeline.boundary(EnvironmentName.DEV))

    assert unbound("s3:GetObject", "s3:::quikapp-dev-files-1/x")
    assert not unbound("s3:GetObject", "s3:::quikapp-live-files-1/x")
    assert not unbound("s3:GetObject", "s3:::quikapp-state-test-eu-west-1/.pulumi/stacks/quikapp/dev.json")
    group = f"ec2:eu-west-1:{ACCOUNT}:security-group/sg-1"
    assert unbound("ec2:AuthorizeSecurityGroupIngress", group, tagged="dev")
    assert not unbound("ec2:AuthorizeSecurityGroupIngress", group, tagged="live")
    key = f"kms:eu-west-1:{ACCOUNT}:key/1"
    assert unbound("kms:Decrypt", key, tagged="dev")
    assert not unbound("kms:Decrypt", key, tagged="live")
    assert not unbound("kms:Decrypt", key)
    for action in ("CreateRole", "PutRolePolicy", "AttachRolePolicy", "UpdateAssumeRolePolicy"):
        assert not unbound(f"iam:{action}", f"iam::{ACCOUNT}:role/quikapp-dev-x", boundary="any")
    assert not unbound("sts:AssumeRole", f"iam::{ACCOUNT}:role/administrator")
    node = f"iam::{ACCOUNT}:role/dev-cluster-node-1234567"
    assert unbound("iam:PassRole", node, service="ec2.amazonaws.com")
    assert not unbound("iam:PassRole", node, service="lambda.amazonaws.com")
    assert not unbound("iam:PassRole", f"iam::{ACCOUNT}:role/administrator", service="ec2.amazonaws.com")


def test_every_role_carries_the_boundary_that_the_stack_file_names_in_whichever_component_it_is(
    recorded: Recording[Environment], facts: EnvironmentFacts
) -> None:
    roles = recorded.of("aws:iam/role:Role")
    named = None if facts.name is UNBOUNDED else FACTS.boundary_arn(facts.name)
    assert len(roles) > 10
    assert {role.inputs.get("permissionsBoundary") for role in roles} == {named}


def bounded(
    pipeline: Pipeline, facts: EnvironmentFacts, action: str, resource: str, alias: str | None = None
) -> bool:
    """Whether a role of the stack that is allowed an action is left it by its boundary.

    A resource with an alias is a key of AWS's own, and has no tag; any other has the stack's.
    """
    region = resource.split(":")[3] if resource != "*" else ""
    allowed = json.dumps({"Statement": [{"Effect": "Allow", "Action": [action], "Resource": ["*"]}]})
    request = Request(
        principal="",
        action=action,
        resource=resource if resource == "*" else resource.replace("*", "x"),
        context={
            "aws:RequestedRegion": region if region not in {"", "*"} else facts.region,
            **(
                {"aws:ResourceTag/Environment": facts.name}
                if alias is None
                else {"kms:ResourceAliases": alias}
            ),
        },
    )
    return role_may([allowed], request, boundary=pipeline.boundary(facts.name))
