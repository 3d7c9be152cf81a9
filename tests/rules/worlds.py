"""Series that Prometheus would have scraped, one sample a minute, as promtool writes them."""

from collections.abc import Mapping

Series = Mapping[str, str]
"""Name and labels → samples. `1x40` is a 1 and forty more of it, `0+5x40` grows by 5 each time."""

APPLICATION = 'slot="blue", service="api"'
CONTAINER = 'namespace="quikapp-blue", pod="api-1", container="api"'
NODES = ("ip-10-50-1-10", "ip-10-50-2-20")


# --- key metrics ---------------------------------------------------------------------------------------------------


def latency(within_200ms: int, within_500ms: int) -> Series:
    """Ten thousand requests a minute, of which these many were fast enough."""
    counts = {"0.1": 5000, "0.2": within_200ms, "0.5": within_500ms, "1": 10000, "+Inf": 10000}
    return {
        f'http_request_duration_seconds_bucket{{{APPLICATION}, le="{bound}"}}': f"0+{count}x30"
        for bound, count in counts.items()
    }


def errors(failed: int, slot: str = "blue", requests: int = 6000) -> Series:
    """So many requests a minute, of which these many failed."""
    return {
        f'http_requests_total{{slot="{slot}", service="api", code="200"}}': f"0+{requests - failed}x30",
        f'http_requests_total{{slot="{slot}", service="api", code="503"}}': f"0+{failed}x30",
    }


def cpu(core_seconds_a_minute: float) -> Series:
    """A pod with a limit of one core, whose use is known once a whole window of it was seen: after four minutes."""
    return {
        f"container_cpu_usage_seconds_total{{{CONTAINER}}}": f"1000+{core_seconds_a_minute}x30",
        f'kube_pod_container_resource_limits{{{CONTAINER}, resource="cpu", unit="core"}}': "1x30",
    }


def memory(bytes_in_use: int) -> Series:
    """A pod with a limit of a thousand bytes."""
    return {
        f"container_memory_working_set_bytes{{{CONTAINER}}}": f"{bytes_in_use}x30",
        f'kube_pod_container_resource_limits{{{CONTAINER}, resource="memory", unit="byte"}}': "1000x30",
    }


def restarts(count: int, minutes: int = 30) -> Series:
    """A container that restarted so often within one minute, its second."""
    return {f"kube_pod_container_status_restarts_total{{{CONTAINER}}}": f"0 {count}x{minutes}"}


def restarted_and_replaced(count: int) -> Series:
    """A container that restarted so often and whose pod goes after nine minutes; the one of the pod that comes restarts once."""
    return {
        f"kube_pod_container_status_restarts_total{{{CONTAINER}}}": f"0 {count}x8 stale",
        f"kube_pod_container_status_restarts_total{{{CONTAINER.replace('api-1', 'api-2')}}}": "_x9 0 1x20",
    }


# --- error budget --------------------------------------------------------------------------------------------------


def failing(errors: str, requests: str) -> Series:
    """Recorded rates of the environment's only traffic."""
    return {
        f"slot_service:requests:rate5m{{{APPLICATION}}}": requests,
        f"slot_service:errors:rate5m{{{APPLICATION}}}": errors,
    }


# --- services, nodes and the monitoring itself -----------------------------------------------------------------------


def up(job: str, instance: str, *labels: str, value: str = "1x40") -> Series:
    """Whether one target answered, 0 or 1."""
    selected = ", ".join([f'job="{job}"', f'instance="{instance}"', *labels])
    return {f"up{{{selected}}}": value}


def slots(**values: str) -> Series:
    """A pod of api and of web in each slot; `blue_api` and the like say what it answers if not 1."""
    series: dict[str, str] = {}
    for slot in ("blue", "green"):
        for service in ("api", "web"):
            labels = (f'slot="{slot}"', f'service="{service}"')
            series |= up(
                "slots", f"{slot}-{service}:8080", *labels, value=values.get(f"{slot}_{service}", "1x40")
            )
    return series


def targets(**values: str) -> Series:
    """A target of each job, of the nodes' jobs one on each; `cadvisor` and the like say what the first answers."""

    def answer(job: str) -> str:
        return values.get(job.replace("-", "_"), "1x40")

    series: dict[str, str] = {}
    for job in (
        "kube-state-metrics",
        "apiserver",
        "kube-scheduler",
        "kube-controller-manager",
        "prometheus",
        "alertmanager",
        "grafana",
        "jaeger",
        "cloudwatch-exporter",
    ):
        series |= up(job, f"{job}:80", value=answer(job))
    for job in ("cadvisor", "kubelet", "node-exporter"):
        first, second = NODES
        series |= up(job, first, f'node="{first}"', value=answer(job))
        series |= up(job, second, f'node="{second}"')
    return series


def statefulset(name: str, ready: int) -> Series:
    return {
        f'kube_statefulset_status_replicas_ready{{namespace="monitoring", statefulset="{name}"}}': f"{ready}x40"
    }


def deployment(name: str, available: int) -> Series:
    series = "kube_deployment_status_replicas_available"
    return {f'{series}{{namespace="monitoring", deployment="{name}"}}': f"{available}x40"}


