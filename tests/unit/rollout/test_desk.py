"""What a rollout begins with, or is taken over with, and what it is refused for: change requests, watching, versions, locks."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import cast

import pytest
from pulumi import automation as auto

from operations.changes import Ledger
from operations.release import Release
from operations.rollout.events import Pause, Resume, Rollback
from operations.rollout.plan import INTERVAL, Plan
from operations.rollout.state import Direction, Stage, State
from operations.slots import Slot, Weights
from rollout.cluster import Replicas
from rollout.desk import Desk
from rollout.engine import Engine, LastDriver
from rollout.errors import RolloutError, UpdateFailed
from rollout.handover import lease_of
from rollout.infrastructure import PulumiInfrastructure
from rollout.ports import Narrator
from rollout.record import Command, Lease, Record
from tests.rehearsal.told_prometheus import STANDING, told_prometheus
from tests.unit.operations.rollouts import START, plan
from tests.unit.operations.rollouts import World as Rehearsed
from tests.unit.rollout.worlds import World, release

ROOT = Path(__file__).parents[3]


def desk(folder: Path, stack: str) -> Desk:
    """A desk with the committed stack file and nothing else: no engine is asked before the change request is judged."""
    shutil.copy(ROOT / f"Pulumi.{stack}.yaml", folder)
    return Desk(stack, folder, folder / "__main__.py", "http://localhost:9090")


def begin(at: Desk, change: str | None) -> None:
    at.begin("v2.5.0", "ada", "a release", cast("Narrator", None), 1, INTERVAL, change)


@pytest.mark.parametrize(
    ("stack", "change", "why"),
    [
        (
            "live",
            None,
            "live: gate: cab takes the number of a change request, such as CHG0030042, and none was given",
        ),
        (
            "live",
            "CHG43",
            "live: CHG43: allowed is the number of a change request such as CHG0030042: CHG and seven digits",
        ),
        (
            "live",
            "CHG0030041",
            "live: CHG0030041: was used before, for v2.3.0; allowed is a change request that was not",
        ),
        (
            "staging",
            "CHG0030043",
            "staging: CHG0030043: gate: approval takes no change request; allowed: none",
        ),
    ],
)
def test_a_rollout_is_refused_before_anything_is_asked_or_done(
    tmp_path: Path, stack: str, change: str | None, why: str
) -> None:
    with pytest.raises(RolloutError) as refused:
        begin(desk(tmp_path, stack), change)
    assert str(refused.value) == why


class Recorded:
    """A stack in whose state these change requests are in force."""

    def __init__(self, in_force: Ledger) -> None:
        self.in_force = in_force

    def ledger(self) -> Ledger:
        return self.in_force


class Empty:
    """The journal of a stack that had no rollout yet."""

    def read(self) -> Record | None:
        return None


def test_a_stack_file_that_has_forgotten_what_is_in_force_is_refused(tmp_path: Path) -> None:
    at = desk(tmp_path, "live")
    at.__dict__["journal"] = Empty()
    used = at.file.changes()
    at.__dict__["infrastructure"] = cast(
        "PulumiInfrastructure", Recorded((*used, used[0].model_copy(update={"request": "CHG0030050"})))
    )
    with pytest.raises(RolloutError) as refused:
        begin(at, "CHG0030043")
    assert str(refused.value) == (
        "Pulumi.live.yaml: quikapp:changes does not begin with what was used before: 3 change requests, the last one "
        "CHG0030050 for v2.3.0; none may be taken out or changed, and a new one comes last"
    )


def test_the_journal_keeps_the_change_request_and_one_from_before_there_were_any_is_read() -> None:
    world = World(release())
    world.begin()
    assert world.state.plan.change == "CHG0030043"
    assert world.written is not None
    older = world.written.replace('"change":"CHG0030043",', "")
    assert older != world.written
    assert Record.model_validate_json(older).state.plan.change is None


def test_the_way_back_takes_no_change_request_of_its_own() -> None:
    world = World(release())
    world.begin()
    world.take_over(Rollback(at=world.time, who="bob", reason="next morning"))
    assert world.release.blue.weight == 100
    assert [change.request for change in world.changes] == ["CHG0030043"]


# --- with a stack, a journal and a Prometheus ----------------------------------------------------------------------


HERE = lease_of("ada", START)


@dataclass
class Journal:
    """A journal, and what was told about it.

    Attributes:
        hears: whether the driver is alive, and takes in what it is told before anybody looks.
    """

    record: Record | None = None
    last_driver: LastDriver | None = None
    changes: int = 0
    """How often somebody was about to write."""
    written: int = 0
    hears: bool = True
    heard: list[Command] = field(default_factory=list[Command])

    def read(self) -> Record | None:
        if self.record is not None and self.hears:
            self.heard += self.record.inbox
            self.record = self.record.model_copy(update={"inbox": ()})
        return self.record

    def change(self, change: Callable[[Record | None], Record]) -> Record:
        self.changes += 1
        self.record = change(self.record)
        self.written += 1
        return self.record


@dataclass
class Standing:
    """A cluster in whose slots these pods are ready; None where it does not answer."""

    ready: Mapping[Slot, Sequence[str]] | None

    def replicas(self, slot: Slot) -> Mapping[str, Replicas]:
        if self.ready is None:
            raise UpdateFailed("the cluster does not answer: MaxRetryError: refused")
        return {"api": Replicas(6, 6, frozenset(self.ready[slot]))}


@dataclass
class Stack:
    """A stack that is up, as its state tells it."""

    release: Release
    engine: Engine = field(default_factory=lambda: Engine(cast("auto.Stack", None)))
    outputs: Release | None = None
    behind: bool = False

    def ledger(self) -> Ledger:
        return ()

    def recorded_weights(self) -> Weights:
        return self.release.weights

    def drain_seconds(self) -> int:
        return 30

    def told(self) -> Release | None:
        return self.outputs

    def bring_in_line(self, plan: Plan) -> bool:
        assert plan.version
        return self.behind

    cluster: Standing = field(default_factory=lambda: Standing(STANDING))


class Driven(Exception):
    """A driver began, with this state."""

    def __init__(self, state: State) -> None:
        super().__init__(state.stage)
        self.state = state


class Narrated:
    """Hears what is said, and sees nothing else."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def says(self, line: str) -> None:
        self.said.append(line)


