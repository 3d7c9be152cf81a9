"""The rehearsal's own Kubernetes provider: the tokens of `pulumi-kubernetes` 4, on a real API server.

It applies on the server with a field manager, dry-runs in previews, waits for readiness, and behaves as the official
provider does in what a program can see. It serves neither Helm, Kustomize and YAML files nor Patch resources.

The engine starts it as a plugin: ``python -m rehearsal.providers.kubernetes <engine address>``.
"""

import asyncio
import importlib.metadata
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckFailure,
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    ConfigureResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    InvokeRequest,
    InvokeResponse,
    PropertyDiff,
    PropertyDiffKind,
    Provider,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)

from rehearsal.providers.kube_client import Access, ApiError, ApiServer, Kind, KubeconfigError, Unreachable
from rehearsal.providers.kube_diff import Change, Path, compare, spelled
from rehearsal.providers.kube_manifests import from_manifest, redacted, secret_texts, to_manifest
from rehearsal.providers.kube_objects import (
    DEFAULT_NAMESPACE,
    DELETION_PROPAGATION,
    PATCH_FORCE,
    SKIP_AWAIT,
    TIMEOUT_SECONDS,
    annotation,
    field_manager,
    identifier,
    is_managed_by,
    is_marked,
    live_inputs,
    metadata,
    name_of,
    named,
    namespace_of,
    outputs,
    title,
)
from rehearsal.providers.kube_readiness import (
    DEFAULT_TIMEOUT_SECONDS,
    DELETED_WITHOUT_WAITING,
    condition,
    judged,
    pod_trouble,
)
from rehearsal.providers.kube_schema import concerns
from rehearsal.providers.server import EngineLog, NotReady, Refusal, old_inputs, serve, type_token
from rehearsal.providers.values import UNKNOWN, Object, Values, holds_unknown, plain_map

Result = TypeVar("Result")

WORKERS = 128
"""Operations at once; each one that waits for readiness holds a thread."""

MISSING_SECONDS = 10.0
"""How long a create waits for a namespace or a custom resource definition that is being made beside it."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two looks at an object that is not ready."""

TROUBLES = 3
"""How many pods, and how many events, an error tells of."""

_KINDS: Mapping[tuple[Change, bool], PropertyDiffKind] = {
    (Change.ADD, False): PropertyDiffKind.ADD,
    (Change.ADD, True): PropertyDiffKind.ADD_REPLACE,
    (Change.DELETE, False): PropertyDiffKind.DELETE,
    (Change.DELETE, True): PropertyDiffKind.DELETE_REPLACE,
    (Change.UPDATE, False): PropertyDiffKind.UPDATE,
    (Change.UPDATE, True): PropertyDiffKind.UPDATE_REPLACE,
}


@dataclass(frozen=True)
class Settings:
    """What the configuration of a ``kubernetes.Provider`` says about all of its objects.

    Attributes:
        namespace: where an object goes that names no namespace.
        force: take over fields that another manager owns.
        upsert: adopt objects that exist already.
        mutable: kinds among ConfigMap and Secret whose data may change in place.
    """

    namespace: str = ""
    force: bool = False
    upsert: bool = False
    mutable: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Task:
    """One manifest on its way to the server: where it goes, in whose name, and what no message may show."""

    urn: str
    manifest: Object
    properties: Values
    kind: Kind
    manager: str
    force: bool

    @property
    def path(self) -> str:
        """The path of the object."""
        return self.kind.path(str(name_of(self.manifest)), str(namespace_of(self.manifest)))

    def refusal(self, error: ApiError | str) -> Refusal:
        """What the server says, in one line with the object's name and without its secrets."""
        message = _said(error) if isinstance(error, ApiError) else error
        return Refusal(f"{title(self.manifest)}: {redacted(message, secret_texts(self.properties))}")

    def state(self, live: Object) -> dict[str, PropertyValue]:
        """The outputs of the resource."""
        kept = outputs(live) | {
            "__initialApiVersion": str(self.manifest["apiVersion"]),
            "__fieldManager": self.manager,
        }
        return from_manifest(kept, self.properties)


