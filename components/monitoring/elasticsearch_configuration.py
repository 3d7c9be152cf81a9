"""Elasticsearch's configuration as plain data: its nodes, its users and what they may do, and the life of the logs.

All of it is files: nothing has to be called before the cluster is what it is declared to be.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Any, Final

from components.monitoring.parts import PORTS
from operations import logs, versions
from operations.logs import index_deleted_after, log_stream, seconds
from operations.monitoring import Part
from operations.naming import APPLICATION

Configuration = Mapping[str, Any]

CONFIG_PATH: Final = "/usr/share/elasticsearch/config"
DATA_PATH: Final = "/usr/share/elasticsearch/data"
LOGS_PATH: Final = "/usr/share/elasticsearch/logs"
CERTIFICATES_PATH: Final = f"{CONFIG_PATH}/certificates"

READINESS_PORT: Final = 9399
"""Accepts connections while the node is in a cluster that has a master, and says nothing; for the kubelet alone.
Source: https://www.elastic.co/docs/reference/elasticsearch/configuration-reference/networking-settings"""

POLICY: Final = f"{APPLICATION}-logs"
"""Name of the index template and of the lifecycle policy of the logs."""

TRACES: Final = "jaeger-*"
"""The indices that Jaeger makes."""

LARGEST_SHARD: Final = "50gb"
"""A shard that reaches this is rolled over before its day is over.
Source: https://www.elastic.co/docs/deploy-manage/production-guidance/optimize-performance/size-shards"""

MOST_SHARDS: Final = 3
"""Primary shards that share the writing of one day's lines."""

DEEPEST_OBJECT: Final = 1000
"""Levels of nesting that a line's JSON may have: Logstash's own parser reads no more."""

LONGEST_TERM: Final = 1024
"""Characters up to which a field's value is indexed. Longer ones are kept and shown; indexing one beyond 32 KiB would
refuse its line."""


# --- users ---------------------------------------------------------------------------------------------------------


@unique
class User(StrEnum):
    """Who signs in; the value is the name."""

    LOGSTASH = "logstash"
    KIBANA = "kibana-server"
    """Kibana itself, which warns when it is called `kibana`: an old Elasticsearch had a user of that name."""
    GRAFANA = "grafana"
    JAEGER = "jaeger"
    SWEEP = "log-sweep"
    """Removes lines that are older than they may be."""
    OPERATOR = "operator"
    """A person, who administers everything."""


ROLE_OF: Final[Mapping[User, str]] = MappingProxyType(
    {
        User.LOGSTASH: "log-writer",
        User.KIBANA: "kibana_system",
        User.GRAFANA: "log-reader",
        User.JAEGER: "trace-keeper",
        User.SWEEP: "log-sweeper",
        User.OPERATOR: "superuser",
    }
)
"""The one role of each user; `kibana_system` and `superuser` are Elasticsearch's own.
Source: https://www.elastic.co/docs/reference/elasticsearch/roles"""


def roles(environment: str) -> Configuration:
    """The roles that are ours, as `roles.yml` has them.

    Source of the privileges: https://www.elastic.co/docs/reference/elasticsearch/security-privileges
    """
    stream = log_stream(environment)
    return {
        # It appends, and the first line makes the stream; it reads, changes and deletes nothing.
        "log-writer": _role(["monitor"], stream, ["auto_configure", "create_doc"]),
        "log-reader": _role(["monitor"], stream, ["read", "view_index_metadata"]),
        # Jaeger brings its index templates and makes an index a day; its cleaner deletes what is too old.
        "trace-keeper": _role(
            ["monitor", "manage_index_templates"],
            TRACES,
            ["auto_configure", "create_index", "delete_index", "read", "view_index_metadata", "write"],
        ),
        "log-sweeper": _role([], stream, ["delete", "read"]),
    }


def _role(cluster: Sequence[str], indices: str, privileges: Sequence[str]) -> Configuration:
    return {"cluster": cluster, "indices": [{"names": [indices], "privileges": privileges}]}


def users_roles() -> str:
    """The file `users_roles`: each role's users.

    Source: https://www.elastic.co/docs/deploy-manage/users-roles/cluster-or-deployment-auth/file-based
    """
    return "".join(f"{role}:{user}\n" for user, role in ROLE_OF.items())


def users(hashes: Mapping[User, str]) -> str:
    """The file `users`: each user's password as a bcrypt hash of the form `$2a$…`, which Elasticsearch knows by this.

    Source: https://www.elastic.co/docs/deploy-manage/users-roles/cluster-or-deployment-auth/file-based
    """
    return "".join(f"{user}:{bcrypt}\n" for user, bcrypt in hashes.items())


# --- nodes ---------------------------------------------------------------------------------------------------------


