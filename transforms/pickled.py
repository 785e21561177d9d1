"""Dataclasses of which millions cross shuffles, pickled in few bytes."""

import dataclasses
import operator
from collections.abc import Callable
from typing import Any

# Of a class: what gets the values of its fields, two or more of them, and their defaults.
_Fields = tuple[Callable[[Any], tuple[Any, ...]], tuple[Any, ...]]
_known: dict[type, _Fields] = {}


class Pickled:
    """Has a dataclass pickled as its class and its fields' values, defaults at the end left out.

    What a runner shuffles it pickles one element at a time; that of a dataclass with slots
    otherwise takes half as long again.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """See `object.__reduce__`."""
        kind = type(self)
        values, defaults = _known.get(kind) or _learn(kind)
        mine = values(self)
        kept = len(mine)
        while kept and mine[kept - 1] == defaults[kept - 1]:
            kept -= 1
        return kind, mine[:kept]


def _learn(kind: Any) -> _Fields:
    fields = dataclasses.fields(kind)
    get = operator.attrgetter(*(field.name for field in fields))
    _known[kind] = get, tuple(field.default for field in fields)
    return _known[kind]
