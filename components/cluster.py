"""The Kubernetes cluster of one environment: EKS Auto Mode, who may use it, and how far it may grow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import encrypted_log
from components.encrypted_log import EncryptedLogArgs
from components.policies import Arn, Statement, policy_document, trust_policy
from operations.versions import METRICS_SERVER_ADDON

CLUSTER_POLICIES: Final = (
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicyV2",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
"""What Auto Mode does on the cluster's behalf.

Source: https://docs.aws.amazon.com/eks/latest/userguide/automode-get-started-cli.html
"""

NODE_POLICIES: Final = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")
"""What a node does: join, take on pod identities, pull images.

Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-create-node-role.html
"""

CONTROL_PLANE_LOGS: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
"""All there are. Source: https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html"""

NODE_POOL: Final = "applications"
"""The pool of all nodes, and the class that says what a node of it is like."""

STORAGE_CLASS: Final = "gp3"


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """What a cluster is made of.

    Raises ValueError when nobody administers it, when a principal is named twice, or when the whole internet
    would reach its API.
    """

    cluster_name: str
    """At most 100 characters: letters, digits, hyphens and underscores."""
    region: str
    """AWS region, such as `eu-west-1`."""
    kubernetes_version: str
    """Minor version, such as `1.36`."""
    subnet_ids: Sequence[pulumi.Input[str]]
    """Private subnets in at least two zones; nodes and pods live there."""
    zones: Sequence[str]
    """Full names of the zones in which nodes may start, such as `eu-west-1a`."""
    cpu_limit: int
    """Cores of all nodes of the pool together."""
    memory_limit_gib: int
    """GiB of all nodes of the pool together."""
    administrators: Sequence[str]
    """ARNs of the IAM roles and users that may do everything. Whoever runs the program must be one of them."""
    viewers: Sequence[str]
    """ARNs of the IAM roles and users that may read everything but secrets."""
    api_access_cidrs: Sequence[IPv4Network]
    """Public ranges that reach the API; with none, only the VPC and what is connected to it does."""
    deletion_protection: bool
    """Whether EKS and Pulumi both refuse to delete the cluster, and Pulumi its key."""
    log_retention_days: int
    """Days that control plane logs are kept; a period that CloudWatch Logs offers."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        principals = [*self.administrators, *self.viewers]
        if not self.administrators:
            raise ValueError("a cluster needs an administrator, or not even this program could reach it")
        if len(set(principals)) != len(principals):
            raise ValueError(
                f"each principal takes one access entry, so none may be named twice: {principals}"
            )
        if any(network.prefixlen == 0 for network in self.api_access_cidrs):
            raise ValueError("the Kubernetes API must not be open to the whole internet")


