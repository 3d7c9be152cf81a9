"""What an SDK can know to be wrong with a resource's inputs."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

import pulumi
from pulumi.provider.experimental.property_value import PropertyValue, PropertyValueType
from pulumi.provider.experimental.provider import CheckFailure

from rehearsal.providers.schema import Kind, Properties, Schema, Type
from rehearsal.providers.values import Values, elements, is_unknown, members


def faults(
    schema: Schema, properties: Properties, values: Values, parent: str = ""
) -> Iterator[CheckFailure]:
    """Missing, unknown and mistyped properties of an object, at any depth, each with its path."""
    for name, declared in properties.items():
        value = values.get(name)
        if value is None or value.value is None:
            if not declared.optional:
                yield _fault(join(parent, name), "missing required property")
        else:
            yield from _mistyped(schema, declared.type, value, join(parent, name))
    for name in values.keys() - properties.keys():
        if not name.startswith("__"):
            yield _fault(join(parent, name), f"unknown property{_suggestion(name, properties)}")


def _fault(path: str, reason: str) -> CheckFailure:
    # The engine prints the value of a property that a failure names, so the path goes where no value follows.
    return CheckFailure("", f"`{path}`: {reason}")


def join(parent: str, name: str) -> str:
    """The path of a member, in the engine's notation."""
    if not re.fullmatch(r"[A-Za-z_$][\w$]*", name):
        return f'{parent}["{name}"]'
    return f"{parent}.{name}" if parent else name


def _suggestion(name: str, properties: Properties) -> str:
    spellings = {spelling: known for known in properties for spelling in (known, _snake(known))}
    near = get_close_matches(name, spellings, n=1, cutoff=0.6)
    if not near:
        return ""
    return f"; did you mean `{near[0] if '_' in name else spellings[near[0]]}`?"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _mistyped(schema: Schema, kind: Type, value: PropertyValue, path: str) -> Iterator[CheckFailure]:
    if is_unknown(value) or value.value is None or kind.kind is Kind.ANY:
        return
    sequence, mapping = elements(value), members(value)
    match kind.kind:
        case Kind.LIST if sequence is not None and kind.element is not None:
            for index, element in enumerate(sequence):
                yield from _mistyped(schema, kind.element, element, f"{path}[{index}]")
        case Kind.MAP if mapping is not None and kind.element is not None:
            for name, member in mapping.items():
                yield from _mistyped(schema, kind.element, member, join(path, name))
        case Kind.OBJECT if mapping is not None:
            yield from faults(schema, schema.fields(kind), mapping, path)
        case _ if not _fits(kind.kind, value):
            yield _fault(path, f"must be {kind.kind}, not {_called(value)}")
        case _:
            return


def _fits(kind: Kind, value: PropertyValue) -> bool:
    """Whether a scalar fits, with the coercions that the bridge from Terraform's providers makes."""
    inner = value.value
    match kind:
        case Kind.STRING:
            return isinstance(inner, str | bool | float)
        case Kind.BOOLEAN:
            return isinstance(inner, bool) or inner in ("true", "false")
        case Kind.INTEGER:
            whole = isinstance(inner, float) and inner.is_integer()
            return whole or (isinstance(inner, str) and re.fullmatch(r"[+-]?\d+", inner) is not None)
        case Kind.NUMBER:
            return isinstance(inner, float) or (
                isinstance(inner, str) and re.fullmatch(r"[+-]?\d+(\.\d+)?", inner) is not None
            )
        case Kind.ASSET:
            return isinstance(inner, pulumi.Asset | pulumi.Archive)
        case _:
            return False


def _called(value: PropertyValue) -> str:
    names = {
        PropertyValueType.STRING: "a string",
        PropertyValueType.BOOL: "a boolean",
        PropertyValueType.NUMBER: "a number",
        PropertyValueType.ARRAY: "a list",
        PropertyValueType.MAP: "an object",
    }
    return names.get(value.type, value.type.value.lower())
