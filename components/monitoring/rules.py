"""Prometheus' rules, as plain data: what is recorded, and what somebody is told of.

Each slot's and service's latency, error rate and saturation are recorded once, from `operations.metrics`; everything
else reads those series. Every alert is an `Alert`, and one function renders them all.

Priorities follow one question: who has to act, and when. P1 is a total outage or a budget that is gone in days. P2 must
be looked at today though users feel nothing, above all where an outage would go unannounced: P2 reaches people by two
ways, PagerDuty and Slack, so one of them may be what is broken. P3 waits for the day's review, P4 for the week's.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final, NotRequired, TypedDict

from operations import metrics, recovery_alerts
from operations.backup import Data
from operations.environments import BUDGET_WINDOW
from operations.incidents import OBJECTIVES
from operations.metrics import EVERYTHING, KEY_METRICS, KeyMetric, Level, promql_duration
from operations.monitoring import INDEX_CLEANER, LOG_SWEEP, NAMESPACE, ON_NODES, OUTAGE_HOLD, Chore, Part
from operations.priorities import PRIORITY_OF_LEVEL, ROUTES, Priority
from operations.promises import RESTORE
from operations.recovery import RPO, RTO
from operations.recovery_alerts import BACKUPS, LONG_OVERDUE, RESTORES, Figure, Lag, Told
from operations.slo import BURN_RATES, BurnRate, allowed_error_ratio, burn_rates

# --- the form ------------------------------------------------------------------------------------------------------

Rule = TypedDict(
    "Rule",
    {
        "record": NotRequired[str],
        "alert": NotRequired[str],
        "expr": str,
        "for": NotRequired[str],
        "keep_firing_for": NotRequired[str],
        "labels": NotRequired[Mapping[str, str]],
        "annotations": NotRequired[Mapping[str, str]],
    },
)
"""A rule as Prometheus reads it.
Source: https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/"""


class Group(TypedDict):
    """Rules that are evaluated one after the other."""

    name: str
    rules: Sequence[Rule]


class RuleFile(TypedDict):
    """A rule file."""

    groups: Sequence[Group]


@dataclass(frozen=True, kw_only=True)
class RecoveryWatched:
    """What an environment with recovery objectives is held to, besides the page's RTO.

    Raises:
        ValueError: commits wait only when the RPO is broken already, or restores are never tested.
    """

    recovery_point: timedelta
    """How far the recovery region may be behind before the database makes commits wait; below the page's RPO."""
    restore_test_days: int
    """A restore is tested at least every so many days."""

    def __post_init__(self) -> None:
        if not timedelta() < self.recovery_point < RPO:
            raise ValueError(
                f"recovery_point is {self.recovery_point}: allowed is above zero and below {RPO}"
            )
        if self.restore_test_days < 1:
            raise ValueError(f"restore_test_days is {self.restore_test_days}: allowed is 1 and more")


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What the rules of one environment are about."""

    environment: str
    sla: float | None
    """Availability in percent; None where nothing is promised."""
    services: tuple[str, ...]
    replicas: Mapping[Part, int]
    """How many pods there should be of each part that the stack has; of one that runs on every node, on each."""
    grafana_url: str
    runbooks_url: str
    """The folder of the runbooks; like `grafana_url` without a slash at its end."""
    retention_days: int
    """How long Prometheus remembers."""
    recovery: RecoveryWatched | None = None
    """None where the database lives in one region: then only backups are watched."""
    chores: tuple[Chore, ...] = ()
    """The CronJobs of the monitoring stack, which knows them itself."""
    databases: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """The instances that there should be of each database cluster, all by their identifiers; of the stack's clusters, which
    it knows itself."""


@dataclass(frozen=True)
class Recording:
    """A series that is computed once for all who read it.

    Source of the names' form, `level:metric:operations`: https://prometheus.io/docs/practices/rules/
    """

    name: str
    expression: str


KEEP_FIRING: Final = timedelta(minutes=5)
"""How long an alert outlives its breach: a value that hovers around its threshold pages once."""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """What is wrong, who is told, and where to look."""

    name: str
    """In camel case; alerts of one name differ in their labels and share a runbook."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """What tells it from others of its name, besides the labels of the expression's series."""
    expression: str
    hold: timedelta | None
    """How long the breach lasts before the alert fires; None fires at once."""
    keep_firing: timedelta | None = KEEP_FIRING
    """How long it fires after the breach; None where the expression itself looks back that long."""
    priority: Priority | None
    """None for the one alert that nobody acts on, `Watchdog`."""
    summary: str
    """A template, as `impact` and `dashboard` are: `$value` and the labels of the expression's series fill it in.
    Source: https://prometheus.io/docs/prometheus/latest/configuration/template_reference/"""
    impact: str
    """What it means to users, or to those who keep the service up."""
    dashboard: str
    """The dashboard's UID and the query that sets its variables."""

    @property
    def severity(self) -> str:
        """The label that tells what pages (critical) from what is reviewed (warning), as the key metrics' levels do."""
        match self.priority:
            case None:
                return "none"
            case Priority.P1 | Priority.P2:
                return Level.CRITICAL
            case Priority.P3 | Priority.P4:
                return Level.WARNING

    @property
    def runbook(self) -> str:
        """File name of the runbook: `ApiLatencyP99` has `api-latency-p99.md`."""
        return re.sub(r"\B(?=[A-Z])", "-", self.name).lower() + ".md"


