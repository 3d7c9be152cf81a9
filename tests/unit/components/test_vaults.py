"""Recovery points a day, in two regions, for as long as promised, and behind locks."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from components.vaults import Source, Vaults, VaultsArgs
from operations.backup import Data, retention_days
from operations.limits import LOCK_GRACE_MINIMUM
from operations.recovery import Site
from operations.recovery_alerts import BACKUP_PERIOD, LONG_OVERDUE, PUBLISHED, SLACK, overdue
from operations.retention import LockMode, VaultPlan, vault_plan
from tests.unit.components.conftest import Record
from tests.unit.components.policy_decisions import granted
from tests.unit.components.recording import Recording, Resource

TAGS = {"environment": "test", "owner": "operations"}
HOME, RECOVERY = "eu-west-1", "eu-central-1"
ACCOUNT = "123456789012"
CLUSTER = f"arn:aws:rds:{HOME}:{ACCOUNT}:cluster:quikapp-test-database"
CLUSTER_KEY = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/cluster"
REPLICA = f"arn:aws:rds:{RECOVERY}:{ACCOUNT}:cluster:quikapp-test-database"
REPLICA_KEY = f"arn:aws:kms:{RECOVERY}:{ACCOUNT}:key/replica"
BUCKET = "arn:aws:s3:::quikapp-test-files"
BUCKET_KEY = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/files"

VAULT = "aws:backup/vault:Vault"
LOCK = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
POLICY = "aws:backup/vaultPolicy:VaultPolicy"
PLAN = "aws:backup/plan:Plan"
SELECTION = "aws:backup/selection:Selection"
KEY = "aws:kms/key:Key"
ROLE = "aws:iam/role:Role"

DATABASE_DAYS, FILES_DAYS = retention_days(Data.DATABASE), retention_days(Data.FILES)


def args(
    *,
    mode: LockMode | None = LockMode.COMPLIANCE,
    replica: bool = False,
    protect: bool = True,
    recovery: str = RECOVERY,
    database: VaultPlan | None = None,
) -> VaultsArgs:
    return VaultsArgs(
        prefix="quikapp-test",
        regions={Site.HOME: HOME, Site.RECOVERY: recovery},
        cluster=Source(arn=CLUSTER, key_arn=CLUSTER_KEY),
        replica=Source(arn=REPLICA, key_arn=REPLICA_KEY) if replica else None,
        bucket=Source(arn=BUCKET, key_arn=BUCKET_KEY),
        database=database or vault_plan(Data.DATABASE, DATABASE_DAYS, mode),
        files=vault_plan(Data.FILES, FILES_DAYS, mode),
        protect=protect,
        tags=TAGS,
    )


def vaults(record: Record, **changes: Any) -> Recording[Vaults]:
    return record(lambda: Vaults("vaults", args(**changes)))


def rule(made: Recording[Vaults], name: str) -> dict[str, Any]:
    (only,) = made.one(PLAN, name).inputs["rules"]
    return only


def policy(made: Recording[Vaults]) -> str:
    """What the one role may do."""
    return made.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"]


def allowed(made: Recording[Vaults]) -> list[dict[str, Any]]:
    return json.loads(policy(made))["Statement"]


def sites(made: Recording[Vaults], token: str) -> dict[str, Resource]:
    return {resource.name.removeprefix("vaults-"): resource for resource in made.of(token)}


def test_each_kind_of_data_has_a_vault_in_both_regions(record: Record) -> None:
    made = vaults(record)
    assert {
        (vault.inputs["name"], vault.inputs["region"], vault.name.rsplit("-", 1)[1])
        for vault in made.of(VAULT)
    } == {
        ("quikapp-test-database", HOME, "home"),
        ("quikapp-test-database", RECOVERY, "recovery"),
        ("quikapp-test-files", HOME, "home"),
        ("quikapp-test-files", RECOVERY, "recovery"),
    }


@pytest.mark.parametrize(
    ("data", "days", "source"), [("database", 35, CLUSTER), ("files", 90, BUCKET)], ids=["database", "files"]
)
def test_a_recovery_point_a_day_is_kept_for_as_long_as_promised_in_both_regions(
    record: Record, data: str, days: int, source: str
) -> None:
    """The page's backup schedule: database 35 days, multi-region; files daily, 90 days."""
    made = vaults(record)
    name = f"vaults-{data}-home"
    daily = rule(made, name)
    assert daily["targetVaultName"] == f"quikapp-test-{data}"
    assert daily["schedule"] == "cron(0 20 * * ? *)"
    assert daily["lifecycle"] == {"deleteAfter": days}
    (copy,) = daily["copyActions"]
    assert copy["lifecycle"] == {"deleteAfter": days}
    assert copy["destinationVaultArn"] == sites(made, VAULT)[f"{data}-recovery"].outputs["arn"]
    selection = made.one(SELECTION, name).inputs
    assert selection["resources"] == [source]
    assert selection["planId"] == made.one(PLAN, name).id
    assert made.one(PLAN, name).inputs["region"] == selection["region"] == HOME


