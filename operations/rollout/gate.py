"""Whether the new slot may go on: its own key metrics, beside the old slot's, given enough traffic to tell.

The thresholds are the page's (operations.metrics) and hold for each service by itself, as they do in the alerts. The
whole is never looked at: with 5 % of the traffic, 15 % failures are 0.75 % of it, and no alert at 1 % would fire.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum, unique
from math import exp, lgamma, log, log1p
from typing import Annotated, Final

from pydantic import Field

from operations.metrics import ERROR_RATE, KEY_METRICS, LATENCY_P99, KeyMetric, Level
from operations.model import Model
from operations.services import Name
from operations.slots import WHOLE

FLOOR: Final = 100
"""Requests within the metrics' window below which nothing is concluded from them. Of fewer than a hundred, one failed
request would be more than the page's critical 1 %, and the slowest alone would be the P99. It holds for the whole slot,
where the answer is inconclusive whatever failed of the few; for the two sides of a comparison, which else is not made; and
for one quiet service beside others, whose failures count as of a hundred: if it were to hold the whole slot up, no release
would pass where one service is seldom used, and if it were not looked at, nobody would see that it is broken."""

ASTRAY: Final = 0.5
"""A service that has fewer than the floor, and less than this part of what the old slot's requests and the weight lead to
expect, is not quiet: its requests go astray. Half, since a service whose expectation is just the floor comes by chance to
a little less every other time, and to less than half of it about once in a million times."""

LEAST_DIFFERENCE: Final = 0.2
"""A difference between the slots counts from this part of the metric's warning threshold on: 40 ms, or 0.1 % of
requests. Among many requests a smaller one may be certain, but nobody feels it."""

CHANCE: Final = 0.001
"""The new slot's error rate is held to be worse than the old one's where two slots that are alike would come to so many of
the failures, or more, with less than this probability. A chance result holds the bake clock until the window has passed,
which the limit on warnings (three windows) allows for: it aborts nothing.
Source: https://rdrr.io/cran/rateratio.test/f/inst/doc/rateratio.test.pdf, the uniformly most powerful unbiased test of two
Poisson rates, one-sided: given the failures of both, those of one are binomial."""

SLOWER: Final = 1.5
"""Times the old slot's P99 that the new one's must exceed. Within a histogram's bucket the P99 is interpolated, so that a
smaller ratio may be an artefact of the bounds."""

SPARE_REPLICAS: Final = 0.25
"""The part of a service's replicas that may be missing for a while: what Kubernetes' own rolling update takes away.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-unavailable"""


@unique
class Result(StrEnum):
    """What an evaluation comes to, from the best to the worst."""

    PASS = "pass"  # noqa: S105 -- a result, no password
    WARN = "warn"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"

    @property
    def severity(self) -> int:
        """The place in that order: 0 is the best."""
        return list(Result).index(self)


class Measured(Model):
    """One service in one slot, as Prometheus has it: each value looks back on its metric's window from the evaluation."""

    requests: Annotated[float, Field(ge=0)]
    """How many it received within the error rate's window; 0 where there is no such series. Prometheus extrapolates to the
    window's edges, so it need not be whole."""
    values: Mapping[str, float | None]
    """By the key metric's name, in its unit. None or missing: there is no data, nor a number where Prometheus says NaN."""

    @property
    def failed(self) -> float:
        """How many requests failed; 0 where that is not known."""
        return self.requests * (self.values.get(ERROR_RATE.name) or 0)


class ServiceSample(Model):
    """One service in both slots at one evaluation: requests and values from Prometheus, replicas from the cluster."""

    service: Name
    new: Measured
    old: Measured | None
    """None where there is nothing to compare with."""
    wanted: Annotated[int, Field(ge=1)]
    """Replicas of the new slot that there should be."""
    available: Annotated[int, Field(ge=0)]
    """Replicas of the new slot that serve."""


class Sample(Model):
    """What an evaluation looks at: both slots over the key metrics' windows, which end with it (`rollout.observer`)."""

    weight: Annotated[int, Field(ge=0, le=WHOLE)]
    """Of the new slot, in percent: the share of requests that it should receive now. Within the window it may have been
    less."""
    services: Annotated[tuple[ServiceSample, ...], Field(min_length=1)]
    unscraped: Annotated[int, Field(ge=0)]
    """Pods of the new slot that are ready and not scraped: what they do is missing from every value. All of them, where
    the Prometheus is another environment's."""


