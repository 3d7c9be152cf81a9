"""The journal: who only reads makes none, and what another version wrote is told in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation as auto

from rollout import journal
from rollout.errors import JournalFailed, RolloutError
from rollout.journal import PulumiJournal
from rollout.record import Record
from tests.unit.operations.rollouts import World, plan

RECORD = Record(state=World.of(plan()).state)


@dataclass
class Backend:
    """Holds the stacks of the journals' project."""

    stacks: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """What each exports, if anything."""
    fails: str = ""
    opened: list[str] = field(default_factory=list[str])

    def select(self, **options: Any) -> Opened:
        self.opened.append(options["project_name"])
        if self.fails:
            raise auto.CommandError(auto.CommandResult(stdout="", stderr=self.fails, code=255))
        if (name := options["stack_name"]) not in self.stacks:
            said = f"error: no stack named '{name}' found"
            raise auto.StackNotFoundError(auto.CommandResult(stdout="", stderr=said, code=255))
        return Opened(self, name)

    def make(self, **options: Any) -> Opened:
        self.stacks.setdefault(options["stack_name"], None)
        return self.select(**options)


@dataclass
class Opened:
    backend: Backend
    name: str

    def export_stack(self) -> auto.Deployment:
        written = self.backend.stacks[self.name]
        stack = {"urn": "urn:pulumi:live::quikapp-rollout::pulumi:pulumi:Stack::live"}
        resources = [] if written is None else [{**stack, "outputs": {"rollout": written}}]
        return auto.Deployment(version=3, deployment={"resources": resources})

    def up(self, program: Any, show_secrets: bool) -> None:
        assert not show_secrets
        try:
            program()
        except Exception as error:
            raise auto.CommandError(auto.CommandResult(stdout="", stderr=str(error), code=255)) from error


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Backend:
    held = Backend()

    class Workspace:
        def project_settings(self) -> auto.ProjectSettings:
            return auto.ProjectSettings(name="quikapp", runtime="python")

    def workspace_of(folder: Path) -> Workspace:
        assert folder == tmp_path
        return Workspace()

    def export(name: str, value: str) -> None:
        assert name == "rollout"
        held.stacks["live"] = value

    monkeypatch.setattr(journal, "workspace_of", workspace_of)
    monkeypatch.setattr(journal.auto, "select_stack", held.select)
    monkeypatch.setattr(journal.auto, "create_or_select_stack", held.make)
    monkeypatch.setattr(journal.pulumi, "export", export)
    return held


@pytest.fixture
def opened(backend: Backend, tmp_path: Path) -> Iterator[PulumiJournal]:
    assert backend.opened == []
    made = PulumiJournal.of("live", tmp_path, None)
    yield made
    made.folder.cleanup()


def test_who_reads_before_the_first_rollout_leaves_nothing_behind(
    backend: Backend, opened: PulumiJournal
) -> None:
    assert opened.read() is None
    assert backend.stacks == {}
    assert backend.opened == ["quikapp-rollout"]


def test_the_first_rollout_makes_the_journal_and_what_it_wrote_is_read(
    backend: Backend, opened: PulumiJournal
) -> None:
    def begin(found: Record | None) -> Record:
        assert found is None
        return RECORD

    assert opened.read() is None
    assert opened.change(begin) == RECORD
    assert list(backend.stacks) == ["live"]
    assert opened.read() == RECORD


def test_a_journal_that_was_never_written_holds_no_rollout(backend: Backend, opened: PulumiJournal) -> None:
    backend.stacks["live"] = None
    assert opened.read() is None


def test_what_a_change_refuses_is_raised_and_nothing_is_written(
    backend: Backend, opened: PulumiJournal
) -> None:
    def refuse(found: Record | None) -> Record:
        raise RolloutError(f"another one is under way: {found}")

    with pytest.raises(RolloutError, match="another one is under way"):
        opened.change(refuse)
    assert backend.stacks == {"live": None}


def test_a_backend_that_refuses_is_told(backend: Backend, opened: PulumiJournal) -> None:
    backend.fails = "…\nerror: no credentials"
    for use in (opened.read, lambda: opened.change(lambda _: RECORD)):
        with pytest.raises(JournalFailed, match=r"^the journal cannot be opened: error: no credentials$"):
            use()


def of_another_version() -> str:
    written = json.loads(RECORD.model_dump_json())
    return json.dumps({**written, "state": {**written["state"], "mirrored": 3}})


@pytest.mark.parametrize(
    ("written", "where"),
    [(of_another_version(), "at state.mirrored: Extra inputs"), ("{", "at all of it: Invalid JSON")],
    ids=["another version", "no JSON"],
)
def test_what_another_version_wrote_is_told_in_a_sentence(
    backend: Backend, opened: PulumiJournal, written: str, where: str
) -> None:
    backend.stacks["live"] = written
    for use in (opened.read, lambda: opened.change(lambda _: RECORD)):
        with pytest.raises(JournalFailed) as failed:
            use()
        said = str(failed.value)
        assert f"the journal of 'live' cannot be understood, {where}" in said
        assert "use that one until the rollout has ended" in said
        assert said.endswith("pulumi stack rm --force --stack organization/quikapp-rollout/live")
        assert "\n" not in said
