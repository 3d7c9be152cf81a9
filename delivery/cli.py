"""`drift`: where a stack differs from what Git declares, and the one issue that says so, or that nobody could tell."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from delivery.command import run
from delivery.errors import DeliveryError
from delivery.github import GitHub, GitHubIssues, Issues
from delivery.preview import look
from operations.drift import Drift, Finding, StateCopy, Unknown, actions, markdown, summary
from operations.environments import EnvironmentName
from rollout.command_line import Program, WorkDir, program_of

QUIET: Final = 0
DRIFT: Final = 2


class Form(Enum):
    """How drift is told."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


app = typer.Typer(
    name="drift",
    help=__doc__,
    epilog=(
        "Exit codes: 0 nothing differs, 2 something differs or the state is not copied, 1 it could not be told or the command line is wrong. "
        "Only resources and properties are named, never a value. Nothing is changed, and no lock is taken."
    ),
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def drift(
    context: typer.Context,
    stack: Annotated[
        EnvironmentName | None, typer.Option("--stack", "-s", help="The stack to look at.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as `drift report` reads it.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print what the issue would say.")] = False,
    copied: Annotated[
        str | None,
        typer.Option(
            metavar="'TIME STATUS'",
            help="LastModified and ReplicationStatus of the stack's state, as `aws s3api head-object` prints them. "
            "Without it nothing is said of the state's copy in the other region.",
        ),
    ] = None,
    work_dir: WorkDir = Path(),
    program: Program = None,
) -> None:
    """Read what is there, preview, and say what differs from Git."""
    if context.invoked_subcommand is not None:
        return
    if stack is None:
        raise DeliveryError("which stack? name it with --stack")
    if as_json and as_markdown:
        raise DeliveryError("--json and --markdown are two forms of one answer: choose one")
    form = Form.JSON if as_json else Form.MARKDOWN if as_markdown else Form.TABLE
    state = None if copied is None else _copy(copied)
    found = look(stack, work_dir.resolve(), program_of(program)).model_copy(update={"copied": state})
    _show(found, form)
    raise typer.Exit(QUIET if found.is_quiet else DRIFT)


@app.command()
def report(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Holds live.json, which `drift --stack live --json` printed, and so on. "
            "A stack without its file is told to be one that could not be looked at.",
            exists=True,
            file_okay=False,
        ),
    ],
    log: Annotated[
        str, typer.Option("--log", help="Address of the log that says why one could not be looked at.")
    ],
) -> None:
    """Open each stack's issue, rewrite it or close it, with GITHUB_TOKEN in GITHUB_REPOSITORY."""
    issues = GitHubIssues(GitHub.of_this_run())
    refused: list[str] = []
    for stack in EnvironmentName:
        try:
            settle(_found(folder / f"{stack}.json", stack, log), issues)
        except DeliveryError as error:  # what is wrong with one issue says nothing of the next
            refused.append(str(error))
    if refused:
        raise DeliveryError("\n".join(refused))


def settle(found: Finding, issues: Issues) -> None:
    """Bring the issues in line with what was found, and say what was done.

    Raises:
        DeliveryError: GitHub refused.
    """
    done = actions(found, issues.titled(found.title))
    for action in done:
        issues.do(action)
    said = ", ".join(type(action).__name__.lower() for action in done) or "no change"
    sys.stdout.write(f"{summary(found)} Issue '{found.title}': {said}.\n")


def _copy(told: str) -> StateCopy:
    try:
        return StateCopy.told(told, datetime.now(UTC))
    except ValueError as error:
        raise DeliveryError(
            f"--copied = {told!r}: allowed is what `aws s3api head-object` prints of '[LastModified,ReplicationStatus]' as text"
        ) from error


def _found(file: Path, stack: EnvironmentName, log: str) -> Finding:
    """Return what was found of a stack: nothing is known where the file is missing, of another stack or something else."""
    if not file.is_file():
        return Unknown(stack, log)
    try:
        found = Drift.model_validate_json(file.read_bytes())
    except ValidationError:
        found = None
    if found is None or found.stack is not stack:
        sys.stdout.write(f"{file} is not what `drift --stack {stack} --json` prints.\n")
        return Unknown(stack, log)
    return found


def _show(found: Drift, form: Form) -> None:
    match form:
        case Form.JSON:
            sys.stdout.write(found.model_dump_json(indent=2, by_alias=True) + "\n")
        case Form.MARKDOWN:
            sys.stdout.write(markdown(found))
        case Form.TABLE:
            console = Console(highlight=False)
            console.print(summary(found))
            if found.differences:
                console.print(_table(found))


def _table(found: Drift) -> Table:
    table = Table("an update would", "type", "resource", "properties", "changed")
    for difference in found.differences:
        table.add_row(
            difference.operation,
            difference.type,
            difference.name,
            ", ".join(difference.properties),
            difference.cause,
        )
    return table


def main() -> None:
    """Run the command line. Exit code 2 is drift and nothing else: a wrong command line is 1, like all that fails."""
    run(app)
