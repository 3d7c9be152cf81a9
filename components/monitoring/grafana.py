"""Grafana: the dashboards in a browser. All of it is provisioned, so it keeps nothing that could be lost."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

from components import hardening
from components.monitoring.access import ElasticsearchAccess
from components.monitoring.dashboards import HOME_FILE, files
from components.monitoring.metrics import SCRAPE_SECONDS
from components.monitoring.parts import PORTS, address
from components.monitoring.rules import Watched
from components.monitoring.workload import Place, Workload, config_volume, http_probe, secret_volume
from operations import versions
from operations.logs import log_stream
from operations.monitoring import SIZES, Part, SignIn

apps = kubernetes.apps.v1
core = kubernetes.core.v1
meta = kubernetes.meta.v1

USER: Final = 472
"""`grafana`, the user of the image.
Source: https://grafana.com/docs/grafana/latest/setup-grafana/installation/docker/"""

CONFIG_PATH: Final = "/etc/grafana"
DASHBOARDS_PATH: Final = "/etc/grafana-dashboards"
SECRETS_PATH: Final = "/etc/grafana-secrets"
DATA_PATH: Final = "/var/lib/grafana"

CONFIG_FILES: Final[Mapping[str, str]] = {
    "grafana.ini": "grafana.ini",
    "datasources.yaml": "provisioning/datasources/datasources.yaml",
    "dashboards.yaml": "provisioning/dashboards/dashboards.yaml",
    "elasticsearch-ca.crt": "elasticsearch-ca.crt",
}
"""Where each file of the configuration lies below `CONFIG_PATH`; Grafana provisions from `.yaml` files alone."""

PASSWORD_LENGTH: Final = 40

UNUSED_PLUGINS: Final = (
    "cloudwatch",
    "grafana-postgresql-datasource",
    "grafana-pyroscope-datasource",
    "influxdb",
    "loki",
    "mssql",
    "mysql",
    "opentsdb",
    "stackdriver",
    "tempo",
    "zipkin",
)
"""Data sources that the image brings and nobody asks. Each would be a process of its own, with memory of its own.
Source: https://github.com/grafana/grafana/blob/main/pkg/setting/setting_plugins.go"""

Ini = Mapping[str, Mapping[str, str | bool | int]]
"""Grafana's own configuration: sections of keys.
Source: https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/"""


def configuration(url: str, sign_in: SignIn | None) -> Ini:
    """Grafana's own configuration.

    Nobody is anonymous, nobody signs up, nothing is told to or fetched from anybody on the internet. Secrets are read
    from mounted files.

    Args:
        url: where browsers find Grafana.
        sign_in: the provider that people sign in with; without one `admin` is the only account.
    """
    by_https = url.startswith("https:")
    base: dict[str, Mapping[str, str | bool | int]] = {
        "server": {
            "http_port": PORTS[Part.GRAFANA]["http"],
            "root_url": f"{url}/",
            # It costs more memory than it saves time: https://github.com/grafana/grafana/issues/123017
            "enable_gzip": False,
        },
        "security": {
            "admin_user": "admin",
            "admin_password": _secret_file("admin-password"),
            "secret_key": _secret_file("secret-key"),
            "cookie_secure": by_https,
            "strict_transport_security": by_https,
            "disable_gravatar": True,
        },
        "users": {"allow_sign_up": False, "allow_org_create": False, "auto_assign_org_role": "Viewer"},
        "auth": {"disable_login_form": sign_in is not None},
        "auth.anonymous": {"enabled": False},
        "analytics": {
            "reporting_enabled": False,
            "check_for_updates": False,
            "check_for_plugin_updates": False,
            "feedback_links_enabled": False,
        },
        "news": {"news_feed_enabled": False},
        # The installer would replace the image's plugins by newer ones, and on a file system that it cannot write to
        # it takes them away and then fails: https://github.com/grafana/grafana/issues/132528
        "plugins": {
            "preinstall_disabled": True,
            "preinstall_auto_update": False,
            "plugin_admin_enabled": False,
            "public_key_retrieval_disabled": True,
            "disable_plugins": ",".join(UNUSED_PLUGINS),
        },
        "snapshots": {"enabled": False, "external_enabled": False},
        "public_dashboards": {"enabled": False},
        # Prometheus judges and Alertmanager tells; Grafana shows what they say.
        "unified_alerting": {"execute_alerts": False},
        "dashboards": {"default_home_dashboard_path": f"{DASHBOARDS_PATH}/{HOME_FILE}"},
        "metrics": {"enabled": True},
        "log": {"mode": "console"},
        "log.console": {"format": "json"},
    }
    if sign_in is not None:
        base["auth.generic_oauth"] = _open_id_connect(sign_in)
    return base


