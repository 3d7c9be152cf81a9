"""The application's database: Aurora PostgreSQL, restorable to any second of its retention, and in two regions where the
environment has recovery objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import pulumi
import pulumi_aws as aws

from components.administrator.administrator import Administrator, AdministratorArgs, log_group_name
from components.aurora import (
    Aurora,
    AuroraArgs,
    FromAddresses,
    FromSecurityGroup,
    OwnDatabase,
    Provisioned,
    Replica,
    Serverless,
    Size,
)
from operations.limits import DATABASE_CLUSTER_NAME_LENGTH, GLOBAL_DATABASE_INSTANCES, RECOVERY_POINT_MINIMUM
from operations.naming import join
from operations.recovery import Site
from operations.versions import AURORA_POSTGRESQL

__all__ = ["Database", "DatabaseArgs", "DatabaseSite", "Provisioned", "RecoverySiteArgs", "Serverless"]

RECOVERY_POINT_PARAMETER: Final = "rds.global_db_rpo"
"""Seconds, 20 to 2,147,483,647; it takes effect without a restart.

It lies in the writing cluster's parameter group alone. While every other cluster is further behind than this, the writer's
commits wait. A cluster that has just taken over has nobody behind it, so it must not have the parameter before the other one is
back, or it would commit nothing. A database in use that becomes a global one has it before it has a follower, and commits nothing
until that has caught up (docs/adr/0015). No major upgrade is possible while it is set.
Sources: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-disaster-recovery.html ("Managing
RPOs"), https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-upgrade.html
"""

CHANGED_BY_AURORA: Final = ("replicationSourceIdentifier", "engineVersion")
"""Of a cluster in a global database. Aurora sets the source when a role changes; the provider would take the program's silence as
the wish to promote the cluster. The version is the global database's, which upgrades its clusters in the order that Aurora demands.

Sources: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/rds/cluster.go (resourceClusterUpdate),
https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/rds_global_cluster
"""

CHANGED_BY_JOINING: Final = "globalClusterIdentifier"
"""Of the cluster that a global database was made from: it is a member, and the program never said so. The provider would take
the silence as the wish to leave (same sources)."""


@dataclass(frozen=True, kw_only=True)
class RecoverySiteArgs:
    """The second region of a database.

    Raises:
        ValueError: there are no or too many instances, or no zone to put them in, the recovery point is below what RDS takes, or
            not every zone has its private range.
    """

    region: str
    """AWS region, such as `eu-central-1`; another one than the database's own."""
    zones: Sequence[str]
    """Full names of the zones over which the instances are spread, such as `eu-central-1a`."""
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    """Private subnets, one in each of the zones."""
    private_cidrs: Sequence[str]
    """Addresses of these subnets, in the order of the zones: from there connections come, and from nowhere else. Nothing is
    there until the application is built anew in this region; then its pods are."""
    instances: int
    """Of the same size as those at home; 1 to 15. One is enough to take over."""
    recovery_point_seconds: int
    """The writer's commits wait while this region is further behind; at least 20."""
    writer: Site = Site.HOME
    """Where the writer is. It follows a switchover or failover and causes none: nothing of either cluster changes by it
    but the parameter that bounds the recovery point. After a failover it is changed when the lost region's cluster is back."""

    def __post_init__(self) -> None:
        if not 1 <= self.instances <= GLOBAL_DATABASE_INSTANCES.value:
            raise ValueError(
                f"a recovery region has 1 to {GLOBAL_DATABASE_INSTANCES.value} instances, not {self.instances}"
            )
        if not self.zones:
            raise ValueError("a recovery region needs at least one zone")
        if self.recovery_point_seconds < RECOVERY_POINT_MINIMUM.value:
            raise ValueError(
                f"{RECOVERY_POINT_PARAMETER} must be at least {RECOVERY_POINT_MINIMUM.value} seconds, "
                f"not {self.recovery_point_seconds}"
            )
        if len(self.private_cidrs) != len(self.zones):
            raise ValueError(
                f"each zone has one private range: {len(self.zones)} zones, {len(self.private_cidrs)} ranges"
            )


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """What a database is made of.

    Raises:
        ValueError: there is no instance, or no zone to put it in; with a recovery region, there are more instances than a
            global database takes, or both regions are one.
    """

    prefix: str
    """How names begin, such as `quikapp-live`."""
    database_name: str
    region: str
    """AWS region, such as `eu-west-1`."""
    zones: Sequence[str]
    """Full names of the zones over which the instances are spread, such as `eu-west-1a`."""
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    """Private subnets, one in each of the zones."""
    allowed_security_group_id: pulumi.Input[str]
    """Security group from which connections come: that of nodes and pods."""
    instances: int
    """One writer, the rest readers that it can fail over to; 1 to 16, in a global database to 15."""
    size: Size
    """Of every instance, in either region: one that takes over must carry what the writer carried."""
    retention_days: int
    """Days back to which the database can be restored, to the second; 1 to 35."""
    deletion_protection: bool
    """Whether clusters and keys refuse to be destroyed, and final snapshots and the backups outlive the clusters."""
    log_retention_days: int
    """Days that PostgreSQL's log is kept; a period that CloudWatch Logs offers."""
    recovery: RecoverySiteArgs | None = None
    """The region in which the database survives the loss of its own; None where no recovery objectives hold."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.instances < 1:
            raise ValueError(f"a database needs at least 1 instance, not {self.instances}")
        if not self.zones:
            raise ValueError("a database needs at least one zone")
        if self.recovery is None:
            return
        if self.instances > GLOBAL_DATABASE_INSTANCES.value:
            raise ValueError(
                f"a global database has at most {GLOBAL_DATABASE_INSTANCES.value} instances at home, "
                f"not {self.instances}"
            )
        if self.recovery.region == self.region:
            raise ValueError(f"the recovery region must be another one than {self.region}")


@dataclass(frozen=True, kw_only=True)
class DatabaseSite:
    """What others need of the cluster of one region, whatever its part is at the moment."""

    region: str
    identifier: str
    """Of the cluster: the dimension `DBClusterIdentifier` of its metrics in CloudWatch."""
    instances: Sequence[str]
    """Identifiers of its instances: the dimension `DBInstanceIdentifier`."""
    arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    """Host that is the writer, as long as the region writes."""
    reader_endpoint: pulumi.Output[str]
    """Host that is one of the readers, or the writer where there is none."""
    kms_key_arn: pulumi.Output[str]
    """Key of its data and snapshots; it never leaves the region."""


class Database(pulumi.ComponentResource):
    """An Aurora PostgreSQL database that only the environment's own network can reach, and only over TLS.

    It is encrypted with a key of its own in each region, backed up continuously, and signed in to with tokens of IAM. No password
    is in the program or in its state. Its engine changes when the pinned version does, and not by itself.

    With a recovery region it is a global database: a second cluster, of instances of the same size, follows within a second and
    takes over within minutes. What either cluster is made of does not depend on which of them writes, so after a change of
    roles the same program plans no replacement (docs/adr/0015).
    Sources: the operations page, "Backup Schedule" and "Recovery Objectives",
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.html
    """

    sites: Mapping[Site, DatabaseSite]
    """The cluster at home, and that of the recovery region where there is one."""
    writer: Site
    endpoint: pulumi.Output[str]
    """Host that always is the writer, in the region that writes."""
    reader_endpoint: pulumi.Output[str]
    """Host that is one of the readers of that region, or the writer where there is none."""
    port: pulumi.Output[int]
    administrator_secret_arn: pulumi.Output[str] | None
    """Secret in which RDS keeps the administrator's password; None in a global database, where there is no password."""
    global_identifier: str | None
    """What a switchover or failover names; None without a recovery region."""
    global_endpoint: pulumi.Output[str] | None
    """Host that is the writer in whichever region, as soon as Aurora knows. For people: a token of IAM is signed for a region, and
    a network reaches its own region only, so services get `endpoint`.
    Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-connecting.html
    """

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:database:Database", name, None, opts)
        self._name = name
        self._args = args
        recovery = args.recovery

        home = self._home()
        self._clusters = {Site.HOME: home}
        self.writer = Site.HOME
        self.administrator_secret_arn = None
        self.global_identifier = None
        self.global_endpoint = None
        if recovery is None:
            self.administrator_secret_arn = home.cluster.master_user_secrets[0].secret_arn
        else:
            together = self._global(home)
            self._clusters[Site.RECOVERY] = self._second(recovery, home, together)
            self.writer = recovery.writer
            self.global_identifier = self._global_identifier()
            self.global_endpoint = together.endpoint

        self.sites = MappingProxyType({site: _told(made) for site, made in self._clusters.items()})
        self.endpoint = self.sites[self.writer].endpoint
        self.reader_endpoint = self.sites[self.writer].reader_endpoint
        self.port = self._clusters[self.writer].cluster.port
        self.register_outputs(
            {"endpoint": self.endpoint, "readerEndpoint": self.reader_endpoint, "port": self.port}
        )

    def user_arn(self, user: str, site: Site | None = None) -> pulumi.Output[str]:
        """ARN of a database user at a site, by default the writer's: on it `rds-db:connect` is granted.

        The user needs the role `rds_iam`. Who is to sign in after a failover too is granted it at every one of `sites`.
        Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
        """
        return self._clusters[self.writer if site is None else site].user_arn(user)

    def _global_identifier(self) -> str:
        return join(self._args.prefix, "database-global", limit=DATABASE_CLUSTER_NAME_LENGTH.value)

    def _parameters(self, site: Site) -> Mapping[str, str]:
        """What the writer's parameter group has besides the common ones."""
        recovery = self._args.recovery
        if recovery is None or recovery.writer is not site:
            return {}
        return {RECOVERY_POINT_PARAMETER: str(recovery.recovery_point_seconds)}

    def _home(self) -> Aurora:
        args = self._args
        shared = args.recovery is not None
        return Aurora(
            self._name,
            AuroraArgs(
                prefix=args.prefix,
                label="database",
                region=args.region,
                zones=args.zones,
                vpc_id=args.vpc_id,
                subnet_ids=args.subnet_ids,
                access=FromSecurityGroup(group_id=args.allowed_security_group_id),
                origin=OwnDatabase(database_name=args.database_name),
                instances=args.instances,
                size=args.size,
                parameters=self._parameters(Site.HOME),
                retention_days=args.retention_days,
                deletion_protection=args.deletion_protection,
                log_retention_days=args.log_retention_days,
                further_log_groups=[log_group_name(args.prefix)] if shared else [],
                ignore_changes=[*CHANGED_BY_AURORA, CHANGED_BY_JOINING] if shared else [],
                tags=args.tags,
            ),
            parent=self,
        )

    def _global(self, home: Aurora) -> aws.rds.GlobalCluster:
        """The global database, made from the cluster at home: one that is in use already becomes part of it as it is."""
        args = self._args
        administrator = Administrator(
            f"{self._name}-administrator",
            AdministratorArgs(
                prefix=args.prefix,
                region=args.region,
                cluster_identifier=home.identifier,
                cluster_arn=home.cluster.arn,
                cluster_resource_id=home.cluster.cluster_resource_id,
                key_arn=home.key.arn,
                ready=[*home.instances, home.key_policy],
                log_retention_days=args.log_retention_days,
                tags=args.tags,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        identifier = self._global_identifier()
        return aws.rds.GlobalCluster(
            f"{self._name}-global",
            global_cluster_identifier=identifier,
            source_db_cluster_identifier=home.cluster.arn,
            engine_version=AURORA_POSTGRESQL,
            deletion_protection=args.deletion_protection,
            # Demanded with a source: taken apart, it lets go of its clusters and deletes none.
            force_destroy=True,
            region=args.region,
            tags={**args.tags, "Name": identifier},
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[administrator.signs_in_with_iam], protect=args.deletion_protection
            ),
        )

    def _second(self, recovery: RecoverySiteArgs, home: Aurora, together: aws.rds.GlobalCluster) -> Aurora:
        """The cluster of the recovery region. Names of clusters must differ even between regions.

        Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.configuration.requirements.html
        """
        args = self._args
        letters = [zone.removeprefix(recovery.region) for zone in recovery.zones]
        return Aurora(
            f"{self._name}-recovery",
            AuroraArgs(
                prefix=args.prefix,
                label="database-recovery",
                region=recovery.region,
                zones=recovery.zones,
                vpc_id=recovery.vpc_id,
                subnet_ids=recovery.subnet_ids,
                access=FromAddresses(cidrs=dict(zip(letters, recovery.private_cidrs, strict=True))),
                origin=Replica(global_cluster_identifier=together.id),
                instances=recovery.instances,
                size=args.size,
                parameters=self._parameters(Site.RECOVERY),
                retention_days=args.retention_days,
                maintenance_day="tue",
                deletion_protection=args.deletion_protection,
                log_retention_days=args.log_retention_days,
                ignore_changes=CHANGED_BY_AURORA,
                tags=args.tags,
            ),
            parent=self,
            # A copy can only be made of a cluster that has an instance.
            after=home.instances,
        )


def _told(made: Aurora) -> DatabaseSite:
    return DatabaseSite(
        region=made.region,
        identifier=made.identifier,
        instances=made.instance_identifiers,
        arn=made.cluster.arn,
        endpoint=made.cluster.endpoint,
        reader_endpoint=made.cluster.reader_endpoint,
        kms_key_arn=made.key.arn,
    )
