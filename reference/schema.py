"""The JSON Schema of the stack files, made from the models that the settings are held to.

Editors complete and check with it while somebody types. It is weaker than the settings and never stricter: what it refuses they
refuse too, and what it cannot say, such as a rule between two groups, stands in its descriptions (docs/adr/0024).

Draft 7 without references, since that is what every editor understands.
Source: https://github.com/redhat-developer/yaml-language-server#readme
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cache
from itertools import pairwise
from typing import Any, Final, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from operations.facts import RULES, EnvironmentFacts
from operations.model import Constraint, Model
from operations.state import StateFacts
from settings import FACTS, KEYS, REGION, SECRETS, STATE

Schema = dict[str, Any]

DIALECT: Final = "http://json-schema.org/draft-07/schema#"

_NOTE: Final = "Made from settings.py by `make generate`; a test keeps it in step."

_SECURE: Final[Schema] = {
    "description": "A secret that a service or the monitoring takes; `pulumi config set --secret` writes it.",
    "type": "object",
    "properties": {"secure": {"description": "The encrypted value.", "type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
}

_PULUMI: Final[Schema] = {
    "secretsprovider": {
        "description": "Who encrypts the stack's secrets, such as an AWS KMS key: awskms://…",
        "type": "string",
    },
    "encryptedkey": {
        "description": "The key of the stack's secrets, encrypted by the provider; Pulumi writes it.",
        "type": "string",
    },
    "encryptionsalt": {
        "description": "The salt of the stack's secrets, where a passphrase encrypts them; Pulumi writes it.",
        "type": "string",
    },
    "environment": {"description": "Environments of Pulumi ESC, by name or as a definition."},
    "mainEnvironment": {
        "description": "The one environment of Pulumi ESC that `pulumi config set` writes to.",
        "type": "string",
    },
}
"""What else Pulumi reads in a stack file.

Source: https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/workspace/project.go, `ProjectStack`
"""


# --- the files -----------------------------------------------------------------------------------------------------


def stack_schema(defaults: Set[str]) -> Schema:
    """Return the schema of `Pulumi.<stack>.yaml`.

    Args:
        defaults: keys that need not be there, since Pulumi.yaml has a value for them.
    """
    facts = schema_of(EnvironmentFacts)
    rules = rules_between_groups()
    groups: Schema = {}
    for name, key in KEYS.items():
        group = facts["properties"][EnvironmentFacts.model_fields[name].alias]
        groups[key] = _told(group, [rule for rule, keys in rules.items() if key in keys])
    required = [key for name, key in KEYS.items() if EnvironmentFacts.model_fields[name].is_required()]
    return _file(
        "The facts of one environment. What no schema can say, the program says before anything is planned.",
        groups,
        [key for key in required if key not in defaults],
        {f"^{SECRETS}": _SECURE},
        (FACTS, SECRETS),
    )


def state_schema() -> Schema:
    """Return the schema of the stack file of `bootstrap/`."""
    groups = {
        REGION: {
            **schema_of(EnvironmentFacts)["properties"]["region"],
            "description": "Where the state lives; its copy is in another region.",
        },
        STATE: schema_of(StateFacts),
    }
    prefix, _, _ = STATE.partition(":")
    return _file("Where the state of every stack lies.", groups, list(groups), {}, (f"{prefix}:",))


def _file(
    description: str, groups: Schema, required: Sequence[str], patterns: Schema, own: Sequence[str]
) -> Schema:
    """Return the schema of a file with these groups; keys outside of the program's own namespaces are not its business."""
    config: Schema = {
        "description": "The configuration, by key.",
        "type": "object",
        "properties": groups,
        "patternProperties": {**patterns, f"^(?!{'|'.join(own)})": {}},
        "additionalProperties": False,
        "required": list(required),
    }
    return {
        "$schema": DIALECT,
        "$comment": _NOTE,
        "description": description,
        "type": "object",
        "properties": {"config": config, **_PULUMI},
        "required": ["config"],
    }


# --- the models ----------------------------------------------------------------------------------------------------


def schema_of(model: type[Model]) -> Schema:
    """Return the schema of one model as stack files spell it, in one piece."""
    found = model.model_json_schema(by_alias=True, schema_generator=_Generator, mode="validation")
    definitions = cast("Schema", found.pop("$defs", {}))
    for named in (found, *definitions.values()):
        # The class's name, which no stack file spells.
        del named["title"]
    return cast("Schema", _whole(found, definitions))


def rules_between_groups() -> Mapping[str, tuple[str, ...]]:
    """Return what holds between groups, as sentences, and the keys of the groups that each is about."""
    return {
        sentence(rule): tuple(KEYS[name] for name in inspect.signature(rule).parameters if name in KEYS)
        for rule in RULES
    }


