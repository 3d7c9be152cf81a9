"""What each committed stack file makes of the page's "Backup & Recovery", in the whole environment.

The expectations are written out, not taken from the program: each holds one wire between a stack file and a resource.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pytest

import settings
from components.environment import Environment
from tests.monitoring.environments import config_map, recorded, recording_of
from tests.unit.components.recording import Recording
from tests.unit.stack_configuration import SECRETS, configuration, document

HOME: Final = "eu-west-1"
RECOVERY: Final = "eu-central-1"

CLUSTER: Final = "aws:rds/cluster:Cluster"
LIFECYCLE: Final = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
LOCK: Final = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
PARAMETERS: Final = "aws:rds/clusterParameterGroup:ClusterParameterGroup"
RESTORE_TEST: Final = "aws:backup/restoreTestingPlan:RestoreTestingPlan"

Wired = Recording[Environment]


class Expected(NamedTuple):
    """What differs between the stacks."""

    lock: str | None
    """Mode of the backup bucket's Object Lock."""
    global_database: bool


EXPECTED: Final[Mapping[str, Expected]] = {
    "dev": Expected(None, False),
    "qa": Expected(None, False),
    "uat": Expected(None, False),
    "staging": Expected("GOVERNANCE", True),
    "live": Expected("COMPLIANCE", True),
}
each_stack: Final = pytest.mark.parametrize("stack", EXPECTED)


def rules(made: Wired, name: str) -> dict[str, Mapping[str, Any]]:
    """The enabled rules of a bucket's lifecycle, by their id."""
    return {
        rule["id"]: rule for rule in made.one(LIFECYCLE, name).inputs["rules"] if rule["status"] == "Enabled"
    }


def bounds(made: Wired) -> dict[tuple[str, str], list[str]]:
    """The values of `rds.global_db_rpo`, by name and region of every cluster's parameter group."""
    return {
        (group.name, group.inputs["region"]): [
            parameter["value"]
            for parameter in group.inputs["parameters"]
            if parameter["name"] == "rds.global_db_rpo"
        ]
        for group in made.of(PARAMETERS)
    }


def fetched(made: Wired, dimension: str) -> dict[tuple[str, str], set[str]]:
    """What the CloudWatch exporter fetches of databases under a dimension, by its value and the region."""
    jobs = json.loads(config_map(made, "cloudwatch-exporter-config")["cloudwatch.json"])["static"]
    return {
        (found["value"], region): {metric["name"] for metric in job["metrics"]}
        for job in jobs
        if job["namespace"] == "AWS/RDS"
        for found in job["dimensions"]
        if found["name"] == dimension
        for region in job["regions"]
    }


def lags(made: Wired) -> dict[tuple[str, str], set[str]]:
    """What the CloudWatch exporter fetches of clusters, by their identifier and region."""
    return fetched(made, "DBClusterIdentifier")


def alerting(made: Wired, name: str) -> list[Mapping[str, Any]]:
    """The rendered rules of an alert, as Prometheus reads them."""
    file = json.loads(config_map(made, "prometheus-config-")["rules.json"])
    return [rule for group in file["groups"] for rule in group["rules"] if rule.get("alert") == name]


def limits(made: Wired, name: str) -> list[str]:
    """What the values that an alert is about are compared with."""
    return [rule["expr"].rpartition(" > ")[2] for rule in alerting(made, name)]


def with_instances(stack: str, home: int, away: int) -> Wired:
    """A stack whose file says how many instances there are, at home and in the recovery region."""
    stated = document(stack)
    values = {
        **stated,
        "quikapp:database": {**stated["quikapp:database"], "instances": home},
        "quikapp:recovery": {**stated["quikapp:recovery"], "instances": away},
    }
    return recording_of(settings.parse(stack, configuration(values), SECRETS))


def with_its_writer_away(stack: str) -> Wired:
    """A stack as after a failover: its file says that the writer is in the recovery region."""
    stated = document(stack)
    values = {**stated, "quikapp:recovery": {**stated["quikapp:recovery"], "writer": "recovery"}}
    return recording_of(settings.parse(stack, configuration(values), SECRETS))


