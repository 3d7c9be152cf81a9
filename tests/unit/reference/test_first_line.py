"""The line that leads editors to the schema stays in a stack file that a rollout changes, and out of a rehearsal's copy."""

from pathlib import Path

import pytest
import yaml

from operations.release import Release
from operations.slots import Slot
from rehearsal.project import Project
from rollout.stack_file import StackFile
from tests.unit.stack_configuration import ROOT, STACKS, written


@pytest.mark.parametrize("stack", STACKS)
def test_a_rollout_keeps_it_first(stack: str) -> None:
    path = ROOT / f"Pulumi.{stack}.yaml"
    stated = StackFile(path).release().model_dump(by_alias=True)
    for slot in Slot:
        stated[slot]["version"] = "v9.9.9"

    text = StackFile(path).with_release(Release.model_validate(stated))

    assert "v9.9.9" in text
    assert text.splitlines()[0] == path.read_text().splitlines()[0]
    assert text.splitlines()[0].startswith("# yaml-language-server: ")


@pytest.mark.parametrize("stack", STACKS)
def test_a_rehearsal_copies_the_configuration_and_not_the_line(stack: str, tmp_path: Path) -> None:
    Project(ROOT).copy_to(tmp_path, stack, "passphrase")

    copy = (tmp_path / f"Pulumi.{stack}.yaml").read_text()
    assert "yaml-language-server" not in copy
    assert yaml.safe_load(copy)["config"] == written(stack)
