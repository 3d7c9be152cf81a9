"""The home of Pulumi's state: locked, copied, and closed to everybody whom the stack file does not name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.state_backend import ACCESS_LOG_DAYS, REPLICATION_RULE, StateBackend, StateBackendArgs
from operations.environments import EnvironmentName
from operations.state import StackAccess, StateFacts
from tests.unit.components.policy_decisions import Request, is_allowed, role_may
from tests.unit.components.recording import ACCOUNT, Recording, Resource, record

HOME, RECOVERY = "eu-west-1", "eu-central-1"
REGIONS = {"home": HOME, "recovery": RECOVERY}
TAGS = {"owner": "platform"}
BUCKET = "aws:s3/bucket:Bucket"
KEY = "aws:kms/key:Key"

every_site = pytest.mark.parametrize("site", REGIONS)


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


ADMINISTRATOR, STRANGER = role("administrator"), role("stranger")
REPLICATION = role("quikapp-state-test-replication")
FACTS = StateFacts(
    bucket="quikapp-state-test",
    recovery_region=RECOVERY,
    administrators=(ADMINISTRATOR,),
    stacks={
        name: StackAccess(updates=(role(f"{name}-pipeline"),), reads=(role(f"{name}-drift"),))
        for name in (EnvironmentName.DEV, EnvironmentName.LIVE)
    },
    kept_days=90,
    owner="platform",
    cost_center="operations",
)
LIVE, LIVE_READER, DEV = role("live-pipeline"), role("live-drift"), role("dev-pipeline")
STATE_OF_LIVE = (
    ".pulumi/stacks/quikapp/live.json",
    ".pulumi/stacks/quikapp/live.json.bak",
    ".pulumi/stacks/quikapp-rollout/live.json",
    ".pulumi/history/quikapp/live/live-1790000000000000000.history.json",
    ".pulumi/backups/quikapp/live/live.1790000000000000000.json",
    ".pulumi/locks/organization/quikapp/live/0b2e.json",
)


@pytest.fixture(scope="module")
def made() -> Iterator[Recording[StateBackend]]:
    """The home of the state, recorded once: no test here changes it."""
    recorded = record(lambda: StateBackend("state", StateBackendArgs(facts=FACTS, region=HOME, tags=TAGS)))
    yield recorded
    recorded.close()


def part(made: Recording[StateBackend], kind: str, site: str) -> Resource:
    """What a state bucket has of a kind, and not the bucket of its log."""
    name = kind[0].lower() + kind[1:]
    found = [
        resource
        for resource in made.of(f"aws:s3/{name}:{kind}")
        if resource.parent.endswith(f"::state-{site}")
    ]
    assert len(found) == 1
    return found[0]


def lets(
    made: Recording[StateBackend], site: str, principal: str, action: str, key: str | None, **rest: Any
) -> bool:
    bucket = part(made, "Bucket", site).outputs["arn"]
    resource = bucket if key is None else f"{bucket}/{key}"
    request = Request(principal=principal, action=action, resource=resource, **rest)
    return is_allowed(part(made, "BucketPolicy", site).inputs["policy"], request)


# --- what is kept --------------------------------------------------------------------------------------------------


@every_site
def test_no_version_of_the_state_goes_before_its_days_are_over(
    made: Recording[StateBackend], site: str
) -> None:
    assert part(made, "Bucket", site).inputs["objectLockEnabled"] is True
    assert part(made, "BucketObjectLockConfiguration", site).inputs["rule"] == {
        "defaultRetention": {"mode": "COMPLIANCE", "days": 90}
    }
    assert part(made, "BucketVersioning", site).inputs["versioningConfiguration"] == {"status": "Enabled"}


@every_site
def test_a_superseded_version_is_kept_as_long_as_it_is_locked_and_then_goes(
    made: Recording[StateBackend], site: str
) -> None:
    lifecycle = part(made, "BucketLifecycleConfiguration", site)
    rules = {rule["id"]: rule for rule in lifecycle.inputs["rules"]}
    assert rules["expire-noncurrent-versions"]["noncurrentVersionExpiration"] == {"noncurrentDays": 90}
    assert rules["drop-delete-markers"]["expiration"] == {"expiredObjectDeleteMarker": True}
    assert rules["abort-uploads"]["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}
    assert part(made, "BucketVersioning", site).urn in lifecycle.dependencies


@every_site
def test_a_current_state_never_expires_by_age(made: Recording[StateBackend], site: str) -> None:
    rules = part(made, "BucketLifecycleConfiguration", site).inputs["rules"]
    assert not [rule for rule in rules if "days" in rule.get("expiration", {})]


def test_nothing_that_holds_state_or_decrypts_it_can_be_destroyed(made: Recording[StateBackend]) -> None:
    held = [*made.of(BUCKET), *made.of(KEY), *made.of("aws:kms/replicaKey:ReplicaKey")]
    assert len(held) == 8
    assert all(resource.protect for resource in held)
    assert not any(bucket.inputs["forceDestroy"] for bucket in made.of(BUCKET))


def test_the_deletion_of_a_key_can_be_taken_back_for_thirty_days(made: Recording[StateBackend]) -> None:
    keys = [*made.of(KEY), *made.of("aws:kms/replicaKey:ReplicaKey")]
    assert {key.inputs["deletionWindowInDays"] for key in keys} == {30}
    assert all(key.inputs["enableKeyRotation"] is True for key in made.of(KEY))


# --- how it is encrypted -------------------------------------------------------------------------------------------


@every_site
def test_each_bucket_is_encrypted_with_a_key_of_its_own_region(
    made: Recording[StateBackend], site: str
) -> None:
    key = made.one(KEY, f"state-{site}-key")
    assert key.inputs["region"] == REGIONS[site]
    (rule,) = part(made, "BucketServerSideEncryptionConfiguration", site).inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": key.outputs["arn"],
    }
    assert rule["bucketKeyEnabled"] is True


def test_secrets_have_a_key_that_decrypts_in_both_regions_under_one_alias(
    made: Recording[StateBackend],
) -> None:
    key = made.one(KEY, "state-secrets-key")
    replica = made.one("aws:kms/replicaKey:ReplicaKey")
    assert key.inputs["multiRegion"] is True
    assert replica.inputs["primaryKeyArn"] == key.outputs["arn"]
    assert replica.inputs["policy"] == key.inputs["policy"]
    assert [
        (alias.inputs["name"], alias.inputs["region"], alias.inputs["targetKeyId"])
        for alias in made.of("aws:kms/alias:Alias")
    ] == [
        ("alias/quikapp-state-test-secrets", HOME, key.outputs["keyId"]),
        (
            "alias/quikapp-state-test-secrets",
            RECOVERY,
            replica.outputs["keyId"],
        ),
    ]


# --- who is let in -------------------------------------------------------------------------------------------------


@every_site
def test_no_bucket_can_become_public(made: Recording[StateBackend], site: str) -> None:
    block = part(made, "BucketPublicAccessBlock", site).inputs
    for switch in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
        assert block[switch] is True
    rule = part(made, "BucketOwnershipControls", site).inputs["rule"]
    assert rule == {"objectOwnership": "BucketOwnerEnforced"}


@every_site
@pytest.mark.parametrize("principal", [ADMINISTRATOR, LIVE])
def test_nobody_comes_in_without_tls(made: Recording[StateBackend], site: str, principal: str) -> None:
    plain = {"aws:SecureTransport": "false"}
    assert not lets(made, site, principal, "s3:GetObject", STATE_OF_LIVE[0], iam_allows=True, context=plain)
    assert lets(made, site, principal, "s3:GetObject", STATE_OF_LIVE[0], iam_allows=True)


@every_site
@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:PutBucketPolicy"])
def test_whom_the_stack_file_does_not_name_gets_nothing_whatever_iam_allows(
    made: Recording[StateBackend], site: str, action: str
) -> None:
    for key in (None, ".pulumi/meta.yaml", *STATE_OF_LIVE):
        assert not lets(made, site, STRANGER, action, key, iam_allows=True)
        assert lets(made, site, ADMINISTRATOR, action, key, iam_allows=True)


@every_site
@pytest.mark.parametrize("key", STATE_OF_LIVE)
def test_a_pipeline_reads_and_writes_its_own_stack(
    made: Recording[StateBackend], site: str, key: str
) -> None:
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        assert lets(made, site, LIVE, action, key)
    assert lets(made, site, LIVE, "s3:ListBucket", None)
    assert lets(made, site, LIVE, "s3:GetObject", ".pulumi/meta.yaml")


@every_site
@pytest.mark.parametrize("key", STATE_OF_LIVE)
def test_a_pipeline_reaches_no_other_stack_whatever_iam_allows(
    made: Recording[StateBackend], site: str, key: str
) -> None:
    for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject"):
        assert not lets(made, site, DEV, action, key, iam_allows=True)


@every_site
@pytest.mark.parametrize("key", STATE_OF_LIVE)
def test_who_looks_for_drift_reads_and_cannot_write(
    made: Recording[StateBackend], site: str, key: str
) -> None:
    assert lets(made, site, LIVE_READER, "s3:GetObject", key)
    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert not lets(made, site, LIVE_READER, action, key, iam_allows=True)


@every_site
def test_who_looks_for_drift_asks_whether_its_own_state_is_copied_and_of_no_other(
    made: Recording[StateBackend], site: str
) -> None:
    """`HeadObject` takes the right to read the object.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    text = (Path(__file__).parents[3] / ".github" / "workflows" / "drift.yml").read_text()
    (key,) = re.findall(r'head-object .*--key "(\S+)"', text)
    own, other = (key.replace("$STACK", stack) for stack in ("live", "dev"))
    assert lets(made, site, LIVE_READER, "s3:GetObject", own)
    assert not lets(made, site, LIVE_READER, "s3:GetObject", other, iam_allows=True)


