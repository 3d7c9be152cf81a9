"""The gates: what is told from one evaluation of the new slot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.rollout.gate import (
    CHANCE,
    FLOOR,
    Measured,
    Reason,
    Result,
    Verdict,
    binomial_tail,
    judge,
    unreachable,
)
from tests.unit.operations.rollouts import measured, sample, service, verdict


def told(verdict: Verdict) -> tuple[Result, list[str]]:
    return verdict.result, [reason.text for reason in verdict.reasons]


def test_a_healthy_slot_passes_without_a_reason() -> None:
    assert told(verdict(measured())) == (Result.PASS, [])


def test_failures_of_15_percent_at_5_percent_of_the_traffic_fail_though_they_are_below_1_percent_of_the_whole() -> (
    None
):
    new, old = measured(requests=5_000, errors=0.15), measured(requests=95_000, errors=0.0)
    overall = (new.failed + old.failed) / (new.requests + old.requests)

    assert overall == pytest.approx(0.0075)
    assert verdict(new, old).result is Result.FAIL
    assert verdict(new, old).reasons[0] == Reason(
        result=Result.FAIL,
        metric="Error Rate",
        service="api",
        value=0.15,
        threshold=0.01,
        text="api: Error Rate: 15% is above the critical threshold, 1%",
    )


def test_a_p99_above_500_ms_fails() -> None:
    assert told(verdict(measured(p99=0.85), measured(95_000, p99=0.85))) == (
        Result.FAIL,
        ["api: API Latency P99: 850ms is above the critical threshold, 500ms"],
    )


def test_saturated_cpu_and_memory_fail() -> None:
    assert told(verdict(measured(cpu=0.97, memory=0.91))) == (
        Result.FAIL,
        [
            "api: CPU Usage: 97% is above the critical threshold, 85%",
            "api: Memory Usage: 91% is above the critical threshold, 90%",
        ],
    )


def test_six_restarts_in_an_hour_fail() -> None:
    assert told(verdict(measured(restarts=6))) == (
        Result.FAIL,
        ["api: Pod Restarts: 6/hour is above the critical threshold, 5/hour"],
    )


def test_a_slot_whose_pods_all_crashed_fails_before_any_restart_is_counted_and_without_any_request() -> None:
    crashed = verdict(measured(requests=0, errors=None, p99=None), available=0)

    assert told(crashed) == (
        Result.FAIL,
        [
            "api: Replicas: 0 of 6 are available",
            "Requests: 0 reached the new slot; a verdict takes 100",
            "api: Requests: 0 reached the new slot, 95000 the old one: at 5 % it should be 5000",
        ],
    )


def test_no_traffic_is_inconclusive() -> None:
    quiet = measured(requests=0, errors=None, p99=None)

    assert told(verdict(quiet, measured(0, errors=None, p99=None))) == (
        Result.INCONCLUSIVE,
        ["Requests: 0 reached the new slot; a verdict takes 100"],
    )


def test_an_unreachable_prometheus_is_inconclusive_and_tells_nothing_of_failures() -> None:
    assert told(unreachable("connection refused")) == (
        Result.INCONCLUSIVE,
        ["Prometheus: connection refused"],
    )
    assert unreachable("connection refused").error_rate is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"p99": 0.2}, Result.PASS),
        ({"p99": 0.201}, Result.WARN),
        ({"p99": 0.5}, Result.WARN),
        ({"p99": 0.501}, Result.FAIL),
        ({"errors": 0.005}, Result.PASS),
        ({"errors": 0.0051}, Result.WARN),
        ({"errors": 0.01}, Result.WARN),
        ({"errors": 0.0101}, Result.FAIL),
        ({"cpu": 0.70}, Result.PASS),
        ({"cpu": 0.71}, Result.WARN),
        ({"cpu": 0.86}, Result.FAIL),
        ({"memory": 0.75}, Result.PASS),
        ({"memory": 0.76}, Result.WARN),
        ({"restarts": 2}, Result.PASS),
        ({"restarts": 3}, Result.WARN),
        ({"restarts": 5}, Result.WARN),
    ],
)
def test_a_threshold_is_passed_until_it_is_exceeded(changes: dict[str, float], expected: Result) -> None:
    as_bad = measured(95_000, **changes)

    assert verdict(measured(**changes), as_bad).result is expected


@pytest.mark.parametrize(
    "missing", ["error_rate", "api_latency_p99", "cpu_usage", "memory_usage", "pod_restarts"]
)
def test_a_key_metric_without_data_is_inconclusive(missing: str) -> None:
    known = measured()
    values = {name: value for name, value in known.values.items() if name != missing}

    assert len(values) == 4
    assert verdict(Measured(requests=known.requests, values=values)).result is Result.INCONCLUSIVE


def test_pods_that_cannot_be_scraped_make_a_good_looking_slot_inconclusive() -> None:
    assert told(judge(sample(service(measured()), unscraped=2))) == (
        Result.INCONCLUSIVE,
        ["Scraping: 2 ready pods of the new slot are not scraped"],
    )


def test_what_is_known_to_be_critical_is_so_whatever_else_is_unknown() -> None:
    assert verdict(measured(errors=0.5, cpu=None)).result is Result.FAIL
    assert judge(sample(service(measured(restarts=9)), unscraped=6)).result is Result.FAIL


@pytest.mark.parametrize(("available", "expected"), [(6, "pass"), (5, "pass"), (4, "warn"), (0, "fail")])
def test_a_quarter_of_the_replicas_may_be_missing_for_a_while(available: int, expected: str) -> None:
    assert verdict(measured(), available=available).result == expected


# --- few requests -----------------------------------------------------------------------------------------------


def test_of_99_requests_nothing_is_concluded_and_of_100_something_is() -> None:
    nobody = measured(0, errors=None, p99=None)

    assert verdict(measured(requests=99), nobody).result is Result.INCONCLUSIVE
    assert verdict(measured(requests=100), nobody).result is Result.PASS


@pytest.mark.parametrize("failed", [1, 2, 50, 99])
def test_below_the_floor_nothing_follows_from_what_fails_and_nothing_is_booked(failed: int) -> None:
    few = verdict(measured(99, errors=failed / 99, p99=4.0), measured(0, errors=None, p99=None))

    assert told(few) == (Result.INCONCLUSIVE, ["Requests: 99 reached the new slot; a verdict takes 100"])
    assert few.error_rate is None


def test_two_failures_of_five_requests_to_a_slot_do_not_abort() -> None:
    assert verdict(measured(5, errors=0.4), measured(95)).result is Result.INCONCLUSIVE


def test_below_the_floor_replicas_and_resources_still_tell() -> None:
    assert verdict(measured(5, restarts=6), measured(95)).result is Result.FAIL
    assert verdict(measured(5, cpu=0.9), measured(95)).result is Result.FAIL
    assert verdict(measured(5), measured(95), available=0).result is Result.FAIL


def test_a_slot_without_a_request_spends_nothing() -> None:
    assert verdict(measured(0, errors=None), measured(0, errors=None)).error_rate == 0


def test_a_single_failure_never_aborts() -> None:
    def one_of(requests: float, extrapolated: float = 1) -> Result:
        few = measured(requests * extrapolated, errors=1 / requests * extrapolated)
        return judge(
            sample(service(measured()), service(few, measured(1_000, errors=0.01), name="export"))
        ).result

    assert {one_of(requests) for requests in (1, 2, 10, 50, 99, 100)} == {Result.WARN}
    assert one_of(100, extrapolated=1.05) is Result.WARN


def test_two_failures_of_a_quiet_service_abort_however_few_requests_it_has() -> None:
    quiet = service(measured(2, errors=1.0), measured(40), name="export")

    assert told(judge(sample(service(measured()), quiet))) == (
        Result.FAIL,
        ["export: Error Rate: 2% is above the critical threshold, 1%"],
    )


def test_a_quiet_service_does_not_hold_up_a_busy_slot() -> None:
    quiet = service(measured(7, p99=4.0), measured(133), name="export")

    assert judge(sample(service(measured()), quiet)).result is Result.PASS


@pytest.mark.parametrize(("weight", "old", "expected"), [(5, 1_900, 100), (25, 300, 100), (50, 1_800, 1_800)])
def test_a_service_whose_requests_go_astray_is_not_quiet_at_any_weight(
    weight: int, old: int, expected: int
) -> None:
    def web(requests: int, old: int) -> Verdict:
        known = requests > 0
        new = measured(requests, 0.0 if known else None, 0.12 if known else None)
        return judge(sample(service(measured()), service(new, measured(old), name="web"), weight=weight))

    assert told(web(0, old)) == (
        Result.INCONCLUSIVE,
        [f"web: Requests: 0 reached the new slot, {old} the old one: at {weight} % it should be {expected}"],
    )
    half = min(expected // 2, FLOOR)
    assert (web(half - 1, old).result, web(half, old).result) == (Result.INCONCLUSIVE, Result.PASS)


def test_a_service_of_which_less_than_the_floor_is_expected_is_quiet() -> None:
    nobody = measured(0, None, None)

    assert judge(sample(service(measured()), service(nobody, measured(99)), weight=50)).result is Result.PASS


def test_with_all_of_the_weight_nothing_tells_what_to_expect() -> None:
    quiet = service(measured(7), measured(50_000), name="web")

    assert judge(sample(service(measured()), quiet, weight=100)).result is Result.PASS


def test_one_bad_service_is_not_hidden_by_the_good_ones() -> None:
    bad = service(measured(400, errors=0.1), name="export")

    assert judge(sample(service(measured(100_000)), bad)).reasons[0].service == "export"


# --- beside the old slot ----------------------------------------------------------------------------------------


def test_an_error_rate_that_is_certainly_worse_than_the_old_slots_warns_below_the_pages_threshold() -> None:
    assert told(verdict(measured(20_000, errors=0.004), measured(380_000, errors=0.0001))) == (
        Result.WARN,
        ["api: Error Rate: 0.4% is worse than the old slot's 0.01%"],
    )


def test_seven_of_forty_failures_at_5_percent_are_chance_and_eight_are_not() -> None:
    """Two are expected. By chance it is seven or more with a probability of 0.0034, and eight or more of 0.0007."""

    def of_forty(ours: int) -> Result:
        new, old = measured(5_000, errors=ours / 5_000), measured(95_000, errors=(40 - ours) / 95_000)
        return verdict(new, old).result

    assert binomial_tail(7, 40, 0.05) > CHANCE > binomial_tail(8, 40, 0.05)
    assert (of_forty(7), of_forty(8)) == (Result.PASS, Result.WARN)


@pytest.mark.parametrize(
    ("least", "trials", "probability", "expected"),
    [
        # Half of the two-sided 0.05011 of the example in the test's source: 9 events in 16660, 2 in 17877.
        (9, 11, 16660 / (16660 + 17877), 0.025053247807),
        (8, 40, 0.05, 0.000711508438068),
        (1, 1, 0.05, 0.05),
        (40, 40, 0.5, 2.0**-40),
        # Beyond what a float holds of the coefficients.
        (600, 10_000, 0.05, 4.509387117818e-6),
        (2, 40, 0.05, 1.0),
    ],
)
def test_the_tail_of_a_binomial_is_what_fractions_say(
    least: int, trials: int, probability: float, expected: float
) -> None:
    assert binomial_tail(least, trials, probability) == pytest.approx(expected, rel=1e-9)


def test_the_same_rates_among_few_requests_are_chance() -> None:
    assert verdict(measured(250, errors=0.004), measured(4_750, errors=0.0002)).result is Result.PASS


def test_a_certain_difference_that_nobody_feels_passes() -> None:
    assert verdict(measured(1_000_000, errors=0.0009), measured(19_000_000)).result is Result.PASS


def test_a_p99_half_as_long_again_warns_and_a_little_longer_does_not() -> None:
    assert told(verdict(measured(p99=0.16), measured(95_000, p99=0.1))) == (
        Result.WARN,
        ["api: API Latency P99: 160ms is worse than the old slot's 100ms"],
    )
    assert verdict(measured(p99=0.145), measured(95_000, p99=0.1)).result is Result.PASS


def test_twice_a_p99_of_20_ms_is_no_difference_that_counts() -> None:
    assert verdict(measured(p99=0.04), measured(95_000, p99=0.02)).result is Result.PASS


def test_cpu_and_memory_are_not_compared_as_they_follow_the_traffic() -> None:
    assert (
        verdict(measured(cpu=0.69, memory=0.74), measured(95_000, cpu=0.1, memory=0.1)).result is Result.PASS
    )


def test_an_old_slot_with_fewer_requests_than_the_floor_is_no_measure() -> None:
    worse = measured(100_000, errors=0.004, p99=0.19)

    assert verdict(worse, measured(99, errors=0.0, p99=0.01)).result is Result.PASS
    assert verdict(worse, measured(100, errors=0.0, p99=0.01)).result is Result.WARN


@given(
    requests=st.integers(FLOOR, 10_000_000),
    share=st.floats(0.05, 0.95),
    errors=st.floats(0, 0.005),
    p99=st.floats(0, 0.2),
)
def test_two_slots_that_do_alike_pass(requests: int, share: float, errors: float, p99: float) -> None:
    old = requests * (1 - share) / share

    assert verdict(measured(requests, errors, p99), measured(old, errors, p99)).result is Result.PASS


def test_the_error_rate_of_a_verdict_is_that_of_all_its_services() -> None:
    both = judge(
        sample(service(measured(3_000, errors=0.002)), service(measured(1_000, errors=0.006), name="web"))
    )

    assert both.error_rate == pytest.approx(0.003)
