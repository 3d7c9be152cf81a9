"""Elasticsearch: the nodes that keep logs, and traces where they are stored; see `elasticsearch_configuration`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

from components import hardening
from components.monitoring.access import ElasticsearchAccess
from components.monitoring.certificates import Authority, AuthorityArgs, Leaf, Use
from components.monitoring.elasticsearch_configuration import (
    CERTIFICATES_PATH,
    CONFIG_PATH,
    DATA_PATH,
    LOGS_PATH,
    READINESS_PORT,
    User,
    cluster_state,
    node,
    roles,
    users,
    users_roles,
)
from components.monitoring.log_sweep import LogSweep, LogSweepArgs
from components.monitoring.parts import PORTS, address
from components.monitoring.workload import Place, Workload, config_volume, of_pod, secret_volume, tcp_probe
from operations import versions
from operations.logs import log_stream
from operations.monitoring import Part, Size

apps = kubernetes.apps.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1

USER: Final = 1000
"""`elasticsearch`, the user of the image."""

PASSWORD_LENGTH: Final = 32
"""Characters; bcrypt reads no more than 72."""

GRACE_SECONDS: Final = 180
"""Time to write what is in memory to disk and to leave the cluster."""

BETWEEN_NODES: Final = 30
"""Seconds that a replaced node is ready before the next one goes: time for its shards to catch up."""

OPERATOR_SECRET: Final = "elasticsearch-operator"  # noqa: S105 - the name of a Secret
"""The Secret in which an operator with access to the cluster finds the password of the user `operator`."""

IMAGE_CONFIG_PATH: Final = "/image-config"
"""Where the init container writes the image's own configuration to, which Elasticsearch must be able to add to."""


@dataclass(frozen=True, kw_only=True)
class ElasticsearchArgs:
    """A cluster and how long it keeps logs."""

    place: Place
    environment: str
    nodes: int
    """One, or at least three."""
    size: Size
    """Of each node; half of its memory is the heap."""
    storage_gib: int
    """Disk of each node."""
    retention_days: int
    """Age up to which log lines are kept, and no longer."""