def window(made: Recording[Vaults], data: str, key: str) -> timedelta:
    return timedelta(minutes=rule(made, f"vaults-{data}-home")[key])


def test_a_backup_begins_and_usually_ends_before_its_age_is_too_old(record: Record) -> None:
    """It begins anywhere in its window, and the age is as old as the last report; what is left of the slack it may take."""
    for data in ("database", "files"):
        begins = window(vaults(record), data, "startWindow")
        assert timedelta(hours=1) <= begins
        assert SLACK - begins - PUBLISHED >= timedelta(hours=10)
    # Before the next one has ended.
    assert SLACK < BACKUP_PERIOD


def test_a_snapshot_that_hangs_is_given_up_before_the_next_one_begins(record: Record) -> None:
    assert SLACK < window(vaults(record), "database", "completionWindow") < BACKUP_PERIOD


def test_a_first_backup_of_all_files_may_take_days_and_is_overdue_meanwhile(record: Record) -> None:
    """Given up each night, it would never exist."""
    assert window(vaults(record), "files", "completionWindow") == timedelta(days=7)
    assert overdue(BACKUP_PERIOD) < LONG_OVERDUE < timedelta(days=7)


def test_recovery_points_carry_the_tags_of_their_environment(record: Record) -> None:
    """By them bills are sorted: what is kept in a vault costs long after its cluster."""
    for plan in vaults(record, replica=True).of(PLAN):
        (daily,) = plan.inputs["rules"]
        data = plan.name.split("-")[1]
        assert daily["recoveryPointTags"] == {**TAGS, "Name": f"quikapp-test-{data}"}


def test_aws_backup_leaves_the_clusters_own_continuous_backup_alone(record: Record) -> None:
    """Its own would take over the cluster's retention and window, which the program states."""
    for plan in vaults(record, replica=True).of(PLAN):
        assert not any(daily.get("enableContinuousBackup") for daily in plan.inputs["rules"])
    continuous = VaultPlan(name="database", keep_days=35, copy_days=35, continuous=True)
    with pytest.raises(ValueError, match="database: a vault keeps daily snapshots"):
        args(database=continuous)


def test_nothing_is_moved_to_cold_storage_that_has_none() -> None:
    cold = VaultPlan(name="database", keep_days=120, copy_days=120, cold_after_days=30)
    with pytest.raises(ValueError, match="neither Aurora nor S3 has cold storage"):
        args(database=cold)


def test_a_plan_with_a_trap_is_refused() -> None:
    with pytest.raises(ValueError, match=r"database\.copy_days"):
        args(database=VaultPlan(name="database", keep_days=35, copy_days=7))


def test_the_replica_is_backed_up_in_its_own_region(record: Record) -> None:
    made = vaults(record, replica=True)
    name = "vaults-database-recovery"
    daily = rule(made, name)
    assert daily["targetVaultName"] == "quikapp-test-database"
    assert daily["lifecycle"] == {"deleteAfter": DATABASE_DAYS}
    assert daily.get("copyActions", []) == []
    assert made.one(SELECTION, name).inputs["resources"] == [REPLICA]
    assert made.one(PLAN, name).inputs["region"] == made.one(SELECTION, name).inputs["region"] == RECOVERY
    assert not sites(vaults(record), PLAN).keys() & {"database-recovery"}


def test_a_lock_lets_nobody_keep_for_less_than_promised_and_nobody_pay_for_ever(record: Record) -> None:
    made = vaults(record)
    assert {
        name: (lock.inputs["minRetentionDays"], lock.inputs["maxRetentionDays"], lock.inputs["region"])
        for name, lock in sites(made, LOCK).items()
    } == {
        "database-home": (DATABASE_DAYS, 365, HOME),
        "database-recovery": (DATABASE_DAYS, 365, RECOVERY),
        "files-home": (FILES_DAYS, 365, HOME),
        "files-recovery": (FILES_DAYS, 365, RECOVERY),
    }
    for name, lock in sites(made, LOCK).items():
        assert lock.inputs["backupVaultName"] == sites(made, VAULT)[name].inputs["name"]


def test_every_recovery_point_fits_the_lock_of_its_vault(record: Record) -> None:
    """A job whose retention is outside of the lock's bounds fails."""
    made = vaults(record, replica=True)
    bounds = {
        (lock.inputs["backupVaultName"], lock.inputs["region"]): (
            lock.inputs["minRetentionDays"],
            lock.inputs["maxRetentionDays"],
        )
        for lock in made.of(LOCK)
    }
    kept: list[tuple[tuple[str, str], int]] = []
    for plan in made.of(PLAN):
        (daily,) = plan.inputs["rules"]
        vault = daily["targetVaultName"]
        kept.append(((vault, plan.inputs["region"]), daily["lifecycle"]["deleteAfter"]))
        kept += [
            ((vault, RECOVERY), copy["lifecycle"]["deleteAfter"]) for copy in daily.get("copyActions", [])
        ]
    assert len(kept) == 5
    assert [where for where, days in kept if not bounds[where][0] <= days <= bounds[where][1]] == []


