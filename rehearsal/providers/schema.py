"""The schema of a provider's resources, read from the source of its Pulumi Python SDK.

An SDK is generated code of a known form: one class per resource with a getter per output property, one ``…Args``
class with a parameter per input property, nested types in ``_inputs.py`` and ``outputs.py``. Reading the few classes
that a stack uses takes milliseconds; importing the modules that hold them takes seconds and a hundred megabytes.

Names are those of the wire (``cidrBlock``), as the ``pulumi.getter`` decorators state them.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict, cast


class _Module(TypedDict):
    fqn: str
    classes: dict[str, str]


class SchemaError(Exception):
    """The SDK is not installed, or knows no such resource type."""


class Kind(StrEnum):
    """What a property's value is on the wire."""

    ANY = "anything"
    STRING = "a string"
    BOOLEAN = "a boolean"
    INTEGER = "an integer"
    NUMBER = "a number"
    LIST = "a list"
    MAP = "a map"
    OBJECT = "an object"
    ASSET = "an asset or archive"


@dataclass(frozen=True, slots=True)
class Type:
    """The type of a property: its kind, the element of a list or map, the class of an object."""

    kind: Kind
    element: "Type | None" = None
    source: Path | None = None
    class_name: str = ""


ANY = Type(Kind.ANY)

_SCALARS: Mapping[str, Type] = {
    "str": Type(Kind.STRING),
    "bool": Type(Kind.BOOLEAN),
    "int": Type(Kind.INTEGER),
    "float": Type(Kind.NUMBER),
}


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a resource or of a nested type.

    ``optional``: an input may be left out; an output may be absent. ``replaces``: the documentation says that a change
    replaces the resource.
    """

    name: str
    type: Type
    optional: bool
    replaces: bool


Properties = Mapping[str, Property]


@dataclass(frozen=True, slots=True)
class ResourceSchema:
    """Inputs, outputs and documented facts of one resource type.

    ``secrets``: outputs that the SDK marks as secret. ``example``: an identifier as the SDK's import example shows it,
    empty where it shows none.
    """

    token: str
    inputs: Properties
    outputs: Properties
    secrets: frozenset[str]
    example: str


class Schema:
    """All resource types of one package, each read when first asked for.

    Raises ``SchemaError`` when the package's Python SDK is not installed.
    """

    def __init__(self, package: str) -> None:
        self.package = package
        spec = find_spec(f"pulumi_{package.replace('-', '_')}")
        if spec is None or not spec.submodule_search_locations:
            raise SchemaError(f"the Python SDK of `{package}` is not installed: uv add pulumi-{package}")
        self._root = Path(next(iter(spec.submodule_search_locations)))
        self._resources: dict[str, ResourceSchema] = {}

    @cached_property
    def version(self) -> str:
        """The SDK's version, which its plugin has too."""
        plugin = json.loads((self._root / "pulumi-plugin.json").read_text(encoding="utf-8"))
        return str(plugin.get("version", "0.0.0"))

    def resource(self, token: str) -> ResourceSchema:
        """The schema of a resource type such as ``aws:ec2/vpc:Vpc``.

        Raises ``SchemaError`` when the SDK has no such type.
        """
        if token not in self._resources:
            self._resources[token] = self._read_resource(token)
        return self._resources[token]

    def fields(self, kind: Type) -> Properties:
        """The properties of an object type."""
        if kind.source is None:
            return {}
        return _object_properties(self._root, kind.source, kind.class_name)

    @cached_property
    def _classes(self) -> Mapping[str, tuple[Path, str]]:
        source = _text(self._root / "__init__.py")
        table = re.search(r'resource_modules="""(.*?)"""', source, re.DOTALL)
        modules = cast("list[_Module]", json.loads(table.group(1)) if table else [])
        return {
            token: (self._root.parent.joinpath(*module["fqn"].split(".")), name)
            for module in modules
            for token, name in module["classes"].items()
        }

    def _read_resource(self, token: str) -> ResourceSchema:
        if token not in self._classes:
            raise SchemaError(
                f"unknown resource type `{token}`: {self.package} {self.version} has none of this name"
            )
        folder, name = self._classes[token]
        file = _file_of(folder, name)
        source = _class_source(file, name)
        args = re.search(r"__props__ = (\w+)\.__new__\(", source)
        secrets = re.search(r"additional_secret_outputs=(\[[^\]]*\])", source)
        example = re.search(rf"pulumi import {re.escape(token)} \S+ ([^\s`]+)", source)
        getters = re.search(r"^    @(?:_builtins\.)?property$", source, re.MULTILINE)
        return ResourceSchema(
            token=token,
            inputs=_object_properties(self._root, file, args.group(1) if args else f"{name}Args"),
            outputs=_getters(self._root, file, source[getters.start() :] if getters else "", is_input=False),
            secrets=frozenset(ast.literal_eval(secrets.group(1)) if secrets else ()),
            example=example.group(1).strip("\"'") if example else "",
        )


@cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _file_of(folder: Path, class_name: str) -> Path:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()
    candidates = [folder / f"{snake}.py", *sorted(folder.glob("*.py"))]
    for file in candidates:
        if file.exists() and f"\nclass {class_name}(pulumi.CustomResource)" in _text(file):
            return file
    raise SchemaError(f"`{class_name}` is not where the SDK's table says: {folder}")


_NEXT = re.compile(r"^(?:@|class |def |if |[A-Za-z_]\w* = )", re.MULTILINE)
"""Where the code after a class begins. Not just any text at the margin: a string in the class may run on there."""


def _class_source(file: Path, class_name: str) -> str:
    text = _text(file)
    start = re.search(rf"^class {class_name}\b", text, re.MULTILINE)
    if start is None:
        raise SchemaError(f"`{class_name}` is not in {file}")
    end = _NEXT.search(text, start.end())
    return text[start.start() : end.start() if end else len(text)]


