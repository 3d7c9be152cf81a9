"""A command line of the pipelines, run so that it ends with an exit code and never with a traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from typer.exceptions import TyperException

from delivery.errors import DeliveryError
from rollout.errors import RolloutError

FAILED: Final = 1
"""The exit code of all that fails, a wrong command line among it: 2 means something else to `drift`."""

INTERRUPTED: Final = 130
"""The exit code of what a person breaks off; Typer makes it of the interruption."""

WorkDir = Annotated[
    Path, typer.Option("--work-dir", help="The folder with Pulumi.yaml and the stack files.", file_okay=False)
]
Program = Annotated[
    Path | None, typer.Option("--program", help="The program; without it, __main__.py in the current folder.")
]


def run(app: typer.Typer, interrupted: str = "nothing was changed") -> NoReturn:
    """Run a command line; what a person can mend is said in as few lines as that takes.

    Args:
        app: the command line.
        interrupted: what is left behind where a person breaks it off.
    """
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:
            _complain(f"interrupted: {interrupted}")
        sys.exit(code)
    except TyperException as error:
        _complain(error.format_message())
    except (DeliveryError, RolloutError) as error:
        _complain(str(error))
    sys.exit(FAILED)


def _complain(message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"error: {message}", markup=False)
