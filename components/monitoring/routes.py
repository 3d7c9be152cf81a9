"""Alertmanager's configuration: who hears of an alert, when, and in which words (the page, "Alert Routing").

Everything that decides is in `operations.priorities.ROUTES`; this module says it in Alertmanager's language.
Source: https://prometheus.io/docs/alerting/latest/configuration/
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from components.monitoring.rules import NODE_DOWN, WATCHDOG, alert_name
from operations.incidents import OBJECTIVES
from operations.metrics import KEY_METRICS, promql_duration
from operations.monitoring import BusinessHours
from operations.monitoring import Paging as PagingFacts
from operations.naming import APPLICATION
from operations.priorities import ROUTES, Paging, Priority, Review, Route
from operations.promises import GROUP_WAIT

Configuration = Mapping[str, Any]
"""Alertmanager's configuration, or a part of it, as plain data."""

SECRETS_PATH: Final = "/etc/alertmanager/secrets"
"""Where credentials are mounted; the configuration names files in it and holds none of them."""
SLACK_TOKEN: Final = "slack-token"  # noqa: S105 - the name of a file
HEARTBEAT_URL: Final = "heartbeat-url"

INCIDENTS: Final = "slack-incidents"
"""The receiver that hears what nobody else does."""
HEARTBEAT: Final = "heartbeat"
"""The receiver that is told every minute that alerting works, and raises the alarm itself when it is not."""
NOWHERE: Final = "nowhere"
"""The receiver that tells nobody."""
BUSINESS_HOURS: Final = "business-hours"

SERVICE_DOWN: Final = "ServiceDown"
BUDGET_BURN: Final = "ErrorBudgetBurn"
BACKUP_OVERDUE: Final = "BackupOverdue"
REPLICATION_LAG: Final = "ReplicationLag"

RETENTION: Final = timedelta(days=14)
"""How long Alertmanager remembers what it sent: twice the longest time between two messages. Had it forgotten, it would
not tell the week's review what has ended."""

LISTED: Final = 15
"""Alerts that a message describes; it counts the rest. Slack cuts an attachment's text at about 8,000 characters."""

_PAGERDUTY_SEVERITY: Final[Mapping[Priority, str]] = MappingProxyType(
    {Priority.P1: "critical", Priority.P2: "error"}
)
"""Source: https://developer.pagerduty.com/docs/send-alert-event"""

_REVIEW_EVERY: Final[Mapping[Review, timedelta]] = MappingProxyType(
    {Review.DAILY: timedelta(days=1), Review.WEEKLY: timedelta(days=7)}
)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """When the alerts of one route are sent, and sent again."""

    wait: timedelta
    """From the first alert to the first message."""
    interval: timedelta
    """Between two messages about what has changed."""
    repeat: timedelta
    """After which a message is sent again though nothing has changed, at the next interval."""

    def rendered(self) -> Configuration:
        """Return the keys of a route."""
        return {
            "group_wait": promql_duration(self.wait),
            "group_interval": promql_duration(self.interval),
            "repeat_interval": promql_duration(self.repeat),
        }


def pace(route: Route) -> Pace:
    """How fast the alerts of a priority are told.

    A page waits for one round of all rules (15 s), so that an outage's alerts come in one message and the alerts that it
    inhibits do not come at all. An incident that was closed by hand while its alert still fires opens anew after the
    severity's resolution time. A review hears at once of the first alert after a quiet time, then once a day or week of
    everything.

    An interval is longer than the last of five peers waits for its turn, 15 s for each before it: a peer that acts on
    what it saw a whole interval ago would open again what another has resolved meanwhile.
    """
    if route.review is not None:
        every = _REVIEW_EVERY[route.review]
        # A repetition that falls due a moment after its interval would wait for the next: hence the hour less.
        return Pace(wait=timedelta(minutes=5), interval=every, repeat=every - timedelta(hours=1))
    again = OBJECTIVES[route.opens].resolution
    if again is None:
        raise ValueError(f"{route.title} has neither a review nor a time in which it is resolved")
    return Pace(wait=GROUP_WAIT, interval=timedelta(seconds=90), repeat=again)


HEARTBEAT_PACE: Final = Pace(
    wait=timedelta(seconds=1), interval=timedelta(seconds=30), repeat=timedelta(seconds=50)
)
"""A heartbeat every minute: fifty seconds have passed for the first time at the second interval.

Its receiver waits for several of them (operations.promises.HEARTBEAT): one that is late, or whose peer is being replaced, is
no alarm at night. A repetition shorter than an interval would do as well, but of that Alertmanager warns at every start."""


def integration_key(priority: Priority) -> str:
    """Name of the file that holds the key of the PagerDuty service for a priority."""
    return f"pagerduty-{priority.lower()}"


def paged(paging: PagingFacts | None) -> tuple[Priority, ...]:
    """The priorities that reach PagerDuty: none where the environment declares no paging."""
    return tuple(priority for priority, route in ROUTES.items() if paging is not None and route.paging)


