"""Every example composes the components in its own way, and comes up."""

from pathlib import Path

import pytest

from tests.rehearsal.conftest import REPOSITORY, clear, lay

pytestmark = pytest.mark.rehearsal

EXAMPLES = sorted(path.parent for path in (REPOSITORY / "examples").glob("*/Pulumi.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_comes_up_and_stays(example: Path, tmp_path: Path) -> None:
    assert len((example / "__main__.py").read_text().splitlines()) < 40
    desk = lay(tmp_path / "program", example)
    try:
        assert "dev is up" in desk.rehearse("up", "--stack", "dev")
        assert "create" not in desk.rehearse("up", "--stack", "dev")
    finally:
        clear(desk)


def test_there_are_examples() -> None:
    assert {example.name for example in EXAMPLES} >= {"backup_bucket", "one_service"}
