"""What the engine of a rehearsal finds, and what it must not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal.engine import Engine, backend_url, clear_dead_update, only_one, plugins
from rehearsal.errors import RehearsalError


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The engine's environment is the process's own: each test gets it back as it was."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("AWS_SECRET_ACCESS_KEY", "KUBECONFIG", "PULUMI_ACCESS_TOKEN"):
        os.environ[name] = "a way to a real account"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    directory = tmp_path / "rehearsal"
    directory.mkdir()
    (directory / "token").write_text("t0ken")
    made = Engine(directory, Path(sys.executable), directory / "project", directory / "token")
    made.install(world={}, passphrase=directory / "passphrase")
    return made


def _plugin(engine: Engine, name: str) -> Path:
    (found,) = (engine.directory / "engine/home/plugins").glob(f"resource-{name}-v*/pulumi-resource-{name}")
    return found


def test_nothing_leads_to_a_real_account(engine: Engine) -> None:
    assert engine.state.is_dir()
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ
    assert "KUBECONFIG" not in os.environ
    assert "PULUMI_ACCESS_TOKEN" not in os.environ
    assert os.environ["PULUMI_BACKEND_URL"] == backend_url(engine.state)


def test_every_sdk_has_its_plugin_in_the_engines_own_folder(engine: Engine) -> None:
    assert {plugin.name for plugin in plugins()} >= {"aws", "kubernetes"}
    assert "rehearsal.providers.recorder" in _plugin(engine, "aws").read_text()
    assert "rehearsal.providers.kubernetes" in _plugin(engine, "kubernetes").read_text()


def test_policy_packs_run_on_the_python_that_rehearses(engine: Engine) -> None:
    (analyzer,) = (engine.directory / "engine/home/plugins").glob("analyzer-*/pulumi-analyzer-policy-python")
    started, *_ = analyzer.read_text().splitlines()
    assert started == f"#!{sys.executable} -u"
    assert "pulumi.policy" in analyzer.read_text()


def test_no_plugin_is_taken_from_the_persons_path(engine: Engine) -> None:
    assert engine.state.is_dir()
    assert os.environ["PULUMI_IGNORE_AMBIENT_PLUGINS"] == "true"


def test_the_official_kubernetes_plugin_is_used_where_it_is_installed(engine: Engine, tmp_path: Path) -> None:
    (plugin,) = (plugin for plugin in plugins() if plugin.name == "kubernetes")
    official = tmp_path / "home" / ".pulumi" / "plugins" / plugin.folder
    official.mkdir(parents=True)
    os.environ.pop("PULUMI_HOME")
    home = engine.directory / "engine/home/plugins" / plugin.folder
    assert not home.is_symlink()
    for _ in range(2):
        engine.install(world={}, passphrase=engine.directory / "passphrase")
        assert home.resolve() == official.resolve()


def test_the_same_process_may_install_twice(engine: Engine) -> None:
    engine.install(world={}, passphrase=engine.directory / "passphrase")
    assert "rehearsal.providers.kubernetes" in _plugin(engine, "kubernetes").read_text()


def test_the_engine_of_another_rehearsal_is_not_the_persons_own(engine: Engine, tmp_path: Path) -> None:
    directory = tmp_path / "another"
    directory.mkdir()
    another = Engine(directory, Path(sys.executable), directory / "project", engine.token)
    another.install(world={}, passphrase=directory / "passphrase")
    assert not _plugin(another, "kubernetes").parent.is_symlink()


def test_the_stand_in_for_the_aws_cli_gives_a_token_and_nothing_else(engine: Engine) -> None:
    aws = engine.directory / "engine/bin/aws"
    answer = subprocess.run([aws, "eks", "get-token"], capture_output=True, text=True, check=True).stdout
    assert json.loads(answer)["status"] == {"token": "t0ken"}
    refused = subprocess.run([aws, "s3", "ls"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr == "the rehearsal has no AWS account: aws s3 ls\n"


def test_a_lock_of_a_process_that_is_not_our_engine_is_lifted_and_the_process_left_alone(
    engine: Engine,
) -> None:
    lock = engine.state / ".pulumi/locks/organization/quikapp/dev/one.json"
    lock.parent.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        lock.write_text(json.dumps({"pid": stranger.pid}))
        clear_dead_update(engine.directory)
        assert not lock.exists()
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("text", ["", "{}", '{"pid": null}', "[]"])
def test_a_lock_that_says_nothing_is_lifted(engine: Engine, text: str) -> None:
    lock = engine.state / ".pulumi/locks/one.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(text)
    clear_dead_update(engine.directory)
    assert not lock.exists()


def test_the_second_holder_is_refused_with_the_firsts_process(tmp_path: Path) -> None:
    lock = tmp_path / "dev.lock"
    with (
        only_one(lock, "dev"),
        pytest.raises(RehearsalError, match=f"'dev' is in use by process {os.getpid()}:"),
        only_one(lock, "dev"),
    ):
        pass
