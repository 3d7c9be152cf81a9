"""What rules are about: resources as a program declares them, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Any, Final, cast

from operations.environments import EnvironmentName
from operations.faults import show


@unique
class Hidden(Enum):
    """Stands for a value that no rule sees."""

    UNKNOWN = "not known before the update"
    """It comes from a resource that is not made yet."""
    SECRET = "a secret"  # noqa: S105 - the word for one
    """It is encrypted in the state, and nobody's to read here."""


UNKNOWN: Final = Hidden.UNKNOWN
SECRET: Final = Hidden.SECRET


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource as the engine is about to make, change or keep it."""

    type: str
    """The type token: `aws:s3/bucket:Bucket`."""
    name: str
    """The name in the program."""
    urn: str
    inputs: Mapping[str, Any]
    """The inputs as plain values, spelt as the provider does; what is hidden is `UNKNOWN` or `SECRET`."""
    protect: bool = False
    """Whether Pulumi refuses to delete it."""
    dependencies: frozenset[str] = field(default_factory=frozenset[str])
    """URNs of the resources whose outputs it takes; known to the rules of a whole stack only."""

    @property
    def kind(self) -> str:
        """The last part of the type: `Bucket`, and the kind of a Kubernetes object."""
        return self.type.rpartition(":")[2]

    @property
    def package(self) -> str:
        """The provider: `aws`, `kubernetes`."""
        return self.type.partition(":")[0]

    @property
    def stack(self) -> str:
        """The stack that it belongs to."""
        return self.urn.split("::", 1)[0].rpartition(":")[2]

    @property
    def environment(self) -> EnvironmentName | None:
        """The environment of the stack; None where the stack is none."""
        return EnvironmentName(self.stack) if self.stack in set(EnvironmentName) else None

    def at(self, *path: str) -> Any:
        """Return the input at a path: None where it is not stated, `UNKNOWN` or `SECRET` where that is all there is to know."""
        value: Any = self.inputs
        for step in path:
            if isinstance(value, Hidden):
                return value
            value = cast("Mapping[str, Any]", value).get(step) if isinstance(value, Mapping) else None
        return value

    def breaks(self, path: str, found: object, allowed: str) -> Violation:
        """Return the violation that an input is not what is allowed.

        Args:
            path: of the input, as the provider spells it.
            found: what is there; None where nothing is, a `Shown` where that says it better.
            allowed: what may be there, as a person would say it.
        """
        what = "is missing" if found is None else f"is {found if isinstance(found, Shown) else show(found)}"
        return Violation(self.urn, f"{self.type} {self.name}: {path} {what}; allowed is {allowed}")


class Shown(str):
    """Words about a value, in place of the value."""

    __slots__ = ()


@dataclass(frozen=True)
class Violation:
    """What is wrong with one resource."""

    urn: str
    message: str
    """The resource, the property, what was found and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule that judges one resource by its inputs, before it is made."""

    name: str
    description: str
    check: Callable[[Resource], Iterator[Violation]]


@dataclass(frozen=True, kw_only=True)
class StackRule:
    """A rule that takes the whole stack to judge: it is asked at the end of a preview or update."""

    name: str
    description: str
    check: Callable[[Sequence[Resource]], Iterator[Violation]]


AnyRule = Rule | StackRule


def violations(rules: Sequence[AnyRule], resources: Sequence[Resource]) -> Iterator[tuple[str, Violation]]:
    """Yield every violation in a stack, with the name of the rule that is broken."""
    for rule in rules:
        if isinstance(rule, StackRule):
            yield from ((rule.name, violation) for violation in rule.check(resources))
        else:
            yield from (
                (rule.name, violation) for resource in resources for violation in rule.check(resource)
            )


def items(value: object) -> Sequence[Any]:
    """Return a list as it is, and nothing where there is none or it is hidden."""
    return cast("list[Any]", value) if isinstance(value, list) else ()


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping as it is, and an empty one where there is none or it is hidden."""
    return cast("dict[str, Any]", value) if isinstance(value, Mapping) else {}


def strings(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and text of every text in a value that is not hidden."""
    if isinstance(value, str):
        yield path, value
    for key, item in mapping(value).items():
        yield from strings(item, f"{path}.{key}" if path else key)
    for place, item in enumerate(items(value)):
        yield from strings(item, f"{path}[{place}]")