def node(*, environment: str, nodes: int) -> Configuration:
    """`elasticsearch.yml`, the same for each of the nodes; `${…}` is filled in from the container's environment.

    A cluster is born of the nodes in `cluster.initial_master_nodes`, once, when a majority of them sees each other.
    The setting stays afterwards: a node that has belonged to a cluster ignores it, and one that has lost its volume
    finds the others' cluster and joins that. A single node is a cluster of one that others may join later, which
    `discovery.type: single-node` would refuse.
    Source: https://www.elastic.co/docs/deploy-manage/distributed-architecture/discovery-cluster-formation/modules-discovery-bootstrap-cluster
    """
    tls = {
        "enabled": True,
        "key": f"{CERTIFICATES_PATH}/tls.key",
        "certificate": f"{CERTIFICATES_PATH}/tls.crt",
    }
    return {
        "cluster.name": f"{APPLICATION}-{environment}",
        "cluster.initial_master_nodes": [f"{Part.ELASTICSEARCH}-{ordinal}" for ordinal in range(nodes)],
        "node.name": "${POD_NAME}",
        "path.data": DATA_PATH,
        "path.logs": LOGS_PATH,
        "network.host": "0.0.0.0",  # noqa: S104 - the network policy says who reaches it
        "network.publish_host": "${POD_IP}",
        "http.port": PORTS[Part.ELASTICSEARCH]["https"],
        "transport.port": PORTS[Part.ELASTICSEARCH]["transport"],
        "readiness.port": READINESS_PORT,
        "discovery.seed_hosts": [Part.ELASTICSEARCH.replicas_host],
        "xpack.security.enabled": True,
        # Else the first start would make certificates and passwords of its own.
        "xpack.security.autoconfiguration.enabled": False,
        # No built-in user: those of the file are all there are.
        "xpack.security.authc.reserved_realm.enabled": False,
        "xpack.security.http.ssl": tls,
        "xpack.security.transport.ssl": {
            **tls,
            # Nodes know each other by address. Only they have a certificate of this authority.
            "verification_mode": "certificate",
            "certificate_authorities": [f"{CERTIFICATES_PATH}/ca.crt"],
        },
        # Not used, and both would need what the pod does not have: native processes and the internet.
        "xpack.ml.enabled": False,
        "ingest.geoip.downloader.enabled": False,
    }


# --- the life of the logs --------------------------------------------------------------------------------------------


def cluster_state(*, environment: str, nodes: int, retention: timedelta) -> Configuration:
    """`operator/settings.json`: what the cluster holds besides its documents, which no request can then change.

    A running master takes a changed file only when its version rises. One that has just been elected takes it at the
    same version too, and here a change of the file replaces every node: the last to be replaced either is the master,
    or left that office to one that has the new file. So the version stays what it is.
    Source: https://www.elastic.co/docs/deploy-manage/deploy/cloud-on-k8s/elastic-stack-configuration-policies and
    Elasticsearch's `FileSettingsService`, which tells `processFileOnServiceStart` from `processFileChanges`.
    """
    version = versions.ELASTICSEARCH_IMAGE.rpartition(":")[2]
    return {
        "metadata": {"version": "1", "compatibility": version},
        "state": {
            "cluster_settings": {"indices.lifecycle.poll_interval": seconds(logs.LIFECYCLE_POLL)},
            "ilm": {POLICY: lifecycle(retention)},
            "index_templates": {
                "composable_index_templates": {POLICY: _template(environment=environment, nodes=nodes)}
            },
        },
    }


def lifecycle(retention: timedelta) -> Configuration:
    """The life of one index of the stream; the age at which it is deleted counts from its rollover."""
    return {
        "phases": {
            "hot": {
                "min_age": "0ms",
                "actions": {
                    "rollover": {
                        "max_age": seconds(logs.ROLLOVER),
                        "max_primary_shard_size": LARGEST_SHARD,
                    }
                },
            },
            "delete": {"min_age": seconds(index_deleted_after(retention)), "actions": {"delete": {}}},
        }
    }


def _template(*, environment: str, nodes: int) -> Configuration:
    """The stream's template. No line is refused for what is in it: unknown fields are kept without being indexed, and
    the application's own are one field that takes any JSON object."""
    keyword = {"type": "keyword", "ignore_above": LONGEST_TERM}

    def fields(*names: str) -> Configuration:
        return {"properties": dict.fromkeys(names, keyword)}

    return {
        "index_patterns": [log_stream(environment)],
        "data_stream": {},
        # Above Elasticsearch's own template for `logs-*-*`, which has 100.
        "priority": 500,
        "template": {
            "settings": {
                "index.lifecycle.name": POLICY,
                "index.number_of_shards": min(nodes, MOST_SHARDS),
                # One copy where there is a second node to hold it.
                "index.auto_expand_replicas": "0-1",
                "index.refresh_interval": seconds(logs.REFRESH),
            },
            "mappings": {
                "dynamic": False,
                "properties": {
                    "@timestamp": {"type": "date"},
                    "message": {"type": "match_only_text"},
                    "app": {
                        "type": "flattened",
                        "ignore_above": LONGEST_TERM,
                        "depth_limit": DEEPEST_OBJECT,
                    },
                    "log": fields("level"),
                    "trace": fields("id"),
                    "service": fields("name", "version"),
                    "labels": fields("slot"),
                    "stream": keyword,
                    "tags": keyword,
                    "kubernetes": {
                        "properties": {
                            "namespace": keyword,
                            **{name: fields("name") for name in ("pod", "container", "node")},
                        }
                    },
                },
            },
        },
    }
