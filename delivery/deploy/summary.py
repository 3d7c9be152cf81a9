"""What a job leaves for a person to read: its summary on GitHub, where it runs there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from operations.markdown import block, code, words
from operations.rollout.actions import Report


def leave(markdown: str) -> None:
    """Add to the summary of the job, if this is one.

    Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
    """
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(markdown.rstrip() + "\n\n")


def of_rollout(stack: str, version: str, change: str | None, ended: Report) -> str:
    """Return the summary of a rollout that has ended."""
    rows = [
        ("Version", code(version)),
        ("Outcome", f"**{ended.outcome}**"),
        ("All traffic is on", f"{ended.slot}, which runs {code(ended.version)}"),
        ("Why", words(ended.why)),
        ("Took", str(ended.ended - ended.started).split(".", maxsplit=1)[0]),
    ]
    if change is not None:
        rows.insert(1, ("Change request", code(change)))
    return table(f"{stack}: {version}", rows)


def of_failure(stack: str, why: str) -> str:
    """Return the summary of a deployment that was refused or broke off."""
    return "\n".join((f"## {stack}: not deployed", "", *block(why)))


def table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return a heading and a table of two columns."""
    return "\n".join(
        (f"## {title}", "", "| | |", "| --- | --- |", *(f"| {name} | {said} |" for name, said in rows))
    )
