"""Every workflow is one that GitHub understands, by the judgement of actionlint."""

import subprocess
from pathlib import Path

import pytest

from rehearsal.toolchain import ToolSet, ensure

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def judged(workflow: Path) -> subprocess.CompletedProcess[str]:
    # Whether shellcheck and pyflakes are on PATH decides nothing here.
    return subprocess.run(
        [str(ensure(ToolSet.ACTIONLINT)["actionlint"]), "-shellcheck=", "-pyflakes=", str(workflow)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_valid(workflow: Path) -> None:
    verdict = judged(workflow)
    assert verdict.returncode == 0, verdict.stdout


def test_a_mistake_in_a_workflow_is_found(tmp_path: Path) -> None:
    text = (ROOT / ".github" / "workflows" / "drift.yml").read_text()
    wrong = tmp_path / "drift.yml"
    wrong.write_text(text.replace("${{ matrix.stack }}", "${{ matrix.stak }}"))
    verdict = judged(wrong)
    assert verdict.returncode == 1
    assert '"stak" is not defined' in verdict.stdout
