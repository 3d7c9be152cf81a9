"""Every version that is pinned here and not in a lock file, each under the line by which renovate finds it."""

from typing import Final

# renovate: datasource=endoflife-date depName=amazon-eks versioning=loose
KUBERNETES: Final = "1.36"
"""Minor version of the EKS cluster, and of the control plane that rehearses it."""

# renovate: datasource=aws-rds depName=aurora-postgresql packageName=[{"Name":"engine","Values":["aurora-postgresql"]}] versioning=loose
AURORA_POSTGRESQL: Final = "17.9"
"""Engine version of the database cluster."""

# renovate: datasource=docker depName=quay.io/prometheus/prometheus
PROMETHEUS_IMAGE: Final = "quay.io/prometheus/prometheus:v3.13.5"
"""3.13 is a long-term support line. The Go module of this release is v0.313.5: Prometheus 3.x.y is module v0.3xx.y."""

# renovate: datasource=aws-eks-addon depName=kube-state-metrics packageName={"kubernetesVersion":"1.36","addonName":"kube-state-metrics"}
KUBE_STATE_METRICS_ADDON: Final = "v2.20.0-eksbuild.6"

# renovate: datasource=aws-eks-addon depName=prometheus-node-exporter packageName={"kubernetesVersion":"1.36","addonName":"prometheus-node-exporter"}
NODE_EXPORTER_ADDON: Final = "v1.12.1-eksbuild.7"

# renovate: datasource=aws-eks-addon depName=metrics-server packageName={"kubernetesVersion":"1.36","addonName":"metrics-server"}
METRICS_SERVER_ADDON: Final = "v0.9.0-eksbuild.11"
