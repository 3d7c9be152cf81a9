"""The parts of the control plane that need no cluster: nodes, custom resources, keys, and daemons."""

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehearsal import certificates
from rehearsal.control_plane import ControlPlane, Nodes, custom_resource_definitions
from rehearsal.errors import RehearsalError
from rehearsal.processes import Daemon, Daemons, free_port, port_holder, started

SLEEPER = Daemon(name="sleeper", command=["/bin/sleep", "600"])


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    daemons = Daemons(tmp_path)
    yield daemons
    daemons.stop([record.stem for record in tmp_path.glob("*.json")])


def test_nodes_are_spread_evenly_over_the_zones() -> None:
    nodes = Nodes(region="eu-west-1", zones=["eu-west-1a", "eu-west-1b"], per_zone=3).manifests()
    zones = Counter(node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes.values())
    assert zones == {"eu-west-1a": 3, "eu-west-1b": 3}


def test_every_node_has_an_address_of_its_own() -> None:
    nodes = Nodes(region="eu-west-1", zones=["eu-west-1a", "eu-west-1b", "eu-west-1c"]).manifests()
    addresses = {node["metadata"]["annotations"]["rehearsal/address"] for node in nodes.values()}
    assert len(addresses) == len(nodes) == 6


def test_the_custom_resources_are_those_of_eks_auto_mode() -> None:
    names = {definition["metadata"]["name"] for definition in custom_resource_definitions()}
    assert names == {
        "ingressclassparams.eks.amazonaws.com",
        "nodeclasses.eks.amazonaws.com",
        "nodepools.karpenter.sh",
        "targetgroupbindings.eks.amazonaws.com",
    }


def test_the_serving_certificate_is_trusted_by_its_authority_for_loopback(tmp_path: Path) -> None:
    certificates.issue(tmp_path, "172.20.0.1", [("client", "system:client")])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "apiserver.pem", tmp_path / "apiserver.key")
    server.load_verify_locations(tmp_path / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")

    subject = shake_hands(server, client, "127.0.0.1")

    assert subject == {"commonName": "system:client"}


def test_a_cluster_that_was_never_started_says_so(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path / "cluster", {}, Nodes(region="eu-west-1", zones=["eu-west-1a"]))
    status = plane.status()
    assert not status.ready
    assert [daemon.pid for daemon in status.daemons] == [None] * 5
    with pytest.raises(RehearsalError, match="bring the stack up first"):
        _ = plane.endpoint
    plane.stop(remove=True)
    assert not plane.directory.exists()


def test_a_daemon_outlives_the_program_that_started_it(tmp_path: Path, daemons: Daemons) -> None:
    source = (
        "import sys; from pathlib import Path; from rehearsal.processes import Daemon, Daemons;"
        "Daemons(Path(sys.argv[1])).start(Daemon(name='sleeper', command=['/bin/sleep', '600']))"
    )
    subprocess.run([sys.executable, "-c", source, str(tmp_path)], check=True)
    assert daemons.pid("sleeper") is not None


def test_a_daemon_that_runs_is_not_started_twice(daemons: Daemons) -> None:
    daemons.start(SLEEPER)
    first = daemons.pid("sleeper")
    daemons.start(SLEEPER)
    assert daemons.pid("sleeper") == first


def test_a_stopped_daemon_is_gone(daemons: Daemons) -> None:
    daemons.start(SLEEPER)
    pid = daemons.pid("sleeper")
    assert pid is not None
    daemons.stop(["sleeper"])
    assert daemons.pid("sleeper") is None
    assert started(pid) is None


def test_a_daemon_that_ignores_the_polite_signal_is_killed(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rehearsal.processes.PATIENCE_SECONDS", 0.2)
    script = "trap '' TERM; echo deaf; while :; do /bin/sleep 0.1; done"
    daemons.start(Daemon(name="deaf", command=["/bin/sh", "-c", script]))
    eventually(lambda: "deaf" in daemons.log("deaf").read_text())
    daemons.stop(["deaf"])
    assert daemons.pid("deaf") is None


def test_a_daemon_that_ended_is_reported_with_its_last_words(daemons: Daemons) -> None:
    script = "echo starting; echo 'bind: address already in use' >&2; exit 1"
    daemons.start(Daemon(name="failing", command=["/bin/sh", "-c", script]))
    eventually(lambda: daemons.pid("failing") is None)
    with pytest.raises(RehearsalError, match="failing ended: bind: address already in use"):
        daemons.require("failing")


def test_a_process_id_that_was_given_to_somebody_else_is_left_alone(tmp_path: Path, daemons: Daemons) -> None:
    with subprocess.Popen(["/bin/sleep", "600"]) as somebody:
        record = {"pid": somebody.pid, "started": "long ago"}
        tmp_path.joinpath("sleeper.json").write_text(json.dumps(record))
        assert daemons.pid("sleeper") is None
        daemons.stop(["sleeper"])
        assert somebody.poll() is None
        somebody.kill()


@pytest.mark.parametrize("record", ["", "{}", "[1]", '{"pid": null, "started": ""}'])
def test_a_record_that_makes_no_sense_is_no_daemon(tmp_path: Path, daemons: Daemons, record: str) -> None:
    tmp_path.joinpath("sleeper.json").write_text(record)
    assert daemons.pid("sleeper") is None


def test_a_daemon_that_could_not_be_recorded_never_runs(tmp_path: Path) -> None:
    tmp_path.joinpath("toucher.json").mkdir()
    ran, waited = tmp_path / "ran", tmp_path / "waited"
    with pytest.raises(OSError, match="toucher"):
        Daemons(tmp_path).start(Daemon(name="toucher", command=["/usr/bin/touch", str(ran)]))
    Daemons(tmp_path).start(Daemon(name="later", command=["/usr/bin/touch", str(waited)]))
    eventually(waited.exists)
    assert not ran.exists()


def test_a_taken_port_is_refused_with_the_name_of_its_holder(daemons: Daemons) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(RehearsalError, match=rf"port {port}.*process {os.getpid()}"):
            daemons.start(Daemon(name="late", command=["/bin/sleep", "600"], needs=port))
    assert daemons.pid("late") is None


def test_a_free_port_has_no_holder() -> None:
    assert port_holder(free_port()) is None


def test_a_log_that_grew_too_long_is_emptied(
    tmp_path: Path, daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rehearsal.processes.LOG_LIMIT_BYTES", 10)
    tmp_path.joinpath("sleeper.log").write_text("more than ten bytes")
    daemons.start(SLEEPER)
    assert daemons.log("sleeper").read_text() == ""


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> dict[str, str]:
    """The subject of the client's certificate, as the server sees it after both trusted each other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    certificate = sides[1].getpeercert() or {}
    subject = certificate.get("subject", ())
    return {str(pair[0]): str(pair[1]) for relative in subject for pair in relative}


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in half a minute"
        time.sleep(0.02)
