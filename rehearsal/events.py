"""The engine's events of a preview, kept in a file: JSON, one in a line, as the engine spells them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

from rehearsal.errors import RehearsalError

STREAMED: Final[Mapping[str, str]] = MappingProxyType({"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"})
"""Makes `pulumi preview --json` write its events, as every other command does, and no digest of its own."""


@dataclass(frozen=True)
class EventLog:
    """A file with events. Secrets are masked in it; what the program says in the clear is not."""

    path: Path

    def start(self) -> None:
        """Begin an empty file, for nobody else to read.

        Raises:
            RehearsalError: it cannot be written there.
        """
        try:
            self.path.unlink(missing_ok=True)
            self.path.touch(mode=0o600)
        except OSError as error:
            raise RehearsalError(f"--events {self.path}: {error.strerror}") from error

    def take(self, line: str) -> None:
        """Keep a line of the engine's output, where it is an event. The SDK's own chatter holds plain secrets: it is left out."""
        if not line.startswith("{"):
            return
        event = cast("dict[str, Any]", json.loads(line))
        if cast("dict[str, Any]", event.get("diagnosticEvent") or {}).get("severity") != "debug":
            with self.path.open("a") as file:
                file.write(f"{line}\n")
