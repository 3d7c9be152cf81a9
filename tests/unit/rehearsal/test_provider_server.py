"""What the server of the providers adds to the SDK's: old inputs, plain refusals, changes of configuration."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CreateRequest,
    CreateResponse,
    DiffRequest,
    DiffResponse,
    PropertyDiff,
    PropertyDiffKind,
    Provider,
)
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from rehearsal.providers.server import (
    NotReady,
    Refusal,
    Servicer,
    listening,
    old_inputs,
    old_outputs,
    type_token,
)
from rehearsal.providers.values import Values

URN = "urn:pulumi:live::quikapp::quikapp:network:Network$aws:ec2/vpc:Vpc::main"


class Stub(Provider):
    """Says what it is told to say, and remembers what it was asked to compare."""

    def __init__(self, configuration: DiffResponse | None = None, refusal: Refusal | None = None) -> None:
        self.configuration = configuration
        self.refusal = refusal
        self.compared: tuple[Values, Values] | None = None

    async def diff_config(self, request: DiffRequest) -> DiffResponse:
        return self.configuration or await super().diff_config(request)

    async def diff(self, request: DiffRequest) -> DiffResponse:
        self.compared = old_inputs(request), old_outputs(request)
        return DiffResponse()

    async def create(self, request: CreateRequest) -> CreateResponse:
        raise self.refusal or AssertionError(f"{request.urn} was to be refused")


def diff_request(inputs: Values, outputs: Values) -> provider_pb2.DiffRequest:
    return provider_pb2.DiffRequest(
        urn=URN,
        old_inputs=PropertyValue.marshal_map(dict(inputs)),
        olds=PropertyValue.marshal_map(dict(outputs)),
    )


def created(refusal: Refusal) -> grpc.aio.AioRpcError:
    """What the engine is told when a creation is refused."""

    async def call() -> grpc.aio.AioRpcError:
        server, port = listening(Stub(refusal=refusal), version="1.0.0", engine="127.0.0.1:1")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                engine: Any = provider_pb2_grpc.ResourceProviderStub(channel)
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await engine.Create(provider_pb2.CreateRequest(urn=URN))
        finally:
            await server.stop(None)
        return caught.value

    return asyncio.run(call())


def test_a_comparison_gets_the_old_inputs_and_the_old_outputs() -> None:
    provider = Stub()
    inputs = {"cidrBlock": PropertyValue("10.0.0.0/16").with_secret(True)}
    outputs = {**inputs, "arn": PropertyValue("arn:vpc")}
    asyncio.run(Servicer([], "1.0.0", provider, "").Diff(diff_request(inputs, outputs), None))
    assert provider.compared == (inputs, outputs)


def test_a_comparison_of_a_resource_without_inputs_gets_none() -> None:
    provider = Stub()
    asyncio.run(Servicer([], "1.0.0", provider, "").Diff(diff_request({}, {}), None))
    assert provider.compared == ({}, {})


@pytest.mark.parametrize(
    ("changes", "heard"),
    [
        (True, provider_pb2.DiffResponse.DIFF_SOME),
        (False, provider_pb2.DiffResponse.DIFF_NONE),
        (None, provider_pb2.DiffResponse.DIFF_UNKNOWN),
    ],
)
def test_what_is_said_of_a_configuration_is_what_the_engine_hears(
    changes: bool | None, heard: provider_pb2.DiffResponse.DiffChanges.ValueType
) -> None:
    moved = {"region": PropertyDiff(PropertyDiffKind.UPDATE_REPLACE, input_diff=True)}
    provider = Stub(configuration=DiffResponse(changes=changes, replaces=["region"], detailed_diff=moved))
    response = asyncio.run(Servicer([], "1.0.0", provider, "").DiffConfig(diff_request({}, {}), None))
    assert response.changes == heard
    assert list(response.replaces) == ["region"]
    assert response.detailedDiff["region"].kind == provider_pb2.PropertyDiff.UPDATE_REPLACE


def test_a_refusal_reaches_the_engine_as_its_message_alone() -> None:
    assert created(Refusal("it would ask a real account")).details() == "it would ask a real account"


def test_an_object_that_is_not_ready_reaches_the_engine_with_its_state() -> None:
    properties = {"password": PropertyValue("hunter2").with_secret(True)}
    refused = created(NotReady("green/web", properties, ["no pod", "no node"]))
    assert refused.details() == "no pod; no node"
    sent = dict(refused.trailing_metadata())["grpc-status-details-bin"]
    assert isinstance(sent, bytes)
    status = status_pb2.Status.FromString(sent)
    failed = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(failed)
    assert (failed.id, list(failed.reasons)) == ("green/web", ["no pod", "no node"])
    assert PropertyValue.unmarshal_map(failed.properties) == properties


def test_the_type_of_a_resource_is_its_own_without_those_of_the_components_around_it() -> None:
    assert type_token(URN) == "aws:ec2/vpc:Vpc"