@dataclass(frozen=True)
class _Topic:
    """A group: what it records first, and the alerts that may read it in the same moment."""

    name: str
    recordings: tuple[Recording, ...] = ()
    alerts: tuple[Alert, ...] = ()


def rule_file(watched: Watched) -> RuleFile:
    """Every rule of an environment, in an order that never changes."""
    return {
        "groups": [
            {
                "name": topic.name,
                "rules": [
                    *({"record": made.name, "expr": made.expression} for made in topic.recordings),
                    *(_rendered(alert, watched) for alert in topic.alerts),
                ],
            }
            for topic in _topics(watched)
        ]
    }


def alerts(watched: Watched) -> tuple[Alert, ...]:
    """Every alert of an environment, in the order of the rule file."""
    return tuple(alert for topic in _topics(watched) for alert in topic.alerts)


def _topics(watched: Watched) -> Iterator[_Topic]:
    for metric in KEY_METRICS:
        yield _Topic(
            metric.name,
            (Recording(recorded(metric), metric.expression()),),
            tuple(_key_metric(metric, level) for level in Level),
        )
    yield _error_budget(watched)
    yield _Topic("services", alerts=tuple(_service_down(service) for service in watched.services))
    yield _Topic("nodes", alerts=(NODE_DOWN,))
    yield _Topic("recovery", alerts=tuple(_recovery(watched)))
    yield _Topic(
        "monitoring",
        alerts=(
            *(_part_missing(part, watched.replicas[part]) for part in Part if part in watched.replicas),
            *(_target_missing(job) for job in jobs(watched)),
            *(_overdue(chore) for chore in watched.chores),
            VOLUME_FILLING,
            NOT_HANDED_OVER,
            NOT_SENT,
            EVALUATION_FAILING,
            WATCHDOG,
        ),
    )


def _rendered(alert: Alert, watched: Watched) -> Rule:
    rule: Rule = {"alert": alert.name, "expr": alert.expression}
    if alert.hold is not None:
        rule["for"] = promql_duration(alert.hold)
    if alert.keep_firing is not None:
        rule["keep_firing_for"] = promql_duration(alert.keep_firing)
    labels = {**alert.labels, "severity": alert.severity}
    annotations = {"summary": alert.summary, "impact": alert.impact}
    if alert.priority is not None:
        opens = ROUTES[alert.priority].opens
        labels |= {"priority": alert.priority, "incident_severity": opens}
        annotations |= {
            "response": _spoken(OBJECTIVES[opens].response),
            "resolution": _spoken(OBJECTIVES[opens].resolution),
        }
    annotations["dashboard_url"] = f"{watched.grafana_url}/d/{alert.dashboard}"
    annotations["runbook_url"] = f"{watched.runbooks_url}/{alert.runbook}"
    return {**rule, "labels": labels, "annotations": annotations}


def _spoken(span: timedelta | None) -> str:
    """A span as the page writes it: `5 minutes`, `1 hour`, or `best effort` where there is none."""
    if span is None:
        return "best effort"
    hours = span / timedelta(hours=1)
    count, unit = (hours, "hour") if hours >= 1 else (hours * 60, "minute")
    return f"{count:g} {unit}{'' if count == 1 else 's'}"


# --- key metrics ---------------------------------------------------------------------------------------------------

HOLD: Final[Mapping[Level, timedelta]] = MappingProxyType(
    {Level.WARNING: timedelta(minutes=5), Level.CRITICAL: OUTAGE_HOLD}
)
"""How long a breach lasts before the alert fires. With the two minutes of a critical one and the five of its window,
a page is out well before the response time of the mildest incident that someone is paged for."""

