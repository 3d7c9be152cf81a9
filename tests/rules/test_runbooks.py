"""Every alert leads to a runbook that exists and follows the page's incident process."""

import re
from pathlib import Path

import pytest

from components.monitoring.rules import Alert, alerts, recorded
from operations.incidents import Step
from operations.metrics import KEY_METRICS
from operations.priorities import ROUTES
from tests.rules.shapes import LIVE

FOLDER = Path(__file__).parents[2] / "docs/runbooks"
ALERTS = {
    name: [alert for alert in alerts(LIVE) if alert.name == name] for name in {a.name for a in alerts(LIVE)}
}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def text(runbook: str) -> str:
    return (FOLDER / runbook).read_text()


def anchors(page: Path) -> set[str]:
    """What a heading is found by: in lower case, spaces as hyphens, without other signs (GitHub's way)."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.md")) == [
        "alerts-not-delivered.md",
        "api-latency-p99.md",
        "cpu-usage.md",
        "error-budget-burn.md",
        "error-rate.md",
        "housekeeping-overdue.md",
        "incident.md",
        "memory-usage.md",
        "monitoring-part-missing.md",
        "node-down.md",
        "pod-restarts.md",
        "rule-evaluation-failing.md",
        "scrape-target-missing.md",
        "service-down.md",
        "volume-filling.md",
        "watchdog.md",
    ]
    assert {alert.runbook for alert in alerts(LIVE)} == {path.name for path in FOLDER.glob("*.md")} - {
        "incident.md"
    }


@pytest.mark.parametrize("runbook", sorted({alert.runbook for alert in alerts(LIVE)}))
def test_a_runbook_walks_through_the_incident_process(runbook: str) -> None:
    headings = re.findall(r"^## (.+)$", CODE.sub("", text(runbook)), re.MULTILINE)
    assert headings == ["Detection", "Triage", "Mitigation", "Resolution", "Postmortem"]
    assert headings == [*Step]


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_a_runbook_says_after_how_long_its_alert_fires_and_what_it_opens(name: str) -> None:
    """The last cells of each row of its first table: for, priority, opens."""
    rows = re.findall(
        r"^\|.*\| ([^|]+) \| (P\d|none) \| (SEV\d|none) \|$", text(ALERTS[name][0].runbook), re.MULTILINE
    )
    assert set(rows) == {(hold(alert), alert.priority or "none", opens(alert)) for alert in ALERTS[name]}


def hold(alert: Alert) -> str:
    return "none" if alert.hold is None else f"{alert.hold.seconds // 60} minutes"


def opens(alert: Alert) -> str:
    return "none" if alert.priority is None else ROUTES[alert.priority].opens


def test_a_runbook_names_the_series_that_its_alert_judges() -> None:
    for metric in KEY_METRICS:
        assert recorded(metric) in text(f"{metric.name.replace('_', '-')}.md")


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.name)
def test_no_link_of_a_runbook_is_dead(page: Path) -> None:
    links = [link for link in LINK.findall(CODE.sub("", page.read_text())) if "://" not in link]
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link
