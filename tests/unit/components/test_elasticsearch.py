"""Elasticsearch: who may do what, how long a line lives, and nodes that find each other and prove who they are."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
import yaml

from components.monitoring import certificates
from components.monitoring.certificates import Authority, AuthorityArgs, Leaf, Use
from components.monitoring.elasticsearch import Elasticsearch, ElasticsearchArgs
from components.monitoring.elasticsearch_configuration import (
    User,
    cluster_state,
    lifecycle,
    node,
    roles,
    users,
    users_roles,
)
from components.monitoring.log_sweep import SCHEDULE, command
from components.monitoring.workload import Place
from operations import logs, versions
from operations.logs import oldest_found, youngest_lost
from operations.monitoring import Part, Size
from operations.slots import Slot
from tests.unit.components import mounts
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording

STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
CRON_JOB = "kubernetes:batch/v1:CronJob"
SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a resource type
SERVICE = "kubernetes:core/v1:Service"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 - a resource type
PRIVATE_KEY = "tls:index/privateKey:PrivateKey"
REQUEST = "tls:index/certRequest:CertRequest"
SIGNED = "tls:index/locallySignedCert:LocallySignedCert"
SELF_SIGNED = "tls:index/selfSignedCert:SelfSignedCert"

CONFIG = "/usr/share/elasticsearch/config"
THIRTY_DAYS = timedelta(days=30)
PLACE = Place(
    slot_namespaces={Slot.BLUE: "quikapp-blue", Slot.GREEN: "quikapp-green"},
    network_cidr="10.50.0.0/16",
    zones=3,
    storage_class="encrypted",
    parts=frozenset(Part),
    after=[],
)


def elasticsearch(record: Record, *, nodes: int = 3, preview: bool = False) -> Recording[Elasticsearch]:
    return record(
        lambda: Elasticsearch(
            "elasticsearch",
            ElasticsearchArgs(
                place=PLACE,
                environment="live",
                nodes=nodes,
                size=Size(1000, 8192),
                storage_gib=200,
                retention_days=30,
            ),
        ),
        preview=preview,
    )


def server(made: Recording[Any]) -> Mapping[str, Any]:
    return made.one(STATEFUL_SET).inputs["spec"]


def pod(made: Recording[Any]) -> Mapping[str, Any]:
    return server(made)["template"]["spec"]


def read(made: Recording[Any], path: str) -> Any:
    """A file of the node's configuration folder, which all of Elasticsearch's own formats let YAML read."""
    return yaml.safe_load(mounts.content(made, pod(made), f"{CONFIG}/{path}"))


# --- users ---------------------------------------------------------------------------------------------------------


def test_each_user_may_do_what_it_is_for_and_no_more() -> None:
    assert roles("live") == {
        "log-writer": {
            "cluster": ["monitor"],
            "indices": [{"names": ["logs-quikapp-live"], "privileges": ["auto_configure", "create_doc"]}],
        },
        "log-reader": {
            "cluster": ["monitor"],
            "indices": [{"names": ["logs-quikapp-live"], "privileges": ["read", "view_index_metadata"]}],
        },
        "trace-keeper": {
            "cluster": ["monitor", "manage_index_templates"],
            "indices": [
                {
                    "names": ["jaeger-*"],
                    "privileges": [
                        "auto_configure",
                        "create_index",
                        "delete_index",
                        "read",
                        "view_index_metadata",
                        "write",
                    ],
                }
            ],
        },
        "log-sweeper": {
            "cluster": [],
            "indices": [{"names": ["logs-quikapp-live"], "privileges": ["delete", "read"]}],
        },
    }


def test_each_user_has_one_role_that_exists() -> None:
    assert users_roles().splitlines() == [
        "log-writer:logstash",
        "kibana_system:kibana-server",
        "log-reader:grafana",
        "trace-keeper:jaeger",
        "log-sweeper:log-sweep",
        "superuser:operator",
    ]
    given = {line.partition(":")[0] for line in users_roles().splitlines()}
    assert given - {"kibana_system", "superuser"} == set(roles("live"))


def test_a_user_is_known_by_the_hash_of_the_password(record: Record) -> None:
    made = elasticsearch(record)
    hashes = {
        password.name.removeprefix("elasticsearch-").removesuffix("-password"): password.outputs["bcryptHash"]
        for password in made.of(PASSWORD)
    }
    assert set(hashes) == set(User)
    text = mounts.content(made, pod(made), f"{CONFIG}/users")
    assert dict(line.split(":") for line in text.splitlines()) == hashes
    assert users({User.GRAFANA: "$2a$10$hash"}) == "grafana:$2a$10$hash\n"


def test_passwords_are_long_and_safe_in_any_file(record: Record) -> None:
    for password in elasticsearch(record).of(PASSWORD):
        assert password.inputs == {"length": 32, "special": False}


@pytest.mark.parametrize("user", User)
def test_a_user_gets_its_own_password_and_the_authority_to_trust(record: Record, user: User) -> None:
    made = elasticsearch(record)
    access = made.result.access(user)
    assert access.url == "https://elasticsearch.monitoring.svc:9200"
    assert access.user == user
    assert (
        made.value(access.password) == made.one(PASSWORD, f"elasticsearch-{user}-password").outputs["result"]
    )
    assert made.value(access.ca) == made.one(SELF_SIGNED).outputs["certPem"]
    assert made.is_secret(access.password)


def test_an_operator_finds_the_password_in_a_secret_of_a_known_name(record: Record) -> None:
    made = elasticsearch(record)
    (secret,) = (
        secret
        for secret in made.of(SECRET)
        if secret.inputs["metadata"].get("name") == "elasticsearch-operator"
    )
    assert secret.inputs["stringData"] == {
        "username": "operator",
        "password": made.one(PASSWORD, "elasticsearch-operator-password").outputs["result"],
    }


def test_no_password_hash_or_key_is_in_plain_text(record: Record) -> None:
    made = elasticsearch(record)
    for password in made.of(PASSWORD):
        made.assert_hidden(password.outputs["result"])
        made.assert_hidden(password.outputs["bcryptHash"])
    for key in made.of(PRIVATE_KEY):
        made.assert_hidden(key.outputs["privateKeyPemPkcs8"])


# --- certificates --------------------------------------------------------------------------------------------------


def test_the_nodes_have_a_certificate_for_every_name_they_are_called_by(record: Record) -> None:
    made = elasticsearch(record)
    assert made.one(REQUEST).inputs["dnsNames"] == [
        "elasticsearch.monitoring.svc",
        "*.elasticsearch-replicas.monitoring.svc",
        "localhost",
    ]
    assert made.one(SIGNED).inputs["allowedUses"] == ["digital_signature", "server_auth", "client_auth"]


def test_the_nodes_authority_signs_for_nobody_else(record: Record) -> None:
    made = elasticsearch(record)
    assert len(made.of(SIGNED)) == 1
    authority = made.one(SELF_SIGNED)
    assert authority.inputs["isCaCertificate"] is True
    assert authority.inputs["allowedUses"] == ["cert_signing", "crl_signing"]


def authority(record: Record) -> Recording[Authority]:
    leaf = Leaf(common_name="server", uses=[Use.SERVER], dns_names=["server.example"])
    return record(
        lambda: Authority("authority", AuthorityArgs(common_name="circle", leaves={"server": leaf}))
    )


def test_a_certificate_is_signed_by_its_authority_for_its_own_key(record: Record) -> None:
    made = authority(record)
    signed = made.one(SIGNED).inputs
    own, ca = (
        made.one(PRIVATE_KEY, "authority-server-key"),
        made.one(PRIVATE_KEY, "authority-key"),
    )
    assert signed["caPrivateKeyPem"] == ca.outputs["privateKeyPem"]
    assert signed["caCertPem"] == made.one(SELF_SIGNED).outputs["certPem"]
    assert signed["certRequestPem"] == made.one(REQUEST).outputs["certRequestPem"]
    assert made.one(REQUEST).inputs["privateKeyPem"] == own.outputs["privateKeyPem"]
    pair = made.result.leaves["server"]
    assert made.value(pair.key) == own.outputs["privateKeyPemPkcs8"]
    assert made.is_secret(pair.key)


def test_a_certificate_is_renewed_half_a_year_early_and_its_authority_outlives_it(record: Record) -> None:
    made = authority(record)
    leaf, ca = made.one(SIGNED).inputs, made.one(SELF_SIGNED).inputs
    assert (leaf["validityPeriodHours"], leaf["earlyRenewalHours"]) == (365 * 24, 180 * 24)
    assert (ca["validityPeriodHours"], ca["earlyRenewalHours"]) == (3650 * 24, 730 * 24)
    assert certificates.LEAF_LIFE <= certificates.AUTHORITY_RENEWAL


# --- the life of a line --------------------------------------------------------------------------------------------


def test_an_index_is_rolled_over_daily_and_deleted_when_its_last_line_is_old_enough() -> None:
    assert lifecycle(THIRTY_DAYS) == {
        "phases": {
            "hot": {
                "min_age": "0ms",
                "actions": {"rollover": {"max_age": "86400s", "max_primary_shard_size": "50gb"}},
            },
            "delete": {"min_age": "2595600s", "actions": {"delete": {}}},
        }
    }


def kept(policy: Mapping[str, Any]) -> timedelta:
    return timedelta(seconds=int(policy["phases"]["delete"]["min_age"].removesuffix("s")))


def test_what_is_configured_is_what_the_ages_are_computed_from() -> None:
    policy = lifecycle(THIRTY_DAYS)
    assert kept(policy) - logs.LATE_LINE == youngest_lost(THIRTY_DAYS)
    assert policy["phases"]["hot"]["actions"]["rollover"]["max_age"] == logs.seconds(logs.ROLLOVER)
    state = cluster_state(environment="live", nodes=3, retention=THIRTY_DAYS)["state"]
    assert state["cluster_settings"] == {"indices.lifecycle.poll_interval": "600s"}
    assert timedelta(minutes=10) == logs.LIFECYCLE_POLL


@pytest.mark.parametrize("shorter", [timedelta(minutes=1), timedelta(days=1)])
def test_an_index_that_goes_earlier_would_take_lines_that_are_promised(shorter: timedelta) -> None:
    assert kept(lifecycle(THIRTY_DAYS - shorter)) - logs.LATE_LINE < THIRTY_DAYS


def test_every_hour_lines_older_than_thirty_days_are_removed(record: Record) -> None:
    assert SCHEDULE == "17 * * * *"
    assert timedelta(hours=1) == logs.SWEEP
    assert oldest_found(THIRTY_DAYS) == THIRTY_DAYS + logs.SWEEP
    spec = elasticsearch(record).one(CRON_JOB).inputs["spec"]
    assert spec["schedule"] == SCHEDULE
    assert spec["timeZone"] == "Etc/UTC"
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] == 600
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 2700
    (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == [
        "curl",
        "--config=/etc/log-sweep/curl.conf",
        "--cacert=/etc/log-sweep/ca.crt",
        "--fail-with-body",
        "--silent",
        "--show-error",
        "--header=Content-Type: application/json",
        '--data={"query": {"range": {"@timestamp": {"lt": "now-2592000s"}}}}',
        "https://elasticsearch.monitoring.svc:9200/logs-quikapp-live/_delete_by_query"
        "?conflicts=proceed&ignore_unavailable=true&slices=auto",
    ]


def test_a_shorter_sweep_would_show() -> None:
    assert command("https://e", "s", timedelta(days=29)) != command("https://e", "s", THIRTY_DAYS)


def test_the_sweep_signs_in_from_a_file_of_its_own_secret(record: Record) -> None:
    made = elasticsearch(record)
    job = made.one(CRON_JOB).inputs["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    password = made.one(PASSWORD, "elasticsearch-log-sweep-password").outputs["result"]
    assert mounts.content(made, job, "/etc/log-sweep/curl.conf") == f'user = "log-sweep:{password}"\n'
    assert mounts.content(made, job, "/etc/log-sweep/ca.crt") == made.one(SELF_SIGNED).outputs["certPem"]


def test_the_sweeps_pods_are_none_of_elasticsearchs_and_are_let_in_by_a_policy_of_their_own(
    record: Record,
) -> None:
    made = elasticsearch(record)
    labels = made.one(CRON_JOB).inputs["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    for service in made.of(SERVICE):
        assert not service.inputs["spec"]["selector"].items() <= labels.items()
    sweep = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
        "podSelector": {
            "matchLabels": {
                "app.kubernetes.io/name": "log-sweep",
                "app.kubernetes.io/instance": "log-sweep",
            }
        },
    }
    assert sweep["podSelector"]["matchLabels"].items() <= labels.items()
    https = [{"port": 9200, "protocol": "TCP"}]
    into = made.one(POLICY, "elasticsearch-sweep-into-elasticsearch").inputs["spec"]
    assert into["podSelector"]["matchLabels"] == server(made)["selector"]["matchLabels"]
    assert into["ingress"] == [{"from": [sweep], "ports": https}]
    out_of = made.one(POLICY, "elasticsearch-sweep-traffic").inputs["spec"]
    (rule,) = out_of["egress"]
    assert rule["ports"] == https
    assert rule["to"][0]["podSelector"]["matchLabels"] == server(made)["selector"]["matchLabels"]
    assert "ingress" not in out_of


# --- index template ------------------------------------------------------------------------------------------------


def template(nodes: int = 3) -> Mapping[str, Any]:
    state = cluster_state(environment="live", nodes=nodes, retention=THIRTY_DAYS)["state"]
    return state["index_templates"]["composable_index_templates"]["quikapp-logs"]


def test_the_template_is_of_the_stream_and_its_lifecycle_is_one_that_is_there() -> None:
    assert template()["index_patterns"] == ["logs-quikapp-live"]
    assert template()["data_stream"] == {}
    assert template()["priority"] > 100
    state = cluster_state(environment="live", nodes=3, retention=THIRTY_DAYS)["state"]
    assert template()["template"]["settings"]["index.lifecycle.name"] in state["ilm"]


@pytest.mark.parametrize(("nodes", "shards"), [(1, 1), (3, 3), (5, 3)])
def test_writing_is_shared_by_up_to_three_nodes(nodes: int, shards: int) -> None:
    assert template(nodes)["template"]["settings"]["index.number_of_shards"] == shards


def test_a_line_has_a_second_copy_wherever_there_is_a_second_node() -> None:
    assert template()["template"]["settings"]["index.auto_expand_replicas"] == "0-1"


def test_a_line_is_searchable_two_seconds_after_it_was_written_even_if_nobody_searched_before() -> None:
    assert template()["template"]["settings"]["index.refresh_interval"] == "2s"
    assert timedelta(seconds=2) == logs.REFRESH


def test_no_line_is_refused_for_what_is_in_it() -> None:
    mappings = template()["template"]["mappings"]
    assert mappings["dynamic"] is False
    assert mappings["properties"]["app"] == {
        "type": "flattened",
        "ignore_above": 1024,
        "depth_limit": 1000,
    }
    keywords = list(_keywords(mappings["properties"]))
    assert len(keywords) == 11
    assert all(field == {"type": "keyword", "ignore_above": 1024} for field in keywords)


def _keywords(properties: Mapping[str, Any]) -> Any:
    for field in properties.values():
        if "properties" in field:
            yield from _keywords(field["properties"])
        elif field["type"] == "keyword":
            yield field


# --- nodes ---------------------------------------------------------------------------------------------------------


def test_every_file_is_where_elasticsearch_looks_for_it_and_parses(record: Record) -> None:
    made = elasticsearch(record)
    assert read(made, "elasticsearch.yml") == node(environment="live", nodes=3)
    assert read(made, "roles.yml") == roles("live")
    assert mounts.content(made, pod(made), f"{CONFIG}/users_roles") == users_roles()
    assert json.loads(mounts.content(made, pod(made), f"{CONFIG}/operator/settings.json")) == cluster_state(
        environment="live", nodes=3, retention=THIRTY_DAYS
    )


def test_the_operator_file_keeps_its_version_and_fits_the_release() -> None:
    metadata = cluster_state(environment="live", nodes=3, retention=THIRTY_DAYS)["metadata"]
    assert metadata == {
        "version": "1",
        "compatibility": versions.ELASTICSEARCH_IMAGE.partition(":")[2],
    }


@pytest.mark.parametrize("layer", ["http", "transport"])
def test_both_layers_speak_tls_with_files_that_are_mounted(record: Record, layer: str) -> None:
    made = elasticsearch(record)
    tls = read(made, "elasticsearch.yml")[f"xpack.security.{layer}.ssl"]
    assert tls["enabled"] is True
    assert mounts.content(made, pod(made), tls["certificate"]) == made.one(SIGNED).outputs["certPem"]
    key = made.one(PRIVATE_KEY, "elasticsearch-authority-node-key").outputs["privateKeyPemPkcs8"]
    assert mounts.content(made, pod(made), tls["key"]) == key


def test_a_node_is_let_in_only_by_a_certificate_of_the_nodes_authority(record: Record) -> None:
    made = elasticsearch(record)
    tls = read(made, "elasticsearch.yml")["xpack.security.transport.ssl"]
    assert tls["verification_mode"] == "certificate"
    (trusted,) = tls["certificate_authorities"]
    assert mounts.content(made, pod(made), trusted) == made.one(SELF_SIGNED).outputs["certPem"]


def test_users_are_on_and_only_ours(record: Record) -> None:
    settings = read(elasticsearch(record), "elasticsearch.yml")
    assert settings["xpack.security.enabled"] is True
    assert settings["xpack.security.autoconfiguration.enabled"] is False
    assert settings["xpack.security.authc.reserved_realm.enabled"] is False


@pytest.mark.parametrize(
    ("nodes", "founders"),
    [(1, ["elasticsearch-0"]), (3, ["elasticsearch-0", "elasticsearch-1", "elasticsearch-2"])],
)
def test_nodes_find_each_other_by_the_headless_service(
    record: Record, nodes: int, founders: list[str]
) -> None:
    made = elasticsearch(record, nodes=nodes)
    settings = read(made, "elasticsearch.yml")
    assert settings["cluster.initial_master_nodes"] == founders
    assert settings["discovery.seed_hosts"] == ["elasticsearch-replicas.monitoring.svc"]
    assert server(made)["replicas"] == nodes
    headless = made.one(SERVICE, "elasticsearch-replicas").inputs
    assert server(made)["serviceName"] == headless["metadata"]["name"] == "elasticsearch-replicas"
    assert headless["spec"]["publishNotReadyAddresses"] is True
    assert {port["port"] for port in headless["spec"]["ports"]} == {
        settings["http.port"],
        settings["transport.port"],
    }
    assert server(made)["podManagementPolicy"] == "Parallel"


def test_variables_of_the_configuration_are_in_the_environment(record: Record) -> None:
    made = elasticsearch(record)
    (container,) = pod(made)["containers"]
    sources = {
        variable["name"]: variable["valueFrom"]["fieldRef"]["fieldPath"]
        for variable in container["env"]
        if "valueFrom" in variable
    }
    assert sources == {"POD_NAME": "metadata.name", "POD_IP": "status.podIP"}
    settings = read(made, "elasticsearch.yml")
    assert settings["node.name"] == "${POD_NAME}"
    assert settings["network.publish_host"] == "${POD_IP}"


def test_half_of_the_memory_is_the_heap(record: Record) -> None:
    (container,) = pod(elasticsearch(record))["containers"]
    assert {"name": "ES_JAVA_OPTS", "value": "-Xms4096m -Xmx4096m"} in container["env"]
    assert container["resources"]["limits"] == {"cpu": "1000m", "memory": "8192Mi"}
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_a_node_is_ready_when_it_is_in_a_cluster_and_no_probe_needs_a_password(record: Record) -> None:
    made = elasticsearch(record)
    (container,) = pod(made)["containers"]
    numbers = {port["name"]: port["containerPort"] for port in container["ports"]}
    ready = container["readinessProbe"]["tcpSocket"]["port"]
    assert numbers[ready] == read(made, "elasticsearch.yml")["readiness.port"]
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["tcpSocket"]["port"] == "transport"


def test_elasticsearch_writes_to_volumes_and_to_nothing_else(record: Record) -> None:
    made = elasticsearch(record)
    for path in (CONFIG, "/usr/share/elasticsearch/data", "/usr/share/elasticsearch/logs", "/tmp"):  # noqa: S108
        assert mounts.is_writable(pod(made), path)
    (init,) = pod(made)["initContainers"]
    for container in (*pod(made)["containers"], init):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert container["image"] == versions.ELASTICSEARCH_IMAGE
    assert init["command"] == ["cp", "-R", f"{CONFIG}/.", "/image-config"]
    assert [mount["name"] for mount in init["volumeMounts"]] == ["image-config"]
    assert pod(made)["securityContext"]["runAsUser"] == 1000


def test_each_node_has_a_disk_of_its_own(record: Record) -> None:
    (claim,) = server(elasticsearch(record))["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    assert claim["spec"]["storageClassName"] == "encrypted"
    assert claim["spec"]["resources"]["requests"] == {"storage": "200Gi"}


@pytest.mark.parametrize(("nodes", "apart"), [(1, False), (3, True)])
def test_two_nodes_never_share_a_host(record: Record, nodes: int, apart: bool) -> None:
    assert ("affinity" in pod(elasticsearch(record, nodes=nodes))) is apart


def test_nodes_go_one_at_a_time_with_time_to_catch_up(record: Record) -> None:
    made = elasticsearch(record)
    assert made.one(BUDGET).inputs["spec"]["maxUnavailable"] == 1
    assert server(made)["minReadySeconds"] == 30
    assert pod(made)["terminationGracePeriodSeconds"] == 180


def test_a_preview_knows_nothing_yet_and_still_works(record: Record) -> None:
    assert elasticsearch(record, preview=True).of(STATEFUL_SET)


def test_the_four_images_are_of_one_release() -> None:
    images = (
        versions.ELASTICSEARCH_IMAGE,
        versions.LOGSTASH_IMAGE,
        versions.KIBANA_IMAGE,
        versions.FILEBEAT_IMAGE,
    )
    assert len({image.partition(":")[2] for image in images}) == 1
