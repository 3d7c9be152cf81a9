"""Prometheus' own tool judges the rendered configuration and rules."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.monitoring.rules import rule_file
from rehearsal.toolchain import ToolSet, ensure

RunRules = Callable[[Sequence[Mapping[str, Any]]], None]


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The real promtool, built on first use."""
    return ensure(ToolSet.PROMETHEUS)["promtool"]


@pytest.fixture
def run_rules(promtool: Path, tmp_path: Path) -> RunRules:
    """Feeds series to the rendered rules, one sample a minute, and compares what they yield with what is expected."""

    def run(cases: Sequence[Mapping[str, Any]]) -> None:
        (tmp_path / "rules.json").write_text(json.dumps(rule_file()))
        test_file = tmp_path / "test.json"
        test_file.write_text(
            json.dumps({"rule_files": ["rules.json"], "evaluation_interval": "1m", "tests": cases})
        )
        finished = subprocess.run(
            [promtool, "test", "rules", test_file], capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr

    return run
