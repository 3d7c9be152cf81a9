"""The monitoring stack as facts: its parts, their sizes, and what a stack file says of it (the operations page,
"Monitoring & Alerting")."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from operations import logs
from operations.model import Constraint, Model, matching
from operations.naming import AGENTS_NAMESPACE

NAMESPACE: Final = "monitoring"
"""Where every part runs that needs nothing of its node."""

SCRAPE: Final = timedelta(seconds=15)
"""Between two scrapes, and two evaluations of the rules: an outage is seen this late."""

OUTAGE_HOLD: Final = timedelta(minutes=2)
"""How long a service is down, or something else critical, before its alert fires."""


# --- parts ---------------------------------------------------------------------------------------------------------


@unique
class Part(StrEnum):
    """One program of the stack; its value names its objects, its Service and its pods."""

    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"
    GRAFANA = "grafana"
    JAEGER = "jaeger"
    ELASTICSEARCH = "elasticsearch"
    LOGSTASH = "logstash"
    KIBANA = "kibana"
    FILEBEAT = "filebeat"
    DATADOG_AGENT = "datadog-agent"
    DATADOG_CLUSTER_AGENT = "datadog-cluster-agent"
    CLOUDWATCH_EXPORTER = "cloudwatch-exporter"

    @property
    def namespace(self) -> str:
        """The namespace that the part runs in."""
        return AGENTS_NAMESPACE if self in READS_NODES else NAMESPACE

    @property
    def host(self) -> str:
        """The name by which the part's Service is found from every namespace."""
        return f"{self}.{self.namespace}.svc"

    @property
    def replicas_host(self) -> str:
        """The name of the headless Service, which resolves to every replica, ready or not."""
        return f"{self}-replicas.{self.namespace}.svc"


ON_NODES: Final = frozenset({Part.FILEBEAT, Part.DATADOG_AGENT})
"""What runs once on every node."""

READS_NODES: Final = frozenset({Part.FILEBEAT})
"""What needs files of its node, which no restricted namespace lets a pod have."""

DATADOG: Final = frozenset({Part.DATADOG_AGENT, Part.DATADOG_CLUSTER_AGENT})
"""What runs only where the stack turns Datadog on."""


@dataclass(frozen=True)
class Size:
    """Requests, and limits alike, of one pod."""

    cpu_millicores: int
    memory_mib: int


SIZES: Final[Mapping[Part, Size]] = MappingProxyType(
    {
        Part.PROMETHEUS: Size(500, 2048),
        Part.ALERTMANAGER: Size(100, 128),
        Part.GRAFANA: Size(250, 512),
        Part.JAEGER: Size(250, 1024),
        Part.LOGSTASH: Size(500, 1536),
        Part.KIBANA: Size(500, 2048),
        Part.FILEBEAT: Size(100, 256),
        Part.DATADOG_AGENT: Size(300, 768),
        Part.DATADOG_CLUSTER_AGENT: Size(200, 512),
        Part.CLOUDWATCH_EXPORTER: Size(100, 128),
    }
)
"""Of every part but Elasticsearch, whose nodes the stack file sizes."""

ELASTICSEARCH_MILLICORES: Final = 1000
"""Of one Elasticsearch node."""


# --- housekeeping --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chore:
    """A CronJob that keeps a promise about what is stored; nobody looks at it while it works."""

    name: str
    """Of the CronJob."""
    period: timedelta
    """From one run to the next."""


LOG_SWEEP: Final = Chore("log-sweep", logs.SWEEP)
"""Removes single log lines that are older than they may be."""

INDEX_CLEANER: Final = Chore("jaeger-index-cleaner", timedelta(days=1))
"""Removes the traces of days that are over."""


# --- words ---------------------------------------------------------------------------------------------------------


Url = Annotated[
    str,
    AfterValidator(
        matching(
            r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~%/-]*[A-Za-z0-9._~%-])?",
            "a URL such as https://grafana.quikapp.example, with no slash at its end",
        )
    ),
]
"""An HTTP or HTTPS URL without a slash at its end, query or fragment."""

PagerDutyUser = Annotated[
    str,
    AfterValidator(
        matching(r"P[A-Z0-9]{4,20}", "the id of a PagerDuty user, P…, as its page's address ends")
    ),
]


_ZONE: Final = "a time zone of the IANA database such as Europe/London"


def _is_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError(f"allowed is {_ZONE}") from None
    return name


