"""Traffic: a request goes to one of two slots, and every one of them to some."""

from collections.abc import Iterator
from typing import Final

from operations.slots import WHOLE, Slot
from policy.resources import Hidden, Resource, Rule, Violation, items, mapping

_ACTIONS: Final = {
    "aws:lb/listenerRule:ListenerRule": "actions",
    "aws:lb/listener:Listener": "defaultActions",
}


def _weighted(resource: Resource) -> Iterator[Violation]:
    actions = _ACTIONS.get(resource.type)
    for place, action in enumerate(items(resource.at(actions)) if actions else ()):
        if mapping(action).get("type") != "forward":
            continue
        path = f"{actions}[{place}]"
        if mapping(action).get("targetGroupArn") is not None:
            yield resource.breaks(
                f"{path}.targetGroupArn", "one target group", "forward.targetGroups, of both slots"
            )
            continue
        groups = mapping(action).get("forward", {})
        groups = groups if isinstance(groups, Hidden) else mapping(groups).get("targetGroups")
        if isinstance(groups, Hidden):
            continue
        if len(items(groups)) != len(Slot):
            yield resource.breaks(
                f"{path}.forward.targetGroups", len(items(groups)), f"{len(Slot)}, one for each slot"
            )
        weights = [mapping(group).get("weight", 1) for group in items(groups)]  # AWS's own default
        if not any(isinstance(weight, Hidden) for weight in weights) and sum(weights) != WHOLE:
            yield resource.breaks(f"{path}.forward.targetGroups weights", weights, f"a sum of {WHOLE}")


RULES: Final = (
    Rule(
        name="weighted-slots",
        description="Whatever forwards requests names the target groups of both slots, with weights that sum to 100.",
        check=_weighted,
    ),
)