@every_site
@pytest.mark.parametrize("principal", [LIVE, LIVE_READER, DEV])
def test_the_state_of_the_bootstrap_is_the_administrators_alone(
    made: Recording[StateBackend], site: str, principal: str
) -> None:
    for key in (
        ".pulumi/stacks/quikapp-state/backend.json",
        ".pulumi/history/quikapp-state/backend/backend-1.history.json",
        ".pulumi/locks/organization/quikapp-state/backend/1.json",
    ):
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
            assert not lets(made, site, principal, action, key, iam_allows=True)
            assert lets(made, site, ADMINISTRATOR, action, key, iam_allows=True)


@every_site
@pytest.mark.parametrize(
    "action",
    [
        "s3:DeleteObjectVersion",
        "s3:BypassGovernanceRetention",
        "s3:PutLifecycleConfiguration",
        "s3:PutBucketVersioning",
        "s3:PutReplicationConfiguration",
        "s3:PutBucketPolicy",
        "s3:DeleteBucketPolicy",
        "s3:DeleteBucket",
    ],
)
def test_nobody_but_administrators_takes_versions_away_or_what_protects_them(
    made: Recording[StateBackend], site: str, action: str
) -> None:
    key = STATE_OF_LIVE[0] if "Object" in action or "Bypass" in action else None
    for principal in (LIVE, LIVE_READER, REPLICATION):
        assert not lets(made, site, principal, action, key, iam_allows=True)
    assert lets(made, site, ADMINISTRATOR, action, key, iam_allows=True)