IMPACT: Final[Mapping[str, str]] = MappingProxyType(
    {
        metrics.LATENCY_P99.name: "One request in a hundred takes longer than this: users wait.",
        metrics.ERROR_RATE.name: "Requests fail: users see errors.",
        metrics.CPU_USAGE.name: "Scaling does not keep up: latency rises next.",
        metrics.MEMORY_USAGE.name: "At the limit the kernel kills the fullest pod and its requests fail.",
        metrics.POD_RESTARTS.name: "Pods die and lose the requests they were serving.",
    }
)
"""What a breach of a key metric means to users, by the metric's name."""

_HUMAN: Final[Mapping[metrics.Unit, str]] = MappingProxyType(
    {
        metrics.Unit.SECONDS: "humanizeDuration",
        metrics.Unit.RATIO: "humanizePercentage",
        metrics.Unit.PER_HOUR: 'printf "%.0f per hour"',
    }
)


def recorded(metric: KeyMetric) -> str:
    """The series that holds a key metric's value, such as `slot_service:error_rate:5m`."""
    return f"slot_service:{metric.name}:{promql_duration(metric.window)}"


def alert_name(metric: KeyMetric) -> str:
    """The alert of a key metric, such as `ErrorRate`; its levels differ in the label `severity`."""
    return "".join(word.capitalize() for word in metric.name.split("_"))


def _key_metric(metric: KeyMetric, level: Level) -> Alert:
    threshold = metric.threshold(level)
    return Alert(
        name=alert_name(metric),
        expression=f"{recorded(metric)} > {threshold:g}",
        hold=HOLD[level],
        priority=PRIORITY_OF_LEVEL[level],
        summary=(
            f"{metric.title} of {{{{ $labels.service }}}} in slot {{{{ $labels.slot }}}} is "
            f"{{{{ $value | {_HUMAN[metric.unit]} }}}}, above {metric.display(threshold)}"
        ),
        impact=IMPACT[metric.name],
        dashboard="service?var-service={{ $labels.service }}",
    )


# --- error budget --------------------------------------------------------------------------------------------------

RATE_WINDOW: Final = timedelta(minutes=5)
"""The span of the recorded rates of requests and errors."""

REQUESTS: Final = "requests:rate5m"
ERRORS: Final = "errors:rate5m"
"""Per second; recorded per slot and service, and for the environment as a whole."""

BUDGET_LEFT: Final = "environment:error_budget_left:ratio"
"""1 is untouched, 0 is spent, below 0 is overspent."""

WINDOWS: Final = tuple(sorted({span for rate in BURN_RATES for span in (rate.short, rate.long)}))
"""The spans over which the ratio of errors is recorded in every environment."""


def error_ratio(window: timedelta) -> str:
    """The series that holds the share of the environment's requests that failed over a window, 0 to 1."""
    return f"environment:error_ratio:{promql_duration(window)}"


def budget_window(watched: Watched) -> timedelta:
    """The span that the budget left is counted over: its 30 days, or as much of them as Prometheus remembers."""
    return min(BUDGET_WINDOW, timedelta(days=watched.retention_days))


def _error_budget(watched: Watched) -> _Topic:
    sla = watched.sla
    if sla is None:
        return _Topic("error_budget", (*_traffic(), *_error_ratios(*WINDOWS)))
    counted = budget_window(watched)
    left = Recording(BUDGET_LEFT, f"1 - {error_ratio(counted)} / {allowed_error_ratio(sla)}")
    return _Topic(
        "error_budget",
        (*_traffic(), *_error_ratios(*WINDOWS, counted), left),
        tuple(_burn(rate, sla, watched.environment) for rate in burn_rates(sla)),
    )


def _traffic() -> Iterator[Recording]:
    rates = {REQUESTS: metrics.request_rate, ERRORS: metrics.failure_rate}
    for name, rate in rates.items():
        yield Recording(f"slot_service:{name}", rate(EVERYTHING, promql_duration(RATE_WINDOW)))
    for name in rates:
        # One series to look back on, every few seconds and over 30 days, rather than one for each slot and service.
        yield Recording(f"environment:{name}", f"sum(slot_service:{name})")


def _error_ratios(*windows: timedelta) -> Iterator[Recording]:
    for window in sorted(set(windows)):
        yield Recording(error_ratio(window), f"{_over(ERRORS, window)} / ({_over(REQUESTS, window)} > 0)")


def _over(name: str, window: timedelta) -> str:
    """All of a window's requests or errors, in a unit of no account since only their ratio is of use.

    A ratio of sums, not a mean of ratios: a request counts the same at noon and at night.
    """
    series = f"environment:{name}"
    return series if window == RATE_WINDOW else f"sum_over_time({series}[{promql_duration(window)}])"


