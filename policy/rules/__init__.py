"""Every rule of the pack, by subject."""

from typing import Final

from policy.resources import AnyRule
from policy.rules import (
    buckets,
    encryption,
    exposure,
    permissions,
    plaintext,
    protection,
    regions,
    retention,
    tags,
    traffic,
    workloads,
)

RULES: Final[tuple[AnyRule, ...]] = (
    *encryption.RULES,
    *buckets.RULES,
    *exposure.RULES,
    *tags.RULES,
    *permissions.RULES,
    *protection.RULES,
    *retention.RULES,
    *traffic.RULES,
    *workloads.RULES,
    *plaintext.RULES,
    *regions.RULES,
)
