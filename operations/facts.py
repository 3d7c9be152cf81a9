"""The facts of one environment, as its stack file states them, and the rules that hold between them.

A group is one key of the stack file (`quikapp:network`). What a group can judge alone it refuses itself; what takes
two groups is a rule below. A rule names the groups that it needs as parameters and is silent while one of them is
missing, so that one bad group does not hide what is wrong between the others.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from inspect import signature
from ipaddress import IPv4Network
from itertools import combinations
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from operations import changes as change_requests
from operations import promises
from operations.backup import Data, retention_days
from operations.environments import BUDGET_WINDOW, PAGE, RESILIENT_SLA, EnvironmentName, Gate, error_budget
from operations.faults import Fault, show
from operations.guardrails import LARGEST_ACCESS_PREFIX
from operations.limits import (
    API_ACCESS_CIDRS,
    ARN_LENGTH,
    CERTIFICATE_NAME_LENGTH,
    CLUSTER_ZONES,
    DATABASE_INSTANCES,
    DATABASE_RETENTION_MAXIMUM,
    DATABASE_RETENTION_MINIMUM,
    DATABASE_ZONES,
    GLACIER_MINIMUM_STORAGE,
    GLOBAL_DATABASE_CLASSES,
    GLOBAL_DATABASE_CLASSES_SOURCE,
    GLOBAL_DATABASE_INSTANCES,
    GLOBAL_SERVERLESS_MINIMUM,
    HOSTED_ZONE_ID_LENGTH,
    LOG_RETENTION_DAYS,
    LOG_RETENTION_SOURCE,
    PARTITIONS_SOURCE,
    RECOVERY_POINT_MINIMUM,
    RULES_PER_LOAD_BALANCER,
    SERVERLESS_CAPACITY,
    SERVICE_RANGES,
    SERVICE_RANGES_SOURCE,
    TAG_VALUE_LENGTH,
    TARGET_GROUPS_PER_LOAD_BALANCER,
    TARGETS_PER_LOAD_BALANCER,
    VPC_LARGEST_PREFIX,
)
from operations.listener_rules import CLOSED_PATHS
from operations.model import Constraint, Model, matching
from operations.monitoring import Monitoring, TraceStorage
from operations.naming import APPLICATION
from operations.recovery import Risk, Site
from operations.release import Release, Standby, Switch
from operations.retention import LONGEST_LOCKED, BucketPlan, LockMode, VaultPlan, files_plan, vault_plan
from operations.services import Name, Replicas, Service
from operations.slo import LONGEST_WINDOW
from operations.slots import WHOLE, Slot

RESILIENT_ZONES: Final = 3
"""Zones that a resilient environment spans at least, so that two remain when one fails."""

REPLICATED_DATABASE_SLA: Final = 99.0
"""From this SLA on, in percent, the database has a reader to fail over to."""

RECOVERY_SLA: Final = RESILIENT_SLA
"""From this SLA on, in percent, the page's recovery objectives hold. Where they hold, nothing that a recovery takes is
deleted by mistake: deletion protection is on, and no vault lets go of a recovery point early."""

TAKEOVER_SLA: Final = 99.99
"""From this SLA on, in percent, the database that takes over in the recovery region has a reader at once, as the SLA takes
of the one at home; below it one instance writes and reads until another is added."""

IMMUTABLE_SLA: Final = 99.99
"""From this SLA on, in percent, nobody can take a vault's lock off."""

RESTORE_TEST_DAYS: Final = 7
"""Days between two restore tests at most."""

PAGED_SLA: Final = 99.99
"""From this SLA on, in percent, somebody is called at night."""

PAGING_PEERS: Final = 3
"""Alertmanagers that an environment has which pages."""

SMALLEST_VPC_PREFIX: Final = 20
"""The smallest VPC taken: each pod has an address of its own, and a zone's private subnet is then a /23."""

PRIVATE_RANGES: Final = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
)
"""RFC 1918."""

POD_SHARE: Final = 4
"""Pods take at most a quarter of the VPC's addresses; nodes reserve them in blocks, and the rest is subnets' slack."""


# --- words ---------------------------------------------------------------------------------------------------------


def _sla_of(value: object) -> object:
    return None if value == "none" else value


_Availability = Annotated[float, Field(gt=0, lt=100)]

Sla = Annotated[
    _Availability | None,
    BeforeValidator(_sla_of, json_schema_input_type=_Availability | Literal["none"] | None),
]
"""Availability in percent, above 0 and below 100; None, which stack files spell `none`, promises nothing."""

Region = Annotated[
    str,
    AfterValidator(
        matching(
            r"(af|ap|ca|cn|eu|il|me|mx|sa|us|us-gov)-(central|north|south|east|west|(north|south)(east|west))-[1-9]",
            "the name of an AWS region such as eu-west-1",
        )
    ),
]


def other_partition(region: str, other: str) -> str | None:
    """Return what is wrong with a copy from one region to another of another partition of AWS; None where both are of one.

    Source: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
    """
    own, others = _partition(region), _partition(other)
    if own == others:
        return None
    return (
        f"is of the partition {others}; allowed is a region of {own}, as {region} is: AWS copies nothing from one partition "
        f"to another ({PARTITIONS_SOURCE})"
    )


