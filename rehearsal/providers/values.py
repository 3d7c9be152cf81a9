"""Property values as the engine sends them: what is known, what is secret, and conversions to and from JSON."""

from collections.abc import Mapping, Sequence

from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime import rpc

from rehearsal.providers.plausible import Json

Values = Mapping[str, PropertyValue]

UNKNOWN = PropertyValue(rpc.UNKNOWN)
"""An unknown value as it travels; the SDK's ``Computed`` has no form on the wire."""


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


def property_value(json: Json) -> PropertyValue:
    """JSON as a property value; every number travels as a float."""
    match json:
        case bool() | str() | None:
            return PropertyValue(json)
        case int() | float():
            return PropertyValue(float(json))
        case Mapping():
            return PropertyValue({name: property_value(member) for name, member in json.items()})
        case _:
            return PropertyValue([property_value(element) for element in json])


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
    return bare(one).marshal() == bare(other).marshal()


def bare(value: PropertyValue) -> PropertyValue:
    """The value without its secret mark and its dependencies."""
    return PropertyValue(value.value)


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
