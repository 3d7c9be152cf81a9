"""A real Prometheus that scrapes as the program says, in a cluster whose network is simulated."""

import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from rehearsal.errors import RehearsalError
from rehearsal.kubernetes_api import KubernetesApi
from rehearsal.processes import Daemon, Daemons, free_port

JOBS = ("slots", "kube-state-metrics", "cadvisor")
"""What the key metrics come from. The simulated network answers for these and for nothing else."""

NAME = "prometheus"
SCRAPE_SECONDS = 15.0
"""Where the program does not say how often it scrapes."""
LEAST_INTERVAL = 0.5
"""Seconds between two scrapes that two busy cores still keep."""
PATIENCE_SECONDS = 60.0

_REAL_NETWORK = ("authorization", "basic_auth", "tls_config", "oauth2")


def rendered(api: KubernetesApi) -> Mapping[str, Any]:
    """The configuration that the program rendered for its own Prometheus, from the ConfigMaps of the cluster.

    Raises:
        RehearsalError: no ConfigMap holds one.
    """
    maps = api.get("/api/v1/configmaps?labelSelector=app.kubernetes.io/name%3Dprometheus") or {"items": []}
    found = next(_configurations(maps["items"]), None)
    if found is None:
        raise RehearsalError("the program declares no Prometheus: nothing says what a canary is judged by")
    return found


def _configurations(maps: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for config_map in maps:
        texts = cast("Mapping[str, str]", config_map.get("data") or {})
        for text in texts.values():
            try:
                document: Any = json.loads(text)
            except ValueError:
                continue
            if isinstance(document, dict) and "scrape_configs" in document:
                yield cast("Mapping[str, Any]", document)


def interval(configuration: Mapping[str, Any], speed: int) -> float:
    """Seconds between two scrapes: the program's own, divided by the speed, but not below half a second."""
    said = str(configuration.get("global", {}).get("scrape_interval", ""))
    own = float(said.removesuffix("s")) if said.endswith("s") and said[:-1].isdigit() else SCRAPE_SECONDS
    return max(own / speed, LEAST_INTERVAL)


def adapted(
    configuration: Mapping[str, Any], *, kubeconfig: Path, proxy: str, interval: float
) -> Mapping[str, Any]:
    """The program's configuration with another way to the cluster: a kubeconfig to its API server, a proxy to its pods.

    Raises:
        RehearsalError: a job that the key metrics come from is missing.
    """
    jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
    if missing := [name for name in JOBS if name not in jobs]:
        raise RehearsalError(f"the program's Prometheus has no job {' and no job '.join(missing)}")
    every = f"{interval * 1000:.0f}ms"
    return {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "scrape_configs": [_job(jobs[name], kubeconfig, proxy) for name in JOBS],
    }


def _job(job: Mapping[str, Any], kubeconfig: Path, proxy: str) -> Mapping[str, Any]:
    kept = {key: value for key, value in job.items() if key not in _REAL_NETWORK}
    discovered = [
        {key: value for key, value in discovery.items() if key not in _REAL_NETWORK}
        | {"kubeconfig_file": str(kubeconfig)}
        for discovery in job.get("kubernetes_sd_configs", [])
    ]
    return (
        kept
        | {"scheme": "http", "proxy_url": proxy}
        | ({"kubernetes_sd_configs": discovered} if discovered else {})
    )


class Prometheus:
    """A Prometheus with no past, on a port of its own, until it is stopped."""

    def __init__(self, directory: Path, program: Path) -> None:
        self._directory = directory
        self._program = program
        self._daemons = Daemons(directory)
        self._port = free_port()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def start(self, configuration: Mapping[str, Any]) -> None:
        """Start it, and return once it answers.

        Raises:
            RehearsalError: it ends instead, or takes longer than a minute.
        """
        self.stop()
        data = self._directory / "data"
        shutil.rmtree(data, ignore_errors=True)
        file = self._directory / "prometheus-configuration.json"
        file.write_text(json.dumps(configuration, indent=2))
        self._daemons.start(
            Daemon(
                name=NAME,
                needs=self._port,
                command=[
                    str(self._program),
                    f"--config.file={file}",
                    f"--storage.tsdb.path={data}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
            )
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._ready():
            self._daemons.require(NAME)
            if time.monotonic() > deadline:
                raise RehearsalError(
                    f"Prometheus is not ready after {PATIENCE_SECONDS:.0f} seconds: see its log"
                )
            time.sleep(0.1)

    def scraped(self) -> int:
        """How many targets it scrapes with success."""
        try:
            with urllib.request.urlopen(  # noqa: S310 - a server of this module's own
                f"{self.url}/api/v1/query?query=count(up%20%3D%3D%201)", timeout=10
            ) as answer:
                found = json.load(answer)["data"]["result"]
        except (OSError, urllib.error.URLError):
            return 0
        return int(found[0]["value"][1]) if found else 0

    def stop(self) -> None:
        """End it; a Prometheus that a killed command of this rehearsal left behind too."""
        self._daemons.stop((NAME,))

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):  # noqa: S310 - as above
                return True
        except OSError:
            return False
