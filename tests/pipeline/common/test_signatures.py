"""Beam is told the same of functions as it finds itself, and asks once."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms import core, userstate

from pipeline.common import signatures


class Step(beam.DoFn):
    def process(
        self, element: str, side: int = 3, *more: int, at: object = beam.DoFn.TimestampParam
    ) -> Iterator[str]:
        yield element


@functools.wraps(Step.process)
def wrapped(*arguments: Any) -> None: ...


FUNCTIONS: list[Callable[..., Any]] = [
    Step().process,
    Step().setup,
    Step.process,
    wrapped,
    lambda first, second=beam.DoFn.WindowParam: first,
    functools.partial(lambda first, second=2: first, second=1),
    str.strip,
    len,
    dict,
    "a".join,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_arguments_are_those_that_beam_finds(function: Callable[..., Any]) -> None:
    expected = signatures._look_up(function)
    for _ in range(2):
        names, defaults = found = signatures.arguments(function)
        assert found == expected
        names.clear()
        defaults.clear()


def test_beam_looks_a_method_up_once_for_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def look_up(function: Callable[..., Any]) -> signatures.Arguments:
        asked.append(function.__name__)
        return plain(function)

    plain = signatures._look_up
    monkeypatch.setattr(signatures, "_look_up", look_up)
    monkeypatch.setattr(signatures, "_methods", type(signatures._methods)())
    monkeypatch.setattr(core, "get_function_args_defaults", plain)
    signatures.remember()
    for _ in range(2):
        assert userstate.get_dofn_specs(Step()) == (set(), set())
    assert sorted(asked) == sorted(set(asked))
    assert "process" in asked
