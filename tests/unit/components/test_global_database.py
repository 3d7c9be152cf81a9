"""The global database: two clusters that can each take over from the other, and a change of roles that replaces nothing."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.database import Database, DatabaseArgs, Provisioned, RecoverySiteArgs
from operations.recovery import Site
from operations.versions import AURORA_POSTGRESQL
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording, Resource

TAGS = {"environment": "test", "owner": "operations"}
REGIONS = {Site.HOME: "eu-west-1", Site.RECOVERY: "eu-central-1"}
NAMES = {Site.HOME: "database", Site.RECOVERY: "database-recovery"}
"""How the names of a site's resources begin."""
SITES = list(Site)

CLUSTER = "aws:rds/cluster:Cluster"
INSTANCE = "aws:rds/clusterInstance:ClusterInstance"
GLOBAL = "aws:rds/globalCluster:GlobalCluster"
PARAMETERS = "aws:rds/clusterParameterGroup:ClusterParameterGroup"
SUBNETS = "aws:rds/subnetGroup:SubnetGroup"
KEY = "aws:kms/key:Key"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
ROLE = "aws:iam/role:Role"
FUNCTION = "aws:lambda/function:Function"
INVOCATION = "aws:lambda/invocation:Invocation"

RECOVERY = RecoverySiteArgs(
    region=REGIONS[Site.RECOVERY],
    zones=["eu-central-1a", "eu-central-1b"],
    vpc_id="vpc-2",
    subnet_ids=["subnet-4", "subnet-5"],
    private_cidrs=["10.60.0.0/19", "10.60.32.0/19"],
    instances=2,
    recovery_point_seconds=30,
)
ARGS = DatabaseArgs(
    prefix="quikapp-test",
    database_name="quikapp",
    region=REGIONS[Site.HOME],
    zones=["eu-west-1a", "eu-west-1b", "eu-west-1c"],
    vpc_id="vpc-1",
    subnet_ids=["subnet-1", "subnet-2", "subnet-3"],
    allowed_security_group_id="sg-pods",
    instances=3,
    size=Provisioned(instance_class="db.r8g.large"),
    retention_days=35,
    deletion_protection=True,
    log_retention_days=30,
    recovery=RECOVERY,
    tags=TAGS,
)
ALONE = replace(ARGS, recovery=None)

REPLACING: Final[Mapping[str, frozenset[str]]] = {
    CLUSTER: frozenset(
        {
            "availabilityZones",
            "clusterIdentifier",
            "clusterIdentifierPrefix",
            "clusterScalabilityType",
            "databaseName",
            "dbSubnetGroupName",
            "dbSystemId",
            "engine",
            "engineMode",
            "kmsKeyId",
            "masterUsername",
            "region",
            "restoreToPointInTime",
            "s3Import",
            "snapshotIdentifier",
            "sourceRegion",
            "storageEncrypted",
        }
    ),
    GLOBAL: frozenset(
        {
            "databaseName",
            "engine",
            "globalClusterIdentifier",
            "region",
            "sourceDbClusterIdentifier",
            "storageEncrypted",
        }
    ),
    PARAMETERS: frozenset({"description", "family", "name", "namePrefix", "region"}),
}
"""What replaces a resource when it changes: `ForceNew` in the provider's own source, and the region of any resource.

Sources: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/rds/cluster.go, global_cluster.go and
cluster_parameter_group.go beside it, https://registry.terraform.io/providers/hashicorp/aws/latest/docs/guides/enhanced-region-support
"""

UNDONE_BY_SILENCE: Final[Mapping[Site, frozenset[str]]] = {
    Site.HOME: frozenset({"replicationSourceIdentifier", "globalClusterIdentifier"}),
    Site.RECOVERY: frozenset({"replicationSourceIdentifier"}),
}
"""What Aurora sets on a cluster that the program does not state. The provider reads it back, and takes a program that does not
state it for one that wants it undone: promote the cluster, remove it from the global database.

Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/rds/cluster.go (resourceClusterUpdate)
"""


