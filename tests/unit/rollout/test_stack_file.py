"""A rollout changes the release in a stack file, and not one character beside it."""

from difflib import unified_diff
from pathlib import Path
from typing import NoReturn

import pytest

from operations.changes import ChangeRequest, Ledger
from operations.environments import Gate
from operations.release import Release
from operations.rollout.actions import PrepareSlot, ScaleDown, SetWeights, release_after
from operations.slots import Slot, Weights
from rollout.errors import RolloutError
from rollout.stack_file import StackFile

ROOT = Path(__file__).parents[3]
LIVE = StackFile(ROOT / "Pulumi.live.yaml")


def changed(release: Release, changes: Ledger | None = None) -> list[str]:
    """The lines that differ once the release, and the change requests, are written."""
    lines = unified_diff(
        LIVE.path.read_text().splitlines(), LIVE.with_release(release, changes).splitlines(), lineterm="", n=0
    )
    return [line for line in lines if line[0] in "+-" and line[:3] not in {"+++", "---"}]


@pytest.mark.parametrize("path", sorted(ROOT.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
def test_the_release_that_is_there_changes_nothing(path: Path) -> None:
    file = StackFile(path)
    assert file.with_release(file.release(), file.changes()) == path.read_text()


def test_a_slot_is_prepared_in_its_own_line() -> None:
    prepared = release_after(LIVE.release(), PrepareSlot(step=1, slot=Slot.GREEN, version="v2.5.0"))
    assert changed(prepared) == [
        "-    green: {version: v2.4.0, weight: 0}",
        "+    green: {version: v2.5.0, weight: 0, capacity: full}",
    ]


def test_weights_move_in_the_lines_of_the_slots_and_the_way_back_is_named() -> None:
    prepared = release_after(LIVE.release(), PrepareSlot(step=1, slot=Slot.GREEN, version="v2.5.0"))
    moved = release_after(prepared, SetWeights(step=2, weights=Weights(blue=95, green=5)))
    assert changed(moved.model_copy(update={"stable": "v2.2.0"})) == [
        "-    blue: {version: v2.3.0, weight: 100}",
        "-    green: {version: v2.4.0, weight: 0}",
        "+    blue: {version: v2.3.0, weight: 95}",
        "+    green: {version: v2.5.0, weight: 5}",
        "-    stable: v2.3.0 # where a rollback leads",
        "+    stable: v2.2.0 # where a rollback leads",
    ]


def test_a_slot_that_is_scaled_down_loses_its_capacity() -> None:
    prepared = release_after(LIVE.release(), PrepareSlot(step=1, slot=Slot.GREEN, version="v2.4.0"))
    down = release_after(prepared, ScaleDown(step=2, slot=Slot.GREEN))
    assert changed(down) == []


NEXT = ChangeRequest(request="CHG0030043", version="v2.5.0")


def test_a_change_request_more_is_a_line_more() -> None:
    assert changed(LIVE.release(), (*LIVE.changes(), NEXT)) == ["+  - {request: CHG0030043, version: v2.5.0}"]


def test_change_requests_become_those_in_force_and_what_both_have_stays_as_it_is_written() -> None:
    first, second = LIVE.changes()
    assert changed(LIVE.release(), (first, NEXT)) == [
        f"-  - {{request: {second.request}, version: {second.version}}}",
        "+  - {request: CHG0030043, version: v2.5.0}",
    ]
    assert changed(LIVE.release(), (first,)) == [
        f"-  - {{request: {second.request}, version: {second.version}}}"
    ]


def test_the_first_change_request_begins_a_list_after_the_release() -> None:
    file = StackFile(ROOT / "Pulumi.dev.yaml")
    before, after = file.path.read_text(), file.with_release(file.release(), (NEXT,))
    added = "  quikapp:changes:\n  - {request: CHG0030043, version: v2.5.0}\n"
    assert after == before.replace("  quikapp:sizing:", f"{added}  quikapp:sizing:")
    assert file.with_release(file.release(), ()) == before


def test_change_requests_that_are_none_are_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.live.yaml"
    path.write_text("config: {'quikapp:changes': [{request: CHG1, version: v1.0.0}]}")
    with pytest.raises(RolloutError) as refused:
        StackFile(path).changes()
    assert str(refused.value) == (
        "Pulumi.live.yaml: quikapp:changes is wrong: 0.request Value error, allowed is the number of a change request "
        "such as CHG0030042: CHG and seven digits"
    )


def test_the_gate_of_the_environment_is_read_from_it() -> None:
    assert LIVE.gate() is Gate.CAB
    assert StackFile(ROOT / "Pulumi.dev.yaml").gate() is Gate.AUTO


def test_the_promise_of_the_environment_is_read_from_it() -> None:
    assert LIVE.sla() == 99.99
    assert StackFile(ROOT / "Pulumi.dev.yaml").sla() is None


def test_a_file_that_is_written_keeps_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.live.yaml"
    path.write_text("config: {}\n")
    path.chmod(0o600)
    StackFile(path).write("config: {a: 1}\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("config: {a: 1}\n", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_told_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "Pulumi.live.yaml"
    path.write_text("config: {}\n")

    def full(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(
        RolloutError, match=r"live\.yaml cannot be written: \[Errno 28\] No space left on device"
    ):
        StackFile(path).write("config: {a: 1}\n")
    assert path.read_text() == "config: {}\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "--work-dir"),
        ("config: {}", "quikapp:release is missing"),
        ("[]", "a mapping"),
        ("a: [", "is no YAML"),
        ("config: {'quikapp:release': {blue: {version: v1.0.0, weight: 60}}}", "green"),
    ],
)
def test_a_file_without_a_release_is_refused_in_a_line(tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "Pulumi.live.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RolloutError, match=why) as refused:
        StackFile(path).release()
    assert "\n" not in str(refused.value)


def test_how_secrets_are_encrypted_is_what_the_engine_wrote_and_nothing_else(tmp_path: Path) -> None:
    file = StackFile.of("live", tmp_path)
    file.path.write_text("config:\n  quikapp:encryptedkey: no\n")
    assert file.encryption() == {}
    written = {"secretsprovider": "awskms://alias/state", "encryptedkey": "AQIC", "encryptionsalt": "v1:salt"}
    file.path.write_text("".join(f"{key}: {value}\n" for key, value in written.items()) + "config: {}\n")
    assert file.encryption() == written
