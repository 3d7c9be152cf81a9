"""Whether the new slot may go on: its own key metrics, beside the old slot's, given enough traffic to tell.

The thresholds are the page's (operations.metrics) and hold for each service by itself, as they do in the alerts. The
whole is never looked at: with 5 % of the traffic, 15 % failures are 0.75 % of it, and no alert at 1 % would fire.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum, unique
from math import sqrt
from typing import Annotated, Final

from pydantic import Field

from operations.ladder import LADDER
from operations.metrics import ERROR_RATE, KEY_METRICS, LATENCY_P99, KeyMetric, Level
from operations.model import Model
from operations.services import Name
from operations.slots import WHOLE

FLOOR: Final = 100
"""Requests to the new slot within the metrics' window below which nothing is concluded from them. Of fewer than a
hundred, one failed request would be more than the page's critical 1 %, and the slowest alone would be the P99."""

BUSY: Final = FLOOR * (WHOLE - LADDER[0].weight) // LADDER[0].weight
"""Requests to one service of the old slot within the window from which on the new one, with the first phase's share of
them, reaches the floor. If it does not, its requests go astray: the service is not merely quiet."""

LEAST_DIFFERENCE: Final = 0.2
"""A difference between the slots counts from this part of the metric's warning threshold on: 40 ms, or 0.1 % of
requests. Among many requests a smaller one may be certain, but nobody feels it."""

CERTAINTY: Final = 3.0
"""Standard errors by which the new slot's error rate exceeds the old one's before the difference is held for real (one
in 740 by chance). A chance result holds the bake clock until the window has passed, which the limit on warnings (three
windows) allows for: it aborts nothing.
Source: https://www.itl.nist.gov/div898/handbook/prc/section3/prc33.htm, two proportions, one-sided."""

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
    """One service in one slot over the metrics' window."""

    requests: Annotated[float, Field(ge=0)]
    """How many it received; 0 where there is no such series."""
    values: Mapping[str, float | None]
    """By the key metric's name, in its unit. None or missing: there is no data, nor a number where Prometheus says NaN."""

    @property
    def failed(self) -> float:
        """How many requests failed; 0 where that is not known."""
        return self.requests * (self.values.get(ERROR_RATE.name) or 0)


class ServiceSample(Model):
    """One service in both slots, at one evaluation."""

    service: Name
    new: Measured
    old: Measured | None
    """None where there is nothing to compare with."""
    wanted: Annotated[int, Field(ge=1)]
    """Replicas of the new slot that there should be."""
    available: Annotated[int, Field(ge=0)]
    """Replicas of the new slot that serve."""


class Sample(Model):
    """What an evaluation looks at."""

    services: Annotated[tuple[ServiceSample, ...], Field(min_length=1)]
    unscraped: Annotated[int, Field(ge=0)]
    """Pods of the new slot that Prometheus knows and cannot scrape: what they do is missing from every value."""


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
    """The ratio of all requests to the new slot that failed, which the error budget pays for; None: unknown."""

    @property
    def text(self) -> str:
        """What decided, for a person: the worst reasons, without the milder ones beside them."""
        decisive = [reason.text for reason in self.reasons if reason.result is self.result]
        return "; ".join(decisive) or "all gates pass"


def judge(sample: Sample) -> Verdict:
    """Return the verdict on one evaluation.

    A service below the floor is quiet. It is judged by its replicas and resources, and its failures count as of a
    hundred requests: one failure is a warning at most, two are not. The phases to come bring it more requests.
    """
    reasons = sorted(_reasons(sample), key=lambda reason: -reason.result.severity)
    requests = sum(service.new.requests for service in sample.services)
    known = all(s.new.requests == 0 or s.new.values.get(ERROR_RATE.name) is not None for s in sample.services)
    failed = sum(service.new.failed for service in sample.services)
    return Verdict(
        result=reasons[0].result if reasons else Result.PASS,
        reasons=tuple(reasons),
        error_rate=(failed / requests if requests else 0.0) if known else None,
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
            text=f"Scraping: {sample.unscraped} pods of the new slot cannot be scraped",
        )
    requests = sum(service.new.requests for service in sample.services)
    if requests < FLOOR:
        yield Reason(
            result=Result.INCONCLUSIVE,
            metric="Requests",
            value=requests,
            threshold=FLOOR,
            text=f"Requests: {requests:g} reached the new slot; a verdict takes {FLOOR}",
        )
    for service in sample.services:
        yield from _replicas(service)
        yield from _traffic(service)
        for metric in KEY_METRICS:
            yield from _threshold(metric, service)
        yield from _comparisons(service)


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


def _traffic(sample: ServiceSample) -> Iterator[Reason]:
    if sample.old is None or sample.old.requests < BUSY or sample.new.requests >= FLOOR:
        return
    yield Reason(
        result=Result.INCONCLUSIVE,
        metric="Requests",
        service=sample.service,
        value=sample.new.requests,
        threshold=FLOOR,
        text=f"{sample.service}: Requests: {sample.new.requests:g} reached the new slot, "
        f"{sample.old.requests:g} the old one",
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
    pooled = (new.failed + old.failed) / (new.requests + old.requests)
    error = sqrt(pooled * (1 - pooled) * (1 / new.requests + 1 / old.requests))
    for metric, times, plus in ((ERROR_RATE, 1, CERTAINTY * error), (LATENCY_P99, SLOWER, 0)):
        ours, theirs = new.values.get(metric.name), old.values.get(metric.name)
        if ours is None or theirs is None:
            continue
        threshold = max(theirs * times + plus, theirs + LEAST_DIFFERENCE * metric.warning)
        if ours > threshold:
            yield Reason(
                result=Result.WARN,
                metric=f"{metric.title} compared",
                service=sample.service,
                value=ours,
                threshold=threshold,
                text=f"{sample.service}: {metric.title}: {_shown(metric, ours)} is worse than the old slot's "
                f"{_shown(metric, theirs)}",
            )


def _shown(metric: KeyMetric, value: float) -> str:
    return metric.display(float(f"{value:.3g}"))
