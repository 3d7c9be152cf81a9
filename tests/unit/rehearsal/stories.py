"""What a rehearsed canary came to, for tests of what is made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rehearsal.canary.driver import Journal
from rehearsal.canary.faults import Ending, Fault, Switch
from rehearsal.canary.run import Story


def story(**changes: Any) -> Story:
    """The canary of a service that nothing reached, taken back, with other fields where a test says so."""
    told = Story(
        fault=Fault.NO_TRAFFIC,
        fault_at=0.0,
        speed=60,
        switch=Switch.LADDER,
        slot="green",
        version="v2.5.0",
        ending=Ending.ROLLED_BACK,
        driver_says=Journal(
            outcome="rolled-back",
            version="v2.5.0",
            going_back=True,
            why="nothing to judge [5 %]",
            spent_seconds=0.1,
            allowed_seconds=13,
        ),
        weights=[(0, 0), (10.2, 5), (30.7, 0)],
        bad_for_seconds=2.5,
        scrape_seconds=0.5,
        evaluation_seconds=2,
        failed_requests=7,
        outage_seconds=0.5,
        failing=0.15,
        budget_seconds=259.2,
        took_seconds=61,
        picture=Path("no-traffic.svg"),
    )
    return replace(told, **changes)