def _partition(region: str) -> str:
    return next((f"aws-{name}" for name in ("cn", "us-gov") if region.startswith(f"{name}-")), "aws")


ZoneLetter = Annotated[str, AfterValidator(matching(r"[a-f]", "the letter of a zone of the region, a to f"))]

TagValue = Annotated[
    str,
    AfterValidator(
        matching(
            r"[A-Za-z0-9+=._:/@-]([A-Za-z0-9 +=._:/@-]*[A-Za-z0-9+=._:/@-])?",
            "the value of an AWS tag: letters, digits, inner spaces and + = . _ : / @ -",
            TAG_VALUE_LENGTH,
        )
    ),
]

PrincipalArn = Annotated[
    str,
    AfterValidator(
        matching(
            r"arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+",
            "the ARN of an IAM role or user; EKS takes no session of one (arn:aws:sts::…:assumed-role/…)",
            ARN_LENGTH,
        )
    ),
]

PolicyArn = Annotated[
    str,
    AfterValidator(
        matching(
            r"arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:policy/[A-Za-z0-9+=,.@_/-]+",
            "the ARN of an IAM policy of the account",
            ARN_LENGTH,
        )
    ),
]

Domain = Annotated[
    str,
    AfterValidator(
        matching(
            r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]",
            "a domain name in lower case, such as live.quikapp.example",
            CERTIFICATE_NAME_LENGTH,
        )
    ),
]
"""The name that the application is served under; its certificate bears it, and ACM takes 64 characters there."""

HostedZoneId = Annotated[
    str,
    AfterValidator(matching(r"Z[A-Z0-9]+", "the id of a Route 53 hosted zone, Z…", HOSTED_ZONE_ID_LENGTH)),
]

CertificateArn = Annotated[
    str,
    AfterValidator(
        matching(
            r"arn:aws(-cn|-us-gov)?:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]+",
            "the ARN of an ACM certificate",
            ARN_LENGTH,
        )
    ),
]

InstanceClass = Annotated[
    str,
    AfterValidator(
        matching(
            r"db\.[a-z][0-9][a-z]*\.(medium|large|[0-9]*xlarge)",
            "an RDS instance class such as db.r8g.large",
        )
    ),
]


_NETWORK: Final = matching(
    r"([0-9]{1,3}\.){3}[0-9]{1,3}(/[0-9.]+)?",
    "a network such as 10.50.0.0/16, with no bit set beyond its prefix",
)


def _network_of(value: object, read: ValidatorFunctionWrapHandler) -> IPv4Network:
    try:
        # Of a bare number, too, ipaddress would make a network.
        return read("" if isinstance(value, int) else value)
    except ValueError:
        raise ValueError(f"allowed is {_NETWORK.allowed}") from None


Range = Annotated[
    IPv4Network,
    WrapValidator(_network_of, json_schema_input_type=Annotated[str, AfterValidator(_NETWORK)]),
]
"""An IPv4 network in CIDR notation."""


_VPC_SIZE: Final = f"a /{VPC_LARGEST_PREFIX.value} to a /{SMALLEST_VPC_PREFIX}"
_PRIVATE: Final = f"a part of {', '.join(map(str, PRIVATE_RANGES))} (RFC 1918)"


def _is_vpc_range(network: IPv4Network) -> IPv4Network:
    if not VPC_LARGEST_PREFIX.value <= network.prefixlen <= SMALLEST_VPC_PREFIX:
        raise ValueError(f"allowed is {_VPC_SIZE}")
    if not any(network.subnet_of(private) for private in PRIVATE_RANGES):
        raise ValueError(f"allowed is {_PRIVATE}")
    for taken in SERVICE_RANGES:
        if network.overlaps(taken):
            raise ValueError(
                f"overlaps {taken}, from which EKS numbers Kubernetes Services ({SERVICE_RANGES_SOURCE})"
            )
    return network


VpcRange = Annotated[
    Range,
    AfterValidator(
        Constraint(
            f"{_VPC_SIZE}, {_PRIVATE}, apart from {' and '.join(map(str, SERVICE_RANGES))}, which EKS takes",
            _is_vpc_range,
        )
    ),
]


def _is_public_range(network: IPv4Network) -> IPv4Network:
    if network.prefixlen < LARGEST_ACCESS_PREFIX:
        raise ValueError(
            f"allowed is a /{LARGEST_ACCESS_PREFIX} or smaller: the cluster's API is not open to the world"
        )
    if any(network.overlaps(private) for private in PRIVATE_RANGES):
        raise ValueError(
            "allowed is a public range: the VPC reaches the API from within, other private ones never do"
        )
    return network


AccessRange = Annotated[
    Range,
    AfterValidator(Constraint(f"a public range, a /{LARGEST_ACCESS_PREFIX} or smaller", _is_public_range)),
]


def _repeated(values: tuple[object, ...]) -> str | None:
    """Return the first value that occurs twice."""
    return next((str(value) for place, value in enumerate(values) if value in values[:place]), None)


# --- groups ----------------------------------------------------------------------------------------------------