TimeZone = Annotated[str, AfterValidator(Constraint(_ZONE, _is_zone))]

_TIME: Final = matching(r"([01][0-9]|2[0-3]):[0-5][0-9]", 'a time of day such as "09:00", quoted')


def _time_of(value: object) -> object:
    if isinstance(value, time):
        return value
    # Of a bare number YAML has made something else already.
    return time.fromisoformat(_TIME(value if isinstance(value, str) else ""))


TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of, json_schema_input_type=Annotated[str, AfterValidator(_TIME)]),
    PlainSerializer(lambda value: f"{value:%H:%M}"),
]

_DATE: Final = matching(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", 'a date such as "2026-01-05", quoted')


def _date_of(value: object) -> object:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(_DATE(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError(f"allowed is {_DATE.allowed}") from None


Date = Annotated[
    date, BeforeValidator(_date_of, json_schema_input_type=Annotated[str, AfterValidator(_DATE)])
]


@unique
class Day(StrEnum):
    """A day of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"

    @property
    def number(self) -> int:
        """1 for Monday to 7 for Sunday (ISO 8601)."""
        return list(Day).index(self) + 1


@unique
class TraceStorage(StrEnum):
    """Where Jaeger keeps traces: in the stack's Elasticsearch, or in its own memory until it restarts."""

    ELASTICSEARCH = "elasticsearch"
    MEMORY = "memory"


@unique
class DatadogSite(StrEnum):
    """The regions of Datadog. Source: https://docs.datadoghq.com/getting_started/site/"""

    US1 = "datadoghq.com"
    US3 = "us3.datadoghq.com"
    US5 = "us5.datadoghq.com"
    EU1 = "datadoghq.eu"
    AP1 = "ap1.datadoghq.com"
    AP2 = "ap2.datadoghq.com"
    US1_FED = "ddog-gov.com"


# --- groups ----------------------------------------------------------------------------------------------------


class Elasticsearch(Model):
    """The nodes that keep logs, and traces where they are stored."""

    nodes: Annotated[int, Field(ge=1, le=15)]
    """One, or at least three: two cannot tell which of them is cut off."""
    memory_gib: Annotated[int, Field(ge=2, le=62)]
    """Of each node; half of it is the heap, which stays below 32 GiB.
    Source: https://www.elastic.co/docs/deploy-manage/deploy/self-managed/important-settings-configuration"""
    storage_gib: Annotated[int, Field(ge=1, le=16_384)]
    """Disk of each node."""

    @model_validator(mode="after")
    def _can_elect(self) -> Self:
        """`nodes` is not 2, which cannot elect a master when one is lost."""
        if self.nodes == 2:
            raise ValueError(
                "nodes is 2, which cannot elect a master when one is lost; allowed are 1, 3 and more"
            )
        return self


class Tracing(Model):
    """How many traces are taken, and where they are kept."""

    storage: TraceStorage
    sampling_percent: Annotated[float, Field(gt=0, le=100)]
    """Share of requests that are traced, decided where a request enters."""


class Datadog(Model):
    """Datadog's agents; their API key is the secret `datadog-api-key`."""

    site: DatadogSite


class BusinessHours(Model):
    """When P2 is worth a page."""

    time_zone: TimeZone
    """Of the hours, and of the turns on call."""
    days: Annotated[tuple[Day, ...], Field(min_length=1)]
    """On the other ones nobody is paged for P2."""
    start: TimeOfDay
    """On each of the days."""
    end: TimeOfDay
    """On each of the days."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        """`start` is before `end`, and no day is named twice."""
        if self.start >= self.end:
            raise ValueError(f"start {self.start:%H:%M} is not before end {self.end:%H:%M}")
        if len(set(self.days)) < len(self.days):
            raise ValueError("days names one twice")
        return self


class OnCall(Model):
    """Whom PagerDuty calls: on-call engineer, then team lead, then engineering manager."""

    engineers: Annotated[tuple[PagerDutyUser, ...], Field(min_length=1)]
    """They take turns, in this order."""
    rotation_days: Annotated[int, Field(ge=1, le=28)] = 7
    """Days of one turn."""
    since: Date
    """The day on which the first turn of the first engineer begins."""
    handover: TimeOfDay
    """When a turn ends and the next begins, in the business hours' time zone."""
    team_lead: PagerDutyUser
    """Called when the engineer does not acknowledge."""
    engineering_manager: PagerDutyUser
    """Called when the team lead does not acknowledge."""


class Paging(Model):
    """That this environment may reach PagerDuty, and how. Its secrets: `pagerduty-token`, `heartbeat-url`."""

    business_hours: BusinessHours
    on_call: OnCall


class SignIn(Model):
    """Single sign-on to Grafana by OpenID Connect; the client's secret is `grafana-client-secret`."""

    client_id: Annotated[str, AfterValidator(matching(r"[A-Za-z0-9._-]{1,255}", "an OAuth client id"))]
    """Under which the identity provider knows this Grafana."""
    authorize_url: Url
    """Where browsers are sent to sign in."""
    token_url: Url
    """Where Grafana exchanges the code for a token."""
    user_info_url: Url
    """Where Grafana asks who somebody is."""
    admin_group: Annotated[str, AfterValidator(matching(r"[A-Za-z0-9 ._:/-]{1,128}", "the name of a group"))]
    """Members administer Grafana; everybody else reads."""


class Monitoring(Model):
    """The size of the monitoring stack, and whom it reaches."""

    prometheus_replicas: Annotated[int, Field(ge=1, le=4)]
    """Each scrapes everything; alerts are the same from all."""
    retention_days: Annotated[int, Field(ge=1, le=365)]
    """How long Prometheus keeps its metrics."""
    storage_gib: Annotated[int, Field(ge=1, le=16_384)]
    """Disk of each replica of Prometheus; an EBS gp3 volume holds at most 16 TiB."""
    alertmanager_replicas: Annotated[int, Field(ge=1, le=5)]
    """Peers that tell each other what they sent, so that a person hears of it once."""
    elasticsearch: Elasticsearch
    tracing: Tracing
    datadog: Datadog | None = None
    """Off where it is left out."""
    paging: Paging | None = None
    """Slack only where it is left out."""
    grafana_url: Url = "http://localhost:3000"
    """Where browsers find Grafana; the default is where `kubectl port-forward` puts it."""
    runbooks_url: Url
    """The folder of the runbooks as browsers find it; alerts link to files in it."""
    sign_in: SignIn | None = None
    """Without it Grafana has one account, `admin`, whose password was made by chance."""

    @property
    def parts(self) -> Set[Part]:
        """The parts that this stack has."""
        return frozenset(Part) if self.datadog is not None else frozenset(Part) - DATADOG

    @property
    def chores(self) -> tuple[Chore, ...]:
        """The CronJobs that this stack has."""
        stored = self.tracing.storage is TraceStorage.ELASTICSEARCH
        return (LOG_SWEEP, INDEX_CLEANER) if stored else (LOG_SWEEP,)

    @property
    def secrets(self) -> Mapping[str, str]:
        """Names of the secrets that the stack's monitoring takes, and the key that asks for each."""
        wanted = {"slack-token": "quikapp:monitoring"}
        if self.paging is not None:
            wanted |= dict.fromkeys(("pagerduty-token", "heartbeat-url"), "quikapp:monitoring.paging")
        if self.datadog is not None:
            wanted["datadog-api-key"] = "quikapp:monitoring.datadog"
        if self.sign_in is not None:
            wanted["grafana-client-secret"] = "quikapp:monitoring.signIn"
        return wanted

    def replicas(self, part: Part) -> int:
        """How many pods of a part there are; of one that runs on every node, how many on each."""
        return {
            Part.PROMETHEUS: self.prometheus_replicas,
            Part.ALERTMANAGER: self.alertmanager_replicas,
            Part.ELASTICSEARCH: self.elasticsearch.nodes,
            Part.LOGSTASH: min(self.elasticsearch.nodes, 2),
            # What one keeps in its memory another would not find.
            Part.JAEGER: 2 if self.tracing.storage is TraceStorage.ELASTICSEARCH else 1,
            Part.DATADOG_CLUSTER_AGENT: 2,
        }.get(part, 1)

    def size(self, part: Part) -> Size:
        """Requests and limits of one pod of a part."""
        if part is Part.ELASTICSEARCH:
            return Size(ELASTICSEARCH_MILLICORES, self.elasticsearch.memory_gib * 1024)
        return SIZES[part]

    @property
    def footprint(self) -> Size:
        """What all parts take together that do not run on every node."""
        pods = [(self.size(part), self.replicas(part)) for part in self.parts - ON_NODES]
        return Size(
            sum(size.cpu_millicores * count for size, count in pods),
            sum(size.memory_mib * count for size, count in pods),
        )
