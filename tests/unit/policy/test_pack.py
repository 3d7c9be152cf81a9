"""The pack as the engine starts it, asked what the engine asks."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc

from operations.guardrails import POLICY_PACK
from policy.rules import RULES
from tests.unit.policy.cases import BUCKET, CONFIG_MAP, DEPLOYMENT, SLACK, pod
from tests.unit.stack_configuration import ROOT

UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How the engine writes a text that it does not know yet."""


def _secret(value: object) -> dict[str, object]:
    """How the engine writes a secret."""
    return {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": value}


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    """The pack in a process of its own, as the engine's distribution starts it: it tells its port, and answers there."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:0", "."],
        cwd=ROOT / POLICY_PACK,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
    finally:
        process.kill()
        process.communicate()


def _asked(token: str, inputs: dict[str, Any], name: str = "thing") -> dict[str, Any]:
    properties = struct_pb2.Struct()
    json_format.ParseDict(inputs, properties)
    urn = f"urn:pulumi:live::quikapp::{token}::{name}"
    return {"urn": urn, "type": token, "name": name, "properties": properties}


def _told(engine: Any, token: str, inputs: dict[str, Any]) -> dict[str, str]:
    answer = engine.Analyze(proto.AnalyzeRequest(**_asked(token, inputs)))
    assert all(each.enforcementLevel == proto.MANDATORY for each in answer.diagnostics)
    return {each.policyName: each.message for each in answer.diagnostics}


def test_it_has_every_rule_and_each_is_mandatory_unless_the_configuration_says_otherwise(engine: Any) -> None:
    info = engine.GetAnalyzerInfo(empty_pb2.Empty())
    assert [(found.name, found.description) for found in info.policies] == [
        (rule.name, rule.description) for rule in RULES
    ]
    assert {found.enforcementLevel for found in info.policies} == {proto.MANDATORY}


def test_a_rule_is_told_which_values_are_secret(engine: Any) -> None:
    assert _told(engine, CONFIG_MAP, {"data": {"bot": _secret(SLACK)}}) == {}
    told = _told(engine, CONFIG_MAP, {"data": {"bot": SLACK}})
    assert told.keys() == {"no-plaintext-secrets"}
    assert SLACK not in told["no-plaintext-secrets"]


def test_what_is_not_known_yet_is_not_judged_and_hides_nothing_else(engine: Any) -> None:
    inputs = pod({"image": UNKNOWN_TEXT})
    assert _told(engine, DEPLOYMENT, inputs) == {}
    inputs["spec"]["template"]["spec"]["hostPID"] = True
    assert _told(engine, DEPLOYMENT, inputs).keys() == {"pod-security"}


def test_a_rule_of_the_whole_stack_sees_who_takes_whose_outputs(engine: Any) -> None:
    bucket = proto.AnalyzerResource(**_asked(BUCKET, {}))
    encryption = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    beside = proto.AnalyzerResource(**_asked(encryption, {}), dependencies=[bucket.urn])
    answer = engine.AnalyzeStack(proto.AnalyzeStackRequest(resources=[bucket, beside]))
    missing = [each.message for each in answer.diagnostics if each.policyName == "complete-buckets"]
    assert len(missing) == 2
    assert {each.urn for each in answer.diagnostics} == {bucket.urn}
