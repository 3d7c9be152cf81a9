"""The cluster: closed unless opened by name, encrypted, logged, bounded, and taken down in an order that works."""

import json
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from components.cluster import Cluster, ClusterArgs
from operations.versions import METRICS_SERVER_ADDON
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording, Resource

TAGS = {"owner": "platform", "cost-center": "4711"}
DEPLOYER = "arn:aws:iam::123456789012:role/deployer"
ENGINEER = "arn:aws:iam::210987654321:role/teams/platform/engineer"
READER = "arn:aws:iam::123456789012:user/reader"
OFFICE = IPv4Network("198.51.100.0/24")

CLUSTER = "aws:eks/cluster:Cluster"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
NODE_CLASS = "kubernetes:eks.amazonaws.com/v1:NodeClass"
STORAGE_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"

ARGS = ClusterArgs(
    cluster_name="quikapp-live",
    region="eu-west-1",
    kubernetes_version="1.36",
    subnet_ids=["subnet-1", "subnet-2"],
    zones=["eu-west-1a", "eu-west-1b"],
    cpu_limit=64,
    memory_limit_gib=256,
    administrators=[DEPLOYER, ENGINEER],
    viewers=[READER],
    api_access_cidrs=[],
    deletion_protection=False,
    log_retention_days=30,
    tags=TAGS,
)


def declare(record: Record, args: ClusterArgs = ARGS) -> Recording[Cluster]:
    return record(lambda: Cluster("eks", args))


def policies_of(recording: Recording[Cluster], role: str) -> set[str]:
    """Names of the managed policies of a role."""
    return {
        attachment.inputs["policyArn"].removeprefix("arn:aws:iam::aws:policy/")
        for attachment in recording.of(ATTACHMENT)
        if attachment.inputs["role"] == recording.one("aws:iam/role:Role", role).outputs["name"]
    }


def trust_of(recording: Recording[Cluster], role: str) -> tuple[Any, Any]:
    """Principal and actions by which a role is taken on."""
    policy = recording.one("aws:iam/role:Role", role).inputs["assumeRolePolicy"]
    (statement,) = json.loads(policy)["Statement"]
    return statement["Principal"], statement["Action"]


def in_cluster(recording: Recording[Cluster]) -> list[Resource]:
    return [resource for resource in recording.resources if resource.package == "kubernetes"]


def test_auto_mode_runs_compute_load_balancing_and_storage(record: Record) -> None:
    recording = declare(record)
    cluster = recording.one(CLUSTER).inputs
    assert cluster["computeConfig"] == {"enabled": True}
    assert cluster["kubernetesNetworkConfig"] == {"elasticLoadBalancing": {"enabled": True}}
    assert cluster["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert cluster["bootstrapSelfManagedAddons"] is False


def test_the_version_is_the_one_asked_and_never_costs_extended_support(record: Record) -> None:
    cluster = declare(record).one(CLUSTER).inputs
    assert (cluster["name"], cluster["version"]) == ("quikapp-live", "1.36")
    assert cluster["upgradePolicy"] == {"supportType": "STANDARD"}


def test_a_failing_zone_can_be_shifted_away_from(record: Record) -> None:
    assert declare(record).one(CLUSTER).inputs["zonalShiftConfig"] == {"enabled": True}


def test_without_ranges_the_api_answers_in_the_vpc_only(record: Record) -> None:
    vpc_config = declare(record).one(CLUSTER).inputs["vpcConfig"]
    assert vpc_config["endpointPrivateAccess"] is True
    assert vpc_config["endpointPublicAccess"] is False
    assert "publicAccessCidrs" not in vpc_config


def test_with_ranges_the_api_answers_these_and_the_vpc(record: Record) -> None:
    vpc_config = declare(record, replace(ARGS, api_access_cidrs=[OFFICE])).one(CLUSTER).inputs["vpcConfig"]
    assert vpc_config["endpointPrivateAccess"] is True
    assert vpc_config["endpointPublicAccess"] is True
    assert vpc_config["publicAccessCidrs"] == ["198.51.100.0/24"]


def test_an_api_open_to_the_internet_is_refused() -> None:
    with pytest.raises(ValueError, match="whole internet"):
        replace(ARGS, api_access_cidrs=[OFFICE, IPv4Network("0.0.0.0/0")])


def test_a_cluster_that_nobody_could_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="needs an administrator"):
        replace(ARGS, administrators=[])


