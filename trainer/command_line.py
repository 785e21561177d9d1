"""A configuration as the flags of `trainer.task`."""

import shlex
from collections.abc import Mapping
from typing import Any

from trainer.configuration import Configuration


def flags(configuration: Configuration) -> list[str]:
    """Return the flags that make this configuration from the default preset's.

    Only fields that differ from the defaults have one.
    """
    defaults, values = Configuration().to_dict(), configuration.to_dict()
    return [_flag(name, value) for name, value in values.items() if value != defaults[name]]


def command(configuration: Configuration, others: Mapping[str, Any]) -> str:
    """Return the command line for a shell.

    Args:
        configuration: how to train.
        others: `dataset`, `output` and other flags, which come first.
    """
    words = [*(_flag(name, value) for name, value in others.items()), *flags(configuration)]
    return shlex.join(["python", "-m", "trainer.task", *words])


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    return f"--{name}={value}"