class Cluster(pulumi.ComponentResource):
    """An EKS Auto Mode cluster with a bounded node pool, encrypted storage, network policies and metrics.

    AWS runs nodes, load balancing, block storage, DNS and pod identities. The built-in pools are off, since nothing
    bounds or tags their nodes: everything, add-ons too, runs in the pool `applications`, whose limits are the ceiling
    of what an environment can cost. No node starts before network policies are enforced, and nodes and volumes carry
    the tags of the cluster.

    The cluster's creator gets no standing, invisible administration; administrators are the ones listed, and the
    Kubernetes provider waits until they are in place.
    """

    cluster_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    """The group that EKS makes for the cluster, which nodes and pods share."""
    kms_key_arn: pulumi.Output[str]
    """Key of the cluster's secrets and control plane logs."""
    storage_class: pulumi.Output[str]
    """The default class of storage, once it exists."""
    provider: kubernetes.Provider

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:cluster:Cluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # Administrators are in the cluster's own partition, and they are known before anything exists.
        partition = Arn.parse(args.administrators[0]).partition

        def tags(label: str) -> dict[str, str]:
            return {**args.tags, "Name": f"{args.cluster_name}-{label}"}

        def attach(role: aws.iam.Role, label: str, policies: Sequence[str]) -> list[pulumi.Resource]:
            return [
                aws.iam.RolePolicyAttachment(
                    f"{name}-{label}-{policy}",
                    role=role.name,
                    policy_arn=f"arn:{partition}:iam::aws:policy/{policy}",
                    opts=child,
                )
                for policy in policies
            ]

        log_group, key, _ = encrypted_log.declare(
            f"{name}-control-plane",
            f"{name}-key",
            EncryptedLogArgs(
                group_name=f"/aws/eks/{args.cluster_name}/cluster",
                retention_days=args.log_retention_days,
                key_description=f"Secrets and control plane logs of {args.cluster_name}",
                protect_key=args.deletion_protection,
                region=args.region,
                tags=tags("control-plane"),
                key_tags=tags("cluster"),
            ),
            parent=self,
        )

        cluster_role = aws.iam.Role(
            f"{name}-cluster",
            description=f"EKS Auto Mode acts for {args.cluster_name}",
            assume_role_policy=trust_policy(
                "eks.amazonaws.com", actions=["sts:AssumeRole", "sts:TagSession"]
            ),
            tags=tags("cluster"),
            opts=child,
        )
        node_role = aws.iam.Role(
            f"{name}-node",
            description=f"Nodes of {args.cluster_name}",
            assume_role_policy=trust_policy("ec2.amazonaws.com"),
            tags=tags("node"),
            opts=child,
        )
        secrets_policy = aws.iam.RolePolicy(
            f"{name}-secrets",
            role=cluster_role.name,
            policy=key.arn.apply(
                lambda arn: policy_document(
                    Statement(
                        actions=["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"],
                        resources=[arn],
                    )
                )
            ),
            opts=child,
        )
        tagging_policy = aws.iam.RolePolicy(
            f"{name}-tagging",
            role=cluster_role.name,
            policy=key.arn.apply(lambda arn: _tagging_policy(Arn.parse(arn))),
            opts=child,
        )
        permissions = [
            *attach(cluster_role, "cluster", CLUSTER_POLICIES),
            *attach(node_role, "node", NODE_POLICIES),
            secrets_policy,
            tagging_policy,
        ]

        cluster = aws.eks.Cluster(
            f"{name}-cluster",
            name=args.cluster_name,
            version=args.kubernetes_version,
            role_arn=cluster_role.arn,
            access_config=aws.eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
            ),
            bootstrap_self_managed_addons=False,
            compute_config=aws.eks.ClusterComputeConfigArgs(enabled=True),
            kubernetes_network_config=aws.eks.ClusterKubernetesNetworkConfigArgs(
                elastic_load_balancing=aws.eks.ClusterKubernetesNetworkConfigElasticLoadBalancingArgs(
                    enabled=True
                )
            ),
            storage_config=aws.eks.ClusterStorageConfigArgs(
                block_storage=aws.eks.ClusterStorageConfigBlockStorageArgs(enabled=True)
            ),
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                subnet_ids=args.subnet_ids,
                endpoint_private_access=True,
                endpoint_public_access=bool(args.api_access_cidrs),
                public_access_cidrs=[str(network) for network in args.api_access_cidrs] or None,
            ),
            encryption_config=aws.eks.ClusterEncryptionConfigArgs(
                provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=key.arn), resources=["secrets"]
            ),
            enabled_cluster_log_types=CONTROL_PLANE_LOGS,
            # A version is never run into paid extended support by neglect.
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            zonal_shift_config=aws.eks.ClusterZonalShiftConfigArgs(enabled=True),
            deletion_protection=args.deletion_protection,
            region=args.region,
            tags=tags("cluster"),
            # EKS needs its permissions until the last node and network interface is gone.
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.deletion_protection, depends_on=[*permissions, log_group]
            ),
        )

        def grant(principals: Sequence[str], label: str, access_policy: str) -> list[pulumi.Resource]:
            associations: list[pulumi.Resource] = []
            for principal in principals:
                arn = Arn.parse(principal)
                entry_name = f"{name}-{label}-{arn.account}/{arn.resource}"
                entry = aws.eks.AccessEntry(
                    entry_name,
                    cluster_name=cluster.name,
                    principal_arn=principal,
                    type="STANDARD",
                    region=args.region,
                    tags=tags(label),
                    opts=child,
                )
                associations.append(
                    aws.eks.AccessPolicyAssociation(
                        entry_name,
                        cluster_name=cluster.name,
                        principal_arn=principal,
                        policy_arn=f"arn:{partition}:eks::aws:cluster-access-policy/{access_policy}",
                        access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                        region=args.region,
                        opts=pulumi.ResourceOptions(parent=self, depends_on=[entry]),
                    )
                )
            return associations

        administration = grant(args.administrators, "administrator", "AmazonEKSClusterAdminPolicy")
        grant(args.viewers, "viewer", "AmazonEKSViewPolicy")

        # EKS does this by itself for the role of built-in pools only.
        # Source: https://docs.aws.amazon.com/eks/latest/userguide/create-node-class.html
        node_entry = aws.eks.AccessEntry(
            f"{name}-node",
            cluster_name=cluster.name,
            principal_arn=node_role.arn,
            type="EC2",
            region=args.region,
            tags=tags("node"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=administration),
        )
        joining = aws.eks.AccessPolicyAssociation(
            f"{name}-node",
            cluster_name=cluster.name,
            principal_arn=node_role.arn,
            policy_arn=f"arn:{partition}:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy",
            access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[node_entry]),
        )
        self.provider = kubernetes.Provider(
            f"{name}-kubernetes",
            kubeconfig=pulumi.Output.all(cluster.endpoint, cluster.certificate_authority.data).apply(
                lambda parts: kubeconfig(
                    args.cluster_name, args.region, endpoint=parts[0], authority=parts[1]
                )
            ),
            # Without it a rotated certificate authority would replace every object in the cluster.
            cluster_identifier=f"{args.region}/{args.cluster_name}",
            enable_server_side_apply=True,
            # Access takes some seconds to be in force, and the provider gives a cluster up that refuses it once: what
            # nodes need is made in between.
            # Source: https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*administration, joining]),
        )
        node_class = kubernetes.apiextensions.CustomResource(
            f"{name}-node-class",
            api_version="eks.amazonaws.com/v1",
            kind="NodeClass",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=NODE_POOL),
            spec={
                "role": node_role.name,
                "subnetSelectorTerms": [{"id": subnet} for subnet in args.subnet_ids],
                "securityGroupSelectorTerms": [{"id": cluster.vpc_config.cluster_security_group_id}],
                "networkPolicy": "DefaultAllow",
                "tags": dict(args.tags),
            },
            # Nodes can leave in an orderly way only while they have access.
            opts=pulumi.ResourceOptions(parent=self, provider=self.provider, depends_on=[joining]),
        )
        self._furnish(name, args, cluster, node_class, tags("metrics-server"))

        self.cluster_name = cluster.name
        self.endpoint = cluster.endpoint
        self.security_group_id = cluster.vpc_config.cluster_security_group_id
        self.kms_key_arn = key.arn
        self.register_outputs(
            {
                "clusterName": self.cluster_name,
                "endpoint": self.endpoint,
                "securityGroupId": self.security_group_id,
                "kmsKeyArn": self.kms_key_arn,
            }
        )

    def _furnish(
        self,
        name: str,
        args: ClusterArgs,
        cluster: aws.eks.Cluster,
        node_class: pulumi.Resource,
        tags: Mapping[str, str],
    ) -> None:
        """What Auto Mode leaves to its user: network policies, a pool to run in, a class of storage, metrics."""
        in_cluster = pulumi.ResourceOptions(parent=self, provider=self.provider)
        # Auto Mode ignores every NetworkPolicy until this object turns its controller on.
        # Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
        enforcement = kubernetes.core.v1.ConfigMap(
            f"{name}-network-policies",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name="amazon-vpc-cni", namespace="kube-system"),
            data={"enable-network-policy-controller": "true"},
            opts=in_cluster,
        )
        node_pool = kubernetes.apiextensions.CustomResource(
            f"{name}-{NODE_POOL}",
            api_version="karpenter.sh/v1",
            kind="NodePool",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=NODE_POOL),
            spec=_node_pool(args),
            opts=pulumi.ResourceOptions(
                parent=self, provider=self.provider, depends_on=[node_class, enforcement]
            ),
        )
        storage_class = kubernetes.storage.v1.StorageClass(
            f"{name}-{STORAGE_CLASS}",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=STORAGE_CLASS, annotations={"storageclass.kubernetes.io/is-default-class": "true"}
            ),
            provisioner="ebs.csi.eks.amazonaws.com",
            parameters={"type": "gp3", "encrypted": "true", **_volume_tags(args.tags)},
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            reclaim_policy="Delete",
            opts=in_cluster,
        )
        self.storage_class = storage_class.metadata.apply(lambda _: STORAGE_CLASS)
        # An add-on is ready when its pods are, and they need nodes.
        aws.eks.Addon(
            f"{name}-metrics-server",
            cluster_name=cluster.name,
            addon_name="metrics-server",
            addon_version=METRICS_SERVER_ADDON,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            region=args.region,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[node_pool]),
        )


