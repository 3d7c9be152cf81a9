"""What runs in the cluster: from images that do not change, within bounds, and without privilege."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from operations.guardrails import EXEMPT_NAMESPACES
from policy.resources import Hidden, Resource, Rule, Violation, items, mapping

_ADDON: Final = "aws:eks/addon:Addon"

_TEMPLATED: Final = ("Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job")
_POD_SPECS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(_TEMPLATED, ("spec", "template", "spec")),
}
"""Where each kind of workload says what its pods are."""

_CONTAINERS: Final = ("initContainers", "containers")

_EXACT: Final = re.compile(r"[^@\s]+(@sha256:[0-9a-f]{64}|:v?[0-9]+\.[0-9]+\.[0-9]+([.+-][0-9A-Za-z.+-]+)?)")
"""An image by its digest, or by a tag that names one release: major, minor and patch."""

_RESTRICTED_VOLUMES: Final = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
"""Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""

_ENFORCE: Final = "pod-security.kubernetes.io/enforce"
_LEVEL: Final = "restricted"


def _pods(resource: Resource) -> Iterator[tuple[str, Mapping[str, Any]]]:
    path = _POD_SPECS.get(resource.kind) if resource.package == "kubernetes" else None
    if path:
        yield ".".join(path), mapping(resource.at(*path))


def _containers(resource: Resource) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, pod in _pods(resource):
        for field in _CONTAINERS:
            for place, container in enumerate(items(pod.get(field))):
                yield f"{path}.{field}[{place}]", mapping(container)


def _pinned(resource: Resource) -> Iterator[Violation]:
    for path, container in _containers(resource):
        image = container.get("image")
        if not isinstance(image, Hidden) and not (isinstance(image, str) and _EXACT.fullmatch(image)):
            yield resource.breaks(
                f"{path}.image", image, "a digest, or the tag of one release such as :v1.2.3"
            )
    if resource.type == _ADDON and not resource.at("addonVersion"):
        yield resource.breaks("addonVersion", resource.at("addonVersion"), "one version")


def _bounded(resource: Resource) -> Iterator[Violation]:
    for path, container in _containers(resource):
        for bound in ("requests", "limits"):
            for amount in ("cpu", "memory"):
                stated = mapping(mapping(container.get("resources")).get(bound))
                if not stated.get(amount):
                    yield resource.breaks(
                        f"{path}.resources.{bound}.{amount}", stated.get(amount), "an amount"
                    )


def _namespace(resource: Resource) -> Iterator[Violation]:
    if (
        resource.type == "kubernetes:core/v1:Namespace"
        and resource.at("metadata", "name") not in EXEMPT_NAMESPACES
    ):
        enforced = resource.at("metadata", "labels", _ENFORCE)
        if enforced not in (_LEVEL, *Hidden):
            yield resource.breaks(f"metadata.labels.{_ENFORCE}", enforced, f'"{_LEVEL}"')


def _pod_security(resource: Resource) -> Iterator[Violation]:
    yield from _namespace(resource)
    exempt = resource.at("metadata", "namespace") in EXEMPT_NAMESPACES
    for path, pod in _pods(resource):
        for shared in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.get(shared) not in (False, None, *Hidden):
                yield resource.breaks(f"{path}.{shared}", pod.get(shared), "false")
        if not exempt:
            yield from _volumes(resource, path, pod)
    for path, container in _containers(resource):
        yield from _context(resource, path, container, exempt)


def _volumes(resource: Resource, path: str, pod: Mapping[str, Any]) -> Iterator[Violation]:
    for place, volume in enumerate(items(pod.get("volumes"))):
        for source in mapping(volume).keys() - {"name", *_RESTRICTED_VOLUMES}:
            yield resource.breaks(f"{path}.volumes[{place}]", source, ", ".join(_RESTRICTED_VOLUMES))


def _context(
    resource: Resource, path: str, container: Mapping[str, Any], exempt: bool
) -> Iterator[Violation]:
    ((_, pod),) = _pods(resource)
    # What a container says for itself holds, else what its pod says.
    context = {**mapping(pod.get("securityContext")), **mapping(container.get("securityContext"))}
    seccomp = mapping(context.get("seccompProfile")).get("type")
    dropped = items(mapping(context.get("capabilities")).get("drop"))
    added = [
        name for name in items(mapping(context.get("capabilities")).get("add")) if name != "NET_BIND_SERVICE"
    ]
    judged = {
        "privileged": (
            context.get("privileged") in (False, None, *Hidden),
            context.get("privileged"),
            "false",
        ),
        "allowPrivilegeEscalation": (
            context.get("allowPrivilegeEscalation") in (False, *Hidden),
            context.get("allowPrivilegeEscalation"),
            "false",
        ),
        "capabilities.drop": ("ALL" in dropped, list(dropped) or None, '["ALL"]'),
        "capabilities.add": (not added, added, "NET_BIND_SERVICE"),
        "seccompProfile.type": (
            seccomp in ("RuntimeDefault", "Localhost", *Hidden),
            seccomp,
            "RuntimeDefault, Localhost",
        ),
        "runAsNonRoot": (
            exempt or context.get("runAsNonRoot") in (True, *Hidden),
            context.get("runAsNonRoot"),
            "true",
        ),
        "runAsUser": (exempt or context.get("runAsUser") != 0, context.get("runAsUser"), "another than root"),
    }
    for field, (holds, found, allowed) in judged.items():
        if not holds:
            yield resource.breaks(f"{path}.securityContext.{field}", found, allowed)


RULES: Final = (
    Rule(
        name="pinned-images",
        description="What runs is one release, by its tag or digest: the same today and tomorrow.",
        check=_pinned,
    ),
    Rule(
        name="requests-and-limits",
        description="Every container says what it needs and what it may take, of CPU and memory.",
        check=_bounded,
    ),
    Rule(
        name="pod-security",
        description="Namespaces enforce Kubernetes' restricted standard, and every pod meets it.",
        check=_pod_security,
    ),
)
