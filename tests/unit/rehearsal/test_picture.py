"""The picture of the architecture, drawn from an export of the engine."""

from typing import Any

from rehearsal.picture import mermaid

ROOT = "urn:pulumi:live::quikapp::"


def _resource(
    path: str, name: str, parent: str | None, depends: tuple[str, ...] = (), custom: bool = True
) -> dict[str, Any]:
    return {
        "urn": f"{ROOT}{path}::{name}",
        "type": path.rsplit("$", 1)[-1],
        "custom": custom,
        "parent": f"{ROOT}{parent}" if parent else f"{ROOT}pulumi:pulumi:Stack::quikapp-live",
        "propertyDependencies": {"vpcId": [f"{ROOT}{urn}" for urn in depends], "name": None},
    }


ENVIRONMENT = "quikapp:environment:Environment"
NETWORK = f"{ENVIRONMENT}$quikapp:network:Network"
CLUSTER = f"{ENVIRONMENT}$quikapp:cluster:Cluster"
EXPORT = [
    {"urn": f"{ROOT}pulumi:pulumi:Stack::quikapp-live", "type": "pulumi:pulumi:Stack"},
    _resource(ENVIRONMENT, "live", None, custom=False),
    _resource(NETWORK, "net", f"{ENVIRONMENT}::live", custom=False),
    _resource(f"{NETWORK}$aws:ec2/vpc:Vpc", "net", f"{NETWORK}::net"),
    _resource(
        f"{NETWORK}$aws:ec2/subnet:Subnet",
        "net-a",
        f"{NETWORK}::net",
        (f"{NETWORK}$aws:ec2/vpc:Vpc::net",),
    ),
    _resource(CLUSTER, "eks", f"{ENVIRONMENT}::live", custom=False),
    _resource(
        f"{CLUSTER}$aws:eks/cluster:Cluster",
        "eks",
        f"{CLUSTER}::eks",
        (f"{NETWORK}$aws:ec2/subnet:Subnet::net-a",),
    ),
]


def test_components_are_drawn_with_what_they_hold_and_whom_they_need() -> None:
    assert mermaid(EXPORT) == (
        "flowchart LR\n"
        '    part0["<b>Cluster</b><br/>eks<br/>1 aws"]\n'
        '    part1["<b>Network</b><br/>net<br/>2 aws"]\n'
        "    part0 --> part1"
    )


def test_a_part_that_nobody_needs_has_no_arrow() -> None:
    assert "-->" not in mermaid(EXPORT[:5])
