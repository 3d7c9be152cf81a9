"""Runs a Pulumi program against a recording monitor, so that a test can read what the program declared.

Nothing here talks to a cloud, an engine or a plugin. The monitor answers every registration with the inputs it
was given plus outputs that look like the vendor's, and refuses what components must not do: invokes, reads of
existing resources, two resources with one URN, components that never register their outputs.
"""

from __future__ import annotations

import asyncio
import base64
import contextvars
import importlib
import inspect
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar, cast

import pulumi
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import mocks, settings
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.stack import run_in_stack

ACCOUNT = "123456789012"
REGION = "eu-west-1"
PROJECT = "quikapp"
STACK = "test"

T = TypeVar("T")
V = TypeVar("V")
Properties = Mapping[str, Any]

_STACK_TYPE = "pulumi:pulumi:Stack"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the SDK's marker of a secret, not one


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One registration, as the engine would have received it."""

    token: str
    name: str
    urn: str
    id: str
    """Identifier that the vendor would give; empty for components and in a preview."""
    inputs: Properties
    """Inputs in their wire form (camelCase), resolved, secrets unwrapped."""
    secrets: frozenset[str]
    """Dotted paths of the inputs that were marked secret, such as `stringData.password` or `values[0]`."""
    outputs: Properties
    parent: str
    """URN of the parent; the stack's URN for a resource without one."""
    provider: str
    """`urn::id` of an explicit provider, or empty for the default provider of the package."""
    custom: bool
    protect: bool
    dependencies: frozenset[str]
    """URNs this resource waits for, through `depends_on` and through its inputs."""
    ignore_changes: tuple[str, ...]
    aliases: tuple[str, ...]
    deleted_with: str
    retain_on_delete: bool
    before_update: tuple[str, ...]
    """Names of the hooks that may refuse an update of it."""

    @property
    def package(self) -> str:
        """The provider's name: `aws`, `kubernetes`, `quikapp` for components."""
        return self.token.partition(":")[0]

    def plain_text(self) -> Iterator[tuple[str, str]]:
        """Path and value of every string input that is not secret."""
        for path, value in _strings(self.inputs, ""):
            if not any(
                path == secret or path.startswith((f"{secret}.", f"{secret}[")) for secret in self.secrets
            ):
                yield path, value


@dataclass(kw_only=True)
class Recording(Generic[T]):
    """What a program declared, by type and name: the order of registration is up to the event loop."""

    resources: Sequence[Resource]
    result: T
    """What the program returned."""
    stack_outputs: Properties
    """What the program exported with `pulumi.export`, resolved, secrets unwrapped."""
    hooks: Mapping[str, pulumi.ResourceHook]
    """The hooks that the program registered, by name."""
    _loop: asyncio.AbstractEventLoop
    _context: contextvars.Context

    def of(self, token: str) -> list[Resource]:
        """Every resource of a type, such as `aws:ec2/subnet:Subnet`."""
        return [resource for resource in self.resources if resource.token == token]

    def one(self, token: str, name: str | None = None) -> Resource:
        """The only resource of a type, or the only one of that type with this logical name."""
        found = [resource for resource in self.of(token) if name in (None, resource.name)]
        assert len(found) == 1, f"expected one {token}, found {[resource.name for resource in found]}"
        return found[0]

    def urn(self, urn: str) -> Resource:
        """The resource with this URN."""
        return next(resource for resource in self.resources if resource.urn == urn)

    def by_id(self, identifier: str) -> Resource:
        """The resource with this identifier, such as the subnet that an input refers to."""
        return next(resource for resource in self.resources if resource.id == identifier)

    def value(self, output: pulumi.Input[V]) -> V:
        """The resolved value of an output; a plain value is returned as it is."""
        return self._resolve(lambda: pulumi.Output.from_input(output).future())

    def is_secret(self, output: pulumi.Output[Any]) -> bool:
        """Whether the output would be encrypted in the state."""
        return self._resolve(output.is_secret)

    def _resolve(self, awaitable: Callable[[], Any]) -> Any:
        async def resolve() -> Any:
            return await awaitable()

        return self._context.run(self._loop.run_until_complete, resolve())

    def close(self) -> None:
        """Give back the event loop and its threads."""
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def assert_tagged(self, tags: Mapping[str, str]) -> None:
        """Every AWS resource that can carry tags carries these and a `Name`."""
        missing = {
            resource.urn: sorted(
                {*tags, "Name"} - {key for key in carried if carried[key] == tags.get(key, carried[key])}
            )
            for resource in self.resources
            if resource.package == "aws" and takes(resource.token, "tags")
            for carried in [cast("Mapping[str, str]", resource.inputs.get("tags", {}))]
        }
        untagged = {urn: keys for urn, keys in missing.items() if keys}
        assert not untagged, f"missing tags: {untagged}"

    def assert_in_region(self, region: str) -> None:
        """Every AWS resource that lives in a region names this one, and leaves nothing to the provider's default."""
        elsewhere = {urn: found for urn, found in self.regions.items() if found != region}
        assert not elsewhere, f"not in {region}: {elsewhere}"

    @property
    def regions(self) -> dict[str, str | None]:
        """The region that each AWS resource names, by URN, of those that live in one."""
        return {
            resource.urn: resource.inputs.get("region")
            for resource in self.resources
            if resource.package == "aws" and takes(resource.token, "region")
        }

    def assert_least_privilege(self) -> None:
        """No policy lets every action, or every action of a service, loose on every resource or on everybody.

        A key policy is about its own key alone, so there `"Resource": "*"` is the key and the account's own
        administration of it (`kms:*` for the account's root) is what keeps the key manageable.
        """
        faults = [
            f"{resource.urn} {path}: {statement}"
            for resource in self.resources
            for path, text in _strings(resource.inputs, "")
            for statement in _statements(text)
            if statement.get("Effect") == "Allow"
            and (_is_boundless(statement) if _is_identity_policy(statement) else _is_open_to_all(statement))
        ]
        assert not faults, "\n".join(faults)

    def assert_hidden(self, secret: str) -> None:
        """A secret's text appears in no input that the state would hold in plain text."""
        leaks = [
            f"{resource.urn} {path}"
            for resource in self.resources
            for path, text in resource.plain_text()
            if secret in text
        ]
        assert not leaks, f"in plain text: {leaks}"


