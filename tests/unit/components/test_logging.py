"""Logging: a line's way from its node to Elasticsearch, on which none is dropped and nobody else listens in."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
import yaml

from components.monitoring import filebeat, kibana, logstash
from components.monitoring.access import ElasticsearchAccess
from components.monitoring.elasticsearch_configuration import cluster_state
from components.monitoring.logging import Logging, LoggingArgs
from components.monitoring.workload import Place
from operations import logs
from operations.logs import log_stream
from operations.monitoring import Part
from operations.slots import Slot
from tests.unit.components import mounts
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording

STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
SERVICE = "kubernetes:core/v1:Service"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 - a resource type
PRIVATE_KEY = "tls:index/privateKey:PrivateKey"
REQUEST = "tls:index/certRequest:CertRequest"
SIGNED = "tls:index/locallySignedCert:LocallySignedCert"
SELF_SIGNED = "tls:index/selfSignedCert:SelfSignedCert"

URL = "https://elasticsearch.monitoring.svc:9200"
CA = "the certificate of Elasticsearch's authority"
PASSWORDS = {"logstash": "a-password-of-logstash", "kibana-server": "a-password-of-kibana"}
PLACE = Place(
    slot_namespaces={Slot.BLUE: "quikapp-blue", Slot.GREEN: "quikapp-green"},
    network_cidr="10.50.0.0/16",
    zones=3,
    storage_class="encrypted",
    parts=frozenset(Part),
    after=[],
)
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def access(user: str) -> ElasticsearchAccess:
    return ElasticsearchAccess(
        url=URL,
        ca=pulumi.Output.from_input(CA),
        user=user,
        password=pulumi.Output.secret(PASSWORDS[user]),
    )


def logging(record: Record, *, replicas: int = 2, preview: bool = False) -> Recording[Logging]:
    return record(
        lambda: Logging(
            "logging",
            LoggingArgs(
                place=PLACE,
                environment="live",
                retention_days=30,
                logstash_replicas=replicas,
                logstash=access("logstash"),
                kibana=access("kibana-server"),
            ),
        ),
        preview=preview,
    )


def pod(made: Recording[Any], token: str) -> Mapping[str, Any]:
    return made.one(token).inputs["spec"]["template"]["spec"]


def container(made: Recording[Any], token: str) -> Mapping[str, Any]:
    (only,) = pod(made, token)["containers"]
    return only


def numbers(made: Recording[Any], token: str) -> Mapping[str, int]:
    return {port["name"]: port["containerPort"] for port in container(made, token)["ports"]}


# --- Logstash' language ----------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"[^"]*")
      | (?P<regexp>/(?:[^/\\]|\\.)+/)
      | (?P<arrow>=>)
      | (?P<operator>==|=~)
      | (?P<selector>(?:\[[^\[\],"\s]+\])+)
      | (?P<number>\d+)
      | (?P<word>[a-z_]+)
      | (?P<mark>[{}\[\],])
    )""",
    re.VERBOSE,
)


