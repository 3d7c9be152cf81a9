"""The stack file, of which a rollout changes the release and the change requests: comments and layout stay as they are."""

from __future__ import annotations

import difflib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, cast

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from operations.changes import KEY as CHANGES
from operations.changes import Ledger, ledger_of
from operations.environments import Gate
from operations.facts import Environment
from operations.release import Release
from operations.slots import Slot
from rollout.errors import RolloutError

RELEASE: Final = "quikapp:release"
ENVIRONMENT: Final = "quikapp:environment"
ENCRYPTION: Final = ("secretsprovider", "encryptedkey", "encryptionsalt")
"""What the engine writes of how a stack's secrets are encrypted. Source:
https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/"""

NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
"""Of a stack. Source: https://www.pulumi.com/docs/iac/concepts/stacks/"""


@dataclass(frozen=True)
class StackFile:
    """`Pulumi.<stack>.yaml` on disk."""

    path: Path

    @classmethod
    def of(cls, stack: str, folder: Path) -> Self:
        """Return the file of a stack.

        Raises:
            RolloutError: no stack can have that name.
        """
        if not NAME.fullmatch(stack):
            raise RolloutError(
                f"--stack = {json.dumps(stack, ensure_ascii=False)}: allowed is the name of a stack, "
                "without an organisation or a project before it: letters, digits, hyphens, underscores and periods"
            )
        return cls(folder / f"Pulumi.{stack}.yaml")

    def text(self) -> str:
        """Return the file as it is.

        Raises:
            RolloutError: it cannot be read.
        """
        try:
            return self.path.read_text()
        except FileNotFoundError as error:
            raise RolloutError(self._missing()) from error
        except (OSError, UnicodeDecodeError) as error:
            raise RolloutError(f"{self.path} cannot be read: {error}") from error

    def release(self) -> Release:
        """Return the release that the file states.

        Raises:
            RolloutError: it states none, or one that is refused.
        """
        try:
            return Release.model_validate_json(self._group(RELEASE), by_alias=True, by_name=False)
        except (KeyError, ValidationError) as error:
            raise RolloutError(f"{self.path.name}: {RELEASE} is missing or wrong: {_first(error)}") from error

    def changes(self) -> Ledger:
        """Return the change requests that the file lists; none where it says nothing of them.

        Raises:
            RolloutError: they are refused.
        """
        listed = _plain(self._config(self._read())).get(CHANGES, [])
        try:
            return ledger_of(listed)
        except ValidationError as error:
            raise RolloutError(f"{self.path.name}: {CHANGES} is wrong: {_first(error)}") from error

    def sla(self) -> float | None:
        """Return the availability that the environment promises, in percent; None promises nothing.

        Raises:
            RolloutError: the file does not say.
        """
        return self._environment().sla

    def gate(self) -> Gate:
        """Return what a deployment to the environment waits for.

        Raises:
            RolloutError: the file does not say.
        """
        return self._environment().gate

    def encryption(self) -> Mapping[str, str]:
        """Return how the stack's secrets are encrypted, as far as the file says it: the journal's stack takes the same."""
        stated = _plain(self._read())
        return {key: str(stated[key]) for key in ENCRYPTION if key in stated}

    def with_release(self, release: Release, changes: Ledger | None = None) -> str:
        """Return the file's text with another release in it, and other change requests; None leaves them as they are."""
        document = self._read()
        if changes is not None:
            _list(
                self._config(document), [change.model_dump(mode="json", by_alias=True) for change in changes]
            )
        stated = cast("CommentedMap", self._config(document)[RELEASE])
        wanted = release.model_dump(mode="json", by_alias=True, exclude_none=True)
        _merge(stated, wanted)
        for slot in Slot:
            _drop(cast("CommentedMap", stated[slot.value]), cast("Mapping[str, object]", wanted[slot.value]))
        _drop(stated, wanted)
        text = io.StringIO()
        _yaml().dump(document, text)  # pyright: ignore[reportUnknownMemberType]
        return text.getvalue()

    def write(self, text: str) -> None:
        """Replace the file, at once and whole.

        Raises:
            RolloutError: it cannot be written.
        """
        fresh = self.path.with_name(f".{self.path.name}.new")
        try:
            fresh.write_text(text)
            fresh.chmod(self.path.stat().st_mode)
            fresh.replace(self.path)
        except OSError as error:
            raise RolloutError(f"{self.path} cannot be written: {error}") from error

    def _environment(self) -> Environment:
        try:
            return Environment.model_validate_json(self._group(ENVIRONMENT), by_alias=True, by_name=False)
        except (KeyError, ValidationError) as error:
            raise RolloutError(
                f"{self.path.name}: {ENVIRONMENT} is missing or wrong: {_first(error)}"
            ) from error

    def _read(self) -> CommentedMap:
        try:
            document = cast("object", _yaml().load(self.text()))  # pyright: ignore[reportUnknownMemberType]
        except YAMLError as error:
            raise RolloutError(f"{self.path.name} is no YAML: {' '.join(str(error).split())}") from error
        if not isinstance(document, CommentedMap):
            raise RolloutError(f"{self.path.name} must hold a mapping at its top")
        return document

    def _config(self, document: CommentedMap) -> CommentedMap:
        config = _plain(document).get("config")
        if config is None:
            return CommentedMap()
        if not isinstance(config, CommentedMap):
            raise RolloutError(
                f"{self.path.name}: config = {json.dumps(config, default=str)}: allowed is a mapping from keys to values"
            )
        return config

    def _missing(self) -> str:
        """What to say where there is no such file: which there are, and the one that was meant, if any is like it."""
        stack = self.path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        others = sorted(
            path.name.removeprefix("Pulumi.").removesuffix(".yaml")
            for path in self.path.parent.glob("Pulumi.*.yaml")
        )
        if not others:
            return f"no stack '{stack}', nor any other, in {self.path.parent}: name the folder of the stack files with --work-dir"
        meant = difflib.get_close_matches(stack, others, n=1)
        guess = f"did you mean {meant[0]}? " if meant else ""
        return f"no stack '{stack}': {guess}The stacks in {self.path.parent} are {', '.join(others)}; --work-dir names another folder"

    def _group(self, key: str) -> str:
        """One key of the configuration, as JSON. What YAML knows and JSON does not, such as a date, becomes text."""
        return json.dumps(_plain(self._config(self._read()))[key], default=str)


