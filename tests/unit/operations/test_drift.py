"""What is told of drift, and what becomes of the one issue about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.drift import (
    SHOWN_DIFFERENCES,
    Action,
    Cause,
    Close,
    Difference,
    Drift,
    Issue,
    Open,
    Replication,
    Rewrite,
    StateCopy,
    Unknown,
    actions,
    markdown,
    summary,
)
from operations.environments import EnvironmentName
from operations.limits import ISSUE_LENGTH

LIVE = EnvironmentName.LIVE
QUIET = Drift(stack=LIVE)
LOG = "https://github.example/quikapp/operations/actions/runs/1"
UNKNOWN = Unknown(LIVE, LOG)


def difference(
    name: str = "files", cause: Cause = Cause.OUTSIDE, properties: Sequence[str] = ("tags.Owner",)
) -> Difference:
    return Difference(
        operation="update", type="aws:s3/bucket:Bucket", name=name, properties=tuple(properties), cause=cause
    )


def drift(*differences: Difference) -> Drift:
    return Drift(stack=LIVE, differences=differences or (difference(),))


def test_the_first_drift_opens_an_issue_that_says_what_differs() -> None:
    (opened,) = actions(drift(), [])
    assert opened == Open("Drift: live", markdown(drift()))


def test_the_same_drift_again_changes_nothing() -> None:
    assert actions(drift(), [Issue(7, markdown(drift()))]) == ()


def test_another_drift_is_written_into_the_issue_that_is_open() -> None:
    now = drift(difference("backup"))
    assert actions(now, [Issue(7, markdown(drift()))]) == (Rewrite(7, markdown(now)),)


def test_what_is_quiet_again_closes_the_issue() -> None:
    assert actions(QUIET, [Issue(7, "…")]) == (Close(7, "Nothing differs any more."),)


def test_what_stays_quiet_needs_no_issue() -> None:
    assert actions(QUIET, []) == ()


def test_of_two_issues_the_older_one_goes_on() -> None:
    assert actions(drift(), [Issue(7, "…"), Issue(9, "…")]) == (
        Rewrite(7, markdown(drift())),
        Close(9, "Goes on in #7."),
    )


def after(open_issues: Sequence[Issue], done: Sequence[Action]) -> list[Issue]:
    """The issues that are open once this was done."""
    still = {issue.number: issue for issue in open_issues}
    for action in done:
        match action:
            case Open(body=body):
                still[max(still, default=0) + 1] = Issue(max(still, default=0) + 1, body)
            case Rewrite(number=number, body=body):
                still[number] = Issue(number, body)
            case Close(number=number):
                del still[number]
    return list(still.values())


def test_a_stack_that_could_not_be_looked_at_opens_the_same_issue_with_the_way_to_the_reason() -> None:
    (opened,) = actions(UNKNOWN, [])
    assert isinstance(opened, Open)
    assert opened.title == drift().title
    assert opened.body.startswith("live could not be held against Git: whether it differs is not known.\n")
    assert f"({LOG})" in opened.body
    assert "docs/drift.md#a-night-that-fails" in opened.body


def test_what_was_found_before_stays_below_through_any_number_of_such_nights() -> None:
    before = markdown(drift())
    for night in range(3):
        (rewritten,) = actions(Unknown(LIVE, f"{LOG}{night}"), [Issue(7, before)])
        assert isinstance(rewritten, Rewrite)
        before = rewritten.body
        assert before.startswith(summary(UNKNOWN))
        assert before.count(f"]({LOG}") == 1
        assert before.endswith(markdown(drift()).strip())
    # As it comes back once a person edited it on the page.
    (edited,) = actions(UNKNOWN, [Issue(7, before.replace("\n", "\r\n"))])
    assert isinstance(edited, Rewrite)
    assert "| `files` |" in edited.body


def test_the_first_night_that_does_not_fail_forgets_that_others_did() -> None:
    (opened,) = actions(UNKNOWN, [])
    assert isinstance(opened, Open)
    assert actions(drift(), [Issue(7, opened.body)]) == (Rewrite(7, markdown(drift())),)
    assert actions(QUIET, [Issue(7, opened.body)]) == (Close(7, "Nothing differs any more."),)


def test_whatever_the_issue_held_a_night_that_fails_fits_in() -> None:
    (rewritten,) = actions(UNKNOWN, [Issue(7, "x" * ISSUE_LENGTH.value)])
    assert isinstance(rewritten, Rewrite)
    assert len(rewritten.body) <= ISSUE_LENGTH.value


@given(st.lists(st.text(max_size=5), max_size=4))
def test_one_issue_is_open_where_nothing_is_known(bodies: list[str]) -> None:
    before = [Issue(number, body) for number, body in enumerate(bodies, start=1)]
    left = after(before, actions(UNKNOWN, before))
    assert len(left) == 1
    assert actions(UNKNOWN, left) == ()


@given(
    st.lists(st.sampled_from(["files", "backup", "logs"]), unique=True),
    st.lists(st.text(max_size=5), max_size=4),
)
def test_one_issue_is_open_where_there_is_drift_and_none_elsewhere(
    names: list[str], bodies: list[str]
) -> None:
    found = Drift(stack=LIVE, differences=tuple(map(difference, names)))
    before = [Issue(number, body) for number, body in enumerate(bodies, start=1)]
    left = after(before, actions(found, before))
    assert [issue.body for issue in left] == ([markdown(found)] if names else [])
    assert actions(found, left) == ()


# --- whether the state is copied -----------------------------------------------------------------------------------

ASKED = datetime(2026, 11, 24, 2, 17, tzinfo=UTC)


def stated(status: str, age: timedelta) -> Drift:
    """What a night finds that differs in nothing, of a state that is so old."""
    answer = f"{(ASKED - age).isoformat()}\t{status}\n"
    return Drift(stack=LIVE, copied=StateCopy.told(answer, ASKED))


@pytest.mark.parametrize(
    ("status", "age"),
    [
        ("FAILED", timedelta(minutes=1)),
        ("FAILED", timedelta(days=30)),
        ("None", timedelta(minutes=1)),
        ("None", timedelta(days=30)),
        ("PENDING", timedelta(minutes=15)),
        ("PENDING", timedelta(days=1)),
    ],
)
def test_a_state_that_is_in_one_region_only_opens_the_issue_though_nothing_differs(
    status: str, age: timedelta
) -> None:
    found = stated(status, age)
    body = markdown(found)
    assert actions(found, []) == (Open("Drift: live", body),)
    assert body.startswith("live is as Git declares it. Its state is not copied to the other region.\n")
    assert f"S3 says `{status}` of its copy" in body
    assert "docs/drift.md#a-state-that-is-not-copied" in body
    assert f"written on {ASKED - age:%Y-%m-%d %H:%M} UTC" in body


@pytest.mark.parametrize(
    ("status", "age"),
    [
        ("COMPLETED", timedelta(minutes=1)),
        ("COMPLETED", timedelta(days=30)),
        ("REPLICA", timedelta(days=30)),
        ("PENDING", timedelta(minutes=14, seconds=59)),
    ],
)
def test_a_state_that_is_in_both_regions_or_on_its_way_is_quiet(status: str, age: timedelta) -> None:
    found = stated(status, age)
    assert found.is_quiet
    assert actions(found, []) == ()
    assert actions(found, [Issue(7, "…")]) == (Close(7, "Nothing differs any more."),)
    assert markdown(found) == "live is as Git declares it.\n"


def test_night_after_night_a_state_that_is_not_copied_gives_the_same_text() -> None:
    written = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    first, second = (
        Drift(stack=LIVE, copied=StateCopy(status=Replication.FAILED, written=written, asked=asked))
        for asked in (ASKED, ASKED + timedelta(days=1))
    )
    assert actions(second, [Issue(7, markdown(first))]) == ()


def test_what_differs_and_a_state_that_is_not_copied_are_told_in_one_issue() -> None:
    found = drift().model_copy(update={"copied": stated("FAILED", timedelta(days=1)).copied})
    text = markdown(found)
    assert text.startswith(f"{summary(drift())} Its state is not copied to the other region.\n")
    assert "S3 says `FAILED`" in text
    assert "| `files` |" in text


def test_where_nobody_asked_nothing_is_said_of_the_copy() -> None:
    assert QUIET.copied is None
    assert QUIET.is_quiet
    assert "copied" not in markdown(drift())


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "None",
        "2026-11-24T02:00:00+00:00",
        "2026-11-24T02:00:00+00:00\tLATE",
        "2026-11-24T02:00:00\tCOMPLETED",  # of which zone?
        "yesterday\tCOMPLETED",
        "2026-11-24T02:00:00+00:00\tCOMPLETED\tCOMPLETED",
    ],
)
def test_an_answer_that_is_something_else_is_refused(answer: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        StateCopy.told(answer, ASKED)


def test_the_summary_counts_and_says_who_changed_it() -> None:
    assert summary(QUIET) == "live is as Git declares it."
    assert summary(drift()) == "live differs from Git in 1 resource, of which 1 changed outside of Pulumi."
    two = drift(difference(), difference("backup", Cause.UNDEPLOYED))
    assert summary(two) == "live differs from Git in 2 resources, of which 1 changed outside of Pulumi."


def test_a_report_names_operation_resource_and_properties() -> None:
    assert "| update | `aws:s3/bucket:Bucket` | `files` | `tags.Owner` | outside |" in markdown(drift())
    assert "pulumi preview --refresh --diff --stack live" in markdown(drift())


@pytest.mark.parametrize("name", ["a|b", "a`b", "a\nb", "a`|`b"])
def test_no_name_breaks_out_of_its_cell(name: str) -> None:
    (row,) = [line for line in markdown(drift(difference(name))).splitlines() if "s3/bucket" in line]
    assert row.count("|") == 6
    assert row.count("`") == 6


def test_a_report_of_any_size_fits_an_issue() -> None:
    many = [
        difference(f"{number}-{'n' * 300}", properties=["p" * 300 + str(index) for index in range(50)])
        for number in range(500)
    ]
    text = markdown(drift(*many))
    assert len(text) <= ISSUE_LENGTH.value
    assert f"… and {500 - SHOWN_DIFFERENCES} more." in text


def test_drift_survives_the_file_between_the_two_commands() -> None:
    found = drift(difference(), difference("backup", Cause.UNDEPLOYED))
    found = found.model_copy(update={"copied": stated("None", timedelta(hours=2)).copied})
    assert Drift.model_validate_json(found.model_dump_json(by_alias=True)) == found
