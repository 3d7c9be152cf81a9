"""What AWS would decide: an evaluation of the policy documents that the program writes.

An explicit deny wins; else a resource's policy or the caller's own IAM must allow. Only what the program's policies use
is known here, and anything else is an error rather than a guess.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    assert statement.keys() <= {"Effect", "Principal", "Action", "Resource", "Condition"}, statement.keys()
    context = {
        "aws:SecureTransport": "true",
        "aws:PrincipalArn": request.principal,
        **request.context,
    }
    return (
        _names(statement["Principal"].get("AWS", []), request.principal)
        and any(fnmatchcase(request.action, pattern) for pattern in statement["Action"])
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
        case "Bool" | "StringEquals":
            return value in listed
        case "StringNotEquals" | "ArnNotEquals":  # true of a key that the request does not have
            return value not in listed
        case _:
            raise AssertionError(f"{operator} is not known here")