class Pipeline:
    """A small reader of the part of Logstash' configuration language that the pipeline uses.

    Sections hold plugins and conditions; a plugin has options; a value is a string, number, word, array or hash.
    Source: https://www.elastic.co/docs/reference/logstash/configuration-file-structure
    """

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place, text = 0, text.rstrip()
        while place < len(text):
            match = TOKEN.match(text, place)
            assert match is not None, f"no word of the language: {text[place : place + 40]!r}"
            assert match.lastgroup is not None
            self._tokens.append((match.lastgroup, match.group(match.lastgroup)))
            place = match.end()
        self.sections: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
        while self._tokens:
            section = self._take("word")
            assert section in ("input", "filter", "output")
            self.sections[section] = self._body("")

    def _take(self, kind: str, text: str | None = None) -> str:
        assert self._tokens, f"ends where a {kind} should be"
        found, value = self._tokens.pop(0)
        assert found == kind, f"{value!r} stands where a {kind} should be"
        assert text in (None, value), f"{value!r} stands where {text!r} should be"
        return value

    def _next(self) -> tuple[str, str]:
        assert self._tokens, "ends within a block"
        return self._tokens[0]

    def _body(self, condition: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Plugins of a block, each with the condition it is under."""
        self._take("mark", "{")
        plugins: list[tuple[str, str, dict[str, Any]]] = []
        while self._next() != ("mark", "}"):
            name = self._take("word")
            if name == "if":
                plugins += self._body(self._condition())
            else:
                plugins.append((condition, name, self._options()))
        self._take("mark", "}")
        return plugins

    def _condition(self) -> str:
        words = [self._take("selector")]
        if self._next()[0] == "operator":
            operator = self._take("operator")
            words += [operator, self._take("regexp" if operator == "=~" else "string")]
        return " ".join(words)

    def _options(self) -> dict[str, Any]:
        self._take("mark", "{")
        options: dict[str, Any] = {}
        while self._next() != ("mark", "}"):
            name = self._take("word")
            self._take("arrow")
            assert name not in options, f"{name} is there twice"
            options[name] = self._value()
        self._take("mark", "}")
        return options

    def _value(self) -> Any:
        kind, text = self._next()
        if (kind, text) == ("mark", "{"):
            return self._hash()
        if (kind, text) == ("mark", "["):
            return self._array()
        self._tokens.pop(0)
        match kind:
            case "string":
                return text[1:-1]
            case "number":
                return int(text)
            case _:
                assert text in ("true", "false"), f"{text!r} is no value"
                return text == "true"

    def _hash(self) -> dict[str, Any]:
        self._take("mark", "{")
        held: dict[str, Any] = {}
        while self._next() != ("mark", "}"):
            key = self._take("string")[1:-1]
            self._take("arrow")
            held[key] = self._value()
        self._take("mark", "}")
        return held

    def _array(self) -> list[Any]:
        self._take("mark", "[")
        held = [self._value()]
        while self._next() == ("mark", ","):
            self._take("mark", ",")
            held.append(self._value())
        self._take("mark", "]")
        return held

    def one(self, section: str, name: str) -> dict[str, Any]:
        """The options of the only plugin of this name in a section."""
        (options,) = (options for _, plugin, options in self.sections[section] if plugin == name)
        return options


TEXT = logstash.pipeline(
    environment="live",
    slot_namespaces={Slot.BLUE: "quikapp-blue", Slot.GREEN: "quikapp-green"},
    elasticsearch_url=URL,
    user="logstash",
)


@pytest.mark.parametrize(
    "broken",
    [
        TEXT[:-3],
        TEXT.replace("filter {", "filters {"),
        TEXT.replace("port => 5044", "port = 5044"),
        TEXT.replace("ssl_enabled => true", "ssl_enabled => yes"),
        TEXT.replace('source => "message"', "source => message"),
        TEXT.replace("}\n\noutput", "output"),
    ],
)
def test_the_reader_refuses_what_is_not_the_language(broken: str) -> None:
    assert broken != TEXT
    with pytest.raises(AssertionError):
        Pipeline(broken)


# --- Logstash --------------------------------------------------------------------------------------------------------


def test_logstash_runs_the_pipeline_that_is_mounted(record: Record) -> None:
    made = logging(record)
    assert mounts.content(made, pod(made, STATEFUL_SET), "/usr/share/logstash/pipeline/logs.conf") == TEXT
    assert list(Pipeline(TEXT).sections) == ["input", "filter", "output"]


def test_only_who_has_a_certificate_of_the_authority_may_send(record: Record) -> None:
    made = logging(record)
    beats = Pipeline(TEXT).one("input", "beats")
    assert beats["port"] == numbers(made, STATEFUL_SET)["beats"] == 5044
    assert beats["ssl_enabled"] is True
    assert beats["ssl_client_authentication"] == "required"
    (trusted,) = beats["ssl_certificate_authorities"]
    files = pod(made, STATEFUL_SET)
    assert mounts.content(made, files, trusted) == made.one(SELF_SIGNED).outputs["certPem"]
    signed = made.one(SIGNED, "logging-authority-logstash-certificate").outputs["certPem"]
    assert mounts.content(made, files, beats["ssl_certificate"]) == signed
    key = made.one(PRIVATE_KEY, "logging-authority-logstash-key").outputs["privateKeyPemPkcs8"]
    assert mounts.content(made, files, beats["ssl_key"]) == key


def test_lines_go_to_the_stream_that_has_the_template_and_over_trusted_tls(record: Record) -> None:
    made = logging(record)
    output = Pipeline(TEXT).one("output", "elasticsearch")
    assert output["hosts"] == [URL]
    assert output["user"] == "logstash"
    assert output["data_stream"] is True
    assert output["data_stream_auto_routing"] is False
    words = [output[f"data_stream_{word}"] for word in ("type", "dataset", "namespace")]
    assert "-".join(words) == log_stream("live") == "logs-quikapp-live"
    assert output["ssl_enabled"] is True
    (trusted,) = output["ssl_certificate_authorities"]
    assert mounts.content(made, pod(made, STATEFUL_SET), trusted) == CA


def test_the_password_is_a_variable_that_comes_from_a_secret(record: Record) -> None:
    made = logging(record)
    assert Pipeline(TEXT).one("output", "elasticsearch")["password"] == "${ELASTICSEARCH_PASSWORD}"  # noqa: S105
    (variable,) = (
        variable
        for variable in container(made, STATEFUL_SET)["env"]
        if variable["name"] == "ELASTICSEARCH_PASSWORD"
    )
    reference = variable["valueFrom"]["secretKeyRef"]
    (secret,) = (
        secret for secret in made.of(mounts.SECRET) if secret.outputs["metadata"]["name"] == reference["name"]
    )
    assert secret.inputs["stringData"][reference["key"]] == PASSWORDS["logstash"]


def test_no_line_is_dropped_whatever_is_in_it() -> None:
    pipeline = Pipeline(TEXT)
    assert [name for _, name, _ in pipeline.sections["filter"]] == ["json", *["mutate"] * 5]
    condition, name, options = pipeline.sections["filter"][0]
    assert (condition, name) == (r"[message] =~ /\A\s*\{/", "json")
    assert options == {"source": "message", "target": "app", "skip_on_invalid_json": True}
    removed = {
        field for _, _, options in pipeline.sections["filter"] for field in options.get("remove_field", [])
    }
    assert not removed & {"message", "[message]", "app", "[app]", "[kubernetes]", "@timestamp"}


@pytest.mark.parametrize(
    ("condition", "field", "value"),
    [
        ("[app][level]", "[log][level]", "%{[app][level]}"),
        ("[app][trace_id]", "[trace][id]", "%{[app][trace_id]}"),
        ('[kubernetes][namespace] == "quikapp-blue"', "[labels][slot]", "blue"),
        ('[kubernetes][namespace] == "quikapp-green"', "[labels][slot]", "green"),
    ],
)
def test_a_field_is_found_under_its_common_name(condition: str, field: str, value: str) -> None:
    assert (condition, "mutate", {"add_field": {field: value}}) in Pipeline(TEXT).sections["filter"]


def test_a_line_bears_the_service_and_the_version_that_wrote_it() -> None:
    *_, (condition, _, options) = Pipeline(TEXT).sections["filter"]
    assert condition == ""
    assert options["rename"] == {
        "[kubernetes][labels][app_kubernetes_io/name]": "[service][name]",
        "[kubernetes][labels][app_kubernetes_io/version]": "[service][version]",
    }


def test_every_field_that_the_pipeline_makes_is_indexed() -> None:
    state = cluster_state(environment="live", nodes=3, retention=logs.ROLLOVER)["state"]
    template = state["index_templates"]["composable_index_templates"]["quikapp-logs"]["template"]
    made: set[str] = set()
    for _, _, options in Pipeline(TEXT).sections["filter"]:
        made |= set(options.get("add_field", {})) | set(options.get("rename", {}).values())
        made |= {f"[{options['target']}]"} if "target" in options else set()
    assert len(made) == 6
    for field in made:
        properties: Any = template["mappings"]
        for name in re.findall(r"\[([^\]]+)\]", field):
            properties = properties["properties"][name]
        assert properties["type"] in ("keyword", "flattened")


def test_a_line_that_logstash_took_outlives_a_restart_and_is_kept_no_longer_than_any_other(
    record: Record,
) -> None:
    made = logging(record)
    files = pod(made, STATEFUL_SET)
    settings = yaml.safe_load(mounts.content(made, files, "/usr/share/logstash/config/logstash.yml"))
    assert settings == {
        "node.name": "${POD_NAME}",
        "api.http.host": "0.0.0.0",  # noqa: S104
        "api.http.port": 9600,
        "pipeline.batch.delay": 50,
        "queue.type": "persisted",
        "queue.max_bytes": "6gb",
        "dead_letter_queue.enable": True,
        "dead_letter_queue.max_bytes": "1gb",
        "dead_letter_queue.retain.age": "30d",
    }
    (claim,) = made.one(STATEFUL_SET).inputs["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"] == {"storage": "8Gi"}
    assert mounts.is_writable(files, "/usr/share/logstash/data")
    assert "POD_NAME" in {variable["name"] for variable in container(made, STATEFUL_SET)["env"]}


def test_logstash_is_probed_on_ports_that_it_has(record: Record) -> None:
    made = logging(record)
    assert numbers(made, STATEFUL_SET) == {"beats": 5044, "api": 9600}
    only = container(made, STATEFUL_SET)
    assert only["startupProbe"]["httpGet"] == only["livenessProbe"]["httpGet"] == {"path": "/", "port": "api"}
    assert only["readinessProbe"]["tcpSocket"] == {"port": "beats"}


# --- Filebeat --------------------------------------------------------------------------------------------------------


def filebeat_configuration(made: Recording[Any]) -> Mapping[str, Any]:
    return yaml.safe_load(mounts.content(made, pod(made, DAEMON_SET), "/etc/filebeat/filebeat.yml"))


def test_filebeat_reads_the_configuration_that_is_mounted(record: Record) -> None:
    made = logging(record)
    assert container(made, DAEMON_SET)["args"] == ["-e", "-c", "/etc/filebeat/filebeat.yml"]
    assert filebeat_configuration(made) == json.loads(
        json.dumps(
            filebeat.configuration(
                namespaces=["quikapp-blue", "quikapp-green", "monitoring"],
                logstash=[
                    "logstash-0.logstash-replicas.monitoring.svc:5044",
                    "logstash-1.logstash-replicas.monitoring.svc:5044",
                ],
            )
        )
    )


def test_only_lines_of_the_application_and_of_the_monitoring_are_read(record: Record) -> None:
    (source,) = filebeat_configuration(logging(record))["filebeat.inputs"]
    assert source["type"] == "filestream"
    assert source["paths"] == [
        "/var/log/pods/quikapp-blue_*/*/*.log*",
        "/var/log/pods/quikapp-green_*/*/*.log*",
        "/var/log/pods/monitoring_*/*/*.log*",
    ]


def test_rotated_files_are_read_to_their_end() -> None:
    (source,) = filebeat.configuration(namespaces=["a"], logstash=[])["filebeat.inputs"]
    assert source["compression"] == "auto"
    assert source["file_identity.fingerprint"] == {}
    assert source["prospector.scanner"]["fingerprint"] == {"enabled": True, "length": 64}
    (excluded,) = source["prospector.scanner"]["exclude_files"]
    kept = {"0.log": True, "0.log.20261124-120000.gz": True, "0.log.20261124-120000.tmp": False}
    assert {file: not re.search(excluded, file) for file in kept} == kept


def test_filebeat_waits_no_longer_than_the_sum_of_delays_says() -> None:
    configuration = filebeat.configuration(namespaces=["a"], logstash=[])
    (source,) = configuration["filebeat.inputs"]
    assert source["prospector.scanner"]["check_interval"] == "2s" == logs.seconds(logs.SCAN)
    assert source["backoff"] == {"init": "1s", "max": "1s"}
    assert logs.seconds(logs.READ) == "1s"
    assert configuration["queue.mem"]["flush"]["timeout"] == "1s" == logs.seconds(logs.COLLECT)


def test_a_line_bears_its_pod_container_and_node(record: Record) -> None:
    made = logging(record)
    (source,) = filebeat_configuration(made)["filebeat.inputs"]
    processors = {name: options for processor in source["processors"] for name, options in processor.items()}
    metadata = processors["add_kubernetes_metadata"]
    assert metadata["indexers"] == [{"pod_uid": {}}]
    assert metadata["matchers"] == [{"logs_path": {"logs_path": "/var/log/pods/", "resource_type": "pod"}}]
    assert processors["add_fields"] == {"target": "kubernetes.node", "fields": {"name": "${NODE_NAME}"}}
    assert processors["dissect"]["target_prefix"] == "kubernetes.container"
    (variable,) = container(made, DAEMON_SET)["env"]
    assert variable == {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}


def test_the_container_is_taken_from_the_path_that_the_kubelet_gives_a_file() -> None:
    (source,) = filebeat.configuration(namespaces=["a"], logstash=[])["filebeat.inputs"]
    tokenizer = source["processors"][2]["dissect"]["tokenizer"]
    keys = re.sub(r"%\\\{\\\?\w+\\\}", ".+", re.escape(tokenizer))
    pattern = re.sub(r"%\\\{(\w+)\\\}", r"(?P<\1>.+?)", keys)
    path = "/var/log/pods/quikapp-blue_api-5d9_1b2c/api/0.log"
    match = re.fullmatch(pattern, path)
    assert match is not None
    assert match.groupdict() == {"name": "api"}


def test_filebeat_proves_who_it_is_to_every_logstash_by_the_name_in_its_certificate(record: Record) -> None:
    made = logging(record)
    output = filebeat_configuration(made)["output.logstash"]
    assert output["loadbalance"] is True
    (name,) = made.one(REQUEST, "logging-authority-logstash-request").inputs["dnsNames"]
    assert name == "*.logstash-replicas.monitoring.svc"
    headless = made.one(SERVICE, "logging-logstash-replicas").inputs["metadata"]
    assert f"{headless['name']}.{headless['namespace']}.svc" == name.removeprefix("*.")
    replicas = made.one(STATEFUL_SET).inputs["spec"]["replicas"]
    assert output["hosts"] == [
        f"logstash-{ordinal}.{name.removeprefix('*.')}:5044" for ordinal in range(replicas)
    ]
    tls, files = output["ssl"], pod(made, DAEMON_SET)
    assert tls["verification_mode"] == "full"
    (trusted,) = tls["certificate_authorities"]
    assert mounts.content(made, files, trusted) == made.one(SELF_SIGNED).outputs["certPem"]
    signed = made.one(SIGNED, "logging-authority-filebeat-certificate")
    assert mounts.content(made, files, tls["certificate"]) == signed.outputs["certPem"]
    key = made.one(PRIVATE_KEY, "logging-authority-filebeat-key").outputs["privateKeyPemPkcs8"]
    assert mounts.content(made, files, tls["key"]) == key


def test_a_certificate_for_sending_is_none_for_receiving(record: Record) -> None:
    made = logging(record)
    uses = {signed.name: signed.inputs["allowedUses"] for signed in made.of(SIGNED)}
    assert uses == {
        "logging-authority-filebeat-certificate": ["digital_signature", "client_auth"],
        "logging-authority-logstash-certificate": ["digital_signature", "server_auth"],
    }


def test_filebeat_is_on_every_node_and_outside_of_the_restricted_namespace(record: Record) -> None:
    made = logging(record)
    assert made.one(DAEMON_SET).inputs["metadata"]["namespace"] == "node-agents"
    assert pod(made, DAEMON_SET)["tolerations"] == [{"operator": "Exists"}]
    assert pod(made, DAEMON_SET)["priorityClassName"] == "system-node-critical"


def test_filebeat_has_of_its_node_two_folders_and_of_root_nothing_but_the_name(record: Record) -> None:
    made = logging(record)
    spec = pod(made, DAEMON_SET)
    assert spec["securityContext"] == {
        "runAsUser": 0,
        "runAsGroup": 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(made, DAEMON_SET)["securityContext"] == RESTRICTED
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    folders = {volume["name"]: volume["hostPath"] for volume in spec["volumes"] if "hostPath" in volume}
    assert folders == {
        "pod-logs": {"path": "/var/log/pods", "type": "Directory"},
        "registry": {"path": "/var/lib/filebeat", "type": "DirectoryOrCreate"},
    }
    (reading,) = (
        mount for mount in container(made, DAEMON_SET)["volumeMounts"] if mount["name"] == "pod-logs"
    )
    assert reading == {"name": "pod-logs", "mountPath": "/var/log/pods", "readOnly": True}
    assert mounts.is_writable(spec, "/usr/share/filebeat/data")
    assert mounts.is_writable(spec, "/usr/share/filebeat/logs")


def test_filebeat_may_read_pods_and_nothing_else(record: Record) -> None:
    made = logging(record)
    role = made.one(f"{RBAC}:ClusterRole")
    assert role.inputs["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    ]
    binding = made.one(f"{RBAC}:ClusterRoleBinding").inputs
    assert binding["roleRef"]["name"] == role.inputs["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "filebeat", "namespace": "node-agents"}]
    assert pod(made, DAEMON_SET)["automountServiceAccountToken"] is True
    assert not made.of(f"{RBAC}:Role")


def test_filebeat_reaches_logstash_and_the_api_server(record: Record) -> None:
    made = logging(record)
    egress = made.one(POLICY, "logging-filebeat-traffic").inputs["spec"]["egress"]
    ports = [port["port"] for rule in egress for port in rule["ports"]]
    assert ports == [5044, 443]


# --- Kibana ----------------------------------------------------------------------------------------------------------


def kibana_files(made: Recording[Any]) -> list[Mapping[str, Any]]:
    """Kibana's configuration files in the order in which it reads them."""
    paths = [
        argument.partition("=")[2]
        for argument in container(made, DEPLOYMENT)["args"]
        if argument.startswith("--config=")
    ]
    return [yaml.safe_load(mounts.content(made, pod(made, DEPLOYMENT), path)) for path in paths]


def test_kibana_reads_both_of_its_files(record: Record) -> None:
    made = logging(record)
    plain, secret = kibana_files(made)
    assert plain == kibana.configuration(elasticsearch_url=URL, user="kibana-server")
    assert not set(plain) & set(secret)
    keys = {
        f"xpack.{what}.encryptionKey": made.one(PASSWORD, f"logging-kibana-{what}-key").outputs["result"]
        for what in ("security", "encryptedSavedObjects", "reporting")
    }
    assert secret == {"elasticsearch.password": PASSWORDS["kibana-server"], **keys}
    assert len(set(keys.values())) == 3
    for key in made.of(PASSWORD):
        assert key.inputs == {"length": 64, "special": False}


def test_kibana_trusts_elasticsearchs_authority_and_checks_the_name(record: Record) -> None:
    made = logging(record)
    plain, _ = kibana_files(made)
    (trusted,) = plain["elasticsearch.ssl.certificateAuthorities"]
    assert mounts.content(made, pod(made, DEPLOYMENT), trusted) == CA
    assert plain["elasticsearch.ssl.verificationMode"] == "full"
    assert plain["elasticsearch.hosts"] == [URL]


def test_nobody_sees_kibana_without_signing_in_and_nothing_is_told_to_its_vendor(record: Record) -> None:
    plain, _ = kibana_files(logging(record))
    assert plain["xpack.security.authc.providers"] == {"basic.basic": {"order": 0}}
    assert plain["telemetry.optIn"] is False
    assert plain["telemetry.allowChangingOptInStatus"] is False
    assert plain["newsfeed.enabled"] is False
    assert plain["map.includeElasticMapsService"] is False


def test_kibana_is_probed_where_it_listens(record: Record) -> None:
    made = logging(record)
    plain, _ = kibana_files(made)
    assert numbers(made, DEPLOYMENT) == {"http": plain["server.port"]} == {"http": 5601}
    only = container(made, DEPLOYMENT)
    assert only["readinessProbe"]["httpGet"] == {"path": "/api/status", "port": "http"}
    assert only["livenessProbe"]["tcpSocket"] == {"port": "http"}


@pytest.mark.parametrize("folder", ["data", "plugins"])
def test_kibana_may_write_where_it_does(record: Record, folder: str) -> None:
    assert mounts.is_writable(pod(logging(record), DEPLOYMENT), f"/usr/share/kibana/{folder}")


def test_kibanas_heap_is_above_a_gigabyte_and_leaves_a_third(record: Record) -> None:
    (options,) = container(logging(record), DEPLOYMENT)["env"]
    assert options == {"name": "NODE_OPTIONS", "value": "--max-old-space-size=1365"}


def test_two_kibanas_never_migrate_the_same_indices(record: Record) -> None:
    spec = logging(record).one(DEPLOYMENT).inputs["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


# --- all three -------------------------------------------------------------------------------------------------------


def test_no_password_or_key_is_in_plain_text(record: Record) -> None:
    made = logging(record)
    for secret in PASSWORDS.values():
        made.assert_hidden(secret)
    for key in made.of(PRIVATE_KEY):
        made.assert_hidden(key.outputs["privateKeyPemPkcs8"])
    for password in made.of(PASSWORD):
        made.assert_hidden(password.outputs["result"])


@pytest.mark.parametrize("token", [STATEFUL_SET, DEPLOYMENT])
def test_what_needs_nothing_of_its_node_is_restricted(record: Record, token: str) -> None:
    made = logging(record)
    assert container(made, token)["securityContext"] == RESTRICTED
    assert pod(made, token)["securityContext"]["runAsUser"] == 1000
    assert pod(made, token)["automountServiceAccountToken"] is False
    assert mounts.is_writable(pod(made, token), "/tmp")  # noqa: S108


@pytest.mark.parametrize(
    ("token", "resources"),
    [
        (STATEFUL_SET, {"cpu": "500m", "memory": "1536Mi"}),
        (DEPLOYMENT, {"cpu": "500m", "memory": "2048Mi"}),
        (DAEMON_SET, {"cpu": "100m", "memory": "256Mi"}),
    ],
)
def test_every_pod_gets_what_it_asks_for(record: Record, token: str, resources: Mapping[str, str]) -> None:
    assert container(logging(record), token)["resources"] == {"requests": resources, "limits": resources}


def test_a_drain_takes_one_replica_at_a_time(record: Record) -> None:
    budgets = logging(record).of(BUDGET)
    assert {budget.inputs["metadata"]["name"] for budget in budgets} == {"logstash", "kibana"}
    assert {budget.inputs["spec"]["maxUnavailable"] for budget in budgets} == {1}


@pytest.mark.parametrize(("replicas", "apart"), [(1, False), (2, True)])
def test_two_logstashes_never_share_a_host(record: Record, replicas: int, apart: bool) -> None:
    assert ("affinity" in pod(logging(record, replicas=replicas), STATEFUL_SET)) is apart


def test_a_preview_knows_nothing_yet_and_still_works(record: Record) -> None:
    made = logging(record, preview=True)
    assert made.of(STATEFUL_SET)
    assert made.of(DAEMON_SET)
    assert made.of(DEPLOYMENT)
