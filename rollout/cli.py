"""`rollout`: a release from the idle slot to all traffic, watched all the way, and back by itself when it breaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from operations.rollout.actions import Outcome
from operations.rollout.events import Pause, Resume, Rollback
from operations.rollout.plan import INTERVAL
from rollout import command_line, ending, report
from rollout.command_line import Picture, Program, Who, WorkDir, program_of, said, who_of
from rollout.desk import Desk
from rollout.handover import is_alive
from rollout.record import Command, Lease
from rollout.view import headline, line_of

app = typer.Typer(
    name="rollout",
    cls=command_line.Commands,
    help=__doc__,
    epilog=(
        "Exit codes: 0 the command did what it says, 1 it was refused or failed, 2 the command line is wrong, "
        "3 `start` or `resume`: the rollout was taken back. A driver that is interrupted or killed leaves the weights as they are: "
        "`rollout resume` goes on, on any machine."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Stack = Annotated[str, typer.Option("--stack", "-s", help="The stack: Pulumi.<stack>.yaml must exist.")]
PrometheusUrl = Annotated[
    str,
    typer.Option(
        "--prometheus",
        help="The environment's Prometheus: kubectl -n monitoring port-forward service/prometheus 9090",
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; the journal keeps it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, to standard output.")]
LOCALLY: Final = "http://localhost:9090"

WRONG: Final = 2
"""The exit code of a command line that is wrong."""


@app.command()
def start(
    stack: Stack,
    version: Annotated[str, typer.Option("--version", help="What shall run, such as v2.4.0.")],
    change: Annotated[
        str | None,
        typer.Option(
            "--change",
            help="The change request that brings it, such as CHG0030042: where the gate is cab, and nowhere else.",
        ),
    ] = None,
    who: Who = "",
    why: Annotated[str, typer.Option("--why", help="Why; the journal keeps it.")] = "",
    prometheus: PrometheusUrl = LOCALLY,
    work_dir: WorkDir = Path(),
    program: Program = None,
    speed: Annotated[int, command_line.speed()] = 1,
    interval: Annotated[float, command_line.interval()] = INTERVAL.total_seconds(),
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """Take a version to the idle slot and up the ladder; come back by itself when the gates fail."""
    wanted, asking = ending.version_of(version), who_of(who)
    ending.refuse_nowhere(picture)
    desk = _desk(stack, work_dir, program, prometheus)
    with ending.view(as_json) as view:
        ended = desk.begin(
            wanted,
            asking,
            said("--why", why or f"release of {wanted}"),
            view,
            speed,
            timedelta(seconds=interval),
            change,
        )
    raise typer.Exit(ending.end(desk, ended, picture, as_json=as_json, wanted=Outcome.COMPLETED))


@app.command()
def resume(
    stack: Stack,
    who: Who = "",
    prometheus: PrometheusUrl = LOCALLY,
    work_dir: WorkDir = Path(),
    program: Program = None,
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """Go on after a pause; or where the driver is dead, become it and go on from where it was."""
    desk = _desk(stack, work_dir, program, prometheus)
    command = Resume(at=_now(), who=who_of(who))
    _take_over(desk, command, picture, as_json=as_json, wanted=Outcome.COMPLETED)


@app.command()
def rollback(
    stack: Stack,
    reason: Reason,
    who: Who = "",
    prometheus: PrometheusUrl = LOCALLY,
    work_dir: WorkDir = Path(),
    program: Program = None,
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """Give all traffic back to the old slot: now, or after the end as long as the old slot is as it was left."""
    desk = _desk(stack, work_dir, program, prometheus)
    command = Rollback(at=_now(), who=who_of(who), reason=said("--reason", reason))
    _take_over(desk, command, picture, as_json=as_json, wanted=Outcome.ROLLED_BACK)


@app.command()
def pause(
    stack: Stack, reason: Reason, who: Who = "", work_dir: WorkDir = Path(), as_json: Json = False
) -> None:
    """Stay at the weights in force; what fails is still taken back."""
    command = Pause(at=_now(), who=who_of(who), reason=said("--reason", reason))
    _tell(_desk(stack, work_dir), command, as_json=as_json)


@app.command()
def promote(
    stack: Stack, reason: Reason, who: Who = "", work_dir: WorkDir = Path(), as_json: Json = False
) -> None:
    """Go on to the next phase without the rest of this one's bake."""
    desk = _desk(stack, work_dir)
    _tell(desk, desk.promotion(who_of(who), said("--reason", reason)), as_json=as_json)


@app.command()
def status(stack: Stack, work_dir: WorkDir = Path(), as_json: Json = False) -> None:
    """Say where the rollout is, who drives it, and what was decided and why."""
    record = _desk(stack, work_dir).journal.read()
    if as_json:
        ending.print_json(report.status(stack, record, _now()))
        return
    console = ending.console()
    if record is None:
        console.print(f"There was no rollout of '{stack}' yet.")
        return
    console.print(headline(record.state, _now()))
    if record.lease is not None:
        dead = "" if is_alive(record.lease, _now()) else f" [red](dead: rollout resume --stack {stack})[/]"
        console.print(f"driven by {record.lease.holder}{dead}")
    elif not record.ended:
        console.print(f"[red]nobody drives it[/]: rollout resume --stack {stack}")
    for entry in record.state.history:
        console.print(line_of(entry), soft_wrap=True)
    console.print(report.summary(record), markup=False)


@app.command(name="draw")
def draw_(stack: Stack, work_dir: WorkDir = Path(), picture: Picture = None) -> None:
    """Draw the latest rollout from its journal: weights, error rate and latency, and the decisions."""
    desk = _desk(stack, work_dir)
    ending.console().print(ending.draw_into(desk, ending.latest(desk), picture), soft_wrap=True)


def _desk(stack: str, work_dir: Path, program: Path | None = None, prometheus: str = LOCALLY) -> Desk:
    return Desk(stack, work_dir.resolve(), program_of(program), prometheus)


def _tell(desk: Desk, command: Command, *, as_json: bool) -> None:
    _told(command.kind, desk.tell(command, ending.view(as_json).says), as_json=as_json)


def _told(command: str, driver: Lease, *, as_json: bool) -> None:
    if as_json:
        ending.print_json({"command": command, "told": driver.model_dump(mode="json", by_alias=True)})
    else:
        ending.console().print(f"{command}: {driver.holder} has heard it.", markup=False, soft_wrap=True)


def _take_over(
    desk: Desk, command: Resume | Rollback, picture: Path | None, *, as_json: bool, wanted: Outcome
) -> None:
    """Tell the driver that lives, and wait until it has heard it; where none does, be it to the end."""
    ending.refuse_nowhere(picture)
    with ending.view(as_json) as view:
        ended = desk.take_over(command, view)
    if isinstance(ended, Lease):
        _told(command.kind, ended, as_json=as_json)
    else:
        raise typer.Exit(ending.end(desk, ended, picture, as_json=as_json, wanted=wanted))


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> None:
    """Run the command line; what a person can mend is printed as it is, without a traceback."""
    command_line.run(app, interrupted=f"{ending.LEFT}. `rollout resume` goes on.", wrong=WRONG)
