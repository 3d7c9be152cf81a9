"""The one error a person meets when a rehearsal cannot go on."""


class RehearsalError(Exception):
    """What went wrong and what to do next, in one line that a person can act on."""