@pytest.mark.parametrize(
    ("administrators", "viewers"), [([DEPLOYER, DEPLOYER], []), ([DEPLOYER], [READER, DEPLOYER])]
)
def test_a_principal_named_twice_is_refused(administrators: Sequence[str], viewers: Sequence[str]) -> None:
    with pytest.raises(ValueError, match="twice"):
        replace(ARGS, administrators=administrators, viewers=viewers)


def test_only_the_listed_principals_have_access(record: Record) -> None:
    recording = declare(record)
    assert recording.one(CLUSTER).inputs["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    assert {
        entry.inputs["principalArn"]: entry.inputs["type"]
        for entry in recording.of("aws:eks/accessEntry:AccessEntry")
    } == {
        DEPLOYER: "STANDARD",
        ENGINEER: "STANDARD",
        READER: "STANDARD",
        recording.one("aws:iam/role:Role", "eks-node").outputs["arn"]: "EC2",
    }


def test_administrators_may_do_everything_viewers_read_no_secrets_and_nodes_join(record: Record) -> None:
    recording = declare(record)
    granted = {
        association.inputs["principalArn"]: association.inputs["policyArn"]
        for association in recording.of(ASSOCIATION)
    }
    administration = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    assert granted == {
        DEPLOYER: administration,
        ENGINEER: administration,
        READER: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
        recording.one("aws:iam/role:Role", "eks-node").outputs["arn"]: (
            "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy"
        ),
    }


def test_policies_are_those_of_the_principals_partition(record: Record) -> None:
    args = replace(ARGS, administrators=["arn:aws-cn:iam::123456789012:role/deployer"], viewers=[])
    recording = declare(record, args)
    assert all(
        association.inputs["policyArn"].startswith("arn:aws-cn:eks::aws:")
        for association in recording.of(ASSOCIATION)
    )
    assert all(
        attachment.inputs["policyArn"].startswith("arn:aws-cn:iam::aws:policy/")
        for attachment in recording.of(ATTACHMENT)
    )


def test_the_cluster_role_has_what_auto_mode_needs_and_eks_alone_takes_it(record: Record) -> None:
    recording = declare(record)
    assert policies_of(recording, "eks-cluster") == {
        "AmazonEKSBlockStoragePolicyV2",
        "AmazonEKSClusterPolicy",
        "AmazonEKSComputePolicy",
        "AmazonEKSLoadBalancingPolicy",
        "AmazonEKSNetworkingPolicy",
    }
    assert trust_of(recording, "eks-cluster") == (
        {"Service": ["eks.amazonaws.com"]},
        ["sts:AssumeRole", "sts:TagSession"],
    )


def test_the_node_role_joins_and_pulls_images_and_no_more(record: Record) -> None:
    recording = declare(record)
    assert policies_of(recording, "eks-node") == {
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonEKSWorkerNodeMinimalPolicy",
    }
    assert trust_of(recording, "eks-node") == ({"Service": ["ec2.amazonaws.com"]}, ["sts:AssumeRole"])


def test_secrets_are_encrypted_with_a_key_of_their_own_that_rotates(record: Record) -> None:
    recording = declare(record)
    key = recording.one("aws:kms/key:Key")
    assert recording.one(CLUSTER).inputs["encryptionConfig"] == {
        "provider": {"keyArn": key.outputs["arn"]},
        "resources": ["secrets"],
    }
    assert key.inputs["enableKeyRotation"] is True
    assert recording.value(recording.result.kms_key_arn) == key.outputs["arn"]


