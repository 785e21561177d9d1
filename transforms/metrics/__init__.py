"""Scores of captions against references, as the COCO tools define them."""

from transforms.metrics.cider import CiderD, cider_d
from transforms.metrics.coco import METRICS, Result, Scorer, constant_caption_floor, score

__all__ = [
    "METRICS",
    "CiderD",
    "Result",
    "Scorer",
    "cider_d",
    "constant_caption_floor",
    "score",
]
