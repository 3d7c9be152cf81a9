"""What goes wrong in a way that a person can mend."""


class RolloutError(Exception):
    """Says what is wrong and what to do about it, in as few lines as that takes."""


class PlanRefused(RolloutError):
    """A preview would change more than the step is meant to; nothing was done. The message lists what else."""

    def __str__(self) -> str:
        # The program is loaded once: a driver cannot follow what somebody brought in force from newer code.
        return f"{super().__str__()}. Where it was put in force from a newer checkout: end this driver, and rollout resume in that one"


class UpdateFailed(RolloutError):
    """The engine, the program or a provider refused or broke off; what was done so far is in force."""


class LeaseLost(RolloutError):
    """Another driver has taken this rollout over."""


class JournalFailed(RolloutError):
    """The journal cannot be read or written now."""
