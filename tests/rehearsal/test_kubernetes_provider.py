"""The rehearsal's Kubernetes provider under the real engine, against a real control plane."""

import gc
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest
from pulumi import automation as auto
from pulumi.automation import CommandError

from rehearsal.control_plane import ControlPlane, Nodes
from rehearsal.engine import backend_url
from rehearsal.providers.kube_client import Access, ApiServer
from rehearsal.toolchain import ToolSet, ensure

pytestmark = [
    pytest.mark.rehearsal,
    # See `discarded_loops`: the collector may come while a test runs.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <(function BaseEventLoop|socket):pytest.PytestUnraisableExceptionWarning"
    ),
]

REPOSITORY = Path(__file__).parents[2]
Program = Callable[[pulumi.ResourceOptions], object]


@dataclass(frozen=True)
class Bench:
    """An engine with the provider as its plugin, and a cluster."""

    directory: Path
    plane: ControlPlane
    pulumi: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.pulumi.parent}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_HOME": str(self.directory / "home"),
            "PULUMI_BACKEND_URL": backend_url(self.directory / "state"),
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    @property
    def cluster(self) -> ApiServer:
        return ApiServer(Access.from_kubeconfig(str(self.plane.kubeconfig)))

    def install(self) -> None:
        version = importlib.metadata.version("pulumi-kubernetes")
        plugin = self.directory / "home" / "plugins" / f"resource-kubernetes-v{version}"
        plugin.mkdir(parents=True)
        shim = plugin / "pulumi-resource-kubernetes"
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m rehearsal.providers.kubernetes "$@"\n')
        shim.chmod(0o755)
        (self.directory / "state").mkdir()
        (self.directory / "work").mkdir()

    def stack(self, name: str, program: Program) -> "Stack":
        kubeconfig = self.plane.kubeconfig.read_text()

        def run() -> None:
            provider = kubernetes.Provider("cluster", kubeconfig=kubeconfig, cluster_identifier="bench")
            program(pulumi.ResourceOptions(provider=provider))

        workspace = auto.LocalWorkspaceOptions(
            work_dir=str(self.directory / "work"),
            pulumi_command=auto.PulumiCommand(root=str(self.pulumi.parents[1])),
            env_vars=self.environment | {"PYTHONPATH": str(REPOSITORY)},
        )
        return Stack(
            auto.create_or_select_stack(name, project_name="bench", program=run, opts=workspace),
            self.directory,
        )


