"""The recorder behind the real engine: what a person sees of recorded resources in a preview, an update, the state."""

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pytest
from pulumi import automation as auto

from rehearsal.engine import backend_url
from rehearsal.toolchain import ToolSet, ensure

pytestmark = [
    pytest.mark.rehearsal,
    # Where a program fails, the Automation API may leave its event loop and the loop's sockets open
    # (pulumi/automation/_server.py closes them only when every pending task ends by being cancelled).
    pytest.mark.filterwarnings(r"ignore:.*BaseEventLoop\.__del__:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings(r"ignore:.*<socket\.socket:pytest.PytestUnraisableExceptionWarning"),
]

PASSWORD = "correct-horse-battery-staple"  # noqa: S105  # what must never be found

Program = Callable[[], None]


@dataclass(frozen=True)
class Bench:
    """An engine of its own for one test: home, state, plugin and world below one folder."""

    folder: Path

    def stack(self, program: Program, region: str = "eu-west-1") -> auto.Stack:
        """The bench's one stack, running ``program``."""
        stack = auto.create_or_select_stack(
            stack_name="bench",
            project_name="recorder",
            program=program,
            opts=auto.LocalWorkspaceOptions(
                pulumi_command=auto.PulumiCommand(root=str(self.folder)),
                pulumi_home=str(self.folder / "home"),
                env_vars={
                    "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
                    "PULUMI_BACKEND_URL": backend_url(self.folder / "state"),
                    "PULUMI_CONFIG_PASSPHRASE": "bench",
                    "PULUMI_SKIP_UPDATE_CHECK": "true",
                    "REHEARSAL_WORLD": str(self.folder / "world.json"),
                },
            ),
        )
        stack.set_config("aws:region", auto.ConfigValue(region))
        return stack

    def up(self, program: Program) -> dict[str, int]:
        """Runs an update; counts its operations, those that change nothing left out."""
        return _changes(self.stack(program).up(color="never").summary.resource_changes)

    def written(self) -> str:
        """Every byte that the engine wrote."""
        return "\n".join(
            file.read_text(errors="replace") for file in (self.folder / "state").rglob("*") if file.is_file()
        )

    def outputs(self, name: str) -> dict[str, Any]:
        """The recorded outputs of the resource with this logical name."""
        state = self.folder / "state" / ".pulumi" / "stacks" / "recorder" / "bench.json"
        resources = cast(
            "list[dict[str, Any]]", json.loads(state.read_text())["checkpoint"]["latest"]["resources"]
        )
        return next(found["outputs"] for found in resources if found["urn"].endswith(f"::{name}"))


def _changes(counted: object) -> dict[str, int]:
    operations = cast("dict[str, int]", counted or {})
    return {str(operation): count for operation, count in operations.items() if operation != "same"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "bin").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "bin" / "pulumi").symlink_to(ensure(ToolSet.PULUMI)["pulumi"])
    (tmp_path / "world.json").write_text("{}")
    shim = tmp_path / "bin" / "pulumi-resource-aws"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m rehearsal.providers.recorder aws "$@"\n')
    shim.chmod(0o755)
    yield Bench(tmp_path)
    gc.collect()  # what a failed program left open is found here, where the filter above applies


def program(*, green: int = 0, description: str = "web", misspelled: bool = False) -> Program:
    """A network, a weighted listener rule, a database with a password."""

    def run() -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        group = aws.ec2.SecurityGroup("firewall", vpc_id=vpc.id, description=description)
        aws.vpc.SecurityGroupEgressRule(
            "out", security_group_id=group.id, ip_protocol="-1", cidr_ipv4="10.0.0.0/16"
        )
        load_balancer = aws.lb.LoadBalancer("web", security_groups=[group.id])
        listener = aws.lb.Listener(
            "http", load_balancer_arn=load_balancer.arn, port=80, default_actions=[{"type": "fixed-response"}]
        )
        slots = [
            aws.lb.TargetGroup(slot, port=80, protocol="HTTP", vpc_id=vpc.id) for slot in ("blue", "green")
        ]
        weighted = [{"arn": slots[0].arn, "weight": 100 - green}, {"arn": slots[1].arn, "weight": green}]
        forward = {"target_groupz" if misspelled else "target_groups": weighted}
        aws.lb.ListenerRule(
            "api",
            listener_arn=listener.arn,
            actions=cast(
                "list[aws.lb.ListenerRuleActionArgsDict]", [{"type": "forward", "forward": forward}]
            ),
            conditions=[{"path_pattern": {"values": ["/api/*"]}}],
        )
        database = aws.rds.Cluster(
            "database", engine="aurora-postgresql", master_password=pulumi.Output.secret(PASSWORD)
        )
        pulumi.export("dnsName", load_balancer.dns_name)
        pulumi.export("cidr", vpc.cidr_block)
        pulumi.export("password", database.master_password)

    return run


def cluster() -> None:
    made = aws.eks.Cluster(
        "cluster", role_arn="arn:aws:iam::123456789012:role/eks", vpc_config={"subnet_ids": []}
    )
    pulumi.export("endpoint", made.endpoint)