class Environment(Model):
    """What the environment promises, and who answers and pays for it."""

    sla: Sla
    """The availability that is promised, in percent; `none` promises nothing."""
    gate: Gate
    """What a deployment waits for."""
    recovery_region: Region
    """Where copies of the data live; another region than the environment's own."""
    owner: TagValue
    """The team that answers for it; a tag on every resource."""
    cost_center: TagValue
    """Who pays; a tag on every resource."""
    permissions_boundary: PolicyArn | None = None
    """The policy that bounds every role of the environment; a pipeline that may make no other needs it."""


class Network(Model):
    """The environment's own VPC."""

    cidr: VpcRange
    """Each pod has an address of its own in it; no other environment's or region's overlaps it."""
    zones: Annotated[tuple[ZoneLetter, ...], Field(min_length=CLUSTER_ZONES.value)]
    """Letters of the region's zones; EKS and the load balancer demand two."""
    nat_gateways: Annotated[int, Field(ge=1)]
    """One for all zones, or one for each."""

    @model_validator(mode="after")
    def _zones_and_gateways_agree(self) -> Self:
        """No zone is named twice, and `natGateways` is 1 or the number of zones."""
        if zone := _repeated(self.zones):
            raise ValueError(f"zones names {zone} twice")
        if self.nat_gateways not in {1, len(self.zones)}:
            raise ValueError(
                f"natGateways is {self.nat_gateways}; allowed are 1 for all zones, or {len(self.zones)}, one for each"
            )
        return self


class Cluster(Model):
    """The Kubernetes cluster: how large it may grow, who may use it and from where."""

    cpu_limit: Annotated[int, Field(ge=2, le=10_000)]
    """Cores of all nodes together: where the node pool stops growing."""
    memory_limit_gib: Annotated[int, Field(ge=4, le=100_000)]
    """GiB of all nodes together."""
    administrators: Annotated[tuple[PrincipalArn, ...], Field(min_length=1)]
    """May do everything; the pipeline is one of them."""
    viewers: tuple[PrincipalArn, ...] = ()
    """May read everything but secrets."""
    api_access_cidrs: Annotated[tuple[AccessRange, ...], Field(max_length=API_ACCESS_CIDRS.value)]
    """Public ranges from which the API answers; none leaves it to the VPC alone."""
    deletion_protection: bool
    """Whether what holds data or traffic refuses to be deleted."""

    @model_validator(mode="after")
    def _names_all_once(self) -> Self:
        """No principal is named twice, and no two ranges overlap."""
        if principal := _repeated(self.administrators + self.viewers):
            raise ValueError(f"{principal} is named twice; EKS takes one access entry for each principal")
        for one, other in combinations(self.api_access_cidrs, 2):
            if one.overlaps(other):
                raise ValueError(f"apiAccessCidrs {one} and {other} overlap")
        return self


class Quotas(Model):
    """What AWS grants this account for one load balancer; the defaults are AWS's own."""

    target_groups_per_load_balancer: Annotated[int, Field(ge=1)] = TARGET_GROUPS_PER_LOAD_BALANCER.value
    """Each service has one in each slot."""
    rules_per_load_balancer: Annotated[int, Field(ge=1)] = RULES_PER_LOAD_BALANCER.value
    """Besides the default ones; each service has one."""
    targets_per_load_balancer: Annotated[int, Field(ge=1)] = TARGETS_PER_LOAD_BALANCER.value
    """Each pod of a service is one."""


class Traffic(Model):
    """How requests reach the application."""

    domain: Domain
    """Under which the application is served; its certificate bears it."""
    hosted_zone_id: HostedZoneId | None = None
    """Zone in which the domain's record, and what proves the certificate's owner, are written."""
    certificate_arn: CertificateArn | None = None
    """A certificate that exists already; without it one is issued in the hosted zone."""
    waf: bool
    """Whether a web application firewall stands before the load balancer."""
    quotas: Quotas = Quotas()

    @model_validator(mode="after")
    def _has_a_certificate(self) -> Self:
        """`hostedZoneId` or `certificateArn` is stated; without one HTTPS has no certificate."""
        if self.hosted_zone_id is None and self.certificate_arn is None:
            raise ValueError(
                "hostedZoneId or certificateArn is missing; without one HTTPS has no certificate"
            )
        return self


class Sizing(Model):
    """The size of the serving slot."""

    replicas: Replicas
    """Of each service that does not state its own."""


