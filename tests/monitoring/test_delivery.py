"""End to end: a breach goes into a real Prometheus, and the message that the page promises comes out of a real Alertmanager.

Rules, routes and messages are the rendered ones, with shorter times. A local server exports the series and stands in for
PagerDuty, Slack and the heartbeat.
"""

import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from components.monitoring.routes import SECRETS_PATH, configuration
from components.monitoring.rules import RuleFile, Watched, jobs, rule_file
from operations.monitoring import Paging
from tests.monitoring.servers import alertmanager, get, prometheus
from tests.monitoring.tables import INHIBITED, PAGING, TOLD
from tests.monitoring.world import Exporter, Message, Series, Sinks, received, served
from tests.rules.shapes import LIVE

CREDENTIALS: Final = {
    "slack-token": "xoxb-token",
    "pagerduty-p1": "key-of-p1",
    "pagerduty-p2": "key-of-p2",
}
RUNBOOKS: Final = "https://github.com/quikapp/operations/blob/main/docs/runbooks"
GRAFANA: Final = "https://grafana.quikapp.example/d"

HEARD_SECONDS: Final = 0.5
"""From the moment in which Prometheus changes its mind about an alert until everybody was told of it."""

# --- rendered, and hastened ----------------------------------------------------------------------------------------


def hastened_rules(watched: Watched) -> RuleFile:
    """The rendered rules, which look back on seconds and wait for less.

    The hour of pod restarts becomes three seconds, five minutes become one; what holds longer than five minutes fires in
    none of these tests.
    """
    text = json.dumps(rule_file(watched))
    for pattern, shorter in {
        r"\[5m\]": "[1s]",
        r"\[1h\]": "[3s]",
        r'"for": "2m"': '"for": "600ms"',
        r'"for": "5m"': '"for": "1400ms"',
        r'"keep_firing_for": "5m"': '"keep_firing_for": "200ms"',
    }.items():
        text, count = re.subn(pattern, shorter, text)
        assert count, f"no rule has {pattern}"
    rules: RuleFile = json.loads(text)
    return rules


def hastened_routes(rendered: Mapping[str, Any], url: str, secrets: Path) -> dict[str, Any]:
    """The rendered configuration with waits of less than a second, which calls the sinks at `url`."""
    config: dict[str, Any] = json.loads(json.dumps(rendered).replace(SECRETS_PATH, str(secrets)))
    config["global"] |= {"slack_app_url": f"{url}/slack", "pagerduty_url": f"{url}/pagerduty"}
    for route in (config["route"], *config["route"]["routes"]):
        again = "1s" if route["receiver"] == "heartbeat" else "1h"
        route |= {"group_wait": "300ms", "group_interval": "300ms", "repeat_interval": again}
    return config


def laid_out(directory: Path, url: str) -> Path:
    """Files with the credentials, as a pod finds them."""
    directory.mkdir()
    for name, value in {**CREDENTIALS, "heartbeat-url": f"{url}/heartbeat\n"}.items():
        (directory / name).write_text(value)
    return directory


