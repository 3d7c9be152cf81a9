"""The page about the guardrails names every rule, as the rule says it."""

from policy.resources import StackRule
from policy.rules import RULES
from tests.unit.stack_configuration import ROOT


def test_the_table_has_every_rule_in_its_order() -> None:
    rows = [
        line for line in (ROOT / "docs" / "guardrails.md").read_text().splitlines() if line.startswith("| `")
    ]
    assert rows == [
        f"| `{rule.name}` | {rule.description} |"
        f" {'the whole stack' if isinstance(rule, StackRule) else 'each resource'} |"
        for rule in RULES
    ]
