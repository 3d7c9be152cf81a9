"""The scenario `region`: the database fails over to the recovery region, the program follows, and all goes back again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pulumi import automation as auto

from rehearsal.errors import RehearsalError
from rehearsal.kubernetes_api import KubernetesApi
from rehearsal.narration import resource_name
from rehearsal.recover.drill import Drill, listed, promised, require_only, told

LOSS, SUBJECT = "loss of the region", "database"

GLOBAL_CLUSTER = "aws:rds/globalCluster:GlobalCluster"
CLUSTER = "aws:rds/cluster:Cluster"

WRITER = "quikapp:recovery.writer"
HOME, RECOVERY = "home", "recovery"
"""What the key may be: where the writer is."""


@dataclass(frozen=True)
class Clusters:
    """The two clusters of a global database, as the state holds them.

    Attributes:
        of: the cluster of each site, `home` and `recovery`.
    """

    of: Mapping[str, dict[str, Any]]

    def endpoint(self, site: str) -> str:
        """The host that is the writer's, while the writer is there."""
        return str(self.of[site]["outputs"]["endpoint"])

    def arn(self, site: str) -> str:
        """The ARN of a site's cluster."""
        return str(self.of[site]["outputs"]["arn"])


def region(drill: Drill) -> None:
    """Fail the recorded database over, let the program follow, and go back.

    Raises:
        RehearsalError: something would be replaced or deleted, or services do not get the writer's host.
    """
    here = _writer(drill.stack)
    there = HOME if here == RECOVERY else RECOVERY
    clusters = clusters_of(drill.resources, str(drill.outputs.get("region")))
    move(drill.stack, here)  # a drill that was killed may have left them otherwise
    planned = promised(drill.outputs, LOSS, SUBJECT, "failover")
    with drill.step(f"the database fails over: the writer is in {_place(clusters, there)} now", planned):
        move(drill.stack, there)
    _follow(drill, clusters, here, there)
    with drill.step(f"the database goes back: the writer is in {_place(clusters, here)} again"):
        move(drill.stack, here)
    _follow(drill, clusters, there, here)


def _follow(drill: Drill, clusters: Clusters, before: str, after: str) -> None:
    """What a person does after a failover, and what has to come of it."""
    hosts = count_of_hosts(drill.plane.api, clusters.endpoint(before))
    if not hosts:
        raise RehearsalError(f"no workload is told of the database's host {clusters.endpoint(before)}")
    with drill.step(f"say so to the program: writer: {after}"):
        drill.configure(WRITER, after)
        planned = drill.preview()
        for line in told(planned):
            drill.say(line)
        require_only(planned, ("create", "update"))
        changed = [urn for urn in _urns(clusters) if planned.steps.get(urn, ("same",))[0] != "same"]
        if changed:
            named = listed(map(resource_name, changed))
            raise RehearsalError(f"a failover moves no cluster, and the preview changes {named}")
    with drill.step("update"):
        drill.up()
    with drill.step("see that services get the writer's host"):
        host = clusters.endpoint(after)
        if (said := drill.outputs["endpoints"]["database"]) != host:
            raise RehearsalError(f"the output endpoints.database is {said}, and the writer is {host}")
        old, new = (
            count_of_hosts(drill.plane.api, clusters.endpoint(before)),
            count_of_hosts(drill.plane.api, host),
        )
        if old or new != hosts:
            raise RehearsalError(
                f"{new} of {hosts} containers are told of {host}, and {old} still of {clusters.endpoint(before)}"
            )
        drill.say(f"  {new} containers are told of {host}")
    with drill.step("see that nothing is left to do"):
        drill.refresh()
        drill.require_quiet()


def clusters_of(resources: Sequence[dict[str, Any]], home: str) -> Clusters:
    """The clusters of the global database in a state.

    Args:
        resources: of the state.
        home: the environment's own region.

    Raises:
        RehearsalError: there is no global database with a cluster at home and one elsewhere.
    """
    found = [resource for resource in resources if resource["type"] == CLUSTER and not resource.get("delete")]
    at = {HOME if cluster["outputs"]["region"] == home else RECOVERY: cluster for cluster in found}
    if len(found) != 2 or at.keys() != {HOME, RECOVERY} or not _global_clusters(resources):
        raise RehearsalError(
            "the stack has no database in two regions: this scenario needs quikapp:recovery in its stack file, as staging "
            "and live have it"
        )
    return Clusters(at)


def move(stack: auto.Stack, writer: str) -> None:
    """Let the recorded account be as after a failover to a site: what is recorded of AWS is the state, so that is changed.

    Roles change, and names, hosts and members stay. A cluster that follows says whom.
    """
    exported = stack.export_stack()
    deployment = cast("dict[str, Any]", exported.deployment)
    swap(deployment["resources"], writer)
    stack.import_stack(auto.Deployment(version=exported.version, deployment=deployment))


def swap(resources: Sequence[dict[str, Any]], writer: str) -> None:
    """Change the roles in the resources of a state, in place.

    The provider compares what it reads of AWS with what the program wants; the recorder compares inputs. So what AWS fills in,
    whom a cluster follows and which global database it is a member of, is written to both: a program that does not leave
    it to AWS is seen to undo it.
    Source: https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/rds_cluster
    """
    stack = next(resource for resource in resources if resource["type"] == "pulumi:pulumi:Stack")
    clusters = clusters_of(resources, str(stack["outputs"].get("region")))
    follower = HOME if writer == RECOVERY else RECOVERY
    for side in ("inputs", "outputs"):
        clusters.of[writer][side].pop("replicationSourceIdentifier", None)
        clusters.of[follower][side]["replicationSourceIdentifier"] = clusters.arn(writer)
    for cluster in _global_clusters(resources):
        for member in clusters.of.values():
            member["inputs"]["globalClusterIdentifier"] = cluster["id"]
            member["outputs"]["globalClusterIdentifier"] = cluster["id"]
        cluster["outputs"]["globalClusterMembers"] = [
            {"dbClusterArn": clusters.arn(site), "isWriter": site == writer} for site in (HOME, RECOVERY)
        ]


def count_of_hosts(api: KubernetesApi, host: str) -> int:
    """How many containers of Deployments have a host among their environment variables."""
    deployments: list[dict[str, Any]] = (api.get("/apis/apps/v1/deployments") or {"items": []})["items"]
    containers: list[dict[str, Any]] = [
        container
        for deployment in deployments
        for container in deployment["spec"]["template"]["spec"]["containers"]
    ]
    return sum(host in _environment(container) for container in containers)


def _environment(container: Mapping[str, Any]) -> set[str]:
    variables: list[dict[str, Any]] = container.get("env") or []
    return {str(variable.get("value")) for variable in variables}


def _global_clusters(resources: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [resource for resource in resources if resource["type"] == GLOBAL_CLUSTER]


def _urns(clusters: Clusters) -> list[str]:
    return [str(cluster["urn"]) for cluster in clusters.of.values()]


def _place(clusters: Clusters, site: str) -> str:
    return str(clusters.of[site]["outputs"]["region"])


def _writer(stack: auto.Stack) -> str:
    try:
        return stack.get_config(WRITER, path=True).value
    except auto.CommandError:
        return HOME
