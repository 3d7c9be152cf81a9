"""A Kubernetes API server over HTTP: credentials from a kubeconfig, kept connections, patience, errors in one line."""

import http.client
import importlib
import json
import logging
import re
import ssl
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

import urllib3
import yaml
from urllib3.util import Retry, Timeout

from rehearsal.providers.kube_objects import DEFAULT_NAMESPACE
from rehearsal.providers.kube_schema import Schemas
from rehearsal.providers.values import Object, is_map

FIRST_PATIENCE = 5.0
"""Seconds for which a server that never answered is tried."""

PATIENCE = 20.0
"""Seconds for which a server that answered before is tried again."""

CONNECTIONS = 64
ANSWER_SECONDS = 60.0
RETRIED = frozenset({429, 502, 503, 504})
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
REDISCOVERY_SECONDS = 0.5

_PREAMBLE = re.compile(r"^failed to create typed patch object \(.*?\): (errors:)?")
_GO_VALUE = re.compile(r"&value\.value\w+\{(?:Value:)?(.*?)\}")


class KubeconfigError(Exception):
    """The kubeconfig cannot be used."""


class Unreachable(Exception):
    """The API server does not answer."""


@dataclass(frozen=True)
class Cause:
    """One complaint of the server: where, and what."""

    field: str
    message: str


class ApiError(Exception):
    """The API server refused a request.

    Attributes:
        status: the HTTP status.
        reason: the server's word for it, such as ``NotFound`` or ``Invalid``.
        about: the kind of thing that it complains about, such as ``namespaces``.
        causes: its complaints, where it lists them.
    """

    def __init__(self, status: int, body: bytes) -> None:
        answer = _answer(body)
        details = cast(Object, answer.get("details") or {})
        self.status = status
        self.reason = str(answer.get("reason", ""))
        self.about = str(details.get("kind", ""))
        self.causes = tuple(
            Cause(str(cause.get("field", "")), str(cause.get("message", "")))
            for cause in cast("list[Object]", details.get("causes") or [])
        )
        message = str(
            answer.get("message") or body.decode(errors="replace") or http.client.responses.get(status)
        )
        super().__init__(_one_line(message))

    @property
    def namespace_is_missing(self) -> bool:
        """Whether the object's namespace is what was not found."""
        return self.status == 404 and self.about == "namespaces"