def test_a_preview_leaves_unknown_what_only_aws_can_tell(bench: Bench) -> None:
    printed = bench.stack(program()).preview(color="never").stdout
    assert 'cidr    : "10.0.0.0/16"' in printed
    assert "dnsName : [unknown]" in printed


def test_a_preview_never_shows_a_secret(bench: Bench) -> None:
    events: list[auto.EngineEvent] = []
    preview = bench.stack(program()).preview(color="never", diff=True, on_event=events.append)
    assert PASSWORD not in preview.stdout
    # The SDK traces the program's own calls as debug diagnostics, stack outputs in plain text; nobody is shown those.
    shown = [e for e in events if e.diagnostic_event is None or e.diagnostic_event.severity != "debug"]
    assert "masterPassword" in repr([vars(event) for event in shown])
    assert PASSWORD not in repr([vars(event) for event in shown])
    assert PASSWORD not in bench.written()


def test_an_update_gives_plausible_outputs_and_the_next_changes_nothing(bench: Bench) -> None:
    outputs = bench.stack(program()).up(color="never").outputs
    assert str(outputs["dnsName"].value).endswith(".eu-west-1.elb.amazonaws.com")
    assert bench.up(program()) == {}


def test_one_changed_weight_is_one_update(bench: Bench) -> None:
    bench.up(program())
    assert bench.up(program(green=5)) == {"update": 1}


def function(text: str) -> Program:
    """A function whose code comes with the program."""

    def run() -> None:
        aws.lambda_.Function(
            "report",
            role="arn:aws:iam::123456789012:role/report",
            code=pulumi.AssetArchive({"handler.py": pulumi.StringAsset(text)}),
        )

    return run


def test_code_is_recorded_and_only_other_code_changes_it(bench: Bench) -> None:
    bench.up(function("one"))
    assert bench.outputs("report")["code"]["assets"]["handler.py"]["text"] == "one"
    assert bench.up(function("one")) == {}
    assert bench.up(function("two")) == {"update": 1}
    assert bench.outputs("report")["code"]["assets"]["handler.py"]["text"] == "two"


def test_two_rehearsals_are_equal(bench: Bench) -> None:
    bench.up(program())
    first = bench.outputs("api")
    bench.stack(program()).destroy(color="never")
    bench.up(program())
    assert bench.outputs("api") == first


def test_a_secret_is_nowhere_in_what_the_engine_writes(bench: Bench) -> None:
    outputs = bench.stack(program()).up(color="never").outputs
    assert outputs["password"].secret
    assert outputs["password"].value == PASSWORD
    assert "ciphertext" in bench.outputs("database")["masterPassword"]
    assert PASSWORD not in bench.written()


def test_a_replacement_gets_another_identifier_and_carries_what_depends_on_it(bench: Bench) -> None:
    bench.up(program())
    before = bench.outputs("firewall")
    changes = bench.up(program(description="web, of the new release"))
    after = bench.outputs("firewall")
    assert changes["replace"] >= 1
    assert (after["name"], after["arn"]) != (before["name"], before["arn"])
    assert bench.outputs("web")["securityGroups"] == [after["arn"].rsplit("/", 1)[1]]


def test_a_misspelled_property_fails_the_preview_with_the_resources_name(bench: Bench) -> None:
    with pytest.raises(auto.CommandError) as refused:
        bench.stack(program(misspelled=True)).preview(color="never")
    message = str(refused.value)
    assert "resource 'api' has a problem" in message
    assert "`actions[0].forward.target_groupz`: unknown property; did you mean `target_groups`?" in message


def test_a_refresh_changes_nothing(bench: Bench) -> None:
    bench.up(program())
    refreshed = bench.stack(program()).refresh(color="never")
    assert _changes(refreshed.summary.resource_changes) == {}
    assert bench.up(program()) == {}


def test_another_region_replaces_everything(bench: Bench) -> None:
    bench.up(program())
    previewed = bench.stack(program(), region="eu-central-1").preview(color="never")
    assert set(_changes(previewed.change_summary)) == {"replace"}


def test_what_the_world_tells_is_known_in_a_preview(bench: Bench) -> None:
    world = {"aws:eks/cluster:Cluster": {"endpoint": "https://127.0.0.1:6443"}}
    (bench.folder / "world.json").write_text(json.dumps(world))
    assert "https://127.0.0.1:6443" in bench.stack(cluster).preview(color="never").stdout


def test_reading_a_real_resource_is_refused_in_one_line(bench: Bench) -> None:
    with pytest.raises(auto.CommandError, match=r"`vpc-1` would ask a real account") as refused:
        bench.stack(lambda: pulumi.export("id", aws.ec2.Vpc.get("theirs", "vpc-1").id)).up(color="never")
    assert "Traceback" not in str(refused.value)


def test_an_invoke_is_refused_by_name(bench: Bench) -> None:
    with pytest.raises(
        auto.errors.InlineSourceRuntimeError, match="getCallerIdentity would ask a real account"
    ):
        bench.stack(lambda: pulumi.export("account", aws.get_caller_identity().account_id)).up(color="never")


def test_destroying_leaves_nothing(bench: Bench) -> None:
    bench.up(program())
    stack = bench.stack(program())
    stack.destroy(color="never")
    assert (stack.export_stack().deployment or {}).get("resources", []) == []
