"""GitHub's issues and comments, over its REST API with what the standard library has."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, Self, cast

from delivery.errors import DeliveryError
from operations.drift import Action, Close, Issue, Open, Rewrite

PAGE_SIZE: Final = 100
"""Entries a page, as many as GitHub gives. Source: https://docs.github.com/en/rest/issues/issues#list-repository-issues"""

TIMEOUT_SECONDS: Final = 30


class Refused(DeliveryError):
    """GitHub understood and would not: `code` is HTTP's."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code: Final = code


class Issues(Protocol):
    """The issues of one repository."""

    def titled(self, title: str) -> list[Issue]:
        """Return the open issues that have exactly this title, the oldest first.

        Raises:
            DeliveryError: they cannot be read.
        """
        ...

    def do(self, action: Action) -> None:
        """Open, rewrite or close one.

        Raises:
            DeliveryError: it was refused.
        """
        ...


@dataclass(frozen=True)
class GitHub:
    """One repository on GitHub, asked with a token."""

    repository: str
    """Owner and name, such as `quikapp/operations`."""
    token: str
    api: str = "https://api.github.com"

    @classmethod
    def of_this_run(cls) -> Self:
        """Return the repository that a workflow runs in, with the run's own token.

        Raises:
            DeliveryError: GITHUB_TOKEN or GITHUB_REPOSITORY is not set.
        """
        missing = [name for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY") if not os.environ.get(name)]
        if missing:
            raise DeliveryError(f"{' and '.join(missing)} must be set: GitHub is asked in its name")
        return cls(
            os.environ["GITHUB_REPOSITORY"],
            os.environ["GITHUB_TOKEN"],
            os.environ.get("GITHUB_API_URL", cls.api),
        )

    def ask(self, method: str, path: str, right: str, body: Mapping[str, object] | None = None) -> Any:
        """Return what GitHub answers, as data.

        Args:
            method: of HTTP.
            path: below the repository, with its query.
            right: what the token must be permitted, such as `issues: write`; a refusal names it.
            body: what is sent, as JSON.

        Raises:
            Refused: it was refused.
            DeliveryError: there was no answer.
        """
        request = urllib.request.Request(  # noqa: S310 - the address is GitHub's, from the runner's own environment
            f"{self.api}/repos/{self.repository}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        asked = f"{method} {path.partition('?')[0]} of {self.repository}"
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - see above
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(
                    f"GitHub refused {asked}: {error.code} {error.reason}{_hint(error.code, right)}",
                    error.code,
                ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeliveryError(f"GitHub did not answer {asked}: {error}") from error

    def pages(self, path: str, right: str, **query: str) -> Iterator[dict[str, Any]]:
        """Return what a list holds, page by page.

        Raises:
            DeliveryError: it cannot be read.
        """
        page = 1
        while True:
            asked = urllib.parse.urlencode({**query, "per_page": PAGE_SIZE, "page": page})
            found = cast("list[dict[str, Any]]", self.ask("GET", f"{path}?{asked}", right))
            yield from found
            if len(found) < PAGE_SIZE:
                return
            page += 1


@dataclass(frozen=True)
class GitHubIssues:
    """The issues of a repository on GitHub."""

    github: GitHub
    """Its token may write issues."""
    right: ClassVar = "issues: write"

    def titled(self, title: str) -> list[Issue]:
        """See `Issues`. The list is asked and not the search, which lags: two issues would come of it."""
        found = self.github.pages("issues", self.right, state="open", sort="created", direction="asc")
        return [
            Issue(int(issue["number"]), str(issue["body"] or ""))
            for issue in found
            # What GitHub lists as issues are pull requests, too.
            if issue["title"] == title and "pull_request" not in issue
        ]

    def do(self, action: Action) -> None:
        """See `Issues`."""
        match action:
            case Open(title=title, body=body):
                self._ask("POST", "issues", {"title": title, "body": body})
            case Rewrite(number=number, body=body):
                self._ask("PATCH", f"issues/{number}", {"body": body})
            case Close(number=number, comment=comment):
                self._ask("POST", f"issues/{number}/comments", {"body": comment})
                self._ask("PATCH", f"issues/{number}", {"state": "closed", "state_reason": "completed"})

    def _ask(self, method: str, path: str, body: Mapping[str, str]) -> None:
        self.github.ask(method, path, self.right, body)


@dataclass(frozen=True)
class PullRequestComment:
    """The one comment of ours on a pull request: it begins with a marker that nobody sees."""

    github: GitHub
    """Its token may write pull requests."""
    pull_request: int
    marker: str
    right: ClassVar = "pull-requests: write"

    def say(self, text: str) -> str:
        """Bring the comment in line with a text, and return what was done.

        Args:
            text: of the comment, without the marker.

        Raises:
            DeliveryError: GitHub refused.
        """
        body = f"{self.marker}\n{text}"
        comments = f"issues/{self.pull_request}/comments"
        # A person may write our marker, too, and then what we say would be that person's to edit.
        ours = next(
            (
                comment
                for comment in self.github.pages(comments, self.right)
                if str(comment["body"] or "").startswith(self.marker) and comment["user"]["type"] == "Bot"
            ),
            None,
        )
        if ours is None:
            self.github.ask("POST", comments, self.right, {"body": body})
            return "written"
        if ours["body"] == body:
            return "unchanged"
        self.github.ask("PATCH", f"issues/comments/{ours['id']}", self.right, {"body": body})
        return "rewritten"


def _hint(code: int, right: str) -> str:
    match code:
        case 401 | 403 | 404:
            return f"; GITHUB_TOKEN needs `{right}` in this repository"
        case 410:
            return "; the repository has its issues switched off"
        case _:
            return ""
