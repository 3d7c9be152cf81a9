"""For each alert the series that just raise it and those that just do not; for each recording what it comes to.

Expected values are written out, not computed, so that whatever is moved by mistake shows here.
"""

from collections.abc import Iterator

from tests.rules.promtool import Case, Firing, Value
from tests.rules.shapes import DEV, LIVE, QA, UAT
from tests.rules.worlds import (
    APPLICATION,
    CONTAINER,
    HEALTHY,
    NODES,
    Series,
    cpu,
    cron_job,
    daemonset,
    deployment,
    errors,
    evaluated,
    failing,
    figure,
    handed_over,
    lag,
    latency,
    memory,
    node,
    restarted_and_replaced,
    restarts,
    running,
    sent,
    slots,
    statefulset,
    targets,
    volume,
)


def count(alert: str, at: str, number: int | None, **labels: str) -> Value:
    """How many such alerts fire; None, how it counts none, also says that none is about to."""
    state = {} if number is None else {"alertstate": "firing"}
    matchers = {"alertname": alert, **state, **labels}
    selected = ", ".join(f'{name}="{value}"' for name, value in matchers.items())
    return Value(f"count(ALERTS{{{selected}}})", at, number)


def not_yet(alert: str, at: str, **labels: str) -> Value:
    """That no such alert fires, though one may be about to."""
    return count(alert, at, None, alertstate="firing", **labels)


# --- key metrics ---------------------------------------------------------------------------------------------------

SLOW = "One request in a hundred takes longer than this: users wait."
FAILING = "Requests fail: users see errors."
BUSY = "Scaling does not keep up: latency rises next."
FULL = "At the limit the kernel kills the fullest pod and its requests fail."
DYING = "Pods die and lose the requests they were serving."


def breach(
    alert: str,
    priority: str,
    series: Series,
    silent_at: str,
    fires_at: str,
    says: str,
    impact: str,
    runbook: str,
) -> Case:
    """A value just above a threshold: seen at `silent_at`, and lasting at `fires_at`."""
    firing = Firing(
        priority,
        says,
        impact,
        "service?var-service=api",
        runbook,
        {"slot": "blue", "service": "api"},
    )
    return Case(
        about=alert,
        title=f"{says}: {priority}",
        series=series,
        alerts={silent_at: [], fires_at: [firing]},
    )


def at_threshold(alert: str, series: Series, above: str | None, title: str) -> Case:
    """A value at a threshold; `above` is the milder alert that it raises, if any."""
    severities = {"warning", "critical"} - ({above} if above else set())
    return Case(
        about=alert,
        title=title,
        series=series,
        values=[
            Value(f'count(ALERTS{{alertname="{alert}", severity="{severity}"}})', "10m", None)
            for severity in sorted(severities)
        ],
    )


KEY_METRICS = [
    breach("ApiLatencyP99", "P3", latency(9899, 10000), "5m", "6m",
           "API Latency P99 of api in slot blue is 203ms, above 200ms", SLOW, "api-latency-p99.md"),
    breach("ApiLatencyP99", "P1", latency(9800, 9899), "2m", "3m",
           "API Latency P99 of api in slot blue is 505ms, above 500ms", SLOW, "api-latency-p99.md"),
    breach("ErrorRate", "P3", errors(36), "5m", "6m",
           "Error Rate of api in slot blue is 0.6%, above 0.5%", FAILING, "error-rate.md"),
    breach("ErrorRate", "P1", errors(66), "2m", "3m",
           "Error Rate of api in slot blue is 1.1%, above 1%", FAILING, "error-rate.md"),
    breach("CpuUsage", "P3", cpu(42.6), "8m", "9m",
           "CPU Usage of api in slot blue is 71%, above 70%", BUSY, "cpu-usage.md"),
    breach("CpuUsage", "P1", cpu(51.6), "5m", "6m",
           "CPU Usage of api in slot blue is 86%, above 85%", BUSY, "cpu-usage.md"),
    breach("MemoryUsage", "P3", memory(751), "4m", "5m",
           "Memory Usage of api in slot blue is 75.1%, above 75%", FULL, "memory-usage.md"),
    breach("MemoryUsage", "P1", memory(901), "1m", "2m",
           "Memory Usage of api in slot blue is 90.1%, above 90%", FULL, "memory-usage.md"),
    breach("PodRestarts", "P3", restarts(3), "5m", "6m",
           "Pod Restarts of api in slot blue is 3 per hour, above 2/hour", DYING, "pod-restarts.md"),
    breach("PodRestarts", "P1", restarts(6), "2m", "3m",
           "Pod Restarts of api in slot blue is 6 per hour, above 5/hour", DYING, "pod-restarts.md"),
    at_threshold("ApiLatencyP99", latency(9900, 10000), None, "200ms is not above 200ms"),
    at_threshold("ApiLatencyP99", latency(9800, 9900), "warning", "500ms is not above 500ms"),
    at_threshold("ErrorRate", errors(30), None, "0.5% is not above 0.5%"),
    at_threshold("ErrorRate", errors(60), "warning", "1% is not above 1%"),
    at_threshold("CpuUsage", cpu(42), None, "70% is not above 70%"),
    at_threshold("CpuUsage", cpu(51), "warning", "85% is not above 85%"),
    at_threshold("MemoryUsage", memory(750), None, "75% is not above 75%"),
    at_threshold("MemoryUsage", memory(900), "warning", "90% is not above 90%"),
    at_threshold("PodRestarts", restarts(2), None, "2 an hour are not above 2"),
    at_threshold("PodRestarts", restarts(5), "warning", "5 an hour are not above 5"),
]  # fmt: skip

RESTARTS = "slot_service:pod_restarts:1h"

