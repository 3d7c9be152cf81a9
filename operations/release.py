"""A release: which version runs in which slot, who serves, and how ready the other slot stands by.

Source: the operations page, "Deployment Strategy".
"""

from enum import StrEnum, unique
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from operations.limits import LABEL_VALUE_LENGTH
from operations.model import Model, matching
from operations.slots import WHOLE, Slot, Weights

Version = Annotated[
    str,
    AfterValidator(
        matching(
            r"v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z]+([.-][0-9A-Za-z]+)*)?",
            "a version such as v2.4.0 or v2.4.0-rc.1",
            LABEL_VALUE_LENGTH,
        )
    ),
]
"""A version as the page writes it, `v2.4.0`, with an optional pre-release; it is an image tag and a label at once."""


@unique
class SlotCapacity(StrEnum):
    """How many replicas a slot runs.

    serving: the sizing's minimum to maximum, under load.
    full:    the same range: the minimum, or for an hour what the load of the last hour took.
    warm:    one replica to the maximum: proves that the version starts, grows with the load.
    cold:    no replica.
    """

    SERVING = "serving"
    FULL = "full"
    WARM = "warm"
    COLD = "cold"


@unique
class Standby(StrEnum):
    """The capacity of a slot that receives no requests, unless the slot states its own."""

    COLD = "cold"
    WARM = "warm"
    FULL = "full"

    @property
    def capacity(self) -> SlotCapacity:
        """The same readiness as a slot's capacity."""
        return SlotCapacity(self.value)


@unique
class Switch(StrEnum):
    """How traffic moves to the other slot: at once (0 to 100 %), or up the canary ladder."""

    AT_ONCE = "at-once"
    LADDER = "ladder"


class SlotRelease(Model):
    """What one slot runs."""

    version: Version
    """The tag of every image of the slot, e.g. `v2.4.0`."""
    weight: Annotated[int, Field(ge=0, le=WHOLE)]
    """Share of requests, in whole percent: 0 to 100."""
    capacity: SlotCapacity | None = None
    """Overrides the release's standby for this slot while it has no weight, e.g. `full` ahead of a switch."""

    @model_validator(mode="after")
    def _capacity_fits_weight(self) -> Self:
        """A slot with weight is serving and states no other capacity; one without weight does not serve."""
        if self.capacity is None or (self.capacity is SlotCapacity.SERVING) == (self.weight > 0):
            return self
        if self.weight > 0:
            raise ValueError("a slot with weight is serving; leave capacity out, or set the weight to 0")
        raise ValueError("a slot without weight does not serve; allowed are full, warm, cold")


class Release(Model):
    """The versions in both slots, their weights, and the readiness of the slot that stands by."""

    blue: SlotRelease
    green: SlotRelease
    standby: Standby
    switch: Switch
    stable: Version | None = None
    """The version that a rollback leads to: the one that had all traffic before. Once its slot runs another one, this
    names no slot any more."""

    @model_validator(mode="after")
    def _weights_are_whole(self) -> Self:
        """The weights of both slots sum to {WHOLE}."""
        total = self.blue.weight + self.green.weight
        if total != WHOLE:
            raise ValueError(
                f"the weights of blue ({self.blue.weight}) and green ({self.green.weight}) sum to {total}; "
                f"they must sum to {WHOLE}"
            )
        return self

    @property
    def weights(self) -> Weights:
        """The shares of both slots, in percent."""
        return Weights(blue=self.blue.weight, green=self.green.weight)

    @property
    def stable_slot(self) -> Slot | None:
        """The slot that a rollback leads to; None where the stable version is in neither slot, or in both."""
        slots = [slot for slot in Slot if self.of(slot).version == self.stable]
        return slots[0] if len(slots) == 1 else None

    def of(self, slot: Slot) -> SlotRelease:
        """Return what the slot runs."""
        return self.blue if slot is Slot.BLUE else self.green

    def capacity_of(self, slot: Slot) -> SlotCapacity:
        """Return the slot's capacity: serving where it has weight, else its own, else the standby's."""
        release = self.of(slot)
        if release.weight > 0:
            return SlotCapacity.SERVING
        return release.capacity or self.standby.capacity