class Serverless(Model):
    """The capacity of Aurora Serverless v2 instances, in Aurora capacity units of about 2 GiB."""

    min_acu: Annotated[float, Field(ge=0.5, le=SERVERLESS_CAPACITY.value, multiple_of=0.5)]
    """At least one half: at zero the database pauses, and its first request waits for it to wake."""
    max_acu: Annotated[float, Field(ge=1, le=SERVERLESS_CAPACITY.value, multiple_of=0.5)]
    """Where an instance stops growing."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        """`minAcu` is not greater than `maxAcu`."""
        if self.min_acu > self.max_acu:
            raise ValueError(f"minAcu {self.min_acu:g} is greater than maxAcu {self.max_acu:g}")
        return self


class Database(Model):
    """The Aurora cluster: instances of one class, or serverless ones."""

    instances: Annotated[int, Field(ge=1, le=DATABASE_INSTANCES.value)]
    """One writer, the rest readers that it can fail over to."""
    instance_class: InstanceClass | None = None
    """Of every instance."""
    serverless: Serverless | None = None

    @model_validator(mode="after")
    def _has_one_size(self) -> Self:
        """Either `instanceClass` or `serverless` is stated."""
        if (self.instance_class is None) == (self.serverless is None):
            raise ValueError("allowed is either instanceClass or serverless")
        return self


def _is_log_retention(days: int) -> int:
    if days not in LOG_RETENTION_DAYS:
        raise ValueError(
            f"allowed are {', '.join(map(str, sorted(LOG_RETENTION_DAYS)))} days ({LOG_RETENTION_SOURCE})"
        )
    return days


class Retention(Model):
    """How long copies are kept, in days. What a stack file does not say is what the page promises."""

    database_days: Annotated[
        int, Field(ge=DATABASE_RETENTION_MINIMUM.value, le=DATABASE_RETENTION_MAXIMUM.value)
    ] = retention_days(Data.DATABASE)
    """Aurora's continuous backup, and the vaults' recovery points of the database."""
    files_days: Annotated[int, Field(ge=GLACIER_MINIMUM_STORAGE.value, le=36_500)] = retention_days(
        Data.FILES
    )
    """At least what the Glacier storage class bills in any case."""
    logs_days: Annotated[
        int,
        AfterValidator(
            Constraint(
                "a period that CloudWatch Logs takes", _is_log_retention, {"enum": sorted(LOG_RETENTION_DAYS)}
            )
        ),
    ] = retention_days(Data.LOGS)
    """Elasticsearch, and CloudWatch Logs."""

    @property
    def days(self) -> Mapping[Data, int]:
        """Days, of each kind of data that is not kept without limit."""
        return {Data.DATABASE: self.database_days, Data.FILES: self.files_days, Data.LOGS: self.logs_days}


class RecoveryNetwork(Model):
    """The VPC of the recovery region."""

    cidr: VpcRange
    """Apart from the environment's own."""
    zones: Annotated[tuple[ZoneLetter, ...], Field(min_length=DATABASE_ZONES.value)]
    """Letters of the recovery region's zones; a database demands two."""

    @model_validator(mode="after")
    def _names_zones_once(self) -> Self:
        """No zone is named twice."""
        if zone := _repeated(self.zones):
            raise ValueError(f"zones names {zone} twice")
        return self


def _names_risks_once(risks: tuple[Risk, ...]) -> tuple[Risk, ...]:
    """Return the risks.

    Raises:
        ValidationError: with an error in the place of each that is named already.
    """
    first = {risk: risks.index(risk) for risk in risks}
    if repeated := [place for place, risk in enumerate(risks) if first[risk] != place]:
        raise ValidationError.from_exception_data(
            "acceptedRisks",
            [
                InitErrorDetails(
                    type="value_error",
                    loc=(place,),
                    input=risks[place],
                    ctx={"error": ValueError(f"is named already, as acceptedRisks[{first[risks[place]]}]")},
                )
                for place in repeated
            ],
        )
    return risks


class Recovery(Model):
    """The recovery region's part of the environment: with it the page's recovery objectives hold. Without it there are
    point-in-time recovery at home and daily copies in the recovery region, and no objectives."""

    network: RecoveryNetwork
    instances: Annotated[int, Field(ge=1, le=GLOBAL_DATABASE_INSTANCES.value)]
    """Of the database there, of the same size as those at home; a cluster without one cannot take over."""
    recovery_point_seconds: Annotated[int, Field(ge=RECOVERY_POINT_MINIMUM.value)]
    """`rds.global_db_rpo`: commits wait while the recovery region is further behind. Below the page's recovery point."""
    writer: Site = Site.HOME
    """Where the writer is; changed after a failover, and back after the return."""
    restore_test_days: Annotated[int, Field(ge=1, le=RESTORE_TEST_DAYS)]
    """Days from one restore test to the next."""
    accepted_risks: Annotated[
        tuple[Risk, ...],
        AfterValidator(Constraint("each risk once", _names_risks_once, {"uniqueItems": True})),
    ]
    """Every promise of the page that the environment does not keep, by name."""


# --- rules -----------------------------------------------------------------------------------------------------


def _promise_is_kept(name: EnvironmentName, environment: Environment) -> Iterator[Fault]:
    """The SLA is no lower and the gate no less strict than what the operations page promises for the environment."""
    promise = PAGE[name]
    if promise.sla is not None and (environment.sla is None or environment.sla < promise.sla):
        yield Fault(
            "quikapp:environment.sla",
            f"the operations page promises at least {promise.sla:g} for {name}",
            show(environment.sla or "none"),
        )
    if environment.gate.strictness < promise.gate.strictness:
        stricter = ", ".join(gate for gate in Gate if gate.strictness >= promise.gate.strictness)
        yield Fault(
            "quikapp:environment.gate",
            f"the operations page promises {promise.gate} for {name}; allowed: {stricter}",
            show(environment.gate),
        )


def _recovery_is_elsewhere(region: str, environment: Environment) -> Iterator[Fault]:
    """The recovery region is another one than `aws:region`, of the same partition of AWS."""
    if environment.recovery_region == region:
        wrong = "allowed is another region than aws:region"
    else:
        wrong = other_partition(region, environment.recovery_region)
    if wrong is not None:
        yield Fault("quikapp:environment.recoveryRegion", wrong, show(environment.recovery_region))


