"""Give a captioner an int8 encoder, which `pipeline.caption --precision=int8` uses.

python -m trainer.quantize --captioner=out/captioner --images=photos --output=out/int8
"""

import hashlib
import importlib.metadata as metadata
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainer import derived
from transforms import bundled, captioner, captioners, files, images, manifests, sources
from transforms.commandline import Exit, Parser, parse_strictly, positive, run
from transforms.engines import int8, onnx_files
from transforms.errors import UsageError
from transforms.prefetch import ordered_map
from transforms.sources import ImageRef, SourceError
from transforms.stored import Form

HELD_OUT = 64
NOTE = """
## Int8 encoder

`pipeline.caption --precision=int8` uses it. It was calibrated with {pictures} pictures. On
{compared} others the cosine of its features to those of the encoder in float32 is {mean:.4f} on
average and {least:.4f} at least. The scores above are those of float32.
"""


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the command; returns its exit status.

    Raises:
        UsageError: no captioner, one that has an int8 encoder, no image that can be used, a
            package that is absent, or the output is there already.
    """
    parser = Parser("python -m trainer.quantize", "Give a captioner an int8 encoder.")
    add = parser.add_argument
    add("--captioner", type=files.expanded, help="folder that trainer.task wrote")
    add(
        "--language",
        choices=("en", "zh"),
        help="in the place of --captioner: the one that comes with the package",
    )
    add(
        "--images",
        type=files.expanded,
        action="append",
        required=True,
        help="images to calibrate with, of the kind that are to be captioned, best those that the"
        " captioner was trained on: folder, glob, archive or list; may be repeated",
    )
    add(
        "--output", type=files.expanded, required=True, help="folder to write, which must not exist"
    )
    add("--count", type=positive, default=300, help="images that are used of them")
    options = parse_strictly(parser, argv)
    if bool(options.captioner) == bool(options.language):
        raise UsageError("--captioner or --language: give one of the two")
    folder = options.captioner or bundled.captioner(options.language)
    if not folder:
        raise UsageError(f"the package comes without a captioner for {options.language}")
    specs = [files.absolute(spec) for spec in options.images]
    for spec in specs:
        sources.check(spec, "--images")
    output = derived.local(options.output)
    size = write(files.absolute(folder), specs, options.count, output)
    print(f"{output}: {size / 1e6:.1f} MB")
    return Exit.DONE


def write(folder: str, specs: Sequence[str], count: int, output: Path) -> int:
    """Write a captioner with an int8 encoder; returns its bytes.

    Args:
        folder: of the captioner that it is made of.
        specs: sources of images.
        count: images to calibrate with.
        output: its folder.

    Raises:
        UsageError: see `main`.
    """
    manifest = captioner.read_manifest(folder)
    if "int8" in manifest:
        raise UsageError(f"{folder}: this captioner has an int8 encoder already")
    derived.check(output)
    int8.check_installed()
    (form,) = captioners.forms([manifest])
    pictures = choose(specs, count + HELD_OUT, form)
    # What is beyond the count, or a part of few; of very few the same must do for both.
    held_out = min(HELD_OUT, max(len(pictures) - count, len(pictures) // 5))
    calibrating = pictures[: len(pictures) - held_out]
    compared = pictures[-held_out:] if held_out else pictures
    contents = {name: manifests.read_file(folder, manifest, name) for name in manifest["files"]}
    with onnx_files.opened(folder) as place:
        print(f"calibrating with {len(calibrating)} images", file=sys.stderr)
        with tempfile.TemporaryDirectory() as temporary:
            made = Path(temporary, onnx_files.INT8)
            int8.quantise(place / "encode.onnx", made, calibrating)
            found = int8.fidelity(place / "encode.onnx", made, compared)
            contents[f"{onnx_files.FOLDER}/{onnx_files.INT8}"] = made.read_bytes()
        for part in onnx_files.PARTS:
            path = place / f"{part}.onnx"
            contents[f"{onnx_files.FOLDER}/{path.name}"] = path.read_bytes()
    facts = {"pictures": len(calibrating), "compared": len(compared), **found._asdict()}
    print(f"cosine to the features of fp32: {found.mean:.4f}, at least {found.least:.4f}")
    contents[captioner.CARD] += NOTE.format(**facts).encode()
    versions = {name: metadata.version(name) for name in ("onnx", "onnxruntime")}
    digest = hashlib.sha256(calibrating.tobytes()).hexdigest()
    record = {**facts, "pictures_digest": digest, "software": versions}
    return derived.write(output, {**manifest, "int8": record}, contents)


def choose(specs: Sequence[str], count: int, form: Form) -> np.ndarray:
    """Return some of the images of sources, always the same, in no order that means anything.

    They are chosen by a hash of their keys, wherever their folder lies.

    Args:
        specs: folders, globs, archives and lists.
        count: images wanted; fewer where there are fewer, or some cannot be read.
        form: what pictures the encoder takes.

    Returns:
        uint8 [N, height, width, 3].

    Raises:
        UsageError: there is no image that can be used.
    """
    listed = [(n, ref) for n, spec in enumerate(specs) for ref in sources.list_images(spec)]

    def place(each: tuple[int, ImageRef]) -> bytes:
        return hashlib.sha256(files.encoded(f"{each[0]} {each[1].key}")).digest()

    chosen = [ref for _, ref in sorted(listed, key=place)[:count]]

    def picture(ref: ImageRef) -> np.ndarray | None:
        try:
            return images.decode(sources.read(ref), form).pixels
        except (OSError, SourceError, images.ImageError):
            return None

    threads = len(os.sched_getaffinity(0))
    found = [
        each for each in ordered_map(picture, chosen, threads, 2 * threads) if each is not None
    ]
    if not found:
        raise UsageError(f"{', '.join(specs)}: there is no image in it that can be used")
    if len(found) < len(chosen):
        print(f"{len(chosen) - len(found)} images cannot be used", file=sys.stderr)
    return np.stack(found)


if __name__ == "__main__":
    run(main)
