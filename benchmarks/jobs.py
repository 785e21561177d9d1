"""Runs of the project's own jobs, timed when warm: the models loaded, the imports made."""

import importlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import child, photos


def run(
    module: str,
    images: str,
    flags: Sequence[str],
    warm: str = "",
    again: bool = False,
    captions: bool = False,
) -> dict[str, Any]:
    """Run a job on a folder of images.

    Args:
        module: `pipeline.caption` or `pipeline.preprocess`.
        images: the folder.
        flags: all but --images and --output.
        warm: folder to run on first; empty to time a run of a process that begins.
        again: whether to run on the same output once more, which finds nothing to do.
        captions: whether the job takes captions as well.
    """
    job = importlib.import_module(module)

    def arguments(source: str, output: str) -> list[str]:
        named = [f"--captions={photos.captions(source)}"] if captions else []
        paths = [f"--images={source}", f"--output={output}"]
        return ["--runner=DirectRunner", *flags, *named, *paths]

    with tempfile.TemporaryDirectory() as folder:
        if warm:
            job.main(arguments(warm, f"{folder}/warm"))
            shutil.rmtree(Path(folder, "warm"))
        with child.timed() as section:
            job.main(arguments(images, f"{folder}/out"))
        facts = section.facts(len(photos.paths(images)))
        if again:
            with child.timed() as rerun:
                job.main(arguments(images, f"{folder}/out"))
            facts["rerun_seconds"] = rerun.seconds
        facts["bytes_written"] = sum(
            path.stat().st_size for path in Path(folder, "out").rglob("*") if path.is_file()
        )
    os.sync()
    return facts


def upload(path: str, target: str) -> None:
    """Copy a file to a bucket."""
    from transforms import files

    files.write_bytes(target, Path(path).read_bytes())


def in_bucket(captioner: str, images: str, output: str, flags: Sequence[str]) -> int:
    """Run the captioning job on a bucket; returns the number of its units."""
    from pipeline import caption
    from transforms import captions_table

    arguments = ["--runner=DirectRunner", f"--captioner={captioner}", "--page_images=0"]
    caption.main([*arguments, f"--images={images}", f"--output={output}", *flags])
    manifest = captions_table.newest(output)
    return len(manifest["parts"]) if manifest else 0
