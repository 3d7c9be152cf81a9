"""What a rehearsed canary is made of, without any program: the simulated application, its scrapes, the weights in force."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from operations import release
from operations.ladder import LADDER
from operations.metrics import ERROR_RATE
from rehearsal.canary import driver
from rehearsal.canary.application import Application, Pod, pods_of, quantity
from rehearsal.canary.driver import Driver, Journal
from rehearsal.canary.faults import (
    CLIMB,
    EXPECTED,
    SYMPTOMS,
    Ending,
    Fault,
    Switch,
    allowed_faults,
    expected_weights,
)
from rehearsal.canary.network import Network, proxied
from rehearsal.canary.prometheus import adapted, interval
from rehearsal.canary.report import summary
from rehearsal.canary.run import (
    FASTEST,
    LEAST_EVALUATION_SECONDS,
    WARM_UP_SCRAPES,
    Story,
    budget_seconds,
    next_change,
    next_version,
    slots_of,
    switch_for,
)
from rehearsal.canary.timescale import SAMPLES, hastened, in_a_hurry
from rehearsal.canary.weights import Destination, StateFile, destinations, shares
from rehearsal.canary.world import Move, shares_in_force
from rehearsal.errors import RehearsalError
from rehearsal.project import Project
from tests.unit.rehearsal.stories import story

NEW, OLD = "shop-green", "shop-blue"


def pod(namespace: str, number: int = 1, **changes: Any) -> Pod:
    slot = namespace.removeprefix("shop-")
    made = Pod(
        name=f"web-{number}",
        namespace=namespace,
        service="web",
        slot=slot,
        address=f"100.64.{len(slot)}.{number}",
        node_address="10.255.0.1",
        uid=f"{slot}-{number}",
        ready=True,
        restarts=0,
        cpu=0.5,
        memory=1024.0,
    )
    return replace(made, **changes)


def samples(text: str) -> dict[str, float]:
    """Values by series, as the text format spells them."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in lines}


