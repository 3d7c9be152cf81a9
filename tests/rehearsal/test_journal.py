"""The journal on the real engine: what one process writes the next one goes on with, however the stack's secrets are encrypted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rehearsal.engine import LEFT_OUT_PREFIXES, backend_url
from rehearsal.toolchain import ToolSet, ensure
from tests.rehearsal.conftest import REPOSITORY
from tests.rehearsal.stand_in_kms import stand_in_kms

pytestmark = pytest.mark.rehearsal

WRITES = """
import sys
from pathlib import Path
from rollout.desk import Desk
from rollout.record import Record
from tests.unit.operations.rollouts import World, plan

def written(found):
    print("found", "none" if found is None else len(found.points))
    return found or Record(state=World.of(plan()).state)

journal = Desk("live", Path(sys.argv[1]), Path("none"), "").journal
read = journal.read()
print("read", "none" if read is None else len(read.points))
journal.change(written)
journal.change(written)
"""
"""A process with a journal of its own, as each command has one."""


@pytest.fixture(params=["awskms", "passphrase"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The engine as a person has it who set the stack up like the deployment guide says, or with a passphrase."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "Pulumi.yaml").write_text("name: quikapp\nruntime: python\n")
    (tmp_path / "state").mkdir()
    engine = ensure(ToolSet.PULUMI)["pulumi"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT_PREFIXES)}
    with stand_in_kms() as kms:
        keys: Mapping[str, Mapping[str, str]] = {
            "passphrase": {"PULUMI_CONFIG_PASSPHRASE": "two processes"},
            "awskms": {
                "AWS_ENDPOINT_URL": kms,
                "AWS_REGION": "eu-central-1",
                "AWS_ACCESS_KEY_ID": "nobody",
                "AWS_SECRET_ACCESS_KEY": "nothing",
            },
        }
        providers = {"awskms": "awskms://alias/state?context_stack=live", "passphrase": "passphrase"}
        made = {
            **kept,
            **keys[request.param],
            "PATH": f"{engine.parent}{os.pathsep}{kept['PATH']}",
            "PULUMI_HOME": str(tmp_path / "home"),
            "PULUMI_BACKEND_URL": backend_url(tmp_path / "state"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        initiated = ("pulumi", "stack", "init", "live", "--secrets-provider", providers[request.param])
        subprocess.run(initiated, cwd=work, env=made, check=True, capture_output=True, timeout=60)
        yield made


def test_what_one_process_writes_the_next_one_goes_on_with(
    environment: dict[str, str], tmp_path: Path
) -> None:
    def process() -> str:
        ended = subprocess.run(
            [sys.executable, "-c", WRITES, str(tmp_path / "work")],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    assert process() == "read none\nfound none\nfound 0\n"
    assert process() == "read 0\nfound 0\nfound 0\n"
