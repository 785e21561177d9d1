"""What a search tries: names of the configuration's fields with their values or ranges.

units:128,256,512          one of these
dropout:0.0..0.5           any number between
learning_rate:1e-4..3e-3:log   likewise, evenly over the orders of magnitude
layers:1..3                any whole number
convolutions:32-64,32-64-128   lists have hyphens within
"""

import argparse
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from trainer.command_line import refuse_idle
from trainer.configuration import CAPTIONERS, DECISIVE, Configuration
from transforms.errors import UsageError

if TYPE_CHECKING:
    import optuna

DEFAULT = (
    "units:128,256,512",
    "layers:1,2",
    "dropout:0.0..0.5",
    "learning_rate:3e-4..3e-3:log",
)
_BOOLEANS = {"true": True, "false": False}
# What decides how a trial is judged or computed is the same for all, and other captioners, to begin
# with or to learn from, may have seen the folds.
_FIXED = ("seed", "epochs", "scst_epochs", "search", "xla", *CAPTIONERS)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A field that is searched.

    Attributes:
        name: of the field.
        values: what is tried; empty for a range.
        low, high: the ends of a range.
        log: whether the range is even over orders of magnitude.
    """

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether a range has whole numbers only."""
        return isinstance(self.low, int)

    def suggest(self, trial: "optuna.Trial") -> Any:
        """Let the search choose a value."""
        if self.values:
            # Lists and the like by their place, which JSON and every sampler can hold.
            place = trial.suggest_categorical(self.name, list(range(len(self.values))))
            return self.values[place]
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)


def parse(text: str) -> Parameter:
    """Parse one `--search`.

    Raises:
        UsageError: it names no field, or values that the field cannot have.
    """
    name, _, rest = text.partition(":")
    fields = {field.name: field for field in dataclasses.fields(Configuration)}
    if name not in fields or name in _FIXED or not rest:
        raise UsageError(
            f"--search={text}: this is not a setting that can be searched with its values: write"
            f" {DEFAULT[0]} or {DEFAULT[3]}; settings are"
            f" {', '.join(sorted(set(fields) - set(_FIXED)))}"
        )
    value = _parser(fields[name])
    try:
        if ".." not in rest or not _is_number(fields[name]):
            values = tuple(map(value, rest.split(",")))
            if len(set(values)) < max(2, len(values)):
                raise UsageError(f"--search={text}: give two or more different values")
            return Parameter(name, values)
        ends, _, scale = rest.partition(":")
        low, high = (value(end) for end in ends.split("..", 1))
        if low >= high or scale not in ("", "log"):
            raise UsageError(
                f"--search={text}: a range has the lower number first, such as 0.2..0.6, and may"
                " end in :log"
            )
        if scale and low <= 0:
            raise UsageError(f"--search={text}: a range with :log begins above 0")
        return Parameter(name, low=low, high=high, log=bool(scale))
    except (ValueError, KeyError, argparse.ArgumentTypeError) as error:
        raise UsageError(f"--search={text}: {error} is no value of {name}") from error


def parse_all(texts: Sequence[str], explicit: Sequence[str]) -> tuple[Parameter, ...]:
    """Parse all `--search` flags.

    Args:
        texts: their values; none for `DEFAULT` without what is explicit.
        explicit: fields that other flags set.

    Raises:
        UsageError: as `parse`; a field twice, or set by a flag as well.
    """
    chosen = texts or [text for text in DEFAULT if text.split(":")[0] not in explicit]
    parameters = tuple(map(parse, chosen))
    names = [parameter.name for parameter in parameters]
    for name in names:
        if names.count(name) > 1 or name in explicit:
            raise UsageError(f"{name} is set twice: give it in one flag")
    _check_anything_left(parameters)
    return parameters


def narrowed(
    base: Configuration, parameters: Sequence[Parameter], feature_shape: Sequence[int] | None
) -> tuple[Configuration, tuple[Parameter, ...]]:
    """Leave out the values that go with none of the others', nor with the base.

    A setting that has one value left is no longer searched.

    Args:
        base: the configuration whose fields hold where nothing is searched.
        parameters: what would be searched; ranges are taken to go with everything.
        feature_shape: as for `Configuration.check`.

    Returns:
        The base with what has one value only, and what is searched.

    Raises:
        UsageError: nothing goes together, or nothing is left to search.
    """
    lists = {each.name: each.values for each in parameters if each.values}
    possible: dict[str, set[Any]] = {name: set() for name in lists}
    refused: UsageError | None = None
    found = False
    for values in itertools.product(*lists.values()):
        settings = dict(zip(lists, values, strict=True))
        try:
            dataclasses.replace(base, **settings).check(feature_shape)
        except UsageError as error:
            refused = refused or error
            continue
        found = True
        for name, value in settings.items():
            possible[name].add(value)
    if refused and not found:
        raise refused
    kept = []
    for each in parameters:
        values = tuple(value for value in each.values if value in possible[each.name])
        if len(values) == 1:
            base = dataclasses.replace(base, **{each.name: values[0]})
        else:
            kept.append(dataclasses.replace(each, values=values))
    _check_anything_left(kept)
    return base, tuple(kept)


def check_useful(
    base: Configuration, parameters: Sequence[Parameter], explicit: Iterable[str], cut: bool
) -> None:
    """Refuse what has an effect in no trial.

    Args:
        base: the configuration whose fields hold where nothing is searched.
        parameters: what is searched.
        explicit: fields that other flags set.
        cut: as for `Configuration.idle`.

    Raises:
        UsageError: the first of them.
    """
    values = {each.name: _telling(each) for each in parameters if each.name in DECISIVE}
    trials = [
        dataclasses.replace(base, **dict(zip(values, each, strict=True))).idle(cut)
        for each in itertools.product(*values.values())
    ]
    idle = {name: use for name, use in trials[0].items() if all(name in each for each in trials)}
    searched = [each.name for each in parameters]
    refuse_idle(searched, idle, "--search=")
    refuse_idle(explicit, idle)
    late = "cnn_learning_rate"
    if late in idle and "finetune_from_epoch" in searched:
        # One value of it has an effect: it keeps the CNN as it is. So do all of these.
        refuse_idle(["finetune_from_epoch"], {"finetune_from_epoch": idle[late]}, "--search=")


def _telling(parameter: Parameter) -> Sequence[Any]:
    """Return the values that tell what has an effect: of numbers the ends, as 0 or not decides."""
    if not parameter.values:
        return (parameter.low, parameter.high)
    if all(isinstance(value, int | float) for value in parameter.values):
        return (min(parameter.values), max(parameter.values))
    return parameter.values


def _check_anything_left(parameters: Sequence[Parameter]) -> None:
    if not parameters:
        raise UsageError("every setting is fixed by a flag: nothing is left to search")


def _is_number(field: "dataclasses.Field[Any]") -> bool:
    """Whether a field has ranges."""
    return isinstance(field.default, int | float) and not isinstance(field.default, bool)


def _parser(field: "dataclasses.Field[Any]") -> Callable[[str], Any]:
    facts = field.metadata
    if isinstance(field.default, bool):
        return lambda text: _BOOLEANS[text]
    if isinstance(field.default, tuple):
        return lambda text: facts["parse"](text.replace("-", ","))
    if "choices" in facts:
        return lambda text: {choice: choice for choice in facts["choices"]}[text]
    return facts.get("parse", str)
