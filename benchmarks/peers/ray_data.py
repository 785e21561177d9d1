"""Ray Data: read images in parallel, an actor with the model captions batches.

As https://docs.ray.io/en/latest/data/batch_inference.html shows it. Actors start with each run, so
time and CPU are taken from the first batch that is done to the last.
"""

import functools
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import child, models, photos, processes
from transforms.stored import Form

BATCH = 32


class Actor:
    """Holds the model, and knows the process from which all of Ray's descend."""

    def __init__(self, root: int, captioner: str, beam_width: int, length_penalty: float) -> None:
        from benchmarks.peers.keras_model import KerasCaptioner

        self._root = root
        self._model = KerasCaptioner(captioner, beam_width, length_penalty)
        self._model.caption(np.zeros((BATCH, *self._model.form.size, 3), np.uint8))

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Caption a batch."""
        captions = self._model.caption(batch["image"])
        return {
            "uri": batch["path"],
            "caption": np.array(captions),
            "done": np.full(len(captions), time.time()),
            "cpu": np.full(len(captions), processes.use(self._root).cpu_seconds),
        }


def run(images: str, captioner: str, beam_width: int, length_penalty: float) -> dict[str, Any]:
    """Caption a folder."""
    import ray
    from ray.data import ActorPoolStrategy

    form = models.form(captioner)
    like = form.like
    # Where the modules of the benchmarks are found.
    root = str(Path.cwd())
    ray.init(
        num_cpus=child.CORES,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": root}},
    )
    try:
        size = form.size if like is None else (like.height, like.width)
        read = ray.data.read_images(photos.paths(images), size=size, mode="RGB", include_paths=True)
        if like is not None:
            read = read.map(functools.partial(_stored, form=form))
        captioned = read.map_batches(
            Actor,
            fn_constructor_args=(os.getpid(), captioner, beam_width, length_penalty),
            batch_size=BATCH,
            compute=ActorPoolStrategy(size=1),
        )
        rows = captioned.take_all()
    finally:
        ray.shutdown()
    return after_first(rows)


def _stored(row: dict[str, Any], form: Form) -> dict[str, Any]:
    """Make a picture what the captioner takes."""
    from benchmarks.peers.keras_model import fitted

    return {**row, "image": fitted(row["image"], form)}


def after_first(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a run reports of the images that were done after the first batch.

    Args:
        rows: of each image, when its batch was `done`, and the `cpu` seconds used until then.

    Raises:
        ValueError: there are no such images.
    """
    ordered = sorted(rows, key=lambda row: row["done"])
    first, last = ordered[0], ordered[-1]
    timed = sum(row["done"] > first["done"] for row in rows)
    if not timed:
        raise ValueError(f"{len(rows)} images are one batch: nothing is left to be timed")
    return {
        "images": int(timed),
        "seconds": float(last["done"] - first["done"]),
        "cpu_seconds": float(last["cpu"] - first["cpu"]),
    }
