"""`bootstrap/`, the home of Pulumi's own state, on the real engine."""

from pathlib import Path

import pytest

from tests.rehearsal.conftest import REPOSITORY, clear, lay

pytestmark = pytest.mark.rehearsal

BOOTSTRAP = REPOSITORY / "bootstrap"


def test_the_bootstrap_comes_up_and_stays_and_a_bad_file_is_refused_in_one_report(tmp_path: Path) -> None:
    desk = lay(tmp_path / "program", BOOTSTRAP)
    try:
        printed = desk.rehearse("up", "--stack", "backend")
        assert "backend is up" in printed
        assert "s3://quikapp-state-example-eu-central-1" in printed
        assert "create" not in desk.rehearse("up", "--stack", "backend")
        kept = [r for r in desk.resources("backend").values() if r["type"].endswith(("Bucket", "Key"))]
        assert kept
        assert all(resource["protect"] for resource in kept if resource["custom"])
        desk.edit(
            "backend", lambda config: config["quikapp-state:backend"].update(keptDays=7, bucket="State")
        )
        assert desk.rehearse("preview", "--stack", "backend", code=1) == (
            "error: Pulumi.backend.yaml has 2 faults:\n"
            '  quikapp-state:backend.bucket = "State": allowed is how the buckets\' names begin, in lower case: '
            "letters, digits and inner hyphens\n"
            "  quikapp-state:backend.keptDays = 7: allowed is at least 30\n"
        )
    finally:
        clear(desk)
