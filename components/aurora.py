"""One Aurora PostgreSQL cluster in one region, with its key, log, access, parameters and instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import pulumi
import pulumi_aws as aws

from components import encrypted_log
from components.encrypted_log import EncryptedLog, EncryptedLogArgs
from components.policies import Arn, trust_policy
from operations.limits import (
    DATABASE_CLUSTER_NAME_LENGTH,
    ROLE_NAME_LENGTH,
)
from operations.metrics import LATENCY_P99
from operations.naming import join
from operations.versions import AURORA_POSTGRESQL

PORT: Final = 5432

ADMINISTRATOR: Final = "operations"
"""The user that owns the database. RDS makes its password, rotates it and keeps it in Secrets Manager; in a global database
it has none and signs in with tokens of IAM (components.administrator). Services sign in as users of their own, with tokens."""

BACKUP_WINDOW: Final = "01:00-02:00"
"""When the daily snapshot is taken, UTC; continuous backup knows no window."""

MAINTENANCE_START: Final = datetime(2000, 1, 2, 3)
"""03:00 UTC: the date means nothing."""

MAINTENANCE_LENGTH: Final = timedelta(minutes=30)
"""The shortest window that RDS takes. Each instance has one of its own, so no two are restarted at the same time.

Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_UpgradeDBInstance.Maintenance.html
"""

INSIGHTS_RETENTION_DAYS: Final = 7
"""Days that Database Insights keeps its measurements; seven are free of charge.

Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_DatabaseInsights.html
"""

ENHANCED_MONITORING_SECONDS: Final = 60
"""Time between two measurements of an instance's operating system."""

SLOW_STATEMENT_MILLISECONDS: Final = round(LATENCY_P99.critical * 1000)
"""Statements that take this long are logged: alone they make the API's latency critical."""

PARAMETERS: Final[Mapping[str, str]] = {
    "rds.force_ssl": "1",
    "log_connections": "1",
    "log_disconnections": "1",
    "log_lock_waits": "1",
    "log_min_duration_statement": str(SLOW_STATEMENT_MILLISECONDS),
    "log_statement": "ddl",
}
"""Parameters of the cluster that differ from Aurora's own; none needs a restart.

Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_LogAccess.Concepts.PostgreSQL.Query_Logging.html
"""


@dataclass(frozen=True, kw_only=True)
class Provisioned:
    """Instances of a fixed size."""

    instance_class: str
    """Such as `db.r8g.large`."""


@dataclass(frozen=True, kw_only=True)
class Serverless:
    """Instances that grow and shrink with the load, in Aurora capacity units of about 2 GiB of memory.

    Raises:
        ValueError: the capacities are not a range.
    """

    min_acu: float
    """Capacity that is always there, in steps of one half."""
    max_acu: float
    """Capacity at most, 1 to 256 in steps of one half."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_acu <= self.max_acu:
            raise ValueError(f"{self.min_acu:g} to {self.max_acu:g} ACUs are no range")


Size = Provisioned | Serverless

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


@dataclass(frozen=True, kw_only=True)
class FromSecurityGroup:
    """Connections come from what is in a security group."""

    group_id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class FromAddresses:
    """Connections come from addresses."""

    cidrs: Mapping[str, str]
    """The label of each range, such as the letter of its zone, and the range itself, such as `10.60.0.0/19`."""


Access = FromSecurityGroup | FromAddresses


@dataclass(frozen=True, kw_only=True)
class OwnDatabase:
    """A cluster that begins with an empty database, and an administrator whose password RDS makes and keeps."""

    database_name: str


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A cluster that begins as a copy of a global database, and has its database, users and passwords from there.

    RDS refuses the name of an administrator here.
    Source: https://github.com/terraform-aws-modules/terraform-aws-rds-aurora/issues/157
    """

    global_cluster_identifier: pulumi.Input[str]


Origin = OwnDatabase | Replica


