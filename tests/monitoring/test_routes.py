"""The operations page, "Alert Routing", as tables that are written out, and Alertmanager's own tool that agrees.

Every route, receiver, inhibition and time interval that is deleted or weakened is noticed by one of the tables.
"""

import copy
import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from components.monitoring.routes import HEARTBEAT_PACE, configuration
from components.monitoring.rules import alerts
from operations.promises import HEARTBEAT
from operations.recovery import spelled
from tests.monitoring.environments import facts_of
from tests.monitoring.routing import inhibits, paces, receivers_of, told_at
from tests.monitoring.tables import INHIBITED, PAGING, TOLD
from tests.rules.shapes import SHAPES
from tests.unit.stack_configuration import STACKS

ROOT = Path(__file__).parents[2]

Configuration = Mapping[str, Any]
Labels = Mapping[str, str]

PAGED = configuration("live", PAGING)
UNPAGED = configuration("dev", None)

# --- the tables ----------------------------------------------------------------------------------------------------

P1 = {"alertname": "ErrorRate", "priority": "P1", "severity": "critical"}
P2 = {"alertname": "NodeDown", "priority": "P2", "severity": "critical"}
P3 = {"alertname": "ErrorRate", "priority": "P3", "severity": "warning"}
P4 = {"alertname": "ErrorBudgetBurn", "priority": "P4", "severity": "warning"}
WATCHDOG = {"alertname": "Watchdog", "severity": "none"}
UNKNOWN = {"alertname": "SomethingNew"}

PAGED_RECEIVERS: list[tuple[Labels, list[str]]] = [
    (P1, ["pagerduty-p1"]),
    (P2, ["pagerduty-p2", "slack-incidents"]),
    (P3, ["slack-alerts-daily"]),
    (P4, ["slack-alerts-weekly"]),
    (WATCHDOG, ["heartbeat"]),
    (UNKNOWN, ["slack-incidents"]),
]
UNPAGED_RECEIVERS: list[tuple[Labels, list[str]]] = [
    (P1, ["slack-incidents"]),
    (P2, ["slack-incidents"]),
    (P3, ["slack-alerts-daily"]),
    (P4, ["slack-alerts-weekly"]),
    (WATCHDOG, ["nowhere"]),
    (UNKNOWN, ["slack-incidents"]),
]

LONDON = ZoneInfo("Europe/London")
IN_HOURS = [
    datetime(2026, 1, 5, 9, 0, tzinfo=LONDON),  # a Monday, its first minute
    datetime(2026, 1, 6, 17, 29, tzinfo=LONDON),  # the last minute
    datetime(2026, 1, 7, 12, 0, tzinfo=LONDON),
    datetime(2026, 1, 8, 12, 0, tzinfo=LONDON),
    datetime(2026, 1, 9, 12, 0, tzinfo=LONDON),  # a Friday
    datetime(2026, 7, 6, 8, 15, tzinfo=ZoneInfo("UTC")),  # 09:15 in London's summer
]
OUT_OF_HOURS = [
    datetime(2026, 1, 5, 8, 59, tzinfo=LONDON),
    datetime(2026, 1, 5, 17, 30, tzinfo=LONDON),
    datetime(2026, 1, 9, 23, 0, tzinfo=LONDON),
    datetime(2026, 1, 10, 12, 0, tzinfo=LONDON),  # a Saturday
    datetime(2026, 1, 11, 12, 0, tzinfo=LONDON),
    datetime(2026, 7, 6, 17, 15, tzinfo=ZoneInfo("UTC")),  # 18:15 in London's summer
]

PACES: dict[str, tuple[list[str], str, str, str]] = {
    "heartbeat": (["alertname"], "1s", "30s", "50s"),
    "pagerduty-p1": (["priority"], "20s", "90s", "1h"),
    "pagerduty-p2": (["priority"], "20s", "90s", "4h"),
    "slack-incidents": (["priority"], "20s", "90s", "4h"),
    "slack-alerts-daily": (["priority"], "5m", "1d", "23h"),
    "slack-alerts-weekly": (["priority"], "5m", "7d", "167h"),
}
"""Receiver → grouped by, wait for the first message, between two, until the same is told again."""