def kubeconfig(cluster_name: str, region: str, *, endpoint: str, authority: str) -> str:
    """A kubeconfig, as JSON, that asks the AWS command line for a short-lived token and so holds no secret.

    `endpoint` is the URL of the API, `authority` its certificate authority in PEM, encoded in base64.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/create-kubeconfig.html
    """
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster_name,
                    "cluster": {"server": endpoint, "certificate-authority-data": authority},
                }
            ],
            "users": [
                {
                    "name": cluster_name,
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1beta1",
                            "command": "aws",
                            "args": ["eks", "get-token", "--cluster-name", cluster_name, "--region", region],
                            "interactiveMode": "Never",
                        }
                    },
                }
            ],
            "contexts": [{"name": cluster_name, "context": {"cluster": cluster_name, "user": cluster_name}}],
            "current-context": cluster_name,
        }
    )


def _tagging_policy(key: Arn) -> str:
    """Lets Auto Mode tag what it makes with more than its own tags; AWS's policies allow no others.

    `key` is the cluster's: it tells partition, region and account.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html ("Custom AWS tags for EKS Auto
    resources")
    """
    ec2 = f"arn:{key.partition}:ec2:{key.region}:{key.account}"
    of_this_cluster = {"aws:RequestTag/eks:eks-cluster-name": "${aws:PrincipalTag/eks:eks-cluster-name}"}
    return policy_document(
        Statement(
            actions=["ec2:CreateFleet", "ec2:RunInstances", "ec2:CreateLaunchTemplate"],
            resources=[f"{ec2}:*"],
            conditions={
                "StringEquals": of_this_cluster,
                "StringLike": {
                    "aws:RequestTag/eks:kubernetes-node-class-name": "*",
                    "aws:RequestTag/eks:kubernetes-node-pool-name": "*",
                },
            },
        ),
        Statement(
            actions=["ec2:CreateVolume"],
            resources=[f"{ec2}:volume/*"],
            conditions={"StringEquals": of_this_cluster},
        ),
        Statement(
            actions=["ec2:CreateNetworkInterface"],
            resources=[f"{ec2}:network-interface/*"],
            conditions={
                "StringEquals": of_this_cluster,
                "StringLike": {"aws:RequestTag/eks:kubernetes-cni-node-name": "*"},
            },
        ),
    )


