"""What the methods of a job's steps take, looked up once."""

import weakref
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

from apache_beam.transforms import core

Arguments = tuple[list[str], list[Any]]  # Names, and the defaults of the last of them.

_look_up = core.get_function_args_defaults
# By what is called: a function, or by the function of a method, which is not asked for its object.
_functions: weakref.WeakKeyDictionary[Callable[..., Any], Arguments] = weakref.WeakKeyDictionary()
_methods: weakref.WeakKeyDictionary[Callable[..., Any], Arguments] = weakref.WeakKeyDictionary()


def remember() -> None:
    """Have Beam remember what functions take.

    It asks that of every method of a step each time that it looks for the step's state and timers,
    some ten times a step, and of methods that all steps have from Beam itself: half a second for
    every job.
    """
    core.get_function_args_defaults = arguments


def arguments(f: Callable[..., Any]) -> Arguments:
    """Return what Beam's own `get_function_args_defaults` does."""
    if isinstance(f, MethodType) and isinstance(f.__func__, FunctionType):
        known, key = _methods, f.__func__
    elif isinstance(f, FunctionType):
        known, key = _functions, f
    else:
        return _look_up(f)
    found = known.get(key)
    if found is None:
        found = known[key] = _look_up(f)
    names, defaults = found
    return list(names), list(defaults)
