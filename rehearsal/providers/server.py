"""Serves a provider to the engine: what the SDK's own server leaves out, added.

``pulumi.provider.experimental.server`` has every call. Three things differ here: ``Diff`` also hands over the old
inputs, a refusal reaches the engine as a plain message instead of a traceback, and the engine's address is given
instead of read from the command line.
"""

import asyncio
import contextlib
import sys
from typing import Any

import grpc
import grpc.aio
from pulumi.provider.experimental.provider import Provider
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

OLD_INPUTS = "__inputs"
"""Where ``DiffRequest.old_state`` holds the old inputs, beside the old outputs."""

_MESSAGE_BYTES = 400 * 1024 * 1024


def type_token(urn: str) -> str:
    """The type of the resource itself: ``aws:kms/key:Key``, without the types of the components that it is in."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


class RefusalError(Exception):
    """A call that the provider will not do, with the sentence that a person should read."""


class Servicer(ProviderServicer):
    """The SDK's servicer with the old inputs in ``Diff`` and readable refusals in ``Read``."""

    async def Diff(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        request.olds.fields[OLD_INPUTS].struct_value.CopyFrom(request.old_inputs)
        return await super().Diff(request, context)

    async def Read(self, request: provider_pb2.ReadRequest, context: Any) -> provider_pb2.ReadResponse:
        try:
            # The SDK leaves the parameters of this one method without types.
            return await super().Read(request, context)  # pyright: ignore[reportUnknownMemberType]
        except RefusalError as refusal:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(refusal))
            raise


def serve(provider: Provider, *, version: str, engine: str) -> None:
    """Serves until the engine ends the process; prints the port first, as the engine expects of a plugin."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(provider, version, engine))


async def _serve(provider: Provider, version: str, engine: str) -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", _MESSAGE_BYTES)])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer([], version, provider, engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()
