"""`deploy`: a version, or the infrastructure, to an environment through its door; and the record of it in Git."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from delivery.command import run as run_command
from delivery.deploy import summary
from delivery.deploy.deployment import Deployment, Pace
from delivery.deploy.recording import record as record_in
from delivery.deploy.repository import Repository
from delivery.errors import DeliveryError
from delivery.github import GitHub
from operations.delivery import Nothing, Refused, Resume, Start
from operations.environments import EnvironmentName
from operations.rollout.plan import INTERVAL
from rollout import command_line, ending
from rollout.command_line import Picture, Program, Who, WorkDir, program_of, who_of
from rollout.desk import Desk
from rollout.errors import RolloutError

INTERRUPTED: Final = f"{ending.LEFT}; the same command again goes on"

app = typer.Typer(
    name="deploy",
    help=__doc__,
    epilog=(
        "Exit codes: 0 done, or nothing to do; 1 refused or failed, the message says why, or the command line is wrong; "
        "3 the rollout was taken back, 130 interrupted. A rollout that is interrupted or killed leaves the weights as they are: the same "
        "command again goes on with it, on any machine."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Stack = Annotated[EnvironmentName, typer.Option("--stack", "-s", help="The environment.")]
Version = Annotated[
    str,
    typer.Option("--version", help="What shall run, such as v2.4.0; without it, the infrastructure alone."),
]
Change = Annotated[
    str, typer.Option("--change", help="The number of the change request, such as CHG0030042: in live.")
]


@app.command()
def run(
    stack: Stack,
    version: Version = "",
    change: Change = "",
    who: Who = "",
    prometheus: Annotated[
        str,
        typer.Option(
            "--prometheus",
            envvar="DEPLOY_PROMETHEUS",
            help="The environment's Prometheus; without it, a way there is kept open by kubectl.",
        ),
    ] = "",
    work_dir: WorkDir = Path(),
    program: Program = None,
    picture: Picture = None,
    speed: Annotated[int, command_line.speed("DEPLOY_SPEED")] = 1,
    interval: Annotated[float, command_line.interval("DEPLOY_INTERVAL")] = INTERVAL.total_seconds(),
) -> None:
    """Deploy. What is under way to the same version, under the same change request, is gone on with."""
    deployment = _deployment(stack, change, who, prometheus, work_dir, program)
    try:
        if version:
            ending.refuse_nowhere(picture)
            pace = Pace(speed, timedelta(seconds=interval))
            raise typer.Exit(deployment.release(ending.version_of(version), pace, picture))
        deployment.infrastructure()
    except (DeliveryError, RolloutError) as error:
        summary.leave(summary.of_failure(stack, str(error)))
        raise


@app.command()
def check(
    stack: Stack,
    version: Version = "",
    change: Change = "",
    work_dir: WorkDir = Path(),
    program: Program = None,
) -> None:
    """Say what `run` would do, and do nothing."""
    deployment = _deployment(stack, change, "", "", work_dir, program)
    match deployment.decide(ending.version_of(version) if version else None):
        case Refused(reason):
            raise DeliveryError(reason)
        case Nothing(reason):
            said = f"{reason}: nothing to do"
        case Start():
            said = f"a rollout of {version} to {stack} would start"
        case Resume():
            said = f"the rollout of {version} to {stack} would be gone on with"
        case _:
            said = f"the infrastructure of {stack} would be brought in line with Git"
    sys.stdout.write(f"{said}.\n")


@app.command()
def record(
    stack: Stack,
    file: Annotated[
        Path,
        typer.Option("--file", help="The stack file as `run` left it.", exists=True, dir_okay=False),
    ],
) -> None:
    """Commit the release and the change requests of a stack file to the default branch, with GITHUB_TOKEN."""
    sys.stdout.write(f"{record_in(stack, file, Repository(GitHub.of_this_run()))}\n")


def _deployment(
    stack: EnvironmentName, change: str, who: str, prometheus: str, work_dir: Path, program: Path | None
) -> Deployment:
    console = Console(highlight=False)
    return Deployment(
        desk=Desk(stack, work_dir.resolve(), program_of(program), prometheus),
        who=who_of(who),
        change=change or None,
        say=lambda line: console.print(line, markup=False, soft_wrap=True),
    )


def main() -> None:
    """Run the command line."""
    run_command(app, INTERRUPTED)