def sentence(rule: Callable[..., Any]) -> str:
    """Return what a rule says, with the constants of its module in the place of their names.

    Raises:
        ValueError: it says nothing.
    """
    if not rule.__doc__:
        raise ValueError(f"{rule.__qualname__} does not say what it demands")
    return _line(rule.__doc__.format_map(rule.__globals__))


class _Generator(GenerateJsonSchema):
    """Pydantic's, with what the models say of themselves besides: descriptions, rules and what a validator takes."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the key says as much
        return False

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> Schema:
        inner = super().function_after_schema(schema)
        function = cast("object", schema["function"]["function"])
        if not isinstance(function, Constraint):
            return inner
        title = "; ".join(filter(None, (cast("str | None", inner.get("title")), function.allowed)))
        found = {**inner, "title": title, **function.keywords}
        if "pattern" in found:
            found["patternErrorMessage"] = f"allowed is {title}"
        return found

    def frozenset_schema(self, schema: core_schema.FrozenSetSchema) -> Schema:
        found = super().frozenset_schema(schema)
        # What is named twice is in the set all the same.
        del found["uniqueItems"]
        return found

    def dict_schema(self, schema: core_schema.DictSchema) -> Schema:
        found: Schema = {
            "type": "object",
            "propertyNames": self.generate_inner(schema.get("keys_schema", core_schema.any_schema())),
            "additionalProperties": self.generate_inner(
                schema.get("values_schema", core_schema.any_schema())
            ),
        }
        self.update_with_validations(found, schema, self.ValidationsMapping.object)
        return found

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        found = super().model_schema(schema)
        model = cast("type[BaseModel]", schema["cls"])
        validators = model.__pydantic_decorators__.model_validators.values()
        found = _told(found, [sentence(validator.func) for validator in validators])
        said = _said(model)
        for name, field in model.model_fields.items():
            if name in said:
                found["properties"][field.alias or name]["description"] = said[name]
        return found


def _whole(node: object, definitions: Schema) -> object:
    """Return a part of a schema with every reference replaced by what it refers to."""
    if isinstance(node, list):
        return [_whole(item, definitions) for item in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    found: Schema = {key: _whole(value, definitions) for key, value in cast("Schema", node).items()}
    if (reference := cast("str | None", found.pop("$ref", None))) is not None:
        found = _over(cast("Schema", _whole(definitions[reference.rpartition("/")[2]], definitions)), found)
    if "description" in found:
        found["description"] = _paragraphs(found["description"])
    if found.get("default", ...) is None:
        del found["default"]
    match found.get("anyOf"):
        case [{"type": str()}, {"type": "null"}]:
            one, _ = cast("list[Schema]", found.pop("anyOf"))
            return _over(_or_null(one), found)
        case _:
            return found


def _over(one: Schema, more: Schema) -> Schema:
    """Return a schema with more said of the same value: the description of its place goes before that of its type."""
    both = [said for said in (more.get("description"), one.get("description")) if said]
    return {**one, **more, **({"description": "\n\n".join(both)} if both else {})}


def _or_null(one: Schema) -> Schema:
    """Return the schema of a value that may be null as well: a union of its own would hide from editors what is in it."""
    enum = {"enum": [*one["enum"], None]} if "enum" in one else {}
    return {**one, "type": [one["type"], "null"], **enum}


def _told(schema: Schema, rules: Sequence[str]) -> Schema:
    """Return a schema whose description names rules that only the settings can check."""
    if not rules:
        return schema
    said = cast("str", schema.get("description", ""))
    listed = "\n".join(f"- {rule}" for rule in rules)
    between = "\n" if said.rpartition("\n")[2].startswith("- ") else "\n\n"
    return {**schema, "description": f"{said}{between}{listed}"}


def _said(model: type[BaseModel]) -> Mapping[str, str]:
    """Return what stands below each field of a model, as editors of Python show it.

    Pydantic can read these lines itself (`use_attribute_docstrings`), and would do so whenever the models are imported, which then
    takes twice as long.
    """
    return _attributes(model.__module__).get(model.__qualname__, {})


@cache
def _attributes(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return the docstrings of the attributes of each class of a module."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        node.name: dict(_documented(node.body)) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }


def _documented(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for stated, after in pairwise(body):
        match stated, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, _line(text)
            case _:
                pass


def _paragraphs(text: str) -> str:
    """Return a text with each paragraph on one line, whose width is the reader's; items of a list stay apart."""
    return "\n\n".join(
        part if part.startswith("- ") else _line(part) for part in text.split("\n\n") if part.strip()
    )


def _line(text: str) -> str:
    return " ".join(text.split())
