"""What holds for every test."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def loops_of_failed_programs() -> Iterator[None]:
    """Close what the SDK leaves open.

    Its language server for programs in this process does not come to closing its event loop where one of a failed
    program's tasks answers its cancellation with an error of its own. The garbage collector would find the loop much
    later, and its warning would fail whichever test runs by then.
    """
    opened: list[asyncio.AbstractEventLoop] = []

    def new_event_loop() -> asyncio.AbstractEventLoop:
        opened.append(asyncio.new_event_loop())
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch:
        remembering = SimpleNamespace(**{**vars(asyncio), "new_event_loop": new_event_loop})
        patch.setattr("pulumi.automation._server.asyncio", remembering)
        yield
    for loop in opened:
        if not loop.is_running():
            loop.close()
