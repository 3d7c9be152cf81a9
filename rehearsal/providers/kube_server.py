"""Serves a provider to the engine, and says to it what the SDK's experimental server does not.

Three things are added to `pulumi.provider.experimental`: an error reaches the engine as its message alone; an object
that exists but did not become ready is kept in the state; a comparison gets the inputs of the old resource.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn, cast

import grpc
import grpc.aio
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import Provider
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc, status_pb2

MESSAGE_BYTES = 400 * 1024 * 1024
"""The largest message, as the engine's own limit."""

_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
]


class Refusal(Exception):
    """An operation failed; the message is what a person reads, and all that is read."""


class NotReady(Refusal):
    """The object was made or changed, and is to be kept in the state, but did not become ready.

    Attributes:
        resource_id: its identifier.
        properties: its outputs.
        reasons: what is missing, each in one line.
    """

    def __init__(
        self, resource_id: str, properties: Mapping[str, PropertyValue], reasons: Sequence[str]
    ) -> None:
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


class _Servicer(ProviderServicer):
    async def Diff(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        # Inputs are compared with inputs. The base class hands on the old outputs only.
        with_inputs = provider_pb2.DiffRequest()
        with_inputs.CopyFrom(request)
        with_inputs.olds.CopyFrom(request.old_inputs)
        return await super().Diff(with_inputs, context)


class _Clearly(grpc.aio.ServerInterceptor):
    """Turns what a provider raises into the status that the engine understands."""

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
            try:
                return await serve(request, context)
            except Refusal as refusal:
                await _abort(context, refusal)

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


def serve(version: str, provider: Callable[[EngineLog], Provider]) -> None:
    """Serve one provider until the engine ends it: print the port, as the engine expects of a plugin.

    Args:
        version: the version that the plugin says it has, that of the SDK whose tokens it serves.
        provider: makes the provider, given a way to tell a person something.
    """
    parser = argparse.ArgumentParser(description="A Pulumi provider plugin; the engine starts it.")
    parser.add_argument("engine", help="address of the engine")
    engine: str = parser.parse_known_args()[0].engine

    async def run() -> None:
        server = grpc.aio.server(interceptors=[_Clearly()], options=_OPTIONS)
        servicer = _Servicer([], version, provider(EngineLog(engine)), engine)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await server.wait_for_termination()

    asyncio.run(run())
