"""A configuration and the flags of a command line: made from it, refused, written again."""

import argparse
import dataclasses
import shlex
from collections.abc import Container, Iterable, Mapping
from typing import Any

from trainer.configuration import Configuration
from transforms import commandline
from transforms.errors import UsageError


def add_flags(parser: argparse.ArgumentParser, without: Container[str] = ()) -> None:
    """Add a flag for each field; one that is not given stays out of the parsed namespace.

    Args:
        parser: of a command.
        without: fields that have none.
    """
    for field in dataclasses.fields(Configuration):
        if field.name in without:
            continue
        facts = field.metadata
        default = field.default
        if isinstance(default, tuple):
            default = ",".join(map(str, default)) or "none"
        options: dict[str, Any] = {
            "default": argparse.SUPPRESS,
            "help": facts["help"].replace("%", "%%"),
        }
        if commandline.tells(default):
            # The parser does not know it: a flag that is not given leaves nothing behind.
            options["help"] += f" (default: {default})".replace("%", "%%")
        if isinstance(field.default, bool):
            options["action"] = argparse.BooleanOptionalAction
        elif "choices" in facts:
            options["choices"] = facts["choices"]
        else:
            options["type"] = facts.get("parse", str)
            options["metavar"] = field.name.upper()
        parser.add_argument(f"--{field.name}", **options)


def refuse_idle(names: Iterable[str], idle: Mapping[str, str], flag: str = "--") -> None:
    """Refuse flags that were given and cannot have an effect.

    Args:
        names: of the fields that were given; a preset's values may lie idle.
        idle: see `Configuration.idle`.
        flag: what stands before a name on the command line.

    Raises:
        UsageError: the first of them.
    """
    for name in names:
        if name in idle:
            raise UsageError(
                f"{flag}{name} is for {idle[name]}, and does nothing here: leave it out"
            )


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
