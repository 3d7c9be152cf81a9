"""The copy of a project that a rehearsal works on."""

from pathlib import Path

import pytest
import yaml

from rehearsal.errors import RehearsalError
from rehearsal.project import Project

STACK_FILE = """\
secretsprovider: awskms://alias/team
encryptedkey: abc
config:
  aws:region: eu-west-1
  quikapp:sizing:
    replicas: {min: 1, max: 2}
  secrets:token:
    secure: v1:ciphertext
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: sample\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(STACK_FILE)
    (tmp_path / "__main__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.rehearsal.secrets]\nevery = ["secrets:key"]\nlive = ["secrets:live"]\n'
    )
    return tmp_path


def test_a_folder_without_a_program_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match=r"is no Pulumi program: it has no Pulumi\.yaml"):
        Project(tmp_path)


def test_an_unknown_stack_is_refused_with_the_stacks_there_are(root: Path) -> None:
    with pytest.raises(RehearsalError, match=r"no stack 'prod'.*Stacks with a file: dev\."):
        Project(root).stack_file("prod")


@pytest.mark.parametrize("text", ["config: [", "- a list\n", "\x00"])
def test_a_stack_file_that_is_no_mapping_is_refused_in_one_line(root: Path, text: str) -> None:
    (root / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(RehearsalError, match=r"^Pulumi\.dev\.yaml [^\n]*$"):
        Project(root).copy_to(root / "copy", "dev", "passphrase")


def test_the_copy_has_neither_the_teams_secrets_nor_its_encryption(root: Path, tmp_path: Path) -> None:
    Project(root).copy_to(tmp_path / "copy", "dev", "passphrase")
    copy = yaml.safe_load((tmp_path / "copy" / "Pulumi.dev.yaml").read_text())
    assert copy == {
        "config": {"aws:region": "eu-west-1", "quikapp:sizing": {"replicas": {"min": 1, "max": 2}}},
    }


def test_wanted_and_encrypted_secrets_get_made_up_values_that_stay_the_same(
    root: Path, tmp_path: Path
) -> None:
    first = Project(root).copy_to(tmp_path / "copy", "dev", "passphrase")
    again = Project(root).copy_to(tmp_path / "copy", "dev", "passphrase")
    other = Project(root).copy_to(tmp_path / "copy", "dev", "another")
    assert first.keys() == {"secrets:key", "secrets:token"}
    assert first == again
    assert all(first[key] != other[key] for key in first)


def test_the_copys_own_salt_survives_the_next_copy(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy" / "Pulumi.dev.yaml"
    Project(root).copy_to(target.parent, "dev", "passphrase")
    target.write_text(target.read_text() + "encryptionsalt: v1:salt\n")
    Project(root).copy_to(target.parent, "dev", "passphrase")
    assert yaml.safe_load(target.read_text())["encryptionsalt"] == "v1:salt"


def test_the_committed_files_are_left_as_they_are(root: Path, tmp_path: Path) -> None:
    Project(root).copy_to(tmp_path / "copy", "dev", "passphrase")
    assert (root / "Pulumi.dev.yaml").read_text() == STACK_FILE


def test_a_stack_gets_the_secrets_of_every_stack_and_its_own(root: Path) -> None:
    assert Project(root).secret_keys("dev") == ("secrets:key",)
    assert Project(root).secret_keys("live") == ("secrets:key", "secrets:live")


def _changed(copy: Path, replicas: int) -> None:
    document = yaml.safe_load(copy.read_text())
    document["config"]["quikapp:sizing"] = {"replicas": {"min": replicas, "max": replicas}}
    copy.write_text(yaml.safe_dump(document))


def test_what_a_rollout_changed_in_the_copy_stays_until_the_committed_file_changes_it(
    root: Path, tmp_path: Path
) -> None:
    project, copy = Project(root), tmp_path / "copy" / "Pulumi.dev.yaml"

    def sizing() -> object:
        project.copy_to(copy.parent, "dev", "passphrase")
        return yaml.safe_load(copy.read_text())["config"]["quikapp:sizing"]["replicas"]

    assert sizing() == {"min": 1, "max": 2}
    _changed(copy, 7)
    for _ in range(2):
        assert sizing() == {"min": 7, "max": 7}
    committed = root / "Pulumi.dev.yaml"
    committed.write_text(committed.read_text().replace("eu-west-1", "eu-west-2"))
    assert sizing() == {"min": 7, "max": 7}
    assert yaml.safe_load(copy.read_text())["config"]["aws:region"] == "eu-west-2"
    committed.write_text(committed.read_text().replace("max: 2", "max: 3"))
    assert sizing() == {"min": 1, "max": 3}


def test_a_project_without_a_policy_pack_is_judged_by_none(root: Path) -> None:
    assert Project(root).policies("dev") == {}


def test_violations_are_mandatory_where_the_project_does_not_say_that_they_only_warn(root: Path) -> None:
    (root / "policy").mkdir()
    (root / "policy" / "PulumiPolicy.yaml").write_text("runtime: python\n")
    with (root / "pyproject.toml").open("a") as project:
        project.write('[tool.rehearsal.policy]\nadvisory = ["dev"]\n')
    for stack, level in {"dev": "advisory", "live": "mandatory"}.items():
        (config,) = Project(root).policies(stack).get("policy_pack_configs", [])
        assert config == str(root / "policy" / "levels" / f"{level}.json")
