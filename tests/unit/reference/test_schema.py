"""The schema of the stack files: valid itself, weaker than the settings, never stricter, and kept in every editor's dialect."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy
from jsonschema import Draft7Validator

from operations.facts import RULES
from reference.schema import DIALECT, Schema, rules_between_groups, sentence, stack_schema, state_schema
from settings import FACTS, KEYS, SECRETS, SettingsError, parse, parse_state
from tests.unit.stack_configuration import (
    ABSENT,
    ROOT,
    STACKS,
    Document,
    changed,
    configuration,
    document,
    secret_keys,
    written,
)

SCHEMA = stack_schema({"quikapp:services"})
STATE = state_schema()
CONFIG: Schema = SCHEMA["properties"]["config"]
VALIDATOR: Any = Draft7Validator(SCHEMA)  # its own types leave the instance open
ENCRYPTED = {"secure": "v1:nonce:ciphertext"}


def encrypted(stack: str) -> Document:
    """A stack's whole configuration as its file would state it: services and encrypted secrets with the rest."""
    return {**document(stack), **dict.fromkeys(secret_keys(stack), ENCRYPTED)}


DOCUMENTS: Mapping[str, Document] = {stack: encrypted(stack) for stack in STACKS}


def valid(schema: Schema, file: object) -> bool:
    validator: Any = Draft7Validator(schema)
    return validator.is_valid(file)


def caught(config: Mapping[str, Any]) -> bool:
    return not VALIDATOR.is_valid({"config": config})


def refused(stack: str, config: Mapping[str, Any]) -> bool:
    secrets = {key for key, value in config.items() if value == ENCRYPTED}
    try:
        parse(stack, configuration(config), secrets)
    except SettingsError:
        return True
    return False


def nodes(node: object) -> Iterator[Schema]:
    """Every schema within a schema."""
    match node:
        case dict():
            schema = cast("Schema", node)
            yield schema
            for inner in schema.values():
                yield from nodes(inner)
        case list():
            for inner in cast("list[object]", node):
                yield from nodes(inner)
        case _:
            pass


# --- the schema itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [SCHEMA, STATE], ids=["stack", "state"])
def test_a_schema_is_valid_itself(schema: Schema) -> None:
    assert schema["$schema"] == DIALECT
    Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("schema", [SCHEMA, STATE], ids=["stack", "state"])
def test_a_schema_is_in_one_piece(schema: Schema) -> None:
    assert not [node for node in nodes(schema) if "$ref" in node]


@pytest.mark.parametrize("schema", [SCHEMA, STATE], ids=["stack", "state"])
def test_a_pattern_means_the_same_in_python_and_in_an_editor(schema: Schema) -> None:
    patterns = [node["pattern"] for node in nodes(schema) if isinstance(node.get("pattern"), str)]

    assert patterns
    for pattern in patterns:
        # ECMAScript's Unicode mode takes no escape of what needs none, and its \d, \w and $ are other ones than Python's.
        assert set(re.findall(r"\\.", pattern)) <= {r"\."}
        assert pattern.startswith("^(?:")
        assert pattern.endswith(")$")
        assert "(?" not in pattern.removeprefix("^(?:")


@pytest.mark.parametrize("schema", [SCHEMA, STATE], ids=["stack", "state"])
def test_every_key_says_what_it_is(schema: Schema) -> None:
    silent = [
        key
        for node in nodes(schema)
        for key, inner in cast("Schema", node.get("properties", {})).items()
        if isinstance(inner, dict)
        and not re.match(r"[A-Z`]", cast("Schema", inner).get("description", ""))
        and node is not schema["properties"]
    ]

    assert not silent


def test_every_group_of_the_settings_is_in_it_and_only_what_they_demand_is_required() -> None:
    optional = {"quikapp:services", "quikapp:changes", "quikapp:retention", "quikapp:recovery"}

    assert list(CONFIG["properties"]) == list(KEYS.values())
    assert set(CONFIG["required"]) == set(KEYS.values()) - optional


def test_what_pulumi_yaml_does_not_state_is_required() -> None:
    assert "quikapp:services" in stack_schema(set())["properties"]["config"]["required"]


def test_a_rule_between_groups_is_told_at_each_of_them() -> None:
    for rule, keys in rules_between_groups().items():
        assert keys
        for key in keys:
            assert f"- {rule}" in CONFIG["properties"][key]["description"].splitlines()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_says_what_it_demands_in_figures(rule: Any) -> None:
    assert re.fullmatch(r"[A-Z`][^{}\n]*\.", sentence(rule))


