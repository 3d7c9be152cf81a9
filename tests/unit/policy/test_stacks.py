"""All five stacks keep every rule, and none of them would if the program declared them a little differently."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from operations.facts import EnvironmentFacts
from operations.guardrails import ENVIRONMENT_TAG, REQUIRED_TAGS
from policy.resources import Resource, violations
from policy.rules import RULES
from policy.rules.tags import TAGLESS
from tests.monitoring.environments import facts_of
from tests.unit.components.recording import takes
from tests.unit.policy.stacks import changed, instead, one, resources
from tests.unit.stack_configuration import STACKS

STACK: Final = "live"


def _put(value: object, *path: str | int) -> Callable[[dict[str, Any]], None]:
    """A change of the inputs that puts a value at a path."""

    def change(inputs: Any) -> None:
        *steps, last = path
        for step in steps:
            inputs = inputs[step]
        inputs[last] = value

    return change


def _without(*path: str | int) -> Callable[[dict[str, Any]], None]:
    """A change of the inputs that takes away what is at a path."""

    def change(inputs: Any) -> None:
        *steps, last = path
        for step in steps:
            inputs = inputs[step]
        del inputs[last]

    return change


def _live(
    token: str, name: str, change: Callable[[dict[str, Any]], object], **options: Any
) -> Callable[[], Resource]:
    """A resource of live as it would be with a change; made within the test, since a stack takes seconds."""
    return lambda: changed(one(STACK, token, name), change, **options)


def _nothing(_: dict[str, Any]) -> None:
    """No change: of the options only."""


POD: Final = ("spec", "template", "spec")
API: Final = ("kubernetes:apps/v1:Deployment", "blue-api-deployment")
DATABASE: Final = ("aws:rds/cluster:Cluster", "database-cluster")

MUTATIONS: Final[Mapping[str, tuple[str, Callable[[], Resource]]]] = {
    "the database's storage is in plain": (
        "encrypted-at-rest",
        _live(*DATABASE, _put(False, "storageEncrypted")),
    ),
    "the database takes connections in plain": (
        "encrypted-in-flight",
        _live(
            "aws:rds/clusterParameterGroup:ClusterParameterGroup",
            "database-parameters",
            _without("parameters", 0),
        ),
    ),
    "HTTP is answered": (
        "encrypted-in-flight",
        _live(
            "aws:lb/listener:Listener",
            "traffic-http",
            _put("HTTP", "defaultActions", 0, "redirect", "protocol"),
        ),
    ),
    "the files' bucket takes public policies": (
        "private-buckets",
        _live(
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            "storage-files-public-access",
            _put(False, "blockPublicPolicy"),
        ),
    ),
    "the files' bucket has no policy": (
        "complete-buckets",
        _live(
            "aws:s3/bucketPolicy:BucketPolicy",
            "storage-files-policy",
            _nothing,
            dependencies=frozenset[str](),
        ),
    ),
    "a database instance is on the internet": (
        "no-public-data",
        _live("aws:rds/clusterInstance:ClusterInstance", "database-0", _put(True, "publiclyAccessible")),
    ),
    "the database's port is open to anybody": (
        "no-public-data",
        _live(
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            "database-from-cluster",
            _put("0.0.0.0/0", "cidrIpv4"),
        ),
    ),
    "the cluster's API is open to anybody": (
        "no-public-data",
        _live(
            "aws:eks/cluster:Cluster",
            "cluster-cluster",
            _put(["0.0.0.0/0"], "vpcConfig", "publicAccessCidrs"),
        ),
    ),
    "nobody owns the database": ("required-tags", _live(*DATABASE, _without("tags", "Owner"))),
    "a service may do everything": (
        "least-privilege",
        _live(
            "aws:iam/rolePolicy:RolePolicy",
            "blue-api-grants",
            lambda inputs: inputs.update(
                policy=inputs["policy"].replace("rds-db:connect", "*").replace("s3:GetObject", "s3:*")
            ),
        ),
    ),
    "AWS deletes the database when it is asked to": (
        "protected-stateful",
        _live(*DATABASE, _put(False, "deletionProtection")),
    ),
    "Pulumi deletes the database when it is asked to": (
        "protected-stateful",
        _live(*DATABASE, _nothing, protect=False),
    ),
    "Pulumi deletes the files' bucket": (
        "protected-buckets-and-keys",
        _live("aws:s3/bucket:Bucket", "storage-files", _nothing, protect=False),
    ),
    "Pulumi deletes the key of the vaults": (
        "protected-buckets-and-keys",
        _live("aws:kms/key:Key", "vaults-home-key", _nothing, protect=False),
    ),
    "the database is kept a day less": ("retention", _live(*DATABASE, _put(34, "backupRetentionPeriod"))),
    "the files are kept as long as the database": (
        "retention",
        _live("aws:backup/plan:Plan", "vaults-files-home", _put(35, "rules", 0, "lifecycle", "deleteAfter")),
    ),
    "what a file was is kept in the backup for a month": (
        "retention",
        _live(
            "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            "storage-backup-lifecycle",
            _put(30, "rules", 1, "noncurrentVersionExpiration", "noncurrentDays"),
        ),
    ),
    "a tenth of the requests goes nowhere": (
        "weighted-slots",
        _live(
            "aws:lb/listenerRule:ListenerRule",
            "traffic-api",
            _put(90, "actions", 0, "forward", "targetGroups", 0, "weight"),
        ),
    ),
    "a slot gets no requests ever": (
        "weighted-slots",
        _live(
            "aws:lb/listenerRule:ListenerRule",
            "traffic-api",
            _without("actions", 0, "forward", "targetGroups", 1),
        ),
    ),
    "a service runs whatever is latest": (
        "pinned-images",
        _live(*API, _put("registry.example/quikapp/api:latest", *POD, "containers", 0, "image")),
    ),
    "a service takes all the memory there is": (
        "requests-and-limits",
        _live(*API, _without(*POD, "containers", 0, "resources", "limits", "memory")),
    ),
    "a service runs as whoever its image says": (
        "pod-security",
        _live(*API, _without(*POD, "securityContext", "runAsNonRoot")),
    ),
    "the monitoring's namespace takes any pod": (
        "pod-security",
        _live(
            "kubernetes:core/v1:Namespace",
            "monitoring-namespace",
            _put("privileged", "metadata", "labels", "pod-security.kubernetes.io/enforce"),
        ),
    ),
    "a service is given its key in the clear": (
        "no-plaintext-secrets",
        _live(
            *API,
            _put([{"name": "SESSION_SIGNING_KEY", "value": "in the clear"}], *POD, "containers", 0, "env"),
        ),
    ),
    "the API's secret is none to Pulumi": (
        "no-plaintext-secrets",
        _live(
            "kubernetes:core/v1:Secret",
            "blue-api-secrets",
            _put({"session-signing-key": "in the clear"}, "stringData"),
        ),
    ),
    "the copies go to another continent": (
        "allowed-region",
        _live("aws:s3/bucket:Bucket", "storage-backup", _put("us-east-1", "region")),
    ),
}


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_keeps_every_rule(stack: str) -> None:
    assert [violation.message for _, violation in violations(RULES, resources(stack))] == []


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_change_of_live_breaks_the_one_rule_that_forbids_it(mutation: str) -> None:
    rule, make = MUTATIONS[mutation]
    found = {broken for broken, _ in violations(RULES, instead(STACK, make()))}
    assert found == {rule}


def test_every_rule_is_broken_by_a_change_of_live() -> None:
    assert {rule for rule, _ in MUTATIONS.values()} == {rule.name for rule in RULES}


def test_what_carries_no_tags_is_what_takes_none() -> None:
    """By the SDK, of every type that a stack declares; so a type that is new needs a word here or a tag there."""
    declared = {
        resource.type for stack in STACKS for resource in resources(stack) if resource.package == "aws"
    }
    assert {token for token in declared if not takes(token, "tags")} == TAGLESS & declared
    assert not {token for token in TAGLESS if takes(token, "tags")}


def test_the_required_tags_are_those_that_every_environment_has() -> None:
    facts: EnvironmentFacts = facts_of(STACK)
    assert {*REQUIRED_TAGS, ENVIRONMENT_TAG} == facts.tags.keys()
