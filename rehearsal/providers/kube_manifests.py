"""Kubernetes manifests between the engine and the API server: their spelling, and their secrets."""

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue

from rehearsal.providers.values import (
    Object,
    Values,
    elements,
    is_list,
    is_map,
    is_unknown,
    members,
    plain_map,
    sealed_map,
)

SECRET_FIELDS = ("data", "stringData")
"""What is secret of a Secret, whatever the program says."""


def to_manifest(properties: Values) -> Object:
    """The manifest that the engine sends, as the API server wants it.

    Raises:
        TypeError: it holds an asset, an archive or a resource.
    """
    return _respelled(plain_map(properties), _dashed)


def from_manifest(manifest: Object, like: Values) -> dict[str, PropertyValue]:
    """A manifest as the engine wants it, in which everything is secret that was secret in ``like``.

    The data of a Secret is secret always.
    """
    return _with_secret_data(sealed_map(_respelled(manifest, _underscored), like))


def secret_texts(properties: Values) -> frozenset[str]:
    """Every text that no message may show: what is secret of an object, each also base64 encoded and decoded."""
    found: set[str] = set()
    for name, value in properties.items():
        found.update(_texts(value, _is_secret(properties) and name in SECRET_FIELDS))
    return frozenset(found | set(_other_spellings(found)))


def redacted(message: str, secrets: Iterable[str]) -> str:
    """The message with each secret text replaced by ``[secret]``."""
    for text in sorted(secrets, key=len, reverse=True):
        message = message.replace(text, "[secret]")
    return message


def _is_secret(properties: Values) -> bool:
    return "kind" in properties and properties["kind"].value == "Secret"


def _with_secret_data(properties: Values) -> dict[str, PropertyValue]:
    found = {name: _with_secret_data_inside(value) for name, value in properties.items()}
    if _is_secret(properties):
        found |= {name: found[name].with_secret(True) for name in SECRET_FIELDS if name in found}
    return found


def _with_secret_data_inside(value: PropertyValue) -> PropertyValue:
    if (mapping := members(value)) is not None:
        return PropertyValue(_with_secret_data(mapping), value.is_secret)
    if (sequence := elements(value)) is not None:
        return PropertyValue([_with_secret_data_inside(each) for each in sequence], value.is_secret)
    return value


def _texts(value: PropertyValue, secret: bool) -> Iterator[str]:
    secret = secret or value.is_secret
    for inner in [*(members(value) or {}).values(), *(elements(value) or ())]:
        yield from _texts(inner, secret)
    if secret and isinstance(value.value, str) and value.value and not is_unknown(value):
        yield value.value


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


def _respelled(json: Any, spelling: Callable[[str], str]) -> Any:
    if is_map(json):
        return {spelling(key): _respelled(member, spelling) for key, member in json.items()}
    return [_respelled(element, spelling) for element in json] if is_list(json) else json
