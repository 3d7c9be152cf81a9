"""`make bench`: what the components cost, how previews grow, how fast a control plane is there, and a canary taken back.

Every figure of speed is a ratio between two things measured in turn in one run; each preview is a process of its own,
from nothing, on a control plane that stands already. `uv run python -m tests.bench --help` says what else there is.
"""

from __future__ import annotations

import argparse
import json
import keyword
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import yaml
from pulumi.automation import events
from rich.console import Console
from rich.table import Table

from operations.environments import PAGE, EnvironmentName, error_budget
from operations.ladder import LADDER
from operations.rollout.budget import spending
from rehearsal.canary.faults import Ending, Fault
from rehearsal.canary.run import Story, rehearse
from rehearsal.canary.weights import LISTENER_RULE
from rehearsal.control_plane import ControlPlane, Nodes
from rehearsal.errors import RehearsalError
from rehearsal.project import Project
from rehearsal.session import Rehearsal
from rehearsal.toolchain import ToolSet, ensure
from tests.rehearsal.conftest import Desk, lay

STACK = "live"
LIVE_SLA = PAGE[EnvironmentName.LIVE].sla or 0
OVERHEAD_LIMIT = 1.15
"""Components may cost this much of a bare program's preview at most."""
GROWTH_LIMIT = 1.10
"""Seconds per resource at the most services, over those at the fewest, at most."""

RETURN_LIMIT = 1.5
"""Seconds from the first bad sample to all weight on the old slot, over the sum of one scrape interval, one evaluation
interval and one bare update of the listener rules, at most."""

FAILING = (Fault.ERRORS, Fault.CRASH)
"""The faults in which requests fail; under the others the new slot answers as a healthy one does, or nobody asks it. Which of
these two spends more depends on the machine: pods that crash one after the other leave others to answer."""

SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the key by which the engine marks a secret, not one

console = Console(highlight=False)


@dataclass(frozen=True)
class Sample:
    """One preview: its seconds in the engine, the resources it planned, the peak memory of the program's process."""

    seconds: float
    resources: int
    peak_mib: float


def preview(project: Path, recording: Path | None) -> Sample:
    """Preview a project's stack in this process, optionally writing down what it planned."""
    planned: list[dict[str, Any]] = []

    def listen(event: events.EngineEvent) -> None:
        if event.resource_pre_event and (new := event.resource_pre_event.metadata.new):
            planned.append({"type": new.type, "urn": new.urn, "inputs": new.inputs or {}})

    quiet = Console(file=sys.stderr)
    with Rehearsal(Project(project), STACK, quiet).entered() as stack:
        started = time.perf_counter()
        stack.preview(on_event=listen)
        seconds = time.perf_counter() - started
    if recording:
        recording.write_text(json.dumps(planned))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Sample(seconds, len(planned), peak)


def sample(project: Path, recording: Path | None = None) -> Sample:
    """The same in a fresh process, so that imports and memory are counted as they are for a person."""
    arguments = [sys.executable, "-m", "tests.bench", "--preview", str(project)]
    if recording:
        arguments += ["--recording", str(recording)]
    printed = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Sample(**json.loads(printed.splitlines()[-1]))


def bare_program(planned: list[dict[str, Any]]) -> str:
    """A program that registers the same resources with the same inputs, one call a line, without any component.

    Its Kubernetes provider waits for the cluster, as any program's does that makes the cluster it then fills.
    """
    lines = ["import pulumi", "import pulumi_aws as aws", "import pulumi_kubernetes as kubernetes", ""]
    names: set[str] = set()
    for number, item in enumerate(planned):
        kind = str(item["type"])
        if not kind.startswith(("aws:", "kubernetes:")) and kind != "pulumi:providers:kubernetes":
            continue
        name = str(item["urn"]).split("::", 3)[3]
        name = name if name not in names else f"{name}-{number}"
        names.add(name)
        constructor, inputs = _call(kind, cast("dict[str, Any]", item["inputs"]))
        arguments = ", ".join(
            f"{_snake(key)}={_literal(key, value)}"
            for key, value in inputs.items()
            if not key.startswith("__")
        )
        options = ", opts=pulumi.ResourceOptions(provider=cluster)" if kind.startswith("kubernetes:") else ""
        target = {"pulumi:providers:kubernetes": "cluster = ", "aws:eks/cluster:Cluster": "eks = "}.get(
            kind, ""
        )
        lines.append(f"{target}{constructor}({name!r}, {arguments}{options})")
    return "\n".join(lines) + "\n"