def test_the_cluster_role_uses_this_key_only(record: Record) -> None:
    recording = declare(record)
    policy = recording.one("aws:iam/rolePolicy:RolePolicy", "eks-secrets").inputs["policy"]
    (grant,) = json.loads(policy)["Statement"]
    assert grant["Resource"] == [recording.one("aws:kms/key:Key").outputs["arn"]]


def test_auto_mode_may_tag_what_it_makes_for_this_cluster_and_nothing_else(record: Record) -> None:
    recording = declare(record)
    policy = recording.one("aws:iam/rolePolicy:RolePolicy", "eks-tagging")
    assert policy.inputs["role"] == recording.one("aws:iam/role:Role", "eks-cluster").outputs["name"]
    statements = json.loads(policy.inputs["policy"])["Statement"]
    assert {action for statement in statements for action in statement["Action"]} == {
        "ec2:CreateFleet",
        "ec2:CreateLaunchTemplate",
        "ec2:CreateNetworkInterface",
        "ec2:CreateVolume",
        "ec2:RunInstances",
    }
    for statement in statements:
        assert statement["Condition"]["StringEquals"] == {
            "aws:RequestTag/eks:eks-cluster-name": "${aws:PrincipalTag/eks:eks-cluster-name}"
        }
        (resource,) = statement["Resource"]
        assert resource.startswith("arn:aws:ec2:eu-west-1:123456789012:")


def test_the_whole_control_plane_is_logged_encrypted_for_the_days_asked(record: Record) -> None:
    recording = declare(record)
    cluster, log_group = recording.one(CLUSTER), recording.one("aws:cloudwatch/logGroup:LogGroup")
    assert sorted(cluster.inputs["enabledClusterLogTypes"]) == [
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    ]
    assert log_group.inputs["name"] == "/aws/eks/quikapp-live/cluster"
    assert log_group.inputs["retentionInDays"] == 30
    assert log_group.inputs["kmsKeyId"] == recording.one("aws:kms/key:Key").outputs["arn"]


def test_the_log_group_exists_before_eks_would_make_its_own(record: Record) -> None:
    recording = declare(record)
    log_group = recording.one("aws:cloudwatch/logGroup:LogGroup")
    assert log_group.urn in recording.one(CLUSTER).dependencies
    assert recording.one("aws:kms/keyPolicy:KeyPolicy").urn in log_group.dependencies


def test_permissions_outlive_the_cluster(record: Record) -> None:
    recording = declare(record)
    permissions = [*recording.of(ATTACHMENT), *recording.of("aws:iam/rolePolicy:RolePolicy")]
    assert {permission.urn for permission in permissions} <= recording.one(CLUSTER).dependencies


def test_what_is_in_the_cluster_goes_before_the_cluster_and_its_administrators(record: Record) -> None:
    recording = declare(record)
    provider = recording.one("pulumi:providers:kubernetes")
    administration = {
        association.urn
        for association in recording.of(ASSOCIATION)
        if association.inputs["principalArn"] in (DEPLOYER, ENGINEER)
    }
    assert in_cluster(recording)
    assert all(resource.provider == f"{provider.urn}::{provider.id}" for resource in in_cluster(recording))
    assert {recording.one(CLUSTER).urn, *administration} <= provider.dependencies


def test_administration_has_time_to_come_into_force_before_the_cluster_is_spoken_to(record: Record) -> None:
    recording = declare(record)
    administration = {
        association.urn
        for association in recording.of(ASSOCIATION)
        if association.inputs["principalArn"] in (DEPLOYER, ENGINEER)
    }
    assert administration <= recording.one("aws:eks/accessEntry:AccessEntry", "eks-node").dependencies
    assert (
        recording.one(ASSOCIATION, "eks-node").urn
        in recording.one("pulumi:providers:kubernetes").dependencies
    )


