"""Every command of README, guides and runbooks is one: what can run here runs in a test, and of the rest its name and options exist."""

from __future__ import annotations

import functools
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import click
import pytest
import typer

from tests.unit.documented import OUTSIDE, READ, RUN, SHELL, Documented, Run, documented, functions, shown
from tests.unit.pages import PAGES, ROOT, fences

COMMANDS: Final = tuple(documented())
FUNCTIONS: Final = functions()
SCRIPTS: Final[dict[str, str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
MAKEFILE: Final = (ROOT / "Makefile").read_text()
TARGETS: Final = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
VARIABLES: Final = set(re.findall(r"^(\w+) \?=", MAKEFILE, re.MULTILINE))

STANDS_FOR: Final = {"$STACK": "live", "<stack>": "live", "<version>": "v2.4.0"}
"""What a reader's shell, or the reader, puts in place of a word."""


def module(script: str) -> str:
    return SCRIPTS[script].partition(":")[0]


@functools.cache
def app(script: str) -> click.Command:
    return typer.main.get_command(importlib.import_module(module(script)).app)  # pyright: ignore[reportReturnType]


def parts(command: click.Command) -> dict[str, click.Command]:
    """The subcommands of a command."""
    found: dict[str, click.Command] = getattr(command, "commands", {})
    return found


def name(command: Documented) -> str:
    """What `RUN` calls a command: the program, and its subcommand or target."""
    first = next(iter(command.arguments), "")
    if command.program == "make":
        return f"make {first}"
    if command.program in SCRIPTS and first in parts(app(command.program)):
        return f"{command.program} {first}"
    return command.program


def of_ours(command: Documented) -> bool:
    return command.program == "make" or command.words[:2] == ("uv", "run")


OURS: Final = tuple(command for command in COMMANDS if of_ours(command))
TYPED: Final = tuple(command for command in OURS if command.program in SCRIPTS)
MADE: Final = tuple(command for command in OURS if command.program == "make")


# --- each has its class --------------------------------------------------------------------------------------------


def unknown(command: Documented) -> bool:
    """Whether nobody has said what becomes of a command."""
    if of_ours(command):
        return name(command) not in RUN
    return command.program not in {"pulumi", "true", "$tool"} | SHELL | OUTSIDE | FUNCTIONS


@pytest.mark.parametrize("page", READ)
def test_every_command_is_run_by_a_test_or_known_to_need_more_than_is_here(page: str) -> None:
    assert [str(command) for command in COMMANDS if command.page == page and unknown(command)] == []


@pytest.mark.parametrize("words", ["uv run deplyo --stack dev", "make tset", "terraform apply"])
def test_a_command_of_no_class_is_found(words: str) -> None:
    (found,) = shown(f"```sh\n{words}\n```\n")
    assert unknown(Documented("docs/a-page.md", tuple(found)))


def test_nothing_is_said_of_commands_that_no_page_shows() -> None:
    assert {name(command) for command in OURS} == set(RUN)


@pytest.mark.parametrize(("command", "run"), RUN.items())
def test_a_test_of_its_own_runs_the_command(command: str, run: Run | str) -> None:
    if isinstance(run, Run):
        assert (ROOT / run.value).exists()
        return
    text = (ROOT / run).read_text()
    program, _, part = command.partition(" ")
    started = f'"{part}"' if part and program != "make" else module(program) if program in SCRIPTS else part
    assert started in text, f"{run} does not start {command}"


# --- ours ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", TYPED, ids=str)
def test_our_program_takes_what_is_shown(
    command: Documented, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [STANDS_FOR.get(word, word) for word in command.arguments]
    for word in arguments:
        if re.fullmatch(r"[\w-]+\.jsonl?", word):  # a program may ask that the file be there
            Path(word).touch()
        if word.startswith("examples/"):
            Path(word).mkdir(parents=True)
    taken = app(command.program)
    if arguments and arguments[0] in parts(taken):
        taken = parts(taken)[arguments.pop(0)]
    # Parses options, their types, and what is required; runs nothing.
    with taken.make_context(command.program, arguments) as context:
        assert not context.args


@pytest.mark.parametrize(
    "wrong",
    [
        ["status", "--stak", "live"],
        ["pause", "--stack", "live"],
        ["start", "--stack", "live", "--speed", "no"],
    ],
)
def test_a_wrong_option_is_found(wrong: list[str]) -> None:
    with pytest.raises(Exception, match=r"(?i)no such option|missing parameter|whole number"):
        parts(app("rollout"))[wrong[0]].make_context("rollout", wrong[1:])


@pytest.mark.parametrize("command", MADE, ids=str)
def test_make_has_the_target(command: Documented) -> None:
    for word in command.arguments:
        variable, is_given, _ = word.partition("=")
        assert variable in (VARIABLES if is_given else TARGETS), command


@pytest.mark.parametrize(
    ("target", "started"),
    [
        ("rehearse", "rehearse up --stack qa"),
        ("down", "rehearse down --stack qa"),
        ("site", "mkdocs build --strict"),
        ("generate", "python -m reference.generate"),
        ("unit", "pytest tests/unit"),
        ("test", "pytest"),
    ],
)
def test_make_starts_what_the_tests_run(target: str, started: str) -> None:
    told = subprocess.run(
        # A make that was started by another one tells its folder, too.
        ["make", "--no-print-directory", "-n", target, "STACK=qa"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"run --locked {started}" in told.stdout.splitlines()[-1]


HERE: Final = {command.words: command for command in OURS if RUN.get(name(command)) is Run.HERE}
"""Each once, whatever the number of pages that show it."""


@pytest.mark.parametrize("command", HERE.values(), ids=str)
def test_what_can_run_here_runs(command: Documented) -> None:
    started = (
        ["make", *command.arguments]
        if command.program == "make"
        else [sys.executable, "-c", f"from {module(command.program)} import main; main()", *command.arguments]
    )
    ended = subprocess.run(started, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.strip()


def test_the_tests_that_are_shown_are_there() -> None:
    for command in OURS:
        if command.program == "pytest":
            assert [path for path in command.arguments if not (ROOT / path).exists()] == []
        if command.program == "python":
            assert command.arguments[0] == "-m"
            importlib.import_module(command.arguments[1])


# --- the shell -----------------------------------------------------------------------------------------------------


def complaint(script: str) -> str:
    judged = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    return judged.stderr


@pytest.mark.parametrize("page", [page for page in READ if fences(PAGES[page], "sh")])
def test_every_block_of_commands_is_valid_shell(page: str) -> None:
    assert complaint("\n".join(fence.body for fence in fences(PAGES[page], "sh"))) == ""


def test_invalid_shell_is_found() -> None:
    assert "syntax error" in complaint("if true; then")


def test_every_line_is_read_as_some_shell_does() -> None:
    """A word too many would hide a command: what is found is found in every kind of place."""
    found: dict[str, set[str]] = {}
    for command in COMMANDS:
        found.setdefault(command.page, set()).add(" ".join(command.words[:3]))
    assert "pulumi stack output" in found["docs/runbooks/incident.md"]  # in a substitution
    assert "aws kms list-keys" in found["docs/runbooks/recovery/ransomware.md"]  # in a loop
    assert "kubectl -n monitoring" in found["README.md"]  # in a table
    assert "make rehearse STACK=live" in found["README.md"]  # after a prompt
