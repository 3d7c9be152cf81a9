"""The home of Pulumi's state: what its stack file may say, and the names that follow from it."""

from fnmatch import fnmatchcase
from typing import Any

import pytest
from pydantic import ValidationError

from operations.environments import EnvironmentName
from operations.limits import BUCKET_NAME_LENGTH
from operations.pipeline import PipelineFacts, Purpose
from operations.state import (
    PROJECT,
    StackAccess,
    StateFacts,
    breaches,
    login_url,
    project_keys,
    secrets_provider,
    stack_keys,
)

PIPELINE = PipelineFacts(repository="quikapp/operations")


def role(name: str, account: str = "111122223333") -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def facts(**changes: Any) -> StateFacts:
    stated: dict[str, Any] = {
        "bucket": "quikapp-state",
        "recovery_region": "eu-central-1",
        "administrators": (role("administrator"),),
        "stacks": {EnvironmentName.LIVE: StackAccess(updates=(role("pipeline"),), reads=(role("drift"),))},
        "kept_days": 90,
        "owner": "platform",
        "cost_center": "operations",
    }
    return StateFacts(**{**stated, **changes})


def refusal(**changes: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        facts(**changes)
    return str(refused.value)


@pytest.mark.parametrize("bucket", ["Quikapp", "quikapp_state", "-quikapp", "quikapp-", "", "quikapp.state"])
def test_a_bucket_is_named_as_s3_allows(bucket: str) -> None:
    assert "letters, digits and inner hyphens" in refusal(bucket=bucket)


def test_a_buckets_name_leaves_room_for_the_longest_region() -> None:
    longest = "q" * 48
    assert len(facts(bucket=longest).bucket_name("ap-northeast-1")) == BUCKET_NAME_LENGTH.value
    assert "49 characters long; allowed are 48" in refusal(bucket=f"{longest}q")


@pytest.mark.parametrize("days", [29, 366, 0, -1])
def test_versions_are_kept_for_a_month_at_least_and_locked_for_a_year_at_most(days: int) -> None:
    assert "kept_days" in refusal(kept_days=days)


@pytest.mark.parametrize("days", [30, 365])
def test_the_bounds_themselves_are_taken(days: int) -> None:
    assert facts(kept_days=days).kept_days == days


def test_somebody_administers_it_and_some_stack_is_kept_there() -> None:
    assert "administrators" in refusal(administrators=())
    assert "stacks" in refusal(stacks={})


def test_without_a_pipeline_somebody_updates_each_stack() -> None:
    nobody = {EnvironmentName.LIVE: StackAccess(reads=(role("drift"),))}
    assert (
        "stacks.live names nobody under updates; without a pipeline each stack takes at least 1"
        in refusal(stacks=nobody)
    )
    assert facts(stacks=nobody, pipeline=PIPELINE).updaters(EnvironmentName.LIVE)


def test_the_roles_of_the_pipeline_use_the_state_of_their_stack_without_being_listed() -> None:
    made = facts(pipeline=PIPELINE)
    assert made.updaters(EnvironmentName.LIVE) == (role("quikapp-live-deploy"), role("pipeline"))
    assert made.readers(EnvironmentName.LIVE) == (
        role("quikapp-live-preview"),
        role("quikapp-live-drift"),
        role("drift"),
    )
    assert set(made.roles) == {*made.updaters(EnvironmentName.LIVE), *made.readers(EnvironmentName.LIVE)}
    assert facts().roles == (role("pipeline"), role("drift"))


def test_a_role_of_the_pipeline_is_not_listed_as_well() -> None:
    twice = {EnvironmentName.LIVE: StackAccess(reads=(role("quikapp-live-drift"),))}
    assert (
        f"stacks.live names {role('quikapp-live-drift')} twice; one way to use a stack is enough, and the roles of the "
        "pipeline are named by themselves"
    ) in refusal(stacks=twice, pipeline=PIPELINE)


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("hostedZoneIds", PipelineFacts(repository="a/b", hosted_zone_ids={EnvironmentName.DEV: "Z0DEV"})),
        ("regions", PipelineFacts(repository="a/b", regions={EnvironmentName.DEV: ("eu-west-1",)})),
    ],
)
def test_a_pipeline_knows_the_stacks_that_there_are(key: str, named: PipelineFacts) -> None:
    assert f"pipeline.{key} names dev, which is none of stacks; allowed: live" in refusal(pipeline=named)