def _certificate_is_in_the_region(region: str, traffic: Traffic) -> Iterator[Fault]:
    """A certificate that exists already is of the environment's own region."""
    if traffic.certificate_arn is not None and traffic.certificate_arn.split(":")[3] != region:
        yield Fault(
            "quikapp:traffic.certificateArn",
            f"the load balancer takes certificates of its own region, {region}",
            show(traffic.certificate_arn),
        )


def _resilient(environment: Environment) -> bool:
    return environment.sla is not None and environment.sla >= RESILIENT_SLA


def _zones_carry_the_sla(environment: Environment, network: Network) -> Iterator[Fault]:
    """An SLA of {RESILIENT_SLA:g} and more takes {RESILIENT_ZONES} zones, with a NAT gateway in each."""
    if not _resilient(environment):
        return
    zones = len(network.zones)
    if zones < RESILIENT_ZONES:
        yield Fault(
            "quikapp:network.zones",
            f"an SLA of {environment.sla:g} takes at least {RESILIENT_ZONES} zones",
            show(network.zones),
        )
    if network.nat_gateways < zones:
        yield Fault(
            "quikapp:network.natGateways",
            f"an SLA of {environment.sla:g} takes one NAT gateway for each of the {zones} zones",
            show(network.nat_gateways),
        )


def _replicas_carry_the_sla(
    environment: Environment, network: Network, sizing: Sizing, services: Mapping[str, Service]
) -> Iterator[Fault]:
    """An SLA of {RESILIENT_SLA:g} and more takes at least one replica of each service in each zone."""
    if not _resilient(environment):
        return
    own = {
        f"{_service_key(name)}.replicas.min": service.replicas.min
        for name, service in services.items()
        if service.replicas is not None
    }
    for key, least in {"quikapp:sizing.replicas.min": sizing.replicas.min, **own}.items():
        if least < len(network.zones):
            yield Fault(
                key,
                f"an SLA of {environment.sla:g} takes at least one replica in each of the {len(network.zones)} zones",
                show(least),
            )


def _protection_carries_the_sla(environment: Environment, cluster: Cluster) -> Iterator[Fault]:
    """An SLA of {RESILIENT_SLA:g} and more takes deletion protection."""
    if _resilient(environment) and not cluster.deletion_protection:
        yield Fault(
            "quikapp:cluster.deletionProtection",
            f"an SLA of {environment.sla:g} takes deletion protection",
            show(False),
        )


def _protection_carries_the_objectives(
    environment: Environment, cluster: Cluster, recovery: Recovery | None
) -> Iterator[Fault]:
    """Where `quikapp:recovery` is declared, deletion protection is on."""
    # What an SLA takes by itself is told once.
    if recovery is not None and not _resilient(environment) and not cluster.deletion_protection:
        yield Fault(
            "quikapp:cluster.deletionProtection", "recovery objectives take deletion protection", show(False)
        )


def _lock_for_good_is_bounded(environment: Environment, retention: Retention) -> Iterator[Fault]:
    """From an SLA of {IMMUTABLE_SLA:g} on, where nobody can take a lock off, files are kept for at most {LONGEST_LOCKED}
    days."""
    # The database's days are fewer in any case.
    if _lock_mode(environment, None) is LockMode.COMPLIANCE and retention.files_days > LONGEST_LOCKED:
        yield Fault(
            "quikapp:retention.filesDays",
            f"an SLA of {environment.sla:g} locks the backup bucket and the vaults for as long, and nobody can take "
            f"that back, not even for a typing error; allowed is at most {LONGEST_LOCKED}",
            show(retention.files_days),
        )


def _firewall_carries_the_sla(environment: Environment, traffic: Traffic) -> Iterator[Fault]:
    """An SLA of {RESILIENT_SLA:g} and more takes a web application firewall."""
    if _resilient(environment) and not traffic.waf:
        yield Fault(
            "quikapp:traffic.waf",
            f"an SLA of {environment.sla:g} takes a web application firewall",
            show(False),
        )


def _monitoring_carries_the_sla(environment: Environment, monitoring: Monitoring) -> Iterator[Fault]:
    """An SLA of {RESILIENT_SLA:g} and more takes two replicas of Prometheus, three nodes of Elasticsearch,
    traces that are stored there, and metrics for {BUDGET_WINDOW.days} days; any other SLA takes metrics for
    {LONGEST_WINDOW.days} days."""
    if _resilient(environment):
        if monitoring.prometheus_replicas < 2:
            yield Fault(
                "quikapp:monitoring.prometheusReplicas",
                f"an SLA of {environment.sla:g} takes at least 2, so that alerts survive one",
                show(monitoring.prometheus_replicas),
            )
        if monitoring.elasticsearch.nodes < 3:
            yield Fault(
                "quikapp:monitoring.elasticsearch.nodes",
                f"an SLA of {environment.sla:g} takes at least 3, so that logs survive one",
                show(monitoring.elasticsearch.nodes),
            )
        if monitoring.tracing.storage is TraceStorage.MEMORY:
            yield Fault(
                "quikapp:monitoring.tracing.storage",
                f"an SLA of {environment.sla:g} takes elasticsearch, so that traces survive a restart",
                show(monitoring.tracing.storage),
            )
        if monitoring.retention_days < BUDGET_WINDOW.days:
            yield Fault(
                "quikapp:monitoring.retentionDays",
                f"an SLA of {environment.sla:g} takes at least {BUDGET_WINDOW.days}, over which its budget counts",
                show(monitoring.retention_days),
            )
    elif environment.sla is not None and monitoring.retention_days < LONGEST_WINDOW.days:
        yield Fault(
            "quikapp:monitoring.retentionDays",
            f"an SLA takes at least {LONGEST_WINDOW.days}, the longest span that its alerts look back on",
            show(monitoring.retention_days),
        )