def test_a_rule_that_says_nothing_is_an_error() -> None:
    def silent() -> None: ...

    with pytest.raises(ValueError, match="silent does not say what it demands"):
        sentence(silent)


def test_a_rule_within_a_group_is_told_there() -> None:
    assert "- The weights of both slots sum to 100." in CONFIG["properties"]["quikapp:release"]["description"]


def test_an_editor_says_what_is_allowed_in_the_words_of_the_settings() -> None:
    version = CONFIG["properties"]["quikapp:release"]["properties"]["blue"]["properties"]["version"]

    assert version["patternErrorMessage"] == "allowed is a version such as v2.4.0 or v2.4.0-rc.1"


# --- the files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", STACKS)
def test_a_committed_file_is_valid(stack: str) -> None:
    assert not list(VALIDATOR.iter_errors({"config": written(stack)}))


def test_the_committed_file_of_the_state_is_valid() -> None:
    file = yaml.safe_load((ROOT / "bootstrap" / "Pulumi.backend.yaml").read_text())

    assert valid(STATE, file)


@pytest.mark.parametrize("stack", STACKS)
def test_a_file_with_services_secrets_and_pulumis_own_keys_is_valid(stack: str) -> None:
    file = {
        "secretsprovider": "awskms://alias/state-secrets?context_stack=live",
        "encryptedkey": "AQICAHg=",
        "encryptionsalt": "v1:salt",
        "environment": ["operations"],
        "config": {**DOCUMENTS[stack], "aws:profile": "me", "pulumi:tags": {"a": "b"}},
    }

    assert not list(VALIDATOR.iter_errors(file))


FILES = (*(ROOT / f"Pulumi.{stack}.yaml" for stack in STACKS), ROOT / "bootstrap" / "Pulumi.backend.yaml")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_first_line_of_a_file_leads_editors_to_its_schema(path: Path) -> None:
    marked = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", path.read_text().splitlines()[0])

    assert marked is not None
    schema = json.loads((path.parent / marked[1]).read_text())
    assert schema["$schema"] == DIALECT
    assert valid(schema, yaml.safe_load(path.read_text()))


