"""What AWS would decide: an evaluation of the policy documents that the program writes.

An explicit deny wins; else a resource's policy or the caller's own IAM must allow, and a boundary must allow it, too. Only what the program's policies use
is known here, and anything else is an error rather than a guess.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who asks for what."""

    principal: str
    """ARN of the role; that of its session's role for a session."""
    action: str
    resource: str
    iam_allows: bool = False
    """Whether the caller's own policies allow it."""
    context: Mapping[str, str] = field(default_factory=dict[str, str])
    """Condition keys of the request besides the principal; `aws:SecureTransport` is true unless it says otherwise."""


def is_allowed(policy: str, request: Request) -> bool:
    """Whether a resource with this policy, in the caller's account, lets the request through."""
    hits = [statement for statement in json.loads(policy)["Statement"] if _applies(statement, request)]
    if any(statement["Effect"] == "Deny" for statement in hits):
        return False
    return request.iam_allows or any(not _is_account(statement) for statement in hits)


def role_may(policies: Sequence[str], request: Request, *, boundary: str | None = None) -> bool:
    """Whether a role with these policies, and perhaps a permissions boundary, may do what is requested."""
    documents = [*policies, *([] if boundary is None else [boundary])]
    if any(_effects(document, request, "Deny") for document in documents):
        return False
    allowed = any(_effects(document, request, "Allow") for document in policies)
    return allowed and (boundary is None or _effects(boundary, request, "Allow"))


def may_assume(trust: str, claims: Mapping[str, str]) -> bool:
    """Whether a token of an identity provider with these claims, by condition key, lets its bearer take on a role."""
    request = Request(principal="", action="sts:AssumeRoleWithWebIdentity", resource="*", context=claims)
    return any(
        statement["Effect"] == "Allow" and _matches({"Resource": ["*"], **statement}, request)
        for statement in json.loads(trust)["Statement"]
    )


def granted(policy: str) -> dict[tuple[str, str], set[str]]:
    """Resource and condition, as JSON → actions that a role with this policy may do there. It denies nothing."""
    grants: dict[tuple[str, str], set[str]] = {}
    for statement in json.loads(policy)["Statement"]:
        assert statement["Effect"] == "Allow"
        for resource in statement["Resource"]:
            condition = json.dumps(statement.get("Condition", {}))
            grants.setdefault((resource, condition), set()).update(statement["Action"])
    return grants


def _effects(document: str, request: Request, effect: str) -> bool:
    return any(
        statement["Effect"] == effect and _matches(statement, request)
        for statement in json.loads(document)["Statement"]
    )


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return _names(statement["Principal"].get("AWS", []), request.principal) and _matches(statement, request)


def _matches(statement: Mapping[str, Any], request: Request) -> bool:
    assert statement.keys() <= {"Effect", "Principal", "Action", "Resource", "Condition"}, statement.keys()
    context = {
        "aws:SecureTransport": "true",
        "aws:PrincipalArn": request.principal,
        **request.context,
    }
    return (
        any(fnmatchcase(request.action.lower(), pattern.lower()) for pattern in statement["Action"])
        and any(fnmatchcase(request.resource, pattern) for pattern in statement["Resource"])
        and all(
            _holds(operator, context.get(key), wanted)
            for operator, tests in statement.get("Condition", {}).items()
            for key, wanted in tests.items()
        )
    )


def _names(principals: list[str], asking: str) -> bool:
    account = ":".join((*asking.split(":")[:5], "root"))
    return any(principal in {"*", asking, account} for principal in principals)


def _is_account(statement: Mapping[str, Any]) -> bool:
    """Whether a statement lets nobody in by itself, and leaves it to the account's IAM."""
    return all(name.endswith(":root") for name in statement["Principal"].get("AWS", []))


def _holds(operator: str, value: str | None, wanted: str | list[str]) -> bool:
    listed = [wanted] if isinstance(wanted, str) else wanted
    match operator:
        case "Bool" | "StringEquals" | "ForAnyValue:StringEquals":  # of a key with one value
            return value in listed
        case "StringNotEquals" | "ArnNotEquals":  # true of a key that the request does not have
            return value not in listed
        case "ArnLike":
            return value is not None and any(fnmatchcase(value, pattern) for pattern in listed)
        case "Null":
            return str(value is None).lower() in listed
        case _:
            raise AssertionError(f"{operator} is not known here")
