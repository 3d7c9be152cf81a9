"""What an engine's events say about drift: what differs, who changed it, and no value of anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import events

from delivery.preview import differences, look
from delivery.preview_report.reader import take
from operations.drift import Cause, Difference
from operations.environments import EnvironmentName
from operations.release import Release
from rollout.engine import Engine, Plan, Resource
from rollout.errors import RolloutError
from rollout.stack_file import StackFile

BUCKET = "urn:pulumi:live::quikapp::quikapp:storage:Storage$aws:s3/bucket:Bucket::files"
STACK = "urn:pulumi:live::quikapp::pulumi:pulumi:Stack::quikapp-live"


def event(document: dict[str, Any]) -> events.EngineEvent:
    """An event as the engine writes it."""
    data = {"sequence": 1, "timestamp": 1, **document}
    return events.EngineEvent.from_json(data)  # pyright: ignore[reportUnknownMemberType] -- the SDK types it as bare dict


def step(
    operation: str, urn: str, diff: dict[str, str], *, gone: bool = False, diffs: list[str] | None = None
) -> dict[str, Any]:
    state = {
        "type": "",
        "urn": urn,
        "id": "",
        "parent": "",
        "provider": "",
        "inputs": {"secret": "hunter2"},
        "outputs": {},
    }
    return {
        "metadata": {
            "op": operation,
            "urn": urn,
            "type": urn.split("::")[2].rsplit("$", 1)[-1],
            "provider": "",
            "old": state,
            "new": None if gone else state,
            "diffs": diffs,
            "detailedDiff": {path: {"diffKind": kind, "inputDiff": True} for path, kind in diff.items()}
            or None,
        }
    }


def planned(
    operation: str, urn: str = BUCKET, *, diffs: list[str] | None = None, **diff: str
) -> events.EngineEvent:
    return event({"resourcePreEvent": step(operation, urn, diff, diffs=diffs)})


def refreshed(urn: str = BUCKET, *, gone: bool = False, **diff: str) -> events.EngineEvent:
    return event({"resOutputsEvent": step("refresh", urn, diff, gone=gone)})


def found(*given: events.EngineEvent) -> tuple[Difference, ...]:
    plan = Plan()
    for one in given:
        plan.on_event(one)
    return differences(plan)


@pytest.mark.parametrize("operation", ["same", "read", "refresh"])
def test_what_an_update_leaves_alone_does_not_differ(operation: str) -> None:
    assert found(planned(operation, tags="update")) == ()


def test_the_outputs_of_the_stack_are_no_resource() -> None:
    assert found(planned("update", STACK, url="update")) == ()


def test_a_change_is_told_by_resource_and_property() -> None:
    assert found(planned("update", tags="update", acl="delete")) == (
        Difference(
            operation="update",
            type="aws:s3/bucket:Bucket",
            name="files",
            properties=("acl", "tags"),
            cause=Cause.UNDEPLOYED,
        ),
    )


def test_properties_without_paths_are_told_by_name() -> None:
    (difference,) = found(planned("update", diffs=["kubeconfig"]))
    assert difference.properties == ("kubeconfig",)


def test_what_the_refresh_found_changed_was_changed_outside() -> None:
    (difference,) = found(refreshed(tags="update"), planned("update", tags="update"))
    assert difference.cause is Cause.OUTSIDE


def test_what_the_refresh_found_gone_was_deleted_outside() -> None:
    (difference,) = found(refreshed(gone=True), planned("create"))
    assert (difference.operation, difference.cause) == ("create", Cause.OUTSIDE)


def test_what_the_refresh_found_as_it_was_left_is_not_deployed() -> None:
    (difference,) = found(refreshed(), planned("update", tags="update"))
    assert difference.cause is Cause.UNDEPLOYED


def test_what_was_changed_outside_and_is_not_declared_is_no_drift() -> None:
    assert found(refreshed(status="update"), planned("same")) == ()


def test_a_replacement_is_one_difference() -> None:
    (difference,) = found(
        planned("create-replacement", bucket="update-replace"),
        planned("replace", bucket="update-replace"),
        planned("delete-replaced"),
    )
    assert (difference.operation, difference.properties) == ("replace", ("bucket",))


def test_the_order_is_that_of_names_and_not_of_the_engine() -> None:
    other = BUCKET.replace("files", "backup")
    names = [difference.name for difference in found(planned("update"), planned("update", other))]
    assert names == ["backup", "files"]


def test_no_value_is_kept() -> None:
    plan = Plan()
    for one in (refreshed(tags="update"), planned("update", tags="update")):
        plan.on_event(one)
    assert "hunter2" not in repr(plan)


def test_errors_are_kept_without_their_colours() -> None:
    plan = Plan()
    plan.on_event(
        event(
            {
                "diagnosticEvent": {
                    "message": "<{%fg 1%}>no such zone<{%reset%}>\n",
                    "color": "never",
                    "severity": "error",
                    "prefix": "",
                },
            }
        )
    )
    assert plan.errors == ["no such zone"]


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match=r"no program .*: name it with --program"):
        look(EnvironmentName.DEV, tmp_path, tmp_path / "__main__.py")


class Shared:
    """An engine whose state tells a release, and which notes with what stack file it is asked to look."""

    def __init__(self, release: Release) -> None:
        told = release.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.state = [Resource(STACK, {}, {"release": told})]
        self.texts: list[str | None] = []

    def resources(self) -> list[Resource]:
        return self.state

    def look(self, _: Plan, *, text: str | None = None, **__: bool) -> None:
        self.texts.append(text)


@pytest.mark.parametrize(("weight", "knows"), [(5, False), (0, True)])
def test_a_checkout_is_held_against_what_a_rollout_has_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weight: int, knows: bool
) -> None:
    """While traffic is shared a checkout need not know of it; else its own release is what it declares."""
    committed = Path(__file__).parents[3] / "Pulumi.uat.yaml"
    (tmp_path / committed.name).write_text(committed.read_text())
    stated = StackFile(committed).release()
    green = stated.green.model_copy(update={"version": "v2.5.0", "weight": weight, "capacity": None})
    blue = stated.blue.model_copy(update={"weight": 100 - weight, "capacity": None})
    engine = Shared(stated.model_copy(update={"blue": blue, "green": green}))

    def of(*_: object) -> Shared:
        return engine

    monkeypatch.setattr(Engine, "of", of)

    look(EnvironmentName.UAT, tmp_path, tmp_path / "__main__.py")
    take(EnvironmentName.UAT, tmp_path, tmp_path / "__main__.py")

    assert len(engine.texts) == 2
    assert all((text is None) == knows for text in engine.texts)
    assert all(text is None or "v2.5.0" in text for text in engine.texts)
