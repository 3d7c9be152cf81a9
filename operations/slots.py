"""The two slots of the blue-green deployment (the operations page, "Blue-Green Deployment")."""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final, Self

from operations.naming import APPLICATION

WHOLE: Final = 100
"""The sum of both slots' weights, in percent."""


@unique
class Slot(StrEnum):
    """One of two complete sets of workloads of equal standing."""

    BLUE = "blue"
    GREEN = "green"

    @property
    def other(self) -> "Slot":
        """The slot that is not this one."""
        return Slot.GREEN if self is Slot.BLUE else Slot.BLUE

    @property
    def namespace(self) -> str:
        """The Kubernetes namespace that holds this slot and nothing else."""
        return f"{APPLICATION}-{self.value}"


@dataclass(frozen=True)
class Weights:
    """The share of requests each slot receives, in whole percent: each 0 to 100, together 100.

    Raises:
        ValueError: a weight is out of its range, or they do not sum to 100.
    """

    blue: int
    green: int

    def __post_init__(self) -> None:
        for slot in Slot:
            if not 0 <= self.of(slot) <= WHOLE:
                raise ValueError(f"the weight of {slot} is {self.of(slot)}; allowed are 0 to {WHOLE}")
        if self.blue + self.green != WHOLE:
            raise ValueError(
                f"the weights {self.blue} and {self.green} sum to {self.blue + self.green}, not {WHOLE}"
            )

    def of(self, slot: Slot) -> int:
        """Return the weight of one slot, in percent."""
        return self.blue if slot is Slot.BLUE else self.green

    @classmethod
    def giving(cls, slot: Slot, weight: int) -> Self:
        """Return the weights that give a slot its percentage, 0 to 100, and the other slot the rest.

        Raises:
            ValueError: the weight is out of its range.
        """
        rest = WHOLE - weight
        return cls(blue=weight, green=rest) if slot is Slot.BLUE else cls(blue=rest, green=weight)

    @property
    def idle(self) -> Slot | None:
        """The slot without weight; None while traffic is shared."""
        return next((slot for slot in Slot if self.of(slot) == 0), None)
