"""The state machine of a rollout: an event and a state give the next state, a state gives the next action.

"No phase is skipped or shortened" holds for the machine: it leaves a phase only when the gates were seen to pass for all of
its bake time, and it goes through every phase. A person who promotes takes the rest of one bake upon themselves, with a
reason that is recorded, and of that one only: the phases after it are baked in full, and none is skipped for anyone.
"""

from datetime import datetime

from operations.release import Standby, Switch
from operations.rollout.actions import (
    Action,
    CheckHealth,
    Finish,
    Hold,
    Outcome,
    PrepareSlot,
    Report,
    ScaleDown,
    SetWeights,
    VerifyWeights,
    Watch,
)
from operations.rollout.budget import spending
from operations.rollout.events import (
    Blocked,
    Command,
    Done,
    Event,
    Failed,
    Observed,
    Pause,
    Promote,
    Resume,
    Rollback,
)
from operations.rollout.gate import Result
from operations.rollout.plan import SCALE_ATTEMPTS, STARTUP_LIMIT, Plan
from operations.rollout.state import MACHINE, Clocks, Direction, Stage, State
from operations.slots import WHOLE


def start(plan: Plan, at: datetime, who: str, why: str) -> State:
    """Return the state in which a rollout begins."""
    state = State(
        plan=plan, direction=Direction.UP, stage=Stage.PREPARE, rung=0, step=1, since=at, history=()
    )
    return state.noting(at, who, why)


def next_action(state: State) -> Action:
    """Return what is to be done now. The same state always gives the same action, so it can be taken up again."""
    plan, step = state.plan, state.step
    match state.stage:
        case Stage.PREPARE:
            if state.direction is Direction.BACK:
                return PrepareSlot(step=step, slot=state.target, version=plan.replaces)
            return PrepareSlot(step=step, slot=state.target, version=plan.version, change=plan.change)
        case Stage.HEALTH if state.paused:
            return Hold(step=step)
        case Stage.HEALTH:
            # A slot that serves already was healthy a moment ago; while this waits, nobody watches it. One that stands by
            # in full should be healthy; if it is not, it is prepared first.
            serving = state.direction is Direction.UP and state.rung > 0
            return CheckHealth(
                step=step, slot=state.target, within=STARTUP_LIMIT * (not (serving or _only_looks(state)))
            )
        case Stage.MOVE:
            return SetWeights(step=step, weights=state.weights)
        case Stage.VERIFY | Stage.CONFIRM:
            return VerifyWeights(step=step, weights=state.weights)
        case Stage.BAKE | Stage.DRAIN:
            until = None if state.paused else _earliest_end(state)
            return Watch(step=step, every=plan.interval, weights=state.weights, until=until)
        case Stage.SCALE:
            return ScaleDown(step=step, slot=state.target.other)
        case Stage.DONE:
            return Finish(step=step, report=_report(state))


def refusal(state: State, command: Command) -> str | None:
    """Return why a person's command changes nothing in this state; None where it does."""
    going_back = state.direction is Direction.BACK
    if isinstance(command, Rollback):
        return f"the traffic is on its way back to {state.target} already" if going_back else None
    if state.commanded is not None and command.at <= state.commanded:
        return f"a later command was given at {state.commanded.isoformat()}"
    match command:
        case Resume():
            return None
        case _ if going_back:
            return f"the traffic is on its way back to {state.target}, which nothing holds up"
        case Pause() if state.paused:
            return "it is paused already"
        case Pause() if (
            state.stage in {Stage.CONFIRM, Stage.SCALE, Stage.DONE} and state.phase.weight == WHOLE
        ):
            return f"{state.target} has all traffic; nothing is left to hold"
        case Promote() if state.stage is Stage.CONFIRM and command.weight == state.phase.weight < WHOLE:
            return f"the bake at {command.weight} % is over already"
        case Promote() if state.stage is not Stage.BAKE:
            return f"no phase is baking (stage: {state.stage})"
        case Promote() if command.weight != state.phase.weight:
            return f"the phase that is baking is {state.phase.weight} %, not {command.weight} %"
        case Promote() if command.at <= state.since:
            return f"the phase has been baking since {state.since.isoformat()} only"
        case Pause() | Promote():
            return None