def _paging_carries_the_sla(environment: Environment, monitoring: Monitoring) -> Iterator[Fault]:
    """An SLA of {PAGED_SLA:g} and more takes paging, and paging takes {PAGING_PEERS} Alertmanagers."""
    if monitoring.paging is None:
        if environment.sla is not None and environment.sla >= PAGED_SLA:
            yield Fault(
                "quikapp:monitoring.paging",
                f"is missing; an SLA of {environment.sla:g} takes PagerDuty",
            )
    elif monitoring.alertmanager_replicas < PAGING_PEERS:
        yield Fault(
            "quikapp:monitoring.alertmanagerReplicas",
            f"paging takes at least {PAGING_PEERS}, so that pages survive one",
            show(monitoring.alertmanager_replicas),
        )


def _database_carries_the_sla(environment: Environment, database: Database) -> Iterator[Fault]:
    """An SLA of {REPLICATED_DATABASE_SLA:g} and more takes a database of at least two instances."""
    if environment.sla is not None and environment.sla >= REPLICATED_DATABASE_SLA and database.instances < 2:
        yield Fault(
            "quikapp:database.instances",
            f"an SLA of {environment.sla:g} takes at least 2: a writer, and a reader to fail over to",
            show(database.instances),
        )


def _recovery_network_is_apart(network: Network, recovery: Recovery | None) -> Iterator[Fault]:
    """The networks of both regions do not overlap."""
    if recovery is not None and recovery.network.cidr.overlaps(network.cidr):
        yield Fault(
            "quikapp:recovery.network.cidr",
            f"overlaps quikapp:network.cidr, {network.cidr}; the two regions' networks have to reach each other",
            show(recovery.network.cidr),
        )


def _recovery_network_holds_the_pods(
    sizing: Sizing, services: Mapping[str, Service], recovery: Recovery | None
) -> Iterator[Fault]:
    """The recovery region's network has room for the pods of all services."""
    # The application is built there anew when its region is lost.
    if recovery is not None:
        yield from _too_many_pods("quikapp:recovery.network.cidr", recovery.network.cidr, sizing, services)


def _recovery_database_takes_over(
    environment: Environment, database: Database, recovery: Recovery | None
) -> Iterator[Fault]:
    """In the recovery region an SLA of {TAKEOVER_SLA:g} and more takes two instances; a global database takes
    at most {GLOBAL_DATABASE_INSTANCES.value} at home, of a memory-optimized class, or serverless ones of at least
    {GLOBAL_SERVERLESS_MINIMUM.value} ACUs."""
    if recovery is None:
        return
    if environment.sla is not None and environment.sla >= TAKEOVER_SLA and recovery.instances < 2:
        yield Fault(
            "quikapp:recovery.instances",
            f"an SLA of {environment.sla:g} takes at least 2, as at home: the writer that takes over, and a reader to fail "
            "over to",
            show(recovery.instances),
        )
    if database.instances > GLOBAL_DATABASE_INSTANCES.value:
        yield Fault(
            "quikapp:database.instances",
            f"a global database of two regions takes at most {GLOBAL_DATABASE_INSTANCES.value} "
            f"({GLOBAL_DATABASE_INSTANCES.source})",
            show(database.instances),
        )
    if database.instance_class is not None and not database.instance_class.startswith(
        GLOBAL_DATABASE_CLASSES
    ):
        yield Fault(
            "quikapp:database.instanceClass",
            f"a global database takes memory-optimized classes, {' and '.join(f'{c}…' for c in GLOBAL_DATABASE_CLASSES)} "
            f"({GLOBAL_DATABASE_CLASSES_SOURCE})",
            show(database.instance_class),
        )
    # AWS says so of the region that writes; after a failover that is the other one.
    if database.serverless is not None and database.serverless.min_acu < GLOBAL_SERVERLESS_MINIMUM.value:
        yield Fault(
            "quikapp:database.serverless.minAcu",
            f"a global database takes at least {GLOBAL_SERVERLESS_MINIMUM.value} in both regions: whoever follows has to be "
            f"large enough to take over ({GLOBAL_SERVERLESS_MINIMUM.source})",
            show(database.serverless.min_acu),
        )


def _declared(
    environment: Environment,
    database: Database,
    retention: Retention,
    recovery: Recovery | None,
    monitoring: Monitoring,
) -> promises.Declared:
    return promises.Declared(
        sla=environment.sla,
        objectives=_has_objectives(environment, recovery),
        instances=database.instances
        if recovery is None or recovery.writer is Site.HOME
        else recovery.instances,
        retention=retention.days,
        paged=monitoring.paging is not None,
        recovery=None
        if recovery is None
        else promises.GlobalDatabase(
            recovery_point=timedelta(seconds=recovery.recovery_point_seconds),
            accepted=recovery.accepted_risks,
        ),
    )


