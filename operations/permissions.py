"""What it takes in AWS's IAM to declare each type of resource that the program declares.

One table says for each type what reading, creating, changing and deleting it takes, and on which resources: the ones that
bear the stack's name, or, where AWS makes the names up, its tag. The roles of the pipeline are made from it, and nothing
else is in them (docs/adr/0027).

Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/ for the actions, the resources they know and
the conditions they take. What the provider calls for each type no page says; where a row lacks an action, a first
deployment is refused with its name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from operations.naming import APPLICATION


@dataclass(frozen=True)
class Condition:
    """A condition of the policy language; the values may hold `{…}` as the resources do."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Right:
    """Actions of one service, on the same resources and under the same conditions."""

    service: str
    actions: tuple[str, ...]
    """Without the service's prefix."""
    resources: tuple[str, ...]
    """ARNs without their first two parts, such as `rds:*:{account}:cluster:quikapp-{stack}-*`; or `*`, where the service
    knows no resource for the actions."""
    conditions: tuple[Condition, ...] = ()

    @property
    def regional(self) -> bool:
        """Whether requests go to a region, and so must go to one of the stack's."""
        return self.service not in GLOBAL_SERVICES


@dataclass(frozen=True)
class Rights:
    """What a type takes."""

    reads: tuple[Right, ...]
    """To tell what is there: metadata, and no data."""
    writes: tuple[Right, ...]
    """To create, change and delete it."""


GLOBAL_SERVICES: Final = frozenset({"iam", "route53"})
"""Services with one endpoint for all regions.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_examples_aws_deny-requested-region.html
"""

STACK_TAG: Final = "Environment"
"""The tag whose value is the stack's name; every resource of the program has it from its creation on."""

_NAME: Final = f"{APPLICATION}-{{stack}}"
"""How the names begin that the program gives; those that the provider makes up begin with the stack's name."""

_NEW: Final = Condition("StringEquals", f"aws:RequestTag/{STACK_TAG}", ("{stack}",))
_OWN: Final = Condition("StringEquals", f"aws:ResourceTag/{STACK_TAG}", ("{stack}",))
_UNCLAIMED: Final = Condition("Null", "aws:ResourceTag/Application", ("true",))
"""Nothing of ours yet: whatever this repository declares has the tag, so nobody takes over what is another stack's."""
_OWN_CLUSTER: Final = Condition("StringEquals", "aws:ResourceTag/aws:eks:cluster-name", (_NAME,))
"""The security group that EKS makes for the cluster; nobody but AWS sets a tag that begins so.

Source: https://docs.aws.amazon.com/eks/latest/userguide/sec-group-reqs.html
"""
_BOUNDED: Final = Condition("StringEquals", "iam:PermissionsBoundary", ("{boundary}",))
"""Roles that carry the stack's boundary, and so none that a person or a pipeline has."""

PASSED_TO: Final = (
    "backup.amazonaws.com",
    "datasync.amazonaws.com",
    "eks.amazonaws.com",
    "lambda.amazonaws.com",
    "monitoring.rds.amazonaws.com",
    "pods.eks.amazonaws.com",
    "restore-testing.backup.amazonaws.com",
    "scheduler.amazonaws.com",
    "vpc-flow-logs.amazonaws.com",
)
"""Services that are handed a role of the program. That of the nodes is handed on by EKS itself.

By which of its two names AWS Backup is handed the role of restore tests is written nowhere; AWS's own policy has both.
Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupFullAccess.html
"""

ATTACHED: Final = (
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEKS*Policy*",
    "service-role/AmazonRDSEnhancedMonitoringRole",
)
"""AWS's own policies that roles of the program have."""

SERVICE_LINKED: Final = (
    "backup.amazonaws.com",
    "eks.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "rds.amazonaws.com",
    "restore-testing.backup.amazonaws.com",
    "wafv2.amazonaws.com",
)
"""Services that make a role of their own when an account first uses them; AWS Backup has another one for restore tests.

Source: https://docs.aws.amazon.com/aws-backup/latest/devguide/using-service-linked-roles-AWSServiceRoleForBackupRestoreTesting.html
"""


