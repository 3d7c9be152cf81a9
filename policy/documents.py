"""IAM policy documents, as they stand in the inputs of resources.

A document that contains an output of a resource which is not made yet is unknown as a whole, and judged once it is known.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

from policy.resources import Resource, items, mapping, strings

Statement = Mapping[str, Any]


def statements(resource: Resource, effect: Literal["Allow", "Deny"]) -> Iterator[tuple[str, Statement]]:
    """Yield path and content of every statement with this effect in the documents that a resource holds."""
    for path, text in strings(resource.inputs):
        for place, statement in enumerate(_statements(text)):
            if statement.get("Effect") == effect:
                yield f"{path}.Statement[{place}]", statement


def listed(value: object) -> tuple[str, ...]:
    """Return an element of the policy language as the texts that it lists; alone, a text stands for a list of it."""
    return (value,) if isinstance(value, str) else tuple(str(item) for item in items(value))


def _statements(text: str) -> list[Statement]:
    if not text.lstrip().startswith("{") or '"Statement"' not in text:
        return []
    try:
        found = mapping(json.loads(text)).get("Statement")
    except ValueError:
        return []
    return [mapping(each) for each in (cast("list[object]", found) if isinstance(found, list) else [found])]
