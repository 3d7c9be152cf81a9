"""What is left of a rollout when it has ended, or where it stands: for a person, and as JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from operations.rollout.actions import Finish, Watch
from operations.rollout.machine import next_action
from rollout.handover import is_alive
from rollout.record import Record


def status(stack: str, record: Record | None, now: datetime) -> dict[str, Any]:
    """Return where a stack's rollout is, for programs: plain data. Its `state` is all of it."""
    if record is None:
        return {"stack": stack, "rollout": None}
    state, action = record.state, next_action(record.state)
    driver = record.lease
    until = action.until if isinstance(action, Watch) else None
    return {
        "stack": stack,
        "rollout": {
            "version": state.plan.version,
            "slot": state.plan.slot.value,
            "stage": state.stage.value,
            "direction": state.direction.value,
            "weight": state.weights.of(state.plan.slot),
            "paused": state.paused,
            "since": state.since.isoformat(),
            "until": until.isoformat() if until else None,
            "secondsLeft": max((until - now).total_seconds(), 0.0) if until else None,
            "outcome": action.report.outcome.value if isinstance(action, Finish) else None,
            "driver": None
            if driver is None
            else {**driver.model_dump(mode="json", by_alias=True), "alive": is_alive(driver, now)},
            "lastDecision": state.history[-1].model_dump(mode="json", by_alias=True),
            "waitingCommands": len(record.inbox),
            "state": state.model_dump(mode="json", by_alias=True),
        },
    }


def summary(record: Record) -> str:
    """Return the short report of a rollout that has ended; empty before."""
    action = next_action(record.state)
    if not isinstance(action, Finish):
        return ""
    report, plan = action.report, record.state.plan
    took = _span(report.ended - report.started)
    budget = "" if plan.budget is None else f" of {plan.budget.total_seconds():.1f} s allowed"
    lines = [
        f"{plan.version} in {plan.slot}: {report.outcome} after {took}.",
        *([] if plan.change is None else [f"Change request: {plan.change}."]),
        f"All traffic is on {report.slot}, which runs {report.version}.",
        f"Why: {report.why}",
        f"Error budget spent: {report.spent.total_seconds():.1f} s of a total outage{budget}.",
    ]
    if report.left_in_full is not None:
        lines.append(
            f"{report.slot.other} still runs in full: {report.left_in_full}. When that is mended, take `capacity` out of "
            f"{report.slot.other} in the stack file and bring the stack up."
        )
    return "\n".join(lines)


def _span(span: timedelta) -> str:
    return str(span).split(".", maxsplit=1)[0]
