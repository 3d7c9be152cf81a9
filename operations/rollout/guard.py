"""Which moves of the weights are allowed, whoever asks for them.

The judge is what is in force, never what an edit says of itself. Each listener rule therefore says, in tags beside its
weights, on which terms they move: the versions in both slots, the slot that a way back leads to, and how traffic switches.
An edit is held against the terms of the rule as it is, so none can bring its own leave along; who wants other terms puts
them in force in an update that moves no weight (docs/adr/0028).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from operations.ladder import LADDER
from operations.release import Release, Switch
from operations.slots import WHOLE, Slot, Weights

STABLE_TAG: Final = "Stable"
"""The tag that names the slot a way back leads to; a rule has none where the release names no such slot."""

SWITCH_TAG: Final = "Switch"

VERSION_TAGS: Final = {slot: slot.value.capitalize() for slot in Slot}
"""The tags with the version of each slot, `Blue` and `Green`."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On which terms the weights of a listener rule may move."""

    blue: str
    """The version in the blue slot, e.g. `v2.3.0`."""
    green: str
    stable: Slot | None
    """The slot that a way back leads to. Weights alone do not tell it: 100 % on green is the end of one release and the
    beginning of the next. None: the one with the larger share."""
    switch: Switch

    @classmethod
    def of(cls, release: Release) -> Self:
        """Return the terms that a release sets."""
        return cls(
            blue=release.blue.version,
            green=release.green.version,
            stable=release.stable_slot,
            switch=release.switch,
        )

    @classmethod
    def told_by(cls, tags: Mapping[str, object]) -> Self | None:
        """Return the terms that the tags of a listener rule tell; None where they tell none."""
        stable, switch = tags.get(STABLE_TAG), tags.get(SWITCH_TAG)
        blue, green = (tags.get(VERSION_TAGS[slot]) for slot in Slot)
        if not isinstance(blue, str) or not isinstance(green, str) or switch not in list(Switch):
            return None
        return cls(
            blue=blue,
            green=green,
            stable=Slot(stable) if stable in list(Slot) else None,
            switch=Switch(switch),
        )

    def tags(self) -> dict[str, str]:
        """Return the tags by which a listener rule tells these terms."""
        return {
            **{VERSION_TAGS[slot]: self.version(slot) for slot in Slot},
            SWITCH_TAG: self.switch.value,
            **({} if self.stable is None else {STABLE_TAG: self.stable.value}),
        }

    def version(self, slot: Slot) -> str:
        """Return the version in a slot."""
        return self.blue if slot is Slot.BLUE else self.green

    def facts(self) -> dict[str, str]:
        """Return the same as a stack file says it."""
        return {
            **{slot.value: self.version(slot) for slot in Slot},
            "stable": "none" if self.stable is None else self.version(self.stable),
            "switch": self.switch.value,
        }


def allowed_moves(now: Weights, stable: Slot, switch: Switch) -> tuple[Weights, ...]:
    """Return the weights that may follow the present ones, besides those themselves, the way back first.

    Up the ladder it is one phase at a time; back to the stable slot it is one move from anywhere. From weights that are
    not on the ladder only the way back is open: nobody knows what was watched there.

    Args:
        now: the weights in force.
        stable: the slot that a way back leads to.
        switch: how the environment moves traffic.
    """
    new = stable.other
    share = now.of(new)
    way_back = () if share == 0 else (0,)
    if switch is Switch.AT_ONCE:
        steps = (WHOLE,) if share == 0 else ()
    else:
        rungs = (0, *(phase.weight for phase in LADDER))
        steps = tuple(above for below, above in pairwise(rungs) if below == share)
    return tuple(Weights.giving(new, weight) for weight in way_back + steps)


def refusal(now: Weights, then: Weights, in_force: Terms | None, asked: Terms) -> str | None:
    """Return why a listener rule may not go from one pair of weights to another, in words for a person; None if it may.

    While traffic is shared, nothing but the weights may change, so a checkout that knows less than what is in force
    changes nothing. While one slot has it all, a release may begin: versions, stable slot and switch may change, before any
    weight moves. On the ladder, weights then move alone.

    Args:
        now: the weights in force.
        then: the weights asked for, which may be the same.
        in_force: the terms in force; None in a rule from before there were any, which goes by those that are asked for.
        asked: the terms that come with the update.
    """
    terms = in_force or asked
    idle = now.idle
    if idle is None:
        if terms != asked:
            shares = " and ".join(f"{slot} {now.of(slot)} %" for slot in Slot)
            return (
                f"traffic is shared, {shares}, and until one slot has it all nothing but the weights may change: "
                f"{_difference(terms, asked)}. Bring the file's release in line with `pulumi stack output release`, "
                "and try again"
            )
        return _refusal_of_move(now, then, terms, terms.stable or _larger(now))
    if then == now:
        renamed = asked.stable is idle and asked.version(idle) != terms.version(idle)
        if renamed:
            return (
                f"stable may not name {asked.version(idle)}, which comes to {idle} in this update and has served nobody; "
                f"allowed is the version in {idle.other}, which has all traffic: {asked.version(idle.other)}"
            )
        return None
    back = then.of(idle) == WHOLE and terms.stable is idle
    why = _refusal_of_move(now, then, terms, idle if back else idle.other)
    if why or terms.switch is Switch.AT_ONCE or in_force is None:
        return why
    # A release that begins says where its way back leads: to the slot that has all traffic until now.
    stable = terms.stable if back or terms.blue == terms.green else idle.other
    kept = Terms(blue=terms.blue, green=terms.green, stable=stable, switch=terms.switch)
    if asked == kept:
        return None
    return (
        f"weights move alone: {_difference(kept, asked, 'beside this move belongs')}. Put that in force first, in an update "
        "that moves no weight"
    )


def _refusal_of_move(now: Weights, then: Weights, terms: Terms, stable: Slot) -> str | None:
    allowed = allowed_moves(now, stable, terms.switch)
    if then == now or then in allowed:
        return None
    new = stable.other
    choices = [
        f"{weights.of(new)} % ({f'back to {stable}' if weights.of(new) == 0 else 'the next phase'})"
        for weights in allowed
    ]
    refused = (
        f"the weight of {new} may not move from {now.of(new)} % to {then.of(new)} % (switch: {terms.switch}); "
        f"allowed from {now.of(new)} %: {' or '.join(choices)}"
    )
    if now.idle is new and terms.stable is new:
        return f"{refused}, or {WHOLE} % (back to {new})"
    if now.idle is new and then.of(new) == WHOLE:
        return (
            f"{refused}. It would be a way back if stable named {terms.version(new)} before: if that has served, put "
            f"`stable: {terms.version(new)}` in force first, in an update that moves no weight"
        )
    return refused


def _larger(weights: Weights) -> Slot:
    """The slot with the larger share. Of two halves it is either: what may follow is the same."""
    return Slot.BLUE if weights.blue >= weights.green else Slot.GREEN


def _difference(is_so: Terms, asked: Terms, said: str = "in force is") -> str:
    facts, wanted = is_so.facts(), asked.facts()
    differing = [name for name in facts if facts[name] != wanted[name]]
    return (
        f"{said} {', '.join(f'{name} {facts[name]}' for name in differing)}; "
        f"this stack file says {', '.join(f'{name} {wanted[name]}' for name in differing)}"
    )
