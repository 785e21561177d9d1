"""The places: everything behind the things of a scene."""

import math
import random
from collections.abc import Callable

from transforms.sample.pen import HEIGHT, WIDTH, Colour, Pen, Point, blend, darker, lighter

WHITE = (255, 255, 255)


def backdrop(pen: Pen, place: str, rng: random.Random) -> None:
    """Fill the whole canvas with a place."""
    _PLACES[place](pen, rng)


def _meadow(pen: Pen, rng: random.Random) -> None:
    horizon = rng.uniform(96, 108)
    _day_sky(pen, rng, horizon, (92, 172, 238), (214, 238, 252))
    _ridge(pen, rng, horizon - 2, 12, (150, 200, 140))
    _ridge(pen, rng, horizon + 8, 8, (118, 186, 104))
    pen.gradient(horizon + 16, HEIGHT, (126, 198, 92), (84, 164, 66))
    for _ in range(34):
        x, y = rng.uniform(0, WIDTH), rng.uniform(horizon + 22, HEIGHT)
        _tuft(pen, x, y, 1.5 + (y - horizon) / 28, (66, 142, 56))
    for _ in range(9):
        x, y = rng.uniform(0, WIDTH), rng.uniform(horizon + 26, HEIGHT)
        pen.ellipse((x, y), (1.6, 1.2), WHITE)
        pen.ellipse((x, y), (0.6, 0.5), (250, 206, 70))


def _beach(pen: Pen, rng: random.Random) -> None:
    horizon = rng.uniform(78, 88)
    _day_sky(pen, rng, horizon, (86, 178, 240), (222, 242, 252))
    shore = horizon + rng.uniform(22, 28)
    pen.gradient(horizon, shore + 8, (34, 128, 190), (88, 196, 210))
    _glints(pen, rng, horizon + 3, shore - 4, 16)
    phase = rng.uniform(0, 6)
    edge = [(x, shore + 3 * math.sin(x / 34 + phase)) for x in range(-4, WIDTH + 8, 4)]
    sand: Colour = (240, 218, 164)
    pen.polygon([*edge, (WIDTH, HEIGHT), (0, HEIGHT)], sand)
    pen.line([(x, y + 3) for x, y in edge], darker(sand, 0.12), 4)
    pen.line(edge, WHITE, 2.4)
    for _ in range(70):
        x, y = rng.uniform(0, WIDTH), rng.uniform(shore + 10, HEIGHT)
        pen.ellipse((x, y), (0.9, 0.6), darker(sand, rng.uniform(0.08, 0.25)))


def _sea(pen: Pen, rng: random.Random) -> None:
    horizon = rng.uniform(88, 100)
    _day_sky(pen, rng, horizon, (112, 186, 240), (228, 244, 252))
    pen.gradient(horizon, HEIGHT, (36, 116, 186), (22, 82, 150))
    _glints(pen, rng, horizon + 3, horizon + 18, 14)
    for row in range(6):
        y = horizon + 16 + row * 14
        size = 8 + row * 1.6
        x = rng.uniform(-size, 0)
        while x < WIDTH + size:
            if rng.random() < 0.6:
                pen.arc((x, y), (size, 3 + row * 0.5), (200, 340), (150, 204, 236, 190), 1.3)
            x += size * 2.1


def _snow(pen: Pen, rng: random.Random) -> None:
    horizon = rng.uniform(104, 114)
    pen.gradient(0, horizon + 20, (158, 186, 214), (226, 236, 244))
    x = rng.uniform(-30, 0)
    while x < WIDTH + 20:
        half, top = rng.uniform(34, 52), rng.uniform(34, 62)
        _mountain(pen, (x, horizon + 6), half, top)
        x += half * rng.uniform(1.0, 1.4)
    _ridge(pen, rng, horizon, 6, (226, 234, 244))
    pen.gradient(horizon + 10, HEIGHT, (238, 243, 250), (250, 252, 255))
    for _ in range(3):
        x, y = rng.uniform(0, WIDTH), rng.uniform(horizon + 20, HEIGHT)
        pen.ellipse((x, y), (rng.uniform(24, 44), 3), (216, 228, 242, 140))
    for _ in range(46):
        size = rng.uniform(0.7, 1.7)
        pen.ellipse((rng.uniform(0, WIDTH), rng.uniform(0, horizon)), (size, size), WHITE)


def _night(pen: Pen, rng: random.Random) -> None:
    horizon = rng.uniform(108, 118)
    pen.gradient(0, horizon + 20, (12, 16, 52), (52, 56, 116))
    for _ in range(48):
        size = rng.uniform(0.4, 1.2)
        light = blend((190, 200, 240), WHITE, rng.random())
        pen.ellipse((rng.uniform(0, WIDTH), rng.uniform(0, horizon)), (size, size), light)
    x, y, radius = rng.uniform(24, WIDTH - 24), rng.uniform(20, 34), rng.uniform(11, 14)
    for step in range(4, 0, -1):
        glow = radius * (1 + step * 0.28)
        pen.ellipse((x, y), (glow, glow), (240, 236, 200, 18))
    pen.ellipse((x, y), (radius, radius), (246, 240, 208))
    for across, down, size in ((-0.3, -0.2, 0.2), (0.35, 0.1, 0.15), (-0.05, 0.45, 0.13)):
        crater = (size * radius, size * radius)
        pen.ellipse((x + across * radius, y + down * radius), crater, (222, 214, 178))
    _ridge(pen, rng, horizon - 4, 10, (38, 48, 84))
    _ridge(pen, rng, horizon + 6, 8, (32, 60, 72))
    pen.gradient(horizon + 14, HEIGHT, (34, 74, 72), (22, 50, 54))
    for _ in range(24):
        x, y = rng.uniform(0, WIDTH), rng.uniform(horizon + 20, HEIGHT)
        _tuft(pen, x, y, 2 + (y - horizon) / 30, (48, 96, 88))