def _burn(rate: BurnRate, sla: float, environment: str) -> Alert:
    threshold = rate.error_ratio(sla)
    long = promql_duration(rate.long)
    return Alert(
        name="ErrorBudgetBurn",
        labels={"burn_rate": rate.name},
        expression=f"{error_ratio(rate.long)} > {threshold} and {error_ratio(rate.short)} > {threshold}",
        # The windows are what makes it wait; this only outlasts the first requests after a silence.
        hold=HOLD[Level.CRITICAL],
        priority=rate.priority,
        summary=(
            f"{{{{ $value | humanizePercentage }}}} of the requests of {environment} failed over {long}, "
            f"above {threshold * 100:g}%: a burn rate of {rate.factor:g} for an SLA of {sla:g}%"
        ),
        impact=(
            f"Users see errors. At this rate an error budget of {BUDGET_WINDOW.days} days is spent in "
            f"{rate.lasts / timedelta(hours=1):g} hours."
        ),
        dashboard="overview",
    )


# --- services and nodes --------------------------------------------------------------------------------------------


def _service_down(service: str) -> Alert:
    """A total outage leaves no requests behind, so no error rate: this is what notices it.

    P1: it is the page's own word for SEV1.
    """
    return Alert(
        name="ServiceDown",
        labels={"service": service},
        expression=f'absent(up{{job="slots", service="{service}"}} == 1)',
        hold=HOLD[Level.CRITICAL],
        priority=Priority.P1,
        summary=f"No pod of {service} answers in any slot",
        impact=f"Every request to {service} fails: a total outage of it.",
        dashboard=f"service?var-service={service}",
    )


NODE_DOWN: Final = Alert(
    name="NodeDown",
    expression='max by (node) (kube_node_status_condition{condition="Ready", status="true"}) < 1',
    # Kubernetes moves a lost node's pods after five minutes by itself, and a new node takes less to become ready.
    # https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
    hold=timedelta(minutes=5),
    # Pods move by themselves, so nobody is woken; yet alerts about what ran there keep silent in favour of this one,
    # and no louder one may be silenced by a quieter one.
    priority=Priority.P2,
    summary="The node {{ $labels.node }} is not ready",
    impact="Its pods are lost until they run elsewhere; the services in both slots have less room.",
    dashboard="cluster",
)

# --- backups and recovery ------------------------------------------------------------------------------------------


def _recovery(watched: Watched) -> Iterator[Alert]:
    for told in BACKUPS:
        yield from (_backup_overdue(told, *late) for late in BACKUP_LATE)
        yield _figure_unknown(told)
    yield from (_instances_missing(*cluster) for cluster in watched.databases.items())
    if watched.recovery is None:
        return
    recovery_point = watched.recovery.recovery_point
    yield from (_lagging(Lag.RECOVERY_POINT, level, recovery_point) for level in Level)
    # It is the first to rise, and makes no commit wait.
    yield _lagging(Lag.REPLICATION, Level.WARNING, recovery_point)
    yield LAG_UNKNOWN
    for told in RESTORES:
        match told.figure:
            case Figure.RESTORE_AGE:
                yield _restore_test_overdue(told, watched.recovery.restore_test_days)
                yield _figure_unknown(told)
            case _:
                # One is published with the other: both are known or none.
                yield _restore_too_slow(told)
                yield _restore_beyond_plan(told)


def figure(told: Told) -> str:
    """PromQL of a figure in seconds, as old as it was when it was last published."""
    name = recovery_alerts.series(recovery_alerts.NAMESPACE, told.figure)
    return f'max({name}{{dimension_{recovery_alerts.DATA}="{told.data}"}})'


def lag_seconds(lag: Lag) -> str:
    """PromQL of how many seconds the region that follows is behind, whichever of the two it is."""
    return f"max({recovery_alerts.series(recovery_alerts.DATABASE_NAMESPACE, lag)}) / 1000"


LAG_LABEL: Final[Mapping[Lag, str]] = MappingProxyType(
    {Lag.RECOVERY_POINT: "recovery-point", Lag.REPLICATION: "replication"}
)
LAG_SUMMARY: Final[Mapping[Lag, str]] = MappingProxyType(
    {
        Lag.RECOVERY_POINT: "Commits reach the recovery region {{ $value | humanizeDuration }} late",
        Lag.REPLICATION: "Replication to the recovery region takes {{ $value | humanizeDuration }}",
    }
)


