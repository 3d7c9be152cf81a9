"""When an object counts as ready, judged from the live object alone. Pure functions.

The rules are those of the official provider's ``await`` package (pulumi-kubernetes 4) and of ``kubectl rollout status``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from rehearsal.providers.values import Object, is_map

DEFAULT_TIMEOUT_SECONDS = 600.0

DELETED_WITHOUT_WAITING = frozenset(
    {"Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job"}
)
"""Kinds whose deletion is not awaited either when they are marked ``pulumi.com/skipAwait``."""


@dataclass(frozen=True)
class Verdict:
    """Whether an object is ready.

    Attributes:
        ready: it is.
        why: what is missing, in one line; empty if nothing is.
        hopeless: it will not become ready, so that waiting is idle.
    """

    ready: bool
    why: str = ""
    hopeless: bool = False


READY = Verdict(ready=True)


def waiting(why: str) -> Verdict:
    """Not ready yet."""
    return Verdict(ready=False, why=why)


def judged(live: Object, surroundings: Sequence[Object] = ()) -> Verdict:
    """Whether an object is ready.

    Args:
        live: the object as the API server has it.
        surroundings: what else the judgement needs: of a Service its EndpointSlices, of a PersistentVolumeClaim its
            StorageClass.
    """
    group = str(live.get("apiVersion", "")).rpartition("/")[0]
    kind = str(live.get("kind", ""))
    if (group, kind) == ("", "Service"):
        return service(live, surroundings)
    if (group, kind) == ("", "PersistentVolumeClaim"):
        return claim(live, surroundings)
    judge = _JUDGES.get((group, kind))
    return judge(live) if judge else READY


def deployment(live: Object) -> Verdict:
    """Rolled out: every replica is of the newest template and available, and no old one is left."""
    spec, status = _part(live, "spec"), _part(live, "status")
    if not _observed(live):
        return waiting("the controller has not seen it yet")
    progressing = condition(live, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Verdict(ready=False, why=str(progressing.get("message")), hopeless=True)
    wanted = int(spec.get("replicas", 1))
    updated = int(status.get("updatedReplicas", 0))
    available = int(status.get("availableReplicas", 0))
    if spec.get("paused"):
        return READY
    if updated < wanted or available < updated:
        return waiting(f"{min(updated, available)} of {wanted} replicas available{_failure(live)}")
    if int(status.get("replicas", 0)) > updated:
        return waiting(f"{int(status.get('replicas', 0)) - updated} old replicas are still to go")
    if condition(live, "Available").get("status") != "True":
        return waiting("not enough replicas available")
    return READY


def stateful_set(live: Object) -> Verdict:
    """Rolled out: every replica is ready and of the newest revision (of any, with the strategy OnDelete)."""
    spec, status = _part(live, "spec"), _part(live, "status")
    if not _observed(live):
        return waiting("the controller has not seen it yet")
    wanted = int(spec.get("replicas", 1))
    ready = int(status.get("readyReplicas", 0))
    if ready != wanted or int(status.get("replicas", 0)) != wanted:
        return waiting(f"{ready} of {wanted} replicas ready")
    on_delete = _part(spec, "updateStrategy").get("type") == "OnDelete"
    if not on_delete and status.get("currentRevision") != status.get("updateRevision"):
        return waiting(f"{int(status.get('updatedReplicas', 0))} of {wanted} replicas updated")
    return READY


def daemon_set(live: Object) -> Verdict:
    """Rolled out: a pod of the newest template is available on every node that wants one."""
    status = _part(live, "status")
    if not _observed(live):
        return waiting("the controller has not seen it yet")
    wanted = int(status.get("desiredNumberScheduled", 0))
    on_delete = _part(_part(live, "spec"), "updateStrategy").get("type") == "OnDelete"
    updated = wanted if on_delete else int(status.get("updatedNumberScheduled", 0))
    available = int(status.get("numberAvailable", 0))
    if min(updated, available) < wanted:
        return waiting(f"{min(updated, available)} of {wanted} nodes served")
    return READY


def job(live: Object) -> Verdict:
    """Complete. A failed job is hopeless."""
    failed = condition(live, "Failed")
    if failed.get("status") == "True":
        return Verdict(ready=False, why=f"{failed.get('reason')}: {failed.get('message')}", hopeless=True)
    if condition(live, "Complete").get("status") == "True":
        return READY
    return waiting(f"{int(_part(live, 'status').get('succeeded', 0))} pods succeeded so far")


def pod(live: Object) -> Verdict:
    """Ready, or succeeded."""
    status = _part(live, "status")
    if status.get("phase") == "Succeeded" or condition(live, "Ready").get("status") == "True":
        return READY
    if status.get("phase") == "Failed":
        return Verdict(ready=False, why=str(status.get("message") or "it failed"), hopeless=True)
    return waiting(pod_trouble(live) or f"its phase is {status.get('phase', 'Pending')}")


def service(live: Object, slices: Sequence[Object]) -> Verdict:
    """A load balancer has an address, and no pod that it selects is still to become ready.

    A Service that selects nothing, or nothing yet, is ready: its workload may be cold, or come after it.
    """
    spec = _part(live, "spec")
    balancer = _part(_part(live, "status"), "loadBalancer")
    if spec.get("type") == "LoadBalancer" and not balancer.get("ingress"):
        return waiting("no load balancer has been given to it")
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return READY
    if not slices:
        return waiting("its endpoints have not been listed yet")
    endpoints = [
        endpoint for each in slices for endpoint in cast("list[Object]", each.get("endpoints") or [])
    ]
    states = [_part(endpoint, "conditions") for endpoint in endpoints]
    pending = [state for state in states if state.get("ready") is False and not state.get("terminating")]
    return waiting(f"{len(pending)} of {len(states)} endpoints are not ready") if pending else READY


def claim(live: Object, classes: Sequence[Object]) -> Verdict:
    """Bound; or pending, where the storage class waits for the first pod that uses the claim."""
    phase = _part(live, "status").get("phase", "Pending")
    lazily = any(each.get("volumeBindingMode") == "WaitForFirstConsumer" for each in classes)
    if phase == "Bound" or (phase == "Pending" and lazily):
        return READY
    return waiting(f"its phase is {phase}")


def condition(live: Mapping[str, Any], kind: str) -> Object:
    """The condition of a type in an object's status; empty where it has none."""
    conditions = cast("list[Object]", _part(live, "status").get("conditions") or [])
    return next((each for each in conditions if each.get("type") == kind), Object())


