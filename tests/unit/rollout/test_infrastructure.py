"""An update is refused whose preview holds more than the step is about, and weights are read from every listener rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from operations.changes import Ledger, breaches
from operations.environments import Gate
from operations.release import Release
from operations.rollout.actions import PrepareSlot, ScaleDown, SetWeights, changes_after, release_after
from operations.rollout.plan import Plan as Rollout
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
PREPARE = PrepareSlot(step=1, slot=Slot.GREEN, version="v2.5.0", change="CHG0030043")
RECORD = f"{ROOT}$quikapp:changes:ChangeRecord::live-change-record"
PARAMETER = f"{ROOT}$quikapp:changes:ChangeRecord$aws:ssm/parameter:Parameter::live-change-record-parameter"

MOVED = Step("update", RULE, (), ("actions[0].forward.targetGroups[0].weight", "tagsAll.Stable"))


def rule(name: str, blue: int, green: int) -> Resource:
    groups = [{"arn": "arn-blue", "weight": blue}, {"arn": "arn-green", "weight": green}]
    return Resource(RULE.replace("api", name), {}, {"actions": [{"forward": {"targetGroups": groups}}]})


def group(slot: Slot) -> Resource:
    urn = f"{ROOT}$quikapp:traffic:Traffic$aws:lb/targetGroup:TargetGroup::live-traffic-api-{slot}"
    return Resource(urn, {}, {"arn": f"arn-{slot}", "deregistrationDelay": 30})


class Told:
    """An engine whose previews hold these steps, and whose state these resources."""

    def __init__(
        self,
        *steps: Step,
        rules: Sequence[Resource] = (rule("api", 95, 5), rule("web", 95, 5)),
        others: Sequence[Resource] = (),
        outputs: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
    ) -> None:
        self.steps, self.rules, self.others, self.outputs = steps, rules, others, outputs
        self.previewed: list[tuple[str, Sequence[str] | None]] = []
        self.updated: list[Sequence[str] | None] = []
        self.refreshed: list[str] = []
        self.exports = 0

    def preview(self, text: str, target: Sequence[str] | None = None) -> Plan:
        self.previewed.append((text, target))
        plan = Plan(outputs=self.outputs)
        plan.__class__ = type("Fixed", (Plan,), {"steps": self.steps})
        return plan

    def up(self, message: str, target: Sequence[str] | None = None) -> None:
        assert message.startswith("rollout: ")
        self.updated.append(target)

    def refresh(self, target: Sequence[str]) -> None:
        self.refreshed += target

    def resources(self) -> list[Resource]:
        self.exports += 1
        closed = Resource(RULE.replace("api", "closed"), {}, {"actions": [{"type": "fixed-response"}]})
        return [*self.rules, closed, *(group(slot) for slot in Slot), *self.others]


@pytest.fixture
def file(tmp_path: Path) -> StackFile:
    source = Path(__file__).parents[3] / "Pulumi.live.yaml"
    path = tmp_path / source.name
    path.write_text(source.read_text())
    return StackFile(path)


def over(engine: Told, file: StackFile) -> PulumiInfrastructure:
    return PulumiInfrastructure(cast("Engine", engine), file)


def test_weights_move_where_the_preview_holds_listener_rules_and_nothing_else(file: StackFile) -> None:
    engine = Told(MOVED)
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
        (
            Step("update", RULE, (), ("actions[0].forward", "priority")),
            "update aws:lb/listenerRule:ListenerRule",
        ),
        (Step("update", RULE, ()), "update aws:lb/listenerRule:ListenerRule"),
    ],
)
def test_anything_else_in_the_preview_stops_it_and_is_shown(file: StackFile, step: Step, shown: str) -> None:
    before = file.path.read_text()
    engine = Told(MOVED, step)
    with pytest.raises(PlanRefused, match=shown):
        over(engine, file).change(TO_FIVE, "v2.3.0")
    assert engine.updated == []
    assert file.path.read_text() == before


def test_what_somebody_writes_into_the_file_during_the_preview_is_kept_and_previewed_too(
    file: StackFile,
) -> None:
    class Slow(Told):
        def preview(self, text: str, target: Sequence[str] | None = None) -> Plan:
            if not self.previewed:
                file.path.write_text(file.text() + "  quikapp:added: later\n")
            return super().preview(text, target)

    engine = Slow(MOVED)
    over(engine, file).change(TO_FIVE, "v2.3.0")
    assert ["quikapp:added" in text for text, _ in engine.previewed] == [False, True]
    assert file.text() == engine.previewed[-1][0]


def test_a_weight_that_is_in_force_already_needs_no_update(file: StackFile) -> None:
    engine = Told()
    over(engine, file).change(TO_FIVE, "v2.3.0")
    assert engine.updated == []
    assert file.release().weights == Weights(blue=95, green=5)


def test_the_way_back_is_limited_to_the_listener_rules(file: StackFile) -> None:
    over(Told(), file).change(TO_FIVE, "v2.3.0")
    engine = Told(MOVED)
    over(engine, file).change(BACK, "v2.3.0")
    rules = [RULE, RULE.replace("api", "web")]
    assert [target for _, target in engine.previewed] == engine.updated == [rules]


def test_on_the_way_back_preparing_the_old_slot_is_limited_to_it(file: StackFile) -> None:
    """An unfinished change elsewhere does not hold it up. What a slot is still to get has no URN in the state yet."""
    within = f"{SLOTS[Slot.BLUE].replace('::live-blue', '$**::live-blue')}-*"
    deployment = Step("update", DEPLOYMENT.replace("green", "blue"), (SLOTS[Slot.BLUE],))
    engine = Told(deployment, others=[Resource(urn, {}, {}) for urn in SLOTS.values()])
    completed = release_after(file.release(), SetWeights(step=1, weights=Weights(blue=0, green=100)))
    file.write(file.with_release(completed, file.changes()))
    over(engine, file).change(PrepareSlot(step=1, slot=Slot.BLUE, version="v2.3.0"), "v2.3.0")
    assert [target for _, target in engine.previewed] == engine.updated == [[SLOTS[Slot.BLUE], within]]

    matched = [urn for urn in (DEPLOYMENT, deployment.urn, QUEUE, RULE) if matches(within, urn)]
    assert matched == [deployment.urn]


def matches(pattern: str, urn: str) -> bool:
    """As the engine reads a pattern: two stars are anything, one is anything but a colon."""
    parts = [re.escape(part).replace(r"\*", "[^:]*") for part in pattern.split("**")]
    return re.fullmatch(".*".join(parts), urn) is not None


def test_a_slot_is_prepared_where_the_preview_holds_what_lies_in_it(file: StackFile) -> None:
    engine = Told(
        Step("update", DEPLOYMENT, (f"{SLOTS[Slot.GREEN]}-api", SLOTS[Slot.GREEN], ROOT + "::live"))
    )
    over(engine, file).change(PREPARE, "v2.3.0")
    assert engine.updated == [None]


def test_its_change_request_is_recorded_in_the_same_update(file: StackFile) -> None:
    engine = Told(Step("update", DEPLOYMENT, (SLOTS[Slot.GREEN],)), Step("update", PARAMETER, (RECORD, ROOT)))
    over(engine, file).change(PREPARE, "v2.3.0")
    assert engine.updated == [None]
    assert [change.request for change in file.changes()] == ["CHG0030041", "CHG0030042", "CHG0030043"]
    over(engine, file).change(PREPARE, "v2.3.0")
    assert len(file.changes()) == 3, "done twice, it is as when done once"


@pytest.mark.parametrize(
    ("action", "operation"),
    [
        (PREPARE, "delete"),
        (PREPARE, "create"),
        (PREPARE.model_copy(update={"change": None}), "update"),
        (TO_FIVE, "update"),
        (ScaleDown(step=1, slot=Slot.GREEN), "update"),
    ],
)
def test_the_record_changes_in_no_other_way_and_with_no_other_action(
    file: StackFile, action: PrepareSlot | SetWeights | ScaleDown, operation: str
) -> None:
    with pytest.raises(PlanRefused, match=f"{operation} aws:ssm/parameter:Parameter"):
        over(Told(Step(operation, PARAMETER, (RECORD, ROOT))), file).change(action, "v2.3.0")
    assert len(file.changes()) == 2


def test_outputs_are_told_of_a_release_that_changes_nothing_else(file: StackFile) -> None:
    engine = Told(outputs=({"release": {"blue": "old"}}, {"release": {"blue": "new"}}))
    over(engine, file).change(TO_FIVE, "v2.3.0")
    assert engine.updated == [None]


def test_the_rules_tell_of_the_version_in_the_same_update(file: StackFile) -> None:
    tags = Step("update", RULE, (), ("tags.Green", "tagsAll.Green", "tags.Stable"))
    engine = Told(Step("update", DEPLOYMENT, (SLOTS[Slot.GREEN],)), tags)
    over(engine, file).change(PREPARE, "v2.3.0")
    assert engine.updated == [None]


@pytest.mark.parametrize(
    "step",
    [
        MOVED,
        Step("update", RULE, (), ("actions", "tags.Green")),
        Step("update", RULE, (), ("actions[0].forward.targetGroups[0].weight",)),
        Step("replace", RULE, (), ("tags.Green",)),
        Step("update", QUEUE, (), ("tags.Green",)),
        Step("update", DEPLOYMENT, (SLOTS[Slot.BLUE],)),
    ],
)
def test_a_slot_is_not_prepared_where_anything_beside_it_changes(file: StackFile, step: Step) -> None:
    with pytest.raises(PlanRefused, match="more than the slot green"):
        over(Told(step), file).change(PREPARE, "v2.3.0")


def test_a_slot_is_left_to_its_standby_without_a_word_in_the_rules(file: StackFile) -> None:
    engine = Told(Step("update", RULE, (), ("tags.Green",)))
    with pytest.raises(PlanRefused, match="more than the slot green"):
        over(engine, file).change(ScaleDown(step=1, slot=Slot.GREEN), "v2.3.0")


def test_weights_are_read_back_from_the_provider(file: StackFile) -> None:
    engine = Told()
    assert over(engine, file).weights() == Weights(blue=95, green=5)
    assert engine.refreshed == [RULE, RULE.replace("api", "web")]


def test_a_rule_that_the_provider_has_no_more_is_an_error_and_not_left_out(file: StackFile) -> None:
    class Forgetful(Told):
        def refresh(self, target: Sequence[str]) -> None:
            super().refresh(target)
            self.rules = [rule("api", 95, 5)]

    infrastructure = over(Forgetful(), file)
    with pytest.raises(
        UpdateFailed, match=r"no more of these listener rules.*: live-traffic-web; bring the stack up"
    ):
        infrastructure.weights()


def drains(seconds: float) -> Resource:
    urn = f"{ROOT}$quikapp:traffic:Traffic$aws:lb/targetGroup:TargetGroup::live-traffic-web-green"
    return Resource(urn, {}, {"arn": "arn-other", "deregistrationDelay": seconds})


def test_draining_takes_as_long_as_the_slowest_target_group(file: StackFile) -> None:
    queue = Resource(QUEUE, {}, {"deregistrationDelay": 900})
    assert over(Told(others=[queue]), file).drain_seconds() == 30
    assert over(Told(others=[queue, drains(45)]), file).drain_seconds() == 45
    assert over(Told(others=[queue, drains(5)]), file).drain_seconds() == 30


def test_the_way_into_the_cluster_is_that_of_the_stack_s_kubernetes_provider(file: StackFile) -> None:
    def provider(kind: str, **inputs: object) -> Resource:
        return Resource(f"urn:pulumi:live::quikapp::pulumi:providers:{kind}::live", inputs, {})

    others = [provider("aws", kubeconfig="{}"), provider("kubernetes", kubeconfig='{"kind": "Config"}')]
    assert over(Told(others=others), file).kubeconfig() == '{"kind": "Config"}'
    for without in ([], others[:1], [provider("kubernetes")]):
        with pytest.raises(UpdateFailed, match="no kubeconfig: bring it up first"):
            over(Told(others=without), file).kubeconfig()


def test_a_slot_s_health_is_asked_of_that_cluster(file: StackFile) -> None:
    assert over(Told(), file).ailment(Slot.GREEN) == "the stack's state has no kubeconfig: bring it up first"


def test_rules_that_differ_are_an_error_that_lists_them(file: StackFile) -> None:
    engine = Told(rules=[rule("api", 95, 5), rule("web", 100, 0)])
    with pytest.raises(UpdateFailed, match="live-traffic-api 95:5, live-traffic-web 100:0"):
        over(engine, file).weights()


# --- going on elsewhere ------------------------------------------------------------------------------------------------


def in_force(release: Release, changes: Ledger) -> list[Resource]:
    """What the stack's state has of a release and of change requests."""
    told = release.model_dump(mode="json", by_alias=True, exclude_none=True)
    return [
        Resource("urn:pulumi:live::quikapp::pulumi:pulumi:Stack::quikapp-live", {}, {"release": told}),
        Resource(RECORD, {}, {"changes": [change.model_dump() for change in changes]}),
    ]


