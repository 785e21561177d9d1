"""Paths as Beam's coders take them."""


def encoded(path: str) -> bytes:
    """Return a path as bytes: names that are no UTF-8 have no text for Beam's coders."""
    return path.encode("utf-8", "surrogateescape")


def decoded(path: bytes) -> str:
    """Return the path that `encoded` was given."""
    return path.decode("utf-8", "surrogateescape")
