"""What the tests of Alertmanager's configuration and of Alertmanager itself both go by."""

from collections.abc import Mapping
from datetime import date, time

from operations.monitoring import BusinessHours, Day, OnCall, Paging

Labels = Mapping[str, str]

PAGING = Paging(
    business_hours=BusinessHours(
        time_zone="Europe/London",
        days=(Day.MONDAY, Day.TUESDAY, Day.WEDNESDAY, Day.THURSDAY, Day.FRIDAY),
        start=time(9),
        end=time(17, 30),
    ),
    on_call=OnCall(
        engineers=("PENGIN1",),
        since=date(2026, 1, 5),
        handover=time(10),
        team_lead="PLEAD01",
        engineering_manager="PMANAGE1",
    ),
)


def alert(name: str, **labels: str) -> Labels:
    return {"alertname": name, **labels}


API = {"slot": "blue", "service": "api"}
SERVICE_DOWN = alert("ServiceDown", service="api", severity="critical")

INHIBITED: list[tuple[Labels, Labels]] = [
    (alert("ErrorRate", severity="critical", **API), alert("ErrorRate", severity="warning", **API)),
    (alert("PodRestarts", severity="critical", **API), alert("PodRestarts", severity="warning", **API)),
    (
        alert("ErrorBudgetBurn", severity="critical", burn_rate="fastest"),
        alert("ErrorBudgetBurn", severity="warning", burn_rate="slow"),
    ),
    (
        alert("ReplicationLag", severity="critical", lag="recovery-point"),
        alert("ReplicationLag", severity="warning", lag="replication"),
    ),
    (
        alert("BackupOverdue", severity="critical", data="files", figure="CopyAge"),
        alert("BackupOverdue", severity="warning", data="files", figure="CopyAge"),
    ),
    *(
        (SERVICE_DOWN, alert(metric, severity="critical", **API))
        for metric in ("ApiLatencyP99", "ErrorRate", "CpuUsage", "MemoryUsage", "PodRestarts")
    ),
    (
        alert("NodeDown", severity="critical", node="a"),
        alert("ScrapeTargetMissing", severity="warning", job="node-exporter", node="a"),
    ),
]
"""Of a pair that fires together the second is not told."""

TOLD: list[tuple[Labels, Labels]] = [
    # Another slot, another service, another alert; a warning says nothing of a critical one.
    (
        alert("ErrorRate", severity="critical", **API),
        alert("ErrorRate", severity="warning", slot="green", service="api"),
    ),
    (
        alert("ErrorRate", severity="critical", **API),
        alert("ErrorRate", severity="warning", slot="blue", service="web"),
    ),
    (alert("ErrorRate", severity="critical", **API), alert("CpuUsage", severity="warning", **API)),
    (alert("ErrorRate", severity="warning", **API), alert("ErrorRate", severity="critical", **API)),
    (alert("ErrorRate", severity="warning", **API), alert("ErrorRate", severity="warning", pod="1", **API)),
    (alert("ErrorRate", severity="critical", **API), alert("ErrorRate", severity="critical", pod="1", **API)),
    (alert("ErrorRate", severity="none", **API), alert("ErrorRate", severity="warning", **API)),
    (alert("ErrorRate", severity="critical", **API), alert("ErrorRate", severity="none", **API)),
    # Alerts of one name and no service are about different things.
    (
        alert("MonitoringPartMissing", severity="critical", part="prometheus"),
        alert("MonitoringPartMissing", severity="warning", part="grafana"),
    ),
    # A budget that burns fast pages in its own right, and says nothing about anything else.
    (
        alert("ErrorBudgetBurn", severity="critical", burn_rate="fastest"),
        alert("ErrorBudgetBurn", severity="critical", burn_rate="fast"),
    ),
    (
        alert("ErrorBudgetBurn", severity="warning", burn_rate="slow"),
        alert("ErrorBudgetBurn", severity="warning", burn_rate="slowest"),
    ),
    (alert("ErrorBudgetBurn", severity="none"), alert("ErrorBudgetBurn", severity="warning")),
    (alert("ErrorBudgetBurn", severity="critical"), alert("ErrorBudgetBurn", severity="none")),
    (alert("ErrorBudgetBurn", severity="critical"), alert("MonitoringPartMissing", severity="warning")),
    (alert("MonitoringPartMissing", severity="critical"), alert("ErrorBudgetBurn", severity="warning")),
    # A lag that is critical is one lag, and nothing else.
    (
        alert("ReplicationLag", severity="warning"),
        alert("ReplicationLag", severity="warning", lag="replication"),
    ),
    (alert("ReplicationLag", severity="none"), alert("ReplicationLag", severity="warning")),
    (alert("ReplicationLag", severity="critical"), alert("ReplicationLag", severity="none")),
    (alert("ReplicationLag", severity="critical"), alert("BackupOverdue", severity="warning")),
    (alert("RecoveryUnknown", severity="critical"), alert("ReplicationLag", severity="warning")),
    # A backup that is days late is that one, and nothing else.
    (
        alert("BackupOverdue", severity="critical", data="files", figure="CopyAge"),
        alert("BackupOverdue", severity="warning", data="files", figure="BackupAge"),
    ),
    (
        alert("BackupOverdue", severity="critical", data="files", figure="BackupAge"),
        alert("BackupOverdue", severity="warning", data="database", figure="BackupAge"),
    ),
    (
        alert("BackupOverdue", severity="warning", data="files", figure="CopyAge"),
        alert("BackupOverdue", severity="warning", data="files", figure="CopyAge", again="1"),
    ),
    (
        alert("BackupOverdue", severity="none", data="files", figure="CopyAge"),
        alert("BackupOverdue", severity="warning", data="files", figure="CopyAge"),
    ),
    (
        alert("BackupOverdue", severity="critical", data="files", figure="CopyAge"),
        alert("BackupOverdue", severity="none", data="files", figure="CopyAge"),
    ),
    (
        alert("RecoveryUnknown", severity="critical", data="files", figure="CopyAge"),
        alert("BackupOverdue", severity="warning", data="files", figure="CopyAge"),
    ),
    (
        alert("BackupOverdue", severity="critical", data="files", figure="CopyAge"),
        alert("RecoveryUnknown", severity="warning", data="files", figure="CopyAge"),
    ),
    # An outage of one service says nothing of another, nor of what is no metric of it.
    (SERVICE_DOWN, alert("ErrorRate", severity="critical", slot="blue", service="web")),
    (SERVICE_DOWN, alert("ServiceDown", severity="critical", service="web")),
    (SERVICE_DOWN, alert("ErrorBudgetBurn", severity="critical", service="api")),
    (alert("ServiceDown", severity="critical"), alert("ErrorRate", severity="critical")),
    (
        alert("ErrorBudgetBurn", severity="critical", service="api"),
        alert("ErrorRate", severity="critical", **API),
    ),
    # A node says nothing of another, nor of what is on none.
    (
        alert("NodeDown", severity="critical", node="a"),
        alert("ScrapeTargetMissing", severity="warning", job="node-exporter", node="b"),
    ),
    (alert("NodeDown", severity="critical", node="a"), alert("NodeDown", severity="critical", node="b")),
    (alert("NodeDown", severity="critical"), alert("VolumeFilling", severity="critical")),
    (
        alert("ScrapeTargetMissing", severity="critical", job="cadvisor", node="a"),
        alert("ScrapeTargetMissing", severity="warning", job="kubelet", node="a"),
    ),
]
"""Of a pair that fires together both are told."""
