"""A release's way from the idle slot to all traffic, and back, as pure functions: no clock, no I/O.

`plan` says what is going to happen, `state` where it is, `events` what happened, `actions` what to do next, and
`machine` leads from one to the other. `gate` and `budget` judge the new slot, `guard` every move of weights.

A driver does no more than this, and may be killed between any two lines:

    while True:
        action = next_action(state)      # the state is the recorded intent
        event = perform(action)          # idempotent
        state = apply(state, event)
        journal.write(state)             # the recorded outcome, and the next intent
"""
