"""A picture of the architecture, drawn from what the program declared and never by hand."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True)
class Part:
    """A component of the environment as the picture shows it.

    Attributes:
        name: its logical name.
        kind: the component's class.
        resources: how many resources it holds, by provider.
    """

    name: str
    kind: str
    resources: Mapping[str, int]


def mermaid(recorded: Sequence[Mapping[str, Any]]) -> str:
    """A Mermaid flowchart of the components below the outermost one, and of who depends on whom.

    Args:
        recorded: the resources of a stack, as the engine's state holds them.

    Returns:
        The text of the chart. An arrow from A to B says that a resource of A takes an output of one of B's.
    """
    resources = {str(resource["urn"]): resource for resource in recorded}
    outermost = [urn for urn, resource in resources.items() if _is_component(resource) and _depth(urn) == 1]
    owners = {urn: owner for urn in resources if (owner := _owner(urn, resources, outermost)) is not None}

    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    arrows: set[tuple[str, str]] = set()
    for urn, owner in owners.items():
        resource = resources[urn]
        if not _is_component(resource):
            counts[owner][str(resource["type"]).split(":")[0]] += 1
        for dependency in _dependencies(resource):
            if (other := owners.get(dependency)) is not None and other != owner:
                arrows.add((owner, other))

    parts = {urn: Part(_name(urn), _kind(urn), counts[urn]) for urn in dict.fromkeys(owners.values())}
    identifiers = {urn: f"part{index}" for index, urn in enumerate(sorted(parts))}
    lines = ["flowchart LR"]
    for urn in sorted(parts):
        part = parts[urn]
        held = ", ".join(f"{count} {provider}" for provider, count in sorted(part.resources.items()))
        lines.append(f'    {identifiers[urn]}["<b>{part.kind}</b><br/>{part.name}<br/>{held}"]')
    lines += sorted(f"    {identifiers[one]} --> {identifiers[other]}" for one, other in arrows)
    return "\n".join(lines)


def _is_component(resource: Mapping[str, Any]) -> bool:
    return not resource.get("custom", False) and resource["type"] != "pulumi:pulumi:Stack"


def _types(urn: str) -> list[str]:
    return [kind for kind in urn.split("::")[2].split("$") if kind != "pulumi:pulumi:Stack"]


def _depth(urn: str) -> int:
    return len(_types(urn))


def _kind(urn: str) -> str:
    return _types(urn)[-1].rsplit(":", 1)[-1]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _owner(urn: str, resources: Mapping[str, Mapping[str, Any]], outermost: Iterable[str]) -> str | None:
    """The component directly below an outermost one that ``urn`` is, or is inside of."""
    chain = [urn]
    while (parent := resources.get(chain[-1], {}).get("parent")) in resources:
        chain.append(str(parent))
    for above, below in zip(chain[1:], chain, strict=False):
        if above in outermost and _is_component(resources[below]):
            return below
    return None


def _dependencies(resource: Mapping[str, Any]) -> set[str]:
    by_property = cast("dict[str, list[str] | None]", resource.get("propertyDependencies") or {})
    direct = cast("list[str]", resource.get("dependencies") or [])
    return {*direct, *(urn for urns in by_property.values() for urn in urns or [])}
