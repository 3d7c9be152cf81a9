"""The expressions of the key metrics: what they select, and what they yield."""

import re
from datetime import timedelta

import pytest

from operations.metrics import (
    CPU_USAGE,
    ERROR_RATE,
    KEY_METRICS,
    LATENCY_P99,
    MEMORY_USAGE,
    POD_RESTARTS,
    KeyMetric,
    Level,
    Selector,
    promql_duration,
)
from operations.slots import Slot

GREEN_API = Selector(slot=Slot.GREEN, service="api")


@pytest.mark.parametrize(
    ("metric", "breach"),
    [
        (
            LATENCY_P99,
            "histogram_quantile(0.99, sum by (slot, service, le) "
            '(rate(http_request_duration_seconds_bucket{slot="green", service="api"}[5m]))) > 0.5',
        ),
        (
            ERROR_RATE,
            '(sum by (slot, service) (rate(http_requests_total{code=~"5..", slot="green", service="api"}[5m])) or '
            '0 * sum by (slot, service) (rate(http_requests_total{slot="green", service="api"}[5m]))) / '
            'sum by (slot, service) (rate(http_requests_total{slot="green", service="api"}[5m])) > 0.01',
        ),
    ],
    ids=lambda value: value.name if isinstance(value, KeyMetric) else "",
)
def test_a_critical_breach_of_one_slots_service(metric: KeyMetric, breach: str) -> None:
    assert metric.breach(Level.CRITICAL, GREEN_API) == breach


@pytest.mark.parametrize("metric", KEY_METRICS, ids=lambda metric: metric.name)
def test_every_series_of_an_expression_is_of_the_selected_slot_and_service(metric: KeyMetric) -> None:
    matchers = re.findall(r"\w+\{([^}]*)\}\[?", metric.expression(GREEN_API))

    assert matchers
    for matcher in matchers:
        assert 'slot="green"' in matcher or 'namespace=~"quikapp-green"' in matcher
        assert 'service="api"' in matcher or 'container="api"' in matcher
    assert "blue" not in metric.expression(GREEN_API)


@pytest.mark.parametrize("metric", [CPU_USAGE, MEMORY_USAGE, POD_RESTARTS], ids=lambda metric: metric.name)
def test_without_a_selector_the_containers_of_both_slots_and_no_others_count(metric: KeyMetric) -> None:
    for matcher in re.findall(r"\w+\{([^}]*)\}\[?", metric.expression()):
        assert 'namespace=~"quikapp-blue|quikapp-green"' in matcher
        assert 'container!=""' in matcher


@pytest.mark.parametrize("metric", KEY_METRICS, ids=lambda metric: metric.name)
def test_a_warning_comes_before_a_critical_breach(metric: KeyMetric) -> None:
    assert 0 < metric.warning < metric.critical
    assert metric.breach(Level.WARNING) == f"{metric.expression()} > {metric.warning:g}"


@pytest.mark.parametrize("metric", KEY_METRICS, ids=lambda metric: metric.name)
def test_each_look_back_is_over_the_metrics_window(metric: KeyMetric) -> None:
    assert set(re.findall(r"\[(\w+)\]", metric.expression())) == {promql_duration(metric.window)}


def test_names_are_unique_and_fit_for_rules() -> None:
    names = [metric.name for metric in KEY_METRICS]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


@pytest.mark.parametrize(
    ("span", "written"),
    [
        (timedelta(minutes=5), "5m"),
        (timedelta(hours=1), "1h"),
        (timedelta(seconds=90), "90s"),
        (timedelta(days=30), "30d"),
        (timedelta(hours=36), "36h"),
    ],
)
def test_durations_are_written_as_promql_reads_them(span: timedelta, written: str) -> None:
    assert promql_duration(span) == written


@pytest.mark.parametrize("span", [timedelta(), timedelta(seconds=-1), timedelta(milliseconds=1500)])
def test_promql_has_no_word_for_such_a_span(span: timedelta) -> None:
    with pytest.raises(ValueError, match="whole seconds"):
        promql_duration(span)