def apply(state: State, event: Event) -> State:
    """Return the state after an event: the very same one where the event is late, a duplicate, or refused."""
    match event:
        case Done() | Failed() | Blocked() | Observed() if event.step != state.step:
            return state
        case Done():
            return _done(state, event.at)
        case Blocked() if state.stage is Stage.MOVE and state.direction is Direction.UP:
            return _held_before_move(state, event.at, MACHINE, event.reason)
        case Failed() | Blocked():
            return _failed(state, event.at, event.reason)
        case Observed():
            return _observed(state, event)
        case Pause() | Resume() | Promote() | Rollback():
            return state if refusal(state, event) else _commanded(state, event)


def _done(state: State, at: datetime) -> State:
    up = state.direction is Direction.UP
    match state.stage:
        case Stage.PREPARE:
            return _enter(
                state,
                Stage.HEALTH,
                at,
                MACHINE,
                f"{state.target} is deployed",
                # A slot that should have been healthy and was not: now it is waited for.
                attempts=0 if up else state.attempts,
            )
        case Stage.HEALTH if not state.paused:
            return _enter(state, Stage.MOVE, at, MACHINE, f"{state.target} is healthy")
        case Stage.MOVE:
            fresh = state.having(clocks=Clocks()) if up else state
            return _enter(fresh, Stage.VERIFY, at, MACHINE, "the weights are set", attempts=state.attempts)
        case Stage.VERIFY if up:
            if state.paid_until is None:
                state = state.having(paid_until=at)
            stage = Stage.DRAIN if state.phase.weight == WHOLE else Stage.BAKE
            return _enter(state, stage, at, MACHINE, "the weights are verified")
        case Stage.VERIFY:
            paid = _paying(state, at, None).having(paid_until=None)
            return _enter(paid, Stage.DRAIN, at, MACHINE, "the weights are verified")
        case Stage.CONFIRM if up and state.phase.weight < WHOLE:
            return _enter(
                state.having(rung=state.rung + 1), Stage.HEALTH, at, MACHINE, "the weights are still in force"
            )
        case Stage.CONFIRM:
            return _enter(
                state, Stage.SCALE, at, MACHINE, f"{state.target.other} has no weight and is drained"
            )
        case Stage.SCALE:
            done = state.having(paid_until=None)
            return _enter(done, Stage.DONE, at, MACHINE, f"{state.target} has all traffic")
        case Stage.HEALTH | Stage.BAKE | Stage.DRAIN | Stage.DONE:
            return state


def _failed(state: State, at: datetime, reason: str) -> State:
    up = state.direction is Direction.UP
    match state.stage:
        case Stage.DONE:
            return state
        case Stage.HEALTH if up and state.rung > 0:
            # Where the gates pass and the health does not, it is held like a warning, and watched meanwhile.
            clocks = state.clocks.held_by_health(at, state.plan.longest_gap)
            held = _below(state, at, MACHINE, reason).having(clocks=clocks)
            return _within_limits(held, at, reason)
        case Stage.HEALTH if _only_looks(state):
            return _enter(state, Stage.PREPARE, at, MACHINE, reason, attempts=state.attempts + 1)
        case Stage.VERIFY | Stage.DRAIN | Stage.CONFIRM if not up:
            return _enter(state, Stage.MOVE, at, MACHINE, reason, attempts=state.attempts + 1)
        case Stage.SCALE if state.attempts + 1 < SCALE_ATTEMPTS:
            return _enter(state, Stage.SCALE, at, MACHINE, reason, attempts=state.attempts + 1)
        case Stage.SCALE:
            left = state.having(paid_until=None, left_in_full=reason)
            return _enter(left, Stage.DONE, at, MACHINE, f"{state.target.other} is left in full: {reason}")
        case _ if up:
            return _back(state, at, MACHINE, reason)
        case _:
            return _enter(state, state.stage, at, MACHINE, reason, attempts=state.attempts + 1)