def _call(kind: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    package, module, name = kind.split(":")
    if package == "pulumi":
        return "kubernetes.Provider", {
            key: value == "true" if value in ("true", "false") else value
            for key, value in inputs.items()
            if key != "version"
        }
    if (
        package == "kubernetes"
        and module.split("/")[0].count(".")
        and not module.split("/")[0].endswith(".k8s.io")
    ):
        return "kubernetes.apiextensions.CustomResource", {
            "api_version": inputs["apiVersion"],
            **{key: value for key, value in inputs.items() if key != "apiVersion"},
        }
    if package == "kubernetes":
        group, version = module.split("/")
        inputs = {key: value for key, value in inputs.items() if key not in ("apiVersion", "kind")}
        return f"kubernetes.{group.removesuffix('.k8s.io').split('.')[0]}.{version}.{name}", inputs
    return f"aws.{module.split('/')[0]}.{name}", inputs


def _literal(key: str, value: object) -> str:
    """A value as the bare program writes it; what was secret stays secret, with some other text in it."""
    if isinstance(value, dict):
        items = cast("dict[str, object]", value)
        if SECRET in items:
            return (
                f"pulumi.Output.secret({ ({'some': 'text'} if key in ('data', 'stringData') else 'text')!r})"
            )
        return "{" + ", ".join(f"{inner!r}: {_literal(inner, one)}" for inner, one in items.items()) + "}"
    if key == "kubeconfig":
        return f"eks.endpoint.apply(lambda _: {value!r})"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(key, one) for one in cast("list[object]", value)) + "]"
    return repr(value)


def _snake(key: str) -> str:
    name = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def grown(folder: Path, services: int) -> Desk:
    """The program with so many services, on a load balancer whose quotas were raised for it."""
    desk = lay(folder)
    shared = yaml.safe_load((desk.project / "Pulumi.yaml").read_text())["config"]["quikapp:services"][
        "default"
    ]
    pattern = next(iter(shared.values()))
    routes = {f"service-{number}": {**pattern, "path": f"/service-{number}"} for number in range(services)}

    def change(config: dict[str, Any]) -> None:
        config["quikapp:services"] = routes
        config["quikapp:traffic"]["quotas"] = {
            "targetGroupsPerLoadBalancer": 1000,
            "rulesPerLoadBalancer": 1000,
            "targetsPerLoadBalancer": 100_000,
        }
        config["quikapp:cluster"].update(cpuLimit=10_000, memoryLimitGib=100_000)
        config["quikapp:network"]["cidr"] = "10.0.0.0/16"
        config["quikapp:sizing"]["replicas"] = {"min": 3, "max": 6}

    desk.edit(STACK, change)
    return desk


def overhead(folder: Path, rounds: int) -> tuple[list[Sample], list[Sample]]:
    """Previews of the program and of its bare twin, in turn."""
    program = lay(folder / "program")
    planned = folder / "planned.json"
    sample(program.project, planned)
    bare = lay(folder / "bare")
    main = bare.project / "__main__.py"
    main.write_text("")
    sample(
        bare.project
    )  # an empty program brings the twin's own control plane up, whose address it then needs
    recorded = planned.read_text()
    for its, own in zip(_cluster(program), _cluster(bare), strict=True):
        recorded = recorded.replace(its, own)
    main.write_text(bare_program(json.loads(recorded)))
    sample(bare.project)
    pairs = [(sample(program.project), sample(bare.project)) for _ in range(rounds)]
    return [one for one, _ in pairs], [other for _, other in pairs]


def _cluster(desk: Desk) -> tuple[str, str]:
    """Address and certificate authority of a desk's control plane."""
    outputs = json.loads((desk.home(STACK) / "world.json").read_text())["aws:eks/cluster:Cluster"]
    return outputs["endpoint"], outputs["certificateAuthority"]["data"]


