"""docs/delivery.md says of doors, settings, exit codes and waits what the code does."""

from __future__ import annotations

from datetime import timedelta

from operations.delivery import door
from operations.environments import EnvironmentName
from rollout.command_line import FAILED, INTERRUPTED
from rollout.ending import ROLLED_BACK
from rollout.record import LEASE, LEASE_IN_UPDATE
from tests.unit.pages import PAGES, code, section, table

PAGE = PAGES["docs/delivery.md"]


def test_the_doors_are_those_of_the_gates() -> None:
    def yes(holds: bool) -> str:
        return "yes" if holds else "no"

    assert [list(row.values()) for row in table(section(PAGE, "Doors"))] == [
        [
            f"`{name}`",
            found.trigger.value,
            f"`{found.environment}`",
            yes(found.reviewers),
            yes(found.change_request),
        ]
        for name in EnvironmentName
        for found in (door(name),)
    ]


def test_every_environment_that_a_job_names_is_to_be_set_up_with_its_reviewers() -> None:
    settings = {
        tuple(code(row["setting of the repository"])): row["value"]
        for row in table(section(PAGE, "Set up once"))
    }
    for name in EnvironmentName:
        (value,) = [value for names, value in settings.items() if door(name).environment in names]
        assert value.startswith("required reviewers" if door(name).reviewers else "no reviewers")
        assert any(f"preview-{name}" in names for names in settings)


def test_the_exit_codes_are_those_of_the_command() -> None:
    head = "| exit code |"
    codes = [row["exit code"] for row in table(head + PAGE.partition(head)[2].partition("\n\n")[0])]
    assert codes == ["0", str(FAILED), str(ROLLED_BACK), str(INTERRUPTED)]


def test_a_dead_driver_is_waited_for_as_long_as_its_lease_lasts() -> None:
    assert timedelta(minutes=2) == LEASE
    assert timedelta(minutes=30) == LEASE_IN_UPDATE
    said = " ".join(section(PAGE, "When a job dies").split())
    assert "runs out after two minutes of silence, and after thirty in the middle of an update" in said
