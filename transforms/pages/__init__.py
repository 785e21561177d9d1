"""Pages to look at: captions, an evaluation, a training, a search; each one HTML file."""

from transforms.pages.cards import Card, from_row, thumbnail
from transforms.pages.histogram import Histogram
from transforms.pages.render import Metric, Report, gallery, report, training_page, tuning_page

__all__ = [
    "Card",
    "Histogram",
    "Metric",
    "Report",
    "from_row",
    "gallery",
    "report",
    "thumbnail",
    "training_page",
    "tuning_page",
]
