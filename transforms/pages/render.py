"""Filling in the pages' templates.

A page is one file that works from disk or from any server: its pictures are data URIs, its style
is inline and the only one that its content security policy allows, and it has no scripts.
"""

import base64
import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transforms.pages import plots, training, tuning
from transforms.pages.cards import Card
from transforms.pages.histogram import HEIGHT, WIDTH, Histogram

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"


@dataclasses.dataclass(frozen=True)
class Metric:
    """A row of the metrics table: scores of the captions and of the constant caption."""

    name: str
    score: float
    floor: float

    @property
    def full(self) -> float:
        """The score that a full bar stands for."""
        return max(1.0, self.score, self.floor)


@dataclasses.dataclass(frozen=True)
class Report:
    """What the evaluation page tells.

    Attributes:
        title: the page's heading.
        facts: what was evaluated, as names and values.
        metrics: the table.
        floor_caption: the constant caption.
        notes: what a reader must know, a sentence each.
        cider: CIDEr-D of every image.
        sections: headings with their cards, in the page's order.
        software: versions.
        language: of captions and references; see `gallery`.
    """

    title: str
    facts: Mapping[str, str]
    metrics: Sequence[Metric]
    floor_caption: str
    notes: Sequence[str]
    cider: Sequence[float]
    sections: Mapping[str, Sequence[Card]]
    software: Mapping[str, str]
    language: str = ""


def gallery(
    cards: Iterable[Card], title: str, *, total: int | None = None, language: str = ""
) -> str:
    """Return a page of captioned pictures.

    Args:
        cards: what to show; each picture adds some 20 kB to the page.
        title: the page's heading.
        total: number of images there are, where the page shows only some.
        language: of the captions, such as `zh`; empty where it is unknown. The pages' own words
            are English.
    """
    shown = list(cards)
    return _render(
        "gallery.html", title=title, cards=shown, total=total or len(shown), language=language
    )


def report(content: Report) -> str:
    """Return the page of an evaluation."""
    floor = next((row.floor for row in content.metrics if row.name == "CIDEr"), 0.0)
    return _render(
        "report.html",
        report=content,
        title=content.title,
        histogram=Histogram.of(content.cider),
        mean=sum(content.cider) / len(content.cider),
        floor=floor,
        width=WIDTH,
        height=HEIGHT,
    )


def tuning_page(content: tuning.Tuning) -> str:
    """Return the page of a search for settings."""
    return _plotted("tuning.html", content, tuning.plots(content), shown=tuning.shown)


def training_page(content: training.Training) -> str:
    """Return the page of a training."""
    return _plotted("training.html", content, training.plots(content))


def _plotted(
    name: str,
    content: tuning.Tuning | training.Training,
    drawn: Sequence[plots.Plot],
    **values: Any,
) -> str:
    return _render(
        name,
        content=content,
        title=content.title,
        plots=drawn,
        width=plots.WIDTH,
        height=plots.HEIGHT,
        left=plots.LEFT,
        right=plots.RIGHT,
        **values,
    )


def _render(name: str, **values: Any) -> str:
    return _environment().get_template(name).render(**values)


@functools.cache
def _environment() -> "jinja2.Environment":
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # The style is the project's own, and the only text on a page that is not escaped.
    environment.globals.update(style=Markup(style), style_digest=digest)
    return environment
