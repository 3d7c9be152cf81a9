"""What is made from the code is in step with it: make it anew and compare."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from reference import generate
from reference.generate import generated
from reference.markdown import allowed, settings_page
from reference.schema import rules_between_groups, stack_schema, state_schema
from tests.unit.stack_configuration import ROOT

MADE = generated(ROOT)


@pytest.mark.parametrize("name", MADE)
def test_a_file_is_as_make_generate_writes_it(name: str) -> None:
    assert (ROOT / name).read_text() == MADE[name], "run `make generate`"


def test_no_other_schema_lies_about() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "schema").iterdir()} == {
        name for name in MADE if name.startswith("schema/")
    }


def test_the_page_of_the_environments_stays_true_when_a_release_moves() -> None:
    page = MADE["docs/reference/environments.md"]

    assert "| gate | auto | manual | manual | approval | cab |" in page
    assert "v2.4.0" not in page
    assert "CHG00" not in page


def keys(node: Any, path: str = "") -> list[str]:
    """Every key below a node of a schema, as a person would name it."""
    found: list[str] = []
    for key, inner in node.get("properties", {}).items():
        found += [f"{path}{key}", *keys(inner, f"{path}{key}.")]
    for more, mark in (("additionalProperties", "<name>."), ("items", "[].")):
        if isinstance(node.get(more), dict):
            found += keys(node[more], f"{path.removesuffix('.') if mark == '[].' else path}{mark}")
    return found


@pytest.mark.parametrize("schema", [stack_schema(set()), state_schema()], ids=["stack", "state"])
def test_the_page_of_the_settings_has_a_row_for_every_key(schema: dict[str, Any]) -> None:
    page = MADE["docs/reference/settings.md"]

    for group, node in schema["properties"]["config"]["properties"].items():
        _, _, after = (
            page.rpartition(f"### {group}\n") if group != "aws:region" else page.partition(f"### {group}\n")
        )
        part, _, _ = after.partition("\n### ")
        for key in keys(node):
            assert f"\n| `{key}` | " in part


@pytest.mark.parametrize(
    "row",
    [
        "| `sla` | a number above 0 and below 100, or `none` | required |",
        "| `gate` | `auto`, `manual`, `approval`, `cab` | required |",
        "| `natGateways` | a whole number, at least 1 | required |",
        "| `quotas.rulesPerLoadBalancer` | a whole number, at least 1 | `100` |",
        "| `blue.version` | a version such as v2.4.0 or v2.4.0-rc.1 | required |",
        "| `blue.weight` | a whole number, 0 to 100 | required |",
        "| `stable` | a version such as v2.4.0 or v2.4.0-rc.1 | may be left out |",
        "| `serverless.minAcu` | a number, 0.5 to 256, in steps of 0.5 | required |",
        "| `databaseDays` | a whole number, 1 to 35 | `35` |",
        "| `tracing.samplingPercent` | a number above 0, 100 at most | required |",
        "| `<name>.uses` | a list; each `database`, `files` | none |",
        "| `grafanaUrl` | a URL such as https://grafana.quikapp.example, with no slash at its end | `http://localhost:3000` |",
        "| `waf` | true or false | required |",
    ],
)
def test_a_row_says_what_is_allowed_and_what_holds_where_nothing_is_stated(row: str) -> None:
    assert f"\n{row} " in MADE["docs/reference/settings.md"]


def test_a_rule_between_groups_is_told_once() -> None:
    page = MADE["docs/reference/settings.md"]

    for rule in rules_between_groups():
        assert page.count(rule) == 1


def test_services_are_told_to_be_in_pulumi_yaml() -> None:
    page = MADE["docs/reference/settings.md"]
    _, _, services = page.partition("### quikapp:services\n\n")

    assert services.startswith("Stated in `Pulumi.yaml` for every stack.")
    assert "### quikapp:services\n\nRequired." in settings_page(stack_schema(set()), state_schema(), (), {})


@pytest.mark.parametrize("node", [{"type": "tuple"}, {"not": {}}])
def test_what_the_page_cannot_describe_is_an_error_and_no_gap(node: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no table can describe"):
        allowed(node)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in ROOT.glob("Pulumi*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    return tmp_path


def test_making_it_writes_what_differs_and_nothing_else(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate.main()
    assert capsys.readouterr().out.splitlines() == [f"{name} is written" for name in MADE]
    assert {name: (root / name).read_text() for name in MADE} == MADE

    (root / "schema/stack.schema.json").write_text(json.dumps({}))
    generate.main()
    assert capsys.readouterr().out == "schema/stack.schema.json is written\n"


def test_a_faulty_stack_file_is_refused_before_anything_is_written(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["generate"])
    (root / "Pulumi.live.yaml").write_text("config: {}\n")

    with pytest.raises(SystemExit) as end:
        generate.main()

    assert end.value.code == 1
    assert capsys.readouterr().err.startswith("error: Pulumi.live.yaml has ")
    assert not (root / "schema").exists()
