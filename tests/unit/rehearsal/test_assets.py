"""Assets pass through the SDK with their hashes, whether the engine sends them with contents or without."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from rehearsal.providers.assets import ARCHIVE, ASSET, SIGNATURE, unwrap, wrap
from rehearsal.providers.recorder import Recorder
from rehearsal.providers.schema import Schema
from rehearsal.providers.server import listening

URN = "urn:pulumi:live::quikapp::aws:lambda/function:Function::report"
ROLE = "arn:aws:iam::123456789012:role/report"


def text(content: str) -> dict[str, Any]:
    """A text asset as the engine sends it."""
    return {SIGNATURE: ASSET, "hash": f"hash of {content}", "text": content}


def archive(content: str) -> dict[str, Any]:
    """An archive of one text asset as the engine sends it, with all its contents."""
    return {SIGNATURE: ARCHIVE, "hash": f"archive of {content}", "assets": {"handler.py": text(content)}}


def elided(content: str) -> dict[str, Any]:
    """The same archive, as the engine sends it to be compared."""
    return {SIGNATURE: ARCHIVE, "hash": f"archive of {content}"}


def function(code: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update({"role": ROLE, "name": "report", "code": code})
    return made


def asked(call: str, request: Any) -> Any:
    """What the recorder answers over the wire."""

    async def over_the_wire() -> Any:
        server, port = listening(Recorder(Schema("aws"), {}), version="1.0.0", engine="127.0.0.1:1")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                return await getattr(provider_pb2_grpc.ResourceProviderStub(channel), call)(request)
        finally:
            await server.stop(None)

    return asyncio.run(over_the_wire())


def compared(old: str, new: str) -> provider_pb2.DiffResponse:
    return asked(
        "Diff",
        provider_pb2.DiffRequest(
            urn=URN,
            id="report",
            olds=function(elided(old)),
            old_inputs=function(elided(old)),
            news=function(elided(new)),
        ),
    )


@pytest.mark.parametrize("whole", [text("one"), archive("one"), elided("one")])
def test_whatever_is_said_of_an_asset_comes_back_wherever_it_stands(whole: dict[str, Any]) -> None:
    secret = {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "value": whole}
    given = struct_pb2.Struct()
    given.update({"code": whole, "nested": {"list": [1, whole]}, "secret": secret, "name": "report"})
    request = provider_pb2.CreateRequest(urn=URN, properties=given)
    wrap(request)
    carried = PropertyValue.marshal_map(PropertyValue.unmarshal_map(request.properties))
    response = provider_pb2.CreateResponse(id="report", properties=carried)
    unwrap(response)
    assert json_format.MessageToDict(response.properties) == json_format.MessageToDict(given)
    assert response.id == "report"


def test_a_function_is_recorded_with_its_code_and_the_hash_of_it() -> None:
    checked = asked("Check", provider_pb2.CheckRequest(urn=URN, news=function(archive("one"))))
    assert not checked.failures
    made = asked("Create", provider_pb2.CreateRequest(urn=URN, properties=checked.inputs))
    for recorded in (checked.inputs, made.properties):
        assert json_format.MessageToDict(recorded)["code"] == archive("one")


def test_other_code_is_another_hash_and_changes_the_function() -> None:
    changed = compared("one", "two")
    assert changed.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(changed.diffs) == ["code"]
    assert not changed.replaces


def test_the_same_hash_changes_nothing() -> None:
    assert compared("one", "one").changes == provider_pb2.DiffResponse.DIFF_NONE


def test_new_code_takes_the_place_of_what_was_a_hash_alone() -> None:
    updated = asked(
        "Update",
        provider_pb2.UpdateRequest(
            urn=URN, id="report", olds=function(elided("one")), news=function(archive("two"))
        ),
    )
    assert json_format.MessageToDict(updated.properties)["code"] == archive("two")
