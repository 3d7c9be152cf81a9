"""Which requests a service's listener rule matches, and in which order the load balancer tries the rules.

Sources: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html (rules are tried from
the lowest priority number; three values a condition, five a rule),
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html (priorities 1 to 50000).
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

HIGHEST_PRIORITY: Final = 50_000
"""Priority numbers run from 1, tried first, to this one."""

CLOSED_PATHS: Final = ("/metrics",)
"""Paths that answer 404 to the internet, whatever service would match them: pods serve their metrics there."""

CLOSED_PRIORITY: Final = 1
"""Of the rule that closes them: before every service's, whose numbers begin above it."""

DEEPEST_PATH: Final = 64
"""Segments of the longest path: 128 characters of a path pattern hold no more."""


def path_patterns(path: str) -> list[str]:
    """Return the patterns that match a route's path and everything below it, and nothing that only begins alike.

    `/api` matches `/api` and `/api/users`, not `/apis`; `/` matches every path.
    """
    return ["/*"] if path == "/" else [path, f"{path}/*"]


def depth(path: str) -> int:
    """Return the number of segments: 0 for `/`, 2 for `/api/users`."""
    return len([segment for segment in path.split("/") if segment])


def priorities(paths: Iterable[str]) -> dict[str, int]:
    """Return the priority of each path's rule: all different, deeper paths before shallower ones.

    Only a deeper path can lie below another one, so depth decides the band of numbers, and within it the hash of the
    path decides the number. A path's number thus does not depend on which other paths there are, and a new service
    renumbers no other, save where two hashes of one band meet: then the path that sorts later takes the next free
    number. Bands shrink with the square of the depth, since paths of one segment are many and deep ones few.

    Raises:
        ValueError: a path is given twice, is deeper than a path pattern can be, or there are more paths of one depth
            than numbers in its band (30 684 for one segment, 7 for the deepest).
    """
    numbers: dict[str, int] = {}
    taken: set[int] = set()
    for path in sorted(paths):
        if path in numbers:
            raise ValueError(f"{path} is the path of two rules")
        band = _BANDS.get(depth(path))
        if band is None:
            raise ValueError(f"{path} has {depth(path)} segments; allowed are up to {DEEPEST_PATH}")
        first = int.from_bytes(sha256(path.encode()).digest()[:8]) % len(band)
        candidates = (band[(first + step) % len(band)] for step in range(len(band)))
        free = next((number for number in candidates if number not in taken), None)
        if free is None:
            raise ValueError(f"no priority is left for {path}: {len(band)} paths are as deep already")
        numbers[path] = free
        taken.add(free)
    return numbers


def _bands() -> Mapping[int, range]:
    """The numbers of each depth: the last for `/`, before it those of one segment, and so on towards 1."""
    total = sum(1 / segments**2 for segments in range(1, DEEPEST_PATH + 1))
    bands = {0: range(HIGHEST_PRIORITY, HIGHEST_PRIORITY + 1)}
    for segments in range(1, DEEPEST_PATH + 1):
        end = bands[segments - 1].start
        width = int((HIGHEST_PRIORITY - 1) / total / segments**2)
        bands[segments] = range(end - width, end)
    return bands


_BANDS: Final = _bands()
