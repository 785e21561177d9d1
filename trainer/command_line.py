"""A configuration as the flags of `trainer.task`."""

import shlex
from collections.abc import Mapping
from typing import Any

from trainer.configuration import Configuration


def flags(configuration: Configuration, cut: bool) -> list[str]:
    """Return the flags that train like this configuration, from the default preset's.

    Only fields that differ from the defaults, and that change something, have one.

    Args:
        configuration: how to train.
        cut: see `Configuration.idle`.
    """
    defaults, idle = Configuration().to_dict(), configuration.idle(cut)
    return [
        flag(name, value)
        for name, value in configuration.to_dict().items()
        if value != defaults[name] and name not in idle
    ]


def command(configuration: Configuration, cut: bool, others: Mapping[str, Any]) -> str:
    """Return the command line for a shell.

    Args:
        configuration: how to train.
        cut: see `Configuration.idle`.
        others: `dataset`, `output` and other flags, which come first.
    """
    words = [*(flag(name, value) for name, value in others.items()), *flags(configuration, cut)]
    return shlex.join(["python", "-m", "trainer.task", *words])


def flag(name: str, value: Any) -> str:
    """Return a flag with its value."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    return f"--{name}={value}"
