"""Progress and summaries, from the engine's events."""

import io

import pytest
from pulumi import automation as auto
from pulumi.automation import events
from rich.console import Console

from rehearsal.narration import Watch, changed_lines, changes_table, outputs_table, resource_name

URN = "urn:pulumi:dev::quikapp::quikapp:network:Network$aws:ec2/vpc:Vpc::net"


def _event(kind: str, body: dict[str, object]) -> events.EngineEvent:
    data: dict[str, object] = {"sequence": 1, "timestamp": 1, kind: body}
    return events.EngineEvent.from_json(data)  # pyright: ignore[reportUnknownMemberType] -- the SDK types it as bare dict


def _planned(op: str, urn: str = URN, **extra: object) -> events.EngineEvent:
    metadata = {"op": op, "urn": urn, "type": urn.split("::")[2].rsplit("$")[-1], "provider": "", **extra}
    return _event("resourcePreEvent", {"metadata": metadata})


def _said(severity: str, message: str, urn: str = URN) -> events.EngineEvent:
    return _event("diagnosticEvent", {"severity": severity, "message": message, "color": "never", "urn": urn})


def _violated(level: str, message: str) -> events.EngineEvent:
    body = {"message": message, "color": "never", "policyName": "pinned-images", "enforcementLevel": level}
    return _event(
        "policyEvent", {"policyPackName": "p", "policyPackVersion": "1", "resourceUrn": URN, **body}
    )


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def _printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_replacement_counts_once(console: Console) -> None:
    with Watch(console, "preview") as watch:
        for op in ("create-replacement", "replace", "delete-replaced"):
            watch.on_event(_planned(op))
    assert dict(watch.counts) == {"replace": 1}


def test_an_update_is_shown_with_the_properties_that_differ(console: Console) -> None:
    with Watch(console, "preview") as watch:
        watch.on_event(
            _planned("update", detailedDiff={"tags[0]": {"diffKind": "update", "inputDiff": True}})
        )
    console.print(changed_lines(watch)[0])
    assert "update aws:ec2/vpc:Vpc net (tags[0])" in _printed(console)


def test_the_summary_counts_by_change_and_provider(console: Console) -> None:
    with Watch(console, "preview") as watch:
        watch.on_event(_planned("create"))
        watch.on_event(_planned("create", f"{URN}-b"))
        watch.on_event(_planned("same", f"{URN}-c"))
    console.print(changes_table(watch, "Preview"))
    printed = _printed(console)
    assert "create" in printed
    assert "aws 2" in printed
    assert "unchanged" in printed


def test_an_error_is_kept_once_with_its_resource(console: Console) -> None:
    with Watch(console, "up") as watch:
        watch.on_event(_said("error", "<{%reset%}>no such field<{%reset%}>\n"))
        watch.on_event(_said("error", "no such field"))
        watch.on_event(_said("error", "update failed", ""))
        watch.on_event(_said("error", "an unhandled error occurred: aws:ec2/vpc:Vpc net: no such field", ""))
    assert watch.errors == ["aws:ec2/vpc:Vpc net: no such field"]


def test_brackets_in_a_warning_are_printed_as_they_are(console: Console) -> None:
    with Watch(console, "up") as watch:
        watch.on_event(_said("warning", "field [x] is odd"))
    assert "field [x] is odd" in _printed(console)


def test_without_a_terminal_progress_is_a_line_now_and_then(console: Console) -> None:
    with Watch(console, "up", total=60) as watch:
        for index in (
            number for number in range(60) for _ in ("made", "its outputs, as a component tells them")
        ):
            metadata = {"op": "create", "urn": f"{URN}{index}", "type": "aws:ec2/vpc:Vpc", "provider": ""}
            watch.on_event(_event("resOutputsEvent", {"metadata": metadata}))
    assert _printed(console).count("resources") == 2
    assert "50 of 60 resources" in _printed(console)


def test_a_secret_output_is_never_printed(console: Console) -> None:
    outputs = {
        "password": auto.OutputValue("hunter2", secret=True),
        "slots": auto.OutputValue({"blue": {"version": "v1.0.0", "weight": 100}}, secret=False),
        "zones": auto.OutputValue(["a", "b"], secret=False),
        "rules": auto.OutputValue([{"path": "/"}, {"path": "/api"}], secret=False),
    }
    console.print(outputs_table(outputs, "Outputs"))
    printed = _printed(console)
    assert "hunter2" not in printed
    assert "slots.blue" in printed
    assert "v1.0.0" in printed
    assert "a, b" in printed
    assert "path /, path /api" in printed


def test_what_lies_deep_in_an_output_is_one_row(console: Console) -> None:
    deep = {"recoveries": {"region": {"database": {"point": "30 s", "parts": {"failover": "2 min"}}}}}
    console.print(outputs_table({"recovery": auto.OutputValue(deep, secret=False)}, "Outputs"))
    (row,) = [line for line in _printed(console).splitlines() if "recovery" in line]
    assert "recovery.recoveries.region" in row
    assert "database (point 30 s  parts (failover 2 min))" in row


def test_a_resource_is_named_by_its_type_and_name() -> None:
    assert resource_name(URN) == "aws:ec2/vpc:Vpc net"


VIOLATION = "What runs is one release.\naws:ec2/vpc:Vpc net: image is [app:latest]; allowed is a digest"


def test_a_violation_that_only_warns_names_the_policy_and_what_is_wrong(console: Console) -> None:
    with Watch(console, "preview") as watch:
        watch.on_event(_violated("advisory", VIOLATION))
    assert watch.errors == []
    told = "warning policy pinned-images: aws:ec2/vpc:Vpc net: image is [app:latest]; allowed is a digest"
    assert told in _printed(console)


def test_a_mandatory_violation_is_an_error(console: Console) -> None:
    with Watch(console, "preview") as watch:
        watch.on_event(_violated("mandatory", VIOLATION))
    assert watch.errors == [
        "policy pinned-images: aws:ec2/vpc:Vpc net: image is [app:latest]; allowed is a digest"
    ]
