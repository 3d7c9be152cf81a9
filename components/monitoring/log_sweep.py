"""The sweep: an hourly job that removes single lines that are older than they may be (see `operations.logs`)."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from components import hardening
from components.monitoring.access import ElasticsearchAccess
from components.monitoring.housekeeping import Housekeeping, HousekeepingArgs
from components.monitoring.workload import Place, secret_volume
from operations import versions
from operations.logs import seconds
from operations.monitoring import LOG_SWEEP, NAMESPACE

core = kubernetes.core.v1
meta = kubernetes.meta.v1

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
    """The CronJob and its user's password."""

    def __init__(self, name: str, args: LogSweepArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:monitoring:LogSweep", name, None, opts)
        access = args.elasticsearch
        image = versions.ELASTICSEARCH_IMAGE
        secret = core.Secret(
            f"{name}-secrets",
            metadata=meta.ObjectMetaArgs(
                namespace=NAMESPACE,
                labels=hardening.labels(LOG_SWEEP.name, LOG_SWEEP.name, image.rpartition(":")[2]),
            ),
            type="Opaque",
            immutable=True,
            string_data={
                "curl.conf": pulumi.Output.secret(access.password).apply(
                    lambda password: f'user = "{access.user}:{password}"\n'
                ),
                "ca.crt": access.ca,
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.place.after),
        )
        Housekeeping(
            name,
            HousekeepingArgs(
                place=args.place,
                chore=LOG_SWEEP,
                schedule=SCHEDULE,
                longest=LONGEST,
                image=image,
                user=USER,
                command=command(access.url, args.stream, args.retention),
                reads={
                    SECRETS_PATH: secret_volume(
                        "secrets", secret.metadata.apply(lambda metadata: str(metadata.name))
                    )
                },
                after=[args.after],
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
