"""Writing the captioner directory that docs/formats.md describes, as a whole or not at all."""

import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer import model_card, training_page
from trainer import ngrams as train_ngrams
from trainer.configuration import Configuration
from trainer.model import Captioner
from transforms import captioner, encoders, files, manifests, ngrams, stored
from transforms.captioner import CARD, FORMAT, MANIFEST, SAVED_MODEL, VOCABULARY
from transforms.dataset import Dataset
from transforms.encoders import Encoder
from transforms.engines import onnx_files
from transforms.pages.training import Example

WEIGHTS = "weights.weights.h5"
HISTORY = "history.json"
PAGE = "training.html"
_ENTRIES = {
    MANIFEST,
    VOCABULARY,
    ngrams.NAME,
    WEIGHTS,
    SAVED_MODEL,
    CARD,
    HISTORY,
    PAGE,
    onnx_files.FOLDER,
}


def load_encoder(dataset: Dataset) -> Encoder | None:
    """Load the encoder that made a data set's features; None where it stores images.

    Raises:
        UsageError: it is not installed, or is not the one that the features came from.
    """
    if dataset.stores_images:
        return None
    return encoders.load_same(
        dataset.encoder, _encoder_seed(dataset), f"{dataset.folder}: the data set"
    )


def _encoder_seed(dataset: Dataset) -> int:
    """Return what random weights of the encoder were drawn from."""
    return dataset.manifest["configuration"].get("seed", 0)


