"""`bootstrap/`: its stack file is valid, covers every stack, and is refused with all its faults at once."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import config as runtime

from operations.environments import EnvironmentName
from operations.pipeline import Purpose
from operations.state import PROJECT, StateFacts
from settings import STATE, SettingsError, load_state, parse_state
from tests.unit.components.recording import ACCOUNT, Recording, record
from tests.unit.stack_configuration import configuration, written

BOOTSTRAP = Path(__file__).parents[3] / "bootstrap"
STACK = "backend"
DOCUMENT: dict[str, Any] = yaml.safe_load((BOOTSTRAP / f"Pulumi.{STACK}.yaml").read_text())["config"]


BUCKET_POLICY_LENGTH = 20 * 1024
"""Bytes. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html"""


def changed(**changes: Any) -> dict[str, Any]:
    group = {key: value for key, value in {**DOCUMENT[STATE], **changes}.items() if value is not None}
    return {**DOCUMENT, STATE: group}


def refused(document: Mapping[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as error:
        parse_state(STACK, configuration(document))
    assert str(error.value).startswith(f"Pulumi.{STACK}.yaml has ")
    return [str(fault) for fault in error.value.faults]


def facts() -> tuple[str, StateFacts]:
    return parse_state(STACK, configuration(DOCUMENT))


def test_the_committed_file_is_valid() -> None:
    region, stated = facts()
    assert (region, stated.recovery_region) == ("eu-west-1", "eu-central-1")


def test_every_stack_has_a_place_and_three_roles_that_no_other_has() -> None:
    _, stated = facts()
    assert list(stated.stacks) == list(EnvironmentName)
    listed = sum(len(access.updates) + len(access.reads) for access in stated.stacks.values())
    assert len(stated.roles) == 3 * len(EnvironmentName) + listed


def test_each_pipeline_writes_records_in_the_zone_of_its_stack() -> None:
    _, stated = facts()
    assert stated.pipeline is not None
    assert stated.pipeline.hosted_zone_ids == {
        stack: written(stack)["quikapp:traffic"]["hostedZoneId"] for stack in EnvironmentName
    }


def test_the_state_is_in_the_region_of_the_stacks_and_copied_to_theirs() -> None:
    region, stated = facts()
    for stack in EnvironmentName:
        config = written(stack)
        assert config["aws:region"] == region
        assert config["quikapp:environment"]["recoveryRegion"] == stated.recovery_region


def test_its_project_is_the_one_that_the_policies_close() -> None:
    assert yaml.safe_load((BOOTSTRAP / "Pulumi.yaml").read_text())["name"] == PROJECT
    assert f"{PROJECT}:{STACK}" == STATE


@pytest.mark.parametrize(
    ("document", "report"),
    [
        ({}, ["aws:region: is missing", f"{STATE}: is missing"]),
        (
            {**DOCUMENT, "aws:region": "europe"},
            ['aws:region = "europe": allowed is the name of an AWS region such as eu-west-1'],
        ),
        (
            {**DOCUMENT, "aws:region": "eu-central-1"},
            [
                f'{STATE}.recoveryRegion = "eu-central-1": is the region of the bucket itself; '
                "the copy must survive the loss of that region"
            ],
        ),
        (
            changed(recoveryRegion="cn-north-1"),
            [
                f'{STATE}.recoveryRegion = "cn-north-1": is of the partition aws-cn; allowed is a region of aws, as eu-west-1 is: '
                "AWS copies nothing from one partition to another "
                "(https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html)"
            ],
        ),
        (
            {key: value for key, value in changed(recoveryRegion="cn-north-1").items() if key == STATE},
            ["aws:region: is missing"],
        ),
        (changed(keptDays=7), [f"{STATE}.keptDays = 7: allowed is at least 30"]),
        (changed(keptDays=3650), [f"{STATE}.keptDays = 3650: allowed is at most 365"]),
        (changed(owner=None), [f"{STATE}.owner: is missing"]),
        (changed(onwer="x"), [f'{STATE}.onwer = "x": is no known key; did you mean owner?']),
        (
            changed(stacks={"prod": {"updates": ["arn:aws:iam::111122223333:role/pipeline"]}}),
            [f'{STATE}.stacks.prod = "prod": is no known value; allowed: dev, qa, uat, staging, live'],
        ),
        (
            changed(pipeline={"repository": "https://github.com/quikapp/operations"}),
            [
                f'{STATE}.pipeline.repository = "https://github.com/quikapp/operations": allowed is owner/name, or '
                "owner@id/name@id with the ids of both, as GitHub writes the repository in its tokens"
            ],
        ),
        (
            changed(pipeline={"repository": "quikapp/operations", "hostedZoneIds": {"live": "live"}}),
            [
                f'{STATE}.pipeline.hostedZoneIds.live = "live": allowed is the id of a Route 53 hosted zone, Z…'
            ],
        ),
        (
            changed(pipeline={"hostedZones": {}}),
            [
                f"{STATE}.pipeline.hostedZones = {{}}: is no known key; did you mean hostedZoneIds?",
                f"{STATE}.pipeline.repository: is missing",
            ],
        ),
        (
            changed(pipeline=None),
            [
                f"{STATE}: stacks.qa names nobody under updates; without a pipeline each stack takes at least 1"
            ],
        ),
        (
            changed(bucket="State", administrators=[]),
            [
                f"{STATE}.administrators = []: takes at least 1",
                f'{STATE}.bucket = "State": allowed is how the buckets\' names begin, in lower case: '
                "letters, digits and inner hyphens",
            ],
        ),
        (
            {**DOCUMENT, f"{PROJECT}:bakend": "x"},
            [f"{PROJECT}:bakend: is no known key; did you mean backend?"],
        ),
    ],
)
def test_a_bad_file_is_refused_with_all_its_faults(document: dict[str, Any], report: list[str]) -> None:
    assert refused(document) == report


def run(monkeypatch: pytest.MonkeyPatch, document: Mapping[str, Any]) -> Recording[Any]:
    monkeypatch.setattr(runtime, "get_config_env", lambda: configuration(document))
    monkeypatch.setattr(pulumi, "get_stack", lambda: STACK)
    return record(lambda: runpy.run_path(str(BOOTSTRAP / "__main__.py"), run_name="__main__"))


def test_the_program_declares_what_the_file_says_and_tells_where_to_log_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = run(monkeypatch, DOCUMENT)
    assert {bucket.inputs.get("bucket") for bucket in made.of("aws:s3/bucket:Bucket")} == {
        None,  # the logs', which are named by AWS
        "quikapp-state-example-eu-west-1",
        "quikapp-state-example-eu-central-1",
    }
    assert made.stack_outputs["login"] == "s3://quikapp-state-example-eu-west-1"
    assert made.stack_outputs["recoveryLogin"] == "s3://quikapp-state-example-eu-central-1"
    assert set(made.stack_outputs["secretsProviders"]) == set(EnvironmentName)
    made.assert_tagged({"Application": "quikapp", "Owner": "platform", "CostCenter": "quikapp-operations"})

    # Who signs in, and to what, is told for the variables of GitHub's environments.
    assert made.stack_outputs["roles"]["live"] == {
        purpose: f"arn:aws:iam::{ACCOUNT}:role/quikapp-live-{purpose}" for purpose in Purpose
    }
    assert made.stack_outputs["permissionsBoundaries"]["live"] == (
        f"arn:aws:iam::{ACCOUNT}:policy/quikapp-live-boundary"
    )
    assert {*made.stack_outputs["roles"], *made.stack_outputs["permissionsBoundaries"]} == set(
        EnvironmentName
    )

    # A policy names roles that are there, or AWS refuses it.
    roles = {role.urn for role in made.of("aws:iam/role:Role") if role.name.startswith("quikapp-")}
    assert len(roles) == 3 * len(EnvironmentName)
    naming = [item for item in made.resources if "quikapp-live-deploy" in str(item.inputs.get("policy"))]
    assert len(naming) == 6  # of both buckets, of their keys, and of the secrets' key and its replica
    assert all(roles <= policy.dependencies for policy in naming)
    assert all(
        len(policy.inputs["policy"]) <= BUCKET_POLICY_LENGTH
        for policy in made.of("aws:s3/bucketPolicy:BucketPolicy")
    )
    made.close()


def test_without_a_pipeline_nobody_is_declared_and_whoever_is_listed_updates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = "arn:aws:iam::111122223333:role/pipeline"
    made = run(monkeypatch, changed(pipeline=None, stacks={"live": {"updates": [pipeline]}}))
    assert [role.name for role in made.of("aws:iam/role:Role")] == ["state-replication"]
    assert not made.of("aws:iam/openIdConnectProvider:OpenIdConnectProvider")
    assert not made.of("aws:iam/policy:Policy")
    assert "roles" not in made.stack_outputs
    assert pipeline in made.one("aws:kms/key:Key", "state-secrets-key").inputs["policy"]
    made.close()


def test_the_program_reads_its_settings_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "get_config_env", lambda: configuration(DOCUMENT))
    monkeypatch.setattr(pulumi, "get_stack", lambda: STACK)
    assert load_state() == facts()
    assert "pulumi.Config" not in (BOOTSTRAP / "__main__.py").read_text()


def test_each_stack_file_names_the_boundary_and_the_roles_of_its_pipeline() -> None:
    _, stated = facts()
    for stack in EnvironmentName:
        file = written(stack)
        assert file["quikapp:environment"]["permissionsBoundary"] == stated.boundary_arn(stack)
        roles = {stated.role_arn(stack, purpose) for purpose in Purpose}
        assert roles <= set(file["quikapp:cluster"]["administrators"])