def _lagging(lag: Lag, level: Level, recovery_point: timedelta) -> Alert:
    """A critical lag is P1: at the next step no write gets through, and what it is about cannot be made good later."""
    threshold = recovery_alerts.lag_threshold(level, recovery_point).total_seconds()
    waits = f"commits wait from {recovery_point.total_seconds():g}s on"
    return Alert(
        name="ReplicationLag",
        labels={"lag": LAG_LABEL[lag]},
        expression=f"{lag_seconds(lag)} > {threshold:g}",
        hold=HOLD[level],
        priority=PRIORITY_OF_LEVEL[level],
        summary=f"{LAG_SUMMARY[lag]}, above {threshold:g}s",
        impact=(
            f"Users' writes are about to hang: {waits}, so that not more is lost with the region."
            if level is Level.CRITICAL
            else f"As much would be lost with the region; users' writes hang if it grows: {waits}."
        ),
        dashboard="data",
    )


FIGURE_TITLE: Final[Mapping[Told, str]] = MappingProxyType(
    {
        Told(Data.DATABASE, Figure.BACKUP_AGE): "backup of the database",
        Told(Data.FILES, Figure.BACKUP_AGE): "backup of the files",
        Told(Data.FILES, Figure.COPY_AGE): "copy of the files",
        Told(Data.DATABASE, Figure.RESTORE_AGE): "tested restore of the database",
        Told(Data.FILES, Figure.RESTORE_AGE): "tested restore of the files",
        Told(Data.DATABASE, Figure.RESTORE_DURATION): "tested restore of the database",
        Told(Data.FILES, Figure.RESTORE_DURATION): "tested restore of the files",
    }
)
"""What a figure is about, as it stands after `the last`."""


BACKUP_LATE: Final = (
    # Nothing is lost by it yet, and what failed is tried again before anybody could mend it at night.
    (recovery_alerts.overdue(recovery_alerts.BACKUP_PERIOD), Priority.P3),
    # The review has had it before it, and every day more would be lost: today.
    (LONG_OVERDUE, Priority.P2),
)
"""The ages above which a backup is told of, and to whom."""


def _backup_overdue(told: Told, limit: timedelta, priority: Priority) -> Alert:
    return Alert(
        name="BackupOverdue",
        labels={"data": told.data, "figure": told.figure},
        expression=f"{figure(told)} > {limit // timedelta(seconds=1)}",
        # The expression waits long enough.
        hold=None,
        priority=priority,
        summary=f"The last {FIGURE_TITLE[told]} is {{{{ $value | humanizeDuration }}}} old, above {_spoken(limit)}",
        impact="A restore from it would bring back nothing that is newer.",
        dashboard="data",
    )


def _restore_test_overdue(told: Told, days: int) -> Alert:
    limit = recovery_alerts.overdue(timedelta(days=days))
    return Alert(
        name="RestoreTestOverdue",
        labels={"data": told.data},
        expression=f"{figure(told)} > {limit // timedelta(seconds=1)}",
        hold=None,
        priority=Priority.P3,
        summary=f"The last {FIGURE_TITLE[told]} is {{{{ $value | humanizeDuration }}}} ago, above {_spoken(limit)}",
        impact="Nobody knows whether the backups of today can be restored.",
        dashboard="data",
    )


def _restore_too_slow(told: Told) -> Alert:
    return Alert(
        name="RestoreTooSlow",
        labels={"data": told.data},
        expression=f"{figure(told)} > {RTO // timedelta(seconds=1)}",
        hold=None,
        priority=Priority.P3,
        summary=f"The last {FIGURE_TITLE[told]} took {{{{ $value | humanizeDuration }}}}, above {_spoken(RTO)}",
        impact="What only a backup can bring back is not back in the recovery time that is promised.",
        dashboard="data",
    )


def _restore_beyond_plan(told: Told) -> Alert:
    """The other one about the length of a restore fires as long as a risk is accepted, and is silenced for it: what has grown
    beyond what that risk was accepted for has a name of its own."""
    return Alert(
        name="RestoreBeyondPlan",
        labels={"data": told.data},
        expression=f"{figure(told)} > {RESTORE // timedelta(seconds=1)}",
        hold=None,
        priority=Priority.P3,
        summary=f"The last {FIGURE_TITLE[told]} took {{{{ $value | humanizeDuration }}}}, above the {_spoken(RESTORE)} planned",
        impact="What is said of recovery times, and was accepted as a risk, is no longer true.",
        dashboard="data",
    )


FIGURE_HOLD: Final = timedelta(days=1)
"""An environment of yesterday has its first backup by then; what is published each hour is missed soon enough."""

AURORA_HOLD: Final = timedelta(minutes=15)
"""A cluster that changes its role, and an instance that is made anew, tell nothing for some minutes."""