def pod_trouble(live: Object) -> str:
    """What keeps a pod from being ready, in one line; empty if nothing is said."""
    status = _part(live, "status")
    for container in cast(
        "list[Object]", [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    ):
        state = _part(container, "state")
        for stage in ("waiting", "terminated"):
            reason = _part(state, stage).get("reason")
            if reason not in (None, "ContainerCreating", "PodInitializing", "Completed"):
                message = _part(state, stage).get("message", "")
                return f"container {container.get('name')}: {reason} {message}".strip()
    for kind in ("PodScheduled", "Ready"):
        state = condition(live, kind)
        if state.get("status") == "False" and state.get("message"):
            return f"{state.get('reason', kind)}: {state['message']}"
    return ""


def _volume(live: Object) -> Verdict:
    phase = _part(live, "status").get("phase", "Pending")
    return READY if phase in ("Available", "Bound") else waiting(f"its phase is {phase}")


def _quota(live: Object) -> Verdict:
    limits, seen = _part(_part(live, "spec"), "hard"), _part(_part(live, "status"), "hard")
    return READY if limits.keys() == seen.keys() else waiting("the controller has not seen it yet")


def _token(live: Object) -> Verdict:
    if live.get("type") != "kubernetes.io/service-account-token" or live.get("data"):
        return READY
    return waiting("its token has not been made yet")


def _ingress(live: Object) -> Verdict:
    if _part(_part(live, "status"), "loadBalancer").get("ingress"):
        return READY
    return waiting("no load balancer has been given to it")


def _definition(live: Object) -> Verdict:
    if condition(live, "Established").get("status") == "True":
        return READY
    return waiting(str(condition(live, "NamesAccepted").get("message") or "it is not established yet"))


_JUDGES: Mapping[tuple[str, str], Callable[[Object], Verdict]] = {
    ("apps", "Deployment"): deployment,
    ("apps", "StatefulSet"): stateful_set,
    ("apps", "DaemonSet"): daemon_set,
    ("batch", "Job"): job,
    ("", "Pod"): pod,
    ("", "PersistentVolume"): _volume,
    ("", "ResourceQuota"): _quota,
    ("", "Secret"): _token,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}


def _part(thing: Mapping[str, Any], key: str) -> Object:
    value = thing.get(key)
    return value if is_map(value) else {}


def _observed(live: Object) -> bool:
    generation = int(_part(live, "metadata").get("generation", 0))
    return int(_part(live, "status").get("observedGeneration", 0)) >= generation


def _failure(live: Object) -> str:
    failure = condition(live, "ReplicaFailure")
    return f" ({failure.get('message')})" if failure.get("status") == "True" else ""
