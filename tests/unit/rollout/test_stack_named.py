"""A stack file that is not there, or no stack file, is told in a line: which there are, and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollout.errors import RolloutError
from rollout.stack_file import StackFile

STACKS = ("dev", "live", "qa", "staging", "uat")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for stack in STACKS:
        (tmp_path / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
    (tmp_path / "Pulumi.yaml").write_text("name: quikapp\n")
    return tmp_path


def refusal(stack: str, folder: Path) -> str:
    with pytest.raises(RolloutError) as refused:
        StackFile.of(stack, folder).release()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_misspelt_stack_is_told_which_was_meant_and_which_there_are(folder: Path) -> None:
    assert refusal("stagin", folder) == (
        f"no stack 'stagin': did you mean staging? The stacks in {folder} are dev, live, qa, staging, uat; "
        "--work-dir names another folder"
    )


def test_one_that_is_like_no_other_is_told_which_there_are(folder: Path) -> None:
    assert refusal("production", folder) == (
        f"no stack 'production': The stacks in {folder} are dev, live, qa, staging, uat; --work-dir names another folder"
    )


def test_where_there_is_none_the_folder_is_asked_for(tmp_path: Path) -> None:
    assert refusal("live", tmp_path) == (
        f"no stack 'live', nor any other, in {tmp_path}: name the folder of the stack files with --work-dir"
    )


@pytest.mark.parametrize("name", ["../etc", "", "live/../dev", "li ve", "/etc/passwd", "live\n"])
def test_what_is_no_stack_s_name_is_no_path_either(folder: Path, name: str) -> None:
    assert refusal(name, folder).startswith("--stack = ")


def test_an_organisation_before_the_name_is_told_to_be_none_of_it(folder: Path) -> None:
    assert refusal("acme/live", folder) == (
        '--stack = "acme/live": allowed is the name of a stack, without an organisation or a project before it: letters, '
        "digits, hyphens, underscores and periods"
    )


@pytest.mark.parametrize(
    ("config", "shown"), [("[a, b]", '["a", "b"]'), ("text", '"text"'), ("2026-11-24", '"2026-11-24"')]
)
def test_a_configuration_that_is_no_mapping_is_refused(folder: Path, config: str, shown: str) -> None:
    (folder / "Pulumi.live.yaml").write_text(f"config: {config}\n")
    assert refusal("live", folder) == (
        f"Pulumi.live.yaml: config = {shown}: allowed is a mapping from keys to values"
    )
    with pytest.raises(RolloutError, match="allowed is a mapping"):
        StackFile.of("live", folder).changes()


def test_a_release_that_json_cannot_say_is_refused_like_any_other(folder: Path) -> None:
    (folder / "Pulumi.live.yaml").write_text(
        "config:\n  quikapp:release:\n    blue: {version: 2026-11-24, weight: 100}\n"
    )
    assert "quikapp:release is missing or wrong: blue.version" in refusal("live", folder)


def test_a_file_that_cannot_be_read_is_told(folder: Path) -> None:
    (folder / "Pulumi.live.yaml").write_bytes(b"config: \xff\n")
    assert "cannot be read: 'utf-8' codec" in refusal("live", folder)
    (folder / "Pulumi.folder.yaml").mkdir()
    assert "cannot be read: [Errno 21] Is a directory" in refusal("folder", folder)