def _right(service: str, actions: str, *resources: str, when: Sequence[Condition] = ()) -> Right:
    return Right(service, tuple(actions.split()), resources or ("*",), tuple(when))


def _rights(reads: Iterable[Right] | Right, *writes: Right) -> Rights:
    return Rights((reads,) if isinstance(reads, Right) else tuple(reads), writes)


# --- the network ---------------------------------------------------------------------------------------------------

_EC2: Final = "ec2:*:{account}:*"


def _see(actions: str) -> Right:
    """EC2 shows all or nothing."""
    return _right("ec2", actions)


def _make(action: str) -> Right:
    """Make something with the stack's tag. What it is made in has to have it, too: see `_change`.

    A request's tag is that of the new resource alone.
    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    """
    return _right("ec2", action, _EC2, when=[_NEW])


def _change(actions: str) -> Right:
    return _right("ec2", actions, _EC2, when=[_OWN])


_TAG_NEW: Final = _right(
    "ec2",
    "CreateTags",
    _EC2,
    when=[
        _NEW,
        Condition(
            "StringEquals",
            "ec2:CreateAction",
            (
                "AllocateAddress",
                "AuthorizeSecurityGroupEgress",
                "AuthorizeSecurityGroupIngress",
                "CreateFlowLogs",
                "CreateInternetGateway",
                "CreateNatGateway",
                "CreateRouteTable",
                "CreateSecurityGroup",
                "CreateSubnet",
                "CreateVpc",
                "CreateVpcEndpoint",
            ),
        ),
    ],
)
_TAGS: Final = (_TAG_NEW, _change("CreateTags DeleteTags"))

_SECURITY_GROUPS: Final = _see("DescribeSecurityGroups DescribeSecurityGroupRules DescribeTags")


def _rule(direction: str) -> Rights:
    """A rule of a security group of the stack's, or of the one that EKS made for its cluster."""
    return _rights(
        _SECURITY_GROUPS,
        _make(f"AuthorizeSecurityGroup{direction}"),
        _change(
            f"AuthorizeSecurityGroup{direction} RevokeSecurityGroup{direction} ModifySecurityGroupRules "
            f"UpdateSecurityGroupRuleDescriptions{direction}"
        ),
        _right(
            "ec2",
            f"AuthorizeSecurityGroup{direction} RevokeSecurityGroup{direction} ModifySecurityGroupRules",
            "ec2:*:{account}:security-group/*",
            when=[_OWN_CLUSTER],
        ),
        *_TAGS,
    )


# --- what several types share --------------------------------------------------------------------------------------

_ROLES: Final = (f"iam::{{account}}:role/{_NAME}-*", "iam::{account}:role/{stack}-*")
_PASS: Final = _right(
    "iam", "PassRole", *_ROLES, when=[Condition("StringEquals", "iam:PassedToService", PASSED_TO)]
)
_LINK: Final = _right(
    "iam",
    "CreateServiceLinkedRole",
    "iam::{account}:role/aws-service-role/*",
    when=[Condition("StringEquals", "iam:AWSServiceName", SERVICE_LINKED)],
)
_KEYS: Final = "kms:*:{account}:key/*"
_ENCRYPT_WITH: Final = _right("kms", "CreateGrant Decrypt GenerateDataKey RetireGrant", _KEYS, when=[_OWN])
"""What a service that is told to use a key asks of whoever tells it."""

_CLUSTERS: Final = (f"eks:*:{{account}}:cluster/{_NAME}", f"eks:*:{{account}}:*/{_NAME}/*")


def _of_cluster(reads: str, writes: str, *more: Right) -> Rights:
    return _rights(
        _right("eks", reads, *_CLUSTERS),
        _right("eks", f"{writes} TagResource UntagResource", *_CLUSTERS),
        *more,
    )


