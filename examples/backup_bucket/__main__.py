"""A backup bucket alone: private, encrypted with a key of its own, in Glacier, and with what it held before for a while."""

import pulumi

from components.storage import BackupBucket, BackupBucketArgs

config = pulumi.Config()

backup = BackupBucket(
    "backup",
    BackupBucketArgs(
        bucket_prefix=f"accounting-{pulumi.get_stack()}-backup",
        region=pulumi.Config("aws").require("region"),
        retention_days=config.require_int("retentionDays"),
        protect=pulumi.get_stack() != "dev",
        tags={"application": "accounting", "environment": pulumi.get_stack(), "owner": "finance-platform"},
    ),
)

pulumi.export("bucket", backup.bucket_name)
pulumi.export("key", backup.kms_key_arn)
