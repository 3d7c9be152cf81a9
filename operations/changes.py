"""The ledger of change requests: which approval of the change advisory board brought which version to an environment.

Where a deployment waits for the board (`gate: cab`), the stack file lists the change requests, the oldest first; the last
one is in force. None is ever taken out, so whatever was used is known (docs/adr/0020).
"""

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from operations.environments import Gate
from operations.faults import Fault, show
from operations.model import Model, matching
from operations.release import Release, Version
from operations.slots import Slot

KEY: Final = "quikapp:changes"
"""The stack file's key of the ledger."""

ChangeNumber = Annotated[
    str,
    AfterValidator(
        matching(r"CHG[0-9]{7}", "the number of a change request such as CHG0030042: CHG and seven digits")
    ),
]
"""A change request as ServiceNow numbers it. Source: https://docs.servicenow.com, "Managing record numbering"."""

_NUMBER: Final = TypeAdapter[str](ChangeNumber)


class ChangeRequest(Model):
    """An approved change, which brings a version to a slot."""

    request: ChangeNumber
    """Its number; none is used twice."""
    version: Version
    """The version that it brings to a slot."""


Ledger = tuple[ChangeRequest, ...]
"""The change requests of an environment: the oldest first, the one in force last."""

_LEDGER: Final = TypeAdapter[Ledger](Ledger)


def ledger_of(listed: object) -> Ledger:
    """Return a ledger from plain data, the way a stack file or a stack output lists it.

    Raises:
        pydantic.ValidationError: it is none.
    """
    return _LEDGER.validate_json(json.dumps(listed), by_alias=True, by_name=False)


class Recorded(Model):
    """What is kept of a ledger outside of the stack file: enough to tell whether another one goes on from it."""

    request: ChangeNumber
    """The change request in force."""
    version: Version
    """The version that it brought."""
    changes: Annotated[int, Field(ge=1)]
    """How many change requests there are."""
    ledger: str
    """`sha256:` and the digest of all of them, in their order."""

    @classmethod
    def of(cls, ledger: Sequence[ChangeRequest]) -> Self:
        """Return what is kept of a ledger.

        Raises:
            ValueError: it is empty, so that nothing is in force.
        """
        if not ledger:
            raise ValueError("there is no change request, so none is in force")
        newest = ledger[-1]
        return cls(
            request=newest.request, version=newest.version, changes=len(ledger), ledger=_digest(ledger)
        )

    def refusal(self, ledger: Sequence[ChangeRequest]) -> str | None:
        """Return why a ledger may not follow this one: it does not begin with it. None where it may."""
        if _digest(ledger[: self.changes]) == self.ledger:
            return None
        count = "1 change request" if self.changes == 1 else f"{self.changes} change requests"
        return (
            f"{KEY} does not begin with what was used before: {count}, the last one {self.request} for {self.version}; "
            "none may be taken out or changed, and a new one comes last"
        )


def change_of(ledger: Sequence[ChangeRequest], version: Version) -> ChangeNumber | None:
    """Return the newest change request that brought a version; None where there is none."""
    return next((change.request for change in reversed(ledger) if change.version == version), None)


def unfit(gate: Gate, request: str | None) -> str | None:
    """Return why a change request is not what a gate takes: there is none, one too many, or it is no number; None if it fits.

    Args:
        gate: what a deployment to the environment waits for.
        request: the number that was given; None where none was.
    """
    if gate is not Gate.CAB:
        return None if request is None else f"{request}: gate: {gate} takes no change request; allowed: none"
    if request is None:
        return "gate: cab takes the number of a change request, such as CHG0030042, and none was given"
    try:
        _NUMBER.validate_python(request)
    except ValidationError as error:
        return f"{request}: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
    return None


def refusal(gate: Gate, ledger: Sequence[ChangeRequest], request: str | None) -> str | None:
    """Return why a deployment may not go on under a change request: it is unfit, or was used before; None if it may.

    Args:
        gate: what a deployment to the environment waits for.
        ledger: the change requests that were used before.
        request: the number that was given; None where none was.
    """
    if why := unfit(gate, request):
        return why
    used = next((change for change in ledger if change.request == request), None)
    return None if used is None else f"{request}: {_used(used)}"


def breaches(gate: Gate, release: Release, ledger: Sequence[ChangeRequest]) -> Iterator[Fault]:
    """Yield what is wrong between a stack file's gate, its release and its ledger.

    Each version in a slot takes a change request, the last one is about a version in a slot, and none is used twice.
    Gates other than the change advisory board take none.
    """
    if gate is not Gate.CAB:
        if ledger:
            yield Fault(
                KEY,
                f"gate: {gate} takes no change request; allowed: none",
                show([change.request for change in ledger]),
            )
        return
    if not ledger:
        yield Fault(
            KEY,
            "is missing; gate: cab takes a change request for the version of each slot, such as "
            f"{{request: CHG0030042, version: {release.blue.version}}}",
        )
        return
    approved = dict.fromkeys(change.version for change in ledger)
    for slot in Slot:
        if (version := release.of(slot).version) not in approved:
            yield Fault(
                f"quikapp:release.{slot}.version",
                f"no change request names it; gate: cab allows what {KEY} names: {', '.join(approved)}",
                show(version),
            )
    in_slots = dict.fromkeys(release.of(slot).version for slot in Slot)
    if ledger[-1].version not in in_slots:
        yield Fault(
            f"{KEY}[{len(ledger) - 1}].version",
            f"the last change request is the one in force; allowed is what a slot runs: {', '.join(in_slots)}",
            show(ledger[-1].version),
        )
    for place, change in enumerate(ledger):
        used = next((earlier for earlier in ledger[:place] if earlier.request == change.request), None)
        if used is not None:
            yield Fault(f"{KEY}[{place}].request", _used(used), show(change.request))


def _used(change: ChangeRequest) -> str:
    return f"was used before, for {change.version}; allowed is a change request that was not"


def _digest(ledger: Sequence[ChangeRequest]) -> str:
    text = json.dumps([[change.request, change.version] for change in ledger])
    return f"sha256:{sha256(text.encode()).hexdigest()}"
