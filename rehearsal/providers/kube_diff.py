"""What changes between two manifests, and which changes need a new object. Pure functions.

The fields that replace are those of the official provider's ``diff.go`` (pulumi-kubernetes 4): fields that the API
server refuses to change, and the data of ConfigMaps and Secrets, which are treated as immutable by default so that
what uses them is rolled.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rehearsal.providers.kube_objects import (
    AUTONAMED,
    DEFAULT_NAMESPACE,
    is_marked,
    metadata,
    name_of,
    namespace_of,
)
from rehearsal.providers.values import Object, is_list, is_map

Path = tuple[str | int, ...]
"""Where a value stands in an object: keys of maps and positions in lists."""

IDENTITY = ("metadata.name", "metadata.namespace")

_SELECTOR = ("spec.selector",)
_STATEFUL_SET = (
    "spec.podManagementPolicy",
    "spec.revisionHistoryLimit",
    "spec.selector",
    "spec.serviceName",
    "spec.volumeClaimTemplates",
)
_POD = tuple(
    f"spec.{field}"
    for field in (
        *(
            "affinity",
            "automountServiceAccountToken",
            "dnsConfig",
            "dnsPolicy",
            "enableServiceLinks",
            "hostAliases",
        ),
        *(
            "hostIPC",
            "hostNetwork",
            "hostPID",
            "hostname",
            "imagePullSecrets",
            "nodeName",
            "nodeSelector",
            "overhead",
        ),
        *(
            "preemptionPolicy",
            "priority",
            "priorityClassName",
            "readinessGates",
            "restartPolicy",
            "runtimeClassName",
        ),
        *(
            "schedulerName",
            "securityContext",
            "serviceAccount",
            "serviceAccountName",
            "shareProcessNamespace",
        ),
        *("subdomain", "terminationGracePeriodSeconds", "volumes", "containers", "initContainers"),
    )
)
_VOLUME_SOURCES = tuple(
    f"spec.{field}"
    for field in (
        *(
            "awsElasticBlockStore",
            "azureDisk",
            "azureFile",
            "cephfs",
            "cinder",
            "csi",
            "fc",
            "flexVolume",
            "flocker",
        ),
        *("gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk"),
        *("portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume"),
    )
)
_CLAIM = ("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName")
_JOB = ("spec.completions", "spec.parallelism", "spec.selector", "spec.template")

REPLACING: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps", "DaemonSet"): _SELECTOR,
    ("apps", "Deployment"): _SELECTOR,
    ("apps", "StatefulSet"): _STATEFUL_SET,
    ("batch", "Job"): _JOB,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
    ("", "PersistentVolume"): _VOLUME_SOURCES,
    ("", "PersistentVolumeClaim"): _CLAIM,
    ("", "Pod"): _POD,
    ("", "ResourceQuota"): ("spec.scopes",),
    ("", "Secret"): ("type",),
    ("", "Service"): ("spec.clusterIP",),
}
"""Fields that need a new object, by API group and kind."""

DATA: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "ConfigMap"): ("data", "binaryData"),
    ("", "Secret"): ("data", "stringData"),
}
"""Fields that need a new object unless the provider is told that they are mutable."""


class Change(Enum):
    """What happens to a value."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True)
class Difference:
    """What an update would change.

    Attributes:
        changes: the changed values by their path; of a value that appears or goes whole, only the top.
        replacing: the paths of those that need a new object.
        delete_first: the old object has to go before the new one can come, since both have one name.
    """

    changes: Mapping[Path, Change]
    replacing: frozenset[Path]
    delete_first: bool


def compare(old: Object, new: Object, mutable: frozenset[str] = frozenset()) -> Difference:
    """Compare the old inputs of a resource with its new ones.

    Args:
        old: the manifest as it was last applied, or as a refresh found it.
        new: the manifest as it shall be.
        mutable: the kinds among ConfigMap and Secret whose data may change in place.
    """
    old, new = _without_default_namespace(old), _without_default_namespace(new)
    changes = dict(_changes(old, new))
    patterns = [tuple(pattern.split(".")) for pattern in replacing_fields(new, mutable)]
    replacing = frozenset(
        path for path in changes if any(_touches(path, pattern, old, new) for pattern in patterns)
    )
    delete_first = (
        bool(replacing)
        and not is_marked(new, AUTONAMED)
        and name_of(new) == name_of(old)
        and namespace_of(new) == namespace_of(old)
    )
    return Difference(changes, replacing, delete_first)


def replacing_fields(manifest: Mapping[str, Any], mutable: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The fields of an object that cannot change in place; see `compare`."""
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    key = (group, str(manifest.get("kind", "")))
    fields = IDENTITY + REPLACING.get(key, ())
    if key in DATA and (key[1] not in mutable or manifest.get("immutable") is True):
        fields += DATA[key]
    return fields


def spelled(path: Path) -> str:
    """A path as the engine spells it: ``spec.containers[0].image``, ``metadata.labels["app.kubernetes.io/name"]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif any(character in step for character in '."[]'):
            text += f"[{json.dumps(step)}]"
        else:
            text += f".{step}" if text else step
    return text


def _without_default_namespace(manifest: Object) -> Object:
    if namespace_of(manifest) != DEFAULT_NAMESPACE:
        return manifest
    return manifest | {
        "metadata": {key: value for key, value in metadata(manifest).items() if key != "namespace"}
    }


def _changes(old: Any, new: Any, path: Path = ()) -> Iterator[tuple[Path, Change]]:
    if is_map(old) and is_map(new):
        for key in sorted(old.keys() | new.keys()):
            if key not in new:
                yield (*path, key), Change.DELETE
            elif key not in old:
                yield (*path, key), Change.ADD
            else:
                yield from _changes(old[key], new[key], (*path, key))
    elif is_list(old) and is_list(new):
        for index in range(max(len(old), len(new))):
            if index >= len(new):
                yield (*path, index), Change.DELETE
            elif index >= len(old):
                yield (*path, index), Change.ADD
            else:
                yield from _changes(old[index], new[index], (*path, index))
    elif type(old) is not type(new) or old != new:
        yield path, Change.UPDATE


def _touches(path: Path, pattern: tuple[str, ...], old: Object, new: Object) -> bool:
    if path[: len(pattern)] == pattern:
        return True
    # The change is above the field, in a map that appears or goes whole, or that is not known yet.
    return pattern[: len(path)] == path and (_holds(old, pattern) or _holds(new, pattern))


def _holds(thing: Object, steps: Sequence[str]) -> bool:
    if steps[0] not in thing:
        return False
    inner = thing[steps[0]]
    return len(steps) == 1 or (is_map(inner) and _holds(inner, steps[1:]))