class TestTheApplication:
    def test_shares_requests_out_by_weight_and_evenly_among_ready_pods(self) -> None:
        application = Application(100, NEW)
        pods = [pod(NEW), pod(OLD, 1), pod(OLD, 2), pod(OLD, 3, ready=False)]
        application.pass_time(10, pods, {"web": {NEW: 25, OLD: 75}})
        count = 'http_request_duration_seconds_count{slot="%s",service="web"}'
        assert samples(application.own_metrics(pods[0]))[count % "green"] == pytest.approx(250)
        assert samples(application.own_metrics(pods[1]))[count % "blue"] == pytest.approx(375)
        assert samples(application.own_metrics(pods[3]))[count % "blue"] == 0
        assert application.spending.requests == 1000

    def test_fails_in_the_new_slot_alone_and_says_how_much_of_an_outage_that_is(self) -> None:
        application = Application(100, NEW)
        application.symptoms = SYMPTOMS[Fault.ERRORS]
        pods = [pod(NEW), pod(OLD)]
        application.pass_time(10, pods, {"web": {NEW: 5, OLD: 95}})
        failed = 'http_requests_total{slot="%s",service="web",code="500"}'
        assert samples(application.own_metrics(pods[0]))[failed % "green"] == pytest.approx(7.5)
        assert samples(application.own_metrics(pods[1]))[failed % "blue"] == pytest.approx(0.95)
        assert application.spending.failed == pytest.approx(7.5)
        # 0.75 % of all requests for ten seconds.
        assert application.spending.outage_seconds == pytest.approx(0.075)

    def test_loses_the_requests_of_a_slot_without_a_ready_pod(self) -> None:
        application = Application(100, NEW)
        application.pass_time(1, [pod(NEW, ready=False), pod(OLD)], {"web": {NEW: 50, OLD: 50}})
        assert application.spending.failed == 50

    def test_says_which_ratio_of_the_new_slot_s_requests_has_failed_since_a_moment(self) -> None:
        application = Application(100, NEW)
        shared = {"web": {NEW: 5, OLD: 95}}
        application.pass_time(10, [pod(NEW), pod(OLD)], shared)
        before = application.spending
        assert before.failing_since(before) is None
        application.pass_time(9, [pod(NEW), pod(OLD)], shared)
        application.pass_time(1, [pod(NEW, ready=False), pod(OLD)], shared)
        assert application.spending.failing_since(before) == pytest.approx(0.1009)

    def test_counts_nothing_where_no_request_arrives(self) -> None:
        application = Application(100, NEW)
        application.symptoms = SYMPTOMS[Fault.NO_TRAFFIC]
        new = pod(NEW)
        application.pass_time(1, [new, pod(OLD)], {"web": {NEW: 50, OLD: 50}})
        assert set(samples(application.own_metrics(new)).values()) == {0}
        assert application.spending.failed == 0

    def test_has_a_histogram_whose_p99_is_healthy_or_beyond_the_critical_bound(self) -> None:
        bucket = 'http_request_duration_seconds_bucket{slot="green",service="web",le="%s"}'
        for fault, bound, below in ((Fault.NONE, "0.2", False), (Fault.LATENCY, "0.5", True)):
            application = Application(1000, NEW)
            if fault in SYMPTOMS:
                application.symptoms = SYMPTOMS[fault]
            new = pod(NEW)
            application.pass_time(1, [new], {"web": {NEW: 100, OLD: 0}})
            found = samples(application.own_metrics(new))
            assert (found[bucket % bound] < 990) is below
            assert found[bucket % "+Inf"] == pytest.approx(1000)

    def test_begins_to_count_anew_when_a_container_was_started_again(self) -> None:
        application = Application(100, NEW)
        before, after = pod(NEW), pod(NEW, restarts=1)
        application.pass_time(5, [before], {"web": {NEW: 100, OLD: 0}})
        application.pass_time(1, [after], {"web": {NEW: 100, OLD: 0}})
        served = samples(application.own_metrics(after))[
            'http_requests_total{slot="green",service="web",code="200"}'
        ]
        assert served == pytest.approx(99.9)

    def test_uses_cpu_and_memory_by_its_limits(self) -> None:
        application = Application(100, NEW)
        application.symptoms = SYMPTOMS[Fault.SATURATION]
        application.pass_time(10, [pod(NEW), pod(NEW, 2, node_address="10.255.0.2")], {})
        found = samples(application.cadvisor_metrics("10.255.0.1"))
        named = 'namespace="shop-green",pod="web-1",container="web"'
        assert found[f'container_cpu_usage_seconds_total{{{named},cpu="total"}}'] == pytest.approx(4.85)
        assert found[f"container_memory_working_set_bytes{{{named}}}"] == 512
        assert len(found) == 2

    def test_says_limits_and_restarts_as_kube_state_metrics_does(self) -> None:
        application = Application(100, NEW)
        application.pass_time(1, [pod(NEW, restarts=3, ready=False)], {})
        named = 'namespace="shop-green",pod="web-1",container="web"'
        assert samples(application.state_metrics()) == {
            f'kube_pod_container_resource_limits{{{named},resource="cpu",unit="core"}}': 0.5,
            f'kube_pod_container_resource_limits{{{named},resource="memory",unit="byte"}}': 1024,
            f"kube_pod_container_status_restarts_total{{{named}}}": 3,
        }

    def test_knows_pods_by_the_container_that_bears_the_name_of_a_service(self) -> None:
        status = {
            "podIP": "100.64.0.1",
            "hostIP": "10.255.0.1",
            "containerStatuses": [{"name": "web", "ready": True, "restartCount": 2}],
        }
        spec = {"containers": [{"name": "web", "resources": {"limits": {"cpu": "250m", "memory": "256Mi"}}}]}
        item = {"metadata": {"name": "web-1", "namespace": NEW, "uid": "u"}, "spec": spec, "status": status}
        starting = {**item, "status": {"phase": "Pending"}}
        (found,) = pods_of({"items": [item, starting]}, {NEW: "green"}, ["web"])
        assert (found.slot, found.ready, found.restarts, found.cpu, found.memory) == (
            "green",
            True,
            2,
            0.25,
            268435456,
        )
        assert pods_of({"items": [item]}, {NEW: "green"}, ["api"]) == []
        leaving = {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
        assert not pods_of({"items": [leaving]}, {NEW: "green"}, ["web"])[0].ready

    @pytest.mark.parametrize(("text", "value"), [("500m", 0.5), ("2", 2), ("1Gi", 2**30), ("64M", 64e6)])
    def test_reads_quantities(self, text: str, value: float) -> None:
        assert quantity(text) == value


class TestTheNetwork:
    def test_answers_for_pods_nodes_and_kube_state_metrics_through_a_proxy_and_for_nobody_else(self) -> None:
        network = Network(Application(100, NEW))
        network.application.pass_time(1, [pod(NEW), pod(NEW, 2, ready=False)], {"web": {NEW: 100, OLD: 0}})
        with proxied(network) as proxy:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy}))

            def get(url: str) -> str:
                with opener.open(url, timeout=5) as answer:
                    return answer.read().decode()

            assert "http_requests_total" in get("http://100.64.5.1:8080/metrics")
            assert "container_cpu_usage" in get("http://10.255.0.1:0/metrics/cadvisor")
            assert "kube_pod_container" in get(
                "http://kube-state-metrics.kube-state-metrics.svc:8080/metrics"
            )
            for nobody in ("http://100.64.5.2:8080/metrics", "http://100.64.5.9:8080/metrics"):
                with pytest.raises(urllib.error.HTTPError) as refusal:
                    get(nobody)
                refusal.value.close()
                assert refusal.value.code == 502

    def test_notes_the_first_scrape_that_tells_of_the_fault(self) -> None:
        network = Network(Application(100, NEW))
        network.telling = lambda what, host: (what, host) == ("pod", "100.64.5.1")
        network.answer("http://10.255.0.1/metrics/cadvisor")
        assert network.bad_since is None
        network.answer("http://100.64.5.1:8080/metrics")
        first = network.bad_since
        assert first is not None
        network.answer("http://100.64.5.1:8080/metrics")
        assert network.bad_since == first


