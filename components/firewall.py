"""The web application firewall before the load balancer: known attacks, known attackers, and too much of anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

REQUESTS_PER_ADDRESS: Final = 2000
"""Requests of one address in `RATE_WINDOW_SECONDS` beyond which it is blocked, until it sends fewer."""

RATE_WINDOW_SECONDS: Final = 300

MANAGED_RULE_GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "AWSManagedRulesAmazonIpReputationList": (),
    "AWSManagedRulesKnownBadInputsRuleSet": (),
    # It blocks every body over 8 KB, which every upload of a file is.
    "AWSManagedRulesCommonRuleSet": ("SizeRestrictions_BODY",),
}
"""AWS's rule groups in the order they are asked, each with those of its rules that count and do not block.

Sources: https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-ip-rep.html,
https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
"""

LOG_PREFIX: Final = "aws-waf-logs-"
"""How the name of a log group begins that the firewall can write to.

Source: https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html
"""

LOGGED_ACTIONS: Final = ("BLOCK", "COUNT")
"""What is logged; the load balancer's access log has every request already."""

CREDENTIAL_HEADERS: Final = ("authorization", "cookie")
"""Headers whose values are never logged."""


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """What a firewall is made of."""

    prefix: str
    """Its name and how its log group's name ends, such as `quikapp-live`."""
    region: str
    """AWS region of the load balancer, such as `eu-west-1`."""
    load_balancer_arn: pulumi.Input[str]
    log_retention_days: int
    """Days that the log is kept; a period that CloudWatch Logs offers."""
    tags: Mapping[str, str]


class Firewall(pulumi.ComponentResource):
    """A web ACL before one load balancer, and the log of what it blocked or counted."""

    web_acl_arn: pulumi.Output[str]

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:firewall:Firewall", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = {**args.tags, "Name": name}

        acl = aws.wafv2.WebAcl(
            f"{name}-acl",
            name=args.prefix,
            scope="REGIONAL",
            default_action=aws.wafv2.WebAclDefaultActionArgs(allow=aws.wafv2.WebAclDefaultActionAllowArgs()),
            rules=[
                _rate_limit(priority=0),
                *(
                    _managed(group, counted, priority=priority)
                    for priority, (group, counted) in enumerate(MANAGED_RULE_GROUPS.items(), start=1)
                ),
            ],
            visibility_config=aws.wafv2.WebAclVisibilityConfigArgs(
                metric_name=args.prefix, cloudwatch_metrics_enabled=True, sampled_requests_enabled=True
            ),
            region=args.region,
            tags=tags,
            opts=child,
        )
        aws.wafv2.WebAclAssociation(
            f"{name}-association",
            resource_arn=args.load_balancer_arn,
            web_acl_arn=acl.arn,
            region=args.region,
            opts=child,
        )
        log_group = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=f"{LOG_PREFIX}{args.prefix}",
            retention_in_days=args.log_retention_days,
            region=args.region,
            tags=tags,
            opts=child,
        )
        aws.wafv2.WebAclLoggingConfiguration(
            f"{name}-logging",
            resource_arn=acl.arn,
            log_destination_configs=[log_group.arn],
            logging_filter=_log_only(LOGGED_ACTIONS),
            redacted_fields=[
                aws.wafv2.WebAclLoggingConfigurationRedactedFieldArgs(
                    single_header=aws.wafv2.WebAclLoggingConfigurationRedactedFieldSingleHeaderArgs(
                        name=header
                    )
                )
                for header in CREDENTIAL_HEADERS
            ],
            region=args.region,
            opts=child,
        )
        self.web_acl_arn = acl.arn
        self.register_outputs({"webAclArn": self.web_acl_arn})


def _visible(name: str) -> aws.wafv2.WebAclRuleVisibilityConfigArgs:
    return aws.wafv2.WebAclRuleVisibilityConfigArgs(
        metric_name=name, cloudwatch_metrics_enabled=True, sampled_requests_enabled=True
    )


def _rate_limit(*, priority: int) -> aws.wafv2.WebAclRuleArgs:
    return aws.wafv2.WebAclRuleArgs(
        name="rate-limit",
        priority=priority,
        action=aws.wafv2.WebAclRuleActionArgs(block=aws.wafv2.WebAclRuleActionBlockArgs()),
        statement=aws.wafv2.WebAclRuleStatementArgs(
            rate_based_statement=aws.wafv2.WebAclRuleStatementRateBasedStatementArgs(
                aggregate_key_type="IP",
                limit=REQUESTS_PER_ADDRESS,
                evaluation_window_sec=RATE_WINDOW_SECONDS,
            )
        ),
        visibility_config=_visible("rate-limit"),
    )


def _managed(group: str, counted: Sequence[str], *, priority: int) -> aws.wafv2.WebAclRuleArgs:
    override = aws.wafv2.WebAclRuleStatementManagedRuleGroupStatementRuleActionOverrideArgs
    to_use = aws.wafv2.WebAclRuleStatementManagedRuleGroupStatementRuleActionOverrideActionToUseArgs
    count = aws.wafv2.WebAclRuleStatementManagedRuleGroupStatementRuleActionOverrideActionToUseCountArgs
    return aws.wafv2.WebAclRuleArgs(
        name=group,
        priority=priority,
        override_action=aws.wafv2.WebAclRuleOverrideActionArgs(
            none=aws.wafv2.WebAclRuleOverrideActionNoneArgs()
        ),
        statement=aws.wafv2.WebAclRuleStatementArgs(
            managed_rule_group_statement=aws.wafv2.WebAclRuleStatementManagedRuleGroupStatementArgs(
                vendor_name="AWS",
                name=group,
                rule_action_overrides=[
                    override(name=rule, action_to_use=to_use(count=count())) for rule in counted
                ],
            )
        ),
        visibility_config=_visible(group),
    )


def _log_only(actions: Sequence[str]) -> aws.wafv2.WebAclLoggingConfigurationLoggingFilterArgs:
    condition = aws.wafv2.WebAclLoggingConfigurationLoggingFilterFilterConditionArgs
    action = aws.wafv2.WebAclLoggingConfigurationLoggingFilterFilterConditionActionConditionArgs
    return aws.wafv2.WebAclLoggingConfigurationLoggingFilterArgs(
        default_behavior="DROP",
        filters=[
            aws.wafv2.WebAclLoggingConfigurationLoggingFilterFilterArgs(
                behavior="KEEP",
                requirement="MEETS_ANY",
                conditions=[condition(action_condition=action(action=name)) for name in actions],
            )
        ],
    )