def _answered(within: timedelta) -> str:
    """PromQL of whether the exporter was scraped of late: without it nothing is known, and another alert says so.

    It has one pod. A single scrape that fails must not begin the hold anew, so `within` is longer than a pod takes to be
    replaced, and shorter than the hold.
    """
    up = f'up{{job="{Part.CLOUDWATCH_EXPORTER}"}}'
    return f"max(max_over_time({up}[{promql_duration(within)}])) == 1"


def _unknown(value: str, within: timedelta) -> str:
    """PromQL of a value that is not there though the exporter answers."""
    return f"absent({value}) and {_answered(within)}"


FIGURE_ANSWERED: Final = timedelta(hours=1)
AURORA_ANSWERED: Final = timedelta(minutes=5)
"""How long ago the exporter may have answered last, for what it is asked about to count as missing."""


def _figure_unknown(told: Told) -> Alert:
    return Alert(
        name="RecoveryUnknown",
        labels={"data": told.data, "figure": told.figure},
        expression=_unknown(figure(told), FIGURE_ANSWERED),
        hold=FIGURE_HOLD,
        priority=Priority.P3,
        summary=f"Nothing is known of the last {FIGURE_TITLE[told]}: there was none, or nobody tells",
        impact="Nobody would be told if it failed.",
        dashboard="data",
    )


LAG_UNKNOWN: Final = Alert(
    name="RecoveryUnknown",
    labels={"data": Data.DATABASE, "figure": Lag.RECOVERY_POINT},
    expression=_unknown(lag_seconds(Lag.RECOVERY_POINT), AURORA_ANSWERED),
    hold=AURORA_HOLD,
    # A region that does not follow any more can be all that is left tomorrow.
    priority=Priority.P2,
    summary="Nothing is known of how far the recovery region is behind: it does not follow, or nobody tells",
    impact="If the region were lost now, nobody could say how much is lost with it.",
    dashboard="data",
)


def instances_running(instances: Sequence[str]) -> str:
    """PromQL of how many of these instances tell how long they have run; nothing where none does."""
    uptime = recovery_alerts.series(recovery_alerts.DATABASE_NAMESPACE, recovery_alerts.INSTANCE_UPTIME)
    return f'count({uptime}{{dimension_{recovery_alerts.INSTANCE}=~"{"|".join(instances)}"}})'


def _instances_missing(cluster: str, instances: Sequence[str]) -> Alert:
    """Fewer instances than the stack declares: who would take over, at home or in the recovery region, may be who is missing."""
    running = f"({instances_running(instances)} or vector(0))"
    return Alert(
        name="DatabaseInstanceMissing",
        labels={"database": cluster},
        expression=f"{len(instances)} - {running} > 0 and {_answered(AURORA_ANSWERED)}",
        hold=AURORA_HOLD,
        # Users feel nothing yet; when the writer or its region is lost next, nobody takes over in the time that is promised.
        priority=Priority.P2,
        summary=f"Missing instances of {cluster}: {{{{ $value }}}}",
        impact="If the writer or its region were lost now, the database would be back later than is promised.",
        dashboard="data",
    )


# --- monitoring ----------------------------------------------------------------------------------------------------

STATE_METRICS: Final = "kube-state-metrics"
"""The EKS add-on, its namespace, its Service, and the job that scrapes it.
Source: https://docs.aws.amazon.com/eks/latest/userguide/community-addons.html"""

PART_IMPACT: Final[Mapping[Part, str]] = MappingProxyType(
    {
        Part.PROMETHEUS: "Metrics and alerts come from fewer replicas, or from none.",
        Part.ALERTMANAGER: "Alerts are sent by fewer peers, or by none.",
        Part.GRAFANA: "Nobody sees the dashboards.",
        Part.JAEGER: "Traces are lost.",
        Part.ELASTICSEARCH: "Logs and stored traces have fewer copies, or cannot be searched.",
        Part.LOGSTASH: "Logs arrive late: Filebeat holds them back.",
        Part.KIBANA: "Nobody can look at logs, which still arrive.",
        Part.FILEBEAT: "Logs of the nodes without it arrive late, or never where their pods go first.",
        Part.DATADOG_AGENT: "Datadog sees nothing of the nodes without it.",
        Part.DATADOG_CLUSTER_AGENT: "Datadog's agents cannot tell which pods they look at.",
        Part.CLOUDWATCH_EXPORTER: "Nobody is told that replication lags, or that backups or restores fail.",
    }
)
"""What is lost with pods of a part."""

