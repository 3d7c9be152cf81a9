"""Rules are plain data, rendered from the one table of key metrics. What they do is judged in tests/rules."""

from components.monitoring.rules import IMPACT, Rule, recorded, rule_file
from operations.metrics import KEY_METRICS, Level


def alerts() -> list[Rule]:
    return [rule for group in rule_file()["groups"] for rule in group["rules"] if "alert" in rule]


def test_every_key_metric_has_a_warning_and_a_critical_alert() -> None:
    found = [(rule.get("alert"), rule.get("labels", {}).get("severity")) for rule in alerts()]
    assert found == [
        ("ApiLatencyP99", "warning"),
        ("ApiLatencyP99", "critical"),
        ("ErrorRate", "warning"),
        ("ErrorRate", "critical"),
        ("CpuUsage", "warning"),
        ("CpuUsage", "critical"),
        ("MemoryUsage", "warning"),
        ("MemoryUsage", "critical"),
        ("PodRestarts", "warning"),
        ("PodRestarts", "critical"),
    ]


def test_a_critical_alert_is_first_priority_and_a_warning_third() -> None:
    priorities = {
        (rule.get("labels", {}).get("severity"), rule.get("labels", {}).get("priority")) for rule in alerts()
    }
    assert priorities == {("critical", "P1"), ("warning", "P3")}


def test_a_critical_breach_is_announced_within_the_five_minutes_of_the_worst_incident() -> None:
    assert {rule.get("for") for rule in alerts() if rule.get("labels", {}).get("severity") == "critical"} == {
        "2m"
    }


def test_every_alert_judges_the_recorded_value_strictly() -> None:
    for metric in KEY_METRICS:
        expressions = [rule["expr"] for rule in alerts() if rule["expr"].startswith(recorded(metric))]
        assert expressions == [f"{recorded(metric)} > {metric.threshold(level):g}" for level in Level]


def test_a_value_is_recorded_before_it_is_judged() -> None:
    for group in rule_file()["groups"]:
        first, *rest = group["rules"]
        assert "record" in first
        assert all("alert" in rule for rule in rest)


def test_an_impact_is_told_for_each_key_metric_and_for_nothing_else() -> None:
    assert set(IMPACT) == {metric.name for metric in KEY_METRICS}
