"""Every pinned version is found by the expressions that renovate is given."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MANAGERS = json.loads((ROOT / "renovate.json").read_text())["customManagers"]


@pytest.mark.parametrize(
    ("file", "manager"),
    [
        ("operations/versions.py", MANAGERS[0]),
        ("Makefile", MANAGERS[1]),
        (".github/workflows/drift.yml", MANAGERS[2]),
    ],
)
def test_each_renovate_comment_is_matched_with_its_version(file: str, manager: dict[str, list[str]]) -> None:
    text = (ROOT / file).read_text()
    expression = manager["matchStrings"][0].replace("(?<", "(?P<")
    found = [match.groupdict() for match in re.finditer(expression, text)]
    assert len(found) == text.count("# renovate:") > 0
    assert all(re.match(r"v?\d", match["currentValue"]) for match in found), found


def test_every_constant_of_versions_has_a_renovate_comment() -> None:
    text = (ROOT / "operations/versions.py").read_text()
    constants = re.findall(r"^[A-Z0-9_]+: Final", text, re.MULTILINE)
    assert len(constants) == text.count("# renovate:")
