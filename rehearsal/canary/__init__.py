"""A release rehearsed: the real rollout driver and a real Prometheus, over an application that misbehaves as told.

`faults` says what may go wrong and how that has to end, `weights` which weights are in force, `application` simulates the
services, `network` answers the scrapes in the place of pods that nothing runs in, `prometheus` and `driver` run the two
real programs, and `run` brings them together.
"""
