"""The AWS role of a pod: which service account may take it on, and where the pod finds its credentials."""

from __future__ import annotations

from typing import Final

import pulumi_kubernetes as kubernetes

from components import hardening
from components.policies import trust_policy

networking = kubernetes.networking.v1

IDENTITY_AGENT: Final = "169.254.170.23/32"
"""Where the EKS Pod Identity agent answers on every node, at port 80.
Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html"""


def to_identity_agent() -> networking.NetworkPolicyEgressRuleArgs:
    """Egress to the agent that hands out credentials of the pod's role."""
    return networking.NetworkPolicyEgressRuleArgs(
        to=hardening.blocks([IDENTITY_AGENT]), ports=hardening.tcp(80)
    )


def pod_trust(cluster_name: str, *, namespace: str, service_account: str) -> str:
    """Trust policy of a role that only this service account, of this namespace of this cluster, may take on.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
    """
    return trust_policy(
        "pods.eks.amazonaws.com",
        actions=["sts:AssumeRole", "sts:TagSession"],
        conditions={
            "StringEquals": {
                "aws:RequestTag/eks-cluster-name": cluster_name,
                "aws:RequestTag/kubernetes-namespace": namespace,
                "aws:RequestTag/kubernetes-service-account": service_account,
            }
        },
    )
