"""What a drill comes to, for a person."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from rehearsal.recover.run import Report


def summary(report: Report) -> Table:
    """A table of the steps with the time that each took here, beside what is planned for AWS."""
    verdict = "[green]all came back[/]" if report.wrong is None else "[red]failed in its last step[/]"
    table = Table(
        title=f"\n{report.scenario} of {report.stack}: {verdict}",
        title_justify="left",
        caption="Here AWS is recorded and no container runs: what is planned for AWS is what an incident takes.",
        caption_justify="left",
        show_edge=False,
        pad_edge=False,
        show_footer=True,
    )
    table.add_column("step", "in all", overflow="fold")
    table.add_column("took here", f"{report.seconds:.1f} s", justify="right", no_wrap=True)
    table.add_column("planned on AWS", justify="right", no_wrap=True)
    for step in report.steps:
        table.add_row(escape(step.title), f"{step.seconds:.1f} s", step.promised)
    return table