def business_hours(config: dict[str, Any], interval: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with other business hours."""
    return {**config, "time_intervals": [{"name": "business-hours", "time_intervals": [interval]}]}


# --- series --------------------------------------------------------------------------------------------------------


def latency(service: str, within_200ms: int, within_500ms: int) -> Series:
    """Ten thousand requests a second, of which these many were fast enough."""
    counts = {"0.1": 5000, "0.2": within_200ms, "0.5": within_500ms, "1": 10000, "+Inf": 10000}
    labels = f'slot="blue",service="{service}"'
    return lambda age: "\n".join(
        f'http_request_duration_seconds_bucket{{{labels},le="{bound}"}} {count * age}'
        for bound, count in counts.items()
    )


def errors(service: str, failed: int) -> Series:
    """A thousand requests a second, of which these many failed."""
    labels = f'slot="blue",service="{service}"'
    return lambda age: (
        f'http_requests_total{{{labels},code="200"}} {(1000 - failed) * age}\n'
        f'http_requests_total{{{labels},code="503"}} {failed * age}'
    )


def _container(service: str) -> str:
    return f'namespace="quikapp-blue",pod="{service}-1",container="{service}"'


def cpu(service: str, cores: float) -> Series:
    """A pod with a limit of one core that uses these."""
    return lambda age: (
        f"container_cpu_usage_seconds_total{{{_container(service)}}} {cores * age}\n"
        f'kube_pod_container_resource_limits{{{_container(service)},resource="cpu"}} 1'
    )


def memory(service: str, bytes_in_use: int) -> Series:
    """A pod with a limit of a thousand bytes that uses these."""
    return lambda _: (
        f"container_memory_working_set_bytes{{{_container(service)}}} {bytes_in_use}\n"
        f'kube_pod_container_resource_limits{{{_container(service)},resource="memory"}} 1000'
    )


def restarts(service: str, count: int) -> Series:
    """A container that restarts so often within half a second."""
    return lambda age: (
        f"kube_pod_container_status_restarts_total{{{_container(service)}}} {0 if age < 0.5 else count}"
    )


def node(name: str, *, ready: bool) -> Series:
    return lambda _: (
        f'kube_node_status_condition{{node="{name}",condition="Ready",status="true"}} {int(ready)}'
    )


# --- the stage -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """What runs while these tests do."""

    exporter: Exporter
    sinks: Sinks
    prometheus: str
    """Its URL."""

    def assert_quiet(self) -> None:
        """Nobody is told anything more, though there is time for it."""
        time.sleep(HEARD_SECONDS)
        assert self.sinks.pagerduty.empty()
        assert self.sinks.slack.empty()

    def forget(self) -> None:
        """Empty the sinks."""
        for sink in (self.sinks.pagerduty, self.sinks.slack, self.sinks.heartbeat):
            while not sink.empty():
                sink.get()

    def wait_until_firing(self, **labels: str) -> None:
        """Wait until such an alert fires."""
        matchers = ", ".join(f'{name}="{value}"' for name, value in labels.items())
        self.wait_until_none(f'vector(1) unless on() ALERTS{{alertstate="firing", {matchers}}}')

    def wait_until_none(self, query: str) -> None:
        """Wait until Prometheus has no series for a query."""
        asked = f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        deadline = time.monotonic() + 20
        while json.loads(get(asked))["data"]["result"]:
            assert time.monotonic() < deadline, f"{query} still has series"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Live's rules and routes at all hours, in a world without a breach."""
    directory = tmp_path_factory.mktemp("stage")
    exporter, sinks = Exporter(), Sinks()
    watched = replace(LIVE, services=("api",), replicas={}, sla=None)
    with served(exporter, sinks) as url:
        routes = hastened_routes(configuration("live", PAGING), url, laid_out(directory / "secrets", url))
        with alertmanager(directory, business_hours(routes, {})) as told:
            config = prometheus_configuration(url, told, jobs(watched))
            files = {"rules.json": json.dumps(hastened_rules(watched))}
            with prometheus(directory, config, files) as watching:
                made = Stage(exporter, sinks, watching)
                # Until the first scrape every service is down.
                made.wait_until_none('vector(1) unless on() up{job="slots"}')
                made.wait_until_none('ALERTS{alertname!="Watchdog"}')
                time.sleep(HEARD_SECONDS)
                made.forget()
                yield made


@pytest.fixture
def stage(running: Stage) -> Iterator[Stage]:
    """What runs. When a test is over its alerts end, and nobody was told more than it expected."""
    yield running
    running.wait_until_none('ALERTS{alertname!="Watchdog"}')
    try:
        running.assert_quiet()
    finally:
        running.forget()


def prometheus_configuration(world: str, told: str, present: Sequence[str]) -> Mapping[str, Any]:
    """Scrapes the world's series, the slots' pods, and a target of every job that would be missed."""
    target = world.removeprefix("http://")

    def job(name: str, path: str, **labels: str) -> Mapping[str, Any]:
        return {
            "job_name": name,
            "metrics_path": path,
            "static_configs": [{"targets": [target], "labels": labels}],
        }

    return {
        "global": {
            "scrape_interval": "200ms",
            "evaluation_interval": "100ms",
            "external_labels": {"environment": "live"},
        },
        "rule_files": ["rules.json"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [told.removeprefix("http://")]}]}]},
        "scrape_configs": [
            {**job("world", "/series"), "honor_labels": True},
            job("slots", "/pods", slot="blue", service="api"),
            *({**job(name, "/"), "scrape_interval": "5s"} for name in present),
        ],
    }