def writing(site: Site, args: DatabaseArgs = ARGS) -> DatabaseArgs:
    assert args.recovery is not None
    return replace(args, recovery=replace(args.recovery, writer=site))


def declare(record: Record, args: DatabaseArgs = ARGS) -> Recording[Database]:
    return record(lambda: Database("database", args))


def of_site(made: Recording[Database], token: str, site: Site, label: str) -> Resource:
    return made.one(token, f"{NAMES[site]}-{label}")


def instances(made: Recording[Database], site: Site) -> list[Resource]:
    region = REGIONS[site]
    return [instance for instance in made.of(INSTANCE) if instance.inputs["region"] == region]


def parameters(made: Recording[Database], site: Site) -> dict[str, str]:
    group = of_site(made, PARAMETERS, site, "parameters")
    return {entry["name"]: entry["value"] for entry in group.inputs["parameters"]}


# --- two clusters ----------------------------------------------------------------------------------------------------------


def test_a_second_cluster_follows_in_the_recovery_region(record: Record) -> None:
    made = declare(record)
    together = made.one(GLOBAL)
    home = of_site(made, CLUSTER, Site.HOME, "cluster")
    second = of_site(made, CLUSTER, Site.RECOVERY, "cluster")
    assert together.inputs["sourceDbClusterIdentifier"] == home.outputs["arn"]
    assert second.inputs["globalClusterIdentifier"] == together.id
    assert [resource.inputs["region"] for resource in (home, second)] == ["eu-west-1", "eu-central-1"]


def test_the_second_cluster_is_sized_to_take_over(record: Record) -> None:
    made = declare(record)
    home, second = (instances(made, site) for site in SITES)
    assert (len(home), len(second)) == (3, 2)
    assert {instance.inputs["instanceClass"] for instance in (*home, *second)} == {"db.r8g.large"}
    zones = sorted(instance.inputs["availabilityZone"] for instance in second)
    assert zones == ["eu-central-1a", "eu-central-1b"]
    cluster = of_site(made, CLUSTER, Site.RECOVERY, "cluster").outputs["clusterIdentifier"]
    assert {instance.inputs["clusterIdentifier"] for instance in second} == {cluster}


def test_the_second_cluster_is_copied_from_one_that_runs_and_has_no_users_of_its_own(record: Record) -> None:
    made = declare(record)
    second = of_site(made, CLUSTER, Site.RECOVERY, "cluster")
    assert {instance.urn for instance in instances(made, Site.HOME)} <= second.dependencies
    assert not {"masterUsername", "databaseName", "manageMasterUserPassword"} & set(second.inputs)


@pytest.mark.parametrize("site", SITES)
def test_either_cluster_is_encrypted_with_a_key_of_its_own_region(record: Record, site: Site) -> None:
    made = declare(record)
    key = of_site(made, KEY, site, "key")
    cluster = of_site(made, CLUSTER, site, "cluster").inputs
    assert key.inputs["region"] == REGIONS[site]
    assert key.inputs["enableKeyRotation"] is True
    assert cluster["storageEncrypted"] is True
    assert cluster["kmsKeyId"] == key.outputs["arn"]
    assert of_site(made, LOG_GROUP, site, "log").inputs["kmsKeyId"] == key.outputs["arn"]
    assert {instance.inputs["performanceInsightsKmsKeyId"] for instance in instances(made, site)} == {
        key.outputs["arn"]
    }


@pytest.mark.parametrize("site", SITES)
def test_either_cluster_is_restorable_to_any_second_of_its_retention(record: Record, site: Site) -> None:
    assert of_site(declare(record), CLUSTER, site, "cluster").inputs["backupRetentionPeriod"] == 35


@pytest.mark.parametrize("site", SITES)
def test_either_cluster_refuses_to_go_and_its_backups_outlive_it(record: Record, site: Site) -> None:
    made = declare(record)
    cluster = of_site(made, CLUSTER, site, "cluster")
    assert cluster.protect
    assert of_site(made, KEY, site, "key").protect
    assert cluster.inputs["deletionProtection"] is True
    assert cluster.inputs["deleteAutomatedBackups"] is False
    assert cluster.inputs["skipFinalSnapshot"] is False
    made_with = of_site(made, KEY, site, "key").outputs["keyId"].partition("-")[0]
    assert cluster.inputs["finalSnapshotIdentifier"] == f"quikapp-test-{NAMES[site]}-final-{made_with}"


