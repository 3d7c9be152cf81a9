"""Moves of weights that are allowed, and the share of the error budget that a canary may spend."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.ladder import LADDER
from operations.release import Release, SlotRelease, Standby, Switch
from operations.rollout.budget import allowance, spending
from operations.rollout.guard import Terms, allowed_moves, refusal
from operations.slots import Slot, Weights

TERMS = Terms(blue="v2.3.0", green="v2.4.0", stable=Slot.BLUE, switch=Switch.LADDER)
"""A release that goes from blue to green."""

RUNGS = (0, *(phase.weight for phase in LADDER))

terms = st.builds(
    Terms,
    blue=st.sampled_from(["v2.3.0", "v2.4.0", "v2.5.0"]),
    green=st.sampled_from(["v2.3.0", "v2.4.0", "v2.5.0"]),
    stable=st.sampled_from([None, *Slot]),
    switch=st.sampled_from(Switch),
)


def move(
    now: int, then: int, in_force: Terms | None = TERMS, asked: Terms | None = None, new: Slot = Slot.GREEN
) -> str | None:
    """What the guard says of a move of one slot's weight, by default without a change of anything else."""
    return refusal(Weights.giving(new, now), Weights.giving(new, then), in_force, asked or in_force or TERMS)


def possible(in_force: Terms, new: Slot) -> dict[int, set[int]]:
    """Where the weight of a slot may go from each rung."""
    return {
        now: {then for then in range(101) if move(now, then, in_force, new=new) is None}
        for now in (RUNGS if in_force.switch is Switch.LADDER else (0, 100))
    }


# --- moves, where nothing but weights changes ------------------------------------------------------------------------


def test_from_5_to_50_percent_is_refused_and_the_refusal_says_what_is_allowed() -> None:
    assert move(5, 50) == (
        "the weight of green may not move from 5 % to 50 % (switch: ladder); "
        "allowed from 5 %: 0 % (back to blue) or 25 % (the next phase)"
    )


@pytest.mark.parametrize("stable", Slot)
def test_on_the_ladder_weights_move_one_phase_up_or_all_the_way_back(stable: Slot) -> None:
    found = possible(replace(TERMS, stable=stable), stable.other)

    assert found == {0: {0, 5}, 5: {0, 5, 25}, 25: {0, 25, 50}, 50: {0, 50, 100}, 100: {0, 100}}


def test_one_that_begins_does_not_complete_at_once() -> None:
    assert (move(0, 100) or "").startswith(
        "the weight of green may not move from 0 % to 100 % (switch: ladder); "
        "allowed from 0 %: 5 % (the next phase)"
    )


def test_a_slot_that_has_served_takes_everything_back_from_100_percent_and_no_part_of_it() -> None:
    assert move(100, 0) is None
    assert move(100, 50) == (
        "the weight of blue may not move from 0 % to 50 % (switch: ladder); "
        "allowed from 0 %: 5 % (the next phase), or 100 % (back to blue)"
    )


def test_without_a_stable_slot_nothing_leads_back_from_100_percent_and_the_refusal_says_what_would() -> None:
    none = replace(TERMS, stable=None)
    assert "put `stable: v2.3.0` in force first, in an update that moves no weight" in (
        move(100, 0, none) or ""
    )
    named = replace(none, stable=Slot.BLUE)
    assert move(100, 100, none, named) is None
    assert move(100, 0, named) is None


@pytest.mark.parametrize("share", [5, 25])
def test_without_a_stable_slot_the_larger_share_is_the_way_back(share: int) -> None:
    none = replace(TERMS, stable=None)
    assert move(share, 0, none) is None
    assert move(share, 100, none) is not None


@pytest.mark.parametrize("stable", [None, *Slot])
def test_where_traffic_switches_at_once_it_is_never_shared(stable: Slot | None) -> None:
    at_once = replace(TERMS, stable=stable, switch=Switch.AT_ONCE)

    assert possible(at_once, Slot.GREEN) == {0: {0, 100}, 100: {0, 100}}


@given(st.integers(1, 99), st.sampled_from(Slot), st.sampled_from(Switch))
def test_the_way_back_is_open_from_any_weights_also_from_those_that_somebody_typed_in(
    weight: int, stable: Slot, switch: Switch
) -> None:
    in_force = replace(TERMS, stable=stable, switch=switch)

    assert move(weight, 0, in_force, new=stable.other) is None
    assert allowed_moves(Weights.giving(stable.other, weight), stable, switch)[0] == Weights.giving(
        stable, 100
    )


def test_from_weights_off_the_ladder_only_the_way_back_is_open() -> None:
    assert {then for then in range(101) if move(10, then) is None} == {0, 10}


# --- what else an edit may say ---------------------------------------------------------------------------------------


