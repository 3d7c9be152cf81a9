"""Slots, weights and releases: combinations that make no sense cannot be written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from operations.release import Release, SlotCapacity, SlotRelease, Standby, Switch
from operations.slots import Slot, Weights


def release(
    blue: int, green: int, standby: Standby = Standby.WARM, green_capacity: SlotCapacity | None = None
) -> Release:
    return Release(
        blue=SlotRelease(version="v1.0.0", weight=blue),
        green=SlotRelease(version="v1.1.0", weight=green, capacity=green_capacity),
        standby=standby,
        switch=Switch.LADDER,
    )


def test_each_slot_has_the_other_and_a_namespace_of_its_own() -> None:
    assert {slot: (slot.other, slot.namespace) for slot in Slot} == {
        Slot.BLUE: (Slot.GREEN, "quikapp-blue"),
        Slot.GREEN: (Slot.BLUE, "quikapp-green"),
    }


@given(st.integers(0, 100))
def test_weights_that_sum_to_a_hundred_are_given_back_by_slot(blue: int) -> None:
    weights = Weights(blue=blue, green=100 - blue)

    assert [weights.of(slot) for slot in Slot] == [blue, 100 - blue]


@given(st.integers(0, 100), st.sampled_from(Slot))
def test_weights_that_give_a_slot_its_share_give_the_other_the_rest(share: int, slot: Slot) -> None:
    weights = Weights.giving(slot, share)

    assert (weights.of(slot), weights.of(slot.other)) == (share, 100 - share)


def test_a_slot_is_idle_while_the_other_has_everything() -> None:
    assert [Weights.giving(Slot.GREEN, share).idle for share in (0, 5, 100)] == [Slot.GREEN, None, Slot.BLUE]


@given(st.integers(), st.integers())
def test_no_other_weights_exist(blue: int, green: int) -> None:
    if blue + green == 100 and 0 <= blue <= 100:
        return
    with pytest.raises(ValueError, match="weight"):
        Weights(blue=blue, green=green)


def test_a_slot_with_weight_serves_whatever_the_standby() -> None:
    shared = release(95, 5, Standby.WARM)

    assert [shared.capacity_of(slot) for slot in Slot] == [SlotCapacity.SERVING, SlotCapacity.SERVING]
    assert shared.weights == Weights(blue=95, green=5)


@pytest.mark.parametrize("standby", Standby)
def test_a_slot_without_weight_stands_by(standby: Standby) -> None:
    assert release(100, 0, standby).capacity_of(Slot.GREEN) == SlotCapacity(standby.value)


def test_a_slot_may_be_made_ready_ahead_of_a_switch() -> None:
    assert release(100, 0, Standby.COLD, SlotCapacity.FULL).capacity_of(Slot.GREEN) is SlotCapacity.FULL


@pytest.mark.parametrize(
    ("weight", "capacity"), [(0, SlotCapacity.SERVING), (5, SlotCapacity.COLD), (5, SlotCapacity.FULL)]
)
def test_a_capacity_that_contradicts_the_weight_is_refused(weight: int, capacity: SlotCapacity) -> None:
    with pytest.raises(ValidationError, match="a slot with"):
        release(100 - weight, weight, green_capacity=capacity)


def test_a_release_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        release(100, 0).standby = Standby.FULL


@pytest.mark.parametrize("version", ["v2.4.0", "v0.0.1", "v10.20.30-rc.1", "v1.0.0-20260101"])
def test_versions(version: str) -> None:
    assert SlotRelease(version=version, weight=0).version == version


@pytest.mark.parametrize(
    "version", ["2.4.0", "v2.4", "v2.4.0+1", "v02.4.0", "v2.4.0\n", "latest", "v2.4.0-", "v2.4.\u0660", ""]
)
def test_no_versions(version: str) -> None:
    with pytest.raises(ValidationError, match=r"v2\.4\.0"):
        SlotRelease(version=version, weight=0)