KEY_METRIC_BEHAVIOUR = [
    Case(
        about="MemoryUsage",
        title="a breach that ends before it has lasted never fires",
        # Two samples above both thresholds; the third takes the mean below them again.
        series={**memory(100), f"container_memory_working_set_bytes{{{CONTAINER}}}": "950 950 100x30"},
        alerts={moment: [] for moment in ("2m", "3m", "6m", "12m")},
    ),
    Case(
        about="PodRestarts",
        title="a value that falls below its threshold keeps its alert a while, so that one around it pages once",
        # Six restarts in the second minute leave the hour's window at 61 m.
        series=restarts(6, minutes=70),
        values=[
            count("PodRestarts", "60m", 1, severity="critical"),
            count("PodRestarts", "64m", 1, severity="critical"),
            count("PodRestarts", "66m", None),
        ],
    ),
    Case(
        about="PodRestarts",
        title="what restarted counts for as long as it exists: a version that takes the slot of one that crashed begins anew",
        series=restarted_and_replaced(6),
        values=[
            Value(RESTARTS, "9m", 6, f"{RESTARTS}{{{APPLICATION}}}"),
            Value(RESTARTS, "11m", 1, f"{RESTARTS}{{{APPLICATION}}}"),
            count("PodRestarts", "9m", 1, severity="critical"),
            count("PodRestarts", "17m", None),
        ],
    ),
    Case(
        about="ErrorRate",
        title="each slot is judged alone: a canary's errors are not diluted by the other slot's many good requests",
        series={**errors(66), **errors(0, "green", requests=600_000)},
        values=[
            count("ErrorRate", "10m", 1, slot="blue", severity="critical"),
            count("ErrorRate", "10m", None, slot="green"),
            Value(
                'slot_service:error_rate:5m{slot="green"}',
                "10m",
                0,
                'slot_service:error_rate:5m{slot="green", service="api"}',
            ),
        ],
    ),
]


# --- error budget --------------------------------------------------------------------------------------------------


BURN = "ErrorBudgetBurn"

BURN_LIMITS = [
    (LIVE, "fastest", "144x40", "145x40"),
    (LIVE, "fast", "60x40", "61x40"),
    (LIVE, "slow", "30x40", "31x40"),
    (LIVE, "slowest", "10x40", "11x40"),
    (QA, "fastest", "72000x40", "72001x40"),
    (QA, "fast", "30000x40", "30001x40"),
    (QA, "slow", "15000x40", "15001x40"),
    (QA, "slowest", "5000x40", "5001x40"),
]
"""Of 100,000 requests a second: failures at the limit, and just above it."""


def burn_limits() -> Iterator[Case]:
    for shape, rate, at, above in BURN_LIMITS:
        yield Case(
            about=BURN,
            title=f"both windows of the {rate} are just above its limit",
            shape=shape,
            series=failing(above, "100000x40"),
            values=[not_yet(BURN, "1m", burn_rate=rate), count(BURN, "2m", 1, burn_rate=rate)],
        )
        yield Case(
            about=BURN,
            title=f"both windows of the {rate} are at its limit",
            shape=shape,
            series=failing(at, "100000x40"),
            values=[count(BURN, "10m", None, burn_rate=rate)],
        )


BURN_WINDOWS = [
    ("fastest", "1m", "0x4 288x9 144x20", "11m", "12m", "21m"),
    ("fast", "10m", "0x2 120x5 60x10", "60m", "70m", "130m"),
    ("slow", "10m", "0x11 60x23 30x20", "240m", "250m", "490m"),
    ("slowest", "10m", "0x35 20x71 10x50", "720m", "730m", "1450m"),
]
"""First no failure for as long as the short window, then twice the limit for double that, then exactly the limit.

The long window gets to the limit when both have lasted equally long, and is above it one step later; the short one
is back at the limit when the last part has lasted as long as it looks back.
"""


def burn_windows() -> Iterator[Case]:
    for rate, step, failures, silent_at, fires_at, over_at in BURN_WINDOWS:
        yield Case(
            about=BURN,
            title=f"the {rate} takes both its windows above its limit",
            step=step,
            series=failing(failures, "100000x200"),
            values=[
                not_yet(BURN, silent_at, burn_rate=rate),
                count(BURN, fires_at, 1, burn_rate=rate),
                count(BURN, over_at, None, burn_rate=rate),
            ],
        )


def burning(priority: str, rate: str, summary: str, hours: str) -> Firing:
    impact = f"Users see errors. At this rate an error budget of 30 days is spent in {hours} hours."
    return Firing(priority, summary, impact, "overview", "error-budget-burn.md", {"burn_rate": rate})


FIVE_PERCENT = "5% of the requests of live failed over"
BURNS = [
    Case(
        about=BURN,
        title="one request in twenty fails, and every rate says so",
        series=failing("5000x40", "100000x40"),
        alerts={
            "1m": [],
            "2m": [
                burning("P1", "fastest", f"{FIVE_PERCENT} 1h, above 0.144%: a burn rate of 14.4 for an SLA of 99.99%", "50"),
                burning("P2", "fast", f"{FIVE_PERCENT} 6h, above 0.06%: a burn rate of 6 for an SLA of 99.99%", "120"),
                burning("P3", "slow", f"{FIVE_PERCENT} 1d, above 0.03%: a burn rate of 3 for an SLA of 99.99%", "240"),
                burning("P4", "slowest", f"{FIVE_PERCENT} 3d, above 0.01%: a burn rate of 1 for an SLA of 99.99%", "720"),
            ],
        },
    ),
    Case(
        about=BURN,
        title="where nothing is promised nothing burns, though every request fails",
        shape=DEV,
        series=failing("100000x40", "100000x40"),
        values=[
            count(BURN, "10m", None),
            Value("environment:error_ratio:3d", "10m", 1, "environment:error_ratio:3d"),
            Value("environment:error_budget_left:ratio", "10m", None),
        ],
    ),
    *burn_limits(),
    *burn_windows(),
]  # fmt: skip


