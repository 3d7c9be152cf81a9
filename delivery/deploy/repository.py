"""Files of the default branch on GitHub, changed by commits of one file each.

Source: https://docs.github.com/en/rest/repos/contents
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

from delivery.github import GitHub, Refused

RIGHT: Final = "contents: write"
"""What the token must be permitted."""


@dataclass(frozen=True)
class Stored:
    """A file as it is in the default branch."""

    text: str
    sha: str
    """Of the content: whoever writes says what they have read."""


@dataclass(frozen=True)
class Repository:
    """The default branch of a repository."""

    github: GitHub

    def read(self, path: str) -> Stored:
        """Return a file.

        Raises:
            DeliveryError: there is none, or GitHub does not answer.
        """
        found = cast("dict[str, Any]", self.github.ask("GET", f"contents/{path}", RIGHT))
        return Stored(base64.b64decode(str(found["content"])).decode(), str(found["sha"]))

    def write(self, path: str, text: str, message: str, instead_of: Stored) -> bool:
        """Commit a file in place of another; False where the branch has changed meanwhile, and nothing was written.

        Raises:
            DeliveryError: GitHub refuses it for another reason, or does not answer.
        """
        body = {
            "message": message,
            "content": base64.b64encode(text.encode()).decode(),
            "sha": instead_of.sha,
        }
        try:
            self.github.ask("PUT", f"contents/{path}", RIGHT, body)
        except Refused as refused:
            if refused.code == HTTPStatus.CONFLICT:
                return False
            raise
        return True
