"""Logstash: takes lines from Filebeat, tells their fields apart and writes them to Elasticsearch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.access import ElasticsearchAccess
from components.monitoring.certificates import KeyPair
from components.monitoring.parts import PORTS
from components.monitoring.workload import (
    Place,
    Workload,
    config_volume,
    http_probe,
    of_pod,
    secret_volume,
    tcp_probe,
)
from operations import logs, versions
from operations.monitoring import SIZES, Part
from operations.naming import APPLICATION
from operations.slots import Slot

apps = kubernetes.apps.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1

USER: Final = 1000
"""`logstash`, the user of the image."""

CONFIG_PATH: Final = "/usr/share/logstash/config"
PIPELINE_PATH: Final = "/usr/share/logstash/pipeline"
DATA_PATH: Final = "/usr/share/logstash/data"
"""All that Logstash itself writes: its identity, its queue and what Elasticsearch refused; its log is its standard
output. The image's entry point rewrites `logstash.yml` only where a variable has the name of a setting; none here has.
Source: https://github.com/elastic/logstash/tree/main/docker/data/logstash"""
CERTIFICATES_PATH: Final = "/etc/logstash/certificates"

PASSWORD: Final = "ELASTICSEARCH_PASSWORD"  # noqa: S105 - the name of a variable
"""The environment variable from which the pipeline takes its password."""

VOLUME_GIB: Final = 8
QUEUE: Final = "6gb"
REJECTED: Final = "1gb"
"""Shares of the volume: lines on their way, and lines that Elasticsearch would not take."""

GRACE_SECONDS: Final = 60
"""Time to finish the lines in hand; the queue keeps the rest."""

LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {hardening.NAME: "[service][name]", hardening.VERSION: "[service][version]"}
)
"""Labels of a pod, and the fields that they become."""

UNREAD: Final = (
    "[agent]",
    "[ecs]",
    "[host]",
    "[input]",
    "[kubernetes][labels]",
    "[log][file]",
    "[log][offset]",
)
"""What Filebeat says of itself and of the file; all that is worth keeping of a pod's labels is in other fields."""


def settings(retention: timedelta) -> Mapping[str, Any]:
    """`logstash.yml`.

    A line is acknowledged to Filebeat when it is in the queue on the volume, so neither a restart nor an outage of
    Elasticsearch loses one. One that Elasticsearch refuses for good is kept aside, and no longer than any other.
    Source: https://www.elastic.co/docs/reference/logstash/persistent-queues
    """
    return {
        "node.name": "${POD_NAME}",
        "api.http.host": "0.0.0.0",  # noqa: S104 - the network policy lets nobody in
        "api.http.port": PORTS[Part.LOGSTASH]["api"],
        "pipeline.batch.delay": logs.BATCH // timedelta(milliseconds=1),
        "queue.type": "persisted",
        "queue.max_bytes": QUEUE,
        "dead_letter_queue.enable": True,
        "dead_letter_queue.max_bytes": REJECTED,
        "dead_letter_queue.retain.age": f"{retention.days}d",
    }


def pipeline(
    *, environment: str, slot_namespaces: Mapping[Slot, str], elasticsearch_url: str, user: str
) -> str:
    """The pipeline. It drops no line and leaves each as it was in `message`.

    A line that is a JSON object is also read into `app`. Of its fields, `level` and `trace_id` get the names that
    Elastic's common schema has for them; so do the labels of the pod that wrote it.
    Source: https://www.elastic.co/docs/reference/logstash/configuration-file-structure
    """
    beats = _plugin(
        "beats",
        port=PORTS[Part.LOGSTASH]["beats"],
        ssl_enabled=True,
        ssl_certificate=f"{CERTIFICATES_PATH}/tls.crt",
        ssl_key=f"{CERTIFICATES_PATH}/tls.key",
        ssl_certificate_authorities=[f"{CERTIFICATES_PATH}/ca.crt"],
        ssl_client_authentication="required",
        # Nothing about the connection, and no second copy of the line.
        enrich="none",
    )
    parse = _plugin("json", source="message", target="app", skip_on_invalid_json=True)
    # By interpolation, which makes text of whatever the application has put there.
    lift = [
        _when(f"[app][{given}]", _plugin("mutate", add_field={field: f"%{{[app][{given}]}}"}))
        for given, field in (("level", "[log][level]"), ("trace_id", "[trace][id]"))
    ]
    slots = [
        _when(
            f'[kubernetes][namespace] == "{namespace}"',
            _plugin("mutate", add_field={"[labels][slot]": str(slot)}),
        )
        for slot, namespace in slot_namespaces.items()
    ]
    rename = _plugin(
        "mutate",
        # Filebeat writes a label's dots as underscores.
        rename={f"[kubernetes][labels][{label.replace('.', '_')}]": field for label, field in LABELS.items()},
        remove_field=UNREAD,
    )
    elasticsearch = _plugin(
        "elasticsearch",
        hosts=[elasticsearch_url],
        ssl_enabled=True,
        ssl_certificate_authorities=[f"{CERTIFICATES_PATH}/elasticsearch-ca.crt"],
        user=user,
        password=f"${{{PASSWORD}}}",
        data_stream=True,
        data_stream_type=logs.STREAM_TYPE,
        data_stream_dataset=APPLICATION,
        data_stream_namespace=environment,
        data_stream_auto_routing=False,
    )
    return "\n".join(
        (
            _block("input", beats),
            _block("filter", _when(r"[message] =~ /\A\s*\{/", parse), *lift, *slots, rename),
            _block("output", elasticsearch),
        )
    )


