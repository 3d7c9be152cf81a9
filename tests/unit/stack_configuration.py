"""The committed stack files the way Pulumi hands them to the program, and changed copies of them."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import yaml

ROOT: Final = Path(__file__).parents[2]
STACKS: Final = ("dev", "qa", "uat", "staging", "live")
SECRET: Final = "secrets:session-signing-key"  # noqa: S105 - the name of one, not its value

Declared = Mapping[str, list[str]]
DECLARED: Final[Declared] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["rehearsal"][
    "secrets"
]
"""Keys of the secrets that each stack takes, and `every` stack."""
SECRETS: Final = frozenset(key for keys in DECLARED.values() for key in keys)
"""Keys of all secrets of all stacks."""

Document = dict[str, Any]


class Absent:
    """Stands for a key that a change takes away."""


ABSENT: Final = Absent()


def document(stack: str) -> Document:
    """Return the configuration of a stack: its file, over the defaults of the project, with its secrets."""
    project = _read("Pulumi.yaml")["config"]
    defaults = {key: declaration["default"] for key, declaration in project.items()}
    secrets = dict.fromkeys(secret_keys(stack), "correct horse battery staple")
    return {**defaults, **written(stack), **secrets}


def secret_keys(stack: str) -> tuple[str, ...]:
    """Return the keys of the secrets that a stack takes."""
    return (*DECLARED["every"], *DECLARED.get(stack, ()))


def written(stack: str) -> Document:
    """Return the configuration that a stack's file itself states."""
    return cast(Document, _read(f"Pulumi.{stack}.yaml")["config"])


def configuration(document: Mapping[str, Any]) -> dict[str, str]:
    """Return a configuration as Pulumi encodes it: text as it is, all else as JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in document.items()}


def changed(document: Document, changes: Mapping[str, Any]) -> Document:
    """Return a copy with values put at, or taken from, dotted paths such as `quikapp:release.blue.weight`."""
    copy: Document = json.loads(json.dumps(document))
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = copy
        for step in parents:
            place = place[step]
        if value is ABSENT:
            del place[last]
        else:
            place[last] = value
    return copy


def _read(name: str) -> Document:
    return cast(Document, yaml.safe_load((ROOT / name).read_text()))
