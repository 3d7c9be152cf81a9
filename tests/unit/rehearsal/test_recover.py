"""The parts of `rehearse recover` that need no engine: what is judged, what is looked up, and what a killed drill leaves."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import OpType, events
from rich.console import Console

from operations import promises
from operations.recovery import Loss
from rehearsal.engine import Engine
from rehearsal.errors import RehearsalError
from rehearsal.narration import Watch
from rehearsal.recover import cluster, region
from rehearsal.recover.drill import Step, available, listed, promised, require_only, told
from rehearsal.recover.leftovers import Leftovers, replaced
from rehearsal.recover.region import HOME, RECOVERY, clusters_of, swap
from rehearsal.recover.report import summary
from rehearsal.recover.run import Report, Scenario
from rehearsal.recover.state import DISPENSABLE, dispensable, update_of
from tests.unit.components.test_environment import facts_of

PREFIX = "urn:pulumi:live::quikapp::"


def watched(**operations: str) -> Watch:
    """A plan of one operation for each resource."""
    watch = Watch(Console(file=io.StringIO()), "preview")
    watch.steps = {f"{PREFIX}aws:s3/bucket:Bucket::{name}": (done, ()) for name, done in operations.items()}
    return watch


class TestAnUpdate:
    def outputs(self, gate: str, capacity: str) -> dict[str, Any]:
        slots = {
            name: {"namespace": name, "weight": weight, "version": version, "capacity": capacity}
            for name, weight, version in (("blue", 100, "v2.3.0"), ("green", 0, "v2.2.0"))
        }
        return {"gate": gate, "slots": slots}

    def test_brings_another_version_to_the_idle_slot(self) -> None:
        assert update_of(self.outputs("approval", "warm")) == (
            "quikapp:release.green.version",
            "v2.4.0",
            "v2.2.0",
        )

    @pytest.mark.parametrize(("now", "then"), [("full", "warm"), ("cold", "warm"), ("warm", "full")])
    def test_uses_up_no_change_request(self, now: str, then: str) -> None:
        assert update_of(self.outputs("cab", now)) == ("quikapp:release.green.capacity", then, now)


class TestAPlan:
    def test_that_does_nothing_is_quiet(self) -> None:
        require_only(watched(one="same", other="same"), ())

    @pytest.mark.parametrize("operation", ["create", "update", "replace", "delete"])
    def test_that_does_something_is_not(self, operation: str) -> None:
        with pytest.raises(
            RehearsalError, match=f"nothing may be planned.* {operation} aws:s3/bucket:Bucket other"
        ):
            require_only(watched(one="same", other=operation), ())

    def test_may_do_what_is_allowed(self) -> None:
        require_only(watched(one="update", other="create"), ("create", "update"))

    @pytest.mark.parametrize("operation", ["replace", "delete"])
    def test_of_updates_may_neither_replace_nor_delete(self, operation: str) -> None:
        with pytest.raises(RehearsalError, match=f"only create and update .*{operation} "):
            require_only(watched(one="update", other=operation), ("create", "update"))

    def test_that_is_long_is_told_in_short(self) -> None:
        lines = told(watched(**{f"bucket{number}": "update" for number in range(20)}))
        assert len(lines) == 9
        assert lines[-1].strip() == "and 12 more"

    def test_in_which_nothing_changes_leaves_nothing_to_tell(self) -> None:
        assert told(watched(one="same", other="create")) == []


def test_names_are_listed_in_order_and_counted_beyond_eight() -> None:
    assert listed({"b", "a"}) == "a, b"
    assert listed(range(9)) == "0, 1, 2, 3, 4, 5, 6, 7 and 1 more"


class TestTimes:
    OUTPUTS: Mapping[str, Any] = {"recovery": promises.summary(facts_of("live").declared)}

    def test_of_a_rebuild_are_what_the_stack_plans(self) -> None:
        assert cluster.LOSS == Loss.CLUSTER
        assert promised(self.OUTPUTS, cluster.LOSS, cluster.SUBJECT, "rebuild") == "45 min"
        assert promised(self.OUTPUTS, cluster.LOSS, cluster.SUBJECT) == "57 min"

    def test_of_a_failover_are_what_the_stack_plans(self) -> None:
        assert region.LOSS == Loss.REGION
        assert promised(self.OUTPUTS, region.LOSS, region.SUBJECT, "failover") == "2 min"

    @pytest.mark.parametrize(
        "outputs", [{}, {"recovery": {}}, {"recovery": {"recoveries": {"lost cluster": "soon"}}}]
    )
    def test_of_a_stack_that_plans_none_are_left_out(self, outputs: Mapping[str, Any]) -> None:
        assert promised(outputs, cluster.LOSS, cluster.SUBJECT, "rebuild") == ""


class TestAWorkload:
    DEPLOYMENT: Mapping[str, Any] = {
        "metadata": {"generation": 3},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 3, "readyReplicas": 2},
    }

    def test_is_available_with_all_its_pods(self) -> None:
        assert available(self.DEPLOYMENT)

    def test_is_not_with_one_too_few(self) -> None:
        assert not available({**self.DEPLOYMENT, "status": {"observedGeneration": 3, "readyReplicas": 1}})

    def test_is_not_while_its_controller_has_not_seen_it(self) -> None:
        assert not available({**self.DEPLOYMENT, "status": {"observedGeneration": 2, "readyReplicas": 2}})
        assert not available({**self.DEPLOYMENT, "status": {}})

    def test_of_a_cold_slot_wants_no_pod(self) -> None:
        assert available({**self.DEPLOYMENT, "spec": {"replicas": 0}, "status": {"observedGeneration": 3}})

    @pytest.mark.parametrize(
        ("ready", "wanted", "is_available"), [(6, 6, True), (5, 6, False), (0, 0, False)]
    )
    def test_of_every_node_has_one_on_each(self, ready: int, wanted: int, is_available: bool) -> None:
        status = {"observedGeneration": 3, "numberReady": ready, "desiredNumberScheduled": wanted}
        assert available({**self.DEPLOYMENT, "spec": {}, "status": status}) is is_available


def resource(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"urn": f"{PREFIX}{kind}::{name}", "type": kind, "inputs": {}, "outputs": {}, **more}


class TestWhatCanBeDispensedWith:
    def test_is_the_last_object_that_nobody_needs(self) -> None:
        first, needed, last = (resource(DISPENSABLE, name) for name in ("first", "needed", "last"))
        other = resource("kubernetes:apps/v1:Deployment", "other", dependencies=[needed["urn"]])
        protected = resource(DISPENSABLE, "protected", protect=True)
        held = [first, last, needed, other, protected]
        assert dispensable(held) is last
        held.append(
            resource("aws:s3/bucket:Bucket", "b", propertyDependencies={"acl": [last["urn"]], "name": None})
        )
        assert dispensable(held) is first
        held.append(resource("aws:s3/bucket:Bucket", "c", parent=first["urn"]))
        with pytest.raises(RehearsalError, match="has no kubernetes:policy"):
            dispensable(held)


def two_regions() -> list[dict[str, Any]]:
    """The database of a state, with the writer at home."""

    def made(name: str, place: str, **inputs: Any) -> dict[str, Any]:
        outputs = {
            "arn": f"arn:aws:rds:{place}:111122223333:cluster:{name}",
            "endpoint": f"{name}.{place}.example",
            "region": place,
            **inputs,
        }
        return resource(region.CLUSTER, name, inputs=inputs, outputs=outputs)

    together = resource(region.GLOBAL_CLUSTER, "global")
    together.update(id="global", outputs={"id": "global", "globalClusterMembers": []})
    return [
        resource("pulumi:pulumi:Stack", "stack", outputs={"region": "eu-west-1"}),
        made("home", "eu-west-1"),
        together,
        made("away", "eu-central-1", globalClusterIdentifier="global"),
    ]


class TestAFailover:
    def test_changes_who_writes_and_whom_the_other_follows_and_nothing_else(self) -> None:
        before, after = two_regions(), two_regions()
        swap(after, RECOVERY)
        _, home, together, away = after
        assert together["outputs"]["globalClusterMembers"] == [
            {"dbClusterArn": home["outputs"]["arn"], "isWriter": False},
            {"dbClusterArn": away["outputs"]["arn"], "isWriter": True},
        ]
        for side in ("inputs", "outputs"):
            assert home[side].pop("replicationSourceIdentifier") == away["outputs"]["arn"]
            assert home[side].pop("globalClusterIdentifier") == "global"
        together["outputs"]["globalClusterMembers"] = []
        assert after == before

    def test_and_the_way_back_end_where_they_began(self) -> None:
        home, recovery = two_regions(), two_regions()
        swap(home, HOME)
        swap(recovery, RECOVERY)
        swap(recovery, HOME)
        assert recovery == home
        swap(home, HOME)
        assert recovery == home

    def test_needs_a_database_in_two_regions(self) -> None:
        stack, home, together, away = two_regions()
        for missing in (
            [stack, home],
            [stack, home, away],
            [stack, home, together],
            [stack, home, together, home],
        ):
            with pytest.raises(RehearsalError, match="needs quikapp:recovery in its stack file"):
                clusters_of(missing, "eu-west-1")
        assert (
            clusters_of([stack, home, together, away], "eu-west-1").endpoint(RECOVERY)
            == "away.eu-central-1.example"
        )


class TestLeftovers:
    @pytest.fixture
    def state(self, tmp_path: Path) -> Path:
        path = tmp_path / "live.json"
        path.write_text(self._state("one", "two"))
        return path

    @staticmethod
    def _state(*names: str) -> str:
        latest = {"resources": [{"urn": name} for name in names]} if names else None
        return json.dumps({"version": 3, "checkpoint": {"stack": "live", "latest": latest}})

    def test_of_a_drill_that_came_to_its_end_there_are_none(self, tmp_path: Path, state: Path) -> None:
        before = state.read_text()
        Leftovers(tmp_path).mend(state, refresh=lambda: pytest.fail("nothing was lost"))
        assert state.read_text() == before

    @pytest.mark.parametrize("lost", ["gone", "empty"])
    def test_a_lost_state_is_put_back(self, tmp_path: Path, state: Path, lost: str) -> None:
        leftovers, before = Leftovers(tmp_path), state.read_text()
        leftovers.keep(state)
        if lost == "gone":
            state.unlink()
        else:
            state.write_text(self._state())  # the engine has made the stack anew
        leftovers.mend(state, refresh=lambda: pytest.fail("no object was lost"))
        assert state.read_text() == before
        assert not leftovers.kept_state.exists()

    def test_a_state_that_is_there_is_never_overwritten(self, tmp_path: Path, state: Path) -> None:
        leftovers = Leftovers(tmp_path)
        leftovers.keep(state)
        state.write_text(self._state("one", "two", "three"))
        leftovers.mend(state, refresh=lambda: pytest.fail("no object was lost"))
        assert state.read_text() == self._state("one", "two", "three")
        assert not leftovers.kept_state.exists()

    def test_after_lost_objects_the_engine_looks_once_at_what_is_there(
        self, tmp_path: Path, state: Path
    ) -> None:
        leftovers, looked = Leftovers(tmp_path), list[str]()
        leftovers.mark()
        for _ in range(2):
            leftovers.mend(state, refresh=lambda: looked.append("looked"))
        assert looked == ["looked"]

    def test_a_look_that_fails_is_repeated(self, tmp_path: Path, state: Path) -> None:
        leftovers = Leftovers(tmp_path)
        leftovers.mark()

        def fail() -> None:
            raise RehearsalError("the API server does not answer")

        with pytest.raises(RehearsalError):
            leftovers.mend(state, refresh=fail)
        assert leftovers.lost_cluster.exists()

    def test_a_copy_is_readable_by_its_owner_alone(self, tmp_path: Path, state: Path) -> None:
        state.chmod(0o644)
        replaced(tmp_path / "copy.json", state)
        assert (tmp_path / "copy.json").stat().st_mode & 0o777 == 0o600
        assert [path.name for path in tmp_path.iterdir() if path.suffix == ".partial"] == []


class TestAReport:
    STEPS = (
        Step(title="lose the cluster", seconds=1.25),
        Step(title="rebuild it", seconds=30, promised="45 min"),
    )

    def _printed(self, wrong: str | None) -> str:
        console = Console(file=io.StringIO(), width=100)
        report = Report(scenario=Scenario.CLUSTER, stack="live", steps=self.STEPS, wrong=wrong)
        console.print(summary(report))
        file = console.file
        assert isinstance(file, io.StringIO)
        return file.getvalue()

    def test_has_each_step_its_time_and_what_is_planned(self) -> None:
        printed = self._printed(None)
        assert "cluster of live: all came back" in printed
        assert "lose the cluster" in printed
        line = next(line for line in printed.splitlines() if "rebuild it" in line)
        assert "30.0 s" in line
        assert line.rstrip().endswith("45 min")
        assert "31.2 s" in printed

    def test_of_a_drill_that_failed_says_where(self) -> None:
        assert "cluster of live: failed in its last step" in self._printed("nothing may be planned")


def test_the_engine_can_be_installed_by_a_process_that_has_installed_it_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drill brings the stack up first, and enters it then: by that time the engine on its PATH is the installed one."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    built = tmp_path / "pulumi"
    built.write_text("the engine")
    installed = tmp_path / "engine/bin/pulumi"
    for found in (built, installed):
        Engine(tmp_path, found, tmp_path / "project", tmp_path / "token").install({}, tmp_path / "passphrase")
        assert installed.read_text() == "the engine"


def test_a_step_of_the_engine_counts_once() -> None:
    """What a plan is judged by is what the engine's events say."""
    watch = Watch(Console(file=io.StringIO()), "preview")
    bucket = f"{PREFIX}aws:s3/bucket:Bucket::one"

    def step(operation: str) -> events.EngineEvent:
        metadata = events.StepEventMetadata(
            op=OpType(operation), urn=bucket, type="aws:s3/bucket:Bucket", provider=""
        )
        return events.EngineEvent(
            sequence=1, timestamp=1, resource_pre_event=events.ResourcePreEvent(metadata, planning=True)
        )

    with watch:
        for operation in ("refresh", "create-replacement", "replace", "delete-replaced"):
            watch.on_event(step(operation))
    with pytest.raises(RehearsalError, match="replace aws:s3/bucket:Bucket one"):
        require_only(watch, ("create", "update"))
