"""What Prometheus and the cluster say becomes a sample for the gates; where either says nothing, nothing is concluded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import pytest

from operations.metrics import ERROR_RATE, LATENCY_P99
from operations.rollout.gate import Result
from operations.slots import Slot
from rehearsal.canary.loopback import Answers, served
from rollout.cluster import Cluster, Replicas
from rollout.errors import UpdateFailed
from rollout.observer import Prometheus, PrometheusObserver
from tests.rehearsal.told_prometheus import FAILING, GOOD, STANDING, Told, told_prometheus


class Standing:
    """A cluster whose slots run two services."""

    def __init__(self, available: int = 6, *others: str) -> None:
        self.available = available
        api, web = STANDING[Slot.GREEN]
        self.ready = (frozenset({api, *others}), frozenset({web}))

    def replicas(self, slot: Slot) -> Mapping[str, Replicas]:
        assert slot is Slot.GREEN
        api, web = self.ready
        return {"api": Replicas(6, self.available, api), "web": Replicas(6, 6, web)}


class Away:
    def replicas(self, slot: Slot) -> Mapping[str, Replicas]:
        raise UpdateFailed(f"the cluster of {slot} does not answer")


@pytest.fixture
def told() -> Iterator[Told]:
    with told_prometheus() as served:
        yield served


def observer(url: str, cluster: Standing | Away | None = None) -> PrometheusObserver:
    return PrometheusObserver(Prometheus(url), cast("Cluster", cluster or Standing()))


def test_both_slots_are_seen_service_by_service(told: Told) -> None:
    told.slots = {Slot.GREEN: FAILING, Slot.BLUE: GOOD}
    evaluation = observer(told.url).evaluate(Slot.GREEN, 50)
    assert evaluation.sample is not None
    assert [service.service for service in evaluation.sample.services] == ["api", "web"]
    for service in evaluation.sample.services:
        assert service.old is not None
        assert service.new.requests == service.old.requests == 20 * 300
        assert (service.new.values[ERROR_RATE.name], service.old.values[ERROR_RATE.name]) == (0.15, 0.0)
        assert service.new.values[LATENCY_P99.name] == 0.12
    assert evaluation.verdict.result is Result.FAIL


def test_slots_that_are_well_pass(told: Told) -> None:
    assert observer(told.url).evaluate(Slot.GREEN, 50).verdict.result is Result.PASS


def test_a_slot_without_replicas_fails_whatever_prometheus_says(told: Told) -> None:
    assert observer(told.url, Standing(available=0)).evaluate(Slot.GREEN, 50).verdict.result is Result.FAIL


def test_where_pods_that_get_requests_are_not_scraped_nothing_is_concluded(told: Told) -> None:
    evaluation = observer(told.url, Standing(6, "api-green-2", "api-green-3")).evaluate(Slot.GREEN, 50)
    assert evaluation.sample is not None
    assert evaluation.sample.unscraped == 2
    assert (evaluation.verdict.result, evaluation.verdict.text) == (
        Result.INCONCLUSIVE,
        "Scraping: 2 ready pods of the new slot are not scraped",
    )


def test_of_another_environment_s_prometheus_nothing_is_concluded(told: Told) -> None:
    """Slots and services have the same names there, and other pods."""
    told.pods = lambda _: ["api-green-7", "web-green-7"]
    verdict = observer(told.url).evaluate(Slot.GREEN, 50).verdict
    assert (verdict.result, verdict.text) == (
        Result.INCONCLUSIVE,
        "Scraping: 2 ready pods of the new slot are not scraped",
    )


def test_a_pod_that_starts_stops_no_clock(told: Told) -> None:
    """Five of six are available, and the sixth is neither ready nor scraped."""
    assert observer(told.url, Standing(5)).evaluate(Slot.GREEN, 50).verdict.result is Result.PASS


def test_what_is_no_number_is_no_data(told: Told) -> None:
    told.slots = {slot: {**GOOD, ERROR_RATE.name: float("nan")} for slot in Slot}
    evaluation = observer(told.url).evaluate(Slot.GREEN, 50)
    assert evaluation.verdict.result is Result.INCONCLUSIVE
    assert "Error Rate: no data" in evaluation.verdict.text


def test_where_prometheus_answers_with_an_error_nothing_is_concluded(told: Told) -> None:
    told.reachable = False
    verdict = observer(told.url).evaluate(Slot.GREEN, 50).verdict
    assert (verdict.result, verdict.text) == (
        Result.INCONCLUSIVE,
        f"Prometheus: {told.url} answered HTTP 503",
    )


@pytest.mark.parametrize(
    "answer",
    [
        "[]",
        '"ready"',
        "null",
        "{}",
        '{"status": "success"}',
        '{"status": "success", "data": []}',
        '{"status": "success", "data": {"result": [{"metric": "api", "value": [0, "1"]}]}}',
        '{"status": "success", "data": {"result": [{"metric": {}, "value": []}]}}',
        '{"status": "success", "data": {"result": [{"metric": {}, "value": [0, "many"]}]}}',
        "<html>",
        "",
    ],
)
def test_where_something_else_answers_nothing_is_concluded(answer: str) -> None:
    class Other(Answers):
        def do_GET(self) -> None:
            self.reply(200, "application/json", answer.encode())

    with served(Other) as url:
        verdict = observer(url).evaluate(Slot.GREEN, 50).verdict
    assert verdict.result is Result.INCONCLUSIVE
    assert verdict.text.startswith(f"Prometheus: {url} ")


def test_where_nothing_listens_nothing_is_concluded() -> None:
    verdict = observer("http://127.0.0.1:9").evaluate(Slot.GREEN, 50).verdict
    assert verdict.result is Result.INCONCLUSIVE
    assert "http://127.0.0.1:9 does not answer" in verdict.text


def test_where_the_cluster_does_not_answer_nothing_is_concluded(told: Told) -> None:
    verdict = observer(told.url, Away()).evaluate(Slot.GREEN, 50).verdict
    assert verdict.result is Result.INCONCLUSIVE
    assert "the cluster of green does not answer" in verdict.text
