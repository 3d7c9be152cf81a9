"""Every alert leads to a runbook that exists and follows the page's incident process."""

import re
from pathlib import Path

from components.monitoring.rules import recorded, rule_file
from operations.incidents import Step
from operations.metrics import KEY_METRICS

ROOT = Path(__file__).parents[2]
RUNBOOKS = {
    rule["annotations"]["runbook"]
    for group in rule_file()["groups"]
    for rule in group["rules"]
    if "annotations" in rule
}


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/runbooks").glob("*.md")} == RUNBOOKS


def test_a_runbook_walks_through_the_incident_process() -> None:
    for runbook in RUNBOOKS:
        headings = re.findall(r"^## (.+)$", (ROOT / runbook).read_text(), re.MULTILINE)
        assert headings == [step.value for step in Step], runbook


def test_a_runbook_names_the_series_that_its_alert_judges() -> None:
    texts = {path.name: path.read_text() for path in (ROOT / "docs/runbooks").glob("*.md")}
    for metric in KEY_METRICS:
        assert recorded(metric) in texts[f"{metric.name.replace('_', '-')}.md"]