def use(made: Recording[StateBackend], name: str, principal: str, action: str, **rest: Any) -> bool:
    request = Request(principal=principal, action=action, resource="*", **rest)
    return is_allowed(made.one(KEY, name).inputs["policy"], request)


def under(stack: str) -> dict[str, str]:
    return {"kms:EncryptionContext:stack": stack}


def test_the_secrets_of_a_stack_are_decrypted_by_its_own_roles_alone(made: Recording[StateBackend]) -> None:
    key = "state-secrets-key"
    for action in ("kms:Decrypt", "kms:Encrypt"):
        assert use(made, key, LIVE, action, context=under("live"))
        assert not use(made, key, DEV, action, context=under("live"), iam_allows=True)
        assert not use(made, key, STRANGER, action, context=under("live"), iam_allows=True)
        assert use(made, key, ADMINISTRATOR, action, context=under("live"), iam_allows=True)
    assert use(made, key, LIVE_READER, "kms:Decrypt", context=under("live"))
    assert not use(made, key, LIVE_READER, "kms:Encrypt", context=under("live"))


@pytest.mark.parametrize("context", [{}, under("backend"), under("prod")])
def test_what_is_encrypted_under_no_stack_of_theirs_is_the_administrators(
    made: Recording[StateBackend], context: dict[str, str]
) -> None:
    assert not use(made, "state-secrets-key", LIVE, "kms:Decrypt", context=context, iam_allows=True)
    assert use(made, "state-secrets-key", ADMINISTRATOR, "kms:Decrypt", context=context, iam_allows=True)