class Elasticsearch(Workload):
    """Nodes with TLS between them and to their users, who come from files, as everything but the documents does."""

    stream: str
    """The data stream of the logs, such as `logs-quikapp-live`."""
    ca: pulumi.Output[str]
    """The certificate of the authority that signed the nodes' own, in PEM."""

    def __init__(
        self, name: str, args: ElasticsearchArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, Part.ELASTICSEARCH, versions.ELASTICSEARCH_IMAGE, args.place, opts)
        retention = timedelta(days=args.retention_days)
        self.stream = log_stream(args.environment)
        passwords = {user: self._password(user) for user in User}
        authority = Authority(
            f"{name}-authority",
            AuthorityArgs(
                common_name=f"{self.part} of {args.environment}",
                leaves={
                    "node": Leaf(
                        common_name=self.part,
                        uses=[Use.SERVER, Use.CLIENT],
                        dns_names=[self.part.host, f"*.{self.part.replicas_host}", "localhost"],
                    )
                },
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.ca = authority.certificate
        self._accesses: Final = {
            user: ElasticsearchAccess(
                url=address(self.part, "https"),
                ca=self.ca,
                user=user,
                password=password.result,
            )
            for user, password in passwords.items()
        }
        self.account()
        self.traffic()
        self.service("https")
        headless = self.service("https", "transport", headless=True)
        self.disruption_budget()
        config = self.config(
            {
                "elasticsearch.yml": _json(node(environment=args.environment, nodes=args.nodes)),
                "roles.yml": _json(roles(args.environment)),
                "users_roles": users_roles(),
                "settings.json": _json(
                    cluster_state(environment=args.environment, nodes=args.nodes, retention=retention)
                ),
            }
        )
        secrets = self.secret(
            {
                "users": pulumi.Output.all(
                    **{user: password.bcrypt_hash for user, password in passwords.items()}
                ).apply(_users),
                "tls.crt": authority.leaves["node"].certificate,
                "tls.key": authority.leaves["node"].key,
                "ca.crt": authority.certificate,
            }
        )
        self._operator()
        # Nodes become ready when a majority is there, so none can wait for the one before.
        server = self.stateful_set(
            [_node(args.size)],
            _volumes(config, secrets),
            init_containers=[_image_config()],
            headless=headless,
            replicas=args.nodes,
            user=USER,
            storage_gib=args.storage_gib,
            grace_seconds=GRACE_SECONDS,
            min_ready_seconds=BETWEEN_NODES,
        )
        LogSweep(
            f"{name}-sweep",
            LogSweepArgs(
                place=args.place,
                elasticsearch=self.access(User.SWEEP),
                stream=self.stream,
                retention=retention,
                after=server,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"stream": self.stream, "ca": self.ca})

    def access(self, user: User) -> ElasticsearchAccess:
        """How one of the users signs in."""
        return self._accesses[user]

    def _password(self, user: User) -> random.RandomPassword:
        return random.RandomPassword(
            f"{self.name}-{user}-password",
            length=PASSWORD_LENGTH,
            special=False,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _operator(self) -> None:
        core.Secret(
            f"{self.name}-operator",
            metadata=self.metadata(OPERATOR_SECRET),
            type="kubernetes.io/basic-auth",
            string_data={
                "username": User.OPERATOR.value,
                "password": self.access(User.OPERATOR).password,
            },
            opts=self.child,
        )


def _json(configuration: object) -> str:
    return json.dumps(configuration, indent=2)


def _users(hashes: Mapping[str, str]) -> str:
    return users({User(name): bcrypt for name, bcrypt in hashes.items()})


def _volumes(config: pulumi.Input[str], secrets: pulumi.Input[str]) -> list[core.VolumeArgs]:
    return [
        config_volume("config", config, "elasticsearch.yml", "roles.yml", "users_roles"),
        config_volume("operator", config, "settings.json"),
        secret_volume("users", secrets, "users"),
        secret_volume("certificates", secrets, "tls.crt", "tls.key", "ca.crt"),
        *(
            core.VolumeArgs(name=name, empty_dir=core.EmptyDirVolumeSourceArgs())
            for name in ("image-config", "logs", "tmp")
        ),
    ]


def _image_config() -> core.ContainerArgs:
    """Copies what the image has in its configuration folder to where Elasticsearch can write a keystore beside it."""
    return core.ContainerArgs(
        name="image-config",
        image=versions.ELASTICSEARCH_IMAGE,
        image_pull_policy="IfNotPresent",
        command=["cp", "-R", f"{CONFIG_PATH}/.", IMAGE_CONFIG_PATH],
        resources=hardening.guaranteed(100, 64),
        security_context=hardening.restricted_container(),
        volume_mounts=[core.VolumeMountArgs(name="image-config", mount_path=IMAGE_CONFIG_PATH)],
    )


def _node(size: Size) -> core.ContainerArgs:
    heap = size.memory_mib // 2

    def file(volume: str, name: str) -> core.VolumeMountArgs:
        return core.VolumeMountArgs(
            name=volume, mount_path=f"{CONFIG_PATH}/{name}", sub_path=name, read_only=True
        )

    return core.ContainerArgs(
        name=Part.ELASTICSEARCH,
        image=versions.ELASTICSEARCH_IMAGE,
        image_pull_policy="IfNotPresent",
        env=[
            of_pod("POD_NAME", "metadata.name"),
            of_pod("POD_IP", "status.podIP"),
            core.EnvVarArgs(name="ES_JAVA_OPTS", value=f"-Xms{heap}m -Xmx{heap}m"),
        ],
        ports=[
            core.ContainerPortArgs(name=port, container_port=number, protocol="TCP")
            for port, number in {
                **PORTS[Part.ELASTICSEARCH],
                "readiness": READINESS_PORT,
            }.items()
        ],
        resources=hardening.guaranteed(size.cpu_millicores, size.memory_mib),
        security_context=hardening.restricted_container(),
        # A node with much to recover listens before it is ready; the others are told nothing until then.
        startup_probe=tcp_probe("transport", period=10, failures=60),
        readiness_probe=tcp_probe("readiness", period=5, failures=3),
        liveness_probe=tcp_probe("transport", period=20, failures=6),
        volume_mounts=[
            core.VolumeMountArgs(name="data", mount_path=DATA_PATH),
            core.VolumeMountArgs(name="image-config", mount_path=CONFIG_PATH),
            file("config", "elasticsearch.yml"),
            file("config", "roles.yml"),
            file("config", "users_roles"),
            file("users", "users"),
            core.VolumeMountArgs(name="operator", mount_path=f"{CONFIG_PATH}/operator", read_only=True),
            core.VolumeMountArgs(name="certificates", mount_path=CERTIFICATES_PATH, read_only=True),
            core.VolumeMountArgs(name="logs", mount_path=LOGS_PATH),
            core.VolumeMountArgs(name="tmp", mount_path="/tmp"),  # noqa: S108 - a volume of the pod's own
        ],
    )