@dataclass(frozen=True)
class Kind:
    """A kind that the server serves: ``plural`` names it in paths."""

    group: str
    version: str
    name: str
    plural: str
    namespaced: bool

    def path(self, name: str = "", namespace: str = "") -> str:
        """The path of one object, or of all in a namespace when ``name`` is empty."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace or DEFAULT_NAMESPACE)}" if self.namespaced else ""
        return f"{root}{inside}/{self.plural}" + (f"/{quote(name)}" if name else "")


@dataclass(frozen=True)
class Access:
    """Where the API server is and how it is spoken to.

    Attributes:
        endpoint: its URL.
        namespace: the namespace of the kubeconfig's context; empty where it names none.
        configuration: the official client's ``Configuration``, which renews the credentials.
        tls: the certificates that are trusted and shown; None for plain HTTP.
    """

    endpoint: str
    namespace: str
    configuration: Any
    tls: ssl.SSLContext | None

    @staticmethod
    def from_kubeconfig(kubeconfig: str, context: str = "", cluster: str = "") -> "Access":
        """Read a kubeconfig and get its credentials.

        Args:
            kubeconfig: its contents in YAML or JSON, or the path of its file.
            context: the context to use in place of the current one.
            cluster: the cluster to use in place of the context's.

        Raises:
            KubeconfigError: it is no kubeconfig, or its credential plugin gives no credentials.
        """
        config = _parsed(kubeconfig)
        name = context or str(config.get("current-context", ""))
        chosen = _entry(config, "context", name)
        if not chosen:
            raise KubeconfigError(f"the kubeconfig has no context {name!r}")
        if cluster:
            chosen["cluster"] = cluster
        # Imported here, since the package loads slowly and a preview without a cluster does not need it.
        loading: Any = importlib.import_module("kubernetes.config.kube_config")
        client: Any = importlib.import_module("kubernetes.client")
        logging.disable(logging.ERROR)  # the loader logs what goes wrong in a credential plugin, and goes on
        configuration = client.Configuration()
        # The loader writes keys into files, since it wants paths; they are gone once they are read.
        with tempfile.TemporaryDirectory() as directory:
            try:
                loading.KubeConfigLoader(config, active_context=name, temp_file_path=directory).load_and_set(
                    configuration
                )
                tls = _tls(configuration)
            except Exception as error:
                raise KubeconfigError(
                    f"the kubeconfig cannot be used: {' '.join(str(error).split())}"
                ) from error
        plugin = cast(Object, _entry(config, "user", str(chosen.get("user"))).get("exec") or {})
        if plugin and not configuration.api_key and not configuration.cert_file:
            command = " ".join(
                map(str, [plugin.get("command"), *cast("list[Any]", plugin.get("args") or [])])
            )
            raise KubeconfigError(f"the kubeconfig's credential plugin gives no credentials: {command}")
        return Access(str(configuration.host), str(chosen.get("namespace", "")), configuration, tls)

    def headers(self) -> dict[str, str]:
        """The headers that prove who asks; empty where a client certificate does."""
        settings: Mapping[str, Mapping[str, Any]] = self.configuration.auth_settings()
        return {
            str(each["key"]): str(each["value"]) for each in settings.values() if each.get("in") == "header"
        }


class ApiServer:
    """One API server. Safe to use from many threads; connections are kept and reused."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.cancelled = threading.Event()
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS,
            block=True,
            retries=Retry(0),
            timeout=Timeout(connect=5.0, read=ANSWER_SECONDS),
            ssl_context=access.tls,
        )
        self._patience = FIRST_PATIENCE
        self._discovering = threading.Lock()
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._discovered_at = float("-inf")
        self._schemas: dict[str, Schemas] = {}

    def get(self, path: str, **query: str) -> Object:
        """The object or list at a path.

        Raises:
            ApiError: the server refuses it; status 404 if there is no such object.
            Unreachable: the server does not answer.
        """
        return self._request("GET", path, query)

    def find(self, path: str) -> Object | None:
        """The object at a path, or None."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def apply(
        self, path: str, manifest: Object, *, manager: str, force: bool, dry_run: bool = False
    ) -> Object:
        """Apply a manifest on the server: https://kubernetes.io/docs/reference/using-api/server-side-apply/

        Raises:
            ApiError: the server refuses it, fields that it does not know included.
            Unreachable: the server does not answer.
        """
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        return self._request("PATCH", path, query, manifest, "application/apply-patch+yaml")

    def delete(self, path: str, propagation: str) -> bool:
        """Ask for the deletion of an object; whether it is still there to go.

        Args:
            path: the object's path.
            propagation: ``Foreground``, ``Background`` or ``Orphan``.
        """
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        try:
            self._request("DELETE", path, {}, options)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def kind(self, api_version: str, kind: str) -> Kind | None:
        """How the server serves a kind, or None; asks again when it does not know the kind yet."""
        key = (api_version, kind)
        with self._discovering:
            if key not in self._kinds and time.monotonic() - self._discovered_at > REDISCOVERY_SECONDS:
                self._kinds = {
                    (f"{found.group}/{found.version}" if found.group else found.version, found.name): found
                    for root in ("/api", "/apis")
                    for found in _discovered(self._request("GET", root, {}, accept=DISCOVERY))
                }
                self._discovered_at = time.monotonic()
            return self._kinds.get(key)

    def schemas(self, kind: Kind) -> Schemas:
        """The OpenAPI schemas of a kind's group and version."""
        root = (
            f"/openapi/v3/apis/{kind.group}/{kind.version}"
            if kind.group
            else f"/openapi/v3/api/{kind.version}"
        )
        if root not in self._schemas:
            self._schemas[root] = Schemas(self.get(root))
        return self._schemas[root]

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        url = f"{self.access.endpoint}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": accept, "Content-Type": content_type, **self.access.headers()}
        content = None if body is None else json.dumps(body).encode()
        deadline = time.monotonic() + self._patience
        pause = 0.1
        while True:
            try:
                answer = self._pool.request(method, url, body=content, headers=headers)
            except urllib3.exceptions.HTTPError as error:
                failure = _in_words(error)
                if _is_hopeless(error) or time.monotonic() > deadline or self.cancelled.is_set():
                    self._patience = FIRST_PATIENCE
                    raise Unreachable(
                        f"the Kubernetes API server at {self.access.endpoint} does not answer: {failure}"
                    ) from None
            else:
                self._patience = PATIENCE
                if answer.status < 400:
                    return _answer(answer.data)
                if answer.status not in RETRIED or time.monotonic() > deadline:
                    raise ApiError(answer.status, answer.data)
            self.cancelled.wait(pause)
            pause = min(pause * 2, 2.0)


def _one_line(message: str) -> str:
    """The server's message without its preamble, which names the object again, and without Go's own spelling."""
    message = _PREAMBLE.sub("", message)
    message = _GO_VALUE.sub(r"\1", message)
    return "; ".join(" ".join(line.split()) for line in message.splitlines() if line.strip())


def _parsed(kubeconfig: str) -> Object:
    try:
        document: Any = yaml.safe_load(kubeconfig)
        if isinstance(document, str):
            document = yaml.safe_load(Path(document).expanduser().read_text())
    except (yaml.YAMLError, OSError) as error:
        raise KubeconfigError(f"the kubeconfig cannot be read: {type(error).__name__}") from None
    if not is_map(document):
        raise KubeconfigError("the kubeconfig is no YAML or JSON map")
    return document


def _entry(config: Object, what: str, name: str) -> Object:
    for entry in cast("list[Object]", config.get(f"{what}s") or []):
        if entry.get("name") == name:
            return cast(Object, entry.get(what) or {})
    return {}


def _tls(configuration: Any) -> ssl.SSLContext | None:
    if not str(configuration.host).startswith("https:"):
        return None
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    return tls


def _answer(body: bytes) -> Object:
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return {}
    return answer if is_map(answer) else {}


def _discovered(groups: Object) -> list[Kind]:
    found: list[Kind] = []
    for group in cast("list[Object]", groups.get("items") or []):
        for version in cast("list[Object]", group.get("versions") or []):
            found += [
                Kind(
                    group=str(cast(Object, group.get("metadata") or {}).get("name", "")),
                    version=str(version["version"]),
                    name=str(cast(Object, resource.get("responseKind") or {}).get("kind", "")),
                    plural=str(resource["resource"]),
                    namespaced=resource.get("scope") == "Namespaced",
                )
                for resource in cast("list[Object]", version.get("resources") or [])
            ]
    return found


def _is_hopeless(error: urllib3.exceptions.HTTPError) -> bool:
    reason = getattr(error, "reason", error)
    return "CERTIFICATE_VERIFY_FAILED" in str(reason) or isinstance(
        reason, urllib3.exceptions.NameResolutionError
    )


def _in_words(error: urllib3.exceptions.HTTPError) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return str(reason).rpartition(": ")[2]
    return " ".join(str(reason).split())
