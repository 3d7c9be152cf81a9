"""Tools come from PATH if suitable, else from the cache, else from a compiler; each failure is one clear line."""

import importlib.util
import io
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from rehearsal.compiler import environment
from rehearsal.errors import RehearsalError
from rehearsal.programs import Version, parse_version, version_of
from rehearsal.toolchain import RECIPES, Suits, ToolSet, ensure, pinned, set_directory

KWOK = RECIPES[ToolSet.KWOK].tools[0]
PINNED = "v" + ".".join(map(str, pinned(ToolSet.KWOK, KWOK)))

# A compiler that "builds" a kwok which only tells its version, and notes each build.
COMPILER = """
case "$1" in
  version) echo "go version go1.26.8 linux/amd64" ;;
  list) echo sigs.k8s.io/kwok/cmd/kwok ;;
  build)
    echo built >> "$QUIKAPP_TOOLS/builds"
    for argument; do case "$argument" in */bin/) programs="$argument" ;; esac; done
    printf '#!/bin/sh\\necho kwok version {version}\\n' > "$programs/kwok"
    /bin/chmod +x "$programs/kwok" ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """A machine whose PATH holds what a test puts there, and whose tool cache is empty at first."""

    path: Path
    cache: Path

    def has(self, name: str, script: str) -> Path:
        program = self.path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        return program

    def lacks(self, name: str) -> None:
        self.path.joinpath(name).unlink()

    @property
    def builds(self) -> int:
        notes = self.cache / "builds"
        return len(notes.read_text().splitlines()) if notes.exists() else 0


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(path=tmp_path / "path", cache=tmp_path / "cache")
    machine.path.mkdir()
    monkeypatch.setenv("PATH", str(machine.path))
    monkeypatch.setenv("QUIKAPP_TOOLS", str(machine.cache))
    monkeypatch.delenv("UV", raising=False)
    return machine


def refusal() -> str:
    with pytest.raises(RehearsalError) as refused:
        ensure(ToolSet.KWOK)
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Kubernetes v1.36.3", (1, 36, 3)),
        ("etcd Version: 3.6.8\nGit SHA: abc", (3, 6, 8)),
        ("go version go1.26 linux/amd64", (1, 26, 0)),
        ("v3.259.0", (3, 259, 0)),
        ("Kubernetes v1.36.3-eks-a737599", (1, 36, 3)),
        ("version unknown", None),
        ("", None),
    ],
)
def test_a_version_is_read_from_whatever_a_program_says(text: str, version: Version | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("rule", "found", "suitable"),
    [
        (Suits.SAME_MINOR, (1, 36, 0), True),
        (Suits.SAME_MINOR, (1, 36, 9), True),
        (Suits.SAME_MINOR, (1, 35, 3), False),
        (Suits.SAME_MINOR, (1, 37, 3), False),
        (Suits.SAME_MINOR, (2, 36, 3), False),
        (Suits.NOT_OLDER, (1, 36, 3), True),
        (Suits.NOT_OLDER, (1, 40, 0), True),
        (Suits.NOT_OLDER, (1, 36, 2), False),
        (Suits.NOT_OLDER, (2, 0, 0), False),
    ],
)
def test_a_version_suits_or_not(rule: Suits, found: Version, suitable: bool) -> None:
    assert rule.accepts(found, (1, 36, 3)) is suitable


@pytest.mark.parametrize("tool_set", ToolSet)
def test_every_tool_is_pinned_by_its_go_mod(tool_set: ToolSet) -> None:
    for tool in RECIPES[tool_set].tools:
        assert pinned(tool_set, tool) > (0, 0, 0)


def test_prometheus_is_counted_by_its_release_and_not_by_its_module() -> None:
    assert pinned(ToolSet.PROMETHEUS, RECIPES[ToolSet.PROMETHEUS].tools[0])[0] == 3


def test_jaeger_is_counted_by_its_release_and_not_by_its_module() -> None:
    assert pinned(ToolSet.JAEGER, RECIPES[ToolSet.JAEGER].tools[0]) == (2, 13, 0)


def test_a_suitable_program_on_path_is_used_and_nothing_is_built(machine: Machine) -> None:
    program = machine.has("kwok", f"echo kwok version {PINNED}")
    assert ensure(ToolSet.KWOK) == {"kwok": program}


@pytest.mark.parametrize("script", ["echo kwok version v0.1.0", "echo no version", f"echo {PINNED}; exit 1"])
def test_an_unsuitable_program_on_path_is_not_used(machine: Machine, script: str) -> None:
    machine.has("kwok", script)
    machine.has("go", COMPILER.replace("{version}", PINNED))
    program = ensure(ToolSet.KWOK)["kwok"]
    assert program.is_relative_to(machine.cache)
    assert version_of([str(program)]) == pinned(ToolSet.KWOK, KWOK)


def test_a_tool_is_built_once(machine: Machine) -> None:
    machine.has("go", COMPILER.replace("{version}", PINNED))
    first = ensure(ToolSet.KWOK)
    machine.lacks("go")
    assert ensure(ToolSet.KWOK) == first
    assert machine.builds == 1


def test_a_tool_that_was_cut_short_is_built_again(machine: Machine) -> None:
    machine.has("go", COMPILER.replace("{version}", PINNED))
    program = ensure(ToolSet.KWOK)["kwok"]
    program.write_bytes(b"")
    assert version_of([str(ensure(ToolSet.KWOK)["kwok"])]) == pinned(ToolSet.KWOK, KWOK)
    assert machine.builds == 2


def test_a_build_that_was_killed_is_never_used_and_the_next_one_clears_it_away(machine: Machine) -> None:
    machine.has("go", COMPILER.replace("{version}", PINNED) + 'test "$1" != build || kill -9 $$')
    assert "kwok does not build" in refusal()
    assert not set_directory(ToolSet.KWOK).exists()
    leftovers = list(machine.cache.glob("*.partial-*"))
    assert len(leftovers) == 1
    assert leftovers[0].joinpath("bin/kwok").exists()

    machine.has("go", COMPILER.replace("{version}", PINNED))
    assert ensure(ToolSet.KWOK)["kwok"].exists()
    assert not list(machine.cache.glob("*.partial-*"))


def test_a_built_tool_that_does_not_run_is_refused(machine: Machine) -> None:
    machine.has("go", COMPILER.replace("{version}", "v0.0.1"))
    assert "kwok was built but does not run here" in refusal()
    assert not set_directory(ToolSet.KWOK).exists()


def test_two_rehearsals_build_a_tool_once_between_them(machine: Machine) -> None:
    hold = 'while [ "$1" = build ] && [ ! -e "$QUIKAPP_TOOLS/go-on" ]; do /bin/sleep 0.02; done'
    machine.has("go", hold + COMPILER.replace("{version}", PINNED))
    output = io.StringIO()
    found: list[Path] = []
    rehearsals = [
        threading.Thread(
            target=lambda: found.append(ensure(ToolSet.KWOK, console=Console(file=output))["kwok"])
        )
        for _ in range(2)
    ]
    for rehearsal in rehearsals:
        rehearsal.start()
    eventually(lambda: "Another rehearsal is building kwok" in output.getvalue())
    machine.cache.joinpath("go-on").touch()
    for rehearsal in rehearsals:
        rehearsal.join()
    assert found == [set_directory(ToolSet.KWOK) / "bin/kwok"] * 2
    assert machine.builds == 1


def test_a_person_sees_what_is_built_and_what_for_and_how_long_it_takes(machine: Machine) -> None:
    machine.has("go", COMPILER.replace("{version}", PINNED))
    output = io.StringIO()
    ensure(ToolSet.KWOK, console=Console(file=output, width=200))
    assert "Building kwok: the nodes, played (once; about 1.3 min on two cores)" in output.getvalue()


def test_a_terminal_shows_the_packages_as_they_are_compiled(machine: Machine) -> None:
    machine.has(
        "go", 'test "$1" != build || echo k8s.io/api/core/v1 >&2' + COMPILER.replace("{version}", PINNED)
    )
    output = io.StringIO()
    ensure(ToolSet.KWOK, console=Console(file=output, width=200, force_terminal=True))
    assert "k8s.io/api/core/v1" in output.getvalue()
    assert "1/1" in output.getvalue()


@pytest.mark.usefixtures("machine")
def test_without_a_compiler_and_an_installer_a_person_is_told_to_install_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    message = refusal()
    assert "no Go 1.26 or newer on PATH" in message
    assert "install Go from https://go.dev/dl/" in message


def test_without_a_compiler_and_a_package_index_a_person_is_told_why(machine: Machine) -> None:
    machine.has("uv", "echo 'error: the index does not answer' >&2; exit 2")
    message = refusal()
    assert "cannot be installed from the Python package index (error: the index does not answer)" in message
    assert "no Go 1.26 or newer on PATH" in message


def test_a_compiler_that_is_too_old_is_left_alone_and_a_new_one_installed(machine: Machine) -> None:
    machine.has("go", "echo go version go1.21.0 linux/amd64")
    good = machine.path / "good"
    good.write_text("#!/bin/sh\n" + COMPILER.replace("{version}", PINNED))
    machine.has(
        "uv",
        'while [ "$1" != --target ]; do shift; done; /bin/mkdir -p "$2/go/bin"'
        f'; /bin/cp {good} "$2/go/bin/go"; /bin/chmod +x "$2/go/bin/go"',
    )
    assert ensure(ToolSet.KWOK)["kwok"].exists()
    machine.lacks("uv")
    machine.cache.joinpath("builds").unlink()
    set_directory(ToolSet.KWOK).joinpath("bin/kwok").unlink()
    ensure(ToolSet.KWOK)
    assert machine.builds == 1


@pytest.mark.parametrize(
    "complaint",
    [
        "go: sigs.k8s.io/kwok@v0.8.0: Get https://proxy.example: dial tcp: lookup proxy.example: no such host",
        "go: sigs.k8s.io/kwok@v0.8.0: reading https://proxy.example/kwok: 403 Forbidden",
        "go: module lookup disabled by GOPROXY=off",
    ],
)
def test_a_first_use_without_a_network_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, complaint: str
) -> None:
    monkeypatch.setenv("GOPROXY", "https://proxy.example")
    machine.has("go", f'test "$1" = version && echo go1.26.8 || {{ echo "{complaint}" >&2; exit 1; }}')
    message = refusal()
    assert "the sources of kwok cannot be downloaded" in message
    assert complaint.removeprefix("go: ") in message
    assert "GOPROXY=https://proxy.example" in message


def test_a_full_disk_is_named(machine: Machine) -> None:
    machine.has(
        "go",
        'test "$1" = version && echo go1.26.8 || { echo "write /tmp/x: no space left on device" >&2; exit 1; }',
    )
    assert "the disk is full while kwok is built" in refusal()


def test_a_cache_that_cannot_be_written_is_named(machine: Machine) -> None:
    machine.cache.write_text("a file, where a folder should be")
    assert "set QUIKAPP_TOOLS to a folder you can write to" in refusal()


def test_a_build_that_fails_for_its_own_reasons_shows_the_last_line_and_the_log(machine: Machine) -> None:
    machine.has("go", 'test "$1" = version && echo go1.26.8 || { echo "undefined: x" >&2; exit 1; }')
    message = refusal()
    log = Path(message.rpartition(" ")[2])
    assert "undefined: x" in message
    assert log.read_text() == "undefined: x\n"


@pytest.mark.usefixtures("machine")
def test_a_platform_without_tools_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    assert "use a Linux machine, container or WSL 2" in refusal()


@pytest.mark.usefixtures("machine")
def test_the_folder_of_a_set_changes_with_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: set[Path] = set()
    for name in ("x86_64", "aarch64"):
        monkeypatch.setattr(platform, "machine", lambda name=name: name)
        folders.add(set_directory(ToolSet.KWOK))
    assert len(folders) == 2


def test_the_compiler_keeps_the_proxy_of_its_user_and_builds_for_this_machine() -> None:
    theirs = {"GOPROXY": "https://proxy.example", "GOFLAGS": "-buildvcs=false", "GOOS": "windows"}
    used = environment(theirs)
    assert used["GOPROXY"] == theirs["GOPROXY"]
    assert used["GOFLAGS"] == theirs["GOFLAGS"]
    assert "GOOS" not in used
    assert used["GOTOOLCHAIN"] == "local"


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in half a minute"
        time.sleep(0.02)