def _observed(state: State, event: Observed) -> State:
    at, verdict, plan = event.at, event.verdict, state.plan
    # Also where a clock was set back, or another machine's is behind: what fails is then no less true, and time is not booked.
    late = state.clocks.last is not None and at <= state.clocks.last and verdict.result is not Result.FAIL
    if state.stage not in {Stage.BAKE, Stage.DRAIN} or late:
        return state
    before = state.clocks.result
    if state.direction is Direction.UP:
        state = _paying(state, at, verdict.error_rate)
        if verdict.result is Result.FAIL:
            return _back(state, at, MACHINE, verdict.text)
        if plan.budget is not None and state.spent > plan.budget:
            return _back(state, at, MACHINE, _overspent(state))
    clocks = state.clocks.after(
        at, verdict.result, plan.longest_gap, paused=state.paused, baked=_is_baked(state)
    )
    state = state.having(clocks=clocks)
    if verdict.result is not before:
        state = state.noting(at, MACHINE, verdict.text)
    if state.stage is Stage.DRAIN and not _is_gated(state):
        return _drained(state, at)
    state = _within_limits(state, at, verdict.text)
    if state.stage is Stage.DRAIN:
        # The old slot keeps its size for as long as it may be needed.
        return _drained(state, at) if verdict.result is Result.PASS else state
    if _is_baked(state) and verdict.result is Result.PASS and not state.paused:
        return _enter(state, Stage.CONFIRM, at, MACHINE, f"the gates passed for {state.phase.bake}")
    return state


def _commanded(state: State, command: Command) -> State:
    at, who = command.at, command.who
    if isinstance(command, Rollback):
        return _back(state, at, who, command.reason)
    state = state.having(commanded=at)
    match command:
        case Pause() if state.stage is Stage.HEALTH and state.rung > 0:
            return _held_before_move(state, at, who, command.reason)
        case Pause() if state.stage is Stage.CONFIRM:
            return _enter(state.having(paused=True), Stage.BAKE, at, who, f"paused: {command.reason}")
        case Pause():
            return state.having(paused=True).noting(at, who, f"paused: {command.reason}")
        case Promote():
            promoted = state.having(paused=False)
            return _enter(promoted, Stage.CONFIRM, at, who, f"promoted: {command.reason}")
        case Resume():
            return _resumed(state, at, who)


def _resumed(state: State, at: datetime, who: str) -> State:
    """Somebody may have moved the weights, or the slot may have fallen ill, while nobody looked: both are seen again."""
    state = state.having(paused=False, clocks=state.clocks.model_copy(update={"result": None}))
    match state.stage:
        case Stage.BAKE:
            return _enter(state, Stage.VERIFY, at, who, "resumed")
        case Stage.HEALTH:
            return _enter(state, Stage.HEALTH, at, who, "resumed")
        case _:
            return state.noting(at, who, "resumed")


def _below(state: State, at: datetime, who: str, why: str) -> State:
    """To the phase whose weights are still in force, since the next one's were not set; its clocks go on."""
    return _enter(state.having(rung=state.rung - 1), Stage.BAKE, at, who, why)


def _held_before_move(state: State, at: datetime, who: str, why: str) -> State:
    """Paused with the weights still in force, which are watched where the new slot has any."""
    paused = state.having(paused=True)
    if state.rung > 0:
        return _below(paused, at, who, f"paused: {why}")
    return _enter(paused, Stage.HEALTH, at, who, f"paused: {why}")


def _is_gated(state: State) -> bool:
    """Whether the end waits for a pass: on the ladder. Where traffic switches at once there may be none to conclude from."""
    return state.direction is Direction.UP and state.plan.switch is Switch.LADDER


