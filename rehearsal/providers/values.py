"""The engine's property values: what is known, what is secret, and as JSON and back.

An unknown value has two forms, as every other one: ``COMPUTED`` among property values, ``UNKNOWN`` in JSON.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeGuard

from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime import rpc

Values = Mapping[str, PropertyValue]

Json: TypeAlias = "bool | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""JSON in which everything is known."""

Object = dict[str, Any]
"""A JSON map; what is not known in it is ``UNKNOWN``."""


class Unknown:
    """A value that the engine does not know yet: another resource's output during a preview."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()

COMPUTED: Final = PropertyValue(rpc.UNKNOWN)
"""An unknown value as it travels; the SDK's ``Computed`` has no form on the wire."""


def is_map(json: Any) -> TypeGuard[Object]:
    """Whether JSON is a map."""
    return isinstance(json, dict)


def is_list(json: Any) -> TypeGuard[list[Any]]:
    """Whether JSON is a list."""
    return isinstance(json, list)


def holds_unknown(json: Any) -> bool:
    """Whether JSON is, or anywhere holds, a value that is not known yet."""
    if is_map(json):
        return any(map(holds_unknown, json.values()))
    return any(map(holds_unknown, json)) if is_list(json) else json is UNKNOWN


def is_unknown(value: PropertyValue) -> bool:
    """Whether the value itself (not one nested in it) is known only after the update."""
    return isinstance(value.value, Computed) or value.value == rpc.UNKNOWN


def members(value: PropertyValue) -> Values | None:
    """The members of a map or object; None for any other value."""
    return value.value if isinstance(value.value, Mapping) else None


def elements(value: PropertyValue) -> Sequence[PropertyValue] | None:
    """The elements of a list; None for any other value."""
    inner = value.value
    return inner if isinstance(inner, Sequence) and not isinstance(inner, str) else None


def plain(value: PropertyValue) -> Any:
    """JSON of a property value, secrets in the open: integral numbers as ``int``, unknown values as ``UNKNOWN``.

    Null members of a map are left out.

    Raises:
        TypeError: the value is or holds an asset, an archive or a resource.
    """
    if is_unknown(value):
        return UNKNOWN
    if (mapping := members(value)) is not None:
        return plain_map(mapping)
    if (sequence := elements(value)) is not None:
        return [plain(element) for element in sequence]
    inner = value.value
    if isinstance(inner, float):
        return int(inner) if inner.is_integer() else inner
    if inner is None or isinstance(inner, bool | str):
        return inner
    raise TypeError(f"an object cannot hold a {type(inner).__name__}")


def plain_map(values: Values) -> Object:
    """JSON of a property map; see `plain`."""
    return {name: plain(member) for name, member in values.items() if member.value is not None}


def public(value: PropertyValue) -> Json:
    """What is known and no secret, as JSON; None stands for all else."""
    if value.is_secret or is_unknown(value):
        return None
    inner = value.value
    if (mapping := members(value)) is not None:
        return {name: public(member) for name, member in mapping.items()}
    if (sequence := elements(value)) is not None:
        return [public(element) for element in sequence]
    return inner if isinstance(inner, bool | float | str) else None


def property_value(json: "Json | Unknown") -> PropertyValue:
    """JSON as a property value; every number travels as a float."""
    match json:
        case Unknown():
            return COMPUTED
        case bool() | str() | None:
            return PropertyValue(json)
        case int() | float():
            return PropertyValue(float(json))
        case Mapping():
            return PropertyValue({name: property_value(member) for name, member in json.items()})
        case _:
            return PropertyValue([property_value(element) for element in json])


def sealed(json: Any, like: PropertyValue | None) -> PropertyValue:
    """JSON as a property value in which everything is secret that was secret in ``like``.

    Two maps are compared member by member. Anything else that holds a secret in ``like`` becomes secret as a whole, a
    list too, since its order may have changed.
    """
    if like is not None and like.is_secret:
        return property_value(json).with_secret(True)
    if is_map(json):
        return PropertyValue(sealed_map(json, (members(like) if like is not None else None) or {}))
    return property_value(json).with_secret(like is not None and like.contains_secret())


def sealed_map(json: Object, like: Values) -> dict[str, PropertyValue]:
    """A JSON map as a property map; see `sealed`."""
    return {name: sealed(member, like.get(name)) for name, member in json.items()}


def overlaid(value: PropertyValue | None, json: Json) -> PropertyValue:
    """``json`` merged over a value, objects member by member; a secret stays secret."""
    known = members(value) if value is not None else None
    if value is None or known is None or not isinstance(json, Mapping):
        merged = property_value(json)
    else:
        merged = PropertyValue(
            {**known, **{name: overlaid(known.get(name), member) for name, member in json.items()}}
        )
    return merged.with_secret(True) if value is not None and value.is_secret else merged


def same(one: PropertyValue, other: PropertyValue) -> bool:
    """Whether two values are equal, whoever may see them and whatever they depend on; unknown equals nothing."""
    if is_unknown(one) or is_unknown(other):
        return False
    left, right = members(one), members(other)
    if left is not None and right is not None:
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    first, second = elements(one), elements(other)
    if first is not None and second is not None:
        return len(first) == len(second) and all(map(same, first, second))
    return PropertyValue(one.value).marshal() == PropertyValue(other.value).marshal()