_BALANCERS: Final = (
    f"elasticloadbalancing:*:{{account}}:*/{_NAME}/*",
    f"elasticloadbalancing:*:{{account}}:*/{_NAME}-*",
)
_BALANCER: Final = f"elasticloadbalancing:*:{{account}}:loadbalancer/app/{_NAME}/*"


def _of_balancer(reads: str, writes: str, *more: Right) -> Rights:
    return _rights(
        _right("elasticloadbalancing", f"{reads} DescribeTags"),
        _right("elasticloadbalancing", f"{writes} AddTags RemoveTags", *_BALANCERS),
        *more,
    )


_WEB_ACLS: Final = f"wafv2:*:{{account}}:regional/webacl/{_NAME}/*"
_DATABASES: Final = (f"rds:*:{{account}}:*:{_NAME}-*", "rds:*:{account}:*:{stack}-*")
_DATABASE_DEFAULTS: Final = ("rds:*:{account}:og:default*", "rds:*:{account}:pg:default*")
"""The groups of options and parameters that AWS has for whoever names none."""


def _of_database(reads: str, writes: str, *more: Right) -> Rights:
    return _rights(
        [_right("rds", reads), _right("rds", "ListTagsForResource", *_DATABASES)],
        _right("rds", f"{writes} AddTagsToResource RemoveTagsFromResource", *_DATABASES, *_DATABASE_DEFAULTS),
        *more,
    )


_BUCKETS: Final = f"s3:::{_NAME}-*"


def _of_bucket(reads: str, writes: str) -> Rights:
    """Of the bucket alone: no object is read, written or deleted."""
    return _rights(_right("s3", reads, _BUCKETS), _right("s3", writes, _BUCKETS))


_VAULTS: Final = f"backup:*:{{account}}:backup-vault:{_NAME}-*"
_PLANS: Final = "backup:*:{account}:backup-plan:*"
_TESTS: Final = f"backup:*:{{account}}:restore-testing-plan:{APPLICATION}_{{stack}}_*"

_LOGS: Final = (
    f"logs:*:{{account}}:log-group:/aws/*/{_NAME}*",
    "logs:*:{account}:log-group:/aws/vpc/{stack}-*",
    f"logs:*:{{account}}:log-group:aws-waf-logs-{_NAME}*",
)
_LOG_POLICIES: Final = _right("logs", "PutResourcePolicy DeleteResourcePolicy")
_FUNCTIONS: Final = f"lambda:*:{{account}}:function:{_NAME}-*"
_EVENT_RULES: Final = f"events:*:{{account}}:rule/{_NAME}-*"
_PARAMETERS: Final = f"ssm:*:{{account}}:parameter/{APPLICATION}/{{stack}}/*"
_ZONE: Final = "route53:::hostedzone/{zone}"
_CERTIFICATES: Final = "acm:*:{account}:certificate/*"
_TRANSFERS: Final = "datasync:*:{account}:*"


def _of_transfer(reads: str, create: str, writes: str, *more: Right) -> Rights:
    return _rights(
        _right("datasync", f"{reads} ListTagsForResource", _TRANSFERS, when=[_OWN]),
        _right("datasync", create, when=[_NEW]),
        _right("datasync", "TagResource", _TRANSFERS, when=[_NEW, _UNCLAIMED]),
        _right("datasync", f"{writes} TagResource UntagResource", _TRANSFERS, when=[_OWN]),
        *more,
    )


# --- the table -----------------------------------------------------------------------------------------------------