# --- what is told --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Breach:
    """Series beyond a threshold of one level, and the words that tell of it."""

    alert: str
    series: Series
    service: str
    summary: str
    """A pattern, where the time of a scrape decides on the last digit."""
    impact: str
    runbook: str


SLOW: Final = "One request in a hundred takes longer than this: users wait."
FAILING: Final = "Requests fail: users see errors."
BUSY: Final = "Scaling does not keep up: latency rises next."
FULL: Final = "At the limit the kernel kills the fullest pod and its requests fail."
DYING: Final = "Pods die and lose the requests they were serving."

CRITICAL: Final = [
    Breach(
        "ApiLatencyP99", latency("latency-2", 9800, 9899), "latency-2",
        r"API Latency P99 of latency-2 in slot blue is 50\d(\.\d+)?ms, above 500ms", SLOW, "api-latency-p99.md",
    ),
    Breach(
        "ErrorRate", errors("errors-2", 11), "errors-2",
        r"Error Rate of errors-2 in slot blue is 1\.1%, above 1%", FAILING, "error-rate.md",
    ),
    Breach(
        "CpuUsage", cpu("cpu-2", 0.95), "cpu-2",
        r"CPU Usage of cpu-2 in slot blue is 9\d(\.\d+)?%, above 85%", BUSY, "cpu-usage.md",
    ),
    Breach(
        "MemoryUsage", memory("memory-2", 901), "memory-2",
        r"Memory Usage of memory-2 in slot blue is 90\.1%, above 90%", FULL, "memory-usage.md",
    ),
    Breach(
        "PodRestarts", restarts("restarts-2", 6), "restarts-2",
        r"Pod Restarts of restarts-2 in slot blue is [678] per hour, above 5/hour", DYING, "pod-restarts.md",
    ),
]  # fmt: skip
WARNING: Final = [
    Breach(
        "ApiLatencyP99", latency("latency-1", 9899, 10000), "latency-1",
        r"API Latency P99 of latency-1 in slot blue is 20\d(\.\d+)?ms, above 200ms", SLOW, "api-latency-p99.md",
    ),
    Breach(
        "ErrorRate", errors("errors-1", 6), "errors-1",
        r"Error Rate of errors-1 in slot blue is 0\.6%, above 0\.5%", FAILING, "error-rate.md",
    ),
    Breach(
        "CpuUsage", cpu("cpu-1", 0.77), "cpu-1",
        r"CPU Usage of cpu-1 in slot blue is 7\d(\.\d+)?%, above 70%", BUSY, "cpu-usage.md",
    ),
    Breach(
        "MemoryUsage", memory("memory-1", 751), "memory-1",
        r"Memory Usage of memory-1 in slot blue is 75\.1%, above 75%", FULL, "memory-usage.md",
    ),
    Breach(
        "PodRestarts", restarts("restarts-1", 3), "restarts-1",
        r"Pod Restarts of restarts-1 in slot blue is [34] per hour, above 2/hour", DYING, "pod-restarts.md",
    ),
]  # fmt: skip


