"""One drill from the stack that is up to what each step took, and whether all came back as it has to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from rehearsal.canary.weights import StateFile
from rehearsal.errors import RehearsalError
from rehearsal.project import Project
from rehearsal.recover.cluster import cluster
from rehearsal.recover.drill import Drill, Step
from rehearsal.recover.region import region
from rehearsal.recover.state import state
from rehearsal.session import Rehearsal
from rehearsal.toolchain import ToolSet, ensure

RECOVERY: Final = "recovery"
"""The key of a stack file that says what there is in the recovery region."""


@unique
class Scenario(StrEnum):
    """What is lost."""

    CLUSTER = "cluster"
    REGION = "region"
    STATE = "state"


SCENARIOS: Final[Mapping[Scenario, Callable[[Drill], None]]] = MappingProxyType(
    {Scenario.CLUSTER: cluster, Scenario.REGION: region, Scenario.STATE: state}
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of a drill.

    Attributes:
        stack: the stack's name.
        steps: in order, up to the one that failed.
        wrong: what is not as it has to be; None where all is.
    """

    scenario: Scenario
    stack: str
    steps: Sequence[Step]
    wrong: str | None

    @property
    def seconds(self) -> float:
        """What all steps took."""
        return sum(step.seconds for step in self.steps)


def recover(rehearsal: Rehearsal, scenario: Scenario) -> Report:
    """Lose something of the rehearsed environment, and bring it back.

    The environment is brought up where it is not. Killed, it is mended by whichever command comes next.

    Raises:
        RehearsalError: the scenario is not for this stack, the environment could not be brought up, or another process has it.
    """
    refuse_unfit(rehearsal.project, rehearsal.stack, scenario)
    if not StateFile(rehearsal.checkpoint).outputs():
        rehearsal.up()
    tools = ensure(ToolSet.KUBERNETES, ToolSet.KWOK, console=rehearsal.console)
    with rehearsal.entered() as stack:
        rehearsal.settle(stack)
        drill = Drill(rehearsal, stack, rehearsal.plane(tools))
        wrong = None
        try:
            SCENARIOS[scenario](drill)
        except RehearsalError as error:
            wrong = str(error)
        return Report(scenario=scenario, stack=rehearsal.stack, steps=drill.steps, wrong=wrong)


def refuse_unfit(project: Project, stack: str, scenario: Scenario) -> None:
    """Refuse what a stack cannot rehearse, before anything is built or brought up.

    Raises:
        RehearsalError: names the scenario, the stack and what is allowed.
    """
    if scenario is not Scenario.REGION or project.setting(stack, RECOVERY) is not None:
        return
    fit = [name for name in project.stacks if project.setting(name, RECOVERY) is not None]
    others = ", ".join(one for one in Scenario if one is not Scenario.REGION)
    raise RehearsalError(
        f"--scenario {scenario} is not for --stack {stack}, whose stack file has no {project.name}:{RECOVERY} and so one region: "
        f"allowed are --scenario {others}, or a stack with two regions ({', '.join(fit) or 'none here'})"
    )
