"""Policy documents say what their statements say, and an ARN is read as AWS writes it."""

import json

import pytest

from components.policies import Arn, Statement, log_key_policy, policy_document, trust_policy

KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def test_an_arn_is_read_in_its_parts() -> None:
    assert Arn.parse("arn:aws-cn:iam::123456789012:role/teams/platform") == Arn(
        partition="aws-cn", service="iam", region="", account="123456789012", resource="role/teams/platform"
    )


def test_colons_in_the_resource_stay_in_it() -> None:
    assert Arn.parse("arn:aws:logs:eu-west-1:123456789012:log-group:/a:*").resource == "log-group:/a:*"


@pytest.mark.parametrize("text", ["", "role/deployer", "arn:aws:iam::123456789012", "urn:aws:iam:::role/x"])
def test_what_is_no_arn_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no ARN"):
        Arn.parse(text)


def test_a_statement_leaves_out_what_it_does_not_say() -> None:
    assert json.loads(
        policy_document(Statement(actions=["s3:GetObject"], resources=["arn:aws:s3:::b/*"]))
    ) == {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::b/*"]}],
    }


def test_a_trust_policy_names_its_service_and_its_conditions() -> None:
    conditions = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    (statement,) = json.loads(trust_policy("pods.eks.amazonaws.com", conditions=conditions))["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": ["pods.eks.amazonaws.com"]},
        "Action": ["sts:AssumeRole"],
        "Condition": conditions,
    }


def test_a_log_key_stays_with_its_account_and_serves_the_named_log_groups() -> None:
    owner, logs = json.loads(log_key_policy(KEY, ["/one", "/two"]))["Statement"]
    assert owner["Principal"] == {"AWS": ["arn:aws:iam::123456789012:root"]}
    assert logs["Principal"] == {"Service": ["logs.eu-west-1.amazonaws.com"]}
    assert logs["Condition"]["ArnEquals"]["kms:EncryptionContext:aws:logs:arn"] == [
        "arn:aws:logs:eu-west-1:123456789012:log-group:/one",
        "arn:aws:logs:eu-west-1:123456789012:log-group:/two",
    ]
