"""Filebeat: reads what the containers of each node write and sends it to Logstash."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.certificates import KeyPair
from components.monitoring.parts import PORTS
from components.monitoring.workload import Place, Workload, config_volume, http_probe, of_pod, to_api_server
from operations import logs, versions
from operations.logs import seconds
from operations.monitoring import NAMESPACE, SIZES, Part

core = kubernetes.core.v1
meta = kubernetes.meta.v1
rbac = kubernetes.rbac.v1

POD_LOGS: Final = "/var/log/pods"
"""Where the kubelet keeps what containers write, as `<namespace>_<pod>_<uid>/<container>/<restarts>.log`."""

REGISTRY: Final = "/var/lib/filebeat"
"""A folder of the node that remembers how far each file has been read."""

CONFIG_PATH: Final = "/etc/filebeat"
CERTIFICATES_PATH: Final = "/etc/filebeat-certificates"
DATA_PATH: Final = "/usr/share/filebeat/data"
LOGS_PATH: Final = "/usr/share/filebeat/logs"
"""Where it writes lines that it could not send on for what is in them; all else it says on its standard output.
Source: https://www.elastic.co/docs/reference/beats/filebeat/configuration-logging"""

FINGERPRINT_BYTES: Final = 64
"""A file is known by as many of its first bytes, and not read before it has them; the least there may be. They begin
with the time in nanoseconds, and the first line that the application writes is longer.
Source: https://www.elastic.co/docs/reference/beats/filebeat/filebeat-input-filestream"""

BATCH_LINES: Final = 512
QUEUE_LINES: Final = 2048


def configuration(*, namespaces: Sequence[str], logstash: Sequence[str]) -> Mapping[str, Any]:
    """`filebeat.yml`: lines of the pods of these namespaces, to these replicas of Logstash.

    Rotated files are read to their end too, packed or not. A line's time is the one at which its container wrote it.
    """
    return {
        "filebeat.inputs": [
            {
                "type": "filestream",
                "id": "pods",
                "paths": [f"{POD_LOGS}/{namespace}_*/*/*.log*" for namespace in namespaces],
                "compression": "auto",
                "parsers": [{"container": {"stream": "all", "format": "auto"}}],
                "prospector.scanner": {
                    "check_interval": seconds(logs.SCAN),
                    "fingerprint": {"enabled": True, "length": FINGERPRINT_BYTES},
                    # What the kubelet is still packing.
                    "exclude_files": [r"\.tmp$"],
                },
                "file_identity.fingerprint": {},
                "backoff": {"init": seconds(logs.READ), "max": seconds(logs.READ)},
                "processors": [
                    {
                        "add_kubernetes_metadata": {
                            "host": "${NODE_NAME}",
                            "use_kubeadm": False,
                            "default_indexers.enabled": False,
                            "default_matchers.enabled": False,
                            "indexers": [{"pod_uid": {}}],
                            "matchers": [
                                {"logs_path": {"logs_path": f"{POD_LOGS}/", "resource_type": "pod"}}
                            ],
                            # Of the pod alone: nobody reads the labels of its node and its namespace.
                            "add_resource_metadata": {
                                "namespace": {"enabled": False},
                                "node": {"enabled": False},
                                "deployment": False,
                                "cronjob": False,
                            },
                        }
                    },
                    {"add_fields": {"target": "kubernetes.node", "fields": {"name": "${NODE_NAME}"}}},
                    {
                        "dissect": {
                            "field": "log.file.path",
                            "tokenizer": f"{POD_LOGS}/%{{?pod}}/%{{name}}/%{{?file}}",
                            "target_prefix": "kubernetes.container",
                            "overwrite_keys": True,
                        }
                    },
                ],
            }
        ],
        "queue.mem": {
            "events": QUEUE_LINES,
            "flush": {"min_events": BATCH_LINES, "timeout": seconds(logs.COLLECT)},
        },
        "output.logstash": {
            "hosts": list(logstash),
            "loadbalance": True,
            "bulk_max_size": BATCH_LINES,
            "ssl": {
                "certificate_authorities": [f"{CERTIFICATES_PATH}/ca.crt"],
                "certificate": f"{CERTIFICATES_PATH}/tls.crt",
                "key": f"{CERTIFICATES_PATH}/tls.key",
                "verification_mode": "full",
            },
        },
        "http": {
            "enabled": True,
            "host": "0.0.0.0",  # noqa: S104 - the network policy lets nobody in
            "port": PORTS[Part.FILEBEAT]["http"],
        },
        "logging.metrics.enabled": False,
    }