class Reason(Model):
    """Why a result is not a pass."""

    result: Result
    metric: str
    """The title of a key metric, or what else was looked at."""
    service: Name | None = None
    """None where it is about the slot."""
    value: float | None = None
    """In the metric's unit; None where there is no data."""
    threshold: float | None = None
    """What the value was held against."""
    text: str
    """The same for a person."""


class Verdict(Model):
    """The result of one evaluation, with its reasons, the worst first; none for a pass."""

    result: Result
    reasons: tuple[Reason, ...] = ()
    error_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    """The ratio of all requests to the new slot that failed, which the error budget pays for; 0 without a request. None: it
    is unknown, or of too few requests to tell."""

    @property
    def text(self) -> str:
        """What decided, for a person: the worst reasons, without the milder ones beside them."""
        decisive = [reason.text for reason in self.reasons if reason.result is self.result]
        return "; ".join(decisive) or "all gates pass"


def judge(sample: Sample) -> Verdict:
    """Return the verdict on one evaluation.

    A slot below the floor is inconclusive: whatever failed of so few requests, nothing follows from it. It still fails by
    what does not depend on requests, its replicas and resources. In a slot above the floor a service below it is quiet. It
    is judged by its replicas and resources, and its failures count as of a hundred requests: one failure is a warning at
    most, two are not. The phases to come bring it more requests.
    """
    reasons = sorted(_reasons(sample), key=lambda reason: -reason.result.severity)
    requests = _requests(sample)
    known = all(s.new.requests == 0 or s.new.values.get(ERROR_RATE.name) is not None for s in sample.services)
    failed = sum(service.new.failed for service in sample.services)
    told = known and not 0 < requests < FLOOR
    return Verdict(
        result=reasons[0].result if reasons else Result.PASS,
        reasons=tuple(reasons),
        error_rate=(failed / requests if requests else 0.0) if told else None,
    )


def unreachable(why: str) -> Verdict:
    """Return the verdict where Prometheus gave no answer."""
    text = f"Prometheus: {why}"
    return Verdict(
        result=Result.INCONCLUSIVE,
        reasons=(Reason(result=Result.INCONCLUSIVE, metric="Prometheus", text=text),),
    )


def _reasons(sample: Sample) -> Iterator[Reason]:
    if sample.unscraped:
        yield Reason(
            result=Result.INCONCLUSIVE,
            metric="Scraping",
            value=sample.unscraped,
            threshold=0,
            text=f"Scraping: {sample.unscraped} ready pods of the new slot are not scraped",
        )
    requests = _requests(sample)
    told = requests >= FLOOR
    if not told:
        yield Reason(
            result=Result.INCONCLUSIVE,
            metric="Requests",
            value=requests,
            threshold=FLOOR,
            text=f"Requests: {requests:g} reached the new slot; a verdict takes {FLOOR}",
        )
    for service in sample.services:
        yield from _replicas(service)
        yield from _traffic(service, sample.weight)
        for metric in KEY_METRICS:
            if told or metric not in {LATENCY_P99, ERROR_RATE}:
                yield from _threshold(metric, service)
        yield from _comparisons(service)


def _requests(sample: Sample) -> float:
    """All requests to the new slot."""
    return sum(service.new.requests for service in sample.services)


def _replicas(sample: ServiceSample) -> Iterator[Reason]:
    least = sample.wanted * (1 - SPARE_REPLICAS)
    if sample.available >= least:
        return
    yield Reason(
        result=Result.WARN if sample.available else Result.FAIL,
        metric="Replicas",
        service=sample.service,
        value=sample.available,
        threshold=least if sample.available else 1,
        text=f"{sample.service}: Replicas: {sample.available} of {sample.wanted} are available",
    )


