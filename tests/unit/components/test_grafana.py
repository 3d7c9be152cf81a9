"""Grafana: its configuration in its own formats, who may sign in, and that everything it reads is there."""

import json
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.monitoring.access import ElasticsearchAccess
from components.monitoring.grafana import Grafana, GrafanaArgs, configuration, data_sources, ini
from components.monitoring.parts import PORTS
from components.monitoring.rules import Watched
from components.monitoring.workload import Place
from operations import versions
from operations.monitoring import Part, SignIn
from operations.slots import Slot
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a resource type
SERVICE = "kubernetes:core/v1:Service"
ACCOUNT = "kubernetes:core/v1:ServiceAccount"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 - a resource type

CA = "-----BEGIN CERTIFICATE-----\nthe-authority\n-----END CERTIFICATE-----\n"
SIGN_IN = SignIn(
    client_id="quikapp-live-grafana",
    authorize_url="https://login.example/oauth2/authorize",
    token_url="https://login.example/oauth2/token",  # noqa: S106 - an address
    user_info_url="https://login.example/oauth2/userinfo",
    admin_group="platform",
)
PLACE = Place(
    slot_namespaces={Slot.BLUE: "quikapp-blue", Slot.GREEN: "quikapp-green"},
    network_cidr="10.50.0.0/16",
    zones=3,
    storage_class="encrypted",
    parts=frozenset(Part),
    after=[],
)
LIVE = Watched(
    environment="live",
    sla=99.99,
    services=("api", "web"),
    replicas=dict.fromkeys(Part, 1),
    grafana_url="https://grafana.quikapp.example",
    runbooks_url="https://runbooks.example",
    retention_days=31,
)


def args(*, sign_in: SignIn | None = SIGN_IN, watched: Watched = LIVE) -> GrafanaArgs:
    return GrafanaArgs(
        place=PLACE,
        watched=watched,
        database_services=("api",),
        sign_in=sign_in,
        client_secret=None if sign_in is None else "the-client-secret",
        elasticsearch=ElasticsearchAccess(
            url="https://elasticsearch.monitoring.svc:9200",
            ca=pulumi.Output.from_input(CA),
            user="grafana",
            password=pulumi.Output.secret("the-search-password"),
        ),
    )


def grafana(
    record: Record, *, sign_in: SignIn | None = SIGN_IN, watched: Watched = LIVE
) -> Recording[Grafana]:
    return record(lambda: Grafana("grafana", args(sign_in=sign_in, watched=watched)))


def parsed(text: str) -> ConfigParser:
    """The configuration as Grafana reads it, with every expression as it stands."""
    parser = ConfigParser(interpolation=None, strict=True)
    parser.read_string(text)
    return parser


def settings(*, url: str = LIVE.grafana_url, sign_in: SignIn | None = SIGN_IN) -> ConfigParser:
    return parsed(ini(configuration(url, sign_in)))


def pod(made: Recording[Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = made.one(DEPLOYMENT).inputs["spec"]["template"]["spec"]
    return spec


def container(made: Recording[Any]) -> Mapping[str, Any]:
    (only,) = pod(made)["containers"]
    return only


def mounted(made: Recording[Any]) -> Mapping[str, str]:
    """Every file that the container finds, by its path; a secret one with its value."""
    config_maps = {
        resource.inputs["metadata"]["name"]: resource.inputs["data"] for resource in made.of(CONFIG_MAP)
    }
    secrets = {
        resource.outputs["metadata"].get("name", resource.name): resource.inputs["stringData"]
        for resource in made.of(SECRET)
    }
    secret_name = made.value(made.result.admin_secret)
    files: dict[str, str] = {}
    for mount in container(made)["volumeMounts"]:
        (volume,) = [volume for volume in pod(made)["volumes"] if volume["name"] == mount["name"]]
        if "configMap" in volume:
            data = config_maps[volume["configMap"]["name"]]
            paths = {item["key"]: item["path"] for item in volume["configMap"].get("items", [])}
            files |= {f"{mount['mountPath']}/{paths.get(key, key)}": text for key, text in data.items()}
        elif "secret" in volume:
            assert volume["secret"]["secretName"] == secret_name
            (data,) = secrets.values()
            files |= {f"{mount['mountPath']}/{key}": text for key, text in data.items()}
    return files


def provisioned(made: Recording[Any]) -> Sequence[Mapping[str, Any]]:
    text = mounted(made)["/etc/grafana/provisioning/datasources/datasources.yaml"]
    found: Sequence[Mapping[str, Any]] = json.loads(text)["datasources"]
    return found


# --- its own configuration -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign_in", [None, SIGN_IN])
@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("auth.anonymous", "enabled", "false"),
        ("users", "allow_sign_up", "false"),
        ("users", "allow_org_create", "false"),
        ("users", "auto_assign_org_role", "Viewer"),
        ("security", "disable_gravatar", "true"),
        ("analytics", "reporting_enabled", "false"),
        ("analytics", "check_for_updates", "false"),
        ("analytics", "check_for_plugin_updates", "false"),
        ("news", "news_feed_enabled", "false"),
        ("snapshots", "external_enabled", "false"),
        ("public_dashboards", "enabled", "false"),
        ("metrics", "enabled", "true"),
        ("unified_alerting", "execute_alerts", "false"),
        ("server", "http_port", "3000"),
        ("server", "enable_gzip", "false"),
    ],
)
def test_nobody_is_anonymous_and_nothing_leaves(
    sign_in: SignIn | None, section: str, key: str, value: str
) -> None:
    assert settings(sign_in=sign_in)[section][key] == value


