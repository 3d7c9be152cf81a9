"""Regions: where anything may lie."""

from collections.abc import Iterator
from typing import Final

from operations.guardrails import ALLOWED_REGIONS
from policy.resources import Resource, Rule, Violation


def _allowed(resource: Resource) -> Iterator[Violation]:
    region = resource.at("region")
    if (
        (resource.package == "aws" or resource.type == "pulumi:providers:aws")
        and isinstance(region, str)
        and region not in ALLOWED_REGIONS
    ):
        yield resource.breaks("region", region, ", ".join(ALLOWED_REGIONS))


RULES: Final = (
    Rule(
        name="allowed-region",
        description="Everything lies in a region of the European Union, copies too.",
        check=_allowed,
    ),
)
