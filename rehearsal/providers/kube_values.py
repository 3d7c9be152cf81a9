"""The engine's property values as plain JSON, and back without a secret losing its seal."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeGuard

from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime import rpc

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON."""

SECRET_FIELDS = ("data", "stringData")
"""What is secret of a Secret, whatever the program says."""


class Unknown:
    """A value that the engine does not know yet: another resource's output during a preview."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()


def is_map(value: Any) -> TypeGuard[Object]:
    """Whether JSON is a map."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether JSON is a list."""
    return isinstance(value, list)


def is_unknown(value: Any) -> bool:
    """Whether JSON is, or anywhere holds, a value that is not known yet."""
    if is_map(value):
        return any(map(is_unknown, value.values()))
    return any(map(is_unknown, value)) if is_list(value) else value is UNKNOWN


def plain(value: PropertyValue) -> Any:
    """JSON of a property value: seals and dependencies dropped, integral numbers as ``int``, unknowns as `UNKNOWN`.

    Null members of a map are left out: to the API server they are the same as absent ones.

    Raises:
        TypeError: the value is an asset, an archive or a resource, which no Kubernetes object can hold.
    """
    inner = value.value
    if isinstance(inner, Computed) or inner == rpc.UNKNOWN:
        return UNKNOWN
    if isinstance(inner, float):
        return int(inner) if inner.is_integer() else inner
    if inner is None or isinstance(inner, bool | str):
        return inner
    if isinstance(inner, Mapping):
        return plain_map(inner)
    if isinstance(inner, Sequence):
        return [plain(item) for item in inner]
    raise TypeError(f"a Kubernetes object cannot hold a {type(inner).__name__}")


def plain_map(properties: Mapping[str, PropertyValue]) -> Object:
    """JSON of a property map; see `plain`."""
    return {_dashed(key): plain(item) for key, item in properties.items() if item.value is not None}


def sealed(output: Any, like: PropertyValue | None) -> PropertyValue:
    """A property value of JSON in which everything is secret that was secret in ``like``.

    Two maps are compared member by member. Anything else that holds a secret in ``like`` becomes secret as a whole, a
    list too, since its order may have changed. The data of a Secret is secret always.
    """
    if like is not None and like.is_secret:
        return _property(output).with_secret(True)
    if is_map(output):
        known: Mapping[str, PropertyValue] = {}
        if like is not None and isinstance(like.value, Mapping):
            known = like.value
        return PropertyValue(_sealed_members(output, known))
    value = _property(output)
    return value.with_secret(like is not None and like.contains_secret())


def sealed_map(output: Object, like: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    """The property map of an object; see `sealed`."""
    return _sealed_members(output, like)


def secret_texts(properties: Mapping[str, PropertyValue]) -> frozenset[str]:
    """Every text that no message may show: what is secret of an object, each also base64 encoded and decoded."""
    found: set[str] = set()
    is_secret_kind = plain(properties.get("kind", PropertyValue(None))) == "Secret"
    for key, value in properties.items():
        found.update(_texts(value, is_secret_kind and key in SECRET_FIELDS))
    return frozenset(found | set(_other_spellings(found)))


def redacted(message: str, secrets: Iterable[str]) -> str:
    """The message with each secret text replaced by ``[secret]``."""
    for text in sorted(secrets, key=len, reverse=True):
        message = message.replace(text, "[secret]")
    return message


def _sealed_members(members: Object, like: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    result = {_underscored(key): sealed(value, like.get(_underscored(key))) for key, value in members.items()}
    if members.get("kind") == "Secret":
        result |= {key: result[key].with_secret(True) for key in SECRET_FIELDS if key in result}
    return result


def _property(value: Any) -> PropertyValue:
    if value is UNKNOWN:
        return PropertyValue(rpc.UNKNOWN)  # how the wire spells a computed value
    if is_map(value):
        return PropertyValue(_sealed_members(value, {}))
    if is_list(value):
        return PropertyValue([_property(item) for item in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    return PropertyValue(value)


def _texts(value: PropertyValue, secret: bool) -> Iterator[str]:
    secret = secret or value.is_secret
    inner = value.value
    if isinstance(inner, str):
        if secret and inner and inner != rpc.UNKNOWN:
            yield inner
    elif isinstance(inner, Mapping):
        for item in inner.values():
            yield from _texts(item, secret)
    elif isinstance(inner, Sequence):
        for item in inner:
            yield from _texts(item, secret)


def _other_spellings(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield base64.b64encode(text.encode()).decode()
        try:
            decoded = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
        if decoded:
            yield decoded


# The SDK cannot spell `x-kubernetes-…`, fields of a CustomResourceDefinition's schema, with dashes.
def _dashed(key: str) -> str:
    return key.replace("_", "-") if key.startswith("x_kubernetes_") else key


def _underscored(key: str) -> str:
    return key.replace("-", "_") if key.startswith("x-kubernetes-") else key