def record(build: Callable[[], T], *, preview: bool = False) -> Recording[T]:
    """Run a program and return what it declared.

    In a preview no resource has outputs beyond its inputs, as with a real engine before the first `up`.

    Raises what the program raises, and AssertionError when a component did not register its outputs exactly once.
    """
    monitor = _Monitor(preview=preview)
    context = contextvars.Context()
    loop = asyncio.new_event_loop()
    results: list[T] = []

    # The SDK waits for every output there is, and one that a failed program left behind never comes.
    outstanding: set[Any] = getattr(settings.SETTINGS, "outputs")  # noqa: B009 - bound at run time, unknown to the types
    outstanding.clear()

    async def program() -> None:
        settings.configure(
            mocks.MockSettings(
                monitor=monitor, engine=mocks.MockEngine(None), project=PROJECT, stack=STACK, dry_run=preview
            )
        )
        # Bound at run time, unknown to the types: where the SDK leaves hooks for the engine to call.
        setattr(settings.SETTINGS, "callbacks", monitor)  # noqa: B010

        async def run() -> None:
            results.append(build())

        await run_in_stack(run)

    try:
        context.run(loop.run_until_complete, program())
        monitor.assert_sound()
    except BaseException:
        # One failed registration faults every output that waits for it; the first one raised says it all.
        loop.set_exception_handler(lambda _loop, _context: None)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        raise
    return Recording(
        resources=sorted(monitor.recorded, key=lambda resource: (resource.token, resource.name)),
        result=results[0],
        stack_outputs=monitor.stack_outputs(),
        hooks=monitor.hooks,
        _loop=loop,
        _context=context,
    )