def _yaml() -> YAML:
    yaml = YAML()  # round trip
    yaml.preserve_quotes = True
    yaml.width = 1_000_000  # a long line stays one
    return yaml


def _plain(document: CommentedMap) -> Mapping[str, object]:
    """The same as the mapping that it is; the library leaves its types open."""
    return cast("Mapping[str, object]", document)


def _merge(stated: CommentedMap, wanted: Mapping[str, object]) -> None:
    for key, value in wanted.items():
        inner = _plain(stated).get(key)
        if isinstance(inner, CommentedMap) and isinstance(value, Mapping):
            _merge(inner, cast("Mapping[str, object]", value))
        elif inner != value:
            stated[key] = value


def _drop(stated: CommentedMap, wanted: Mapping[str, object]) -> None:
    for key in [key for key in _plain(stated) if key not in wanted]:
        del stated[key]


def _list(config: CommentedMap, wanted: Sequence[Mapping[str, str]]) -> None:
    """Make the listed change requests these; what is as it should be stays as it is written."""
    listed = _plain(config).get(CHANGES)
    if not isinstance(listed, CommentedSeq):
        if not wanted:
            return
        listed = CommentedSeq()
        config.insert(list(_plain(config)).index(RELEASE) + 1, CHANGES, listed)  # pyright: ignore[reportUnknownMemberType]
    stated = cast("list[object]", listed)
    kept = next(
        (place for place, (is_, should) in enumerate(zip(stated, wanted, strict=False)) if is_ != should),
        min(len(stated), len(wanted)),
    )
    del stated[kept:]
    for change in wanted[kept:]:
        entry = CommentedMap(change)
        entry.fa.set_flow_style()  # pyright: ignore[reportUnknownMemberType]
        stated.append(entry)


def _first(error: KeyError | ValidationError) -> str:
    if isinstance(error, KeyError):
        return "there is no such key"
    fault = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, fault['loc']))} {fault['msg']}".strip()
