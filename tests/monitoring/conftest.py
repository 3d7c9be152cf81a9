"""The programs that judge the monitoring stack, built on first use."""

from pathlib import Path

import pytest

from rehearsal.toolchain import ToolSet, ensure


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The real promtool."""
    return ensure(ToolSet.PROMETHEUS)["promtool"]


@pytest.fixture(scope="session")
def amtool() -> Path:
    """The real amtool."""
    return ensure(ToolSet.ALERTMANAGER)["amtool"]
