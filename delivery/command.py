"""A command line of the pipelines: all that fails ends with one exit code, a wrong command line among it."""

from __future__ import annotations

from typing import NoReturn

import typer

from delivery.errors import DeliveryError
from rollout import command_line
from rollout.command_line import FAILED
from rollout.errors import RolloutError


def run(app: typer.Typer, interrupted: str = "nothing was changed") -> NoReturn:
    """Run a command line; what a person can mend is said in as few lines as that takes.

    Args:
        app: the command line. A wrong one is 1 like all that fails: 2 means something else to `drift`.
        interrupted: what is left behind where a person breaks it off.
    """
    command_line.run(app, interrupted=interrupted, wrong=FAILED, mendable=(DeliveryError, RolloutError))