def configuration(environment: str, paging: PagingFacts | None) -> Configuration:
    """Routes, receivers, inhibitions and time intervals of an environment.

    All alerts of one priority are one group: an outage that raises fifty alerts is one page and one incident. What
    joins an incident that is already acknowledged calls again when the acknowledgement times out, which is after the
    severity's response time.
    """
    branches = [_heartbeat(paging), *_branches(paging)]
    receivers = [_slack(INCIDENTS, "#incidents", environment), *_receivers(environment, paging)]
    return {
        "global": {"slack_app_token_file": f"{SECRETS_PATH}/{SLACK_TOKEN}"},
        "route": {
            "receiver": INCIDENTS,
            "group_by": ["priority"],
            "routes": branches,
        },
        "receivers": list({receiver["name"]: receiver for receiver in receivers}.values()),
        "inhibit_rules": _inhibitions(),
        "time_intervals": [] if paging is None else [_business_hours(paging.business_hours)],
    }


# --- routes --------------------------------------------------------------------------------------------------------


def _heartbeat(paging: PagingFacts | None) -> Configuration:
    return {
        "matchers": [f'alertname="{WATCHDOG.name}"'],
        "receiver": NOWHERE if paging is None else HEARTBEAT,
        "group_by": ["alertname"],
        **HEARTBEAT_PACE.rendered(),
    }


def _branches(paging: PagingFacts | None) -> Iterator[Configuration]:
    for priority, route in ROUTES.items():
        branch = {"matchers": [f'priority="{priority}"'], **pace(route).rendered()}
        channel = _slack_receiver(route, paging)
        if priority in paged(paging):
            yield {
                **branch,
                "receiver": integration_key(priority),
                **(
                    {"active_time_intervals": [BUSINESS_HOURS]}
                    if route.paging is Paging.BUSINESS_HOURS
                    else {}
                ),
                # Alertmanager stops at the first route that matches unless told otherwise.
                **({} if channel is None else {"continue": True}),
            }
        if channel is not None:
            yield {**branch, "receiver": channel}


def _slack_receiver(route: Route, paging: PagingFacts | None) -> str | None:
    """The receiver of a route's channel; where nobody is paged, incidents are told in their channel alone."""
    if route.channel is None:
        return INCIDENTS if paging is None else None
    return "-".join(["slack", route.channel.lstrip("#"), *([route.review] if route.review else [])])


def _business_hours(hours: BusinessHours) -> Configuration:
    return {
        "name": BUSINESS_HOURS,
        "time_intervals": [
            {
                "weekdays": [*hours.days],
                "times": [{"start_time": f"{hours.start:%H:%M}", "end_time": f"{hours.end:%H:%M}"}],
                "location": hours.time_zone,
            }
        ],
    }


# --- inhibitions ---------------------------------------------------------------------------------------------------


def _inhibitions() -> Sequence[Configuration]:
    """Which alerts are not told while another fires that says it all.

    Labels that both alerts lack count as equal, so the source must have the one that the rule is about.
    """
    metrics = "|".join(alert_name(metric) for metric in KEY_METRICS)
    return [
        {
            "name": "a critical alert says more than its warning",
            "source_matchers": ['severity="critical"', 'service!=""'],
            "target_matchers": ['severity="warning"'],
            "equal": ["alertname", "slot", "service"],
        },
        {
            "name": "a budget that burns fast burns slowly too",
            "source_matchers": [f'alertname="{BUDGET_BURN}"', 'severity="critical"'],
            "target_matchers": [f'alertname="{BUDGET_BURN}"', 'severity="warning"'],
        },
        {
            "name": "a lag that is critical is a warning too",
            "source_matchers": [f'alertname="{REPLICATION_LAG}"', 'severity="critical"'],
            "target_matchers": [f'alertname="{REPLICATION_LAG}"', 'severity="warning"'],
        },
        {
            "name": "a backup that is days late is late",
            "source_matchers": [f'alertname="{BACKUP_OVERDUE}"', 'severity="critical"'],
            "target_matchers": [f'alertname="{BACKUP_OVERDUE}"', 'severity="warning"'],
            "equal": ["data", "figure"],
        },
        {
            "name": "a service that is down has no metrics worth a word",
            "source_matchers": [f'alertname="{SERVICE_DOWN}"', 'service!=""'],
            "target_matchers": [f'alertname=~"{metrics}"'],
            "equal": ["service"],
        },
        {
            "name": "a node that is down explains what is amiss on it",
            "source_matchers": [f'alertname="{NODE_DOWN.name}"'],
            "target_matchers": ['node!=""'],
            "equal": ["node"],
        },
    ]


# --- receivers -----------------------------------------------------------------------------------------------------

_TOLD: Final = "{{ $told := .Alerts.Resolved }}{{ if .Alerts.Firing }}{{ $told = .Alerts.Firing }}{{ end }}"
"""What fires, or when nothing does any more, what has ended. Alertmanager renders each field by itself."""


