"""Each rule lets pass what keeps it, and says of what breaks it where, what is there and what is allowed."""

import pytest

from policy.resources import violations
from policy.rules import RULES
from tests.unit.policy.cases import CASES, Case

BY_NAME = {rule.name: rule for rule in RULES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}: {case.words}")
def test_a_rule_says_what_is_wrong_and_nothing_else(case: Case) -> None:
    told = [violation.message for _, violation in violations([BY_NAME[case.rule]], case.resources)]
    assert len(told) == len(case.says), told
    for message, words in zip(told, case.says, strict=True):
        assert words in message


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.says], ids=lambda case: f"{case.rule}: {case.words}"
)
def test_a_message_names_the_resource_and_what_is_allowed(case: Case) -> None:
    named = {f"{resource.type} {resource.name}: " for resource in case.resources}
    for _, violation in violations([BY_NAME[case.rule]], case.resources):
        assert any(violation.message.startswith(name) for name in named)
        assert "; allowed is " in violation.message
        assert violation.urn in {resource.urn for resource in case.resources}


@pytest.mark.parametrize("rule", BY_NAME)
def test_every_rule_has_a_case_that_keeps_it_and_one_that_breaks_it(rule: str) -> None:
    assert {bool(case.says) for case in CASES if case.rule == rule} == {True, False}


def test_every_rule_has_a_name_of_its_own_and_says_in_a_sentence_what_it_is_about() -> None:
    assert len(BY_NAME) == len(RULES)
    assert all(rule.description.endswith(".") for rule in RULES)


def test_no_message_holds_what_may_be_a_secret() -> None:
    texts = {"hunter2", "correct horse", "never", "0123456789abcdef", "AKIA", "xoxb"}
    told = [
        violation.message
        for case in CASES
        if case.rule == "no-plaintext-secrets"
        for _, violation in violations([BY_NAME[case.rule]], case.resources)
    ]
    assert told
    assert not [message for message in told for text in texts if text in message]