def test_a_stack_is_in_the_regions_of_the_state_unless_it_says_otherwise() -> None:
    assert facts(pipeline=PIPELINE).regions_of(EnvironmentName.LIVE, "eu-west-1") == (
        "eu-west-1",
        "eu-central-1",
    )
    elsewhere = PipelineFacts(repository="a/b", regions={EnvironmentName.LIVE: ("us-east-1", "us-west-2")})
    assert facts(pipeline=elsewhere).regions_of(EnvironmentName.LIVE, "eu-west-1") == (
        "us-east-1",
        "us-west-2",
    )


def test_arns_are_in_the_partition_of_the_administrators() -> None:
    china = "arn:aws-cn:iam::111122223333:role/administrator"
    made = facts(administrators=(china,), pipeline=PIPELINE, stacks={EnvironmentName.LIVE: StackAccess()})
    assert made.role_arn(EnvironmentName.LIVE, Purpose.DEPLOY) == (
        "arn:aws-cn:iam::111122223333:role/quikapp-live-deploy"
    )
    assert made.boundary_arn(EnvironmentName.LIVE) == (
        "arn:aws-cn:iam::111122223333:policy/quikapp-live-boundary"
    )


def test_an_unknown_stack_is_refused() -> None:
    assert "stacks" in refusal(stacks={"prod": StackAccess(updates=(role("pipeline"),))})


def test_a_key_policy_names_one_account_so_all_principals_are_of_one() -> None:
    other = {EnvironmentName.LIVE: StackAccess(updates=(role("pipeline", "444455556666"),))}
    assert (
        "names principals of the accounts 111122223333 and 444455556666; allowed is one account"
        in refusal(stacks=other)
    )


@pytest.mark.parametrize(
    ("twice", "why"),
    [("pipeline", "one way to use a stack is enough"), ("administrator", "may use every stack anyway")],
)
def test_a_principal_of_a_stack_is_named_once(twice: str, why: str) -> None:
    access = StackAccess(updates=(role("pipeline"),), reads=(role(twice),))
    told = refusal(stacks={EnvironmentName.LIVE: access})
    assert f"stacks.live names {role(twice)} twice" in told
    assert why in told


def test_one_pipeline_may_update_several_stacks_and_is_listed_once() -> None:
    access = StackAccess(updates=(role("pipeline"),))
    made = facts(stacks={EnvironmentName.DEV: access, EnvironmentName.QA: access})
    assert made.roles == (role("pipeline"),)
    assert made.principals == (role("administrator"), role("pipeline"))


def test_a_copy_in_the_region_of_the_bucket_survives_nothing() -> None:
    assert [str(fault) for fault in breaches("eu-central-1", facts())] == [
        'quikapp-state:backend.recoveryRegion = "eu-central-1": is the region of the bucket itself; '
        "the copy must survive the loss of that region"
    ]
    assert not list(breaches("eu-west-1", facts()))


def test_a_copy_in_another_partition_of_aws_is_never_made() -> None:
    assert [str(fault) for fault in breaches("us-gov-west-1", facts())] == [
        'quikapp-state:backend.recoveryRegion = "eu-central-1": is of the partition aws; allowed is a region of aws-us-gov, '
        "as us-gov-west-1 is: AWS copies nothing from one partition to another "
        "(https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html)"
    ]
    assert not list(breaches("us-gov-west-1", facts(recovery_region="us-gov-east-1")))


@pytest.mark.parametrize(
    "key",
    [
        ".pulumi/stacks/quikapp/live.json",
        ".pulumi/stacks/quikapp/live.json.bak",
        ".pulumi/stacks/quikapp/live.json.gz",
        ".pulumi/stacks/quikapp/live.pulumi-tags",
        ".pulumi/history/quikapp/live/live-1.checkpoint.json",
        ".pulumi/backups/quikapp/live/live.1.json",
        ".pulumi/locks/organization/quikapp/live/1.json",
    ],
)
def test_the_keys_of_a_stack_are_all_its_own_and_no_other_stacks(key: str) -> None:
    def covers(stack: str, key: str) -> bool:
        return any(fnmatchcase(key, pattern) for pattern in stack_keys(stack))

    assert covers("live", key)
    for other in set(EnvironmentName) - {EnvironmentName.LIVE}:
        assert not covers(other, key)
        assert not covers("live", key.replace("live", other))
    assert not fnmatchcase(key, project_keys(PROJECT))
    assert fnmatchcase(key.replace("quikapp", PROJECT), project_keys(PROJECT))


def test_addresses_name_no_region_that_may_be_lost() -> None:
    assert login_url("quikapp-state-eu-west-1") == "s3://quikapp-state-eu-west-1"
    assert secrets_provider("alias/x", "live") == "awskms://alias/x?context_stack=live"
