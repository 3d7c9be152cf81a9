"""A GitHub on loopback that keeps the issues of one repository, and answers as the real one does.

Source: https://docs.github.com/en/rest/issues
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from operations.limits import ISSUE_LENGTH

REPOSITORY = "quikapp/operations"
TOKEN = "ghs_of_the_run"  # noqa: S105 - it opens nothing


@dataclass
class FakeGitHub:
    """Issues, pull requests among them, and who was asked for what."""

    url: str = ""
    issues: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    comments: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    asked: list[str] = field(default_factory=list[str])

    def add(
        self, title: str, body: str | None = "", *, state: str = "open", pull_request: bool = False
    ) -> int:
        """Add an issue and return its number."""
        number = len(self.issues) + 1
        issue = {"number": number, "title": title, "body": body, "state": state}
        self.issues.append({**issue, **({"pull_request": {"url": "…"}} if pull_request else {})})
        return number

    def open_titled(self, title: str) -> list[dict[str, Any]]:
        """The open issues with a title."""
        return [issue for issue in self.issues if issue["title"] == title and issue["state"] == "open"]

    def answer(self, method: str, path: str, body: dict[str, Any], token: str) -> tuple[int, object]:
        """The status and the answer to one request."""
        self.asked.append(f"{method} {path}")
        url = urlsplit(path)
        prefix = f"/repos/{REPOSITORY}/issues"
        if token != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials"}
        if not url.path.startswith(prefix):
            return 404, {"message": "Not Found"}
        if len(str(body.get("body") or "")) > ISSUE_LENGTH.value:
            return 422, {"message": "Validation Failed"}
        match method, url.path.removeprefix(prefix).strip("/").split("/"):
            case "GET", [""]:
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                found = [issue for issue in self.issues if issue["state"] == query.get("state", "open")]
                if query.get("direction", "desc") == "desc":
                    found.reverse()
                size, page = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
                return 200, found[(page - 1) * size : page * size]
            case "POST", [""]:
                return 201, self.issues[self.add(body["title"], body.get("body")) - 1]
            case "PATCH", [number]:
                self.issues[int(number) - 1].update(body)
                return 200, self.issues[int(number) - 1]
            case "POST", [number, "comments"]:
                self.comments.setdefault(int(number), []).append(body["body"])
                return 201, {}
            case _:
                return 404, {"message": "Not Found"}


@contextmanager
def fake_github() -> Generator[FakeGitHub]:
    """Serve one until the block ends."""
    github = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, answer = github.answer(
                self.command, self.path, body, self.headers.get("Authorization", "")
            )
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_PATCH = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    github.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
