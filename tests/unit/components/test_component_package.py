"""Why there is no component package for other languages: the SDK's component provider host is asked again.

When a test here fails after an update of the SDK, the host has learned something: look at ADR 26 again.
"""

import ast
import functools
import importlib
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pytest
from pulumi.provider.experimental.analyzer import Analyzer, PropertyDefinition, PropertyType
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ComponentInitError

from components.network import Network
from components.storage import BackupBucket
from tests.unit.components.conftest import Record

Component = type[pulumi.ComponentResource]

ROOT: Final = Path(__file__).parents[3]
DECISION: Final = ROOT / "docs" / "adr" / "0026-components-are-for-python.md"
PACKAGE: Final = "quikapp"

# The analyser leaves the file open in which it looks up the version of another provider's package.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

LOST: Final = "lost"

_SAMPLES: Final[Mapping[PropertyType | None, object]] = {
    PropertyType.STRING: "text",
    PropertyType.INTEGER: 30.0,  # numbers have no other form on the wire
    PropertyType.NUMBER: 0.5,
    PropertyType.BOOLEAN: True,
}


def _composed() -> dict[str, Component]:
    """The components that programs compose: those that a program, or the environment, imports."""
    programs = [
        ROOT / "components" / "environment.py",
        *ROOT.glob("__main__.py"),
        *ROOT.glob("*/__main__.py"),
    ]
    programs += ROOT.glob("examples/*/__main__.py")
    imported = {
        (node.module or "", alias.name)
        for program in programs
        for node in ast.walk(ast.parse(program.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("components.")
        for alias in node.names
    }
    found = ((name, getattr(importlib.import_module(module), name)) for module, name in imported)
    return {
        name: value
        for name, value in sorted(found, key=lambda pair: pair[0])
        if inspect.isclass(value) and issubclass(value, pulumi.ComponentResource)
    }


def _rows(heading: str) -> dict[str, str]:
    """First cell to second cell of the decision's table under this heading."""
    _, _, below = DECISION.read_text().partition(f"| {heading} |")
    lines = below.split("\n\n")[0].splitlines()[2:]
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {first.strip("`"): second for first, second in cells}


def _args(component: Component) -> type:
    return inspect.get_annotations(component.__init__, eval_str=True)["args"]


def _fields(component: Component) -> Iterator[tuple[type, str, Any]]:
    """The class, the name and the type of every input and output."""
    for owner in (_args(component), component):
        for name, annotation in inspect.get_annotations(owner, eval_str=True).items():
            if not name.startswith("_"):
                yield owner, name, annotation


def _stop(owner: type, name: str, annotation: Any) -> str | None:
    """What stops the analyser at a field, in the decision's word; None where nothing does."""
    analyzer = Analyzer(PACKAGE)
    output = issubclass(owner, pulumi.Resource)
    try:
        analyzer.analyze_property(
            annotation, owner, name, can_be_plain=not output, is_component_output=output
        )
    except Exception as refusal:
        words = str(refusal)
        return next((label for label, start in SAYS.items() if words.startswith(start)), words)
    definitions = analyzer.type_definitions.values()
    return LOST if any(not made.properties and not made.enum for made in definitions) else None


def _evaluate(patch: pytest.MonkeyPatch) -> None:
    """Give the analyser annotations as types, where it would take them as they are spelled."""
    patch.setattr(inspect, "get_annotations", functools.partial(inspect.get_annotations, eval_str=True))
    # Descriptions decide nothing here, and to look for them takes longer than all the rest.
    patch.setattr(Analyzer, "get_docstring", _nothing)


def _nothing(*_: object) -> None:
    return None


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    _evaluate(monkeypatch)


def _found() -> dict[str, dict[str, str]]:
    """Component to field to what stops the analyser at it, for all components that programs compose."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        _evaluate(patch)
        return {
            name: {
                field: stop
                for owner, field, annotation in _fields(component)
                if (stop := _stop(owner, field, annotation))
            }
            for name, component in COMPOSED.items()
        }


COMPOSED: Final = _composed()
SAYS: Final = {
    label: words.split("`")[1] for label, words in _rows("it stops at").items() if words.startswith("`")
}
"""How each refusal of the analyser begins, by the decision's word for it."""
DECIDED: Final = {
    component: dict(re.findall(r"`(\w+)` \((\w+)\)", stops))
    for component, stops in _rows("component").items()
}
FOUND: Final = _found()


def _sample(host: ComponentProvider, wanted: PropertyDefinition) -> object:
    """A value as the engine would send it for an input."""
    if wanted.items:
        return [_sample(host, wanted.items)]
    if wanted.additional_properties:
        return {"key": _sample(host, wanted.additional_properties)}
    if wanted.ref and (made := host.get_type_definition(wanted)):
        if made.enum:
            return made.enum[0].value
        return {name: _sample(host, inner) for name, inner in made.properties.items()}
    return _SAMPLES[wanted.type]


def _given(component: Component, inputs: Mapping[str, object]) -> Mapping[str, Any]:
    """What the host hands a component as its arguments, for these inputs and made up ones for the others."""
    host = ComponentProvider([component], PACKAGE)
    definition = Analyzer(PACKAGE).analyze([component])["component_definitions"][component.__name__]
    made_up = {name: _sample(host, wanted) for name, wanted in definition.inputs.items()}
    return cast("Mapping[str, Any]", host.map_inputs(cast("Any", {**made_up, **inputs}), definition))


@pytest.mark.parametrize("name", DECIDED)
def test_as_it_is_written_a_component_has_no_schema(name: str) -> None:
    with pytest.raises((AttributeError, TypeError)):
        Analyzer(PACKAGE).analyze([COMPOSED[name]])


@pytest.mark.parametrize("name", DECIDED)
def test_the_analyser_stops_where_the_decision_says(name: str) -> None:
    assert FOUND[name] == DECIDED[name]


@pytest.mark.usefixtures("evaluated")
@pytest.mark.parametrize("name", [name for name, stops in FOUND.items() if {*stops.values()} <= {LOST}])
def test_the_host_cannot_construct_a_component_that_gets_a_schema(name: str, record: Record) -> None:
    component = COMPOSED[name]
    host = ComponentProvider([component], PACKAGE)
    inputs = Analyzer(PACKAGE).analyze([component])["component_definitions"][name].inputs
    sent: dict[str, Any] = {field: _sample(host, wanted) for field, wanted in inputs.items()}
    with pytest.raises(ComponentInitError, match="'dict' object has no attribute"):
        record(lambda: host.construct("made", f"{PACKAGE}:index:{name}", sent))


@pytest.mark.usefixtures("evaluated")
def test_an_address_block_is_lost_on_the_way() -> None:
    assert _given(Network, {"cidr": "10.50.0.0/16"})["cidr"] == {}


@pytest.mark.usefixtures("evaluated")
def test_a_whole_number_arrives_as_a_float() -> None:
    assert isinstance(_given(BackupBucket, {"retentionDays": 30.0})["retention_days"], float)


@pytest.mark.usefixtures("evaluated")
def test_a_default_does_not_make_an_input_optional() -> None:
    inputs = Analyzer(PACKAGE).analyze([BackupBucket])["component_definitions"]["BackupBucket"].inputs
    assert not inputs["retentionDays"].optional
