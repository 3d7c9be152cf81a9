"""What a person can mend before anything is shown."""


class StackFileError(Exception):
    """A stack file cannot be read at all; the message says what to do about it."""
