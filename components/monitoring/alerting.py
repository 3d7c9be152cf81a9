"""Alertmanager: peers that sort alerts and tell people, each of them once (the page, "Alert Routing")."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.parts import PORTS, address
from components.monitoring.routes import (
    HEARTBEAT_URL,
    RETENTION,
    SECRETS_PATH,
    SLACK_TOKEN,
    configuration,
    integration_key,
    paged,
)
from components.monitoring.workload import Place, Workload, config_volume, http_probe, of_pod, secret_volume
from operations import versions
from operations.metrics import promql_duration
from operations.monitoring import SIZES, Paging, Part
from operations.priorities import Priority

apps = kubernetes.apps.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1

CONFIG_PATH: Final = "/etc/alertmanager/config"
CONFIG_FILE: Final = "alertmanager.json"
DATA_PATH: Final = "/alertmanager"
USER: Final = 65534
"""`nobody`, the user of the image."""
STORAGE_GIB: Final = 1
"""For silences and the log of what was sent: some kilobytes in the smallest volume that EBS has."""


@dataclass(frozen=True, kw_only=True)
class AlertmanagerArgs:
    """Whom an Alertmanager reaches, and by which credentials."""

    place: Place
    environment: str
    replicas: int
    """Peers; each alone can tell everybody."""
    slack_token: pulumi.Input[str]
    """A bot's token that may write to the channels of `operations.priorities.ROUTES`."""
    paging: Paging | None
    """Without it PagerDuty cannot be reached at all."""
    integration_keys: Mapping[Priority, pulumi.Input[str]]
    """Of the PagerDuty service for each priority that is paged; none without paging."""
    heartbeat_url: pulumi.Input[str] | None
    """What expects a request every five minutes and raises the alarm without; where there is paging."""

    def __post_init__(self) -> None:
        """Refuse credentials that nobody uses, and pages without credentials."""
        wanted = [*paged(self.paging)]
        if sorted(self.integration_keys) != wanted:
            raise ValueError(
                f"integration_keys is of {sorted(self.integration_keys)}, and paging takes {wanted}"
            )
        if (self.heartbeat_url is None) != (self.paging is None):
            raise ValueError("heartbeat_url and paging are given both or not at all")


class Alertmanager(Workload):
    """A StatefulSet of peers that tell each other what they sent, and may call out to the internet alone."""

    url: pulumi.Output[str]
    """Where Alertmanager answers within the cluster."""

    def __init__(self, name: str, args: AlertmanagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, Part.ALERTMANAGER, versions.ALERTMANAGER_IMAGE, args.place, opts)
        self.account()
        self.traffic(hardening.to_internet())
        config = self.config(
            {CONFIG_FILE: json.dumps(configuration(args.environment, args.paging), indent=2)}
        )
        secrets = self.secret(_credentials(args))
        self.service("http")
        headless = self.service("http", "gossip", headless=True)
        self.disruption_budget()
        server = self.stateful_set(
            [self._container(args.replicas)],
            [config_volume("config", config), secret_volume("secrets", secrets)],
            headless=headless,
            replicas=args.replicas,
            user=USER,
            storage_gib=STORAGE_GIB,
        )
        self.url = server.metadata.apply(lambda _: address(Part.ALERTMANAGER, "http"))
        self.register_outputs({"url": self.url})

    def _container(self, replicas: int) -> core.ContainerArgs:
        size = SIZES[Part.ALERTMANAGER]
        return core.ContainerArgs(
            name=self.part,
            image=versions.ALERTMANAGER_IMAGE,
            image_pull_policy="IfNotPresent",
            args=[
                f"--config.file={CONFIG_PATH}/{CONFIG_FILE}",
                f"--storage.path={DATA_PATH}",
                f"--data.retention={promql_duration(RETENTION)}",
                *cluster_flags(replicas),
            ],
            env=[of_pod("POD_IP", "status.podIP")],
            ports=self.container_ports("http", "gossip"),
            resources=hardening.guaranteed(size.cpu_millicores, size.memory_mib),
            security_context=hardening.restricted_container(),
            readiness_probe=http_probe("/-/ready", "http", period=5, failures=3),
            liveness_probe=http_probe("/-/healthy", "http", period=10, failures=6),
            volume_mounts=[
                core.VolumeMountArgs(name="config", mount_path=CONFIG_PATH, read_only=True),
                core.VolumeMountArgs(name="secrets", mount_path=SECRETS_PATH, read_only=True),
                core.VolumeMountArgs(name="data", mount_path=DATA_PATH),
            ],
        )


def _credentials(args: AlertmanagerArgs) -> Mapping[str, pulumi.Input[str]]:
    """What the configuration's files hold, by the name of the file."""
    return {
        SLACK_TOKEN: args.slack_token,
        **{integration_key(priority): key for priority, key in args.integration_keys.items()},
        **({} if args.heartbeat_url is None else {HEARTBEAT_URL: args.heartbeat_url}),
    }


def cluster_flags(replicas: int) -> Iterator[str]:
    """How the peers find each other; one alone listens for none.

    A peer that is gone for five minutes comes back under another address, so nobody looks for it at the old one.
    Source: https://prometheus.io/docs/alerting/latest/high_availability/
    """
    if replicas == 1:
        yield "--cluster.listen-address="
        return
    port = PORTS[Part.ALERTMANAGER]["gossip"]
    yield f"--cluster.listen-address=0.0.0.0:{port}"
    yield f"--cluster.advertise-address=$(POD_IP):{port}"
    yield "--cluster.reconnect-timeout=5m"
    for number in range(replicas):
        yield f"--cluster.peer={Part.ALERTMANAGER}-{number}.{Part.ALERTMANAGER.replicas_host}:{port}"
