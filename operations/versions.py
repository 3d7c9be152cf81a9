"""Every version that is pinned here and not in a lock file, each under the line by which renovate finds it."""

from typing import Final

# renovate: datasource=endoflife-date depName=amazon-eks versioning=loose
KUBERNETES: Final = "1.36"
"""Minor version of the EKS cluster. Standard support of 1.35 ends on 2027-03-27, before that of 1.36."""

# renovate: datasource=aws-rds depName=aurora-postgresql
AURORA_POSTGRESQL: Final = "17.7"
"""Engine version of the database cluster."""

# renovate: datasource=docker depName=quay.io/prometheus/prometheus
PROMETHEUS_IMAGE: Final = "quay.io/prometheus/prometheus:v3.13.5"