SECRETS = "/etc/alertmanager/secrets"
SLACK_FIELDS = {"channel", "send_resolved", "username", "title", "title_link", "text", "fallback"}
PAGERDUTY_FIELDS = {
    "routing_key_file", "send_resolved", "description", "severity", "source", "class", "component", "group",
    "client", "client_url", "details", "links",
}  # fmt: skip
PAGERDUTY_DETAILS = {
    "priority",
    "incident_severity",
    "impact",
    "response",
    "resolution",
    "firing",
    "resolved",
}
RECEIVERS: dict[str, tuple[str, set[str], dict[str, Any]]] = {
    "slack-incidents": ("slack_configs", SLACK_FIELDS, {"channel": "#incidents", "send_resolved": True}),
    "slack-alerts-daily": ("slack_configs", SLACK_FIELDS, {"channel": "#alerts", "send_resolved": True}),
    "slack-alerts-weekly": ("slack_configs", SLACK_FIELDS, {"channel": "#alerts", "send_resolved": True}),
    "pagerduty-p1": (
        "pagerduty_configs",
        PAGERDUTY_FIELDS,
        {
            "routing_key_file": f"{SECRETS}/pagerduty-p1",
            "send_resolved": True,
            "severity": "critical",
            "source": "quikapp-live",
        },
    ),
    "pagerduty-p2": (
        "pagerduty_configs",
        PAGERDUTY_FIELDS,
        {
            "routing_key_file": f"{SECRETS}/pagerduty-p2",
            "send_resolved": True,
            "severity": "error",
            "source": "quikapp-live",
        },
    ),
    "heartbeat": (
        "webhook_configs",
        {"url_file", "send_resolved"},
        {"url_file": f"{SECRETS}/heartbeat-url", "send_resolved": False},
    ),
}
"""Receiver → its kind, the fields it fills, and the values of those that are no templates."""


def notices(config: Configuration) -> list[str]:
    """Where the configuration of an environment with paging departs from the tables."""
    checks: dict[str, Callable[[Configuration], bool]] = {
        "in business hours": lambda config: all(
            told_at(config, labels, moment) == receivers
            for labels, receivers in PAGED_RECEIVERS
            for moment in IN_HOURS
        ),
        "out of business hours": lambda config: all(
            told_at(config, labels, moment) == [name for name in receivers if name != "pagerduty-p2"]
            for labels, receivers in PAGED_RECEIVERS
            for moment in OUT_OF_HOURS
        ),
        "pace": lambda config: dict(paces(config)) == PACES and config["route"]["group_by"] == ["priority"],
        "receivers": lambda config: all(reaches(config, name) for name in RECEIVERS),
        "credentials": lambda config: config["global"] == {"slack_app_token_file": f"{SECRETS}/slack-token"},
        "inhibited": lambda config: all(inhibits(config, *pair) for pair in INHIBITED),
        "told": lambda config: not any(inhibits(config, *pair) for pair in TOLD),
    }
    return [name for name, holds in checks.items() if not _holds(holds, config)]


def reaches(config: Configuration, name: str) -> bool:
    """Whether a receiver is there, and goes where and as the table says."""
    kind, fields, values = RECEIVERS[name]
    (receiver,) = [receiver for receiver in config["receivers"] if receiver["name"] == name]
    (integration,) = receiver[kind]
    whole = kind != "pagerduty_configs" or (
        set(integration["details"]) == PAGERDUTY_DETAILS
        and [link["text"] for link in integration["links"]] == ["Runbook", "Dashboard"]
        and all(link["href"] for link in integration["links"])
    )
    return whole and set(integration) == fields and values.items() <= integration.items()


def _holds(check: Callable[[Configuration], bool], config: Configuration) -> bool:
    """A configuration in which a part is missing that a check looks for does not pass it."""
    try:
        return check(config)
    except (KeyError, ValueError, AssertionError, re.error):
        return False


# --- what Alertmanager's tool says ---------------------------------------------------------------------------------


def rendered(stack: str) -> Configuration:
    return configuration(stack, facts_of(stack).monitoring.paging)


@pytest.fixture
def routes_test(amtool: Path, tmp_path: Path) -> Callable[[Configuration, Labels], list[str]]:
    """Asks amtool for the receivers of an alert."""

    def ask(config: Configuration, labels: Labels) -> list[str]:
        path = tmp_path / "alertmanager.json"
        path.write_text(json.dumps(config))
        given = [f"{name}={value}" for name, value in labels.items()]
        command = [amtool, "config", "routes", "test", f"--config.file={path}", *given]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(",")

    return ask


