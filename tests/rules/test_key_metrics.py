"""The thresholds of the operations page, "Key Metrics", as series that just pass them and series that just do not.

Expected values are written out, not computed, so that a threshold moved by mistake shows here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.rules.conftest import RunRules

Series = Mapping[str, str]

APPLICATION = 'slot="blue", service="api"'
CONTAINER = 'namespace="quikapp-blue", pod="api-1", container="api"'
PRIORITY = {"warning": "P3", "critical": "P1"}


def latency(within_200ms: int, within_500ms: int) -> Series:
    """Ten thousand requests a minute, of which these many were fast enough."""
    counts = {"0.1": 5000, "0.2": within_200ms, "0.5": within_500ms, "1": 10000, "+Inf": 10000}
    return {
        f'http_request_duration_seconds_bucket{{{APPLICATION}, le="{bound}"}}': f"0+{count}x30"
        for bound, count in counts.items()
    }


def errors(failed: int) -> Series:
    """A thousand requests a minute, of which these many failed."""
    return {
        f'http_requests_total{{{APPLICATION}, code="200"}}': f"0+{1000 - failed}x30",
        f'http_requests_total{{{APPLICATION}, code="503"}}': f"0+{failed}x30",
    }


def cpu(core_seconds_a_minute: float) -> Series:
    """A pod with a limit of one core, whose use is known once a whole window of it was seen: after four minutes."""
    return {
        f"container_cpu_usage_seconds_total{{{CONTAINER}}}": f"1000+{core_seconds_a_minute}x30",
        f'kube_pod_container_resource_limits{{{CONTAINER}, resource="cpu", unit="core"}}': "1x30",
    }


def memory(bytes_in_use: int) -> Series:
    """A pod with a limit of a thousand bytes."""
    return {
        f"container_memory_working_set_bytes{{{CONTAINER}}}": f"{bytes_in_use}x30",
        f'kube_pod_container_resource_limits{{{CONTAINER}, resource="memory", unit="byte"}}': "1000x30",
    }


def restarts(count: int) -> Series:
    """A container that restarted so often within one minute, its second."""
    return {f"kube_pod_container_status_restarts_total{{{CONTAINER}}}": f"0 {count}x30"}


@dataclass(frozen=True)
class Breach:
    """A series just above a threshold, and what it yields."""

    alert: str
    severity: str
    series: Series
    silent_at: str
    """The last minute of silence: the breach is seen, and has not lasted."""
    fires_at: str
    summary: str
    impact: str
    runbook: str


SLOW = "One request in a hundred takes longer than this: users wait."
FAILING = "Requests fail: users see errors."
BUSY = "Scaling does not keep up: latency rises next."
FULL = "At the limit the kernel kills the fullest pod and its requests fail."
DYING = "Pods die and lose the requests they were serving."

LATENCY_RUNBOOK = "docs/runbooks/api-latency-p99.md"
ERROR_RUNBOOK = "docs/runbooks/error-rate.md"
CPU_RUNBOOK = "docs/runbooks/cpu-usage.md"
MEMORY_RUNBOOK = "docs/runbooks/memory-usage.md"
RESTART_RUNBOOK = "docs/runbooks/pod-restarts.md"

BREACHES = [
    Breach(
        "ApiLatencyP99", "warning", latency(9899, 10000), "5m", "6m",
        "API Latency P99 of api in slot blue is 203ms, above 200ms", SLOW, LATENCY_RUNBOOK,
    ),
    Breach(
        "ApiLatencyP99", "critical", latency(9800, 9899), "2m", "3m",
        "API Latency P99 of api in slot blue is 505ms, above 500ms", SLOW, LATENCY_RUNBOOK,
    ),
    Breach(
        "ErrorRate", "warning", errors(6), "5m", "6m",
        "Error Rate of api in slot blue is 0.6%, above 0.5%", FAILING, ERROR_RUNBOOK,
    ),
    Breach(
        "ErrorRate", "critical", errors(11), "2m", "3m",
        "Error Rate of api in slot blue is 1.1%, above 1%", FAILING, ERROR_RUNBOOK,
    ),
    Breach(
        "CpuUsage", "warning", cpu(42.6), "8m", "9m",
        "CPU Usage of api in slot blue is 71%, above 70%", BUSY, CPU_RUNBOOK,
    ),
    Breach(
        "CpuUsage", "critical", cpu(51.6), "5m", "6m",
        "CPU Usage of api in slot blue is 86%, above 85%", BUSY, CPU_RUNBOOK,
    ),
    Breach(
        "MemoryUsage", "warning", memory(751), "4m", "5m",
        "Memory Usage of api in slot blue is 75.1%, above 75%", FULL, MEMORY_RUNBOOK,
    ),
    Breach(
        "MemoryUsage", "critical", memory(901), "1m", "2m",
        "Memory Usage of api in slot blue is 90.1%, above 90%", FULL, MEMORY_RUNBOOK,
    ),
    Breach(
        "PodRestarts", "warning", restarts(3), "5m", "6m",
        "Pod Restarts of api in slot blue is 3 per hour, above 2/hour", DYING, RESTART_RUNBOOK,
    ),
    Breach(
        "PodRestarts", "critical", restarts(6), "2m", "3m",
        "Pod Restarts of api in slot blue is 6 per hour, above 5/hour", DYING, RESTART_RUNBOOK,
    ),
]  # fmt: skip

AT_THRESHOLD = [
    ("ApiLatencyP99", "warning", latency(9900, 10000)),
    ("ApiLatencyP99", "critical", latency(9800, 9900)),
    ("ErrorRate", "warning", errors(5)),
    ("ErrorRate", "critical", errors(10)),
    ("CpuUsage", "warning", cpu(42)),
    ("CpuUsage", "critical", cpu(51)),
    ("MemoryUsage", "warning", memory(750)),
    ("MemoryUsage", "critical", memory(900)),
    ("PodRestarts", "warning", restarts(2)),
    ("PodRestarts", "critical", restarts(5)),
]


def case(series: Series, **expectations: Any) -> Mapping[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        **expectations,
    }


def fires(severity: str, alert: str, at: str, **labels: str) -> Mapping[str, Any]:
    """PromQL for how many such alerts fire at a moment: 1, or no sample at all."""
    matchers = {"alertstate": "firing", "alertname": alert, "severity": severity, **labels}
    selected = ", ".join(f'{name}="{value}"' for name, value in matchers.items())
    return {"expr": f"count(ALERTS{{{selected}}})", "eval_time": at}


ONE = [{"labels": "{}", "value": 1}]
NONE: list[Any] = []


def named(alert: str, severity: str) -> str:
    return f"{alert}-{severity}"


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: named(breach.alert, breach.severity))
def test_a_value_just_above_a_threshold_fires_once_it_has_lasted(run_rules: RunRules, breach: Breach) -> None:
    labels = {"priority": PRIORITY[breach.severity], "slot": "blue", "service": "api"}
    run_rules(
        [
            case(
                breach.series,
                promql_expr_test=[
                    {**fires(breach.severity, breach.alert, breach.silent_at), "exp_samples": NONE},
                    {**fires(breach.severity, breach.alert, breach.fires_at, **labels), "exp_samples": ONE},
                ],
            )
        ]
    )


@pytest.mark.parametrize(
    ("alert", "severity", "series"), AT_THRESHOLD, ids=[named(*c[:2]) for c in AT_THRESHOLD]
)
def test_a_value_at_a_threshold_stays_silent(
    run_rules: RunRules, alert: str, severity: str, series: Series
) -> None:
    run_rules([case(series, promql_expr_test=[{**fires(severity, alert, "20m"), "exp_samples": NONE}])])


@pytest.mark.parametrize(
    "breach",
    [breach for breach in BREACHES if breach.severity == "warning"],
    ids=lambda breach: breach.alert,
)
def test_an_alert_says_what_it_is_what_it_means_and_what_to_do(run_rules: RunRules, breach: Breach) -> None:
    expected = {
        "exp_labels": {
            "severity": breach.severity,
            "priority": PRIORITY[breach.severity],
            "slot": "blue",
            "service": "api",
        },
        "exp_annotations": {
            "summary": breach.summary,
            "impact": breach.impact,
            "runbook": breach.runbook,
        },
    }
    run_rules(
        [
            case(
                breach.series,
                alert_rule_test=[
                    {"alertname": breach.alert, "eval_time": breach.fires_at, "exp_alerts": [expected]}
                ],
            )
        ]
    )


def test_a_breach_that_ends_before_it_has_lasted_never_fires(run_rules: RunRules) -> None:
    # Two samples above both thresholds; the third takes the mean below them again.
    used = f"container_memory_working_set_bytes{{{CONTAINER}}}"
    spike = {**memory(100), used: "950 950 100x30"}
    run_rules(
        [
            case(
                spike,
                promql_expr_test=[
                    {
                        "expr": 'count(ALERTS{alertstate="firing"})',
                        "eval_time": eval_time,
                        "exp_samples": NONE,
                    }
                    for eval_time in ("2m", "3m", "6m", "12m")
                ],
            )
        ]
    )


def test_an_alert_keeps_firing_a_while_so_that_a_value_around_its_threshold_pages_once(
    run_rules: RunRules,
) -> None:
    # Six restarts in the second minute leave the hour's window at 61 m.
    run_rules(
        [
            case(
                {f"kube_pod_container_status_restarts_total{{{CONTAINER}}}": "0 6x120"},
                promql_expr_test=[
                    {**fires("critical", "PodRestarts", "60m"), "exp_samples": ONE},
                    {**fires("critical", "PodRestarts", "64m"), "exp_samples": ONE},
                    {**fires("critical", "PodRestarts", "70m"), "exp_samples": NONE},
                ],
            )
        ]
    )


def test_each_slot_is_judged_alone(run_rules: RunRules) -> None:
    """The canary's errors are not diluted by the other slot's many good requests."""
    green = {
        name.replace('slot="blue"', 'slot="green"'): values.replace("1000", "100000")
        for name, values in errors(0).items()
    }
    run_rules(
        [
            case(
                {**errors(11), **green},
                promql_expr_test=[
                    {**fires("critical", "ErrorRate", "10m", slot="blue"), "exp_samples": ONE},
                    {**fires("critical", "ErrorRate", "10m", slot="green"), "exp_samples": NONE},
                    {
                        "expr": 'slot_service:error_rate:5m{slot="green"}',
                        "eval_time": "10m",
                        "exp_samples": [
                            {"labels": 'slot_service:error_rate:5m{service="api", slot="green"}', "value": 0}
                        ],
                    },
                ],
            )
        ]
    )