@dataclass(frozen=True)
class Stack:
    """One program on the bench."""

    stack: auto.Stack
    directory: Path

    def up(self) -> dict[str, int]:
        """Bring it up; how many resources were changed, by what was done to them."""
        changes = self.stack.up().summary.resource_changes or {}
        return {str(getattr(key, "value", key)): count for key, count in changes.items()}

    def preview(self) -> dict[str, int]:
        changes = self.stack.preview().change_summary
        return {str(getattr(key, "value", key)): count for key, count in changes.items()}

    def refusal(self, operation: str = "preview") -> str:
        """What the engine says of an error, when the operation fails."""
        with pytest.raises(CommandError) as caught:
            getattr(self.stack, operation)()
        return "\n".join(line for line in str(caught.value).splitlines() if "error:" in line or "* " in line)

    @property
    def state(self) -> str:
        return (self.directory / "state/.pulumi/stacks/bench" / f"{self.stack.name}.json").read_text()

    def resource(self, kind: str) -> dict[str, Any]:
        resources = json.loads(self.state)["checkpoint"]["latest"]["resources"]
        return next(each for each in resources if each["type"].endswith(f":{kind}"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    tools = ensure(ToolSet.PULUMI, ToolSet.KUBERNETES, ToolSet.KWOK)
    directory = tmp_path_factory.mktemp("bench")
    plane = ControlPlane(
        directory / "cluster", tools, Nodes(region="eu-west-1", zones=["eu-west-1a"], per_zone=1)
    )
    made = Bench(directory, plane, tools["pulumi"])
    made.install()
    try:
        plane.start()
        yield made
    finally:
        plane.stop(remove=True)


@pytest.fixture(autouse=True)
def discarded_loops() -> Iterator[None]:
    """The Automation API leaves the event loop of a program that failed to the garbage collector, which warns of it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def deployment(opts: pulumi.ResourceOptions, namespace: pulumi.Input[str], **changes: Any) -> Any:
    labels = {"app": changes.pop("app", "web")}
    pod = {"containers": [{"name": "web", "image": "web:1"}], **changes.pop("pod", {})}
    spec: Any = {
        "replicas": 1,
        "selector": {"match_labels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
        **changes,
    }
    return kubernetes.apps.v1.Deployment(
        "web", metadata={"name": "web", "namespace": namespace}, spec=spec, opts=opts
    )


def namespace(opts: pulumi.ResourceOptions, name: str) -> pulumi.Output[str]:
    made = kubernetes.core.v1.Namespace("home", metadata={"name": name}, opts=opts)
    return made.metadata.apply(lambda metadata: str(metadata.name))


def test_a_stack_comes_up_ready_changes_nothing_twice_and_goes_without_a_trace(bench: Bench) -> None:
    def program(opts: pulumi.ResourceOptions) -> None:
        home = namespace(opts, "life")
        deployment(opts, home, replicas=2)
        kubernetes.core.v1.Service(
            "web",
            metadata={"name": "web", "namespace": home},
            spec={"selector": {"app": "web"}, "ports": [{"port": 80}]},
            opts=opts,
        )
        kubernetes.core.v1.ConfigMap("settings", metadata={"namespace": home}, data={"a": "1"}, opts=opts)

    stack = bench.stack("life", program)
    assert stack.up() == {"create": 6}
    assert stack.resource("Deployment")["id"] == "life/web"
    assert stack.resource("Deployment")["outputs"]["status"]["availableReplicas"] == 2
    made_up = stack.resource("ConfigMap")["outputs"]["metadata"]
    assert made_up["name"].startswith("settings-")
    assert made_up["annotations"] == {"pulumi.com/autonamed": "true"}

    assert stack.up() == {"same": 6}
    stack.stack.refresh()
    assert stack.preview() == {"same": 6}

    stack.stack.destroy()
    assert bench.cluster.find("/api/v1/namespaces/life") is None


def test_an_update_changes_fields_in_place_and_removes_those_that_are_gone(bench: Bench) -> None:
    def first(opts: pulumi.ResourceOptions) -> None:
        deployment(opts, namespace(opts, "update"), minReadySeconds=1)

    def second(opts: pulumi.ResourceOptions) -> None:
        deployment(opts, namespace(opts, "update"), replicas=3)

    bench.stack("update", first).up()
    before = bench.cluster.get("/apis/apps/v1/namespaces/update/deployments/web")
    assert bench.stack("update", second).up() == {"same": 3, "update": 1}
    after = bench.cluster.get("/apis/apps/v1/namespaces/update/deployments/web")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["availableReplicas"] == 3
    assert "minReadySeconds" not in after["spec"]


def test_an_immutable_field_replaces_the_object_which_goes_first_since_its_name_is_given(
    bench: Bench,
) -> None:
    def program(app: str) -> Program:
        return lambda opts: deployment(opts, namespace(opts, "replace"), app=app)

    bench.stack("replace", program("one")).up()
    before = bench.cluster.get("/apis/apps/v1/namespaces/replace/deployments/web")
    stack = bench.stack("replace", program("two"))
    assert stack.preview() == {"same": 3, "replace": 1}
    assert stack.up() == {"same": 3, "replace": 1}
    after = bench.cluster.get("/apis/apps/v1/namespaces/replace/deployments/web")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"]["selector"] == {"matchLabels": {"app": "two"}}


def test_new_data_gives_a_config_map_without_a_name_of_its_own_a_new_name(bench: Bench) -> None:
    def program(value: str) -> Program:
        return lambda opts: kubernetes.core.v1.ConfigMap("settings", data={"a": value}, opts=opts)

    bench.stack("data", program("1")).up()
    old = bench.stack("data", program("1")).resource("ConfigMap")["id"]
    stack = bench.stack("data", program("2"))
    assert stack.up() == {"same": 2, "replace": 1}
    new = stack.resource("ConfigMap")["id"]
    assert new != old
    assert bench.cluster.find(f"/api/v1/namespaces/default/configmaps/{old.rpartition('/')[2]}") is None


def test_a_refresh_finds_what_others_changed_and_the_next_update_puts_it_right(bench: Bench) -> None:
    def program(opts: pulumi.ResourceOptions) -> None:
        deployment(opts, namespace(opts, "drift"), pod={"containers": [CONTAINER]})

    stack = bench.stack("drift", program)
    stack.up()
    path = "/apis/apps/v1/namespaces/drift/deployments/web"
    change = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 2},
    }
    bench.cluster.apply(path, change, manager="somebody", force=True)
    stack.stack.refresh()
    assert stack.resource("Deployment")["inputs"]["spec"]["replicas"] == 2
    assert "annotate the object with pulumi.com/patchForce" in stack.refusal("up")

    bench.cluster.delete(path, "Foreground")
    while bench.cluster.find(path):
        time.sleep(0.1)
    stack.stack.refresh()
    assert stack.up() == {"same": 3, "create": 1}


CONTAINER = {"name": "web", "image": "web:1", "resources": {"requests": {"cpu": "1000m"}}}


def test_a_preview_refuses_a_field_that_does_not_exist_and_a_value_of_the_wrong_type(bench: Bench) -> None:
    def program(**spec: Any) -> Program:
        return lambda opts: deployment(opts, namespace(opts, "not-yet-there"), **spec)

    wrong_field = bench.stack("wrong", program(replicsa=3)).refusal()
    assert "Deployment not-yet-there/web: .spec.replicsa: field not declared in schema" in wrong_field
    wrong_type = bench.stack("wrong", program(replicas="three")).refusal()
    assert "Deployment not-yet-there/web: .spec.replicas: expected numeric" in wrong_type
    wrong_value = bench.stack("wrong", program(replicas=-1)).refusal()
    assert "Deployment not-yet-there/web: spec.replicas: Invalid value: -1" in wrong_value
    assert bench.stack("wrong", program(replicas=3)).preview() == {"create": 4}


def test_a_preview_judges_a_custom_resource_and_passes_over_one_whose_definition_is_not_there(
    bench: Bench,
) -> None:
    def program(api_version: str, kind: str) -> Program:
        return lambda opts: kubernetes.apiextensions.CustomResource(
            "thing", api_version=api_version, kind=kind, metadata={"name": "thing"}, spec={"a": 1}, opts=opts
        )

    known = bench.stack("custom", program("eks.amazonaws.com/v1", "TargetGroupBinding")).refusal()
    assert ".spec.a: field not declared in schema" in known
    assert bench.stack("custom", program("example.com/v1", "Thing")).preview() == {"create": 3}


def test_a_preview_judges_a_manifest_around_the_values_that_are_not_known_yet(bench: Bench) -> None:
    def program(**spec: Any) -> Program:
        def run(opts: pulumi.ResourceOptions) -> None:
            other = kubernetes.core.v1.ConfigMap("other", data={"a": "1"}, opts=opts)
            unknown = other.id.apply(len)
            labels = {"id": other.id}
            template = {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": other.id}]},
            }
            whole: Any = {
                "replicas": unknown,
                "selector": {"match_labels": labels},
                "template": template,
                **spec,
            }
            kubernetes.apps.v1.Deployment("web", metadata={"name": "web"}, spec=whole, opts=opts)

        return run

    assert bench.stack("unknown", program()).preview() == {"create": 4}
    refusal = bench.stack("unknown", program(minReadySeconds=-4)).refusal()
    assert "Deployment web: spec.minReadySeconds: Invalid value: -4" in refusal
    assert "replicas" not in refusal


def test_a_preview_passes_over_the_keys_that_a_secret_of_unknown_data_must_have(bench: Bench) -> None:
    def program(opts: pulumi.ResourceOptions) -> None:
        other = kubernetes.core.v1.ConfigMap("other", data={"a": "1"}, opts=opts)
        account = {"username": "operator", "password": other.id}
        kubernetes.core.v1.Secret("account", type="kubernetes.io/basic-auth", string_data=account, opts=opts)

    assert bench.stack("account", program).preview() == {"create": 4}


def test_no_secret_stands_in_the_state_or_in_an_error_in_plain_text(bench: Bench) -> None:
    password = "correct-horse-battery"  # noqa: S105 -- not a password of anything

    def program(**more: Any) -> Program:
        metadata: Any = {"name": "login", **more}
        return lambda opts: kubernetes.core.v1.Secret(
            "login", metadata=metadata, string_data={"password": password}, opts=opts
        )

    stack = bench.stack("secret", program())
    stack.up()
    assert password not in stack.state
    assert "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5" not in stack.state  # the same in base64, as the API server gives it
    assert stack.up() == {"same": 3}
    refusal = bench.stack("secret", program(labels={"a": f"not a label {password}"})).refusal()
    assert "Secret login: metadata.labels: Invalid value" in refusal
    assert password not in refusal


def test_an_object_that_is_not_ours_is_not_taken_over(bench: Bench) -> None:
    path = "/api/v1/namespaces/default/configmaps/theirs"
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "theirs"},
        "data": {"a": "theirs"},
    }
    bench.cluster.apply(path, theirs, manager="somebody", force=False)

    def program(opts: pulumi.ResourceOptions) -> None:
        kubernetes.core.v1.ConfigMap("mine", metadata={"name": "theirs"}, data={"a": "mine"}, opts=opts)

    assert "ConfigMap theirs: it exists already" in bench.stack("foreign", program).refusal("up")
    assert bench.cluster.get(path)["data"] == {"a": "theirs"}


def test_a_workload_that_does_not_become_ready_fails_with_what_its_pods_say_and_is_kept(bench: Bench) -> None:
    def program(selector: dict[str, str]) -> Program:
        return lambda opts: deployment(
            pulumi.ResourceOptions.merge(
                opts, pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="2s"))
            ),
            namespace(opts, "stuck"),
            pod={"nodeSelector": selector},
        )

    stack = bench.stack("stuck", program({"no": "where"}))
    refusal = stack.refusal("up")
    assert "Deployment stuck/web was not ready in 2 s: 0 of 1 replicas available" in refusal
    assert "Unschedulable" in refusal
    assert stack.resource("Deployment")["id"] == "stuck/web"
    assert bench.stack("stuck", program({})).up() == {"same": 3, "update": 1}


def test_a_resource_made_just_before_the_engine_was_killed_is_adopted(bench: Bench, tmp_path: Path) -> None:
    def program(selector: dict[str, str]) -> Program:
        return lambda opts: deployment(opts, namespace(opts, "killed"), pod={"nodeSelector": selector})

    script = tmp_path / "update.py"
    script.write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        from rehearsal.control_plane import ControlPlane, Nodes
        from tests.rehearsal.test_kubernetes_provider import Bench, deployment, namespace

        plane = ControlPlane(Path({str(bench.directory / "cluster")!r}), {{}}, Nodes(region="", zones=[]))
        bench = Bench(Path({str(bench.directory)!r}), plane, Path({str(bench.pulumi)!r}))
        bench.stack("killed", lambda opts: deployment(
            opts, namespace(opts, "killed"), pod={{"nodeSelector": {{"no": "where"}}}}
        )).up()
        """)
    )
    update = subprocess.Popen([sys.executable, str(script)], env=os.environ | {"PYTHONPATH": str(REPOSITORY)})
    path = "/apis/apps/v1/namespaces/killed/deployments/web"
    while (made := bench.cluster.find(path)) is None:
        assert update.poll() is None
        time.sleep(0.1)
    kill(update)
    for lock in (bench.directory / "state/.pulumi/locks").rglob("*.json"):
        lock.unlink()

    stack = bench.stack("killed", program({}))
    assert '"pending_operations"' in stack.state
    assert stack.up() == {"same": 3, "create": 1}
    assert bench.cluster.get(path)["metadata"]["uid"] == made["metadata"]["uid"]


