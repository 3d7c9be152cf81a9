"""Which moves of the weights are allowed, whoever asks for them."""

from itertools import pairwise

from operations.ladder import LADDER
from operations.release import Switch
from operations.slots import WHOLE, Slot, Weights


def shared(slot: Slot, weight: int) -> Weights:
    """Return the weights that give a slot its percentage, 0 to 100, and the other slot the rest.

    Raises:
        ValueError: the weight is out of its range.
    """
    rest = WHOLE - weight
    return Weights(blue=weight, green=rest) if slot is Slot.BLUE else Weights(blue=rest, green=weight)


def allowed_moves(now: Weights, stable: Slot, switch: Switch) -> tuple[Weights, ...]:
    """Return the weights that may follow the present ones, besides those themselves, the way back first.

    Up the ladder it is one phase at a time; back to the stable slot it is one move from anywhere. From weights that are
    not on the ladder only the way back is open: nobody knows what was watched there.

    Args:
        now: the weights in force.
        stable: the slot that a rollback leads to. Weights alone do not tell it: half and half looks the same from both
            sides, and 100 % on green is the end of one release and the beginning of the next.
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
    return tuple(shared(new, weight) for weight in way_back + steps)


def refusal_of_move(now: Weights, then: Weights, stable: Slot, switch: Switch) -> str | None:
    """Return why the weights may not go from one to the other, naming the move and what is allowed; None if they may.

    Args:
        now: the weights in force.
        then: the weights asked for; to leave them as they are is always allowed.
        stable: the slot that a rollback leads to.
        switch: how the environment moves traffic.
    """
    allowed = allowed_moves(now, stable, switch)
    if then == now or then in allowed:
        return None
    new = stable.other
    choices = " or ".join(
        f"{weights.of(new)} % ({'back to ' + stable if weights.of(new) == 0 else 'the next phase'})"
        for weights in allowed
    )
    return (
        f"the weight of {new} may not move from {now.of(new)} % to {then.of(new)} % (switch: {switch}); "
        f"allowed from {now.of(new)} %: {choices}"
    )
