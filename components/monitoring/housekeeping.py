"""Housekeeping: CronJobs that have Elasticsearch remove what is too old."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.parts import PORTS, peer
from components.monitoring.workload import Place
from operations.monitoring import NAMESPACE, Chore, Part

batch = kubernetes.batch.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1
networking = kubernetes.networking.v1

LATEST_START: Final = 1 / 6
"""The part of its period by which a run may begin late; after that it waits for its next turn."""


@dataclass(frozen=True, kw_only=True)
class HousekeepingArgs:
    """What is run, and when."""

    place: Place
    chore: Chore
    """It names the CronJob, its pods and all that is theirs."""
    schedule: str
    """In cron's form, in UTC; once in the chore's period."""
    longest: timedelta
    """A run that takes longer is given up."""
    image: str
    user: int
    """Numeric user and group of the image."""
    command: Sequence[str] | None = None
    """None: what the image runs by itself."""
    arguments: Sequence[str] | None = None
    env: Sequence[core.EnvVarArgs] | None = None
    reads: Mapping[str, core.VolumeArgs]
    """What it reads, by the folder in which it finds it."""
    after: Sequence[pulumi.Resource]
    """What must be there before its first run, besides the place."""


class Housekeeping(pulumi.ComponentResource):
    """A CronJob whose pods reach Elasticsearch and nobody else.

    They carry the chore's name, so no part's Service and no disruption budget counts them, and a network policy of
    their own lets them into Elasticsearch.
    """

    def __init__(self, name: str, args: HousekeepingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:monitoring:Housekeeping", name, None, opts)
        chore = args.chore.name
        child = pulumi.ResourceOptions(parent=self, depends_on=args.place.after)
        labels = hardening.labels(chore, chore, args.image.rpartition(":")[2])
        ours = meta.LabelSelectorArgs(match_labels=hardening.selector(chore, chore))
        https = hardening.tcp(PORTS[Part.ELASTICSEARCH]["https"])

        def metadata(name: str = chore) -> meta.ObjectMetaArgs:
            return meta.ObjectMetaArgs(name=name, namespace=NAMESPACE, labels=labels)

        account = core.ServiceAccount(
            f"{name}-account", metadata=metadata(), automount_service_account_token=False, opts=child
        )
        out_of = networking.NetworkPolicy(
            f"{name}-traffic",
            metadata=metadata(),
            spec=networking.NetworkPolicySpecArgs(
                pod_selector=ours,
                policy_types=["Ingress", "Egress"],
                egress=[networking.NetworkPolicyEgressRuleArgs(to=[peer(Part.ELASTICSEARCH)], ports=https)],
            ),
            opts=child,
        )
        into = networking.NetworkPolicy(
            f"{name}-into-elasticsearch",
            metadata=metadata(f"{chore}-into-{Part.ELASTICSEARCH}"),
            spec=networking.NetworkPolicySpecArgs(
                pod_selector=meta.LabelSelectorArgs(
                    match_labels=hardening.selector(Part.ELASTICSEARCH, Part.ELASTICSEARCH)
                ),
                policy_types=["Ingress"],
                ingress=[
                    networking.NetworkPolicyIngressRuleArgs(
                        from_=[
                            networking.NetworkPolicyPeerArgs(
                                namespace_selector=hardening.in_namespace(NAMESPACE), pod_selector=ours
                            )
                        ],
                        ports=https,
                    )
                ],
            ),
            opts=child,
        )
        batch.CronJob(
            f"{name}-job",
            metadata=metadata(),
            spec=batch.CronJobSpecArgs(
                schedule=args.schedule,
                time_zone="Etc/UTC",
                concurrency_policy="Forbid",
                starting_deadline_seconds=int(args.chore.period.total_seconds() * LATEST_START),
                successful_jobs_history_limit=1,
                failed_jobs_history_limit=1,
                job_template=batch.JobTemplateSpecArgs(
                    spec=batch.JobSpecArgs(
                        backoff_limit=3,
                        active_deadline_seconds=int(args.longest.total_seconds()),
                        template=_pod(args, labels),
                    )
                ),
            ),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*args.place.after, account, out_of, into, *args.after]
            ),
        )
        self.register_outputs({})


def _pod(args: HousekeepingArgs, labels: Mapping[str, str]) -> core.PodTemplateSpecArgs:
    return core.PodTemplateSpecArgs(
        metadata=meta.ObjectMetaArgs(labels=labels),
        spec=core.PodSpecArgs(
            service_account_name=args.chore.name,
            automount_service_account_token=False,
            enable_service_links=False,
            restart_policy="Never",
            security_context=hardening.restricted_pod(user=args.user),
            containers=[
                core.ContainerArgs(
                    name=args.chore.name,
                    image=args.image,
                    image_pull_policy="IfNotPresent",
                    command=args.command,
                    args=args.arguments,
                    env=args.env,
                    resources=hardening.guaranteed(50, 64),
                    security_context=hardening.restricted_container(),
                    volume_mounts=[
                        core.VolumeMountArgs(name=volume.name, mount_path=path, read_only=True)
                        for path, volume in args.reads.items()
                    ],
                )
            ],
            volumes=[*args.reads.values()],
        ),
    )
