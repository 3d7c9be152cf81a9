"""The cluster that everything runs on: nodes, pods, what is asked for and what there is, the control plane."""

from collections.abc import Mapping
from typing import Final

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from components.monitoring.dashboards.panels import (
    CRITICAL,
    GOOD,
    NONE_IS_GOOD,
    WARNING,
    Query,
    Section,
    dashboard,
    number,
    trend,
)
from components.monitoring.dashboards.reads import runbook
from components.monitoring.rules import Watched

UID: Final = "cluster"

_USED: Final[Mapping[str, str]] = {
    "cpu": 'rate(container_cpu_usage_seconds_total{container!=""}[$__rate_interval])',
    "memory": 'container_memory_working_set_bytes{container!=""}',
}
"""What containers use of a resource, in the unit that kube-state-metrics gives its requests and limits in."""


def cluster(watched: Watched) -> Dashboard:
    """The cluster of one environment."""
    return dashboard(
        UID,
        f"Cluster of {watched.environment}",
        "Nodes, pods, what is asked for and what there is, the control plane.",
        watched.environment,
        [
            _now(watched),
            Section("CPU in cores", _resource("cpu", units.Short)),
            Section("Memory", _resource("memory", units.BytesIEC)),
            _nodes(watched),
            _control_plane(watched),
        ],
    )


def _now(watched: Watched) -> Section:
    return Section(
        "Now",
        [
            number(
                "Nodes ready",
                "Nodes whose kubelet reports that it is ready. Good is all of them; their number follows the load.",
                Query('sum(kube_node_status_condition{condition="Ready", status="true"})'),
                unit=units.Short,
                steps=((None, CRITICAL), (1, GOOD)),
                links=[runbook(watched, "NodeDown")],
            ),
            number(
                "Nodes not ready",
                "Good is none for longer than it takes to replace a node.",
                Query('sum(kube_node_status_condition{condition="Ready", status=~"false|unknown"})'),
                unit=units.Short,
                steps=NONE_IS_GOOD,
                links=[runbook(watched, "NodeDown")],
            ),
            number(
                "Pods pending",
                "Pods that wait for a node or an image. Good is none for longer than a node takes to come.",
                Query('sum(kube_pod_status_phase{phase="Pending"})'),
                unit=units.Short,
                steps=((None, GOOD), (1, WARNING)),
            ),
            number(
                "Pods failed",
                "Pods that ended with an error and were not removed. Good is none.",
                Query('sum(kube_pod_status_phase{phase="Failed"})'),
                unit=units.Short,
                steps=((None, GOOD), (1, WARNING)),
            ),
        ],
        height=4,
    )


def _resource(resource: str, unit: str) -> list[Panel]:
    requested = f'kube_pod_container_resource_requests{{resource="{resource}"}}'
    limited = f'kube_pod_container_resource_limits{{resource="{resource}"}}'
    return [
        trend(
            "Asked for, allowed, used and there",
            "Good is use below what is requested, and requests below what the nodes have: what is requested beyond "
            "that waits for a new node.",
            Query(f"sum({requested})", "requested"),
            Query(f"sum({limited})", "limit"),
            Query(f"sum({_USED[resource]})", "used"),
            Query(f'sum(kube_node_status_allocatable{{resource="{resource}"}})', "nodes have"),
            unit=unit,
        ),
        trend(
            "Requested by namespace",
            "What the pods of each namespace are promised. Good is level, or the two slots changing places.",
            Query(f"sum by (namespace) ({requested})", "{{namespace}}"),
            unit=unit,
            stacked=True,
        ),
        trend(
            "Used of what is requested, by namespace",
            "Good is between a third and all of it: less is waste, more is at another's cost.",
            Query(
                f"sum by (namespace) ({_USED[resource]}) / sum by (namespace) ({requested})", "{{namespace}}"
            ),
            unit=units.PercentUnit,
            steps=((None, GOOD), (1, WARNING)),
        ),
    ]


def _nodes(watched: Watched) -> Section:
    return Section(
        "Nodes",
        [
            trend(
                "CPU by node",
                "The share of a node's CPU that is not idle. Good is below 80 %.",
                Query(
                    '1 - avg by (node) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))',
                    "{{node}}",
                ),
                unit=units.PercentUnit,
                steps=((None, GOOD), (0.8, WARNING)),
                highest=1,
            ),
            trend(
                "Memory by node",
                "The share of a node's memory that is not available. Good is below 80 %; above 95 % pods are evicted.",
                Query(
                    "1 - max by (node) (node_memory_MemAvailable_bytes) / max by (node) (node_memory_MemTotal_bytes)",
                    "{{node}}",
                ),
                unit=units.PercentUnit,
                steps=((None, GOOD), (0.8, WARNING), (0.95, CRITICAL)),
                highest=1,
            ),
            trend(
                "Pods by node",
                "Good is an even spread.",
                Query('sum by (node) (kubelet_running_pods{job="kubelet"})', "{{node}}"),
                unit=units.Short,
                links=[runbook(watched, "NodeDown")],
            ),
        ],
    )


def _control_plane(watched: Watched) -> Section:
    links = [runbook(watched, "ScrapeTargetMissing")]
    return Section(
        "Control plane",
        [
            trend(
                "Requests by code",
                "Requests a second to the API server. Good is hardly any 5xx; 429 means that somebody asks too much.",
                Query(
                    'sum by (code) (rate(apiserver_request_total{job="apiserver"}[$__rate_interval]))',
                    "{{code}}",
                ),
                unit=units.RequestsPerSecond,
                stacked=True,
            ),
            trend(
                "Latency P99 by verb",
                "The time within which 99 of 100 requests are answered, waiting in the server's own queues aside. "
                "Good is below 1 s for single objects.",
                Query(
                    "histogram_quantile(0.99, sum by (verb, le) (rate("
                    'apiserver_request_sli_duration_seconds_bucket{job="apiserver", verb!~"WATCH|CONNECT"}'
                    "[$__rate_interval])))",
                    "{{verb}}",
                ),
                unit=units.Seconds,
                steps=((None, GOOD), (1, WARNING)),
            ),
            trend(
                "API servers that answer",
                "Good is two or more: EKS runs at least two.",
                Query('sum(up{job="apiserver"})', "up"),
                unit=units.Short,
                links=links,
            ),
            trend(
                "Pods that wait for a node, by queue",
                "Pods that the scheduler has not placed. Good is none in `unschedulable` for longer than a node takes "
                "to come, and hardly any in the others.",
                # The greatest and no sum: each API server relays the same scheduler.
                Query('max by (queue) (scheduler_pending_pods{job="kube-scheduler"})', "{{queue}}"),
                unit=units.Short,
                links=links,
            ),
            trend(
                "Objects that wait for a controller",
                "The ten longest queues of the controllers behind Deployments, Jobs, endpoints and the like. Good is "
                "near none; one that only grows is a controller that does not keep up.",
                Query(
                    'topk(10, max by (name) (workqueue_depth{job="kube-controller-manager"}))',
                    "{{name}}",
                ),
                unit=units.Short,
                links=links,
            ),
        ],
    )