TYPES: Final[Mapping[str, Rights]] = MappingProxyType(
    {
        "aws:acm/certificate:Certificate": _rights(
            _right("acm", "DescribeCertificate ListTagsForCertificate", _CERTIFICATES, when=[_OWN]),
            _right("acm", "RequestCertificate", when=[_NEW]),
            _right("acm", "AddTagsToCertificate", _CERTIFICATES, when=[_NEW, _UNCLAIMED]),
            _right(
                "acm",
                "AddTagsToCertificate DeleteCertificate RemoveTagsFromCertificate UpdateCertificateOptions",
                _CERTIFICATES,
                when=[_OWN],
            ),
        ),
        # Waits until the certificate is issued, and makes nothing.
        "aws:acm/certificateValidation:CertificateValidation": _rights(
            _right("acm", "DescribeCertificate", _CERTIFICATES, when=[_OWN])
        ),
        "aws:backup/plan:Plan": _rights(
            _right("backup", "GetBackupPlan ListTags", _PLANS, when=[_OWN]),
            _right("backup", "CreateBackupPlan", _PLANS, when=[_NEW]),
            _right("backup", "TagResource", _PLANS, when=[_NEW, _UNCLAIMED]),
            _right(
                "backup", "DeleteBackupPlan TagResource UntagResource UpdateBackupPlan", _PLANS, when=[_OWN]
            ),
        ),
        "aws:backup/restoreTestingPlan:RestoreTestingPlan": _rights(
            _right("backup", "GetRestoreTestingPlan ListTags", _TESTS),
            _right(
                "backup",
                "CreateRestoreTestingPlan DeleteRestoreTestingPlan TagResource UntagResource UpdateRestoreTestingPlan",
                _TESTS,
            ),
            _LINK,
        ),
        "aws:backup/restoreTestingSelection:RestoreTestingSelection": _rights(
            _right("backup", "GetRestoreTestingSelection", _TESTS),
            _right(
                "backup",
                "CreateRestoreTestingSelection DeleteRestoreTestingSelection UpdateRestoreTestingSelection",
                _TESTS,
            ),
            _PASS,
            _LINK,
        ),
        "aws:backup/selection:Selection": _rights(
            _right("backup", "GetBackupSelection", _PLANS, when=[_OWN]),
            _right("backup", "CreateBackupSelection DeleteBackupSelection", _PLANS, when=[_OWN]),
            _PASS,
            _LINK,
        ),
        "aws:backup/vault:Vault": _rights(
            _right("backup", "DescribeBackupVault ListTags", _VAULTS),
            _right("backup", "CreateBackupVault DeleteBackupVault TagResource UntagResource", _VAULTS),
            # Asked of whoever makes a vault; knows no resource.
            _right("backup-storage", "MountCapsule"),
            _ENCRYPT_WITH,
        ),
        "aws:backup/vaultLockConfiguration:VaultLockConfiguration": _rights(
            _right("backup", "DescribeBackupVault", _VAULTS),
            _right("backup", "DeleteBackupVaultLockConfiguration PutBackupVaultLockConfiguration", _VAULTS),
        ),
        "aws:backup/vaultPolicy:VaultPolicy": _rights(
            _right("backup", "GetBackupVaultAccessPolicy", _VAULTS),
            _right("backup", "DeleteBackupVaultAccessPolicy PutBackupVaultAccessPolicy", _VAULTS),
        ),
        "aws:cloudwatch/eventRule:EventRule": _rights(
            _right("events", "DescribeRule ListTagsForResource", _EVENT_RULES),
            _right(
                "events", "DeleteRule DisableRule EnableRule PutRule TagResource UntagResource", _EVENT_RULES
            ),
        ),
        "aws:cloudwatch/eventTarget:EventTarget": _rights(
            _right("events", "ListTargetsByRule", _EVENT_RULES),
            _right("events", "PutTargets RemoveTargets", _EVENT_RULES),
        ),
        "aws:cloudwatch/logGroup:LogGroup": _rights(
            [_right("logs", "DescribeLogGroups"), _right("logs", "ListTagsForResource", *_LOGS)],
            _right(
                "logs",
                "AssociateKmsKey CreateLogGroup DeleteLogGroup DeleteRetentionPolicy DisassociateKmsKey PutRetentionPolicy "
                "TagResource UntagResource",
                *_LOGS,
            ),
        ),
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": _rights(
            _right("logs", "DescribeResourcePolicies"), _LOG_POLICIES
        ),
        # Where DataSync keeps no object, it makes sure that it can: with the role that it is handed.
        "aws:datasync/s3Location:S3Location": _of_transfer(
            "DescribeLocationS3", "CreateLocationS3", "DeleteLocation UpdateLocationS3", _PASS
        ),
        "aws:datasync/task:Task": _of_transfer(
            "DescribeTask", "CreateTask", "CreateTask DeleteTask UpdateTask"
        ),
        # It has no tag until it is taken in hand.
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _rights(
            _SECURITY_GROUPS,
            _right("ec2", "CreateTags", "ec2:*:{account}:security-group/*", when=[_NEW, _UNCLAIMED]),
            _change("CreateTags DeleteTags RevokeSecurityGroupEgress RevokeSecurityGroupIngress"),
        ),
        "aws:ec2/eip:Eip": _rights(
            _see("DescribeAddresses DescribeAddressesAttribute"),
            _make("AllocateAddress"),
            _change("DisassociateAddress ReleaseAddress"),
            *_TAGS,
        ),
        "aws:ec2/flowLog:FlowLog": _rights(
            _see("DescribeFlowLogs"),
            _make("CreateFlowLogs"),
            _change("CreateFlowLogs DeleteFlowLogs"),
            _PASS,
            *_TAGS,
        ),
        "aws:ec2/internetGateway:InternetGateway": _rights(
            _see("DescribeInternetGateways"),
            _make("CreateInternetGateway"),
            _change("AttachInternetGateway DeleteInternetGateway DetachInternetGateway"),
            *_TAGS,
        ),
        "aws:ec2/natGateway:NatGateway": _rights(
            _see("DescribeNatGateways"),
            _make("CreateNatGateway"),
            _change("CreateNatGateway DeleteNatGateway"),
            *_TAGS,
        ),
        "aws:ec2/route:Route": _rights(
            _see("DescribeRouteTables"), _change("CreateRoute DeleteRoute ReplaceRoute")
        ),
        "aws:ec2/routeTable:RouteTable": _rights(
            _see("DescribeRouteTables"),
            _make("CreateRouteTable"),
            _change("CreateRouteTable DeleteRouteTable"),
            *_TAGS,
        ),
        "aws:ec2/routeTableAssociation:RouteTableAssociation": _rights(
            _see("DescribeRouteTables"),
            _change("AssociateRouteTable DisassociateRouteTable ReplaceRouteTableAssociation"),
        ),
        "aws:ec2/securityGroup:SecurityGroup": _rights(
            [_SECURITY_GROUPS, _see("DescribeNetworkInterfaces")],
            _make("CreateSecurityGroup"),
            # AWS gives a new group a way out, which the provider takes away.
            _change("CreateSecurityGroup DeleteSecurityGroup RevokeSecurityGroupEgress"),
            *_TAGS,
        ),
        "aws:ec2/subnet:Subnet": _rights(
            _see("DescribeNetworkInterfaces DescribeSubnets"),
            _make("CreateSubnet"),
            _change("CreateSubnet DeleteSubnet ModifySubnetAttribute"),
            *_TAGS,
        ),
        "aws:ec2/vpc:Vpc": _rights(
            _see(
                "DescribeNetworkAcls DescribeRouteTables DescribeSecurityGroups DescribeVpcAttribute DescribeVpcs"
            ),
            _make("CreateVpc"),
            _change("DeleteVpc ModifyVpcAttribute"),
            *_TAGS,
        ),
        "aws:ec2/vpcEndpoint:VpcEndpoint": _rights(
            _see("DescribePrefixLists DescribeVpcEndpoints"),
            _make("CreateVpcEndpoint"),
            _change("CreateVpcEndpoint DeleteVpcEndpoints ModifyVpcEndpoint"),
            *_TAGS,
        ),
        "aws:eks/accessEntry:AccessEntry": _of_cluster(
            "DescribeAccessEntry", "CreateAccessEntry DeleteAccessEntry UpdateAccessEntry"
        ),
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _of_cluster(
            "ListAssociatedAccessPolicies", "AssociateAccessPolicy DisassociateAccessPolicy"
        ),
        "aws:eks/addon:Addon": _of_cluster(
            "DescribeAddon DescribeUpdate", "CreateAddon DeleteAddon UpdateAddon"
        ),
        "aws:eks/cluster:Cluster": _of_cluster(
            "DescribeCluster DescribeUpdate",
            "AssociateEncryptionConfig DeleteCluster UpdateClusterConfig UpdateClusterVersion",
            # Knows no resource.
            _right("eks", "CreateCluster", when=[_NEW]),
            _PASS,
            _LINK,
            _ENCRYPT_WITH,
        ),
        "aws:eks/podIdentityAssociation:PodIdentityAssociation": _of_cluster(
            "DescribePodIdentityAssociation",
            "CreatePodIdentityAssociation DeletePodIdentityAssociation UpdatePodIdentityAssociation",
            _PASS,
        ),
        # A role is made with the boundary and keeps it: no action puts one on or takes one off, or a person's role could be
        # made one of the stack's.
        "aws:iam/role:Role": _rights(
            _right("iam", "GetRole ListAttachedRolePolicies ListRolePolicies ListRoleTags", *_ROLES),
            _right(
                "iam",
                "CreateRole DeleteRole UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription",
                *_ROLES,
                when=[_BOUNDED],
            ),
            _right("iam", "ListInstanceProfilesForRole TagRole UntagRole", *_ROLES),
        ),
        "aws:iam/rolePolicy:RolePolicy": _rights(
            _right("iam", "GetRolePolicy", *_ROLES),
            _right("iam", "DeleteRolePolicy PutRolePolicy", *_ROLES, when=[_BOUNDED]),
        ),
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _rights(
            _right("iam", "ListAttachedRolePolicies", *_ROLES),
            _right(
                "iam",
                "AttachRolePolicy DetachRolePolicy",
                *_ROLES,
                when=[
                    _BOUNDED,
                    Condition(
                        "ArnLike",
                        "iam:PolicyARN",
                        tuple(f"arn:{{partition}}:iam::aws:policy/{name}" for name in ATTACHED),
                    ),
                ],
            ),
        ),
        "aws:kms/key:Key": _rights(
            _right(
                "kms", "DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags", _KEYS, when=[_OWN]
            ),
            _right("kms", "CreateKey", when=[_NEW]),
            # With a key of its own it would not hold for one that is being made.
            # Source: https://docs.aws.amazon.com/kms/latest/developerguide/tag-permissions.html
            _right("kms", "TagResource", when=[_NEW, _UNCLAIMED]),
            _right(
                "kms",
                "DisableKey EnableKey EnableKeyRotation ScheduleKeyDeletion TagResource UntagResource UpdateKeyDescription",
                _KEYS,
                when=[_OWN],
            ),
        ),
        "aws:kms/keyPolicy:KeyPolicy": _rights(
            _right("kms", "GetKeyPolicy", _KEYS, when=[_OWN]),
            _right("kms", "PutKeyPolicy", _KEYS, when=[_OWN]),
        ),
        "aws:lambda/function:Function": _rights(
            _right(
                "lambda",
                "GetFunction GetFunctionCodeSigningConfig GetFunctionConfiguration ListTags ListVersionsByFunction",
                _FUNCTIONS,
            ),
            _right(
                "lambda",
                "CreateFunction DeleteFunction TagResource UntagResource "
                "UpdateFunctionCode UpdateFunctionConfiguration",
                _FUNCTIONS,
            ),
            _PASS,
        ),
        # A call, made when it is created or changed; there is nothing to read or to delete.
        "aws:lambda/invocation:Invocation": _rights((), _right("lambda", "InvokeFunction", _FUNCTIONS)),
        "aws:lb/listener:Listener": _of_balancer(
            "DescribeListenerAttributes DescribeListeners",
            "CreateListener DeleteListener ModifyListener ModifyListenerAttributes",
        ),
        "aws:lb/listenerRule:ListenerRule": _of_balancer(
            "DescribeRules", "CreateRule DeleteRule ModifyRule SetRulePriorities"
        ),
        "aws:lb/loadBalancer:LoadBalancer": _of_balancer(
            "DescribeCapacityReservation DescribeLoadBalancerAttributes DescribeLoadBalancers",
            "CreateLoadBalancer DeleteLoadBalancer ModifyLoadBalancerAttributes SetIpAddressType SetSecurityGroups SetSubnets",
            _LINK,
        ),
        "aws:lb/targetGroup:TargetGroup": _of_balancer(
            "DescribeTargetGroupAttributes DescribeTargetGroups",
            "CreateTargetGroup DeleteTargetGroup ModifyTargetGroup ModifyTargetGroupAttributes",
        ),
        "aws:rds/cluster:Cluster": _of_database(
            "DescribeDBClusters DescribeGlobalClusters",
            "CreateDBCluster CreateDBClusterSnapshot DeleteDBCluster ModifyDBCluster RemoveFromGlobalCluster",
            # RDS keeps the administrator's password there, in the name of whoever makes the cluster, and shows it to nobody.
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html
            _right(
                "secretsmanager",
                "CreateSecret RotateSecret TagResource",
                "secretsmanager:*:{account}:secret:rds!*",
            ),
            _LINK,
            _ENCRYPT_WITH,
        ),
        "aws:rds/clusterInstance:ClusterInstance": _of_database(
            "DescribeDBInstances",
            "CreateDBInstance DeleteDBInstance ModifyDBInstance RebootDBInstance",
            _PASS,
            _ENCRYPT_WITH,
        ),
        "aws:rds/clusterParameterGroup:ClusterParameterGroup": _of_database(
            "DescribeDBClusterParameterGroups DescribeDBClusterParameters",
            "CreateDBClusterParameterGroup DeleteDBClusterParameterGroup ModifyDBClusterParameterGroup "
            "ResetDBClusterParameterGroup",
        ),
        "aws:rds/globalCluster:GlobalCluster": _of_database(
            "DescribeDBClusters DescribeGlobalClusters",
            "CreateGlobalCluster DeleteGlobalCluster ModifyGlobalCluster RemoveFromGlobalCluster",
        ),
        "aws:rds/subnetGroup:SubnetGroup": _of_database(
            "DescribeDBSubnetGroups", "CreateDBSubnetGroup DeleteDBSubnetGroup ModifyDBSubnetGroup"
        ),
        "aws:route53/record:Record": _rights(
            [
                _right("route53", "GetHostedZone ListResourceRecordSets", _ZONE),
                _right("route53", "GetChange", "route53:::change/*"),
            ],
            # One action makes, changes and deletes a record.
            _right("route53", "ChangeResourceRecordSets", _ZONE),
        ),
        "aws:s3/bucket:Bucket": _of_bucket(
            "GetAccelerateConfiguration GetBucketAbac GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging "
            "GetBucketObjectLockConfiguration GetBucketPolicy GetBucketRequestPayment GetBucketTagging GetBucketVersioning "
            "GetBucketWebsite GetEncryptionConfiguration GetLifecycleConfiguration GetReplicationConfiguration ListBucket "
            "ListTagsForResource",
            "CreateBucket DeleteBucket PutBucketObjectLockConfiguration PutBucketTagging PutBucketVersioning TagResource "
            "UntagResource",
        ),
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _of_bucket(
            "GetLifecycleConfiguration", "PutLifecycleConfiguration"
        ),
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": _of_bucket(
            "GetBucketObjectLockConfiguration", "PutBucketObjectLockConfiguration"
        ),
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _of_bucket(
            "GetBucketOwnershipControls", "PutBucketOwnershipControls"
        ),
        "aws:s3/bucketPolicy:BucketPolicy": _of_bucket(
            "GetBucketPolicy", "DeleteBucketPolicy PutBucketPolicy"
        ),
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _of_bucket(
            "GetBucketPublicAccessBlock", "PutBucketPublicAccessBlock"
        ),
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _of_bucket(
            "GetEncryptionConfiguration", "PutEncryptionConfiguration"
        ),
        "aws:s3/bucketVersioning:BucketVersioning": _of_bucket("GetBucketVersioning", "PutBucketVersioning"),
        "aws:scheduler/schedule:Schedule": _rights(
            _right("scheduler", "GetSchedule", f"scheduler:*:{{account}}:schedule/default/{_NAME}-*"),
            _right(
                "scheduler",
                "CreateSchedule DeleteSchedule UpdateSchedule",
                f"scheduler:*:{{account}}:schedule/default/{_NAME}-*",
            ),
            _PASS,
        ),
        "aws:ssm/parameter:Parameter": _rights(
            [
                _right("ssm", "DescribeParameters"),
                _right("ssm", "GetParameter GetParameters ListTagsForResource", _PARAMETERS),
            ],
            _right(
                "ssm", "AddTagsToResource DeleteParameter PutParameter RemoveTagsFromResource", _PARAMETERS
            ),
        ),
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule("Egress"),
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule("Ingress"),
        "aws:wafv2/webAcl:WebAcl": _rights(
            _right("wafv2", "GetWebACL ListTagsForResource", _WEB_ACLS),
            _right(
                "wafv2",
                "CreateWebACL DeleteWebACL TagResource UntagResource UpdateWebACL",
                _WEB_ACLS,
                "wafv2:*:*:regional/managedruleset/*",
            ),
        ),
        "aws:wafv2/webAclAssociation:WebAclAssociation": _rights(
            [
                _right("wafv2", "GetWebACLForResource", _WEB_ACLS, _BALANCER),
                _right("elasticloadbalancing", "GetLoadBalancerWebACL", _BALANCER),
            ],
            _right("wafv2", "AssociateWebACL DisassociateWebACL", _WEB_ACLS, _BALANCER),
            _right("elasticloadbalancing", "CreateWebACLAssociation DeleteWebACLAssociation", _BALANCER),
            # Knows no resource.
            _right("elasticloadbalancing", "SetWebAcl"),
        ),
        # Source: https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": _rights(
            _right("wafv2", "GetLoggingConfiguration", _WEB_ACLS),
            _right("wafv2", "DeleteLoggingConfiguration PutLoggingConfiguration", _WEB_ACLS),
            _right("logs", "CreateLogDelivery DeleteLogDelivery"),
            _LOG_POLICIES,
            _LINK,
        ),
    }
)
"""Rights by the type of resource, as Pulumi spells it."""


def merged(rights: Iterable[Right]) -> tuple[Right, ...]:
    """Return the same rights, each kind of resource and condition once, in a fixed order."""
    actions: dict[tuple[str, tuple[str, ...], tuple[Condition, ...]], set[str]] = {}
    for right in rights:
        actions.setdefault((right.service, right.resources, right.conditions), set()).update(right.actions)
    return tuple(
        Right(service, tuple(sorted(found)), resources, conditions)
        for (service, resources, conditions), found in sorted(actions.items(), key=repr)
    )


READS: Final = merged(right for rights in TYPES.values() for right in rights.reads)
WRITES: Final = merged(right for rights in TYPES.values() for right in rights.writes)
