"""Kubernetes objects as the official provider names, marks and compares them. Pure functions.

The rules are those of pulumi-kubernetes 4: https://www.pulumi.com/registry/packages/kubernetes/
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from rehearsal.providers.values import UNKNOWN, Object, Unknown, is_list, is_map

AUTONAMED = "pulumi.com/autonamed"
SKIP_AWAIT = "pulumi.com/skipAwait"
TIMEOUT_SECONDS = "pulumi.com/timeoutSeconds"
PATCH_FORCE = "pulumi.com/patchForce"
PATCH_FIELD_MANAGER = "pulumi.com/patchFieldManager"
DELETION_PROPAGATION = "pulumi.com/deletionPropagationPolicy"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

DEFAULT_NAMESPACE = "default"

QUANTITY_PARENTS = frozenset({"limits", "requests", "hard", "capacity", "overhead"})
QUANTITY_FIELDS = frozenset({"sizeLimit", "averageValue"})
_QUANTITY = re.compile(r"(?P<number>[+-]?(\d+\.?\d*|\.\d+))(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+|)")
_BINARY = {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {letter: Decimal(1000) ** power for power, letter in zip(range(-3, 7), "num kMGTPE", strict=True)}


def metadata(thing: Mapping[str, Any]) -> Object:
    """The metadata of an object; empty where it has none or where it is not known yet."""
    found = thing.get("metadata")
    return found if is_map(found) else {}


def name_of(thing: Mapping[str, Any]) -> str | Unknown:
    """The name of an object; empty where it has none."""
    if thing.get("metadata") is UNKNOWN:
        return UNKNOWN
    return cast("str | Unknown", metadata(thing).get("name", ""))


def namespace_of(thing: Mapping[str, Any]) -> str | Unknown:
    """The namespace of an object; empty where it says none."""
    return cast("str | Unknown", metadata(thing).get("namespace", ""))


def annotation(thing: Mapping[str, Any], key: str) -> str:
    """The value of an annotation; empty where it is absent or not known yet."""
    annotations = metadata(thing).get("annotations")
    value = annotations.get(key) if is_map(annotations) else None
    return value if isinstance(value, str) else ""


def is_marked(thing: Mapping[str, Any], key: str) -> bool:
    """Whether an annotation of the object says ``true``."""
    return annotation(thing, key) == "true"


def identifier(thing: Mapping[str, Any]) -> str:
    """The resource's identifier in the state: ``namespace/name``, or ``name`` alone."""
    namespace = namespace_of(thing)
    return f"{namespace}/{name_of(thing)}" if namespace else str(name_of(thing))


def title(thing: Mapping[str, Any]) -> str:
    """The object in a message, such as ``Deployment green/api``."""
    name = name_of(thing)
    return f"{thing.get('kind', 'object')} {identifier(thing) if name and name is not UNKNOWN else '(not named yet)'}"


def named(manifest: Object, old: Mapping[str, Any], logical_name: str, seed: bytes) -> Object:
    """The manifest with a name: its own, else that of the old one if it was made up, else a made-up one.

    A made-up name is ``<logical name>-<8 hex digits>`` and is marked by the annotation ``pulumi.com/autonamed``.
    """
    if name_of(manifest) or manifest.get("metadata") is UNKNOWN:
        return manifest
    if is_marked(old, AUTONAMED):
        name = str(name_of(old))
    else:
        digits = (
            hmac.new(seed, logical_name.encode(), hashlib.sha256).hexdigest() if seed else secrets.token_hex()
        )
        name = f"{logical_name}-{digits[:8]}"
    own = metadata(manifest)
    annotations = own.get("annotations", {})
    if is_map(annotations):
        annotations = annotations | {AUTONAMED: "true"}
    return manifest | {"metadata": own | {"name": name, "annotations": annotations}}


def field_manager(urn: str, manifest: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """The field manager of a resource: as annotated, as in the state, else derived from the URN.

    The official provider makes up a random one. A derived one is known before the state is written: an object whose
    creation was interrupted is recognized by it.
    """
    digits = hashlib.sha256(urn.encode()).hexdigest()[:8]
    return (
        annotation(manifest, PATCH_FIELD_MANAGER)
        or str(state.get("__fieldManager", ""))
        or f"pulumi-kubernetes-{digits}"
    )


def is_managed_by(live: Mapping[str, Any], manager: str) -> bool:
    """Whether this manager has applied the object."""
    entries = cast("list[Object]", metadata(live).get("managedFields", []))
    return any(entry.get("manager") == manager and entry.get("operation") == "Apply" for entry in entries)


def outputs(live: Object) -> Object:
    """What the state keeps of a live object: all of it but the bookkeeping of field managers and of kubectl."""
    kept = {key: value for key, value in metadata(live).items() if key != "managedFields"}
    annotations = kept.get("annotations")
    if is_map(annotations):
        kept["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    return live | {"metadata": kept}


def live_inputs(live: Any, inputs: Any, path: tuple[str, ...] = ()) -> Any:
    """The inputs as the live object has them: its values in the shape of the old inputs.

    What only the server set is left out; what is gone from the live object is gone here too, except an empty list,
    which the server itself leaves out. A quantity that the server spells differently keeps its old spelling. Members of
    a list are paired by their name, or else by position.
    """
    if is_map(inputs) and is_map(live):
        found = {
            key: live_inputs(live[key], value, (*path, key)) if key in live else value
            for key, value in inputs.items()
            if key in live or value == []
        }
        if not path and live.get("kind") == "Secret" and "stringData" in inputs:
            found["stringData"] = _live_string_data(inputs["stringData"], live.get("data", {}))
        return found
    if is_list(inputs) and is_list(live):
        return _live_items(live, inputs, path)
    return inputs if _same_quantity(live, inputs, path) else live


def _live_items(live: list[Any], inputs: list[Any], path: tuple[str, ...]) -> list[Any]:
    if not all(is_map(item) for item in [*live, *inputs]):
        return live
    for key in ("name", "key", "containerPort", "mountPath", "ip", "uid"):
        if inputs and _is_unique(key, live) and _is_unique(key, inputs):
            by_key = {item[key]: item for item in live}
            return [live_inputs(by_key[item[key]], item, path) for item in inputs if item[key] in by_key]
    paired = [live_inputs(new, old, path) for new, old in zip(live, inputs, strict=False)]
    return paired + live[len(inputs) :]


def _is_unique(key: str, items: list[Any]) -> bool:
    """Whether every member has the key, and each a value of its own: two mounts of one volume share its name."""
    return all(key in item for item in items) and len({str(item[key]) for item in items}) == len(items)


def _live_string_data(inputs: Object, data: Object) -> Object:
    return {key: base64.b64decode(data[key]).decode(errors="replace") for key in inputs if key in data}


def _same_quantity(live: Any, inputs: Any, path: tuple[str, ...]) -> bool:
    if not path or not (path[-1] in QUANTITY_FIELDS or QUANTITY_PARENTS & set(path[-2:-1])):
        return False
    return quantity(live) is not None and quantity(live) == quantity(inputs)


def quantity(value: Any) -> Decimal | None:
    """The number that a Kubernetes quantity such as ``500m`` or ``1Gi`` stands for; None for anything else.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    match = _QUANTITY.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if match is None:
        return None
    number, suffix = Decimal(match["number"]), match["suffix"]
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return number.scaleb(int(suffix[1:]))
    return number * (_BINARY.get(suffix) or _DECIMAL.get(suffix or " ", Decimal(1)))