def _desert(pen: Pen, rng: random.Random) -> None:
    horizon = rng.uniform(98, 108)
    pen.gradient(0, horizon + 20, (196, 84, 96), (252, 190, 116))
    x, y = rng.uniform(20, WIDTH - 20), horizon - rng.uniform(8, 22)
    for radius, opacity in ((34, 36), (27, 50), (20, 255)):
        pen.ellipse((x, y), (radius, radius), (255, 226, 150, opacity))
    _ridge(pen, rng, horizon, 10, (186, 108, 84))
    _ridge(pen, rng, horizon + 9, 9, (206, 134, 84))
    pen.gradient(horizon + 17, HEIGHT, (222, 158, 96), (200, 132, 78))
    for row in range(5):
        base, phase = horizon + 28 + row * 14, rng.uniform(0, 6)
        crest = [(x, base + 2.5 * math.sin(x / 30 + phase)) for x in range(-4, WIDTH + 8, 4)]
        pen.line(crest, (184, 116, 68, 110), 1.2)
    for _ in range(rng.randint(1, 3)):
        _cactus(pen, rng.uniform(8, WIDTH - 8), horizon + rng.uniform(16, 24))


_PLACES: dict[str, Callable[[Pen, random.Random], None]] = {
    "meadow": _meadow,
    "beach": _beach,
    "sea": _sea,
    "snow": _snow,
    "night": _night,
    "desert": _desert,
}


def _day_sky(pen: Pen, rng: random.Random, horizon: float, high: Colour, low: Colour) -> None:
    """A blue sky with a sun or with clouds."""
    pen.gradient(0, horizon + 20, high, low)
    if rng.random() < 0.5:
        x, y = rng.choice((rng.uniform(16, 50), rng.uniform(206, 240))), rng.uniform(16, 30)
        for radius, opacity in ((20, 60), (16, 80), (12, 255)):
            pen.ellipse((x, y), (radius, radius), (255, 238, 150, opacity))
    for _ in range(rng.randint(1, 3)):
        _cloud(pen, rng.uniform(10, WIDTH - 10), rng.uniform(14, 58), rng.uniform(8, 14))


def _cloud(pen: Pen, x: float, y: float, size: float) -> None:
    puffs = ((-1.3, 0.2, 0.8), (-0.4, -0.3, 1.0), (0.6, -0.1, 0.9), (1.4, 0.3, 0.65))
    for shift, colour in ((1.5, (206, 224, 240)), (0.0, (250, 252, 255))):
        for across, down, radius in puffs:
            centre = (x + across * size, y + down * size + shift)
            pen.ellipse(centre, (radius * size, radius * size * 0.62), colour)


def _ridge(pen: Pen, rng: random.Random, y: float, rise: float, colour: Colour) -> None:
    """A line of soft hills, filled down to below where the ground starts."""
    first, second = rng.uniform(0, 6), rng.uniform(0, 6)
    long, short = rng.uniform(46, 64), rng.uniform(18, 26)
    crest: list[Point] = [
        (x, y - rise * (0.5 * math.sin(x / long + first) + 0.16 * math.sin(x / short + second)))
        for x in range(-4, WIDTH + 8, 4)
    ]
    pen.polygon([*crest, (WIDTH + 4, y + 30), (-4, y + 30)], colour)


def _mountain(pen: Pen, foot: Point, half: float, top: float) -> None:
    x, y = foot
    pen.polygon([(x - half, y), (x, top), (x + half, y)], (128, 150, 184))
    pen.polygon([(x, top), (x + half, y), (x + half * 0.2, y)], (106, 128, 166))
    snow = top + (y - top) * 0.36
    edge = [(0.36, 0.0), (0.18, -4.0), (0.04, 3.0), (-0.14, -3.0), (-0.36, 0.0)]
    pen.polygon([(x, top), *((x + half * a, snow + b) for a, b in edge)], (246, 249, 253))


def _tuft(pen: Pen, x: float, y: float, size: float, colour: Colour) -> None:
    for lean in (-0.6, 0.0, 0.6):
        pen.line([(x, y), (x + lean * size, y - size)], colour, 0.7)


def _glints(pen: Pen, rng: random.Random, top: float, bottom: float, count: int) -> None:
    for _ in range(count):
        x, y, half = rng.uniform(0, WIDTH), rng.uniform(top, bottom), rng.uniform(3, 9)
        pen.line([(x - half, y), (x + half, y)], (255, 255, 255, 110), 0.8)


def _cactus(pen: Pen, x: float, y: float) -> None:
    colour = (84, 118, 82)
    for points in (
        [(x, y), (x, y - 15)],
        [(x, y - 5), (x - 4, y - 5), (x - 4, y - 10)],
        [(x, y - 7), (x + 4, y - 7), (x + 4, y - 12)],
    ):
        pen.line(points, colour, 2)
        pen.ellipse(points[-1], (1, 1), lighter(colour, 0.05))
