"""`environments`: the five environments side by side, from Pulumi.yaml and the stack files alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from operations.facts import EnvironmentFacts
from reference.environments import Section, sections
from reference.errors import StackFileError
from reference.markdown import environments_table
from reference.stack_files import StackFiles

WIDTH: Final = 120
"""Characters of a line where nobody says how many there are."""

app = typer.Typer(
    name="environments",
    help=__doc__,
    epilog=(
        "A stack file with faults is left out: its faults follow the table of the others, and the exit code is 1. "
        "Nothing is asked of Pulumi or AWS, and no secret is read."
    ),
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def environments(
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print it for a document.")] = False,
    work_dir: Annotated[
        Path,
        typer.Option("--work-dir", help="The folder with Pulumi.yaml and the stack files.", file_okay=False),
    ] = Path(),
) -> None:
    """Say what each environment promises, runs, keeps and accepts."""
    facts, refusals = StackFiles(work_dir.resolve()).all_facts()
    if facts and as_markdown:
        sys.stdout.write(environments_table(facts, sections(facts)))
    elif facts:
        console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
        console.print(_table(facts, sections(facts)))
    for refusal in refusals:
        complain(str(refusal))
    if refusals:
        raise typer.Exit(1)


def _table(facts: Sequence[EnvironmentFacts], told: Sequence[Section]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(overflow="fold")
    for one in facts:
        table.add_column(one.name)
    for section in told:
        table.add_row(f"[bold]{section.title}")
        for row in section.rows:
            table.add_row(f"  {row.label}", *row.cells)
        table.add_section()
    return table


def main() -> None:
    """Run the command line; what a person can mend is printed as it is, without a traceback, with exit code 1."""
    try:
        app()
    except StackFileError as error:
        complain(str(error))
        sys.exit(1)


def complain(message: str) -> None:
    """Print what a person has to mend."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"error: {message}", markup=False)