def ratio(window: str, at: str, value: float | None) -> Value:
    series = f"environment:error_ratio:{window}"
    return Value(series, at, value, series)


def budget_left(at: str, value: float) -> Value:
    return Value("round(environment:error_budget_left:ratio, 0.001)", at, value)


BUDGET = [
    Case(
        about="error_budget",
        title="requests and failures are counted by slot and service, and all together",
        series={
            'http_requests_total{slot="blue", service="api", code="200", pod="1"}': "0+3000x30",
            'http_requests_total{slot="blue", service="api", code="200", pod="2"}': "0+2700x30",
            'http_requests_total{slot="blue", service="api", code="503", pod="2"}': "0+300x30",
            'http_requests_total{slot="green", service="web", code="404", pod="3"}': "0+6000x30",
        },
        values=[
            Value(f"round({series}, 0.001)", "10m", value, labels)
            for series, labels, value in (
                ('slot_service:requests:rate5m{slot="blue"}', '{slot="blue", service="api"}', 100),
                ('slot_service:requests:rate5m{slot="green"}', '{slot="green", service="web"}', 100),
                ('slot_service:errors:rate5m{slot="blue"}', '{slot="blue", service="api"}', 5),
                ('slot_service:errors:rate5m{slot="green"}', '{slot="green", service="web"}', 0),
                ("environment:requests:rate5m", "{}", 200),
                ("environment:errors:rate5m", "{}", 5),
                ("environment:error_ratio:5m", "{}", 0.025),
                ("environment:error_ratio:1h", "{}", 0.025),
            )
        ],
    ),
    Case(
        about="error_budget",
        title="a minute's failures count for as long as each window looks back",
        step="10m",
        series=failing("900 0x60", "100000x60"),
        values=[
            ratio("5m", "0m", 0.009), ratio("5m", "10m", 0),
            ratio("30m", "20m", 0.003), ratio("30m", "30m", 0),
            ratio("1h", "50m", 0.0015), ratio("1h", "60m", 0),
            ratio("2h", "110m", 0.00075), ratio("2h", "120m", 0),
            ratio("6h", "350m", 0.00025), ratio("6h", "360m", 0),
        ],
    ),
    Case(
        about="error_budget",
        title="a day's failures count for as long as each window looks back",
        step="1d",
        series=failing("900 0x40", "100000x40"),
        values=[
            ratio("1d", "0d", 0.009), ratio("1d", "1d", 0),
            ratio("3d", "2d", 0.003), ratio("3d", "3d", 0),
            ratio("30d", "29d", 0.0003), ratio("30d", "30d", 0),
            budget_left("0d", -89), budget_left("29d", -2), budget_left("30d", 1),
        ],
    ),
    Case(
        about="error_budget",
        title="a quiet night weighs nothing",
        step="10m",
        series=failing("0x5 10", "100000 0x4 100000"),
        values=[ratio("6h", "60m", 0.00005)],
    ),
    Case(
        about="error_budget",
        title="without a request there is no ratio, rather than a good or a bad one",
        series=failing("0x40", "0x40"),
        values=[ratio("5m", "10m", None), ratio("3d", "10m", None)],
    ),
    Case(
        about="error_budget",
        title="the budget counts as many days as Prometheus remembers",
        shape=QA,
        step="1d",
        series=failing("15000 0x40", "100000x40"),
        values=[budget_left("0d", -2), budget_left("2d", 0), budget_left("3d", 1)],
    ),
    Case(
        about="error_budget",
        title="the budget counts as many days as Prometheus remembers",
        shape=UAT,
        step="1d",
        series=failing("7000 0x40", "100000x40"),
        values=[budget_left("0d", -6), budget_left("6d", 0), budget_left("7d", 1)],
    ),
]  # fmt: skip

# --- services and nodes --------------------------------------------------------------------------------------------

DOWN = Firing(
    "P1",
    "No pod of api answers in any slot",
    "Every request to api fails: a total outage of it.",
    "service?var-service=api",
    "service-down.md",
    {"service": "api"},
)

SERVICES = [
    Case(
        about="ServiceDown",
        title="no pod of api answers",
        series={**HEALTHY, **slots(blue_api="0x40", green_api="0x40")},
        alerts={"1m": [], "2m": [DOWN]},
    ),
    Case(
        about="ServiceDown",
        title="api has no pod at all any more",
        series={**HEALTHY, **slots(blue_api="1x4 stale", green_api="1x4 stale")},
        alerts={"6m": [], "7m": [DOWN]},
    ),
    Case(
        about="ServiceDown",
        title="no pod of web answers",
        series={**HEALTHY, **slots(blue_web="0x40", green_web="0x40")},
        alerts={
            "1m": [],
            "2m": [
                Firing(
                    "P1",
                    "No pod of web answers in any slot",
                    "Every request to web fails: a total outage of it.",
                    "service?var-service=web",
                    "service-down.md",
                    {"service": "web"},
                )
            ],
        },
    ),
    Case(
        about="ServiceDown",
        title="one pod in one slot still answers",
        series={**HEALTHY, **slots(blue_api="0x40", blue_web="0x40")},
        values=[count("ServiceDown", "5m", None)],
    ),
]

