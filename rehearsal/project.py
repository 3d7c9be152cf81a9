"""A Pulumi project on disk, and the copy of it that a rehearsal works on.

The committed stack files are only ever read: the copy carries the rehearsal's own secrets and encryption salt.
"""

from __future__ import annotations

import hashlib
import hmac
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict, cast

import yaml

from rehearsal.errors import RehearsalError

POLICY_PACK = "policy"
"""The folder of a project's policy pack, if it has one."""

ENCRYPTION_KEYS = ("encryptionsalt", "encryptedkey", "secretsprovider")
"""Top-level keys of a stack file that say how the team's own secrets are encrypted."""


class Policies(TypedDict, total=False):
    """The engine's options for policy packs, as the Automation API spells them."""

    policy_packs: list[str]
    policy_pack_configs: list[str]


@dataclass(frozen=True)
class Project:
    """A folder with a ``Pulumi.yaml``, a ``__main__.py`` and one ``Pulumi.<stack>.yaml`` a stack."""

    root: Path

    def __post_init__(self) -> None:
        for needed in ("Pulumi.yaml", "__main__.py"):
            if not (self.root / needed).is_file():
                raise RehearsalError(
                    f"{self.root} is no Pulumi program: it has no {needed}. "
                    "Run this in the folder of one, or name it with --project."
                )

    @cached_property
    def name(self) -> str:
        """The project's name, which is also the namespace of its configuration."""
        return str(_mapping(self.root / "Pulumi.yaml").get("name", self.root.name))

    @property
    def program(self) -> Path:
        """The program that the engine runs."""
        return self.root / "__main__.py"

    @property
    def stacks(self) -> list[str]:
        """The stacks that have a file, by name."""
        return sorted(path.name.split(".")[1] for path in self.root.glob("Pulumi.*.yaml"))

    @property
    def home(self) -> Path:
        """Where the rehearsals of this project keep what they need; git ignores it."""
        return self.root / ".rehearsal"

    def stack_file(self, stack: str) -> Path:
        """The committed file of a stack.

        Raises:
            RehearsalError: the stack has no file.
        """
        path = self.root / f"Pulumi.{stack}.yaml"
        if not path.is_file():
            known = ", ".join(self.stacks) or "none"
            raise RehearsalError(
                f"no stack '{stack}': {path.name} does not exist. Stacks with a file: {known}."
            )
        return path

    def region(self, stack: str) -> str:
        """The AWS region of a stack: ``aws:region`` of its file."""
        return str(_config(_mapping(self.stack_file(stack))).get("aws:region", "us-east-1"))

    def setting(self, stack: str, key: str) -> object:
        """What a stack's file says under a key of the project's own configuration; None where it says nothing."""
        return _config(_mapping(self.stack_file(stack))).get(f"{self.name}:{key}")

    def secret_keys(self, stack: str) -> tuple[str, ...]:
        """Secrets that a stack wants and no stack file carries: ``[tool.rehearsal.secrets]`` of pyproject.toml.

        Its keys are the stacks, and ``every`` for all of them.
        """
        secrets = cast("dict[str, list[str]]", self._declared.get("secrets", {}))
        return (*secrets.get("every", ()), *secrets.get(stack, ()))

    def policies(self, stack: str) -> Policies:
        """What has the engine judge a stack by the project's policy pack; nothing where the project has none.

        Violations are mandatory except in the stacks of ``[tool.rehearsal.policy] advisory`` of pyproject.toml.
        """
        pack = (self.root / POLICY_PACK).resolve()  # where its Python is, is found from there
        if not (pack / "PulumiPolicy.yaml").is_file():
            return {}
        advisory = cast("dict[str, list[str]]", self._declared.get("policy", {})).get("advisory", ())
        level = "advisory" if stack in advisory else "mandatory"
        return {"policy_packs": [str(pack)], "policy_pack_configs": [str(pack / "levels" / f"{level}.json")]}

    @cached_property
    def _declared(self) -> dict[str, Any]:
        """What the project says of its rehearsals."""
        path = self.root / "pyproject.toml"
        if not path.is_file():
            return {}
        return tomllib.loads(path.read_text()).get("tool", {}).get("rehearsal", {})

    def copy_to(self, directory: Path, stack: str, passphrase: str) -> dict[str, str]:
        """Write the project files that the engine reads into ``directory``; the program itself stays where it is.

        What somebody has changed in an earlier copy, as a rollout changes the release, stays there until the committed
        file says something else under the same key.

        Args:
            directory: the work directory of the engine.
            stack: the stack whose file is copied.
            passphrase: the rehearsal's own; the made-up secrets derive from it, so that they stay the same
                from one run to the next and stand nowhere in the clear.

        Returns:
            The made-up secrets by configuration key. The engine encrypts them into the copy.
        """
        settings = _mapping(self.stack_file(stack))
        config = _config(settings)
        encrypted = [key for key, value in config.items() if isinstance(value, dict) and "secure" in value]
        secrets = {
            key: _made_up(passphrase, key) for key in dict.fromkeys([*self.secret_keys(stack), *encrypted])
        }

        directory.mkdir(parents=True, exist_ok=True)
        target, copied = directory / f"Pulumi.{stack}.yaml", directory / f".Pulumi.{stack}.yaml"
        earlier = _mapping(target) if target.is_file() else {}
        plain = {key: value for key, value in config.items() if key not in secrets}
        moved = _moved(
            before=_config(_mapping(copied)) if copied.is_file() else {}, since=_config(earlier), now=plain
        )
        copy = {key: value for key, value in settings.items() if key not in ENCRYPTION_KEYS}
        copy["config"] = plain | moved
        if (salt := earlier.get("encryptionsalt")) is not None:
            copy["encryptionsalt"] = salt
        target.write_text(yaml.safe_dump(copy, sort_keys=False))
        # Last: where this is killed before, nothing seems to have been changed.
        copied.write_text(yaml.safe_dump({"config": plain}))
        (directory / "Pulumi.yaml").write_bytes((self.root / "Pulumi.yaml").read_bytes())
        return secrets


def _made_up(passphrase: str, key: str) -> str:
    return hmac.new(passphrase.encode(), key.encode(), hashlib.sha256).hexdigest()


def _config(settings: dict[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", settings.get("config") or {})


def _moved(*, before: dict[str, Any], since: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What a copy says since it was made, of all that its original still says as it did."""
    return {
        key: since[key]
        for key in now
        if key in since and now[key] == before.get(key) and since[key] != before[key]
    }


def _mapping(path: Path) -> dict[str, Any]:
    try:
        document: Any = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RehearsalError(f"{path.name} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise RehearsalError(
            f"{path.name} must hold a mapping at its top, and holds {type(document).__name__}."
        )
    return cast("dict[str, Any]", document)
