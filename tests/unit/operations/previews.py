"""Steps of previews, as short as a test can say them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from operations.preview.steps import State, Step

STACK = "urn:pulumi:live::quikapp::pulumi:pulumi:Stack::quikapp-live"


def step(
    operation: str,
    kind: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    *,
    name: str = "it",
    properties: Sequence[str] = (),
    protect: bool = False,
    still: bool | None = None,
    component: str = STACK,
) -> Step:
    """A step of a resource with these inputs, which was protected, and still is unless said otherwise."""
    return Step(
        operation,
        f"urn:pulumi:live::quikapp::{kind}::{name}",
        (component,),
        tuple(properties),
        None if before is None else State(before, protect),
        None if after is None else State(after, protect if still is None else still),
    )
