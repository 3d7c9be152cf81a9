"""What the committed stack files declare, as the policy pack is asked about it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, cast

from policy.resources import SECRET, Resource
from tests.monitoring.environments import recorded
from tests.unit.components.recording import STACK
from tests.unit.components.recording import Resource as Recorded

Change = Callable[[dict[str, Any]], object]


@cache
def resources(stack: str) -> tuple[Resource, ...]:
    """Everything that a stack declares."""
    with recorded(stack) as recording:
        return tuple(_judged(resource, stack) for resource in recording.resources)


def one(stack: str, token: str, name: str) -> Resource:
    """The resource of a type, in a stack, whose name is that of the stack and this."""
    (found,) = [
        resource
        for resource in resources(stack)
        if resource.type == token and resource.name == f"{stack}-{name}"
    ]
    return found


def changed(resource: Resource, change: Change, **options: Any) -> Resource:
    """A copy of a resource with other inputs, or other options."""
    inputs = cast("dict[str, Any]", _copy(resource.inputs))
    change(inputs)
    return replace(resource, inputs=inputs, **options)


def instead(stack: str, *others: Resource) -> Sequence[Resource]:
    """A stack in which resources are as these, by URN."""
    by_urn = {other.urn: other for other in others}
    return [by_urn.get(resource.urn, resource) for resource in resources(stack)]


def _judged(recorded: Recorded, stack: str) -> Resource:
    return Resource(
        type=recorded.token,
        name=recorded.name,
        urn=_of_stack(recorded.urn, stack),
        inputs=_hidden(recorded.inputs, "", recorded.secrets),
        protect=recorded.protect,
        dependencies=frozenset(_of_stack(urn, stack) for urn in recorded.dependencies),
    )


def _of_stack(urn: str, stack: str) -> str:
    """Recordings have a stack of their own; the engine names the one that it is asked for."""
    return urn.replace(f"urn:pulumi:{STACK}::", f"urn:pulumi:{stack}::", 1)


def _hidden(value: Any, path: str, secrets: frozenset[str]) -> Any:
    if path in secrets:
        return SECRET
    match value:
        case dict():
            items = cast("dict[str, Any]", value).items()
            return {key: _hidden(item, f"{path}.{key}" if path else key, secrets) for key, item in items}
        case list():
            listed = cast("list[Any]", value)
            return [_hidden(item, f"{path}[{place}]", secrets) for place, item in enumerate(listed)]
        case _:
            return value


def _copy(value: Any) -> Any:
    match value:
        case dict():
            return {key: _copy(item) for key, item in cast("dict[str, Any]", value).items()}
        case list():
            return [_copy(item) for item in cast("list[Any]", value)]
        case _:
            return value