@dataclass(frozen=True, kw_only=True)
class AuroraArgs:
    """What a cluster is made of."""

    prefix: str
    """How names begin, such as `quikapp-live`."""
    label: str
    """How names go on, such as `database`."""
    region: str
    """AWS region, such as `eu-west-1`."""
    zones: Sequence[str]
    """Full names of the zones over which the instances are spread, such as `eu-west-1a`."""
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    """Private subnets, one in each of the zones."""
    access: Access
    """Who may connect."""
    origin: Origin
    instances: int
    """1 to 16."""
    size: Size
    """Of every instance: a reader that takes over must carry what the writer carried."""
    parameters: Mapping[str, str]
    """Parameters of the cluster besides `PARAMETERS`."""
    retention_days: int
    """Days back to which the database can be restored, to the second; 1 to 35."""
    maintenance_day: Day = "sun"
    """Two clusters of one database have days of their own: a restart of the writer restarts the other region's readers too.
    Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-secondary-availability.html
    """
    deletion_protection: bool
    """Whether cluster and key refuse to be destroyed, and a final snapshot and the backups outlive the cluster."""
    log_retention_days: int
    """Days that PostgreSQL's log is kept; a period that CloudWatch Logs offers."""
    further_log_groups: Sequence[str] = ()
    """Log groups besides PostgreSQL's that the key encrypts."""
    ignore_changes: Sequence[str] = ()
    """Properties of the cluster that AWS changes on its own, or that another resource changes."""
    tags: Mapping[str, str]