def under_way(file: StackFile) -> Rollout:
    return Rollout.of(file.release(), "v2.5.0", sla=99.99, drain=timedelta(seconds=45), change="CHG0030043")


def test_a_file_of_an_older_checkout_is_brought_in_line_with_what_is_in_force(file: StackFile) -> None:
    plan = under_way(file)
    prepared, changes = release_after(file.release(), PREPARE), changes_after(file.changes(), PREPARE)
    moved = release_after(prepared, TO_FIVE).model_copy(update={"stable": "v2.3.0"})
    engine = Told(others=in_force(moved, changes))
    infrastructure = over(engine, file)
    assert infrastructure.bring_in_line(plan)
    assert engine.exports == 1, "all of it is of one moment"
    assert (file.release(), file.changes()) == (moved, changes)
    assert "- {request: CHG0030043, version: v2.5.0}" in file.path.read_text()
    assert not infrastructure.bring_in_line(plan), "now it is in line"


def test_weights_are_those_of_the_rules_where_these_were_moved_alone(file: StackFile) -> None:
    prepared, changes = release_after(file.release(), PREPARE), changes_after(file.changes(), PREPARE)
    assert over(Told(others=in_force(prepared, changes)), file).bring_in_line(under_way(file))
    assert file.release().weights == Weights(blue=95, green=5)


