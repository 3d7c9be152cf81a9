"""A small world for a real Prometheus and a real Alertmanager: series on one side, those who are told on the other."""

import json
import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, cast

Series = Callable[[float], str]
"""Series in Prometheus' text format, so many seconds after they began."""


class Exporter:
    """Serves whatever series a test has put there, and answers for the pods of the slots.

    Source of the format: https://prometheus.io/docs/instrumenting/exposition_formats/
    """

    def __init__(self) -> None:
        """Begin with no series, and pods that answer."""
        self._series: dict[Series, float] = {}
        self.pods_answer = True

    @contextmanager
    def showing(self, *series: Series) -> Generator[None]:
        """Let these series be until the end of the block."""
        self._series = dict.fromkeys(series, time.monotonic())
        try:
            yield
        finally:
            self._series = {}

    def answer(self, path: str) -> tuple[int, str]:
        """Status and body of a scrape."""
        if path == "/pods":
            return (200 if self.pods_answer else 503), ""
        if path == "/series":
            now = time.monotonic()
            return 200, "\n".join(series(now - since) for series, since in self._series.items()) + "\n"
        return 200, ""


@dataclass(frozen=True)
class Message:
    """What somebody was told."""

    authorization: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Sinks:
    """Stand-ins for PagerDuty, Slack and the heartbeat: each keeps what it is sent."""

    pagerduty: "queue.Queue[Message]" = field(default_factory=lambda: queue.Queue[Message]())
    slack: "queue.Queue[Message]" = field(default_factory=lambda: queue.Queue[Message]())
    heartbeat: "queue.Queue[Message]" = field(default_factory=lambda: queue.Queue[Message]())


_PATIENCE_SECONDS: Final = 30.0


def received(sink: "queue.Queue[Message]") -> Message:
    """The next message of a sink, which comes soon."""
    try:
        return sink.get(timeout=_PATIENCE_SECONDS)
    except queue.Empty:
        raise AssertionError(f"nothing came within {_PATIENCE_SECONDS:g} s") from None


@contextmanager
def served(exporter: Exporter, sinks: Sinks) -> Generator[str]:
    """Serve an exporter and the sinks, and yield their URL.

    Sinks: `/pagerduty`, `/slack` and `/heartbeat`. Exporter: `/series`, `/pods`, and every other path as an empty one.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(*exporter.answer(self.path), "text/plain; version=0.0.4")

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = cast("dict[str, Any]", json.loads(self.rfile.read(length)))
            sink: queue.Queue[Message] = getattr(sinks, self.path.strip("/"))
            sink.put(Message(self.headers.get("Authorization"), body))
            self._reply(202 if sink is sinks.pagerduty else 200, json.dumps({"ok": True}), "application/json")

        def _reply(self, status: int, body: str, kind: str) -> None:
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
