"""Every expression of every rule and every panel finds what it asks for, in a world of synthetic series.

A real Prometheus holds the world and evaluates the rendered rules; of them only what makes an alert wait is taken out.
An alert's own expression is normally empty, so each of its selectors is looked at. Nobody watches the clock: the world
ends when Prometheus starts, and every expression looks at the minutes before.
"""

import json
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from string import Template
from typing import Any, Final, cast
from urllib.parse import urlencode

import pytest

from components.monitoring.tracing import in_memory
from operations.metrics import KEY_METRICS, promql_duration
from operations.monitoring import Part
from tests.monitoring.cloudwatch import exporter
from tests.monitoring.environments import config_map, recorded
from tests.monitoring.servers import alertmanager, get, prometheus
from tests.monitoring.synthetic import Labels, Series, Workload, cron_jobs, declared, openmetrics, world
from tests.monitoring.test_jaeger import TRACE, jaeger, send_span

STACK: Final = "live"
"""The one that has everything: an SLA, paging, and more than one replica of what can have more."""

VARIABLES: Final = {"service": "api", "__rate_interval": "5m"}
"""Values of the dashboards' variables, and of Grafana's own."""

PATIENCE_SECONDS: Final = 60

RECORDED_KEY_METRICS = [
    f"slot_service:{metric.name}:{promql_duration(metric.window)}" for metric in KEY_METRICS
]

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Stack:
    """What the stack makes of the monitoring."""

    workloads: Sequence[Workload]
    cron_jobs: Sequence[Labels]
    config: Mapping[str, Any]
    fetched: Mapping[str, Any]
    """The configuration of the CloudWatch exporter."""
    rules: Mapping[str, Any]
    panels: Mapping[str, str]
    """Dashboard, panel and expression, with the values of the variables in place → the expression."""


@pytest.fixture(scope="module")
def stack() -> Stack:
    with recorded(STACK) as recording:
        files = config_map(recording, "prometheus-config-")
        boards = config_map(recording, "grafana-dashboards-")
        return Stack(
            declared(recording),
            cron_jobs(recording),
            json.loads(files["prometheus.json"]),
            json.loads(config_map(recording, "cloudwatch-exporter-config-")["cloudwatch.json"]),
            json.loads(files["rules.json"]),
            {
                f"{file}, {panel['title']}: {expression}": expression
                for file, text in boards.items()
                for panel in json.loads(text)["panels"]
                for target in panel.get("targets", [])
                for expression in [Template(target["expr"]).substitute(VARIABLES)]
            },
        )


@dataclass(frozen=True)
class Judge:
    """A Prometheus that holds the world."""

    url: str

    def ask(self, endpoint: str, **parameters: str) -> Any:
        """The data of an answer of the API.

        Raises:
            OSError: the expression is refused or fails.
        """
        return json.loads(get(f"{self.url}/api/v1/{endpoint}?{urlencode(parameters)}"))["data"]

    def values(self, expression: str) -> list[Any]:
        """The series that an expression yields now."""
        return self.ask("query", query=expression)["result"]

    def has_evaluated_since(self, moment: datetime) -> bool:
        """Whether every group of rules has been evaluated after a moment, in whole seconds."""
        return all(
            datetime.fromisoformat(f"{group['lastEvaluation'][:19]}+00:00") > moment
            for group in self.ask("rules")["groups"]
        )

    def selectors(self, expression: str) -> set[str]:
        """Every selector in an expression, as Prometheus itself parses it, without its span and offset."""

        def found(node: Any) -> Iterator[str]:
            match node:
                case {"type": "vectorSelector" | "matrixSelector", "matchers": matchers}:
                    yield (
                        "{"
                        + ", ".join(
                            f"{matcher['name']}{matcher['type']}{json.dumps(matcher['value'])}"
                            for matcher in cast("list[dict[str, str]]", matchers)
                        )
                        + "}"
                    )
                case dict():
                    for inner in cast("dict[str, Any]", node).values():
                        yield from found(inner)
                case list():
                    for inner in cast("list[Any]", node):
                        yield from found(inner)
                case _:
                    return

        return set(found(self.ask("parse_query", query=expression)))


@pytest.fixture(scope="module")
def series(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Series]:
    """The world of the stack."""
    told, teller = tmp_path_factory.mktemp("alertmanager"), tmp_path_factory.mktemp("prometheus")
    nowhere = {"route": {"receiver": "nowhere"}, "receivers": [{"name": "nowhere"}]}
    with alertmanager(told, nowhere, clustered=True) as alertmanager_url:
        address = alertmanager_url.removeprefix("http://")
        config = {
            "global": {"evaluation_interval": "1s"},
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [address]}]}]},
            "rule_files": ["rules.json"],
        }
        with prometheus(teller, config, {"rules.json": json.dumps(stack.rules)}) as url:
            # Until the watchdog's alert has arrived.
            _wait(lambda: '"Watchdog"' in get(f"{alertmanager_url}/api/v2/alerts"))
            exposition = {
                Part.PROMETHEUS: get(f"{url}/metrics"),
                Part.ALERTMANAGER: get(f"{alertmanager_url}/metrics"),
                Part.JAEGER: _jaeger_metrics(tmp_path_factory.mktemp("jaeger")),
                Part.CLOUDWATCH_EXPORTER: _cloudwatch(tmp_path_factory.mktemp("cloudwatch"), stack.fetched),
            }
    return [*world(stack.workloads, stack.cron_jobs, stack.config, exposition)]