Option = str | int | bool | Sequence[str] | Mapping[str, str]


def _plugin(name: str, **options: Option) -> str:
    return f"{name} {{\n{_indented(*(f'{key} => {_value(value)}' for key, value in options.items()))}\n}}"


def _value(value: Option) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return f'"{value}"'
        case Mapping():
            return f"{{\n{_indented(*(f'{_value(key)} => {_value(of)}' for key, of in value.items()))}\n}}"
        case _:
            return f"[{', '.join(map(_value, value))}]"


def _when(condition: str, *plugins: str) -> str:
    return _block(f"if {condition}", *plugins).rstrip("\n")


def _block(head: str, *parts: str) -> str:
    return f"{head} {{\n{_indented(*parts)}\n}}\n"


def _indented(*parts: str) -> str:
    return "\n".join(f"  {line}" for part in parts for line in part.splitlines())


@dataclass(frozen=True, kw_only=True)
class LogstashArgs:
    """Where lines come from and where they go."""

    place: Place
    environment: str
    replicas: int
    """Filebeat spreads over them; two, so that one may go."""
    retention_days: int
    """Age up to which a line may be kept, here too."""
    certificate: KeyPair
    """By which it proves itself to Filebeat."""
    authority: pulumi.Output[str]
    """Who has a certificate of this authority may send lines; in PEM."""
    elasticsearch: ElasticsearchAccess
    """A user that may append to the logs."""


class Logstash(Workload):
    """Replicas of Logstash, each with a queue on a volume of its own."""

    hosts: Sequence[str]
    """Where each replica takes lines, as `host:port`."""

    def __init__(self, name: str, args: LogstashArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, Part.LOGSTASH, versions.LOGSTASH_IMAGE, args.place, opts)
        port = PORTS[self.part]["beats"]
        self.hosts = [
            f"{self.part}-{ordinal}.{self.part.replicas_host}:{port}" for ordinal in range(args.replicas)
        ]
        self.account()
        self.traffic()
        headless = self.service("beats", headless=True)
        self.disruption_budget()
        access = args.elasticsearch
        config = self.config(
            pulumi.Output.all(**args.place.slot_namespaces).apply(
                lambda namespaces: {
                    "logstash.yml": json.dumps(settings(timedelta(days=args.retention_days)), indent=2),
                    "logs.conf": pipeline(
                        environment=args.environment,
                        slot_namespaces={Slot(slot): namespace for slot, namespace in namespaces.items()},
                        elasticsearch_url=access.url,
                        user=access.user,
                    ),
                }
            )
        )
        secrets = self.secret(
            {
                "tls.crt": args.certificate.certificate,
                "tls.key": args.certificate.key,
                "ca.crt": args.authority,
                "elasticsearch-ca.crt": access.ca,
                PASSWORD: access.password,
            }
        )
        self.stateful_set(
            [self._container(secrets)],
            _volumes(config, secrets),
            headless=headless,
            replicas=args.replicas,
            user=USER,
            storage_gib=VOLUME_GIB,
            grace_seconds=GRACE_SECONDS,
        )
        self.register_outputs({"hosts": self.hosts})

    def _container(self, secrets: pulumi.Input[str]) -> core.ContainerArgs:
        size = SIZES[self.part]
        heap = size.memory_mib // 2
        return core.ContainerArgs(
            name=self.part,
            image=versions.LOGSTASH_IMAGE,
            image_pull_policy="IfNotPresent",
            env=[
                of_pod("POD_NAME", "metadata.name"),
                core.EnvVarArgs(name="LS_JAVA_OPTS", value=f"-Xms{heap}m -Xmx{heap}m"),
                core.EnvVarArgs(
                    name=PASSWORD,
                    value_from=core.EnvVarSourceArgs(
                        secret_key_ref=core.SecretKeySelectorArgs(name=secrets, key=PASSWORD)
                    ),
                ),
            ],
            ports=self.container_ports("beats", "api"),
            resources=hardening.guaranteed(size.cpu_millicores, size.memory_mib),
            security_context=hardening.restricted_container(),
            startup_probe=http_probe("/", "api", period=10, failures=30),
            readiness_probe=tcp_probe("beats", period=5, failures=3),
            liveness_probe=http_probe("/", "api", period=20, failures=6),
            volume_mounts=[
                core.VolumeMountArgs(
                    name="config",
                    mount_path=f"{CONFIG_PATH}/logstash.yml",
                    sub_path="logstash.yml",
                    read_only=True,
                ),
                core.VolumeMountArgs(name="pipeline", mount_path=PIPELINE_PATH, read_only=True),
                core.VolumeMountArgs(name="certificates", mount_path=CERTIFICATES_PATH, read_only=True),
                core.VolumeMountArgs(name="data", mount_path=DATA_PATH),
                core.VolumeMountArgs(name="tmp", mount_path="/tmp"),  # noqa: S108 - a volume of the pod's own
            ],
        )


def _volumes(config: pulumi.Input[str], secrets: pulumi.Input[str]) -> list[core.VolumeArgs]:
    files = ("tls.crt", "tls.key", "ca.crt", "elasticsearch-ca.crt")
    return [
        config_volume("config", config, "logstash.yml"),
        config_volume("pipeline", config, "logs.conf"),
        secret_volume("certificates", secrets, *files),
        core.VolumeArgs(name="tmp", empty_dir=core.EmptyDirVolumeSourceArgs()),
    ]