NODES_CASES = [
    Case(
        about="NodeDown",
        title="one of two nodes is not ready",
        series={**HEALTHY, **node(NODES[0], 0)},
        alerts={
            "4m": [],
            "5m": [
                Firing(
                    "P2",
                    "The node ip-10-50-1-10 is not ready",
                    "Its pods are lost until they run elsewhere; the services in both slots have less room.",
                    "cluster",
                    "node-down.md",
                    {"node": "ip-10-50-1-10"},
                )
            ],
        },
    ),
    Case(
        about="NodeDown", title="both nodes are ready", series=HEALTHY, values=[count("NodeDown", "5m", None)]
    ),
]

# --- backups and recovery ------------------------------------------------------------------------------------------

LAG = "ReplicationLag"
ABOUT_TO_HANG = (
    "Users' writes are about to hang: commits wait from 30s on, so that not more is lost with the region."
)
BEHIND = "As much would be lost with the region; users' writes hang if it grows: commits wait from 30s on."


def lagging(priority: str, lag: str, summary: str, impact: str) -> Firing:
    return Firing(priority, summary, impact, "data", "replication-lag.md", {"lag": lag})


LATE_WARNING = lagging(
    "P3", "recovery-point", "Commits reach the recovery region 15.5s late, above 15s", BEHIND
)
LATE_CRITICAL = (
    lagging("P1", "recovery-point", "Commits reach the recovery region 27.5s late, above 27s", ABOUT_TO_HANG),
    lagging("P3", "recovery-point", "Commits reach the recovery region 27.5s late, above 15s", BEHIND),
)

LAG_CASES = [
    Case(
        about=LAG,
        title="commits arrive later than half of what makes them wait",
        series={**HEALTHY, **lag("15500x40")},
        alerts={"4m": [], "5m": [LATE_WARNING]},
    ),
    Case(
        about=LAG,
        title="commits arrive later than nine tenths of what makes them wait",
        series={**HEALTHY, **lag("27500x40")},
        alerts={"1m": [], "2m": LATE_CRITICAL[:1], "5m": LATE_CRITICAL},
    ),
    Case(
        about=LAG,
        title="replication is late, and commits are not",
        series={**HEALTHY, **lag("200x40", "15500x40")},
        alerts={
            "4m": [],
            "5m": [
                lagging(
                    "P3", "replication", "Replication to the recovery region takes 15.5s, above 15s", BEHIND
                )
            ],
        },
    ),
    Case(
        about=LAG,
        title="nine tenths are not above nine tenths",
        series={**HEALTHY, **lag("27000x40", "15000x40")},
        values=[count(LAG, "10m", None, severity="critical"), count(LAG, "10m", None, lag="replication")],
    ),
    Case(
        about=LAG,
        title="half is not above half",
        series={**HEALTHY, **lag("15000x40")},
        values=[count(LAG, "10m", None)],
    ),
]

BACKUP = "BackupOverdue"
NOTHING_NEWER = "A restore from it would bring back nothing that is newer."


def backup_overdue(
    data: str, figure: str, what: str, priority: str = "P3", age: str = "1d 12h 0m 1s old, above 36 hours"
) -> Firing:
    return Firing(
        priority,
        f"The last {what} is {age}",
        NOTHING_NEWER,
        "data",
        "backup-overdue.md",
        {"data": data, "figure": figure},
    )


def ages(seconds: int) -> Series:
    samples = f"{seconds}x40"
    return {
        **figure("backup_age", "database", samples),
        **figure("backup_age", "files", samples),
        **figure("copy_age", "files", samples),
    }


BACKUP_CASES = [
    Case(
        about=BACKUP,
        title="a day and a half have passed since each backup and copy",
        series={**HEALTHY, **ages(129_601)},
        alerts={
            "0m": [
                backup_overdue("database", "BackupAge", "backup of the database"),
                backup_overdue("files", "BackupAge", "backup of the files"),
                backup_overdue("files", "CopyAge", "copy of the files"),
            ]
        },
    ),
    Case(
        about=BACKUP,
        title="three days have passed since each backup and copy",
        series={**HEALTHY, **ages(259_201)},
        alerts={
            "0m": [
                backup_overdue(data, figure, what, priority, f"3d 0h 0m 1s old, above {limit} hours")
                for data, figure, what in (
                    ("database", "BackupAge", "backup of the database"),
                    ("files", "BackupAge", "backup of the files"),
                    ("files", "CopyAge", "copy of the files"),
                )
                for priority, limit in (("P3", 36), ("P2", 72))
            ]
        },
    ),
    Case(
        about=BACKUP,
        title="three days are not above three days",
        series={**HEALTHY, **ages(259_200)},
        values=[count(BACKUP, "5m", None, severity="critical"), count(BACKUP, "5m", 3, severity="warning")],
    ),
    Case(
        about=BACKUP,
        title="a day and a half are not above a day and a half",
        series={**HEALTHY, **ages(129_600)},
        values=[count(BACKUP, "5m", None)],
    ),
    Case(
        about=BACKUP,
        title="an environment without recovery objectives is backed up too",
        shape=DEV,
        series={**HEALTHY, **ages(129_601)},
        values=[count(BACKUP, "5m", 3)],
    ),
]

INSTANCE = "DatabaseInstanceMissing"


def instances_missing(database: str, missing: int) -> Firing:
    return Firing(
        "P2",
        f"Missing instances of {database}: {missing}",
        "If the writer or its region were lost now, the database would be back later than is promised.",
        "data",
        "database-instance-missing.md",
        {"database": database},
    )


