"""The database: reachable from pods only, encrypted, restorable, spread, and free of passwords."""

import json
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from components.aurora import maintenance_window
from components.database import Database, DatabaseArgs, Provisioned, Serverless
from operations.recovery import Site
from operations.versions import AURORA_POSTGRESQL
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording, Resource

TAGS = {"environment": "test", "owner": "operations"}
REGION = "eu-west-1"

CLUSTER = "aws:rds/cluster:Cluster"
INSTANCE = "aws:rds/clusterInstance:ClusterInstance"
KEY = "aws:kms/key:Key"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"

ARGS = DatabaseArgs(
    prefix="quikapp-test",
    database_name="quikapp",
    region=REGION,
    zones=["eu-west-1a", "eu-west-1b", "eu-west-1c"],
    vpc_id="vpc-1",
    subnet_ids=["subnet-1", "subnet-2", "subnet-3"],
    allowed_security_group_id="sg-pods",
    instances=3,
    size=Provisioned(instance_class="db.r8g.large"),
    retention_days=35,
    deletion_protection=True,
    log_retention_days=30,
    tags=TAGS,
)


def declare(record: Record, args: DatabaseArgs = ARGS) -> Recording[Database]:
    return record(lambda: Database("database", args))


def cluster(record: Record, args: DatabaseArgs = ARGS) -> Resource:
    return declare(record, args).one(CLUSTER)


def instances(made: Recording[Database]) -> list[Resource]:
    return sorted(made.of(INSTANCE), key=lambda instance: instance.name)


def test_only_the_pods_reach_it_and_it_reaches_nobody(record: Record) -> None:
    made = declare(record)
    group = made.one("aws:ec2/securityGroup:SecurityGroup")
    rule = made.one(INGRESS)
    assert made.one(CLUSTER).inputs["vpcSecurityGroupIds"] == [rule.inputs["securityGroupId"]]
    assert rule.inputs["referencedSecurityGroupId"] == "sg-pods"
    assert (rule.inputs["fromPort"], rule.inputs["toPort"], rule.inputs["ipProtocol"]) == (5432, 5432, "tcp")
    assert "cidrIpv4" not in rule.inputs
    assert "cidrIpv6" not in rule.inputs
    assert "ingress" not in group.inputs
    assert "egress" not in group.inputs
    assert not made.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")


def test_no_instance_has_a_public_address(record: Record) -> None:
    assert {instance.inputs["publiclyAccessible"] for instance in declare(record).of(INSTANCE)} == {False}


def test_everything_it_keeps_is_encrypted_with_one_key_that_rotates(record: Record) -> None:
    made = declare(record)
    key = made.one(KEY)
    arn = key.outputs["arn"]
    assert key.inputs["enableKeyRotation"] is True
    assert made.one(CLUSTER).inputs["storageEncrypted"] is True
    assert made.one(CLUSTER).inputs["kmsKeyId"] == arn
    assert made.one(CLUSTER).inputs["masterUserSecretKmsKeyId"] == arn
    assert made.one(LOG_GROUP).inputs["kmsKeyId"] == arn
    assert {instance.inputs["performanceInsightsKmsKeyId"] for instance in made.of(INSTANCE)} == {arn}


def test_the_key_serves_no_log_group_but_the_databases_own(record: Record) -> None:
    policy = json.loads(declare(record).one("aws:kms/keyPolicy:KeyPolicy").inputs["policy"])
    (logs,) = [entry for entry in policy["Statement"] if "Service" in entry["Principal"]]
    assert logs["Condition"] == {
        "ArnEquals": {
            "kms:EncryptionContext:aws:logs:arn": [
                "arn:aws:logs:eu-west-1:123456789012:log-group:"
                "/aws/rds/cluster/quikapp-test-database/postgresql"
            ]
        }
    }


def test_no_password_passes_through_the_program(record: Record) -> None:
    inputs = cluster(record).inputs
    assert inputs["manageMasterUserPassword"] is True
    assert not {key for key in inputs if "assword" in key} - {"manageMasterUserPassword"}


def test_services_sign_in_with_tokens_of_iam(record: Record) -> None:
    made = record(lambda: Database("database", ARGS).user_arn("quikapp_app"))
    declared = made.one(CLUSTER)
    assert declared.inputs["iamDatabaseAuthenticationEnabled"] is True
    assert made.value(made.result) == (
        f"arn:aws:rds-db:eu-west-1:123456789012:dbuser:{declared.outputs['clusterResourceId']}/quikapp_app"
    )


