"""What the guides say is what the program is: the way of a version, the secrets, the runbooks, the tags, the keys, the sources."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from typing import Final

import pytest

from components.environment import DATABASE_USER
from components.monitoring.certificates import LEAF_LIFE, LEAF_RENEWAL
from operations.backup import SCHEDULE
from operations.environments import PAGE, EnvironmentName, Gate
from tests.unit.components.test_environment import facts_of
from tests.unit.pages import PAGES, ROOT, code, fences, links, section, table

OVERVIEW: Final = PAGES["docs/index.md"]
DEPLOYMENT: Final = PAGES["docs/deployment-guide.md"]
MAINTENANCE: Final = PAGES["docs/maintenance-guide.md"]
NOTES: Final = PAGES["docs/release-notes.md"]
GUIDES: Final = (
    "docs/index.md",
    "docs/deployment-guide.md",
    "docs/maintenance-guide.md",
    "docs/release-notes.md",
)

every_guide = pytest.mark.parametrize("page", GUIDES)

ASKS: Final = {
    Gate.AUTO: "merge",
    Gate.MANUAL: "trigger",
    Gate.APPROVAL: "trigger, approval",
    Gate.CAB: "trigger, CAB, change request",
}
"""What the picture says of a gate."""


def test_the_picture_is_the_order_of_the_environments_and_what_each_door_asks() -> None:
    (chart,) = fences(OVERVIEW, "mermaid")
    names = ["build", *EnvironmentName]
    assert re.findall(r"^ +(\w+)\S* ?.*-->\|\"([^\"]+)\"\| (\w+)", chart.body, re.MULTILINE) == [
        (before, ASKS[PAGE[name].gate], name) for before, name in zip(names, EnvironmentName, strict=False)
    ]


def test_each_environment_is_entered_by_the_door_that_the_page_gives_it() -> None:
    waits = {
        Gate.AUTO: "nothing",
        Gate.MANUAL: "a person who asks for it",
        Gate.APPROVAL: "and the approval of a reviewer",
        Gate.CAB: "and the approval of the CAB",
    }
    rows = table(section(DEPLOYMENT, "5. A version through them"))
    assert [(name, row["what it waits for"]) for row in rows for name in row["to"].split(", ")] == [
        (str(name), waits[PAGE[name].gate]) for name in EnvironmentName
    ]


def test_the_three_documents_of_the_page_come_first() -> None:
    assert [row["Document"] for row in table(OVERVIEW.partition("\n## ")[0])] == [
        "[Deployment guide](deployment-guide.md)",
        "[Release notes](release-notes.md)",
        "[Maintenance guide](maintenance-guide.md)",
    ]


def test_every_secret_is_told_with_the_stacks_that_take_it() -> None:
    stated: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["rehearsal"][
        "secrets"
    ]
    takers: dict[str, str] = {}
    for stack, secrets in stated.items():
        for secret in secrets:
            name = secret.removeprefix("secrets:")
            takers[name] = f"{takers[name]}, {stack}" if name in takers else stack
    told = {
        row["secret"].strip("`"): row["stacks"].rpartition(": ")[2].replace("all", "every")
        for row in table(section(DEPLOYMENT, "Its secrets"))
    }
    assert told == takers


def test_the_user_of_the_services_is_the_one_that_they_sign_in_as() -> None:
    (statements,) = fences(DEPLOYMENT, "sql")
    assert statements.body == f"CREATE USER {DATABASE_USER};\nGRANT rds_iam TO {DATABASE_USER};\n"


def test_every_runbook_is_found_by_what_one_sees() -> None:
    found = {link.partition("#")[0] for link in links(section(MAINTENANCE, "Something is wrong"))}
    runbooks = {f"runbooks/{path.name}" for path in (ROOT / "docs/runbooks").glob("*.md")}
    assert found >= runbooks | {"runbooks/recovery/README.md"}


def test_the_backups_are_kept_as_long_as_the_page_says() -> None:
    for row, entry in zip(
        table(section(MAINTENANCE, "Backups and restore tests")), SCHEDULE.values(), strict=True
    ):
        days = re.search(r"(\d+) days", row["kept"])
        kept = None if days is None else timedelta(days=int(days[1]))
        assert kept == entry.retention, row


def test_the_tags_are_those_of_every_resource() -> None:
    for text in ("`Environment`, `Owner`, `CostCenter`", "`Environment`, `Owner` and `CostCenter`"):
        assert text in MAINTENANCE
    assert {"Environment", "Owner", "CostCenter"} <= facts_of("live").tags.keys()


def test_the_secrets_that_are_rotated_are_all_there_are() -> None:
    rotation = section(MAINTENANCE, "Rotation")
    assert {row["secret"] for row in table(section(DEPLOYMENT, "Its secrets"))} <= {
        f"`{name}`" for name in code(rotation)
    }


def test_certificates_are_renewed_by_the_update_of_every_half_year() -> None:
    duties = table(section(MAINTENANCE, "Duties"))
    (update,) = [row for row in duties if "certificates" in row["well is"]]
    assert update["when"] == "every half year"
    assert LEAF_RENEWAL >= timedelta(days=180) <= LEAF_LIFE - LEAF_RENEWAL


@every_guide
def test_every_key_of_a_stack_file_that_is_named_is_one(page: str) -> None:
    for key in re.findall(r"quikapp:[a-zA-Z.]*[a-zA-Z]", PAGES[page]):
        group, _, path = key.partition(".")
        settings = section(PAGES["docs/reference/settings.md"], group)
        assert not path or f"| `{path}` |" in settings or f"| `{path}." in settings, f"{page} names {key}"


@every_guide
def test_every_constant_and_source_file_that_is_named_is_there(page: str) -> None:
    for name in code(PAGES[page]):
        if re.fullmatch(r"[\w/]+/[\w.]+\.(py|yaml)|[\w.-]+\.(toml|lock)", name):
            assert (ROOT / name).is_file(), f"{page} names {name}"
        if re.fullmatch(r"[A-Z_]{8,}", name) and name != "STANDARD":
            sources = "".join(
                (ROOT / path).read_text()
                for path in ("operations/versions.py", ".github/workflows/drift.yml")
            )
            assert name in sources, f"{page} names {name}"


def test_the_release_notes_say_the_version_and_that_there_is_no_tag() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"under the version {version} of `pyproject.toml`" in NOTES
    assert f"## Unreleased, {version}" in NOTES


def test_every_entry_of_the_release_notes_is_newest_first_and_says_what_to_do() -> None:
    entries = re.findall(r"^### (\d{4}-\d\d-\d\d): ", NOTES, re.MULTILINE)
    assert entries == sorted(entries, reverse=True)
    first, *others = re.split(r"^### ", NOTES, flags=re.MULTILINE)[:0:-1]
    assert "**Upgrade.**" not in first, "nothing was there before"
    for entry in others:
        assert [*table(entry)[0]] == ["for", "what breaks", "what to do"], entry
