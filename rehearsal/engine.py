"""The real Pulumi engine, shut off from any account: its environment, its plugins, its one lock."""

from __future__ import annotations

import importlib.metadata
import json
import os
import runpy
import shutil
import signal
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

from pulumi import automation as auto

from rehearsal.errors import RehearsalError
from rehearsal.locks import exclusive

LEFT_OUT_PREFIXES = ("AWS_", "KUBE", "PULUMI_", "PAGERDUTY_", "DATADOG_", "DD_")
"""Environment variables that could lead a rehearsal to a real account, a real cluster or another backend."""

PERSONS_HOME = "REHEARSAL_PERSONS_PULUMI_HOME"
"""The environment variable in which a rehearsal keeps `PULUMI_HOME` as it was."""

_SHIM = """\
#!{python} -u
# Started by the engine, and gone with it: a plugin whose parent dies must not outlive it.
import os, runpy, sys, threading, time

def follow(parent):
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)

threading.Thread(target=follow, args=(os.getppid(),), daemon=True).start()
sys.argv = [{module!r}, *{arguments!r}, *sys.argv[1:{taken}]]
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""

_AWS_SHIM = """\
#!/bin/sh
# Stands in for the AWS CLI: the kubeconfig of the program asks it for a token, and this is the local cluster's.
if [ "$1 $2" != "eks get-token" ]; then
  echo "the rehearsal has no AWS account: aws $*" >&2
  exit 1
fi
printf '{{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{{"token":"%s"}}}}' "$(cat '{token}')"
"""


@dataclass(frozen=True)
class Plugin:
    """A resource provider that the program's SDKs ask for: its name and the version of the SDK."""

    name: str
    version: str

    @property
    def folder(self) -> str:
        """The name of the folder that holds the plugin, below the engine's plugin folder."""
        return f"resource-{self.name}-v{self.version}"

    @property
    def official(self) -> Path:
        """Where `pulumi plugin install` puts the provider's official plugin."""
        return _persons_home() / "plugins" / self.folder


def _persons_home() -> Path:
    """The folder of the engine that the person has installed, if any; an engine of ours takes its place in the environment."""
    own = os.environ.get(PERSONS_HOME) or os.environ.get("PULUMI_HOME")
    return Path(own) if own else Path.home() / ".pulumi"


def plugins() -> list[Plugin]:
    """The providers whose Python SDK is installed: each SDK carries a ``pulumi-plugin.json`` that says so."""
    found: list[Plugin] = []
    for distribution in importlib.metadata.distributions():
        for file in distribution.files or []:
            if file.name == "pulumi-plugin.json":
                facts = cast("dict[str, object]", json.loads(Path(str(file.locate())).read_text()))
                if facts.get("resource"):
                    found.append(Plugin(str(facts["name"]), distribution.version))
    return sorted(found, key=lambda plugin: plugin.name)


