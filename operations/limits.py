"""What the vendors allow: each limit once, with its unit and the page it was read from.

Quotas that an account may have raised are the default of a key in the stack file (operations.facts); limits that
nobody can raise are checked as they stand.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final


@dataclass(frozen=True)
class Limit:
    """A bound set by a vendor."""

    value: int
    unit: str
    source: str
    """URL of the vendor's page that states it."""


_KUBERNETES_NAMES = "https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"
_KUBERNETES_LABELS = "https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/"
_ALB_QUOTAS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html"
_ALB_RULES = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html"
_TARGET_GROUP = (
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html"
)
_LOAD_BALANCER = (
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html"
)
_RDS_CLUSTER = "https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html"
_AURORA_READERS = "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Replication.html"
_AURORA_CAPACITY = (
    "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.how-it-works.html"
)
_GLOBAL_DATABASE = (
    "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-getting-started.html"
)
_GLOBAL_RECOVERY = "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-disaster-recovery.html"
_AURORA_AVAILABILITY = (
    "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.AuroraHighAvailability.html"
)
_AURORA_BACKUPS = "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Managing.Backups.html"
_SUBNET_GROUPS = (
    "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_VPC.WorkingWithRDSInstanceinaVPC.html"
)
_BACKUP_LIFECYCLE = "https://docs.aws.amazon.com/aws-backup/latest/devguide/API_Lifecycle.html"
_BACKUP_CONTINUOUS = "https://docs.aws.amazon.com/aws-backup/latest/devguide/point-in-time-recovery.html"
_S3_RETRIEVALS = (
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html"
)
_S3_TRANSITIONS = (
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html"
)
_S3_CLASSES = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html"
_S3_NAMES = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"
_IAM_QUOTAS = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"
_EKS_SUBNETS = "https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html"
_EKS_SERVICE_RANGE = (
    "https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html"
)
_VPC_CIDR = "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"
_TAGS = "https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html"
_LOG_RETENTION = (
    "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"
)
_EC2_SIZES = "https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html"
_EKS_QUOTAS = "https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html"

# Names
DNS_LABEL_LENGTH: Final = Limit(63, "characters", _KUBERNETES_NAMES)
LABEL_VALUE_LENGTH: Final = Limit(63, "characters", _KUBERNETES_LABELS)
LOAD_BALANCER_NAME_LENGTH: Final = Limit(32, "characters", _LOAD_BALANCER)
TARGET_GROUP_NAME_LENGTH: Final = Limit(32, "characters", _TARGET_GROUP)
DATABASE_CLUSTER_NAME_LENGTH: Final = Limit(63, "characters", _RDS_CLUSTER)
BUCKET_NAME_LENGTH: Final = Limit(63, "characters", _S3_NAMES)
ROLE_NAME_LENGTH: Final = Limit(64, "characters", _IAM_QUOTAS)
MANAGED_POLICY_LENGTH: Final = Limit(6144, "characters besides white space", _IAM_QUOTAS)
POLICIES_PER_ROLE: Final = Limit(
    10, "managed policies that a role has, unless the quota was raised", _IAM_QUOTAS
)
IMAGE_LENGTH: Final = Limit(
    255, "characters", "https://github.com/distribution/reference/blob/main/reference.go"
)
CERTIFICATE_NAME_LENGTH: Final = Limit(
    64, "characters", "https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html"
)
HOSTED_ZONE_ID_LENGTH: Final = Limit(
    32, "characters", "https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHostedZone.html"
)
ARN_LENGTH: Final = Limit(
    2048, "characters", "https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html"
)
TAG_VALUE_LENGTH: Final = Limit(256, "characters", _TAGS)