def test_the_global_database_refuses_to_go(record: Record) -> None:
    together = declare(record).one(GLOBAL)
    assert together.protect
    assert together.inputs["deletionProtection"] is True


def test_an_unprotected_global_database_leaves_nothing_behind(record: Record) -> None:
    made = declare(record, replace(ARGS, deletion_protection=False))
    assert not any(resource.protect for resource in made.resources)
    assert made.one(GLOBAL).inputs["deletionProtection"] is False
    assert made.one(GLOBAL).inputs["forceDestroy"] is True
    for site in SITES:
        assert of_site(made, CLUSTER, site, "cluster").inputs["skipFinalSnapshot"] is True


@pytest.mark.parametrize("site", SITES)
def test_either_cluster_is_reached_by_tls_with_tokens_of_iam_and_from_no_public_address(
    record: Record, site: Site
) -> None:
    made = declare(record)
    cluster = of_site(made, CLUSTER, site, "cluster").inputs
    assert cluster["iamDatabaseAuthenticationEnabled"] is True
    assert parameters(made, site)["rds.force_ssl"] == "1"
    group = of_site(made, PARAMETERS, site, "parameters")
    assert cluster["dbClusterParameterGroupName"] == group.outputs["name"]
    assert {instance.inputs["publiclyAccessible"] for instance in instances(made, site)} == {False}
    assert cluster["vpcSecurityGroupIds"] == [of_site(made, GROUP, site, "access").id]
    assert cluster["dbSubnetGroupName"] == of_site(made, SUBNETS, site, "subnets").outputs["name"]


def test_in_the_recovery_region_only_its_private_subnets_reach_it(record: Record) -> None:
    made = declare(record)
    group = of_site(made, GROUP, Site.RECOVERY, "access")
    rules = [rule for rule in made.of(INGRESS) if rule.inputs["securityGroupId"] == group.id]
    assert group.inputs["vpcId"] == "vpc-2"
    assert {rule.name: rule.inputs["cidrIpv4"] for rule in rules} == {
        "database-recovery-from-a": "10.60.0.0/19",
        "database-recovery-from-b": "10.60.32.0/19",
    }
    for rule in rules:
        assert (rule.inputs["fromPort"], rule.inputs["toPort"]) == (5432, 5432)
        assert rule.inputs["ipProtocol"] == "tcp"
    assert not made.of(EGRESS)


def test_the_recovery_region_does_not_open_the_database_at_home(record: Record) -> None:
    made = declare(record)
    group = of_site(made, GROUP, Site.HOME, "access")
    (rule,) = [rule for rule in made.of(INGRESS) if rule.inputs["securityGroupId"] == group.id]
    assert rule.inputs["referencedSecurityGroupId"] == "sg-pods"
    assert "cidrIpv4" not in rule.inputs


def test_the_two_clusters_are_never_maintained_on_one_day(record: Record) -> None:
    made = declare(record)
    home, second = (
        {
            resource.inputs["preferredMaintenanceWindow"][:3]
            for resource in (of_site(made, CLUSTER, site, "cluster"), *instances(made, site))
        }
        for site in SITES
    )
    assert len(home) == len(second) == 1
    assert home != second


