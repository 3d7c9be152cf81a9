"""The scenario `cluster`: everything that Kubernetes held is gone, and comes back from the program."""

from __future__ import annotations

import shutil

from rehearsal.errors import RehearsalError
from rehearsal.recover.drill import Drill, promised, workloads
from rehearsal.recover.leftovers import Leftovers

LOSS, SUBJECT = "lost cluster", "application"


def cluster(drill: Drill) -> None:
    """Destroy the data of the local control plane, and rebuild what was there.

    On AWS the cluster itself is gone as well, and is made anew in the same update; here it is recorded, and its address stays.

    Raises:
        RehearsalError: something did not come back as it was.
    """
    leftovers = Leftovers(drill.rehearsal.directory)
    outputs = drill.outputs
    before = frozenset(workloads(drill.plane.api))
    with drill.step("lose the cluster: every object in it"):
        leftovers.mark()
        drill.plane.stop()
        data = drill.plane.directory / "etcd"
        lost = data.with_suffix(".lost")
        shutil.rmtree(lost, ignore_errors=True)
        data.rename(lost)  # killed in the middle of the removal, no half of it is left where etcd looks
        shutil.rmtree(lost)
    with drill.step("a new and empty cluster"):
        drill.plane.start()
        if left := workloads(drill.plane.api):
            raise RehearsalError(f"the cluster was to be lost, and still runs {', '.join(left)}")
    held = {resource["urn"] for resource in drill.resources}
    with drill.step("tell the state what is gone"):
        drill.refresh()
        leftovers.lost_cluster.unlink()
        gone = held - {resource["urn"] for resource in drill.resources}
        drill.say(f"  {len(gone)} of {len(held)} resources are gone")
        if not gone:
            raise RehearsalError("the refresh has not noticed that the cluster is empty")
    with drill.step("rebuild it from the program", promised(outputs, LOSS, SUBJECT, "rebuild")):
        made = drill.up()
        drill.say(f"  {made.counts['create']} resources are made anew")
    with drill.step("see that every workload is available"):
        drill.require_workloads(before)
        drill.say(f"  {len(before)} workloads, each with all its pods")
    with drill.step("see that nothing is left to do"):
        drill.require_quiet()
