"""The gates' eyes: the key metrics of both slots from Prometheus, and the new slot's replicas from its cluster."""

from __future__ import annotations

import http.client
import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from operations.metrics import ERROR_RATE, EVERYTHING, KEY_METRICS, promql_duration, request_rate
from operations.rollout.gate import Measured, Sample, ServiceSample, judge, unreachable
from operations.slots import Slot
from rollout.cluster import Cluster, ready
from rollout.errors import UpdateFailed
from rollout.ports import Evaluation

TIMEOUT_SECONDS: Final = 5
"""For one query: half a dozen of them fit between two evaluations twice."""

SCRAPED: Final = 'up{{job="slots", namespace="{namespace}"}} == 1'
"""Pods of a slot that Prometheus scrapes."""

Series = Mapping[tuple[str, str], float]
"""Values by slot and service."""


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus by its URL.

    Attributes:
        url: such as `http://localhost:9090`, where `kubectl port-forward` leads to the environment's own.
    """

    url: str

    def series(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """Return the labels and values of an instant query.

        Raises:
            ConnectionError: there is no answer, or none to the question.
        """
        query = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(  # noqa: S310 - the URL is the operator's own
                f"{self.url.rstrip('/')}/api/v1/query?{query}", timeout=TIMEOUT_SECONDS
            ) as response:
                answer = cast("dict[str, Any]", json.load(response))
            if answer.get("status") != "success":
                raise ConnectionError(f"{self.url} answered {answer.get('error', answer)}")
            return [
                (dict[str, str](found["metric"]), float(found["value"][1]))
                for found in answer["data"]["result"]
            ]
        except urllib.error.HTTPError as error:
            raise ConnectionError(f"{self.url} answered HTTP {error.code}") from error
        except urllib.error.URLError as error:
            raise ConnectionError(f"{self.url} does not answer ({error.reason})") from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, ConnectionError) and str(error).startswith(self.url):
                raise
            raise ConnectionError(f"{self.url} does not answer ({error or type(error).__name__})") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # Something else listens there, or it is no URL.
            raise ConnectionError(f"{self.url} does not answer as Prometheus does ({error})") from error

    def scraped(self, slot: Slot) -> frozenset[str]:
        """Return the names of the pods of a slot that are scraped.

        Raises:
            ConnectionError: there is no answer.
        """
        found = self.series(SCRAPED.format(namespace=slot.namespace))
        return frozenset(labels.get("pod", "") for labels, _ in found)

    def by_service(self, expression: str) -> Series:
        """Return the values of a key metric; where it is no number there is no value.

        Raises:
            ConnectionError: there is no answer.
        """
        return {
            (labels.get("slot", ""), labels.get("service", "")): value
            for labels, value in self.series(expression)
            if math.isfinite(value)
        }


@dataclass(frozen=True)
class PrometheusObserver:
    """Evaluates the gates."""

    prometheus: Prometheus
    cluster: Cluster

    def evaluate(self, new: Slot, weight: int) -> Evaluation:
        """Return what the gates say of the new slot now. See `ports`."""
        try:
            sample = self._sample(new, weight)
        except ConnectionError as error:
            return Evaluation(unreachable(str(error)))
        except UpdateFailed as error:
            return Evaluation(unreachable(f"not asked, since {error}"))
        return Evaluation(judge(sample), sample)

    def _sample(self, new: Slot, weight: int) -> Sample:
        replicas = self.cluster.replicas(new)
        if not replicas:
            raise UpdateFailed(f"{new} runs no service")
        window = ERROR_RATE.window
        rates = self.prometheus.by_service(request_rate(EVERYTHING, promql_duration(window)))
        values = {metric.name: self.prometheus.by_service(metric.expression()) for metric in KEY_METRICS}

        def measured(slot: Slot, service: str) -> Measured:
            key = (slot.value, service)
            return Measured(
                requests=max(rates.get(key, 0.0), 0.0) * window.total_seconds(),
                values={name: series.get(key) for name, series in values.items()},
            )

        # Pods that start get no requests yet, and those of another environment have other names.
        unscraped = ready(replicas) - self.prometheus.scraped(new)
        return Sample(
            weight=weight,
            services=tuple(
                ServiceSample(
                    service=service,
                    new=measured(new, service),
                    old=measured(new.other, service),
                    wanted=max(found.wanted, 1),
                    available=found.available,
                )
                for service, found in sorted(replicas.items())
            ),
            unscraped=len(unscraped),
        )
