"""How fast an error budget may be spent before somebody hears of it: multi-window, multi-burn-rate alerts.

An alert fires while both its windows burn faster than its rate: the long one says that it matters, the short one that
it still goes on. Source: https://sre.google/workbook/alerting-on-slos/, "Multiwindow, Multi-Burn-Rate Alerts".
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from operations.environments import BUDGET_WINDOW
from operations.priorities import Priority


def allowed_error_ratio(sla: float) -> float:
    """Return the ratio of requests that may fail under an SLA.

    Args:
        sla: availability in percent, above 0 and below 100.
    """
    # 100 - 99.99 is 0.010000000000005: to nine digits it is what a person would write.
    return float(f"{(100 - sla) / 100:.9g}")


@dataclass(frozen=True)
class BurnRate:
    """A rate of spending the error budget, and who hears of it."""

    name: str
    """As the alert's label `burn_rate` says it."""
    factor: float
    """Times the rate that spends the whole budget in exactly its window."""
    long: timedelta
    short: timedelta
    priority: Priority

    @property
    def spent(self) -> float:
        """The share of the budget that is gone when the long window has burned at this rate: 0.02 is 2 %."""
        return self.factor * (self.long / BUDGET_WINDOW)

    @property
    def lasts(self) -> timedelta:
        """How long a whole budget lasts at this rate."""
        return BUDGET_WINDOW / self.factor

    def error_ratio(self, sla: float) -> float:
        """The ratio of failed requests above which an SLA's budget burns at this rate.

        From 1 on it is out of reach: no more than all requests fail.

        Args:
            sla: availability in percent, above 0 and below 100.
        """
        return float(f"{self.factor * allowed_error_ratio(sla):.9g}")

    def can_fire(self, sla: float) -> bool:
        """Whether requests can fail that often at all."""
        return self.error_ratio(sla) < 1


BURN_RATES: Final = (
    BurnRate("fastest", 14.4, timedelta(hours=1), timedelta(minutes=5), Priority.P1),
    BurnRate("fast", 6, timedelta(hours=6), timedelta(minutes=30), Priority.P2),
    BurnRate("slow", 3, timedelta(days=1), timedelta(hours=2), Priority.P3),
    BurnRate("slowest", 1, timedelta(days=3), timedelta(hours=6), Priority.P4),
)
"""The workbook's four rates, one for each priority of the page's routing: 2 % of the budget in an hour calls somebody
at once, 10 % in three days is for the week's review."""

LONGEST_WINDOW: Final = max(rate.long for rate in BURN_RATES)
"""What Prometheus has to remember for the alerts' sake."""


def burn_rates(sla: float | None) -> tuple[BurnRate, ...]:
    """Return the rates that are watched for an SLA in percent: none without one, and none that can never fire."""
    return tuple(rate for rate in BURN_RATES if sla is not None and rate.can_fire(sla))
