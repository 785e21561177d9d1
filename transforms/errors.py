"""Errors that people are meant to read."""


class UsageError(Exception):
    """Wrong input that ends a command before work starts, with exit status 2.

    The message is one line that names the thing and the remedy.
    """


class JobError(Exception):
    """A failure of the work itself, with exit status 1; the message is one line."""
