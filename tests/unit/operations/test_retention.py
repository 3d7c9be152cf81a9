"""Plans of retention: their traps, judged by a table of what AWS documents that was written down independently."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.backup import Data
from operations.retention import (
    STORAGE,
    BucketPlan,
    Lock,
    LockMode,
    Retrieval,
    StorageClass,
    Transition,
    VaultPlan,
    checked,
    files_plan,
    read_time,
    traps,
    vault_plan,
)

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)

S3: Final[dict[str, tuple[int, int, dict[str, timedelta]]]] = {
    "STANDARD": (0, 0, {}),
    "STANDARD_IA": (30, 128, {}),
    "GLACIER_IR": (90, 128, {}),
    "GLACIER": (90, 0, {"Expedited": 5 * MINUTE, "Standard": 5 * HOUR, "Bulk": 12 * HOUR}),
    "DEEP_ARCHIVE": (180, 0, {"Standard": 12 * HOUR, "Bulk": 48 * HOUR}),
}
"""Days and KB that each class bills at least, and what its retrievals take at most; from the warmest to the coldest.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
"""

DAYS_BEFORE_IA: Final = 30
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html"""

CONTINUOUS_DAYS: Final = 35
"""https://docs.aws.amazon.com/aws-backup/latest/devguide/point-in-time-recovery.html"""

COLD_DAYS: Final = 90
"""https://docs.aws.amazon.com/aws-backup/latest/devguide/API_Lifecycle.html"""

RTO: Final = 15 * MINUTE
"""The operations page, "Recovery Objectives"."""


def told(plan: BucketPlan | VaultPlan) -> list[str]:
    return [str(trap) for trap in traps(plan)]


def bucket(days: int, *transitions: Transition) -> BucketPlan:
    return BucketPlan(name="b", keep_days=days, transitions=transitions)


def to(storage_class: StorageClass, day: int) -> Transition:
    return Transition(after_days=day, storage_class=storage_class)


GOOD: Final = VaultPlan(
    name="v",
    keep_days=35,
    copy_days=35,
    lock=Lock(mode=LockMode.COMPLIANCE, min_days=35, max_days=365),
)


def test_the_storage_classes_are_what_aws_documents() -> None:
    assert {
        name: (storage.minimum_days, storage.minimum_kb, dict(storage.retrievals))
        for name, storage in STORAGE.items()
    } == S3
    assert list(STORAGE) == list(StorageClass)


