"""What IAM knows of each action, and which words of a policy it would take and never act on.

IAM takes a policy that grants an action on a resource that the action does not know, or under a condition that no request
of it fulfils, without a word, and then refuses the request. What there is to know is AWS's Service Authorization Reference,
https://docs.aws.amazon.com/service-authorization/latest/reference/, as data in the package policy-sentry.

Only what the program's policies use is known here, and anything else is an error rather than a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final

from policy_sentry.shared.iam_data import get_service_prefix_data

GLOBAL_KEYS: Final = frozenset(
    {
        "aws:PrincipalArn",
        "aws:RequestedRegion",
        "aws:ResourceAccount",
        "aws:SecureTransport",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceVpc",
    }
)
"""Condition keys that requests of every service may have, of those that the program uses.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

_HOLD_SEPARATORS: Final = re.compile(r"LogGroupName|ObjectName|ParameterName\w*|\w*SnapshotName|\w+WithPath")
"""Parts of an ARN in which a colon or a slash may stand; in the reference's others there is none.

A log group's ARN may end in `:*`, and RDS and AWS Backup begin names of snapshots with `rds:` and `awsbackup:`.
Sources: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html,
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Tagging.ARN.Constructing.html
"""


class Wild(Enum):
    """What stands for any text, by the characters that the text has not."""

    TEXT = ""
    PART = ":/"


Pattern = tuple[str | Wild, ...]
"""An ARN, character by character."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A type of resource, as one action knows it."""

    name: str
    arn: Pattern
    required: bool
    """Whether every request for the action names a resource of it."""
    keys: frozenset[str]
    """Condition keys that the action's request may have for it: those of the action's row, or where it has none the type's."""

    def includes(self, resources: Iterable[str]) -> bool:
        """Whether one of the resources that a policy names may be of this type."""
        return any(resource == "*" or overlap(self.arn, pattern(resource)) for resource in resources)


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action of a service."""

    kinds: tuple[Kind, ...]
    """The types of resource that it knows; none where it is granted on `*` only."""
    keys: frozenset[str]
    """Condition keys that its request may have whatever it is about."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement of a policy, as far as it is judged."""

    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    keys: frozenset[str]
    """Condition keys, whatever the operator: one that no request has makes a denial or an exception meaningless, too."""
    of_resource: bool
    """Whether it belongs to a resource, such as a key, or a role that is assumed, and so names who it is about."""
    issuers: tuple[str, ...]
    """The identity providers among these, as the keys of their tokens' claims begin."""


@dataclass(frozen=True)
class Fault:
    """What IAM would never act on."""

    said: str
    """The action, or the actions of the statement."""
    about: str
    """What is wrong with it: a resource or its type, a condition key, or the action itself."""
    why: str

    def __str__(self) -> str:
        return f"{self.said}: {self.about} {self.why}"


def statements(document: str) -> list[Statement]:
    """Read a policy document."""
    return [_statement(element) for element in json.loads(document)["Statement"]]


def _statement(element: Mapping[str, Any]) -> Statement:
    assert element.keys() <= {"Effect", "Principal", "Action", "Resource", "Condition"}, element.keys()
    principal: str | Mapping[str, Any] = element.get("Principal", {})
    federated: list[str] = [] if isinstance(principal, str) else principal.get("Federated", [])
    return Statement(
        allows=element["Effect"] == "Allow",
        actions=tuple(element["Action"]),
        resources=tuple(element.get("Resource", ())),
        keys=frozenset(key for tests in element.get("Condition", {}).values() for key in tests),
        of_resource="Principal" in element,
        issuers=tuple(provider.partition(":oidc-provider/")[2] for provider in federated),
    )


# --- what IAM knows ------------------------------------------------------------------------------------------------


@cache
def known(action: str) -> tuple[Action, ...]:
    """The actions that a policy means by `service:Name`, in which `*` stands for any text."""
    service, _, name = action.partition(":")
    reference = get_service_prefix_data(service)
    return tuple(
        _action(privilege["resource_types"].values(), reference["resources"])
        for spelled, privilege in reference.get("privileges", {}).items()
        if fnmatchcase(spelled.lower(), name.lower())
    )


def _action(rows: Iterable[Mapping[str, Any]], resources: Mapping[str, Mapping[str, Any]]) -> Action:
    keys = frozenset(key for row in rows if not row["resource_type"] for key in row["condition_keys"])
    return Action(
        kinds=tuple(
            Kind(
                name=row["resource_type"],
                arn=pattern(resource["arn"]),
                required=row["required"],
                keys=keys.union(row["condition_keys"] or resource["condition_keys"]),
            )
            for row in rows
            if row["resource_type"]
            for resource in [resources[row["resource_type"]]]
        ),
        keys=keys,
    )


@cache
def pattern(arn: str) -> Pattern:
    """An ARN of a policy, in which `*` stands for any text, or of the reference, where `${Name}` stands for a part."""
    assert "?" not in arn, arn
    return tuple(_symbol(text) for text in re.findall(r"\$\{\w+\}|.", arn))


def _symbol(text: str) -> str | Wild:
    if text == "*":
        return Wild.TEXT
    if len(text) == 1:
        return text
    return Wild.TEXT if _HOLD_SEPARATORS.fullmatch(text[2:-1]) else Wild.PART


