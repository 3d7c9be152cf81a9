"""On-call: an incident calls engineer, lead and manager in turn, P1 at any hour and P2 in business hours."""

from collections.abc import Sequence
from datetime import date, time

import pulumi
import pytest

from components.monitoring.oncall import OnCall, OnCallArgs
from operations.monitoring import BusinessHours, Day, Paging
from operations.monitoring import OnCall as OnCallFacts
from operations.priorities import Priority
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording

SCHEDULE = "pagerduty:index/schedule:Schedule"
POLICY = "pagerduty:index/escalationPolicy:EscalationPolicy"
SERVICE = "pagerduty:index/service:Service"
INTEGRATION = "pagerduty:index/serviceIntegration:ServiceIntegration"
PROVIDER = "pulumi:providers:pagerduty"

PAGING = Paging(
    business_hours=BusinessHours(
        time_zone="Europe/London",
        days=(Day.MONDAY, Day.TUESDAY, Day.FRIDAY),
        start=time(9),
        end=time(17, 30),
    ),
    on_call=OnCallFacts(
        engineers=("PENGIN1", "PENGIN2"),
        rotation_days=7,
        since=date(2026, 7, 6),
        handover=time(10),
        team_lead="PLEAD01",
        engineering_manager="PMANAGE1",
    ),
)


def on_call(record: Record) -> Recording[OnCall]:
    return record(
        lambda: OnCall("on-call", OnCallArgs(environment="live", paging=PAGING, token="u+a-token"))  # noqa: S106
    )


def test_the_engineers_take_turns_of_a_week_from_the_day_and_hour_of_their_time_zone(record: Record) -> None:
    schedule = on_call(record).one(SCHEDULE)
    assert schedule.inputs["name"] == "quikapp-live-on-call"
    assert schedule.inputs["timeZone"] == "Europe/London"
    assert schedule.inputs["layers"] == [
        {
            "name": "engineers",
            "start": "2026-07-06T10:00:00+01:00",
            "rotationVirtualStart": "2026-07-06T10:00:00+01:00",
            "rotationTurnLengthSeconds": 604800,
            "users": ["PENGIN1", "PENGIN2"],
        }
    ]


@pytest.mark.parametrize(("priority", "minutes"), [("p1", 5), ("p2", 15)])
def test_an_incident_escalates_to_lead_and_manager_after_the_response_time(
    record: Record, priority: str, minutes: int
) -> None:
    made = on_call(record)
    policy = made.one(POLICY, f"on-call-{priority}-escalation")
    assert policy.inputs["rules"] == [
        {"escalationDelayInMinutes": minutes, "targets": [target]}
        for target in (
            {"type": "schedule_reference", "id": made.one(SCHEDULE).id},
            {"type": "user_reference", "id": "PLEAD01"},
            {"type": "user_reference", "id": "PMANAGE1"},
        )
    ]
    assert policy.inputs["numLoops"] == 9
    assert made.one(SERVICE, f"on-call-{priority}").inputs["escalationPolicy"] == policy.id


def test_a_p1_is_urgent_at_any_hour_and_ends_only_when_it_is_resolved(record: Record) -> None:
    service = on_call(record).one(SERVICE, "on-call-p1").inputs
    assert service["name"] == "quikapp-live-p1"
    assert service["description"] == "P1, Critical: opens SEV1"
    assert service["incidentUrgencyRule"] == {"type": "constant", "urgency": "high"}
    assert service["acknowledgementTimeout"] == "300"
    assert service["autoResolveTimeout"] == "null"
    assert "supportHours" not in service
    assert "scheduledActions" not in service


def test_a_p2_is_urgent_in_business_hours_and_becomes_so_when_they_begin(record: Record) -> None:
    service = on_call(record).one(SERVICE, "on-call-p2").inputs
    assert service["name"] == "quikapp-live-p2"
    assert service["description"] == "P2, High: opens SEV2"
    assert service["incidentUrgencyRule"] == {
        "type": "use_support_hours",
        "duringSupportHours": {"type": "constant", "urgency": "high"},
        "outsideSupportHours": {"type": "constant", "urgency": "low"},
    }
    assert service["supportHours"] == {
        "type": "fixed_time_per_day",
        "timeZone": "Europe/London",
        "daysOfWeeks": [1, 2, 5],
        "startTime": "09:00:00",
        "endTime": "17:30:00",
    }
    assert service["scheduledActions"] == [
        {
            "type": "urgency_change",
            "toUrgency": "high",
            "ats": [{"type": "named_time", "name": "support_hours_start"}],
        }
    ]
    assert service["acknowledgementTimeout"] == "900"
    # Alertmanager cannot tell PagerDuty at night that an alert has ended.
    assert service["autoResolveTimeout"] == "86400"


def test_alertmanager_reaches_each_service_by_a_key_that_is_secret(record: Record) -> None:
    made = on_call(record)
    assert [*made.result.integration_keys] == [Priority.P1, Priority.P2]
    for priority, key in made.result.integration_keys.items():
        integration = made.one(INTEGRATION, f"on-call-{priority.lower()}-events")
        assert integration.inputs["type"] == "events_api_v2_inbound_integration"
        assert integration.inputs["service"] == made.one(SERVICE, f"on-call-{priority.lower()}").id
        assert made.value(key) == integration.outputs["integrationKey"]
        assert made.is_secret(key)


def test_the_key_is_a_secret_in_the_state_too(record: Record) -> None:
    hidden: dict[str, Sequence[str] | None] = {}

    def look(args: pulumi.ResourceTransformationArgs) -> None:
        hidden[args.name] = args.opts.additional_secret_outputs

    record(
        lambda: OnCall(
            "on-call",
            OnCallArgs(environment="live", paging=PAGING, token="u+a-token"),  # noqa: S106
            pulumi.ResourceOptions(transformations=[look]),
        )
    )
    assert hidden["on-call-p1-events"] == ["integration_key"]
    assert hidden["on-call-p2-events"] == ["integration_key"]


def test_one_provider_holds_the_token_as_a_secret_and_makes_everything(record: Record) -> None:
    made = on_call(record)
    provider = made.one(PROVIDER)
    assert provider.secrets == {"token"}
    declared = [resource for resource in made.resources if resource.package == "pagerduty"]
    assert len(declared) == 7
    assert {resource.provider for resource in declared} == {f"{provider.urn}::{provider.id}"}
    for resource in made.resources:
        assert not [path for path, value in resource.plain_text() if "u+a-token" in value], resource.name


def test_a_preview_before_the_first_update_asks_nothing_of_pagerduty(record: Record) -> None:
    made = record(
        lambda: OnCall("on-call", OnCallArgs(environment="live", paging=PAGING, token="u+a-token")),  # noqa: S106
        preview=True,
    )
    assert len(made.of(SERVICE)) == 2