# --- what it catches -----------------------------------------------------------------------------------------------

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "an unknown group": {"quikapp:trafic": {}},
    "an unknown key": {"quikapp:cluster.cpuLimits": 3},
    "an unknown key far below": {"quikapp:monitoring.paging.onCall.manager": "PMANAGE1"},
    "a key in snake case": {"quikapp:environment.cost_center": "x"},
    "a missing group": {"quikapp:network": ABSENT},
    "a missing key": {"quikapp:traffic.waf": ABSENT},
    "a missing region": {"aws:region": ABSENT},
    "a region that is none": {"aws:region": "europe"},
    "a group that is text": {"quikapp:network": "10.50.0.0/16"},
    "a group that is a list": {"quikapp:network": []},
    "a list that is text": {"quikapp:network.zones": "abc"},
    "text for a number": {"quikapp:cluster.cpuLimit": "128"},
    "a fraction for a whole number": {"quikapp:cluster.cpuLimit": 1.5},
    "text for a truth value": {"quikapp:traffic.waf": "yes"},
    "a number for text": {"quikapp:environment.owner": 5},
    "null for what is required": {"quikapp:environment.owner": None},
    "an SLA of 100": {"quikapp:environment.sla": 100},
    "an SLA of 0": {"quikapp:environment.sla": 0},
    "an SLA in other words": {"quikapp:environment.sla": "nothing"},
    "a gate that is none": {"quikapp:environment.gate": "committee"},
    "a tag with a line break in it": {"quikapp:environment.owner": "plat\nform"},
    "a tag that is too long": {"quikapp:environment.owner": "x" * 257},
    "a network that is none": {"quikapp:network.cidr": "ten dot fifty"},
    "a network that is a number": {"quikapp:network.cidr": 10},
    "a zone that is none": {"quikapp:network.zones": ["a", "b", "z"]},
    "too few zones": {"quikapp:network.zones": ["a"]},
    "no NAT gateway": {"quikapp:network.natGateways": 0},
    "an ARN that is none": {"quikapp:cluster.administrators": ["administrator"]},
    "too many ranges": {"quikapp:cluster.apiAccessCidrs": [f"203.0.113.{n}/32" for n in range(41)]},
    "a domain in upper case": {"quikapp:traffic.domain": "QuikApp.example"},
    "a weight above the whole": {"quikapp:release.blue.weight": 101},
    "a negative weight": {"quikapp:release.green.weight": -1},
    "a version without a v": {"quikapp:release.blue.version": "2.4.0"},
    "a standby that is none": {"quikapp:release.standby": "hot"},
    "a change request that is none": {"quikapp:changes": [{"request": "CHG1", "version": "v2.4.0"}]},
    "no replica": {"quikapp:sizing.replicas.min": 0},
    "an instance class that is none": {"quikapp:database.instanceClass": "db.r8g.huge"},
    "too many instances": {"quikapp:database.instances": 17},
    "a capacity between the steps": {"quikapp:database.serverless": {"minAcu": 0.7, "maxAcu": 2}},
    "a retention that CloudWatch does not take": {"quikapp:retention": {"logsDays": 31}},
    "a retention below what Glacier bills": {"quikapp:retention": {"filesDays": 30}},
    "a risk that is none": {"quikapp:recovery.acceptedRisks": ["meteor"]},
    "a risk twice": {"quikapp:recovery.acceptedRisks": ["files-copied-daily", "files-copied-daily"]},
    "a recovery point below what Aurora takes": {"quikapp:recovery.recoveryPointSeconds": 19},
    "a port that a pod may not bind": {"quikapp:services.web.port": 80},
    "an image with a tag": {"quikapp:services.web.image": "registry.example/web:v1"},
    "a path that ends in a slash": {"quikapp:services.api.path": "/api/"},
    "a service with a name that is none": {"quikapp:services.Web": {}},
    "no service": {"quikapp:services": {}},
    "a variable with a name that is none": {"quikapp:services.web.env": {"1ST": "x"}},
    "a use that is none": {"quikapp:services.web.uses": ["queue"]},
    "a URL that ends in a slash": {"quikapp:monitoring.runbooksUrl": "https://example.org/"},
    "a time without minutes": {"quikapp:monitoring.paging.businessHours.start": "9"},
    "a date with slashes": {"quikapp:monitoring.paging.onCall.since": "2026/01/05"},
    "a date that YAML has made a number": {"quikapp:monitoring.paging.onCall.since": 20260105},
    "a day that is none": {"quikapp:monitoring.paging.businessHours.days": ["sabbath"]},
    "a site of Datadog that is none": {"quikapp:monitoring.datadog.site": "datadoghq.org"},
    "a secret in plain text": {"secrets:slack-token": "xoxb-1"},
}


