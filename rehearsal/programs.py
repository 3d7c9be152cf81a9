"""Asking a program for its version."""

import os
import re
import subprocess
from collections.abc import Sequence

PROBE_SECONDS = 60.0

Version = tuple[int, int, int]


def parse_version(text: str) -> Version | None:
    """The first version such as 1.36.3 or v1.36 in a text; None if there is none."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def version_of(command: Sequence[str]) -> Version | None:
    """The version that a command prints; None if it does not run, fails, hangs for a minute or prints none."""
    try:
        answer = subprocess.run(  # noqa: S603 - a program by its full path
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=PROBE_SECONDS,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", "GOTOOLCHAIN": "local"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_version(answer.stdout) or parse_version(answer.stderr)