def test_an_api_server_that_is_away_for_a_moment_is_waited_for(bench: Bench) -> None:
    def program(selector: dict[str, str]) -> Program:
        return lambda opts: deployment(opts, namespace(opts, "outage"), pod={"nodeSelector": selector})

    # The pods can be scheduled only once the node has the label: until then the update waits.
    stack = bench.stack("outage", program({"rehearsal/open": "yes"}))
    lines: list[str] = []

    def on_output(line: str) -> None:
        if "waiting: 0 of 1" in line and not lines:
            lines.append(line)
            end(bench, "kube-apiserver")
            time.sleep(1)
            bench.plane.start()
            open_node = {"name": "eu-west-1a-1", "labels": {"rehearsal/open": "yes"}}
            node = {"apiVersion": "v1", "kind": "Node", "metadata": open_node}
            bench.cluster.apply("/api/v1/nodes/eu-west-1a-1", node, manager="test", force=True)

    stack.stack.up(on_output=on_output)
    assert lines
    assert stack.resource("Deployment")["outputs"]["status"]["availableReplicas"] == 1


def test_an_api_server_that_does_not_answer_is_named_in_one_line(bench: Bench) -> None:
    end(bench, "kube-apiserver")
    try:
        stack = bench.stack("down", lambda opts: namespace(opts, "down"))
        refusal = stack.refusal()
        assert f"the Kubernetes API server at {bench.plane.endpoint} does not answer" in refusal
    finally:
        bench.plane.start()
    assert stack.up() == {"create": 3}


