"""The real engine asks the guardrails, and holds each stack to them as firmly as the project says."""

from pathlib import Path

import pytest

from tests.rehearsal.conftest import REPOSITORY, clear, lay

pytestmark = pytest.mark.rehearsal

UNTAGGED = "policy required-tags: aws:s3/bucket:Bucket "


def test_a_violation_stops_an_update_before_anything_is_made_or_warns_where_that_is_said(
    tmp_path: Path,
) -> None:
    desk = lay(tmp_path / "program", REPOSITORY / "examples" / "backup_bucket")
    (desk.project / "policy").symlink_to(REPOSITORY / "policy")
    try:
        printed = desk.rehearse("up", "--stack", "dev", code=1)
        assert UNTAGGED in printed
        assert '; allowed is Application "quikapp"' in printed
        assert "warning" not in printed
        assert not desk.state("dev").get("resources")

        (desk.project / "pyproject.toml").write_text('[tool.rehearsal.policy]\nadvisory = ["dev"]\n')
        printed = desk.rehearse("up", "--stack", "dev")
        assert f"warning {UNTAGGED}" in printed
        assert "dev is up" in printed
    finally:
        clear(desk)