def test_no_plugin_is_fetched_or_replaced_on_a_file_system_that_cannot_be_written_to() -> None:
    plugins = settings()["plugins"]
    assert plugins["preinstall_disabled"] == "true"
    assert plugins["preinstall_auto_update"] == "false"
    assert plugins["plugin_admin_enabled"] == "false"
    assert plugins["public_key_retrieval_disabled"] == "true"


def test_plugins_that_nobody_asks_do_not_run_and_the_others_do() -> None:
    off = set(settings()["plugins"]["disable_plugins"].split(","))
    asked = {
        source["type"] for source in data_sources("live", "https://search:9200", "grafana")["datasources"]
    }
    assert {"loki", "tempo", "mysql"} <= off
    assert not off & asked


def test_passwords_and_keys_are_read_from_files_and_none_is_the_vendors_default() -> None:
    security = settings()["security"]
    assert security["admin_password"] == "$__file{/etc/grafana-secrets/admin-password}"  # noqa: S105
    assert security["secret_key"] == "$__file{/etc/grafana-secrets/secret-key}"  # noqa: S105


@pytest.mark.parametrize(
    ("url", "secure"), [("https://grafana.example", "true"), ("http://localhost:3000", "false")]
)
def test_cookies_are_secure_where_browsers_come_by_https(url: str, secure: str) -> None:
    read = settings(url=url)
    assert read["server"]["root_url"] == f"{url}/"
    assert read["security"]["cookie_secure"] == secure
    assert read["security"]["strict_transport_security"] == secure


def test_without_a_provider_people_use_the_login_form() -> None:
    read = settings(sign_in=None)
    assert read["auth"]["disable_login_form"] == "false"
    assert "auth.generic_oauth" not in read


def test_with_a_provider_people_sign_in_there_and_groups_make_the_role() -> None:
    read = settings()
    assert read["auth"]["disable_login_form"] == "true"
    assert dict(read["auth.generic_oauth"]) == {
        "enabled": "true",
        "name": "single sign-on",
        "allow_sign_up": "true",
        "auto_login": "true",
        "client_id": "quikapp-live-grafana",
        "client_secret": "$__file{/etc/grafana-secrets/client-secret}",
        "scopes": "openid profile email groups",
        "auth_url": "https://login.example/oauth2/authorize",
        "token_url": "https://login.example/oauth2/token",
        "api_url": "https://login.example/oauth2/userinfo",
        "use_pkce": "true",
        "role_attribute_path": "contains(groups[*], 'platform') && 'Admin' || 'Viewer'",
        "role_attribute_strict": "true",
        "allow_assign_grafana_admin": "false",
    }


def test_a_provider_and_its_secret_come_together(record: Record) -> None:
    with pytest.raises(ValueError, match="come together"):
        record(lambda: replace(args(sign_in=None), client_secret="a-secret"))  # noqa: S106
    with pytest.raises(ValueError, match="come together"):
        record(lambda: replace(args(sign_in=None), sign_in=SIGN_IN))


# --- data sources and dashboards -----------------------------------------------------------------------------------


def test_data_sources_are_called_by_the_names_of_their_parts_and_reached_at_their_services(
    record: Record,
) -> None:
    assert {source["uid"]: (source["type"], source["url"]) for source in provisioned(grafana(record))} == {
        "prometheus": ("prometheus", "http://prometheus.monitoring.svc:9090"),
        "alertmanager": ("alertmanager", "http://alertmanager.monitoring.svc:9093"),
        "jaeger": ("jaeger", "http://jaeger.monitoring.svc:16686"),
        "elasticsearch": ("elasticsearch", "https://elasticsearch.monitoring.svc:9200"),
    }