def test_what_the_rehearsal_does_not_serve_is_refused_in_one_line(bench: Bench) -> None:
    def patch(opts: pulumi.ResourceOptions) -> None:
        kubernetes.core.v1.ConfigMapPatch("patch", metadata={"name": "x"}, data={"a": "1"}, opts=opts)

    def release(opts: pulumi.ResourceOptions) -> None:
        kubernetes.helm.v3.Release("release", chart="x", opts=opts)

    def manifest(opts: pulumi.ResourceOptions) -> None:
        kubernetes.yaml.ConfigGroup("files", yaml="kind: ConfigMap", opts=opts)

    assert "it has no Patch resources" in bench.stack("refused", patch).refusal()
    assert "Release is not served by the rehearsal" in bench.stack("refused", release).refusal()
    assert (
        "kubernetes:yaml:decode is not served by the rehearsal" in bench.stack("refused", manifest).refusal()
    )


def end(bench: Bench, name: str) -> None:
    """Kill one program of the control plane, and wait until it is gone."""
    pid = next(daemon.pid for daemon in bench.plane.status().daemons if daemon.name == name)
    assert pid
    os.kill(pid, signal.SIGKILL)
    while any(daemon.pid == pid for daemon in bench.plane.status().daemons):
        time.sleep(0.05)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and everything that it started."""
    doomed = [process.pid]
    for pid in doomed:
        for task in Path(f"/proc/{pid}/task").iterdir():
            doomed += map(int, (task / "children").read_text().split())
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    process.wait()
