"""Pages to look at: the captions gallery and the evaluation report, each one HTML file."""

from transforms.pages.cards import Card, from_row, thumbnail
from transforms.pages.histogram import Histogram
from transforms.pages.render import Metric, Report, gallery, report

__all__ = ["Card", "Histogram", "Metric", "Report", "from_row", "gallery", "report", "thumbnail"]
