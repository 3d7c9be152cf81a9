"""A GitHub on loopback that keeps the issues and comments of one repository, and answers as the real one does.

Source: https://docs.github.com/en/rest/issues
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Generator
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
    written: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Comments, the oldest first."""
    files: dict[str, str] = field(default_factory=dict[str, str])
    """Of the default branch, by their path."""
    commits: list[str] = field(default_factory=list[str])
    """Messages of commits, the oldest first."""
    protected: bool = False
    """Whether a rule of the branch refuses commits, which is told by the code of a conflict."""
    meanwhile: list[Callable[[], object]] = field(default_factory=list[Callable[[], object]])
    """What others do, one before each commit."""
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

    def comment(self, number: int, body: str, by: str = "Bot") -> dict[str, Any]:
        """Add a comment of somebody of this type to an issue or a pull request."""
        comment = {"id": 9000 + len(self.written), "issue": number, "body": body, "user": {"type": by}}
        self.written.append(comment)
        return comment

    def comments(self, number: int) -> list[str]:
        """What was commented on an issue or a pull request."""
        return [comment["body"] for comment in self.written if comment["issue"] == number]

    def answer(self, method: str, path: str, body: dict[str, Any], token: str) -> tuple[int, object]:
        """The status and the answer to one request."""
        self.asked.append(f"{method} {path}")
        url = urlsplit(path)
        prefix = f"/repos/{REPOSITORY}/issues"
        if token != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials"}
        if url.path.startswith(contents := f"/repos/{REPOSITORY}/contents/"):
            return self._contents(method, url.path.removeprefix(contents), body)
        if not url.path.startswith(prefix):
            return 404, {"message": "Not Found"}
        if len(str(body.get("body") or "")) > ISSUE_LENGTH.value:
            return 422, {"message": "Validation Failed"}
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        match method, url.path.removeprefix(prefix).strip("/").split("/"):
            case "GET", [""]:
                found = [issue for issue in self.issues if issue["state"] == query.get("state", "open")]
                if query.get("direction", "desc") == "desc":
                    found.reverse()
                return 200, _page(found, query)
            case "POST", [""]:
                return 201, self.issues[self.add(body["title"], body.get("body")) - 1]
            case "GET", [number, "comments"]:
                return 200, _page([each for each in self.written if each["issue"] == int(number)], query)
            case "PATCH", ["comments", number]:
                (found,) = [comment for comment in self.written if comment["id"] == int(number)]
                found.update(body)
                return 200, found
            case "PATCH", [number]:
                self.issues[int(number) - 1].update(body)
                return 200, self.issues[int(number) - 1]
            case "POST", [number, "comments"]:
                return 201, self.comment(int(number), body["body"])
            case _:
                return 404, {"message": "Not Found"}

    def _contents(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, object]:
        """One file of the default branch, read or committed."""
        if method == "PUT" and self.meanwhile:
            self.meanwhile.pop(0)()
        if path not in self.files:
            return 404, {"message": "Not Found"}
        text = self.files[path]
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        if method == "GET":
            # The real one breaks the lines.
            content = base64.encodebytes(text.encode()).decode()
            return 200, {"type": "file", "encoding": "base64", "content": content, "sha": sha}
        if self.protected:
            return 409, {"message": "Repository rule violations found"}
        if body.get("sha") != sha:
            return 409, {"message": f"{path} does not match {body.get('sha')}"}
        self.files[path] = base64.b64decode(body["content"]).decode()
        self.commits.append(body["message"])
        return 200, {"content": {"path": path}, "commit": {"message": body["message"]}}


def _page(found: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    size, page = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
    return found[(page - 1) * size : page * size]


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

        do_GET = do_POST = do_PATCH = do_PUT = _serve

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
