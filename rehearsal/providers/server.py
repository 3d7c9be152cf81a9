"""Serves a provider to the engine: `pulumi.provider.experimental`, and what the server of the SDK leaves out.

A comparison gets the old inputs beside the old outputs. An asset keeps its hash. What a provider refuses reaches the
engine as its message alone, without a traceback. An object that exists but did not become ready is kept in the state.
What is said of a change of configuration is what the engine hears.
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, cast

import grpc
import grpc.aio
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import DiffRequest, DiffResponse, Provider
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc, status_pb2

from rehearsal.providers.assets import unwrap, wrap
from rehearsal.providers.values import Values, members

OLD_INPUTS = "__inputs"
"""Where ``DiffRequest.old_state`` holds the old inputs, beside the old outputs."""

_MESSAGE_BYTES = 400 * 1024 * 1024
"""The largest message, as the engine's own limit."""


def type_token(urn: str) -> str:
    """The type of the resource itself: ``aws:kms/key:Key``, without the types of the components that it is in."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def old_inputs(request: DiffRequest) -> Values:
    """The inputs that the resource has now."""
    return members(request.old_state[OLD_INPUTS]) or {}


def old_outputs(request: DiffRequest) -> Values:
    """The outputs that the resource has now."""
    return {name: value for name, value in request.old_state.items() if name != OLD_INPUTS}


class Refusal(Exception):
    """An operation failed, or is none of the provider's; the message is what a person reads, and all that is read."""


class NotReady(Refusal):
    """The object was made or changed, and is to be kept in the state, but did not become ready.

    Attributes:
        resource_id: its identifier.
        properties: its outputs.
        reasons: what is missing, each in one line.
    """

    def __init__(self, resource_id: str, properties: Values, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.resource_id = resource_id
        self.properties = dict(properties)
        self.reasons = list(reasons)


class EngineLog:
    """Messages to the person at the engine, each shown beside its resource. Safe to use from many threads."""

    def __init__(self, address: str) -> None:
        engine: Any = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))
        self._log: Callable[[engine_pb2.LogRequest], object] = engine.Log

    def warn(self, urn: str, message: str) -> None:
        """A warning that stays."""
        self._log(engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=message, urn=urn))

    def progress(self, urn: str, message: str) -> None:
        """What is being waited for; the next one takes its place, an empty one ends it."""
        self._log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, urn=urn, ephemeral=True))


class Servicer(ProviderServicer):
    """The SDK's servicer, with the old inputs in ``Diff`` and an answer to ``DiffConfig`` that the engine can read."""

    async def Diff(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        request.olds.fields[OLD_INPUTS].struct_value.CopyFrom(request.old_inputs)
        return await super().Diff(request, context)

    async def DiffConfig(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        # The SDK's own answer has a truth value for an enumeration, in which 1 says that nothing changed, and fails on
        # detailed differences. Its answer to Diff is of the same form, and right.
        configuration = _Configuration(self._provider)
        servicer = ProviderServicer([], self._version, configuration, self._engine_address)
        return await servicer.Diff(request, context)


class _Configuration(Provider):
    """A provider's configuration, compared as if it were a resource."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def diff(self, request: DiffRequest) -> DiffResponse:
        return await self._provider.diff_config(request)


class _Clearly(grpc.aio.ServerInterceptor):
    """Turns what a provider refuses into the status that the engine understands, and loses nothing of an asset."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        serve: Callable[[Any, Any], Awaitable[Any]] = handler.unary_unary

        async def served(request: Any, context: Any) -> Any:
            wrap(request)
            try:
                response = await serve(request, context)
            except Refusal as refusal:
                await _abort(context, refusal)
            unwrap(response)
            return response

        return grpc.unary_unary_rpc_method_handler(
            cast(Any, served),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


async def _abort(context: Any, refusal: Refusal) -> NoReturn:
    details: tuple[tuple[str, bytes], ...] = ()
    if isinstance(refusal, NotReady):
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(refusal))
        status.details.add().Pack(
            provider_pb2.ErrorResourceInitFailed(
                id=refusal.resource_id,
                properties=PropertyValue.marshal_map(refusal.properties),
                reasons=refusal.reasons,
            )
        )
        details = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(grpc.StatusCode.UNKNOWN, str(refusal), details)
    raise AssertionError("abort raises")


def listening(provider: Provider, *, version: str, engine: str) -> tuple[grpc.aio.Server, int]:
    """A server of a provider, to be started, and its port; see `serve`."""
    limits = [(f"grpc.max_{way}_message_length", _MESSAGE_BYTES) for way in ("receive", "send")]
    server = grpc.aio.server(interceptors=[_Clearly()], options=limits)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer([], version, provider, engine), server)
    return server, server.add_insecure_port("127.0.0.1:0")


def serve(provider: Provider, *, version: str, engine: str) -> None:
    """Serves until the engine ends the process; prints the port first, as the engine expects of a plugin.

    Args:
        provider: what is served.
        version: the version that the plugin says it has, that of the SDK whose tokens it serves.
        engine: the engine's address.
    """

    async def run() -> None:
        server, port = listening(provider, version=version, engine=engine)
        await server.start()
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await server.wait_for_termination()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
