"""Who may take on the role of a pod. The way to the credentials is tested where a pod has it."""

import json

from components.identity import pod_trust


def test_only_one_service_account_of_one_namespace_of_one_cluster_may_take_a_role_on() -> None:
    (statement,) = json.loads(pod_trust("quikapp-live", namespace="monitoring", service_account="exporter"))[
        "Statement"
    ]
    assert statement["Principal"] == {"Service": ["pods.eks.amazonaws.com"]}
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert statement["Condition"] == {
        "StringEquals": {
            "aws:RequestTag/eks-cluster-name": "quikapp-live",
            "aws:RequestTag/kubernetes-namespace": "monitoring",
            "aws:RequestTag/kubernetes-service-account": "exporter",
        }
    }
