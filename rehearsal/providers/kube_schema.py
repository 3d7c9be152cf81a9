"""Stand-ins for values that a preview does not know yet, typed as the API server's OpenAPI schema wants them."""

import re
from collections.abc import Mapping
from typing import Any, cast

from rehearsal.providers.kube_diff import Path
from rehearsal.providers.values import UNKNOWN, Object, is_list, is_map

_REFERENCE = "#/components/schemas/"
_STEP = re.compile(r"\[(?P<index>\d+)\]|\[(?P<key>[^\]]*)\]|(?P<name>[^.\[\]]+)")
_FORMATS: Mapping[str, Any] = {
    "byte": "c3RhbmQtaW4=",
    "date-time": "2000-01-01T00:00:00Z",
    "int-or-string": 1,
}


class Schemas:
    """The schemas of one API group and version: a document of the server's ``/openapi/v3``."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        components = cast(Object, document.get("components", {}))
        self._by_name = cast("dict[str, Object]", components.get("schemas", {}))

    def of_kind(self, group: str, version: str, kind: str) -> Object:
        """The schema of a kind; empty where the document has none."""
        wanted = {"group": group, "version": version, "kind": kind}
        for schema in self._by_name.values():
            if wanted in cast("list[Object]", schema.get("x-kubernetes-group-version-kind", [])):
                return schema
        return {}

    def filled(self, value: Any, schema: Object) -> tuple[Any, list[Path]]:
        """The value with a stand-in for all that is not known, and where the stand-ins stand."""
        places: list[Path] = []
        return self._fill(value, schema, (), places), places

    def _fill(self, value: Any, schema: Object, path: Path, places: list[Path]) -> Any:
        schema = self._resolved(schema)
        if value is UNKNOWN:
            places.append(path)
            return _stand_in(schema)
        if is_map(value):
            return {
                key: self._fill(item, _member(schema, key), (*path, key), places)
                for key, item in value.items()
            }
        if is_list(value):
            element = _schema(schema.get("items"))
            return [self._fill(item, element, (*path, index), places) for index, item in enumerate(value)]
        return value

    def _resolved(self, schema: Object) -> Object:
        # The server wraps a reference that has a description or a default into `allOf`.
        while True:
            parts = cast("list[Object]", schema.get("allOf", []))
            if "$ref" in schema:
                name = str(schema["$ref"]).removeprefix(_REFERENCE)
                schema = self._by_name.get(name, {}) | ({"x-name": name})
            elif len(parts) == 1 and "$ref" in parts[0]:
                schema = parts[0]
            else:
                return schema


def steps(field: str) -> Path:
    """A field as the API server spells it in an error, such as ``spec.containers[0].env[A.B]``, as a path."""
    path: list[str | int] = []
    for match in _STEP.finditer(field):
        path.append(int(match["index"]) if match["index"] else str(match["key"] or match["name"]))
    return tuple(path)


def concerns(field: str, places: list[Path]) -> bool:
    """Whether an error at a field may be due to a stand-in: it stands there, below it, or is part of it."""
    path = steps(field)
    return bool(path) and any(path[: len(place)] == place[: len(path)] for place in places)


def _member(schema: Object, key: str) -> Object:
    properties = cast("dict[str, Object]", schema.get("properties", {}))
    return properties.get(key) or _schema(schema.get("additionalProperties"))


def _schema(value: Any) -> Object:
    return value if is_map(value) else {}


def _stand_in(schema: Object) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("x-kubernetes-int-or-string"):
        return 1
    if str(schema.get("x-name", "")).endswith(".resource.Quantity"):
        return "1"
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    match schema.get("type"):
        case "integer" | "number":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return True
        case "array":
            return []
        case "object":
            return {}
        case _:
            return "stand-in"