def test_every_data_source_is_of_a_part_that_grafana_may_talk_to(record: Record) -> None:
    made = grafana(record)
    ports = {
        (port["port"], *peer["podSelector"]["matchLabels"].values())
        for rule in made.one(POLICY).inputs["spec"]["egress"]
        for port in rule["ports"]
        for peer in rule["to"]
        if "podSelector" in peer
    }
    for source in provisioned(made):
        number = int(source["url"].rpartition(":")[2])
        assert (number, source["uid"], source["uid"]) in ports
        assert number in PORTS[Part(source["uid"])].values()


def test_nobody_changes_a_data_source_in_the_browser_and_one_is_the_default() -> None:
    sources = data_sources("live", "https://search:9200", "grafana")["datasources"]
    assert [source["editable"] for source in sources] == [False] * 4
    assert [source["uid"] for source in sources if source.get("isDefault")] == ["prometheus"]


def test_logs_and_traces_lead_to_each_other(record: Record) -> None:
    sources = {source["uid"]: source["jsonData"] for source in provisioned(grafana(record))}
    (link,) = sources["elasticsearch"]["dataLinks"]
    assert (link["field"], link["datasourceUid"], link["url"]) == ("trace.id", "jaeger", "$${__value.raw}")
    logs = sources["jaeger"]["tracesToLogsV2"]
    assert (logs["datasourceUid"], logs["customQuery"]) == ("elasticsearch", True)
    assert logs["query"] == 'trace.id:"$${__span.traceId}"'


def test_elasticsearch_is_asked_by_a_user_whose_password_is_a_file_and_over_tls_that_is_verified(
    record: Record,
) -> None:
    made = grafana(record)
    (source,) = [source for source in provisioned(made) if source["uid"] == "elasticsearch"]
    assert source["basicAuth"] is True
    assert source["basicAuthUser"] == "grafana"
    assert source["jsonData"]["tlsAuthWithCACert"] is True
    assert "tlsSkipVerify" not in source["jsonData"]
    assert source["jsonData"]["index"] == "logs-quikapp-live"
    assert source["secureJsonData"] == {
        "basicAuthPassword": "$__file{/etc/grafana-secrets/elasticsearch-password}",
        "tlsCACert": "$__file{/etc/grafana/elasticsearch-ca.crt}",
    }
    assert mounted(made)["/etc/grafana/elasticsearch-ca.crt"] == CA


def test_prometheus_data_source_knows_the_scrape_interval_that_rates_depend_on() -> None:
    (prometheus, *_) = data_sources("live", "https://search:9200", "grafana")["datasources"]
    assert prometheus["jsonData"]["timeInterval"] == "15s"
    assert prometheus["jsonData"]["alertmanagerUid"] == "alertmanager"


def test_dashboards_are_provisioned_from_where_they_are_mounted_and_the_overview_comes_first(
    record: Record,
) -> None:
    files = mounted(grafana(record))
    (provider,) = json.loads(files["/etc/grafana/provisioning/dashboards/dashboards.yaml"])["providers"]
    assert (provider["type"], provider["allowUiUpdates"], provider["disableDeletion"]) == (
        "file",
        False,
        True,
    )
    path = provider["options"]["path"]
    boards = {file: json.loads(text) for file, text in files.items() if file.startswith(f"{path}/")}
    assert {board["uid"] for board in boards.values()} == {
        "overview",
        "slots",
        "service",
        "cluster",
        "data",
        "monitoring",
    }
    home = parsed(files["/etc/grafana/grafana.ini"])["dashboards"]["default_home_dashboard_path"]
    assert boards[home]["uid"] == "overview"


def test_every_data_source_that_a_panel_asks_is_provisioned(record: Record) -> None:
    made = grafana(record)
    sources = {(source["type"], source["uid"]) for source in provisioned(made)}
    boards = [json.loads(text) for file, text in mounted(made).items() if "/grafana-dashboards/" in file]
    asked = {
        (panel["datasource"]["type"], panel["datasource"]["uid"])
        for board in boards
        for panel in board["panels"]
        if "datasource" in panel
    }
    assert asked
    assert asked <= sources


# --- what runs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign_in", [None, SIGN_IN])
def test_every_file_that_a_setting_names_is_mounted(record: Record, sign_in: SignIn | None) -> None:
    files = mounted(grafana(record, sign_in=sign_in))
    named = {
        part.partition("}")[0]
        for text in (
            files["/etc/grafana/grafana.ini"],
            files["/etc/grafana/provisioning/datasources/datasources.yaml"],
        )
        for part in text.split("$__file{")[1:]
    }
    assert named <= files.keys()
    assert len(named) == (4 if sign_in is None else 5)