# Routes and load balancing
PATH_PATTERN_LENGTH: Final = Limit(128, "characters", _ALB_RULES)
ROUTE_LENGTH: Final = Limit(PATH_PATTERN_LENGTH.value - len("/*"), "characters besides `/*`", _ALB_RULES)
HEALTH_PATH_LENGTH: Final = Limit(1024, "characters", _TARGET_GROUP)
TARGET_GROUPS_PER_LOAD_BALANCER: Final = Limit(100, "target groups", _ALB_QUOTAS)
RULES_PER_LOAD_BALANCER: Final = Limit(100, "listener rules besides the default ones", _ALB_QUOTAS)
TARGETS_PER_LOAD_BALANCER: Final = Limit(1000, "targets", _ALB_QUOTAS)
PORTS: Final = Limit(65535, "highest port", _TARGET_GROUP)

# Network
VPC_LARGEST_PREFIX: Final = Limit(16, "bits of the shortest prefix", _VPC_CIDR)
CLUSTER_ZONES: Final = Limit(2, "zones at least", _EKS_SUBNETS)
API_ACCESS_CIDRS: Final = Limit(40, "CIDR blocks", _EKS_QUOTAS)
SERVICE_RANGES: Final = (IPv4Network("10.100.0.0/16"), IPv4Network("172.20.0.0/16"))
"""The ranges of which EKS picks one for Kubernetes Services, so the VPC may overlap neither (source: the EKS API
reference, KubernetesNetworkConfigRequest)."""
SERVICE_RANGES_SOURCE: Final = _EKS_SERVICE_RANGE

# Pods
UNPRIVILEGED_PORT: Final = Limit(
    1024, "lowest port", "https://kubernetes.io/docs/concepts/security/pod-security-standards/"
)
MILLICORES_PER_CONTAINER: Final = Limit(
    192_000, "millicores of the largest general purpose instance", _EC2_SIZES
)
MEMORY_MIB_PER_CONTAINER: Final = Limit(786_432, "MiB of the largest general purpose instance", _EC2_SIZES)
AUTOSCALER_WINDOW: Final = Limit(
    3600,
    "seconds at most for which an autoscaler holds to the most that it needed",
    "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/",
)
"""Every slot's has it: the longer, the later a slot that has lost its weight shrinks (docs/adr/0007)."""
REPLICAS: Final = Limit(1000, "pods: one slot's share of a balancer's targets", _ALB_QUOTAS)

# Keys
KEY_DELETION_WINDOW: Final = Limit(
    30,
    "days at most in which the deletion of a KMS key can be taken back",
    "https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html",
)
"""Every key here has it: without its key, what it encrypted is lost."""

# Data
DATABASE_RETENTION_MINIMUM: Final = Limit(1, "day at least", _RDS_CLUSTER)
DATABASE_RETENTION_MAXIMUM: Final = Limit(35, "days at most", _RDS_CLUSTER)
DATABASE_INSTANCES: Final = Limit(16, "instances: one writer and 15 readers", _AURORA_READERS)
SERVERLESS_CAPACITY: Final = Limit(256, "ACUs at most, in steps of one half", _AURORA_CAPACITY)
GLOBAL_SERVERLESS_MINIMUM: Final = Limit(
    8,
    "ACUs that AWS recommends at least where a global database writes",
    "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html",
)
GLACIER_MINIMUM_STORAGE: Final = Limit(
    90, "days that S3 Glacier Instant and Flexible Retrieval bill at least", _S3_CLASSES
)
DEEP_ARCHIVE_MINIMUM_STORAGE: Final = Limit(
    180, "days that S3 Glacier Deep Archive bills at least", _S3_CLASSES
)
INFREQUENT_ACCESS_MINIMUM_STORAGE: Final = Limit(30, "days that S3 Standard-IA bills at least", _S3_CLASSES)
INFREQUENT_ACCESS_FIRST_DAYS: Final = Limit(
    30, "days in S3 Standard before a move to Standard-IA", _S3_TRANSITIONS
)
SMALLEST_BILLED_OBJECT: Final = Limit(
    128, "KB that S3 Standard-IA and Glacier Instant Retrieval bill for any smaller object", _S3_CLASSES
)
GLACIER_EXPEDITED_RETRIEVAL: Final = Limit(5, "minutes typically, from Flexible Retrieval", _S3_RETRIEVALS)
GLACIER_STANDARD_RETRIEVAL: Final = Limit(5, "hours typically, from Flexible Retrieval", _S3_RETRIEVALS)
GLACIER_BULK_RETRIEVAL: Final = Limit(12, "hours typically, from Flexible Retrieval", _S3_RETRIEVALS)
DEEP_ARCHIVE_STANDARD_RETRIEVAL: Final = Limit(12, "hours typically, from Deep Archive", _S3_RETRIEVALS)
DEEP_ARCHIVE_BULK_RETRIEVAL: Final = Limit(48, "hours typically, from Deep Archive", _S3_RETRIEVALS)
CONTINUOUS_BACKUP_DAYS: Final = Limit(35, "days at most of a continuous backup", _BACKUP_CONTINUOUS)
COLD_STORAGE_MINIMUM: Final = Limit(90, "days in AWS Backup's cold storage at least", _BACKUP_LIFECYCLE)

