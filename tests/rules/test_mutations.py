"""Whatever rule is lost or weakened, a case fails: the cases are as strong as the rules.

A mutant is its group alone, since no group reads another's series, judged by the cases about that group.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from components.monitoring.rules import Group, RuleFile, rule_file
from tests.rules.cases import CASES
from tests.rules.promtool import Case, hold_apart
from tests.rules.shapes import LIVE

Rule = dict[str, Any]

COMPARISON = re.compile(r" (>|<|==) (\d+(?:\.\d+)?(?:e-\d+)?)(?![\w.])")

LOOSER = {">": ">=", "<": "<=", "==": "!="}


@dataclass(frozen=True)
class Mutant:
    """A group with one change to one rule."""

    rule: str
    change: str
    about: frozenset[str]
    """What the cases are about that have to notice."""
    group: Group

    def __str__(self) -> str:
        return f"{self.rule}: {self.change}"


def names(group: Group) -> frozenset[str]:
    return frozenset({group["name"], *(rule["alert"] for rule in group["rules"] if "alert" in rule)})


def told(rule: Mapping[str, Any]) -> str:
    """A rule's name and what tells it from others of that name."""
    own = {k: v for k, v in rule.get("labels", {}).items() if k not in ("priority", "incident_severity")}
    return " ".join([rule.get("alert") or rule["record"], *map(str, own.values())])


def weakened(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """A rule's mutants: each comparison looser, each threshold doubled (none becomes two), other times, another priority."""
    if "record" in rule:
        yield "twice its value", {**rule, "expr": f"2 * ({rule['expr']})"}
        return
    expression = rule["expr"]
    for found in COMPARISON.finditer(expression):
        operator, threshold = found.groups()
        changes = {
            "looser": f" {LOOSER[operator]} {threshold}",
            "doubled": f" {operator} {float(threshold) * 2 or 2:g}",
        }
        for change, instead in changes.items():
            mutated = expression[: found.start()] + instead + expression[found.end() :]
            yield f"{change}: {found.group().strip()} → {instead.strip()}", {**rule, "expr": mutated}
    if "for" in rule:
        number, unit = int(rule["for"][:-1]), rule["for"][-1]
        yield "waits ten times as long", {**rule, "for": f"{number * 10}{unit}"}
        yield "does not wait", {key: value for key, value in rule.items() if key != "for"}
    other = "P4" if rule["labels"].get("priority") == "P2" else "P2"
    yield "another priority", {**rule, "labels": {**rule["labels"], "priority": other}}


def mutants() -> Iterator[Mutant]:
    for group in json.loads(json.dumps(rule_file(LIVE)))["groups"]:
        for rule in group["rules"]:
            about = frozenset({rule["alert"]}) if "alert" in rule else names(group)
            changes: list[tuple[str, list[Rule]]] = [("deleted", [])]
            changes += [(change, [mutated]) for change, mutated in weakened(rule)]
            for change, instead in changes:
                yield Mutant(told(rule), change, about, alone(group, about, {id(rule): instead}))


def alone(group: Mapping[str, Any], about: frozenset[str], instead: Mapping[int, Sequence[Rule]]) -> Group:
    """What a group records and its alerts of these names, with some rules replaced."""
    rules: list[Any] = [
        kept
        for rule in group["rules"]
        if rule.get("alert", group["name"]) in about or "record" in rule
        for kept in instead.get(id(rule), [rule])
    ]
    return {"name": group["name"], "rules": rules}


def cases_of(mutant: Mutant) -> list[Case]:
    """The cases that have to notice, the likeliest to fail first: those that name the rule, the quick ones of these."""
    cases = [case for case in CASES if case.shape is LIVE and case.about in mutant.about]
    if mutant.change.startswith("looser"):
        # The cases at a threshold are the last of their kind.
        cases.reverse()
    return sorted(cases, key=lambda case: (-mentions(case, mutant), case.step != "1m"))


def survivors(promtool: Path, folder: Path, every: Iterable[Mutant]) -> list[Mutant]:
    """The mutants under which every case holds all the same. In each round those that still live meet their next."""
    suspects = [(mutant, cases_of(mutant)) for mutant in every]
    survived: list[Mutant] = []
    for number in count():
        survived += [mutant for mutant, cases in suspects if len(cases) == number]
        suspects = [(mutant, cases) for mutant, cases in suspects if len(cases) > number]
        if not suspects:
            break
        trials: list[tuple[RuleFile, Case]] = [
            ({"groups": [mutant.group]}, cases[number]) for mutant, cases in suspects
        ]
        held = hold_apart(promtool, folder / str(number), trials)
        suspects = [suspect for suspect, holds in zip(suspects, held, strict=True) if holds]
    return survived


def mentions(case: Case, mutant: Mutant) -> int:
    return sum(bool(re.search(rf"\b{re.escape(word)}\b", repr(case))) for word in mutant.rule.split())


def test_a_rule_that_is_lost_or_weakened_fails_a_case(promtool: Path, tmp_path: Path) -> None:
    assert [str(mutant) for mutant in survivors(promtool, tmp_path, mutants())] == []


def test_a_group_as_it_is_needs_no_other_and_survives(promtool: Path, tmp_path: Path) -> None:
    groups = rule_file(LIVE)["groups"]
    unharmed = [Mutant(group["name"], "none", names(group), group) for group in groups]
    assert {mutant.rule for mutant in survivors(promtool, tmp_path, unharmed)} == {
        group["name"] for group in groups
    }


def test_every_rule_and_every_comparison_has_its_mutants() -> None:
    every = list(mutants())
    rules = [rule for group in rule_file(LIVE)["groups"] for rule in group["rules"]]
    assert sum(mutant.change == "deleted" for mutant in every) == len(rules) == 88
    assert sum("→" in mutant.change for mutant in every) == 2 * sum(
        len(re.findall(r" [<>=]=? ", rule["expr"])) for rule in rules if "alert" in rule
    )
