"""What happens to a rollout. Each event says when, by the clock of whoever saw it."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from operations.model import Model
from operations.rollout.gate import Verdict

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""Something said: not empty."""


class _Answer(Model):
    at: AwareDatetime
    step: int
    """Of the action that this answers: an answer to any other is late, or a duplicate, and changes nothing."""


class Done(_Answer):
    """The action was carried out, and its effect was seen to be there."""

    kind: Literal["done"] = "done"


class Failed(_Answer):
    """The action was tried and failed: an update that broke off, a slot that did not become healthy, other weights than
    asked for, or while the gates are watched other ones than were verified."""

    kind: Literal["failed"] = "failed"
    reason: Text


class Blocked(_Answer):
    """The action was not tried, since its preview would change more than it should. Somebody has to look."""

    kind: Literal["blocked"] = "blocked"
    reason: Text
    """What else would change."""


class Observed(_Answer):
    """The gates were evaluated."""

    kind: Literal["observed"] = "observed"
    verdict: Verdict


class _Command(Model):
    at: AwareDatetime
    who: Text


class Pause(_Command):
    """Stay at the weights in force. What fails is still taken back."""

    kind: Literal["pause"] = "pause"
    reason: Text


class Resume(_Command):
    """Go on, after a pause or with a new driver."""

    kind: Literal["resume"] = "resume"


class Promote(_Command):
    """Go on to the next phase without the rest of this one's bake."""

    kind: Literal["promote"] = "promote"
    weight: int
    """Of the phase that is cut short, in percent: said twice, it does not cut short the next one too."""
    reason: Text


class Rollback(_Command):
    """Give all traffic back to the old slot."""

    kind: Literal["rollback"] = "rollback"
    reason: Text


Command = Pause | Resume | Promote | Rollback
"""What a person says."""

Event = Annotated[
    Done | Failed | Blocked | Observed | Pause | Resume | Promote | Rollback, Field(discriminator="kind")
]
"""Anything that happens; `kind` tells them apart in JSON."""
