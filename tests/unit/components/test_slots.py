"""A slot: what runs in it at each capacity, what reaches it, and what it may reach."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.slots import (
    Collector,
    DatabaseAccess,
    FilesAccess,
    Slot,
    SlotArgs,
    Telemetry,
    cpu_target_percent,
)
from operations.release import SlotCapacity
from operations.services import Replicas, Resources, Service, Use
from operations.slots import Slot as SlotName
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording, Resource

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
AUTOSCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a type token
SERVICE = "kubernetes:core/v1:Service"
ACCOUNT = "kubernetes:core/v1:ServiceAccount"
NAMESPACE = "kubernetes:core/v1:Namespace"
ROLE = "aws:iam/role:Role"
GRANTS = "aws:iam/rolePolicy:RolePolicy"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"

SIGNING_KEY = "correct-horse-battery-staple"
USER_ARN = "arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-ABC/quikapp"
BUCKET_ARN = "arn:aws:s3:::quikapp-live-files"
KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"

API = Service(
    image="registry.example.com/quikapp/api",
    port=8080,
    path="/api",
    health_path="/healthz",
    resources=Resources(cpu_millicores=500, memory_mib=512),
    uses=frozenset({Use.DATABASE, Use.FILES}),
    secrets=("session-signing-key",),
    env={"LOG_LEVEL": "info"},
)
WEB = Service(
    image="registry.example.com/quikapp/web",
    port=3000,
    path="/",
    health_path="/",
    resources=Resources(cpu_millicores=250, memory_mib=256),
    replicas=Replicas(min=2, max=4),
)


def arguments(**changes: Any) -> SlotArgs:
    args = SlotArgs(
        slot=SlotName.BLUE,
        namespace="quikapp-blue",
        version="v2.4.0",
        capacity=SlotCapacity.SERVING,
        services={"api": API, "web": WEB},
        replicas=Replicas(min=6, max=60),
        zones=3,
        drain_seconds=45,
        ingress_cidrs=["10.50.224.0/22", "10.50.228.0/22"],
        network_cidr="10.50.0.0/16",
        database=DatabaseAccess(
            host="db.internal", port=5432, name="quikapp", user="quikapp", user_arn=USER_ARN
        ),
        files=FilesAccess(bucket="quikapp-live-files", bucket_arn=BUCKET_ARN, key_arn=KEY_ARN),
        secrets={
            "session-signing-key": pulumi.Output.secret(SIGNING_KEY),
            "somebody-elses": pulumi.Output.secret("not for this service"),
        },
        monitoring_namespace="monitoring",
        cluster_name="quikapp-live",
        region="eu-west-1",
        tags={"owner": "platform"},
    )
    return replace(args, **changes)


def building(**changes: Any) -> Callable[[], Slot]:
    return lambda: Slot("quikapp-live-blue", arguments(**changes))


def called(recording: Recording[Slot], token: str, name: str) -> Resource:
    """The object of a kind with this name in the namespace."""
    return next(r for r in recording.of(token) if r.inputs["metadata"].get("name") == name)


def pod(recording: Recording[Slot], service: str) -> Mapping[str, Any]:
    return called(recording, DEPLOYMENT, service).inputs["spec"]["template"]["spec"]


def container(recording: Recording[Slot], service: str) -> Mapping[str, Any]:
    (only,) = pod(recording, service)["containers"]
    return only


def environment(recording: Recording[Slot], service: str) -> Mapping[str, Any]:
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in container(recording, service)["env"]}


def egress(recording: Recording[Slot], policy: str) -> list[tuple[str, int]]:
    return [
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in called(recording, POLICY, policy).inputs["spec"].get("egress", [])
        for peer in rule["to"]
        for port in rule["ports"]
    ]


# Telemetry

JAEGER = Collector(namespace="monitoring", name="jaeger", host="jaeger.monitoring.svc", port=4318)
AGENT = Collector(
    namespace="monitoring", name="datadog-agent", host="datadog-agent.monitoring.svc", port=8126
)
TRACED = Telemetry(environment="live", traces=JAEGER, sampling_ratio=0.05)


def reached(recording: Recording[Slot], service: str) -> list[tuple[str, str, int]]:
    """Pods in other namespaces that a service may call: namespace, name, port."""
    return [
        (
            peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"],
            port["port"],
        )
        for rule in called(recording, POLICY, service).inputs["spec"].get("egress", [])
        for peer in rule["to"]
        if "namespaceSelector" in peer
        for port in rule["ports"]
    ]


def test_a_service_is_told_where_its_traces_go_and_how_many_are_taken(record: Record) -> None:
    recording = record(building(telemetry=TRACED))
    told = {
        name: value
        for name, value in environment(recording, "api").items()
        if name.startswith(("OTEL", "DD"))
    }
    assert told == {
        "OTEL_SERVICE_NAME": "api",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=live,service.version=v2.4.0,slot=blue",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger.monitoring.svc:4318",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.05",
    }
    assert reached(recording, "api") == [("monitoring", "jaeger", 4318)]


def test_a_service_is_told_of_datadogs_agent_where_there_is_one(record: Record) -> None:
    recording = record(building(telemetry=replace(TRACED, apm=AGENT)))
    told = {name: value for name, value in environment(recording, "web").items() if name.startswith("DD")}
    assert told == {
        "DD_AGENT_HOST": "datadog-agent.monitoring.svc",
        "DD_TRACE_AGENT_PORT": "8126",
        "DD_ENV": "live",
        "DD_SERVICE": "web",
        "DD_VERSION": "v2.4.0",
    }
    assert reached(recording, "web") == [
        ("monitoring", "jaeger", 4318),
        ("monitoring", "datadog-agent", 8126),
    ]


def test_without_telemetry_a_service_is_told_nothing_and_reaches_nobody(record: Record) -> None:
    recording = record(building())
    assert [name for name in environment(recording, "api") if name.startswith(("OTEL", "DD"))] == []
    assert reached(recording, "api") == []


# Capacity


@pytest.mark.parametrize("capacity", [SlotCapacity.SERVING, SlotCapacity.FULL])
def test_a_serving_or_full_slot_scales_between_the_minimum_and_the_maximum(
    record: Record, capacity: SlotCapacity
) -> None:
    recording = record(building(capacity=capacity))
    spec = called(recording, AUTOSCALER, "api").inputs["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (6, 60)


def test_a_service_may_have_a_range_of_its_own(record: Record) -> None:
    spec = called(record(building()), AUTOSCALER, "web").inputs["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 4)


def test_a_warm_slot_runs_one_replica_and_may_grow_to_the_maximum(record: Record) -> None:
    spec = called(record(building(capacity=SlotCapacity.WARM)), AUTOSCALER, "api").inputs["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 60)


@pytest.mark.parametrize("capacity", [SlotCapacity.SERVING, SlotCapacity.FULL, SlotCapacity.WARM])
def test_the_autoscaler_alone_decides_the_number_of_replicas(record: Record, capacity: SlotCapacity) -> None:
    for deployment in record(building(capacity=capacity)).of(DEPLOYMENT):
        assert "replicas" not in deployment.inputs["spec"]


def test_a_cold_slot_runs_nothing_and_nothing_scales_it_up(record: Record) -> None:
    recording = record(building(capacity=SlotCapacity.COLD))
    assert [d.inputs["spec"]["replicas"] for d in recording.of(DEPLOYMENT)] == [0, 0]
    assert recording.of(AUTOSCALER) == []
    assert recording.of(BUDGET) == []


def test_a_cold_slot_keeps_everything_but_its_pods(record: Record) -> None:
    def kept(capacity: SlotCapacity) -> set[str]:
        resources = record(building(capacity=capacity)).resources
        return {r.urn for r in resources if r.token not in (AUTOSCALER, BUDGET)}

    assert kept(SlotCapacity.COLD) == kept(SlotCapacity.SERVING)


def test_a_slot_that_turns_cold_takes_the_replicas_back_from_the_autoscaler(record: Record) -> None:
    for deployment in record(building(capacity=SlotCapacity.COLD)).of(DEPLOYMENT):
        assert deployment.inputs["metadata"]["annotations"]["pulumi.com/patchForce"] == "true"


def test_capacity_never_changes_what_a_pod_is_made_of(record: Record) -> None:
    """Or a weight that moves in the load balancer would roll pods."""
    templates = [
        called(record(building(capacity=capacity)), DEPLOYMENT, "api").inputs["spec"]["template"]
        for capacity in SlotCapacity
    ]
    assert all(template == templates[0] for template in templates)


def test_the_autoscaler_aims_at_sixty_percent_so_that_it_acts_before_the_warning_at_seventy(
    record: Record,
) -> None:
    (metric,) = called(record(building()), AUTOSCALER, "api").inputs["spec"]["metrics"]
    assert metric["resource"]["name"] == "cpu"
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 60}
    assert cpu_target_percent() * 1.1 < 70


def test_a_slot_without_weight_keeps_its_size_for_an_hour_so_that_a_rollback_finds_it(record: Record) -> None:
    down = called(record(building()), AUTOSCALER, "api").inputs["spec"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] == 3600
    assert down["policies"] == [{"type": "Percent", "value": 10, "periodSeconds": 60}]


def test_a_disruption_takes_a_tenth_of_the_pods_at_most_and_a_single_replica_blocks_no_drain(
    record: Record,
) -> None:
    for budget in record(building(capacity=SlotCapacity.WARM)).of(BUDGET):
        # A percentage of unavailable pods is rounded up: at least one may always go.
        assert budget.inputs["spec"]["maxUnavailable"] == "10%"
        assert "minAvailable" not in budget.inputs["spec"]
        assert budget.inputs["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


# Hardening


def test_the_namespace_refuses_pods_that_are_not_restricted_by_the_rules_of_one_version(
    record: Record,
) -> None:
    labels = record(building()).one(NAMESPACE).inputs["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "v1.36"


def test_a_rollout_waits_for_the_load_balancer(record: Record) -> None:
    labels = record(building()).one(NAMESPACE).inputs["metadata"]["labels"]
    assert labels["eks.amazonaws.com/pod-readiness-gate-inject"] == "enabled"
    assert "readinessGates" not in pod(record(building()), "api"), "only EKS sets the condition"


def test_a_container_has_no_privilege_and_cannot_write_to_its_image(record: Record) -> None:
    recording = record(building())
    for service in ("api", "web"):
        assert pod(recording, service)["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert container(recording, service)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert container(recording, service)["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
        assert pod(recording, service)["volumes"] == [{"name": "tmp", "emptyDir": {}}]


def test_a_pod_gets_no_token_of_the_kubernetes_api(record: Record) -> None:
    recording = record(building())
    for service in ("api", "web"):
        assert pod(recording, service)["automountServiceAccountToken"] is False
        assert called(recording, ACCOUNT, service).inputs["automountServiceAccountToken"] is False
        assert pod(recording, service)["serviceAccountName"] == service


def test_limits_equal_requests_so_that_the_metrics_and_the_autoscaler_measure_the_same(
    record: Record,
) -> None:
    resources = container(record(building()), "api")["resources"]
    assert resources == {
        "requests": {"cpu": "500m", "memory": "512Mi"},
        "limits": {"cpu": "500m", "memory": "512Mi"},
    }


def test_probes_ask_the_health_path(record: Record) -> None:
    api = container(record(building()), "api")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert api[probe]["httpGet"] == {"path": "/healthz", "port": "http"}


def test_a_pod_that_is_starting_is_not_killed_for_being_slow(record: Record) -> None:
    probe = container(record(building()), "api")["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 120


# Availability


@pytest.mark.parametrize(("zones", "expected"), [(3, "DoNotSchedule"), (2, "ScheduleAnyway")])
def test_pods_of_one_revision_spread_over_zones_and_hosts(record: Record, zones: int, expected: str) -> None:
    zone, host = pod(record(building(zones=zones)), "api")["topologySpreadConstraints"]
    assert (zone["topologyKey"], zone["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", expected)
    assert (host["topologyKey"], host["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    for constraint in (zone, host):
        assert constraint["maxSkew"] == 1
        assert constraint["matchLabelKeys"] == ["pod-template-hash"]
        assert constraint["labelSelector"]["matchLabels"]["app.kubernetes.io/name"] == "api"


def test_a_rollout_never_has_fewer_pods_than_before(record: Record) -> None:
    strategy = called(record(building()), DEPLOYMENT, "api").inputs["spec"]["strategy"]
    assert strategy == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
    }


def test_a_pod_keeps_serving_while_it_is_deregistered_and_then_has_time_to_finish(record: Record) -> None:
    recording = record(building(drain_seconds=45))
    assert container(recording, "api")["lifecycle"]["preStop"] == {"sleep": {"seconds": 45}}
    assert pod(recording, "api")["terminationGracePeriodSeconds"] == 75


# Release


def test_every_image_has_the_tag_of_the_slots_version(record: Record) -> None:
    recording = record(building(version="v2.4.0"))
    assert container(recording, "api")["image"] == "registry.example.com/quikapp/api:v2.4.0"
    assert container(recording, "web")["image"] == "registry.example.com/quikapp/web:v2.4.0"


def test_the_key_metrics_find_a_pod_by_namespace_container_and_labels(record: Record) -> None:
    recording = record(building())
    deployment = called(recording, DEPLOYMENT, "api").inputs
    assert deployment["metadata"]["namespace"] == "quikapp-blue"
    assert container(recording, "api")["name"] == "api"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/instance"] == "blue"
    assert labels["app.kubernetes.io/name"] == "api"
    assert labels["app.kubernetes.io/version"] == "v2.4.0"


def test_a_new_version_keeps_the_selectors_which_nobody_can_change(record: Record) -> None:
    def selectors(version: str) -> list[Any]:
        recording = record(building(version=version))
        return [r.inputs["spec"]["selector"] for token in (DEPLOYMENT, SERVICE) for r in recording.of(token)]

    assert selectors("v2.4.0") == selectors("v2.5.0")


def test_a_pod_knows_its_slot_its_version_and_what_it_uses(record: Record) -> None:
    recording = record(building())
    plain = {k: v for k, v in environment(recording, "api").items() if isinstance(v, str)}
    assert plain == {
        "LOG_LEVEL": "info",
        "SLOT": "blue",
        "VERSION": "v2.4.0",
        "DATABASE_HOST": "db.internal",
        "DATABASE_PORT": "5432",
        "DATABASE_NAME": "quikapp",
        "DATABASE_USER": "quikapp",
        "FILES_BUCKET": "quikapp-live-files",
    }
    assert environment(recording, "web") == {"SLOT": "blue", "VERSION": "v2.4.0"}


# Secrets


def test_a_secret_reaches_only_the_service_that_names_it_and_only_by_reference(record: Record) -> None:
    recording = record(building())
    secret = recording.one(SECRET)
    assert secret.inputs["stringData"] == {"session-signing-key": SIGNING_KEY}
    reference = environment(recording, "api")["SESSION_SIGNING_KEY"]["secretKeyRef"]
    assert reference["key"] == "session-signing-key"
    assert secret.urn in called(recording, DEPLOYMENT, "api").dependencies
    assert not any("secretKeyRef" in str(value) for value in environment(recording, "web").values())


def test_no_secret_value_is_anywhere_in_plain_text(record: Record) -> None:
    recording = record(building())
    recording.assert_hidden(SIGNING_KEY)
    recording.assert_hidden("not for this service")
    holders = {r.token for r in recording.resources if SIGNING_KEY in str(r.inputs)}
    assert holders == {SECRET}


def test_a_changed_secret_gets_a_new_name_that_says_nothing_about_its_value(record: Record) -> None:
    """Pulumi names it, and replaces it when its data changes; the Deployment follows the name."""
    secret = record(building()).one(SECRET)
    assert secret.inputs["immutable"] is True
    assert "name" not in secret.inputs["metadata"]
    assert not any(
        "hash" in key or "checksum" in key for key in secret.inputs["metadata"].get("annotations", {})
    )


# Network


def test_a_namespace_denies_all_traffic_before_its_first_pod(record: Record) -> None:
    recording = record(building())
    denial = called(recording, POLICY, "deny-all")
    assert denial.inputs["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for deployment in recording.of(DEPLOYMENT):
        assert denial.urn in deployment.dependencies
        assert recording.one(NAMESPACE).urn in deployment.dependencies


def test_only_the_load_balancer_siblings_and_prometheus_reach_a_service_and_only_its_port(
    record: Record,
) -> None:
    (rule,) = called(record(building()), POLICY, "api").inputs["spec"]["ingress"]
    assert rule["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert rule["from"] == [
        {"ipBlock": {"cidr": "10.50.224.0/22"}},
        {"ipBlock": {"cidr": "10.50.228.0/22"}},
        {"podSelector": {}},
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
        },
    ]


def test_a_policy_applies_to_a_service_since_its_port_is_the_containers(record: Record) -> None:
    recording = record(building())
    (port,) = called(recording, SERVICE, "api").inputs["spec"]["ports"]
    (container_port,) = container(recording, "api")["ports"]
    assert (port["name"], port["port"]) == (container_port["name"], container_port["containerPort"])


def test_a_service_reaches_what_it_uses_and_nothing_else(record: Record) -> None:
    recording = record(building())
    assert egress(recording, "api") == [
        ("169.254.170.23/32", 80),
        ("10.50.0.0/16", 5432),
        ("0.0.0.0/0", 443),
    ]
    assert egress(recording, "web") == []


def test_access_to_s3_opens_no_private_address(record: Record) -> None:
    rules = called(record(building()), POLICY, "api").inputs["spec"]["egress"]
    (public,) = [
        peer["ipBlock"] for rule in rules for peer in rule["to"] if peer["ipBlock"]["cidr"] == "0.0.0.0/0"
    ]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(public["except"])


def test_names_are_resolved_inside_the_cluster_and_not_by_the_internet(record: Record) -> None:
    peers = egress(record(building()), "resolve-names")
    assert {port for _, port in peers} == {53}
    assert "0.0.0.0/0" not in {cidr for cidr, _ in peers}


def test_a_service_that_uses_files_can_still_resolve_names(record: Record) -> None:
    """EKS lets an exception of one rule deny what another allows, unless both name the same block."""
    recording = record(building())
    rules = called(recording, POLICY, "api").inputs["spec"]["egress"]
    excepted = {block for rule in rules for peer in rule["to"] for block in peer["ipBlock"].get("except", [])}
    assert excepted
    assert excepted == {cidr for cidr, _ in egress(recording, "resolve-names")}


def test_nothing_is_open_to_the_world(record: Record) -> None:
    for service in record(building()).of(SERVICE):
        assert service.inputs["spec"]["type"] == "ClusterIP"


# Access to AWS


def test_a_role_grants_exactly_what_the_service_uses(record: Record) -> None:
    recording = record(building())
    statements = json.loads(recording.one(GRANTS).inputs["policy"])["Statement"]
    assert {
        (action, statement["Resource"][0]) for statement in statements for action in statement["Action"]
    } == {
        ("rds-db:connect", USER_ARN),
        ("s3:GetObject", f"{BUCKET_ARN}/*"),
        ("s3:PutObject", f"{BUCKET_ARN}/*"),
        ("s3:DeleteObject", f"{BUCKET_ARN}/*"),
        ("s3:AbortMultipartUpload", f"{BUCKET_ARN}/*"),
        ("s3:ListBucket", BUCKET_ARN),
        ("kms:Decrypt", KEY_ARN),
        ("kms:GenerateDataKey", KEY_ARN),
    }
    recording.assert_least_privilege()


def test_a_service_that_uses_nothing_has_no_role(record: Record) -> None:
    recording = record(building(services={"web": WEB}, database=None, files=None))
    assert recording.of(ROLE) == []
    assert recording.of(ASSOCIATION) == []


def test_only_the_services_own_account_in_its_slot_and_cluster_takes_the_role_on(record: Record) -> None:
    recording = record(building())
    (statement,) = json.loads(recording.one(ROLE).inputs["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": ["pods.eks.amazonaws.com"]}
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert statement["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-name": "quikapp-live",
        "aws:RequestTag/kubernetes-namespace": "quikapp-blue",
        "aws:RequestTag/kubernetes-service-account": "api",
    }
    association = recording.one(ASSOCIATION).inputs
    assert (association["namespace"], association["serviceAccount"]) == ("quikapp-blue", "api")


def test_a_pod_starts_once_its_rights_are_there(record: Record) -> None:
    recording = record(building())
    needed = {recording.one(GRANTS).urn, recording.one(ASSOCIATION).urn}
    assert needed <= called(recording, DEPLOYMENT, "api").dependencies


def test_a_role_name_is_the_applications_own_and_fits_iam_however_long_the_service_is_called(
    record: Record,
) -> None:
    names = ("a" * 60 + "-x", "a" * 60 + "-y")
    recording = record(lambda: Slot("live-blue", arguments(services=dict.fromkeys(names, API))))
    roles = [role.inputs["name"] for role in recording.of(ROLE)]
    assert all(len(role) <= 64 and role.startswith("quikapp-") for role in roles)
    assert len(set(roles)) == 2


def test_what_a_change_request_brought_is_marked_with_it_and_no_pod_starts_anew_for_another(
    record: Record,
) -> None:
    approved = record(building(change_request="CHG0030042"))
    for deployment in approved.of(DEPLOYMENT):
        assert deployment.inputs["metadata"]["annotations"]["kubernetes.io/change-cause"] == "CHG0030042"
        other = called(
            record(building(change_request="CHG0030043")), DEPLOYMENT, deployment.inputs["metadata"]["name"]
        )
        assert other.inputs["spec"] == deployment.inputs["spec"]
    tagged = [*approved.of(ROLE), *approved.of(ASSOCIATION)]
    assert {resource.inputs["tags"]["ChangeRequest"] for resource in tagged} == {"CHG0030042"}


def test_what_took_no_change_request_is_marked_with_none(record: Record) -> None:
    made = record(building())
    assert not [
        d for d in made.of(DEPLOYMENT) if "kubernetes.io/change-cause" in d.inputs["metadata"]["annotations"]
    ]
    assert not [r for r in [*made.of(ROLE), *made.of(ASSOCIATION)] if "ChangeRequest" in r.inputs["tags"]]


def test_every_aws_resource_is_tagged(record: Record) -> None:
    record(building()).assert_tagged({"owner": "platform"})


# The component


def test_outputs_name_the_namespace_and_the_services(record: Record) -> None:
    recording = record(building())
    slot = recording.result
    assert recording.value(slot.namespace) == "quikapp-blue"
    assert {name: recording.value(output) for name, output in slot.services.items()} == {
        "api": "api",
        "web": "web",
    }


def test_each_further_service_takes_as_many_resources_as_the_one_before(record: Record) -> None:
    def count(services: int) -> int:
        return len(record(building(services={f"s{i}": API for i in range(services)})).resources)

    assert count(4) - count(3) == count(2) - count(1)


def test_a_preview_needs_no_output_of_a_resource_for_its_names(record: Record) -> None:
    recording = record(building(), preview=True)
    for deployment in recording.of(DEPLOYMENT):
        assert deployment.inputs["metadata"]["namespace"] == "quikapp-blue"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"database": None}, "api uses the database"),
        ({"files": None}, "api uses files"),
        ({"secrets": {}}, "api needs the secret session-signing-key"),
    ],
)
def test_a_slot_that_lacks_what_a_service_needs_is_refused(
    record: Record, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        record(lambda: arguments(**changes))
