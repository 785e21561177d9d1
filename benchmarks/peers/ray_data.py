"""Ray Data: read images in parallel, an actor with the model captions batches.

As https://docs.ray.io/en/latest/data/batch_inference.html shows it. Actors start with each run, so
the time is taken from the first batch that is done to the last.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import child, photos, processes

BATCH = 32


class Actor:
    """Holds the model."""

    def __init__(self, captioner: str, beam_width: int, length_penalty: float) -> None:
        from benchmarks.peers.keras_model import KerasCaptioner

        self._model = KerasCaptioner(captioner, beam_width, length_penalty)
        self._model.caption(np.zeros((BATCH, *self._model.size, 3), np.uint8))

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Caption a batch."""
        captions = self._model.caption(batch["image"])
        return {
            "uri": batch["path"],
            "caption": np.array(captions),
            "done": np.full(len(captions), time.time()),
        }


def run(images: str, captioner: str, beam_width: int, length_penalty: float) -> dict[str, Any]:
    """Caption a folder."""
    import ray
    from ray.data import ActorPoolStrategy

    from transforms.captioner import read_manifest

    size = tuple(read_manifest(captioner)["encoder"]["input_size"])
    # Where the modules of the benchmarks are found.
    root = str(Path.cwd())
    ray.init(
        num_cpus=child.CORES,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": root}},
    )
    try:
        read = ray.data.read_images(photos.paths(images), size=size, mode="RGB", include_paths=True)
        captioned = read.map_batches(
            Actor,
            fn_constructor_args=(captioner, beam_width, length_penalty),
            batch_size=BATCH,
            compute=ActorPoolStrategy(size=1),
        )
        cpu = processes.use(os.getpid()).cpu_seconds
        began = time.time()
        done = np.sort(np.array([row["done"] for row in captioned.take_all()]))
        share = (processes.use(os.getpid()).cpu_seconds - cpu) / (time.time() - began)
    finally:
        ray.shutdown()
    timed = int(np.sum(done > done[0]))
    if not timed:
        raise ValueError(f"{len(done)} images are one batch: nothing is left to be timed")
    seconds = float(done[-1] - done[0])
    return {"images": timed, "seconds": seconds, "cpu_seconds": share * seconds}
