"""What Alertmanager does with a configuration, in the little of it that can be asked without running it.

Alertmanager's own tool knows no time and no inhibitions. Where it has an answer, or the running program, a test holds
this to it.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

Configuration = Mapping[str, Any]
Labels = Mapping[str, str]

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MATCHER: Final = re.compile(r'(\w+)(=~|!~|!=|=)"(.*)"')


def matches(matcher: str, labels: Labels) -> bool:
    """Whether labels satisfy a matcher such as `priority="P1"`; a label that is missing is empty."""
    parsed = _MATCHER.fullmatch(matcher)
    assert parsed is not None, matcher
    name, operator, wanted = parsed.groups()
    value = labels.get(name, "")
    found = value == wanted if operator in {"=", "!="} else re.fullmatch(wanted, value) is not None
    return found != operator.startswith("!")


def routes_of(configuration: Configuration, labels: Labels) -> list[Configuration]:
    """The routes that an alert takes: up to and with the first that does not say `continue`, or else the root."""
    taken: list[Configuration] = []
    for route in configuration["route"]["routes"]:
        if all(matches(matcher, labels) for matcher in route["matchers"]):
            taken.append(route)
            if not route.get("continue", False):
                break
    return taken or [configuration["route"]]


def receivers_of(configuration: Configuration, labels: Labels) -> list[str]:
    """The receivers of an alert, whatever the time."""
    return [route["receiver"] for route in routes_of(configuration, labels)]


def told_at(configuration: Configuration, labels: Labels, moment: datetime) -> list[str]:
    """The receivers that hear of an alert at a moment."""
    intervals = {interval["name"]: interval["time_intervals"] for interval in configuration["time_intervals"]}
    return [
        route["receiver"]
        for route in routes_of(configuration, labels)
        if "active_time_intervals" not in route
        or any(
            contains(interval, moment)
            for name in route["active_time_intervals"]
            for interval in intervals[name]
        )
    ]


def contains(interval: Configuration, moment: datetime) -> bool:
    """Whether a time interval holds a moment: days and times are of its location, and the last minute is not in it.

    What an interval does not say does not limit it.
    """
    local = moment.astimezone(ZoneInfo(interval.get("location", "UTC")))
    now = f"{local:%H:%M}"
    return ("weekdays" not in interval or _WEEKDAYS[local.weekday()] in interval["weekdays"]) and (
        "times" not in interval
        or any(span["start_time"] <= now < span["end_time"] for span in interval["times"])
    )


def inhibits(configuration: Configuration, source: Labels, target: Labels) -> bool:
    """Whether a firing alert keeps another one from being told."""
    return any(_inhibits(rule, source, target) for rule in configuration["inhibit_rules"])


def _inhibits(rule: Configuration, source: Labels, target: Labels) -> bool:
    def all_match(side: str, labels: Labels) -> bool:
        return all(matches(matcher, labels) for matcher in rule.get(side, []))

    # Of two alerts that each match both sides neither inhibits the other.
    both = all_match("target_matchers", source) and all_match("source_matchers", target)
    return (
        all_match("source_matchers", source)
        and all_match("target_matchers", target)
        and not both
        and all(source.get(label, "") == target.get(label, "") for label in rule.get("equal", []))
    )


def paces(configuration: Configuration) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Receiver and grouping of every route but the root: by which labels, and how long it waits, rests, is silent."""
    root = configuration["route"]
    for route in root["routes"]:
        yield (
            route["receiver"],
            tuple(
                route.get(key, root.get(key))
                for key in ("group_by", "group_wait", "group_interval", "repeat_interval")
            ),
        )
