"""GitHub's issues, over its REST API with what the standard library has."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from delivery.errors import DeliveryError
from operations.drift import Action, Close, Issue, Open, Rewrite

PAGE_SIZE: Final = 100
"""Issues a page, as many as GitHub gives. Source: https://docs.github.com/en/rest/issues/issues#list-repository-issues"""

TIMEOUT_SECONDS: Final = 30


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
class GitHubIssues:
    """The issues of a repository on GitHub."""

    repository: str
    """Owner and name, such as `quikapp/operations`."""
    token: str
    """May write issues."""
    api: str = "https://api.github.com"

    def titled(self, title: str) -> list[Issue]:
        """See `Issues`. The list is asked and not the search, which lags: two issues would come of it."""
        return [
            Issue(int(found["number"]), str(found["body"] or ""))
            for found in self._open()
            # What GitHub lists as issues are pull requests, too.
            if found["title"] == title and "pull_request" not in found
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

    def _open(self) -> Iterator[dict[str, Any]]:
        page = 1
        while True:
            query = f"state=open&sort=created&direction=asc&per_page={PAGE_SIZE}&page={page}"
            found = cast("list[dict[str, Any]]", self._ask("GET", f"issues?{query}"))
            yield from found
            if len(found) < PAGE_SIZE:
                return
            page += 1

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> object:
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
                raise DeliveryError(
                    f"GitHub refused {asked}: {error.code} {error.reason}{_hint(error.code)}"
                ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeliveryError(f"GitHub did not answer {asked}: {error}") from error


def _hint(code: int) -> str:
    match code:
        case 401 | 403 | 404:
            return "; GITHUB_TOKEN needs `issues: write` in this repository"
        case 410:
            return "; the repository has its issues switched off"
        case _:
            return ""
