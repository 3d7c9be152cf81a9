"""How long backups are kept and in which storage, as plans; and the traps that a plan can hold.

A plan is checked before anything is planned: AWS takes many of these and bills, drops or delays them later.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, TypeVar

from operations import limits
from operations.backup import Data
from operations.faults import Fault
from operations.limits import (
    COLD_STORAGE_MINIMUM,
    CONTINUOUS_BACKUP_DAYS,
    INFREQUENT_ACCESS_FIRST_DAYS,
    SMALLEST_BILLED_OBJECT,
)
from operations.recovery import RTO, spelled

# --- storage -------------------------------------------------------------------------------------------------------


@unique
class StorageClass(StrEnum):
    """A storage class of S3, as its API spells it, from the warmest to the coldest."""

    STANDARD = "STANDARD"
    STANDARD_IA = "STANDARD_IA"
    GLACIER_INSTANT = "GLACIER_IR"
    GLACIER_FLEXIBLE = "GLACIER"
    DEEP_ARCHIVE = "DEEP_ARCHIVE"


@unique
class Retrieval(StrEnum):
    """How an archived object is asked for; the other classes are simply read."""

    EXPEDITED = "Expedited"
    STANDARD = "Standard"
    BULK = "Bulk"


@dataclass(frozen=True)
class Storage:
    """What S3 says of a class."""

    minimum_days: int
    """Billed in any case, counted from the arrival in the class."""
    minimum_kb: int
    """Billed in any case, of each object."""
    retrievals: Mapping[Retrieval, timedelta]
    """How long each takes at most, typically; none where an object is read at once."""


STORAGE: Final[Mapping[StorageClass, Storage]] = MappingProxyType(
    {
        StorageClass.STANDARD: Storage(0, 0, {}),
        StorageClass.STANDARD_IA: Storage(
            limits.INFREQUENT_ACCESS_MINIMUM_STORAGE.value, SMALLEST_BILLED_OBJECT.value, {}
        ),
        StorageClass.GLACIER_INSTANT: Storage(
            limits.GLACIER_MINIMUM_STORAGE.value, SMALLEST_BILLED_OBJECT.value, {}
        ),
        StorageClass.GLACIER_FLEXIBLE: Storage(
            limits.GLACIER_MINIMUM_STORAGE.value,
            0,
            {
                Retrieval.EXPEDITED: timedelta(minutes=limits.GLACIER_EXPEDITED_RETRIEVAL.value),
                Retrieval.STANDARD: timedelta(hours=limits.GLACIER_STANDARD_RETRIEVAL.value),
                Retrieval.BULK: timedelta(hours=limits.GLACIER_BULK_RETRIEVAL.value),
            },
        ),
        StorageClass.DEEP_ARCHIVE: Storage(
            limits.DEEP_ARCHIVE_MINIMUM_STORAGE.value,
            0,
            {
                Retrieval.STANDARD: timedelta(hours=limits.DEEP_ARCHIVE_STANDARD_RETRIEVAL.value),
                Retrieval.BULK: timedelta(hours=limits.DEEP_ARCHIVE_BULK_RETRIEVAL.value),
            },
        ),
    }
)


def read_time(storage_class: StorageClass, retrieval: Retrieval) -> timedelta | None:
    """Return how long the first byte of an object takes at most, typically; None where the class has no such retrieval."""
    retrievals = STORAGE[storage_class].retrievals
    return retrievals.get(retrieval) if retrievals else timedelta()


# --- plans ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A move of objects to a colder class."""

    after_days: int
    """Counted from the object's creation."""
    storage_class: StorageClass
    smallest_kb: int = SMALLEST_BILLED_OBJECT.value
    """Smaller objects stay; S3 by itself leaves those under 128 KB."""


@dataclass(frozen=True, kw_only=True)
class BucketPlan:
    """How long a bucket keeps what was overwritten or deleted, and where that lies meanwhile."""

    name: str
    keep_days: int
    """Then a noncurrent version expires. What is current does not."""
    transitions: tuple[Transition, ...] = ()
    versioned: bool = True
    replicated: bool = False
    """Whether S3 replicates the bucket to another."""
    object_lock_days: int | None = None
    """Days in which no version can be deleted; None is no lock."""
    read_within: timedelta | None = None
    """An object has to be readable in less than this; None is no matter how long."""
    retrieval: Retrieval = Retrieval.STANDARD
    """How archived objects are asked for when it counts."""


