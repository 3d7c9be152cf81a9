"""A slot is healthy where every replica of every service is available, at its present version: what its cluster says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from operations.slots import Slot
from rehearsal.canary.loopback import Answers, served
from rollout.cluster import NAME_LABEL, Cluster, Replicas, ready
from rollout.errors import UpdateFailed


def deployment(
    name: str = "api",
    *,
    replicas: int | None = None,
    updated: int = 0,
    available: int = 0,
    seen: int = 3,
    status: bool = True,
) -> dict[str, Any]:
    """A Deployment at its third generation, as the API server tells it."""
    return {
        "metadata": {"name": f"{name}-deployment", "labels": {NAME_LABEL: name}, "generation": 3},
        "spec": {} if replicas is None else {"replicas": replicas},
        **(
            {
                "status": {
                    "observedGeneration": seen,
                    "updatedReplicas": updated,
                    "availableReplicas": available,
                }
            }
            if status
            else {}
        ),
    }


def autoscaler(name: str = "api", least: int | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {"scaleTargetRef": {"kind": "Deployment", "name": f"{name}-deployment"}}
    return {"spec": spec if least is None else {**spec, "minReplicas": least}}


def pod(name: str, *, ready: str = "True", service: str = "api", ending: bool = False) -> dict[str, Any]:
    metadata = {"name": name, "labels": {NAME_LABEL: service}}
    return {
        "metadata": metadata | ({"deletionTimestamp": "2026-11-24T09:00:00Z"} if ending else {}),
        "status": {
            "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}]
        },
    }


@dataclass
class Api:
    """An API server that knows Deployments and autoscalers of the green slot's namespace."""

    url: str = ""
    deployments: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    autoscalers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    pods: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def cluster(self) -> Cluster:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        return Cluster(lambda: json.dumps(config))

    def ailment(self) -> str | None:
        return self.cluster().ailment(Slot.GREEN)

    def replicas(self) -> Replicas:
        (found,) = self.cluster().replicas(Slot.GREEN).values()
        return found


@pytest.fixture
def api() -> Iterator[Api]:
    known = Api()

    class Handler(Answers):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            assert parse_qs(asked.query)["labelSelector"] == [
                f"{NAME_LABEL},app.kubernetes.io/instance=green"
            ]
            items = {
                "/api/v1/namespaces/quikapp-green/pods": known.pods,
                "/apis/apps/v1/namespaces/quikapp-green/deployments": known.deployments,
                "/apis/autoscaling/v2/namespaces/quikapp-green/horizontalpodautoscalers": known.autoscalers,
            }[asked.path]
            self.reply(200, "application/json", json.dumps({"items": items}).encode())

    with served(Handler) as known.url:
        yield known


def test_a_slot_all_of_whose_replicas_are_available_is_healthy(api: Api) -> None:
    api.deployments = [
        deployment("api", replicas=6, updated=6, available=6),
        deployment("web", replicas=2, updated=2, available=2),
    ]
    assert api.ailment() is None


def test_what_is_missing_is_told_service_by_service(api: Api) -> None:
    api.deployments = [
        deployment("web", replicas=2, updated=2, available=1),
        deployment("api", replicas=6, updated=6, available=6),
        deployment("jobs", replicas=1, updated=1),
    ]
    assert api.ailment() == (
        "green is not healthy: jobs: 0 of 1 replicas are available; web: 1 of 2 replicas are available"
    )


def test_pods_of_the_version_before_do_not_count(api: Api) -> None:
    api.deployments = [deployment(replicas=6, updated=1, available=6)]
    assert api.replicas() == Replicas(wanted=6, available=1)


def test_new_pods_that_are_not_available_do_not_count(api: Api) -> None:
    api.deployments = [deployment(replicas=6, updated=6, available=2)]
    assert api.replicas() == Replicas(wanted=6, available=2)


@pytest.mark.parametrize("unseen", [{"seen": 2}, {"status": False}], ids=["an older spec", "nothing yet"])
def test_until_the_present_spec_was_seen_nothing_is_available(api: Api, unseen: dict[str, Any]) -> None:
    api.deployments = [deployment(replicas=6, updated=6, available=6, **unseen)]
    assert api.replicas() == Replicas(wanted=6, available=0)


def test_an_autoscaler_wants_its_minimum_at_least(api: Api) -> None:
    api.deployments = [deployment(replicas=1, updated=1, available=1)]
    api.autoscalers = [autoscaler(least=6)]
    assert api.ailment() == "green is not healthy: api: 1 of 6 replicas are available"
    api.deployments = [deployment(replicas=9, updated=9, available=8)]
    assert api.replicas() == Replicas(wanted=9, available=8)


def test_an_autoscaler_is_for_the_deployment_that_it_names(api: Api) -> None:
    api.deployments = [deployment("api", replicas=1, updated=1, available=1)]
    api.autoscalers = [autoscaler("web", least=6)]
    assert api.ailment() is None


def test_where_nobody_says_how_many_one_is_wanted(api: Api) -> None:
    api.deployments, api.autoscalers = [deployment()], [autoscaler()]
    assert api.replicas() == Replicas(wanted=1, available=0)


def test_a_service_that_was_scaled_to_nothing_is_not_healthy(api: Api) -> None:
    api.deployments = [deployment(replicas=0)]
    assert api.ailment() == "green is not healthy: api: 0 of 0 replicas are available"


def test_a_slot_without_a_service_is_not_healthy(api: Api) -> None:
    assert api.ailment() == "green runs no service"


def test_the_pods_that_get_requests_are_named_service_by_service(api: Api) -> None:
    api.deployments = [deployment("api"), deployment("web")]
    starts, unscheduled = pod("api-2", ready="False"), {"metadata": pod("api-4")["metadata"]}
    ends = pod("api-3", ending=True)
    api.pods = [pod("api-1"), starts, ends, unscheduled, pod("web-1", service="web")]
    found = api.cluster().replicas(Slot.GREEN)
    assert {name: service.ready for name, service in found.items()} == {"api": {"api-1"}, "web": {"web-1"}}
    assert ready(found) == {"api-1", "web-1"}


def test_a_cluster_that_does_not_answer_says_nothing_about_health() -> None:
    with pytest.raises(UpdateFailed, match=r"^the cluster does not answer: \w+: "):
        Api("http://127.0.0.1:1").ailment()