def _volume_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Parameters of a class of storage that tag its volumes.

    Source: https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/tagging.md
    """
    return {
        f"tagSpecification_{number}": f"{key}={value}"
        for number, (key, value) in enumerate(sorted(tags.items()), start=1)
    }


def _node_pool(args: ClusterArgs) -> Mapping[str, object]:
    """On-demand nodes of the current general-purpose families in the given zones.

    Consolidation waits until load has fitted on fewer nodes for five minutes; it and new machine images take a tenth
    of the nodes (rounded up) at a time. No node grows older than two weeks: an expired one is drained at once, within
    what PodDisruptionBudgets allow.
    Sources: https://docs.aws.amazon.com/eks/latest/userguide/create-node-pool.html,
    https://karpenter.sh/docs/concepts/disruption/
    """

    def requirement(key: str, operator: str, *values: str) -> Mapping[str, object]:
        return {"key": key, "operator": operator, "values": list(values)}

    return {
        "limits": {"cpu": str(args.cpu_limit), "memory": f"{args.memory_limit_gib}Gi"},
        "disruption": {
            "consolidationPolicy": "WhenEmptyOrUnderutilized",
            "consolidateAfter": "5m",
            "budgets": [{"nodes": "10%"}],
        },
        "template": {
            "spec": {
                "expireAfter": "336h",
                "nodeClassRef": {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": NODE_POOL},
                "requirements": [
                    requirement("karpenter.sh/capacity-type", "In", "on-demand"),
                    requirement("kubernetes.io/arch", "In", "amd64"),
                    requirement("topology.kubernetes.io/zone", "In", *args.zones),
                    requirement("eks.amazonaws.com/instance-category", "In", "c", "m", "r"),
                    requirement("eks.amazonaws.com/instance-generation", "Gt", "4"),
                ],
            }
        },
    }
