"""The fixture `record`, with which component tests read what a program declares."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import pytest

from tests.unit.components import recording

T = TypeVar("T")


class Record(Protocol):
    """Runs a program and returns what it declared; see `recording.record`."""

    def __call__(self, build: Callable[[], T], *, preview: bool = False) -> recording.Recording[T]: ...


@pytest.fixture
def record() -> Iterator[Record]:
    """`record(build)` runs `build` under mocks; the recordings stay readable until the test ends."""
    opened: list[recording.Recording[Any]] = []

    def run(build: Callable[[], T], *, preview: bool = False) -> recording.Recording[T]:
        made = recording.record(build, preview=preview)
        opened.append(made)
        return made

    yield run
    for made in opened:
        made.close()