INSTANCE_CASES = [
    Case(
        about=INSTANCE,
        title="a reader at home and one in the recovery region are gone",
        series={**targets(), **running("database-0", "database-2", "database-recovery-0")},
        alerts={
            "14m": [],
            "15m": [
                instances_missing("quikapp-live-database", 1),
                instances_missing("quikapp-live-database-recovery", 1),
            ],
        },
    ),
    Case(
        about=INSTANCE,
        title="nobody could take over in the recovery region",
        series={**targets(), **running("database-0", "database-1", "database-2")},
        alerts={"14m": [], "15m": [instances_missing("quikapp-live-database-recovery", 2)]},
    ),
    Case(
        about=INSTANCE,
        title="an instance that is declared by no stack file stands for none that is",
        series={**targets(), **running("database-0", "database-1", "database-10", "restored-database-2")},
        alerts={
            "15m": [
                instances_missing("quikapp-live-database", 1),
                instances_missing("quikapp-live-database-recovery", 2),
            ],
        },
    ),
    Case(
        about=INSTANCE,
        title="one scrape of the exporter that fails lets nobody wait anew",
        series={
            **targets(cloudwatch_exporter="1x9 0 1x30"),
            **running("database-0", "database-1", "database-recovery-0", "database-recovery-1"),
        },
        alerts={"14m": [], "15m": [instances_missing("quikapp-live-database", 1)]},
    ),
    Case(
        about=INSTANCE,
        title="without the exporter nobody can tell",
        series=targets(cloudwatch_exporter="1x2 0x40"),
        alerts={"30m": []},
    ),
    Case(
        about=INSTANCE,
        title="all of them run",
        series=HEALTHY,
        values=[count(INSTANCE, "5m", None)],
    ),
    Case(
        about=INSTANCE,
        title="an environment of one region has instances, too",
        shape=DEV,
        series=targets(),
        values=[count(INSTANCE, "15m", 1, database="quikapp-dev-database")],
    ),
]

RESTORE = "RestoreTestOverdue"
TOO_SLOW = "RestoreTooSlow"
BEYOND_PLAN = "RestoreBeyondPlan"


def restored(name: str, seconds: int) -> Series:
    samples = f"{seconds}x40"
    return {**figure(name, "database", samples), **figure(name, "files", samples)}


def restore_overdue(data: str) -> Firing:
    return Firing(
        "P3",
        f"The last tested restore of the {data} is 7d 12h 0m 1s ago, above 180 hours",
        "Nobody knows whether the backups of today can be restored.",
        "data",
        "restore-test-overdue.md",
        {"data": data},
    )


def restore_slow(data: str) -> Firing:
    return Firing(
        "P3",
        f"The last tested restore of the {data} took 15m 1s, above 15 minutes",
        "What only a backup can bring back is not back in the recovery time that is promised.",
        "data",
        "restore-too-slow.md",
        {"data": data},
    )


def restore_beyond_plan(data: str) -> Firing:
    return Firing(
        "P3",
        f"The last tested restore of the {data} took 3h 0m 1s, above the 3 hours planned",
        "What is said of recovery times, and was accepted as a risk, is no longer true.",
        "data",
        "restore-beyond-plan.md",
        {"data": data},
    )


RESTORE_CASES = [
    Case(
        about=RESTORE,
        title="seven days and a half have passed since each restore was tested",
        series={**HEALTHY, **restored("restore_age", 648_001)},
        alerts={"0m": [restore_overdue("database"), restore_overdue("files")]},
    ),
    Case(
        about=RESTORE,
        title="seven days and a half are not above seven days and a half",
        series={**HEALTHY, **restored("restore_age", 648_000)},
        values=[count(RESTORE, "5m", None)],
    ),
    Case(
        about=TOO_SLOW,
        title="each restore took longer than may be",
        series={**HEALTHY, **restored("restore_duration", 901)},
        alerts={"0m": [restore_slow("database"), restore_slow("files")]},
    ),
    Case(
        about=TOO_SLOW,
        title="a quarter of an hour is not above a quarter of an hour",
        series={**HEALTHY, **restored("restore_duration", 900)},
        values=[count(TOO_SLOW, "5m", None)],
    ),
    Case(
        about=BEYOND_PLAN,
        title="each restore took longer than is planned with",
        series={**HEALTHY, **restored("restore_duration", 10_801)},
        alerts={"0m": [restore_beyond_plan("database"), restore_beyond_plan("files")]},
    ),
    Case(
        about=BEYOND_PLAN,
        title="three hours are not above three hours",
        series={**HEALTHY, **restored("restore_duration", 10_800)},
        values=[count(BEYOND_PLAN, "5m", None)],
    ),
    Case(
        about=RESTORE,
        title="where nothing is promised no restore is missed",
        shape=DEV,
        series={**HEALTHY, **restored("restore_age", 648_001)},
        values=[count(RESTORE, "5m", None)],
    ),
]

UNKNOWN = "RecoveryUnknown"
UNTOLD = "Nobody would be told if it failed."


def unknown(data: str, figure: str, what: str) -> Firing:
    return Firing(
        "P3",
        f"Nothing is known of the last {what}: there was none, or nobody tells",
        UNTOLD,
        "data",
        "recovery-unknown.md",
        {"data": data, "figure": figure},
    )


LAG_UNKNOWN = Firing(
    "P2",
    "Nothing is known of how far the recovery region is behind: it does not follow, or nobody tells",
    "If the region were lost now, nobody could say how much is lost with it.",
    "data",
    "recovery-unknown.md",
    {"data": "database", "figure": "AuroraGlobalDBRPOLag"},
)
BACKUPS_UNKNOWN = [
    unknown("database", "BackupAge", "backup of the database"),
    unknown("files", "BackupAge", "backup of the files"),
    unknown("files", "CopyAge", "copy of the files"),
]

