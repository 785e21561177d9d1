"""Using a captioner that `trainer.task` exported: the contract between training and bulk work."""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transforms import cache, compact, encoders, files, manifests, tensorflow_start
from transforms.encoders import Encoder
from transforms.errors import UsageError
from transforms.text import Vocabulary

if TYPE_CHECKING:
    import numpy as np

MANIFEST = "captioner.json"
VOCABULARY = "vocabulary.txt"
CARD = "MODEL_CARD.md"
FORMAT = "beamcap.captioner"
PARTS = ("encode", "prepare", "step")  # Signatures of the SavedModel that engines run.
REMEDY = "make a captioner with `python -m trainer.task`"
SAVED_MODEL = "saved_model"
BATCH_SIZE = 32


def read_manifest(folder: str) -> dict[str, Any]:
    """Return the content of a captioner's manifest, the sizes of its files checked.

    Raises:
        UsageError: the directory is no finished captioner.
    """
    return manifests.read(folder, MANIFEST, FORMAT, REMEDY)


def read_vocabulary(folder: str) -> Vocabulary:
    """Return a captioner's words."""
    return Vocabulary.from_text(files.read_bytes(files.join(folder, VOCABULARY)).decode())


def digest(manifest: Mapping[str, Any]) -> str:
    """Return a hexadecimal sha256 of what decides a captioner's captions: its SavedModel.

    Trained again with the same result, a captioner keeps its digest; the rest of its directory
    tells of the training, with times. A consensus depends on the frequencies of n-grams as well,
    which have a digest of their own.
    """
    facts = manifest["files"]
    model = {
        name: facts[name]["sha256"]
        for name in facts
        if name.startswith(f"{SAVED_MODEL}/") or name == compact.WEIGHTS
    }
    return hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()


def load_encoder(manifest: dict[str, Any]) -> Encoder | None:
    """Load the encoder that a captioner's features come from; None where it has its own.

    Raises:
        UsageError: it is not installed, or is another than the captioner was made with.
    """
    facts = manifest["encoder"]
    if facts["name"] == "none":
        return None
    if facts["weights"] != "none" or "seed" in facts:
        return encoders.load_same(facts, facts.get("seed", 0), "the captioner")
    # Older captioners with a random encoder tell their own seed only, which was often the same.
    seed = manifest["provenance"]["seed"]
    remedy = (
        f"its weights are random, not of the seed {seed}, and {MANIFEST} does not tell the"
        " right one: write the --seed of its preprocessing there, as `seed` into `encoder`"
    )
    return encoders.load_same(facts, seed, "the captioner", remedy)


def load_parts(folder: str) -> Any:
    """Load a SavedModel whose `PARTS` are to be run; see `load_saved_model`.

    Raises:
        UsageError: also where it lacks one, as an older version's does.
    """
    model = load_saved_model(folder)
    for name in PARTS:
        if name not in model.signatures:
            raise UsageError(f"{folder}: its SavedModel has no signature {name}; {REMEDY} again")
    return model


def load_saved_model(folder: str) -> Any:
    """Load a captioner's SavedModel; no code comes from it but TensorFlow's own operations.

    Of a compact captioner, whose folder has none, it is put together in the cache at first use.

    Args:
        folder: of the captioner, on a local disk or in a bucket.

    Returns:
        What `tf.saved_model.load` does, with the signatures of docs/formats.md.

    Raises:
        UsageError: the directory is no finished captioner, or a file of its SavedModel is not
            the one that was exported.
    """
    tensorflow_start.start()
    import tensorflow as tf

    with _saved_model(folder) as place:
        return tf.saved_model.load(place)


def load_weights(folder: str, count: int) -> list["np.ndarray"]:
    """Load the first of a captioner's weights.

    Args:
        folder: of the captioner, on a local disk or in a bucket.
        count: how many: those of its model come first, in the order of the model's variables,
            then those of the CNN that made the features of its data set.

    Raises:
        UsageError: as `load_saved_model`; or it has fewer.
    """
    tensorflow_start.start()
    import tensorflow as tf

    with _saved_model(folder) as place:
        stored = tf.train.load_checkpoint(f"{place}/{compact.VARIABLES}")
        names = [f"weights/{number}/.ATTRIBUTES/VARIABLE_VALUE" for number in range(count)]
        return [stored.get_tensor(name) for name in names]


@contextlib.contextmanager
def _saved_model(folder: str) -> Iterator[str]:
    """Give a captioner's SavedModel, whole, a place on a local disk; see `load_saved_model`."""
    import tensorflow as tf

    manifest = read_manifest(folder)
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(local(folder, manifest, SAVED_MODEL))
        if "compact" in manifest:
            weights = manifests.read_file(folder, manifest, compact.WEIGHTS)
            whole = cache.folder("saved_model-1", digest(manifest))
            if not cache.filled(whole):
                with cache.filling(whole) as fresh:
                    compact.unpack(weights, manifest["compact"], load_encoder(manifest), fresh)
                    if not (fresh / compact.GRAPH).exists():
                        shutil.copyfile(place / compact.GRAPH, fresh / compact.GRAPH)
            place = whole
        try:
            yield str(place)
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(
                f"{folder}: TensorFlow cannot load its {SAVED_MODEL} ({reason}); {REMEDY} again"
            ) from error


@contextlib.contextmanager
def local(folder: str, manifest: Mapping[str, Any], part: str) -> Iterator[Path]:
    """Give a part of a captioner a place on a local disk, its files compared with the manifest.

    Args:
        folder: of the captioner, on a local disk or in a bucket.
        manifest: its manifest.
        part: a folder in it.

    Yields:
        The part's folder; a copy that is deleted in the end where the captioner is in a bucket.

    Raises:
        UsageError: a file is not the one that was exported.
    """
    facts = manifest["files"]
    names = [name for name in facts if name.startswith(f"{part}/")]
    with contextlib.ExitStack() as stack:
        source = folder
        if files.is_remote(folder):
            # TensorFlow and others read fewer stores than we do.
            source = stack.enter_context(tempfile.TemporaryDirectory())
            for name in names:
                _fetch(files.join(folder, name), Path(source) / name)
        for name in names:
            with (Path(source) / name).open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != facts[name]["sha256"]:
                raise UsageError(
                    f"{folder}: {name} is not the file that {MANIFEST} names; {REMEDY} again"
                )
        yield Path(source) / part


def _fetch(path: str, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with files.open_read(path) as stream, place.open("wb") as copy:
        shutil.copyfileobj(stream, copy, 4 * 1024 * 1024)
