"""`rehearse`: any environment on this machine, on the real engine and a real Kubernetes API server, with no account."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from typer.exceptions import TyperException

from rehearsal.canary.faults import Fault
from rehearsal.canary.report import summary
from rehearsal.canary.run import FASTEST, rehearse
from rehearsal.errors import RehearsalError
from rehearsal.events import EventLog
from rehearsal.project import Project
from rehearsal.recover import report as recovery
from rehearsal.recover.run import Scenario, recover
from rehearsal.session import Rehearsal, standing
from rehearsal.toolchain import ToolSet, ensure

app = typer.Typer(
    name="rehearse",
    help=__doc__,
    epilog=(
        "The engine, the API server, its controllers and the scheduler are real; kwok plays the nodes; AWS is "
        "recorded: its resources are checked against the SDK's types, kept as state, and created nowhere. "
        "A first run builds the tools (about a quarter of an hour on two cores); every later one takes seconds."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)

Stack = Annotated[str, typer.Option("--stack", "-s", help="The stack: Pulumi.<stack>.yaml must exist.")]
INTERRUPTED: Final = 130
"""The exit code of what a person breaks off; Typer makes it of the interruption."""

Root = Annotated[
    Path,
    typer.Option("--project", "-p", help="The folder of the program, with its Pulumi.yaml.", file_okay=False),
]


Choice = TypeVar("Choice", bound=StrEnum)


def _one_of(option: str, choices: type[Choice]) -> Callable[[str], Choice]:
    """Return what reads the value of an option that takes one of a few words."""

    def read(text: str) -> Choice:
        try:
            return choices(text)
        except ValueError as error:
            raise TyperException(f"{option} = {text}: allowed are {', '.join(choices)}") from error

    return read


def _speed(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= FASTEST:
        raise TyperException(f"--speed = {text}: allowed is a whole number, 1 to {FASTEST}")
    return value


@app.command()
def preview(
    stack: Stack,
    project: Root = Path(),
    events: Annotated[
        Path | None,
        typer.Option(
            "--events", help="Keep the engine's events here, for `preview-report read`.", dir_okay=False
        ),
    ] = None,
) -> None:
    """Show what `up` would do: every manifest is dry-run on the API server."""
    _rehearsal(project, stack).preview(None if events is None else EventLog(events))


@app.command()
def up(stack: Stack, project: Root = Path()) -> None:
    """Preview the stack, bring it up, and print its outputs. Killed half-way, the next `up` completes it."""
    _rehearsal(project, stack).up()


@app.command()
def status(
    stack: Annotated[str | None, typer.Option("--stack", "-s", help="Only this stack.")] = None,
    project: Root = Path(),
) -> None:
    """Say which stacks are up, what runs for them, and where their kubeconfig is."""
    program = Project(project.resolve())
    if stack is not None:
        program.stack_file(stack)
    stacks = [name for name in standing(program) if stack in (None, name)]
    if not stacks:
        console.print(
            f"Nothing is up{f' of {stack}' if stack else ''}. Bring a stack up: rehearse up --stack dev"
        )
        return
    for name in stacks:
        Rehearsal(program, name, console).describe()


@app.command()
def down(stack: Stack, project: Root = Path()) -> None:
    """End every process of the rehearsal and remove its state."""
    _rehearsal(project, stack).down()


@app.command()
def draw(stack: Stack, project: Root = Path()) -> None:
    """Draw what the program declared: components and who needs whom, as a Mermaid chart."""
    console.out(_rehearsal(project, stack).draw(), highlight=False)


@app.command()
def canary(
    stack: Stack,
    fault: Annotated[
        Fault,
        typer.Option(
            "--fault",
            "-f",
            parser=_one_of("--fault", Fault),
            metavar="FAULT",
            help=f"What goes wrong in the new slot: {', '.join(Fault)}.",
        ),
    ] = Fault.NONE,
    speed: Annotated[
        int,
        typer.Option(
            "--speed",
            parser=_speed,
            metavar="INTEGER",
            help=f"Divides bake times, windows and limits: 1 to {FASTEST}.",
        ),
    ] = 30,
    project: Root = Path(),
) -> None:
    """Release the next version with the real driver, let a fault happen, and say how it ended and why.

    The exit code is 0 where the weights went as they have to with that fault: up every phase to the end, or back from the
    first one. A fault takes a stack with a ladder.
    """
    # Told to end, it takes the driver and Prometheus with it, as when it is interrupted.
    signal.signal(signal.SIGTERM, _leave)
    story = rehearse(_rehearsal(project, stack), fault, speed)
    console.print(summary(story))
    if not story.as_expected:
        raise typer.Exit(1)


@app.command("recover")
def drill(
    stack: Stack,
    scenario: Annotated[
        Scenario,
        typer.Option(
            "--scenario",
            parser=_one_of("--scenario", Scenario),
            metavar="SCENARIO",
            help=f"What is lost: {', '.join(Scenario)}.",
        ),
    ],
    project: Root = Path(),
) -> None:
    """Lose something for real, bring it back with the commands of the runbooks, and say how long each step took.

    The exit code is 0 where all came back as it was. Killed half-way, the next `up` or `recover` mends what it left.
    """
    report = recover(_rehearsal(project, stack), scenario)
    console.print(recovery.summary(report))
    if report.wrong is not None:
        raise RehearsalError(report.wrong)


@app.command()
def tools() -> None:
    """Build what is missing of the tools, and say where each one is."""
    table = Table("tool", "path", show_edge=False, pad_edge=False)
    for name, path in ensure(*ToolSet, console=console).items():
        table.add_row(name, str(path))
    console.print(table)


def _leave(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def _rehearsal(project: Path, stack: str) -> Rehearsal:
    return Rehearsal(Project(project.resolve()), stack, console)


def main() -> None:
    """Run the command line; what a person can mend is printed as it is, in a line and without a traceback, with exit code 1, or 2
    where the command line is wrong."""
    try:
        code = app(standalone_mode=False, prog_name=app.info.name)
        if code == INTERRUPTED:
            _complain("interrupted: what was done is kept, and the next `rehearse up` goes on from there.")
        sys.exit(code)
    except TyperException as error:
        if message := " ".join(
            error.format_message().split()
        ):  # none where nothing was typed, and the help was shown
            _complain(f"error: {message}")
        sys.exit(2)
    except RehearsalError as error:
        _complain(f"error: {error}")
        sys.exit(1)


def _complain(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)
