"""Cases of rules, and promtool that judges them."""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from components.monitoring.rules import RuleFile, Watched
from tests.rules.shapes import LIVE
from tests.rules.worlds import Series

URGENCY: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "P1": (
        {"priority": "P1", "severity": "critical", "incident_severity": "SEV1"},
        {"response": "5 minutes", "resolution": "1 hour"},
    ),
    "P2": (
        {"priority": "P2", "severity": "critical", "incident_severity": "SEV2"},
        {"response": "15 minutes", "resolution": "4 hours"},
    ),
    "P3": (
        {"priority": "P3", "severity": "warning", "incident_severity": "SEV3"},
        {"response": "1 hour", "resolution": "24 hours"},
    ),
    "P4": (
        {"priority": "P4", "severity": "warning", "incident_severity": "SEV4"},
        {"response": "24 hours", "resolution": "best effort"},
    ),
    "none": ({"severity": "none"}, {}),
}
"""Labels and annotations of a priority, as the operations page has them."""

RUNBOOKS = "https://github.com/quikapp/operations/blob/main/docs/runbooks"


@dataclass(frozen=True)
class Firing:
    """One alert that fires, all of it."""

    priority: str
    summary: str
    impact: str
    dashboard: str
    runbook: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    grafana: str = "https://grafana.quikapp.example"

    def expected(self) -> Mapping[str, Any]:
        labels, targets = URGENCY[self.priority]
        return {
            "exp_labels": {**self.labels, **labels},
            "exp_annotations": {
                "summary": self.summary,
                "impact": self.impact,
                **targets,
                "dashboard_url": f"{self.grafana}/d/{self.dashboard}",
                "runbook_url": f"{RUNBOOKS}/{self.runbook}",
            },
        }


@dataclass(frozen=True)
class Value:
    """What a series is at a moment; None: there is none."""

    expression: str
    at: str
    value: float | None
    labels: str = "{}"

    def expected(self) -> Mapping[str, Any]:
        samples = [] if self.value is None else [{"labels": self.labels, "value": self.value}]
        return {"expr": self.expression, "eval_time": self.at, "exp_samples": samples}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Series in, alerts and values out."""

    about: str
    """The alert's name; of recordings, their group's."""
    title: str
    series: Series
    alerts: Mapping[str, Sequence[Firing]] = field(default_factory=dict[str, Sequence[Firing]])
    """Moment → every alert of this name that fires then."""
    values: Sequence[Value] = ()
    shape: Watched = LIVE
    step: str = "1m"
    """Between two samples, and between two evaluations."""

    def __str__(self) -> str:
        return f"{self.shape.environment}: {self.about}: {self.title}"

    def rendered(self) -> Mapping[str, Any]:
        return {
            "name": str(self),
            "interval": self.step,
            "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
            "alert_rule_test": [
                {
                    "alertname": self.about,
                    "eval_time": moment,
                    "exp_alerts": [firing.expected() for firing in firings],
                }
                for moment, firings in self.alerts.items()
            ],
            "promql_expr_test": [value.expected() for value in self.values],
        }


def judge(promtool: Path, folder: Path, rules: RuleFile, cases: Iterable[Case]) -> str:
    """What promtool finds wrong with the rules; empty when every case holds."""
    finished = _run(promtool, _written(folder, rules, cases))
    return "" if finished.returncode == 0 else finished.stdout + finished.stderr


def hold_apart(promtool: Path, folder: Path, trials: Sequence[tuple[RuleFile, Case]]) -> list[bool]:
    """For each of these rules whether its own case holds.

    One run of promtool, whose start takes longer than most cases, judges as many as there are for each processor.
    """
    folder.mkdir()
    processors = os.cpu_count() or 1
    named = list(enumerate(trials))

    def some(first: int) -> list[bool]:
        files = [
            file
            for number, (rules, case) in named[first::processors]
            for file in _written(folder / str(number), rules, [case])
        ]
        if not files:
            return []
        report = folder / f"{first}.xml"
        _run(promtool, [f"--junit={report}", *files])
        suites = {suite.attrib["name"]: suite.attrib for suite in ElementTree.parse(report).iter("testsuite")}  # noqa: S314 - our own
        return [suites[str(file)]["failures"] == suites[str(file)]["errors"] == "0" for file in files]

    held = [False] * len(trials)
    with ThreadPoolExecutor(processors) as pool:
        for first, found in enumerate(pool.map(some, range(processors))):
            held[first::processors] = found
    return held


def _written(folder: Path, rules: RuleFile, cases: Iterable[Case]) -> list[Path]:
    """Test files as promtool reads them, one for each step of the cases."""
    folder.mkdir(exist_ok=True)
    (folder / "rules.json").write_text(json.dumps(rules))
    by_step: dict[str, list[Case]] = {}
    for case in cases:
        by_step.setdefault(case.step, []).append(case)
    files: list[Path] = []
    for step, some in by_step.items():
        files.append(folder / f"{step}.json")
        tests = [case.rendered() for case in some]
        files[-1].write_text(
            json.dumps({"rule_files": ["rules.json"], "evaluation_interval": step, "tests": tests})
        )
    return files


def _run(promtool: Path, arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [promtool, "test", "rules", *arguments],
        # It runs for a moment: to collect garbage, or to share the work, costs more than it saves.
        env={**os.environ, "GOGC": "off", "GOMAXPROCS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
