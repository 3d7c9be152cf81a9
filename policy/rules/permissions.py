"""No `*` on `*`: nobody may do everything to everything."""

from collections.abc import Iterator
from typing import Final

from policy.documents import listed, statements
from policy.resources import Resource, Rule, Violation, items, mapping

_ALMIGHTY: Final = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")
"""AWS's own policies that allow everything, or all that it takes to allow oneself everything.

Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
"""


def _boundless(resource: Resource) -> Iterator[Violation]:
    for path, statement in statements(resource, "Allow"):
        for negation in ("NotAction", "NotResource"):
            if negation in statement:
                yield resource.breaks(f"{path}.{negation}", statement[negation], "a list of what is allowed")
        actions, things = listed(statement.get("Action")), listed(statement.get("Resource"))
        # The policy of a key, vault or bucket is about that alone: there "*" is the thing itself.
        boundless = "*" in things and "Principal" not in statement
        for action in actions:
            if action == "*" or (boundless and action.endswith(":*")):
                yield resource.breaks(
                    f"{path}.Action", action, f"named actions{', on named resources' if boundless else ''}"
                )
    yield from _attached(resource)
    if resource.kind in ("ClusterRole", "Role") and resource.package == "kubernetes":
        for place, rule in enumerate(items(resource.at("rules"))):
            if "*" in items(mapping(rule).get("verbs")) and "*" in items(mapping(rule).get("resources")):
                yield resource.breaks(f"rules[{place}].verbs", "*", "named verbs, on named resources")
    if (
        resource.kind in ("ClusterRoleBinding", "RoleBinding")
        and resource.at("roleRef", "name") == "cluster-admin"
    ):
        yield resource.breaks("roleRef.name", "cluster-admin", "a role with the rights that are used")


def _attached(resource: Resource) -> Iterator[Violation]:
    attached = {"policyArn": resource.at("policyArn")} if resource.kind.endswith("PolicyAttachment") else {}
    if resource.type == "aws:iam/role:Role":
        attached = {
            f"managedPolicyArns[{place}]": arn
            for place, arn in enumerate(items(resource.at("managedPolicyArns")))
        }
    for path, arn in attached.items():
        if isinstance(arn, str) and arn.rpartition("/")[2] in _ALMIGHTY:
            yield resource.breaks(path, arn, "a policy with the rights that are used")


RULES: Final = (
    Rule(
        name="least-privilege",
        description="No policy allows every action, or every action of a service on every resource.",
        check=_boundless,
    ),
)
