"""The network of a cluster in which nothing runs, as Prometheus sees it: a proxy that answers every scrape itself."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

from rehearsal.canary.application import Application
from rehearsal.canary.loopback import Answers, served

STATE_METRICS_HOST = "kube-state-metrics"
CADVISOR_PATH = "/metrics/cadvisor"


class Network:
    """Where each address leads. All access is under one lock, so that a scrape sees no half-counted moment."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.lock = threading.Lock()
        self.bad_since: float | None = None
        """When Prometheus first was given what tells of the fault; by the monotonic clock."""
        self.telling: Callable[[str, str], bool] = lambda _what, _host: False
        """Whether an answer tells of the fault."""

    def answer(self, url: str) -> str | None:
        """The metrics at a URL; None where nobody answers: a pod whose process does not run, an address that is nobody's."""
        address = urlsplit(url)
        host = address.hostname or ""
        with self.lock:
            what, text = self._answer(host, address.path)
            if self.bad_since is None and self.telling(what, host):
                self.bad_since = time.monotonic()
            return text

    def _answer(self, host: str, path: str) -> tuple[str, str | None]:
        if host.startswith(f"{STATE_METRICS_HOST}."):
            return "state", self.application.state_metrics()
        if path == CADVISOR_PATH:
            return "cadvisor", self.application.cadvisor_metrics(host)
        pod = next((pod for pod in self.application.pods if pod.address == host), None)
        return "pod", self.application.own_metrics(pod) if pod is not None and pod.ready else None


@contextmanager
def proxied(network: Network) -> Generator[str]:
    """Serve the network as an HTTP proxy on loopback, and yield the proxy's URL."""

    class Handler(Answers):
        protocol_version = "HTTP/1.1"  # Prometheus keeps its connections

        def do_GET(self) -> None:
            text = network.answer(self.path)
            status = HTTPStatus.BAD_GATEWAY if text is None else HTTPStatus.OK
            body = (text or "connection refused\n").encode()
            self.reply(status, "text/plain; version=0.0.4; charset=utf-8", body)

    with served(Handler) as url:
        yield url
