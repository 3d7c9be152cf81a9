"""The weights that are in force, as the engine's state holds them: a share of the requests for each service and slot."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

LISTENER_RULE = "aws:lb/listenerRule:ListenerRule"

Namespace = str
Service = str
Shares = Mapping[Service, Mapping[Namespace, int]]
"""By service, the percentage of its requests that the pods of each namespace receive."""


@dataclass(frozen=True)
class Destination:
    """What a target group stands for: a Kubernetes Service."""

    namespace: Namespace
    service: Service


def destinations(bindings: Mapping[str, Any]) -> dict[str, Destination]:
    """The Services behind the target groups, by ARN, from the API server's list of TargetGroupBindings."""
    return {
        binding["spec"]["targetGroupARN"]: Destination(
            binding["metadata"]["namespace"], binding["spec"]["serviceRef"]["name"]
        )
        for binding in bindings["items"]
    }


def shares(resources: list[dict[str, Any]], behind: Mapping[str, Destination]) -> Shares:
    """The shares that the listener rules give to the Services, from the resources of the engine's state.

    The outputs count, not the inputs: they are what the provider answered. Rules that forward nothing have no share.
    """
    found: dict[Service, dict[Namespace, int]] = {}
    for arn, weight in _forwarded(resources):
        if (destination := behind.get(arn)) is not None:
            found.setdefault(destination.service, {})[destination.namespace] = weight
    return found


def _forwarded(resources: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    for resource in resources:
        if resource["type"] != LISTENER_RULE or resource.get("delete"):
            continue
        for action in resource.get("outputs", {}).get("actions", []):
            forward = cast("dict[str, Any]", action.get("forward") or {})
            for group in forward.get("targetGroups", []):
                yield group["arn"], int(group.get("weight", 1))


class StateFile:
    """The file that holds a stack's state. The engine replaces it as a whole, so that it is never seen half-written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._resources: list[dict[str, Any]] = []

    def resources(self) -> list[dict[str, Any]]:
        """The resources as the file has them now; as they were before, while it cannot be read."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                state = json.loads(self._path.read_text())
                self._resources = state["checkpoint"]["latest"]["resources"] or []
                self._seen = seen
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return self._resources

    def outputs(self) -> Mapping[str, Any]:
        """The outputs of the stack; empty before the first update has ended well."""
        for resource in self.resources():
            if resource["type"] == "pulumi:pulumi:Stack":
                return cast("Mapping[str, Any]", resource.get("outputs") or {})
        return {}
