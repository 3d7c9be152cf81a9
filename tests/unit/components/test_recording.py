"""The recording refuses what components must not do, and forgets nothing between or within runs."""

import json

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest

from tests.unit.components.conftest import Record


class Shelf(pulumi.ComponentResource):
    """A component with one AWS and one Kubernetes child."""

    def __init__(
        self, name: str, *, registrations: int = 1, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("quikapp:shelf:Shelf", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.key = aws.kms.Key(
            f"{name}-key", enable_key_rotation=True, tags={"owner": "us", "Name": name}, opts=child
        )
        self.secret = kubernetes.core.v1.Secret(
            f"{name}-secret",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name="s", namespace="n"),
            string_data={"password": pulumi.Output.secret("hunter2")},
            opts=child,
        )
        for _ in range(registrations):
            self.register_outputs({})


def shelf() -> Shelf:
    provider = kubernetes.Provider("plane", kubeconfig="{}")
    made = Shelf("shelf", opts=pulumi.ResourceOptions(providers=[provider]))
    pulumi.export("key", made.key.arn)
    return made


def policy(statement: dict[str, object]) -> aws.iam.Policy:
    return aws.iam.Policy("policy", policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def test_resources_are_read_with_inputs_outputs_parent_and_provider(record: Record) -> None:
    recording = record(shelf)
    secret = recording.one("kubernetes:core/v1:Secret")
    assert secret.inputs["stringData"] == {"password": "hunter2"}
    assert recording.urn(secret.parent).name == "shelf"
    assert secret.provider.startswith(recording.one("pulumi:providers:kubernetes").urn)
    assert recording.value(recording.result.key.arn).startswith("arn:aws:kms:eu-west-1:123456789012:key/")
    assert recording.stack_outputs == {"key": recording.value(recording.result.key.arn)}


def test_runs_do_not_see_each_other(record: Record) -> None:
    first, second = record(shelf), record(shelf)
    assert [resource.urn for resource in first.resources] == [resource.urn for resource in second.resources]


def test_a_preview_knows_no_identifiers(record: Record) -> None:
    assert record(shelf, preview=True).stack_outputs["key"] != record(shelf).stack_outputs["key"]


def test_a_secret_is_hidden_where_it_is_marked_and_found_where_it_is_not(record: Record) -> None:
    record(shelf).assert_hidden("hunter2")
    with pytest.raises(AssertionError, match="description"):
        record(lambda: aws.kms.Key("key", description="hunter2")).assert_hidden("hunter2")


def test_missing_tags_are_named(record: Record) -> None:
    record(shelf).assert_tagged({"owner": "us"})
    with pytest.raises(AssertionError, match="owner"):
        record(shelf).assert_tagged({"owner": "them"})
    with pytest.raises(AssertionError, match="Name"):
        record(lambda: aws.kms.Key("key")).assert_tagged({})


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::bucket"},
        {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]},
        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:aws:s3:::bucket"},
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"},
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Decrypt", "Resource": "*"},
    ],
)
def test_a_boundless_policy_is_refused(record: Record, statement: dict[str, object]) -> None:
    with pytest.raises(AssertionError, match="Allow"):
        record(lambda: policy(statement)).assert_least_privilege()


def test_a_bounded_policy_is_accepted(record: Record) -> None:
    record(lambda: policy({"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"})).assert_least_privilege()


@pytest.mark.parametrize("registrations", [0, 2])
def test_outputs_not_registered_exactly_once_are_refused(record: Record, registrations: int) -> None:
    with pytest.raises(AssertionError, match="register_outputs"):
        record(lambda: Shelf("shelf", registrations=registrations))


def test_two_resources_with_one_urn_are_refused(record: Record) -> None:
    with pytest.raises(AssertionError, match="more than one resource"):
        record(lambda: [Shelf("shelf"), Shelf("shelf")])


def test_an_invoke_is_refused(record: Record) -> None:
    with pytest.raises(AssertionError, match="invoke"):
        record(aws.get_caller_identity_output)


def test_a_read_of_an_existing_resource_is_refused(record: Record) -> None:
    with pytest.raises(AssertionError, match="read from the account"):
        record(lambda: aws.ec2.Vpc.get("vpc", "vpc-1"))
