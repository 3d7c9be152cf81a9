"""What every model of facts has in common: immutable, closed, strict, camelCase in stack files."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


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
