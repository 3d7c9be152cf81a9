"""The canary ladder (the operations page, "Canary Deployment")."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True)
class Phase:
    """One rung: the share of requests that the new slot receives, and how long it is watched there."""

    weight: int
    """Percent of requests to the new slot: 1 to 100."""
    bake: timedelta
    """How long the key metrics of the new slot must hold before the next phase; zero for the last."""


LADDER: Final = (
    Phase(5, timedelta(minutes=15)),
    Phase(25, timedelta(minutes=30)),
    Phase(50, timedelta(hours=1)),
    Phase(100, timedelta()),
)
"""From the first phase to the last; the page gives the last no time to watch, since the release is then complete."""
