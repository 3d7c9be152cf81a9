"""A command line that ends with an exit code and never with a traceback, and the options that several of them have."""

from __future__ import annotations

import getpass
import json
import math
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.exceptions import TyperException

from operations.metrics import KEY_METRICS
from rollout.errors import RolloutError

FAILED: Final = 1
"""The exit code of what was refused or failed."""

INTERRUPTED: Final = 130
"""The exit code of what a person breaks off; Typer makes it of the interruption."""

LEAST_INTERVAL: Final = 0.1
"""Seconds between two evaluations of the gates, at least."""

MOST_INTERVAL: Final = min(metric.window for metric in KEY_METRICS).total_seconds()
"""The same at most: what lies further back no key metric sees."""

WorkDir = Annotated[
    Path, typer.Option("--work-dir", help="The folder with Pulumi.yaml and the stack files.", file_okay=False)
]
Program = Annotated[
    Path | None, typer.Option("--program", help="The program; without it, __main__.py in the current folder.")
]
Who = Annotated[str, typer.Option("--who", help="Who asks for it; the journal keeps it.")]
Picture = Annotated[
    Path | None,
    typer.Option("--picture", help="Where the picture goes; without it, rollout-<stack>-<version>.svg."),
]


class Commands(TyperGroup):
    """Commands that are named where something else is typed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is typed first."""
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            raise TyperException(f"command = {args[0]}: allowed are {', '.join(known)}")
        return super().resolve_command(ctx, args)


def speed(envvar: str | None = None) -> Any:
    """Return the option for what bakes are divided by; `envvar` gives it, too."""
    return typer.Option(
        "--speed",
        parser=whole("--speed"),
        metavar="INTEGER",
        envvar=envvar,
        help="Divides bake times and limits, 1 or more: for rehearsals only.",
    )


def interval(envvar: str | None = None) -> Any:
    """Return the option for the seconds between two evaluations; `envvar` gives it, too."""

    def seconds(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not LEAST_INTERVAL <= value <= MOST_INTERVAL:  # as nan is not
            raise TyperException(
                f"--interval = {text}: allowed are seconds, {LEAST_INTERVAL:g} to {MOST_INTERVAL:g}"
            )
        return value

    return typer.Option(
        "--interval",
        parser=seconds,
        metavar="SECONDS",
        envvar=envvar,
        help=f"Between two evaluations of the gates, {LEAST_INTERVAL:g} to {MOST_INTERVAL:g}.",
    )


def whole(option: str) -> Callable[[str], int]:
    """Return what reads the value of an option that takes a whole number, 1 or more."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = 0
        if value < 1:
            raise TyperException(f"{option} = {text}: allowed is a whole number, 1 or more")
        return value

    return read


def program_of(program: Path | None) -> Path:
    """Return the path that `--program` says."""
    return (program or Path("__main__.py")).resolve()


def who_of(text: str) -> str:
    """Return what `--who` says; without it, the name of whoever is signed in.

    Raises:
        RolloutError: it is blank, or nobody knows.
    """
    if text:
        return said("--who", text)
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise RolloutError("who asks for it? Nobody's name is known here: give it with --who") from error


def said(option: str, text: str) -> str:
    """Return what an option says that the journal keeps.

    Raises:
        RolloutError: it is blank.
    """
    if not text.strip():
        raise RolloutError(
            f"{option} = {json.dumps(text, ensure_ascii=False)}: allowed is a text that is not blank; the journal keeps it"
        )
    return text


def run(
    app: typer.Typer,
    *,
    interrupted: str,
    wrong: int,
    mendable: tuple[type[Exception], ...] = (RolloutError,),
) -> NoReturn:
    """Run a command line; what a person can mend is said in as few lines as that takes.

    Args:
        app: the command line.
        interrupted: what is left behind where a person breaks it off.
        wrong: the exit code of a command line that is wrong.
        mendable: what a person can mend.
    """
    try:
        with _interruptible():
            # By its own name, whatever file Python was started with.
            code = app(standalone_mode=False, prog_name=app.info.name)
        if code == INTERRUPTED:
            _complain(f"interrupted: {interrupted}")
        sys.exit(code)
    except TyperException as error:
        if message := " ".join(
            error.format_message().split()
        ):  # none where nothing was typed, and the help was shown
            _complain(message)
        sys.exit(wrong)
    except mendable as error:
        _complain(str(error))
        sys.exit(FAILED)


@contextmanager
def _interruptible() -> Generator[None]:
    """Take being told to end, as a job is that is cancelled, or a closed terminal, like a person's Ctrl-C: what is under way is
    left in order. Who is to outlive the terminal, as under `nohup`, does."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {
        sign: signal.signal(sign, interrupt)
        for sign in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(sign) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


def _complain(message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"error: {message}", markup=False)
