"""How a rollout is shown while it is driven, and what is left of it at the end: for `rollout` and for whoever drives one."""

from __future__ import annotations

import json
import os
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
            f"--version = {text}: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
        ) from error


def refuse_nowhere(picture: Path | None) -> None:
    """Let no rollout begin whose picture has no place at the end.

    Raises:
        RolloutError: there is no such folder, it takes no file, or the path is a folder itself.
    """
    path = picture or Path("rollout.svg")
    folder = path.parent
    if path.is_dir():
        why = "is a folder; allowed is the name of a file"
    elif not folder.is_dir():
        why = f"there is no folder {folder}; allowed is a file in one that is there"
    elif not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        why = "nobody here may write that; allowed is a file in a folder of yours"
    else:
        return
    raise RolloutError(f"--picture = {picture or folder.resolve()}: {why}")


def view(as_json: bool = False) -> View:
    """Return the view of a rollout: live on a terminal, lines elsewhere, beside the JSON on standard error."""
    shown = Console(stderr=True, highlight=False) if as_json else console()
    return View(shown, live=shown.is_terminal)


def console() -> Console:
    """Return standard output."""
    return Console(highlight=False)


def end(desk: Desk, ended: Report, picture: Path | None, *, wanted: Outcome, as_json: bool = False) -> int:
    """Print the short report, draw the rollout, and return the exit code: 0, or 3 where it did not end as was wanted.

    A journal that cannot be read any more, or a picture that cannot be drawn, takes nothing away from how the rollout ended.
    """
    drawn = None
    summary = (
        f"{ended.outcome}: all traffic is on {ended.slot}, which runs {ended.version}.\nWhy: {ended.why}"
    )
    try:
        record = latest(desk)
        summary = report.summary(record)
        drawn = draw_into(desk, record, picture)
    except RolloutError as error:
        again = f"{error}; rollout draw --stack {desk.stack} draws it again"
        Console(stderr=True, highlight=False).print(again, markup=False, soft_wrap=True)
    if as_json:
        print_json({**ended.model_dump(mode="json", by_alias=True), "picture": drawn})
    else:
        picture_line = "" if drawn is None else f"\nPicture: {drawn}"
        console().print(f"\n{summary}{picture_line}", markup=False, soft_wrap=True)
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
    """Draw a rollout and return where the picture is; without a path, `rollout-<stack>-<version>.svg`.

    Raises:
        RolloutError: it cannot be written there.
    """
    path = picture or Path(f"rollout-{desk.stack}-{record.state.plan.version}.svg")
    drawn = draw(record, f"Rollout of {record.state.plan.version} to {desk.stack}")
    try:
        path.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise RolloutError(f"the picture cannot be written to {path}: {error.strerror}") from error
    return str(path)


def print_json(value: dict[str, Any]) -> None:
    """Print JSON, and nothing else, to standard output."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
