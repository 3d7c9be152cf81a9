"""A version comes under a change request, each is used once, and none that was used is forgotten."""

import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.changes import ChangeRequest, Ledger, Recorded, breaches, change_of, refusal
from operations.environments import Gate
from operations.limits import PARAMETER_VALUE_LENGTH
from operations.release import Release
from operations.rollout.actions import (
    PrepareSlot,
    ScaleDown,
    SetWeights,
    changes_after,
    release_after,
    released,
)
from operations.rollout.plan import Plan
from operations.slots import Slot, Weights
from tests.unit.operations.rollouts import plan, release

VERSIONS: Final = ("v2.2.0", "v2.3.0", "v2.4.0")


def ledger(*entries: tuple[str, str]) -> Ledger:
    return tuple(ChangeRequest(request=request, version=version) for request, version in entries)


USED: Final = ledger(("CHG0030041", "v2.3.0"), ("CHG0030042", "v2.2.0"))
"""Of the release in `rollouts`: blue runs v2.3.0, green v2.2.0."""

requests = st.integers(0, 9_999_999).map(lambda number: f"CHG{number:07}")
ledgers = st.lists(
    st.tuples(requests, st.sampled_from(VERSIONS)), max_size=6, unique_by=lambda entry: entry[0]
).map(lambda entries: ledger(*entries))


class TestAStackFile:
    def told(self, changes: Ledger, gate: Gate = Gate.CAB, of: Release | None = None) -> list[str]:
        return [str(fault) for fault in breaches(gate, of or release(), changes)]

    def test_whose_versions_were_approved_is_taken(self) -> None:
        assert self.told(USED) == []
        assert self.told(ledger(("CHG0000001", "v1.0.0")) + USED) == []

    def test_without_change_requests_is_refused_where_the_board_approves(self) -> None:
        assert self.told(()) == [
            "quikapp:changes: is missing; gate: cab takes a change request for the version of each slot, such as "
            "{request: CHG0030042, version: v2.3.0}"
        ]

    def test_with_a_version_that_nobody_approved_is_refused(self) -> None:
        assert self.told(USED[:1]) == [
            'quikapp:release.green.version = "v2.2.0": no change request names it; gate: cab allows what '
            "quikapp:changes names: v2.3.0"
        ]

    def test_whose_last_change_request_is_about_no_slot_is_refused(self) -> None:
        assert self.told((*USED, *ledger(("CHG0030043", "v2.4.0")))) == [
            'quikapp:changes[2].version = "v2.4.0": the last change request is the one in force; allowed is what a slot '
            "runs: v2.3.0, v2.2.0"
        ]

    def test_that_uses_a_change_request_again_is_refused(self) -> None:
        assert self.told((*USED, *ledger(("CHG0030041", "v2.2.0")))) == [
            'quikapp:changes[2].request = "CHG0030041": was used before, for v2.3.0; allowed is a change request that '
            "was not"
        ]

    @pytest.mark.parametrize("gate", [gate for gate in Gate if gate is not Gate.CAB])
    def test_lists_change_requests_nowhere_else(self, gate: Gate) -> None:
        assert self.told((), gate) == []
        assert self.told(USED, gate) == [
            f'quikapp:changes = ["CHG0030041", "CHG0030042"]: gate: {gate} takes no change request; allowed: none'
        ]

    @given(ledgers)
    def test_is_taken_only_with_an_approval_of_every_version(self, changes: Ledger) -> None:
        named = {change.version for change in changes}
        approved = {"v2.2.0", "v2.3.0"} <= named and changes[-1].version != "v2.4.0"
        assert (not self.told(changes)) is approved