class _Monitor(mocks.MockMonitor):
    """Stands in for the engine's resource monitor."""

    def __init__(self, *, preview: bool) -> None:
        super().__init__(_NoMocks())
        self.preview = preview
        self.recorded: list[Resource] = []
        self.registered_outputs: list[tuple[str, Properties]] = []
        self.hooks: dict[str, pulumi.ResourceHook] = {}
        self._lock = threading.Lock()

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        self.hooks[hook.name] = hook

    def RegisterResource(self, request: Any) -> Any:
        urn = _urn(request.parent, request.type, request.name)
        if request.type == _STACK_TYPE:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        assert not request.importId, f"{urn} would adopt {request.importId}"
        inputs, secrets = _plain_properties(request.object)
        identifier, extra = _outputs(request.type, request.name, inputs) if request.custom else ("", {})
        state = struct_pb2.Struct()
        state.CopyFrom(request.object)
        if self.preview:
            identifier = ""
        else:
            hidden = {
                name: {_SIGNATURE: _SECRET, "value": value}
                if name in request.additionalSecretOutputs
                else value
                for name, value in extra.items()
            }
            json_format.ParseDict(_merged(json_format.MessageToDict(state), hidden), state)
        resource = Resource(
            token=request.type,
            name=request.name,
            urn=urn,
            id=identifier,
            inputs=inputs,
            secrets=secrets,
            outputs=_plain_properties(state)[0],
            parent=request.parent,
            provider=request.provider,
            custom=request.custom,
            protect=request.protect,
            dependencies=frozenset(request.dependencies),
            ignore_changes=tuple(request.ignoreChanges),
            aliases=tuple(alias.urn or alias.spec.name for alias in request.aliases),
            deleted_with=request.deletedWith,
            retain_on_delete=request.retainOnDelete,
            before_update=tuple(request.hooks.before_update),
        )
        with self._lock:
            self.recorded.append(resource)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identifier, object=state)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        with self._lock:
            self.registered_outputs.append((request.urn, _plain_properties(request.outputs)[0]))
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> NoReturn:
        raise AssertionError(
            f"{request.tok} is an invoke: a preview would need a reachable account or cluster"
        )

    def ReadResource(self, request: Any) -> NoReturn:
        raise AssertionError(f"{request.type} {request.name} is read from the account, not declared")

    def stack_outputs(self) -> Properties:
        return next(plain for urn, plain in self.registered_outputs if f"::{_STACK_TYPE}::" in urn)

    def assert_sound(self) -> None:
        urns = [resource.urn for resource in self.recorded]
        twice = sorted({urn for urn in urns if urns.count(urn) > 1})
        assert not twice, f"more than one resource has the URN {twice}"
        registered = [urn for urn, _ in self.registered_outputs]
        counts = {
            resource.urn: registered.count(resource.urn) for resource in self.recorded if not resource.custom
        }
        assert all(count == 1 for count in counts.values()), f"register_outputs calls per component: {counts}"


class _NoMocks(mocks.Mocks):
    def call(self, args: mocks.MockCallArgs) -> NoReturn:
        raise AssertionError(args.token)

    def new_resource(self, args: mocks.MockResourceArgs) -> NoReturn:
        raise AssertionError(args.typ)


def _urn(parent: str, token: str, name: str) -> str:
    parent_type = parent.split("::")[2] if parent else ""
    qualified = token if parent_type in ("", _STACK_TYPE) else f"{parent_type}${token}"
    return f"urn:pulumi:{STACK}::{PROJECT}::{qualified}::{name}"


def _plain_properties(struct: struct_pb2.Struct) -> tuple[dict[str, Any], frozenset[str]]:
    secrets: set[str] = set()
    plain = _plain(json_format.MessageToDict(struct), "", secrets)
    return cast("dict[str, Any]", plain), frozenset(secrets)


def _plain(value: Any, path: str, secrets: set[str]) -> Any:
    match value:
        case dict():
            mapping = cast("dict[str, Any]", value)
            if mapping.get(_SIGNATURE) == _SECRET:
                secrets.add(path)
                return _plain(mapping["value"], path, secrets)
            return {
                key: _plain(item, f"{path}.{key}" if path else key, secrets) for key, item in mapping.items()
            }
        case list():
            items = cast("list[Any]", value)
            return [_plain(item, f"{path}[{index}]", secrets) for index, item in enumerate(items)]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield path, value
        case dict():
            for key, item in cast("dict[str, Any]", value).items():
                yield from _strings(item, f"{path}.{key}" if path else key)
        case list():
            for index, item in enumerate(cast("list[Any]", value)):
                yield from _strings(item, f"{path}[{index}]")
        case _:
            return