@cache
def overlap(one: Pattern, other: Pattern) -> bool:
    """Whether there is an ARN that both patterns mean."""

    @cache
    def meet(i: int, j: int) -> bool:
        """Whether the rest of one and the rest of the other do."""
        a = one[i] if i < len(one) else None
        b = other[j] if j < len(other) else None
        if isinstance(a, Wild):
            takes = b is not None and (isinstance(b, Wild) or b not in a.value)
            return meet(i + 1, j) or (takes and meet(i, j + 1))
        if isinstance(b, Wild):
            return meet(i, j + 1) or (a is not None and a not in b.value and meet(i + 1, j))
        return a == b and (a is None or meet(i + 1, j + 1))

    return meet(0, 0)


def _unheard(keys: Iterable[str], of_request: Iterable[str]) -> list[str]:
    """The keys that a request with the others never has."""
    heads = [key.lower().partition("${") for key in {*of_request, *GLOBAL_KEYS}]
    return sorted(
        key
        for key in keys
        if not any(
            key.lower().startswith(head) if variable else key.lower() == head for head, variable, _ in heads
        )
    )


# --- what it would never act on ------------------------------------------------------------------------------------


def unknown_actions(policy: Sequence[Statement]) -> Iterator[Fault]:
    """Actions that are none; `*` alone is every action, whatever there is."""
    for statement in policy:
        for action in statement.actions:
            if action != "*" and not known(action):
                yield Fault(action, action, "is no action")


def resources_for_actions_without(policy: Sequence[Statement]) -> Iterator[Fault]:
    """Resources for actions that know none."""
    for statement in _of_identities(policy):
        for action in statement.actions:
            meant = known(action)
            if meant and "*" not in statement.resources and not any(each.kinds for each in meant):
                yield Fault(
                    action, _joined(statement.resources), "has no effect: the action is granted on * alone"
                )


def misplaced_actions(policy: Sequence[Statement]) -> Iterator[Fault]:
    """Actions on resources of other types alone."""
    for statement in _of_identities(policy):
        for action in statement.actions:
            kinds = _kinds([action])
            if kinds and not any(kind.includes(statement.resources) for kind in kinds):
                yield Fault(action, _joined(statement.resources), f"is no {_names(kinds)}")


def idle_resources(policy: Sequence[Statement]) -> Iterator[Fault]:
    """Resources that none of a statement's actions knows."""
    for statement in _of_identities(policy):
        kinds = _kinds(statement.actions)
        for resource in statement.resources:
            if kinds and not any(kind.includes([resource]) for kind in kinds):
                yield Fault(_joined(statement.actions), resource, f"is no {_names(kinds)}")


def unheard_conditions(policy: Sequence[Statement]) -> Iterator[Fault]:
    """Conditions on what a request does not tell.

    A statement of an identity is judged for each action and type of resource; that of a resource as a whole, for AWS's own
    policies for keys put one condition on several actions. What a token claims is told under its issuer's name.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
    """
    for statement in policy:
        if statement.of_resource:
            keys = {key for action in statement.actions for each in known(action) for key in _keys(each)}
            claims = {f"{issuer}:{claim}" for issuer in statement.issuers for claim in ("aud", "sub")}
            for key in _unheard(statement.keys, keys | claims):
                yield Fault(_joined(statement.actions), key, "is no condition key of these")
            continue
        for action in statement.actions:
            told = [
                keys
                for each in known(action)
                for keys in (
                    [kind.keys for kind in each.kinds if kind.includes(statement.resources)]
                    if each.kinds
                    else [each.keys]
                )
            ]
            missing = [_unheard(statement.keys, keys) for keys in told]
            if missing and all(missing):
                yield Fault(action, _joined(min(missing, key=len)), "is no condition key of it")


def refused_for_a_resource(policy: Sequence[Statement]) -> Iterator[Fault]:
    """Types of resource that every request for an action names, and that no statement grants it.

    Of actions that are spelled out: who writes `*` means what there is.
    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
    """
    grants = [statement for statement in _of_identities(policy) if statement.allows]
    for action in sorted(
        {action for statement in grants for action in statement.actions if "*" not in action}
    ):
        for kind in _kinds([action]):
            granted = any(
                kind.includes(statement.resources) and not _unheard(statement.keys, kind.keys)
                for statement in grants
                if any(fnmatchcase(action.lower(), each.lower()) for each in statement.actions)
            )
            if kind.required and not granted:
                yield Fault(action, kind.name, "is what it takes as well, and is granted by no statement")


def _of_identities(policy: Sequence[Statement]) -> list[Statement]:
    return [statement for statement in policy if not statement.of_resource]


def _kinds(actions: Iterable[str]) -> list[Kind]:
    return [kind for action in actions for each in known(action) for kind in each.kinds]


def _keys(action: Action) -> frozenset[str]:
    return action.keys.union(*(kind.keys for kind in action.kinds))


def _names(kinds: Iterable[Kind]) -> str:
    return " or ".join(sorted({kind.name for kind in kinds}))


def _joined(texts: Sequence[str]) -> str:
    return ", ".join(texts)
