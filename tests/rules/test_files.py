"""What is rendered is what Prometheus accepts, in the shape of every environment."""

import json
import subprocess
from pathlib import Path

import pytest

from components.monitoring.metrics import configuration
from components.monitoring.rules import Watched, rule_file
from tests.rules.shapes import LIVE, SHAPES


def lint(promtool: Path, rules: Path) -> None:
    subprocess.run([promtool, "check", "rules", "--lint=all", "--lint-fatal", rules], check=True)


def test_promtool_accepts_the_configuration(promtool: Path, tmp_path: Path) -> None:
    path = tmp_path / "prometheus.json"
    path.write_text(
        json.dumps(
            configuration(
                slot_namespaces=["quikapp-blue", "quikapp-green"],
                external_labels={"environment": "live", "region": "eu-west-1"},
                retention_days=31,
                storage_gib=50,
            )
        )
    )
    # The service account's files exist in a pod only.
    subprocess.run([promtool, "check", "config", "--syntax-only", path], check=True)


@pytest.mark.parametrize("watched", SHAPES, ids=lambda watched: watched.environment)
def test_promtool_accepts_the_rules_and_its_linter_finds_nothing(
    promtool: Path, tmp_path: Path, watched: Watched
) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(rule_file(watched)))
    lint(promtool, path)


def test_promtool_refuses_what_it_does_not_know(promtool: Path, tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(rule_file(LIVE)).replace('"expr"', '"expression"'))
    with pytest.raises(subprocess.CalledProcessError):
        lint(promtool, path)


def test_the_linter_finds_a_rule_that_is_there_twice(promtool: Path, tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    (group, *_) = rule_file(LIVE)["groups"]
    path.write_text(json.dumps({"groups": [group, {**group, "name": "again"}]}))
    with pytest.raises(subprocess.CalledProcessError):
        lint(promtool, path)
