"""The real CloudWatch exporter with the rendered configuration: what CloudWatch knows comes out by the names that alerts read."""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.monitoring.cloudwatch import DatabaseCluster, configuration
from rehearsal.toolchain import ToolSet, ensure
from tests.monitoring.cloudwatch import Question, exporter
from tests.monitoring.environments import config_map, recorded
from tests.monitoring.servers import get
from tests.unit.stack_configuration import STACKS

HOME = DatabaseCluster(
    region="eu-west-1",
    identifier="quikapp-live-database",
    instances=("quikapp-live-database-0", "quikapp-live-database-1"),
)
RECOVERY = DatabaseCluster(
    region="eu-central-1",
    identifier="quikapp-live-database-recovery",
    instances=("quikapp-live-database-recovery-0",),
)
LIVE = configuration(environment="live", region="eu-west-1", clusters=[HOME, RECOVERY])
DEV = configuration(
    environment="dev", region="eu-west-1", clusters=[replace(HOME, instances=HOME.instances[:1])]
)

AGES = {
    ("database", "BackupAge"): 3600.0,
    ("files", "BackupAge"): 7200.0,
    ("files", "CopyAge"): 10_800.0,
    ("database", "RestoreAge"): 86_400.0,
    ("database", "RestoreDuration"): 600.0,
    ("files", "RestoreAge"): 172_800.0,
    ("files", "RestoreDuration"): 300.0,
}


def known(question: Question, follower: DatabaseCluster = RECOVERY) -> float | None:
    """What CloudWatch knows of live while one cluster follows the other."""
    dimensions = dict(question.dimensions)
    match question.namespace:
        case "QuikApp/Recovery" if question.region == "eu-west-1":
            assert dimensions.keys() == {"Environment", "Data"}
            return AGES.get((dimensions["Data"], question.metric))
        case "AWS/RDS" if question.metric == "EngineUptime":
            (instance,) = dimensions.values()
            assert dimensions.keys() == {"DBInstanceIdentifier"}
            (cluster,) = [cluster for cluster in (HOME, RECOVERY) if instance in cluster.instances]
            return 86_400.0 if question.region == cluster.region else None
        case "AWS/RDS" if question.region == follower.region:
            assert dimensions == {"DBClusterIdentifier": follower.identifier}
            return {"AuroraGlobalDBRPOLag": 250.0, "AuroraGlobalDBReplicationLag": 120.0}[question.metric]
        case _:
            return None


def exposed(url: str) -> Mapping[tuple[str, str], float]:
    """Name, and the value of the dimension that tells it from others of its name → value of what is fetched."""
    found: dict[tuple[str, str], float] = {}
    for name, labels, value in re.findall(r"^(aws_\w+)\{(.*)\} (\S+)$", get(f"{url}/metrics"), re.MULTILINE):
        (told,) = re.findall(r'dimension_(?:Data|DBClusterIdentifier|DBInstanceIdentifier)="([^"]+)"', labels)
        found[name, told] = float(value)
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_the_exporter_accepts_what_is_rendered(stack: str, tmp_path: Path) -> None:
    with recorded(stack) as recording:
        (name, text), *others = config_map(recording, "cloudwatch-exporter-config-").items()
    assert not others
    (tmp_path / name).write_text(text)
    assert verdict(tmp_path / name) == 0


@pytest.mark.parametrize("lost", ["name", "namespace", "regions"])
def test_the_exporter_refuses_a_job_that_lacks_what_it_needs(lost: str, tmp_path: Path) -> None:
    broken: dict[str, Any] = json.loads(json.dumps(LIVE))
    del broken["static"][0][lost]
    path = tmp_path / "cloudwatch.json"
    path.write_text(json.dumps(broken))
    assert verdict(path) != 0


def verdict(path: Path) -> int:
    command = [ensure(ToolSet.YACE)["yace"], "verify-config", f"--config.file={path}"]
    return subprocess.run(command, check=False).returncode