def _drained(state: State, at: datetime) -> State:
    over = at >= state.since + state.plan.drain and not state.paused
    return _enter(state, Stage.CONFIRM, at, MACHINE, "draining is over") if over else state


def _is_baked(state: State) -> bool:
    """Whether the gates were seen to pass for all of the present phase's bake."""
    return state.stage is Stage.BAKE and state.clocks.baked >= state.phase.bake


def _within_limits(state: State, at: datetime, why: str) -> State:
    """Back where the phase has been held for too long, else the same state."""
    plan, clocks = state.plan, state.clocks
    if clocks.blind >= plan.blind_limit:
        blind = f"inconclusive for {clocks.blind}, allowed are {plan.blind_limit}: {why}"
        if clocks.result is not Result.INCONCLUSIVE:
            blind = (
                f"unwatched or inconclusive for {clocks.blind}, allowed are {plan.blind_limit}: more than "
                f"{plan.longest_gap} between two evaluations"
            )
        return _back(state, at, MACHINE, blind)
    # A pass is not held: it leads to the next look at the slot's health, which says itself what it finds.
    if clocks.warned >= plan.warning_limit and clocks.result is not Result.PASS:
        return _back(state, at, MACHINE, f"held for {clocks.warned}, allowed are {plan.warning_limit}: {why}")
    return state


def _back(state: State, at: datetime, who: str, why: str) -> State:
    """All traffic to the old slot: at once while it stands in full, else as soon as it does again.

    Once the rollout has ended nobody looks at the old slot any more, so that one which should stand in full is looked at
    once.
    """
    full = state.plan.standby is Standby.FULL
    match state.stage:
        case Stage.DONE if full:
            stage = Stage.HEALTH
        case Stage.SCALE | Stage.DONE if not full:
            stage = Stage.PREPARE
        case _:
            stage = Stage.MOVE
    turned = state.having(direction=Direction.BACK, paused=False, left_in_full=None)
    return _enter(turned, stage, at, who, why)


def _only_looks(state: State) -> bool:
    """Whether the health on the way back is that of a slot which stands by in full and was not prepared anew."""
    back, standby = state.direction is Direction.BACK, state.plan.standby
    return back and standby is Standby.FULL and state.attempts == 0


def _enter(state: State, stage: Stage, at: datetime, who: str, why: str, *, attempts: int = 0) -> State:
    begun = state.having(stage=stage, step=state.step + 1, since=max(at, state.since), attempts=attempts)
    return begun.noting(at, who, why)


def _paying(state: State, at: datetime, error_rate: float | None) -> State:
    """Spent up to now: at the present error rate, or the last known one if it goes back; while it is unknown, not yet."""
    if error_rate is None and state.direction is Direction.UP:
        return state
    rate = state.error_rate if error_rate is None else error_rate
    if state.paid_until is None or at <= state.paid_until:
        return state.having(error_rate=rate)
    span = at - state.paid_until
    return state.having(
        spent=state.spent + spending(state.phase.weight, rate, span), paid_until=at, error_rate=rate
    )


def _overspent(state: State) -> str:
    return (
        f"Error budget: the new slot spent {state.spent.total_seconds():.1f} s of a total outage; "
        f"its share is {(state.plan.budget or state.spent).total_seconds():.1f} s"
    )


def _earliest_end(state: State) -> datetime:
    if state.stage is Stage.DRAIN:
        return state.since + state.plan.drain
    return (state.clocks.last or state.since) + max(
        state.phase.bake - state.clocks.baked, state.plan.interval
    )


def _report(state: State) -> Report:
    turn = next((entry for entry in state.history if entry.direction is Direction.BACK), None)
    return Report(
        outcome=Outcome.ROLLED_BACK if turn else Outcome.COMPLETED,
        slot=state.target,
        version=state.plan.replaces if turn else state.plan.version,
        started=state.history[0].at,
        ended=state.since,
        spent=state.spent,
        why=(turn or state.history[0]).why,
        left_in_full=state.left_in_full,
    )