def _merged(base: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs added to inputs; what the program set wins over what the vendor would choose."""
    merged = dict(base)
    for key, value in extra.items():
        ours = merged.get(key)
        if isinstance(ours, dict) and isinstance(value, dict) and _SIGNATURE not in ours:
            merged[key] = _merged(cast("dict[str, Any]", ours), cast("dict[str, Any]", value))
        else:
            merged.setdefault(key, value)
    return merged


def takes(token: str, argument: str) -> bool:
    """Whether the SDK's class of an AWS resource type has this input."""
    _, module, class_name = token.split(":")
    python_module = module.partition("/")[0]
    sdk = importlib.import_module(f"pulumi_aws.{'lambda_' if python_module == 'lambda' else python_module}")
    return argument in inspect.signature(getattr(sdk, class_name)._internal_init).parameters


def _statements(text: str) -> list[dict[str, Any]]:
    if '"Statement"' not in text:
        return []
    statements: dict[str, Any] | list[dict[str, Any]] = json.loads(text)["Statement"]
    return statements if isinstance(statements, list) else [statements]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _is_identity_policy(statement: Mapping[str, Any]) -> bool:
    return "Principal" not in statement and "NotPrincipal" not in statement


def _is_boundless(statement: Mapping[str, Any]) -> bool:
    if "NotAction" in statement or "NotResource" in statement:
        return True
    actions, resources = _listed(statement.get("Action")), _listed(statement.get("Resource"))
    return "*" in actions or ("*" in resources and any(action.endswith(":*") for action in actions))


def _is_open_to_all(statement: Mapping[str, Any]) -> bool:
    principal: str | Mapping[str, Any] = statement.get("Principal", {})
    everybody = "*" in _listed(principal if isinstance(principal, str) else principal.get("AWS"))
    return (
        "NotPrincipal" in statement
        or "NotAction" in statement
        or (everybody and not statement.get("Condition"))
    )


def _outputs(token: str, name: str, inputs: Properties) -> tuple[str, dict[str, Any]]:
    """Identifier and further outputs that the vendor would give a new resource; deterministic in type and name."""
    if token.startswith("pulumi:providers:"):
        return str(uuid.uuid5(uuid.NAMESPACE_URL, name)), {}
    if token.startswith("kubernetes:"):
        metadata: Properties = inputs.get("metadata", {})
        # The provider names what has no name after the resource.
        physical = metadata.get("name", f"{name}-{uuid.uuid5(uuid.NAMESPACE_URL, name).hex[:8]}")
        identifier = "/".join(filter(None, [metadata.get("namespace"), physical]))
        return identifier, {"metadata": {"name": physical}}
    region = inputs.get("region", REGION)
    service, kind = token.split(":")[1].partition("/")[0], token.split(":")[2]
    digest = uuid.uuid5(uuid.NAMESPACE_URL, f"{token}/{name}")
    physical = inputs.get("name", name)
    arn = f"arn:aws:{service}:{region}:{ACCOUNT}:{kind.lower()}/{physical}"
    common = {"arn": arn, "name": physical, "region": region}
    match token:
        case "aws:ec2/vpc:Vpc":
            identifier = f"vpc-{digest.hex[:17]}"
            return identifier, {
                **common,
                "arn": f"arn:aws:ec2:{region}:{ACCOUNT}:vpc/{identifier}",
                "ownerId": ACCOUNT,
                "defaultSecurityGroupId": f"sg-{digest.hex[:17]}",
            }
        case "aws:ec2/eip:Eip":
            identifier = f"eipalloc-{digest.hex[:17]}"
            return identifier, {**common, "allocationId": identifier, "publicIp": "203.0.113.10"}
        case "aws:kms/key:Key" | "aws:kms/replicaKey:ReplicaKey":
            return str(digest), {
                **common,
                "keyId": str(digest),
                "arn": f"arn:aws:kms:{region}:{ACCOUNT}:key/{digest}",
            }
        case "aws:iam/role:Role" | "aws:iam/policy:Policy":
            arn = f"arn:aws:iam::{ACCOUNT}:{kind.lower()}/{physical}"
            return (physical if kind == "Role" else arn), {
                **common,
                "arn": arn,
                "uniqueId": digest.hex[:21].upper(),
            }
        case "aws:iam/openIdConnectProvider:OpenIdConnectProvider":
            arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{inputs['url'].removeprefix('https://')}"
            return arn, {**common, "arn": arn}
        case "aws:backup/vault:Vault":
            return physical, {**common, "arn": f"arn:aws:backup:{region}:{ACCOUNT}:backup-vault:{physical}"}
        case "aws:lambda/function:Function":
            return physical, {**common, "arn": f"arn:aws:lambda:{region}:{ACCOUNT}:function:{physical}"}
        case "aws:cloudwatch/logGroup:LogGroup":
            return physical, {**common, "arn": f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{physical}"}
        case "aws:eks/cluster:Cluster":
            authority = base64.b64encode(
                b"-----BEGIN CERTIFICATE-----\nrecorded\n-----END CERTIFICATE-----\n"
            )
            return physical, {
                **common,
                "arn": f"arn:aws:eks:{region}:{ACCOUNT}:cluster/{physical}",
                "endpoint": f"https://{digest.hex.upper()}.gr7.{region}.eks.amazonaws.com",
                "certificateAuthority": {"data": authority.decode()},
                "vpcConfig": {"clusterSecurityGroupId": f"sg-{digest.hex[:17]}"},
                "status": "ACTIVE",
            }
        case "aws:s3/bucket:Bucket":
            bucket = inputs.get("bucket") or f"{inputs.get('bucketPrefix', name)}-{digest.hex[:7]}"
            return bucket, {
                "arn": f"arn:aws:s3:::{bucket}",
                "bucket": bucket,
                "bucketDomainName": f"{bucket}.s3.amazonaws.com",
                "bucketRegionalDomainName": f"{bucket}.s3.{region}.amazonaws.com",
                "region": region,
            }
        case "aws:lb/loadBalancer:LoadBalancer":
            arn = f"arn:aws:elasticloadbalancing:{region}:{ACCOUNT}:loadbalancer/app/{physical}/{digest.hex[:16]}"
            return arn, {
                **common,
                "arn": arn,
                "arnSuffix": arn.partition("loadbalancer/")[2],
                "dnsName": f"{physical}-{digest.int % 10**9}.{region}.elb.amazonaws.com",
                "zoneId": "Z32O12XQLNTSW2",
            }
        case "aws:lb/targetGroup:TargetGroup":
            arn = f"arn:aws:elasticloadbalancing:{region}:{ACCOUNT}:targetgroup/{physical}/{digest.hex[:16]}"
            return arn, {**common, "arn": arn, "arnSuffix": f"targetgroup/{physical}/{digest.hex[:16]}"}
        case "aws:acm/certificate:Certificate":
            arn = f"arn:aws:acm:{region}:{ACCOUNT}:certificate/{digest}"
            domains = [inputs["domainName"], *inputs.get("subjectAlternativeNames", [])]
            return arn, {
                "arn": arn,
                "domainValidationOptions": [
                    {
                        "domainName": domain,
                        "resourceRecordName": f"_{digest.hex}.{domain}.",
                        "resourceRecordType": "CNAME",
                        "resourceRecordValue": f"_{digest.hex[::-1]}.acm-validations.aws.",
                    }
                    for domain in domains
                ],
            }
        case "aws:route53/record:Record":
            return f"{inputs.get('zoneId')}_{physical}_{inputs.get('type')}", {"fqdn": physical.rstrip(".")}
        case "aws:rds/cluster:Cluster":
            identifier = inputs.get("clusterIdentifier", name)
            host = f"cluster-{digest.hex[:12]}.{region}.rds.amazonaws.com"
            return identifier, {
                "arn": f"arn:aws:rds:{region}:{ACCOUNT}:cluster:{identifier}",
                "clusterIdentifier": identifier,
                "clusterResourceId": f"cluster-{digest.hex[:26].upper()}",
                "endpoint": f"{identifier}.{host}",
                "readerEndpoint": f"{identifier}.{host.replace('cluster-', 'cluster-ro-')}",
                "port": 5432,
                "masterUserSecrets": [
                    {
                        "secretArn": f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:rds!cluster-{digest}",
                        "secretStatus": "active",
                        "kmsKeyId": inputs.get("masterUserSecretKmsKeyId", ""),
                    }
                ],
            }
        case "aws:rds/globalCluster:GlobalCluster":
            identifier = inputs["globalClusterIdentifier"]
            return identifier, {
                "arn": f"arn:aws:rds::{ACCOUNT}:global-cluster:{identifier}",
                "endpoint": f"{identifier}.global-{digest.hex[:12]}.global.rds.amazonaws.com",
            }
        case "random:index/randomPassword:RandomPassword":
            password = f"password-{digest.hex}"
            return "none", {"result": password, "bcryptHash": f"$2a$10${digest.hex}{digest.hex[:21]}"}
        case "tls:index/privateKey:PrivateKey":
            return digest.hex, {
                "privateKeyPem": _pem("PRIVATE KEY", digest.hex),
                "privateKeyPemPkcs8": _pem("PRIVATE KEY", digest.hex),
                "publicKeyPem": _pem("PUBLIC KEY", digest.hex),
            }
        case "tls:index/certRequest:CertRequest":
            return digest.hex, {"certRequestPem": _pem("CERTIFICATE REQUEST", digest.hex)}
        case "tls:index/selfSignedCert:SelfSignedCert" | "tls:index/locallySignedCert:LocallySignedCert":
            return digest.hex, {"certPem": _pem("CERTIFICATE", digest.hex)}
        case "pagerduty:index/serviceIntegration:ServiceIntegration":
            return f"P{digest.hex[:6].upper()}", {"integrationKey": f"key-{digest.hex}"}
        case _ if token.startswith("pagerduty:"):
            return f"P{digest.hex[:6].upper()}", {}
        case _:
            return f"{kind.lower()}-{digest.hex[:17]}", common


def _pem(label: str, content: str) -> str:
    return f"-----BEGIN {label}-----\n{content}\n-----END {label}-----\n"