# --- each trap, word for word ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "report"),
    [
        pytest.param(
            bucket(60, to(StorageClass.GLACIER_INSTANT, 0)),
            "b.transitions[0] = GLACIER_IR on day 0: the class bills at least 90 days and keeps 60: 30 days are paid for "
            "nothing",
            id="a minimum stay that exceeds what is left before expiry",
        ),
        pytest.param(
            bucket(90, to(StorageClass.GLACIER_INSTANT, 1)),
            "b.transitions[0] = GLACIER_IR on day 1: the class bills at least 90 days and keeps 89: 1 days are paid for "
            "nothing",
            id="a day too late",
        ),
        pytest.param(
            bucket(400, to(StorageClass.GLACIER_INSTANT, 0), to(StorageClass.DEEP_ARCHIVE, 30)),
            "b.transitions[0] = GLACIER_IR on day 0: the class bills at least 90 days and keeps 30: 60 days are paid for "
            "nothing",
            id="a minimum stay that exceeds what is left before the next class",
        ),
        pytest.param(
            bucket(90, to(StorageClass.GLACIER_INSTANT, 90)),
            "b.transitions[0] = GLACIER_IR on day 90: never happens: what is kept for 90 days is gone by then",
            id="a transition on the day of expiry",
        ),
        pytest.param(
            bucket(400, to(StorageClass.STANDARD_IA, 29)),
            "b.transitions[0] = STANDARD_IA on day 29: S3 moves nothing to this class before day 30 "
            "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html)",
            id="infrequent access too soon",
        ),
        pytest.param(
            bucket(400, to(StorageClass.GLACIER_FLEXIBLE, 0), to(StorageClass.GLACIER_INSTANT, 100)),
            "b.transitions[1] = GLACIER_IR on day 100: comes later and is colder than the one before",
            id="a transition to a warmer class",
        ),
        pytest.param(
            bucket(90, Transition(after_days=0, storage_class=StorageClass.GLACIER_INSTANT, smallest_kb=1)),
            "b.transitions[0].smallest_kb = 1: the class bills every object as 128 KB at least; smaller ones stay where "
            "they are",
            id="objects under 128 KB",
        ),
        pytest.param(
            replace(bucket(90, to(StorageClass.GLACIER_FLEXIBLE, 0)), read_within=RTO),
            "b.transitions[0] = GLACIER on day 0: a Standard retrieval takes up to 5 h, and what is read has to be there "
            "in less than 15 min",
            id="a class that takes longer to read than the recovery time",
        ),
        pytest.param(
            replace(
                bucket(180, to(StorageClass.DEEP_ARCHIVE, 0)), read_within=RTO, retrieval=Retrieval.EXPEDITED
            ),
            "b.transitions[0] = DEEP_ARCHIVE on day 0: the class has no Expedited retrieval to read from it with",
            id="a retrieval that the class does not have",
        ),
        pytest.param(
            BucketPlan(name="b", keep_days=90, versioned=False, replicated=True),
            "b.replicated: takes a versioned bucket",
            id="replication without versioning",
        ),
        pytest.param(
            BucketPlan(name="b", keep_days=90, versioned=False, object_lock_days=90),
            "b.object_lock_days: takes a versioned bucket",
            id="a lock without versioning",
        ),
        pytest.param(
            BucketPlan(name="b", keep_days=90, object_lock_days=89),
            "b.object_lock_days = 89: is shorter than the 90 days that are kept",
            id="an object lock shorter than the retention",
        ),
        pytest.param(
            BucketPlan(name="b", keep_days=0),
            "b.keep_days = 0: allowed is at least 1",
            id="a bucket for 0 days",
        ),
        pytest.param(
            VaultPlan(name="v", keep_days=0, copy_days=1),
            "v.keep_days = 0: allowed is at least 1",
            id="a vault for 0 days",
        ),
        pytest.param(
            replace(GOOD, keep_days=36, copy_days=36, continuous=True, lock=None),
            "v.keep_days = 36: a continuous backup is kept for at most 35 days "
            "(https://docs.aws.amazon.com/aws-backup/latest/devguide/point-in-time-recovery.html)",
            id="a continuous backup over 35 days",
        ),
        pytest.param(
            replace(GOOD, continuous=True, cold_after_days=1),
            "v.cold_after_days = 1: a continuous backup has no cold storage "
            "(https://docs.aws.amazon.com/aws-backup/latest/devguide/point-in-time-recovery.html)",
            id="a continuous backup with cold storage",
        ),
        pytest.param(
            replace(GOOD, keep_days=100, copy_days=189, cold_after_days=99, lock=None),
            "v.cold_after_days = 99: cold storage takes at least 90 days, and keep_days leaves 1 "
            "(https://docs.aws.amazon.com/aws-backup/latest/devguide/API_Lifecycle.html)",
            id="cold storage for less than its minimum",
        ),
        pytest.param(
            replace(GOOD, keep_days=90, copy_days=190, cold_after_days=90, lock=None),
            "v.cold_after_days = 90: never happens: keep_days is 90, and what it keeps is gone by then",
            id="cold storage after the expiry",
        ),
        pytest.param(
            replace(GOOD, copy_days=34, lock=None),
            "v.copy_days = 34: the copies go before what they are copies of, which is kept for 35 days",
            id="copies that go first",
        ),
        pytest.param(
            replace(GOOD, lock=Lock(mode=LockMode.GOVERNANCE, min_days=34, max_days=None)),
            "v.lock.min_days = 34: is shorter than the 35 days that are promised: a changed plan may keep for less",
            id="a lock shorter than the retention",
        ),
        pytest.param(
            replace(GOOD, copy_days=40, lock=Lock(mode=LockMode.GOVERNANCE, min_days=36, max_days=None)),
            "v.lock.min_days = 36: is longer than keep_days, which is 35: the vault refuses every recovery point",
            id="a lock longer than the retention",
        ),
        pytest.param(
            replace(GOOD, copy_days=40, lock=Lock(mode=LockMode.GOVERNANCE, min_days=35, max_days=39)),
            "v.lock.max_days = 39: is shorter than copy_days, which is 40: the vault refuses every recovery point",
            id="a lock that lets nothing live as long as the retention",
        ),
    ],
)
def test_a_trap_is_told_word_for_word(plan: BucketPlan | VaultPlan, report: str) -> None:
    assert told(plan) == [report]
    with pytest.raises(ValueError, match=r"."):
        checked(plan)


def test_a_plan_with_several_traps_is_refused_with_all_of_them() -> None:
    plan = replace(GOOD, keep_days=40, continuous=True, cold_after_days=1)

    with pytest.raises(
        ValueError, match=r"v\.copy_days = 35: .*; v\.keep_days = 40: .*; v\.cold_after_days = 1: "
    ):
        checked(plan)


def test_a_plan_without_a_trap_is_what_it_was() -> None:
    assert checked(GOOD) is GOOD
    assert told(replace(GOOD, keep_days=100, copy_days=100, cold_after_days=10, lock=None)) == []


# --- any plan, against the table ---------------------------------------------------------------------------------------

classes = st.sampled_from(StorageClass)
days = st.integers(1, 800)