@given(terms, terms, st.sampled_from(RUNGS), st.integers(0, 100), st.sampled_from(Slot))
def test_nothing_that_an_edit_says_opens_a_move_that_is_closed_by_what_is_in_force(
    in_force: Terms, asked: Terms, now: int, then: int, new: Slot
) -> None:
    serving = Weights.giving(new, now)
    stable = {slot for slot in Slot if slot is in_force.stable or serving.of(slot) == 100}
    if in_force.stable is None and serving.idle is None:
        stable |= {slot for slot in Slot if serving.of(slot) >= 50}
    allowed = {move for slot in stable for move in allowed_moves(serving, slot, in_force.switch)}
    if (wanted := Weights.giving(new, then)) not in allowed | {serving}:
        assert refusal(serving, wanted, in_force, asked) is not None


@given(terms, terms, st.integers(1, 99), st.integers(0, 100))
def test_while_traffic_is_shared_nothing_but_weights_changes(
    in_force: Terms, asked: Terms, now: int, then: int
) -> None:
    if asked != in_force:
        assert move(now, then, in_force, asked) is not None


def test_a_checkout_that_is_behind_hears_what_is_in_force_and_where_to_take_it_from() -> None:
    behind = replace(TERMS, green="v2.2.0", stable=None)
    assert move(5, 0, TERMS, behind) == (
        "traffic is shared, blue 95 % and green 5 %, and until one slot has it all nothing but the weights may change: "
        "in force is green v2.4.0, stable v2.3.0; this stack file says green v2.2.0, stable none. "
        "Bring the file's release in line with `pulumi stack output release`, and try again"
    )


@pytest.mark.parametrize(
    "asked",
    [
        replace(TERMS, green="v2.5.0"),
        replace(TERMS, blue="v2.5.0"),
        replace(TERMS, stable=Slot.GREEN),
        replace(TERMS, stable=None),
        replace(TERMS, switch=Switch.AT_ONCE),
    ],
)
def test_on_the_ladder_weights_move_alone(asked: Terms) -> None:
    assert "weights move alone: beside this move belongs " in (move(0, 5, TERMS, asked) or "")
    assert move(0, 0, TERMS, asked) is None


def test_the_way_back_from_100_percent_leads_to_the_version_that_served_and_to_no_other() -> None:
    assert "belongs blue v2.3.0" in (move(100, 0, TERMS, replace(TERMS, blue="v2.5.0")) or "")
    assert "stable may not name v2.5.0, which comes to blue in this update and has served nobody" in (
        move(100, 100, TERMS, replace(TERMS, blue="v2.5.0")) or ""
    )
    assert move(100, 100, TERMS, replace(TERMS, blue="v2.5.0", stable=None)) is None
    assert move(100, 100, TERMS, replace(TERMS, blue="v2.5.0", stable=Slot.GREEN)) is None


def test_a_release_begins_with_the_slot_that_has_all_traffic_for_stable() -> None:
    assert "belongs stable v2.4.0; this stack file says stable v2.3.0" in (
        move(0, 5, TERMS, new=Slot.BLUE) or ""
    )
    assert move(0, 5, TERMS, replace(TERMS, stable=Slot.GREEN), new=Slot.BLUE) is None


def test_one_version_in_both_slots_is_no_stable_slot_and_goes_up_the_ladder_all_the_same() -> None:
    same = replace(TERMS, blue="v2.4.0", stable=None)
    assert [move(now, then, same) for now, then in ((0, 5), (5, 25), (25, 0))] == [None] * 3


def test_where_traffic_switches_at_once_a_version_may_come_with_all_of_it() -> None:
    at_once = replace(TERMS, switch=Switch.AT_ONCE)
    assert move(0, 100, at_once, replace(at_once, green="v2.5.0", stable=None)) is None


def test_a_rule_from_before_there_were_terms_goes_by_those_that_are_asked_for() -> None:
    assert move(5, 25, None) is None
    assert move(100, 0, None) is None
    assert "back to blue" in (move(5, 50, None) or "")
    assert move(100, 0, None, replace(TERMS, stable=None)) is not None
    assert move(0, 5, None, replace(TERMS, stable=None)) is None


# --- tags ------------------------------------------------------------------------------------------------------------


@given(terms)
def test_terms_are_told_by_tags_and_read_back(written: Terms) -> None:
    assert Terms.told_by({"Owner": "web", **written.tags()}) == written


@pytest.mark.parametrize("missing", ["Blue", "Green", "Switch"])
def test_tags_that_tell_a_part_tell_nothing(missing: str) -> None:
    assert Terms.told_by({key: tag for key, tag in TERMS.tags().items() if key != missing}) is None
    assert Terms.told_by({**TERMS.tags(), missing: 5}) is None
    assert Terms.told_by({}) is None


def test_tags_say_it_in_words() -> None:
    assert TERMS.tags() == {"Blue": "v2.3.0", "Green": "v2.4.0", "Switch": "ladder", "Stable": "blue"}
    assert "Stable" not in replace(TERMS, stable=None).tags()


def test_a_release_sets_the_terms() -> None:
    release = Release(
        blue=SlotRelease(version="v2.3.0", weight=95),
        green=SlotRelease(version="v2.4.0", weight=5),
        standby=Standby.FULL,
        switch=Switch.LADDER,
        stable="v2.3.0",
    )
    assert Terms.of(release) == TERMS


# --- the error budget ------------------------------------------------------------------------------------------------


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
