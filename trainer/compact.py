"""Make a captioner small: weights as float16, and nothing that the encoder's package has.

TensorFlow reads it by `transforms.captioner.load_saved_model`, as it reads every captioner.

python -m trainer.compact --captioner=out/captioner --output=out/compact
"""

from collections.abc import Sequence
from pathlib import Path

from trainer import derived, model_card
from transforms import captioner, compact, files, manifests, ngrams, tensorflow_start
from transforms.commandline import Exit, Parser, parse_strictly, run
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
    parser.add_argument("--captioner", required=True, help="folder that trainer.task wrote")
    parser.add_argument("--output", required=True, help="folder to write, which must not exist")
    options = parse_strictly(parser, argv)
    output = Path(files.absolute(options.output))
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
    encoder = compact.load_encoder(manifest)
    with captioner.local(folder, captioner.SAVED_MODEL) as source:
        tensors, weights = compact.pack(source, encoder)
    card = files.read_bytes(files.join(folder, derived.CARD)).decode()
    note = NOTE.format(encoder=manifest["encoder"]["name"])
    same = [name for name in ("vocabulary.txt", ngrams.NAME) if name in manifest["files"]]
    contents = {
        compact.WEIGHTS: weights,
        **{name: manifests.read_file(folder, manifest, name) for name in same},
        derived.CARD: (model_card.compacted(card) + note).encode(),
    }
    return derived.write(output, {**manifest, "compact": tensors}, contents)


if __name__ == "__main__":
    run(main)
