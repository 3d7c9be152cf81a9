"""Kibana: where people search the logs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

from components import hardening
from components.monitoring.access import ElasticsearchAccess
from components.monitoring.parts import PORTS
from components.monitoring.workload import (
    Place,
    Workload,
    config_volume,
    http_probe,
    secret_volume,
    tcp_probe,
)
from operations import versions
from operations.monitoring import SIZES, Part

apps = kubernetes.apps.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1

USER: Final = 1000
"""`kibana`, the user of the image."""

CONFIG_PATH: Final = "/etc/kibana"
SECRETS_PATH: Final = "/etc/kibana-secrets"

KEY_LENGTH: Final = 64
"""Characters of a key by which Kibana encrypts; it takes no fewer than 32."""

ENCRYPTED: Final = ("security", "encryptedSavedObjects", "reporting")
"""What Kibana encrypts, each with a key of its own; without one it makes a new key at every start.
Source: https://www.elastic.co/docs/reference/kibana/configuration-reference/security-settings"""

HEAP_SHARE: Final = 2 / 3
"""Of the memory, for what Node.js collects as garbage; the rest is for what it does not. Version 9 takes more than a
gigabyte in all while it starts.
Source: https://github.com/elastic/cloud-on-k8s/blob/main/pkg/controller/kibana/pod.go"""

WRITTEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "data": "/usr/share/kibana/data",
        "plugins": "/usr/share/kibana/plugins",
        "tmp": "/tmp",  # noqa: S108 - a volume of the pod's own
    }
)
"""Folders that it must be able to write to, by their volumes; none outlives the pod.
Source: https://github.com/elastic/cloud-on-k8s/blob/main/pkg/controller/kibana/pod.go"""


def configuration(*, elasticsearch_url: str, user: str) -> Mapping[str, Any]:
    """`kibana.yml`, without what is secret.

    People sign in as users of Elasticsearch. Nothing is sent to Elastic and nothing is fetched from there.
    Source: https://www.elastic.co/docs/reference/kibana/configuration-reference/general-settings
    """
    return {
        "server.host": "0.0.0.0",  # noqa: S104 - the network policy lets nobody in but a port-forward
        "server.port": PORTS[Part.KIBANA]["http"],
        "elasticsearch.hosts": [elasticsearch_url],
        "elasticsearch.username": user,
        "elasticsearch.ssl.certificateAuthorities": [f"{SECRETS_PATH}/elasticsearch-ca.crt"],
        "elasticsearch.ssl.verificationMode": "full",
        "xpack.security.authc.providers": {"basic.basic": {"order": 0}},
        "telemetry.optIn": False,
        "telemetry.allowChangingOptInStatus": False,
        "newsfeed.enabled": False,
        "map.includeElasticMapsService": False,
    }


def secret_configuration(password: str, keys: Mapping[str, str]) -> Mapping[str, str]:
    """The rest of it: the password, and a key by each of `ENCRYPTED`."""
    return {
        "elasticsearch.password": password,
        **{f"xpack.{what}.encryptionKey": key for what, key in keys.items()},
    }


@dataclass(frozen=True, kw_only=True)
class KibanaArgs:
    """Whose logs are shown."""

    place: Place
    elasticsearch: ElasticsearchAccess
    """A user with the role `kibana_system`."""


class Kibana(Workload):
    """One Kibana, reached by `kubectl port-forward`."""

    def __init__(self, name: str, args: KibanaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, Part.KIBANA, versions.KIBANA_IMAGE, args.place, opts)
        access = args.elasticsearch
        self.account()
        self.traffic()
        self.service("http")
        self.disruption_budget()
        config = self.config(
            {
                "kibana.yml": json.dumps(
                    configuration(elasticsearch_url=access.url, user=access.user), indent=2
                )
            }
        )
        keys = {what: self._key(what) for what in ENCRYPTED}
        secrets = self.secret(
            {
                "secrets.yml": pulumi.Output.all(password=access.password, **keys).apply(_secrets),
                "elasticsearch-ca.crt": access.ca,
            }
        )
        self.deployment(
            [self._container()],
            _volumes(config, secrets),
            replicas=1,
            user=USER,
            # Two versions at once would both migrate Kibana's own indices.
            recreate=True,
        )
        self.register_outputs({})

    def _key(self, what: str) -> pulumi.Output[str]:
        return random.RandomPassword(
            f"{self.name}-{what}-key",
            length=KEY_LENGTH,
            special=False,
            opts=pulumi.ResourceOptions(parent=self),
        ).result

    def _container(self) -> core.ContainerArgs:
        size = SIZES[self.part]
        return core.ContainerArgs(
            name=self.part,
            image=versions.KIBANA_IMAGE,
            image_pull_policy="IfNotPresent",
            args=[
                "/usr/local/bin/kibana-docker",
                f"--config={CONFIG_PATH}/kibana.yml",
                f"--config={SECRETS_PATH}/secrets.yml",
            ],
            env=[
                core.EnvVarArgs(
                    name="NODE_OPTIONS",
                    value=f"--max-old-space-size={int(size.memory_mib * HEAP_SHARE)}",
                )
            ],
            ports=self.container_ports("http"),
            resources=hardening.guaranteed(size.cpu_millicores, size.memory_mib),
            security_context=hardening.restricted_container(),
            # Its first start waits for Elasticsearch, then makes its indices.
            startup_probe=http_probe("/api/status", "http", period=10, failures=60, timeout=5),
            readiness_probe=http_probe("/api/status", "http", period=10, failures=3, timeout=5),
            # Not by its status, which is that of Elasticsearch too.
            liveness_probe=tcp_probe("http", period=20, failures=6),
            volume_mounts=[
                core.VolumeMountArgs(name="config", mount_path=CONFIG_PATH, read_only=True),
                core.VolumeMountArgs(name="secrets", mount_path=SECRETS_PATH, read_only=True),
                *(core.VolumeMountArgs(name=name, mount_path=path) for name, path in WRITTEN.items()),
            ],
        )


def _secrets(given: Mapping[str, str]) -> str:
    keys = {what: given[what] for what in ENCRYPTED}
    return json.dumps(secret_configuration(given["password"], keys), indent=2)


def _volumes(config: pulumi.Input[str], secrets: pulumi.Input[str]) -> list[core.VolumeArgs]:
    return [
        config_volume("config", config),
        secret_volume("secrets", secrets),
        *(core.VolumeArgs(name=name, empty_dir=core.EmptyDirVolumeSourceArgs()) for name in WRITTEN),
    ]