class Aurora:
    """The resources of one cluster, which belong to the component that declares it.

    It is encrypted with a key of its own region, backed up continuously, reached over TLS only, and signed in to with tokens of
    IAM. Its engine changes when the pinned version does, and not by itself.
    """

    identifier: str
    region: str
    cluster: aws.rds.Cluster
    key: aws.kms.Key
    key_policy: aws.kms.KeyPolicy
    instances: Sequence[aws.rds.ClusterInstance]
    instance_identifiers: Sequence[str]
    """In the order of the instances, such as `quikapp-live-database-0`."""

    def __init__(
        self, name: str, args: AuroraArgs, *, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = ()
    ) -> None:
        """Declare them; the cluster comes after what is in `after`."""
        self._name = name
        self._args = args
        self._parent = parent
        self._child = pulumi.ResourceOptions(parent=parent)
        self.identifier = join(args.prefix, args.label, limit=DATABASE_CLUSTER_NAME_LENGTH.value)
        self.region = args.region

        log_group, self.key, self.key_policy = self._log()
        self.cluster = self._cluster([log_group, *after])
        role, granted = self._monitoring_role()
        self.instance_identifiers = tuple(
            join(args.prefix, args.label, str(index), limit=DATABASE_CLUSTER_NAME_LENGTH.value)
            for index in range(args.instances)
        )
        self.instances = [
            self._instance(index, role, pulumi.ResourceOptions(parent=parent, depends_on=[granted]))
            for index in range(args.instances)
        ]

    def user_arn(self, user: str) -> pulumi.Output[str]:
        """ARN of a database user, on which `rds-db:connect` is granted; the user needs the role `rds_iam`.

        Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
        """

        def of_cluster(arn: str, resource_id: str) -> str:
            cluster = Arn.parse(arn)
            return f"arn:{cluster.partition}:rds-db:{cluster.region}:{cluster.account}:dbuser:{resource_id}/{user}"

        return pulumi.Output.all(self.cluster.arn, self.cluster.cluster_resource_id).apply(
            lambda made: of_cluster(*made)
        )

    def _tags(self, *label: str) -> dict[str, str]:
        return {**self._args.tags, "Name": "-".join([self._args.prefix, self._args.label, *label])}

    def _log(self) -> EncryptedLog:
        """The log group of PostgreSQL, whose log holds statements, and the key of everything the database writes."""
        args = self._args
        return encrypted_log.declare(
            f"{self._name}-log",
            f"{self._name}-key",
            EncryptedLogArgs(
                group_name=f"/aws/rds/cluster/{self.identifier}/postgresql",
                retention_days=args.log_retention_days,
                key_description=f"Data, backups, administrator's password and log of {self.identifier}",
                further_groups=args.further_log_groups,
                protect_key=args.deletion_protection,
                region=args.region,
                tags=self._tags(),
            ),
            parent=self._parent,
        )

    def _security_group(self) -> aws.ec2.SecurityGroup:
        """In from where connections come at the database's port, and nothing out."""
        args = self._args
        group = aws.ec2.SecurityGroup(
            f"{self._name}-access",
            description=_access_description(args.access),
            vpc_id=args.vpc_id,
            region=args.region,
            tags=self._tags(),
            opts=self._child,
        )

        def allow(
            label: str, description: str, *, group_id: pulumi.Input[str] | None, cidr: str | None
        ) -> None:
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-{label}",
                security_group_id=group.id,
                referenced_security_group_id=group_id,
                cidr_ipv4=cidr,
                ip_protocol="tcp",
                from_port=PORT,
                to_port=PORT,
                description=description,
                region=args.region,
                tags=self._tags(label),
                opts=self._child,
            )

        match args.access:
            case FromSecurityGroup(group_id=group_id):
                allow("from-cluster", "Services", group_id=group_id, cidr=None)
            case FromAddresses(cidrs=cidrs):
                for label, cidr in cidrs.items():
                    allow(f"from-{label}", f"Private subnet {label}", group_id=None, cidr=cidr)
        return group

    def _cluster(self, after: Sequence[pulumi.Resource]) -> aws.rds.Cluster:
        args = self._args
        own = args.origin if isinstance(args.origin, OwnDatabase) else None
        replica = args.origin if isinstance(args.origin, Replica) else None
        subnets = aws.rds.SubnetGroup(
            f"{self._name}-subnets",
            description=f"Private subnets of {self.identifier}",
            subnet_ids=args.subnet_ids,
            region=args.region,
            tags=self._tags(),
            opts=self._child,
        )
        parameters = aws.rds.ClusterParameterGroup(
            f"{self._name}-parameters",
            description=f"TLS only, and what {self.identifier} logs",
            family=f"aurora-postgresql{AURORA_POSTGRESQL.partition('.')[0]}",
            parameters=[
                aws.rds.ClusterParameterGroupParameterArgs(name=parameter, value=value)
                for parameter, value in {**PARAMETERS, **args.parameters}.items()
            ],
            region=args.region,
            tags=self._tags(),
            opts=self._child,
        )
        return aws.rds.Cluster(
            f"{self._name}-cluster",
            cluster_identifier=self.identifier,
            engine=aws.rds.EngineType.AURORA_POSTGRESQL,
            engine_version=AURORA_POSTGRESQL,
            serverlessv2_scaling_configuration=_scaling(args.size),
            global_cluster_identifier=replica and replica.global_cluster_identifier,
            database_name=own and own.database_name,
            port=PORT,
            master_username=own and ADMINISTRATOR,
            manage_master_user_password=own and True,
            master_user_secret_kms_key_id=own and self.key.arn,
            iam_database_authentication_enabled=True,
            storage_encrypted=True,
            kms_key_id=self.key.arn,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[self._security_group().id],
            db_cluster_parameter_group_name=parameters.name,
            backup_retention_period=args.retention_days,
            preferred_backup_window=BACKUP_WINDOW,
            preferred_maintenance_window=maintenance_window(0, args.maintenance_day),
            copy_tags_to_snapshot=True,
            delete_automated_backups=not args.deletion_protection,
            skip_final_snapshot=not args.deletion_protection,
            final_snapshot_identifier=self._final_snapshot() if args.deletion_protection else None,
            deletion_protection=args.deletion_protection,
            enabled_cloudwatch_logs_exports=["postgresql"],
            database_insights_mode="standard",
            region=args.region,
            tags=self._tags(),
            opts=pulumi.ResourceOptions(
                parent=self._parent,
                depends_on=list(after),
                protect=args.deletion_protection,
                ignore_changes=list(args.ignore_changes),
            ),
        )

    def _final_snapshot(self) -> pulumi.Output[str]:
        """What is left of the cluster when it is destroyed, such as `quikapp-live-database-final-1234abcd`.

        It outlives the cluster, so the next one of the same name must not want the same: the end is that of its key, which is
        made anew with the cluster, and with nothing else.
        """
        return self.key.key_id.apply(lambda key: f"{self.identifier}-final-{key.partition('-')[0]}")

    def _monitoring_role(self) -> tuple[aws.iam.Role, aws.iam.RolePolicyAttachment]:
        """The role with which RDS writes measurements of the operating system, and what grants it the writing.

        Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Monitoring.OS.Enabling.html
        """
        args = self._args
        role_name = join(args.prefix, args.label, "monitoring", limit=ROLE_NAME_LENGTH.value)
        role = aws.iam.Role(
            f"{self._name}-monitoring",
            name=role_name,
            description="RDS writes measurements of the operating system",
            assume_role_policy=self.cluster.arn.apply(lambda arn: _monitoring_trust(Arn.parse(arn))),
            tags={**args.tags, "Name": role_name},
            opts=self._child,
        )
        granted = aws.iam.RolePolicyAttachment(
            f"{self._name}-monitoring",
            role=role.name,
            policy_arn=role.arn.apply(
                lambda arn: (
                    f"arn:{Arn.parse(arn).partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
                )
            ),
            opts=self._child,
        )
        return role, granted

    def _instance(
        self, index: int, monitoring_role: aws.iam.Role, opts: pulumi.ResourceOptions
    ) -> aws.rds.ClusterInstance:
        """The writer, or one of the readers, in a zone of its own for as long as there are zones."""
        args = self._args
        identifier = self.instance_identifiers[index]
        return aws.rds.ClusterInstance(
            f"{self._name}-{index}",
            identifier=identifier,
            cluster_identifier=self.cluster.cluster_identifier,
            engine=aws.rds.EngineType.AURORA_POSTGRESQL,
            instance_class=_instance_class(args.size),
            availability_zone=args.zones[index % len(args.zones)],
            # A serverless reader of tier 0 or 1 is always as large as the writer, so it can take over at once.
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.how-it-works.html
            promotion_tier=min(index, 1),
            publicly_accessible=False,
            auto_minor_version_upgrade=False,
            preferred_maintenance_window=maintenance_window(index, args.maintenance_day),
            copy_tags_to_snapshot=True,
            performance_insights_enabled=True,
            performance_insights_kms_key_id=self.key.arn,
            performance_insights_retention_period=INSIGHTS_RETENTION_DAYS,
            monitoring_interval=ENHANCED_MONITORING_SECONDS,
            monitoring_role_arn=monitoring_role.arn,
            region=args.region,
            tags={**args.tags, "Name": identifier},
            opts=opts,
        )


