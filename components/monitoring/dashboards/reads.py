"""What several dashboards read, and where their panels lead."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import DashboardLink

from components.monitoring import rules
from components.monitoring.dashboards.panels import link
from components.monitoring.rules import Watched, alerts
from operations.slots import Slot

REQUESTS: Final = f"slot_service:{rules.REQUESTS}"
"""Requests a second, by slot and service."""
ERRORS: Final = f"slot_service:{rules.ERRORS}"
"""Failed requests a second, by slot and service."""

SLOT_NAMESPACES: Final = "|".join(slot.namespace for slot in Slot)


def volume_share(matchers: str) -> str:
    """PromQL of the share of each volume that is in use, as the alert counts it.

    What is reserved for root counts as used, since no part runs as root.
    """
    volume = "by (persistentvolumeclaim)"
    return (
        f"1 - max {volume} (kubelet_volume_stats_available_bytes{{{matchers}}}) "
        f"/ max {volume} (kubelet_volume_stats_capacity_bytes{{{matchers}}})"
    )


def runbook(watched: Watched, name: str) -> DashboardLink:
    """A link to what to do about an alert.

    Raises:
        LookupError: the environment has no alert of this name.
    """
    files = {alert.name: alert.runbook for alert in alerts(watched)}
    return link(f"Runbook: {name}", f"{watched.runbooks_url}/{files[name]}")
