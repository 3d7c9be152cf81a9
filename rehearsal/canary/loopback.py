"""HTTP answered on loopback, while a canary is rehearsed."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answers(BaseHTTPRequestHandler):
    """Answers requests, and says nothing of it."""

    def reply(self, status: int, kind: str, body: bytes) -> None:
        """Send a whole answer of a content type."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a connection that somebody keeps open has nothing more to say

    def handle_error(self, request: object, client_address: object) -> None:
        """Who was killed in the middle of a question is no error of this server's."""


@contextmanager
def served(handler: type[Answers]) -> Generator[str]:
    """Serve on a free port, and yield the URL."""
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