@unique
class LockMode(StrEnum):
    """Who can take a vault's lock off: in governance whoever has the permission; in compliance nobody, not even AWS."""

    GOVERNANCE = "governance"
    COMPLIANCE = "compliance"


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock on a vault: it fails every job that keeps for less or for longer.

    Source: https://docs.aws.amazon.com/aws-backup/latest/devguide/vault-lock.html
    """

    mode: LockMode
    min_days: int
    max_days: int | None
    """None is no bound."""


@dataclass(frozen=True, kw_only=True)
class VaultPlan:
    """How long AWS Backup keeps recovery points of one kind of data, in a vault in each region."""

    name: str
    keep_days: int
    """In the vault at home."""
    copy_days: int
    """Of the copies, in the vault of the recovery region."""
    continuous: bool = False
    """Whether to any second, instead of once a day."""
    cold_after_days: int | None = None
    """When recovery points move to cold storage; None is never."""
    lock: Lock | None = None
    """On both vaults."""


Plan = TypeVar("Plan", bound=BucketPlan | VaultPlan)


# --- traps ---------------------------------------------------------------------------------------------------------


def traps(plan: BucketPlan | VaultPlan) -> list[Fault]:
    """Return every trap of a plan; each says what is wrong and what is allowed."""
    return list(_bucket_traps(plan) if isinstance(plan, BucketPlan) else _vault_traps(plan))


def checked(plan: Plan) -> Plan:
    """Return a plan that has no trap.

    Raises:
        ValueError: with all its traps.
    """
    if found := traps(plan):
        raise ValueError("; ".join(map(str, found)))
    return plan


def _bucket_traps(plan: BucketPlan) -> Iterator[Fault]:
    if plan.keep_days < 1:
        yield Fault(f"{plan.name}.keep_days", "allowed is at least 1", str(plan.keep_days))
    if not plan.versioned:
        for what, wanted in (("replicated", plan.replicated), ("object_lock_days", plan.object_lock_days)):
            if wanted:
                yield Fault(f"{plan.name}.{what}", "takes a versioned bucket")
    if plan.object_lock_days is not None and plan.object_lock_days < plan.keep_days:
        yield Fault(
            f"{plan.name}.object_lock_days",
            f"is shorter than the {plan.keep_days} days that are kept",
            str(plan.object_lock_days),
        )
    # The last class is left at the expiry, which without a transition nothing waits for.
    leaves = [*(step.after_days for step in plan.transitions[1:]), plan.keep_days]
    warmth = list(StorageClass)
    before = (-1, StorageClass.STANDARD)
    for place, (step, leave) in enumerate(zip(plan.transitions, leaves, strict=False)):
        key = f"{plan.name}.transitions[{place}]"
        storage = STORAGE[step.storage_class]
        if step.after_days <= before[0] or warmth.index(step.storage_class) <= warmth.index(before[1]):
            yield Fault(key, "comes later and is colder than the one before", _spelled(step))
        before = (step.after_days, step.storage_class)
        if (
            step.storage_class is StorageClass.STANDARD_IA
            and step.after_days < INFREQUENT_ACCESS_FIRST_DAYS.value
        ):
            yield Fault(
                key,
                f"S3 moves nothing to this class before day {INFREQUENT_ACCESS_FIRST_DAYS.value} "
                f"({INFREQUENT_ACCESS_FIRST_DAYS.source})",
                _spelled(step),
            )
        stay = leave - step.after_days
        if step.after_days >= plan.keep_days:
            yield Fault(
                key, f"never happens: what is kept for {plan.keep_days} days is gone by then", _spelled(step)
            )
        elif 0 < stay < storage.minimum_days:
            yield Fault(
                key,
                f"the class bills at least {storage.minimum_days} days and keeps {stay}: "
                f"{storage.minimum_days - stay} days are paid for nothing",
                _spelled(step),
            )
        if step.smallest_kb < storage.minimum_kb:
            yield Fault(
                f"{key}.smallest_kb",
                f"the class bills every object as {storage.minimum_kb} KB at least; smaller ones stay where they are",
                str(step.smallest_kb),
            )
        if plan.read_within is not None:
            takes = read_time(step.storage_class, plan.retrieval)
            if takes is None:
                yield Fault(
                    key, f"the class has no {plan.retrieval} retrieval to read from it with", _spelled(step)
                )
            elif takes >= plan.read_within:
                yield Fault(
                    key,
                    f"a {plan.retrieval} retrieval takes up to {spelled(takes)}, and what is read has to be there in less "
                    f"than {spelled(plan.read_within)}",
                    _spelled(step),
                )


def _spelled(step: Transition) -> str:
    return f"{step.storage_class} on day {step.after_days}"


def _vault_traps(plan: VaultPlan) -> Iterator[Fault]:
    if plan.keep_days < 1:
        yield Fault(f"{plan.name}.keep_days", "allowed is at least 1", str(plan.keep_days))
    if plan.copy_days < plan.keep_days:
        yield Fault(
            f"{plan.name}.copy_days",
            f"the copies go before what they are copies of, which is kept for {plan.keep_days} days",
            str(plan.copy_days),
        )
    if plan.continuous:
        if plan.keep_days > CONTINUOUS_BACKUP_DAYS.value:
            yield Fault(
                f"{plan.name}.keep_days",
                f"a continuous backup is kept for at most {CONTINUOUS_BACKUP_DAYS.value} days "
                f"({CONTINUOUS_BACKUP_DAYS.source})",
                str(plan.keep_days),
            )
        if plan.cold_after_days is not None:
            yield Fault(
                f"{plan.name}.cold_after_days",
                f"a continuous backup has no cold storage ({CONTINUOUS_BACKUP_DAYS.source})",
                str(plan.cold_after_days),
            )
    elif plan.cold_after_days is not None:
        for what, days in (("keep_days", plan.keep_days), ("copy_days", plan.copy_days)):
            left = days - plan.cold_after_days
            if left <= 0:
                yield Fault(
                    f"{plan.name}.cold_after_days",
                    f"never happens: {what} is {days}, and what it keeps is gone by then",
                    str(plan.cold_after_days),
                )
            elif left < COLD_STORAGE_MINIMUM.value:
                yield Fault(
                    f"{plan.name}.cold_after_days",
                    f"cold storage takes at least {COLD_STORAGE_MINIMUM.value} days, and {what} leaves {left} "
                    f"({COLD_STORAGE_MINIMUM.source})",
                    str(plan.cold_after_days),
                )
    if (lock := plan.lock) is not None:
        for what, days in (("keep_days", plan.keep_days), ("copy_days", plan.copy_days)):
            if lock.min_days > days:
                yield Fault(
                    f"{plan.name}.lock.min_days",
                    f"is longer than {what}, which is {days}: the vault refuses every recovery point",
                    str(lock.min_days),
                )
            if lock.max_days is not None and lock.max_days < days:
                yield Fault(
                    f"{plan.name}.lock.max_days",
                    f"is shorter than {what}, which is {days}: the vault refuses every recovery point",
                    str(lock.max_days),
                )
        if lock.min_days < plan.keep_days:
            yield Fault(
                f"{plan.name}.lock.min_days",
                f"is shorter than the {plan.keep_days} days that are promised: a changed plan may keep for less",
                str(lock.min_days),
            )


# --- the plans of an environment -----------------------------------------------------------------------------------

LONGEST_LOCKED: Final = 365
"""Days beyond which a locked vault keeps nothing, unless more is promised: no mistake and no intruder can leave in it
what has to be paid for ever."""


def files_plan(days: int, mode: LockMode | None) -> BucketPlan:
    """Return how the backup bucket in the recovery region keeps the files: current ones as long as they are current,
    others for a number of days, all of them in Glacier from their first day and readable at once (docs/adr/0009).

    Args:
        days: for how long.
        mode: of the lock, which lasts as long; None is no lock.

    Raises:
        ValueError: the plan has a trap.
    """
    return checked(
        BucketPlan(
            name="files",
            keep_days=days,
            transitions=(Transition(after_days=0, storage_class=StorageClass.GLACIER_INSTANT),),
            object_lock_days=None if mode is None else days,
            read_within=RTO,
        )
    )


def vault_plan(data: Data, days: int, mode: LockMode | None) -> VaultPlan:
    """Return how the vaults keep one kind of data: as long in each region, warm, once a day.

    A vault holds one kind of data, since its lock has one minimum. The recovery points are snapshots: of the database
    Aurora itself has a continuous backup, and AWS Backup's would take its retention over.

    Args:
        data: what is kept.
        days: for how long.
        mode: of the lock; None is no lock.

    Raises:
        ValueError: the plan has a trap.
    """
    lock = None if mode is None else Lock(mode=mode, min_days=days, max_days=max(days, LONGEST_LOCKED))
    return checked(VaultPlan(name=data, keep_days=days, copy_days=days, lock=lock))
