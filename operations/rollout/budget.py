"""How much of an environment's error budget one canary may spend."""

from datetime import timedelta
from typing import Final

from operations.environments import error_budget
from operations.slots import WHOLE

CANARY_SHARE: Final = 0.05
"""The part of 30 days' budget that one canary may spend. At 99.99 % that is 13 s of a total outage. A canary that stays
just below the page's warning, 0.5 % of requests, through all phases spends 11.5 s and passes; one that goes on above it
does not. Twenty releases in 30 days could spend it all, so even those that are taken back leave room for incidents."""


def allowance(sla: float | None) -> timedelta | None:
    """Return what one canary may spend, as time of a total outage; None where nothing is promised.

    Args:
        sla: availability in percent, above 0 and below 100.

    Raises:
        ValueError: the SLA is not in that range.
    """
    return None if sla is None else error_budget(sla) * CANARY_SHARE


def spending(weight: int, error_rate: float, span: timedelta) -> timedelta:
    """Return what a canary spends, as time of a total outage.

    Args:
        weight: its share of all requests in percent, 0 to 100.
        error_rate: the ratio of its requests that fail, 0 to 1.
        span: for how long.
    """
    return span * (weight / WHOLE * error_rate)