def test_no_secret_is_in_plain_text(record: Record) -> None:
    made = grafana(record)
    made_up = [password.outputs["result"] for password in made.of(PASSWORD)]
    for secret in ("the-client-secret", "the-search-password", *made_up):
        made.assert_hidden(secret)
    assert "env" not in container(made)
    (volume,) = [volume for volume in pod(made)["volumes"] if "secret" in volume]
    assert volume["secret"]["defaultMode"] == 0o440


def test_the_admins_password_and_the_signing_key_are_made_by_chance_and_differ(record: Record) -> None:
    made = grafana(record)
    admin, key = (made.one(PASSWORD, f"grafana-{purpose}") for purpose in ("admin-password", "secret-key"))
    assert admin.inputs["length"] == key.inputs["length"] == 40
    values = made.one(SECRET).inputs["stringData"]
    assert values["admin-password"] == admin.outputs["result"]
    assert values["secret-key"] == key.outputs["result"]
    assert values["admin-password"] != values["secret-key"]


def test_only_where_people_sign_in_elsewhere_may_grafana_reach_the_internet(record: Record) -> None:
    def addresses(made: Recording[Any]) -> list[str]:
        return [
            peer["ipBlock"]["cidr"]
            for rule in made.one(POLICY).inputs["spec"]["egress"]
            for peer in rule["to"]
            if "ipBlock" in peer
        ]

    assert addresses(grafana(record)) == ["0.0.0.0/0"]
    assert addresses(grafana(record, sign_in=None)) == []


def test_only_prometheus_comes_in_from_the_cluster(record: Record) -> None:
    (rule,) = grafana(record).one(POLICY).inputs["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == [3000]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "prometheus"


def test_one_replica_is_replaced_without_a_gap_and_keeps_nothing(record: Record) -> None:
    made = grafana(record)
    spec = made.one(DEPLOYMENT).inputs["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert {volume["name"] for volume in pod(made)["volumes"] if "emptyDir" in volume} == {"data", "tmp"}
    assert not [volume for volume in pod(made)["volumes"] if "persistentVolumeClaim" in volume]
    assert made.one(BUDGET).inputs["spec"]["maxUnavailable"] == 1


def test_the_pod_is_restricted_and_bounded(record: Record) -> None:
    made = grafana(record)
    assert container(made)["image"] == versions.GRAFANA_IMAGE
    assert container(made)["securityContext"]["readOnlyRootFilesystem"] is True
    assert container(made)["resources"] == {
        "requests": {"cpu": "250m", "memory": "512Mi"},
        "limits": {"cpu": "250m", "memory": "512Mi"},
    }
    assert pod(made)["securityContext"]["runAsUser"] == 472
    assert pod(made)["automountServiceAccountToken"] is False
    assert pod(made)["serviceAccountName"] == made.one(ACCOUNT).inputs["metadata"]["name"]


def test_what_grafana_writes_to_is_writable_and_nothing_else(record: Record) -> None:
    mounts = {
        mount["mountPath"]: mount.get("readOnly", False)
        for mount in container(grafana(record))["volumeMounts"]
    }
    assert mounts == {
        "/etc/grafana": True,
        "/etc/grafana-dashboards": True,
        "/etc/grafana-secrets": True,
        "/var/lib/grafana": False,
        "/tmp": False,  # noqa: S108 - the pod's own
    }


def test_probes_and_service_use_ports_that_the_container_has(record: Record) -> None:
    made = grafana(record)
    ports = {port["name"]: port["containerPort"] for port in container(made)["ports"]}
    assert ports == {"http": 3000}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(made)[probe]["httpGet"] == {"path": "/api/health", "port": "http"}
    (port,) = made.one(SERVICE).inputs["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (3000, "http")


def test_a_changed_dashboard_rolls_the_pod(record: Record) -> None:
    def names(watched: Watched) -> set[str]:
        made = grafana(record, watched=watched)
        return {volume["configMap"]["name"] for volume in pod(made)["volumes"] if "configMap" in volume}

    before, after = names(LIVE), names(replace(LIVE, services=("api", "web", "worker")))
    assert len(before & after) == 1
    assert len(before) == len(after) == 2


def test_it_tells_where_it_answers_and_where_the_password_is(record: Record) -> None:
    made = grafana(record)
    assert made.value(made.result.url) == "http://grafana.monitoring.svc:3000"
    assert made.value(made.result.admin_secret)
