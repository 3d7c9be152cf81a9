"""The scenario `state`: Pulumi's own state is lost, or is older than what is really there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from rehearsal.canary.run import next_version, slots_of
from rehearsal.errors import RehearsalError
from rehearsal.kubernetes_api import KubernetesApi
from rehearsal.narration import resource_name
from rehearsal.recover.drill import Drill, listed, require_only, told
from rehearsal.recover.leftovers import Leftovers, replaced

DISPENSABLE = "kubernetes:policy/v1:PodDisruptionBudget"
"""What the drill takes away for a moment and lets an update make again; no pod needs it to run."""


def state(drill: Drill) -> None:
    """Lose the state and restore it; then restore one that an update has overtaken.

    Raises:
        RehearsalError: something was not as it has to be.
    """
    _lost(drill)
    _overtaken(drill)


def _lost(drill: Drill) -> None:
    """The file is gone: the version before it is brought back, and is the truth."""
    kept, file = Leftovers(drill.rehearsal.directory), drill.rehearsal.checkpoint
    held = len(drill.resources)
    with drill.step("keep a copy of the state, as the bucket keeps each version"):
        kept.keep(file)
    with drill.step("lose the state"):
        for each in file.parent.glob(f"{file.name}*"):  # with the copy that the engine itself keeps beside it
            each.unlink()
        if _seen(drill):
            raise RehearsalError(f"the state was to be lost, and the engine still sees '{drill.stack.name}'")
        drill.say(
            "  $ pulumi stack ls\n  the engine knows of no stack, and an update would make everything anew"
        )
    with drill.step("restore the copy"):
        replaced(file, kept.kept_state)
        kept.kept_state.unlink()
        if not _seen(drill) or len(drill.resources) != held:
            raise RehearsalError(f"the engine does not see the {held} resources of the restored state")
    with drill.step("see that nothing is left to do"):
        drill.require_quiet()


def _overtaken(drill: Drill) -> None:
    """The copy is older than what is really there: an update came after it, which changed things and made one."""
    kept, file = Leftovers(drill.rehearsal.directory), drill.rehearsal.checkpoint
    key, after, before = update_of(drill.outputs)
    late = dispensable(drill.resources)
    with drill.step("keep a copy of the state, one object before the end"):
        drill.remove(late["urn"])
        kept.keep(file)
    with drill.step("update the stack after that copy"):
        drill.configure(key, after)
        done = drill.up()
        require_only(done, ("create", "update"))
        changed, made = _of(done.steps, "update"), _of(done.steps, "create")
        if late["urn"] not in made or not changed:
            raise RehearsalError("the update was to make one object and to change others, and did not")
        identity = _identity(drill.plane.api, late)
    with drill.step("restore the copy"):
        replaced(file, kept.kept_state)
        kept.kept_state.unlink()
    with drill.step("see what the old state believes"):
        believed = drill.preview()
        require_only(believed, ("create", "update"))
        again, anew = len(_of(believed.steps, "create")), len(_of(believed.steps, "update"))
        drill.say(f"  it would make {again} that is there, and change {anew} that are so already:")
        for line in told(believed):
            drill.say(line)
        if _of(believed.steps, "create") != made or not changed <= _of(believed.steps, "update"):
            raise RehearsalError("the old state does not show what the update had done")
    with drill.step("tell the state what is really there"):
        drill.refresh()
    with drill.step("see what is left: what the state does not know of"):
        left = drill.preview()
        require_only(left, ("create",))
        drill.say(f"  to make: {listed(map(resource_name, _of(left.steps, 'create')))}")
        if _of(left.steps, "create") != made:
            raise RehearsalError("what the update had made is not what is left to do")
    with drill.step("take it up: on AWS by pulumi import, in Kubernetes by an update"):
        drill.up()
        if _identity(drill.plane.api, late) != identity:
            raise RehearsalError(f"{resource_name(late['urn'])} was made anew instead of taken up")
    with drill.step("see that nothing is left to do"):
        drill.require_quiet()
    with drill.step("undo the update"):
        drill.configure(key, before)
        drill.up()


def update_of(outputs: Mapping[str, Any]) -> tuple[str, str, str]:
    """The key of the stack file that the drill changes, its value then, and its value now: another version of the idle slot.

    Where a version takes a change request, which is used up by it, it is the slot's capacity.
    """
    slot = slots_of(outputs).new_name
    now = outputs["slots"][slot]
    if outputs.get("gate") != "cab":
        return f"quikapp:release.{slot}.version", next_version(outputs), str(now["version"])
    capacity = str(now["capacity"])
    return f"quikapp:release.{slot}.capacity", "full" if capacity == "warm" else "warm", capacity


def dispensable(resources: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """An object that can go and come back: nothing depends on it, and it is not protected.

    Raises:
        RehearsalError: the stack has none.
    """
    needed = {urn for resource in resources for urn in _needs(resource)}
    for resource in reversed(resources):
        if resource["type"] == DISPENSABLE and resource["urn"] not in needed and not resource.get("protect"):
            return resource
    raise RehearsalError(f"the stack has no {DISPENSABLE} that could be taken away for a moment")


def _needs(resource: Mapping[str, Any]) -> set[str]:
    by_property = cast("Mapping[str, list[str] | None]", resource.get("propertyDependencies") or {})
    return {
        *(resource.get("dependencies") or []),
        *(urn for urns in by_property.values() for urn in urns or []),
        str(resource.get("parent")),
    }


def _of(steps: Mapping[str, tuple[str, Sequence[str]]], operation: str) -> set[str]:
    return {urn for urn, (done, _) in steps.items() if done == operation}


def _seen(drill: Drill) -> bool:
    return any(stack.name == drill.stack.name for stack in drill.stack.workspace.list_stacks())


def _identity(api: KubernetesApi, resource: Mapping[str, Any]) -> str:
    """The identity that the API server gave an object; another one is another object."""
    namespace, _, name = str(resource["id"]).rpartition("/")
    found = api.get(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}")
    if found is None:
        raise RehearsalError(f"{resource_name(resource['urn'])} is not there")
    return str(found["metadata"]["uid"])
