"""What goes wrong in a way that a person can mend."""


class DeliveryError(Exception):
    """Says what is wrong and what to do about it, in as few lines as that takes."""
