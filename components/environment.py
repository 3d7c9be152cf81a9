"""One environment, whole: the only place where components are wired together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

import pulumi

from components.change_record import ChangeRecord, ChangeRecordArgs
from components.cluster import Cluster, ClusterArgs
from components.database import Database, DatabaseArgs, Provisioned, RecoverySiteArgs, Serverless
from components.monitoring.cloudwatch import DatabaseCluster
from components.monitoring.parts import PORTS
from components.monitoring.rules import RecoveryWatched, Watched
from components.monitoring.stack import Monitoring, MonitoringArgs
from components.network import Network, NetworkArgs
from components.recovery_report.report import (
    RecoveryReport,
    RecoveryReportArgs,
    WatchedCopy,
    WatchedTest,
    WatchedVault,
)
from components.restore_tests import RestoreTests, RestoreTestsArgs
from components.slots import Collector, DatabaseAccess, FilesAccess, Slot, SlotArgs, Telemetry
from components.storage import Storage, StorageArgs
from components.traffic import Dns, ExistingCertificate, HostedZone, Route, Traffic, TrafficArgs
from components.vaults import Source, Vault, Vaults, VaultsArgs
from operations import promises, versions
from operations.backup import Data
from operations.environments import BUDGET_WINDOW, Gate
from operations.facts import EnvironmentFacts, Recovery
from operations.monitoring import NAMESPACE, Part
from operations.naming import APPLICATION
from operations.recovery import Site
from operations.services import Use
from operations.slots import Slot as SlotName

DEREGISTRATION_SECONDS: Final = 30
"""How long a target that leaves still gets the requests that were under way."""

DRAIN_SECONDS: Final = DEREGISTRATION_SECONDS + 15
"""How long a pod serves on after it was told to stop: longer than its target takes to leave."""

DATABASE_NAME: Final = APPLICATION
DATABASE_USER: Final = f"{APPLICATION}_app"
"""The user that services sign in as, with a token that IAM signs; it has the role `rds_iam`."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentArgs:
    """What an environment is made of."""

    facts: EnvironmentFacts
    """What the stack file says, validated."""
    secrets: Mapping[str, pulumi.Output[str]]
    """The secrets that services name, by name."""