def assert_page(
    message: Message,
    action: str,
    *,
    priority: str = "P1",
    alert: str,
    summary: str,
    impact: str,
    dashboard: str,
    runbook: str,
    service: str = "",
    slot: str = "",
) -> None:
    """PagerDuty is asked for exactly this; `summary` is a pattern."""
    body = json.loads(json.dumps(message.body))
    severity, incident, response, resolution = {
        "P1": ("critical", "SEV1", "5 minutes", "1 hour"),
        "P2": ("error", "SEV2", "15 minutes", "4 hours"),
    }[priority]
    said = body["payload"].pop("summary")
    assert re.fullmatch(f"{priority} {incident} in live: {summary}", said), said
    assert re.fullmatch("[0-9a-f]{64}", body.pop("dedup_key"))
    details = body["payload"].pop("custom_details")
    (told,) = details.pop("firing" if action == "trigger" else "resolved")
    assert re.fullmatch(summary, told)
    assert details == {
        "priority": priority,
        "incident_severity": incident,
        # PagerDuty gets a space that does not break after a colon.
        "impact": impact.replace(": ", ":\u00a0"),
        "response": response,
        "resolution": resolution,
        "num_firing": int(action == "trigger"),
        "num_resolved": int(action == "resolve"),
        "resolved" if action == "trigger" else "firing": None,
    }
    payload = {
        "source": "quikapp-live",
        "severity": severity,
        "class": alert,
        "component": service,
        "group": slot,
    }
    assert body == {
        "routing_key": f"key-of-{priority.lower()}",
        "event_action": action,
        "client": "Grafana of live",
        "client_url": f"{GRAFANA}/{dashboard}",
        "links": [
            {"text": "Runbook", "href": f"{RUNBOOKS}/{runbook}"},
            {"text": "Dashboard", "href": f"{GRAFANA}/{dashboard}"},
        ],
        "payload": {key: value for key, value in payload.items() if value},
    }


def assert_posted(
    message: Message,
    *,
    channel: str,
    over: bool,
    priority: str,
    summary: str,
    impact: str,
    dashboard: str,
    runbook: str,
) -> None:
    """Slack is asked for exactly this; `summary` is a pattern."""
    incident, response, resolution = {
        "P2": ("SEV2", "15 minutes", "4 hours"),
        "P3": ("SEV3", "1 hour", "24 hours"),
    }[priority]
    assert message.authorization == "Bearer xoxb-token"
    attachment = dict(message.body["attachments"][0])
    headline = f"{priority} {incident} in live: {summary}"
    assert re.fullmatch(("Resolved: " if over else "") + headline, attachment.pop("title"))
    assert re.fullmatch(headline, attachment.pop("fallback"))
    text = attachment.pop("text").split("\n")
    assert re.fullmatch(rf"\*{summary}\*", text[0])
    assert text[1:] == [
        impact,
        f"{priority}, opens {incident}. Response: {response}. Resolution: {resolution}.",
        f"<{GRAFANA}/{dashboard}|Dashboard> | <{RUNBOOKS}/{runbook}|Runbook>",
        "",
    ]
    assert attachment == {
        "title_link": f"{GRAFANA}/{dashboard}",
        "color": "good" if over else "danger",
        "callback_id": "",
        "footer": "",
        "mrkdwn_in": ["fallback", "pretext", "text"],
    }
    assert {**message.body, "attachments": []} == {"channel": channel, "attachments": []}


# --- key metrics ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("breach", CRITICAL, ids=lambda breach: breach.alert)
def test_a_critical_breach_pages_and_its_end_resolves_the_page(stage: Stage, breach: Breach) -> None:
    words = {
        "alert": breach.alert,
        "summary": breach.summary,
        "impact": breach.impact,
        "dashboard": f"service?var-service={breach.service}",
        "runbook": breach.runbook,
        "service": breach.service,
        "slot": "blue",
    }
    with stage.exporter.showing(breach.series):
        page = received(stage.sinks.pagerduty)
        assert_page(page, "trigger", **words)
        stage.wait_until_firing(severity="warning", service=breach.service)
        stage.assert_quiet()
    end = received(stage.sinks.pagerduty)
    assert_page(end, "resolve", **words)
    assert end.body["dedup_key"] == page.body["dedup_key"]


@pytest.mark.parametrize("breach", WARNING, ids=lambda breach: breach.alert)
def test_a_warning_is_told_for_the_days_review_and_so_is_its_end(stage: Stage, breach: Breach) -> None:
    words: dict[str, Any] = {
        "channel": "#alerts",
        "priority": "P3",
        "summary": breach.summary,
        "impact": breach.impact,
        "dashboard": f"service?var-service={breach.service}",
        "runbook": breach.runbook,
    }
    with stage.exporter.showing(breach.series):
        assert_posted(received(stage.sinks.slack), over=False, **words)
    assert_posted(received(stage.sinks.slack), over=True, **words)


