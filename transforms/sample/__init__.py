"""The built-in sample: scenes drawn by the project, each with five captions that describe it."""

from transforms.sample.captions import captions
from transforms.sample.drawing import draw
from transforms.sample.files import COUNT, jpeg, splits, write
from transforms.sample.scenes import CAPACITY, Content, Scene, Thing, scene

__all__ = [
    "CAPACITY",
    "COUNT",
    "Content",
    "Scene",
    "Thing",
    "captions",
    "draw",
    "jpeg",
    "scene",
    "splits",
    "write",
]
