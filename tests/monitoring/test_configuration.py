"""Prometheus' own tool, and Prometheus itself, judge what each stack file makes of its configuration."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.monitoring.metrics import ACCOUNT_PATH, CONFIG_PATH
from tests.monitoring.environments import config_map, recorded
from tests.monitoring.servers import get, prometheus
from tests.unit.components.recording import Recording
from tests.unit.stack_configuration import STACKS

Files = Mapping[str, str]


@pytest.fixture(scope="module", params=STACKS)
def recording(request: pytest.FixtureRequest) -> Iterator[Recording[Any]]:
    """Everything that an environment declares."""
    with recorded(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def files(recording: Recording[Any]) -> Files:
    """The files that Prometheus is given in an environment."""
    return config_map(recording, "prometheus-config-")


@pytest.fixture
def laid(files: Files, tmp_path: Path) -> Path:
    """A folder that holds the files, and the service account's token, as a pod would find them."""
    (tmp_path / "account").mkdir()
    (tmp_path / "account" / "token").write_text("nobody's")
    for name, text in files.items():
        here = text.replace(ACCOUNT_PATH, str(tmp_path / "account")).replace(CONFIG_PATH, str(tmp_path))
        (tmp_path / name).write_text(here)
    return tmp_path


def lint(promtool: Path, rules: Path) -> None:
    subprocess.run([promtool, "check", "rules", "--lint=all", "--lint-fatal", rules], check=True)


def test_promtool_accepts_the_configuration_and_every_file_it_names(promtool: Path, laid: Path) -> None:
    subprocess.run(
        [promtool, "check", "config", "--lint=all", "--lint-fatal", laid / "prometheus.json"], check=True
    )


def test_promtool_accepts_the_rules_and_its_linter_finds_nothing(promtool: Path, laid: Path) -> None:
    lint(promtool, laid / "rules.json")


@pytest.mark.parametrize("missing", ["rules.json", "account/token"])
def test_promtool_misses_a_file_that_is_not_there(promtool: Path, laid: Path, missing: str) -> None:
    (laid / missing).unlink()
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([promtool, "check", "config", laid / "prometheus.json"], check=True)


def test_promtool_refuses_a_key_that_it_does_not_know(promtool: Path, laid: Path) -> None:
    config = laid / "prometheus.json"
    config.write_text(config.read_text().replace("track_timestamps_staleness", "track_staleness"))
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([promtool, "check", "config", config], check=True)


def test_promtool_refuses_a_rule_with_a_key_that_it_does_not_know(promtool: Path, laid: Path) -> None:
    rules = laid / "rules.json"
    rules.write_text(rules.read_text().replace('"expr"', '"expression"'))
    with pytest.raises(subprocess.CalledProcessError):
        lint(promtool, rules)


def test_the_linter_finds_a_rule_that_is_there_twice(promtool: Path, laid: Path) -> None:
    rules = laid / "rules.json"
    (group, *_) = json.loads(rules.read_text())["groups"]
    rules.write_text(json.dumps({"groups": [group, {**group, "name": "again"}]}))
    with pytest.raises(subprocess.CalledProcessError):
        lint(promtool, rules)


def test_every_part_that_prometheus_asks_or_tells_has_the_service_and_the_port(
    files: Files, recording: Recording[Any]
) -> None:
    config = json.loads(files["prometheus.json"])
    asking = [*config["scrape_configs"], *config["alerting"]["alertmanagers"]]
    replicas = {
        (f"{name}.{discovery['port']}", "None")
        for asked in asking
        for discovery in asked.get("dns_sd_configs", [])
        for name in discovery["names"]
    }
    single = {
        (target.replace(":", "."), None)
        for asked in asking
        for fixed in asked.get("static_configs", [])
        for target in fixed["targets"]
        # An add-on of EKS, which brings its own.
        if not target.startswith("kube-state-metrics.")
    }
    services = {
        (
            f"{service.inputs['metadata']['name']}.{service.inputs['metadata']['namespace']}.svc.{port['port']}",
            service.inputs["spec"].get("clusterIP"),
        )
        for service in recording.of("kubernetes:core/v1:Service")
        for port in service.inputs["spec"]["ports"]
    }
    assert replicas | single <= services


def test_a_part_that_is_asked_through_a_common_address_has_one_pod(
    files: Files, recording: Recording[Any]
) -> None:
    asked = {
        target.partition(".")[0]
        for job in json.loads(files["prometheus.json"])["scrape_configs"]
        for fixed in job.get("static_configs", [])
        for target in fixed["targets"]
    }
    many = {
        workload.inputs["metadata"]["name"]
        for kind in ("Deployment", "StatefulSet", "DaemonSet")
        for workload in recording.of(f"kubernetes:apps/v1:{kind}")
        if workload.inputs["spec"].get("replicas") != 1
    }
    assert asked & many == set()


def test_prometheus_keeps_as_much_as_the_stack_file_says(
    files: Files, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kept = {
        "dev": "3d or 8GiB",
        "qa": "3d or 8GiB",
        "uat": "1w or 16GiB",
        "staging": "31d or 80GiB",
        "live": "31d or 160GiB",
    }
    # Without what only a cluster can answer.
    config: dict[str, Any] = json.loads(files["prometheus.json"])
    for key in ("scrape_configs", "alerting", "rule_files"):
        del config[key]
    with prometheus(tmp_path, config) as url:
        runtime = json.loads(get(f"{url}/api/v1/status/runtimeinfo"))["data"]
    assert runtime["storageRetention"] == kept[request.node.callspec.params["recording"]]
