"""The few requests that the rehearsal itself makes of its API server; standard library only."""

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rehearsal.errors import RehearsalError

FIELD_MANAGER = "rehearsal"


class Unreachable(RehearsalError):
    """The API server did not answer."""


class KubernetesApi:
    """A client of one API server on loopback, as an administrator."""

    def __init__(self, port: int, certificate_authority: Path, token: str) -> None:
        self._port = port
        self._token = token
        self._tls = ssl.create_default_context(cafile=str(certificate_authority))

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> tuple[int, str]:
        """The status code and the body of the answer. Raises Unreachable when there is none."""
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=30, context=self._tls)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the API server on port {self._port} does not answer: {error}") from error
        finally:
            connection.close()

    def get(self, path: str) -> dict[str, Any] | None:
        """The object or list at the path; None if it does not exist."""
        status, body = self.request("GET", path)
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        return self._checked(status, body, f"GET {path}")

    def apply(self, path: str, manifest: Mapping[str, Any]) -> None:
        """Server-side apply of one object; `path` is that of the object itself."""
        status, body = self.request(
            "PATCH",
            f"{path}?fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict",
            manifest,
            "application/apply-patch+yaml",
        )
        self._checked(status, body, f"applying {path}")

    def delete(self, path: str) -> None:
        """Delete the object, or every object of the list, at the path; what is gone already is fine."""
        status, body = self.request("DELETE", path)
        if status != http.HTTPStatus.NOT_FOUND:
            self._checked(status, body, f"deleting {path}")

    def _checked(self, status: int, body: str, what: str) -> dict[str, Any]:
        if status >= http.HTTPStatus.BAD_REQUEST:
            try:
                message = json.loads(body)["message"]
            except (ValueError, KeyError, TypeError):
                message = body.strip()
            raise RehearsalError(f"{what}: {message} (HTTP {status})")
        answer: dict[str, Any] = json.loads(body)
        return answer