@dataclass(frozen=True, kw_only=True)
class FilebeatArgs:
    """Whose lines are sent, and to whom."""

    place: Place
    logstash: Sequence[str]
    """Every replica, as `host:port`."""
    certificate: KeyPair
    """By which it proves itself to Logstash."""
    authority: pulumi.Output[str]
    """Who signed that and Logstash's own certificate, in PEM."""


class Filebeat(Workload):
    """A Filebeat on every node. It runs as root, which owns the files, and has none of root's powers.

    The kubelet and the container runtime make the logs as root, in folders that root may enter. EKS Auto Mode's nodes
    run Bottlerocket, whose SELinux policy gives what is below `/var`, but for the system's own, to every container.
    Source: https://github.com/bottlerocket-os/bottlerocket-core-kit/tree/develop/packages/selinux-policy

    It reads the folder of the pods' logs and writes its registry; the service account may read pods and nothing else.
    """

    def __init__(self, name: str, args: FilebeatArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, Part.FILEBEAT, versions.FILEBEAT_IMAGE, args.place, opts)
        self.account()
        self._rights()
        self.traffic(*to_api_server(args.place.network_cidr))
        config = self.config(
            pulumi.Output.all(*args.place.slot_namespaces.values()).apply(
                lambda slots: {
                    "filebeat.yml": json.dumps(
                        configuration(namespaces=[*slots, NAMESPACE], logstash=args.logstash), indent=2
                    )
                }
            )
        )
        secrets = self.secret(
            {
                "tls.crt": args.certificate.certificate,
                "tls.key": args.certificate.key,
                "ca.crt": args.authority,
            }
        )
        self.daemon_set(
            f"{name}-agent",
            [self._container()],
            _volumes(config, secrets),
            security_context=core.PodSecurityContextArgs(
                run_as_user=0,
                run_as_group=0,
                seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault"),
            ),
            # Every node has lines to send.
            priority_class_name="system-node-critical",
        )
        self.register_outputs({})

    def _rights(self) -> None:
        role = rbac.ClusterRole(
            f"{self.name}-reads-pods",
            metadata=meta.ObjectMetaArgs(name=self.part, labels=self.labels),
            rules=[rbac.PolicyRuleArgs(api_groups=[""], resources=["pods"], verbs=["get", "list", "watch"])],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.grant("may-read-pods", role)

    def _container(self) -> core.ContainerArgs:
        size = SIZES[self.part]
        return core.ContainerArgs(
            name=self.part,
            image=versions.FILEBEAT_IMAGE,
            image_pull_policy="IfNotPresent",
            args=["-e", "-c", f"{CONFIG_PATH}/filebeat.yml"],
            env=[of_pod("NODE_NAME", "spec.nodeName")],
            ports=self.container_ports("http"),
            resources=hardening.guaranteed(size.cpu_millicores, size.memory_mib),
            security_context=hardening.restricted_container(),
            startup_probe=http_probe("/", "http", period=5, failures=24),
            readiness_probe=http_probe("/", "http", period=10, failures=3),
            liveness_probe=http_probe("/", "http", period=20, failures=6),
            volume_mounts=[
                core.VolumeMountArgs(name="config", mount_path=CONFIG_PATH, read_only=True),
                core.VolumeMountArgs(name="certificates", mount_path=CERTIFICATES_PATH, read_only=True),
                core.VolumeMountArgs(name="pod-logs", mount_path=POD_LOGS, read_only=True),
                core.VolumeMountArgs(name="registry", mount_path=DATA_PATH),
                core.VolumeMountArgs(name="logs", mount_path=LOGS_PATH),
                core.VolumeMountArgs(name="tmp", mount_path="/tmp"),  # noqa: S108 - a volume of the pod's own
            ],
        )


def _volumes(config: pulumi.Input[str], secrets: pulumi.Input[str]) -> list[core.VolumeArgs]:
    return [
        config_volume("config", config),
        core.VolumeArgs(
            name="certificates",
            secret=core.SecretVolumeSourceArgs(secret_name=secrets, default_mode=0o400),
        ),
        core.VolumeArgs(
            name="pod-logs", host_path=core.HostPathVolumeSourceArgs(path=POD_LOGS, type="Directory")
        ),
        core.VolumeArgs(
            name="registry", host_path=core.HostPathVolumeSourceArgs(path=REGISTRY, type="DirectoryOrCreate")
        ),
        *(core.VolumeArgs(name=name, empty_dir=core.EmptyDirVolumeSourceArgs()) for name in ("logs", "tmp")),
    ]
