"""What the page of a training shows, and where its marks stand."""

import dataclasses
from collections.abc import Mapping, Sequence

from transforms.pages.plots import Mark, Plot, across, in_order, vertical


@dataclasses.dataclass(frozen=True)
class Epoch:
    """A row of the page.

    Attributes:
        number: from 1, over all phases.
        phase: its name.
        cider: of dev, as a fraction.
        loss: mean per token.
        reward: mean CIDEr-D of the captions drawn; None outside self-critical training.
        learning_rate: of its last step.
        tokens_per_second: learned from.
        seconds: that it took.
    """

    number: int
    phase: str
    cider: float
    loss: float
    reward: float | None
    learning_rate: float
    tokens_per_second: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Example:
    """An image of dev: what the captioner says, beside what people said. Text from data."""

    key: str
    caption: str
    reference: str


@dataclasses.dataclass(frozen=True)
class Training:
    """What the page tells.

    Attributes:
        title: the heading.
        facts: what was trained, as names and values.
        epochs: at least one, in their order.
        best: number of the epoch that was kept.
        scores, floor: of dev, the captioner's and the best constant caption's, by measure.
        examples: some images of dev.
        command: that trains it.
        language: of the captions, such as `zh`; empty where it is unknown.
    """

    title: str
    facts: Mapping[str, str]
    epochs: tuple[Epoch, ...]
    best: int
    scores: Mapping[str, float]
    floor: Mapping[str, float]
    examples: tuple[Example, ...]
    command: str
    language: str = ""


def plots(content: Training) -> list[Plot]:
    """Lay out the drawings: CIDEr, each phase's own measure, and the learning rate."""
    epochs = content.epochs
    drawn = [_curve(content, "CIDEr of dev", [epoch.cider for epoch in epochs])]
    supervised = [epoch.loss if epoch.reward is None else None for epoch in epochs]
    drawn.append(_curve(content, "loss per token, cross-entropy", supervised))
    rewards = [epoch.reward for epoch in epochs]
    drawn.append(_curve(content, "reward of captions drawn, self-critical", rewards))
    rates = [epoch.learning_rate for epoch in epochs]
    drawn.append(_curve(content, "learning rate at the end of the epoch", rates))
    return [plot for plot in drawn if plot.marks]


def _curve(content: Training, title: str, values: Sequence[float | None]) -> Plot:
    known = [value for value in values if value is not None]
    if not known:
        return Plot(title, (), (), ())
    y, y_ticks = vertical(known)
    last = max(1, len(values) - 1)
    marks = []
    for place, (epoch, value) in enumerate(zip(content.epochs, values, strict=True)):
        if value is not None:
            kind = "best" if epoch.number == content.best else "complete"
            label = f"epoch {epoch.number}: {value:.4g}"
            marks.append(Mark(across(place / last), y(value), y(value), y(value), kind, label))
    line = " ".join(f"{mark.x},{mark.y}" for mark in marks)
    return Plot(title, tuple(marks), in_order(len(values)), y_ticks, line)
