"""Three peers of Alertmanager: each can tell everybody, and a person hears of it once."""

import json
import re
import socket
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from components.monitoring.alerting import cluster_flags
from components.monitoring.routes import configuration
from tests.monitoring.servers import alertmanager, get
from tests.monitoring.tables import PAGING
from tests.monitoring.test_delivery import hastened_routes, laid_out
from tests.monitoring.world import Exporter, Sinks, received, served

PEERS: Final = 3
TURN_SECONDS: Final = 1
"""How long a peer waits for each one before it to tell of an alert, and then whether it has."""
LAST_TURN_SECONDS: Final = (PEERS - 1) * TURN_SECONDS + 1
"""After which the last peer has had its turn."""
ALERT: Final = [{"labels": {"alertname": "ErrorRate", "priority": "P1"}}]


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, by TCP or UDP."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def flags_of(number: int, ports: list[int]) -> list[str]:
    """The flags of a peer, on loopback, with a turn of one second rather than fifteen and faster gossip."""

    def local(flag: str) -> str:
        flag = re.sub(r"(0\.0\.0\.0|\$\(POD_IP\)):9094", f"127.0.0.1:{ports[number]}", flag)
        return re.sub(
            r"alertmanager-(\d)\.alertmanager-replicas\.monitoring\.svc:9094",
            lambda peer: f"127.0.0.1:{ports[int(peer[1])]}",
            flag,
        )

    return [
        *map(local, cluster_flags(PEERS)),
        f"--cluster.peer-timeout={TURN_SECONDS}s",
        "--cluster.gossip-interval=50ms",
        "--cluster.settle-timeout=5s",
    ]


def test_an_alert_that_all_peers_know_of_is_told_once_and_also_when_one_of_them_is_lost(
    tmp_path: Path,
) -> None:
    sinks, ports = Sinks(), free_ports(PEERS)
    with served(Exporter(), sinks) as url, ExitStack() as last:
        routes = hastened_routes(configuration("live", PAGING), url, laid_out(tmp_path / "secrets", url))
        for route in routes["route"]["routes"]:
            # As in truth, longer than the last peer waits for its turn.
            route["group_interval"] = f"{LAST_TURN_SECONDS}s"
        stacks: list[ExitStack] = []
        peers: list[str] = []
        for number in range(PEERS):
            directory = tmp_path / str(number)
            directory.mkdir()
            stacks.append(last.enter_context(ExitStack()))
            peers.append(
                stacks[-1].enter_context(alertmanager(directory, routes, flags=flags_of(number, ports)))
            )
        wait_until_settled(peers)

        hand(peers, ends=False)
        page = received(sinks.pagerduty).body
        assert page["event_action"] == "trigger"
        time.sleep(LAST_TURN_SECONDS + 1)
        assert sinks.pagerduty.empty()

        stacks[0].close()
        hand(peers[1:], ends=True)
        end = received(sinks.pagerduty).body
        assert (end["event_action"], end["dedup_key"]) == ("resolve", page["dedup_key"])
        time.sleep(LAST_TURN_SECONDS + 1)
        assert sinks.pagerduty.empty()


def wait_until_settled(peers: list[str]) -> None:
    """Wait until every peer knows all others."""
    deadline = time.monotonic() + 30
    for peer in peers:
        while True:
            cluster = json.loads(get(f"{peer}/api/v2/status"))["cluster"]
            if cluster["status"] == "ready" and len(cluster["peers"]) == PEERS:
                break
            assert time.monotonic() < deadline, cluster
            time.sleep(0.2)


def hand(peers: list[str], *, ends: bool) -> None:
    """Tell every peer of the alert, as Prometheus does."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + (0 if ends else 60)))
    body = json.dumps([{**alert, "endsAt": moment} for alert in ALERT]).encode()
    for peer in peers:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{peer}/api/v2/alerts", body, headers)  # noqa: S310 - loopback
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - loopback
