"""Jaeger: where it keeps traces and for how long, who reaches it, and what it is trusted with."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.monitoring.access import ElasticsearchAccess
from components.monitoring.tracing import Jaeger, JaegerArgs, in_elasticsearch, in_memory
from components.monitoring.workload import Place
from operations.monitoring import Part, TraceStorage
from operations.slots import Slot
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording, Resource

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
CRON_JOB = "kubernetes:batch/v1:CronJob"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a resource type
SERVICE = "kubernetes:core/v1:Service"
ACCOUNT = "kubernetes:core/v1:ServiceAccount"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"

PASSWORD = "a-password-of-jaeger"  # noqa: S105
PLACE = Place(
    slot_namespaces={Slot.BLUE: "quikapp-blue", Slot.GREEN: "quikapp-green"},
    network_cidr="10.50.0.0/16",
    zones=3,
    storage_class="encrypted",
    parts=frozenset(Part),
    after=[],
)


def kept_in_memory(record: Record) -> Recording[Jaeger]:
    return record(lambda: Jaeger("jaeger", JaegerArgs(place=PLACE, storage=TraceStorage.MEMORY, replicas=1)))


def kept_in_elasticsearch(record: Record) -> Recording[Jaeger]:
    return record(
        lambda: Jaeger(
            "jaeger",
            JaegerArgs(
                place=PLACE,
                storage=TraceStorage.ELASTICSEARCH,
                replicas=2,
                elasticsearch=ElasticsearchAccess(
                    url="https://elasticsearch.monitoring.svc:9200",
                    ca=pulumi.Output.from_input("the authority's certificate"),
                    user="jaeger",
                    password=pulumi.Output.secret(PASSWORD),
                ),
            ),
        )
    )


def pod(made: Recording[Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = made.one(DEPLOYMENT).inputs["spec"]["template"]["spec"]
    return spec


def container(made: Recording[Any]) -> Mapping[str, Any]:
    (only,) = pod(made)["containers"]
    return only


def cleaner(made: Recording[Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = made.one(CRON_JOB).inputs["spec"]
    return spec


def cleaning(made: Recording[Any]) -> Mapping[str, Any]:
    (only,) = cleaner(made)["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return only


def labels(part: str, instance: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": part, "app.kubernetes.io/instance": instance}


def peer(part: str) -> dict[str, Any]:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
        "podSelector": {"matchLabels": labels(part, part)},
    }


def ports(resource: Resource, direction: str) -> dict[int, list[Any]]:
    rules: list[Mapping[str, Any]] = resource.inputs["spec"].get(direction, [])
    peers = {"ingress": "from", "egress": "to"}[direction]
    return {port["port"]: rule[peers] for rule in rules for port in rule["ports"]}


# --- configuration -------------------------------------------------------------------------------------------------


def test_traces_go_from_otlp_to_the_memory_and_the_oldest_make_room() -> None:
    config = in_memory()
    assert config["service"]["pipelines"] == {
        "traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["jaeger_storage_exporter"]}
    }
    assert config["exporters"] == {"jaeger_storage_exporter": {"trace_storage": "traces"}}
    assert config["extensions"]["jaeger_storage"] == {
        "backends": {"traces": {"memory": {"max_traces": 5000}}}
    }
    assert config["extensions"]["jaeger_query"]["storage"] == {"traces": "traces"}


def test_traces_go_to_elasticsearch_signed_in_and_with_its_certificate_checked() -> None:
    config = in_elasticsearch(
        url="https://elasticsearch.monitoring.svc:9200", user="jaeger", index_replicas=1
    )
    assert config["extensions"]["jaeger_storage"] == {
        "backends": {
            "traces": {
                "elasticsearch": {
                    "server_urls": ["https://elasticsearch.monitoring.svc:9200"],
                    "auth": {
                        "basic": {"username": "jaeger", "password_file": "/etc/jaeger-secrets/password"}
                    },
                    "tls": {"ca_file": "/etc/jaeger/ca.crt"},
                    "indices": {
                        "spans": {"shards": 1, "replicas": 1},
                        "services": {"shards": 1, "replicas": 1},
                        "dependencies": {"shards": 1, "replicas": 1},
                        "sampling": {"shards": 1, "replicas": 1},
                    },
                    "max_span_age": "168h",
                }
            }
        }
    }


def test_an_index_on_a_single_node_has_no_copy() -> None:
    config = in_elasticsearch(url="https://elasticsearch", user="jaeger", index_replicas=0)
    indices = config["extensions"]["jaeger_storage"]["backends"]["traces"]["elasticsearch"]["indices"]
    assert {index["replicas"] for index in indices.values()} == {0}


def test_senders_wait_when_elasticsearch_does_before_the_memory_is_full() -> None:
    config = in_elasticsearch(url="https://elasticsearch", user="jaeger", index_replicas=1)
    assert config["service"]["pipelines"]["traces"]["processors"] == ["memory_limiter", "batch"]
    assert config["processors"] == {
        "memory_limiter": {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20},
        "batch": {},
    }


@pytest.mark.parametrize(
    "config", [in_memory(), in_elasticsearch(url="https://elasticsearch", user="jaeger", index_replicas=1)]
)
def test_everything_that_the_configuration_uses_is_defined_and_the_other_way_round(
    config: Mapping[str, Any],
) -> None:
    service = config["service"]
    (pipeline,) = service["pipelines"].values()
    assert set(service["extensions"]) == set(config["extensions"])
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(config[kind])


@pytest.mark.parametrize(
    "config", [in_memory(), in_elasticsearch(url="https://elasticsearch", user="jaeger", index_replicas=1)]
)
def test_it_listens_where_its_service_says_and_nowhere_else(config: Mapping[str, Any]) -> None:
    assert config["receivers"]["otlp"]["protocols"] == {
        "http": {"endpoint": "0.0.0.0:4318"},
    }
    query = config["extensions"]["jaeger_query"]
    assert query["http"] == {"endpoint": "0.0.0.0:16686"}
    assert query["grpc"] == {"endpoint": "127.0.0.1:16685"}
    assert config["extensions"]["healthcheckv2"] == {"use_v2": True, "http": {"endpoint": "0.0.0.0:13133"}}
    assert config["service"]["telemetry"]["metrics"]["readers"] == [
        {"pull": {"exporter": {"prometheus": {"host": "0.0.0.0", "port": 8888}}}}  # noqa: S104
    ]


def test_its_own_requests_are_no_traces_of_the_application() -> None:
    assert in_memory()["extensions"]["jaeger_query"]["enable_tracing"] is False


# --- where it runs -------------------------------------------------------------------------------------------------


def test_one_pod_keeps_traces_in_its_memory(record: Record) -> None:
    made = kept_in_memory(record)
    spec = made.one(DEPLOYMENT).inputs["spec"]
    assert spec["replicas"] == 1
    assert json.loads(made.one(CONFIG_MAP).inputs["data"]["jaeger.json"]) == in_memory()
    assert not made.of(SECRET)
    assert not made.of(CRON_JOB)


def test_two_pods_share_the_traces_in_elasticsearch(record: Record) -> None:
    made = kept_in_elasticsearch(record)
    assert made.one(DEPLOYMENT).inputs["spec"]["replicas"] == 2
    assert made.one(CONFIG_MAP).inputs["data"] == {
        "jaeger.json": json.dumps(
            in_elasticsearch(
                url="https://elasticsearch.monitoring.svc:9200", user="jaeger", index_replicas=1
            ),
            indent=2,
        ),
        "ca.crt": "the authority's certificate",
    }


def test_traces_in_elasticsearch_need_access_to_it() -> None:
    with pytest.raises(ValueError, match="no access to it is given"):
        JaegerArgs(place=PLACE, storage=TraceStorage.ELASTICSEARCH, replicas=2)


def test_two_pods_cannot_share_a_memory() -> None:
    with pytest.raises(ValueError, match="2 replicas cannot share: 1 can"):
        JaegerArgs(place=PLACE, storage=TraceStorage.MEMORY, replicas=2)


def test_the_password_is_a_file_from_a_secret_and_nowhere_in_plain_text(record: Record) -> None:
    made = kept_in_elasticsearch(record)
    made.assert_hidden(PASSWORD)
    secret = made.one(SECRET)
    assert secret.inputs["stringData"] == {"password": PASSWORD}
    assert secret.urn in made.one(DEPLOYMENT).dependencies
    volumes = {volume["name"]: volume for volume in pod(made)["volumes"]}
    assert volumes["secrets"]["secret"]["defaultMode"] == 0o440
    mounts = {mount["name"]: mount for mount in container(made)["volumeMounts"]}
    assert mounts == {
        "config": {"name": "config", "mountPath": "/etc/jaeger", "readOnly": True},
        "secrets": {"name": "secrets", "mountPath": "/etc/jaeger-secrets", "readOnly": True},
    }
    assert [variable["name"] for variable in container(made)["env"]] == ["GOMEMLIMIT"]


def test_jaeger_reads_the_file_that_is_mounted_and_collects_garbage_before_its_limit(record: Record) -> None:
    made = kept_in_memory(record)
    assert container(made)["args"] == ["--config=/etc/jaeger/jaeger.json"]
    assert container(made)["env"] == [{"name": "GOMEMLIMIT", "value": "819MiB"}]
    assert container(made)["resources"] == {
        "requests": {"cpu": "250m", "memory": "1024Mi"},
        "limits": {"cpu": "250m", "memory": "1024Mi"},
    }
    assert pod(made)["volumes"] == [
        {"name": "config", "configMap": {"name": made.one(CONFIG_MAP).inputs["metadata"]["name"]}}
    ]


def test_it_is_asked_for_its_health_where_it_answers(record: Record) -> None:
    jaeger = container(kept_in_memory(record))
    assert {
        jaeger[probe]["httpGet"]["path"] + ":" + jaeger[probe]["httpGet"]["port"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    } == {"/status:health"}
    assert {"name": "health", "containerPort": 13133, "protocol": "TCP"} in jaeger["ports"]


def test_its_pods_have_no_privilege_and_nothing_to_write_to(record: Record) -> None:
    made = kept_in_elasticsearch(record)
    job = cleaner(made)["jobTemplate"]["spec"]["template"]["spec"]
    accounts = {account.inputs["metadata"]["name"] for account in made.of(ACCOUNT)}
    assert {pod(made)["serviceAccountName"], job["serviceAccountName"]} == accounts
    assert len(accounts) == 2
    for spec in (pod(made), job):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["automountServiceAccountToken"] is False
        for every in spec["containers"]:
            assert every["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert every["resources"]["requests"] == every["resources"]["limits"]


def test_a_new_pod_takes_over_before_the_old_one_goes_and_a_drain_takes_one(record: Record) -> None:
    made = kept_in_memory(record)
    assert made.one(DEPLOYMENT).inputs["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    assert made.one(BUDGET).inputs["spec"]["maxUnavailable"] == 1


# --- who talks to it -----------------------------------------------------------------------------------------------


def test_slots_send_spans_grafana_asks_prometheus_scrapes_and_nobody_else(record: Record) -> None:
    made = kept_in_memory(record)
    slots = [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "podSelector": {},
        }
        for namespace in ("quikapp-blue", "quikapp-green")
    ]
    assert ports(made.one(POLICY), "ingress") == {
        4318: slots,
        16686: [peer("grafana")],
        8888: [peer("prometheus")],
    }
    listening = {
        service.inputs["metadata"]["name"]: {
            port["name"]: port["port"] for port in service.inputs["spec"]["ports"]
        }
        for service in made.of(SERVICE)
    }
    assert listening == {
        "jaeger": {"otlp-http": 4318, "query": 16686},
        "jaeger-replicas": {"metrics": 8888},
    }


def test_it_reaches_elasticsearch_only_where_traces_are_kept_there(record: Record) -> None:
    assert ports(kept_in_memory(record).one(POLICY), "egress") == {}
    kept = kept_in_elasticsearch(record)
    assert ports(kept.one(POLICY, "jaeger-traffic"), "egress") == {9200: [peer("elasticsearch")]}


def test_it_says_where_spans_go_and_where_grafana_asks(record: Record) -> None:
    made = kept_in_memory(record)
    assert made.value(made.result.otlp_endpoint) == "http://jaeger.monitoring.svc:4318"
    assert made.value(made.result.url) == "http://jaeger.monitoring.svc:16686"


# --- what is old goes ----------------------------------------------------------------------------------------------


def test_each_night_the_days_that_ended_a_week_ago_are_deleted(record: Record) -> None:
    made = kept_in_elasticsearch(record)
    assert cleaner(made)["schedule"] == "30 1 * * *"
    assert cleaner(made)["timeZone"] == "Etc/UTC"
    assert cleaner(made)["concurrencyPolicy"] == "Forbid"
    assert cleaner(made)["startingDeadlineSeconds"] == 4 * 3600
    assert cleaner(made)["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 900
    assert cleaning(made)["image"] == "jaegertracing/jaeger-es-index-cleaner:1.76.0"
    assert cleaning(made)["args"] == [
        "8",
        "https://elasticsearch.monitoring.svc:9200",
        "--es.username=jaeger",
        "--es.tls.enabled=true",
        "--es.tls.ca=/etc/jaeger/ca.crt",
    ]
    assert cleaning(made)["volumeMounts"] == [
        {"name": "config", "mountPath": "/etc/jaeger", "readOnly": True}
    ]


def test_the_cleaner_has_its_password_from_the_secret(record: Record) -> None:
    (variable,) = cleaning(kept_in_elasticsearch(record))["env"]
    assert variable["name"] == "ES_PASSWORD"
    assert variable["valueFrom"]["secretKeyRef"]["key"] == "password"
    assert "value" not in variable


def test_the_cleaner_reaches_elasticsearch_and_nothing_else(record: Record) -> None:
    made = kept_in_elasticsearch(record)
    mine = labels("jaeger-index-cleaner", "jaeger-index-cleaner")
    template = cleaner(made)["jobTemplate"]["spec"]["template"]
    assert mine.items() <= template["metadata"]["labels"].items()

    out = made.one(POLICY, "jaeger-cleaner-traffic")
    assert out.inputs["spec"]["podSelector"] == {"matchLabels": mine}
    assert out.inputs["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert ports(out, "ingress") == {}
    assert ports(out, "egress") == {9200: [peer("elasticsearch")]}

    into = made.one(POLICY, "jaeger-cleaner-into-elasticsearch")
    assert into.inputs["spec"]["podSelector"] == {"matchLabels": labels("elasticsearch", "elasticsearch")}
    assert ports(into, "ingress") == {9200: [peer("jaeger-index-cleaner")]}


def test_neither_a_service_nor_the_budget_takes_the_cleaner_for_jaeger(record: Record) -> None:
    made = kept_in_elasticsearch(record)
    carried = cleaner(made)["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    for service in made.of(SERVICE):
        assert not service.inputs["spec"]["selector"].items() <= carried.items()
    assert not made.one(BUDGET).inputs["spec"]["selector"]["matchLabels"].items() <= carried.items()


def test_pods_wait_for_what_they_need(record: Record) -> None:
    made = kept_in_elasticsearch(record)
    for workload in (made.one(DEPLOYMENT), made.one(CRON_JOB)):
        for needed in (CONFIG_MAP, SECRET):
            assert made.one(needed).urn in workload.dependencies
    for name, token in (("jaeger-account", DEPLOYMENT), ("jaeger-cleaner-account", CRON_JOB)):
        assert made.one(ACCOUNT, name).urn in made.one(token).dependencies
    assert made.one(POLICY, "jaeger-traffic").urn in made.one(DEPLOYMENT).dependencies
    assert made.one(POLICY, "jaeger-cleaner-traffic").urn in made.one(CRON_JOB).dependencies


def test_a_stack_without_elasticsearch_in_its_list_opens_nothing_to_it(record: Record) -> None:
    place = replace(PLACE, parts=frozenset({Part.JAEGER, Part.GRAFANA}))
    made = record(lambda: Jaeger("jaeger", JaegerArgs(place=place, storage=TraceStorage.MEMORY, replicas=1)))
    assert set(ports(made.one(POLICY), "ingress")) == {4318, 16686}
