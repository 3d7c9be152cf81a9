"""The workflow of the site builds it for every pull request, and publishes what was merged and nothing else."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.unit.delivery.workflows import ROOT, load, steps_of, value

WORKFLOW = load("site")
BUILD, PUBLISH = WORKFLOW["jobs"]["build"], WORKFLOW["jobs"]["publish"]


def test_it_builds_what_is_proposed_and_what_is_merged() -> None:
    assert set(WORKFLOW["on"]) == {"pull_request", "push"}
    assert WORKFLOW["on"]["push"] == {"branches": ["main"]}
    assert "if" not in BUILD


@pytest.mark.parametrize(("event", "publishes"), [("push", "true"), ("pull_request", "")])
def test_only_what_was_merged_is_published(event: str, publishes: str) -> None:
    (upload,) = steps_of(BUILD, "upload-pages-artifact")
    known = {"github.event_name": event}
    assert value(upload["if"], known) == value(PUBLISH["if"], known) == publishes
    assert PUBLISH["needs"] == "build"


def test_who_publishes_runs_nothing_of_the_repository_and_who_builds_may_write_nothing() -> None:
    assert WORKFLOW["permissions"] == {}
    assert BUILD["permissions"] == {"contents": "read"}
    assert PUBLISH["permissions"] == {"pages": "write", "id-token": "write"}
    assert [step["uses"].partition("@")[0] for step in PUBLISH["steps"]] == ["actions/deploy-pages"]
    assert PUBLISH["environment"]["name"] == "github-pages"


def test_it_publishes_the_folder_that_make_site_fills() -> None:
    (upload,) = steps_of(BUILD, "upload-pages-artifact")
    assert "make site" in [step.get("run") for step in BUILD["steps"]]
    (site,) = re.findall(r"^site_dir: (\S+)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert upload["with"] == {"path": site}


def test_the_site_leads_to_the_repository_that_the_stacks_name() -> None:
    (repository,) = re.findall(r"^repo_url: (\S+)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    live = yaml.safe_load((ROOT / "Pulumi.live.yaml").read_text())["config"]
    assert live["quikapp:monitoring"]["runbooksUrl"].startswith(f"{repository}/blob/main/")