UNKNOWN_CASES = [
    Case(
        about=UNKNOWN,
        title="the exporter answers, and has nothing to tell",
        series=targets(),
        alerts={"14m": [], "15m": [LAG_UNKNOWN]},
    ),
    Case(
        about=UNKNOWN,
        title="the exporter has answered for a day, and has had nothing to tell",
        step="1h",
        series=targets(),
        alerts={
            "23h": [LAG_UNKNOWN],
            "24h": [
                LAG_UNKNOWN,
                *BACKUPS_UNKNOWN,
                unknown("database", "RestoreAge", "tested restore of the database"),
                unknown("files", "RestoreAge", "tested restore of the files"),
            ],
        },
    ),
    Case(
        about=UNKNOWN,
        title="scrapes of the exporter that fail now and then let nobody wait for another day",
        step="10m",
        # At 20 h and 40 h, of 59.
        series=targets(cloudwatch_exporter="1x119 0 1x119 0 1x120"),
        values=[
            not_yet(UNKNOWN, "1430m", severity="warning"),
            count(UNKNOWN, "1440m", 5, severity="warning"),
            count(UNKNOWN, "2400m", 5, severity="warning"),
            count(UNKNOWN, "3540m", 5, severity="warning"),
        ],
    ),
    Case(
        about=UNKNOWN,
        title="one scrape of the exporter that fails lets nobody wait for the lag anew",
        series=targets(cloudwatch_exporter="1x9 0 1x30"),
        alerts={"14m": [], "15m": [LAG_UNKNOWN]},
    ),
    Case(
        about=UNKNOWN,
        title="while the exporter is away for good the lag is not told of",
        series=targets(cloudwatch_exporter="1x2 0x60"),
        alerts={"15m": [], "30m": []},
    ),
    Case(
        about=UNKNOWN,
        title="without the exporter nobody can tell",
        step="1h",
        series=targets(cloudwatch_exporter="0x40"),
        alerts={"30h": []},
    ),
    Case(
        about=UNKNOWN,
        title="everything is known",
        series=HEALTHY,
        values=[count(UNKNOWN, "5m", None)],
    ),
    Case(
        about=UNKNOWN,
        title="an environment without recovery objectives tells of its backups, and of nothing else",
        shape=DEV,
        step="1h",
        series=targets(),
        values=[count(UNKNOWN, "24h", 3)],
    ),
]

# --- monitoring ----------------------------------------------------------------------------------------------------


def part_missing(priority: str, part: str, count: int, impact: str) -> Firing:
    summary = f"Missing pods of {part}: {count}"
    return Firing(priority, summary, impact, "monitoring", "monitoring-part-missing.md", {"part": part})


def target_missing(priority: str, job: str, impact: str, node: str | None = None) -> Firing:
    return Firing(
        priority,
        f"Missing targets of {job}{f' on {node}' if node else ''}: 1",
        impact,
        "monitoring",
        "scrape-target-missing.md",
        {"job": job, **({"node": node} if node else {})},
    )


PART = "MonitoringPartMissing"
FEWER_METRICS = "Metrics and alerts come from fewer replicas, or from none."
FEWER_PEERS = "Alerts are sent by fewer peers, or by none."
NO_DASHBOARDS = "Nobody sees the dashboards."
NO_TRACES = "Traces are lost."
FEWER_COPIES = "Logs and stored traces have fewer copies, or cannot be searched."
LATE_LOGS = "Logs arrive late: Filebeat holds them back."
NO_LOOK = "Nobody can look at logs, which still arrive."
NO_LOGS = "Logs of the nodes without it arrive late, or never where their pods go first."
NO_DATADOG = "Datadog sees nothing of the nodes without it."
LESS_DATADOG = "Datadog's agents cannot tell which pods they look at."
NO_RECOVERY = "Nobody is told that replication lags, or that backups or restores fail."

PARTS_CASES = [
    Case(
        about=PART,
        title="each part has fewer pods than declared",
        series={
            **HEALTHY,
            **statefulset("prometheus", 1),
            **statefulset("alertmanager", 2),
            **statefulset("elasticsearch", 2),
            **deployment("grafana", 0),
            **deployment("jaeger", 0),
            **statefulset("logstash", 1),
            **deployment("kibana", 0),
            **deployment("datadog-cluster-agent", 1),
            **deployment("cloudwatch-exporter", 0),
            **daemonset("filebeat", 1, "node-agents"),
            **daemonset("datadog-agent", 1, "monitoring"),
        },
        alerts={
            "14m": [],
            "15m": [
                part_missing("P2", "prometheus", 1, FEWER_METRICS),
                part_missing("P2", "alertmanager", 1, FEWER_PEERS),
                part_missing("P3", "grafana", 1, NO_DASHBOARDS),
                part_missing("P3", "jaeger", 1, NO_TRACES),
                part_missing("P3", "elasticsearch", 1, FEWER_COPIES),
                part_missing("P3", "logstash", 1, LATE_LOGS),
                part_missing("P3", "kibana", 1, NO_LOOK),
                part_missing("P3", "filebeat", 1, NO_LOGS),
                part_missing("P3", "datadog-agent", 1, NO_DATADOG),
                part_missing("P3", "datadog-cluster-agent", 1, LESS_DATADOG),
                part_missing("P2", "cloudwatch-exporter", 1, NO_RECOVERY),
            ],
        },
    ),
    Case(
        about=PART,
        title="Kubernetes knows of no part at all",
        series=targets(),
        alerts={
            "14m": [],
            "15m": [
                part_missing("P2", "prometheus", 2, FEWER_METRICS),
                part_missing("P2", "alertmanager", 3, FEWER_PEERS),
                part_missing("P3", "grafana", 1, NO_DASHBOARDS),
                part_missing("P3", "jaeger", 1, NO_TRACES),
                part_missing("P3", "elasticsearch", 3, FEWER_COPIES),
                part_missing("P3", "logstash", 2, LATE_LOGS),
                part_missing("P3", "kibana", 1, NO_LOOK),
                part_missing("P3", "filebeat", 1, NO_LOGS),
                part_missing("P3", "datadog-agent", 1, NO_DATADOG),
                part_missing("P3", "datadog-cluster-agent", 2, LESS_DATADOG),
                part_missing("P2", "cloudwatch-exporter", 1, NO_RECOVERY),
            ],
        },
    ),
    Case(
        about=PART,
        title="every part has the pods that it should",
        series=HEALTHY,
        values=[count(PART, "5m", None)],
    ),
    Case(
        about=PART,
        title="without kube-state-metrics nobody can tell",
        series=targets(kube_state_metrics="0x40"),
        values=[count(PART, "5m", None)],
    ),
]

