"""Scores of captions against references, as the COCO tools define them."""

from transforms.metrics.cider import CiderD
from transforms.metrics.coco import METRICS, Result, Scorer

__all__ = ["METRICS", "CiderD", "Result", "Scorer"]