def _traffic(sample: ServiceSample, weight: int) -> Iterator[Reason]:
    # With all of the weight the old slot receives nothing to go by.
    if sample.old is None or weight == WHOLE or sample.new.requests >= FLOOR:
        return
    expected = sample.old.requests * weight / (WHOLE - weight)
    if expected < FLOOR or sample.new.requests >= expected * ASTRAY:
        return
    yield Reason(
        result=Result.INCONCLUSIVE,
        metric="Requests",
        service=sample.service,
        value=sample.new.requests,
        threshold=FLOOR,
        text=f"{sample.service}: Requests: {sample.new.requests:.0f} reached the new slot, {sample.old.requests:.0f} the old "
        f"one: at {weight} % it should be {expected:.0f}",
    )


def _threshold(metric: KeyMetric, sample: ServiceSample) -> Iterator[Reason]:
    quiet = sample.new.requests < FLOOR
    value = sample.new.values.get(metric.name)
    if metric is LATENCY_P99 and quiet:
        return
    if metric is ERROR_RATE and (quiet or value is not None):
        # Whole failures: Prometheus extrapolates to a window's edges, so that one may come out as 1.05.
        value = min(value or 0, round(sample.new.failed) / FLOOR)
    if value is None:
        yield Reason(
            result=Result.INCONCLUSIVE,
            metric=metric.title,
            service=sample.service,
            text=f"{sample.service}: {metric.title}: no data",
        )
        return
    for level, result in ((Level.CRITICAL, Result.FAIL), (Level.WARNING, Result.WARN)):
        threshold = metric.threshold(level)
        if value > threshold:
            yield Reason(
                result=result,
                metric=metric.title,
                service=sample.service,
                value=value,
                threshold=threshold,
                text=f"{sample.service}: {metric.title}: {_shown(metric, value)} is above the {level} threshold, "
                f"{metric.display(threshold)}",
            )
            return


def _comparisons(sample: ServiceSample) -> Iterator[Reason]:
    # Only what users feel is compared: a slot's CPU and memory follow from its share of the traffic and its replicas.
    new, old = sample.new, sample.old
    if old is None or min(new.requests, old.requests) < FLOOR:
        return
    for metric, times in ((ERROR_RATE, 1), (LATENCY_P99, SLOWER)):
        ours, theirs = new.values.get(metric.name), old.values.get(metric.name)
        if ours is None or theirs is None:
            continue
        threshold = max(theirs * times, theirs + LEAST_DIFFERENCE * metric.warning)
        if ours > threshold and (metric is not ERROR_RATE or _by_chance(new, old) < CHANCE):
            yield Reason(
                result=Result.WARN,
                metric=f"{metric.title} compared",
                service=sample.service,
                value=ours,
                threshold=threshold,
                text=f"{sample.service}: {metric.title}: {_shown(metric, ours)} is worse than the old slot's "
                f"{_shown(metric, theirs)}",
            )


def _by_chance(new: Measured, old: Measured) -> float:
    """Return how likely the new slot has so many of both slots' failures, or more, where the two are alike.

    Whole failures: Prometheus extrapolates to a window's edges, so that one may come out as 1.05.
    """
    ours, theirs = round(new.failed), round(old.failed)
    return binomial_tail(ours, ours + theirs, new.requests / (new.requests + old.requests))


def binomial_tail(least: int, trials: int, probability: float) -> float:
    """Return the probability of at least so many successes, exact but for rounding; 1 where no more than the mean is asked.

    Args:
        least: successes, 0 to `trials`.
        trials: of which each succeeds or not.
        probability: of a success, above 0 and below 1.
    """
    if least <= trials * probability:
        return 1.0
    # By logarithms, as the coefficients of some thousand trials are beyond any float.
    term = exp(
        lgamma(trials + 1)
        - lgamma(least + 1)
        - lgamma(trials - least + 1)
        + least * log(probability)
        + (trials - least) * log1p(-probability)
    )
    total, odds = term, probability / (1 - probability)
    for successes in range(least, trials):
        # Beyond the mean each term is smaller than the one before.
        term *= (trials - successes) / (successes + 1) * odds
        total += term
        if term <= total * 1e-16:
            break
    return min(total, 1.0)


def _shown(metric: KeyMetric, value: float) -> str:
    return metric.display(float(f"{value:.3g}"))