TARGET = "ScrapeTargetMissing"
STATE_METRICS_LOST = (
    "Nobody is told of restarts, lost nodes and missing parts, nor of CPU and memory near limits."
)
CADVISOR_LOST = "Nobody is told of CPU and memory near their limits."
KUBELET_LOST = "Nobody is told of filling volumes."
NODE_EXPORTER_LOST = "The dashboards show less of the nodes."
APISERVER_LOST = "The dashboards do not show the API server."
SCHEDULER_LOST = "The dashboards do not show which pods wait for a node."
CONTROLLERS_LOST = "The dashboards do not show whether controllers keep up."
PROMETHEUS_LOST = "Nobody is told of rules that fail and alerts that are not handed over."
ALERTMANAGER_LOST = "Nobody is told of notifications that fail."
GRAFANA_LOST = "The dashboards do not show their own load."
JAEGER_LOST = "Nobody sees whether traces are refused."

TARGETS_CASES = [
    Case(
        about=TARGET,
        title="a target of each job does not answer",
        series={
            **HEALTHY,
            **targets(
                kube_state_metrics="0x40",
                cadvisor="0x40",
                kubelet="0x40",
                node_exporter="0x40",
                apiserver="0x40",
                kube_scheduler="0x40",
                kube_controller_manager="0x40",
                prometheus="0x40",
                alertmanager="0x40",
                grafana="0x40",
                jaeger="0x40",
                cloudwatch_exporter="0x40",
            ),
        },
        alerts={
            "14m": [],
            "15m": [
                target_missing("P2", "kube-state-metrics", STATE_METRICS_LOST),
                target_missing("P2", "cadvisor", CADVISOR_LOST, "ip-10-50-1-10"),
                target_missing("P3", "kubelet", KUBELET_LOST, "ip-10-50-1-10"),
                target_missing("P3", "node-exporter", NODE_EXPORTER_LOST, "ip-10-50-1-10"),
                target_missing("P3", "apiserver", APISERVER_LOST),
                target_missing("P3", "kube-scheduler", SCHEDULER_LOST),
                target_missing("P3", "kube-controller-manager", CONTROLLERS_LOST),
                target_missing("P2", "prometheus", PROMETHEUS_LOST),
                target_missing("P2", "alertmanager", ALERTMANAGER_LOST),
                target_missing("P3", "grafana", GRAFANA_LOST),
                target_missing("P3", "jaeger", JAEGER_LOST),
                target_missing("P2", "cloudwatch-exporter", NO_RECOVERY),
            ],
        },
    ),
    Case(
        about=TARGET,
        title="no job finds a target",
        series={},
        alerts={
            "14m": [],
            "15m": [
                target_missing("P2", "kube-state-metrics", STATE_METRICS_LOST),
                target_missing("P2", "cadvisor", CADVISOR_LOST),
                target_missing("P3", "kubelet", KUBELET_LOST),
                target_missing("P3", "node-exporter", NODE_EXPORTER_LOST),
                target_missing("P3", "apiserver", APISERVER_LOST),
                target_missing("P3", "kube-scheduler", SCHEDULER_LOST),
                target_missing("P3", "kube-controller-manager", CONTROLLERS_LOST),
                target_missing("P2", "prometheus", PROMETHEUS_LOST),
                target_missing("P2", "alertmanager", ALERTMANAGER_LOST),
                target_missing("P3", "grafana", GRAFANA_LOST),
                target_missing("P3", "jaeger", JAEGER_LOST),
                target_missing("P2", "cloudwatch-exporter", NO_RECOVERY),
            ],
        },
    ),
    Case(about=TARGET, title="every target answers", series=HEALTHY, values=[count(TARGET, "5m", None)]),
    Case(
        about=TARGET,
        title="a pod of a slot that does not answer is no target of these",
        series={**HEALTHY, **slots(blue_api="0x40")},
        values=[count(TARGET, "5m", None)],
    ),
]

VOLUMES_CASES = [
    Case(
        about="VolumeFilling",
        title="just above nine tenths are in use",
        series={**HEALTHY, **volume("data-prometheus-0", 99)},
        alerts={
            "14m": [],
            "15m": [
                Firing(
                    "P2",
                    "The volume data-prometheus-0 is 90.1% full, above 90%",
                    "When it is full, metrics or logs are lost from then on.",
                    "monitoring",
                    "volume-filling.md",
                    {"persistentvolumeclaim": "data-prometheus-0"},
                )
            ],
        },
    ),
    Case(
        about="VolumeFilling",
        title="nine tenths are in use, and another namespace's volume is full",
        series={**HEALTHY, **volume("data-prometheus-0", 100), **volume("elsewhere", 0, "default")},
        values=[count("VolumeFilling", "5m", None)],
    ),
]

HOUSEKEEPING = "HousekeepingOverdue"
LONG_FOUND = "Log lines are found for a day longer than they may be."
LONG_KEPT = "Traces are kept for longer than their week and fill Elasticsearch's volumes."


def overdue(job: str, since: str, impact: str) -> Firing:
    return Firing(
        "P3",
        f"{job} has not succeeded for {since}",
        impact,
        "monitoring",
        "housekeeping-overdue.md",
        {"cronjob": job},
    )


