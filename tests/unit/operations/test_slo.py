"""Burn rates: the workbook's four, what each means for an SLA, and none that can never fire."""

from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.environments import BUDGET_WINDOW, error_budget
from operations.slo import BURN_RATES, LONGEST_WINDOW, BurnRate, allowed_error_ratio, burn_rates

SLAS: Final = (
    st.floats(0, 100, exclude_min=True, exclude_max=True, allow_subnormal=False)
    .map(lambda sla: round(sla, 6))
    .filter(lambda sla: 0 < sla < 100)
)
"""Percentages as people write them: with six digits after the point at most."""


def test_the_workbooks_four_rates_one_for_each_priority() -> None:
    rates = [(rate.name, rate.factor, rate.long, rate.short, rate.priority) for rate in BURN_RATES]
    assert rates == [
        ("fastest", 14.4, timedelta(hours=1), timedelta(minutes=5), "P1"),
        ("fast", 6, timedelta(hours=6), timedelta(minutes=30), "P2"),
        ("slow", 3, timedelta(days=1), timedelta(hours=2), "P3"),
        ("slowest", 1, timedelta(days=3), timedelta(hours=6), "P4"),
    ]


def test_the_budget_that_is_spent_when_an_alert_fires() -> None:
    assert [round(rate.spent, 12) for rate in BURN_RATES] == [0.02, 0.05, 0.10, 0.10]


def test_how_long_a_whole_budget_lasts() -> None:
    assert [rate.lasts for rate in BURN_RATES] == [
        timedelta(hours=50),
        timedelta(days=5),
        timedelta(days=10),
        timedelta(days=30),
    ]


@pytest.mark.parametrize(
    ("sla", "ratios"),
    [
        (95, [0.72, 0.3, 0.15, 0.05]),
        (99, [0.144, 0.06, 0.03, 0.01]),
        (99.9, [0.0144, 0.006, 0.003, 0.001]),
        (99.99, [0.00144, 0.0006, 0.0003, 0.0001]),
        (99.999, [0.000144, 0.00006, 0.00003, 0.00001]),
    ],
)
def test_the_error_ratio_above_which_a_budget_burns_at_each_rate(sla: float, ratios: list[float]) -> None:
    assert [rate.error_ratio(sla) for rate in BURN_RATES] == ratios


@pytest.mark.parametrize(("sla", "allowed"), [(95, 0.05), (99, 0.01), (99.9, 0.001), (99.99, 0.0001)])
def test_the_ratio_that_an_sla_allows_has_no_dust_on_it(sla: float, allowed: float) -> None:
    assert allowed_error_ratio(sla) == allowed


def test_nothing_is_watched_where_nothing_is_promised() -> None:
    assert burn_rates(None) == ()


@pytest.mark.parametrize("sla", [95, 99, 99.9, 99.99])
def test_every_promise_of_the_page_is_watched_at_every_rate(sla: float) -> None:
    assert burn_rates(sla) == BURN_RATES


@pytest.mark.parametrize(
    ("sla", "names"),
    [
        (93.1, ["fastest", "fast", "slow", "slowest"]),
        (93, ["fast", "slow", "slowest"]),
        (84, ["fast", "slow", "slowest"]),
        (83, ["slow", "slowest"]),
        (66, ["slowest"]),
        (0.1, ["slowest"]),
    ],
)
def test_a_rate_that_takes_more_failures_than_there_are_requests_is_left_out(
    sla: float, names: list[str]
) -> None:
    assert [rate.name for rate in burn_rates(sla)] == names


def test_a_rate_that_takes_every_request_to_fail_can_never_be_exceeded() -> None:
    half = BurnRate("half", 2, timedelta(hours=1), timedelta(minutes=5), BURN_RATES[0].priority)
    assert half.error_ratio(50) == 1
    assert not half.can_fire(50)
    assert half.can_fire(50.1)


def test_prometheus_has_to_remember_three_days() -> None:
    assert timedelta(days=3) == LONGEST_WINDOW


@given(SLAS)
def test_a_watched_rate_is_within_reach_and_never_fires_on_a_flawless_day(sla: float) -> None:
    for rate in burn_rates(sla):
        assert 0 < rate.error_ratio(sla) < 1


@given(SLAS)
def test_whoever_hears_of_it_first_is_told_of_the_fastest_burn(sla: float) -> None:
    ratios = [rate.error_ratio(sla) for rate in BURN_RATES]
    assert ratios == sorted(ratios, reverse=True)
    assert [rate.priority for rate in burn_rates(sla)] == sorted(rate.priority for rate in burn_rates(sla))


@given(SLAS, st.sampled_from(BURN_RATES))
def test_the_share_spent_is_the_time_that_all_requests_would_have_failed(sla: float, rate: BurnRate) -> None:
    spent = rate.long * rate.error_ratio(sla)
    assert spent / error_budget(sla) == pytest.approx(rate.spent, rel=1e-6)


@given(SLAS, st.sampled_from(BURN_RATES))
def test_a_budget_lasts_as_long_as_its_rate_says(sla: float, rate: BurnRate) -> None:
    failed = rate.lasts * rate.error_ratio(sla)
    assert failed / error_budget(sla) == pytest.approx(1, rel=1e-6)
    assert rate.lasts <= BUDGET_WINDOW


@pytest.mark.parametrize("rate", BURN_RATES, ids=lambda rate: rate.name)
def test_the_short_window_is_a_twelfth_of_the_long_one(rate: BurnRate) -> None:
    """As the workbook advises: it resets the alert soon after the burn has ended."""
    assert rate.long / rate.short == 12
