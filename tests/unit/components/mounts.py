"""What a container finds at a path, traced back to the ConfigMap, Secret or folder that it comes from."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from tests.unit.components.recording import Recording, Resource

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a resource type


def content(made: Recording[Any], pod: Mapping[str, Any], path: str) -> str:
    """The text of a file as the pod's first container reads it.

    Raises AssertionError when no ConfigMap or Secret puts a file there.
    """
    files = dict(_files(made, pod))
    assert path in files, f"{path} is not mounted; there are {sorted(files)}"
    return files[path]


def is_writable(pod: Mapping[str, Any], path: str) -> bool:
    """Whether the pod's first container may write to a folder: a volume is mounted there, and not read-only."""
    (container, *_) = pod["containers"]
    return any(
        mount["mountPath"] == path and not mount.get("readOnly") for mount in container["volumeMounts"]
    )


def _files(made: Recording[Any], pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    (container, *_) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for mount in container["volumeMounts"]:
        held = _held(made, volumes.get(mount["name"], {}))
        if "subPath" in mount:
            held = {"": held[mount["subPath"]]}
        for name, text in held.items():
            yield str(PurePosixPath(mount["mountPath"]) / name), text


def _held(made: Recording[Any], volume: Mapping[str, Any]) -> Mapping[str, str]:
    """The files of a volume, by their paths in it."""
    if "configMap" in volume:
        source, items = (
            _called(made, CONFIG_MAP, volume["configMap"]["name"]),
            volume["configMap"].get("items"),
        )
        data = source.inputs["data"]
    elif "secret" in volume:
        source, items = (
            _called(made, SECRET, volume["secret"]["secretName"]),
            volume["secret"].get("items"),
        )
        data = source.inputs["stringData"]
    else:
        return {}
    return data if items is None else {item["path"]: data[item["key"]] for item in items}


def _called(made: Recording[Any], token: str, name: str) -> Resource:
    found = [resource for resource in made.of(token) if resource.outputs["metadata"].get("name", "") == name]
    assert len(found) == 1, f"{token} {name}: {len(found)} found"
    return found[0]
