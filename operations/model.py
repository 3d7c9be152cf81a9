"""What every model of facts has in common: immutable, closed, strict, camelCase in stack files."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from operations.limits import Limit

Value = TypeVar("Value")


class Model(BaseModel):
    """A frozen group of facts.

    Unknown fields are refused and nothing is coerced: `"3"` is no number and `1` is no boolean. Python code
    uses snake_case names, stack files their camelCase aliases.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
    )


@dataclass(frozen=True, eq=False)  # itself and no other: annotations are hashed
class Constraint(Generic[Value]):
    """A validator that says what it takes: to a person, and to the JSON Schema of the stack files."""

    allowed: str
    """What it takes, as a person would say it after "allowed is"."""
    validate: Callable[[Value], Value]
    """Returns the value. Raises ValueError where it is refused."""
    keywords: Mapping[str, object] = field(default_factory=dict[str, object])
    """What a JSON Schema can say of it: never more than the validator demands."""

    def __call__(self, value: Value) -> Value:
        return self.validate(value)


def matching(pattern: str, allowed: str, length: Limit | None = None) -> Constraint[str]:
    """Return a validator that takes text which matches the whole pattern and is no longer than a vendor's limit.

    Args:
        pattern: a regular expression over ASCII, in the dialect that Python and ECMAScript share.
        allowed: what the pattern means, as a person would say it: it is the message of the error.
        length: in characters; None where the pattern itself bounds it, or nothing does.
    """
    expression = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if length is not None and len(text) > length.value:
            raise ValueError(f"{len(text)} characters long; allowed are {length.value} ({length.source})")
        if not expression.fullmatch(text):
            raise ValueError(f"allowed is {allowed}")
        return text

    bound = {} if length is None else {"maxLength": length.value}
    return Constraint(allowed, check, {"pattern": f"^(?:{pattern})$", **bound})
