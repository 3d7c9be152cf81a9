"""What Prometheus scrapes and keeps, as plain data."""

from collections.abc import Mapping
from typing import Any

import pytest

from components.monitoring.metrics import configuration

CONFIGURATION = configuration(
    slot_namespaces=["quikapp-blue", "quikapp-green"],
    external_labels={"environment": "live", "region": "eu-west-1"},
    retention_days=15,
    storage_gib=50,
)


def job(name: str) -> Mapping[str, Any]:
    return next(config for config in CONFIGURATION["scrape_configs"] if config["job_name"] == name)


def targets(name: str) -> Mapping[str, Any]:
    """Target label → what it is taken from."""
    return {
        rule["target_label"]: rule["source_labels"]
        for rule in job(name)["relabel_configs"]
        if "target_label" in rule
    }


def test_everything_that_the_key_metrics_and_dashboards_need_is_scraped() -> None:
    assert [config["job_name"] for config in CONFIGURATION["scrape_configs"]] == [
        "slots",
        "kube-state-metrics",
        "node-exporter",
        "kubelet",
        "cadvisor",
        "apiserver",
        "prometheus",
    ]


def test_an_alert_says_which_environment_it_comes_from() -> None:
    assert CONFIGURATION["global"]["external_labels"] == {"environment": "live", "region": "eu-west-1"}


def test_metrics_go_by_age_and_before_they_fill_the_volume() -> None:
    assert CONFIGURATION["storage"]["tsdb"]["retention"] == {"time": "15d", "size": "40960MB"}


def test_a_pod_of_a_slot_carries_slot_service_and_version() -> None:
    assert targets("slots") == {
        "namespace": ["__meta_kubernetes_namespace"],
        "pod": ["__meta_kubernetes_pod_name"],
        "slot": ["__meta_kubernetes_pod_label_app_kubernetes_io_instance"],
        "service": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"],
        "version": ["__meta_kubernetes_pod_label_app_kubernetes_io_version"],
    }


def test_pods_are_looked_for_in_the_slots_only() -> None:
    (discovery,) = job("slots")["kubernetes_sd_configs"]
    assert discovery == {"role": "pod", "namespaces": {"names": ["quikapp-blue", "quikapp-green"]}}


def test_the_state_of_an_object_keeps_the_labels_that_say_which() -> None:
    assert job("kube-state-metrics")["honor_labels"] is True


@pytest.mark.parametrize(("name", "path"), [("kubelet", "/metrics"), ("cadvisor", "/metrics/cadvisor")])
def test_the_kubelet_is_asked_directly_as_the_service_account(name: str, path: str) -> None:
    config = job(name)
    assert config["metrics_path"] == path
    assert config["kubernetes_sd_configs"] == [{"role": "node"}]


@pytest.mark.parametrize("name", ["kubelet", "cadvisor", "apiserver"])
def test_tls_is_verified_wherever_the_token_goes(name: str) -> None:
    config = job(name)
    assert config["scheme"] == "https"
    assert config["authorization"]["credentials_file"].endswith("/token")
    assert config["tls_config"]["ca_file"].endswith("/ca.crt")
    assert "insecure_skip_verify" not in config["tls_config"]


def test_the_token_goes_nowhere_else() -> None:
    with_token = {
        config["job_name"] for config in CONFIGURATION["scrape_configs"] if "authorization" in config
    }
    assert with_token == {"kubelet", "cadvisor", "apiserver"}
