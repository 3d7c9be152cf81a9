"""The stack files are read from the disk as Pulumi hands them to the program, with no value of any secret."""

from pathlib import Path

import pytest

from operations.environments import EnvironmentName
from operations.facts import EnvironmentFacts
from reference.errors import StackFileError
from reference.stack_files import StackFiles
from settings import SettingsError, parse
from tests.unit.stack_configuration import ROOT, SECRETS, STACKS, configuration, document

CIPHERTEXT = "v1:nonce:ciphertext"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of Pulumi.yaml and the stack files."""
    for path in ROOT.glob("Pulumi*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def put(folder: Path, old: str, new: str, stack: str = "live") -> None:
    path = folder / f"Pulumi.{stack}.yaml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def live(folder: Path) -> EnvironmentFacts:
    return StackFiles(folder).facts(EnvironmentName.LIVE)


def faults(folder: Path) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        live(folder)
    return [str(fault) for fault in refusal.value.faults]


@pytest.mark.parametrize("stack", STACKS)
def test_the_facts_are_those_that_the_program_is_given(stack: str) -> None:
    facts = StackFiles(ROOT).facts(EnvironmentName(stack))

    assert facts == parse(stack, configuration(document(stack)), SECRETS)


def test_secrets_may_be_there_or_not(folder: Path) -> None:
    before = live(folder)
    put(folder, "config:\n", f"config:\n  secrets:slack-token:\n    secure: {CIPHERTEXT}\n")

    assert live(folder) == before


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("secrets:slack-token: xoxb-123", "secrets:slack-token: is in plain text; set it anew"),
        (f"secrets:slack-tokn: {{secure: {CIPHERTEXT}}}", "secrets:slack-tokn: is named by nobody"),
        (f"quikapp:changes: [{{secure: {CIPHERTEXT}}}]", "quikapp:changes: is a secret; facts are plain"),
    ],
)
def test_a_secret_that_is_wrong_is_refused_without_its_value(folder: Path, line: str, fault: str) -> None:
    put(folder, "  quikapp:changes:", "  quikapp:ledger:")
    put(folder, "config:\n", f"config:\n  {line}\n")

    found = [told for told in faults(folder) if told.startswith(fault)]
    assert found
    assert not [told for told in faults(folder) if "xoxb" in told or CIPHERTEXT in told]


def test_a_date_without_quotes_is_refused_as_pulumi_hands_it_over(folder: Path) -> None:
    put(folder, 'since: "2026-01-05"', "since: 2026-01-05")

    assert faults(folder) == [
        'quikapp:monitoring.paging.onCall.since = "2026-01-05 00:00:00 +0000 UTC": '
        'allowed is a date such as "2026-01-05", quoted'
    ]


def test_a_key_without_a_namespace_is_the_projects_own(folder: Path) -> None:
    before = live(folder)
    put(folder, "  quikapp:sizing:", "  sizing:")

    assert live(folder) == before


def test_a_key_with_nothing_behind_it_is_no_map(folder: Path) -> None:
    put(folder, "    replicas: {min: 6, max: 60} # two in each zone: a zone lost costs a third\n", "")

    assert 'quikapp:sizing = "": allowed is a map' in faults(folder)


def test_a_stack_that_states_its_own_services_replaces_them_all(folder: Path) -> None:
    own = (
        "  quikapp:services: {api: {image: registry.example/api, port: 8080, path: /, healthPath: /health, "
        "resources: {cpuMillicores: 100, memoryMib: 64}}}\n"
    )
    put(folder, "config:\n", f"config:\n{own}", stack="dev")

    assert list(StackFiles(folder).facts(EnvironmentName.DEV).services) == ["api"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"no Pulumi\.live\.yaml in .*--work-dir"),
        ("config: [", r"^Pulumi\.live\.yaml is no YAML: [^\n]*$"),
        ("config: {a: 1, a: 2}", r"^Pulumi\.live\.yaml is no YAML: [^\n]*duplicate[^\n]*$"),
        ("- a list", r"^Pulumi\.live\.yaml must hold a mapping at its top$"),
        ("config: text", r"^Pulumi\.live\.yaml must hold a mapping under config$"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(folder: Path, text: str | None, message: str) -> None:
    path = folder / "Pulumi.live.yaml"
    path.unlink() if text is None else path.write_text(text)

    with pytest.raises(StackFileError, match=message):
        live(folder)


def test_a_file_without_configuration_lacks_every_group(folder: Path) -> None:
    (folder / "Pulumi.live.yaml").write_text("encryptionsalt: v1:salt\n")

    assert "quikapp:network: is missing" in faults(folder)


def test_the_good_files_are_read_and_every_other_one_is_refused(folder: Path) -> None:
    put(folder, "sla: 99.99", "sla: 101")
    (folder / "Pulumi.qa.yaml").unlink()

    facts, refusals = StackFiles(folder).all_facts()

    assert [one.name for one in facts] == ["dev", "uat", "staging"]
    assert [type(refusal) for refusal in refusals] == [StackFileError, SettingsError]


def test_without_pulumi_yaml_nothing_is_read(folder: Path) -> None:
    (folder / "Pulumi.yaml").unlink()

    with pytest.raises(StackFileError, match=r"no Pulumi\.yaml in "):
        StackFiles(folder).all_facts()