def _open_id_connect(sign_in: SignIn) -> Mapping[str, str | bool]:
    """Sign-in by OpenID Connect.

    Strict: a provider that says nothing about a person's groups lets nobody in.
    Source: https://grafana.com/docs/grafana/latest/setup-grafana/configure-security/configure-authentication/generic-oauth/
    """
    return {
        "enabled": True,
        "name": "single sign-on",
        "allow_sign_up": True,
        "auto_login": True,
        "client_id": sign_in.client_id,
        "client_secret": _secret_file("client-secret"),
        "scopes": "openid profile email groups",
        "auth_url": sign_in.authorize_url,
        "token_url": sign_in.token_url,
        "api_url": sign_in.user_info_url,
        "use_pkce": True,
        "role_attribute_path": f"contains(groups[*], '{sign_in.admin_group}') && 'Admin' || 'Viewer'",
        "role_attribute_strict": True,
        "allow_assign_grafana_admin": False,
    }


def ini(config: Ini) -> str:
    """A configuration as Grafana reads it."""
    return "\n".join(
        "\n".join([f"[{section}]", *(f"{key} = {_ini_value(value)}" for key, value in keys.items()), ""])
        for section, keys in config.items()
    )


def _ini_value(value: str | bool | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _secret_file(name: str) -> str:
    """Grafana's words for the content of a mounted file.

    Source: https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/, "Variable expansion"
    """
    return f"$__file{{{SECRETS_PATH}/{name}}}"


def data_sources(environment: str, elasticsearch_url: str, elasticsearch_user: str) -> Mapping[str, Any]:
    """The parts that Grafana asks; the UID of each data source is its part's name.

    Logs and traces lead to each other by the trace's id. A dollar that is Grafana's own, not an expression of the file,
    is doubled.
    Source: https://grafana.com/docs/grafana/latest/administration/provisioning/, "Data sources"
    """
    settings: Mapping[Part, Mapping[str, Any]] = {
        Part.PROMETHEUS: {
            "url": address(Part.PROMETHEUS, "http"),
            "isDefault": True,
            "jsonData": {
                "httpMethod": "POST",
                "prometheusType": "Prometheus",
                "timeInterval": f"{SCRAPE_SECONDS}s",
                "manageAlerts": True,
                "alertmanagerUid": Part.ALERTMANAGER,
            },
        },
        Part.ALERTMANAGER: {
            "url": address(Part.ALERTMANAGER, "http"),
            "jsonData": {"implementation": "prometheus", "handleGrafanaManagedAlerts": False},
        },
        Part.JAEGER: {
            "url": address(Part.JAEGER, "query"),
            "jsonData": {
                "tracesToLogsV2": {
                    "datasourceUid": Part.ELASTICSEARCH,
                    # A line may be written a little before or after its span.
                    "spanStartTimeShift": "-1m",
                    "spanEndTimeShift": "1m",
                    "customQuery": True,
                    "query": 'trace.id:"$${__span.traceId}"',
                }
            },
        },
        Part.ELASTICSEARCH: {
            "url": elasticsearch_url,
            "basicAuth": True,
            "basicAuthUser": elasticsearch_user,
            "jsonData": {
                "index": log_stream(environment),
                "timeField": "@timestamp",
                "logMessageField": "message",
                "logLevelField": "log.level",
                "dataLinks": [{"field": "trace.id", "datasourceUid": Part.JAEGER, "url": "$${__value.raw}"}],
                "tlsAuthWithCACert": True,
            },
            "secureJsonData": {
                "basicAuthPassword": _secret_file("elasticsearch-password"),
                "tlsCACert": f"$__file{{{CONFIG_PATH}/{CONFIG_FILES['elasticsearch-ca.crt']}}}",
            },
        },
    }
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": part.title(),
                "type": part,
                "uid": part,
                "access": "proxy",
                "editable": False,
                **given,
            }
            for part, given in settings.items()
        ],
    }


def dashboard_provider() -> Mapping[str, Any]:
    """Where the dashboards are. Nobody changes or deletes one in the browser.

    Source: https://grafana.com/docs/grafana/latest/administration/provisioning/, "Dashboards"
    """
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "quikapp",
                "folder": "QuikApp",
                "type": "file",
                "disableDeletion": True,
                "allowUiUpdates": False,
                "options": {"path": DASHBOARDS_PATH},
            }
        ],
    }


