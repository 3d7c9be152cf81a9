"""The stack files as Pulumi hands them to the program, read from the disk alone: no engine, no account, and no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from operations.environments import EnvironmentName
from operations.facts import EnvironmentFacts
from reference.errors import StackFileError
from settings import FACTS, SettingsError, parse

PROJECT: Final = "Pulumi.yaml"


@dataclass(frozen=True)
class StackFiles:
    """The folder that holds Pulumi.yaml and a file for each environment."""

    folder: Path

    @cached_property
    def defaults(self) -> Mapping[str, object]:
        """What Pulumi.yaml states for every stack, by key.

        Raises:
            StackFileError: the file cannot be read.
        """
        declared = _config(self.folder / PROJECT)
        return {
            key: cast("dict[str, object]", declaration)["default"]
            for key, declaration in declared.items()
            if isinstance(declaration, dict) and "default" in declaration
        }

    def facts(self, name: EnvironmentName) -> EnvironmentFacts:
        """Return the facts of an environment. Secrets that its file lacks are taken to be there: no value of one is needed.

        Raises:
            StackFileError: a file cannot be read.
            SettingsError: the file has faults.
        """
        stated = {**self.defaults, **_config(self.folder / f"Pulumi.{name}.yaml")}
        secrets = {key for key, value in stated.items() if _is_secret(value)}
        return parse(name, {key: _encoded(value) for key, value in stated.items()}, secrets, complete=False)

    def all_facts(self) -> tuple[list[EnvironmentFacts], list[StackFileError | SettingsError]]:
        """Return the facts of each environment whose file is good, in order, and why the others are refused.

        Raises:
            StackFileError: Pulumi.yaml, which is a part of every environment, cannot be read.
        """
        facts: list[EnvironmentFacts] = []
        refusals: list[StackFileError | SettingsError] = []
        _ = self.defaults
        for name in EnvironmentName:
            try:
                facts.append(self.facts(name))
            except (StackFileError, SettingsError) as refusal:
                refusals.append(refusal)
        return facts, refusals


def _config(path: Path) -> dict[str, object]:
    try:
        document = cast("object", YAML(typ="safe", pure=True).load(path.read_text()))  # pyright: ignore[reportUnknownMemberType]
    except FileNotFoundError as error:
        raise StackFileError(
            f"no {path.name} in {path.parent}: name the folder of the stack files with --work-dir"
        ) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise StackFileError(f"{path.name} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise StackFileError(f"{path.name} must hold a mapping at its top")
    config = cast("dict[str, object]", document).get("config")
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise StackFileError(f"{path.name} must hold a mapping under config")
    # A key without a namespace is the project's own.
    named = {str(key): value for key, value in cast("dict[object, object]", config).items()}
    return {key if ":" in key else f"{FACTS}{key}": value for key, value in named.items()}


def _encoded(value: object) -> str:
    """Return a value as Pulumi hands it over: text as it is, nothing as no text, all else as JSON."""
    if isinstance(value, str):
        return value
    # A date without quotes has become a moment, as Go prints one.
    return "" if value is None else json.dumps(value, default=lambda date: f"{date} 00:00:00 +0000 UTC")


def _is_secret(value: object) -> bool:
    """Whether a value, or any part of it, is encrypted."""
    match value:
        case {"secure": str()} if len(cast("dict[str, object]", value)) == 1:
            return True
        case dict():
            return any(map(_is_secret, cast("dict[str, object]", value).values()))
        case list():
            return any(map(_is_secret, cast("list[object]", value)))
        case _:
            return False
