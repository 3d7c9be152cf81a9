"""On-call in PagerDuty: who is called for an incident, in which order, and when (the page, "Alert Routing").

Source: https://support.pagerduty.com/main/docs/escalation-policies-and-schedules
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pulumi
import pulumi_pagerduty as pagerduty

from operations import priorities
from operations.incidents import OBJECTIVES
from operations.monitoring import BusinessHours, Paging
from operations.naming import APPLICATION
from operations.priorities import ROUTES, Priority, Route

REPEATS: Final = 9
"""How often an escalation begins again when it has reached the manager and nobody has acknowledged: the most that
PagerDuty allows."""

FORGOTTEN: Final = timedelta(days=1)
"""After which PagerDuty closes an incident of business hours by itself. Alertmanager tells PagerDuty nothing outside of
them, not even that an alert has ended (https://github.com/prometheus/alertmanager/issues/3664); one that still fires
opens it anew."""

NEVER: Final = "null"
"""How PagerDuty's provider spells a time that never comes."""


@dataclass(frozen=True, kw_only=True)
class OnCallArgs:
    """Whom PagerDuty calls for an environment."""

    environment: str
    paging: Paging
    token: pulumi.Input[str]
    """A REST API key of the PagerDuty account that may manage its services."""


class OnCall(pulumi.ComponentResource):
    """A schedule, and for each priority that is paged a service with its escalation policy.

    An incident calls the on-call engineer, then the team lead, then the engineering manager; each has the severity's
    response time to acknowledge. An acknowledged incident that is open after as long again calls anew. PagerDuty asks
    for a minute at least before it escalates: https://github.com/PagerDuty/terraform-provider-pagerduty/pull/401
    """

    integration_keys: Mapping[Priority, pulumi.Output[str]]
    """The key by which Alertmanager opens incidents of each priority; secrets."""

    def __init__(self, name: str, args: OnCallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:monitoring:OnCall", name, None, opts)
        self.name: Final = name
        self.args: Final = args
        provider = pagerduty.Provider(
            f"{name}-pagerduty",
            token=pulumi.Output.secret(args.token),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.child: Final = pulumi.ResourceOptions(parent=self, provider=provider)
        schedule = self._schedule()
        self.integration_keys = {
            priority: self._integration_key(priority, route, schedule)
            for priority, route in ROUTES.items()
            if route.paging is not None
        }
        self.register_outputs({"integration_keys": dict(self.integration_keys)})

    def _called(self, suffix: str) -> str:
        """The name of a thing as people see it in PagerDuty, such as `quikapp-live-p1`."""
        return f"{APPLICATION}-{self.args.environment}-{suffix}"

    def _schedule(self) -> pagerduty.Schedule:
        """The engineers' turns, without a gap."""
        on_call, zone = self.args.paging.on_call, self.args.paging.business_hours.time_zone
        start = datetime.combine(on_call.since, on_call.handover, ZoneInfo(zone)).isoformat()
        return pagerduty.Schedule(
            f"{self.name}-schedule",
            name=self._called("on-call"),
            description=f"Engineers on call for {self.args.environment}, in turn",
            time_zone=zone,
            layers=[
                pagerduty.ScheduleLayerArgs(
                    name="engineers",
                    start=start,
                    rotation_virtual_start=start,
                    rotation_turn_length_seconds=_seconds(timedelta(days=on_call.rotation_days)),
                    users=[*on_call.engineers],
                )
            ],
            opts=self.child,
        )

    def _integration_key(
        self, priority: Priority, route: Route, schedule: pagerduty.Schedule
    ) -> pulumi.Output[str]:
        """Declare the service of a priority and return the key by which it is reached."""
        suffix = priority.lower()
        response = OBJECTIVES[route.opens].response
        in_hours_only = route.paging is priorities.Paging.BUSINESS_HOURS
        hours = self.args.paging.business_hours if in_hours_only else None
        policy = self._policy(priority, response, schedule)
        service = pagerduty.Service(
            f"{self.name}-{suffix}",
            name=self._called(suffix),
            description=f"{priority}, {route.title}: opens {route.opens}",
            escalation_policy=policy.id,
            acknowledgement_timeout=str(_seconds(response)),
            auto_resolve_timeout=str(_seconds(FORGOTTEN)) if hours else NEVER,
            incident_urgency_rule=_urgency_by_hours() if hours else _always_high(),
            support_hours=_support_hours(hours) if hours else None,
            scheduled_actions=[_raise_at_start()] if hours else None,
            opts=self.child,
        )
        integration = pagerduty.ServiceIntegration(
            f"{self.name}-{suffix}-events",
            name="Alertmanager",
            type="events_api_v2_inbound_integration",
            service=service.id,
            opts=pulumi.ResourceOptions.merge(
                self.child, pulumi.ResourceOptions(additional_secret_outputs=["integration_key"])
            ),
        )
        return pulumi.Output.secret(integration.integration_key)

    def _policy(
        self, priority: Priority, response: timedelta, schedule: pagerduty.Schedule
    ) -> pagerduty.EscalationPolicy:
        on_call = self.args.paging.on_call
        called = [
            pagerduty.EscalationPolicyRuleTargetArgs(type="schedule_reference", id=schedule.id),
            pagerduty.EscalationPolicyRuleTargetArgs(type="user_reference", id=on_call.team_lead),
            pagerduty.EscalationPolicyRuleTargetArgs(type="user_reference", id=on_call.engineering_manager),
        ]
        return pagerduty.EscalationPolicy(
            f"{self.name}-{priority.lower()}-escalation",
            name=self._called(priority.lower()),
            description="On-call engineer, team lead, engineering manager",
            num_loops=REPEATS,
            rules=[
                pagerduty.EscalationPolicyRuleArgs(
                    escalation_delay_in_minutes=_minutes(response), targets=[target]
                )
                for target in called
            ],
            opts=self.child,
        )


def _always_high() -> pagerduty.ServiceIncidentUrgencyRuleArgs:
    return pagerduty.ServiceIncidentUrgencyRuleArgs(type="constant", urgency="high")


def _urgency_by_hours() -> pagerduty.ServiceIncidentUrgencyRuleArgs:
    """High within business hours; low outside, which calls nobody to another's aid."""
    return pagerduty.ServiceIncidentUrgencyRuleArgs(
        type="use_support_hours",
        during_support_hours=pagerduty.ServiceIncidentUrgencyRuleDuringSupportHoursArgs(
            type="constant", urgency="high"
        ),
        outside_support_hours=pagerduty.ServiceIncidentUrgencyRuleOutsideSupportHoursArgs(
            type="constant", urgency="low"
        ),
    )


def _support_hours(hours: BusinessHours) -> pagerduty.ServiceSupportHoursArgs:
    return pagerduty.ServiceSupportHoursArgs(
        type="fixed_time_per_day",
        time_zone=hours.time_zone,
        days_of_weeks=sorted(day.number for day in hours.days),
        start_time=f"{hours.start:%H:%M:%S}",
        end_time=f"{hours.end:%H:%M:%S}",
    )


def _raise_at_start() -> pagerduty.ServiceScheduledActionArgs:
    """What is open when business hours begin becomes urgent."""
    return pagerduty.ServiceScheduledActionArgs(
        type="urgency_change",
        to_urgency="high",
        ats=[pagerduty.ServiceScheduledActionAtArgs(type="named_time", name="support_hours_start")],
    )


def _seconds(span: timedelta) -> int:
    return span // timedelta(seconds=1)


def _minutes(span: timedelta) -> int:
    return span // timedelta(minutes=1)