def daemonset(name: str, unavailable: int, namespace: str) -> Series:
    series = "kube_daemonset_status_number_unavailable"
    return {f'{series}{{namespace="{namespace}", daemonset="{name}"}}': f"{unavailable}x40"}


PARTS: Series = {
    **statefulset("prometheus", 2),
    **statefulset("alertmanager", 3),
    **statefulset("elasticsearch", 3),
    **deployment("grafana", 1),
    **deployment("jaeger", 1),
    **statefulset("logstash", 2),
    **deployment("kibana", 1),
    **deployment("datadog-cluster-agent", 2),
    **deployment("cloudwatch-exporter", 1),
    **daemonset("filebeat", 0, "node-agents"),
    **daemonset("datadog-agent", 0, "monitoring"),
}
"""All that live declares, and all ready."""


def node(name: str, ready: int) -> Series:
    """What Kubernetes says of a node: ready is 1, not ready or unheard of 0."""
    return {
        f'kube_node_status_condition{{node="{name}", condition="{condition}", status="{status}"}}': f"{value}x40"
        for condition, status, value in (
            ("Ready", "true", ready),
            ("Ready", "false", 1 - ready),
            ("MemoryPressure", "true", 0),
        )
    }


def volume(claim: str, available: int, namespace: str = "monitoring") -> Series:
    """A volume of a thousand bytes."""
    labels = f'namespace="{namespace}", persistentvolumeclaim="{claim}"'
    return {
        f"kubelet_volume_stats_capacity_bytes{{{labels}}}": "1000x40",
        f"kubelet_volume_stats_available_bytes{{{labels}}}": f"{available}x40",
    }


def handed_over(*dropped: str, discovered: str = "3x40") -> Series:
    """Alerts that the first Prometheus dropped for each of its Alertmanagers, and how many of these it knows."""
    return {
        'prometheus_notifications_alertmanagers_discovered{instance="prometheus-0"}': discovered,
        **{
            f'prometheus_notifications_dropped_total{{instance="prometheus-0", alertmanager="{number}"}}': count
            for number, count in enumerate(dropped)
        },
    }


def sent(failed: str) -> Series:
    """Notifications that failed, of Slack; PagerDuty's are well."""
    return {
        'alertmanager_notifications_failed_total{integration="slack", reason="clientError"}': failed,
        'alertmanager_notifications_failed_total{integration="pagerduty", reason="clientError"}': "0x40",
    }


def evaluated(failed: str) -> Series:
    """Evaluations that failed, of one group."""
    return {
        'prometheus_rule_evaluation_failures_total{rule_group="/etc/prometheus/rules.json;nodes"}': failed
    }


def figure(name: str, data: str, seconds: str) -> Series:
    """What was published last of a figure of our own, such as `backup_age`, as the exporter tells it."""
    dimensions = f'dimension_Environment="live", dimension_Data="{data}"'
    return {f"aws_quikapp_recovery_{name}_maximum{{{dimensions}}}": seconds}


def lag(recovery_point: str, replication: str = "100x40") -> Series:
    """How far the recovery region is behind, in milliseconds."""
    cluster = 'dimension_DBClusterIdentifier="quikapp-live-database-recovery", region="eu-central-1"'
    return {
        f"aws_rds_aurora_global_dbrpolag_maximum{{{cluster}}}": recovery_point,
        f"aws_rds_aurora_global_dbreplication_lag_maximum{{{cluster}}}": replication,
    }


def running(*instances: str) -> Series:
    """Instances of the database that tell how long they have run; `quikapp-live-` is understood."""
    return {
        f'aws_rds_engine_uptime_maximum{{dimension_DBInstanceIdentifier="quikapp-live-{instance}"}}': "86400+60x40"
        for instance in instances
    }


def cron_job(name: str, made: int, succeeded: int | None) -> Series:
    """When a CronJob was made and when it last succeeded, in seconds from when the series begin; None: never."""
    labels = f'namespace="monitoring", cronjob="{name}"'
    return {
        f"kube_cronjob_created{{{labels}}}": f"{made}x40",
        f"kube_cronjob_status_last_successful_time{{{labels}}}": "_x40"
        if succeeded is None
        else f"{succeeded}x40",
    }


HEALTHY: Series = {
    **slots(),
    **targets(),
    **PARTS,
    **node(NODES[0], 1),
    **node(NODES[1], 1),
    **volume("data-prometheus-0", 300),
    **handed_over("0x40", "0x40", "0x40"),
    **sent("3x40"),
    **evaluated("3x40"),
    **figure("backup_age", "database", "3600x40"),
    **figure("backup_age", "files", "3600x40"),
    **figure("copy_age", "files", "3600x40"),
    **figure("restore_age", "database", "86400x40"),
    **figure("restore_age", "files", "86400x40"),
    **figure("restore_duration", "database", "600x40"),
    **figure("restore_duration", "files", "300x40"),
    **lag("200x40"),
    **running("database-0", "database-1", "database-2", "database-recovery-0", "database-recovery-1"),
    **cron_job("log-sweep", -864_000, 0),
    **cron_job("jaeger-index-cleaner", -864_000, 0),
}
"""Live as it should be."""