JOB_IMPACT: Final[Mapping[str, str]] = MappingProxyType(
    {
        STATE_METRICS: "Nobody is told of restarts, lost nodes and missing parts, nor of CPU and memory near limits.",
        "cadvisor": "Nobody is told of CPU and memory near their limits.",
        "kubelet": "Nobody is told of filling volumes.",
        "node-exporter": "The dashboards show less of the nodes.",
        "apiserver": "The dashboards do not show the API server.",
        "kube-scheduler": "The dashboards do not show which pods wait for a node.",
        "kube-controller-manager": "The dashboards do not show whether controllers keep up.",
        Part.PROMETHEUS: "Nobody is told of rules that fail and alerts that are not handed over.",
        Part.ALERTMANAGER: "Nobody is told of notifications that fail.",
        Part.GRAFANA: "The dashboards do not show their own load.",
        Part.JAEGER: "Nobody sees whether traces are refused.",
        Part.CLOUDWATCH_EXPORTER: "Nobody is told that replication lags, or that backups or restores fail.",
    }
)
"""What is lost with targets of a scrape job; the slots' own is watched by `ServiceDown`."""

BLINDING: Final = frozenset(
    {STATE_METRICS, "cadvisor", Part.PROMETHEUS, Part.ALERTMANAGER, Part.CLOUDWATCH_EXPORTER}
)
"""Without these jobs and parts an outage, or data about to be lost, can go unannounced: P2. The others are for the day's
review."""

PART_HOLD: Final = timedelta(minutes=15)
"""Longer than any part takes to be rolled: a volume is attached, an image pulled, a write-ahead log replayed."""

FULL: Final = 0.9
"""The share of a volume in use from which somebody makes room. Prometheus keeps itself below it; Elasticsearch moves
shards away at 0.9 and refuses to write at 0.95.
Source: https://www.elastic.co/docs/reference/elasticsearch/configuration-reference/cluster-level-shard-allocation-routing-settings"""

_STATEFUL: Final = frozenset({Part.PROMETHEUS, Part.ALERTMANAGER, Part.ELASTICSEARCH, Part.LOGSTASH})


def jobs(watched: Watched) -> tuple[str, ...]:
    """The scrape jobs that each have an alert: the cluster's, and those of the parts that the stack has."""
    absent = frozenset(Part) - watched.replicas.keys()
    return tuple(job for job in JOB_IMPACT if job not in absent)


def _monitoring_priority(missing: str) -> Priority:
    return Priority.P2 if missing in BLINDING else Priority.P3


def _part_missing(part: Part, replicas: int) -> Alert:
    """Fewer pods than the stack declares, also where Kubernetes knows nothing of the part at all.

    Without kube-state-metrics everything would look missing, so then this keeps silent, and another alert says so.
    Source: https://github.com/kubernetes/kube-state-metrics/tree/main/docs/metrics/workload
    """
    return Alert(
        name="MonitoringPartMissing",
        labels={"part": part},
        expression=f'{_missing(part, replicas)} > 0 and max(up{{job="{STATE_METRICS}"}}) == 1',
        hold=PART_HOLD,
        priority=_monitoring_priority(part),
        summary=f"Missing pods of {part}: {{{{ $value }}}}",
        impact=PART_IMPACT[part],
        dashboard="monitoring",
    )


def _missing(part: Part, replicas: int) -> str:
    """PromQL of how many pods of a part are missing."""
    if part in ON_NODES:
        selected = f'{{namespace="{part.namespace}", daemonset="{part}"}}'
        return f"(max(kube_daemonset_status_number_unavailable{selected}) or vector(1))"
    kind, ready = (
        ("statefulset", "kube_statefulset_status_replicas_ready")
        if part in _STATEFUL
        else ("deployment", "kube_deployment_status_replicas_available")
    )
    return f'{replicas} - (max({ready}{{namespace="{part.namespace}", {kind}="{part}"}}) or vector(0))'


def _target_missing(job: str) -> Alert:
    """Targets that do not answer, or none found at all.

    Where a job asks each node, each has an alert of its own with the label `node`, which a lost node then silences.
    """
    return Alert(
        name="ScrapeTargetMissing",
        labels={"job": job},
        expression=f'count by (node) (up{{job="{job}"}} == 0) or absent(up{{job="{job}"}})',
        hold=PART_HOLD,
        priority=_monitoring_priority(job),
        summary=f"Missing targets of {job}{{{{ with $labels.node }}}} on {{{{ . }}}}{{{{ end }}}}: {{{{ $value }}}}",
        impact=JOB_IMPACT[job],
        dashboard="monitoring",
    )


CHORE_IMPACT: Final[Mapping[Chore, str]] = MappingProxyType(
    {
        LOG_SWEEP: "Log lines are found for a day longer than they may be.",
        INDEX_CLEANER: "Traces are kept for longer than their week and fill Elasticsearch's volumes.",
    }
)
"""What comes of a CronJob that does not run."""

