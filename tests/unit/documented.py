"""The commands that README, guides and runbooks show, and what becomes of each in the tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tests.unit.pages import PAGES, code, fences
from tests.unit.shell import commands

READ: Final = tuple(
    page for page in PAGES if page.startswith("docs/") or page in ("README.md", "CONTRIBUTING.md")
)
"""The pages whose commands are looked at."""

PROGRAMS: Final = frozenset({"aws", "gh", "git", "kubectl", "make", "pulumi", "uv"})
"""What a command that is shown in a sentence, or in a block without a language, begins with."""

SHELL: Final = frozenset(
    {"[", "awk", "base64", "break", "cat", "cd", "comm", "command", "curl", "cut", "date", "echo", "export", "grep", "head", "jq", "mkdir", "paste", "read"}
    | {"rm", "sed", "seq", "set", "shift", "sleep", "sort", "sudo", "tail", "test", "tr", "wc", "xargs"}
)  # fmt: skip
"""A shell, and what is beside one on any machine."""

OUTSIDE: Final = frozenset({"aws", "gh", "git", "kubectl", "psql", "pg_dump"})
"""Programs of others that ask an account, a cluster, a database or a clone."""


class Run(Enum):
    """Where a command of ours is run."""

    HERE = "tests/unit/test_documented_commands.py"
    """As it is written, in a process of its own."""
    SUITE = "tests"
    """It is, or contains, the tests themselves."""


RUN: Final[dict[str, Run | str]] = {
    "deploy check": "tests/unit/delivery/test_deploy_command.py",
    "deploy run": "tests/rehearsal/pipeline.py",
    "drift": "tests/rehearsal/test_drift.py",
    "environments": Run.HERE,
    "make bench": Run.SUITE,
    "make canaries": Run.SUITE,
    "make down": "tests/rehearsal/test_rehearse.py",
    "make fix": Run.SUITE,
    "make generate": "tests/unit/reference/test_generated.py",
    "make help": Run.HERE,
    "make rehearse": "tests/rehearsal/test_rehearse.py",
    "make site": "tests/delivery/test_site.py",
    "make test": Run.SUITE,
    "make unit": Run.SUITE,
    "pre-commit": Run.SUITE,
    "preview-report comment": "tests/unit/delivery/test_preview_command.py",
    "preview-report read": "tests/unit/delivery/test_preview_command.py",
    "preview-report show": "tests/unit/delivery/test_preview_command.py",
    "preview-report take": "tests/rehearsal/test_drift.py",
    "pytest": Run.SUITE,
    "python": Run.SUITE,
    "rehearse canary": "tests/rehearsal/test_canary.py",
    "rehearse down": "tests/rehearsal/test_rehearse.py",
    "rehearse draw": "tests/rehearsal/test_rehearse.py",
    "rehearse preview": "tests/rehearsal/test_drift.py",
    "rehearse recover": "tests/rehearsal/test_recover.py",
    "rehearse status": "tests/rehearsal/test_rehearse.py",
    "rehearse up": "tests/rehearsal/test_rehearse.py",
    "rollout draw": "tests/rehearsal/test_rollout.py",
    "rollout pause": "tests/rehearsal/test_rollout.py",
    "rollout promote": "tests/rehearsal/test_rollout.py",
    "rollout resume": "tests/rehearsal/test_rollout.py",
    "rollout rollback": "tests/rehearsal/test_rollout.py",
    "rollout start": "tests/rehearsal/test_rollout.py",
    "rollout status": "tests/rehearsal/test_rollout.py",
}
"""Every command that this repository brings and a page shows, and where it is run: a `Run`, or a test of its own."""


@dataclass(frozen=True)
class Documented:
    """A command that a page shows."""

    page: str
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """What is started: for `uv run` what follows it."""
        return self.words[2] if self.words[:2] == ("uv", "run") else self.words[0]

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.words[3:] if self.words[:2] == ("uv", "run") else self.words[1:]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def documented() -> Iterator[Documented]:
    """Every command of every page, once a page."""
    for page in READ:
        for words in dict.fromkeys(tuple(words) for words in shown(PAGES[page])):
            yield Documented(page, words)


def shown(text: str) -> Iterator[list[str]]:
    """The commands of a page: of its blocks, and those in its sentences."""
    for fence in fences(text):
        yield from commands(scripted(fence.language, fence.body))
    for line in code(text):
        if re.match(rf"({'|'.join(sorted(PROGRAMS))}) \S", line):
            yield from commands(line.replace("\\|", "|"))


def scripted(language: str, body: str) -> str:
    """What a shell reads of a block: all of it, what follows the prompts, or nothing where it is something else."""
    if language in ("sh", "bash"):
        return body
    if language not in ("", "console"):
        return ""
    if typed := re.findall(r"^\$ (.*)$", body, re.MULTILINE):
        return "\n".join(typed)
    first = body.split(maxsplit=1)[0]
    return body if first in PROGRAMS | SHELL else ""


def functions() -> set[str]:
    """What the pages' own shells define."""
    return {
        name
        for page in READ
        for fence in fences(PAGES[page], "sh")
        for name in re.findall(r"^ *(\w+)\(\) \{", fence.body, re.MULTILINE)
    }