def test_an_update_that_broke_off_leaves_a_file_that_the_program_takes(file: StackFile) -> None:
    """The change request is recorded, the outputs are from before, and the rules differ."""
    before, changes = file.release(), changes_after(file.changes(), PREPARE)
    rules = [rule("api", 95, 5), rule("web", 100, 0)]
    assert over(Told(rules=rules, others=in_force(before, changes)), file).bring_in_line(under_way(file))
    assert file.release().green.version == "v2.5.0"
    assert not list(breaches(Gate.CAB, file.release(), file.changes()))


def test_a_program_that_tells_no_release_leaves_the_file_as_it_is(file: StackFile) -> None:
    before = file.path.read_text()
    assert not over(Told(), file).bring_in_line(under_way(file))
    assert file.path.read_text() == before


def test_while_traffic_is_shared_the_text_of_a_checkout_says_what_is_in_force(file: StackFile) -> None:
    prepared = release_after(file.release(), PREPARE)
    shared = release_after(prepared, TO_FIVE).model_copy(update={"stable": "v2.3.0"})
    before = file.text()
    text = over(Told(others=in_force(shared, changes_after(file.changes(), PREPARE))), file).text_in_force()
    assert text is not None
    assert file.text() == before
    file.write(text)
    assert (file.release(), file.changes()[-1].request) == (shared, "CHG0030043")


def test_while_one_slot_has_all_traffic_a_checkout_speaks_for_itself(file: StackFile) -> None:
    prepared = release_after(file.release(), PREPARE)
    assert over(Told(others=in_force(prepared, file.changes())), file).text_in_force() is None
    assert over(Told(), file).text_in_force() is None