@pytest.mark.parametrize("changes", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_caught_while_typing_and_refused_by_the_settings_too(changes: Mapping[str, Any]) -> None:
    faulty = changed(DOCUMENTS["live"], changes)

    assert caught(faulty)
    assert refused("live", faulty)


def test_a_file_without_configuration_is_caught() -> None:
    assert not VALIDATOR.is_valid({"encryptionsalt": "v1:salt"})


def test_faults_of_the_states_file_are_caught() -> None:
    file: Document = yaml.safe_load((ROOT / "bootstrap" / "Pulumi.backend.yaml").read_text())["config"]
    wrong: tuple[Mapping[str, Any], ...] = (
        {"quikapp-state:backend.bucket": "Upper"},
        {"quikapp-state:backend.stacks.prod": {}},
        {"quikapp-state:backend.keptDays": 29},
        {"quikapp-state:backned": {}},
        {"quikapp-state:backend": ABSENT},
    )
    for changes in wrong:
        faulty = changed(file, changes)
        assert not valid(STATE, {"config": faulty})
        with pytest.raises(SettingsError):
            parse_state("backend", configuration(faulty))


# --- what it must let pass -----------------------------------------------------------------------------------------

SPELLINGS: Mapping[str, Mapping[str, Any]] = {
    "a whole number where a fraction may be": {"quikapp:monitoring.tracing.samplingPercent": 5},
    "a prefix as a mask": {"quikapp:network.cidr": "10.50.0.0/255.255.0.0"},
    "what may be left out is null": {"quikapp:release.blue.capacity": None, "quikapp:release.stable": None},
    "a group within a group that may be left out is null": {"quikapp:monitoring.datadog": None},
    "a use named twice": {"quikapp:services.api.uses": ["database", "database", "files"]},
    "a candidate for a release": {
        "quikapp:release.green.version": "v2.5.0-rc.1",
        "quikapp:changes": [
            {"request": "CHG0030041", "version": "v2.3.0"},
            {"request": "CHG0030043", "version": "v2.5.0-rc.1"},
        ],
    },
    "lists that are empty": {"quikapp:cluster.viewers": [], "quikapp:cluster.apiAccessCidrs": []},
    "a service of its own size": {"quikapp:services.web.replicas": {"min": 6, "max": 9}},
    "plain environment variables": {"quikapp:services.web.env": {"MODE": "quick"}},
    "all retention": {"quikapp:retention": {"databaseDays": 35, "filesDays": 365, "logsDays": 365}},
    "keys of other namespaces": {"aws:profile": "me", "kubernetes:anything": {"a": [1]}},
}


@pytest.mark.parametrize("changes", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_what_the_settings_take_passes(changes: Mapping[str, Any]) -> None:
    file = changed(DOCUMENTS["live"], changes)
    if file.get("quikapp:monitoring", {}).get("datadog", ...) is None:
        del file["secrets:datadog-api-key"]

    assert not refused("live", file)
    assert not list(VALIDATOR.iter_errors({"config": file}))


def test_an_environment_may_promise_nothing() -> None:
    for nothing in ("none", None):
        file = changed(DOCUMENTS["dev"], {"quikapp:environment.sla": nothing})
        assert (refused("dev", file), caught(file)) == (False, False)


def places(tree: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a tree, by the steps that lead to it."""
    steps: list[tuple[str | int, object]] = []
    if isinstance(tree, dict):
        steps = list(cast("dict[str | int, object]", tree).items())
    elif isinstance(tree, list):
        steps = list(enumerate(cast("list[object]", tree)))
    return [(*path, step) for step, _ in steps] + [
        place for step, inner in steps for place in places(inner, (*path, step))
    ]


def at(tree: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


PARTS = tuple(
    {
        json.dumps(at(tree, place)): at(tree, place) for tree in DOCUMENTS.values() for place in places(tree)
    }.values()
)
"""Every value that stands anywhere in a stack file: in the place of another it is wrong in an instructive way, or right."""

texts: SearchStrategy[str] = st.sampled_from([part for part in PARTS if isinstance(part, str)])


def longer(text: str, end: str) -> str:
    return text + end


def shorter(text: str) -> str:
    return text[1:]


near: SearchStrategy[Any] = (
    st.sampled_from(PARTS)
    | st.none()
    | st.booleans()
    | st.integers(-1, 120)
    | st.sampled_from([0.5, 1.0, 1e-9, 99.999, 1e400, 2**70])
    | st.sampled_from(["none", "", "10.0.0.0", "10.50.0.0/016", "24:00", "2026-02-30", "v1.0.0\n", "{}", "٣"])
    | st.lists(st.sampled_from(PARTS), max_size=3)
    | st.builds(longer, texts, st.sampled_from(["x", "/", " ", "-", "\n", "é", ".1"]))
    | st.builds(shorter, texts)
)


@examples(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(data=st.data(), stack=st.sampled_from(STACKS))
def test_whatever_the_schema_catches_the_settings_refuse(data: DataObject, stack: str) -> None:
    file: Any = json.loads(json.dumps(DOCUMENTS[stack]))
    for *parents, last in data.draw(st.lists(st.sampled_from(places(file)), min_size=1, max_size=2)):
        try:
            place = at(file, tuple(parents))
            found = place[last]
            match data.draw(st.sampled_from(["put", "put", "put", "take", "add", "repeat"])):
                case "take":
                    del place[last]
                case "add" if isinstance(place, dict):
                    place[data.draw(texts)] = data.draw(near)
                case "repeat" if isinstance(place, list):
                    place.append(found)  # pyright: ignore[reportUnknownMemberType] - JSON
                case _:
                    place[last] = data.draw(near)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    # Pulumi cannot tell a group from its JSON as text; editors can, and say that it should be a map (docs/adr/0024).
    assume(not any(key.startswith(FACTS) and isinstance(value, str) for key, value in file.items()))
    # What Pulumi writes for a secret is what the settings are told to be one.
    assume(
        all(
            value == ENCRYPTED or isinstance(value, str)
            for key, value in file.items()
            if key.startswith(SECRETS)
        )
    )

    if caught(file):
        assert refused(stack, file)