@dataclass
class Office:
    """A desk of staging, what it works on, and what drives there."""

    desk: Desk
    stack: Stack
    journal: Journal
    narrator: Narrated = field(default_factory=Narrated)

    def begin(self, version: str = "v2.5.0", speed: int = 1, interval: timedelta = INTERVAL) -> State:
        with pytest.raises(Driven) as driven:
            self.desk.begin(
                version, "ada", "a release", cast("Narrator", self.narrator), speed, interval, None
            )
        return driven.value.state

    def take_over(self, command: Resume | Rollback) -> State:
        with pytest.raises(Driven) as driven:
            self.desk.take_over(command, cast("Narrator", self.narrator))
        return driven.value.state


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Office]:
    class Driver:
        def __init__(self, *arguments: object) -> None:
            self.state = cast("State", arguments[-1])

        def drive(self) -> None:
            raise Driven(self.state)

    monkeypatch.setattr("rollout.desk.Driver", Driver)
    with told_prometheus() as told:
        at = replace(desk(tmp_path, "staging"), prometheus=told.url)
        made = Office(at, Stack(at.file.release()), Journal())
        at.__dict__.update(journal=made.journal, infrastructure=made.stack)
        yield made


def left_at(
    weight: int, lease: Lease | None, *, driving: Callable[[Rehearsed], object] = lambda _: None
) -> Record:
    """A rollout that has come to a weight."""
    world = Rehearsed.of(plan()).run(lambda w: w.weight == weight and w.state.stage is Stage.BAKE)
    driving(world)
    return Record(state=world.state, lease=lease)


def died() -> Lease:
    """Of a driver that was silent for too long."""
    return HERE.model_copy(update={"host": "elsewhere", "expires": START})


def alive() -> Lease:
    return lease_of("ada", datetime.now(UTC)).model_copy(update={"host": "elsewhere"})


def refusal(attempt: Callable[[], object]) -> str:
    with pytest.raises(RolloutError) as refused:
        attempt()
    return str(refused.value)


def unanswered(office: Office) -> None:
    office.desk = replace(office.desk, prometheus="http://127.0.0.1:1")
    office.desk.__dict__.update(journal=office.journal, infrastructure=office.stack)


