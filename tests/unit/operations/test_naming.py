"""Names fit their vendor's limit, stay the same, and stay apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.naming import fit, join

names = st.from_regex(r"[a-z]([a-z0-9-]*[a-z0-9])?", fullmatch=True)
limits = st.integers(10, 64)


@given(names, limits)
def test_a_name_never_exceeds_the_limit(name: str, limit: int) -> None:
    assert len(fit(name, limit)) <= limit


@given(names)
def test_a_name_that_fits_is_left_alone(name: str) -> None:
    assert fit(name, max(len(name), 10)) == name


@given(st.sets(names, min_size=2), limits)
def test_different_names_stay_different(different: set[str], limit: int) -> None:
    assert len({fit(name, limit) for name in different}) == len(different)


def test_a_long_name_is_cut_and_ends_in_its_hash() -> None:
    assert fit("quikapp-staging-recommendations-green", 32) == "quikapp-staging-recomme-aa3da14e"


def test_a_cut_leaves_no_two_hyphens_in_a_row() -> None:
    assert "--" not in fit("abcdefg-hijklmnopqrstuvwxyz", 17)


def test_a_limit_without_room_for_a_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        fit("anything", 9)


def test_parts_are_joined_by_hyphens() -> None:
    assert join("live", "api", "blue", limit=32) == "live-api-blue"
