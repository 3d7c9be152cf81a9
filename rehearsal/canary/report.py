"""What a rehearsed canary comes to, for a person."""

from rich.table import Table

from rehearsal.canary.faults import DESCRIPTIONS, EXPECTED, Fault, expected_weights
from rehearsal.canary.run import Story


def summary(story: Story) -> Table:
    """A short table: what went wrong, how it ended and why, how fast, and what it cost."""
    shares = " → ".join(map(str, expected_weights(story.fault, story.switch)))
    wanted = f"{EXPECTED[story.fault]} by {shares} %"
    verdict = "[green]as expected[/]" if story.as_expected else f"[red]expected: {wanted}[/]"
    began = f", from {story.fault_at:.0f} s on" if story.fault_at is not None else ", which never began"
    table = Table(
        title=f"\n{story.version} to {story.slot}: {story.ending}, {verdict}",
        title_justify="left",
        show_header=False,
        show_edge=False,
        pad_edge=False,
    )
    table.add_column(style="cyan")
    table.add_column(overflow="fold")
    table.add_row(
        "fault", f"{story.fault}: {DESCRIPTIONS[story.fault]}{'' if story.fault is Fault.NONE else began}"
    )
    table.add_row("the driver's reason", story.driver_says.why)
    table.add_row(
        "weight of the new slot", " → ".join(f"{weight} % ({at:.0f} s)" for at, weight in story.weights)
    )
    if story.bad_for_seconds is not None:
        table.add_row(
            "first bad sample to old slot",
            f"{story.bad_for_seconds:.1f} s, with a scrape every {story.scrape_seconds:g} s "
            f"and an evaluation every {story.evaluation_seconds:g} s",
        )
    table.add_row("error budget", _budget(story))
    table.add_row("took", f"{story.took_seconds:.0f} s, bake times and limits ÷ {story.speed}")
    table.add_row("picture", str(story.picture))
    return table


def _budget(story: Story) -> str:
    spent = f"{story.failed_requests:.0f} requests failed, {story.outage_seconds:.2f} s of a total outage"
    if story.budget_share is not None:
        spent += f": {story.budget_share * 100:.2g} % of 30 days' budget"
    journal = story.driver_says
    allowed = (
        ""
        if journal.allowed_seconds is None
        else f" of {journal.allowed_seconds:.1f} s that a canary may spend"
    )
    return f"{spent}; by the driver's books {journal.spent_seconds:.2f} s{allowed}"
