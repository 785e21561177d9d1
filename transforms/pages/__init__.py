"""Pages to look at: captions, an evaluation, a search for settings; each one HTML file."""

from transforms.pages.cards import Card, from_row, thumbnail
from transforms.pages.histogram import Histogram
from transforms.pages.render import Metric, Report, gallery, report, tuning_page

__all__ = [
    "Card",
    "Histogram",
    "Metric",
    "Report",
    "from_row",
    "gallery",
    "report",
    "thumbnail",
    "tuning_page",
]