@dataclass(frozen=True, kw_only=True)
class GrafanaArgs:
    """What Grafana shows and who may see it.

    Raises:
        ValueError: one of `sign_in` and `client_secret` is given without the other.
    """

    place: Place
    watched: Watched
    """What the environment's alerts are about; the dashboards show the same."""
    database_services: Collection[str]
    """Those of the services that use the database."""
    sign_in: SignIn | None
    client_secret: pulumi.Input[str] | None
    """Of the OpenID Connect client; a secret."""
    elasticsearch: ElasticsearchAccess

    def __post_init__(self) -> None:
        if (self.sign_in is None) != (self.client_secret is None):
            raise ValueError("sign_in and client_secret come together")


class Grafana(Workload):
    """One replica of Grafana with its data sources and dashboards.

    Its own database holds sessions and nothing else that matters; a restart begins a new one.
    """

    url: pulumi.Output[str]
    """Where Grafana answers within the cluster."""
    admin_secret: pulumi.Output[str]
    """The Kubernetes Secret that holds the password of `admin` under `admin-password`."""

    def __init__(self, name: str, args: GrafanaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, Part.GRAFANA, versions.GRAFANA_IMAGE, args.place, opts)
        self.account()
        self.traffic(*([hardening.to_internet()] if args.sign_in is not None else []))
        self.service("http")
        self.disruption_budget()
        config = self.config(self._config(args))
        dashboards = self.config(files(args.watched, args.database_services), "dashboards")
        secrets = self.secret(self._secrets(args))
        deployment = self.deployment(
            [self._container()], _volumes(config, dashboards, secrets), replicas=1, user=USER
        )
        self.url = deployment.metadata.apply(lambda _: address(Part.GRAFANA, "http"))
        self.admin_secret = secrets
        self.register_outputs({"url": self.url, "admin_secret": self.admin_secret})

    def _config(self, args: GrafanaArgs) -> pulumi.Output[Mapping[str, str]]:
        access = args.elasticsearch
        sources = data_sources(args.watched.environment, access.url, access.user)
        rendered = {
            "grafana.ini": ini(configuration(args.watched.grafana_url, args.sign_in)),
            "datasources.yaml": json.dumps(sources, indent=2),
            "dashboards.yaml": json.dumps(dashboard_provider(), indent=2),
        }
        return access.ca.apply(lambda ca: {**rendered, "elasticsearch-ca.crt": ca})

    def _secrets(self, args: GrafanaArgs) -> Mapping[str, pulumi.Input[str]]:
        made = {
            purpose: random.RandomPassword(
                f"{self.name}-{purpose}",
                length=PASSWORD_LENGTH,
                special=False,
                opts=pulumi.ResourceOptions(parent=self),
            ).result
            for purpose in ("admin-password", "secret-key")
        }
        given = {} if args.client_secret is None else {"client-secret": args.client_secret}
        return {**made, "elasticsearch-password": args.elasticsearch.password, **given}

    def _container(self) -> core.ContainerArgs:
        size = SIZES[Part.GRAFANA]
        return core.ContainerArgs(
            name=Part.GRAFANA,
            image=versions.GRAFANA_IMAGE,
            image_pull_policy="IfNotPresent",
            ports=self.container_ports("http"),
            resources=hardening.guaranteed(size.cpu_millicores, size.memory_mib),
            security_context=hardening.restricted_container(),
            # A new database is laid out first.
            startup_probe=http_probe("/api/health", "http", period=5, failures=36),
            readiness_probe=http_probe("/api/health", "http", period=5, failures=3),
            liveness_probe=http_probe("/api/health", "http", period=10, failures=6),
            volume_mounts=[
                core.VolumeMountArgs(name="config", mount_path=CONFIG_PATH, read_only=True),
                core.VolumeMountArgs(name="dashboards", mount_path=DASHBOARDS_PATH, read_only=True),
                core.VolumeMountArgs(name="secrets", mount_path=SECRETS_PATH, read_only=True),
                core.VolumeMountArgs(name="data", mount_path=DATA_PATH),
                # The data sources are processes of their own and meet Grafana at sockets in /tmp.
                core.VolumeMountArgs(name="tmp", mount_path="/tmp"),  # noqa: S108 - the pod's own
            ],
        )


def _volumes(
    config: pulumi.Input[str], dashboards: pulumi.Input[str], secrets: pulumi.Input[str]
) -> Sequence[core.VolumeArgs]:
    return [
        core.VolumeArgs(
            name="config",
            config_map=core.ConfigMapVolumeSourceArgs(
                name=config,
                items=[core.KeyToPathArgs(key=key, path=path) for key, path in CONFIG_FILES.items()],
            ),
        ),
        config_volume("dashboards", dashboards),
        secret_volume("secrets", secrets),
        core.VolumeArgs(name="data", empty_dir=core.EmptyDirVolumeSourceArgs(size_limit="1Gi")),
        core.VolumeArgs(name="tmp", empty_dir=core.EmptyDirVolumeSourceArgs(size_limit="64Mi")),
    ]
