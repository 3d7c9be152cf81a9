"""Synthetic series: what the exporters of one environment would have told Prometheus over the last hour and a bit.

The pods, containers, limits and volumes behind them are those that the environment declares, and what the rendered
configuration drops is left out. What Prometheus, Alertmanager and Jaeger say of themselves is taken from the real
programs. The names and labels of all other series are those of the sources that each family names; a family holds more
than the rules and dashboards read, so that it is not made up to fit them.

Everything that counts goes up steadily, failures too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from components import hardening
from components.monitoring.metrics import Configuration
from operations.monitoring import Part
from operations.naming import APPLICATION
from tests.unit.components.recording import Recording

STEP_SECONDS: Final = 30
"""Between two samples."""
SPAN_SECONDS: Final = 65 * 60
"""Longer than an hour, the longest window of a key metric."""

SCALED: Final = 2
"""Pods of a Deployment whose number an autoscaler decides."""

LONG_AGO: Final = 1_790_000_000.0
"""When everything was made; a Unix time."""

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Series:
    """One series: its value at the end, and how much it grows a second."""

    name: str
    labels: Labels
    value: float
    rate: float = 0

    @property
    def selector(self) -> str:
        """The series as Prometheus writes it."""
        inner = ",".join(f'{label}="{_escaped(value)}"' for label, value in self.labels.items())
        return f"{self.name}{{{inner}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def gauge(name: str, value: float, /, **labels: str) -> Series:
    """A value that stays what it is."""
    return Series(name, labels, value)


def counter(name: str, rate: float, /, **labels: str) -> Series:
    """A count that grows by `rate` a second, and has for a day."""
    return Series(name, labels, rate * 86_400, rate)


def histogram(name: str, rate: float, bounds: Sequence[float], /, **labels: str) -> Iterator[Series]:
    """A histogram of `rate` observations a second, as many in each bucket."""
    for place, bound in enumerate((*bounds, None), 1):
        le = "+Inf" if bound is None else f"{bound:g}"
        yield counter(f"{name}_bucket", rate * place / (len(bounds) + 1), **labels, le=le)
    yield counter(f"{name}_sum", rate * bounds[len(bounds) // 2], **labels)
    yield counter(f"{name}_count", rate, **labels)


def openmetrics(series: Iterable[Series], end: float) -> Iterator[str]:
    """Lines of all samples, the last of each series at `end`, a Unix time.

    Source of the form: https://prometheus.io/docs/specs/om/open_metrics_spec/
    """
    ages = range(SPAN_SECONDS, -1, -STEP_SECONDS)
    for one in series:
        selector = one.selector
        yield from (f"{selector} {one.value - one.rate * age!r} {end - age!r}\n" for age in ages)
    yield "# EOF\n"


# --- what is declared ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Container:
    """A container of a pod, and its limits, which are its requests too."""

    name: str
    cores: float
    memory_bytes: float


@dataclass(frozen=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet."""

    kind: str
    namespace: str
    name: str
    containers: Sequence[Container]
    replicas: int | None = None
    """None where an autoscaler or the nodes decide."""
    labels: Labels = field(default_factory=dict[str, str])
    """Of its pods."""
    volume_bytes: float | None = None
    """Of each replica's volume `data`, where it has one."""

    @property
    def count(self) -> int:
        """How many pods it has."""
        if self.kind == "DaemonSet":
            return len(NODES)
        return SCALED if self.replicas is None else self.replicas


@dataclass(frozen=True)
class Pod:
    """One pod of a workload."""

    workload: Workload
    name: str
    node: str
    ip: str

    @property
    def place(self) -> Labels:
        """The labels by which exporters name it."""
        return {"namespace": self.workload.namespace, "pod": self.name}

    @property
    def volume(self) -> tuple[Labels, float] | None:
        """The labels by which exporters name its volume claim, and its bytes."""
        if self.workload.volume_bytes is None:
            return None
        claim = {"namespace": self.workload.namespace, "persistentvolumeclaim": f"data-{self.name}"}
        return claim, self.workload.volume_bytes


NODES: Final = tuple(f"ip-10-50-{zone}-10.eu-west-1.compute.internal" for zone in range(3))


