"""Alertmanager: peers that find each other, whom they may call, and credentials that are files."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, time
from typing import Any

import pytest

from components.monitoring.alerting import Alertmanager, AlertmanagerArgs
from components.monitoring.workload import Place
from operations.monitoring import BusinessHours, Day, OnCall, Paging, Part
from operations.priorities import Priority
from operations.slots import Slot
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording

STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a resource type
SERVICE = "kubernetes:core/v1:Service"
ACCOUNT = "kubernetes:core/v1:ServiceAccount"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"

PAGING = Paging(
    business_hours=BusinessHours(
        time_zone="Europe/London", days=(Day.MONDAY,), start=time(9), end=time(17, 30)
    ),
    on_call=OnCall(
        engineers=("PENGIN1",),
        since=date(2026, 1, 5),
        handover=time(10),
        team_lead="PLEAD01",
        engineering_manager="PMANAGE1",
    ),
)


PLACE = Place(
    slot_namespaces={Slot.BLUE: "quikapp-blue", Slot.GREEN: "quikapp-green"},
    network_cidr="10.50.0.0/16",
    zones=3,
    storage_class="encrypted",
    parts=frozenset(Part),
    after=[],
)
LIVE = AlertmanagerArgs(
    place=PLACE,
    environment="live",
    replicas=3,
    slack_token="xoxb-the-token",  # noqa: S106
    paging=PAGING,
    integration_keys={Priority.P1: "key-of-p1", Priority.P2: "key-of-p2"},
    heartbeat_url="https://heartbeat.example/a-secret-path",
)
DEV = AlertmanagerArgs(
    place=PLACE,
    environment="dev",
    replicas=1,
    slack_token="xoxb-the-token",  # noqa: S106
    paging=None,
    integration_keys={},
    heartbeat_url=None,
)


def alertmanager(record: Record, given: AlertmanagerArgs) -> Recording[Alertmanager]:
    return record(lambda: Alertmanager("alertmanager", given))


def pod(made: Recording[Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = made.one(STATEFUL_SET).inputs["spec"]["template"]["spec"]
    return spec


def flags(made: Recording[Any]) -> list[str]:
    (container,) = pod(made)["containers"]
    return container["args"]


def test_three_peers_find_each_other_by_name_and_say_where_they_are_found(record: Record) -> None:
    made = alertmanager(record, LIVE)
    stateful_set = made.one(STATEFUL_SET).inputs["spec"]
    assert stateful_set["replicas"] == 3
    assert stateful_set["serviceName"] == "alertmanager-replicas"
    assert [flag for flag in flags(made) if flag.startswith("--cluster")] == [
        "--cluster.listen-address=0.0.0.0:9094",
        "--cluster.advertise-address=$(POD_IP):9094",
        "--cluster.reconnect-timeout=5m",
        "--cluster.peer=alertmanager-0.alertmanager-replicas.monitoring.svc:9094",
        "--cluster.peer=alertmanager-1.alertmanager-replicas.monitoring.svc:9094",
        "--cluster.peer=alertmanager-2.alertmanager-replicas.monitoring.svc:9094",
    ]
    (container,) = pod(made)["containers"]
    assert container["env"] == [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]


def test_peers_are_found_before_they_are_ready(record: Record) -> None:
    services = {
        service.inputs["metadata"]["name"]: service.inputs["spec"]
        for service in alertmanager(record, LIVE).of(SERVICE)
    }
    assert services["alertmanager-replicas"]["clusterIP"] == "None"
    assert services["alertmanager-replicas"]["publishNotReadyAddresses"] is True
    assert [port["port"] for port in services["alertmanager-replicas"]["ports"]] == [9093, 9094]
    assert [port["port"] for port in services["alertmanager"]["ports"]] == [9093]


def test_one_alone_listens_for_no_peers(record: Record) -> None:
    made = alertmanager(record, DEV)
    assert [flag for flag in flags(made) if flag.startswith("--cluster")] == ["--cluster.listen-address="]


def test_several_never_share_a_node_and_one_needs_no_such_rule(record: Record) -> None:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    (term,) = pod(alertmanager(record, LIVE))["affinity"]["podAntiAffinity"][required]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"]["matchLabels"]["app.kubernetes.io/name"] == "alertmanager"
    assert "affinity" not in pod(alertmanager(record, DEV))


def test_what_was_sent_is_remembered_for_two_weeks_on_a_volume(record: Record) -> None:
    made = alertmanager(record, LIVE)
    assert "--data.retention=14d" in flags(made)
    assert "--storage.path=/alertmanager" in flags(made)
    (claim,) = made.one(STATEFUL_SET).inputs["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"] == {"storage": "1Gi"}
    assert claim["spec"]["storageClassName"] == "encrypted"


def test_peers_gossip_prometheus_and_grafana_come_in_and_the_internet_is_reached_by_https(
    record: Record,
) -> None:
    spec = alertmanager(record, LIVE).one(POLICY).inputs["spec"]

    def parts(rules: list[Any], direction: str) -> dict[tuple[str, int], list[str]]:
        return {
            (port["protocol"], port["port"]): [
                peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
                if "podSelector" in peer
                else peer["ipBlock"]["cidr"]
                for peer in rule[direction]
            ]
            for rule in rules
            for port in rule["ports"]
        }

    assert parts(spec["ingress"], "from") == {
        ("TCP", 9093): ["prometheus", "grafana"],
        ("TCP", 9094): ["alertmanager"],
        ("UDP", 9094): ["alertmanager"],
    }
    assert parts(spec["egress"], "to") == {
        ("TCP", 9094): ["alertmanager"],
        ("UDP", 9094): ["alertmanager"],
        ("TCP", 443): ["0.0.0.0/0"],
    }


def test_credentials_are_files_of_a_secret_and_are_nowhere_else(record: Record) -> None:
    made = alertmanager(record, LIVE)
    secret = made.one(SECRET)
    assert secret.inputs["stringData"] == {
        "slack-token": "xoxb-the-token",
        "pagerduty-p1": "key-of-p1",
        "pagerduty-p2": "key-of-p2",
        "heartbeat-url": "https://heartbeat.example/a-secret-path",
    }
    for value in secret.inputs["stringData"].values():
        for resource in made.resources:
            assert not [path for path, text in resource.plain_text() if value in text], resource.name


def test_every_credential_that_the_configuration_names_is_mounted(record: Record) -> None:
    for given in (LIVE, DEV):
        made = alertmanager(record, given)
        (config,) = made.one(CONFIG_MAP).inputs["data"].values()
        mounts = {mount["name"]: mount for mount in pod(made)["containers"][0]["volumeMounts"]}
        path = mounts["secrets"]["mountPath"]
        assert mounts["secrets"]["readOnly"] is True
        named = {value.removeprefix(f"{path}/") for value in re.findall(r'"[a-z_]+_file": "([^"]+)"', config)}
        assert named == set(made.one(SECRET).inputs["stringData"])
        volumes = {volume["name"]: volume for volume in pod(made)["volumes"]}
        assert volumes["secrets"]["secret"]["defaultMode"] == 0o440


def test_the_configuration_is_the_environments_and_is_read_from_where_it_is_mounted(record: Record) -> None:
    made = alertmanager(record, DEV)
    data = made.one(CONFIG_MAP).inputs["data"]
    assert set(data) == {"alertmanager.json"}
    assert json.loads(data["alertmanager.json"])["route"]["receiver"] == "slack-incidents"
    assert "in dev: " in data["alertmanager.json"]
    assert "--config.file=/etc/alertmanager/config/alertmanager.json" in flags(made)


def test_an_environment_without_paging_knows_no_way_to_pagerduty(record: Record) -> None:
    made = alertmanager(record, DEV)
    assert "pagerduty" not in made.one(CONFIG_MAP).inputs["data"]["alertmanager.json"]
    assert set(made.one(SECRET).inputs["stringData"]) == {"slack-token"}


def test_credentials_without_paging_and_paging_without_credentials_are_refused() -> None:
    with pytest.raises(ValueError, match=r"integration_keys is of \[.*P1.*\], and paging takes \[\]"):
        replace(LIVE, paging=None, heartbeat_url=None)
    with pytest.raises(ValueError, match=r"integration_keys is of \[\], and paging takes \[.*P1.*P2.*\]"):
        replace(LIVE, integration_keys={})
    with pytest.raises(ValueError, match="heartbeat_url and paging are given both or not at all"):
        replace(LIVE, heartbeat_url=None)


def test_the_pod_is_restricted_sized_probed_and_has_no_token(record: Record) -> None:
    made = alertmanager(record, LIVE)
    spec = pod(made)
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsUser"] == 65534
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"] == {"cpu": "100m", "memory": "128Mi"}
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": "http"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": "http"}
    assert made.one(ACCOUNT).inputs["automountServiceAccountToken"] is False


def test_a_drain_takes_one_peer_at_a_time(record: Record) -> None:
    assert alertmanager(record, LIVE).one(BUDGET).inputs["spec"]["maxUnavailable"] == 1


def test_pods_start_when_what_they_need_is_there(record: Record) -> None:
    made = alertmanager(record, LIVE)
    needed = {made.one(token).urn for token in (ACCOUNT, POLICY, CONFIG_MAP, SECRET)}
    assert needed <= made.one(STATEFUL_SET).dependencies


def test_it_tells_where_it_answers(record: Record) -> None:
    made = alertmanager(record, LIVE)
    assert made.value(made.result.url) == "http://alertmanager.monitoring.svc:9093"