OVERDUE = [
    overdue("log-sweep", "3h 1m 0s", LONG_FOUND),
    overdue("jaeger-index-cleaner", "3d 0h 1m 0s", LONG_KEPT),
]
HOUSEKEEPING_CASES = [
    Case(
        about=HOUSEKEEPING,
        title="three periods have passed since each succeeded",
        series={
            **HEALTHY,
            **cron_job("log-sweep", -864_000, -10_500),
            **cron_job("jaeger-index-cleaner", -864_000, -258_900),
        },
        alerts={"5m": [], "6m": OVERDUE},
    ),
    Case(
        about=HOUSEKEEPING,
        title="three periods have passed since each was made, and none ever succeeded",
        series={
            **HEALTHY,
            **cron_job("log-sweep", -10_500, None),
            **cron_job("jaeger-index-cleaner", -258_900, None),
        },
        alerts={"5m": [], "6m": OVERDUE},
    ),
    Case(
        about=HOUSEKEEPING,
        title="each succeeded of late, however old it is",
        series=HEALTHY,
        values=[count(HOUSEKEEPING, "40m", None)],
    ),
    Case(
        about=HOUSEKEEPING,
        title="where traces are in memory nobody misses their cleaner",
        shape=DEV,
        series={**HEALTHY, **cron_job("jaeger-index-cleaner", -864_000, -864_000)},
        values=[count(HOUSEKEEPING, "5m", None)],
    ),
]

DELIVERY = "AlertsNotDelivered"
NOT_HANDED_OVER = Firing(
    "P2",
    "Prometheus prometheus-0 cannot hand its alerts to any Alertmanager",
    "Nobody is told of an outage that this replica sees.",
    "monitoring",
    "alerts-not-delivered.md",
    {"sender": "prometheus", "instance": "prometheus-0"},
)

DELIVERY_CASES = [
    Case(
        about=DELIVERY,
        title="Prometheus drops an alert a minute, whichever Alertmanager it is for",
        series={**HEALTHY, **handed_over("0+1x40", "0+1x40", "0+2x40")},
        alerts={"10m": [], "11m": [NOT_HANDED_OVER]},
    ),
    Case(
        about=DELIVERY,
        title="Prometheus finds no Alertmanager",
        series={**HEALTHY, **handed_over("0x40", discovered="0x40")},
        alerts={"9m": [], "10m": [NOT_HANDED_OVER]},
    ),
    Case(
        about=DELIVERY,
        title="one of three Alertmanagers takes alerts, and it is the only one that is known",
        series={**HEALTHY, **handed_over("0+1x40", "0+1x40", "5x40", discovered="1x40")},
        values=[count(DELIVERY, "5m", None)],
    ),
    Case(
        about=DELIVERY,
        title="Prometheus finds its Alertmanager again before long",
        series={**HEALTHY, **handed_over("0 0 1 2 3x40")},
        alerts={moment: [] for moment in ("7m", "12m", "14m")},
    ),
    Case(
        about=DELIVERY,
        title="one notification fails in the end",
        series={**HEALTHY, **sent("3 3 4x40")},
        alerts={
            "6m": [],
            "7m": [
                Firing(
                    "P2",
                    "Alertmanager fails to notify through slack",
                    "Nobody is told of an outage by this way.",
                    "monitoring",
                    "alerts-not-delivered.md",
                    {"sender": "alertmanager", "integration": "slack"},
                )
            ],
            "20m": [],
        },
    ),
    Case(
        about=DELIVERY,
        title="no notification failed but long ago",
        series={**HEALTHY, **sent("3x40")},
        values=[count(DELIVERY, "5m", None)],
    ),
]

EVALUATION_CASES = [
    Case(
        about="RuleEvaluationFailing",
        title="a rule fails every time",
        series={**HEALTHY, **evaluated("0+1x40")},
        alerts={
            "5m": [],
            "6m": [
                Firing(
                    "P2",
                    "Rules of /etc/prometheus/rules.json;nodes fail to be evaluated",
                    "Nobody is told of what these rules watch.",
                    "monitoring",
                    "rule-evaluation-failing.md",
                    {"rule_group": "/etc/prometheus/rules.json;nodes"},
                )
            ],
        },
    ),
    Case(
        about="RuleEvaluationFailing",
        title="a rule failed once",
        series={**HEALTHY, **evaluated("0 0 1x40")},
        alerts={moment: [] for moment in ("6m", "7m", "8m")},
    ),
    Case(
        about="RuleEvaluationFailing",
        title="no rule fails",
        series=HEALTHY,
        values=[count("RuleEvaluationFailing", "5m", None)],
    ),
]

WATCHDOG_CASES = [
    Case(
        about="Watchdog",
        title="it fires at once and whatever is the matter",
        series={},
        alerts={
            moment: [
                Firing(
                    "none",
                    "Alerts get through, all the way",
                    "None. When it stops, alerting itself is broken and the heartbeat's receiver raises the alarm.",
                    "monitoring",
                    "watchdog.md",
                )
            ]
            for moment in ("0m", "10m")
        },
    ),
]

CASES = [
    *KEY_METRICS,
    *KEY_METRIC_BEHAVIOUR,
    *BURNS,
    *BUDGET,
    *SERVICES,
    *NODES_CASES,
    *LAG_CASES,
    *BACKUP_CASES,
    *INSTANCE_CASES,
    *RESTORE_CASES,
    *UNKNOWN_CASES,
    *PARTS_CASES,
    *TARGETS_CASES,
    *VOLUMES_CASES,
    *HOUSEKEEPING_CASES,
    *DELIVERY_CASES,
    *EVALUATION_CASES,
    *WATCHDOG_CASES,
]