@dataclass(frozen=True)
class Engine:
    """The engine of one rehearsal, with everything it touches below one folder.

    Attributes:
        directory: the rehearsal's folder.
        pulumi: the engine's executable.
        work: the work directory, with the copied project files.
        token: the file with the local API server's token.
    """

    directory: Path
    pulumi: Path
    work: Path
    token: Path

    @property
    def state(self) -> Path:
        """The local file backend."""
        return self.directory / "state"

    @property
    def world(self) -> Path:
        """What the recorder is told about the world: output properties by type token."""
        return self.directory / "world.json"

    def install(self, world: Mapping[str, Mapping[str, object]], passphrase: Path) -> None:
        """Put the engine, the plugins and the stand-in for the AWS CLI into the folder that the engine searches."""
        root = self.directory / "engine"
        binaries = root / "bin"
        binaries.mkdir(parents=True, exist_ok=True)
        self.state.mkdir(exist_ok=True)
        # What a process finds on its PATH may be the link of a rehearsal that it entered before.
        _link(binaries / "pulumi", self.pulumi.resolve())
        for plugin in plugins():
            self._install_plugin(plugin)
        _script(binaries / "aws", _AWS_SHIM, token=self.token)
        self._install_analyzer()
        self.world.write_text(json.dumps(world, indent=2))
        self.world.chmod(0o600)
        os.environ.update(self._environment(passphrase))

    def _install_plugin(self, plugin: Plugin) -> None:
        installed = self.directory / "engine" / "home" / "plugins" / plugin.folder
        if plugin.name == "kubernetes" and plugin.official.is_dir():
            installed.parent.mkdir(parents=True, exist_ok=True)
            if not installed.is_symlink():  # it was not there the last time
                shutil.rmtree(installed, ignore_errors=True)
            _link(installed, plugin.official)
            return
        if installed.is_symlink():  # the official plugin was there once, and is no more
            installed.unlink()
        installed.mkdir(parents=True, exist_ok=True)
        shim = installed / f"pulumi-resource-{plugin.name}"
        if plugin.name == "kubernetes":
            _script(shim, _SHIM, module="rehearsal.providers.kubernetes", arguments=[], taken=None)
        else:
            _script(shim, _SHIM, module="rehearsal.providers.recorder", arguments=[plugin.name], taken=None)

    def _install_analyzer(self) -> None:
        """What runs policy packs in Python: the engine's distribution brings it as a part of its language host."""
        name = "analyzer-policy-python"
        installed = (
            self.directory / "engine" / "home" / "plugins" / f"{name}-v{importlib.metadata.version('pulumi')}"
        )
        installed.mkdir(parents=True, exist_ok=True)
        # What comes after the engine's address and the pack's folder says where the pack's Python is: here it is this one.
        _script(installed / f"pulumi-{name}", _SHIM, module="pulumi.policy", arguments=[], taken=3)

    def _environment(self, passphrase: Path) -> dict[str, str]:
        persons_home = _persons_home()
        for name in [name for name in os.environ if name.startswith(LEFT_OUT_PREFIXES)]:
            del os.environ[name]
        return {
            "PATH": f"{self.directory / 'engine' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PULUMI_HOME": str(self.directory / "engine" / "home"),
            PERSONS_HOME: str(persons_home),
            "PULUMI_BACKEND_URL": backend_url(self.state),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # A provider that lies on the person's PATH would reach for a real account.
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "REHEARSAL_WORLD": str(self.world),
            # The official Kubernetes plugin then takes an object that a killed update made for what it is: ours.
            "PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true",
        }

    def stack(self, name: str, project: str, program: Path) -> auto.Stack:
        """The stack in the local backend; made where it is not there yet."""
        clear_dead_update(self.directory)
        command = auto.PulumiCommand(root=str(self.directory / "engine"))
        stack = auto.create_or_select_stack(
            stack_name=name,
            project_name=project,
            program=_runner(program),
            opts=auto.LocalWorkspaceOptions(work_dir=str(self.work), pulumi_command=command),
        )
        self._forget_pending(stack, project)
        return stack

    def _forget_pending(self, stack: auto.Stack, project: str) -> None:
        """Drop what a killed update had begun and not recorded.

        Both providers take up an object that they made before, so the next update begins these again; the engine
        would carry the entries along for ever, with a warning in every run.
        """
        checkpoint = checkpoint_of(self.state, project, stack.name)
        if checkpoint.is_file() and '"pending_operations"' in checkpoint.read_text():
            exported = stack.export_stack()
            kept = {
                key: value
                for key, value in (exported.deployment or {}).items()
                if key != "pending_operations"
            }
            stack.import_stack(auto.Deployment(version=exported.version, deployment=kept))


def clear_dead_update(directory: Path) -> None:
    """End the engine that a killed command of this rehearsal left running, and lift its lock on the state.

    The caller holds the rehearsal's own lock, so whoever holds the engine's has lost its parent.
    """
    engine = str(directory / "engine" / "bin" / "pulumi").encode()
    for lock in (directory / "state" / ".pulumi" / "locks").rglob("*.json"):
        try:
            holder = int(cast("dict[str, str]", json.loads(lock.read_text()))["pid"])
        except (ValueError, KeyError, TypeError):
            holder = 0
        if holder and _runs(holder, engine):
            _end(holder, engine)
        lock.unlink(missing_ok=True)


def backend_url(state: Path) -> str:
    """The address of a local file backend.

    Its files come whole or not at all, by a rename; the attributes that the engine would lay beside each of them do not, and
    where a killed engine leaves such a file empty, nothing can read the state any more: it is told to write none.
    Source: https://pkg.go.dev/gocloud.dev/blob/fileblob#URLOpener
    """
    return f"{state.as_uri()}?metadata=skip"


def checkpoint_of(state: Path, project: str, stack: str) -> Path:
    """The file in which a local file backend holds the state of a stack."""
    return state / ".pulumi" / "stacks" / project / f"{stack}.json"


@contextmanager
def only_one(lock: Path, stack: str) -> Generator[None]:
    """Hold the rehearsal of a stack for this process.

    Raises:
        RehearsalError: another process holds it.
    """

    def refuse(holder: str) -> NoReturn:
        raise RehearsalError(f"the rehearsal of '{stack}' is in use by process {holder}: wait for it to end.")

    with exclusive(lock, refuse):
        yield


def _runner(program: Path) -> Callable[[], None]:
    def run() -> None:
        root = str(program.parent)
        if root not in sys.path:
            sys.path.insert(0, root)
        runpy.run_path(str(program), run_name="__main__")

    return run


def _runs(pid: int, command: bytes) -> bool:
    """Whether a process runs this command: a number alone could be anybody's by now."""
    try:
        return command in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _end(pid: int, command: bytes, patience: float = 10) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and _runs(pid, command):
        time.sleep(0.1)
    if _runs(pid, command):
        os.kill(pid, signal.SIGKILL)


def _script(path: Path, template: str, **values: object) -> None:
    path.write_text(template.format(python=sys.executable, **values))
    path.chmod(0o700)


def _link(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)
