"""Flags that the benchmarks share, and what follows from them."""

import argparse
import contextlib
from collections.abc import Collection, Container, Iterable, Sequence
from typing import Any

from benchmarks import photos
from transforms import bundled
from transforms.commandline import Parser, parse_strictly, positive
from transforms.engines import ENGINES, onnx_files, resolve
from transforms.errors import UsageError
from transforms.files import absolute

WARM = 64


def parser(
    prog: str, description: str, name: str, parts: Sequence[str], without: Container[str] = ()
) -> Parser:
    """Return a parser with the flags that benchmarks share.

    Args:
        prog: the command.
        description: of it.
        name: of the JSON file.
        parts: what it measures, in order.
        without: of `images`, `count` and `rounds` those that it has no use for.
    """
    result = Parser(prog, description)
    result.set_defaults(known_parts=tuple(parts))
    result.add_argument(
        "--parts", default=",".join(parts), help="what to measure, separated by commas"
    )
    if "images" not in without:
        result.add_argument("--images", default="", help="folder of images; default: drawn JPEGs")
    if "count" not in without:
        result.add_argument("--count", type=positive, default=1000, help="images of a run")
    if "rounds" not in without:
        result.add_argument("--rounds", type=positive, default=3, help="runs of each contender")
    result.add_argument("--work", default="out/benchmarks", help="folder for images and results")
    result.add_argument("--json", default="", help=f"default: {name}.json in --work")
    result.set_defaults(json_name=f"{name}.json")
    return result


def add_captioner(result: Parser) -> None:
    """Add the flags that name a captioner and what runs it."""
    result.add_argument(
        "--captioner", help="folder of a captioner; default: the fast English one of the package"
    )
    result.add_argument(
        "--engines", default="", help="separated by commas; default: all that are installed"
    )


def add_search(result: Parser) -> None:
    """Add the flags of the search, which `search` returns."""
    result.add_argument("--beam_width", type=positive, default=3, help="hypotheses kept")
    result.add_argument("--length_penalty", type=float, default=0.7, help="see pipeline.caption")


def parse(result: Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line.

    Raises:
        UsageError: an unknown flag, part or engine.
    """
    settings = parse_strictly(result, argv)
    settings.parts = [part for part in settings.parts.split(",") if part]
    refuse_unknown("part", settings.parts, settings.known_parts)
    if hasattr(settings, "captioner") and not settings.captioner:
        settings.captioner = bundled.captioner("en", fast=True)
        if not settings.captioner:
            raise UsageError("--captioner is missing: this package comes without one")
    # Runs are processes of their own, with another working folder.
    for name in ("images", "work", "captioner", "dataset"):
        if getattr(settings, name, ""):
            setattr(settings, name, absolute(getattr(settings, name)))
    settings.json = settings.json or f"{settings.work}/{settings.json_name}"
    del settings.known_parts, settings.json_name
    if hasattr(settings, "engines"):
        settings.engines = [engine for engine in settings.engines.split(",") if engine]
        refuse_unknown("engine", settings.engines, ENGINES)
        settings.engines = settings.engines or engines(settings.captioner)
    return settings


def refuse_unknown(kind: str, names: Iterable[str], known: Collection[str]) -> None:
    """Refuse names that a flag, which is called as their kind in the plural, does not know.

    Raises:
        UsageError: there is such a name.
    """
    for name in names:
        if name not in known:
            some = ", ".join(known)
            raise UsageError(f"--{kind}s={name}: there is no such {kind}; use some of {some}")


def engines(captioner: str) -> list[str]:
    """Return the engines that can run a captioner here, the fastest last."""
    found = []
    for name in reversed(ENGINES):
        with contextlib.suppress(UsageError):
            found.append(resolve(name, [captioner]))
    return found


def convert(settings: argparse.Namespace) -> None:
    """Make what the engines read: TensorFlow does, once a captioner, for which no run is to pay."""
    if set(settings.engines) - {"tensorflow"}:
        with onnx_files.opened(settings.captioner):
            pass


def refuse_few_pictures(settings: argparse.Namespace, flags: Sequence[str]) -> None:
    """Refuse a source of fewer pictures than a run takes.

    Args:
        settings: with `images`; drawn pictures are as many as are wanted.
        flags: names of those that say how many pictures a run takes.

    Raises:
        UsageError: the source is too small.
        OSError: it cannot be listed.
    """
    if not settings.images:
        return
    held = sum(1 for _ in photos.named(settings.images))
    for flag in flags:
        if getattr(settings, flag) > held:
            raise UsageError(
                f"--images={settings.images}: it has {held} image files, and"
                f" --{flag}={getattr(settings, flag)} takes more: lower it, or name a larger folder"
            )


def pictures(settings: argparse.Namespace, count: int) -> str:
    """Return a folder with that many pictures, of the user's or drawn."""
    if settings.images:
        return photos.take(settings.images, count, settings.work)
    return photos.folder(settings.work, count)


def warm(settings: argparse.Namespace) -> str:
    """Return a folder with the few pictures that a job warms up with."""
    return pictures(settings, min(WARM, settings.count))


def search(settings: argparse.Namespace) -> dict[str, Any]:
    """Return what shapes the search."""
    return {"beam_width": settings.beam_width, "length_penalty": settings.length_penalty}
