"""Jaeger: takes traces by OTLP, keeps them, and answers what Grafana asks of them.

Jaeger 2 is an OpenTelemetry Collector, so its configuration is the Collector's: extensions, and a pipeline from
receivers over processors to exporters. Where the stack keeps traces in Elasticsearch they live seven days.

What Jaeger's user needs of Elasticsearch: on the cluster `monitor` (it asks for the version) and
`manage_index_templates` (it brings its own at each start); on `jaeger-*` `auto_configure` and `create_index` (each
day's first span makes the day's index), `write`, `read` and `view_index_metadata`, and `delete_index` for the
cleaner. Its indices are `jaeger-span-<day>`, `jaeger-service-<day>` and `jaeger-dependencies-<day>`.
Sources: https://www.jaegertracing.io/docs/latest/storage/elasticsearch/,
https://www.elastic.co/docs/reference/elasticsearch/security-privileges
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.access import ElasticsearchAccess
from components.monitoring.housekeeping import Housekeeping, HousekeepingArgs
from components.monitoring.parts import PORTS, address
from components.monitoring.workload import Place, Workload, config_volume, http_probe, secret_volume
from operations import versions
from operations.monitoring import INDEX_CLEANER, SIZES, Part, TraceStorage

apps = kubernetes.apps.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1

USER: Final = 10001
"""The user of Jaeger's images. Source: https://github.com/jaegertracing/jaeger/blob/main/cmd/jaeger/Dockerfile"""

MAX_TRACES: Final = 5_000
"""Traces kept in memory before the oldest goes: at 100 KiB each they take half of the pod's."""

RETENTION_DAYS: Final = 7
"""A trace in Elasticsearch is kept at least this long, and at most two days longer. The page's 30 days are for logs; a
trace explains what went wrong this week."""

CLEANED_AFTER_DAYS: Final = RETENTION_DAYS + 1
"""What the cleaner is given: it counts back from the coming midnight, and deletes the days that ended before that."""

CLEANER_SCHEDULE: Final = "30 1 * * *"
"""Daily, at half past one in the night (UTC), as Jaeger's days are."""

CONFIG_PATH: Final = "/etc/jaeger"
CA_PATH: Final = f"{CONFIG_PATH}/ca.crt"
SECRETS_PATH: Final = "/etc/jaeger-secrets"

_STORE: Final = "traces"
_PORTS: Final = PORTS[Part.JAEGER]

Configuration = Mapping[str, Any]
"""Jaeger's configuration as plain data.
Sources: https://www.jaegertracing.io/docs/latest/deployment/configuration/,
https://opentelemetry.io/docs/collector/configuration/"""


def in_memory() -> Configuration:
    """Jaeger that forgets: the newest traces in its own memory, until it restarts."""
    return _configuration({"memory": {"max_traces": MAX_TRACES}}, processors={"batch": {}})


def in_elasticsearch(*, url: str, user: str, index_replicas: int) -> Configuration:
    """Jaeger that keeps its traces in Elasticsearch, one index a day; the password and the CA come from files.

    `index_replicas` are the copies of each index beside the first: none on a single node, which could hold none.
    """
    # One shard holds a day of sampled traces; each shard costs the cluster memory.
    index = {"shards": 1, "replicas": index_replicas}
    return _configuration(
        {
            "elasticsearch": {
                "server_urls": [url],
                "auth": {"basic": {"username": user, "password_file": f"{SECRETS_PATH}/password"}},
                "tls": {"ca_file": CA_PATH},
                "indices": {kind: {**index} for kind in ("spans", "services", "dependencies", "sampling")},
                # How far back a trace is looked for by its id.
                "max_span_age": f"{RETENTION_DAYS * 24}h",
            }
        },
        # Spans pile up while Elasticsearch is slow: the senders are told to wait before the pod is out of memory. In
        # memory, what fills it are the kept traces, and refusing new ones would never end.
        processors={
            "memory_limiter": {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20},
            "batch": {},
        },
    )


def _configuration(store: Configuration, *, processors: Configuration) -> Configuration:
    def everywhere(port: str) -> str:
        return f"0.0.0.0:{_PORTS[port]}"

    return {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    # In this order: what is refused must not be batched first.
                    "processors": [*processors],
                    "exporters": ["jaeger_storage_exporter"],
                }
            },
            "telemetry": {
                "resource": {"service.name": "jaeger"},
                "metrics": {
                    "level": "normal",
                    "readers": [
                        {
                            "pull": {
                                "exporter": {"prometheus": {"host": "0.0.0.0", "port": _PORTS["metrics"]}}  # noqa: S104 - the pod's own address
                            }
                        }
                    ],
                },
                "logs": {"level": "info", "encoding": "json"},
            },
        },
        "extensions": {
            "jaeger_storage": {"backends": {_STORE: store}},
            "jaeger_query": {
                "storage": {"traces": _STORE},
                "http": {"endpoint": everywhere("query")},
                # Nobody asks by gRPC.
                "grpc": {"endpoint": "127.0.0.1:16685"},
                # Its own requests are no traces of the application.
                "enable_tracing": False,
            },
            "healthcheckv2": {"use_v2": True, "http": {"endpoint": everywhere("health")}},
        },
        "receivers": {
            "otlp": {
                "protocols": {
                    "http": {"endpoint": everywhere("otlp-http")},
                }
            }
        },
        "processors": processors,
        "exporters": {"jaeger_storage_exporter": {"trace_storage": _STORE}},
    }


