"""The things of a scene, each a function of where it stands, how high it is, and its colour."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from transforms.sample.pen import Colour, Pen, Point, darker, lighter

PALETTE: dict[str, Colour] = {
    "red": (222, 52, 48),
    "yellow": (252, 216, 52),
    "green": (44, 160, 76),
    "blue": (44, 104, 214),
}
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (44, 42, 52)
WOOD: Colour = (134, 90, 56)
GLASS: Colour = (206, 232, 248)
BEAK: Colour = (250, 150, 40)
CREAM: Colour = (255, 246, 222)


@dataclass(frozen=True)
class Kind:
    """How a kind of thing is drawn.

    Attributes:
        draw: takes the pen, the middle of the foot (x, y), the height and the colour.
        height: of a big one, in pixels.
        width: as a part of the height.
        top: where something placed on it rests, as a part of the height.
    """

    draw: Callable[[Pen, float, float, float, Colour], None]
    height: float
    width: float
    top: float = 1.0


def _round(pen: Pen, centre: Point, radii: Point, colour: Colour) -> None:
    """A shaded ellipse with a highlight: what balls and balloons have in common."""
    (x, y), (across, down) = centre, radii
    pen.ellipse(centre, radii, colour, darker(colour, 0.45), 1.3)
    for part in (0.8, 0.6, 0.4):
        inner = (across * part, down * part)
        light = (*lighter(colour, 0.55), 50)
        pen.ellipse((x - across * 0.22, y - down * 0.22), inner, light)
    pen.ellipse((x - across * 0.4, y - down * 0.44), (across * 0.16, down * 0.13), (*WHITE, 210))


def _ball(pen: Pen, x: float, y: float, h: float, colour: Colour) -> None:
    _round(pen, (x, y - h / 2), (h / 2, h / 2), colour)
    edge = (*darker(colour, 0.3), 190)
    pen.arc((x, y - h / 2), (h * 0.46, h * 0.16), (10, 170), edge, h * 0.03)
    pen.arc((x, y - h / 2), (h * 0.16, h * 0.46), (-80, 80), edge, h * 0.03)


def _box(pen: Pen, x: float, y: float, h: float, colour: Colour) -> None:
    left, right, front, deep = x - h * 0.56, x + h * 0.3, y - h * 0.74, h * 0.26
    edge = darker(colour, 0.5)
    pen.polygon(
        [(left, front), (left + deep, front - deep), (right + deep, front - deep), (right, front)],
        lighter(colour, 0.4),
        edge,
        1.2,
    )
    pen.polygon(
        [(right, front), (right + deep, front - deep), (right + deep, y - deep), (right, y)],
        darker(colour, 0.28),
        edge,
        1.2,
    )
    pen.polygon([(left, front), (right, front), (right, y), (left, y)], colour, edge, 1.2)
    inset = h * 0.1
    pen.rectangle(
        (left + inset, front + inset), (right - inset, y - inset), lighter(colour, 0.16), None
    )
    for first, last in (((left, front), (right, y)), ((left, y), (right, front))):
        across, down = (last[0] - first[0]) * 0.14, (last[1] - first[1]) * 0.14
        pen.line(
            [(first[0] + across, first[1] + down), (last[0] - across, last[1] - down)],
            darker(colour, 0.12),
            h * 0.05,
        )


def _cone(pen: Pen, x: float, y: float, h: float, colour: Colour) -> None:
    edge = darker(colour, 0.5)
    half, base = h * 0.36, y - h * 0.12
    pen.rectangle(
        (x - h * 0.46, base), (x + h * 0.46, y), darker(colour, 0.15), edge, 1.2, h * 0.03
    )
    pen.polygon([(x, y - h), (x + half, base), (x - half, base)], colour, edge, 1.2)
    for high, low in ((0.52, 0.36), (0.84, 0.7)):
        top, bottom = base - h * 0.88 * (1 - low), base - h * 0.88 * (1 - high)
        wide, narrow = half * high - 0.8, half * low - 0.8
        pen.polygon(
            [(x - narrow, top), (x + narrow, top), (x + wide, bottom), (x - wide, bottom)], WHITE
        )


def _house(pen: Pen, x: float, y: float, h: float, colour: Colour) -> None:
    edge, eaves, half = darker(colour, 0.5), y - h * 0.56, h * 0.48
    pen.rectangle((x + h * 0.2, y - h), (x + h * 0.34, y - h * 0.6), (150, 92, 76), BLACK, 0.8)
    pen.rectangle((x - half, eaves), (x + half, y), colour, edge, 1.2)
    roof: list[Point] = [(x, y - h * 0.98), (x + h * 0.6, eaves), (x - h * 0.6, eaves)]
    pen.polygon(roof, darker(colour, 0.4), edge, 1.2)
    pen.rectangle((x - h * 0.1, y - h * 0.34), (x + h * 0.1, y), WOOD, edge, 0.8)
    pen.ellipse((x + h * 0.055, y - h * 0.16), (h * 0.016, h * 0.016), CREAM)
    for side in (-1, 1):
        middle = x + side * h * 0.3
        first, last = (middle - h * 0.1, y - h * 0.42), (middle + h * 0.1, y - h * 0.2)
        pen.rectangle(first, last, GLASS, CREAM, max(0.8, h * 0.018))
        pen.line([(middle, first[1]), (middle, last[1])], CREAM, max(0.6, h * 0.014))
    pen.ellipse((x, y - h * 0.7), (h * 0.065, h * 0.065), GLASS, CREAM, max(0.8, h * 0.016))


def _car(pen: Pen, x: float, y: float, h: float, colour: Colour) -> None:
    edge, sill, belt = darker(colour, 0.5), y - h * 0.2, y - h * 0.58
    cabin: list[Point] = [
        (x - h * 0.6, belt),
        (x - h * 0.36, y - h),
        (x + h * 0.3, y - h),
        (x + h * 0.58, belt),
    ]
    pen.polygon(cabin, colour, edge, 1.2)
    pen.rectangle((x - h * 0.98, belt), (x + h * 0.98, sill), colour, edge, 1.2, h * 0.14)
    for near, far in ((-0.04, -0.5), (0.06, 0.48)):
        top = far * 0.66
        pen.polygon(
            [
                (x + h * near, belt),
                (x + h * near, y - h * 0.92),
                (x + h * top, y - h * 0.92),
                (x + h * far, belt),
            ],
            GLASS,
        )
    pen.line(
        [(x - h * 0.84, y - h * 0.36), (x + h * 0.84, y - h * 0.36)], lighter(colour), h * 0.03
    )
    pen.ellipse((x + h * 0.92, y - h * 0.46), (h * 0.06, h * 0.07), (255, 240, 160))
    for side in (-1, 1):
        centre = (x + side * h * 0.56, y - h * 0.19)
        pen.ellipse(centre, (h * 0.2, h * 0.2), BLACK)
        pen.ellipse(centre, (h * 0.1, h * 0.1), (206, 208, 214))


def _tree(pen: Pen, x: float, y: float, h: float, colour: Colour) -> None:
    trunk = h * 0.06
    foot: list[Point] = [
        (x - trunk, y - h * 0.5),
        (x + trunk, y - h * 0.5),
        (x + trunk * 1.7, y),
        (x - trunk * 1.7, y),
    ]
    pen.polygon(foot, WOOD, darker(WOOD, 0.4), 1)
    crown = (
        (-0.2, 0.52, 0.18),
        (0.2, 0.52, 0.18),
        (-0.16, 0.72, 0.18),
        (0.16, 0.72, 0.18),
        (0.0, 0.82, 0.18),
        (0.0, 0.6, 0.22),
    )
    for grow, fill in ((1.2, darker(colour, 0.5)), (0.0, colour)):
        for across, up, radius in crown:
            size = radius * h + grow
            pen.ellipse((x + across * h, y - up * h), (size, size), fill)
    for across, up, radius in crown[2:5]:
        centre = (x + across * h - h * 0.05, y - up * h - h * 0.04)
        pen.ellipse(centre, (radius * h * 0.5, radius * h * 0.45), (*lighter(colour, 0.5), 110))


def _duck(pen: Pen, x: float, y: float, h: float, colour: Colour) -> None:
    edge = darker(colour, 0.5)
    body, head = (x - h * 0.08, y - h * 0.3), (x + h * 0.24, y - h * 0.7)
    tail: list[Point] = [
        (x - h * 0.3, y - h * 0.5),
        (x - h * 0.62, y - h * 0.56),
        (x - h * 0.46, y - h * 0.2),
    ]
    beak: list[Point] = [
        (head[0] + h * 0.16, head[1] - h * 0.06),
        (head[0] + h * 0.46, head[1] + h * 0.05),
        (head[0] + h * 0.16, head[1] + h * 0.14),
    ]
    pen.polygon(beak, BEAK, darker(BEAK), 0.8)
    pen.polygon(tail, colour, edge, 1.2)
    for grow, fill in ((1.2, edge), (0.0, colour)):
        pen.ellipse(body, (h * 0.46 + grow, h * 0.3 + grow), fill)
        pen.ellipse(head, (h * 0.25 + grow, h * 0.25 + grow), fill)
    pen.ellipse(body, (h * 0.44, h * 0.28), colour)
    wing = (body[0] - h * 0.06, body[1] - h * 0.02)
    pen.ellipse(wing, (h * 0.24, h * 0.14), lighter(colour, 0.25), darker(colour, 0.3), 0.9)
    _eye(pen, (head[0] + h * 0.08, head[1] - h * 0.06), h * 0.055)


def _boat(pen: Pen, x: float, y: float, h: float, colour: Colour) -> None:
    deck, edge = y - h * 0.26, darker(colour, 0.5)
    pen.line([(x, deck), (x, y - h)], darker(WOOD, 0.3), max(1.2, h * 0.03))
    main: list[Point] = [
        (x + h * 0.03, y - h * 0.96),
        (x + h * 0.46, y - h * 0.34),
        (x + h * 0.03, y - h * 0.34),
    ]
    jib: list[Point] = [
        (x - h * 0.03, y - h * 0.88),
        (x - h * 0.03, y - h * 0.34),
        (x - h * 0.36, y - h * 0.34),
    ]
    pen.polygon(main, colour, edge, 1)
    pen.polygon(jib, lighter(colour, 0.3), edge, 1)
    hull: list[Point] = [
        (x - h * 0.52, deck),
        (x + h * 0.56, deck),
        (x + h * 0.38, y),
        (x - h * 0.4, y),
    ]
    pen.polygon(hull, colour, edge, 1.2)
    pen.line([(x - h * 0.48, deck + h * 0.06), (x + h * 0.5, deck + h * 0.06)], CREAM, h * 0.04)


def _balloon(pen: Pen, x: float, y: float, h: float, colour: Colour) -> None:
    radii = (h * 0.31, h * 0.37)
    knot = y - h * 0.26
    string = [
        (x + h * 0.03 * math.sin(step * 1.3), knot + (y - knot) * step / 8) for step in range(9)
    ]
    pen.line(string, CREAM, 1.2)
    pen.polygon(
        [(x, knot - h * 0.03), (x + h * 0.05, knot + h * 0.03), (x - h * 0.05, knot + h * 0.03)],
        darker(colour),
    )
    _round(pen, (x, y - h * 0.63), radii, colour)


def _kite(pen: Pen, x: float, y: float, h: float, colour: Colour) -> None:
    top, bottom, cross, half = y - h, y - h * 0.26, y - h * 0.7, h * 0.3
    tail = [
        (x + h * 0.06 * math.sin(step * 0.8), bottom + (y - bottom) * step / 8) for step in range(9)
    ]
    pen.line(tail, CREAM, 1.2)
    for place in (3, 6):
        across, down = tail[place]
        for side in (-1, 1):
            pen.polygon(
                [
                    (across, down),
                    (across + side * h * 0.08, down - h * 0.04),
                    (across + side * h * 0.08, down + h * 0.04),
                ],
                lighter(colour, 0.2),
            )
    edge = darker(colour, 0.5)
    pen.polygon([(x, top), (x + half, cross), (x, bottom), (x - half, cross)], colour, edge, 1.2)
    pen.polygon([(x, top), (x + half, cross), (x, cross)], lighter(colour, 0.3))
    pen.polygon([(x, bottom), (x - half, cross), (x, cross)], lighter(colour, 0.3))
    pen.line([(x, top), (x, bottom)], edge, 0.9)
    pen.line([(x - half, cross), (x + half, cross)], edge, 0.9)


def _bird(pen: Pen, x: float, y: float, h: float, colour: Colour) -> None:
    edge, middle = darker(colour, 0.5), y - h * 0.34
    tail: list[Point] = [
        (x - h * 0.4, middle),
        (x - h * 0.92, middle - h * 0.12),
        (x - h * 0.84, middle + h * 0.2),
    ]
    beak: list[Point] = [
        (x + h * 0.66, middle - h * 0.2),
        (x + h * 0.96, middle - h * 0.1),
        (x + h * 0.66, middle),
    ]
    pen.polygon(beak, BEAK, darker(BEAK), 0.8)
    pen.polygon(tail, darker(colour, 0.15), edge, 1)
    for grow, fill in ((1.2, edge), (0.0, colour)):
        pen.ellipse((x, middle), (h * 0.54 + grow, h * 0.3 + grow), fill)
        pen.ellipse((x + h * 0.5, middle - h * 0.12), (h * 0.24 + grow, h * 0.23 + grow), fill)
    wing: list[Point] = [
        (x + h * 0.18, middle - h * 0.04),
        (x - h * 0.42, y - h),
        (x - h * 0.32, middle + h * 0.06),
    ]
    pen.ellipse((x + h * 0.02, middle + h * 0.12), (h * 0.36, h * 0.14), lighter(colour, 0.4))
    pen.polygon(wing, lighter(colour, 0.2), edge, 1)
    _eye(pen, (x + h * 0.56, middle - h * 0.16), h * 0.055)


def _eye(pen: Pen, centre: Point, size: float) -> None:
    pen.ellipse(centre, (size * 1.5, size * 1.5), WHITE)
    pen.ellipse(centre, (size, size), BLACK)


KINDS = {
    "ball": Kind(_ball, 66, 1.0),
    "box": Kind(_box, 68, 1.12, top=0.86),
    "cone": Kind(_cone, 74, 0.92),
    "house": Kind(_house, 84, 1.2),
    "car": Kind(_car, 52, 1.96, top=0.98),
    "tree": Kind(_tree, 92, 0.78),
    "duck": Kind(_duck, 64, 1.3),
    "boat": Kind(_boat, 84, 1.1),
    "balloon": Kind(_balloon, 74, 0.62),
    "kite": Kind(_kite, 76, 0.6),
    "bird": Kind(_bird, 46, 1.9),
}