def test_it_speaks_tls_only(record: Record) -> None:
    made = declare(record)
    group = made.one("aws:rds/clusterParameterGroup:ClusterParameterGroup")
    assert {"name": "rds.force_ssl", "value": "1"} in group.inputs["parameters"]
    assert made.one(CLUSTER).inputs["dbClusterParameterGroupName"] == group.outputs["name"]


def test_parameters_are_those_of_the_engines_major_version(record: Record) -> None:
    group = declare(record).one("aws:rds/clusterParameterGroup:ClusterParameterGroup")
    assert group.inputs["family"] == f"aurora-postgresql{AURORA_POSTGRESQL.split('.')[0]}"


def test_statements_slow_enough_to_page_somebody_are_logged(record: Record) -> None:
    group = declare(record).one("aws:rds/clusterParameterGroup:ClusterParameterGroup")
    assert {"name": "log_min_duration_statement", "value": "500"} in group.inputs["parameters"]


def test_it_is_restorable_to_any_second_of_its_retention(record: Record) -> None:
    assert cluster(record).inputs["backupRetentionPeriod"] == 35


def test_the_engine_changes_with_the_pinned_version_only(record: Record) -> None:
    made = declare(record)
    assert made.one(CLUSTER).inputs["engineVersion"] == AURORA_POSTGRESQL
    assert {instance.inputs["autoMinorVersionUpgrade"] for instance in made.of(INSTANCE)} == {False}


def minutes(window: str) -> range:
    """Minutes of the day that a window covers; a maintenance window is taken for each day's."""
    start, end = (
        int(hour) * 60 + int(minute)
        for hour, minute in (moment.split(":")[-2:] for moment in window.split("-"))
    )
    assert end - start >= 30
    return range(start, end)


def test_sixteen_instances_are_never_maintained_at_once_nor_during_the_backup(record: Record) -> None:
    inputs = cluster(record).inputs
    assert inputs["preferredMaintenanceWindow"] == maintenance_window(0)
    windows = [inputs["preferredBackupWindow"], *(maintenance_window(index) for index in range(16))]
    for one, other in combinations(windows, 2):
        assert not set(minutes(one)) & set(minutes(other)), f"{one} and {other} overlap"


def test_each_instance_has_its_own_maintenance_window(record: Record) -> None:
    made = instances(declare(record))
    assert [instance.inputs["preferredMaintenanceWindow"] for instance in made] == [
        "sun:03:00-sun:03:30",
        "sun:03:30-sun:04:00",
        "sun:04:00-sun:04:30",
    ]


def test_instances_are_spread_over_the_zones(record: Record) -> None:
    made = instances(declare(record, replace(ARGS, instances=4)))
    assert [instance.inputs["availabilityZone"][-1] for instance in made] == ["a", "b", "c", "a"]


def test_every_reader_is_ready_to_take_over(record: Record) -> None:
    made = instances(declare(record))
    assert [instance.inputs["promotionTier"] for instance in made] == [0, 1, 1]
    assert {instance.inputs["instanceClass"] for instance in made} == {"db.r8g.large"}


def test_serverless_instances_grow_within_their_range(record: Record) -> None:
    made = declare(record, replace(ARGS, size=Serverless(min_acu=0.5, max_acu=8)))
    assert {instance.inputs["instanceClass"] for instance in made.of(INSTANCE)} == {"db.serverless"}
    assert made.one(CLUSTER).inputs["serverlessv2ScalingConfiguration"] == {
        "minCapacity": 0.5,
        "maxCapacity": 8,
    }


def test_provisioned_instances_do_not_scale(record: Record) -> None:
    assert "serverlessv2ScalingConfiguration" not in cluster(record).inputs


def test_a_protected_database_is_not_deleted_and_its_backups_outlive_it(record: Record) -> None:
    made = declare(record)
    inputs = made.one(CLUSTER).inputs
    assert made.one(CLUSTER).protect
    assert made.one(KEY).protect
    assert inputs["deletionProtection"] is True
    assert inputs["deleteAutomatedBackups"] is False
    assert inputs["skipFinalSnapshot"] is False
    made_with = made.one(KEY).outputs["keyId"].partition("-")[0]
    assert inputs["finalSnapshotIdentifier"] == f"quikapp-test-database-final-{made_with}"


