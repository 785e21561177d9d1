"""Five true English captions for a scene, from templates and synonyms."""

import random

from transforms.sample.scenes import FLYING, Content, Scene, Thing

CAPTIONS = 5

_HERE = {
    "meadow": ("on the grass", "in a green field", "in a meadow"),
    "beach": ("on the beach", "on the sand", "by the sea"),
    "sea": ("on the water", "on the sea", "on the blue water"),
    "snow": ("in the snow", "in a snowy field", "in front of snowy mountains"),
    "night": ("at night", "under the stars", "under the moon"),
    "desert": ("in the desert", "at sunset", "on the desert sand"),
}
_SKY = {
    "meadow": ("in the sky above the grass", "over a green field", "over a meadow"),
    "beach": ("in the sky above the beach", "over the beach", "over the sand"),
    "sea": ("in the sky above the sea", "over the water", "over the sea"),
    "snow": ("in the sky above the snow", "over a snowy field", "over the snow"),
    "night": ("in the night sky", "under the stars", "at night"),
    "desert": ("in the sky above the desert", "over the desert", "at sunset"),
}
_SIZE_WORDS = {"big": ("big", "large"), "small": ("small", "little")}
_NUMBER_WORDS = {1: "one", 2: "two", 3: "three"}
_SIDES = {"left": "on the left", "middle": "in the middle", "right": "on the right"}
_VERBS = {
    "ball": "lies",
    "car": "is parked",
    "house": "stands",
    "tree": "stands",
    "balloon": "floats",
    "kite": "flies",
    "bird": "flies",
    "boat": "sails",
    "duck": "sits",
}
_PLURALS = {"box": "boxes"}

# {a}, {b}: the things, and {a_is}, {b_is} their verbs; {many}: a group; {here}: the place;
# {side}: the position.
_TEMPLATES = {
    "alone": (
        "{a} {here}",
        "there is {a} {here}",
        "{a} {a_is} {here}",
        "{a} {side} of the picture",
        "{here} {a} {a_is} {side}",
        "a picture of {a} {here}",
    ),
    "group": (
        "{many} {here}",
        "there are {many} {here}",
        "{many} together {here}",
        "{many} side by side {here}",
        "{many} in a row {here}",
        "a picture of {many} {here}",
    ),
    "beside": (
        "{a} and {b} {here}",
        "{a} next to {b} {here}",
        "{a} {a_is} beside {b} {here}",
        "{a} is to the left of {b}",
        "{b} is to the right of {a}",
        "{a} on the left and {b} on the right {here}",
    ),
    "above": (
        "{a} {a_is} above {b}",
        "{a} {a_is} over {b} {here}",
        "{b} {here} with {a} above it",
        "{b} {b_is} under {a}",
        "{b} is below {a}",
        "{a} in the sky and {b} {here}",
    ),
    "on top": (
        "{a} on top of {b} {here}",
        "{a} sits on {b} {here}",
        "{a} is on top of {b}",
        "{b} {here} with {a} on top",
        "{b} with {a} on it {here}",
        "there is {a} on {b} {here}",
    ),
}


def captions(scene: Scene) -> tuple[str, ...]:
    """Return five different sentences, each true of the scene.

    A sentence begins with a capital, ends with a full stop, and always tells the kinds and the
    colours; sizes and the place are in most.
    """
    content, rng = scene.content, scene.random("captions")
    templates = rng.sample(_TEMPLATES[content.arrangement], CAPTIONS)
    return tuple(_sentence(template, content, rng) for template in templates)


def _sentence(template: str, content: Content, rng: random.Random) -> str:
    first, last = content.things[0], content.things[-1]
    here = rng.choice((_SKY if last.kind in FLYING else _HERE)[content.place])
    text = template.format(
        a=f"a {_phrase(first, rng)}",
        b=f"a {_phrase(last, rng)}",
        a_is=_verb(first, content.place),
        b_is=_verb(last, content.place),
        many=_many(first, content.number, rng),
        here=here,
        side=_SIDES[content.position],
    )
    return text[0].upper() + text[1:] + "."


def _phrase(thing: Thing, rng: random.Random) -> str:
    size = rng.choice((*_SIZE_WORDS[thing.size], ""))
    return f"{size} {thing.colour} {thing.kind}".lstrip()


def _many(thing: Thing, number: int, rng: random.Random) -> str:
    phrase = _phrase(thing, rng).removesuffix(thing.kind)
    return f"{_NUMBER_WORDS[number]} {phrase}{_PLURALS.get(thing.kind, thing.kind + 's')}"


def _verb(thing: Thing, place: str) -> str:
    if place == "sea" and thing.kind not in (*FLYING, "boat"):
        return "floats"
    return _VERBS.get(thing.kind, "stands")