class KubernetesProvider(Provider):
    """Creates, reads, changes and deletes Kubernetes objects for the engine."""

    def __init__(self, log: EngineLog) -> None:
        self._log = log
        self._settings = Settings()
        self._server: ApiServer | None = None
        self._workers = ThreadPoolExecutor(WORKERS)
        self._missing_namespaces: set[str] = set()  # as previews found; an update asks again

    async def check_config(self, request: CheckRequest) -> CheckResponse:
        """Refuse what this provider does not do: applying on the client, rendering to files."""
        config = plain_map(request.new_inputs)
        failures: list[CheckFailure] = []
        if config.get("enableServerSideApply") in (False, "false"):
            reason = "the rehearsal applies on the server only: leave enableServerSideApply out"
            failures.append(CheckFailure("enableServerSideApply", reason))
        if config.get("renderYamlToDirectory"):
            reason = "the rehearsal renders no files: leave renderYamlToDirectory out"
            failures.append(CheckFailure("renderYamlToDirectory", reason))
        return CheckResponse(inputs=request.new_inputs, failures=failures)

    async def diff_config(self, request: DiffRequest) -> DiffResponse:
        """Replace everything when the cluster is another one, told by ``clusterIdentifier`` where that is set."""
        old, new = plain_map(request.old_state), plain_map(request.new_inputs)
        changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        before, after = old.get("clusterIdentifier"), new.get("clusterIdentifier")
        if before and after:
            replaces = ["clusterIdentifier"] if before != after else []
        else:
            same = _same_server(old.get("kubeconfig"), new.get("kubeconfig"))
            replaces = [key for key in changed if key in ("kubeconfig", "context", "cluster") and not same]
        return DiffResponse(diffs=changed, replaces=replaces)

    async def configure(self, request: ConfigureRequest) -> ConfigureResponse:
        """Get the credentials. Nothing is asked of the cluster yet."""
        config = plain_map(request.args)
        mutable = {"ConfigMap": "enableConfigMapMutable", "Secret": "enableSecretMutable"}
        kubeconfig = config.get("kubeconfig")
        access = None
        if isinstance(kubeconfig, str) and kubeconfig:
            try:
                access = await self._in_thread(
                    lambda: Access.from_kubeconfig(
                        kubeconfig, str(config.get("context", "")), str(config.get("cluster", ""))
                    )
                )
            except KubeconfigError as error:
                raise Refusal(str(error)) from None
            self._server = ApiServer(access)
        self._settings = Settings(
            namespace=str(config.get("namespace") or (access.namespace if access else "")),
            force=_is_true(config.get("enablePatchForce")),
            upsert=_is_true(config.get("upsertExistingObjects")),
            mutable=frozenset(kind for kind, key in mutable.items() if _is_true(config.get(key))),
        )
        return ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def check(self, request: CheckRequest) -> CheckResponse:
        """Name the object, put it into its namespace, and refuse what is no object."""
        return await self._in_thread(lambda: self._check(request))

    async def diff(self, request: DiffRequest) -> DiffResponse:
        """Compare the old inputs with the new ones."""
        old, new = to_manifest(old_inputs(request)), to_manifest(request.new_inputs)
        found = compare(old, new, self._settings.mutable)
        return DiffResponse(
            changes=bool(found.changes),
            replaces=sorted(map(spelled, found.replacing)),
            delete_before_replace=found.delete_first,
            detailed_diff={
                spelled(path): PropertyDiff(_KINDS[change, path in found.replacing], input_diff=True)
                for path, change in found.changes.items()
            },
        )

    async def create(self, request: CreateRequest) -> CreateResponse:
        """Apply an object that is not there yet, and wait until it is ready."""
        return await self._in_thread(lambda: self._create(request))

    async def read(self, request: ReadRequest) -> ReadResponse:
        """The object as it is; no identifier if it is gone."""
        return await self._in_thread(lambda: self._read(request))

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        """Apply an object anew, and wait until it is ready. Fields that the manifest no longer has are removed."""
        return await self._in_thread(lambda: self._update(request))

    async def delete(self, request: DeleteRequest) -> None:
        """Delete an object, and wait until it is gone. One that is gone already is fine."""
        await self._in_thread(lambda: self._delete(request))

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        """Refuse: Helm, Kustomize and YAML files are not part of the rehearsal."""
        raise Refusal(f"{request.tok} is not served by the rehearsal: declare the objects themselves")

    async def cancel(self) -> None:
        """End every wait."""
        if self._server:
            self._server.cancelled.set()

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, work)
        except (ApiError, Unreachable) as error:
            raise Refusal(str(error)) from None

    def _check(self, request: CheckRequest) -> CheckResponse:
        try:
            manifest = to_manifest(request.new_inputs)
        except TypeError as error:
            return CheckResponse(inputs=request.new_inputs, failures=[CheckFailure("", str(error))])
        failures = _faults(type_token(request.urn), manifest)
        if failures:
            return CheckResponse(inputs=request.new_inputs, failures=failures)
        manifest = named(manifest, to_manifest(request.old_inputs), request.name, request.random_seed)
        if self._settings.namespace and self._server and not namespace_of(manifest):
            kind = self._server.kind(str(manifest["apiVersion"]), str(manifest["kind"]))
            if kind is None or kind.namespaced:
                manifest["metadata"] = metadata(manifest) | {"namespace": self._settings.namespace}
        return CheckResponse(inputs=from_manifest(manifest, request.new_inputs))

    def _create(self, request: CreateRequest) -> CreateResponse:
        task = self._task(request.urn, request.properties, {}, preview=request.preview)
        if request.preview:
            return CreateResponse(properties=self._previewed(request.urn, task, request.properties, new=True))
        if task is None:
            raise self._unknown_kind(request.properties)
        live = self._settled(task, request.timeout)
        if live and not self._settings.upsert and not is_managed_by(live, task.manager):
            raise task.refusal(
                "it exists already and is not this resource's: give it another name, import it, or set "
                "upsertExistingObjects on the provider"
            )
        live = self._applied(task)
        live = self._await_ready(task, live, request.timeout)
        return CreateResponse(identifier(live), task.state(live))

    def _update(self, request: UpdateRequest) -> UpdateResponse:
        task = self._task(request.urn, request.news, request.olds, preview=request.preview)
        if request.preview:
            return UpdateResponse(self._previewed(request.urn, task, request.news, new=False))
        if task is None:
            raise self._unknown_kind(request.news)
        live = self._await_ready(task, self._applied(task), request.timeout)
        return UpdateResponse(task.state(live))

    def _read(self, request: ReadRequest) -> ReadResponse:
        state, inputs = to_manifest(request.properties), to_manifest(request.inputs)
        server = self._required()
        api_version, name = _addressed(type_token(request.urn), state, inputs)
        kind = server.kind(api_version, name)
        namespace, _, object_name = request.resource_id.rpartition("/")
        live = server.find(kind.path(object_name, namespace)) if kind else None
        if live is None:
            return ReadResponse(resource_id="")
        found = live_inputs(live, inputs) if inputs else _imported(live)
        manager = field_manager(request.urn, found, state)
        kept = outputs(live) | {"__initialApiVersion": api_version, "__fieldManager": manager}
        return ReadResponse(
            request.resource_id,
            from_manifest(kept, request.properties | request.inputs),
            from_manifest(found, request.inputs),
        )

    def _delete(self, request: DeleteRequest) -> None:
        server = self._required()
        state = to_manifest(request.properties)
        kind = server.kind(*_addressed(type_token(request.urn), state, {}))
        if kind is None:
            return  # the custom resource definition is gone, and every object of the kind with it
        namespace, _, name = request.resource_id.rpartition("/")
        path = kind.path(name, namespace)
        try:
            present = server.delete(path, _propagation(state))
        except ApiError as error:
            raise Refusal(f"{title(state)}: {_said(error)}") from None
        skipped = is_marked(state, SKIP_AWAIT) and kind.name in DELETED_WITHOUT_WAITING
        if present and not skipped:
            self._await_gone(request.urn, path, state, _timeout(state, request.timeout))

    def _required(self) -> ApiServer:
        if self._server is None:
            raise Refusal(
                "the kubernetes.Provider has no kubeconfig: give it one, the rehearsal uses no other"
            )
        return self._server

    def _task(
        self,
        urn: str,
        properties: Values,
        old: Values,
        *,
        preview: bool,
    ) -> Task | None:
        """The manifest with its place on the server; None if the server does not serve its kind (yet)."""
        manifest = to_manifest(properties)
        server = self._required()
        api_version, name = str(manifest["apiVersion"]), str(manifest["kind"])
        deadline = time.monotonic() + (0 if preview else MISSING_SECONDS)
        while (kind := server.kind(api_version, name)) is None and time.monotonic() < deadline:
            self._pause(FIRST_PAUSE)
        if kind is None:
            return None
        if not kind.namespaced:
            own = {key: value for key, value in metadata(manifest).items() if key != "namespace"}
            manifest["metadata"] = UNKNOWN if manifest.get("metadata") is UNKNOWN else own
        return Task(
            urn=urn,
            manifest=manifest,
            properties=properties,
            kind=kind,
            manager=field_manager(urn, manifest, to_manifest(old)),
            force=self._settings.force or is_marked(manifest, PATCH_FORCE),
        )

    def _unknown_kind(self, properties: Values) -> Refusal:
        manifest = to_manifest(properties)
        return Refusal(
            f"{title(manifest)}: the API server serves no {manifest['apiVersion']}/{manifest['kind']}: "
            "is its CustomResourceDefinition installed?"
        )

    def _previewed(
        self, urn: str, task: Task | None, properties: Values, *, new: bool
    ) -> dict[str, PropertyValue]:
        """The outputs of a dry run; the inputs where the server cannot tell more."""
        if task is None:
            manifest = to_manifest(properties)
            self._log.warn(urn, f"{title(manifest)} is not checked: the API server serves no such kind yet")
            return dict(properties)
        filled, places = task.manifest, list[Path]()
        if holds_unknown(task.manifest):
            schemas = self._required().schemas(task.kind)
            schema = schemas.of_kind(task.kind.group, task.kind.version, task.kind.name)
            filled, places = schemas.filled(task.manifest, schema)
            # The server reads a Secret's `stringData` as `data`, and says so in its errors.
            places += [("data", *place[1:]) for place in places if place[:1] == ("stringData",)]
        try:
            live = self._dry_run(task, filled, new=new)
        except ApiError as error:
            left = [cause for cause in error.causes if not concerns(cause.field, places)]
            if places and (error.status == 403 or (error.causes and not left)):
                return dict(properties)
            raise task.refusal(_listed(left) if left else error) from None
        if places:
            return dict(properties)
        if new:
            live.pop("status", None)  # of a dry run it is empty; left out, it is unknown
        live["metadata"] = metadata(live) | {
            key: value for key, value in metadata(task.manifest).items() if key in ("name", "namespace")
        }
        return task.state(live)

    def _dry_run(self, task: Task, manifest: Object, *, new: bool) -> Object:
        name, namespace = str(name_of(manifest)), str(namespace_of(manifest))
        # What a new object would take over belongs to an old one that is replaced: no conflict.
        force = task.force or new
        if namespace in self._missing_namespaces:
            namespace = DEFAULT_NAMESPACE
        try:
            return self._tried(task, manifest, name, namespace, force)
        except ApiError as error:
            if error.namespace_is_missing:
                # The namespace is made in this very update. Any other judges the manifest as well.
                self._missing_namespaces.add(namespace)
                return self._tried(task, manifest, name, DEFAULT_NAMESPACE, force)
            replaceable = new and task.kind.name != "CustomResourceDefinition"
            if replaceable and self._required().find(task.kind.path(name, namespace)):
                # The old object is still there, and what it cannot change is no fault of the new one.
                return self._tried(task, manifest, f"{name[:50].rstrip('-.')}-preview", namespace, force)
            raise

    def _tried(self, task: Task, manifest: Object, name: str, namespace: str, force: bool) -> Object:
        own = metadata(manifest) | {"name": name}
        if namespace:
            own["namespace"] = namespace
        path = task.kind.path(name, namespace)
        body = manifest | {"metadata": own}
        return self._required().apply(path, body, manager=task.manager, force=force, dry_run=True)

    def _settled(self, task: Task, timeout: float) -> Object | None:
        """The object that has the name now, once one that is being deleted is gone."""
        live = self._required().find(task.path)
        if live and "deletionTimestamp" in metadata(live):
            self._await_gone(task.urn, task.path, live, _timeout(task.manifest, timeout))
            return None
        return live

    def _applied(self, task: Task) -> Object:
        deadline = time.monotonic() + MISSING_SECONDS
        while True:
            try:
                return self._required().apply(
                    task.path, task.manifest, manager=task.manager, force=task.force
                )
            except ApiError as error:
                if not error.namespace_is_missing or time.monotonic() > deadline:
                    raise task.refusal(error) from None
            self._pause(FIRST_PAUSE)

    def _await_ready(self, task: Task, live: Object, timeout: float) -> Object:
        """The object once it is ready.

        Raises:
            NotReady: it is not, in time; what is known of it goes into the state.
        """
        if is_marked(task.manifest, SKIP_AWAIT):
            return live
        patience = _timeout(task.manifest, timeout)
        deadline = time.monotonic() + patience
        pause, told = FIRST_PAUSE, ""
        while not (verdict := judged(live, self._surroundings(task, live))).ready:
            if verdict.hopeless or time.monotonic() > deadline:
                how = "failed" if verdict.hopeless else f"was not ready in {patience:g} s"
                reasons = [f"{title(task.manifest)} {how}: {verdict.why}", *self._troubles(task, live)]
                raise NotReady(identifier(live), task.state(live), reasons)
            if verdict.why != told:
                told = verdict.why
                self._log.progress(task.urn, f"waiting: {told}")
            self._pause(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            found = self._required().find(task.path)
            if found is None:
                raise task.refusal("it was deleted while it was waited for")
            live = found
        if told:
            self._log.progress(task.urn, "")
        return live

    def _await_gone(self, urn: str, path: str, thing: Object, patience: float) -> None:
        deadline = time.monotonic() + patience
        pause = FIRST_PAUSE
        uid = metadata(thing).get("uid")
        while (live := self._required().find(path)) and metadata(live).get("uid") == (
            uid or metadata(live).get("uid")
        ):
            if time.monotonic() > deadline:
                finalizers = ", ".join(metadata(live).get("finalizers") or []) or "none"
                gone = condition(live, "NamespaceDeletionContentFailure").get("message", "")
                raise Refusal(
                    f"{title(thing)} was not gone in {patience:g} s; its finalizers: {finalizers}. {gone}".strip()
                )
            if pause == FIRST_PAUSE:
                self._log.progress(urn, "waiting for it to go")
            self._pause(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _surroundings(self, task: Task, live: Object) -> Sequence[Object]:
        server, namespace = self._required(), str(namespace_of(live))
        if (task.kind.group, task.kind.name) == ("", "Service"):
            slices = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", namespaced=True)
            selector = f"kubernetes.io/service-name={name_of(live)}"
            return _items(server.get(slices.path(namespace=namespace), labelSelector=selector))
        if (task.kind.group, task.kind.name) == ("", "PersistentVolumeClaim"):
            classes = Kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False)
            name = cast(Object, live.get("spec") or {}).get("storageClassName")
            found = server.find(classes.path(str(name))) if name else None
            return [found] if found else []
        return ()

    def _troubles(self, task: Task, live: Object) -> list[str]:
        """What the pods of a workload and the events about it say, for the error of one that is not ready."""
        server, namespace = self._required(), str(namespace_of(live))
        if not namespace:
            return []
        selector = cast(Object, cast(Object, live.get("spec") or {}).get("selector") or {})
        labels = cast(Object, selector.get("matchLabels") or {})
        found: list[str] = []
        if labels:
            query = ",".join(f"{key}={value}" for key, value in labels.items())
            pods = _items(
                server.get(Kind("", "v1", "Pod", "pods", True).path(namespace=namespace), labelSelector=query)
            )
            said = [(pod, pod_trouble(pod)) for pod in pods]
            found += [f"pod {name_of(pod)}: {trouble}" for pod, trouble in said if trouble][:TROUBLES]
        about = f"involvedObject.uid={metadata(live).get('uid')},type=Warning"
        events = _items(
            server.get(Kind("", "v1", "Event", "events", True).path(namespace=namespace), fieldSelector=about)
        )
        found += [f"event {event.get('reason')}: {event.get('message')}" for event in events[-TROUBLES:]]
        secrets = secret_texts(task.properties)
        return [redacted(" ".join(line.split()), secrets) for line in found]

    def _pause(self, seconds: float) -> None:
        if self._required().cancelled.wait(seconds):
            raise Refusal("cancelled")


def _faults(token: str, manifest: Object) -> list[CheckFailure]:
    module, _, name = token.removeprefix("kubernetes:").rpartition(":")
    if module.split("/")[0] in ("helm.sh", "yaml", "kustomize"):
        return [CheckFailure("", f"{token} is not served by the rehearsal: declare the objects themselves")]
    if name.endswith("Patch") and name != manifest.get("kind"):
        return [CheckFailure("", f"{token} is not served by the rehearsal: it has no Patch resources")]
    missing = [
        key for key in ("apiVersion", "kind") if not isinstance(manifest.get(key), str) or not manifest[key]
    ]
    failures = [CheckFailure(key, "it is required") for key in missing]
    if not isinstance(manifest.get("metadata", {}), dict) and manifest.get("metadata") is not UNKNOWN:
        failures.append(CheckFailure("metadata", "it must be a map"))
    if metadata(manifest).get("generateName"):
        reason = "metadata.generateName cannot be used with server-side apply: give a name, or none"
        failures.append(CheckFailure("", reason))
    return failures


def _addressed(token: str, state: Object, inputs: Object) -> tuple[str, str]:
    """API version and kind of a resource: as in its state or inputs, else as its token says."""
    _, module, name = token.split(":")
    version = state.get("apiVersion") or inputs.get("apiVersion") or module.removeprefix("core/")
    return str(version), str(state.get("kind") or inputs.get("kind") or name)


def _imported(live: Object) -> Object:
    """The inputs of an object that no program has declared yet."""
    own = {
        key: value
        for key, value in metadata(live).items()
        if key in ("name", "namespace", "labels", "annotations")
    }
    return {key: value for key, value in live.items() if key != "status"} | {"metadata": own}


def _timeout(manifest: Mapping[str, Any], requested: float) -> float:
    annotated = annotation(manifest, TIMEOUT_SECONDS)
    return requested or (float(annotated) if annotated.isdecimal() else 0) or DEFAULT_TIMEOUT_SECONDS


def _propagation(state: Object) -> str:
    policy = annotation(state, DELETION_PROPAGATION).capitalize()
    return policy if policy in ("Orphan", "Background") else "Foreground"


def _same_server(old: Any, new: Any) -> bool:
    if old == new:
        return True
    try:
        endpoints = [Access.from_kubeconfig(str(each)).endpoint for each in (old, new)]
    except KubeconfigError:
        return False
    return endpoints[0] == endpoints[1]


def _items(listing: Object) -> list[Object]:
    return cast("list[Object]", listing.get("items") or [])


def _listed(causes: Sequence[Any]) -> str:
    return "; ".join(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))


def _said(error: ApiError) -> str:
    """The server's message without the preamble that names the object again."""
    if error.reason == "Conflict" and error.causes:
        return (
            f"another manager owns {', '.join(dict.fromkeys(cause.field for cause in error.causes))} ({error}): "
            f"leave it out, or annotate the object with {PATCH_FORCE}"
        )
    if error.causes and all(cause.field for cause in error.causes):
        return _listed(error.causes)
    return str(error)


def _is_true(value: Any) -> bool:
    return value is True or value == "true"


if __name__ == "__main__":
    engine = sys.argv[-1]
    version = importlib.metadata.version("pulumi-kubernetes")
    serve(KubernetesProvider(EngineLog(engine)), version=version, engine=engine)
