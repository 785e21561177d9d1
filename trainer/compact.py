"""Make a captioner small: weights as float16, and nothing that the encoder's package has.

python -m trainer.compact --captioner=out/captioner --output=out/compact
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from transforms import captioner, compact, files, tensorflow_start
from transforms.commandline import Exit, Parser, run
from transforms.errors import UsageError

CARD = "MODEL_CARD.md"
NOTE = """
## Compact form

The matrices of its weights are rounded to float16, after the scores above were measured. The
weights that the package of {encoder} has are not stored again. Every command takes it as it takes
others; at first use it is put together in the cache. TensorFlow alone cannot read it:
`with transforms.captioner.local(folder, "saved_model") as path` gives it what it can.
"""


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the command; returns its exit status.

    Raises:
        UsageError: no captioner, or the output is there already.
    """
    parser = Parser("python -m trainer.compact", "Make a captioner small enough to be shipped.")
    parser.add_argument("--captioner", required=True, help="folder that trainer.task wrote")
    parser.add_argument("--output", required=True, help="folder to write, which must not exist")
    options = parser.parse_args(argv)
    size = write(options.captioner, Path(options.output))
    print(f"{options.output}: {size / 1e6:.1f} MB")
    return Exit.DONE


def write(folder: str, output: Path) -> int:
    """Write the compact form of a captioner; returns its bytes.

    Raises:
        UsageError: no captioner, one that is compact already, or the output is there already.
    """
    manifest = captioner.read_manifest(folder)
    if "compact" in manifest:
        raise UsageError(f"{folder}: this captioner is compact already")
    if output.exists():
        raise UsageError(f"{output}: this exists already: choose another folder")
    tensorflow_start.start()
    encoder = compact.load_encoder(manifest)
    fresh = output.parent / f"{files.TEMPORARY_PREFIX}{output.name}"
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / captioner.SAVED_MODEL).mkdir(parents=True)
    with captioner.local(folder, captioner.SAVED_MODEL) as source:
        graph = (source / "saved_model.pb").read_bytes()
        tensors, weights = compact.pack(str(source / "variables" / "variables"), encoder)
    card = files.read_bytes(files.join(folder, CARD)).decode()
    contents = {
        f"{captioner.SAVED_MODEL}/saved_model.pb": graph,
        compact.WEIGHTS: weights,
        "vocabulary.txt": files.read_bytes(files.join(folder, "vocabulary.txt")),
        CARD: (card + NOTE.format(encoder=manifest["encoder"]["name"])).encode(),
    }
    facts = {}
    for name, content in contents.items():
        (fresh / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        facts[name] = {"bytes": len(content), "sha256": digest}
    whole = {**manifest, "compact": tensors, "files": facts}
    files.write_json(str(fresh / captioner.MANIFEST), whole)
    fresh.rename(output)
    return sum(path.stat().st_size for path in output.rglob("*") if path.is_file())


if __name__ == "__main__":
    run(main)
