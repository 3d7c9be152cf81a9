"""What the rules of the five environments are about, written out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from components.monitoring.rules import RecoveryWatched, Watched
from operations.monitoring import INDEX_CLEANER, LOG_SWEEP, Part

_SMALL: Final[Mapping[Part, int]] = {
    Part.PROMETHEUS: 1,
    Part.ALERTMANAGER: 1,
    Part.GRAFANA: 1,
    Part.JAEGER: 1,
    Part.ELASTICSEARCH: 1,
    Part.LOGSTASH: 1,
    Part.KIBANA: 1,
    Part.FILEBEAT: 1,
    Part.CLOUDWATCH_EXPORTER: 1,
}

DEV: Final = Watched(
    environment="dev",
    sla=None,
    services=("api", "web"),
    replicas=_SMALL,
    grafana_url="http://localhost:3000",
    runbooks_url="https://github.com/quikapp/operations/blob/main/docs/runbooks",
    retention_days=3,
    chores=(LOG_SWEEP,),
    databases={"quikapp-dev-database": ("quikapp-dev-database-0",)},
)
QA: Final = replace(DEV, environment="qa", sla=95)
UAT: Final = replace(DEV, environment="uat", sla=99, retention_days=7)
LIVE: Final = Watched(
    environment="live",
    sla=99.99,
    services=("api", "web"),
    replicas={
        **_SMALL,
        Part.PROMETHEUS: 2,
        Part.ALERTMANAGER: 3,
        Part.ELASTICSEARCH: 3,
        Part.LOGSTASH: 2,
        Part.DATADOG_AGENT: 1,
        Part.DATADOG_CLUSTER_AGENT: 2,
    },
    grafana_url="https://grafana.quikapp.example",
    runbooks_url="https://github.com/quikapp/operations/blob/main/docs/runbooks",
    retention_days=31,
    recovery=RecoveryWatched(recovery_point=timedelta(seconds=30), restore_test_days=7),
    chores=(LOG_SWEEP, INDEX_CLEANER),
    databases={
        "quikapp-live-database": (
            "quikapp-live-database-0",
            "quikapp-live-database-1",
            "quikapp-live-database-2",
        ),
        "quikapp-live-database-recovery": (
            "quikapp-live-database-recovery-0",
            "quikapp-live-database-recovery-1",
        ),
    },
)
STAGING: Final = replace(LIVE, environment="staging", sla=99.9)

SHAPES: Final = (DEV, QA, UAT, STAGING, LIVE)
