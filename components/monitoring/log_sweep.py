"""The sweep: an hourly job that removes single lines that are older than they may be (see `operations.logs`)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.access import ElasticsearchAccess
from components.monitoring.parts import PORTS, in_namespace, peer
from components.monitoring.workload import Place
from operations import versions
from operations.logs import seconds
from operations.monitoring import LOG_SWEEP, NAMESPACE, Part

batch = kubernetes.batch.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1
networking = kubernetes.networking.v1

NAME: Final = LOG_SWEEP.name
SCHEDULE: Final = "17 * * * *"
"""Every hour, the period of `LOG_SWEEP`, at a minute when little else begins."""

USER: Final = 1000
"""The user of Elasticsearch's image, which has the curl of its base image.
Source: https://github.com/elastic/dockerfiles/blob/9.2/elasticsearch/Dockerfile"""

SECRETS_PATH: Final = "/etc/log-sweep"
LONGEST: Final = timedelta(minutes=45)
"""A sweep that takes longer is given up for the next one."""


@dataclass(frozen=True, kw_only=True)
class LogSweepArgs:
    """What is swept."""

    place: Place
    elasticsearch: ElasticsearchAccess
    """A user that may search and delete lines, and nothing else."""
    stream: str
    """The data stream."""
    retention: timedelta
    after: pulumi.Resource
    """Elasticsearch."""


def command(url: str, stream: str, retention: timedelta) -> list[str]:
    """The call that removes what is too old; the user and the password come from a file.

    It succeeds before the first line has made the stream, and lets pass what somebody else has removed meanwhile.
    Source: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-delete-by-query
    """
    query = {"query": {"range": {"@timestamp": {"lt": f"now-{seconds(retention)}"}}}}
    return [
        "curl",
        f"--config={SECRETS_PATH}/curl.conf",
        f"--cacert={SECRETS_PATH}/ca.crt",
        "--fail-with-body",
        "--silent",
        "--show-error",
        "--header=Content-Type: application/json",
        f"--data={json.dumps(query)}",
        f"{url}/{stream}/_delete_by_query?conflicts=proceed&ignore_unavailable=true&slices=auto",
    ]


class LogSweep(pulumi.ComponentResource):
    """A CronJob, its user's password, and network policies of its own: its pods are none of Elasticsearch's."""

    def __init__(self, name: str, args: LogSweepArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:monitoring:LogSweep", name, None, opts)
        self._prefix: Final = name
        self._labels: Final = hardening.labels(NAME, NAME, versions.ELASTICSEARCH_IMAGE.rpartition(":")[2])
        self._child: Final = pulumi.ResourceOptions(parent=self, depends_on=args.place.after)
        account = core.ServiceAccount(
            f"{name}-account",
            metadata=self._metadata(),
            automount_service_account_token=False,
            opts=self._child,
        )
        access = args.elasticsearch
        secret = core.Secret(
            f"{name}-secrets",
            metadata=meta.ObjectMetaArgs(namespace=NAMESPACE, labels=self._labels),
            type="Opaque",
            immutable=True,
            string_data={
                "curl.conf": pulumi.Output.secret(access.password).apply(
                    lambda password: f'user = "{access.user}:{password}"\n'
                ),
                "ca.crt": access.ca,
            },
            opts=self._child,
        )
        out_of, into = self._traffic()
        batch.CronJob(
            f"{name}-job",
            metadata=self._metadata(),
            spec=batch.CronJobSpecArgs(
                schedule=SCHEDULE,
                concurrency_policy="Forbid",
                starting_deadline_seconds=600,
                successful_jobs_history_limit=1,
                failed_jobs_history_limit=1,
                job_template=batch.JobTemplateSpecArgs(
                    spec=batch.JobSpecArgs(
                        backoff_limit=3,
                        active_deadline_seconds=int(LONGEST.total_seconds()),
                        template=self._pod(
                            command(access.url, args.stream, args.retention), secret.metadata.name
                        ),
                    )
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, out_of, into, args.after]),
        )
        self.register_outputs({})

    def _metadata(self) -> meta.ObjectMetaArgs:
        return meta.ObjectMetaArgs(name=NAME, namespace=NAMESPACE, labels=self._labels)

    def _traffic(self) -> tuple[networking.NetworkPolicy, networking.NetworkPolicy]:
        """From the job's pods to Elasticsearch, at both ends."""
        ours = meta.LabelSelectorArgs(match_labels=hardening.selector(NAME, NAME))
        theirs = meta.LabelSelectorArgs(
            match_labels=hardening.selector(Part.ELASTICSEARCH, Part.ELASTICSEARCH)
        )
        port = hardening.tcp(PORTS[Part.ELASTICSEARCH]["https"])
        out_of = networking.NetworkPolicy(
            f"{self._prefix}-traffic",
            metadata=self._metadata(),
            spec=networking.NetworkPolicySpecArgs(
                pod_selector=ours,
                policy_types=["Ingress", "Egress"],
                egress=[
                    networking.NetworkPolicyEgressRuleArgs(to=[peer(Part.ELASTICSEARCH)], ports=port),
                ],
            ),
            opts=self._child,
        )
        into = networking.NetworkPolicy(
            f"{self._prefix}-into-elasticsearch",
            metadata=meta.ObjectMetaArgs(
                name=f"{NAME}-into-{Part.ELASTICSEARCH}", namespace=NAMESPACE, labels=self._labels
            ),
            spec=networking.NetworkPolicySpecArgs(
                pod_selector=theirs,
                policy_types=["Ingress"],
                ingress=[
                    networking.NetworkPolicyIngressRuleArgs(
                        from_=[
                            networking.NetworkPolicyPeerArgs(
                                namespace_selector=in_namespace(NAMESPACE), pod_selector=ours
                            )
                        ],
                        ports=port,
                    )
                ],
            ),
            opts=self._child,
        )
        return out_of, into

    def _pod(self, call: list[str], secret: pulumi.Input[str | None]) -> core.PodTemplateSpecArgs:
        labels: Mapping[str, str] = self._labels
        return core.PodTemplateSpecArgs(
            metadata=meta.ObjectMetaArgs(labels=labels),
            spec=core.PodSpecArgs(
                service_account_name=NAME,
                automount_service_account_token=False,
                enable_service_links=False,
                restart_policy="Never",
                security_context=hardening.restricted_pod(user=USER),
                containers=[
                    core.ContainerArgs(
                        name=NAME,
                        image=versions.ELASTICSEARCH_IMAGE,
                        image_pull_policy="IfNotPresent",
                        command=call,
                        resources=hardening.guaranteed(50, 64),
                        security_context=hardening.restricted_container(),
                        volume_mounts=[
                            core.VolumeMountArgs(name="secrets", mount_path=SECRETS_PATH, read_only=True)
                        ],
                    )
                ],
                volumes=[
                    core.VolumeArgs(
                        name="secrets",
                        secret=core.SecretVolumeSourceArgs(secret_name=secret, default_mode=0o440),
                    )
                ],
            ),
        )