BINDINGS = {
    "items": [
        {
            "metadata": {"namespace": namespace},
            "spec": {"targetGroupARN": f"arn:{namespace}", "serviceRef": {"name": "web", "port": 8080}},
        }
        for namespace in (OLD, NEW)
    ]
}


def _rule(**groups: int) -> dict[str, Any]:
    forward = {
        "targetGroups": [{"arn": f"arn:shop-{slot}", "weight": weight} for slot, weight in groups.items()]
    }
    return {
        "type": "aws:lb/listenerRule:ListenerRule",
        "outputs": {"actions": [{"type": "forward", "forward": forward}]},
    }


class TestTheWeightsInForce:
    def test_are_those_of_the_listener_rules_that_lead_to_services(self) -> None:
        behind = destinations(BINDINGS)
        assert behind["arn:shop-green"] == Destination(NEW, "web")
        closed = {
            "type": "aws:lb/listenerRule:ListenerRule",
            "outputs": {"actions": [{"type": "fixed-response", "fixedResponse": {"statusCode": "404"}}]},
        }
        found = shares([closed, _rule(blue=75, green=25)], behind)
        assert found == {"web": {OLD: 75, NEW: 25}}

    def test_are_not_those_of_a_rule_that_is_being_replaced(self) -> None:
        leaving = {**_rule(blue=0, green=100), "delete": True}
        assert shares([_rule(blue=75, green=25), leaving], destinations(BINDINGS)) == {
            "web": {OLD: 75, NEW: 25}
        }

    def test_are_read_from_the_state_as_often_as_it_changes_and_kept_while_it_cannot_be_read(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "live.json"
        state = StateFile(path)
        assert state.resources() == []
        stack = {"type": "pulumi:pulumi:Stack", "outputs": {"environment": "live"}}
        path.write_text(json.dumps({"checkpoint": {"latest": {"resources": [stack]}}}))
        assert state.outputs() == {"environment": "live"}
        path.write_text("{")
        assert state.outputs() == {"environment": "live"}


RENDERED: dict[str, Any] = {
    "global": {"scrape_interval": "15s", "external_labels": {"environment": "live"}},
    "rule_files": ["/etc/prometheus/rules.json"],
    "scrape_configs": [
        {
            "job_name": "slots",
            "kubernetes_sd_configs": [{"role": "pod"}],
            "relabel_configs": [{"source_labels": ["a"], "target_label": "b"}],
        },
        {"job_name": "kube-state-metrics", "static_configs": [{"targets": ["ksm.svc:8080"]}]},
        {
            "job_name": "cadvisor",
            "scheme": "https",
            "authorization": {"credentials_file": "/token"},
            "tls_config": {"ca_file": "/ca"},
            "kubernetes_sd_configs": [{"role": "node"}],
        },
        {"job_name": "grafana", "static_configs": [{"targets": ["grafana:3000"]}]},
    ],
}


class TestPrometheus:
    def test_scrapes_what_the_program_says_by_another_way(self) -> None:
        found = adapted(RENDERED, kubeconfig=Path("/k"), proxy="http://127.0.0.1:1", interval=0.5)
        assert found["global"] == {
            "scrape_interval": "500ms",
            "scrape_timeout": "500ms",
            "evaluation_interval": "500ms",
        }
        assert found["scrape_configs"] == [
            {
                "job_name": "slots",
                "scheme": "http",
                "proxy_url": "http://127.0.0.1:1",
                "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": "/k"}],
                "relabel_configs": [{"source_labels": ["a"], "target_label": "b"}],
            },
            {
                "job_name": "kube-state-metrics",
                "scheme": "http",
                "proxy_url": "http://127.0.0.1:1",
                "static_configs": [{"targets": ["ksm.svc:8080"]}],
            },
            {
                "job_name": "cadvisor",
                "scheme": "http",
                "proxy_url": "http://127.0.0.1:1",
                "kubernetes_sd_configs": [{"role": "node", "kubeconfig_file": "/k"}],
            },
        ]

    def test_is_refused_where_the_key_metrics_have_no_source(self) -> None:
        less = {"scrape_configs": RENDERED["scrape_configs"][:1]}
        with pytest.raises(RehearsalError, match="no job kube-state-metrics and no job cadvisor"):
            adapted(less, kubeconfig=Path("/k"), proxy="", interval=1)

    @pytest.mark.parametrize(("speed", "seconds"), [(1, 15), (10, 1.5), (60, 0.5)])
    def test_scrapes_the_faster_the_faster_time_runs_down_to_half_a_second(
        self, speed: int, seconds: float
    ) -> None:
        assert interval(RENDERED, speed) == seconds

    def test_looks_back_less_far_when_time_runs_faster_but_over_four_scrapes(self) -> None:
        expression = 'rate(a{b="[5m]"}[5m]) + increase(c[1h30m])'
        assert (
            hastened("rate(a[5m]) + increase(c[1h30m])", 60, 0.5) == "rate(a[5000ms]) + increase(c[90000ms])"
        )
        assert hastened("rate(a[5m])", 1, 15) == "rate(a[300000ms])"
        assert hastened("rate(a[5m])", 300, 0.5) == "rate(a[2000ms])"
        assert expression.count("5m") == 2

    def test_is_down_for_whoever_asks_it_in_a_hurry_when_it_is_down(self) -> None:
        with in_a_hurry("http://127.0.0.1:9", 60, 0.5) as hasty:
            assert hasty.asked_at == float("-inf")
            with pytest.raises(OSError, match="closed connection"):
                urllib.request.urlopen(f"{hasty.url}/api/v1/query?query=up", timeout=5)  # noqa: S310
            assert hasty.asked_at > 0


