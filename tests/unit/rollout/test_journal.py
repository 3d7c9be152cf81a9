"""The journal: who only reads makes none, and what another version wrote is told in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pulumi import automation as auto

from rollout import engine, journal
from rollout.errors import JournalFailed, RolloutError
from rollout.journal import PulumiJournal
from rollout.record import Record
from tests.unit.operations.rollouts import World, plan

ENCRYPTION = {
    "secretsprovider": "awskms://alias/state?context_stack=live",
    "encryptedkey": "AQIC",
    "encryptionsalt": "v1:salt",
}
RECORD = Record(state=World.of(plan()).state)


@dataclass
class Backend:
    """Holds the stacks of the journals' project."""

    stacks: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """What each exports, if anything."""
    fails: str = ""
    opened: list[str] = field(default_factory=list[str])
    options: list[auto.LocalWorkspaceOptions] = field(default_factory=list[auto.LocalWorkspaceOptions])

    def select(self, **options: Any) -> Opened:
        self.opened.append(options["project_name"])
        self.options.append(options["opts"])
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
    made = PulumiJournal.of("live", tmp_path, ENCRYPTION)
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

    with pytest.raises(RolloutError) as refused:
        opened.change(refuse)
    assert type(refused.value) is RolloutError, "a driver does not try again what was refused"
    assert str(refused.value) == "another one is under way: None"
    assert backend.stacks == {"live": None}


def test_a_backend_that_refuses_is_told(backend: Backend, opened: PulumiJournal) -> None:
    backend.fails = "…\nerror: no credentials"
    for use in (opened.read, lambda: opened.change(lambda _: RECORD)):
        with pytest.raises(JournalFailed, match=r"^the journal cannot be opened: error: no credentials$"):
            use()


def test_the_journal_s_stack_is_encrypted_as_the_program_s_is(
    backend: Backend, opened: PulumiJournal
) -> None:
    opened.read()
    opened.change(lambda _: RECORD)
    for options in backend.options:
        assert options.secrets_provider == ENCRYPTION["secretsprovider"]
        assert options.stack_settings is not None
        settings = options.stack_settings["live"]
        assert (settings.secrets_provider, settings.encrypted_key, settings.encryption_salt) == tuple(
            ENCRYPTION.values()
        )


def test_a_journal_that_is_locked_is_told_by_its_own_name_and_soon(
    monkeypatch: pytest.MonkeyPatch, opened: PulumiJournal
) -> None:
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    def locked(*_: object, **__: object) -> NoReturn:
        said = "the stack is currently locked by 1 lock(s): created by bob@laptop (pid 77) at 2026-11-30T09:00:00Z"
        raise auto.ConcurrentUpdateError(auto.CommandResult(stdout="", stderr=said, code=255))

    monkeypatch.setattr(engine.time, "monotonic", lambda: passed[0])
    monkeypatch.setattr(engine.time, "sleep", sleep)
    monkeypatch.setattr(Opened, "up", locked)
    with pytest.raises(JournalFailed) as failed:
        opened.change(lambda _: RECORD)
    assert str(failed.value) == (
        "the journal cannot be written: organization/quikapp-rollout/live is still in use after 0:00:30; if nobody works on "
        "it: pulumi cancel --stack organization/quikapp-rollout/live"
    )
    assert passed[0] <= 30


def test_a_disk_that_is_full_is_told(monkeypatch: pytest.MonkeyPatch, opened: PulumiJournal) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Opened, "up", full)
    with pytest.raises(JournalFailed, match=r"^the journal cannot be written: .*No space left on device$"):
        opened.change(lambda _: RECORD)


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
