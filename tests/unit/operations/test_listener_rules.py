"""Listener rules: what they match and the order they are tried in."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.listener_rules import DEEPEST_PATH, HIGHEST_PRIORITY, depth, path_patterns, priorities

SEGMENTS = st.text("abcxyz0189-", min_size=1, max_size=6)
PATHS = st.lists(SEGMENTS, max_size=6).map(lambda segments: "/" + "/".join(segments))


def matches(path: str, request: str) -> bool:
    return any(fnmatch.fnmatchcase(request, pattern) for pattern in path_patterns(path))


@pytest.mark.parametrize("request_path", ["/api", "/api/", "/api/users", "/api/users/7"])
def test_a_rule_matches_its_path_and_everything_below(request_path: str) -> None:
    assert matches("/api", request_path)


@pytest.mark.parametrize("request_path", ["/", "/apis", "/apis/users", "/v1/api"])
def test_a_rule_does_not_match_a_path_that_only_resembles_its_own(request_path: str) -> None:
    assert not matches("/api", request_path)


@pytest.mark.parametrize("request_path", ["/", "/api", "/anything/at/all"])
def test_the_root_matches_everything(request_path: str) -> None:
    assert matches("/", request_path)


@given(st.sets(PATHS, max_size=120))
def test_every_rule_has_a_number_of_its_own_within_the_limits(paths: set[str]) -> None:
    numbers = priorities(paths)
    assert set(numbers) == paths
    assert len(set(numbers.values())) == len(paths)
    assert all(1 <= number <= HIGHEST_PRIORITY for number in numbers.values())


@given(st.sets(PATHS, max_size=120))
def test_a_path_below_another_is_tried_first(paths: set[str]) -> None:
    numbers = priorities(paths)
    assert sorted(paths, key=lambda path: numbers[path]) == sorted(
        paths, key=lambda path: (-depth(path), numbers[path])
    )


@given(st.sets(PATHS, max_size=60), PATHS)
def test_a_new_service_renumbers_none_but_a_path_whose_number_it_takes(paths: set[str], new: str) -> None:
    alone = priorities([new])[new]
    before, after = priorities(paths - {new}), priorities(paths | {new})
    if alone not in before.values():
        assert {path: after[path] for path in before} == before


def test_a_service_keeps_its_number_when_forty_others_come() -> None:
    crowd = priorities([f"/service-{index}" for index in range(40)])
    assert crowd["/service-0"] == priorities(["/service-0"])["/service-0"]


def test_numbers_do_not_depend_on_the_order_of_the_services() -> None:
    paths = ["/", "/api", "/api/users", "/admin"]
    assert priorities(paths) == priorities(reversed(paths))


def test_the_same_path_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="/api is the path of two rules"):
        priorities(["/api", "/api"])


def test_a_path_deeper_than_a_pattern_can_be_is_refused() -> None:
    with pytest.raises(ValueError, match=f"65 segments; allowed are up to {DEEPEST_PATH}"):
        priorities(["/a" * 65])


def test_a_full_band_is_refused_by_name() -> None:
    deepest = ["/".join(["", *"a" * (DEEPEST_PATH - 1), last]) for last in "abcdefghijkl"]
    with pytest.raises(ValueError, match="no priority is left for /a/a"):
        priorities(deepest)