def _of_first(text: str) -> str:
    return f"{_TOLD}{{{{ with index $told 0 }}}}{text}{{{{ end }}}}"


def _headline(environment: str) -> str:
    """Such as `P1 SEV1 in live: Error Rate of api in slot blue is 1.1%, above 1% (and 49 more)`."""
    first = (
        f"{{{{ .Labels.priority }}}} {{{{ .Labels.incident_severity }}}} in {environment}: "
        "{{ or .Annotations.summary .Labels.alertname }}"
    )
    return _of_first(first) + "{{ if gt (len $told) 1 }} (and {{ len (slice $told 1) }} more){{ end }}"


_PLAIN: Final = r'reReplaceAll ": " ":\u00a0"'
"""Alertmanager reads each rendered detail as YAML, where `Requests fail: users see errors.` is a mapping, unless the space
after the colon is one that does not break. Source: https://github.com/prometheus/alertmanager/issues/5012"""


def _summaries(state: str) -> str:
    """A list, as YAML, of the alerts that fire or have ended."""
    each = f"- {{{{ or .Annotations.summary .Labels.alertname | {_PLAIN} }}}}\n"
    return f"{{{{ range .Alerts.{state} }}}}{each}{{{{ end }}}}"


_DESCRIBED: Final = (
    "*{{ or .Annotations.summary .Labels.alertname }}*\n"
    "{{ .Annotations.impact }}\n"
    "{{ .Labels.priority }}, opens {{ .Labels.incident_severity }}. Response: {{ .Annotations.response }}. "
    "Resolution: {{ .Annotations.resolution }}.\n"
    "<{{ .Annotations.dashboard_url }}|Dashboard> | <{{ .Annotations.runbook_url }}|Runbook>\n"
)

_TEXT: Final = (
    f"{_TOLD}{{{{ range $number, $alert := $told }}}}{{{{ if lt $number {LISTED} }}}}{_DESCRIBED}{{{{ end }}}}{{{{ end }}}}"
    f"{{{{ if gt (len $told) {LISTED} }}}}and {{{{ len (slice $told {LISTED}) }}}} more{{{{ end }}}}"
)


def _receivers(environment: str, paging: PagingFacts | None) -> Iterator[Configuration]:
    for priority, route in ROUTES.items():
        if priority in paged(paging):
            yield _pagerduty(priority, environment)
        channel = _slack_receiver(route, paging)
        if channel is not None and route.channel is not None:
            yield _slack(channel, route.channel, environment)
    if paging is None:
        yield {"name": NOWHERE}
    else:
        yield {
            "name": HEARTBEAT,
            # The end of the Watchdog must not count as a sign of life.
            "webhook_configs": [{"url_file": f"{SECRETS_PATH}/{HEARTBEAT_URL}", "send_resolved": False}],
        }


def _slack(name: str, channel: str, environment: str) -> Configuration:
    return {
        "name": name,
        "slack_configs": [
            {
                "channel": channel,
                "send_resolved": True,
                # The bot's own name: another one takes a further permission.
                "username": "",
                "title": f'{{{{ if eq .Status "resolved" }}}}Resolved: {{{{ end }}}}{_headline(environment)}',
                "title_link": _of_first("{{ .Annotations.dashboard_url }}"),
                "text": _TEXT,
                "fallback": _headline(environment),
            }
        ],
    }


def _pagerduty(priority: Priority, environment: str) -> Configuration:
    """One incident for each group: Alertmanager makes its key from the group, and resolves it when all have ended."""
    return {
        "name": integration_key(priority),
        "pagerduty_configs": [
            {
                "routing_key_file": f"{SECRETS_PATH}/{integration_key(priority)}",
                "send_resolved": True,
                "description": _headline(environment),
                "severity": _PAGERDUTY_SEVERITY[priority],
                "source": f"{APPLICATION}-{environment}",
                "class": _of_first("{{ .Labels.alertname }}"),
                "component": _of_first("{{ .Labels.service }}"),
                "group": _of_first("{{ .Labels.slot }}"),
                "client": f"Grafana of {environment}",
                "client_url": _of_first("{{ .Annotations.dashboard_url }}"),
                "details": {
                    "priority": priority,
                    "incident_severity": ROUTES[priority].opens,
                    "impact": _of_first(f"{{{{ .Annotations.impact | {_PLAIN} }}}}"),
                    "response": _of_first("{{ .Annotations.response }}"),
                    "resolution": _of_first("{{ .Annotations.resolution }}"),
                    "firing": _summaries("Firing"),
                    "resolved": _summaries("Resolved"),
                },
                "links": [
                    {"text": "Runbook", "href": _of_first("{{ .Annotations.runbook_url }}")},
                    {"text": "Dashboard", "href": _of_first("{{ .Annotations.dashboard_url }}")},
                ],
            }
        ],
    }
