"""Retention: copies are kept at least as long as the operations page promises ("Backup Schedule")."""

import re
from collections.abc import Iterator
from typing import Final

from operations.backup import Data, retention_days
from policy.resources import Resource, Rule, Violation, items, mapping

_KINDS: Final = (Data.DATABASE, Data.FILES)
"""What AWS keeps copies of."""

_BACKUP: Final = re.compile(r"(^|-)backup-lifecycle$")
"""How the name says that a lifecycle is a backup bucket's; other buckets promise nothing."""


def _kept(resource: Resource) -> Iterator[Violation]:
    match resource.type:
        case "aws:rds/cluster:Cluster" | "aws:rds/instance:Instance":
            path = "backupRetentionPeriod"
            yield from _at_least(resource, path, resource.at(path) or 1, Data.DATABASE)  # RDS's own default
        case "aws:cloudwatch/logGroup:LogGroup":
            # None and zero keep without limit.
            yield from _at_least(
                resource, "retentionInDays", resource.at("retentionInDays") or None, Data.LOGS
            )
        case "aws:backup/plan:Plan":
            yield from _plan(resource)
        case "aws:backup/vaultLockConfiguration:VaultLockConfiguration":
            path = "minRetentionDays"
            yield from _at_least(
                resource, path, resource.at(path) or 0, _data(resource.at("backupVaultName"))
            )
        case "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration":
            days = resource.at("rule", "defaultRetention", "days")
            yield from _at_least(resource, "rule.defaultRetention.days", days, Data.FILES)
        case "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration" if _BACKUP.search(
            resource.name
        ):
            yield from _lifecycle(resource)
        case _:
            pass


def _lifecycle(lifecycle: Resource) -> Iterator[Violation]:
    """What a backup bucket deletes by age: versions that were replaced, and objects themselves."""
    for place, rule in enumerate(items(lifecycle.at("rules"))):
        for group, field in (("noncurrentVersionExpiration", "noncurrentDays"), ("expiration", "days")):
            # None and zero delete nothing by age.
            days = mapping(mapping(rule).get(group)).get(field) or None
            yield from _at_least(lifecycle, f"rules[{place}].{group}.{field}", days, Data.FILES)


def _plan(plan: Resource) -> Iterator[Violation]:
    data = _data(plan.at("name"))
    for place, rule in enumerate(items(plan.at("rules"))):
        lives = [
            ("", rule),
            *((f".copyActions[{n}]", copy) for n, copy in enumerate(items(mapping(rule).get("copyActions")))),
        ]
        for path, kept in lives:
            # Without a lifecycle a recovery point is kept without limit.
            days = mapping(mapping(kept).get("lifecycle")).get("deleteAfter")
            yield from _at_least(plan, f"rules[{place}]{path}.lifecycle.deleteAfter", days, data)


def _at_least(resource: Resource, path: str, days: object, data: Data) -> Iterator[Violation]:
    if isinstance(days, int | float) and days < retention_days(data):
        yield resource.breaks(
            path, days, f"{retention_days(data)} days or more, as the page promises for {data}"
        )


def _data(name: object) -> Data:
    """Return what a vault or plan keeps, which its name ends in; where it does not say, what is promised the least."""
    named = [data for data in _KINDS if isinstance(name, str) and name.endswith(f"-{data}")]
    return min(named or _KINDS, key=retention_days)


RULES: Final = (
    Rule(
        name="retention",
        description="Backups and logs are kept as long as the operations page promises, or longer.",
        check=_kept,
    ),
)