def _has_objectives(environment: Environment, recovery: Recovery | None) -> bool:
    return recovery is not None or (environment.sla is not None and environment.sla >= RECOVERY_SLA)


def _lock_mode(environment: Environment, recovery: Recovery | None) -> LockMode | None:
    if environment.sla is not None and environment.sla >= IMMUTABLE_SLA:
        return LockMode.COMPLIANCE
    return LockMode.GOVERNANCE if _has_objectives(environment, recovery) else None


def _recovery_keeps_the_promises(
    environment: Environment,
    database: Database,
    retention: Retention,
    recovery: Recovery | None,
    monitoring: Monitoring,
) -> Iterator[Fault]:
    """An SLA of {RECOVERY_SLA:g} and more takes `quikapp:recovery`; where that is declared, the page's recovery
    objectives and retention are kept, and each promise that is not is an accepted risk, no more and no less."""
    yield from promises.breaches(_declared(environment, database, retention, recovery, monitoring))


def _release_fits_its_switch(release: Release) -> Iterator[Fault]:
    """`switch: ladder` takes a standby of warm or full; `switch: at-once` takes weights of 0 and {WHOLE} alone."""
    if release.switch is Switch.LADDER and release.standby is Standby.COLD:
        yield Fault(
            "quikapp:release.standby",
            "switch: ladder shares traffic with the standby slot; allowed: warm, full",
            show(release.standby),
        )
    if release.switch is Switch.AT_ONCE:
        for slot in Slot:
            if release.of(slot).weight not in {0, WHOLE}:
                yield Fault(
                    f"quikapp:release.{slot}.weight",
                    f"switch: at-once never shares traffic; allowed: 0, {WHOLE}",
                    show(release.of(slot).weight),
                )


def _changes_are_approved(
    environment: Environment, release: Release, changes: change_requests.Ledger
) -> Iterator[Fault]:
    """`gate: cab` takes a change request for the version in each slot, the last one in force and none used
    twice; other gates take none."""
    yield from change_requests.breaches(environment.gate, release, changes)


def _routes_are_distinct(services: Mapping[str, Service]) -> Iterator[Fault]:
    """No two services have the same path, and none has one that the load balancer closes."""
    owners: dict[str, str] = {}
    for name, service in services.items():
        if service.path in CLOSED_PATHS:
            yield Fault(
                f"{_service_key(name)}.path", "the load balancer closes this path", show(service.path)
            )
        if (owner := owners.setdefault(service.path, name)) != name:
            yield Fault(
                f"{_service_key(name)}.path", f"the service {owner} has this path already", show(service.path)
            )


def _quotas_hold_the_services(
    traffic: Traffic, sizing: Sizing, services: Mapping[str, Service]
) -> Iterator[Fault]:
    """The target groups, rules and targets of all services in both slots are within the quotas."""
    quotas = traffic.quotas
    targets = sum(_replicas(service, sizing).max for service in services.values()) * len(Slot)
    for key, quota, needed, what in (
        (
            "targetGroupsPerLoadBalancer",
            quotas.target_groups_per_load_balancer,
            len(services) * len(Slot),
            "target groups",
        ),
        ("rulesPerLoadBalancer", quotas.rules_per_load_balancer, len(services) + 1, "rules"),
        ("targetsPerLoadBalancer", quotas.targets_per_load_balancer, targets, "targets"),
    ):
        if needed > quota:
            yield Fault(
                f"quikapp:traffic.quotas.{key}",
                f"{len(services)} services in two slots need {needed} {what}",
                show(quota),
            )


def _network_holds_the_pods(
    network: Network, sizing: Sizing, services: Mapping[str, Service]
) -> Iterator[Fault]:
    """The network has room for the pods of all services in both slots."""
    yield from _too_many_pods("quikapp:network.cidr", network.cidr, sizing, services)


def _too_many_pods(
    key: str, cidr: IPv4Network, sizing: Sizing, services: Mapping[str, Service]
) -> Iterator[Fault]:
    pods = sum(_replicas(service, sizing).max for service in services.values()) * len(Slot)
    room = cidr.num_addresses // POD_SHARE
    if pods > room:
        yield Fault(key, f"has room for {room} pods; the services grow to {pods}", show(cidr))


def _cluster_holds_the_pods(
    cluster: Cluster,
    release: Release,
    sizing: Sizing,
    services: Mapping[str, Service],
    monitoring: Monitoring,
) -> Iterator[Fault]:
    """The cluster's limits hold all services in both slots, and the monitoring."""
    millicores, mebibytes = monitoring.footprint.cpu_millicores, monitoring.footprint.memory_mib
    for service in services.values():
        replicas = _replicas(service, sizing)
        # Both slots run during a switch: one at its most, the other at least as large as it needs to be to serve.
        pods = replicas.max + (replicas.max if release.standby is Standby.FULL else replicas.min)
        millicores += pods * service.resources.cpu_millicores
        mebibytes += pods * service.resources.memory_mib
    if millicores > cluster.cpu_limit * 1000:
        yield Fault(
            "quikapp:cluster.cpuLimit",
            f"the services in both slots and the monitoring grow to {millicores / 1000:g} cores",
            show(cluster.cpu_limit),
        )
    if mebibytes > cluster.memory_limit_gib * 1024:
        yield Fault(
            "quikapp:cluster.memoryLimitGib",
            f"the services in both slots and the monitoring grow to {mebibytes / 1024:g} GiB",
            show(cluster.memory_limit_gib),
        )