def _jaeger_metrics(directory: Path) -> str:
    """What Jaeger exposes once it has taken a span and has been asked for it."""
    with jaeger(directory, in_memory(), {}) as urls:
        send_span(urls["otlp-http"])
        _wait(lambda: TRACE in get(f"{urls['query']}/api/traces?service=api"))
        return get(f"{urls['metrics']}/metrics")


def _cloudwatch(directory: Path, config: Mapping[str, Any]) -> str:
    """What the CloudWatch exporter exposes, of a CloudWatch that knows all that it is asked."""
    with exporter(directory, config, lambda _: 1000) as (url, _):
        return get(f"{url}/metrics")


@pytest.fixture(scope="module")
def judge(
    stack: Stack, series: Sequence[Series], promtool: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Judge]:
    directory = tmp_path_factory.mktemp("world")
    samples = directory / "world.om"
    with samples.open("w") as file:
        file.writelines(openmetrics(series, end=time.time()))
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", samples, directory / "data"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    config = {"global": {"evaluation_interval": "1s"}, "rule_files": ["rules.json"]}
    with prometheus(directory, config, {"rules.json": json.dumps(at_once(stack.rules))}) as url:
        made = Judge(url)
        # Twice, so that each rule has seen what every other one records.
        for _ in range(2):
            since = datetime.now(UTC)
            _wait(partial(made.has_evaluated_since, since))
        yield made


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


def rules_of(rules: Mapping[str, Any], kind: str) -> list[Rule]:
    """The rules of a rule file that record (`record`), or those that alert (`alert`)."""
    return [rule for group in rules["groups"] for rule in group["rules"] if kind in rule]


def at_once(rules: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same rules with alerts that fire as soon as there is a breach."""
    return {
        "groups": [
            {
                **group,
                "rules": [
                    {key: value for key, value in rule.items() if key not in ("for", "keep_firing_for")}
                    for rule in group["rules"]
                ],
            }
            for group in rules["groups"]
        ]
    }


def test_every_recording_rule_yields_data(judge: Judge, stack: Stack) -> None:
    empty = [rule["record"] for rule in rules_of(stack.rules, "record") if not judge.values(rule["record"])]
    assert empty == []


@pytest.mark.parametrize("name", RECORDED_KEY_METRICS)
def test_a_key_metric_is_recorded_once_for_each_slot_and_service(judge: Judge, name: str) -> None:
    found = [(one["metric"]["slot"], one["metric"]["service"]) for one in judge.values(name)]
    assert sorted(found) == [("blue", "api"), ("blue", "web"), ("green", "api"), ("green", "web")]


def test_no_rule_fails_to_be_evaluated(judge: Judge) -> None:
    failures = {
        rule["name"]: rule["lastError"]
        for group in judge.ask("rules")["groups"]
        for rule in group["rules"]
        if rule["health"] != "ok"
    }
    assert failures == {}


def test_whatever_an_alert_looks_at_is_there(judge: Judge, stack: Stack) -> None:
    blind = [
        f"{rule['alert']} {rule['labels']}: {selector}"
        for rule in rules_of(stack.rules, "alert")
        for selector in judge.selectors(rule["expr"])
        if not judge.values(selector)
    ]
    assert blind == []


def test_a_selector_of_a_series_that_nobody_exports_is_noticed(judge: Judge) -> None:
    (selector,) = judge.selectors('absent(rate(made_up_total{job="slots"}[5m] offset 1m))')
    assert selector == '{job="slots", __name__="made_up_total"}'
    assert judge.values(selector) == []


def test_every_panel_finds_data(judge: Judge, stack: Stack) -> None:
    assert len(stack.panels) > 50
    assert [panel for panel, expression in stack.panels.items() if not judge.values(expression)] == []


def test_everything_that_the_configuration_scrapes_is_in_the_world(judge: Judge, stack: Stack) -> None:
    jobs = {job["job_name"] for job in stack.config["scrape_configs"]}
    assert {one["metric"]["job"] for one in judge.values("count by (job) (up == 1)")} == jobs


def test_nothing_that_the_configuration_drops_is_in_the_world(judge: Judge) -> None:
    assert judge.values("container_cpu_usage_seconds_total") != []
    assert judge.values('{__name__=~"container_.+", pod=""}') == []
    assert judge.values('{__name__=~"container_spec_.+|etcd_request_duration_seconds_bucket"}') == []
