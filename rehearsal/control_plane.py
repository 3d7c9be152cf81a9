"""A real Kubernetes control plane on loopback, dressed as EKS Auto Mode dresses its own.

etcd, kube-apiserver, kube-controller-manager and kube-scheduler are the real ones; kwok plays the nodes, so pods
are scheduled, become ready and go, and nothing runs in them. One directory holds one cluster: its keys, its data,
its logs and its kubeconfig.
"""

import base64
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from rehearsal import certificates
from rehearsal.errors import RehearsalError
from rehearsal.kubernetes_api import KubernetesApi, Unreachable
from rehearsal.locks import exclusive
from rehearsal.processes import Daemon, Daemons, free_port

READY_SECONDS = 120.0
SERVICE_CIDR = "172.20.0.0/16"  # as EKS: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
KUBERNETES_SERVICE = "172.20.0.1"
POD_CIDR = "100.64.0.0/16"
STOP_ORDER = ("kwok", "kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd")
NODE_LABEL = "rehearsal/node"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

# EKS Auto Mode makes this class itself; the names stand for the role and networks of the cluster.
DEFAULT_NODE_CLASS: Mapping[str, Any] = {
    "apiVersion": "eks.amazonaws.com/v1",
    "kind": "NodeClass",
    "metadata": {"name": "default"},
    "spec": {
        "role": "rehearsal",
        "subnetSelectorTerms": [{"tags": {"kubernetes.io/role/internal-elb": "1"}}],
        "securityGroupSelectorTerms": [{"tags": {"aws:eks:cluster-name": "rehearsal"}}],
    },
}

# Nothing attaches volumes to nodes that do not exist.
CSI_DRIVER: Mapping[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "CSIDriver",
    "metadata": {"name": "ebs.csi.eks.amazonaws.com"},
    "spec": {"attachRequired": False, "podInfoOnMount": False},
}


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The nodes that kwok plays: `per_zone` in each of the zones, each with 96 CPUs, 384 GiB and room for 110 pods.

    `zones` are full names (eu-west-1a); `pool` is the NodePool that the nodes say they belong to.
    """

    region: str
    zones: Sequence[str]
    per_zone: int = 2
    pool: str = "general-purpose"

    def manifests(self) -> Mapping[str, Mapping[str, Any]]:
        """The Node objects by name. A node's name is its zone and a number."""
        return {
            f"{zone}-{number}": {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": f"{zone}-{number}",
                    "annotations": {"rehearsal/address": f"10.255.{index}.{number}"},
                    "labels": {
                        NODE_LABEL: "true",
                        "kubernetes.io/hostname": f"{zone}-{number}",
                        "kubernetes.io/arch": "amd64",
                        "kubernetes.io/os": "linux",
                        "node.kubernetes.io/instance-type": "m7i.24xlarge",
                        "topology.kubernetes.io/region": self.region,
                        "topology.kubernetes.io/zone": zone,
                        "karpenter.sh/nodepool": self.pool,
                        "karpenter.sh/capacity-type": "on-demand",
                        "eks.amazonaws.com/compute-type": "auto",
                    },
                },
            }
            for index, zone in enumerate(self.zones)
            for number in range(1, self.per_zone + 1)
        }


@dataclass(frozen=True, kw_only=True)
class DaemonStatus:
    """One program of the control plane; `pid` is None while it does not run."""

    name: str
    pid: int | None
    log: Path


@dataclass(frozen=True, kw_only=True)
class Status:
    """What runs of a control plane, and whether its API server says that it is ready."""

    daemons: Sequence[DaemonStatus]
    ready: bool