@dataclass(frozen=True, kw_only=True)
class JaegerArgs:
    """Where Jaeger runs and where it keeps traces.

    Raises ValueError when it is to keep them in Elasticsearch and is given no access to it, or when replicas are to
    keep them in memory: each would know other traces.
    """

    place: Place
    storage: TraceStorage
    replicas: int
    elasticsearch: ElasticsearchAccess | None = None
    """How it signs in; nothing else than with that storage."""
    index_replicas: int = 1
    """Copies of each index beside the first: 0 where Elasticsearch has one node."""

    def __post_init__(self) -> None:
        if self.storage is TraceStorage.ELASTICSEARCH and self.elasticsearch is None:
            raise ValueError("traces are kept in Elasticsearch, and no access to it is given")
        if self.storage is TraceStorage.MEMORY and self.replicas != 1:
            raise ValueError(f"traces are kept in memory, which {self.replicas} replicas cannot share: 1 can")


class Jaeger(Workload):
    """Jaeger as one Deployment, and beside Elasticsearch a job that deletes old traces each night."""

    otlp_endpoint: pulumi.Output[str]
    """Where the application sends spans by OTLP over HTTP."""
    url: pulumi.Output[str]
    """Where Grafana asks for traces."""

    def __init__(self, name: str, args: JaegerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        access = args.elasticsearch if args.storage is TraceStorage.ELASTICSEARCH else None
        place = args.place
        if access is None:
            # Nothing is kept there, so nothing may go there.
            place = replace(place, parts=place.parts - {Part.ELASTICSEARCH})
        super().__init__(name, Part.JAEGER, versions.JAEGER_IMAGE, place, opts)
        self.account()
        self.traffic()
        self.service("otlp-http", "query")
        self.service("metrics", headless=True)
        self.disruption_budget()
        password = None if access is None else self.secret({"password": access.password})
        config = self.config(_files(access, args.index_replicas))
        volumes = [
            config_volume("config", config),
            *([] if password is None else [secret_volume("secrets", password)]),
        ]
        deployment = self.deployment([self._container(volumes)], volumes, replicas=args.replicas, user=USER)
        if access is not None and password is not None:
            self._cleaner(access, config, password)
        self.otlp_endpoint = deployment.metadata.apply(lambda _: address(Part.JAEGER, "otlp-http"))
        self.url = deployment.metadata.apply(lambda _: address(Part.JAEGER, "query"))
        self.register_outputs({"otlp_endpoint": self.otlp_endpoint, "url": self.url})

    def _container(self, volumes: list[core.VolumeArgs]) -> core.ContainerArgs:
        size = SIZES[Part.JAEGER]
        paths = {"config": CONFIG_PATH, "secrets": SECRETS_PATH}
        return core.ContainerArgs(
            name=Part.JAEGER,
            image=versions.JAEGER_IMAGE,
            image_pull_policy="IfNotPresent",
            args=[f"--config={CONFIG_PATH}/jaeger.json"],
            # The garbage collector works harder before the limit is reached.
            env=[core.EnvVarArgs(name="GOMEMLIMIT", value=f"{size.memory_mib * 4 // 5}MiB")],
            ports=self.container_ports(*_PORTS),
            resources=hardening.guaranteed(size.cpu_millicores, size.memory_mib),
            security_context=hardening.restricted_container(),
            # It listens only once Elasticsearch has taken its templates.
            startup_probe=http_probe("/status", "health", period=5, failures=36),
            readiness_probe=http_probe("/status", "health", period=5, failures=3),
            liveness_probe=http_probe("/status", "health", period=10, failures=6),
            volume_mounts=[
                core.VolumeMountArgs(
                    name=str(volume.name), mount_path=paths[str(volume.name)], read_only=True
                )
                for volume in volumes
            ],
        )

    def _cleaner(
        self, access: ElasticsearchAccess, config: pulumi.Output[str], password: pulumi.Output[str]
    ) -> None:
        """Jaeger's own cleaner, nightly: Jaeger brings the templates of its indices, and no lifecycle in them.

        Source: https://www.jaegertracing.io/docs/latest/storage/elasticsearch/#index-cleaner
        """
        Housekeeping(
            f"{self.name}-cleaner",
            HousekeepingArgs(
                place=self.place,
                chore=INDEX_CLEANER,
                schedule=CLEANER_SCHEDULE,
                longest=timedelta(minutes=15),
                image=versions.JAEGER_INDEX_CLEANER_IMAGE,
                user=USER,
                arguments=[
                    str(CLEANED_AFTER_DAYS),
                    access.url,
                    f"--es.username={access.user}",
                    "--es.tls.enabled=true",
                    f"--es.tls.ca={CA_PATH}",
                ],
                # It reads the password from nowhere else than a flag or this variable.
                env=[
                    core.EnvVarArgs(
                        name="ES_PASSWORD",
                        value_from=core.EnvVarSourceArgs(
                            secret_key_ref=core.SecretKeySelectorArgs(name=password, key="password")
                        ),
                    )
                ],
                reads={CONFIG_PATH: config_volume("config", config)},
                after=self.after,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )


def _files(
    access: ElasticsearchAccess | None, index_replicas: int
) -> Mapping[str, str] | pulumi.Output[Mapping[str, str]]:
    if access is None:
        return {"jaeger.json": json.dumps(in_memory(), indent=2)}
    config = in_elasticsearch(url=access.url, user=access.user, index_replicas=index_replicas)

    def with_ca(ca: str) -> Mapping[str, str]:
        return {"jaeger.json": json.dumps(config, indent=2), "ca.crt": ca}

    return access.ca.apply(with_ca)
