"""What is told of previews that a real engine made: what changes, what it costs, what deserves fear, and no value of anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from delivery.errors import DeliveryError
from delivery.preview_report.reader import read
from operations.environments import EnvironmentName
from operations.guardrails import Level, level
from operations.preview.comment import markdown
from operations.preview.costs import Measure
from operations.preview.digest import Digest, SlotChange, Violation
from operations.preview.fears import Fear
from operations.release import SlotRelease
from operations.slots import Slot
from rollout.engine import guardrails_of
from tests.unit.delivery.plans import FOLDER, PLANS, digest_of

DEV = EnvironmentName.DEV
SECRET = "hunter2"  # noqa: S105 - it opens nothing


def fears(digest: Digest) -> set[tuple[Fear, str, str, str]]:
    return {(each.fear, each.operation, each.name, each.why) for each in digest.cautions}


def test_a_change_of_weights_is_told_from_the_outputs_of_the_stack() -> None:
    digest = digest_of("weights")
    assert digest.slots == (
        SlotChange(
            slot=Slot.BLUE,
            before=SlotRelease(version="v2.3.0", weight=0),
            after=SlotRelease(version="v2.3.0", weight=5),
        ),
        SlotChange(
            slot=Slot.GREEN,
            before=SlotRelease(version="v2.4.0", weight=100),
            after=SlotRelease(version="v2.4.0", weight=95),
        ),
    )
    assert {change.type for change in digest.changes} == {"aws:lb/listenerRule:ListenerRule"}
    assert digest.cautions == ()
    assert "blue v2.3.0, 0 → 5 %; green v2.4.0, 100 → 95 %" in markdown([digest])


def test_a_change_of_version_frightens_nobody_where_only_labels_of_rights_change() -> None:
    digest = digest_of("version")
    assert "blue v2.3.0 → v2.5.0, 0 %" in markdown([digest])
    assert {"dev-blue-api-account", "dev-blue-api-traffic"} < {change.name for change in digest.changes}
    assert digest.cautions == ()
    assert Measure(what="CPU requested by pods (most)", unit="cores", before=1.0, after=2.5) in digest.costs


def test_a_replaced_database_is_one_change_and_loses_its_data() -> None:
    digest = digest_of("database-replaced")
    (cluster,) = [change for change in digest.changes if change.name == "dev-database-cluster"]
    assert (cluster.operation, cluster.properties) == (
        "replace",
        ("databaseName", "serverlessv2ScalingConfiguration.maxCapacity"),
    )
    assert (Fear.LOSS, "replace", "dev-database-cluster", "its data") in fears(digest)
    assert Measure(what="database instances db.serverless", unit="", before=1, after=2) in digest.costs
    assert Measure(what="serverless database capacity (most)", unit="ACU", before=2, after=4) in digest.costs


def test_a_deleted_bucket_loses_its_objects_and_the_block_that_goes_with_it_makes_nothing_public() -> None:
    digest = digest_of("bucket-deleted")
    assert digest.counts["delete"] == 10
    assert fears(digest) == {
        (Fear.LOSS, "delete", "dev-storage-files", "its objects"),
        (Fear.LOSS, "delete", "dev-storage-files-key", "whatever it encrypts"),
        (
            Fear.EXPOSURE,
            "create",
            "dev-storage-documents-public-access",
            "its bucket does not block public access",
        ),
        (Fear.IDENTITY, "create", "dev-storage-documents-policy", ""),
        (Fear.IDENTITY, "delete", "dev-storage-files-policy", ""),
    }


def test_a_widened_security_group_is_public() -> None:
    assert fears(digest_of("security-group-widened")) == {
        (Fear.EXPOSURE, "update", "dev-database-from-cluster", "from everywhere"),
        (Fear.REACH, "update", "dev-database-from-cluster", ""),
    }


def test_a_bucket_whose_block_is_lifted_is_public() -> None:
    why = "its bucket does not block public access"
    assert fears(digest_of("bucket-public")) == {
        (Fear.EXPOSURE, "update", "dev-traffic-access-logs-public-access", why)
    }


def test_what_costs_money_is_told_by_count_and_size() -> None:
    assert {(each.what, each.unit, each.before, each.after) for each in digest_of("sizes").costs} == {
        ("NAT gateways", "", 1, 2),
        ("public IPv4 addresses", "", 1, 2),
        ("CPU requested by pods (most)", "cores", 2.5, 4.0),
        ("memory requested by pods (most)", "GiB", 3.5, 5.0),
        ("volumes of pods", "GiB", 20, 40),
    }


def test_a_refused_stack_file_is_a_red_preview_with_its_faults() -> None:
    digest = digest_of("refused-stack-file")
    assert digest.is_red
    (error,) = digest.errors
    assert error.splitlines()[0] == "Pulumi.dev.yaml has 2 faults:"
    assert digest.costs == ()
    shown = markdown([digest])
    assert "> **dev**: the preview failed\n> ```text\n> Pulumi.dev.yaml has 2 faults:\n" in shown
    assert "| dev |  |  |  |  |  |  | failed |" in shown


def test_a_mandatory_guardrail_refuses_and_an_advisory_one_is_only_told() -> None:
    violation = Violation(
        policy="private-buckets",
        mandatory=True,
        resource="aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock backup-public-access",
        message="A bucket is encrypted, blocks the public, and refuses requests without TLS.",
    )
    refused = digest_of("guardrails-mandatory", EnvironmentName.STAGING)
    assert violation in refused.refused
    assert (refused.is_red, refused.errors) == (True, ())
    caution, _, details = markdown([refused]).partition("<details>")
    assert "> **staging** is refused by the guardrails:\n> - `private-buckets`" in caution
    assert "private-buckets" not in details

    told = digest_of("guardrails-advisory")
    assert violation.model_copy(update={"mandatory": False}) in told.violations
    assert not told.is_red
    caution, _, details = markdown([told]).partition("<details>")
    assert "private-buckets" not in caution
    assert "private-buckets" in details


def test_what_a_guardrail_quotes_of_a_resource_is_not_told() -> None:
    assert "CostCenter" in (FOLDER / "guardrails-mandatory.jsonl").read_text()
    assert "CostCenter" not in digest_of("guardrails-mandatory").model_dump_json()


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.stem)
def test_no_value_of_any_property_is_told(plan: Path, tmp_path: Path) -> None:
    file = tmp_path / plan.name
    lines = [poisoned(json.loads(line)) for line in plan.read_text().splitlines()]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert SECRET in file.read_text()
    digest = read(DEV, file)
    assert SECRET not in digest.model_dump_json()
    assert SECRET not in markdown([digest])


def poisoned(event: dict[str, Any]) -> dict[str, Any]:
    """The event with a secret in each text of each resource, in plain sight."""
    for kind in ("resourcePreEvent", "resOutputsEvent"):
        metadata = event.get(kind, {}).get("metadata", {})
        for state in (metadata.get("old"), metadata.get("new")):
            for side in ("inputs", "outputs"):
                if state:
                    state[side] = {"password": SECRET, **poison(state.get(side) or {})}
    return event


def poison(value: object) -> Any:
    if isinstance(value, dict):
        return {key: poison(inner) for key, inner in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [poison(inner) for inner in cast("list[object]", value)]
    return f"{value} {SECRET}" if isinstance(value, str) else value


def test_the_chatter_of_the_sdk_is_not_told(tmp_path: Path) -> None:
    chatter = {"message": SECRET, "color": "never", "severity": "debug", "prefix": "debug: "}
    file = tmp_path / "events.jsonl"
    file.write_text(
        f"{json.dumps({'sequence': 1, 'timestamp': 1, 'diagnosticEvent': chatter})}\n"
        + (FOLDER / "weights.jsonl").read_text()
    )
    assert read(DEV, file) == digest_of("weights")


def test_events_that_break_off_are_no_quiet_preview(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("".join((FOLDER / "weights.jsonl").read_text().splitlines(keepends=True)[:-1]))
    digest = read(DEV, file)
    assert (digest.errors, digest.is_red) == (("the events end before the preview does",), True)


@pytest.mark.parametrize("text", ["hunter2", "[1]", '{"resourcePreEvent": {"metadata": {"op": "dance"}}}'])
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(text)
    with pytest.raises(DeliveryError, match="does not hold an engine's events, one in a line"):
        read(DEV, file)


def test_the_guardrails_are_those_of_the_program_and_as_strict_as_its_stack(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    pack = root / "policy"
    assert guardrails_of(DEV, root) == (pack, pack / level(DEV).file)
    found = guardrails_of(EnvironmentName.LIVE, root)
    assert found is not None
    assert found[1].is_file()
    assert Level.MANDATORY in found[1].read_text()
    assert guardrails_of(DEV, tmp_path) is None