def test_a_rollout_begins_with_a_plan_from_the_stack_file_and_the_stack(office: Office) -> None:
    began = office.begin()
    assert (began.plan.version, began.plan.drain, began.plan.speed) == (
        "v2.5.0",
        timedelta(seconds=30),
        1,
    )
    assert office.journal.record is not None
    assert office.journal.record.lease is not None
    assert office.journal.record.lease.who == "ada"


def test_nothing_begins_without_an_answer_of_prometheus(office: Office) -> None:
    unanswered(office)
    said = refusal(office.begin)
    assert said.startswith("--prometheus: http://127.0.0.1:1 does not answer (")
    assert "kubectl -n monitoring port-forward service/prometheus 9090" in said
    assert "\n" not in said
    assert office.journal.written == 0


def test_where_something_else_answers_nothing_begins_either(office: Office) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        office.desk = replace(office.desk, prometheus=f"http://127.0.0.1:{server.server_port}")
        office.desk.__dict__.update(journal=office.journal, infrastructure=office.stack)
        assert "--prometheus: http://127.0.0.1:" in refusal(office.begin)
        server.shutdown()


def other_pods(office: Office) -> None:
    """As where a way to another environment's Prometheus is still open: slots and services have the same names there."""
    office.stack.cluster = Standing({slot: [f"api-{slot}-7", f"web-{slot}-7"] for slot in Slot})


def test_nothing_begins_where_another_environment_s_prometheus_answers(office: Office) -> None:
    other_pods(office)
    serving = next(slot for slot in Slot if office.stack.release.of(slot).weight)
    said = refusal(office.begin)
    assert said == (
        f"--prometheus: {office.desk.prometheus} scrapes none of the 2 pods that are ready in {serving}: it is another "
        "environment's, or has only just started. Open a way to the environment's own, with kubectl -n monitoring port-forward service/prometheus 9090, "
        "or name its URL"
    )
    assert office.journal.written == 0


def test_nothing_begins_where_the_cluster_does_not_answer(office: Office) -> None:
    office.stack.cluster = Standing(None)
    assert refusal(office.begin) == "the cluster does not answer: MaxRetryError: refused"


def test_a_version_that_mends_a_slot_without_a_ready_pod_may_begin(office: Office) -> None:
    office.stack.cluster = Standing(dict.fromkeys(Slot, ()))
    assert office.begin().plan.version == "v2.5.0"


def test_who_takes_over_with_another_environment_s_prometheus_is_told(office: Office) -> None:
    other_pods(office)
    office.journal.record = left_at(25, died())
    office.take_over(Resume(at=datetime.now(UTC), who="bob"))
    (said,) = office.narrator.said
    assert "scrapes none of the 2 pods that are ready in blue" in said


def test_who_takes_over_where_the_cluster_does_not_answer_is_told_and_holds(office: Office) -> None:
    office.stack.cluster = Standing(None)
    office.journal.record = left_at(25, died())
    assert office.take_over(Resume(at=datetime.now(UTC), who="bob")).direction is Direction.UP
    (said,) = office.narrator.said
    assert said.startswith("the cluster does not answer: MaxRetryError: refused; until there is an answer")


def test_who_takes_over_without_an_answer_holds_the_weights_and_says_so(office: Office) -> None:
    unanswered(office)
    office.journal.record = left_at(25, died())
    state = office.take_over(Resume(at=datetime.now(UTC), who="bob"))
    assert (state.direction, state.phase.weight) == (Direction.UP, 25)
    (said,) = [line for line in office.narrator.said if line.startswith("--prometheus")]
    assert said.startswith("--prometheus: http://127.0.0.1:1 does not answer (")
    assert said.endswith("the weights are held, and taken back at the limit")


def test_the_way_back_needs_no_prometheus(office: Office) -> None:
    unanswered(office)
    office.journal.record = left_at(25, died())
    back = office.take_over(Rollback(at=datetime.now(UTC), who="bob", reason="empty carts"))
    assert back.direction is Direction.BACK
    office.journal.record = Record(state=back, lease=died())
    again = office.take_over(Resume(at=datetime.now(UTC), who="bob"))
    assert again.direction is Direction.BACK


