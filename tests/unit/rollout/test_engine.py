"""What is read of a stack's state, how long another update is waited for, and where bakes may be shortened."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
from pulumi import automation as auto

from rollout import engine
from rollout.engine import LOCK_PATIENCE_SECONDS, Engine, gist, is_rehearsed, patiently
from rollout.errors import PlanRefused, UpdateFailed
from tests.unit.rollout.test_locks import EXPIRED, HERE, THERE, held_by


@dataclass
class Stack:
    """A stack of the Automation API: its state, and who has been asked to let go of it."""

    resources: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    name: str = "live"
    cancelled: int = 0
    previews: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def export_stack(self) -> auto.Deployment:
        return auto.Deployment(version=3, deployment={"resources": self.resources})

    def cancel(self) -> None:
        self.cancelled += 1

    def preview(self, **options: Any) -> None:
        file = options["config_file"]
        assert file is None or Path(file).name == "Pulumi.live.yaml"
        text = None if file is None else Path(file).read_text()
        self.previews.append({**options, "config_file": text})


def urn(name: str) -> str:
    return f"urn:pulumi:live::quikapp::aws:lb/listenerRule:ListenerRule::{name}"


def over(stack: Stack, guardrails: tuple[Path, Path] | None = None) -> Engine:
    return Engine(cast("auto.Stack", stack), guardrails)


def test_what_was_replaced_and_is_still_to_be_deleted_is_no_part_of_the_stack() -> None:
    old = {"urn": urn("api"), "outputs": {"weight": 0}, "delete": True}
    new = {"urn": urn("api"), "inputs": {"priority": 1}, "outputs": {"weight": 5}, "delete": False}
    (found,) = over(Stack([old, new])).resources()
    assert (found.name, found.inputs, found.outputs) == ("api", {"priority": 1}, {"weight": 5})


def test_a_preview_of_another_text_is_under_the_guardrails_unless_it_is_the_way_back() -> None:
    stack, packs = Stack(), (Path("pack"), Path("levels.json"))
    over(stack, packs).preview("config: {}")
    over(stack, packs).preview("config: {}", [urn("api")])
    whole, back = stack.previews
    assert (whole["policy_packs"], whole["policy_pack_configs"]) == (["pack"], ["levels.json"])
    assert (whole["target"], whole["config_file"], whole["refresh"]) == (None, "config: {}", False)
    assert (back["policy_packs"], back["target"]) == (None, [urn("api")])


def test_a_look_is_guarded_and_refreshed_where_that_is_asked_for() -> None:
    stack, packs = Stack(), (Path("pack"), Path("levels.json"))
    over(stack, packs).look(engine.Plan(), refresh=True)
    over(stack, packs).look(engine.Plan(), guarded=True, text="config: {}")
    refreshed, guarded = stack.previews
    assert (refreshed["refresh"], refreshed["policy_packs"], refreshed["config_file"]) == (True, None, None)
    assert (guarded["refresh"], guarded["policy_packs"]) == (False, ["pack"])
    assert guarded["config_file"] == "config: {}"


def test_where_there_is_no_place_for_a_file_the_engine_fails_like_any_other_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the way back, too: the driver tries again, and does not die."""

    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine.tempfile, "TemporaryDirectory", full)
    with pytest.raises(UpdateFailed, match=r"cannot be run here: \[Errno 28\] No space left on device"):
        over(Stack()).preview("config: {}")
    monkeypatch.setattr(Stack, "export_stack", full)
    with pytest.raises(UpdateFailed, match="No space left on device"):
        over(Stack()).resources()


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("error: no credentials", "error: no credentials"),
        (
            "warning: a new version\nerror: listing failed: token expired\n  request: GET /state\nhint: log in again\n",
            "error: listing failed: token expired; request: GET /state; hint: log in again",
        ),
        ("progress\nit broke off", "it broke off"),
        (
            "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions",
            "this machine is not signed in to the stacks' backend: pulumi login s3://..., or the same address in "
            "PULUMI_BACKEND_URL",
        ),
    ],
)
def test_of_what_the_engine_says_the_error_and_all_below_it_is_told(stderr: str, said: str) -> None:
    result = auto.CommandResult(stdout="Updating (live):\n", stderr=stderr, code=255)
    assert gist(auto.CommandError(result)) == said