@pytest.mark.parametrize("protection", [True, False])
def test_deletion_protection_binds_aws_and_pulumi_alike(record: Record, protection: bool) -> None:
    recording = declare(record, replace(ARGS, deletion_protection=protection))
    assert recording.one(CLUSTER).inputs["deletionProtection"] is protection
    assert {resource.token for resource in recording.resources if resource.protect} == (
        {CLUSTER, "aws:kms/key:Key"} if protection else set[str]()
    )


def test_the_kubeconfig_asks_for_a_token_and_holds_no_secret(record: Record) -> None:
    recording = declare(record)
    cluster = recording.one(CLUSTER)
    config = json.loads(recording.one("pulumi:providers:kubernetes").inputs["kubeconfig"])
    assert config["clusters"][0]["cluster"] == {
        "server": cluster.outputs["endpoint"],
        "certificate-authority-data": cluster.outputs["certificateAuthority"]["data"],
    }
    assert list(config["users"][0]["user"]) == ["exec"]
    assert config["users"][0]["user"]["exec"]["command"] == "aws"
    assert config["users"][0]["user"]["exec"]["args"] == [
        "eks",
        "get-token",
        "--cluster-name",
        "quikapp-live",
        "--region",
        "eu-west-1",
    ]


def test_the_provider_knows_the_cluster_by_name_and_applies_on_the_server(record: Record) -> None:
    provider = declare(record).one("pulumi:providers:kubernetes").inputs
    assert provider["clusterIdentifier"] == "eu-west-1/quikapp-live"
    assert provider["enableServerSideApply"] in (True, "true")


def test_a_preview_knows_the_cluster_identifier_before_the_cluster_exists(record: Record) -> None:
    previewed = record(lambda: Cluster("eks", ARGS), preview=True)
    provider = previewed.one("pulumi:providers:kubernetes").inputs
    assert provider["clusterIdentifier"] == "eu-west-1/quikapp-live"


def test_nodes_stop_growing_at_the_limits(record: Record) -> None:
    spec = declare(record).one(NODE_POOL).inputs["spec"]
    assert spec["limits"] == {"cpu": "64", "memory": "256Gi"}


def test_nodes_are_on_demand_current_and_in_the_zones_of_the_network(record: Record) -> None:
    template = declare(record).one(NODE_POOL).inputs["spec"]["template"]["spec"]
    assert template["nodeClassRef"] == {
        "group": "eks.amazonaws.com",
        "kind": "NodeClass",
        "name": "applications",
    }
    assert {entry["key"]: (entry["operator"], entry["values"]) for entry in template["requirements"]} == {
        "karpenter.sh/capacity-type": ("In", ["on-demand"]),
        "kubernetes.io/arch": ("In", ["amd64"]),
        "topology.kubernetes.io/zone": ("In", ["eu-west-1a", "eu-west-1b"]),
        "eks.amazonaws.com/instance-category": ("In", ["c", "m", "r"]),
        "eks.amazonaws.com/instance-generation": ("Gt", ["4"]),
    }


def test_nodes_are_in_the_private_subnets_behind_the_clusters_group_and_carry_its_tags(
    record: Record,
) -> None:
    recording = declare(record)
    node_class = recording.one(NODE_CLASS).inputs
    assert node_class["metadata"] == {"name": "applications"}
    assert node_class["spec"] == {
        "role": recording.one("aws:iam/role:Role", "eks-node").outputs["name"],
        "subnetSelectorTerms": [{"id": "subnet-1"}, {"id": "subnet-2"}],
        "securityGroupSelectorTerms": [
            {"id": recording.one(CLUSTER).outputs["vpcConfig"]["clusterSecurityGroupId"]}
        ],
        "networkPolicy": "DefaultAllow",
        "tags": TAGS,
    }


def test_nodes_have_access_for_as_long_as_there_are_nodes(record: Record) -> None:
    recording = declare(record)
    joining = recording.one(ASSOCIATION, "eks-node")
    assert recording.one("aws:eks/accessEntry:AccessEntry", "eks-node").urn in joining.dependencies
    assert joining.urn in recording.one(NODE_CLASS).dependencies
    assert recording.one(NODE_CLASS).urn in recording.one(NODE_POOL).dependencies


