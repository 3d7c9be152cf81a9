"""The workflows as data, and as much of GitHub's expressions as they use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / ".github" / "workflows"

Context = Mapping[str, str]
"""What the contexts hold, by dotted name: `inputs.version`; what a run does not have is the empty text."""


def load(name: str) -> dict[str, Any]:
    """Return a workflow by the name of its file, with every scalar as the text that it is: `on` is no boolean."""
    return yaml.load((FOLDER / f"{name}.yml").read_text(), Loader=yaml.BaseLoader)  # noqa: S506


def rendered(text: str, context: Context) -> str:
    """Return text with its expressions replaced by what they say in a run."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: value(found[1], context), text)


def value(expression: str, context: Context) -> str:
    """Return what an expression of names, texts, `==`, `!=`, `&&` and `||` says; `true` is true, and the empty text false.

    Raises:
        KeyError: it names something that the context does not know.
    """
    expression = expression.strip()
    if "||" in expression:
        left, _, right = expression.partition("||")
        return value(left, context) or value(right, context)
    if "&&" in expression:
        left, _, right = expression.partition("&&")
        return value(left, context) and value(right, context)
    if compared := re.fullmatch(r"(.+?)\s*([!=]=)\s*(.+)", expression):
        equal = value(compared[1], context) == value(compared[3], context)
        return "true" if equal is (compared[2] == "==") else ""
    if expression.startswith("!"):
        return "" if value(expression[1:], context) else "true"
    if quoted := re.fullmatch(r"'([^']*)'", expression):
        return quoted[1]
    return context[expression]


def steps_of(job: Mapping[str, Any], action: str) -> list[dict[str, Any]]:
    """Return the steps of a job that use an action."""
    return [step for step in job["steps"] if action in step.get("uses", "")]
