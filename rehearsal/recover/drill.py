"""One drill: its steps with the time that each took, and the commands that a person would run, on the real engine."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from pulumi import automation as auto

from rehearsal.canary.weights import StateFile
from rehearsal.control_plane import ControlPlane
from rehearsal.errors import RehearsalError
from rehearsal.kubernetes_api import KubernetesApi
from rehearsal.narration import Watch, changed_lines, resource_name
from rehearsal.session import Rehearsal

SHOWN = 8
"""Resources that a message names; of the others it says how many there are."""

WORKLOADS = ("deployments", "statefulsets", "daemonsets")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a drill.

    Attributes:
        title: what was done.
        seconds: what it took here.
        promised: what the stack plans for it on AWS, in words; empty where it plans nothing.
    """

    title: str
    seconds: float
    promised: str = ""


@dataclass
class Drill:
    """What a scenario works with.

    Attributes:
        rehearsal: the rehearsal that is up.
        stack: its stack on the engine, held by this process alone.
        plane: its Kubernetes control plane.
    """

    rehearsal: Rehearsal
    stack: auto.Stack
    plane: ControlPlane
    steps: list[Step] = field(default_factory=list[Step])

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The outputs of the stack as they are now."""
        return StateFile(self.rehearsal.checkpoint).outputs()

    @property
    def resources(self) -> Sequence[dict[str, Any]]:
        """The resources of the state as it is now."""
        return StateFile(self.rehearsal.checkpoint).resources()

    @contextmanager
    def step(self, title: str, promised: str = "") -> Generator[None]:
        """Say what begins, and remember how long it took; a step that fails is remembered, too."""
        self.say(f"[bold]{title}[/]")
        began = time.monotonic()
        try:
            yield
        finally:
            self.steps.append(Step(title=title, seconds=time.monotonic() - began, promised=promised))

    def say(self, line: str) -> None:
        """Tell the person who watches; square brackets are markup."""
        self.rehearsal.console.print(line, highlight=False, soft_wrap=True)

    def configure(self, key: str, value: str) -> None:
        """`pulumi config set --path`, on the rehearsal's copy of the stack file."""
        self.say(f"  $ pulumi config set --path '{key}' {value}")
        self.stack.set_config(key, auto.ConfigValue(value), path=True)

    def preview(self, *, refresh: bool = False) -> Watch:
        """What an update would do; with `refresh` measured against what is really there."""
        self.say(f"  $ pulumi preview{' --refresh' if refresh else ''}")
        with Watch(self.rehearsal.console, "preview") as watch:
            self.rehearsal.run(watch, lambda: self.stack.preview(refresh=refresh, on_event=watch.on_event))
        return watch

    def up(self) -> Watch:
        """Bring the stack in line with the program. The providers wait until what they made is ready."""
        self.say("  $ pulumi up")
        with Watch(self.rehearsal.console, "up") as watch:
            self.rehearsal.run(watch, lambda: self.stack.up(on_event=watch.on_event, show_secrets=False))
        return watch

    def refresh(self) -> None:
        """Read what is really there into the state; what is gone leaves it."""
        self.say("  $ pulumi refresh")
        self.rehearsal.refresh(self.stack)

    def remove(self, urn: str) -> None:
        """Destroy one resource that nothing depends on."""
        self.say(f"  $ pulumi destroy --target '{urn}'")
        with Watch(self.rehearsal.console, "destroy") as watch:
            self.rehearsal.run(
                watch,
                lambda: self.stack.destroy(target=[urn], on_event=watch.on_event, show_secrets=False),
            )

    def require_quiet(self) -> None:
        """Show that nothing differs: neither the program from the state, nor the state from what is really there.

        Raises:
            RehearsalError: a preview would change something.
        """
        require_only(self.preview(refresh=True), ())

    def require_workloads(self, names: frozenset[str]) -> None:
        """Show that the cluster runs these workloads, each with every replica ready, and no others.

        Raises:
            RehearsalError: one is missing, not ready, or too many.
        """
        found = workloads(self.plane.api)
        if missing := names - found.keys():
            raise RehearsalError(f"workloads that were there before are missing: {listed(missing)}")
        if unknown := found.keys() - names:
            raise RehearsalError(f"workloads that were not there before run: {listed(unknown)}")
        if idle := [name for name, ready in found.items() if not ready]:
            raise RehearsalError(f"workloads that are not available: {listed(idle)}")


def workloads(api: KubernetesApi) -> Mapping[str, bool]:
    """Whether each workload of the cluster has all its pods ready, by its kind, namespace and name."""
    return {
        f"{kind}/{item['metadata']['namespace']}/{item['metadata']['name']}": available(item)
        for kind in WORKLOADS
        for item in cast("list[dict[str, Any]]", (api.get(f"/apis/apps/v1/{kind}") or {"items": []})["items"])
    }


def available(workload: Mapping[str, Any]) -> bool:
    """Whether all pods of a Deployment, StatefulSet or DaemonSet are ready, and its controller has seen its newest form."""
    status, spec = workload.get("status", {}), workload["spec"]
    if status.get("observedGeneration") != workload["metadata"].get("generation"):
        return False
    if "desiredNumberScheduled" in status:
        return bool(status.get("numberReady", 0) == status["desiredNumberScheduled"] > 0)
    return bool(status.get("readyReplicas", 0) == spec.get("replicas", 1))


def require_only(watch: Watch, allowed: Sequence[str]) -> None:
    """Refuse a plan that does something else than what is allowed.

    Args:
        watch: what was planned.
        allowed: operations that may be in the plan besides `same`, such as `update`.

    Raises:
        RehearsalError: something else is planned; its resources are named.
    """
    wrong = {
        urn: operation
        for urn, (operation, _) in watch.steps.items()
        if operation != "same" and operation not in allowed
    }
    if wrong:
        named = [f"{operation} {resource_name(urn)}" for urn, operation in wrong.items()]
        may = f"only {' and '.join(allowed)} may be planned" if allowed else "nothing may be planned"
        raise RehearsalError(f"{may}, and the preview says: {listed(named)}")


def told(watch: Watch) -> list[str]:
    """A line for each of the first changes of a plan that are no creations, and how many there are besides."""
    lines = changed_lines(watch)
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [f"    {line}" for line in [*lines[:SHOWN], *more]]


def promised(outputs: Mapping[str, Any], loss: str, subject: str, part: str = "") -> str:
    """What the stack's output `recovery` plans for a loss: the time of one part, or of all; empty where it says nothing.

    Args:
        loss: such as `lost cluster`.
        subject: what comes back, such as `application`.
        part: such as `rebuild`.
    """
    place: Any = outputs.get("recovery")
    for key in ("recoveries", loss, subject, *(("parts", part) if part else ("recoveryTime",))):
        place = cast("Mapping[str, Any]", place).get(key) if isinstance(place, dict) else None
    return place if isinstance(place, str) else ""


def listed(names: object) -> str:
    """The first names in order, and how many there are besides."""
    ordered = sorted(map(str, cast("Sequence[object]", names)))
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(ordered[:SHOWN]) + more
