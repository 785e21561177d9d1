"""What is in a scene: a place, one or two kinds of thing, and how they are arranged."""

import functools
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

# Few enough that each is seen often on each kind of thing.
COLOURS = ("red", "yellow", "green", "blue")
SIZES = ("big", "small")
POSITIONS = ("left", "middle", "right")
NUMBERS = (2, 3)
PLACES = ("meadow", "beach", "sea", "snow", "night", "desert")
ARRANGEMENTS = ("alone", "beside", "above", "on top", "group")

FLYING = ("balloon", "kite", "bird")
AFLOAT = ("ball", "duck", "boat")
STANDING = ("ball", "box", "cone", "house", "car", "tree", "duck")
PERCHED = ("ball", "cone", "duck", "bird")

# The arrangement and place with the fewest contents has 64 of them, and each gets its turn.
CAPACITY = len(ARRANGEMENTS) * len(PLACES) * 64


@dataclass(frozen=True)
class Thing:
    """One thing: its kind, its colour, and whether it is big or small."""

    kind: str
    colour: str
    size: str


@dataclass(frozen=True)
class Content:
    """All that captions speak of; scenes with different contents look different.

    Attributes:
        place: one of PLACES.
        arrangement: one of ARRANGEMENTS.
        things: one thing ("alone", "group"); left and right ("beside"); upper and lower
            ("above", "on top").
        position: where a thing alone is, one of POSITIONS.
        number: how many there are of a group's thing.
    """

    place: str
    arrangement: str
    things: tuple[Thing, ...]
    position: str = "middle"
    number: int = 1


@dataclass(frozen=True)
class Scene:
    """A content, and the index and seed that decide everything captions leave open."""

    content: Content
    index: int
    seed: int

    @property
    def name(self) -> str:
        """The file name of the scene's picture."""
        return f"scene-{self.index:05d}.jpg"

    def random(self, use: str) -> random.Random:
        """Return the scene's own random numbers for one use."""
        return random.Random(f"{use} {self.seed} {self.index}")


def scene(index: int, seed: int = 0) -> Scene:
    """Return one scene of a seed's endless row.

    Arrangements and places take turns, so that every stretch of the row has all of them. No two
    of a seed's first CAPACITY scenes have the same content.

    Args:
        index: the place in the row, from 0.
        seed: any integer.
    """
    turn, arrangement = divmod(index, len(ARRANGEMENTS))
    turn, place = divmod(turn, len(PLACES))
    contents = _shuffled(ARRANGEMENTS[arrangement], PLACES[place], seed)
    return Scene(contents[turn % len(contents)], index, seed)


def _standing(place: str) -> tuple[str, ...]:
    return AFLOAT if place == "sea" else STANDING


def _things(kinds: tuple[str, ...], sizes: tuple[str, ...] = SIZES) -> list[Thing]:
    return [Thing(*made) for made in itertools.product(kinds, COLOURS, sizes)]


def _contents(arrangement: str, place: str) -> Iterator[Content]:
    """Yield every content of one arrangement in one place."""
    standing = _standing(place)
    if arrangement == "alone":
        for thing, position in itertools.product(_things(standing + FLYING), POSITIONS):
            yield Content(place, arrangement, (thing,), position=position)
    elif arrangement == "group":
        for thing, number in itertools.product(_things(standing + FLYING), NUMBERS):
            yield Content(place, arrangement, (thing,), number=number)
    elif arrangement == "beside":
        for left, right in itertools.product(_things(standing), repeat=2):
            # Alike things would leave captions that omit a size or a colour ambiguous.
            if left.kind != right.kind and left.colour != right.colour:
                yield Content(place, arrangement, (left, right))
    elif arrangement == "above":
        for pair in itertools.product(_things(FLYING), _things(standing)):
            yield Content(place, arrangement, pair)
    else:
        supports = ("box",) if place == "sea" else ("box", "car")
        tops, bottoms = _things(PERCHED, ("small",)), _things(supports, ("big",))
        for pair in itertools.product(tops, bottoms):
            yield Content(place, arrangement, pair)


@functools.cache
def _shuffled(arrangement: str, place: str, seed: int) -> list[Content]:
    contents = list(_contents(arrangement, place))
    random.Random(f"{arrangement} {place} {seed}").shuffle(contents)
    return contents