def cron_jobs(recording: Recording[Any]) -> list[Labels]:
    """The CronJobs that an environment declares, as exporters name them."""
    return [
        {"namespace": made.inputs["metadata"]["namespace"], "cronjob": made.inputs["metadata"]["name"]}
        for made in recording.of("kubernetes:batch/v1:CronJob")
    ]


def declared(recording: Recording[Any]) -> list[Workload]:
    """The workloads that an environment declares."""
    return [
        _workload(kind, resource.inputs["metadata"], resource.inputs["spec"])
        for kind in ("Deployment", "StatefulSet", "DaemonSet")
        for resource in recording.of(f"kubernetes:apps/v1:{kind}")
    ]


def _workload(kind: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Workload:
    claims = [claim["spec"]["resources"]["requests"] for claim in spec.get("volumeClaimTemplates", [])]
    return Workload(
        kind,
        metadata["namespace"],
        metadata["name"],
        [
            Container(
                container["name"],
                _quantity(container["resources"]["limits"]["cpu"]),
                _quantity(container["resources"]["limits"]["memory"]),
            )
            for container in spec["template"]["spec"]["containers"]
        ],
        spec.get("replicas"),
        spec["template"]["metadata"]["labels"],
        _quantity(claims[0]["storage"]) if claims else None,
    )


def _quantity(text: str) -> float:
    """A Kubernetes quantity in cores or bytes, such as `500m` or `128Mi`."""
    units = {"m": 0.001, "Mi": 2**20, "Gi": 2**30, "": 1}
    match = re.fullmatch(r"([0-9.]+)(\D*)", text)
    assert match is not None, text
    return float(match[1]) * units[match[2]]


def pods(workloads: Iterable[Workload]) -> Sequence[Pod]:
    """The pods of the workloads, spread over the nodes."""
    made: list[Pod] = []
    for workload in workloads:
        for place in range(workload.count):
            zone, number = place % len(NODES), len(made)
            suffix = str(place) if workload.kind == "StatefulSet" else f"7d9f8b6c5{number:x}-x{place}z"
            made.append(
                Pod(workload, f"{workload.name}-{suffix}", NODES[zone], f"10.50.{zone}.{20 + number}")
            )
    return made


# --- scraping ------------------------------------------------------------------------------------------------------


def scraped(job: str, instance: str, series: Iterable[Series], **labels: str) -> Iterator[Series]:
    """Series under the labels of their target, and what Prometheus adds for each target.

    No family but kube-state-metrics, whose labels are honored, has a label that its target has too.
    Source: https://prometheus.io/docs/concepts/jobs_instances/
    """
    target = {"job": job, "instance": instance, **labels}
    found = [replace(one, labels={**target, **one.labels}) for one in series]
    yield from found
    yield gauge("up", 1, **target)
    yield gauge("scrape_duration_seconds", 0.05, **target)
    yield gauge("scrape_samples_scraped", len(found), **target)
    yield gauge("scrape_samples_post_metric_relabeling", len(found), **target)
    yield gauge("scrape_series_added", 0, **target)


def kept(config: Configuration, series: Iterable[Series]) -> Iterator[Series]:
    """The series that a configuration does not drop after they were scraped."""
    drops = {
        job["job_name"]: [
            (rule["source_labels"], re.compile(rule["regex"]))
            for rule in job.get("metric_relabel_configs", [])
            if rule["action"] == "drop"
        ]
        for job in config["scrape_configs"]
    }
    for one in series:
        labels = {"__name__": one.name, **one.labels}
        if not any(
            regex.fullmatch(";".join(labels.get(label, "") for label in sources))
            for sources, regex in drops[one.labels["job"]]
        ):
            yield one


def exposed(text: str) -> Iterator[Series]:
    """What a real program exposes, as if it went on counting.

    Source of the form: https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    kinds: dict[str, str] = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    for name, inner, value in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", text, re.MULTILINE):
        labels: dict[str, str] = dict(re.findall(r'(\w+)="([^"\\]*)"', inner))
        family = kinds.get(name) or kinds.get(re.sub("_(bucket|sum|count)$", "", name))
        rate = 0.0
        if family in ("counter", "histogram", "summary") and "quantile" not in labels:
            # Of those that took at most so long there are more the longer that is.
            bound = float(labels.get("le", "+Inf"))
            rate = 1.0 if bound == float("inf") else bound / (bound + 1)
        yield Series(name, labels, float(value) + rate * SPAN_SECONDS, rate)


def world(
    workloads: Sequence[Workload],
    scheduled: Sequence[Labels],
    config: Configuration,
    exposition: Mapping[Part, str],
) -> Iterator[Series]:
    """Every series of an environment.

    Args:
        workloads: what runs.
        scheduled: the CronJobs.
        config: of Prometheus, which decides what is dropped.
        exposition: what the real programs of some parts expose.
    """
    everything = pods(workloads)
    return kept(
        config,
        (
            *application(everything),
            *state_metrics(workloads, scheduled, everything),
            *node_exporter(),
            *kubelet(everything),
            *cadvisor(everything),
            *api_server(),
            *scheduler(),
            *controller_manager(),
            *(
                one
                for part, text in exposition.items()
                for pod in everything
                if pod.workload.name == part
                for one in scraped(part, pod.ip, exposed(text))
            ),
            *grafana(),
        ),
    )


# --- families ------------------------------------------------------------------------------------------------------


def application(everything: Iterable[Pod]) -> Iterator[Series]:
    """The application, which exports what `operations.metrics` asks of it."""
    rates = {"200": 20.0, "404": 1.0, "500": 0.5}
    for pod in everything:
        if not pod.workload.namespace.startswith(f"{APPLICATION}-"):
            continue
        own = {
            "slot": pod.workload.labels[hardening.INSTANCE],
            "service": pod.workload.labels[hardening.NAME],
        }
        yield from scraped(
            "slots",
            f"{pod.ip}:8080",
            (
                *(counter("http_requests_total", rate, code=code) for code, rate in rates.items()),
                *histogram(
                    "http_request_duration_seconds", sum(rates.values()), (0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5)
                ),
            ),
            **pod.place,
            **own,
            version=pod.workload.labels[hardening.VERSION],
        )


def state_metrics(
    workloads: Sequence[Workload], scheduled: Sequence[Labels], everything: Sequence[Pod]
) -> Iterator[Series]:
    """kube-state-metrics, its default resources.

    Source: https://github.com/kubernetes/kube-state-metrics/tree/main/docs/metrics
    """
    yield from scraped(
        "kube-state-metrics",
        "kube-state-metrics.kube-state-metrics.svc:8080",
        (
            *(one for workload in workloads for one in _state_of_workload(workload)),
            *(one for names in scheduled for one in _state_of_cron_job(names)),
            *(one for pod in everything for one in _state_of_pod(pod)),
            *(one for node in NODES for one in _state_of_node(node)),
            *(
                gauge("kube_namespace_status_phase", 1, namespace=namespace, phase="Active")
                for namespace in {workload.namespace for workload in workloads}
            ),
        ),
    )


def _state_of_workload(workload: Workload) -> Iterator[Series]:
    """Of a Deployment, StatefulSet or DaemonSet, its autoscaler and its disruption budget."""
    kind, count = workload.kind.lower(), workload.count
    values: Mapping[str, float] = {
        "deployment": {
            "metadata_generation": 3,
            "spec_paused": 0,
            "spec_replicas": count,
            "status_observed_generation": 3,
            "status_replicas": count,
            "status_replicas_available": count,
            "status_replicas_ready": count,
            "status_replicas_unavailable": 0,
            "status_replicas_updated": count,
        },
        "statefulset": {
            "metadata_generation": 3,
            "replicas": count,
            "status_observed_generation": 3,
            "status_replicas": count,
            "status_replicas_available": count,
            "status_replicas_current": count,
            "status_replicas_ready": count,
            "status_replicas_updated": count,
        },
        "daemonset": {
            "metadata_generation": 3,
            "status_current_number_scheduled": count,
            "status_desired_number_scheduled": count,
            "status_number_available": count,
            "status_number_misscheduled": 0,
            "status_number_ready": count,
            "status_number_unavailable": 0,
            "status_observed_generation": 3,
            "status_updated_number_scheduled": count,
        },
    }[kind]
    namespace = workload.namespace
    for name, value in values.items():
        yield gauge(f"kube_{kind}_{name}", value, **{"namespace": namespace, kind: workload.name})
    if kind == "deployment" and workload.replicas is None:
        for name, value in {
            "spec_max_replicas": 10,
            "spec_min_replicas": 2,
            "status_current_replicas": count,
            "status_desired_replicas": count,
        }.items():
            yield gauge(
                f"kube_horizontalpodautoscaler_{name}",
                value,
                namespace=namespace,
                horizontalpodautoscaler=workload.name,
            )
    for name, value in {
        "current_healthy": count,
        "desired_healthy": count - 1,
        "expected_pods": count,
        "pod_disruptions_allowed": 1,
    }.items():
        yield gauge(
            f"kube_poddisruptionbudget_status_{name}",
            value,
            namespace=namespace,
            poddisruptionbudget=workload.name,
        )


def _state_of_cron_job(names: Labels) -> Iterator[Series]:
    for name, value in {
        "created": LONG_AGO,
        "next_schedule_time": LONG_AGO + 7200,
        "spec_suspend": 0,
        "status_active": 0,
        "status_last_schedule_time": LONG_AGO + 3600,
        "status_last_successful_time": LONG_AGO + 3660,
    }.items():
        yield gauge(f"kube_cronjob_{name}", value, **names)


def _state_of_pod(pod: Pod) -> Iterator[Series]:
    own = {**pod.place, "uid": f"uid-of-{pod.name}"}
    yield gauge(
        "kube_pod_info",
        1,
        **own,
        host_ip="10.50.0.10",
        pod_ip=pod.ip,
        node=pod.node,
        created_by_kind=pod.workload.kind,
        created_by_name=pod.workload.name,
        priority_class="",
        host_network="false",
    )
    yield gauge("kube_pod_created", LONG_AGO, **own)
    yield gauge("kube_pod_start_time", LONG_AGO, **own)
    for phase in ("Pending", "Running", "Succeeded", "Failed", "Unknown"):
        yield gauge("kube_pod_status_phase", phase == "Running", **own, phase=phase)
    for condition in ("true", "false", "unknown"):
        for what in ("ready", "scheduled"):
            yield gauge(f"kube_pod_status_{what}", condition == "true", **own, condition=condition)
    for container in pod.workload.containers:
        inner = {**own, "container": container.name}
        yield counter("kube_pod_container_status_restarts_total", 0.0005, **inner)
        for state, value in {"waiting": 0, "running": 1, "terminated": 0, "ready": 1}.items():
            yield gauge(f"kube_pod_container_status_{state}", value, **inner)
        yield gauge("kube_pod_container_status_last_terminated_reason", 1, **inner, reason="OOMKilled")
        for resource, unit, value in (
            ("cpu", "core", container.cores),
            ("memory", "byte", container.memory_bytes),
        ):
            for kind in ("requests", "limits"):
                yield gauge(
                    f"kube_pod_container_resource_{kind}",
                    value,
                    **inner,
                    node=pod.node,
                    resource=resource,
                    unit=unit,
                )
    if pod.volume is not None:
        claim, size = pod.volume
        yield gauge("kube_persistentvolumeclaim_resource_requests_storage_bytes", size, **claim)
        for phase in ("Bound", "Lost", "Pending"):
            yield gauge("kube_persistentvolumeclaim_status_phase", phase == "Bound", **claim, phase=phase)


def _state_of_node(node: str) -> Iterator[Series]:
    yield gauge("kube_node_created", LONG_AGO, node=node)
    yield gauge("kube_node_info", 1, node=node, kubelet_version="v1.36.3", os_image="Bottlerocket")
    yield gauge("kube_node_spec_unschedulable", 0, node=node)
    for condition in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure"):
        holds = "true" if condition == "Ready" else "false"
        for status in ("true", "false", "unknown"):
            yield gauge(
                "kube_node_status_condition", status == holds, node=node, condition=condition, status=status
            )
    for resource, unit, value in (("cpu", "core", 8), ("memory", "byte", 2**35), ("pods", "integer", 58)):
        for kind in ("capacity", "allocatable"):
            yield gauge(f"kube_node_status_{kind}", value, node=node, resource=resource, unit=unit)


def node_exporter() -> Iterator[Series]:
    """node_exporter, its default collectors.

    Source: https://github.com/prometheus/node_exporter/blob/master/collector/fixtures/e2e-output.txt
    """
    modes = {
        "idle": 0.7,
        "iowait": 0.01,
        "irq": 0.0,
        "nice": 0.0,
        "softirq": 0.01,
        "steal": 0.0,
        "system": 0.08,
        "user": 0.2,
    }
    memory = {
        "Buffers": 2**28,
        "Cached": 2**32,
        "MemAvailable": 2**34,
        "MemFree": 2**33,
        "MemTotal": 2**35,
        "SReclaimable": 2**28,
        "Slab": 2**29,
    }
    filesystem = {
        "avail_bytes": 2**35,
        "device_error": 0,
        "files": 1e6,
        "files_free": 9e5,
        "free_bytes": 2**35,
        "readonly": 0,
        "size_bytes": 2**36,
    }
    disk = {
        "io_time_seconds": 0.1,
        "read_bytes": 1e5,
        "read_time_seconds": 0.01,
        "reads_completed": 10,
        "write_time_seconds": 0.1,
        "writes_completed": 100,
        "written_bytes": 1e6,
    }
    network = {"bytes": 1e6, "drop": 0.0, "errs": 0.0, "packets": 1e3}
    pressure = ("cpu_waiting", "io_stalled", "io_waiting", "memory_stalled", "memory_waiting")
    root = {"device": "/dev/nvme0n1p1", "fstype": "xfs", "mountpoint": "/"}
    for node in NODES:
        yield from scraped(
            "node-exporter",
            f"{node}:9100",
            (
                *(
                    counter("node_cpu_seconds_total", rate, cpu=cpu, mode=mode)
                    for cpu in ("0", "1")
                    for mode, rate in modes.items()
                ),
                *(gauge(f"node_memory_{name}_bytes", value) for name, value in memory.items()),
                *(gauge(f"node_filesystem_{name}", value, **root) for name, value in filesystem.items()),
                *(counter(f"node_disk_{name}_total", rate, device="nvme0n1") for name, rate in disk.items()),
                *(
                    counter(f"node_network_{way}_{name}_total", rate, device="eth0")
                    for way in ("receive", "transmit")
                    for name, rate in network.items()
                ),
                *(counter(f"node_pressure_{what}_seconds_total", 0.01) for what in pressure),
                *(gauge(f"node_load{minutes}", 1.5) for minutes in (1, 5, 15)),
                gauge("node_boot_time_seconds", LONG_AGO),
                counter("node_context_switches_total", 5e3),
                gauge("node_filefd_allocated", 3e3),
                gauge("node_filefd_maximum", 1e6),
                gauge("node_nf_conntrack_entries", 500),
                gauge("node_nf_conntrack_entries_limit", 262_144),
                counter("node_vmstat_oom_kill", 0.001),
            ),
            node=node,
        )


def kubelet(everything: Sequence[Pod]) -> Iterator[Series]:
    """The kubelet's own metrics, and those of the volumes that it mounted.

    Source: https://kubernetes.io/docs/reference/instrumentation/metrics/
    """
    shares = {"available_bytes": 0.6, "capacity_bytes": 1.0, "used_bytes": 0.4}
    files = {"inodes": 1e6, "inodes_free": 9e5, "inodes_used": 1e5}
    for node in NODES:
        here = [pod for pod in everything if pod.node == node]
        volumes = [pod.volume for pod in here if pod.volume is not None]
        yield from scraped(
            "kubelet",
            f"{node}:10250",
            (
                gauge("kubelet_running_pods", len(here)),
                gauge("kubelet_running_containers", len(here), container_state="running"),
                counter("kubelet_started_pods_total", 0.01),
                counter("kubelet_evictions", 0.001, eviction_signal="memory.available"),
                *(
                    gauge(f"kubelet_volume_stats_{name}", value, **claim)
                    for claim, size in volumes
                    for name, value in (
                        {name: size * share for name, share in shares.items()} | files
                    ).items()
                ),
            ),
            node=node,
        )


def cadvisor(everything: Sequence[Pod]) -> Iterator[Series]:
    """cAdvisor as the kubelet runs it: containers, their pods, and control groups of no pod.

    Source: https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
    """
    for node in NODES:
        yield from scraped(
            "cadvisor",
            f"{node}:10250",
            (
                gauge("machine_cpu_cores", 8),
                gauge("machine_memory_bytes", 2**35),
                counter("container_cpu_usage_seconds_total", 2, id="/"),
                gauge("container_memory_working_set_bytes", 2**33, id="/"),
                *(one for pod in everything if pod.node == node for one in _usage_of(pod)),
            ),
            node=node,
        )


def _usage_of(pod: Pod) -> Iterator[Series]:
    for container in pod.workload.containers:
        own = {
            **pod.place,
            "container": container.name,
            "id": f"/kubepods.slice/{pod.name}/{container.name}",
            "image": container.name,
            "name": container.name,
        }
        for name, rate in {
            "cpu_cfs_periods_total": 10.0,
            "cpu_cfs_throttled_periods_total": 1.0,
            "cpu_cfs_throttled_seconds_total": 0.01,
            "cpu_system_seconds_total": container.cores * 0.1,
            "cpu_usage_seconds_total": container.cores * 0.3,
            "cpu_user_seconds_total": container.cores * 0.2,
            "fs_reads_bytes_total": 1e3,
            "fs_writes_bytes_total": 1e4,
            "memory_failcnt": 0.0,
            "memory_failures_total": 1.0,
            "oom_events_total": 0.001,
        }.items():
            yield counter(f"container_{name}", rate, **own)
        for name, value in {
            "fs_usage_bytes": 1e6,
            "last_seen": LONG_AGO,
            "memory_cache": container.memory_bytes * 0.1,
            "memory_rss": container.memory_bytes * 0.4,
            "memory_usage_bytes": container.memory_bytes * 0.6,
            "memory_working_set_bytes": container.memory_bytes * 0.5,
            "spec_cpu_quota": container.cores * 1e5,
            "spec_memory_limit_bytes": container.memory_bytes,
            "start_time_seconds": LONG_AGO,
            "tasks_state": 0,
            "threads": 10,
        }.items():
            yield gauge(f"container_{name}", value, **own)
    # A pod's own control group bears no container's name.
    group = {**pod.place, "id": f"/kubepods.slice/{pod.name}"}
    yield counter("container_cpu_usage_seconds_total", 0.5, **group)
    yield gauge("container_memory_working_set_bytes", 2**28, **group)
    for way in ("receive", "transmit"):
        for name, rate in {"bytes": 1e4, "errors": 0, "packets": 10, "packets_dropped": 0}.items():
            yield counter(f"container_network_{way}_{name}_total", rate, **group, interface="eth0")


def api_server() -> Iterator[Series]:
    """kube-apiserver, as version 1.36.3 exposes it.

    Source: https://kubernetes.io/docs/reference/instrumentation/metrics/
    """
    bounds = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 5, 10, 30, 60)
    codes = {"200": 5.0, "404": 0.5, "429": 0.01, "500": 0.01}
    request = {
        "component": "apiserver",
        "dry_run": "",
        "group": "apps",
        "resource": "deployments",
        "scope": "namespace",
        "subresource": "",
        "version": "v1",
    }
    for zone in range(2):
        yield from scraped(
            "apiserver",
            f"10.50.{zone}.5:443",
            (
                *(
                    one
                    for verb in ("GET", "LIST", "PATCH", "WATCH")
                    for one in (
                        *(
                            counter("apiserver_request_total", rate, **request, verb=verb, code=code)
                            for code, rate in codes.items()
                        ),
                        *histogram("apiserver_request_duration_seconds", 5, bounds, **request, verb=verb),
                        *histogram("apiserver_request_sli_duration_seconds", 5, bounds, **request, verb=verb),
                    )
                ),
                gauge("apiserver_current_inflight_requests", 9, request_kind="mutating"),
                gauge("apiserver_current_inflight_requests", 42, request_kind="readOnly"),
                gauge("apiserver_storage_objects", 30, resource="deployments.apps"),
                *histogram("etcd_request_duration_seconds", 5, bounds, operation="get", type="deployments"),
                *histogram("workqueue_queue_duration_seconds", 5, bounds, name="DynamicCABundle"),
                counter("process_cpu_seconds_total", 0.2),
                gauge("process_resident_memory_bytes", 2**30),
            ),
        )


def scheduler() -> Iterator[Series]:
    """kube-scheduler, as each API server relays it.

    Source: https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/scheduler/metrics/metrics.go
    """
    bounds = (0.001, 0.01, 0.1, 1, 10)
    waiting = {"active": 0, "backoff": 0, "gated": 0, "unschedulable": 2}
    results = {"error": 0.001, "scheduled": 0.1, "unschedulable": 0.01}
    for zone in range(2):
        yield from scraped(
            "kube-scheduler",
            f"10.50.{zone}.5:443",
            (
                *(gauge("scheduler_pending_pods", count, queue=queue) for queue, count in waiting.items()),
                *(
                    one
                    for result, rate in results.items()
                    for one in (
                        counter(
                            "scheduler_schedule_attempts_total",
                            rate,
                            profile="default-scheduler",
                            result=result,
                        ),
                        *histogram(
                            "scheduler_scheduling_attempt_duration_seconds",
                            rate,
                            bounds,
                            profile="default-scheduler",
                            result=result,
                        ),
                    )
                ),
                counter("process_cpu_seconds_total", 0.02),
            ),
        )


def controller_manager() -> Iterator[Series]:
    """kube-controller-manager, as each API server relays it.

    Source: https://github.com/kubernetes/component-base/blob/v0.36.3/metrics/prometheus/workqueue/metrics.go
    """
    bounds = (0.001, 0.01, 0.1, 1, 10)
    queues = ("deployment", "endpoint_slice", "job", "replicaset", "statefulset")
    for zone in range(2):
        yield from scraped(
            "kube-controller-manager",
            f"10.50.{zone}.5:443",
            (
                *(
                    one
                    for name in queues
                    for one in (
                        gauge("workqueue_depth", 1, name=name),
                        counter("workqueue_adds_total", 0.5, name=name),
                        counter("workqueue_retries_total", 0.01, name=name),
                        *histogram("workqueue_queue_duration_seconds", 0.5, bounds, name=name),
                    )
                ),
                counter("process_cpu_seconds_total", 0.1),
            ),
        )


def grafana() -> Iterator[Series]:
    """Grafana.

    Sources: https://github.com/grafana/grafana/blob/main/pkg/middleware/request_metrics.go,
    https://github.com/grafana/grafana/blob/main/pkg/services/pluginsintegration/clientmiddleware/metrics_middleware.go,
    https://github.com/grafana/grafana/blob/main/pkg/infra/metrics/metrics.go
    """
    bounds = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
    query = {"endpoint": "queryData", "status_source": "plugin", "target": "local"}
    yield from scraped(
        Part.GRAFANA,
        "grafana.monitoring.svc:3000",
        (
            *(
                one
                for code in ("200", "404", "500")
                for one in histogram(
                    "grafana_http_request_duration_seconds",
                    1,
                    bounds,
                    handler="/api/ds/query",
                    method="POST",
                    status_code=code,
                )
            ),
            *(
                counter("grafana_plugin_request_total", 1, **query, plugin_id=plugin, status=status)
                for plugin in ("elasticsearch", "jaeger", "prometheus")
                for status in ("ok", "error")
            ),
            gauge("grafana_alerting_active_alerts", 0),
            gauge("grafana_http_request_in_flight", 1),
            counter("grafana_proxy_response_status_total", 1, code="200"),
            gauge("grafana_stat_total_users", 12),
            gauge("grafana_stat_totals_dashboard", 6),
            gauge("process_resident_memory_bytes", 2**28),
        ),
    )