@pytest.mark.parametrize("site", SITES)
def test_either_cluster_is_measured_and_logs_as_the_other_does(record: Record, site: Site) -> None:
    made = declare(record)
    role = of_site(made, ROLE, site, "monitoring")
    (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    log = of_site(made, LOG_GROUP, site, "log").inputs
    assert trust["Condition"]["ArnLike"]["aws:SourceArn"] == f"arn:aws:rds:{REGIONS[site]}:123456789012:db:*"
    assert {instance.inputs["monitoringRoleArn"] for instance in instances(made, site)} == {
        role.outputs["arn"]
    }
    assert log["name"] == f"/aws/rds/cluster/quikapp-test-{NAMES[site]}/postgresql"
    assert (log["retentionInDays"], log["region"]) == (30, REGIONS[site])


def test_names_differ_between_the_regions_and_stay_within_the_limits(record: Record) -> None:
    made = declare(record, replace(ARGS, prefix="quikapp-" + "long" * 20))
    names = [cluster.inputs["clusterIdentifier"] for cluster in made.of(CLUSTER)]
    names += [instance.inputs["identifier"] for instance in made.of(INSTANCE)]
    names.append(made.one(GLOBAL).inputs["globalClusterIdentifier"])
    assert len(set(names)) == len(names) == 8
    assert max(map(len, names)) <= 63
    assert max(len(role.inputs["name"]) for role in made.of(ROLE)) <= 64
    assert len(made.one(FUNCTION).inputs["name"]) <= 64


def test_the_engine_of_both_changes_through_the_global_database_only(record: Record) -> None:
    made = declare(record)
    assert made.one(GLOBAL).inputs["engineVersion"] == AURORA_POSTGRESQL
    assert "engine" not in made.one(GLOBAL).inputs
    for cluster in made.of(CLUSTER):
        assert cluster.inputs["engineVersion"] == AURORA_POSTGRESQL
        assert "engineVersion" in cluster.ignore_changes
    assert {instance.inputs["autoMinorVersionUpgrade"] for instance in made.of(INSTANCE)} == {False}


# --- roles -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", SITES)
def test_the_writer_waits_for_a_region_that_is_too_far_behind_and_the_other_would_not(
    record: Record, writer: Site
) -> None:
    made = declare(record, writing(writer))
    stated = {site: parameters(made, site).get("rds.global_db_rpo") for site in SITES}
    assert stated == {site: "30" if site is writer else None for site in SITES}


def changed(before: Recording[Database], after: Recording[Database]) -> set[tuple[str, str, str]]:
    """Type, name and property of every input that differs."""
    old, new = ({made.urn: made for made in recording.resources} for recording in (before, after))
    assert old.keys() == new.keys(), "something is created or deleted"
    return {
        (old[urn].token, old[urn].name, key)
        for urn in old
        for key in {*old[urn].inputs, *new[urn].inputs}
        if old[urn].inputs.get(key) != new[urn].inputs.get(key)
    }


def test_a_change_of_roles_changes_the_bound_of_the_recovery_point_and_nothing_else(record: Record) -> None:
    swapped = changed(declare(record), declare(record, writing(Site.RECOVERY)))
    assert swapped == {
        (PARAMETERS, "database-parameters", "parameters"),
        (PARAMETERS, "database-recovery-parameters", "parameters"),
    }


def test_a_change_of_roles_replaces_nothing(record: Record) -> None:
    before, after = declare(record), declare(record, writing(Site.RECOVERY))
    for token, _, key in changed(before, after):
        assert key not in REPLACING[token]


@pytest.mark.parametrize("writer", SITES)
@pytest.mark.parametrize("site", SITES)
def test_what_aurora_sets_when_roles_change_is_not_undone(record: Record, site: Site, writer: Site) -> None:
    cluster = of_site(declare(record, writing(writer)), CLUSTER, site, "cluster")
    for key in UNDONE_BY_SILENCE[site]:
        assert key not in cluster.inputs
        assert key in cluster.ignore_changes


@pytest.mark.parametrize("site", SITES)
def test_what_replaces_a_cluster_is_never_ignored_so_that_a_preview_shows_it(
    record: Record, site: Site
) -> None:
    cluster = of_site(declare(record), CLUSTER, site, "cluster")
    assert not REPLACING[CLUSTER] & set(cluster.ignore_changes)


def test_a_database_in_use_becomes_global_as_it_is(record: Record) -> None:
    alone, together = declare(record, ALONE), declare(record)
    old = {resource.urn: resource for resource in alone.resources}
    new = {resource.urn: resource for resource in together.resources}
    assert old.keys() < new.keys()
    differing = {
        (old[urn].name, key)
        for urn in old
        for key in {*old[urn].inputs, *new[urn].inputs}
        if old[urn].inputs.get(key) != new[urn].inputs.get(key)
    }
    # The key serves one more log, and the writer gets the bound.
    assert differing == {("database-key", "policy"), ("database-parameters", "parameters")}


# --- what others need of it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", SITES)
def test_services_are_given_the_cluster_that_writes(record: Record, writer: Site) -> None:
    made = declare(record, writing(writer))
    outputs = of_site(made, CLUSTER, writer, "cluster").outputs
    database = made.result
    assert database.writer is writer
    assert made.value(database.endpoint) == outputs["endpoint"]
    assert made.value(database.reader_endpoint) == outputs["readerEndpoint"]
    assert made.value(database.port) == 5432
    assert REGIONS[writer] in made.value(database.endpoint)


@pytest.mark.parametrize("site", SITES)
def test_it_tells_of_each_site_what_metrics_backups_and_runbooks_name(record: Record, site: Site) -> None:
    made = declare(record)
    told = made.result.sites[site]
    cluster = of_site(made, CLUSTER, site, "cluster")
    assert (told.region, told.identifier) == (REGIONS[site], f"quikapp-test-{NAMES[site]}")
    assert told.identifier == cluster.inputs["clusterIdentifier"]
    assert made.value(told.arn) == cluster.outputs["arn"]
    assert made.value(told.endpoint) == cluster.outputs["endpoint"]
    assert made.value(told.reader_endpoint) == cluster.outputs["readerEndpoint"]
    assert made.value(told.kms_key_arn) == of_site(made, KEY, site, "key").outputs["arn"]


def test_it_tells_what_a_failover_names_and_where_people_find_the_writer(record: Record) -> None:
    made = declare(record)
    together = made.one(GLOBAL)
    assert made.result.global_identifier == together.inputs["globalClusterIdentifier"]
    assert made.result.global_endpoint is not None
    assert made.value(made.result.global_endpoint) == together.outputs["endpoint"]


@pytest.mark.parametrize("writer", SITES)
def test_a_user_signs_in_wherever_the_writer_is(record: Record, writer: Site) -> None:
    def arns() -> dict[Site | None, pulumi.Output[str]]:
        database = Database("database", writing(writer))
        return {site: database.user_arn("quikapp_app", site) for site in (None, *SITES)}

    made = record(arns)
    told = {site: made.value(arn) for site, arn in made.result.items()}
    for site in SITES:
        resource_id = made.one(CLUSTER, f"{NAMES[site]}-cluster").outputs["clusterResourceId"]
        assert told[site] == f"arn:aws:rds-db:{REGIONS[site]}:123456789012:dbuser:{resource_id}/quikapp_app"
    assert told[None] == told[writer]


# --- the administrator -----------------------------------------------------------------------------------------------------


def test_no_password_is_in_what_the_state_holds(record: Record) -> None:
    made = declare(record)
    for resource in made.resources:
        named = {key for key in {*resource.inputs, *resource.outputs} if "assword" in key}
        assert named <= {"manageMasterUserPassword"}, resource.urn
        assert not resource.secrets, resource.urn
        assert not resource.token.startswith(("random:", "aws:secretsmanager/"))


def test_the_cluster_gives_its_password_up_before_it_becomes_global(record: Record) -> None:
    made = declare(record)
    call = made.one(INVOCATION)
    home = of_site(made, CLUSTER, Site.HOME, "cluster")
    assert json.loads(call.inputs["input"]) == {"cluster": home.inputs["clusterIdentifier"]}
    assert call.inputs["functionName"] == made.one(FUNCTION).outputs["name"]
    assert call.urn in made.one(GLOBAL).dependencies
    assert {instance.urn for instance in instances(made, Site.HOME)} <= call.dependencies


def test_another_cluster_gives_its_password_up_too(record: Record) -> None:
    made = declare(record)
    home = of_site(made, CLUSTER, Site.HOME, "cluster")
    assert home.outputs["clusterResourceId"] in made.one(INVOCATION).inputs["triggers"].values()


def test_no_secret_of_an_administrator_is_told(record: Record) -> None:
    assert declare(record).result.administrator_secret_arn is None


def test_the_function_changes_this_cluster_alone_and_runs_for_nobody_else(record: Record) -> None:
    made = declare(record)
    home = of_site(made, CLUSTER, Site.HOME, "cluster")
    rds, log = json.loads(made.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"])["Statement"]
    assert rds["Action"] == ["rds:DescribeDBClusters", "rds:ModifyDBCluster"]
    assert rds["Resource"] == [home.outputs["arn"]]
    assert log["Resource"] == [f"{made.one(LOG_GROUP, 'database-administrator-log').outputs['arn']}:*"]
    (trust,) = json.loads(made.one(ROLE, "database-administrator-function").inputs["assumeRolePolicy"])[
        "Statement"
    ]
    assert trust["Principal"] == {"Service": ["lambda.amazonaws.com"]}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {
            "aws:SourceArn": "arn:aws:lambda:eu-west-1:123456789012:function:quikapp-test-database-administrator"
        },
    }


def test_the_function_is_what_the_tested_file_says_and_writes_an_encrypted_log(record: Record) -> None:
    made = declare(record)
    function = made.one(FUNCTION).inputs
    group = made.one(LOG_GROUP, "database-administrator-log")
    key = of_site(made, KEY, Site.HOME, "key")
    policy = json.loads(made.one("aws:kms/keyPolicy:KeyPolicy", "database-key").inputs["policy"])
    assert "def sign_in_with_iam" in function["code"]["assets"]["handler.py"]["text"]
    assert function["handler"] == "handler.handler"
    assert function["loggingConfig"]["logGroup"] == group.inputs["name"]
    assert function["name"] == group.inputs["name"].removeprefix("/aws/lambda/")
    assert (group.inputs["kmsKeyId"], group.inputs["retentionInDays"]) == (key.outputs["arn"], 30)
    assert group.outputs["arn"] in json.dumps(policy)
    assert made.one("aws:kms/keyPolicy:KeyPolicy", "database-key").urn in group.dependencies


# --- all of it -------------------------------------------------------------------------------------------------------------


def test_every_resource_is_tagged_closed_and_in_the_region_of_its_site(record: Record) -> None:
    made = declare(record)
    made.assert_tagged(TAGS)
    made.assert_least_privilege()
    for resource in made.resources:
        if resource.package == "aws" and not resource.token.startswith("aws:iam/"):
            second = resource.name.startswith("database-recovery")
            expected = REGIONS[Site.RECOVERY if second else Site.HOME]
            assert resource.inputs["region"] == expected, resource.urn


def test_a_preview_knows_what_will_be_made(record: Record) -> None:
    made = record(lambda: Database("database", ARGS), preview=True)
    assert {resource.urn for resource in made.resources} == {
        resource.urn for resource in declare(record).resources
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"instances": 0}, "1 to 15 instances, not 0"),
        ({"instances": 16}, "1 to 15 instances, not 16"),
        ({"zones": [], "private_cidrs": []}, "at least one zone"),
        ({"private_cidrs": ["10.60.0.0/19"]}, "2 zones, 1 ranges"),
    ],
)
def test_a_recovery_region_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(RECOVERY, **change)


@given(seconds=st.integers(-10, 60))
def test_a_recovery_point_that_rds_does_not_take_is_refused(seconds: int) -> None:
    if seconds >= 20:
        assert replace(RECOVERY, recovery_point_seconds=seconds).recovery_point_seconds == seconds
    else:
        with pytest.raises(
            ValueError, match=rf"rds\.global_db_rpo must be at least 20 seconds, not {seconds}"
        ):
            replace(RECOVERY, recovery_point_seconds=seconds)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"instances": 16}, "at most 15 instances at home, not 16"),
        ({"recovery": replace(RECOVERY, region="eu-west-1")}, "another one than eu-west-1"),
    ],
)
def test_a_global_database_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ARGS, **change)


def test_one_region_alone_may_have_sixteen_instances() -> None:
    assert replace(ALONE, instances=16).instances == 16