def test_an_unprotected_database_leaves_nothing_behind(record: Record) -> None:
    made = declare(record, replace(ARGS, deletion_protection=False))
    inputs = made.one(CLUSTER).inputs
    assert not made.one(CLUSTER).protect
    assert not made.one(KEY).protect
    assert inputs["deletionProtection"] is False
    assert inputs["deleteAutomatedBackups"] is True
    assert inputs["skipFinalSnapshot"] is True


def test_snapshots_carry_the_tags(record: Record) -> None:
    assert cluster(record).inputs["copyTagsToSnapshot"] is True


def test_its_log_is_kept_as_long_as_logs_are_and_exists_before_it_writes(record: Record) -> None:
    made = declare(record)
    group = made.one(LOG_GROUP)
    assert group.inputs["name"] == "/aws/rds/cluster/quikapp-test-database/postgresql"
    assert group.inputs["retentionInDays"] == 30
    assert made.one(CLUSTER).inputs["enabledCloudwatchLogsExports"] == ["postgresql"]
    assert group.urn in made.one(CLUSTER).dependencies


def test_every_instance_is_measured_alike(record: Record) -> None:
    made = declare(record)
    role = made.one("aws:iam/role:Role")
    assert made.one(CLUSTER).inputs["databaseInsightsMode"] == "standard"
    for instance in made.of(INSTANCE):
        assert instance.inputs["performanceInsightsEnabled"] is True
        assert instance.inputs["performanceInsightsRetentionPeriod"] == 7
        assert instance.inputs["monitoringInterval"] == 60
        assert instance.inputs["monitoringRoleArn"] == role.outputs["arn"]


def test_only_rds_measures_and_only_instances_of_this_account(record: Record) -> None:
    role = declare(record).one("aws:iam/role:Role")
    (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": ["monitoring.rds.amazonaws.com"]}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:rds:eu-west-1:123456789012:db:*"},
    }


def test_it_tells_where_it_is(record: Record) -> None:
    made = declare(record)
    outputs = made.one(CLUSTER).outputs
    assert made.value(made.result.endpoint) == outputs["endpoint"]
    assert made.value(made.result.reader_endpoint) == outputs["readerEndpoint"]
    assert made.value(made.result.port) == 5432
    secret = made.result.administrator_secret_arn
    assert secret is not None
    assert made.value(secret).startswith("arn:aws:secretsmanager:")


def test_it_stands_at_home_alone(record: Record) -> None:
    made = declare(record)
    database = made.result
    assert list(database.sites) == [Site.HOME]
    assert (database.writer, database.global_identifier, database.global_endpoint) == (Site.HOME, None, None)
    home = database.sites[Site.HOME]
    assert (home.region, home.identifier) == (REGION, "quikapp-test-database")
    assert made.value(home.arn) == made.one(CLUSTER).outputs["arn"]
    assert made.value(home.kms_key_arn) == made.one(KEY).outputs["arn"]


def test_nothing_of_its_cluster_is_left_to_aws(record: Record) -> None:
    assert cluster(record).ignore_changes == ()
    assert "globalClusterIdentifier" not in cluster(record).inputs


def test_names_of_a_long_prefix_stay_within_the_limits(record: Record) -> None:
    made = declare(record, replace(ARGS, prefix="quikapp-" + "long" * 20, instances=16))
    names = [made.one(CLUSTER).inputs["clusterIdentifier"]]
    names += [instance.inputs["identifier"] for instance in made.of(INSTANCE)]
    assert len(set(names)) == 17
    assert max(map(len, names)) <= 63
    assert len(made.one("aws:iam/role:Role").inputs["name"]) <= 64


def test_a_preview_knows_what_will_be_made(record: Record) -> None:
    made = record(lambda: Database("database", ARGS), preview=True)
    assert len(made.of(INSTANCE)) == 3


def test_everything_is_tagged_in_its_region_and_closed(record: Record) -> None:
    made = declare(record)
    made.assert_tagged(TAGS)
    made.assert_in_region(REGION)
    made.assert_least_privilege()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"instances": 0}, "at least 1 instance, not 0"),
        ({"zones": []}, "at least one zone"),
    ],
)
def test_a_database_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ARGS, **change)


def test_capacities_that_are_no_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"8 to 0.5 ACUs are no range"):
        Serverless(min_acu=8, max_acu=0.5)
