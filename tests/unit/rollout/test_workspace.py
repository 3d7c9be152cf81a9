"""What is missing before anything can be asked of the engine is said by its name."""

from pathlib import Path

import pytest

from rollout.engine import workspace_of
from rollout.errors import RolloutError


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine that tells its version and does nothing else; the only program on PATH."""
    engine = tmp_path / "bin" / "pulumi"
    engine.parent.mkdir()
    engine.write_text("#!/bin/sh\necho v3.259.0\n")
    engine.chmod(0o700)
    monkeypatch.setenv("PATH", str(engine.parent))
    return engine


def test_without_an_engine_it_is_told_what_to_install(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    assert workspace_of(tmp_path).project_settings().name == "shop"
    installed.unlink()
    with pytest.raises(RolloutError, match=r"^no pulumi on PATH: install the Pulumi CLI, https://"):
        workspace_of(tmp_path)


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("echo v3.0.0", "Minimum version requirement failed"),
        ("echo unknown", "Could not parse the Pulumi CLI version"),
        ("exit 7", "the pulumi on PATH does not run: "),
    ],
)
def test_an_engine_that_is_none_of_ours_is_told_in_a_line(
    installed: Path, tmp_path: Path, does: str, why: str
) -> None:
    installed.write_text(f"#!/bin/sh\n{does}\n")
    with pytest.raises(RolloutError, match=f"^{why}.*: install the Pulumi CLI, https://") as refused:
        workspace_of(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "text",
    ["name: [", "runtime: python\n", "- name\n", "", "shop"],
    ids=["no YAML", "no name", "a list", "nothing", "text"],
)
def test_a_project_that_is_none_is_told_in_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text(text)
    with pytest.raises(
        RolloutError, match=r"Pulumi\.yaml is no project: .*; allowed is a mapping with"
    ) as refused:
        workspace_of(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("installed")
def test_without_a_project_it_is_told_where_one_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match=rf"^no Pulumi\.yaml in {tmp_path}: name the folder"):
        workspace_of(tmp_path)
