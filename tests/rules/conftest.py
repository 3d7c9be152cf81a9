"""Prometheus' own tool judges the rendered configuration and rules."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.monitoring.rules import rule_file
from rehearsal.toolchain import ToolSet, ensure
from tests.rules.promtool import Case, judge

Hold = Callable[[Case], None]


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The real promtool, built on first use."""
    return ensure(ToolSet.PROMETHEUS)["promtool"]


@pytest.fixture
def hold(promtool: Path, tmp_path: Path) -> Hold:
    """Fails unless the rules of a case's environment make of its series what it expects."""

    def run(case: Case) -> None:
        assert judge(promtool, tmp_path, rule_file(case.shape), [case]) == ""

    return run