def export(
    folder: str,
    *,
    model: Captioner,
    dataset: Dataset,
    configuration: Configuration,
    metrics: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    seconds: float = 0.0,
    captioners: Mapping[str, Any] | None = None,
    flags: Mapping[str, Any] | None = None,
    license: str = "",
    data_note: str = "",
    examples: Sequence[Example] = (),
) -> None:
    """Write a captioner.

    It is complete before anything of it is in its place, and its manifest comes last. A captioner
    that is already there is replaced; what else is in its folder stays.

    Args:
        folder: of the captioner, on a local disk or in a bucket.
        model: with the weights to export.
        dataset: what it was trained on.
        configuration: how.
        metrics: `split`, `epoch`, `scores` by name, and optionally `floor` (`caption`, `scores`),
            the best constant caption.
        history: a row for each epoch.
        seconds: of training; 0 where that is not known.
        captioners: digests of others that it came from; see `runs.identity`.
        flags: others than the configuration's that shaped the run, by name.
        license: of the captioner, as the user states it.
        data_note: Markdown of the user's about the data.
        examples: captions of dev for the page of the training.

    Raises:
        UsageError: see `load_encoder`.
        OSError: the folder cannot be written.
    """
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": 1,
        "configuration": model_card.portable(configuration.to_dict()),
        "encoder": _describe_encoder(dataset, model),
        **stored.described(stored.of(dataset.manifest)),
        "text": dataset.text,
        "decoder": {
            "kind": configuration.decoder,
            "vocabulary_size": len(dataset.vocabulary),
            "feature_shape": dataset.grid_shape and list(dataset.grid_shape),
            "parameters": model.count_params(),
        },
        "metrics": dict(metrics),
        "provenance": {
            "dataset": {"name": model_card.base_name(dataset.folder), "digest": dataset.digest},
            "seed": configuration.seed,
            **(captioners or {}),
            "flags": dict(flags or {}),
            "seconds": round(seconds, 1),
            "hardware": hardware(),
            "software": manifests.software(),
        },
    }
    card = model_card.write(
        manifest,
        dataset.manifest,
        name=model_card.base_name(folder),
        license=license,
        data_note=data_note,
    )
    name = model_card.base_name(folder)
    page = training_page.write(manifest, history, examples, name=name) if history else ""
    texts = {CARD: card, PAGE: page}
    encoder = load_encoder(dataset)
    if files.is_remote(folder):
        with tempfile.TemporaryDirectory() as temporary:
            _write(Path(temporary), manifest, texts, model, dataset, encoder, history)
            _upload(Path(temporary), folder)
        return
    place = Path(folder)
    # Within the folder: it may be a mount, a link or all that its owner may write to.
    fresh = place / f"{files.TEMPORARY_PREFIX}captioner"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        _write(fresh, manifest, texts, model, dataset, encoder, history)
        _move(fresh, place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _describe_encoder(dataset: Dataset, model: Captioner) -> dict[str, Any]:
    """Return what made the features, and whether its upper blocks have learned."""
    facts = dict(dataset.encoder)
    if facts.get("weights") == "none":
        # The captioner's own seed may be another.
        facts["seed"] = _encoder_seed(dataset)
    if "rest" in facts:
        # Not every epoch in which they learned led to the weights that are kept.
        facts["finetuned"] = encoders.describe_rest(model.encoder) != facts["rest"]
    return facts


def add_onnx(folder: str) -> None:
    """Give a captioner its ONNX files, which engines otherwise make at first use.

    What it was remains whole all the while: its manifest names them when all are there.

    Args:
        folder: of a finished captioner, on a local disk or in a bucket.

    Raises:
        UsageError: tf2onnx is not installed, ONNX lacks an operation, or there is no captioner.
        OSError: the folder cannot be written.
    """
    manifest = captioner.read_manifest(folder)
    with onnx_files.opened(folder) as made:
        for part in onnx_files.PARTS:
            name = f"{onnx_files.FOLDER}/{part}.onnx"
            content = (made / f"{part}.onnx").read_bytes()
            manifest["files"][name] = files.write_bytes(files.join(folder, name), content)
    files.write_json(files.join(folder, MANIFEST), manifest)


def hardware() -> dict[str, Any]:
    """Return what kind of machine this is, and nothing that tells which."""
    import tensorflow as tf

    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return {"machine": platform.machine(), "cores": os.cpu_count() or 1, "gpus": gpus}


def _write(
    folder: Path,
    manifest: Mapping[str, Any],
    texts: Mapping[str, str],
    model: Captioner,
    dataset: Dataset,
    encoder: Encoder | None,
    history: Sequence[Mapping[str, float]],
) -> None:
    """Fill a folder with everything, the manifest last."""
    import tensorflow as tf

    from trainer.serving import Serving
    from trainer.stable_graph import stabilise

    (folder / VOCABULARY).write_bytes(dataset.vocabulary.to_text().encode())
    frequencies = train_ngrams.count(dataset).to_text(dataset.vocabulary)
    (folder / ngrams.NAME).write_bytes(frequencies.encode())
    files.write_json(str(folder / HISTORY), [dict(row) for row in history])
    for name, text in texts.items():
        if text:
            # Names of files in them need not be text.
            (folder / name).write_bytes(text.encode("utf-8", "backslashreplace"))
    model.save_weights(folder / WEIGHTS)
    configuration = model.configuration
    serving = Serving(
        model,
        dataset,
        encoder,
        beam_width=configuration.beam_width,
        length_penalty=configuration.length_penalty,
    )
    tf.saved_model.save(serving, str(folder / SAVED_MODEL), signatures=serving.signatures())
    stabilise(folder / SAVED_MODEL)
    facts = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            os.fsync(stream.fileno())
        name = path.relative_to(folder).as_posix()
        facts[name] = {"bytes": path.stat().st_size, "sha256": digest}
    files.write_json(str(folder / MANIFEST), {**manifest, "files": facts})


def _move(source: Path, folder: Path) -> None:
    """Put a captioner's entries in their place; it has no manifest until all are there."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in _ENTRIES:
        old = folder / name
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
    for entry in sorted(source.iterdir(), key=lambda entry: entry.name == MANIFEST):
        entry.rename(folder / entry.name)


def _upload(source: Path, folder: str) -> None:
    """Copy a captioner to a store without renames; it has no manifest until all is there."""
    files.delete(files.join(folder, MANIFEST))
    names = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
    for name in sorted(names, key=lambda name: (name == MANIFEST, name)):
        with (source / name).open("rb") as stream, files.atomic(files.join(folder, name)) as target:
            shutil.copyfileobj(stream, target, 4 * 1024 * 1024)
