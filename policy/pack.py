"""The rules as a policy pack of Pulumi's SDK: what the engine sends becomes resources, and violations go back."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast

import pulumi_policy
from pulumi_policy import deserialize, policy, proxy

from operations.naming import APPLICATION
from policy.resources import SECRET, UNKNOWN, AnyRule, Resource, StackRule

_UNKNOWN: Final = frozenset(
    value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_") and isinstance(value, str)
)


def serve(rules: Sequence[AnyRule]) -> None:
    """Answer the engine until it ends this process."""
    _read_as_rules_do()
    pulumi_policy.PolicyPack(
        APPLICATION,
        [_policy(rule) for rule in rules],
        enforcement_level=pulumi_policy.EnforcementLevel.MANDATORY,
    )


def _read_as_rules_do() -> None:
    """Have the SDK read what the engine sends as rules take it: what is not known, or secret, is said to be so.

    By itself it unwraps secrets, so that no rule could say that a value is none, and ends a rule at the first value that is
    not known. It reads every resource once for each rule, too, and more slowly.
    """

    def read(properties: dict[str, Any], _: bool = True) -> Mapping[str, Any]:
        return MappingProxyType(plain(properties))  # no dictionary: of one the SDK would make its own

    setattr(policy, "deserialize_properties", read)  # noqa: B010 - not an attribute that its types tell of


def _policy(rule: AnyRule) -> pulumi_policy.Policy:
    if isinstance(rule, StackRule):

        def judge_stack(
            args: pulumi_policy.StackValidationArgs, report: pulumi_policy.ReportViolation
        ) -> None:
            for violation in rule.check([_resource(found) for found in args.resources]):
                report(violation.message, violation.urn)

        return pulumi_policy.StackValidationPolicy(rule.name, rule.description, judge_stack)

    def judge(args: pulumi_policy.ResourceValidationArgs, report: pulumi_policy.ReportViolation) -> None:
        for violation in rule.check(_resource(args)):
            report(violation.message, violation.urn)

    return pulumi_policy.ResourceValidationPolicy(rule.name, rule.description, judge)


def _resource(found: pulumi_policy.ResourceValidationArgs | pulumi_policy.PolicyResource) -> Resource:
    dependencies = found.dependencies if isinstance(found, pulumi_policy.PolicyResource) else []
    return Resource(
        type=found.resource_type,
        name=found.name,
        urn=found.urn,
        inputs=found.props,
        protect=found.opts.protect,
        dependencies=frozenset(dependency.urn for dependency in dependencies),
    )


def plain(value: Any) -> Any:
    """Return a value as the engine writes it, with whatever is not known, or secret, replaced by what says so."""
    match value:
        case str():
            return UNKNOWN if value in _UNKNOWN else value
        case list():
            return [plain(item) for item in cast("list[Any]", value)]
        case dict():
            properties = cast("dict[str, Any]", value)
            if properties.get(deserialize.SPECIAL_SIG_KEY) == deserialize.SPECIAL_SECRET_SIG:
                return SECRET
            return {key: plain(item) for key, item in properties.items()}
        case float() if value.is_integer():
            return int(value)
        case _:
            return value