@cache
def _object_properties(root: Path, file: Path, class_name: str) -> Properties:
    """Properties of a nested type or an Args class; a parameter without a default is a required input."""
    source = _class_source(file, class_name)
    is_input = file.name != "outputs.py"
    return _getters(root, file, source[source.index("\n") :], is_input=is_input)


def _getters(root: Path, file: Path, source: str, *, is_input: bool) -> Properties:
    body = ast.parse(f"if True:\n    pass\n{source}").body
    statements = body[0].body if body and isinstance(body[0], ast.If) else []
    functions = [statement for statement in statements if isinstance(statement, ast.FunctionDef)]
    required = {name for function in functions if function.name == "__init__" for name in _required(function)}
    found: dict[str, Property] = {}
    for function in functions:
        name = _wire_name(function)
        if name is None or function.returns is None:
            continue
        kind, optional = _annotation(root, file, function.returns)
        documentation = ast.get_docstring(function) or ""
        found[name] = Property(
            name=name,
            type=kind,
            optional=function.name not in required if is_input else optional,
            replaces=_forces_replacement(documentation),
        )
    return found


def _required(init: ast.FunctionDef) -> Iterator[str]:
    for argument, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True):
        if default is None:
            yield argument.arg


def _wire_name(function: ast.FunctionDef) -> str | None:
    for decorator in function.decorator_list:
        match decorator:
            case ast.Attribute(attr="getter"):
                return function.name
            case ast.Call(func=ast.Attribute(attr="getter"), keywords=keywords):
                values = [k.value for k in keywords if k.arg == "name"]
                return str(ast.literal_eval(values[0])) if values else function.name
            case _:
                continue
    return None


_WRAPPERS = frozenset({"Input", "Output", "InputType", "Awaitable"})


def _annotation(root: Path, file: Path, node: ast.expr) -> tuple[Type, bool]:
    """The type that an annotation names, and whether it may be absent."""
    match node:
        case ast.Constant(value=str(text)):
            return _annotation(root, file, ast.parse(text, mode="eval").body)
        case ast.Subscript(value=base, slice=inner):
            match _last_name(base):
                case "Optional":
                    return _annotation(root, file, inner)[0], True
                case wrapper if wrapper in _WRAPPERS:
                    return _annotation(root, file, inner)
                case "Sequence" | "List":
                    return Type(Kind.LIST, _annotation(root, file, inner)[0]), False
                case "Mapping" | "Dict" if isinstance(inner, ast.Tuple):
                    return Type(Kind.MAP, _annotation(root, file, inner.elts[1])[0]), False
                case "Union" if isinstance(inner, ast.Tuple):
                    return _union([_annotation(root, file, member)[0] for member in inner.elts]), False
                case _:
                    return ANY, False
        case ast.Name() | ast.Attribute():
            return _named(root, file, ast.unparse(node)), False
        case _:
            return ANY, False


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _union(members: list[Type]) -> Type:
    """One type for the spellings of a value: ``XArgs`` describes what ``XArgsDict`` and ``outputs.X`` also are."""
    described = any(member.source is not None and member.source.name == "_inputs.py" for member in members)
    distinct = {
        m for m in members if not (described and m.source is not None and m.source.name == "outputs.py")
    }
    return distinct.pop() if len(distinct) == 1 else ANY


def _named(root: Path, file: Path, name: str) -> Type:
    qualifier, _, short = name.rpartition(".")
    if qualifier in ("", "_builtins") and short in _SCALARS:
        return _SCALARS[short]
    if qualifier == "pulumi":
        return Type(Kind.ASSET) if short in ("Asset", "Archive") else ANY
    folder = root if qualifier.startswith("_root_") else file.parent
    match qualifier.removeprefix("_root_").removeprefix("_"):
        case "outputs":
            return Type(Kind.OBJECT, source=folder / "outputs.py", class_name=short)
        case "" if file.name == "outputs.py" and f"\nclass {short}(" in _text(file):
            return Type(Kind.OBJECT, source=file, class_name=short)
        case "" | "inputs" if short.endswith(("Args", "ArgsDict")):
            return Type(Kind.OBJECT, source=folder / "_inputs.py", class_name=short.removesuffix("Dict"))
        case "" | "inputs" | "enums":
            return _enum(folder, short)
        case _:
            return ANY


def _enum(folder: Path, name: str) -> Type:
    file = folder / "_enums.py"
    if not file.exists():
        return ANY
    base = re.search(rf"^class {name}\((?:_?builtins\.)?(\w+), Enum\)", _text(file), re.MULTILINE)
    return _SCALARS.get(base.group(1), ANY) if base else ANY


_REPLACES = re.compile(
    r"forc(?:es|e|ing)\s+(?:a\s+|the\s+)?(?:creation of a\s+)?(?:new|replacement|recreation|re-creation)"
    r"|chang\w+[^.]*\b(?:creates?|recreates?|re-creates?|re-create)\b[^.]*\bresource"
    r"|\bchanging it recreates",
    re.IGNORECASE,
)
_CONDITIONAL = re.compile(
    r"\b(?:if (?!changed|modified)|when (?!changed|modified)|decreas|adding|delet|remov|disabl|of type|without"
    r"|exception of|between|changing from|empty string|new for|deployment of)",
    re.IGNORECASE,
)


def _forces_replacement(documentation: str) -> bool:
    """Whether a sentence of the documentation says, without a condition, that a change replaces the resource."""
    sentences = re.split(r"(?<=[.!])\s+", documentation)
    return any(_REPLACES.search(s) and not _CONDITIONAL.search(s) for s in sentences)
