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

# renovate: datasource=docker depName=quay.io/prometheus/alertmanager
ALERTMANAGER_IMAGE: Final = "quay.io/prometheus/alertmanager:v0.31.1"
"""The newest whose Go module builds: later ones lack the files of their user interface."""

# renovate: datasource=docker depName=docker.io/grafana/grafana
GRAFANA_IMAGE: Final = "docker.io/grafana/grafana:13.2.3"
"""Its data sources come with the image as plugins, and are loaded from there."""

# renovate: datasource=docker depName=docker.elastic.co/elasticsearch/elasticsearch
ELASTICSEARCH_IMAGE: Final = "docker.elastic.co/elasticsearch/elasticsearch:9.5.4"
"""Elasticsearch, Logstash, Kibana and Filebeat are released together and run in one version."""

# renovate: datasource=docker depName=docker.elastic.co/logstash/logstash
LOGSTASH_IMAGE: Final = "docker.elastic.co/logstash/logstash:9.5.4"

# renovate: datasource=docker depName=docker.elastic.co/kibana/kibana
KIBANA_IMAGE: Final = "docker.elastic.co/kibana/kibana:9.5.4"

# renovate: datasource=docker depName=docker.elastic.co/beats/filebeat
FILEBEAT_IMAGE: Final = "docker.elastic.co/beats/filebeat:9.5.4"

# renovate: datasource=docker depName=jaegertracing/jaeger
JAEGER_IMAGE: Final = "jaegertracing/jaeger:2.13.0"
"""The newest that is a Go module as well, so that what is deployed is what is tried: 2.x.y is module v1.(63 + x).y, and
later ones have none."""

# renovate: datasource=docker depName=jaegertracing/jaeger-es-index-cleaner
JAEGER_INDEX_CLEANER_IMAGE: Final = "jaegertracing/jaeger-es-index-cleaner:1.76.0"
"""Of the same release as Jaeger 2.13.0, whose every image but its own bears the number of version 1.
Source: https://github.com/jaegertracing/jaeger/blob/v2.13.0/.github/workflows/ci-release.yml"""

# renovate: datasource=docker depName=gcr.io/datadoghq/agent
DATADOG_AGENT_IMAGE: Final = "gcr.io/datadoghq/agent:7.83.3"

# renovate: datasource=docker depName=gcr.io/datadoghq/cluster-agent
DATADOG_CLUSTER_AGENT_IMAGE: Final = "gcr.io/datadoghq/cluster-agent:7.83.3"
"""Released together with the agent."""

# renovate: datasource=docker depName=quay.io/prometheuscommunity/yet-another-cloudwatch-exporter
CLOUDWATCH_EXPORTER_IMAGE: Final = "quay.io/prometheuscommunity/yet-another-cloudwatch-exporter:v0.67.0"
"""Its Go module has the same version, so that what is deployed is what is tried."""

# renovate: datasource=endoflife-date depName=python versioning=loose
LAMBDA_PYTHON: Final = "3.13"
"""The Python that Lambda runs; it offers a release some months after there is one.
Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html"""

# renovate: datasource=aws-eks-addon depName=kube-state-metrics packageName={"kubernetesVersion":"1.36","addonName":"kube-state-metrics"}
KUBE_STATE_METRICS_ADDON: Final = "v2.20.0-eksbuild.6"

# renovate: datasource=aws-eks-addon depName=prometheus-node-exporter packageName={"kubernetesVersion":"1.36","addonName":"prometheus-node-exporter"}
NODE_EXPORTER_ADDON: Final = "v1.12.1-eksbuild.7"

# renovate: datasource=aws-eks-addon depName=metrics-server packageName={"kubernetesVersion":"1.36","addonName":"metrics-server"}
METRICS_SERVER_ADDON: Final = "v0.9.0-eksbuild.11"