RULES: tuple[Callable[..., Iterator[Fault]], ...] = (
    _promise_is_kept,
    _recovery_is_elsewhere,
    _certificate_is_in_the_region,
    _zones_carry_the_sla,
    _replicas_carry_the_sla,
    _protection_carries_the_sla,
    _protection_carries_the_objectives,
    _lock_for_good_is_bounded,
    _firewall_carries_the_sla,
    _monitoring_carries_the_sla,
    _paging_carries_the_sla,
    _database_carries_the_sla,
    _recovery_network_is_apart,
    _recovery_network_holds_the_pods,
    _recovery_database_takes_over,
    _recovery_keeps_the_promises,
    _release_fits_its_switch,
    _changes_are_approved,
    _routes_are_distinct,
    _quotas_hold_the_services,
    _network_holds_the_pods,
    _cluster_holds_the_pods,
)
"""What holds between groups. The settings reference quotes their docstrings, and fills in the constants in braces."""


def breaches(groups: Mapping[str, object]) -> list[Fault]:
    """Return what is wrong between the given groups, by the rules that need no other group.

    Args:
        groups: values of EnvironmentFacts' fields by name; those that were refused are left out.
    """
    needs = [(rule, tuple(signature(rule).parameters)) for rule in RULES]
    return [
        fault
        for rule, names in needs
        if groups.keys() >= set(names)
        for fault in rule(*(groups[name] for name in names))
    ]


def _replicas(service: Service, sizing: Sizing) -> Replicas:
    return service.replicas or sizing.replicas


def _service_key(name: str) -> str:
    return f"quikapp:services.{name}"


# --- the whole ---------------------------------------------------------------------------------------------------


class EnvironmentFacts(Model):
    """Everything that one environment is made from. Raises pydantic.ValidationError where a rule is broken."""

    name: EnvironmentName
    region: Region
    """Where the environment lives."""
    environment: Environment
    network: Network
    cluster: Cluster
    traffic: Traffic
    release: Release
    changes: change_requests.Ledger = ()
    """Where the gate is the change advisory board: the change requests that were used, the one in force last."""
    sizing: Sizing
    services: Annotated[Mapping[Name, Service], Field(min_length=1)]
    """By name, which is also the name of its Kubernetes objects and the `service` label of its metrics."""
    database: Database
    retention: Retention = Retention()
    recovery: Recovery | None = None
    monitoring: Monitoring

    @model_validator(mode="after")
    def _keeps_the_rules(self) -> Self:
        """What is wrong between the groups is refused."""
        if faults := breaches({name: getattr(self, name) for name in type(self).model_fields}):
            raise ValueError("; ".join(map(str, faults)))
        return self

    @property
    def recovery_region(self) -> str:
        """Where copies of the data live."""
        return self.environment.recovery_region

    @property
    def zone_names(self) -> tuple[str, ...]:
        """The zones as AWS names them: `eu-west-1a`."""
        return tuple(f"{self.region}{letter}" for letter in self.network.zones)

    @property
    def declared(self) -> promises.Declared:
        """What decides which of the page's recovery promises are kept (operations.promises)."""
        return _declared(self.environment, self.database, self.retention, self.recovery, self.monitoring)

    @property
    def lock(self) -> LockMode | None:
        """How firmly backups are held until their time is over; None where whoever may delete them can."""
        return _lock_mode(self.environment, self.recovery)

    def change_of(self, slot: Slot) -> str | None:
        """Return the change request that brought the version of a slot; None where the gate takes none."""
        return change_requests.change_of(self.changes, self.release.of(slot).version)

    @property
    def files_plan(self) -> BucketPlan:
        """How the backup bucket in the recovery region keeps the files."""
        return files_plan(self.retention.files_days, self.lock)

    def vault_plan(self, data: Data) -> VaultPlan:
        """Return how the vaults in both regions keep the recovery points of the database or the files.

        Raises:
            KeyError: the data are kept without limit, which no vault does.
        """
        return vault_plan(data, self.retention.days[data], self.lock)

    @property
    def error_budget(self) -> timedelta | None:
        """How long the environment may be down in 30 days; None where no SLA is promised."""
        return None if self.environment.sla is None else error_budget(self.environment.sla)

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of every resource, by which cost and ownership reports group them."""
        return {
            "Application": APPLICATION,
            "Environment": self.name,
            "Owner": self.environment.owner,
            "CostCenter": self.environment.cost_center,
            "ManagedBy": "pulumi",
        }

    @property
    def secrets(self) -> frozenset[str]:
        """The names of all secrets that services and the monitoring ask for."""
        own = {name for service in self.services.values() for name in service.secrets}
        return frozenset(own | self.monitoring.secrets.keys())

    def replicas_of(self, service: str) -> Replicas:
        """Return the range of a service's serving slot.

        Raises:
            KeyError: there is no such service.
        """
        return _replicas(self.services[service], self.sizing)