def _access_description(access: Access) -> str:
    match access:
        case FromSecurityGroup():
            return "PostgreSQL from the pods of the cluster"
        case FromAddresses():
            return "PostgreSQL from the private subnets"


def maintenance_window(index: int, day: Day = "sun") -> str:
    """When RDS may restart an instance, UTC, such as `sun:03:00-sun:03:30` for the first of them, 0 to 15."""
    start = MAINTENANCE_START + index * MAINTENANCE_LENGTH
    return f"{day}:{start:%H:%M}-{day}:{start + MAINTENANCE_LENGTH:%H:%M}"


def _instance_class(size: Size) -> str:
    match size:
        case Provisioned(instance_class=instance_class):
            return instance_class
        case Serverless():
            return "db.serverless"


def _scaling(size: Size) -> aws.rds.ClusterServerlessv2ScalingConfigurationArgs | None:
    match size:
        case Provisioned():
            return None
        case Serverless(min_acu=min_acu, max_acu=max_acu):
            return aws.rds.ClusterServerlessv2ScalingConfigurationArgs(
                min_capacity=min_acu, max_capacity=max_acu
            )


def _monitoring_trust(cluster: Arn) -> str:
    """Lets RDS take the role for the instances of this account and region only."""
    return trust_policy(
        "monitoring.rds.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": cluster.account},
            "ArnLike": {
                "aws:SourceArn": f"arn:{cluster.partition}:rds:{cluster.region}:{cluster.account}:db:*"
            },
        },
    )
