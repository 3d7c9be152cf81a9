"""The comment on a pull request: read in half a minute, true to the digests, and never too long or somebody else's text."""

from __future__ import annotations

import re
from typing import Any

import pytest

from operations.environments import EnvironmentName
from operations.limits import ISSUE_LENGTH
from operations.preview.comment import MARKER, markdown, warnings
from operations.preview.costs import Measure
from operations.preview.digest import Change, Digest, SlotChange, Violation, digest
from operations.preview.fears import Caution, Fear
from operations.release import SlotRelease
from operations.slots import Slot
from tests.unit.operations.previews import step

LIVE, DEV = EnvironmentName.LIVE, EnvironmentName.DEV
RULE, ROLE = "aws:lb/listenerRule:ListenerRule", "aws:iam/role:Role"


def slot(before: tuple[str, int] | None, after: tuple[str, int] | None) -> SlotChange:
    releases = [each and SlotRelease(version=each[0], weight=each[1]) for each in (before, after)]
    return SlotChange(slot=Slot.BLUE, before=releases[0], after=releases[1])


def caution(fear: Fear, name: str, operation: str = "update", kind: str = ROLE, why: str = "") -> Caution:
    return Caution(fear=fear, operation=operation, type=kind, name=name, why=why)


def row(found: Digest) -> list[str]:
    """The cells of a stack in the table."""
    (line,) = [line for line in markdown([found]).splitlines() if line.startswith(f"| {found.stack} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_one_table_has_a_row_for_each_stack_in_the_order_of_promotion() -> None:
    text = markdown([Digest(stack=LIVE), Digest(stack=DEV)])
    assert [line for line in text.splitlines() if line.startswith("| ")][1:] == [
        "| --- | --: | --: | --: | --: | --- | --- | --- |",
        "| dev |  |  |  |  |  |  | no change |",
        "| live |  |  |  |  |  |  | no change |",
    ]
    assert "CAUTION" not in text
    assert "<details>" not in text


def test_a_row_counts_operations_and_tells_release_costs_and_what_to_look_at() -> None:
    found = Digest(
        stack=LIVE,
        changes=tuple(
            Change(operation=operation, type=RULE, name="it")
            for operation in ("create", "create", "update", "replace", "delete", "import")
        ),
        slots=(slot(("v2.3.0", 100), ("v2.4.0", 95)),),
        costs=(
            Measure(what="NAT gateways", unit="", before=3, after=1),
            Measure(what="volumes of pods", unit="GiB", before=20, after=40.5),
        ),
        cautions=(caution(Fear.IDENTITY, "it"),),
    )
    assert row(found) == [
        *("live", "2", "1", "1", "1"),
        "blue v2.3.0 → v2.4.0, 100 → 95 %",
        "NAT gateways -2, volumes of pods +20.5 GiB",
        "1 caution, 1 other change",
    ]


def test_a_slot_that_comes_or_goes_is_told_as_such() -> None:
    assert row(Digest(stack=LIVE, slots=(slot(None, ("v2.4.0", 0)),)))[5] == "blue (none) → v2.4.0, 0 %"
    assert row(Digest(stack=LIVE, slots=(slot(("v2.4.0", 0), None),)))[5] == "blue v2.4.0, 0 % → (none)"


def test_cautions_stand_in_red_above_the_details_and_name_the_stack_with_each_fear() -> None:
    found = Digest(
        stack=LIVE,
        changes=(Change(operation="update", type=ROLE, name="one"),),
        cautions=(
            caution(Fear.LOSS, "files", "delete", "aws:s3/bucket:Bucket", "its objects"),
            caution(Fear.IDENTITY, "one"),
            caution(Fear.IDENTITY, "two"),
        ),
    )
    red, _, details = markdown([found]).partition("<details>")
    assert red.split("> [!CAUTION]\n")[1].strip().splitlines() == [
        f"> **live** {Fear.LOSS}:",
        "> - delete `aws:s3/bucket:Bucket` `files`: its objects",
        ">",
        f"> **live** {Fear.IDENTITY}:",
        "> - update 2 `aws:iam/role:Role`: `one`, `two`",
    ]
    assert "| update | `aws:iam/role:Role` | `one` |" in details


def test_what_is_deleted_is_listed_before_what_is_created() -> None:
    changes = [
        Change(operation=operation, type=RULE, name=operation) for operation in ("create", "update", "delete")
    ]
    listed = re.findall(
        r"^\| (\w+) \| `aws", markdown([Digest(stack=LIVE, changes=tuple(changes))]), re.MULTILINE
    )
    assert listed == ["delete", "update", "create"]


def hostile(text: str) -> Digest:
    """A digest with this text wherever a text of others can stand."""
    return Digest(
        stack=LIVE,
        errors=(text, f"{text}\n{text}"),
        changes=(Change(operation=text, type=text, name=text, properties=(text, text)),),
        costs=(Measure(what=text, unit=text, before=0, after=1),),
        cautions=tuple(caution(fear, text, text, text, text) for fear in Fear),
        violations=tuple(
            Violation(policy=text, mandatory=mandatory, resource=text, message=text)
            for mandatory in (True, False)
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "a|b",
        "@octocat",
        "a`b",
        "`|`",
        "```\n</details>",
        "<img src=x>",
        "a\n\n# b",
        "\x1b[31m",
        "[a](b)",
        "-->",
    ],
)
def test_no_text_ends_a_cell_or_a_block_or_calls_anybody(text: str) -> None:
    plain, said = (markdown([hostile(each)]).splitlines() for each in ("harmless", text))
    bare = [re.sub(r"`[^`]*`", "`code`", line) for line in _outside(said)]
    for mark in ("@", "<img", "\x1b", "[a]", "-->"):
        assert mark not in "\n".join(bare)
    assert [line.count("|") for line in _outside(plain)] == [line.count("|") for line in _outside(said)]
    assert bare.count("</details>") == 1


def _outside(lines: list[str]) -> list[str]:
    """The lines outside of blocks of code."""
    found: list[str] = []
    inside = False
    for line in lines:
        if line.startswith("> ```"):
            inside = not inside
        elif not inside:
            found.append(line)
    assert not inside
    return found


@pytest.mark.parametrize("many", [1, 40, 400])
def test_a_comment_of_any_size_fits_github(many: int) -> None:
    text = "|" * 5000
    each = hostile(text)
    large: dict[str, Any] = {
        "errors": tuple(f"{number}\n" * 50 + text for number in range(many)),
        "changes": each.changes * many,
        "costs": each.costs * many,
        "cautions": tuple(one for one in each.cautions for _ in range(many)),
        "violations": each.violations * many,
        "slots": (slot(("v1.0.0", 0), ("v2.0.0", 0)),) * many,
    }
    text = markdown([each.model_copy(update={"stack": stack, **large}) for stack in EnvironmentName])
    assert len(MARKER) + 1 + len(text) <= ISSUE_LENGTH.value
    assert all(
        f"| {stack} |" in text and f"**{stack}**: the preview failed" in text for stack in EnvironmentName
    )
    if many > 1:
        assert "more" in text


def test_the_same_plan_gives_the_same_comment_in_whatever_order_the_engine_went() -> None:
    steps = [step("update", RULE, {}, {}, name=name, properties=["b", "a"]) for name in ("web", "api")]
    one, other = (digest(LIVE, each, ({}, {}), (), ()) for each in (steps, steps[::-1]))
    assert one == other
    assert [change.name for change in one.changes] == ["api", "web"]
    assert markdown([one]) == markdown([other])


def test_providers_that_the_engine_made_up_are_no_resources() -> None:
    steps = [
        step("create", "pulumi:providers:aws", None, {}, name=name) for name in ("default_7_51_1", "away")
    ]
    found = digest(LIVE, steps, ({}, {}), (), ())
    assert [change.name for change in found.changes] == ["away"]
    same = [step("same", "pulumi:providers:aws", {}, {}, name="default")]
    assert digest(LIVE, same, ({}, {}), (), ()).unchanged == 0


def test_of_a_program_that_broke_off_no_costs_are_told() -> None:
    steps = [step("delete", "aws:kms/key:Key", {})]
    assert [measure.what for measure in digest(LIVE, steps, ({}, {}), (), ()).costs] == ["KMS keys"]
    assert digest(LIVE, steps, ({}, {}), (), ("no such zone",)).costs == ()


def test_a_person_at_a_terminal_is_told_the_same_dangers() -> None:
    found = hostile("harmless")
    told = warnings(found)
    assert told[:2] == ["live: failed: harmless", "live: failed: harmless\nharmless"]
    assert told[2] == "live: refused: `harmless` `harmless` `harmless`"
    assert len(told) == 3 + len(Fear)


def test_a_digest_survives_the_file_between_two_commands() -> None:
    found = hostile("any text at all \n|")
    assert Digest.model_validate_json(found.model_dump_json(by_alias=True)) == found
