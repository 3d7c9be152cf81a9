"""Every command of Pulumi that a page shows is one of the engine's, with options that it takes."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass

import pytest

from rehearsal.toolchain import ToolSet, ensure
from tests.unit.documented import documented


@dataclass(frozen=True)
class Taken:
    """What the engine made of a command."""

    path: tuple[str, ...]
    """The command that it found."""
    names: frozenset[str]
    """The last part of the path, and its other names."""
    is_group: bool
    options: frozenset[str]


@functools.cache
def taken(plain: tuple[str, ...]) -> Taken:
    """Ask the engine for help on a command."""
    with tempfile.TemporaryDirectory() as home:
        told = subprocess.run(
            [str(ensure(ToolSet.PULUMI)["pulumi"]), *plain, "--help"],
            env={**os.environ, "PULUMI_HOME": home, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    (usage,) = re.findall(r"^Usage:\n +pulumi((?: [a-z-]+)*)", told, re.MULTILINE)
    aliases = re.findall(r"^Aliases:\n +(.+)$", told, re.MULTILINE)
    path = tuple(usage.split())
    options = re.findall(r"^ +(?:(-\w), )?(--[\w-]+)", told, re.MULTILINE)
    return Taken(
        path,
        frozenset({*path[-1:], *(alias for line in aliases for alias in line.split(", "))}),
        "Available Commands:" in told,
        frozenset(option for pair in options for option in pair if option),
    )


def faults(words: list[str]) -> list[str]:
    """What is wrong with the arguments of `pulumi`."""
    plain = tuple(word for word in words if re.fullmatch(r"[a-z][a-z-]*", word))
    found = taken(plain[:2])
    deep = len(found.path)
    # A group that does not know the next word tells of itself.
    is_lost = found.is_group and words[deep : deep + 1] == list(plain[deep : deep + 1]) != []
    if not deep or plain[deep - 1] not in found.names or is_lost:
        return [f"no command: {' '.join(plain[: deep + 1])}"]
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    return [f"no option: {option}" for option in sorted(given - found.options)]


SHOWN = sorted({command.words[1:] for command in documented() if command.program == "pulumi"})


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_the_engine_takes_what_is_shown(words: tuple[str, ...]) -> None:
    assert faults([*words]) == []


def test_the_commands_are_found_at_all() -> None:
    assert {words[:2] for words in SHOWN} > {("stack", "init"), ("config", "set"), ("preview", "--stack")}


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["prevew", "--stack", "live"], ["no command: prevew"]),
        (["stack", "inti", "live"], ["no command: stack inti"]),
        (["up", "--stak", "live"], ["no option: --stak"]),
        (["stack", "output", "slots", "--jsn"], ["no option: --jsn"]),
    ],
)
def test_what_the_engine_does_not_take_is_found(words: list[str], wrong: list[str]) -> None:
    assert faults(words) == wrong
