"""One resource in a preview, before and after, as the engine states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

Inputs = Mapping[str, Any]

STACK: Final = "pulumi:pulumi:Stack"
"""The type of the stack itself, which every resource is below."""

UNCHANGED: Final = frozenset({"same", "read", "refresh"})
"""What the engine does with a resource that an update leaves alone."""


@dataclass(frozen=True)
class State:
    """A resource at one moment: as it is, or as the program wants it."""

    inputs: Inputs = field(default_factory=dict[str, Any], repr=False)
    """What the program says, or said. Secrets are masked by the engine; anything else is here in the clear."""
    protect: bool = False
    """Whether Pulumi refuses to delete it."""


@dataclass(frozen=True)
class Step:
    """One resource, and what an update would do with it."""

    operation: str
    """`create`, `update`, `replace`, `delete`, …; or one of `UNCHANGED`."""
    urn: str
    ancestors: tuple[str, ...]
    """URNs of its components, from the nearest to the outermost."""
    properties: tuple[str, ...] = ()
    """Paths of the properties that differ, without their values."""
    before: State | None = None
    """None where it is not there yet."""
    after: State | None = None
    """None where it will not be there any more."""

    @property
    def type(self) -> str:
        """The type token."""
        return type_of(self.urn)

    @property
    def name(self) -> str:
        """The name in the program."""
        return name_of(self.urn)

    @property
    def changes(self) -> bool:
        """Whether an update would do anything with it."""
        return self.operation not in UNCHANGED

    @property
    def is_default_provider(self) -> bool:
        """Whether the engine made it up for want of a provider in the program; `pulumi preview` shows none of these."""
        return self.type.startswith("pulumi:providers:") and self.name.startswith("default")

    def __str__(self) -> str:
        what = f" ({', '.join(self.properties)})" if self.properties else ""
        return f"{self.operation} {self.type} {self.name}{what}"


def at(inputs: Inputs, *path: str) -> object:
    """Return what lies at a path; None where nothing does, or where a preview does not know it yet."""
    *parents, last = path
    return map_at(inputs, *parents).get(last)


def map_at(inputs: Inputs, *path: str) -> Inputs:
    """Return the map at a path; an empty one where none is."""
    for key in path:
        found = inputs.get(key)
        inputs = cast("Inputs", found) if isinstance(found, Mapping) else {}
    return inputs


def list_at(inputs: Inputs, *path: str) -> list[object]:
    """Return the list at a path; an empty one where none is."""
    found = at(inputs, *path)
    return cast("list[object]", found) if isinstance(found, list) else []


def maps_at(inputs: Inputs, *path: str) -> list[Inputs]:
    """Return the maps in the list at a path; what else is in it is left out."""
    return [cast("Inputs", each) for each in list_at(inputs, *path) if isinstance(each, Mapping)]


def type_of(urn: str) -> str:
    """Return the type token in a URN."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def name_of(urn: str) -> str:
    """Return the name in a URN, which may hold anything."""
    return urn.split("::", 3)[3]