OVERDUE_PERIODS: Final = 3
"""Periods without success after which a CronJob is overdue: what fails once is tried again at its next turn."""


def last_success(chore: Chore) -> str:
    """PromQL of when a CronJob last succeeded, as a Unix time; of one that never has, when it was made.

    Source: https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/cronjob-metrics.md
    """
    chosen = f'{{namespace="{NAMESPACE}", cronjob="{chore.name}"}}'
    return f"(max(kube_cronjob_status_last_successful_time{chosen}) or max(kube_cronjob_created{chosen}))"


def _overdue(chore: Chore) -> Alert:
    return Alert(
        name="HousekeepingOverdue",
        labels={"cronjob": chore.name},
        expression=f"time() - {last_success(chore)} > {OVERDUE_PERIODS * chore.period // timedelta(seconds=1)}",
        # The expression waits long enough.
        hold=None,
        # No user feels it, and nothing is lost by it.
        priority=Priority.P3,
        summary=f"{chore.name} has not succeeded for {{{{ $value | humanizeDuration }}}}",
        impact=CHORE_IMPACT[chore],
        dashboard="monitoring",
    )


VOLUME_FILLING: Final = Alert(
    name="VolumeFilling",
    # Of what is available, not of what is used: some is reserved for root, and no part runs as root.
    expression=(
        f"1 - max by (persistentvolumeclaim) (kubelet_volume_stats_available_bytes"
        f'{{namespace="{NAMESPACE}"}}) / max by (persistentvolumeclaim) '
        f'(kubelet_volume_stats_capacity_bytes{{namespace="{NAMESPACE}"}}) > {FULL}'
    ),
    # Merges and compactions take room for some minutes and give it back.
    hold=timedelta(minutes=15),
    # A full volume loses what comes next, metrics and so alerts among it: today, not at the day's review.
    priority=Priority.P2,
    summary=(
        f"The volume {{{{ $labels.persistentvolumeclaim }}}} is {{{{ $value | humanizePercentage }}}} full, "
        f"above {FULL * 100:g}%"
    ),
    impact="When it is full, metrics or logs are lost from then on.",
    dashboard="monitoring",
)

NOT_HANDED_OVER: Final = Alert(
    name="AlertsNotDelivered",
    labels={"sender": Part.PROMETHEUS},
    # The least of all peers: while one takes alerts, it tells the others. A Prometheus that finds no peer drops nothing.
    expression=(
        "min by (instance) (increase(prometheus_notifications_dropped_total[5m])) > 0 "
        "or max by (instance) (prometheus_notifications_alertmanagers_discovered) < 1"
    ),
    # Firing alerts are sent again each minute: with the window's five minutes a peer that is replaced is left out.
    hold=timedelta(minutes=10),
    keep_firing=None,
    priority=Priority.P2,
    summary="Prometheus {{ $labels.instance }} cannot hand its alerts to any Alertmanager",
    impact="Nobody is told of an outage that this replica sees.",
    dashboard="monitoring",
)

NOT_SENT: Final = Alert(
    name="AlertsNotDelivered",
    labels={"sender": Part.ALERTMANAGER},
    # Alertmanager has tried again for as long as the group's interval before it counts a failure, and some groups are
    # sent once a day: so one failure is enough.
    expression="sum by (integration) (increase(alertmanager_notifications_failed_total[15m])) > 0",
    hold=timedelta(minutes=5),
    keep_firing=None,
    priority=Priority.P2,
    summary="Alertmanager fails to notify through {{ $labels.integration }}",
    impact="Nobody is told of an outage by this way.",
    dashboard="monitoring",
)

EVALUATION_FAILING: Final = Alert(
    name="RuleEvaluationFailing",
    expression="sum by (rule_group) (increase(prometheus_rule_evaluation_failures_total[5m])) > 0",
    # As long as its window: one failure alone is gone by then.
    hold=timedelta(minutes=5),
    keep_firing=None,
    # What such a rule would tell of goes unannounced, whatever it is.
    priority=Priority.P2,
    summary="Rules of {{ $labels.rule_group }} fail to be evaluated",
    impact="Nobody is told of what these rules watch.",
    dashboard="monitoring",
)

WATCHDOG: Final = Alert(
    name="Watchdog",
    expression="vector(1)",
    hold=None,
    keep_firing=None,
    priority=None,
    summary="Alerts get through, all the way",
    impact="None. When it stops, alerting itself is broken and the heartbeat's receiver raises the alarm.",
    dashboard="monitoring",
)
"""The dead-man's switch: it always fires, and what is outside notices when it does not."""
