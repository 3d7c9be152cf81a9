"""The dashboards, as typed code: one module a dashboard."""

import json
from collections.abc import Collection, Mapping
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from components.monitoring.dashboards.cluster import cluster
from components.monitoring.dashboards.data import data
from components.monitoring.dashboards.monitoring import monitoring
from components.monitoring.dashboards.overview import UID as HOME
from components.monitoring.dashboards.overview import overview
from components.monitoring.dashboards.panels import Asked, queries
from components.monitoring.dashboards.service import service
from components.monitoring.dashboards.slots import slots
from components.monitoring.rules import Watched

__all__ = ["HOME_FILE", "Asked", "dashboards", "files", "queries"]

HOME_FILE: Final = f"{HOME}.json"
"""The dashboard that Grafana opens with."""


def dashboards(watched: Watched, database_services: Collection[str]) -> tuple[Dashboard, ...]:
    """Every dashboard of an environment.

    Args:
        watched: what the environment's alerts are about; panels show the same.
        database_services: those of its services that use the database.
    """
    return (
        overview(watched),
        slots(watched),
        service(watched),
        cluster(watched),
        data(watched, database_services),
        monitoring(watched),
    )


def files(watched: Watched, database_services: Collection[str]) -> Mapping[str, str]:
    """The same as Grafana reads them: files of JSON, each named after its dashboard's UID."""
    return {
        f"{board.uid}.json": json.dumps(board, cls=JSONEncoder, sort_keys=True, separators=(",", ":"))
        for board in dashboards(watched, database_services)
    }
