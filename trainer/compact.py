"""Make a captioner small: weights as float16, and nothing that the encoder's package has.

TensorFlow reads it by `transforms.captioner.load_saved_model`, as it reads every captioner.

python -m trainer.compact --captioner=out/captioner --output=out/compact
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer import derived, model_card
from transforms import captioner, compact, files, manifests, ngrams, tensorflow_start
from transforms.commandline import Exit, Parser, parse_strictly, run
from transforms.encoders import Encoder
from transforms.errors import UsageError

NOTE = """
## Compact form

The matrices of its weights are rounded to float16, after the scores above were measured. The
weights that the package of {encoder} has are not stored again. Every command takes it as it takes
others; at first use it is put together in the cache. TensorFlow alone cannot read it:
`transforms.captioner.load_saved_model(folder)` returns what `tf.saved_model.load` does of others.
"""


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the command; returns its exit status.

    Raises:
        UsageError: no captioner, or the output is there already.
    """
    parser = Parser("python -m trainer.compact", "Make a captioner small enough to be shipped.")
    parser.add_argument(
        "--captioner", type=files.expanded, required=True, help="folder that trainer.task wrote"
    )
    parser.add_argument(
        "--output", type=files.expanded, required=True, help="folder to write, which must not exist"
    )
    options = parse_strictly(parser, argv)
    output = derived.local(options.output)
    size = write(files.absolute(options.captioner), output)
    print(f"{output}: {size / 1e6:.1f} MB")
    return Exit.DONE


def write(folder: str, output: Path) -> int:
    """Write the compact form of a captioner; returns its bytes.

    Raises:
        UsageError: no captioner, one that is compact already, or the output is there already.
    """
    manifest = captioner.read_manifest(folder)
    if "compact" in manifest:
        raise UsageError(f"{folder}: this captioner is compact already")
    if "int8" in manifest:
        raise UsageError(
            f"{folder}: this captioner has an int8 encoder, which a compact one does not take over:"
            " give the one that it was made of, and quantise the result"
        )
    derived.check(output)
    tensorflow_start.start()
    encoder = captioner.load_encoder(manifest)
    with captioner.local(folder, manifest, captioner.SAVED_MODEL) as source:
        tensors, weights = pack(source, encoder)
    card = files.read_bytes(files.join(folder, captioner.CARD)).decode()
    note = NOTE.format(encoder=manifest["encoder"]["name"])
    same = [name for name in (captioner.VOCABULARY, ngrams.NAME) if name in manifest["files"]]
    contents = {
        compact.WEIGHTS: weights,
        **{name: manifests.read_file(folder, manifest, name) for name in same},
        captioner.CARD: (model_card.compacted(card) + note).encode(),
    }
    return derived.write(output, {**manifest, "compact": tensors}, contents)


def pack(saved_model: Path, encoder: Encoder | None) -> tuple[list[dict[str, Any]], bytes]:
    """Make a compact form of a SavedModel, which `transforms.compact.unpack` reads.

    Args:
        saved_model: its folder.
        encoder: what need not be stored.

    Returns:
        For the manifest, where each tensor of the checkpoint is: its `name`, and the number of its
        array in the file or of the encoder's variable; and the file's content.
    """
    import tensorflow as tf

    known: dict[tuple[Any, bytes], int] = {}
    for number, variable in enumerate(encoder.model.variables if encoder else []):
        value = variable.value.numpy()
        known.setdefault((value.shape, value.tobytes()), number)
    reader = tf.train.load_checkpoint(str(saved_model / compact.VARIABLES))
    tensors: list[dict[str, Any]] = []
    arrays: list[np.ndarray] = []
    for name in sorted(reader.get_variable_to_shape_map()):
        value = reader.get_tensor(name)
        if isinstance(value, bytes):  # The graph of objects.
            value = np.frombuffer(value, np.uint8)
        elif value.ndim and (value.shape, value.tobytes()) in known:
            tensors.append({"name": name, "encoder": known[value.shape, value.tobytes()]})
            continue
        elif value.dtype == np.float32 and value.ndim > 1:
            value = value.astype(np.float16)
        tensors.append({"name": name, "array": len(arrays)})
        arrays.append(value)
    stream = io.BytesIO()
    graph = np.frombuffer((saved_model / compact.GRAPH).read_bytes(), np.uint8)
    np.savez_compressed(stream, *arrays, graph=graph)
    return tensors, stream.getvalue()


if __name__ == "__main__":
    run(main)
