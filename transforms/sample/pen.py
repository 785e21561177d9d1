"""A pen that draws in picture coordinates and leaves smooth edges."""

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 256, 192
# ImageDraw has hard edges: draw three times larger, then average.
SCALE = 3

Colour = tuple[int, ...]  # red, green, blue, and optionally opacity, each 0..255
Point = tuple[float, float]


def blend(first: Colour, second: Colour, part: float) -> Colour:
    """Return the colour `part` (0..1) of the way from `first` to `second`."""
    return tuple(round(a + (b - a) * part) for a, b in zip(first, second, strict=True))


def darker(colour: Colour, part: float = 0.35) -> Colour:
    return blend(colour, (20, 16, 40), part)


def lighter(colour: Colour, part: float = 0.35) -> Colour:
    return blend(colour, (255, 255, 255), part)


class Pen:
    """Draws on a canvas of 256 x 192; x grows to the right and y downwards."""

    def __init__(self) -> None:
        self._image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE))
        # "RGBA" blends fills that carry an opacity.
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def picture(self) -> Image.Image:
        """Return the finished RGB picture, 256 x 192."""
        return self._image.reduce(SCALE)

    def gradient(self, top: float, bottom: float, first: Colour, last: Colour) -> None:
        """Fill the whole width between two heights, from one colour to the other."""
        start, rows = round(top * SCALE), max(1, round((bottom - top) * SCALE))
        column = np.linspace(first, last, rows).round().astype(np.uint8)[:, np.newaxis]
        band = Image.fromarray(column).resize((WIDTH * SCALE, rows), Image.Resampling.NEAREST)
        self._image.paste(band, (0, start))

    def polygon(
        self, points: Iterable[Point], fill: Colour, edge: Colour | None = None, width: float = 1
    ) -> None:
        corners = _scaled(points)
        self._draw.polygon(corners, fill=fill)
        if edge:
            # Starting in the middle of a side rounds all the corners alike.
            middle = tuple((a + b) / 2 for a, b in zip(corners[0], corners[-1], strict=True))
            self._draw.line(
                [middle, *corners, middle], fill=edge, width=round(width * SCALE), joint="curve"
            )

    def ellipse(
        self,
        centre: Point,
        radii: Point,
        fill: Colour | None,
        edge: Colour | None = None,
        width: float = 1,
    ) -> None:
        (x, y), (across, down) = centre, radii
        self._draw.ellipse(
            _scaled([(x - across, y - down), (x + across, y + down)]),
            fill=fill,
            outline=edge,
            width=round(width * SCALE),
        )

    def arc(
        self, centre: Point, radii: Point, angles: tuple[float, float], fill: Colour, width: float
    ) -> None:
        """Draw a part of an ellipse's edge; angles in degrees, clockwise from three o'clock."""
        (x, y), (across, down) = centre, radii
        self._draw.arc(
            _scaled([(x - across, y - down), (x + across, y + down)]),
            *angles,
            fill=fill,
            width=round(width * SCALE),
        )

    def rectangle(
        self,
        first: Point,
        last: Point,
        fill: Colour,
        edge: Colour | None = None,
        width: float = 1,
        radius: float = 0,
    ) -> None:
        self._draw.rounded_rectangle(
            _scaled([first, last]),
            radius=radius * SCALE,
            fill=fill,
            outline=edge,
            width=round(width * SCALE),
        )

    def line(self, points: Iterable[Point], fill: Colour, width: float) -> None:
        self._draw.line(
            _scaled(points), fill=fill, width=max(1, round(width * SCALE)), joint="curve"
        )


def _scaled(points: Iterable[Point]) -> list[Point]:
    return [(x * SCALE, y * SCALE) for x, y in points]