def test_no_node_starts_before_network_policies_are_enforced(record: Record) -> None:
    recording = declare(record)
    assert recording.one("kubernetes:core/v1:ConfigMap").urn in recording.one(NODE_POOL).dependencies


def test_nodes_are_disrupted_a_few_at_a_time_and_never_grow_old(record: Record) -> None:
    spec = declare(record).one(NODE_POOL).inputs["spec"]
    assert spec["disruption"]["budgets"] == [{"nodes": "10%"}]
    assert spec["template"]["spec"]["expireAfter"] == "336h"


def test_volumes_are_encrypted_by_default_and_made_where_their_pod_runs(record: Record) -> None:
    storage = declare(record).one(STORAGE_CLASS).inputs
    assert storage["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert storage["provisioner"] == "ebs.csi.eks.amazonaws.com"
    assert storage["parameters"].items() >= {"type": "gp3", "encrypted": "true"}.items()
    assert storage["volumeBindingMode"] == "WaitForFirstConsumer"


def test_volumes_carry_the_tags_of_the_cluster(record: Record) -> None:
    parameters = declare(record).one(STORAGE_CLASS).inputs["parameters"]
    assert {value for key, value in parameters.items() if key.startswith("tagSpecification_")} == {
        "owner=platform",
        "cost-center=4711",
    }


def test_network_policies_are_enforced(record: Record) -> None:
    switch = declare(record).one("kubernetes:core/v1:ConfigMap").inputs
    assert switch["metadata"] == {"name": "amazon-vpc-cni", "namespace": "kube-system"}
    assert switch["data"] == {"enable-network-policy-controller": "true"}


def test_autoscaling_has_its_metrics_once_there_are_nodes(record: Record) -> None:
    recording = declare(record)
    addon = recording.one("aws:eks/addon:Addon")
    assert (addon.inputs["addonName"], addon.inputs["addonVersion"]) == (
        "metrics-server",
        METRICS_SERVER_ADDON,
    )
    assert recording.one(NODE_POOL).urn in addon.dependencies


def test_the_outputs_are_those_of_the_cluster(record: Record) -> None:
    recording = declare(record)
    cluster, outputs = recording.one(CLUSTER), recording.result
    assert recording.value(outputs.cluster_name) == "quikapp-live"
    assert recording.value(outputs.endpoint) == cluster.outputs["endpoint"]
    assert (
        recording.value(outputs.security_group_id) == cluster.outputs["vpcConfig"]["clusterSecurityGroupId"]
    )


def test_it_is_tagged_in_its_region_and_of_least_privilege(record: Record) -> None:
    recording = declare(record, replace(ARGS, api_access_cidrs=[OFFICE]))
    recording.assert_tagged(TAGS)
    recording.assert_in_region("eu-west-1")
    recording.assert_least_privilege()


def test_everything_belongs_to_the_cluster(record: Record) -> None:
    recording = declare(record)
    cluster = recording.one("quikapp:cluster:Cluster")
    assert {child.parent for child in recording.resources if child is not cluster} == {cluster.urn}


def test_what_is_declared_beside_it_runs_in_it(record: Record) -> None:
    def build() -> None:
        cluster = Cluster("eks", ARGS)
        neighbor = pulumi.ComponentResource(
            "quikapp:test:Neighbor", "neighbor", None, pulumi.ResourceOptions(providers=[cluster.provider])
        )
        kubernetes.core.v1.Namespace("namespace", opts=pulumi.ResourceOptions(parent=neighbor))
        neighbor.register_outputs({})

    recording = record(build)
    provider = recording.one("pulumi:providers:kubernetes")
    assert recording.one("kubernetes:core/v1:Namespace").provider == f"{provider.urn}::{provider.id}"
