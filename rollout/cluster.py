"""What runs in a slot, asked of its cluster's API.

EKS gives the pods of a slot's namespace a readiness gate for each target group that they are bound to, so that a pod is
ready only once the load balancer finds its target healthy, and a replica available only then: Kubernetes alone answers
for both. Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate
Where there is no load balancer, as in a rehearsal, there is no gate, and the pods' own readiness counts; so it does for pods
that are older than their binding, since a gate is given to a pod when it is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast

from kubernetes import client, config

from operations.slots import Slot
from rollout.errors import UpdateFailed

NAME_LABEL: Final = "app.kubernetes.io/name"
"""The label whose value is the service's name. Source:
https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/"""

INSTANCE_LABEL: Final = "app.kubernetes.io/instance"
"""The label whose value is the slot's name. Source: as above."""

TIMEOUT_SECONDS: Final = 10


@dataclass(frozen=True)
class Replicas:
    """Of one service in one slot."""

    wanted: int
    """What the autoscaler asks for, and no fewer than its minimum."""
    available: int
    """Of the present version, ready for as long as the Deployment demands."""
    ready: frozenset[str] = frozenset()
    """Names of the pods, of whatever version, that get requests now."""


def ready(replicas: Mapping[str, Replicas]) -> frozenset[str]:
    """Return the names of a slot's pods that get requests now."""
    return frozenset[str]().union(*(found.ready for found in replicas.values()))


@dataclass
class Cluster:
    """The cluster of one stack.

    Attributes:
        kubeconfig: tells the way in, as JSON; it is asked once.
    """

    kubeconfig: Callable[[], str]

    @cached_property
    def _way_in(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.kubeconfig()))

    def replicas(self, slot: Slot) -> Mapping[str, Replicas]:
        """Return the replicas of each service in a slot.

        Raises:
            UpdateFailed: the cluster does not answer.
        """
        try:
            with config.new_client_from_config_dict(self._way_in) as api:  # pyright: ignore
                deployments = _items(client.AppsV1Api(api).list_namespaced_deployment, slot)
                pods = _items(client.CoreV1Api(api).list_namespaced_pod, slot)
                autoscalers = _items(
                    client.AutoscalingV2Api(api).list_namespaced_horizontal_pod_autoscaler, slot
                )
        except UpdateFailed:  # nobody knows the way in
            raise
        except Exception as error:  # the client's own, urllib3's, a token command's: all mean the same
            raise UpdateFailed(
                f"the cluster does not answer: {type(error).__name__}: {_line(error)}"
            ) from error
        least = {
            item["spec"]["scaleTargetRef"]["name"]: int(item["spec"].get("minReplicas") or 1)
            for item in autoscalers
        }
        return {
            _service(item): _replicas(
                item,
                least.get(item["metadata"]["name"], 0),
                frozenset(
                    pod["metadata"]["name"]
                    for pod in pods
                    if _service(pod) == _service(item) and _is_ready(pod)
                ),
            )
            for item in deployments
        }

    def ailment(self, slot: Slot) -> str | None:
        """Return why not every replica of a slot is available; None where all are.

        Raises:
            UpdateFailed: the cluster does not answer.
        """
        services = self.replicas(slot)
        short = [
            f"{service}: {found.available} of {found.wanted} replicas are available"
            for service, found in sorted(services.items())
            if found.available < max(found.wanted, 1)
        ]
        if not services:
            return f"{slot} runs no service"
        return f"{slot} is not healthy: {'; '.join(short)}" if short else None


def _items(read: Callable[..., Any], slot: Slot) -> list[dict[str, Any]]:
    """What lies in a slot and bears its labels: what else is in the namespace is nobody's replica."""
    answer = read(
        slot.namespace,
        label_selector=f"{NAME_LABEL},{INSTANCE_LABEL}={slot}",
        _request_timeout=TIMEOUT_SECONDS,
        _preload_content=False,
    )
    return cast("list[dict[str, Any]]", json.loads(answer.data)["items"])


def _service(item: Mapping[str, Any]) -> str:
    return cast("str", item["metadata"]["labels"][NAME_LABEL])


def _is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod gets requests: one that is told to end is ready for a while still."""
    conditions = cast("list[dict[str, str]]", pod.get("status", {}).get("conditions") or [])
    ready = any((found["type"], found["status"]) == ("Ready", "True") for found in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _replicas(deployment: Mapping[str, Any], least: int, ready: frozenset[str]) -> Replicas:
    spec = cast("dict[str, Any]", deployment["spec"])
    status = cast("dict[str, Any]", deployment.get("status") or {})
    wanted = max(int(spec.get("replicas", 1)), least)
    # Until the controller has seen the present spec, the status is about another.
    seen = int(status.get("observedGeneration", 0)) >= int(deployment["metadata"]["generation"])
    updated, available = int(status.get("updatedReplicas", 0)), int(status.get("availableReplicas", 0))
    return Replicas(wanted, min(updated, available) if seen else 0, ready)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