@every_site
def test_the_key_of_a_bucket_is_used_through_s3_alone(made: Recording[StateBackend], site: str) -> None:
    through = {"kms:ViaService": f"s3.{REGIONS[site]}.amazonaws.com"}
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert use(made, f"state-{site}-key", LIVE, action, context=through)
        assert not use(made, f"state-{site}-key", LIVE, action)
        assert not use(made, f"state-{site}-key", STRANGER, action, context=through)


@pytest.mark.parametrize("name", ["state-home-key", "state-recovery-key", "state-secrets-key"])
def test_nobody_but_administrators_takes_a_key_away(made: Recording[StateBackend], name: str) -> None:
    for action in ("kms:ScheduleKeyDeletion", "kms:DisableKey"):
        assert not use(made, name, LIVE, action, iam_allows=True)
        assert use(made, name, ADMINISTRATOR, action, iam_allows=True)
    assert use(made, name, STRANGER, "kms:PutKeyPolicy", iam_allows=True), (
        "the account can always mend the policy"
    )


def test_who_takes_a_version_from_a_stack_reads_its_state_and_neither_its_past_nor_its_secrets() -> None:
    """As live takes it from staging: the state says which version runs."""
    pipelines = {name: StackAccess(updates=(role(f"{name}-pipeline"),)) for name in EnvironmentName}
    facts = FACTS.model_copy(update={"stacks": pipelines})
    made = record(lambda: StateBackend("state", StateBackendArgs(facts=facts, region=HOME, tags=TAGS)))
    state, *past = [key.replace("live", "staging") for key in STATE_OF_LIVE if "bak" not in key]
    rollout, *past = past
    for site in REGIONS:
        assert lets(made, site, LIVE, "s3:GetObject", state)
        assert lets(made, site, LIVE, "s3:GetObject", rollout)
        assert not lets(made, site, LIVE, "s3:PutObject", state, iam_allows=True)
        for key in past:
            assert not lets(made, site, LIVE, "s3:GetObject", key, iam_allows=True)
        for other in (DEV, role("uat-pipeline")):
            assert not lets(made, site, other, "s3:GetObject", state, iam_allows=True)
        policy = part(made, "BucketPolicy", site).inputs["policy"]
        assert len(policy) <= 20 * 1024, (
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html"
        )
    assert not use(made, "state-secrets-key", LIVE, "kms:Decrypt", context=under("staging"), iam_allows=True)
    made.close()


