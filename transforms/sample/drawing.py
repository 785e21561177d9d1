"""Draws a scene: the place first, then its things where the arrangement puts them."""

import random

from PIL import Image

from transforms.sample.backdrops import backdrop
from transforms.sample.pen import Pen, Point
from transforms.sample.scenes import FLYING, Scene, Thing
from transforms.sample.things import KINDS, PALETTE

_SMALL = 0.46  # the height of a small thing as a part of a big one's
_GROUND = 160.0
_AIR = 88.0  # the foot of a flying thing alone
_COLUMNS = {"left": 54.0, "middle": 128.0, "right": 202.0}
_SHADOW = (10, 14, 40, 60)
_WATER = (28, 98, 168, 215)
_FOAM = (206, 232, 246, 220)


def draw(scene: Scene) -> Image.Image:
    """Return the scene's picture: RGB, 256 x 192, always the same for the same scene."""
    pen, rng = Pen(), scene.random("drawing")
    content = scene.content
    backdrop(pen, content.place, rng)
    first, last = content.things[0], content.things[-1]
    if content.arrangement == "on top":
        foot = _foot(last, _COLUMNS["middle"] + rng.uniform(-50, 50), rng)
        rest = foot[1] - KINDS[last.kind].top * _height(last)
        _put(pen, last, foot, content.place)
        KINDS[first.kind].draw(pen, foot[0], rest, _height(first), PALETTE[first.colour])
        return pen.picture()
    if content.arrangement == "above":
        across = _COLUMNS["middle"] + rng.uniform(-40, 40)
        high = 8 + _height(first) + rng.uniform(0, 4 if first.size == "big" else 14)
        low = _foot(last, across + rng.uniform(-12, 12), rng)
        placed = [(last, (low[0], low[1] + 12)), (first, (across, high))]
    elif content.arrangement == "beside":
        placed = [
            (thing, _foot(thing, across + rng.uniform(-8, 8), rng))
            for thing, across in zip(content.things, (66.0, 190.0), strict=True)
        ]
    elif content.arrangement == "group":
        gap = 256 / content.number
        placed = [
            (first, _foot(first, gap * (place + 0.5) + rng.uniform(-5, 5), rng))
            for place in range(content.number)
        ]
    else:
        placed = [(first, _foot(first, _COLUMNS[content.position] + rng.uniform(-6, 6), rng))]
    limit = 256 / content.number - 14 if content.number > 1 else 118.0
    # What stands lower in the picture is nearer, and drawn over what is behind it.
    for thing, foot in sorted(placed, key=lambda item: item[1][1]):
        _put(pen, thing, foot, content.place, limit)
    return pen.picture()


def _height(thing: Thing, limit: float = 118.0) -> float:
    """Return the height in pixels, less where the thing would be wider than the limit."""
    kind = KINDS[thing.kind]
    widest = min(kind.height, limit / kind.width)
    return widest if thing.size == "big" else widest * _SMALL


def _foot(thing: Thing, x: float, rng: random.Random) -> Point:
    if thing.kind in FLYING:
        return x, _AIR + rng.uniform(-14, 14)
    return x, _GROUND + rng.uniform(-6, 12)


def _put(pen: Pen, thing: Thing, foot: Point, place: str, limit: float = 118.0) -> None:
    """Draw a thing with its shadow, or with the water it floats in."""
    kind, height, (x, y) = KINDS[thing.kind], _height(thing, limit), foot
    half = kind.width * height / 2
    flying = thing.kind in FLYING
    if not flying and place != "sea":
        pen.ellipse((x + half * 0.12, y - 1), (half * 1.08, max(2.5, height * 0.07)), _SHADOW)
    kind.draw(pen, x, y, height, PALETTE[thing.colour])
    if not flying and place == "sea":
        down = max(3.0, height * 0.09)
        pen.ellipse((x, y + down * 0.5), (half * 1.2, down), _WATER)
        pen.arc((x, y + down * 0.5), (half * 1.2, down), (190, 350), _FOAM, 1.2)
