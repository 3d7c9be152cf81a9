"""An update is refused whose preview holds more than the step is about, and weights are read from every listener rule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from operations.rollout.actions import PrepareSlot, SetWeights
from operations.slots import Slot, Weights
from rollout.engine import Engine, Plan, Resource, Step
from rollout.errors import PlanRefused, UpdateFailed
from rollout.infrastructure import PulumiInfrastructure
from rollout.stack_file import StackFile

ROOT = "urn:pulumi:live::quikapp::quikapp:environment:Environment"
RULE = f"{ROOT}$quikapp:traffic:Traffic$aws:lb/listenerRule:ListenerRule::live-traffic-api"
QUEUE = "urn:pulumi:live::quikapp::aws:sqs/queue:Queue::jobs"
SLOTS = {slot: f"{ROOT}$quikapp:slots:Slot::live-{slot}" for slot in Slot}
DEPLOYMENT = f"{ROOT}$quikapp:slots:Slot$quikapp:slots:Workload$kubernetes:apps/v1:Deployment::live-green-api"

TO_FIVE = SetWeights(step=1, weights=Weights(blue=95, green=5))
BACK = SetWeights(step=1, weights=Weights(blue=100, green=0))
PREPARE = PrepareSlot(step=1, slot=Slot.GREEN, version="v2.5.0")


def rule(name: str, blue: int, green: int) -> Resource:
    groups = [{"arn": "arn-blue", "weight": blue}, {"arn": "arn-green", "weight": green}]
    return Resource(RULE.replace("api", name), {}, {"actions": [{"forward": {"targetGroups": groups}}]})


def group(slot: Slot) -> Resource:
    urn = f"{ROOT}$quikapp:traffic:Traffic$aws:lb/targetGroup:TargetGroup::live-traffic-api-{slot}"
    return Resource(urn, {}, {"arn": f"arn-{slot}", "deregistrationDelay": 30})


class Told:
    """An engine whose previews hold these steps, and whose state these resources."""

    def __init__(
        self, *steps: Step, rules: Sequence[Resource] = (rule("api", 95, 5), rule("web", 95, 5))
    ) -> None:
        self.steps, self.rules = steps, rules
        self.previewed: list[tuple[str, Sequence[str] | None]] = []
        self.updated: list[Sequence[str] | None] = []
        self.refreshed: list[str] = []

    def preview(self, text: str, file_name: str, target: Sequence[str] | None = None) -> Plan:
        assert file_name == "Pulumi.live.yaml"
        self.previewed.append((text, target))
        plan = Plan()
        plan.__class__ = type("Fixed", (Plan,), {"steps": self.steps})
        return plan

    def up(self, message: str, target: Sequence[str] | None = None) -> None:
        assert message.startswith("rollout: ")
        self.updated.append(target)

    def refresh(self, target: Sequence[str]) -> None:
        self.refreshed += target

    def resources(self) -> list[Resource]:
        closed = Resource(RULE.replace("api", "closed"), {}, {"actions": [{"type": "fixed-response"}]})
        return [*self.rules, closed, *(group(slot) for slot in Slot)]


@pytest.fixture
def file(tmp_path: Path) -> StackFile:
    source = Path(__file__).parents[3] / "Pulumi.live.yaml"
    path = tmp_path / source.name
    path.write_text(source.read_text())
    return StackFile(path)


def over(engine: Told, file: StackFile) -> PulumiInfrastructure:
    return PulumiInfrastructure(cast("Engine", engine), file)


def test_weights_move_where_the_preview_holds_listener_rules_and_nothing_else(file: StackFile) -> None:
    engine = Told(Step("update", RULE, ()))
    over(engine, file).change(TO_FIVE, "v2.3.0")
    assert engine.updated == [None]
    assert file.release().weights == Weights(blue=95, green=5)
    assert file.release().stable == "v2.3.0"


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        (Step("update", QUEUE, (), ("tags",)), r"update aws:sqs/queue:Queue jobs \(tags\)"),
        (Step("create-replacement", RULE, ()), "create-replacement aws:lb/listenerRule:ListenerRule"),
        (Step("delete", RULE, ()), "delete aws:lb/listenerRule:ListenerRule"),
    ],
)
def test_anything_else_in_the_preview_stops_it_and_is_shown(file: StackFile, step: Step, shown: str) -> None:
    before = file.path.read_text()
    engine = Told(Step("update", RULE, ()), step)
    with pytest.raises(PlanRefused, match=shown):
        over(engine, file).change(TO_FIVE, "v2.3.0")
    assert engine.updated == []
    assert file.path.read_text() == before


def test_a_weight_that_is_in_force_already_needs_no_update(file: StackFile) -> None:
    engine = Told()
    over(engine, file).change(TO_FIVE, "v2.3.0")
    assert engine.updated == []
    assert file.release().weights == Weights(blue=95, green=5)


def test_the_way_back_is_limited_to_the_listener_rules(file: StackFile) -> None:
    over(Told(), file).change(TO_FIVE, "v2.3.0")
    engine = Told(Step("update", RULE, ()))
    over(engine, file).change(BACK, "v2.3.0")
    rules = [RULE, RULE.replace("api", "web")]
    assert [target for _, target in engine.previewed] == engine.updated == [rules]


def test_a_slot_is_prepared_where_the_preview_holds_what_lies_in_it(file: StackFile) -> None:
    engine = Told(
        Step("update", DEPLOYMENT, (f"{SLOTS[Slot.GREEN]}-api", SLOTS[Slot.GREEN], ROOT + "::live"))
    )
    over(engine, file).change(PREPARE, "v2.3.0")
    assert engine.updated == [None]


@pytest.mark.parametrize("step", [Step("update", RULE, ()), Step("update", DEPLOYMENT, (SLOTS[Slot.BLUE],))])
def test_a_slot_is_not_prepared_where_anything_beside_it_changes(file: StackFile, step: Step) -> None:
    with pytest.raises(PlanRefused, match="more than the slot green"):
        over(Told(step), file).change(PREPARE, "v2.3.0")


def test_weights_are_read_back_from_the_provider(file: StackFile) -> None:
    engine = Told()
    assert over(engine, file).weights() == Weights(blue=95, green=5)
    assert engine.refreshed == [RULE, RULE.replace("api", "web")]


def test_rules_that_differ_are_an_error_that_lists_them(file: StackFile) -> None:
    engine = Told(rules=[rule("api", 95, 5), rule("web", 100, 0)])
    with pytest.raises(UpdateFailed, match="live-traffic-api 95:5, live-traffic-web 100:0"):
        over(engine, file).weights()