# Recovery
RECOVERY_POINT_MINIMUM: Final = Limit(20, "seconds of rds.global_db_rpo at least", _GLOBAL_RECOVERY)
GLOBAL_DATABASE_INSTANCES: Final = Limit(
    15,
    "instances of the writing cluster: one writer, and 15 readers less one for each other region",
    _GLOBAL_DATABASE,
)
GLOBAL_DATABASE_CLASSES: Final = ("db.r", "db.x")
"""How the memory-optimized instance classes begin, the only ones that a global database takes."""
GLOBAL_DATABASE_CLASSES_SOURCE: Final = _GLOBAL_DATABASE
PARTITIONS_SOURCE: Final = (
    "https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html"
)
"""Which says that nothing is replicated from a region of one partition to a region of another."""
DATABASE_ZONES: Final = Limit(2, "zones at least of a subnet group", _SUBNET_GROUPS)
RESTORABLE_LAG: Final = Limit(
    5, "minutes that the latest restorable time is typically behind", _AURORA_BACKUPS
)
WRITER_FAILOVER: Final = Limit(
    60, "seconds typically until a reader has taken over as the writer", _AURORA_AVAILABILITY
)
WRITER_RECREATION: Final = Limit(
    10, "minutes typically until a writer without readers is made anew", _AURORA_AVAILABILITY
)

BACKUP_NAME_LENGTH: Final = Limit(
    50,
    "characters of the name of a vault, a plan or a restore testing plan",
    "https://docs.aws.amazon.com/aws-backup/latest/devguide/API_BackupRuleInput.html",
)
LOCK_GRACE_MINIMUM: Final = Limit(
    3,
    "days at least in which a lock in compliance mode can be taken off",
    "https://docs.aws.amazon.com/aws-backup/latest/devguide/API_PutBackupVaultLockConfiguration.html",
)
FUNCTION_NAME_LENGTH: Final = Limit(
    64, "characters", "https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"
)
SCHEDULE_NAME_LENGTH: Final = Limit(
    64, "characters", "https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html"
)
EVENT_RULE_NAME_LENGTH: Final = Limit(
    64, "characters", "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html"
)
PARAMETER_VALUE_LENGTH: Final = Limit(
    4096,
    "characters of the value of a standard parameter",
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html",
)
REPLICATION_TIME_MINUTES: Final = Limit(
    15,
    "minutes, the only threshold that S3 Replication Time Control takes",
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-time-control.html",
)

ISSUE_LENGTH: Final = Limit(
    65_536, "characters of a GitHub issue", "https://github.com/PyGithub/PyGithub/issues/1906"
)

LOG_RETENTION_DAYS: Final = frozenset(
    {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
)
"""The periods that CloudWatch Logs takes, in days."""
LOG_RETENTION_SOURCE: Final = _LOG_RETENTION