@given(
    keep=days,
    after=st.integers(0, 800),
    storage_class=classes,
    smallest=st.sampled_from([0, 1, 127, 128, 1024]),
    retrieval=st.sampled_from(Retrieval),
    in_time=st.booleans(),
)
def test_a_move_to_a_class_has_a_trap_exactly_where_the_table_says_so(
    keep: int, after: int, storage_class: StorageClass, smallest: int, retrieval: Retrieval, in_time: bool
) -> None:
    minimum, kilobytes, retrievals = S3[storage_class]
    slow = in_time and bool(retrievals) and retrievals.get(retrieval, timedelta.max) >= RTO
    expected = (
        storage_class == "STANDARD"
        or (storage_class == "STANDARD_IA" and after < DAYS_BEFORE_IA)
        or keep - after < max(minimum, 1)
        or smallest < kilobytes
        or slow
    )

    plan = BucketPlan(
        name="b",
        keep_days=keep,
        transitions=(Transition(after_days=after, storage_class=storage_class, smallest_kb=smallest),),
        read_within=RTO if in_time else None,
        retrieval=retrieval,
    )

    assert bool(traps(plan)) == expected


@given(keep=days, moves=st.lists(st.tuples(st.integers(0, 800), classes), max_size=4))
def test_moves_through_several_classes_are_good_where_each_is_later_colder_and_stays_long_enough(
    keep: int, moves: list[tuple[int, StorageClass]]
) -> None:
    order = list(S3)
    leaves = [*(day for day, _ in moves[1:]), keep]
    coldness = [0, *(order.index(name) for _, name in moves)]
    expected = (
        all(one < other for one, other in pairwise(coldness))
        and all(leave - day >= max(S3[name][0], 1) for (day, name), leave in zip(moves, leaves, strict=False))
        and all(day >= DAYS_BEFORE_IA for day, name in moves if name == "STANDARD_IA")
    )

    assert (not traps(bucket(keep, *(to(name, day) for day, name in moves)))) == expected


@given(
    keep=st.integers(1, 400),
    copy=st.integers(1, 400),
    continuous=st.booleans(),
    cold=st.none() | st.integers(0, 400),
    lock=st.none() | st.tuples(st.integers(1, 400), st.none() | st.integers(1, 400)),
)
def test_a_vault_has_a_trap_exactly_where_aws_would_refuse_drop_or_shorten_something(
    keep: int, copy: int, continuous: bool, cold: int | None, lock: tuple[int, int | None] | None
) -> None:
    good = copy >= keep
    if continuous:
        good &= keep <= CONTINUOUS_DAYS and cold is None
    elif cold is not None:
        good &= min(keep, copy) - cold >= COLD_DAYS
    if lock is not None:
        least, most = lock
        good &= least == keep and (most is None or most >= max(keep, copy))

    plan = VaultPlan(
        name="v",
        keep_days=keep,
        copy_days=copy,
        continuous=continuous,
        cold_after_days=cold,
        lock=None if lock is None else Lock(mode=LockMode.GOVERNANCE, min_days=lock[0], max_days=lock[1]),
    )

    assert (not traps(plan)) == good


@given(storage_class=classes, retrieval=st.sampled_from(Retrieval))
def test_what_is_not_archived_is_read_at_once(storage_class: StorageClass, retrieval: Retrieval) -> None:
    retrievals = S3[storage_class][2]

    assert read_time(storage_class, retrieval) == (retrievals.get(retrieval) if retrievals else timedelta())


# --- the plans of environments ----------------------------------------------------------------------------------------


@given(kept=st.integers(90, 36_500))
def test_files_lie_in_glacier_from_their_first_day_for_any_retention_that_a_stack_file_may_state(
    kept: int,
) -> None:
    plan = files_plan(kept, None)

    assert (plan.keep_days, plan.transitions, plan.versioned) == (
        kept,
        (Transition(after_days=0, storage_class=StorageClass.GLACIER_INSTANT, smallest_kb=128),),
        True,
    )
    assert plan.read_within == RTO


def test_files_that_go_before_glacier_has_billed_its_least_are_refused() -> None:
    with pytest.raises(
        ValueError, match="the class bills at least 90 days and keeps 89: 1 days are paid for nothing"
    ):
        files_plan(89, None)


@given(
    data=st.sampled_from([Data.DATABASE, Data.FILES]), kept=days, mode=st.none() | st.sampled_from(LockMode)
)
def test_a_vault_keeps_as_long_in_each_region_and_its_lock_no_less(
    data: Data, kept: int, mode: LockMode | None
) -> None:
    plan = vault_plan(data, kept, mode)

    assert (plan.name, plan.keep_days, plan.copy_days, plan.continuous) == (data, kept, kept, False)
    if mode is None:
        assert plan.lock is None
    else:
        assert plan.lock == Lock(mode=mode, min_days=kept, max_days=max(kept, 365))
