"""The plain loop: open a picture, `model.predict`, search, next picture."""

from pathlib import Path
from typing import Any

from benchmarks import child, photos
from benchmarks.peers.keras_model import KerasCaptioner, decode


def run(images: str, captioner: str, beam_width: int, length_penalty: float) -> dict[str, Any]:
    """Caption a folder."""
    model = KerasCaptioner(captioner, beam_width, length_penalty)

    def caption(path: str) -> str:
        pixels = decode(Path(path).read_bytes(), model.form)
        return model.search(model.encoder.predict(pixels[None], verbose=0))[0]

    paths = photos.paths(images)
    caption(paths[0])
    with child.timed() as section:
        captions = {path: caption(path) for path in paths}
    return section.facts(len(captions))
