"""Takes a release through the canary ladder on real parts: the engine, the cluster, Prometheus and the journal.

What is decided is decided in `operations.rollout`; this package carries it out. `driver` is the loop between the two,
`ports` says what it needs of the world, and the other modules are that world.
"""