def test_a_driver_that_is_alive_is_told_without_asking_prometheus(office: Office) -> None:
    unanswered(office)
    office.journal.record = left_at(25, alive())
    told = office.desk.take_over(Resume(at=datetime.now(UTC), who="bob"), cast("Narrator", office.narrator))
    assert isinstance(told, Lease)
    assert [command.kind for command in office.journal.heard] == ["resume"]


def dead_elsewhere(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver of another machine that has died, whose lease runs out in a moment."""
    monkeypatch.setattr("rollout.handover.POLL_SECONDS", 0.05)
    lease = alive().model_copy(update={"expires": datetime.now(UTC) + timedelta(seconds=0.5)})
    office.journal.record, office.journal.hears = left_at(25, lease), False


def test_a_rollback_that_a_dead_driver_was_told_of_needs_no_second_command(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_elsewhere(office, monkeypatch)
    state = office.take_over(Rollback(at=datetime.now(UTC), who="bob", reason="empty carts"))
    assert (state.direction, state.history[-1].why) == (Direction.BACK, "empty carts")
    assert office.journal.record is not None
    assert office.journal.record.lease is not None
    assert (office.journal.record.lease.who, office.journal.record.inbox) == ("bob", ())
    assert office.journal.last_driver is not None
    assert office.journal.last_driver.expired is not None, "its locks are lifted, too"
    assert "rollback: told ada on elsewhere" in office.narrator.said[0]


def test_who_tells_a_dead_driver_hears_what_to_do(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    dead_elsewhere(office, monkeypatch)
    pause = Pause(at=datetime.now(UTC), who="bob", reason="lunch")
    said = refusal(lambda: office.desk.tell(pause, office.narrator.says))
    assert said.startswith("ada on elsewhere (process ")
    assert said.endswith(
        ") is dead and has not heard it; whoever goes on will: rollout resume --stack staging"
    )
    assert office.journal.record is not None
    assert office.journal.record.inbox == (pause,)


def test_what_has_ended_is_not_gone_on_with_whatever_prometheus_says(office: Office) -> None:
    unanswered(office)
    office.journal.record = ended()
    said = refusal(lambda: office.take_over(Resume(at=datetime.now(UTC), who="bob")))
    assert said == "no rollout of 'staging' is under way"


def test_where_there_was_no_rollout_a_command_makes_no_journal(office: Office) -> None:
    for attempt in (
        lambda: office.desk.tell(Pause(at=START, who="bob", reason="lunch"), print),
        lambda: office.take_over(Resume(at=START, who="bob")),
        lambda: office.take_over(Rollback(at=START, who="bob", reason="empty carts")),
    ):
        assert refusal(attempt).startswith("there was no rollout of 'staging' yet")
    assert office.journal.changes == 0


def test_bakes_are_shortened_in_a_rehearsal_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, office: Office
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://state")
    assert refusal(lambda: office.begin(speed=60)) == (
        "--speed = 60: allowed is 1; bakes and limits are shortened in a rehearsal and nowhere else: "
        "uv run rehearse canary --stack staging --speed 60"
    )
    rehearsed(monkeypatch, tmp_path)
    assert office.begin(speed=60).plan.speed == 60


def rehearsed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As in a rehearsal that keeps its files in that folder."""
    (folder / "state").mkdir()
    (folder / "world.json").write_text("{}")
    monkeypatch.setenv("REHEARSAL_WORLD", str(folder / "world.json"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", (folder / "state").as_uri())


def test_gates_are_evaluated_at_another_pace_in_a_rehearsal_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, office: Office
) -> None:
    """At five minutes, what cannot be seen would be held for three quarters of an hour."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://state")
    assert refusal(lambda: office.begin(interval=timedelta(minutes=5))) == (
        "--interval = 300: allowed is 15; gates are evaluated at another pace, and with other limits, in a rehearsal and "
        "nowhere else"
    )
    rehearsed(monkeypatch, tmp_path)
    assert office.begin(interval=timedelta(seconds=5)).plan.interval == timedelta(seconds=5)


def test_a_stack_file_that_says_other_weights_than_are_in_force_is_refused(office: Office) -> None:
    serving = next(slot for slot in Slot if office.stack.release.of(slot).weight)
    office.stack.release = Release.model_validate(
        {
            **dict(office.stack.release),
            serving.value: office.stack.release.of(serving).model_copy(update={"weight": 95}),
            serving.other.value: office.stack.release.of(serving.other).model_copy(update={"weight": 5}),
        }
    )
    declared, found = office.desk.file.release().weights, office.stack.release.weights
    assert refusal(office.begin) == (
        f"Pulumi.staging.yaml says blue {declared.blue} %, green {declared.green} %; in force are {found.blue} and "
        f"{found.green}: bring the stack up first"
    )
    assert office.journal.written == 0


def test_a_stack_file_that_says_other_versions_than_are_in_force_is_refused(office: Office) -> None:
    stated = office.stack.release
    newer = stated.green.model_copy(update={"version": "v2.9.9"})
    office.stack.outputs = Release.model_validate({**dict(stated), "green": newer})
    assert refusal(office.begin) == (
        f"Pulumi.staging.yaml says blue {stated.blue.version}, green {stated.green.version}; in force are "
        f"{stated.blue.version} and v2.9.9: take over the file that brought them, or bring the stack up first"
    )
    assert office.journal.written == 0
    office.stack.outputs = stated
    office.begin()


def test_the_version_that_serves_is_not_rolled_out_again(office: Office) -> None:
    serving = next(slot for slot in Slot if office.stack.release.of(slot).weight)
    version = office.stack.release.of(serving).version
    assert refusal(lambda: office.begin(version)) == f"{serving} serves {version} already"
    assert office.journal.written == 0


def ended() -> Record:
    return Record(state=Rehearsed.of(plan()).run().state)


def left_behind(**changes: object) -> Release:
    """What that rollout left: green has all traffic."""
    world = Rehearsed.of(plan()).run()
    return Release.model_validate({**world.release.model_dump(), **changes}, strict=False)


def test_what_has_ended_is_taken_back_while_both_slots_are_as_it_left_them(office: Office) -> None:
    office.journal.record, office.stack.outputs = ended(), left_behind()
    back = office.take_over(Rollback(at=datetime.now(UTC), who="bob", reason="next morning"))
    assert (back.direction, back.target) == (Direction.BACK, Slot.BLUE)


@pytest.mark.parametrize(
    "changes",
    [
        {"green": {"version": "v2.4.1", "weight": 100}},
        {"blue": {"version": "v2.3.1", "weight": 0}},
        {"green": {"version": "v2.4.0", "weight": 0}, "blue": {"version": "v2.3.0", "weight": 100}},
    ],
    ids=["another new version", "another old version", "another weight"],
)
def test_what_has_ended_is_not_taken_back_once_a_slot_is_something_else(
    office: Office, changes: dict[str, object]
) -> None:
    office.journal.record, office.stack.outputs = ended(), left_behind(**changes)
    command = Rollback(at=datetime.now(UTC), who="bob", reason="next morning")
    assert refusal(lambda: office.take_over(command)) == (
        "v2.4.0 in green is not what the last rollout left any more: start one to another version"
    )
    assert office.journal.written == 0


def test_whoever_takes_over_lifts_the_locks_of_who_died(office: Office) -> None:
    office.journal.record = left_at(25, died())
    office.take_over(Resume(at=datetime.now(UTC), who="bob"))
    assert office.journal.last_driver == LastDriver("elsewhere", here=False, expired=START)
    assert office.stack.engine.last_driver == office.journal.last_driver


def test_nobody_s_locks_are_lifted_while_the_driver_may_be_alive(office: Office) -> None:
    office.journal.record = left_at(25, alive())
    office.desk.tell(Pause(at=datetime.now(UTC), who="bob", reason="lunch"), print)
    assert office.journal.last_driver == LastDriver("elsewhere", here=False, expired=None)
    assert office.stack.engine.last_driver is None


def test_who_finds_an_older_stack_file_says_so(office: Office) -> None:
    office.journal.record, office.stack.behind = left_at(25, died()), True
    office.take_over(Resume(at=datetime.now(UTC), who="bob"))
    assert office.narrator.said == [
        "Pulumi.staging.yaml was behind: its release and change requests are those in force now"
    ]


def test_a_promotion_is_of_the_phase_under_way(office: Office) -> None:
    office.journal.record = left_at(25, alive())
    assert office.desk.promotion("bob", "known good").weight == 25