def test_in_compliance_the_lock_is_for_good_and_in_governance_it_can_be_taken_off(record: Record) -> None:
    for lock in vaults(record).of(LOCK):
        assert lock.inputs["changeableForDays"] == LOCK_GRACE_MINIMUM.value
        assert lock.protect
    governed = vaults(record, mode=LockMode.GOVERNANCE).of(LOCK)
    assert len(governed) == 4
    assert not [lock for lock in governed if "changeableForDays" in lock.inputs or lock.protect]


def test_without_a_mode_there_is_no_lock(record: Record) -> None:
    assert vaults(record, mode=None).of(LOCK) == []


def test_nobody_deletes_a_recovery_point_of_a_protected_environment(record: Record) -> None:
    made = vaults(record)
    assert {policy.inputs["region"] for policy in made.of(POLICY)} == {HOME, RECOVERY}
    assert sites(made, POLICY).keys() == sites(made, VAULT).keys()
    for policy in made.of(POLICY):
        (statement,) = json.loads(policy.inputs["policy"])["Statement"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", {"AWS": ["*"]})
        assert set(statement["Action"]) == {
            "backup:DeleteRecoveryPoint",
            "backup:DisassociateRecoveryPoint",
            "backup:UpdateRecoveryPointLifecycle",
        }


def test_an_unprotected_environment_can_be_destroyed_together_with_its_recovery_points(
    record: Record,
) -> None:
    made = vaults(record, mode=None, protect=False)
    assert made.of(POLICY) == []
    assert {vault.inputs["forceDestroy"] for vault in made.of(VAULT)} == {True}
    assert not [resource for resource in made.resources if resource.protect]


def test_a_protected_one_cannot(record: Record) -> None:
    made = vaults(record)
    assert {vault.inputs["forceDestroy"] for vault in made.of(VAULT)} == {False}
    assert all(resource.protect for resource in [*made.of(VAULT), *made.of(KEY)])


def test_a_lock_on_what_may_be_destroyed_is_refused() -> None:
    with pytest.raises(ValueError, match="a locked vault cannot be emptied"):
        args(protect=False)


def test_two_regions_that_are_one_are_refused() -> None:
    with pytest.raises(ValueError, match="both regions are eu-west-1"):
        args(recovery=HOME)


def test_each_region_has_a_key_of_its_own_that_rotates(record: Record) -> None:
    made = vaults(record)
    keys = {key.inputs["region"]: key.outputs["arn"] for key in made.of(KEY)}
    assert keys.keys() == {HOME, RECOVERY}
    assert all(key.inputs["enableKeyRotation"] is True for key in made.of(KEY))
    for vault in made.of(VAULT):
        assert vault.inputs["kmsKeyArn"] == keys[vault.inputs["region"]]


def test_aws_backup_takes_the_role_for_this_account_only(record: Record) -> None:
    (statement,) = json.loads(vaults(record).one(ROLE).inputs["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": ["backup.amazonaws.com"]}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_what_the_role_may_do_and_to_what(record: Record) -> None:
    made = vaults(record, replica=True)
    own_vaults = [vault.outputs["arn"] for vault in made.of(VAULT)]
    own_keys = [key.outputs["arn"] for key in made.of(KEY)]
    assert (len(own_vaults), len(own_keys)) == (4, 2)
    snapshots = f"arn:aws:rds:*:{ACCOUNT}:cluster-snapshot:awsbackup:*"
    points = f"arn:aws:backup:*:{ACCOUNT}:recovery-point:*"
    anyhow = "{}"
    by_s3 = '{"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}'
    for_aws = '{"Bool": {"kms:GrantIsForAWSResource": "true"}}'
    of_aws_backup = '{"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/aws/backup"}}'
    into_own = json.dumps(
        {
            "ForAllValues:ArnLike": {
                "backup:CopyTargets": [
                    made.one(VAULT, f"vaults-{data}-{site}").outputs["arn"]
                    for data in ("database", "files")
                    for site in Site
                ]
            }
        }
    )
    snapshot = {"rds:AddTagsToResource", "rds:CopyDBClusterSnapshot", "rds:CreateDBClusterSnapshot"}
    assert granted(policy(made)) == {
        ("*", anyhow): {
            "cloudwatch:GetMetricData",
            "events:ListRules",
            "rds:DescribeDBClusterAutomatedBackups",
            "rds:DescribeDBClusterSnapshots",
            "rds:DescribeDBClusters",
            "rds:DescribeDBInstances",
            "rds:ListTagsForResource",
            "s3:ListAllMyBuckets",
            "tag:GetResources",
        },
        (CLUSTER, anyhow): snapshot,
        (REPLICA, anyhow): snapshot,
        (snapshots, anyhow): {*snapshot, "rds:DeleteDBClusterSnapshot"},
        (BUCKET, anyhow): {
            "s3:GetBucketAcl",
            "s3:GetBucketLocation",
            "s3:GetBucketNotification",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetInventoryConfiguration",
            "s3:ListBucket",
            "s3:ListBucketVersions",
            "s3:ListTagsForResource",
            "s3:PutBucketNotification",
            "s3:PutInventoryConfiguration",
        },
        (f"{BUCKET}/*", anyhow): {
            "s3:GetObject",
            "s3:GetObjectAcl",
            "s3:GetObjectTagging",
            "s3:GetObjectVersion",
            "s3:GetObjectVersionAcl",
            "s3:GetObjectVersionTagging",
        },
        (f"arn:aws:events:*:{ACCOUNT}:rule/AwsBackupManagedRule*", anyhow): {
            "events:DeleteRule",
            "events:DescribeRule",
            "events:DisableRule",
            "events:EnableRule",
            "events:ListTargetsByRule",
            "events:PutRule",
            "events:PutTargets",
            "events:RemoveTargets",
        },
        (BUCKET_KEY, by_s3): {"kms:Decrypt", "kms:DescribeKey"},
        (f"arn:aws:kms:*:{ACCOUNT}:key/*", of_aws_backup): {"kms:DescribeKey"},
        **{(key, anyhow): {"kms:DescribeKey"} for key in (CLUSTER_KEY, REPLICA_KEY)},
        **{(key, anyhow): {"kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"} for key in own_keys},
        **{(key, for_aws): {"kms:CreateGrant"} for key in (CLUSTER_KEY, REPLICA_KEY, *own_keys)},
        **{
            (vault, anyhow): {"backup:CopyIntoBackupVault", "backup:DescribeBackupVault"}
            for vault in own_vaults
        },
        (points, into_own): {"backup:CopyFromBackupVault"},
        (snapshots, into_own): {"backup:CopyFromBackupVault"},
        (points, anyhow): {"backup:TagResource"},
    }


def test_what_only_reads_is_all_that_holds_for_every_resource(record: Record) -> None:
    everywhere = [
        action
        for statement in allowed(vaults(record))
        for action in statement["Action"]
        if "*" in statement["Resource"]
    ]
    assert everywhere
    assert [
        action for action in everywhere if not action.split(":")[1].startswith(("Describe", "Get", "List"))
    ] == []


def test_backups_begin_when_the_role_may_make_them(record: Record) -> None:
    made = vaults(record, replica=True)
    granted = made.one("aws:iam/rolePolicy:RolePolicy").urn
    assert len(made.of(SELECTION)) == 3
    assert [selection.name for selection in made.of(SELECTION) if granted not in selection.dependencies] == []


def test_the_vaults_are_told_by_data_and_site(record: Record) -> None:
    made = vaults(record)
    for data in (Data.DATABASE, Data.FILES):
        for site, region in ((Site.HOME, HOME), (Site.RECOVERY, RECOVERY)):
            told = made.result.vaults[data][site]
            vault = made.one(VAULT, f"vaults-{data}-{site}")
            assert told.region == region
            assert made.value(told.name) == vault.inputs["name"]
            assert made.value(told.arn) == vault.outputs["arn"]
            assert made.value(told.key_arn) == vault.inputs["kmsKeyArn"]


@pytest.mark.parametrize("replica", [False, True])
def test_a_vault_tells_all_that_has_recovery_points_in_it(record: Record, replica: bool) -> None:
    """What is backed up at home is copied to the recovery region, where the replica is backed up beside it."""
    made = vaults(record, replica=replica)
    told = {
        (data, site): [made.value(source) for source in vault.sources]
        for data, kept in made.result.vaults.items()
        for site, vault in kept.items()
    }
    assert told == {
        (Data.DATABASE, Site.HOME): [CLUSTER],
        (Data.DATABASE, Site.RECOVERY): [CLUSTER, REPLICA] if replica else [CLUSTER],
        (Data.FILES, Site.HOME): [BUCKET],
        (Data.FILES, Site.RECOVERY): [BUCKET],
    }
    selected = {source for selection in made.of(SELECTION) for source in selection.inputs["resources"]}
    assert {source for sources in told.values() for source in sources} == selected


def test_everything_is_tagged_and_closed(record: Record) -> None:
    made = vaults(record, replica=True)
    made.assert_tagged(TAGS)
    made.assert_least_privilege()
