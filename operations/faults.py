"""A fault in a stack file, told so that the person who reads it can mend it."""

import json
from dataclasses import dataclass
from typing import Final

MAXIMUM_SHOWN: Final = 80
"""Characters of a value in a report; more would hide the message behind it."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, as one line of a report."""

    key: str
    """Where, as the stack file spells it: `quikapp:release.blue.weight`."""
    message: str
    """What is wrong and what is allowed."""
    value: str | None = None
    """What the file says there (see `show`); None where it says nothing or must not be shown."""

    def __str__(self) -> str:
        return (
            f"{self.key}: {self.message}"
            if self.value is None
            else f"{self.key} = {self.value}: {self.message}"
        )


def show(value: object) -> str:
    """Return a value as JSON, which YAML reads too: one printable line of at most 80 characters."""
    text = json.dumps(value, default=str)
    return text if len(text) <= MAXIMUM_SHOWN else f"{text[: MAXIMUM_SHOWN - 1]}…"
