"""How a rollout is shown while it is driven, and what is left of it at the end: for `rollout` and for whoever drives one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from operations.release import Version
from operations.rollout.actions import Outcome, Report
from rollout import report
from rollout.desk import Desk
from rollout.errors import RolloutError
from rollout.picture import draw
from rollout.record import Record
from rollout.view import View

ROLLED_BACK: Final = 3
"""The exit code of a rollout that was taken back."""

LEFT: Final = "the weights stay as they are, and nobody watches them"
"""What a driver that is interrupted leaves behind."""


def version_of(text: str) -> Version:
    """Return what `--version` says.

    Raises:
        RolloutError: it is no version.
    """
    try:
        return TypeAdapter[str](Version).validate_python(text)
    except ValidationError as error:
        raise RolloutError(
            f"--version {text}: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
        ) from error


def view(as_json: bool = False) -> View:
    """Return the view of a rollout: live on a terminal, lines elsewhere, beside the JSON on standard error."""
    shown = Console(stderr=True, highlight=False) if as_json else console()
    return View(shown, live=shown.is_terminal)


def console() -> Console:
    """Return standard output."""
    return Console(highlight=False)


def end(desk: Desk, ended: Report, picture: Path | None, *, wanted: Outcome, as_json: bool = False) -> int:
    """Draw the rollout, print the short report, and return the exit code: 0, or 3 where it did not end as was wanted."""
    record = latest(desk)
    drawn = draw_into(desk, record, picture)
    if as_json:
        print_json({**ended.model_dump(mode="json", by_alias=True), "picture": drawn})
    else:
        console().print(f"\n{report.summary(record)}\nPicture: {drawn}", markup=False, soft_wrap=True)
    return 0 if ended.outcome is wanted else ROLLED_BACK


def latest(desk: Desk) -> Record:
    """Return the record of the stack's latest rollout.

    Raises:
        RolloutError: there was none.
    """
    record = desk.journal.read()
    if record is None:
        raise RolloutError(f"there was no rollout of '{desk.stack}' yet")
    return record


def draw_into(desk: Desk, record: Record, picture: Path | None) -> str:
    """Draw a rollout and return where the picture is; without a path, `rollout-<stack>-<version>.svg`."""
    path = picture or Path(f"rollout-{desk.stack}-{record.state.plan.version}.svg")
    path.write_text(draw(record, f"Rollout of {record.state.plan.version} to {desk.stack}"))
    return str(path)


def print_json(value: dict[str, Any]) -> None:
    """Print JSON, and nothing else, to standard output."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