class Environment(pulumi.ComponentResource):
    """Network, cluster, database, storage, backups, both slots, traffic and monitoring of one environment."""

    outputs: Mapping[str, pulumi.Input[object]]
    """What a person or a pipeline needs of it, by the name of the stack output."""

    def __init__(self, name: str, args: EnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        facts = args.facts
        bounded = pulumi.ResourceOptions(transformations=_bounding(facts.environment.permissions_boundary))
        super().__init__(
            "quikapp:environment:Environment", name, None, pulumi.ResourceOptions.merge(opts, bounded)
        )
        child = pulumi.ResourceOptions(parent=self)
        prefix = f"{APPLICATION}-{facts.name}"
        protect = facts.cluster.deletion_protection

        network = Network(
            f"{name}-network",
            NetworkArgs(
                cidr=facts.network.cidr,
                region=facts.region,
                zones=facts.network.zones,
                nat_gateways=facts.network.nat_gateways,
                log_retention_days=facts.retention.logs_days,
                tags=facts.tags,
            ),
            opts=child,
        )
        cluster = Cluster(
            f"{name}-cluster",
            ClusterArgs(
                cluster_name=prefix,
                region=facts.region,
                kubernetes_version=versions.KUBERNETES,
                subnet_ids=network.private_subnet_ids,
                zones=facts.zone_names,
                cpu_limit=facts.cluster.cpu_limit,
                memory_limit_gib=facts.cluster.memory_limit_gib,
                administrators=facts.cluster.administrators,
                viewers=facts.cluster.viewers,
                api_access_cidrs=facts.cluster.api_access_cidrs,
                deletion_protection=protect,
                log_retention_days=facts.retention.logs_days,
                tags=facts.tags,
            ),
            opts=child,
        )
        away = None if facts.recovery is None else _away(name, facts, facts.recovery, child)
        database = Database(
            f"{name}-database",
            DatabaseArgs(
                prefix=prefix,
                database_name=DATABASE_NAME,
                region=facts.region,
                zones=facts.zone_names,
                vpc_id=network.vpc_id,
                subnet_ids=network.private_subnet_ids,
                allowed_security_group_id=cluster.security_group_id,
                instances=facts.database.instances,
                size=_size(facts),
                retention_days=facts.retention.database_days,
                deletion_protection=protect,
                log_retention_days=facts.retention.logs_days,
                recovery=None if away is None else _recovery_site(facts, away),
                tags=facts.tags,
            ),
            opts=child,
        )
        storage = Storage(
            f"{name}-storage",
            StorageArgs(
                prefix=prefix,
                region=facts.region,
                recovery_region=facts.recovery_region,
                retention_days=facts.files_plan.keep_days,
                lock=facts.lock,
                log_retention_days=facts.retention.logs_days,
                protect=protect,
                tags=facts.tags,
            ),
            opts=child,
        )
        vaults = Vaults(
            f"{name}-vaults",
            VaultsArgs(
                prefix=prefix,
                regions={Site.HOME: facts.region, Site.RECOVERY: facts.recovery_region},
                cluster=_source(database, Site.HOME),
                replica=None if away is None else _source(database, Site.RECOVERY),
                bucket=Source(arn=storage.files.bucket_arn, key_arn=storage.files.kms_key_arn),
                database=facts.vault_plan(Data.DATABASE),
                files=facts.vault_plan(Data.FILES),
                protect=protect,
                tags=facts.tags,
            ),
            opts=child,
        )
        restore_tests = None if away is None else _restore_tests(name, facts, away, database, vaults, child)
        RecoveryReport(
            f"{name}-recovery-report",
            RecoveryReportArgs(
                prefix=prefix,
                environment=facts.name,
                region=facts.region,
                vaults=[
                    _watched_vault(data, vault)
                    for data, sites in vaults.vaults.items()
                    for vault in sites.values()
                ],
                restore_tests=[]
                if restore_tests is None
                else [
                    WatchedTest(arn=arn, vault=_watched_vault(data, vaults.vaults[data][Site.RECOVERY]))
                    for data, arn in restore_tests.plan_arns.items()
                ],
                copies=[
                    WatchedCopy(data=Data.FILES, region=facts.recovery_region, arn=storage.copies.task_arn)
                ],
                log_retention_days=facts.retention.logs_days,
                tags=facts.tags,
            ),
            opts=child,
        )

        on_cluster = pulumi.ResourceOptions(parent=self, providers=[cluster.provider])
        # Pods come after the nodes' pool, and above all leave before it: nothing is drained that has nowhere to go.
        on_nodes = pulumi.ResourceOptions(parent=self, providers=[cluster.provider], depends_on=[cluster])
        # A version comes after the record of the change request that brings it.
        approved = _change_record(name, facts, child) if facts.environment.gate is Gate.CAB else None
        in_slots = pulumi.ResourceOptions.merge(
            on_nodes, pulumi.ResourceOptions(depends_on=[approved] if approved else [])
        )
        slots = {
            slot: Slot(
                f"{name}-{slot}",
                SlotArgs(
                    slot=slot,
                    namespace=slot.namespace,
                    version=facts.release.of(slot).version,
                    change_request=facts.change_of(slot),
                    capacity=facts.release.capacity_of(slot),
                    services=facts.services,
                    replicas=facts.sizing.replicas,
                    zones=len(facts.network.zones),
                    drain_seconds=DRAIN_SECONDS,
                    ingress_cidrs=network.public_cidrs,
                    network_cidr=str(facts.network.cidr),
                    database=DatabaseAccess(
                        host=database.endpoint,
                        port=database.port,
                        name=DATABASE_NAME,
                        user=DATABASE_USER,
                        user_arn=database.user_arn(DATABASE_USER),
                    ),
                    files=FilesAccess(
                        bucket=storage.files.bucket_name,
                        bucket_arn=storage.files.bucket_arn,
                        key_arn=storage.files.kms_key_arn,
                    ),
                    telemetry=_telemetry(facts),
                    secrets=args.secrets,
                    monitoring_namespace=NAMESPACE,
                    cluster_name=cluster.cluster_name,
                    region=facts.region,
                    tags=facts.tags,
                ),
                opts=in_slots,
            )
            for slot in SlotName
        }
        namespaces = {slot: component.namespace for slot, component in slots.items()}
        traffic = Traffic(
            f"{name}-traffic",
            TrafficArgs(
                prefix=prefix,
                region=facts.region,
                vpc_id=network.vpc_id,
                public_subnet_ids=network.public_subnet_ids,
                cluster_name=cluster.cluster_name,
                cluster_security_group_id=cluster.security_group_id,
                domain=facts.traffic.domain,
                dns=_dns(facts),
                routes={
                    service: Route(path=declared.path, port=declared.port, health_path=declared.health_path)
                    for service, declared in facts.services.items()
                },
                release=facts.release,
                namespaces=namespaces,
                deregistration_delay_seconds=DEREGISTRATION_SECONDS,
                waf=facts.traffic.waf,
                deletion_protection=protect,
                log_retention_days=facts.retention.logs_days,
                tags=facts.tags,
            ),
            opts=on_cluster,
        )
        monitoring = Monitoring(
            f"{name}-monitoring",
            MonitoringArgs(
                region=facts.region,
                cluster_name=cluster.cluster_name,
                facts=facts.monitoring,
                watched=Watched(
                    environment=facts.name,
                    sla=facts.environment.sla,
                    services=tuple(facts.services),
                    replicas={part: facts.monitoring.replicas(part) for part in facts.monitoring.parts},
                    grafana_url=facts.monitoring.grafana_url,
                    runbooks_url=facts.monitoring.runbooks_url,
                    retention_days=facts.monitoring.retention_days,
                    recovery=None if away is None else _watched(away.declared),
                ),
                database_services=[
                    service for service, declared in facts.services.items() if Use.DATABASE in declared.uses
                ],
                database_clusters=[
                    DatabaseCluster(region=made.region, identifier=made.identifier, instances=made.instances)
                    for made in database.sites.values()
                ],
                logs_days=facts.retention.logs_days,
                slot_namespaces=namespaces,
                network_cidr=str(facts.network.cidr),
                zones=len(facts.network.zones),
                storage_class=cluster.storage_class,
                secrets=args.secrets,
                tags=facts.tags,
            ),
            opts=on_nodes,
        )

        self.outputs = {
            "environment": facts.name,
            "region": facts.region,
            "endpoints": {
                "application": traffic.url,
                "loadBalancer": traffic.load_balancer_dns_name,
                "kubernetes": cluster.endpoint,
                "database": database.endpoint,
                "databaseReader": database.reader_endpoint,
                **monitoring.urls,
            },
            "cluster": cluster.cluster_name,
            "buckets": {"files": storage.files.bucket_name, "backup": storage.backup.bucket_name},
            "slots": {
                slot.value: {
                    "version": facts.release.of(slot).version,
                    "weight": facts.release.weights.of(slot),
                    "capacity": facts.release.capacity_of(slot),
                    "namespace": component.namespace,
                    **({} if (change := facts.change_of(slot)) is None else {"changeRequest": change}),
                }
                for slot, component in slots.items()
            },
            "release": facts.release.model_dump(mode="json", by_alias=True, exclude_none=True),
            "changeRequest": facts.changes[-1].request if facts.changes else "none",
            "changes": [change.model_dump(mode="json", by_alias=True) for change in facts.changes],
            "listenerRules": traffic.listener_rules,
            "sla": _percent(facts),
            "errorBudget": _budget(facts),
            "gate": facts.environment.gate,
            "recovery": promises.summary(facts.declared),
        }
        self.register_outputs(self.outputs)


def _change_record(name: str, facts: EnvironmentFacts, opts: pulumi.ResourceOptions) -> ChangeRecord:
    return ChangeRecord(
        f"{name}-change-record",
        ChangeRecordArgs(
            application=APPLICATION,
            environment=facts.name,
            prefix=f"{APPLICATION}-{facts.name}",
            changes=facts.changes,
            region=facts.region,
            log_retention_days=facts.retention.logs_days,
            protect=facts.cluster.deletion_protection,
            tags=facts.tags,
        ),
        opts=opts,
    )


def _bounding(boundary: str | None) -> list[pulumi.ResourceTransformation]:
    """What gives every role its boundary, in whichever component it is, so that none can be forgotten."""

    def bound(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if args.type_ != "aws:iam/role:Role":
            return None
        return pulumi.ResourceTransformationResult(
            {**args.props, "permissions_boundary": boundary}, args.opts
        )

    return [] if boundary is None else [bound]


def _size(facts: EnvironmentFacts) -> Provisioned | Serverless:
    if (serverless := facts.database.serverless) is not None:
        return Serverless(min_acu=serverless.min_acu, max_acu=serverless.max_acu)
    # The facts hold exactly one of the two.
    return Provisioned(instance_class=cast("str", facts.database.instance_class))


@dataclass(frozen=True, kw_only=True)
class _Away:
    """The recovery region of an environment with recovery objectives."""

    declared: Recovery
    network: Network
    """Where the database's second cluster is, and where the application would be built anew: without a way out."""


def _away(name: str, facts: EnvironmentFacts, declared: Recovery, opts: pulumi.ResourceOptions) -> _Away:
    network = Network(
        f"{name}-recovery-network",
        NetworkArgs(
            cidr=declared.network.cidr,
            region=facts.recovery_region,
            zones=declared.network.zones,
            nat_gateways=0,
            log_retention_days=facts.retention.logs_days,
            tags=facts.tags,
        ),
        opts=opts,
    )
    return _Away(declared=declared, network=network)


def _recovery_site(facts: EnvironmentFacts, away: _Away) -> RecoverySiteArgs:
    declared, network = away.declared, away.network
    return RecoverySiteArgs(
        region=facts.recovery_region,
        zones=network.zone_names,
        vpc_id=network.vpc_id,
        subnet_ids=network.private_subnet_ids,
        private_cidrs=network.private_cidrs,
        instances=declared.instances,
        recovery_point_seconds=declared.recovery_point_seconds,
        writer=declared.writer,
    )


def _source(database: Database, site: Site) -> Source:
    cluster = database.sites[site]
    return Source(arn=cluster.arn, key_arn=cluster.kms_key_arn)


def _restore_tests(
    name: str,
    facts: EnvironmentFacts,
    away: _Away,
    database: Database,
    vaults: Vaults,
    opts: pulumi.ResourceOptions,
) -> RestoreTests:
    kept = {data: sites[Site.RECOVERY] for data, sites in vaults.vaults.items()}
    return RestoreTests(
        f"{name}-restore-tests",
        RestoreTestsArgs(
            prefix=f"{APPLICATION}-{facts.name}",
            region=facts.recovery_region,
            every_days=away.declared.restore_test_days,
            vault_arns={data: vault.arn for data, vault in kept.items()},
            key_arn=kept[Data.DATABASE].key_arn,
            cluster_key_arn=database.sites[Site.RECOVERY].kms_key_arn,
            vpc_id=away.network.vpc_id,
            subnet_ids=away.network.private_subnet_ids,
            zones=away.network.zone_names,
            tags=facts.tags,
        ),
        opts=opts,
    )


def _watched_vault(data: Data, vault: Vault) -> WatchedVault:
    return WatchedVault(data=data, region=vault.region, name=vault.name, arn=vault.arn, sources=vault.sources)


def _watched(declared: Recovery) -> RecoveryWatched:
    return RecoveryWatched(
        recovery_point=timedelta(seconds=declared.recovery_point_seconds),
        restore_test_days=declared.restore_test_days,
    )


def _dns(facts: EnvironmentFacts) -> Dns:
    if facts.traffic.certificate_arn is not None:
        return ExistingCertificate(
            certificate_arn=facts.traffic.certificate_arn, zone_id=facts.traffic.hosted_zone_id
        )
    # The facts hold at least one of the two.
    return HostedZone(zone_id=cast("str", facts.traffic.hosted_zone_id))


def _telemetry(facts: EnvironmentFacts) -> Telemetry:
    return Telemetry(
        environment=facts.name,
        traces=_collector(Part.JAEGER, "otlp-http"),
        sampling_ratio=facts.monitoring.tracing.sampling_percent / 100,
        apm=None if facts.monitoring.datadog is None else _collector(Part.DATADOG_AGENT, "apm"),
    )


def _collector(part: Part, port: str) -> Collector:
    return Collector(namespace=part.namespace, name=part, host=part.host, port=PORTS[part][port])


def _percent(facts: EnvironmentFacts) -> str:
    return "none" if facts.environment.sla is None else f"{facts.environment.sla:g} %"


def _budget(facts: EnvironmentFacts) -> str:
    budget = facts.error_budget
    return "none" if budget is None else f"{budget.total_seconds() / 60:g} min in {BUDGET_WINDOW.days} days"