SLOTS = {
    "blue": {"version": "v2.4.1", "weight": 100, "namespace": OLD},
    "green": {"version": "v2.3.0", "weight": 0, "namespace": NEW},
}


class TestARun:
    def test_releases_the_next_version_to_the_idle_slot(self) -> None:
        slots = slots_of({"slots": SLOTS})
        assert (slots.new, slots.old, slots.new_name) == (NEW, OLD, "green")
        assert next_version({"slots": SLOTS}) == "v2.5.0"

    def test_takes_a_change_request_that_was_not_used_where_one_is_asked_for(self) -> None:
        used = [
            {"request": "CHG0030042", "version": "v2.4.0"},
            {"request": "CHG0000041", "version": "v2.5.0"},
        ]
        assert next_change({"gate": "cab", "changes": used}) == "CHG0030043"
        assert next_change({"gate": "approval", "changes": []}) is None

    def test_is_refused_where_no_slot_is_idle(self) -> None:
        half = {name: {**slot, "weight": 50} for name, slot in SLOTS.items()}
        for outputs in ({}, {"slots": half}):
            with pytest.raises(RehearsalError, match="which of two slots is idle"):
                slots_of(outputs)

    @pytest.mark.parametrize(
        ("said", "seconds"), [("4.32 min in 30 days", 259.2), ("none", None), (None, None)]
    )
    def test_reads_the_error_budget_that_the_stack_exports(
        self, said: str | None, seconds: float | None
    ) -> None:
        assert budget_seconds({"errorBudget": said}) == (seconds and pytest.approx(seconds))

    def test_climbs_as_the_page_says(self) -> None:
        assert {switch.value for switch in Switch} == {switch.value for switch in release.Switch}
        assert CLIMB[Switch.LADDER] == tuple(phase.weight for phase in LADDER)
        assert CLIMB[Switch.AT_ONCE] == (LADDER[-1].weight,)

    @pytest.mark.parametrize("fault", Fault)
    def test_goes_to_the_end_or_back_from_the_first_weight(self, fault: Fault) -> None:
        survived = fault in {Fault.NONE, Fault.KILL_DRIVER}
        assert EXPECTED[fault] is (Ending.COMPLETED if survived else Ending.ROLLED_BACK)
        assert expected_weights(fault, Switch.LADDER) == ((0, 5, 25, 50, 100) if survived else (0, 5, 0))
        assert expected_weights(Fault.NONE, Switch.AT_ONCE) == (0, 100)

    @pytest.mark.parametrize("speed", range(1, FASTEST + 1))
    def test_shows_a_fault_before_the_first_bake_can_be_over(self, speed: int) -> None:
        scrapes = interval(RENDERED, speed)
        evaluations = max(scrapes, LEAST_EVALUATION_SECONDS)
        window = max(ERROR_RATE.window.total_seconds() / speed, SAMPLES * scrapes)
        bake = LADDER[0].bake.total_seconds() / speed
        assert WARM_UP_SCRAPES * scrapes + window + evaluations <= bake

    @pytest.mark.parametrize("fault", Fault)
    def test_takes_a_fault_where_there_is_a_ladder_on_which_it_is_seen_for_certain(
        self, tmp_path: Path, fault: Fault
    ) -> None:
        project = _project(tmp_path, live={"switch": "ladder"}, dev={"switch": "at-once"})
        assert switch_for(project, "live", fault) is Switch.LADDER
        if fault is Fault.NONE:
            assert allowed_faults(Switch.AT_ONCE) == (fault,)
            assert switch_for(project, "dev", fault) is Switch.AT_ONCE
        else:
            with pytest.raises(
                RehearsalError,
                match=rf"--fault {fault} .* --stack dev, .* at once .*: allowed are --fault none, .* ladder \(live\)",
            ):
                switch_for(project, "dev", fault)

    @pytest.mark.parametrize(
        ("said", "found"), [({"switch": "slowly"}, "= slowly"), ({}, "is missing"), (None, "is missing")]
    )
    def test_is_refused_where_the_stack_file_does_not_say_how_traffic_moves(
        self, tmp_path: Path, said: object, found: str
    ) -> None:
        with pytest.raises(
            RehearsalError,
            match=rf"^Pulumi\.dev\.yaml: shop:release\.switch {found}: allowed are ladder, at-once$",
        ):
            switch_for(_project(tmp_path, dev=said), "dev", Fault.NONE)

    @pytest.mark.parametrize("change", ["CHG0030043", None])
    def test_starts_the_driver_under_a_change_request_where_there_is_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str | None
    ) -> None:
        echo = tmp_path / "rollout"
        echo.write_text('#!/bin/sh\necho "$@"\n')
        echo.chmod(0o700)
        monkeypatch.setattr(driver, "command", lambda: echo)
        started = Driver(
            "live", tmp_path, tmp_path, "http://127.0.0.1", tmp_path / "log", tmp_path / "picture.svg"
        )
        started.start("v2.5.0", 60, 5.0, change)
        while started.code is None:
            time.sleep(0.01)
        (said,) = started.said()
        assert said.startswith("start --stack live")
        assert said.partition("--change ")[2] == (change or "")

    def test_reads_the_driver_s_own_account(self) -> None:
        def entry(direction: str, why: str) -> dict[str, Any]:
            return {"at": "2026-01-01T00:00:00Z", "direction": direction, "weight": 5, "why": why}

        state = {
            "plan": {"budget": "PT12.96S"},
            "spent": "PT0.5S",
            "history": [entry("up", "a rehearsal"), entry("back", "too slow"), entry("back", "set")],
        }
        status = {
            "rollout": {"outcome": "rolled-back", "version": "v2.5.0", "direction": "back", "state": state}
        }
        journal = Journal.of(status)
        assert journal is not None
        assert (journal.outcome, journal.going_back, journal.why) == ("rolled-back", True, "too slow")
        assert (journal.spent_seconds, journal.allowed_seconds) == (0.5, 12.96)
        assert Journal.of({"rollout": None}) is None