def test_an_error_without_a_word_is_told_by_its_kind() -> None:
    assert gist(auto.CommandError(auto.CommandResult(stdout="", stderr="", code=1))).startswith(
        "CommandError("
    )


def locked(message: str) -> auto.ConcurrentUpdateError:
    result = auto.CommandResult(stdout="", stderr=message, code=255)
    return auto.ConcurrentUpdateError(result)


@dataclass
class Locked:
    """An operation of the engine that finds the stack locked so often."""

    message: str
    times: int
    tried: int = 0

    def __call__(self) -> str:
        self.tried += 1
        if self.tried <= self.times:
            raise locked(self.message)
        return "done"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which passes where somebody waits."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(engine.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(engine.time, "sleep", sleep)
    return now


def test_somebody_else_s_update_is_waited_for(clock: list[float]) -> None:
    stack, operation = Stack(), Locked(held_by((THERE, 1, EXPIRED)), 3)
    assert patiently(cast("auto.Stack", stack), operation) == "done"
    assert (clock[0], stack.cancelled) == (9.0, 0)


def test_it_is_not_waited_for_longer_than_ten_minutes(clock: list[float]) -> None:
    stack, operation = Stack(), Locked(held_by((THERE, 1, EXPIRED)), 10_000)
    with pytest.raises(UpdateFailed, match="if nobody works on it: pulumi cancel --stack live"):
        patiently(cast("auto.Stack", stack), operation)
    assert LOCK_PATIENCE_SECONDS <= clock[0] < LOCK_PATIENCE_SECONDS + 5
    assert stack.cancelled == 0


def test_the_lock_of_a_process_that_ended_here_is_lifted_at_once(clock: list[float]) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    stack, operation = Stack(), Locked(held_by((HERE, process.pid, EXPIRED)), 1)
    assert patiently(cast("auto.Stack", stack), operation) == "done"
    assert (clock[0], stack.cancelled) == (0.0, 1)


def test_the_lock_of_a_process_that_runs_here_is_not(clock: list[float]) -> None:
    stack, operation = Stack(), Locked(held_by((HERE, os.getpid(), EXPIRED)), 1)
    assert patiently(cast("auto.Stack", stack), operation) == "done"
    assert (clock[0], stack.cancelled) == (3.0, 0)


@pytest.fixture
def rehearsal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What a rehearsal lays down, and tells those that it starts."""
    (tmp_path / "state").mkdir()
    (tmp_path / "world.json").write_text("{}")
    monkeypatch.setenv("REHEARSAL_WORLD", str(tmp_path / "world.json"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"{(tmp_path / 'state').as_uri()}?metadata=skip")
    return tmp_path


@pytest.mark.usefixtures("rehearsal")
def test_a_rehearsal_is_known_by_its_own_backend() -> None:
    assert is_rehearsed()


@pytest.mark.parametrize(
    "backend", ["", "s3://quikapp-state?region=eu-west-1", "file://~", "file:///somewhere/state"]
)
def test_a_variable_that_a_rehearsal_left_behind_makes_no_rehearsal_of_another_backend(
    monkeypatch: pytest.MonkeyPatch, rehearsal: Path, backend: str
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", backend)
    assert not is_rehearsed()
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"s3://{rehearsal / 'state'}")
    assert not is_rehearsed()
    monkeypatch.setenv("PULUMI_BACKEND_URL", (rehearsal / "state").as_uri())
    monkeypatch.delenv("REHEARSAL_WORLD")
    assert not is_rehearsed()


def test_a_plan_that_is_refused_says_what_to_do_where_newer_code_is_in_force() -> None:
    assert str(PlanRefused("the preview would change more")) == (
        "the preview would change more. Where it was put in force from a newer checkout: end this driver, and rollout resume "
        "in that one"
    )