# --- outages -------------------------------------------------------------------------------------------------------


def test_an_outage_of_a_service_pages_once_and_silences_what_its_metrics_say(stage: Stage) -> None:
    words = {
        "alert": "ServiceDown",
        "summary": "No pod of api answers in any slot",
        "impact": "Every request to api fails: a total outage of it.",
        "dashboard": "service?var-service=api",
        "runbook": "service-down.md",
        "service": "api",
    }
    stage.exporter.pods_answer = False
    try:
        with stage.exporter.showing(errors("api", 6)):
            assert_page(received(stage.sinks.pagerduty), "trigger", **words)
            stage.wait_until_firing(alertname="ErrorRate")
            stage.assert_quiet()
        stage.wait_until_none('ALERTS{alertname="ErrorRate"}')
    finally:
        stage.exporter.pods_answer = True
    assert_page(received(stage.sinks.pagerduty), "resolve", **words)


def test_a_lost_node_is_told_in_pagerduty_and_in_the_incidents_channel(stage: Stage) -> None:
    words: dict[str, Any] = {
        "priority": "P2",
        "summary": "The node ip-10-50-1-7 is not ready",
        "impact": "Its pods are lost until they run elsewhere; the services in both slots have less room.",
        "dashboard": "cluster",
        "runbook": "node-down.md",
    }
    with stage.exporter.showing(node("ip-10-50-1-7", ready=False)):
        assert_page(received(stage.sinks.pagerduty), "trigger", alert="NodeDown", **words)
        assert_posted(received(stage.sinks.slack), channel="#incidents", over=False, **words)
    assert_page(received(stage.sinks.pagerduty), "resolve", alert="NodeDown", **words)
    assert_posted(received(stage.sinks.slack), channel="#incidents", over=True, **words)


def test_fifty_alerts_of_one_outage_are_one_page(stage: Stage) -> None:
    with stage.exporter.showing(*(memory(f"service-{number}", 950) for number in range(50))):
        page = received(stage.sinks.pagerduty).body
        assert page["event_action"] == "trigger"
        assert page["payload"]["custom_details"]["num_firing"] == 50
        assert re.fullmatch(
            r"P1 SEV1 in live: Memory Usage of service-\d+ in slot blue is 95%, above 90% \(and 49 more\)",
            page["payload"]["summary"],
        )
        stage.wait_until_firing(severity="warning", service="service-49")
        stage.assert_quiet()
    end = received(stage.sinks.pagerduty).body
    assert (end["event_action"], end["dedup_key"]) == ("resolve", page["dedup_key"])


def test_the_watchdog_is_heard_again_and_again_by_the_heartbeat_alone(stage: Stage) -> None:
    received(stage.sinks.heartbeat)
    begun = time.monotonic()
    for _ in range(2):
        body = received(stage.sinks.heartbeat).body
        assert [alert["labels"]["alertname"] for alert in body["alerts"]] == ["Watchdog"]
        assert body["status"] == "firing"
    assert time.monotonic() - begun < 10


# --- Alertmanager alone --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Desk:
    """An Alertmanager that a test hands alerts to."""

    sinks: Sinks
    url: str

    def hand(self, *alerts: Mapping[str, str], firing: bool = True) -> None:
        """Let alerts with these labels fire for a minute, or end them."""
        end = datetime.now(UTC) + timedelta(minutes=1 if firing else 0)
        body = json.dumps([{"labels": labels, "endsAt": end.isoformat()} for labels in alerts]).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", body, headers)  # noqa: S310
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - the test's own server

    def is_inhibited(self, labels: Mapping[str, str]) -> bool:
        """Whether Alertmanager keeps an alert that it has to itself, because of another."""
        (status,) = [
            alert["status"]
            for alert in json.loads(get(f"{self.url}/api/v2/alerts"))
            if alert["labels"] == labels
        ]
        return bool(status["inhibitedBy"])

    def told(self) -> tuple[list[str], list[str]]:
        """Severities that PagerDuty was told, and channels that Slack was, once there was time for it."""
        time.sleep(1.2)
        return (
            [message.body["payload"]["severity"] for message in self.sinks.pagerduty.queue],
            [message.body["channel"] for message in self.sinks.slack.queue],
        )