def test_a_stack_without_readers_writes_no_empty_principal() -> None:
    facts = FACTS.model_copy(update={"stacks": {EnvironmentName.DEV: StackAccess(updates=(DEV,))}})
    made = record(lambda: StateBackend("state", StateBackendArgs(facts=facts, region=HOME, tags=TAGS)))
    for policy in (part(made, "BucketPolicy", "home"), made.one(KEY, "state-secrets-key")):
        for statement in json.loads(policy.inputs["policy"])["Statement"]:
            assert all(statement["Principal"].values())
    made.close()


# --- how it gets to the other region -------------------------------------------------------------------------------


def rule(made: Recording[StateBackend]) -> dict[str, Any]:
    (only,) = made.one("aws:s3/bucketReplicationConfig:BucketReplicationConfig").inputs["rules"]
    return only


def test_everything_is_copied_to_the_recovery_region_and_encrypted_there_with_its_key(
    made: Recording[StateBackend],
) -> None:
    replication = made.one("aws:s3/bucketReplicationConfig:BucketReplicationConfig")
    assert replication.inputs["bucket"] == part(made, "Bucket", "home").outputs["bucket"]
    assert rule(made)["id"] == REPLICATION_RULE
    assert rule(made)["status"] == "Enabled"
    assert rule(made)["filter"] == {"prefix": ""}
    assert rule(made)["sourceSelectionCriteria"] == {"sseKmsEncryptedObjects": {"status": "Enabled"}}
    destination = rule(made)["destination"]
    assert destination["bucket"] == part(made, "Bucket", "recovery").outputs["arn"]
    assert destination["encryptionConfiguration"] == {
        "replicaKmsKeyId": made.one(KEY, "state-recovery-key").outputs["arn"]
    }


def test_locks_that_are_gone_at_home_are_gone_in_the_copy(made: Recording[StateBackend]) -> None:
    assert rule(made)["deleteMarkerReplication"] == {"status": "Enabled"}


def test_a_copy_that_is_late_is_measured(made: Recording[StateBackend]) -> None:
    destination = rule(made)["destination"]
    assert destination["replicationTime"] == {"status": "Enabled", "time": {"minutes": 15}}
    assert destination["metrics"] == {"status": "Enabled", "eventThreshold": {"minutes": 15}}


def test_nothing_is_copied_before_both_ends_have_versions_and_the_role_its_rights(
    made: Recording[StateBackend],
) -> None:
    needed = {part(made, "BucketVersioning", site).urn for site in REGIONS}
    needed.add(made.one("aws:iam/rolePolicy:RolePolicy").urn)
    assert needed <= made.one("aws:s3/bucketReplicationConfig:BucketReplicationConfig").dependencies


