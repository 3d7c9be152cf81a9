"""The rehearsal's control plane: the real API server and its controllers, with nodes that are played."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rehearsal.control_plane import STOP_ORDER, ControlPlane, Nodes
from rehearsal.errors import RehearsalError
from rehearsal.toolchain import ToolSet, ensure

pytestmark = pytest.mark.rehearsal

ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
DEFAULT = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"


@pytest.fixture(scope="module")
def tools() -> Mapping[str, Path]:
    return ensure(ToolSet.KUBERNETES, ToolSet.KWOK)


@pytest.fixture(scope="module")
def plane(tools: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Generator[ControlPlane]:
    """One cluster for the tests that only use it."""
    plane = cluster(tools, tmp_path_factory.mktemp("plane"))
    plane.start()
    yield plane
    plane.stop(remove=True)


@pytest.fixture
def own_plane(tools: Mapping[str, Path], tmp_path: Path) -> Generator[ControlPlane]:
    """A cluster that the test may break."""
    plane = cluster(tools, tmp_path)
    yield plane
    plane.stop(remove=True)


def test_a_deployment_becomes_available_across_the_zones(plane: ControlPlane) -> None:
    plane.api.apply(f"{APPS}/deployments/web", deployment("web", replicas=3))
    eventually(lambda: field(plane, f"{APPS}/deployments/web", "status", "availableReplicas") == 3)
    assert {zone_of(plane, pod) for pod in pods(plane, "web")} == set(ZONES)


def test_an_autoscaler_holds_its_minimum_and_a_disruption_budget_counts_the_pods(plane: ControlPlane) -> None:
    plane.api.apply(f"{APPS}/deployments/scaled", deployment("scaled"))
    autoscalers = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}
    plane.api.apply(
        f"{autoscalers}/scaled",
        manifest(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "scaled",
            scaleTargetRef=target,
            minReplicas=4,
            maxReplicas=8,
        ),
    )
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    selector = {"matchLabels": {"app": "scaled"}}
    plane.api.apply(
        f"{budgets}/scaled",
        manifest("policy/v1", "PodDisruptionBudget", "scaled", maxUnavailable=1, selector=selector),
    )
    eventually(lambda: field(plane, f"{APPS}/deployments/scaled", "status", "availableReplicas") == 4)
    eventually(lambda: field(plane, f"{budgets}/scaled", "status", "currentHealthy") == 4)
    assert field(plane, f"{budgets}/scaled", "status", "disruptionsAllowed") == 1


def test_a_service_finds_its_pods(plane: ControlPlane) -> None:
    plane.api.apply(f"{APPS}/deployments/found", deployment("found", replicas=2))
    plane.api.apply(
        f"{DEFAULT}/services/found",
        manifest("v1", "Service", "found", selector={"app": "found"}, ports=[{"port": 80}]),
    )
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name=found"

    def ready_endpoints() -> int:
        endpoints = (endpoint for part in items(plane, slices) for endpoint in part["endpoints"] or ())
        return sum(bool(endpoint["conditions"]["ready"]) for endpoint in endpoints)

    eventually(lambda: ready_endpoints() == 2)


def test_a_pod_that_asks_for_more_than_restricted_is_refused(plane: ControlPlane) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "guarded", "labels": labels}}
    plane.api.apply("/api/v1/namespaces/guarded", namespace)
    eventually(
        lambda: plane.api.get("/api/v1/namespaces/guarded/serviceaccounts/default") is not None,
    )
    container = {"name": "main", "image": "example:1", "securityContext": {"privileged": True}}
    with pytest.raises(RehearsalError, match='violates PodSecurity "restricted'):
        plane.api.apply(
            "/api/v1/namespaces/guarded/pods/root", manifest("v1", "Pod", "root", containers=[container])
        )


BINDING: Mapping[str, Any] = {
    "targetGroupARN": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef",
    "targetType": "ip",
    "serviceRef": {"name": "web", "port": 80},
}
POOL: Mapping[str, Any] = {
    "limits": {"cpu": "100", "memory": "400Gi"},
    "template": {
        "spec": {
            "nodeClassRef": {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"},
            "requirements": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}],
        }
    },
}
CLASS_PARAMS: Mapping[str, Any] = {
    "scheme": "internet-facing",
    "subnets": {"ids": ["subnet-0123456789abcdef0"]},
}
NODE_CLASS: Mapping[str, Any] = {
    "role": "nodes",
    "subnetSelectorTerms": [{"tags": {"kubernetes.io/role/internal-elb": "1"}}],
    "securityGroupSelectorTerms": [{"id": "sg-0123456789abcdef0"}],
}
RESOURCES = {
    "TargetGroupBinding": (
        "eks.amazonaws.com/v1",
        "/apis/eks.amazonaws.com/v1/namespaces/default/targetgroupbindings",
        BINDING,
    ),
    "IngressClassParams": (
        "eks.amazonaws.com/v1",
        "/apis/eks.amazonaws.com/v1/ingressclassparams",
        CLASS_PARAMS,
    ),
    "NodeClass": ("eks.amazonaws.com/v1", "/apis/eks.amazonaws.com/v1/nodeclasses", NODE_CLASS),
    "NodePool": ("karpenter.sh/v1", "/apis/karpenter.sh/v1/nodepools", POOL),
}


@pytest.mark.parametrize("kind", RESOURCES)
def test_the_custom_resources_of_auto_mode_are_served(plane: ControlPlane, kind: str) -> None:
    version, path, spec = RESOURCES[kind]
    plane.api.apply(f"{path}/sound", manifest(version, kind, "sound", **spec))
    assert plane.api.get(f"{path}/sound") is not None


@pytest.mark.parametrize("kind", RESOURCES)
def test_an_unknown_field_of_a_custom_resource_is_refused(plane: ControlPlane, kind: str) -> None:
    version, path, spec = RESOURCES[kind]
    with pytest.raises(RehearsalError, match=r"\.spec\.colour"):
        plane.api.apply(f"{path}/faulty", manifest(version, kind, "faulty", **spec, colour="red"))


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        ("TargetGroupBinding", {"targetType": None}, "targetType"),
        ("TargetGroupBinding", {"targetType": "lambda"}, "targetType"),
        ("TargetGroupBinding", {"serviceRef": {"name": "web"}}, "port"),
        ("TargetGroupBinding", {"targetGroupARN": None}, "targetGroupARN or targetGroupName"),
        ("IngressClassParams", {"scheme": "public"}, "scheme"),
        ("IngressClassParams", {"subnets": {}}, "exactly one of ids and matchTags"),
        ("NodeClass", {"role": None}, "exactly one of role and instanceProfile"),
        ("NodeClass", {"subnetSelectorTerms": None}, "subnetSelectorTerms"),
        ("NodeClass", {"ephemeralStorage": {"iops": 100}}, "iops"),
        ("NodePool", {"template": {"spec": {"requirements": []}}}, "nodeClassRef"),
        ("NodePool", {"limits": {"cpu": "many"}}, "limits"),
        ("NodePool", {"weight": 101}, "weight"),
        ("NodePool", {"disruption": {"consolidationPolicy": "Never"}}, "consolidat"),
    ],
)
def test_a_custom_resource_that_auto_mode_would_refuse_is_refused(
    plane: ControlPlane, kind: str, change: Mapping[str, Any], complaint: str
) -> None:
    version, path, spec = RESOURCES[kind]
    faulty = {name: value for name, value in {**spec, **change}.items() if value is not None}
    with pytest.raises(RehearsalError, match=complaint):
        plane.api.apply(f"{path}/faulty", manifest(version, kind, "faulty", **faulty))


def test_a_stateful_set_gets_its_volume_in_the_zone_of_its_pod(plane: ControlPlane) -> None:
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "gp3"},
        "provisioner": "ebs.csi.eks.amazonaws.com",
        "volumeBindingMode": "WaitForFirstConsumer",
        "parameters": {"type": "gp3", "encrypted": "true"},
    }
    plane.api.apply("/apis/storage.k8s.io/v1/storageclasses/gp3", storage_class)
    template = deployment("store")["spec"]["template"]
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "gp3",
            "resources": {"requests": {"storage": "50Gi"}},
        },
    }
    template["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    plane.api.apply(
        f"{APPS}/statefulsets/store",
        manifest(
            "apps/v1",
            "StatefulSet",
            "store",
            replicas=2,
            serviceName="store",
            selector={"matchLabels": {"app": "store"}},
            template=template,
            volumeClaimTemplates=[claim],
        ),
    )
    eventually(lambda: field(plane, f"{APPS}/statefulsets/store", "status", "readyReplicas") == 2)

    volume_path = f"/api/v1/persistentvolumes/{field(plane, f'{DEFAULT}/persistentvolumeclaims/data-store-0', 'spec', 'volumeName')}"
    affinity = field(plane, volume_path, "spec", "nodeAffinity", "required", "nodeSelectorTerms")
    pod = next(pod for pod in pods(plane, "store") if pod["metadata"]["name"] == "store-0")
    assert affinity[0]["matchExpressions"][0]["values"] == [zone_of(plane, pod)]

    plane.api.delete(f"{APPS}/statefulsets/store")
    plane.api.delete(f"{DEFAULT}/persistentvolumeclaims/data-store-0")
    eventually(lambda: plane.api.get(volume_path) is None)


def test_a_pod_leaves_soon_however_long_it_may_take(plane: ControlPlane) -> None:
    container = {"name": "main", "image": "example:1"}
    plane.api.apply(
        f"{DEFAULT}/pods/slow",
        manifest("v1", "Pod", "slow", containers=[container], terminationGracePeriodSeconds=3600),
    )
    eventually(lambda: field(plane, f"{DEFAULT}/pods/slow", "status", "phase") == "Running")
    plane.api.delete(f"{DEFAULT}/pods/slow")
    eventually(lambda: plane.api.get(f"{DEFAULT}/pods/slow") is None)


def test_a_job_completes(plane: ControlPlane) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example:1"}]}
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    plane.api.apply(f"{jobs}/once", manifest("batch/v1", "Job", "once", template={"spec": pod}))
    eventually(lambda: field(plane, f"{jobs}/once", "status", "succeeded") == 1)


def test_nobody_without_the_token_is_served(plane: ControlPlane) -> None:
    plane.api.get("/version")
    stranger = type(plane.api)(port_of(plane), plane.directory / "pki/ca.pem", "wrong")
    assert stranger.request("GET", "/version")[0] == 401


def test_keys_and_tokens_are_readable_by_their_owner_alone(plane: ControlPlane) -> None:
    secrets = [plane.kubeconfig, plane.directory / "token", plane.directory / "tokens.csv"]
    secrets += plane.directory.glob("*.kubeconfig")
    secrets += plane.directory.glob("pki/*.key")
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert stat.S_IMODE(plane.directory.stat().st_mode) == 0o700


def test_starting_again_starts_nothing_new(plane: ControlPlane) -> None:
    before, endpoint = plane.status(), plane.endpoint
    plane.start()
    assert plane.status() == before
    assert plane.endpoint == endpoint
    assert before.ready


@pytest.mark.parametrize("name", STOP_ORDER)
def test_a_program_killed_in_the_middle_comes_back_over_the_same_data(plane: ControlPlane, name: str) -> None:
    plane.api.apply(f"{APPS}/deployments/kept", deployment("kept", replicas=1))
    uid = field(plane, f"{APPS}/deployments/kept", "metadata", "uid")
    os.kill(pid_of(plane, name), signal.SIGKILL)
    eventually(lambda: not plane.status().ready)

    plane.start()

    assert plane.status().ready
    assert field(plane, f"{APPS}/deployments/kept", "metadata", "uid") == uid
    after = f"after-{name}"
    plane.api.apply(f"{APPS}/deployments/{after}", deployment(after, replicas=1))
    eventually(lambda: field(plane, f"{APPS}/deployments/{after}", "status", "availableReplicas") == 1)


def test_a_taken_port_is_named_with_the_program_that_holds_it(own_plane: ControlPlane) -> None:
    own_plane.start()
    port = port_of(own_plane)
    own_plane.stop()
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(RehearsalError, match=rf"port {port}.*is in use by .*process {os.getpid()}\)"):
            own_plane.start()
        assert processes_of(own_plane.directory) <= {"etcd"}
    own_plane.start()
    assert port_of(own_plane) == port


def test_a_program_that_cannot_run_is_named_with_its_last_words(
    tools: Mapping[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no more disk' >&2\nexit 1\n")
    broken.chmod(0o700)
    plane = cluster({**tools, "kwok": broken}, tmp_path)
    try:
        with pytest.raises(RehearsalError, match="kwok ended: no more disk"):
            plane.start()
    finally:
        plane.stop(remove=True)


@pytest.mark.parametrize("moment", ["pki.partial", "port", "etcd.json", "kube-apiserver.json", "kwok.json"])
def test_a_start_that_was_killed_is_completed_by_the_next(own_plane: ControlPlane, moment: str) -> None:
    source = (
        "import sys; from pathlib import Path; from tests.rehearsal.test_control_plane import cluster;"
        "from rehearsal.toolchain import ToolSet, ensure;"
        "cluster(ensure(ToolSet.KUBERNETES, ToolSet.KWOK), Path(sys.argv[1])).start()"
    )
    starter = subprocess.Popen([sys.executable, "-c", source, str(own_plane.directory.parent)])
    eventually(lambda: own_plane.directory.joinpath(moment).exists() or starter.poll() is not None, pause=0)
    starter.kill()
    starter.wait()

    own_plane.start()

    assert own_plane.status().ready
    assert processes_of(own_plane.directory) == set(STOP_ORDER)


def test_stopping_leaves_no_process_and_no_file(own_plane: ControlPlane) -> None:
    own_plane.start()
    assert processes_of(own_plane.directory) == set(STOP_ORDER)
    own_plane.stop(remove=True)
    assert processes_of(own_plane.directory) == set()
    assert not own_plane.directory.exists()
    own_plane.stop(remove=True)


def test_nodes_follow_the_zones_of_the_stack(tools: Mapping[str, Path], own_plane: ControlPlane) -> None:
    own_plane.start()
    fewer = ControlPlane(own_plane.directory, tools, Nodes(region="eu-west-1", zones=ZONES[:2]))
    fewer.start()
    nodes = items(fewer, "/api/v1/nodes")
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
    assert zones == set(ZONES[:2])


def cluster(tools: Mapping[str, Path], directory: Path) -> ControlPlane:
    return ControlPlane(directory / "cluster", tools, Nodes(region="eu-west-1", zones=ZONES))


def manifest(api_version: str, kind: str, name: str, /, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def deployment(name: str, replicas: int | None = None) -> dict[str, Any]:
    labels = {"matchLabels": {"app": name}}
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": labels,
    }
    pod = {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "containers": [{"name": "main", "image": "example:1"}],
            "topologySpreadConstraints": [spread],
        },
    }
    count = {} if replicas is None else {"replicas": replicas}
    return manifest("apps/v1", "Deployment", name, selector=labels, template=pod, **count)


def field(plane: ControlPlane, path: str, *names: str) -> Any:
    value: Any = plane.api.get(path)
    for name in names:
        value = None if value is None else value.get(name)
    return value


def items(plane: ControlPlane, path: str) -> list[dict[str, Any]]:
    return field(plane, path, "items") or []


def pods(plane: ControlPlane, app: str) -> list[dict[str, Any]]:
    return items(plane, f"{DEFAULT}/pods?labelSelector=app={app}")


def zone_of(plane: ControlPlane, pod: Mapping[str, Any]) -> str:
    node = f"/api/v1/nodes/{pod['spec']['nodeName']}"
    return field(plane, node, "metadata", "labels", "topology.kubernetes.io/zone")


def port_of(plane: ControlPlane) -> int:
    return int(plane.endpoint.rpartition(":")[2])


def pid_of(plane: ControlPlane, name: str) -> int:
    return next(
        daemon.pid for daemon in plane.status().daemons if daemon.name == name and daemon.pid is not None
    )


def processes_of(directory: Path) -> set[str]:
    """The names of all running programs that have the directory in their command line."""
    table = subprocess.run(["ps", "-eww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in table.splitlines() if str(directory) in line]
    return {Path(words[0]).name for words in lines if words[0] != sys.executable}


def eventually(condition: Callable[[], bool], pause: float = 0.05) -> None:
    """Wait for the condition; half a minute is far more than any of them takes."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in half a minute"
        time.sleep(pause)