def _project(folder: Path, **releases: object) -> Project:
    """A program with a stack file for each release."""
    (folder / "Pulumi.yaml").write_text("name: shop\n")
    (folder / "__main__.py").touch()
    for stack, said in releases.items():
        (folder / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": {"shop:release": said}}))
    return Project(folder)


class TestTheStory:
    def test_is_as_expected_only_where_weights_and_driver_agree_on_what_had_to_happen(self) -> None:
        assert story().as_expected
        assert not story(ending=Ending.COMPLETED).as_expected
        assert not story(driver_says=replace(story().driver_says, outcome="completed")).as_expected

    @pytest.mark.parametrize("fault", [fault for fault in Fault if EXPECTED[fault] is Ending.ROLLED_BACK])
    def test_is_not_as_expected_where_the_new_slot_was_given_more_before_it_was_taken_back(
        self, fault: Fault
    ) -> None:
        assert story(fault=fault).as_expected
        assert not story(fault=fault, weights=[(0, 0), (9, 5), (30, 25), (60, 0)]).as_expected
        assert not story(fault=fault, weights=[(0, 0), (9, 25), (30, 0)]).as_expected

    @pytest.mark.parametrize("fault", [Fault.NONE, Fault.KILL_DRIVER])
    def test_is_not_as_expected_where_a_phase_was_skipped_or_repeated(self, fault: Fault) -> None:
        def climbed(*weights: int) -> Story:
            return story(
                fault=fault,
                ending=Ending.COMPLETED,
                driver_says=replace(story().driver_says, outcome="completed"),
                weights=list(enumerate(weights)),
            )

        assert climbed(0, 5, 25, 50, 100).as_expected
        assert not climbed(0, 5, 50, 100).as_expected
        assert not climbed(0, 5, 25, 5, 25, 50, 100).as_expected
        assert not climbed(0, 100).as_expected
        assert replace(climbed(0, 100), switch=Switch.AT_ONCE).as_expected

    def test_is_not_as_expected_where_the_fault_never_came(self) -> None:
        never = story(fault=Fault.ERRORS, fault_at=None)
        assert not never.as_expected
        assert "15 % of its requests fail, which never began" in _told(never)

    def test_counts_weights_that_differ_between_services_as_a_move_under_way(self) -> None:
        moves = [Move(0, 0), Move(1, None), Move(2, 0), Move(3, None), Move(4, 5)]
        assert shares_in_force(moves) == [(0, 0), (4, 5)]

    def test_is_told_in_a_short_table(self) -> None:
        told = _told(story())
        assert "v2.5.0 to green: rolled back, as expected" in told
        assert "nothing to judge [5 %]" in told
        assert "0 % (0 s) → 5 % (10 s) → 0 % (31 s)" in told
        assert "7 requests failed, 0.50 s of a total outage: 0.19 % of 30 days' budget" in told
        assert "2.5 s, with a scrape every 0.5 s and an evaluation every 2 s" in told
        assert "no request reaches it, from 0 s on" in told

    def test_says_what_was_expected_where_it_went_another_way(self) -> None:
        told = _told(story(weights=[(0, 0), (9, 5), (30, 25), (60, 0)]))
        assert "rolled back, expected: rolled back by 0 → 5 → 0 %" in told


def _told(story: Story) -> str:
    console = Console(width=160)
    with console.capture() as printed:
        console.print(summary(story))
    return re.sub(r" +", " ", printed.get())