@contextmanager
def desk(
    directory: Path, environment: str, paging: Paging | None, hours: Mapping[str, Any] | None = None
) -> Generator[Desk]:
    """An environment's Alertmanager, with business hours of a test's own."""
    sinks = Sinks()
    with served(Exporter(), sinks) as url:
        routes = hastened_routes(
            configuration(environment, paging), url, laid_out(directory / "secrets", url)
        )
        if hours is not None:
            routes = business_hours(routes, hours)
        with alertmanager(directory, routes) as told:
            yield Desk(sinks, told)


P1: Final = {"alertname": "ErrorRate", "priority": "P1"}
P2: Final = {"alertname": "NodeDown", "priority": "P2"}


def test_out_of_business_hours_a_p2_is_told_in_slack_alone_and_a_p1_still_pages(tmp_path: Path) -> None:
    another_day = f"{datetime.now(UTC) + timedelta(days=3):%A}".lower()
    with desk(tmp_path, "live", PAGING, {"weekdays": [another_day]}) as live:
        live.hand(P1, P2)
        assert live.told() == (["critical"], ["#incidents"])


def test_business_hours_are_those_of_their_time_zone(tmp_path: Path) -> None:
    """Kiritimati is fourteen hours ahead of UTC: the hours around its now are long over, or to come, anywhere else."""
    now = datetime.now(ZoneInfo("Pacific/Kiritimati"))
    hours = {
        "weekdays": [f"{now:%A}".lower()],
        "times": [{"start_time": f"{now:%H}:00", "end_time": f"{now.hour + 1:02}:00"}],
        "location": "Pacific/Kiritimati",
    }
    for name, interval, pages in (
        ("there", hours, ["error"]),
        ("in UTC", {**hours, "location": "UTC"}, []),
    ):
        directory = tmp_path / name
        directory.mkdir()
        with desk(directory, "live", PAGING, interval) as live:
            live.hand(P2)
            assert live.told() == (pages, ["#incidents"])


def test_without_paging_incidents_are_told_in_their_channel_and_the_watchdog_nowhere(tmp_path: Path) -> None:
    with desk(tmp_path, "dev", None) as dev:
        dev.hand(P1, P2, {"alertname": "Watchdog"})
        assert dev.told() == ([], ["#incidents", "#incidents"])
        assert dev.sinks.heartbeat.empty()


def test_an_alert_that_nobody_planned_is_told_in_the_incidents_channel(tmp_path: Path) -> None:
    with desk(tmp_path, "live", PAGING) as live:
        live.hand({"alertname": "SomethingNew"})
        assert live.told() == ([], ["#incidents"])
        (message,) = live.sinks.slack.queue
        assert message.body["attachments"][0]["title"].endswith("in live: SomethingNew")


def test_a_message_describes_fifteen_alerts_and_counts_the_rest(tmp_path: Path) -> None:
    with desk(tmp_path, "dev", None) as dev:
        dev.hand(*({**P1, "service": f"service-{number}"} for number in range(50)))
        text = received(dev.sinks.slack).body["attachments"][0]["text"]
        assert text.count("Runbook>") == 15
        assert text.endswith("and 35 more")


def test_alertmanager_inhibits_what_the_tables_say(tmp_path: Path) -> None:
    with desk(tmp_path, "live", PAGING) as live:
        for pairs, expected in ((INHIBITED, True), (TOLD, False)):
            for source, target in pairs:
                live.hand(source)
                live.hand(target)
                time.sleep(0.1)
                assert live.is_inhibited(target) is expected, (source, target)
                live.hand(source, target, firing=False)