# --- files: daily, 90 days, S3 + Glacier ---------------------------------------------------------------------------


@each_stack
def test_files_90_days_a_lock_holds_every_version_where_the_sla_is_99_9_or_more(stack: str) -> None:
    with recorded(stack) as made:
        locks = {
            lock.name: (lock.inputs["region"], lock.inputs["rule"]["defaultRetention"])
            for lock in made.of(LOCK)
        }
        buckets = {
            bucket.name: bucket.inputs["objectLockEnabled"] for bucket in made.of("aws:s3/bucket:Bucket")
        }

    mode = EXPECTED[stack].lock
    assert locks == (
        {} if mode is None else {f"{stack}-storage-backup-lock": (RECOVERY, {"mode": mode, "days": 90})}
    )
    # S3 takes a lock only in a bucket that is made for one.
    assert buckets[f"{stack}-storage-backup"] is (mode is not None)


@each_stack
def test_files_90_days_in_glacier_the_backups_lifecycle_expires_what_was_replaced(stack: str) -> None:
    with recorded(stack) as made:
        kept = rules(made, f"{stack}-storage-backup-lifecycle")

    assert kept["to-glacier"]["transitions"] == [{"days": 0, "storageClass": "GLACIER_IR"}]
    assert kept["expire-noncurrent-versions"]["noncurrentVersionExpiration"] == {"noncurrentDays": 90}
    assert kept["drop-delete-markers"]["expiration"] == {"expiredObjectDeleteMarker": True}
    assert kept["abort-uploads"]["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}


@each_stack
def test_files_daily_the_report_asks_how_old_the_copy_is(stack: str) -> None:
    with recorded(stack) as made:
        schedule = made.one("aws:scheduler/schedule:Schedule", f"{stack}-recovery-report-schedule")
        task = made.one("aws:datasync/task:Task")

    assert json.loads(schedule.inputs["target"]["input"])["copies"] == [
        {"data": "files", "region": RECOVERY, "arn": task.outputs["arn"]}
    ]


# --- logs: 30 days in Elasticsearch ----------------------------------------------------------------------------------


@each_stack
def test_logs_30_days_in_elasticsearch(stack: str) -> None:
    with recorded(stack) as made:
        state = json.loads(config_map(made, "elasticsearch-config")["settings.json"])["state"]
        sweep = made.one("kubernetes:batch/v1:CronJob", f"{stack}-monitoring-elasticsearch-sweep-job")

    # An index goes an hour after its newest line is 30 days old; the sweep has deleted each line before by then.
    assert state["ilm"]["quikapp-logs"]["phases"]["delete"] == {
        "min_age": "2595600s",
        "actions": {"delete": {}},
    }
    (container,) = sweep.inputs["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (query,) = [word for word in container["command"] if word.startswith("--data=")]
    assert json.loads(query.removeprefix("--data=")) == {
        "query": {"range": {"@timestamp": {"lt": "now-2592000s"}}}
    }


@each_stack
def test_logs_30_days_in_what_logstash_could_not_send_and_in_cloudwatch(stack: str) -> None:
    with recorded(stack) as made:
        logstash = json.loads(config_map(made, "logstash-config")["logstash.yml"])
        groups = {
            group.name: group.inputs["retentionInDays"]
            for group in made.of("aws:cloudwatch/logGroup:LogGroup")
        }

    assert logstash["dead_letter_queue.retain.age"] == "30d"
    assert groups
    assert {name: days for name, days in groups.items() if days != 30} == {}


# --- recovery point: below one minute --------------------------------------------------------------------------------


@each_stack
def test_rpo_below_1_minute_the_writer_alone_bounds_how_far_the_follower_is_behind(stack: str) -> None:
    with recorded(stack) as made:
        found = bounds(made)

    at_home = (f"{stack}-database-parameters", HOME)
    if not EXPECTED[stack].global_database:
        assert found == {at_home: []}
        return
    assert found == {at_home: ["30"], (f"{stack}-database-recovery-parameters", RECOVERY): []}
    assert 20 <= int(found[at_home][0]) < 60  # what Aurora takes at least, and the page's recovery point


@each_stack
def test_rpo_below_1_minute_the_lag_of_both_clusters_is_fetched_whichever_is_the_writer(stack: str) -> None:
    with recorded(stack) as made:
        found = lags(made)

    metrics = {"AuroraGlobalDBRPOLag", "AuroraGlobalDBReplicationLag"}
    clusters = {
        (f"quikapp-{stack}-database", HOME): metrics,
        (f"quikapp-{stack}-database-recovery", RECOVERY): metrics,
    }
    assert found == (clusters if EXPECTED[stack].global_database else {})


@pytest.mark.parametrize("stack", [name for name, expected in EXPECTED.items() if expected.global_database])
def test_after_a_failover_the_writer_in_the_recovery_region_has_the_bound(stack: str) -> None:
    made = with_its_writer_away(stack)

    assert bounds(made) == {
        (f"{stack}-database-parameters", HOME): [],
        (f"{stack}-database-recovery-parameters", RECOVERY): ["30"],
    }
    # A failover renames neither, and both are still watched.
    assert {cluster for cluster, _ in lags(made)} == {
        f"quikapp-{stack}-database",
        f"quikapp-{stack}-database-recovery",
    }


@pytest.mark.parametrize("stack", [name for name, expected in EXPECTED.items() if expected.global_database])
def test_rpo_below_1_minute_alerts_at_half_and_at_nine_tenths_of_where_commits_wait(stack: str) -> None:
    with recorded(stack) as made:
        found = limits(made, "ReplicationLag")

    assert found == ["15", "27", "15"]  # of 30 s


# --- instances: who takes over ---------------------------------------------------------------------------------------


@each_stack
def test_every_instance_of_the_database_is_fetched_and_counted(stack: str) -> None:
    with recorded(stack) as made:
        declared = {
            (instance.inputs["identifier"], instance.inputs["region"])
            for instance in made.of("aws:rds/clusterInstance:ClusterInstance")
        }
        found = fetched(made, "DBInstanceIdentifier")
        counted = [rule["expr"] for rule in alerting(made, "DatabaseInstanceMissing")]

    assert found == {instance: {"EngineUptime"} for instance in declared}
    named = [
        re.findall(r'^(\d+) - .*DBInstanceIdentifier=~"([^"]+)"', expression)[0] for expression in counted
    ]
    assert all(int(number) == len(names.split("|")) for number, names in named)
    assert {name for _, names in named for name in names.split("|")} == {name for name, _ in declared}


def test_more_instances_at_home_or_in_the_recovery_region_are_watched_as_well() -> None:
    made = with_instances("live", 4, 3)

    assert [rule["expr"].partition(" - ")[0] for rule in alerting(made, "DatabaseInstanceMissing")] == [
        "4",
        "3",
    ]
    assert set(fetched(made, "DBInstanceIdentifier")) == {
        *((f"quikapp-live-database-{number}", HOME) for number in range(4)),
        *((f"quikapp-live-database-recovery-{number}", RECOVERY) for number in range(3)),
    }


# --- restores: tested weekly -----------------------------------------------------------------------------------------


@each_stack
def test_restores_of_database_and_files_are_tested_every_sunday(stack: str) -> None:
    with recorded(stack) as made:
        plans = {
            plan.inputs["name"]: (plan.inputs["region"], plan.inputs["scheduleExpression"])
            for plan in made.of(RESTORE_TEST)
        }

    weekly = (RECOVERY, "cron(0 8 ? * SUN *)")
    assert plans == (
        {f"quikapp_{stack}_database": weekly, f"quikapp_{stack}_files": weekly}
        if EXPECTED[stack].global_database
        else {}
    )


@each_stack
def test_restores_that_were_not_tested_for_seven_days_and_a_half_are_told(stack: str) -> None:
    with recorded(stack) as made:
        found = limits(made, "RestoreTestOverdue")

    assert found == (["648000", "648000"] if EXPECTED[stack].global_database else [])