@pytest.mark.parametrize("stack", STACKS)
def test_alertmanager_accepts_what_is_rendered(amtool: Path, tmp_path: Path, stack: str) -> None:
    path = tmp_path / "alertmanager.json"
    path.write_text(json.dumps(rendered(stack)))
    subprocess.run([amtool, "check-config", path], check=True, capture_output=True)


def test_alertmanager_refuses_what_it_does_not_know(amtool: Path, tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.json"
    path.write_text(json.dumps(PAGED).replace('"routing_key_file"', '"routing_key_path"'))
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([amtool, "check-config", path], check=True, capture_output=True)


@pytest.mark.parametrize("stack", STACKS)
def test_amtool_sends_every_priority_where_the_page_says(
    routes_test: Callable[[Configuration, Labels], list[str]], stack: str
) -> None:
    for labels, receivers in PAGED_RECEIVERS if stack == "live" else UNPAGED_RECEIVERS:
        assert routes_test(rendered(stack), labels) == receivers
        assert receivers_of(rendered(stack), labels) == receivers


def reversed_routes(route: dict[str, Any]) -> None:
    route["routes"].reverse()


def no_continuation(route: dict[str, Any]) -> None:
    del route["routes"][2]["continue"]


def a_matcher_turned_round(route: dict[str, Any]) -> None:
    route["routes"][1]["matchers"] = ['priority!="P1"']


def a_pattern(route: dict[str, Any]) -> None:
    route["routes"][1]["matchers"] = ['priority=~"P[12]"', 'alertname!~"Error.*"']


def no_routes(route: dict[str, Any]) -> None:
    route["routes"].clear()


@pytest.mark.parametrize(
    "change", [reversed_routes, no_continuation, a_matcher_turned_round, a_pattern, no_routes]
)
def test_what_these_tests_know_of_routing_is_what_amtool_knows(
    routes_test: Callable[[Configuration, Labels], list[str]], change: Callable[[dict[str, Any]], None]
) -> None:
    changed = copy.deepcopy(dict(PAGED))
    change(changed["route"])
    for labels, _ in PAGED_RECEIVERS:
        assert routes_test(changed, labels) == receivers_of(changed, labels)


# --- the page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", IN_HOURS, ids=str)
@pytest.mark.parametrize(("labels", "receivers"), PAGED_RECEIVERS)
def test_in_business_hours_everybody_hears_of_it(
    labels: Labels, receivers: list[str], moment: datetime
) -> None:
    assert told_at(PAGED, labels, moment) == receivers


@pytest.mark.parametrize("moment", OUT_OF_HOURS, ids=str)
@pytest.mark.parametrize(("labels", "receivers"), PAGED_RECEIVERS)
def test_out_of_business_hours_pagerduty_hears_of_p1_alone(
    labels: Labels, receivers: list[str], moment: datetime
) -> None:
    assert told_at(PAGED, labels, moment) == [name for name in receivers if name != "pagerduty-p2"]


@pytest.mark.parametrize("moment", [IN_HOURS[0], OUT_OF_HOURS[0]], ids=["in hours", "out of hours"])
@pytest.mark.parametrize(("labels", "receivers"), UNPAGED_RECEIVERS)
def test_without_paging_incidents_are_told_in_their_channel_at_any_hour(
    labels: Labels, receivers: list[str], moment: datetime
) -> None:
    assert told_at(UNPAGED, labels, moment) == receivers


@pytest.mark.parametrize("stack", STACKS)
def test_only_an_environment_that_declares_paging_can_reach_pagerduty_or_a_heartbeat(stack: str) -> None:
    text = json.dumps(rendered(stack)).lower()
    assert ("pagerduty" in text, "heartbeat" in text) == ((stack == "live"), (stack == "live"))


def test_the_message_of_an_environment_names_it() -> None:
    assert "in live: " in json.dumps(PAGED)
    assert "in dev: " in json.dumps(UNPAGED)
    assert "in live: " not in json.dumps(UNPAGED)


def test_every_alert_has_a_route_of_its_own_and_none_reaches_the_default_one() -> None:
    for watched in SHAPES:
        for each in alerts(watched):
            labels = {"alertname": each.name, "priority": each.priority or ""}
            assert all("matchers" in route for route in PAGED["route"]["routes"])
            assert receivers_of(PAGED, labels) == next(
                receivers
                for known, receivers in PAGED_RECEIVERS
                if known.get("priority", "") == labels["priority"]
            )


def test_inhibitions_are_about_alerts_that_exist() -> None:
    named = set(re.findall(r'alertname=~?\\"([A-Za-z0-9|]+)\\"', json.dumps(PAGED)))
    known = {each.name for watched in SHAPES for each in alerts(watched)}
    assert {name for names in named for name in names.split("|")} <= known
    assert len(named) >= 4


@pytest.mark.parametrize(("source", "target"), INHIBITED)
def test_an_alert_that_another_explains_is_not_told(source: Labels, target: Labels) -> None:
    assert inhibits(PAGED, source, target)


@pytest.mark.parametrize(("source", "target"), TOLD)
def test_an_alert_that_another_does_not_explain_is_told(source: Labels, target: Labels) -> None:
    assert not inhibits(PAGED, source, target)


def test_all_alerts_of_one_priority_are_one_group_that_comes_as_fast_as_the_priority_asks() -> None:
    assert dict(paces(PAGED)) == PACES


def test_a_heartbeat_may_be_late_and_one_may_be_lost_before_anybody_is_called_for_it() -> None:
    """What expects it calls by the deadline; a peer waits 15 s for each before it, and there are five at most."""
    (beat,) = [route for route in PAGED["route"]["routes"] if route["receiver"] == "heartbeat"]
    due, asked = (int(beat[key].removesuffix("s")) for key in ("repeat_interval", "group_interval"))
    at_most = timedelta(seconds=due + asked + 4 * 15)
    assert 2 * at_most < HEARTBEAT
    assert HEARTBEAT_PACE.interval < HEARTBEAT_PACE.repeat <= HEARTBEAT / 3


def test_whoever_sets_up_the_heartbeats_receiver_is_told_the_deadline_that_the_recovery_time_counts_on() -> (
    None
):
    deadline = f"after {spelled(HEARTBEAT)} without one"
    for page in ("docs/deployment-guide.md", "docs/runbooks/watchdog.md"):
        assert deadline in (ROOT / page).read_text(), page


# --- mutation ------------------------------------------------------------------------------------------------------

TEMPLATES = {"title", "title_link", "text", "fallback", "description", "class", "component", "group", "client", "client_url", "href", "impact", "response", "resolution", "firing", "resolved", "username", "incident_severity", "priority"}  # fmt: skip
"""Words of the messages: `test_delivery` compares what arrives."""


def mutants(config: Configuration, *sections: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The configuration with one thing deleted or changed, for every thing in these sections, and what it was."""
    for section in sections:
        for path in _paths(config[section], (section,)):
            *parents, last = path
            for change in ("deleted", "changed"):
                mutant = copy.deepcopy(dict(config))
                place: Any = mutant
                for step in parents:
                    place = place[step]
                if change == "deleted":
                    del place[last]
                elif isinstance(place[last], (dict, list)) or last in TEMPLATES:
                    continue
                else:
                    place[last] = _other(place[last])
                yield f"{'.'.join(map(str, path))} {change}", mutant


def _paths(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        children = [*cast("dict[str, Any]", value).items()]
    elif isinstance(value, list):
        children = [*enumerate(cast("list[Any]", value))]
    else:
        return
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def _other(value: Any) -> Any:
    """Another value of the same kind: the contrary of a matcher or switch, a later time, a different word."""
    if isinstance(value, bool):
        return not value
    if '!="' in value:
        return value.replace('!="', '="')
    if '="' in value:
        return value.replace('="', '!="')
    if re.fullmatch(r"\d\d:\d\d", value):
        return value[:-1] + "1"
    return {"Europe/London": "UTC", "monday": "sunday"}.get(value, f"{value}x")


DECORATIVE = re.compile(r"inhibit_rules\.\d+\.name (deleted|changed)")


def test_the_configuration_itself_is_as_the_tables_say() -> None:
    assert notices(PAGED) == []


def test_whatever_is_deleted_or_weakened_is_noticed() -> None:
    made = list(mutants(PAGED, "global", "route", "receivers", "inhibit_rules", "time_intervals"))
    assert len(made) > 150
    unnoticed = [name for name, mutant in made if not notices(mutant) and not DECORATIVE.fullmatch(name)]
    assert unnoticed == []