class TestADeployment:
    def test_takes_a_change_request_that_was_not_used(self) -> None:
        assert refusal(Gate.CAB, USED, "CHG0030043") is None

    @pytest.mark.parametrize(
        ("request_", "why"),
        [
            (None, "gate: cab takes the number of a change request, such as CHG0030042, and none was given"),
            (
                "CHG30043",
                "CHG30043: allowed is the number of a change request such as CHG0030042: CHG and seven digits",
            ),
            (
                "CHG0030041",
                "CHG0030041: was used before, for v2.3.0; allowed is a change request that was not",
            ),
        ],
    )
    def test_is_refused_without_one(self, request_: str | None, why: str) -> None:
        assert refusal(Gate.CAB, USED, request_) == why

    @pytest.mark.parametrize("gate", [gate for gate in Gate if gate is not Gate.CAB])
    def test_takes_none_where_no_board_approves(self, gate: Gate) -> None:
        assert refusal(gate, (), None) is None
        assert (
            refusal(gate, (), "CHG0030043")
            == f"CHG0030043: gate: {gate} takes no change request; allowed: none"
        )

    @given(st.text())
    def test_takes_chg_and_seven_digits_and_nothing_else(self, request_: str) -> None:
        assert (refusal(Gate.CAB, (), request_) is None) is bool(re.fullmatch("CHG[0-9]{7}", request_))


class TestWhatIsRecorded:
    def test_is_the_one_in_force_with_proof_of_all(self) -> None:
        recorded = Recorded.of(USED)
        assert (recorded.request, recorded.version, recorded.changes) == ("CHG0030042", "v2.2.0", 2)
        assert re.fullmatch("sha256:[0-9a-f]{64}", recorded.ledger)
        assert len(recorded.model_dump_json()) < PARAMETER_VALUE_LENGTH.value / 10, (
            "and it does not grow with them"
        )

    def test_is_nothing_of_an_empty_ledger(self) -> None:
        with pytest.raises(ValueError, match="there is no change request, so none is in force"):
            Recorded.of(())

    @given(ledgers.filter(bool), ledgers)
    def test_is_followed_by_what_begins_with_it_and_by_nothing_else(
        self, used: Ledger, other: Ledger
    ) -> None:
        assert Recorded.of(used).refusal(used + other) is None
        assert (Recorded.of(used).refusal(other) is None) is (other[: len(used)] == used)

    def test_says_what_was_used_before(self) -> None:
        assert Recorded.of(USED).refusal(USED[:1]) == (
            "quikapp:changes does not begin with what was used before: 2 change requests, the last one CHG0030042 for "
            "v2.2.0; none may be taken out or changed, and a new one comes last"
        )
        assert "before: 1 change request, the last one CHG0030041" in str(
            Recorded.of(USED[:1]).refusal(USED[1:])
        )


def test_of_a_version_the_newest_change_request_counts() -> None:
    again = (*USED, *ledger(("CHG0030043", "v2.3.0")))
    assert [change_of(again, version) for version in VERSIONS] == ["CHG0030042", "CHG0030043", None]


class TestARollout:
    PREPARE = PrepareSlot(step=1, slot=Slot.GREEN, version="v2.4.0", change="CHG0030043")
    AFTER: Final = (*USED, *ledger(("CHG0030043", "v2.4.0")))

    def test_adds_its_change_request_once_with_the_first_action(self) -> None:
        assert changes_after(USED, self.PREPARE) == changes_after(self.AFTER, self.PREPARE) == self.AFTER

    @pytest.mark.parametrize(
        "action",
        [
            PrepareSlot(step=1, slot=Slot.GREEN, version="v2.4.0"),
            SetWeights(step=1, weights=Weights(blue=95, green=5)),
            ScaleDown(step=1, slot=Slot.BLUE),
        ],
    )
    def test_adds_none_with_any_other(self, action: PrepareSlot | SetWeights | ScaleDown) -> None:
        assert changes_after(USED, action) == USED

    def under_way(self) -> Plan:
        return plan().model_copy(update={"change": "CHG0030043"})

    def test_that_is_gone_on_with_finds_what_was_told_last(self) -> None:
        told = release_after(release(), self.PREPARE)
        assert released(told, self.under_way(), self.AFTER, told.weights) == told
        assert released(told, self.under_way(), self.AFTER, None) == told
        assert released(release(), self.under_way(), USED, None) == release()

    def test_that_broke_off_once_its_change_request_was_recorded_has_its_version_in_the_slot(self) -> None:
        found = released(release(), self.under_way(), self.AFTER, release().weights)
        assert found == release_after(release(), self.PREPARE)
        assert list(breaches(Gate.CAB, found, self.AFTER)) == []

    def test_that_broke_off_among_its_rules_has_the_weights_that_these_have(self) -> None:
        told = release_after(release(), self.PREPARE)
        assert released(told, self.under_way(), self.AFTER, Weights(blue=95, green=5)).weights.green == 5
