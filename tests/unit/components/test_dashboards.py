"""The dashboards: what they show, from which series, and that Grafana can lay them out."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from components.monitoring.dashboards import dashboards, files, queries
from components.monitoring.rules import Alert, RecoveryWatched, Watched, alerts
from operations.monitoring import INDEX_CLEANER, LOG_SWEEP, Part

ROOT = Path(__file__).parents[3]

LIVE = Watched(
    environment="live",
    sla=99.99,
    services=("api", "web"),
    replicas=dict.fromkeys(Part, 1),
    grafana_url="https://grafana.example",
    runbooks_url="https://runbooks.example/docs/runbooks",
    retention_days=31,
    recovery=RecoveryWatched(recovery_point=timedelta(seconds=30), restore_test_days=7),
    chores=(LOG_SWEEP, INDEX_CLEANER),
    databases={"quikapp-live-database": ("one", "two"), "quikapp-live-database-recovery": ("three",)},
)
DEV = replace(LIVE, environment="dev", sla=None, retention_days=3, recovery=None, chores=(LOG_SWEEP,))
DATABASE = ("api",)
VALUES = {"service": "api", "__rate_interval": "1m"}

Board = Mapping[str, Any]


def read(watched: Watched, database_services: Sequence[str] = DATABASE) -> Mapping[str, Board]:
    """The dashboards as Grafana reads them, by UID."""
    return {board["uid"]: board for board in map(json.loads, files(watched, database_services).values())}


BOARDS = read(LIVE)
EVERY = pytest.mark.parametrize("uid", sorted(BOARDS))


def everything(board: Board) -> Sequence[Board]:
    """Panels and the titles between them."""
    made: Sequence[Board] = board["panels"]
    return made


def panels(board: Board) -> Sequence[Board]:
    return [panel for panel in everything(board) if panel["type"] != "row"]


def titled(board: Board, title: str) -> Board:
    found = [panel for panel in panels(board) if panel["title"] == title]
    assert len(found) == 1, f"{len(found)} panels are called {title}"
    return found[0]


def expressions(panel: Board) -> Sequence[str]:
    return [target["expr"] for target in panel.get("targets", [])]


def steps(panel: Board) -> Sequence[tuple[float | None, str]]:
    thresholds = panel["fieldConfig"]["defaults"]["thresholds"]
    assert thresholds["mode"] == "absolute"
    return [(step["value"], step["color"]) for step in thresholds["steps"]]


def every_panel(watched: Watched) -> Iterator[tuple[str, Board]]:
    return ((uid, panel) for uid, board in read(watched).items() for panel in panels(board))


# --- as a whole ----------------------------------------------------------------------------------------------------


def test_there_are_six_dashboards_each_in_a_file_of_its_name() -> None:
    assert {name: json.loads(text)["uid"] for name, text in files(LIVE, DATABASE).items()} == {
        "overview.json": "overview",
        "slots.json": "slots",
        "service.json": "service",
        "cluster.json": "cluster",
        "data.json": "data",
        "monitoring.json": "monitoring",
    }


def test_all_files_together_fit_into_one_config_map() -> None:
    assert sum(len(text.encode()) for text in files(LIVE, DATABASE).values()) < 1_000_000


def test_titles_are_unique_and_name_the_environment() -> None:
    titles = [board["title"] for board in BOARDS.values()]
    assert len(set(titles)) == 6
    assert all("live" in title for title in titles)


@EVERY
def test_nobody_edits_a_dashboard_in_the_browser(uid: str) -> None:
    assert BOARDS[uid]["editable"] is False


@EVERY
def test_each_dashboard_links_to_its_fellows_in_plain_sight(uid: str) -> None:
    (link,) = BOARDS[uid]["links"]
    assert (link["type"], link["tags"], link["keepTime"]) == ("dashboards", ["quikapp"], True)
    assert link["placement"] == ""
    assert "quikapp" in BOARDS[uid]["tags"]


@EVERY
def test_panels_have_ids_of_their_own(uid: str) -> None:
    ids = [panel["id"] for panel in everything(BOARDS[uid])]
    assert len(set(ids)) == len(ids)


@EVERY
def test_panels_stay_on_the_grid_and_never_overlap(uid: str) -> None:
    cells = [
        {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        for place in (panel["gridPos"] for panel in everything(BOARDS[uid]))
    ]
    assert all(taken for taken in cells)
    assert all(0 <= x < 24 for taken in cells for x, _ in taken)
    assert not any(one & other for one, other in combinations(cells, 2))


@EVERY
def test_every_line_is_filled_from_edge_to_edge(uid: str) -> None:
    places = [panel["gridPos"] for panel in everything(BOARDS[uid])]
    for top in {place["y"] for place in places}:
        assert sum(place["w"] for place in places if place["y"] == top) == 24


def test_no_panel_is_too_narrow_to_read() -> None:
    assert min(panel["gridPos"]["w"] for _, panel in every_panel(LIVE)) == 6


@EVERY
def test_panel_titles_within_a_section_are_unique(uid: str) -> None:
    section: list[str] = []
    for panel in everything(BOARDS[uid]):
        section = [] if panel["type"] == "row" else [*section, panel["title"]]
        assert len(set(section)) == len(section), section


@EVERY
def test_every_panel_says_what_it_shows(uid: str) -> None:
    for panel in panels(BOARDS[uid]):
        assert panel["title"]
        assert panel["description"].endswith(".")


@EVERY
def test_every_panel_of_numbers_says_what_good_looks_like_and_has_a_unit(uid: str) -> None:
    for panel in panels(BOARDS[uid]):
        if panel["type"] != "text":
            assert "Good is" in panel["description"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@EVERY
def test_every_panel_and_every_query_asks_prometheus(uid: str) -> None:
    prometheus = {"type": "prometheus", "uid": "prometheus"}
    for panel in panels(BOARDS[uid]):
        assert panel["datasource"] == prometheus
        assert all(target["datasource"] == prometheus for target in panel.get("targets", []))
        assert panel.get("targets") or panel["type"] == "text"


@EVERY
def test_queries_of_a_panel_have_names_of_their_own(uid: str) -> None:
    for panel in panels(BOARDS[uid]):
        names = [target["refId"] for target in panel.get("targets", [])]
        assert names == ["A", "B", "C", "D"][: len(names)]


def test_every_runbook_that_a_panel_links_to_exists() -> None:
    links = {link["url"] for _, panel in every_panel(LIVE) for link in panel["links"]}
    assert links == {
        f"https://runbooks.example/docs/runbooks/{name}.md"
        for name in (
            "alerts-not-delivered",
            "api-latency-p99",
            "backup-overdue",
            "cpu-usage",
            "database-instance-missing",
            "error-budget-burn",
            "error-rate",
            "housekeeping-overdue",
            "memory-usage",
            "monitoring-part-missing",
            "node-down",
            "pod-restarts",
            "replication-lag",
            "restore-beyond-plan",
            "restore-test-overdue",
            "restore-too-slow",
            "rule-evaluation-failing",
            "scrape-target-missing",
            "service-down",
            "volume-filling",
            "watchdog",
        )
    }
    assert all((ROOT / "docs/runbooks" / link.rpartition("/")[2]).is_file() for link in links)


@pytest.mark.parametrize("alert", alerts(LIVE), ids=lambda alert: f"{alert.name} {alert.priority}")
def test_every_alert_leads_to_a_dashboard_that_exists_and_sets_variables_that_it_has(alert: Alert) -> None:
    uid, _, query = alert.dashboard.partition("?")
    set_there = {name.removeprefix("var-") for name in parse_qs(query)}
    assert set_there == {variable["name"] for variable in BOARDS[uid]["templating"]["list"]}


# --- key metrics ---------------------------------------------------------------------------------------------------

PAGE = {
    "API Latency P99": ("slot_service:api_latency_p99:5m", 0.2, 0.5, "s"),
    "Error Rate": ("slot_service:error_rate:5m", 0.005, 0.01, "percentunit"),
    "CPU Usage": ("slot_service:cpu_usage:5m", 0.7, 0.85, "percentunit"),
    "Memory Usage": ("slot_service:memory_usage:5m", 0.75, 0.9, "percentunit"),
    "Pod Restarts": ("slot_service:pod_restarts:1h", 2, 5, "suffix: per hour"),
}
"""Recorded series, thresholds in its unit, and the unit as Grafana calls it."""

METRIC = pytest.mark.parametrize("title", PAGE)


@METRIC
@pytest.mark.parametrize(
    ("uid", "suffix", "matchers"),
    [
        ("overview", "", ""),
        ("slots", " of blue", '{slot="blue"}'),
        ("slots", " of green", '{slot="green"}'),
        ("service", "", '{service="$service"}'),
        ("service", " by slot", '{service="$service"}'),
    ],
)
def test_a_key_metric_reads_its_recorded_series_and_shows_the_thresholds_of_the_page(
    title: str, uid: str, suffix: str, matchers: str
) -> None:
    series, warning, critical, unit = PAGE[title]
    panel = titled(BOARDS[uid], title + suffix)
    (expression,) = expressions(panel)
    assert expression in (f"{series}{matchers}", f"max({series}{matchers})")
    assert steps(panel) == [(None, "green"), (warning, "orange"), (critical, "red")]
    assert panel["fieldConfig"]["defaults"]["unit"] == unit


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("API Latency P99", ("at most 200ms", "above 500ms")),
        ("Error Rate", ("at most 0.5%", "above 1%")),
        ("CPU Usage", ("at most 70%", "above 85%")),
        ("Memory Usage", ("at most 75%", "above 90%")),
        ("Pod Restarts", ("at most 2/hour", "above 5/hour")),
    ],
)
def test_a_key_metric_says_its_thresholds_in_the_words_of_the_page(title: str, said: Sequence[str]) -> None:
    description = titled(BOARDS["overview"], title)["description"]
    assert all(words in description for words in said), description


@METRIC
def test_blue_stands_left_of_green_and_both_have_the_same_scale(title: str) -> None:
    blue, green = (titled(BOARDS["slots"], f"{title} of {slot}") for slot in ("blue", "green"))
    assert (blue["gridPos"]["x"], green["gridPos"]["x"]) == (0, 12)
    for key in ("y", "w", "h"):
        assert blue["gridPos"][key] == green["gridPos"][key]
    assert blue["fieldConfig"] == green["fieldConfig"]
    assert blue["fieldConfig"]["defaults"]["custom"]["axisSoftMax"] == PAGE[title][2]


def test_everything_about_a_slot_is_shown_for_the_other_too() -> None:
    def told(slot: str) -> list[str]:
        return [
            panel["title"].removesuffix(slot)
            for panel in panels(BOARDS["slots"])
            if panel["title"].endswith(slot)
        ]

    assert told("blue") == told("green")
    assert len(told("blue")) * 2 == len(panels(BOARDS["slots"]))


# --- service level -------------------------------------------------------------------------------------------------


def test_the_overview_shows_the_error_budget_against_the_sla() -> None:
    overview = BOARDS["overview"]
    availability = titled(overview, "Availability")
    assert expressions(availability) == ["1 - environment:error_ratio:30d"]
    assert steps(availability) == [(None, "red"), (0.9999, "green")]
    left = titled(overview, "Error budget left")
    assert expressions(left) == ["environment:error_budget_left:ratio"]
    assert steps(left) == [(None, "red"), (0, "orange"), (0.25, "green")]


def test_the_overview_shows_each_burn_rate_with_the_threshold_of_its_alert() -> None:
    rates = {
        panel["title"]: (expressions(panel), steps(panel)[-1])
        for panel in panels(BOARDS["overview"])
        if panel["title"].startswith("Burn rate")
    }
    assert rates == {
        "Burn rate over 1h": (["environment:error_ratio:1h / 0.0001"], (14.4, "red")),
        "Burn rate over 6h": (["environment:error_ratio:6h / 0.0001"], (6, "red")),
        "Burn rate over 1d": (["environment:error_ratio:1d / 0.0001"], (3, "red")),
        "Burn rate over 3d": (["environment:error_ratio:3d / 0.0001"], (1, "red")),
    }


def test_a_burn_rate_that_no_alert_watches_is_not_shown() -> None:
    titles = {panel["title"] for panel in panels(read(replace(LIVE, sla=90))["overview"])}
    assert "Burn rate over 6h" in titles
    assert "Burn rate over 1h" not in titles


def test_without_an_sla_nothing_is_said_of_an_error_budget() -> None:
    assert not [panel["title"] for _, panel in every_panel(DEV) if "budget" in json.dumps(panel)]
    assert not [
        expr for _, panel in every_panel(DEV) for expr in expressions(panel) if "environment:" in expr
    ]
    assert "Service level" not in json.dumps(read(DEV)["overview"])


def test_the_budget_is_counted_over_what_prometheus_remembers() -> None:
    assert "the last 30 days" in titled(BOARDS["overview"], "Availability")["description"]
    short = read(replace(LIVE, retention_days=7))["overview"]
    assert "the last 7 days" in titled(short, "Availability")["description"]


def test_the_watchdog_is_no_firing_alert_but_its_absence_shows() -> None:
    (firing,) = expressions(titled(BOARDS["overview"], "Firing alerts"))
    assert 'alertname!="Watchdog"' in firing
    assert steps(titled(BOARDS["monitoring"], "Watchdog")) == [(None, "red"), (1, "green")]


def test_each_cron_job_that_there_is_is_shown_with_the_threshold_of_its_alert() -> None:
    def shown(watched: Watched) -> dict[str, tuple[float | None, str]]:
        return {
            panel["title"]: steps(panel)[-1]
            for panel in panels(read(watched)["monitoring"])
            if panel["title"].startswith("Since ")
        }

    sweep = {"Since log-sweep succeeded": (10_800, "orange")}
    assert shown(LIVE) == sweep | {"Since jaeger-index-cleaner succeeded": (259_200, "orange")}
    assert shown(DEV) == sweep


# --- variables and queries -----------------------------------------------------------------------------------------


def test_the_service_is_chosen_from_those_that_there_are() -> None:
    (variable,) = BOARDS["service"]["templating"]["list"]
    assert variable["name"] == "service"
    assert variable["type"] == "custom"
    assert variable["query"] == "api,web"
    assert [option["value"] for option in variable["options"]] == ["api", "web"]
    assert variable["current"]["value"] == "api"


@EVERY
def test_every_variable_that_a_query_uses_is_defined(uid: str) -> None:
    defined = {variable["name"] for variable in BOARDS[uid]["templating"]["list"]} | {"__rate_interval"}
    used = {
        name
        for panel in panels(BOARDS[uid])
        for expr in expressions(panel)
        for name in re.findall(r"\$\{?(\w+)", expr)
    }
    assert used <= defined


def test_queries_come_with_the_values_of_their_variables() -> None:
    asked = queries(dashboards(LIVE, DATABASE), VALUES)
    assert len(asked) == sum(len(expressions(panel)) for _, panel in every_panel(LIVE))
    assert not [query for query in asked if "$" in query.expression]
    assert 'max(slot_service:error_rate:5m{service="api"})' in {
        query.expression for query in asked if (query.dashboard, query.panel) == ("service", "Error Rate")
    }


def test_a_variable_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="service"):
        queries(dashboards(LIVE, DATABASE), {"__rate_interval": "1m"})


def test_services_that_use_the_database_are_shown_and_no_others() -> None:
    found = [
        expr
        for panel in panels(BOARDS["data"])
        if "database's users" in panel["title"]
        for expr in expressions(panel)
    ]
    assert len(found) == 3
    assert all('{service=~"api"}' in expr for expr in found)
    without = panels(read(LIVE, ())["data"])
    assert not [panel for panel in without if "database's users" in panel["title"]]


def shown(watched: Watched, ending: str) -> dict[str, tuple[Sequence[str], Sequence[Any]]]:
    """Queries, and colors beyond the first, of the panels of data whose titles end so."""
    return {
        panel["title"]: (expressions(panel), steps(panel)[1:])
        for panel in panels(read(watched)["data"])
        if panel["title"].endswith(ending)
    }


def test_backups_are_shown_everywhere_with_the_thresholds_of_their_alerts() -> None:
    backups = {
        "Since the last backup of the database": 'backup_age_maximum{dimension_Data="database"}',
        "Since the last backup of the files": 'backup_age_maximum{dimension_Data="files"}',
        "Since the last copy of the files": 'copy_age_maximum{dimension_Data="files"}',
    }
    wanted = {
        title: ([f"max(aws_quikapp_recovery_{series})"], [(129_600, "orange"), (259_200, "red")])
        for title, series in backups.items()
    }
    for watched in (LIVE, DEV):
        found = shown(watched, "of the database") | shown(watched, "of the files")
        assert {title: panel for title, panel in found.items() if "restore" not in title} == wanted


def test_where_recovery_is_promised_lag_and_restores_are_shown_with_the_thresholds_of_their_alerts() -> None:
    assert shown(LIVE, "Recovery point") == {
        "Recovery point": (
            ["max(aws_rds_aurora_global_dbrpolag_maximum) / 1000"],
            [(15, "orange"), (27, "red")],
        )
    }
    assert shown(LIVE, "Replication") == {
        "Replication": (["max(aws_rds_aurora_global_dbreplication_lag_maximum) / 1000"], [(15, "orange")])
    }
    assert {title: colors for title, (_, colors) in shown(LIVE, "restore of the database").items()} == {
        "Since the last tested restore of the database": [(648_000, "orange")],
        "Time of the last tested restore of the database": [(900, "orange"), (10_800, "red")],
    }
    assert shown(LIVE, "restore of the files").keys() == {
        "Since the last tested restore of the files",
        "Time of the last tested restore of the files",
    }
    assert not [
        panel["title"]
        for panel in panels(read(DEV)["data"])
        if re.search("point|Replica|restore", panel["title"])
    ]


def test_the_instances_of_each_cluster_are_counted_against_those_that_are_declared() -> None:
    counted = 'count(aws_rds_engine_uptime_maximum{dimension_DBInstanceIdentifier=~"%s"}) or vector(0)'
    assert {
        panel["title"]: (expressions(panel), steps(panel))
        for panel in panels(BOARDS["data"])
        if panel["title"].startswith("Instances of")
    } == {
        "Instances of quikapp-live-database": ([counted % "one|two"], [(None, "red"), (2, "green")]),
        "Instances of quikapp-live-database-recovery": ([counted % "three"], [(None, "red"), (1, "green")]),
    }


def test_the_promises_about_data_are_those_of_the_page() -> None:
    words = titled(BOARDS["data"], "Backups and recovery")["options"]["content"]
    for promise in (
        "less than 60 seconds",
        "less than 15 minutes",
        "| Database | Continuous | 35 days | Multi-region |",
        "| Files | Daily | 90 days | S3 + Glacier |",
        "| Configs | On change | without limit | Git |",
        "| Logs | Real-time | 30 days | Elasticsearch |",
    ):
        assert promise in words