def test_the_copying_role_reads_here_and_writes_there_and_nothing_else(made: Recording[StateBackend]) -> None:
    statements = json.loads(made.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"])["Statement"]
    home, recovery = (part(made, "Bucket", site).outputs["arn"] for site in REGIONS)
    keys = [made.one(KEY, f"state-{site}-key").outputs["arn"] for site in REGIONS]
    granted = {
        resource: set(statement["Action"]) for statement in statements for resource in statement["Resource"]
    }
    assert granted == {
        home: {"s3:GetReplicationConfiguration", "s3:ListBucket"},
        f"{home}/*": {
            "s3:GetObjectVersionForReplication",
            "s3:GetObjectVersionAcl",
            "s3:GetObjectVersionTagging",
            "s3:GetObjectRetention",
            "s3:GetObjectLegalHold",
        },
        f"{recovery}/*": {"s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"},
        keys[0]: {"kms:Decrypt"},
        keys[1]: {"kms:Decrypt", "kms:Encrypt"},
    }
    assert [
        statement["Condition"]["StringEquals"] for statement in statements if "Condition" in statement
    ] == [
        {"kms:ViaService": f"s3.{HOME}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": home},
        {"kms:ViaService": f"s3.{RECOVERY}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": recovery},
    ]


@pytest.mark.parametrize(
    ("site", "uses"), [("home", {"kms:Decrypt"}), ("recovery", {"kms:Decrypt", "kms:Encrypt"})]
)
def test_the_copying_role_uses_the_keys_as_s3_does_where_buckets_have_keys_of_their_own(
    made: Recording[StateBackend], site: str, uses: set[str]
) -> None:
    """S3 decrypts the bucket key of the copy before it uses it; the context is the bucket and not the object.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html#bk-replication
    """
    (encryption,) = part(made, "BucketServerSideEncryptionConfiguration", site).inputs["rules"]
    assert encryption["bucketKeyEnabled"] is True
    bucket, key = part(made, "Bucket", site).outputs["arn"], made.one(KEY, f"state-{site}-key")

    def may(action: str, context: Mapping[str, str] | None = None) -> bool:
        asked = Request(
            principal=REPLICATION,
            action=action,
            resource=key.outputs["arn"],
            context={
                "kms:ViaService": f"s3.{REGIONS[site]}.amazonaws.com",
                "kms:EncryptionContext:aws:s3:arn": bucket,
                **(context or {}),
            },
        )
        return role_may([made.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"]], asked) and is_allowed(
            key.inputs["policy"], replace(asked, iam_allows=True)
        )

    every_use = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ScheduleKeyDeletion"}
    assert {action for action in every_use if may(action)} == uses
    for stray in (
        {"kms:ViaService": f"ec2.{REGIONS[site]}.amazonaws.com"},
        {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::another-bucket"},
    ):
        assert not any(may(action, stray) for action in every_use)


def test_the_locked_buckets_let_the_copying_role_do_its_work(made: Recording[StateBackend]) -> None:
    for key in (*STATE_OF_LIVE, ".pulumi/stacks/quikapp-state/backend.json"):
        assert lets(made, "home", REPLICATION, "s3:GetObjectVersionForReplication", key, iam_allows=True)
        assert lets(made, "home", REPLICATION, "s3:GetObjectRetention", key, iam_allows=True)
        for action in ("s3:ReplicateObject", "s3:ReplicateDelete"):
            assert lets(made, "recovery", REPLICATION, action, key, iam_allows=True)


# --- the rest ------------------------------------------------------------------------------------------------------


@every_site
def test_who_came_is_logged_for_a_year_in_a_bucket_without_lock(
    made: Recording[StateBackend], site: str
) -> None:
    logging = part(made, "BucketLogging", site)
    assert logging.inputs["bucket"] == part(made, "Bucket", site).outputs["bucket"]
    log = made.by_id(logging.inputs["targetBucket"])
    assert log.name == f"state-{site}-access"
    assert log.inputs["region"] == REGIONS[site]
    assert not log.inputs.get("objectLockEnabled")
    rules = made.one(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", f"state-{site}-access-lifecycle"
    )
    assert {"days": ACCESS_LOG_DAYS} in [found.get("expiration") for found in rules.inputs["rules"]]


def test_both_buckets_are_found_without_asking_anybody(made: Recording[StateBackend]) -> None:
    assert made.value(made.result.login) == "s3://quikapp-state-test-eu-west-1"
    assert made.value(made.result.recovery_login) == "s3://quikapp-state-test-eu-central-1"


def test_a_stacks_secrets_provider_names_the_stack_and_no_region(made: Recording[StateBackend]) -> None:
    assert made.value(made.result.secrets_providers) == {
        "dev": "awskms://alias/quikapp-state-test-secrets?context_stack=dev",
        "live": "awskms://alias/quikapp-state-test-secrets?context_stack=live",
    }


def test_everything_is_tagged_in_one_of_both_regions_and_closed(made: Recording[StateBackend]) -> None:
    made.assert_tagged(TAGS)
    made.assert_least_privilege()
    regions = {
        resource.inputs["region"]
        for resource in made.resources
        if resource.package == "aws" and "region" in resource.inputs
    }
    assert regions == {HOME, RECOVERY}
    for site, region in REGIONS.items():
        for resource in made.resources:
            if resource.package == "aws" and resource.name.startswith(f"state-{site}"):
                assert resource.inputs["region"] == region, resource.urn
