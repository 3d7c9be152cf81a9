"""What a request to deploy leads to: one version forward, one change request each, and what is under way is gone on with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from operations.changes import ChangeRequest, Ledger
from operations.delivery import (
    Door,
    Nothing,
    Refused,
    Resume,
    Rollout,
    Running,
    Situation,
    Start,
    Trigger,
    Update,
    decide,
    decide_infrastructure,
    door,
    predecessor,
)
from operations.environments import EnvironmentName, Gate
from operations.slots import Slot

DEV, QA, UAT, STAGING, LIVE = EnvironmentName
OLD, NEW, OTHER = "v2.3.0", "v2.4.0", "v2.5.0"
USED, FRESH = "CHG0030041", "CHG0030042"
LEDGER: Ledger = (ChangeRequest(request=USED, version=OLD),)


def runs(blue: str, green: str = OTHER, weight: int = 100) -> Running:
    """What an environment runs whose blue slot has this weight."""
    return Running(
        versions={Slot.BLUE: blue, Slot.GREEN: green}, weights={Slot.BLUE: weight, Slot.GREEN: 100 - weight}
    )


def under_way(version: str = NEW, change: str | None = None, *, ended: bool = False) -> Rollout:
    return Rollout(version, Slot.GREEN, change, ended)


def calm(running: Running | None, rollout: Rollout | None = None) -> Situation:
    """An environment that takes no change request."""
    return Situation(running, Gate.MANUAL, rollout)


def live(running: Running | None = None, rollout: Rollout | None = None, noted: Ledger = LEDGER) -> Situation:
    """Live as it is before a deployment."""
    return Situation(running or runs(OLD), Gate.CAB, rollout, through=LEDGER, begun=LEDGER, noted=noted)


def reason(decision: object) -> str:
    assert isinstance(decision, Refused), decision
    return decision.reason


# --- order and doors -----------------------------------------------------------------------------------------------


def test_a_version_moves_in_the_order_of_the_page() -> None:
    assert [predecessor(name) for name in EnvironmentName] == [None, DEV, QA, UAT, STAGING]


def test_each_environment_has_the_door_that_its_gate_wants() -> None:
    assert {name: door(name) for name in EnvironmentName} == {
        DEV: Door("dev", Trigger.MERGE, reviewers=False, change_request=False),
        QA: Door("qa", Trigger.PERSON, reviewers=False, change_request=False),
        UAT: Door("uat", Trigger.PERSON, reviewers=False, change_request=False),
        STAGING: Door("staging", Trigger.PERSON, reviewers=True, change_request=False),
        LIVE: Door("live-cab", Trigger.PERSON, reviewers=True, change_request=True),
    }


# --- what runs -----------------------------------------------------------------------------------------------------


def test_what_runs_is_read_from_the_stack_output() -> None:
    slots = {
        "blue": {"version": OLD, "weight": 75, "capacity": "serving", "namespace": "quikapp-blue"},
        "green": {"version": NEW, "weight": 25, "changeRequest": FRESH},
    }
    assert Running.of(slots) == runs(OLD, NEW, 75)


@pytest.mark.parametrize("slots", [{}, {"blue": {}}, {"blue": 1, "green": 2}, {"blue": {"version": "v1"}}])
def test_an_output_that_says_something_else_is_no_answer(slots: dict[str, dict[str, object]]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Running.of(slots)


@pytest.mark.parametrize(
    ("running", "whole", "said"),
    [
        (runs(OLD, NEW, 100), OLD, "v2.3.0 at 100 %"),
        (runs(OLD, NEW, 0), NEW, "v2.4.0 at 100 %"),
        (runs(OLD, NEW, 75), None, "v2.3.0 at 75 % and v2.4.0 at 25 %"),
        (runs(OLD, OLD, 75), OLD, "v2.3.0 at 100 %"),
    ],
)
def test_a_version_is_whole_when_it_has_all_traffic(running: Running, whole: str | None, said: str) -> None:
    assert running.whole == whole
    assert str(running) == said


# --- one version forward -------------------------------------------------------------------------------------------


def test_what_the_environment_before_runs_at_100_percent_is_started() -> None:
    assert decide(UAT, NEW, calm(runs(OLD)), runs(NEW)) == Start(NEW, None)


def test_an_environment_that_was_skipped_refuses_and_says_what_it_runs() -> None:
    decision = decide(UAT, NEW, calm(runs(OLD)), runs(OLD, NEW))
    assert reason(decision) == "qa runs v2.3.0 at 100 %, not v2.4.0: deploy v2.4.0 to qa first"


def test_a_version_on_its_way_through_the_environment_before_is_not_there_yet() -> None:
    decision = decide(LIVE, NEW, live(), runs(OLD, NEW, 50), FRESH)
    assert (
        reason(decision)
        == "staging runs v2.3.0 at 50 % and v2.4.0 at 50 %, not v2.4.0 at 100 %: let its rollout end first"
    )


def test_an_environment_that_is_not_up_lets_nothing_through() -> None:
    decision = decide(QA, NEW, calm(runs(OLD)), None)
    assert reason(decision) == "dev is not up, and qa takes what dev runs: deploy v2.4.0 to dev first"


def test_the_first_environment_takes_any_version() -> None:
    assert decide(DEV, NEW, calm(runs(OLD)), None) == Start(NEW, None)


def test_an_environment_that_is_not_up_is_brought_up_first() -> None:
    # Whoever skips an environment hears of that first: it is of no use to bring this one up.
    skipped = decide(QA, NEW, calm(None), runs(OLD))
    assert "deploy v2.4.0 to dev first" in reason(skipped)
    decision = decide(QA, NEW, calm(None), runs(NEW))
    assert reason(decision) == "qa is not up: deploy its infrastructure first, without a version"


def test_what_runs_already_needs_nothing() -> None:
    assert decide(QA, NEW, calm(runs(OLD, NEW, 0)), runs(NEW)) == Nothing("qa runs v2.4.0 at 100 % already")


# --- resume, not restart -------------------------------------------------------------------------------------------


def test_the_same_trigger_again_goes_on_with_the_rollout_under_way() -> None:
    here = calm(runs(OLD, NEW, 75), under_way())
    assert decide(UAT, NEW, here, runs(NEW)) == Resume(NEW, None)


def test_what_is_under_way_goes_on_even_where_the_environment_before_has_moved_on() -> None:
    assert decide(UAT, NEW, calm(runs(OLD, NEW, 75), under_way()), runs(OTHER)) == Resume(NEW, None)


def test_another_version_waits_for_the_rollout_under_way() -> None:
    decision = decide(UAT, OTHER, calm(runs(OLD, NEW, 75), under_way()), runs(OTHER))
    assert reason(decision) == (
        "a rollout of v2.4.0 to green of uat is under way: deploy v2.4.0 to go on with it, or take it back: "
        "rollout rollback --stack uat --reason …"
    )


@pytest.mark.parametrize("change", [USED, "CHG0030099"])
def test_a_rollout_in_live_is_gone_on_with_under_its_own_change_request(change: str) -> None:
    here = live(runs(OLD, NEW, 95), under_way(change=FRESH))
    assert decide(LIVE, NEW, here, runs(NEW), FRESH) == Resume(NEW, FRESH)
    assert "under CHG0030042 is under way" in reason(decide(LIVE, NEW, here, runs(NEW), change))


def test_a_rollout_that_has_ended_holds_nobody_up() -> None:
    here = calm(runs(OLD), under_way(OTHER, ended=True))
    assert decide(UAT, NEW, here, runs(NEW)) == Start(NEW, None)


# --- change requests -----------------------------------------------------------------------------------------------


def test_live_takes_a_version_under_a_change_request_of_its_own() -> None:
    assert decide(LIVE, NEW, live(), runs(NEW), FRESH) == Start(NEW, FRESH)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            None,
            "live: gate: cab takes the number of a change request, such as CHG0030042, and none was given",
        ),
        ("CHG-1234", "live: CHG-1234: allowed is the number of a change request such as CHG0030042"),
        (USED, "CHG0030041 was used before, for v2.3.0: each deployment takes a change request of its own"),
    ],
)
def test_live_refuses_without_a_good_and_unused_change_request(change: str | None, said: str) -> None:
    assert reason(decide(LIVE, NEW, live(), runs(NEW), change)).startswith(said)
    assert reason(decide_infrastructure(LIVE, live(), OLD, change)).startswith(said)


@pytest.mark.parametrize("target", [DEV, QA, UAT, STAGING])
def test_no_other_environment_takes_one(target: EnvironmentName) -> None:
    said = f"{target}: CHG0030042: gate: manual takes no change request; allowed: none"
    assert reason(decide(target, NEW, calm(runs(OLD)), runs(NEW), FRESH)) == said
    assert reason(decide_infrastructure(target, calm(runs(OLD)), OLD, FRESH)) == said


def test_the_change_request_of_a_rollout_that_was_taken_back_is_used() -> None:
    here = live(rollout=under_way(change=FRESH, ended=True))
    assert "was used before, for v2.4.0" in reason(decide(LIVE, NEW, here, runs(NEW), FRESH))
    assert "was used before, for v2.4.0" in reason(decide_infrastructure(LIVE, here, OLD, FRESH))


def test_the_same_trigger_again_after_the_end_does_nothing_and_hides_no_reuse() -> None:
    ledger = (*LEDGER, ChangeRequest(request=FRESH, version=NEW))
    here = Situation(runs(OLD, NEW, 0), Gate.CAB, under_way(change=FRESH, ended=True), ledger, ledger, ledger)
    assert isinstance(decide(LIVE, NEW, here, runs(NEW), FRESH), Nothing)
    assert "was used before, for v2.3.0" in reason(decide(LIVE, NEW, here, runs(NEW), USED))


def test_a_stack_file_whose_ledger_contradicts_the_one_on_record_stops_everything() -> None:
    here = live(noted=(ChangeRequest(request=FRESH, version=NEW),))
    said = "noted (CHG0030042 for v2.4.0) are no beginning of all that are known (CHG0030041 for v2.3.0)"
    assert said in reason(decide(LIVE, NEW, here, runs(NEW), "CHG0030043"))
    assert said in reason(decide_infrastructure(LIVE, here, OLD, "CHG0030043"))


# --- infrastructure ------------------------------------------------------------------------------------------------


def test_infrastructure_needs_no_version_and_below_live_no_change_request() -> None:
    assert decide_infrastructure(DEV, calm(None), OLD) == Update(())
    assert decide_infrastructure(STAGING, calm(runs(OLD)), OLD) == Update(())


def test_infrastructure_of_live_is_noted_for_the_version_that_serves() -> None:
    entry = ChangeRequest(request=FRESH, version=OLD)
    assert decide_infrastructure(LIVE, live(), OLD, FRESH) == Update((*LEDGER, entry))


def test_infrastructure_waits_for_the_rollout_under_way() -> None:
    decision = decide_infrastructure(UAT, calm(runs(OLD, NEW, 75), under_way()), OLD)
    assert "a rollout of v2.4.0 to green of uat is under way" in reason(decision)


def test_a_deployment_of_infrastructure_that_broke_off_goes_on_under_the_same_change_request() -> None:
    begun = (*LEDGER, ChangeRequest(request=FRESH, version=OLD))
    assert decide_infrastructure(LIVE, live(noted=begun), OLD, FRESH) == Update(begun)
    # What is on record counts, even where the stack file of another checkout says nothing of it.
    assert decide_infrastructure(LIVE, replace(live(), begun=begun), OLD, FRESH) == Update(begun)
    through = replace(live(noted=begun), through=begun)
    assert "was used before" in reason(decide_infrastructure(LIVE, through, OLD, FRESH))


def test_a_stack_file_whose_record_is_missing_forgets_no_change_request() -> None:
    assert reason(decide_infrastructure(LIVE, live(noted=()), OLD, USED)).startswith("CHG0030041 was used")
    entry = ChangeRequest(request=FRESH, version=OLD)
    assert decide_infrastructure(LIVE, live(noted=()), OLD, FRESH) == Update((*LEDGER, entry))
