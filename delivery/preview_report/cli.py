"""`preview-report`: what a change would do to each stack, so that a reviewer knows it in half a minute."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from delivery.command import run
from delivery.errors import DeliveryError
from delivery.github import GitHub, PullRequestComment
from delivery.preview_report import reader
from operations.environments import EnvironmentName
from operations.preview.comment import MARKER, OPERATIONS, cells, markdown, warnings
from operations.preview.digest import Digest
from rollout.command_line import FAILED, Program, WorkDir, program_of, whole

app = typer.Typer(
    name="preview-report",
    help=__doc__,
    epilog=(
        "Exit codes: 0 done; 1 the preview failed or a guardrail refuses it, which the digest tells, or the command line is "
        "wrong. Of values, only versions, weights, counts and sizes are told."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Stack = Annotated[EnvironmentName, typer.Option("--stack", "-s", help="The stack.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where the digest goes.", dir_okay=False)]
Digests = Annotated[
    list[Path], typer.Argument(help="Digests, one for each stack.", exists=True, dir_okay=False)
]


@app.command()
def take(
    stack: Stack,
    out: Out,
    work_dir: WorkDir = Path(),
    program: Program = None,
) -> None:
    """Preview a stack, with the guardrails, and write the digest."""
    _write(reader.take(stack, work_dir.resolve(), program_of(program)), out)


@app.command()
def read(
    events: Annotated[
        Path, typer.Argument(help="What `rehearse preview --events` wrote.", exists=True, dir_okay=False)
    ],
    stack: Stack,
    out: Out,
) -> None:
    """Write the digest of a preview that was made elsewhere."""
    _write(reader.read(stack, events), out)


@app.command()
def show(
    files: Digests,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print what the comment says.")] = False,
) -> None:
    """Print what was found."""
    digests = _digests(files)
    if as_markdown:
        sys.stdout.write(markdown(digests))
        return
    console = Console(highlight=False)
    table = Table("stack", *OPERATIONS, "release", "monthly cost", "look at")
    for digest in digests:
        table.add_row(*cells(digest))
    console.print(table)
    for digest in digests:
        for line in warnings(digest):
            console.print(line, markup=False, soft_wrap=True)


@app.command()
def comment(
    files: Digests,
    pull_request: Annotated[
        int,
        typer.Option("--pull-request", parser=whole("--pull-request"), metavar="INTEGER", help="Its number."),
    ],
) -> None:
    """Write the one comment on a pull request, or rewrite it, with GITHUB_TOKEN in GITHUB_REPOSITORY."""
    text = markdown(_digests(files))
    done = PullRequestComment(GitHub.of_this_run(), pull_request, MARKER).say(text)
    sys.stdout.write(f"The comment on #{pull_request}: {done}.\n")


def _write(digest: Digest, out: Path) -> None:
    out.write_text(digest.model_dump_json(indent=2, by_alias=True) + "\n")
    for line in warnings(digest):
        sys.stderr.write(f"{line}\n")
    if digest.is_red:
        raise typer.Exit(FAILED)


def _digests(files: list[Path]) -> list[Digest]:
    found: dict[EnvironmentName, Digest] = {}
    for file in files:
        try:
            digest = Digest.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise DeliveryError(f"{file} is not a digest: `preview-report take` writes one") from error
        if digest.stack in found:
            raise DeliveryError(f"{file} is a second digest of {digest.stack}: give one for each stack")
        found[digest.stack] = digest
    return list(found.values())


def main() -> None:
    """Run the command line."""
    run(app)
