"""The two modules at the top level import what their layer may, and nothing else; import-linter judges the packages."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("settings.py", {"operations", "pulumi", "pydantic"}),
        ("__main__.py", {"settings", "components", "pulumi"}),
    ],
)
def test_a_top_level_module_imports_its_own_layer_only(module: str, allowed: set[str]) -> None:
    assert _imported(ROOT / module) <= allowed


def test_the_entry_point_stays_short() -> None:
    assert len((ROOT / "__main__.py").read_text().splitlines()) <= 40


def test_only_settings_reads_the_configuration() -> None:
    readers = {
        file.relative_to(ROOT).as_posix()
        for folder in ("components", "operations")
        for file in (ROOT / folder).rglob("*.py")
        if "pulumi.Config(" in file.read_text() or "os.environ" in file.read_text()
    }
    assert readers == set()
