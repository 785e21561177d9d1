"""The captioners that are part of the package."""

from pathlib import Path

from transforms.captioner import MANIFEST

FOLDER = Path(__file__).parent / "shipped"


def captioner(language: str, *, fast: bool = False) -> str | None:
    """Return the folder of a captioner that is part of the package, if there is one.

    Args:
        language: of its captions, `en` or `zh`.
        fast: take the fastest of that language, and not the one with the best captions.
    """
    names = [f"{language}-fast", language] if fast else [language]
    for folder in (FOLDER / name for name in names):
        if (folder / MANIFEST).exists():
            return str(folder)
    return None