def test_every_figure_comes_out_by_the_name_that_alerts_read(tmp_path: Path) -> None:
    with exporter(tmp_path, LIVE, known) as (url, _):
        assert exposed(url) == {
            ("aws_quikapp_recovery_backup_age_maximum", "database"): 3600,
            ("aws_quikapp_recovery_backup_age_maximum", "files"): 7200,
            ("aws_quikapp_recovery_copy_age_maximum", "files"): 10_800,
            ("aws_quikapp_recovery_restore_age_maximum", "database"): 86_400,
            ("aws_quikapp_recovery_restore_age_maximum", "files"): 172_800,
            ("aws_quikapp_recovery_restore_duration_maximum", "database"): 600,
            ("aws_quikapp_recovery_restore_duration_maximum", "files"): 300,
            ("aws_rds_aurora_global_dbrpolag_maximum", "quikapp-live-database-recovery"): 250,
            ("aws_rds_aurora_global_dbreplication_lag_maximum", "quikapp-live-database-recovery"): 120,
            ("aws_rds_engine_uptime_maximum", "quikapp-live-database-0"): 86_400,
            ("aws_rds_engine_uptime_maximum", "quikapp-live-database-1"): 86_400,
            ("aws_rds_engine_uptime_maximum", "quikapp-live-database-recovery-0"): 86_400,
        }


def test_an_instance_that_is_lost_has_no_uptime_and_leaves_the_others_theirs(tmp_path: Path) -> None:
    def without_one(question: Question) -> float | None:
        lost = ("DBInstanceIdentifier", "quikapp-live-database-1") in question.dimensions
        return None if lost else known(question)

    with exporter(tmp_path, LIVE, without_one) as (url, _):
        assert {told for name, told in exposed(url) if "uptime" in name} == {
            "quikapp-live-database-0",
            "quikapp-live-database-recovery-0",
        }


def test_after_a_failover_the_lag_is_that_of_the_other_cluster_and_nothing_has_to_be_told(
    tmp_path: Path,
) -> None:
    with exporter(tmp_path, LIVE, lambda question: known(question, follower=HOME)) as (url, _):
        assert {cluster for name, cluster in exposed(url) if "lag" in name} == {"quikapp-live-database"}


def test_what_has_no_value_has_no_series_and_what_is_refused_takes_nothing_else_with_it(
    tmp_path: Path,
) -> None:
    def some(question: Question) -> float | None:
        if question.namespace == "AWS/RDS":
            raise PermissionError
        return known(question) if question.metric == "BackupAge" else None

    with exporter(tmp_path, LIVE, some) as (url, _):
        assert exposed(url) == {
            ("aws_quikapp_recovery_backup_age_maximum", "database"): 3600,
            ("aws_quikapp_recovery_backup_age_maximum", "files"): 7200,
        }


def test_each_figure_is_looked_for_over_three_of_its_hours_and_what_aurora_tells_over_ten_minutes(
    tmp_path: Path,
) -> None:
    with exporter(tmp_path, LIVE, known) as (_, cloudwatch):
        asked = {
            (question.namespace, question.statistics, question.period, question.span)
            for question in cloudwatch.asked
        }
    assert asked == {
        ("QuikApp/Recovery", ("Maximum",), 300, 10_800),
        ("AWS/RDS", ("Maximum",), 60, 600),
    }


def test_without_objectives_it_asks_for_backups_and_instances_alone(tmp_path: Path) -> None:
    with exporter(tmp_path, DEV, known) as (_, cloudwatch):
        asked = {
            (question.region, question.metric, *sorted(value for _, value in question.dimensions))
            for question in cloudwatch.asked
        }
    assert asked == {
        ("eu-west-1", "BackupAge", "database", "dev"),
        ("eu-west-1", "BackupAge", "dev", "files"),
        ("eu-west-1", "CopyAge", "dev", "files"),
        ("eu-west-1", "EngineUptime", "quikapp-live-database-0"),
    }


def test_its_role_has_the_rights_that_it_uses_and_no_other(tmp_path: Path) -> None:
    with exporter(tmp_path, LIVE, known) as (_, cloudwatch):
        used = cloudwatch.actions
    with recorded("live") as recording:
        (policy,) = [
            json.loads(made.inputs["policy"])
            for made in recording.of("aws:iam/rolePolicy:RolePolicy")
            if "cloudwatch-exporter" in made.name
        ]
    granted = {action for statement in policy["Statement"] for action in statement["Action"]}
    # Everybody may ask who they are: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    assert used == granted | {"sts:GetCallerIdentity"}
