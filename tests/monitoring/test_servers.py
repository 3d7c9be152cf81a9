"""The servers that the other tests rely on come up, and go."""

from pathlib import Path

import pytest

from tests.monitoring.servers import alertmanager, get, prometheus


def test_a_prometheus_serves_while_it_is_needed_and_no_longer(tmp_path: Path) -> None:
    with prometheus(tmp_path, {}) as url:
        assert '"status":"success"' in get(f"{url}/api/v1/query?query=1")
    with pytest.raises(OSError, match="refused"):
        get(url)


def test_an_alertmanager_serves_while_it_is_needed_and_no_longer(tmp_path: Path) -> None:
    config = {"route": {"receiver": "nowhere"}, "receivers": [{"name": "nowhere"}]}
    with alertmanager(tmp_path, config) as url:
        assert get(f"{url}/api/v2/alerts").strip() == "[]"
    with pytest.raises(OSError, match="refused"):
        get(url)


def test_a_server_that_cannot_start_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(AssertionError, match="alertmanager ended before it listened"),
        alertmanager(tmp_path, {"route": {"receiver": "missing"}}),
    ):
        pass
    assert 'undefined receiver \\"missing\\"' in capfd.readouterr().err
