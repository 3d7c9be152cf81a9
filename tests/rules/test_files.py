"""What is rendered is what Prometheus accepts."""

import json
import subprocess
from pathlib import Path

import pytest

from components.monitoring.metrics import configuration
from components.monitoring.rules import rule_file


def test_promtool_accepts_the_configuration(promtool: Path, tmp_path: Path) -> None:
    path = tmp_path / "prometheus.json"
    path.write_text(
        json.dumps(
            configuration(
                slot_namespaces=["quikapp-blue", "quikapp-green"],
                external_labels={"environment": "live", "region": "eu-west-1"},
                retention_days=15,
                storage_gib=50,
            )
        )
    )
    # The service account's files exist in a pod only.
    subprocess.run([promtool, "check", "config", "--syntax-only", path], check=True)


def test_promtool_accepts_the_rules_and_its_linter_finds_nothing(promtool: Path, tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(rule_file()))
    subprocess.run([promtool, "check", "rules", "--lint=all", "--lint-fatal", path], check=True)


def test_promtool_refuses_what_it_does_not_know(promtool: Path, tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(rule_file()).replace('"expr"', '"expression"'))
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([promtool, "check", "rules", path], check=True)
