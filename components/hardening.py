"""What every namespace and every pod of the program has in common: closed until opened, and no privilege.

Enforcement of network policies in EKS Auto Mode takes two switches that belong to the cluster: the ConfigMap
`amazon-vpc-cni` in `kube-system` with `enable-network-policy-controller: "true"`, and `networkPolicy` in the
NodeClass (https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html). Traffic between a node and its own
pods, such as the kubelet's probes, is never subject to a policy.
"""

from collections.abc import Sequence
from typing import Final, Literal

import pulumi
import pulumi_kubernetes as kubernetes

from operations import versions
from operations.naming import APPLICATION

core = kubernetes.core.v1
meta = kubernetes.meta.v1
networking = kubernetes.networking.v1

PART_OF: Final = "app.kubernetes.io/part-of"
NAME: Final = "app.kubernetes.io/name"
INSTANCE: Final = "app.kubernetes.io/instance"
VERSION: Final = "app.kubernetes.io/version"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"

PROMETHEUS: Final = "prometheus"
"""The `app.kubernetes.io/name` of the pods that may read metrics."""

EVERY_POD: Final = meta.LabelSelectorArgs()
"""An empty selector: every pod of the policy's namespace."""

PRIVATE_RANGES: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
"""Addresses that no public host has (RFC 1918, RFC 6598, RFC 3927).

What one rule excepts EKS denies to all rules, unless another rule allows these very blocks: so the resolver's rule and
the exceptions of a rule for the internet must be of one list, or no name would resolve.
Source: https://github.com/aws/aws-network-policy-agent/issues/326
"""

_POD_SECURITY: Final = "pod-security.kubernetes.io"


def labels(name: str, instance: str, version: str) -> dict[str, str]:
    """The recommended labels of an object that belongs to one workload.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
    """
    return {**selector(name, instance), VERSION: version, PART_OF: APPLICATION, MANAGED_BY: "pulumi"}


def selector(name: str, instance: str) -> dict[str, str]:
    """The labels by which a workload finds its pods; they never change over its life."""
    return {NAME: name, INSTANCE: instance}


def namespace_labels(standard: Literal["restricted", "privileged"]) -> dict[str, str]:
    """Labels by which the API server refuses every pod that asks for more than the standard allows.

    `privileged` refuses none: it is for the agents that read their node's files. The version is pinned, so that an
    upgrade of the cluster changes no rule before the program says so.
    Source: https://kubernetes.io/docs/concepts/security/pod-security-admission/
    """
    return {
        PART_OF: APPLICATION,
        MANAGED_BY: "pulumi",
        **{
            f"{_POD_SECURITY}/{mode}{suffix}": value
            for mode in ("enforce", "audit", "warn")
            for suffix, value in (("", standard), ("-version", f"v{versions.KUBERNETES}"))
        },
    }


def restricted_pod(*, user: int | None = None) -> core.PodSecurityContextArgs:
    """Pod settings of the restricted standard.

    `user` is the numeric user and group that runs the pod and owns its volumes, for an image that names its user:
    only a number proves that it is not root. Without it the image must state a numeric user of its own.
    """
    return core.PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=user,
        run_as_group=user,
        fs_group=user,
        fs_group_change_policy=None if user is None else "OnRootMismatch",
        seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault"),
    )


def restricted_container() -> core.SecurityContextArgs:
    """Container settings of the restricted standard, and a root file system that nobody can write to."""
    return core.SecurityContextArgs(
        allow_privilege_escalation=False,
        capabilities=core.CapabilitiesArgs(drop=["ALL"]),
        read_only_root_filesystem=True,
    )


def guaranteed(cpu_millicores: int, memory_mib: int) -> core.ResourceRequirementsArgs:
    """Limits equal to the requests.

    The key metrics measure use relative to the limit, the autoscaler relative to the request: equal, they are one
    number. The pod is of the guaranteed class and the last to be evicted under memory pressure.
    """
    amounts = {"cpu": f"{cpu_millicores}m", "memory": f"{memory_mib}Mi"}
    return core.ResourceRequirementsArgs(requests=amounts, limits=amounts)


def spread(
    *, zones: int, match: dict[str, str], revision_label: str
) -> list[core.TopologySpreadConstraintArgs]:
    """Pods of one revision, evenly over zones and, as far as possible, over hosts.

    From three zones on a pod waits for room in the right zone rather than make the loss of one zone worse; over two
    zones waiting would cost more than it protects. Zones whose nodes are all tainted, as failing nodes are, do not
    count.
    Source: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
    """
    return [
        core.TopologySpreadConstraintArgs(
            max_skew=1,
            topology_key=key,
            when_unsatisfiable=unsatisfiable,
            label_selector=meta.LabelSelectorArgs(match_labels=match),
            match_label_keys=[revision_label],
            node_taints_policy="Honor",
        )
        for key, unsatisfiable in (
            ("topology.kubernetes.io/zone", "DoNotSchedule" if zones >= 3 else "ScheduleAnyway"),
            ("kubernetes.io/hostname", "ScheduleAnyway"),
        )
    ]


def deny_all() -> networking.NetworkPolicySpecArgs:
    """A policy under which no pod of a namespace receives or sends anything that another policy does not allow."""
    return networking.NetworkPolicySpecArgs(pod_selector=EVERY_POD, policy_types=["Ingress", "Egress"])


def blocks(cidrs: Sequence[str]) -> list[networking.NetworkPolicyPeerArgs]:
    """Peers by address."""
    return [networking.NetworkPolicyPeerArgs(ip_block=networking.IPBlockArgs(cidr=cidr)) for cidr in cidrs]


def tcp(*ports: int) -> list[networking.NetworkPolicyPortArgs]:
    """TCP ports of a rule."""
    return [networking.NetworkPolicyPortArgs(port=port, protocol="TCP") for port in ports]


def in_namespace(name: pulumi.Input[str]) -> meta.LabelSelectorArgs:
    """The one namespace of this name."""
    return meta.LabelSelectorArgs(match_labels={"kubernetes.io/metadata.name": name})


def to_internet() -> networking.NetworkPolicyEgressRuleArgs:
    """Egress to public addresses by HTTPS, and to no private one."""
    public = networking.IPBlockArgs(cidr="0.0.0.0/0", except_=list(PRIVATE_RANGES))
    return networking.NetworkPolicyEgressRuleArgs(
        to=[networking.NetworkPolicyPeerArgs(ip_block=public)], ports=tcp(443)
    )


def resolve_names() -> networking.NetworkPolicySpecArgs:
    """A policy that lets every pod of a namespace ask the cluster's resolver.

    In EKS Auto Mode CoreDNS runs on every node as a system service, so no pod selector can name it, and the address
    a pod asks is the cluster's choice: port 53 is open to private addresses, and closed to the internet's resolvers.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-networking.html
    """
    return networking.NetworkPolicySpecArgs(
        pod_selector=EVERY_POD,
        policy_types=["Egress"],
        egress=[
            networking.NetworkPolicyEgressRuleArgs(
                to=blocks(PRIVATE_RANGES),
                ports=[
                    networking.NetworkPolicyPortArgs(port=53, protocol=protocol)
                    for protocol in ("UDP", "TCP")
                ],
            )
        ],
    )
