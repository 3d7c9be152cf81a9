"""Moves of weights that are allowed, and the share of the error budget that a canary may spend."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.release import Switch
from operations.rollout.budget import allowance, spending
from operations.rollout.guard import allowed_moves, refusal_of_move, shared
from operations.slots import Slot


def refusal(now: int, then: int, switch: Switch = Switch.LADDER, stable: Slot = Slot.BLUE) -> str | None:
    """Of a move of the new slot's weight."""
    return refusal_of_move(shared(stable.other, now), shared(stable.other, then), stable, switch)


def test_from_5_to_50_percent_is_refused_and_the_refusal_says_what_is_allowed() -> None:
    assert refusal(5, 50) == (
        "the weight of green may not move from 5 % to 50 % (switch: ladder); "
        "allowed from 5 %: 0 % (back to blue) or 25 % (the next phase)"
    )


def test_a_release_that_is_complete_goes_back_at_once_and_one_that_begins_does_not_complete_at_once() -> None:
    assert refusal(100, 0) is None
    assert refusal(0, 100) == (
        "the weight of green may not move from 0 % to 100 % (switch: ladder); "
        "allowed from 0 %: 5 % (the next phase)"
    )


@pytest.mark.parametrize("stable", Slot)
def test_on_the_ladder_weights_move_one_phase_up_or_all_the_way_back(stable: Slot) -> None:
    possible = {
        now: {then for then in range(101) if refusal(now, then, stable=stable) is None}
        for now in (0, 5, 25, 50, 100)
    }

    assert possible == {0: {0, 5}, 5: {0, 5, 25}, 25: {0, 25, 50}, 50: {0, 50, 100}, 100: {0, 100}}


@pytest.mark.parametrize("stable", Slot)
def test_where_traffic_switches_at_once_it_is_never_shared(stable: Slot) -> None:
    possible = {
        now: {then for then in range(101) if refusal(now, then, Switch.AT_ONCE, stable) is None}
        for now in (0, 100)
    }

    assert possible == {0: {0, 100}, 100: {0, 100}}
    assert allowed_moves(shared(stable.other, 100), stable, Switch.AT_ONCE) == (shared(stable, 100),)


@given(st.integers(1, 100), st.sampled_from(Slot), st.sampled_from(Switch))
def test_the_way_back_is_open_from_any_weights_also_from_those_that_somebody_typed_in(
    weight: int, stable: Slot, switch: Switch
) -> None:
    assert allowed_moves(shared(stable.other, weight), stable, switch)[0] == shared(stable, 100)


def test_from_weights_off_the_ladder_only_the_way_back_is_open() -> None:
    assert allowed_moves(shared(Slot.GREEN, 10), Slot.BLUE, Switch.LADDER) == (shared(Slot.BLUE, 100),)


def test_a_canary_may_spend_13_seconds_of_lives_budget_and_nothing_is_counted_without_an_sla() -> None:
    assert allowance(99.99) == timedelta(seconds=12.96)
    assert allowance(None) is None


def test_a_canary_spends_its_weight_times_its_error_rate_times_its_time() -> None:
    assert spending(5, 0.15, timedelta(minutes=15)) == timedelta(seconds=6.75)


def test_a_canary_just_below_every_warning_stays_within_its_share_in_live() -> None:
    spent = sum(
        (spending(weight, 0.005, timedelta(minutes=bake)) for weight, bake in ((5, 15), (25, 30), (50, 60))),
        timedelta(),
    )

    assert spent == timedelta(seconds=11.475)