def growth(folder: Path, rounds: int, sizes: tuple[int, ...]) -> dict[int, list[Sample]]:
    """Previews at each number of services, in turn."""
    desks = {size: grown(folder / f"services-{size}", size) for size in sizes}
    for desk in desks.values():
        sample(desk.project)
    samples: dict[int, list[Sample]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size, desk in desks.items():
            samples[size].append(sample(desk.project))
    return samples


def readiness(folder: Path, rounds: int) -> list[float]:
    """Seconds from an empty folder to a ready control plane."""
    tools = ensure(ToolSet.KUBERNETES, ToolSet.KWOK, console=console)
    seconds: list[float] = []
    for number in range(rounds):
        nodes = Nodes(region="eu-west-1", zones=["eu-west-1a", "eu-west-1b", "eu-west-1c"])
        plane = ControlPlane(folder / f"plane-{number}", tools, nodes)
        started = time.perf_counter()
        try:
            plane.start()
            seconds.append(time.perf_counter() - started)
        finally:
            plane.stop(remove=True)
    return seconds


@dataclass(frozen=True)
class TakenBack:
    """A canary that was taken back, and the seconds of bare updates right before and after it."""

    story: Story
    updates: list[float]


def canaries(folder: Path, rounds: int) -> list[TakenBack]:
    """Canaries of live at the page's own intervals, one with each fault in which requests fail.

    A bare update moves the weights of the listener rules up to the first phase or back, and is limited to them, as the
    way back of a rollout is. It has neither a preview nor guardrails.
    """
    desk = lay(folder)
    rehearsal = Rehearsal(Project(desk.project), STACK, console)
    release = desk.stack_file(STACK)["config"]["quikapp:release"]
    idle, serving = sorted(("blue", "green"), key=lambda slot: release[slot]["weight"])
    # A way back leads to the slot that serves, which the guard asks for before weights move.
    desk.edit(STACK, lambda config: config["quikapp:release"].update(stable=release[serving]["version"]))
    rehearsal.up()

    def share(weight: int) -> None:
        # A canary has left a version of its own in the idle slot, and weights move alone.
        copy = yaml.safe_load((rehearsal.directory / "project" / f"Pulumi.{STACK}.yaml").read_text())
        in_force = copy["config"]["quikapp:release"]
        in_force[idle].update(weight=weight)
        in_force[serving].update(weight=100 - weight)
        desk.edit(STACK, lambda config: config.update({"quikapp:release": in_force}))

    def update() -> float:
        with rehearsal.entered() as stack:
            rules = [urn for urn, found in desk.resources(STACK).items() if found["type"] == LISTENER_RULE]
            started = time.perf_counter()
            stack.up(show_secrets=False, target=rules)
            return time.perf_counter() - started

    def up_and_back() -> list[float]:
        seconds: list[float] = []
        for weight in (LADDER[0].weight, 0) * ((rounds + 1) // 2):
            share(weight)
            seconds.append(update())
        return seconds

    found: list[TakenBack] = []
    for fault in FAILING:
        before = up_and_back()
        story = rehearse(rehearsal, fault, speed=1)
        found.append(TakenBack(story, before + up_and_back()))
    return found


def ungated(failing: float) -> float:
    """The part of live's 30 days' error budget that a slot spends if each phase bakes as long as the page says.

    Args:
        failing: the ratio of its requests that fail, 0 to 1.
    """
    spent = sum((spending(phase.weight, failing, phase.bake) for phase in LADDER), timedelta())
    return spent / error_budget(LIVE_SLA)


@contextmanager
def workshop() -> Generator[Path]:
    """A folder for everything that is measured. At the end every rehearsal in it is taken down, and it is removed.

    Whatever went wrong before is what is told: a rehearsal that cannot be taken down is named and left where it is.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield folder
    finally:
        projects = [home.parents[1] for home in folder.rglob(f".rehearsal/{STACK}")]
        left = [project for project in projects if not _taken_down(project)]
        if not left:
            shutil.rmtree(folder, ignore_errors=True)


def _taken_down(project: Path) -> bool:
    try:
        Rehearsal(Project(project), STACK, console).down()
    except (RehearsalError, OSError) as error:
        console.print(f"not taken down: {error}. rehearse down --stack {STACK} --project {project}")
        return False
    return True


def report(rounds: int, sizes: tuple[int, ...]) -> None:
    """Measure everything and print one table."""
    with workshop() as folder:
        console.print("previews of live and of its bare twin …")
        program, bare = overhead(folder, rounds)
        console.print(f"previews at {', '.join(map(str, sizes))} services …")
        by_size = growth(folder, rounds, sizes)
        console.print("control planes from nothing …")
        ready = readiness(folder, rounds)
        console.print(f"canaries with {' and '.join(FAILING)}, at the page's own intervals …")
        taken_back = canaries(folder / "canary", rounds)

    ratios = [one.seconds / other.seconds for one, other in zip(program, bare, strict=True)]
    each = {
        size: statistics.median(one.seconds / one.resources for one in samples)
        for size, samples in by_size.items()
    }
    table = Table("figure", "median", "from", "to", "wanted", title=f"{rounds} rounds", title_justify="left")
    table.add_row("(a) preview of live ÷ bare twin", *_spread(ratios, ".2f"), f"≤ {OVERHEAD_LIMIT}")
    table.add_row(
        f"    live: {program[0].resources} resources, s",
        *_spread([one.seconds for one in program], ".1f"),
        "",
    )
    table.add_row(
        f"    bare: {bare[0].resources} resources, s", *_spread([one.seconds for one in bare], ".1f"), ""
    )
    for size, samples in by_size.items():
        per = [1000 * one.seconds / one.resources for one in samples]
        table.add_row(
            f"(b) {size} services: {samples[0].resources} resources, ms each", *_spread(per, ".1f"), ""
        )
    rise = each[sizes[-1]] / each[sizes[0]]
    table.add_row(
        f"    ms each at {sizes[-1]} services ÷ at {sizes[0]}", f"{rise:.2f}", "", "", f"≤ {GROWTH_LIMIT}"
    )
    table.add_row(
        "(c) peak memory of the program's process, MiB",
        *_spread([one.peak_mib for one in program], ".0f"),
        "",
    )
    table.add_row("(d) seconds from nothing to a ready control plane", *_spread(ready, ".1f"), "")
    for row in returned(taken_back):
        table.add_row(*row)
    console.print(table)


def only_canaries(rounds: int) -> None:
    """Measure (e) and (f) alone."""
    with workshop() as folder:
        taken_back = canaries(folder / "canary", rounds)
    table = Table("figure", "median", "from", "to", "wanted")
    for row in returned(taken_back):
        table.add_row(*row)
    console.print(table)


def returned(taken_back: Sequence[TakenBack]) -> list[tuple[str, str, str, str, str]]:
    """Rows about canaries that were taken back, and the worst of them.

    Raises:
        SystemExit: one was not.
    """
    rows: list[tuple[str, str, str, str, str]] = []
    worst: tuple[float, str] = (0, "")
    for canary in taken_back:
        story, updates = canary.story, canary.updates
        if (
            story.ending is not Ending.ROLLED_BACK
            or story.bad_for_seconds is None
            or story.budget_share is None
            or story.failing is None
        ):
            raise SystemExit(f"{story.fault}: the canary was not taken back: {story.driver_says.why}")
        floor = story.scrape_seconds + story.evaluation_seconds + statistics.median(updates)
        rows += [
            (
                f"(e) {story.fault}: first bad sample to old slot ÷ (scrape + evaluation + bare update)",
                f"{story.bad_for_seconds / floor:.2f}",
                "",
                "",
                f"≤ {RETURN_LIMIT}",
            ),
            (f"    {story.bad_for_seconds:.1f} s ÷ {floor:.1f} s", "", "", "", ""),
            (f"    {len(updates)} bare updates before and after, s", *_spread(updates, ".1f"), ""),
            (
                f"(f) {story.fault}, {story.failing:.0%} of its requests fail: error budget of 30 days that it spends",
                f"{story.budget_share:.2%}",
                "",
                "",
                "",
            ),
            (
                "    and held to the page's bake times without a gate",
                f"{ungated(story.failing):.0%}",
                "",
                "",
                "",
            ),
        ]
        worst = max(worst, (story.budget_share, story.fault))
    return [*rows, (f"(f) the worst of them, {worst[1]}", f"{worst[0]:.2%}", "", "", "")]


def _spread(values: list[float], form: str) -> tuple[str, str, str]:
    return format(statistics.median(values), form), format(min(values), form), format(max(values), form)


def main() -> None:
    """Parse the command line; ``--preview`` is how one sample is taken in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="samples of each figure (default 5); of (e) and (f) one canary with each fault",
    )
    parser.add_argument("--services", type=int, nargs="+", default=[1, 10, 100], help="sizes of (b)")
    parser.add_argument("--canary", action="store_true", help="only (e) and (f)")
    parser.add_argument("--preview", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--recording", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.canary:
        only_canaries(arguments.rounds)
    elif arguments.preview:
        print(json.dumps(asdict(preview(arguments.preview, arguments.recording))))
    else:
        report(arguments.rounds, tuple(arguments.services))


if __name__ == "__main__":
    main()
