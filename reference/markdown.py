"""The pages that are made from the code: the table of the environments, and every key of a stack file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Final, cast

from operations.facts import EnvironmentFacts
from reference.environments import Section
from reference.schema import Schema

NOTE: Final = "<!-- Made by `make generate`; a test keeps it in step. -->"

LEFT_OUT: Final = "may be left out"
REQUIRED: Final = "required"


# --- environments --------------------------------------------------------------------------------------------------


def environments_page(facts: Sequence[EnvironmentFacts], told: Sequence[Section]) -> str:
    """Return the page of the environments, without what the next release changes."""
    settled = [section for section in told if not section.moves]
    moving = "; ".join(row.label for section in told if section.moves for row in section.rows)
    return (
        f"{NOTE}\n# Environments\n\n"
        "The five environments side by side, from `Pulumi.yaml` and the stack files alone. "
        f"`uv run environments` prints the same, and what moves with every release besides: {moving}.\n\n"
        f"{environments_table(facts, settled)}"
    )


def environments_table(facts: Sequence[EnvironmentFacts], told: Sequence[Section]) -> str:
    """Return the table, one for each section of it."""
    names = [one.name for one in facts]
    return "\n".join(
        f"## {section.title}\n\n{_table(['', *names], ([row.label, *row.cells] for row in section.rows))}"
        for section in told
    )


# --- settings ------------------------------------------------------------------------------------------------------


def settings_page(
    stack: Schema, state: Schema, defaults: Iterable[str], rules: Mapping[str, Sequence[str]]
) -> str:
    """Return the page of every key.

    Args:
        stack: the schema of the stack files.
        state: the schema of the stack file of `bootstrap/`.
        defaults: keys that Pulumi.yaml has a value for.
        rules: what holds between groups, and their keys.
    """
    given = set(defaults)
    return "\n".join(
        [
            f"{NOTE}\n# Settings\n",
            "Every key that a stack file may state under `config`, from the models that check it (`settings.py`). Editors that know the "
            "YAML language server complete and check them while you type: the first line of each file names its schema. What no schema "
            "can say is in the lists of rules, and is checked with the rest before anything is planned.\n",
            "Secrets are none of these keys: `pulumi config set --secret secrets:<name>` writes one, encrypted, under the name that a service "
            "or the monitoring asks for.\n",
            "## Pulumi.{dev,qa,uat,staging,live}.yaml\n",
            *_groups(stack, given, set(rules)),
            "## Rules between groups\n",
            _table(["rule", "groups"], ([rule, _code(keys)] for rule, keys in rules.items())),
            "## bootstrap/Pulumi.backend.yaml\n",
            *_groups(state, set(), set()),
        ]
    )


def _groups(schema: Schema, given: Set[str], elsewhere: Set[str]) -> Iterator[str]:
    """Yield the parts of a page about each group; rules that are told elsewhere are left out."""
    config = schema["properties"]["config"]
    for key, group in cast("Schema", config["properties"]).items():
        if key in given:
            need = "Stated in `Pulumi.yaml` for every stack."
        else:
            need = "Required." if key in config["required"] else "May be left out."
        lines = cast("str", group["description"]).splitlines()
        own = "\n".join(line for line in lines if line.removeprefix("- ") not in elsewhere).strip()
        yield f"### {key}\n\n{need} {own}\n"
        rows = list(_rows("", group))
        yield (
            _table(["key", "allowed", "default", "meaning"], rows)
            if rows
            else f"Allowed: {allowed(group)}.\n"
        )


def _rows(path: str, node: Schema) -> Iterator[list[str]]:
    """Yield a row for each key below a node."""
    match node:
        case {"properties": properties}:
            for key, inner in cast("Schema", properties).items():
                where = f"{path}.{key}" if path else key
                yield [f"`{where}`", allowed(inner), _default(key, inner, node), _sentence(inner)]
                yield from _rows(where, inner)
        case {"additionalProperties": {"properties": _} as inner, "propertyNames": names}:
            where = f"{path}.<name>" if path else "<name>"
            yield [f"`{where}`", f"a key is {allowed(names)}", "", _sentence(inner)]
            yield from _rows(where, inner)
        case {"items": {"properties": _} as inner}:
            yield from _rows(f"{path}[]", inner)
        case _:
            pass


def _default(key: str, node: Schema, parent: Schema) -> str:
    if key in parent.get("required", ()):
        return REQUIRED
    match node.get("default"):
        case None:
            return LEFT_OUT
        case str(text):
            return f"`{text}`"
        case int() | float() as number:
            return f"`{number}`"
        case []:
            return "none"
        case {}:
            return "as below" if node.get("properties") else "none"
        case other:
            raise ValueError(f"a default of {key} that no table can show: {other}")


def allowed(node: Schema) -> str:
    """Return what a value may be, as a person would say it."""
    match node:
        case {"anyOf": kinds}:
            return ", or ".join(
                allowed(kind) for kind in cast("list[Schema]", kinds) if kind.get("type") != "null"
            )
        case {"const": value}:
            return f"`{value}`"
        case {"enum": values}:
            return _code(str(value) for value in cast("list[object]", values) if value is not None)
        case {"type": str(kind) | [str(kind), "null"]}:
            return _allowed(kind, node)
        case _:
            raise ValueError(f"a value that no table can describe: {node}")


def _allowed(kind: str, node: Schema) -> str:
    match kind:
        case "boolean":
            return "true or false"
        case "integer" | "number":
            steps = f", in steps of {node['multipleOf']:g}" if "multipleOf" in node else ""
            return f"{'a whole number' if kind == 'integer' else 'a number'}{_bounds(node)}{steps}"
        case "string":
            return str(node.get("title", "text"))
        case "array":
            entries = "a list" if "properties" in node["items"] else f"a list; each {allowed(node['items'])}"
            least = f"; at least {node['minItems']}" if "minItems" in node else ""
            most = f"; at most {node['maxItems']}" if "maxItems" in node else ""
            once = f"; {node['title']}" if "title" in node else ""
            return f"{entries}{least}{most}{once}"
        case "object":
            if "properties" in node or "properties" in node["additionalProperties"]:
                return "a map"
            return (
                f"a map to {allowed(node['additionalProperties'])}; a key is {allowed(node['propertyNames'])}"
            )
        case _:
            raise ValueError(f"a type that no table can describe: {kind}")


def _bounds(node: Schema) -> str:
    match node:
        case {"minimum": least, "maximum": most}:
            return f", {least:g} to {most:g}"
        case {"exclusiveMinimum": least, "exclusiveMaximum": most}:
            return f" above {least:g} and below {most:g}"
        case {"exclusiveMinimum": least, "maximum": most}:
            return f" above {least:g}, {most:g} at most"
        case {"minimum": least}:
            return f", at least {least:g}"
        case _:
            return ""


def _sentence(node: Schema) -> str:
    """Return a description in one line: what it is, and the rules after it."""
    lines = cast("str", node.get("description", "")).splitlines()
    return " ".join(line.removeprefix("- ") for line in lines if line)


# --- tables --------------------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _cell(text: str) -> str:
    """Return text for a cell, which a bar would end."""
    return text.replace("|", "\\|")
