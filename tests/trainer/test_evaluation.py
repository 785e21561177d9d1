"""The captions of dev that a captioner's card scores, and what weighs their words."""

from pathlib import Path

import numpy as np

from tests import captioners
from tests.trainer import toy
from trainer import evaluation, finetuning, ngrams
from trainer.examples import DatasetExamples
from trainer.model import Captioner
from transforms import files, records
from transforms.dataset import open_dataset
from transforms.engines import load
from transforms.search import search, seed_of


def test_the_captions_that_are_scored_are_those_that_the_exported_captioner_says(
    tmp_path: Path,
) -> None:
    data = toy.cut_dataset(tmp_path / "data")
    settings = captioners.configuration(search="consensus", beam_width=4)
    rest = finetuning.load_rest(data)
    model = Captioner(settings, len(data.vocabulary), data.feature_shape, rest)
    for variable in model.trainable_variables:
        variable.assign(variable * 3)
    dev = list(data.records("dev"))
    seeds = [seed_of(record.sha256) for record in dev]
    written = evaluation.consensus_captions(model, data, "dev", seeds)
    assert len({tuple(words) for words in written}) > 1
    captioners.write(tmp_path / "captioner", data, model)
    inputs = np.concatenate([each for each, _ in DatasetExamples(data, "dev").batches(3)])
    said = search(
        [load(str(tmp_path / "captioner"), "tensorflow")],
        [np.asarray(model.encode(inputs), np.float32)],
        evaluation.search_options(model.configuration),
        data.text["max_length"],
        seeds=seeds,
        frequencies=ngrams.count(data),
    )
    assert [data.vocabulary.decode(found[0].tokens) for found in said] == written


def test_views_and_generated_captions_do_not_make_words_more_frequent(tmp_path: Path) -> None:
    data = toy.dataset(tmp_path / "data", train=16)
    plain = ngrams.count(data)
    assert (plain.images, plain.least) == (16, 8)
    name = data.manifest["splits"]["train"]["files"][0]
    path = files.join(data.folder, name)
    kept = list(data.file_records(path))
    marks = [(False, True, True), (True, True, True)]
    more = [
        records.Record(**{**vars(record), "view": view, "generated": generated})
        for record, generated in zip(kept, 4 * marks, strict=True)
        for view in ("", "flip")
    ]
    with files.atomic(path) as stream:
        records.write(stream, records.encode(more))
    manifest = data.manifest
    manifest["files"][name] = {"bytes": stream.size, "sha256": stream.sha256}
    files.write_json(files.join(data.folder, "dataset.json"), manifest)
    # Of the eight images in the file four have no caption by people, and the others have one.
    found = ngrams.count(open_dataset(data.folder))
    assert found.images == 12
    assert found.to_text(data.vocabulary).startswith("images 12 least 8\n12\ta\n")
