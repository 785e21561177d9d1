"""What every command shares: strict flags, one-line errors, exit statuses."""

import argparse
import atexit
import difflib
import enum
import io
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from transforms.errors import JobError, UsageError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Exit(enum.IntEnum):
    """Exit statuses of all commands."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    TOO_MANY_REJECTS = 3


def tells(default: object) -> bool:
    """Whether a flag's default is worth showing: not where it means that nothing is given."""
    return default is not None and default is not False and default not in ("", [])


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that tell something, unless the text itself does."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if tells(action.default) and "default" not in (action.help or ""):
            return super()._get_help_string(action)
        return action.help


class Parser(argparse.ArgumentParser):
    """An argument parser that takes no abbreviations, shows defaults, and raises UsageError."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            allow_abbrev=False,
            formatter_class=_Formatter,
        )

    def error(self, message: str) -> NoReturn:
        """Raise UsageError where argparse would print its usage and exit."""
        raise UsageError(f"{message}; `{self.prog} --help` lists the flags")

    def flags(self) -> list[str]:
        """Return every flag that the parser knows."""
        return [flag for action in self._actions for flag in action.option_strings]


def refuse_unknown(arguments: Iterable[str], known: Iterable[str], prog: str) -> None:
    """Raise UsageError if any argument is left over, with the flag that was probably meant."""
    for argument in arguments:
        flag = argument.split("=", 1)[0]
        near = difflib.get_close_matches(flag, list(known), n=1)
        hint = f"did you mean {near[0]}?" if near else f"`{prog} --help` lists the flags"
        raise UsageError(f"unknown flag {flag}: {hint}")


def parse_strictly(parser: Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line, refusing what the parser does not know."""
    known = parser.flags()
    flags = [each for each in (sys.argv[1:] if argv is None else argv) if each.startswith("--")]
    # First of all, or a required flag that is misspelt would be said to be missing.
    refuse_unknown(
        (flag for flag in flags if flag.split("=", 1)[0] not in known), known, parser.prog
    )
    options, unknown = parser.parse_known_args(argv)
    refuse_unknown(unknown, known, parser.prog)
    return options


def fraction(text: str) -> float:
    """Parse a flag's value from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def amount(text: str) -> float:
    """Parse a flag's value that is a number from 0 on."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is negative or not finite")
    return value


def positive_amount(text: str) -> float:
    """Parse a flag's value that is a number above 0."""
    value = amount(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def positive(text: str) -> int:
    """Parse a flag's value that is a whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def count(text: str) -> int:
    """Parse a flag's value that is a whole number from 0 on."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def seed(text: str) -> int:
    """Parse a flag's value that is a seed: a whole number from 0 on, of 31 bits for TensorFlow."""
    value = count(text)
    if value >= 2**31:
        raise argparse.ArgumentTypeError(f"{text} is not below {2**31}")
    return value


def shown(text: str) -> str:
    """Return text as one line for a terminal, which obeys what control characters in it say."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", " ".join(text.split()))


def run(main: Callable[[Sequence[str] | None], Exit | None]) -> NoReturn:
    """Run a command's `main` and leave the process with its status.

    UsageError, JobError and OSError end in one line on stderr; any other exception is a defect
    of the program and shows its trace.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # Names of files need not be text: they are printed as they are on the disk.
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        status: int = main(None) or Exit.DONE
    except UsageError as error:
        _say(str(error))
        status = Exit.WRONG_USAGE
    except (JobError, OSError) as error:
        _say(str(error))
        status = Exit.FAILED
    except KeyboardInterrupt:
        _say("interrupted; the same command continues where it stopped")
        status = Exit.FAILED
    except SystemExit as leaving:
        # What argparse says after --help.
        status = leaving.code if isinstance(leaving.code, int) else Exit.DONE
    except BaseException:
        traceback.print_exc()
        status = Exit.FAILED
    _leave(status)


def _leave(status: int) -> NoReturn:
    """Do what Python does at its end, but for the last: taking itself and its libraries apart.

    Native libraries (Arrow, gRPC, TensorFlow) have threads of their own, and now and then one is
    at work while another library's destructors take away what it works with: the process aborts,
    after all is done. And Python turns a Ctrl-C or SIGTERM that came while it ran `exec` or
    `eval`, as imports do, into a death by SIGINT, though it was caught and answered.
    """
    try:
        # Threads that somebody waits for, then what was registered to be done at the end:
        # temporary folders, child processes, logs.
        threading._shutdown()  # type: ignore[attr-defined]  # Python has no public name for it
        atexit._run_exitfuncs()
    except KeyboardInterrupt:
        # Somebody is in a hurry.
        pass
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            # Nobody reads it any more, or the disk is full: what was printed is not all there.
            status = status or Exit.FAILED
    os._exit(status)


def _say(message: str) -> None:
    print(f"error: {shown(message)}", file=sys.stderr)
