"""A Prometheus whose time runs N times as fast, as the driver sees it: the windows of what it asks are divided by N.

The driver looks back five minutes for a rate and an hour for restarts, at any speed. A canary whose first phase takes
fifteen seconds would be judged by what was long before it.
"""

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlencode, urlsplit

from rehearsal.canary.loopback import Answers, served

SAMPLES = 4
"""Samples that a window holds at least: a rate takes two, and a scrape may be late."""

_WINDOW = re.compile(r"\[((?:\d+(?:ms|[smhdwy]))+)\]")
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def hastened(expression: str, speed: int, interval: float) -> str:
    """The PromQL with each range divided by the speed, but not below four scrapes.

    Args:
        interval: seconds between two scrapes.
    """

    def window(found: re.Match[str]) -> str:
        seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(found[1]))
        return f"[{max(seconds / speed, SAMPLES * interval) * 1000:.0f}ms]"

    return _WINDOW.sub(window, expression)


class Hasty:
    """A Prometheus whose time is divided by a speed, as somebody sees it who asks it at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked_at = float("-inf")
        """When it was last asked; by the monotonic clock."""


@contextmanager
def in_a_hurry(prometheus: str, speed: int, interval: float) -> Generator[Hasty]:
    """Serve a Prometheus on loopback with its time divided by `speed`. It is down when that is down."""

    class Handler(Answers):
        def do_GET(self) -> None:
            hasty.asked_at = time.monotonic()
            asked = urlsplit(self.path)
            parameters = [
                (name, hastened(value, speed, interval) if name == "query" else value)
                for name, value in parse_qsl(asked.query)
            ]
            url = f"{prometheus}{asked.path}?{urlencode(parameters)}"
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the rehearsal's own
                    status, body = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            except (OSError, http.client.HTTPException):
                self.close_connection = True  # as nobody would answer
                return
            self.reply(status, "application/json", body)

    with served(Handler) as url:
        hasty = Hasty(url)
        yield hasty
