"""A deployment of infrastructure: what is in force goes before what Git says of versions, and what is red changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from delivery.deploy import deployment
from delivery.deploy.deployment import Deployment
from delivery.errors import DeliveryError
from operations.changes import ChangeRequest
from operations.delivery import Running, Situation
from operations.environments import EnvironmentName, Gate
from operations.preview.digest import Digest
from operations.release import Release
from operations.slots import Slot
from rollout.desk import Desk
from rollout.stack_file import StackFile

OLD, NEW = "v2.3.0", "v2.4.0"
FILE = """\
config:
  quikapp:environment:
    sla: {sla}
    gate: {gate}
    recoveryRegion: eu-central-1
    owner: platform
    costCenter: quikapp
  quikapp:release:
    blue: {{version: v2.3.0, weight: 100}}
    green: {{version: v2.2.0, weight: 0}}
    standby: full # since yesterday
    switch: ladder
"""


@dataclass
class World:
    """The engine and the infrastructure of a stack: what was previewed, and what was done."""

    file: StackFile
    release: Release | None
    red: bool = False
    previewed: list[str] = field(default_factory=list[str])
    done: list[str] = field(default_factory=list[str])
    said: list[str] = field(default_factory=list[str])

    @property
    def infrastructure(self) -> World:
        return self

    @property
    def engine(self) -> World:
        return self

    def told(self) -> Release | None:
        return self.release

    def up(self, message: str) -> None:
        self.done.append(message)


def moved(release: Release) -> Release:
    """The same after a rollout to green, when standby was something else."""
    return Release.model_validate(
        {
            **release.model_dump(),
            "blue": {"version": OLD, "weight": 0},
            "green": {"version": NEW, "weight": 100},
            "standby": "warm",
            "stable": OLD,
        },
        strict=False,
    )


def deploy(
    monkeypatch: pytest.MonkeyPatch, folder: Path, stack: EnvironmentName, *, red: bool = False
) -> World:
    """Deploy the infrastructure of a stack whose file is behind what is in force."""
    live = stack is EnvironmentName.LIVE
    gate = {EnvironmentName.DEV: Gate.AUTO, EnvironmentName.LIVE: Gate.CAB}.get(stack, Gate.MANUAL)
    file = StackFile(folder / f"Pulumi.{stack}.yaml")
    file.path.write_text(FILE.format(sla="99.99" if live else "none", gate=gate))
    world = World(file, moved(file.release()), red)
    ledger = (ChangeRequest(request="CHG0030041", version=NEW),) if live else ()
    running = Running({Slot.BLUE: OLD, Slot.GREEN: NEW}, {Slot.BLUE: 0, Slot.GREEN: 100})

    def situation(_: object) -> Situation:
        return Situation(running, gate, None, ledger, ledger, ())

    def preview(_: object, stack: EnvironmentName, text: str) -> Digest:
        world.previewed.append(text)
        return Digest(stack=stack, errors=("no such zone",) if world.red else ())

    monkeypatch.setattr(deployment, "situation", situation)
    monkeypatch.setattr(deployment.reader, "preview", preview)
    desk = cast("Desk", _Desk(stack, file, world))
    change = "CHG0030042" if live else None
    Deployment(desk, "ada", change, world.said.append).infrastructure()
    return world


@dataclass
class _Desk:
    stack: str
    file: StackFile
    infrastructure: Any


def test_versions_and_weights_are_those_in_force_and_the_rest_is_gits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = deploy(monkeypatch, tmp_path, EnvironmentName.QA)
    release = world.file.release()
    assert (release.blue.weight, release.green.weight, release.green.version) == (0, 100, NEW)
    assert (release.stable, release.standby) == (OLD, "full")
    assert "standby: full # since yesterday" in world.file.path.read_text()
    assert world.previewed == [world.file.path.read_text()]
    assert world.done == ["deploy: infrastructure, by ada"]
    assert "Pulumi.qa.yaml is behind: its release and change requests are those in force now." in world.said


def test_where_merges_deploy_they_bring_the_version_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = deploy(monkeypatch, tmp_path, EnvironmentName.DEV)
    assert world.file.release().blue.weight == 100
    assert world.done == ["deploy: infrastructure, by ada"]


def test_in_live_the_change_request_is_noted_for_the_version_that_serves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = deploy(monkeypatch, tmp_path, EnvironmentName.LIVE)
    noted = [(entry.request, entry.version) for entry in world.file.changes()]
    assert noted == [("CHG0030041", NEW), ("CHG0030042", NEW)]
    assert world.done == ["deploy: infrastructure, by ada under CHG0030042"]


def test_what_is_red_changes_neither_the_stack_nor_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(DeliveryError, match="nothing was changed:\nqa: failed: no such zone"):
        deploy(monkeypatch, tmp_path, EnvironmentName.QA, red=True)
    assert StackFile(tmp_path / "Pulumi.qa.yaml").release().blue.weight == 100


def test_red_is_told_before_anything_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = list[str]()

    def note(_: World, message: str) -> None:
        done.append(message)

    monkeypatch.setattr(World, "up", note)
    with pytest.raises(DeliveryError):
        deploy(monkeypatch, tmp_path, EnvironmentName.LIVE, red=True)
    assert done == []