class ControlPlane:
    """The cluster of one directory.

    `tools` maps `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler` and `kwok` to their programs.
    """

    def __init__(self, directory: Path, tools: Mapping[str, Path], nodes: Nodes) -> None:
        self.directory = directory.absolute()
        self._tools = tools
        self._nodes = nodes
        self._daemons = Daemons(self.directory)

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of an administrator; it holds a token and is readable by its owner alone."""
        return self.directory / "kubeconfig"

    @property
    def endpoint(self) -> str:
        """The URL of the API server; the same for as long as the directory exists."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def certificate_authority(self) -> str:
        """The certificate authority in base64 of PEM, the form in which EKS gives it."""
        return base64.b64encode(self._read("pki/ca.pem")).decode()

    @property
    def token(self) -> str:
        """The bearer token of an administrator (group system:masters)."""
        return self._read("token").decode()

    @property
    def api(self) -> KubernetesApi:
        """A client of the API server, as an administrator."""
        return KubernetesApi(self._port, self.directory / "pki/ca.pem", self.token)

    def start(self) -> None:
        """Bring up what does not run, and return once the cluster is ready.

        Safe to call at any time: what is alive is kept, what died is started again over the same data.
        Raises RehearsalError when the cluster's port is taken or a program ends instead of running.
        """
        with exclusive(self.directory / "lock"):
            self._prepare()
            self._start_etcd()
            self._daemons.start(self._api_server())
            self._wait_for("the API server", self._api_server_ready, "etcd", "kube-apiserver")
            if self._daemons.pid("kwok") is None:
                # A kwok that was killed still holds its nodes, and the next would wait for its leases to expire.
                self.api.delete("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")
            for daemon in (self._controller_manager(), self._scheduler(), self._kwok()):
                self._daemons.start(daemon)
            self._install()
            self.wait_ready()

    def wait_ready(self) -> None:
        """Return once the CRDs are served, every node is ready and pods can be made in the default namespace.

        Raises RehearsalError when that takes longer than two minutes or a program ends.
        """
        self._wait_for("the API server", self._api_server_ready, *STOP_ORDER)
        self._wait_for("the custom resources", self._crds_established, *STOP_ORDER)
        self._wait_for("the nodes", self._nodes_ready, *STOP_ORDER)
        self._wait_for("the default service account", self._service_account_present, *STOP_ORDER)

    def stop(self, *, remove: bool = False) -> None:
        """End every program of the cluster; with `remove`, delete its directory too.

        Raises RehearsalError when a program cannot be ended.
        """
        if not self.directory.exists():
            return
        with exclusive(self.directory / "lock"):
            self._daemons.stop(STOP_ORDER)
            if remove:
                shutil.rmtree(self.directory)

    def status(self) -> Status:
        """What runs now. Never raises: a cluster that was never started is one where nothing runs."""
        daemons = tuple(
            DaemonStatus(name=name, pid=self._daemons.pid(name), log=self._daemons.log(name))
            for name in reversed(STOP_ORDER)
        )
        ready = all(daemon.pid is not None for daemon in daemons) and _met(self._api_server_ready)
        return Status(daemons=daemons, ready=ready)

    @property
    def _port(self) -> int:
        return int(self._read("port"))

    def _read(self, name: str) -> bytes:
        try:
            return self.directory.joinpath(name).read_bytes()
        except FileNotFoundError:
            raise RehearsalError(
                f"there is no cluster in {self.directory}: bring the stack up first"
            ) from None

    def _prepare(self) -> None:
        """Keys, token, port and kubeconfigs, each written once and whole."""
        pki = self.directory / "pki"
        if not pki.exists():
            partial = self.directory / "pki.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
            components = ("kube-controller-manager", "kube-scheduler")
            certificates.issue(partial, KUBERNETES_SERVICE, [(name, f"system:{name}") for name in components])
            partial.rename(pki)
        self._write_once("token", secrets.token_urlsafe(32))
        self._write_once("port", str(free_port()))
        self._write_once("tokens.csv", f'{self.token},rehearsal,rehearsal,"system:masters"\n')
        self._write_once("kubeconfig", self._kubeconfig({"token": self.token}))
        for name in ("kube-controller-manager", "kube-scheduler"):
            credentials = {"client-certificate": f"{pki}/{name}.pem", "client-key": f"{pki}/{name}.key"}
            self._write_once(f"{name}.kubeconfig", self._kubeconfig(credentials))

    def _start_etcd(self) -> None:
        """Start etcd and return once it listens: an API server that is refused at first waits a second to try again."""
        socket = self.directory / "etcd:0"
        if self._daemons.pid("etcd") is None:
            socket.unlink(missing_ok=True)
        self._daemons.start(self._etcd())
        self._wait_for("etcd", socket.exists, "etcd")

    def _write_once(self, name: str, content: str) -> None:
        path = self.directory / name
        if not path.exists():
            partial = self.directory / f"{name}.partial"
            certificates.write_private(partial, content.encode())
            partial.rename(path)

    def _kubeconfig(self, credentials: Mapping[str, str]) -> str:
        cluster = {"server": self.endpoint, "certificate-authority-data": self.certificate_authority}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "rehearsal", "cluster": cluster}],
                "users": [{"name": "rehearsal", "user": dict(credentials)}],
                "contexts": [{"name": "rehearsal", "context": {"cluster": "rehearsal", "user": "rehearsal"}}],
                "current-context": "rehearsal",
            }
        )

    def _install(self) -> None:
        """What an EKS Auto Mode cluster has from its first moment: custom resources, the default NodeClass, nodes."""
        api = self.api
        for manifest in custom_resource_definitions():
            api.apply(f"{CRDS}/{manifest['metadata']['name']}", manifest)
        nodes = self._nodes.manifests()
        for name, manifest in nodes.items():
            api.apply(f"/api/v1/nodes/{name}", manifest)
        for name in self._node_names() - nodes.keys():
            api.delete(f"/api/v1/nodes/{name}")
        api.apply(f"/apis/storage.k8s.io/v1/csidrivers/{CSI_DRIVER['metadata']['name']}", CSI_DRIVER)
        self._wait_for("the custom resources", self._crds_established, "etcd", "kube-apiserver")
        api.apply("/apis/eks.amazonaws.com/v1/nodeclasses/default", DEFAULT_NODE_CLASS)

    def _node_names(self) -> set[str]:
        nodes = self.api.get(f"/api/v1/nodes?labelSelector={NODE_LABEL}") or {"items": []}
        return {str(node["metadata"]["name"]) for node in nodes["items"]}

    def _wait_for(self, what: str, condition: Callable[[], bool], *daemons: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not _met(condition):
            for name in daemons:
                self._daemons.require(name)
            if time.monotonic() > deadline:
                raise RehearsalError(
                    f"{what} of the cluster did not become ready in {READY_SECONDS:.0f} seconds: see the logs in "
                    f"{self.directory}, then start again"
                )
            time.sleep(0.05)

    def _api_server_ready(self) -> bool:
        return self.api.request("GET", "/readyz")[0] == 200

    def _crds_established(self) -> bool:
        crds = [self.api.get(f"{CRDS}/{crd['metadata']['name']}") for crd in custom_resource_definitions()]
        return all(crd is not None and _condition(crd, "Established") for crd in crds)

    def _nodes_ready(self) -> bool:
        nodes = self.api.get(f"/api/v1/nodes?labelSelector={NODE_LABEL}") or {"items": []}
        ready = {
            str(node["metadata"]["name"])
            for node in nodes["items"]
            if _condition(node, "Ready") and not node["spec"].get("taints")
        }
        return ready == set(self._nodes.manifests())

    def _service_account_present(self) -> bool:
        return self.api.get("/api/v1/namespaces/default/serviceaccounts/default") is not None

    def _etcd(self) -> Daemon:
        # Sockets in a private directory: nobody but the owner of the cluster reaches the data, no port is needed.
        # They are named relative to the working directory, since a socket's path is limited to about 100 bytes.
        return Daemon(
            name="etcd",
            command=[
                str(self._tools["etcd"]),
                "--name=rehearsal",
                f"--data-dir={self.directory}/etcd",
                "--listen-client-urls=unix://etcd:0",
                "--advertise-client-urls=unix://etcd:0",
                "--listen-peer-urls=unix://peer:0",
                "--initial-advertise-peer-urls=unix://peer:0",
                "--initial-cluster=rehearsal=unix://peer:0",
                "--unsafe-no-fsync",  # a rehearsal survives the death of its processes, not of the machine
                "--log-level=warn",
            ],
        )

    def _api_server(self) -> Daemon:
        pki = self.directory / "pki"
        return Daemon(
            name="kube-apiserver",
            needs=self._port,
            command=[
                str(self._tools["kube-apiserver"]),
                "--etcd-servers=unix://etcd:0",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self._port}",
                f"--cert-dir={pki}",
                f"--tls-cert-file={pki}/apiserver.pem",
                f"--tls-private-key-file={pki}/apiserver.key",
                f"--client-ca-file={pki}/ca.pem",
                f"--token-auth-file={self.directory}/tokens.csv",
                "--anonymous-auth=false",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--allow-privileged=true",
                f"--service-cluster-ip-range={SERVICE_CIDR}",
                "--endpoint-reconciler-type=none",  # a loopback address may not be an endpoint
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-signing-key-file={pki}/service-account.key",
                f"--service-account-key-file={pki}/service-account.pub",
                "--profiling=false",
            ],
        )

    def _controller_manager(self) -> Daemon:
        pki = self.directory / "pki"
        return Daemon(
            name="kube-controller-manager",
            command=[
                str(self._tools["kube-controller-manager"]),
                f"--kubeconfig={self.directory}/kube-controller-manager.kubeconfig",
                "--secure-port=0",
                "--leader-elect=false",
                f"--service-account-private-key-file={pki}/service-account.key",
                f"--root-ca-file={pki}/ca.pem",
                "--use-service-account-credentials=true",  # each controller with the rights of its own role
                # A new autoscaler first acts after one such period; without metrics it holds to its minimum.
                "--horizontal-pod-autoscaler-sync-period=5s",
                "--kube-api-qps=200",
                "--kube-api-burst=400",
                "--profiling=false",
            ],
        )

    def _scheduler(self) -> Daemon:
        return Daemon(
            name="kube-scheduler",
            command=[
                str(self._tools["kube-scheduler"]),
                f"--kubeconfig={self.directory}/kube-scheduler.kubeconfig",
                "--secure-port=0",
                "--leader-elect=false",
                "--profiling=false",
            ],
        )

    def _kwok(self) -> Daemon:
        return Daemon(
            name="kwok",
            command=[
                str(self._tools["kwok"]),
                f"--kubeconfig={self.kubeconfig}",
                f"--config={resources.files('rehearsal') / 'kwok/stages.yaml'}",
                f"--manage-nodes-with-label-selector={NODE_LABEL}=true",
                "--node-lease-duration-seconds=40",
                "--v=WARN",
                f"--cidr={POD_CIDR}",
            ],
        )


@cache
def custom_resource_definitions() -> Sequence[Mapping[str, Any]]:
    """The custom resources that EKS Auto Mode serves and a program may use, in the order of their file names."""
    files = sorted(resources.files("rehearsal").joinpath("crds").iterdir(), key=lambda file: file.name)
    return [yaml.safe_load(file.read_text()) for file in files]


def _condition(thing: Mapping[str, Any], kind: str) -> bool:
    conditions = thing.get("status", {}).get("conditions", [])
    return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)


def _met(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except Unreachable:
        return False
