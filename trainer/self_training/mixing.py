"""Writing a data set of people's captions and generated ones."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from trainer.self_training.candidates import Caption
from transforms import dataset, files, manifests, records, stored, text
from transforms.dataset import Dataset
from transforms.errors import JobError
from transforms.stored import PICTURES

Chosen = Mapping[str, tuple[Caption, ...]]
_CHUNK = 4 * 1024 * 1024
_SIGNIFICANT = 32  # Of a digest's digits, as other names of record files have.


def write(
    output: str,
    labelled: Dataset,
    unlabelled: Dataset,
    chosen: Chosen,
    facts: Mapping[str, Any],
    taken: Collection[str],
) -> Dataset:
    """Write the data set, the manifest last; files that an earlier run finished are kept.

    The files of the labelled data set are copied as they are, all splits of it; its vocabulary,
    tokenizer and encoder hold. Images of the unlabelled one join the split train.

    Args:
        output: the folder.
        labelled: with people's captions.
        unlabelled: with the features of the images in `chosen`.
        chosen: captions by key of the image in the unlabelled data set.
        facts: for the manifest, its entry `generated`.
        taken: keys of the labelled images, of all splits. Another image of such a key has
            `unlabelled/` before it.

    Raises:
        JobError: a file changed under the job, or the books do not balance.
    """
    entries: dict[str, dict[str, Any]] = {}
    for name, known in labelled.manifest["files"].items():
        entries[name] = known
        _copy(files.join(labelled.folder, name), files.join(output, name), known)
    splits = {
        name: {**entry, "files": list(entry["files"])}
        for name, entry in labelled.manifest["splits"].items()
    }
    train = splits["train"]
    written = {"images": 0, "captions": 0}
    examples = 0
    found: set[str] = set()
    names = _names(chosen, taken)
    for path in unlabelled.files("train"):
        part = _Part(path, unlabelled, chosen, labelled, names)
        if not part.keys:
            continue
        name, entries_of = part.write(output)
        entries[name] = entries_of
        train["files"].append(name)
        written["images"] += len(part.keys)
        written["captions"] += part.captions
        examples += part.records
        found |= part.keys
    if found != set(chosen):
        raise JobError(f"{output}: {len(found)} images were written, not the {len(chosen)} chosen")
    examples += labelled.examples("train")
    for name, count in written.items():
        train[name] += count
    # Named, as preprocessing does, where views of images are records of their own.
    train.pop("records", None)
    if examples != train["images"]:
        train["records"] = examples
    like = stored.of(labelled.manifest)
    mostly_labelled = labelled.images("train") >= stored.ALIKE * train["images"]
    if not mostly_labelled and not stored.alike(like, stored.of(unlabelled.manifest)):
        like = None  # Who learns from pictures stored in several ways needs none of them.
    files.write_json(
        files.join(output, dataset.MANIFEST),
        {
            **{name: labelled.manifest[name] for name in labelled.manifest if name != PICTURES},
            **stored.described(like),
            "splits": splits,
            "files": dict(sorted(entries.items())),
            "generated": {**facts, **written},
            "software": manifests.software(),
        },
    )
    return dataset.open_dataset(output)


def _names(chosen: Chosen, taken: Collection[str]) -> dict[str, str]:
    """Return the keys of the chosen images in the new data set, by those in their own."""
    used = {*taken, *chosen}
    names = {}
    for key in sorted(chosen):
        names[key] = key
        while key in taken and names[key] in used:
            names[key] = f"unlabelled/{names[key]}"
        used.add(names[key])
    return names


class _Part:
    """The chosen images of one file of the unlabelled data set, with the views of them.

    Attributes:
        keys: of the images, in the unlabelled data set.
        records: the images and their views.
        captions: of the images; their views have the same.
    """

    def __init__(
        self,
        path: str,
        unlabelled: Dataset,
        chosen: Chosen,
        labelled: Dataset,
        names: Mapping[str, str],
    ) -> None:
        self._path, self._unlabelled, self._chosen = path, unlabelled, chosen
        self._labelled, self._names = labelled, names
        found = [record.key for record in unlabelled.file_records(path) if record.key in chosen]
        kept = [(names[key], chosen[key]) for key in found]
        self.records = len(found)
        self.keys = set(found)
        self.captions = sum(len(chosen[key]) for key in self.keys)
        source = unlabelled.manifest["files"][path.removeprefix(f"{unlabelled.folder}/")]["sha256"]
        shape = json.dumps([source, labelled.text, kept], sort_keys=True)
        self._digest = hashlib.sha256(files.encoded(shape)).hexdigest()

    def write(self, output: str) -> tuple[str, dict[str, Any]]:
        """Return the file's name, which is made of all that shapes it, and its facts."""
        name = f"data/train-{self._digest[:_SIGNIFICANT]}.tfrecord"
        place = files.join(output, name)
        if files.exists(place):
            size, sha256 = files.stat(place).size, _digest(place)
        else:
            with files.atomic(place) as target:
                records.write(target, self._encoded())
            size, sha256 = target.size, target.sha256
        return name, {"records": self.records, "bytes": size, "sha256": sha256}

    def _encoded(self) -> Iterator[bytes]:
        facts = self._labelled.text
        vocabulary = self._labelled.vocabulary
        for record in self._unlabelled.file_records(self._path):
            captions = tuple(caption.text for caption in self._chosen.get(record.key, ()))
            if captions:
                tokens = [text.tokenize(each, facts["tokenizer"]) for each in captions]
                yield from records.encode(
                    [
                        dataclasses.replace(
                            record,
                            key=self._names[record.key],
                            captions=captions,
                            token_ids=tuple(
                                tuple(vocabulary.encode(each, facts["max_length"]))
                                for each in tokens
                            ),
                            generated=(True,) * len(captions),
                        )
                    ]
                )


def _digest(path: str) -> str:
    found = hashlib.sha256()
    with files.open_read(path) as stream:
        while block := stream.read(_CHUNK):
            found.update(block)
    return found.hexdigest()


def _copy(source: str, place: str, known: Mapping[str, Any]) -> None:
    if files.exists(place) and files.stat(place).size == known["bytes"]:
        return
    with files.open_read(source) as stream, files.atomic(place) as target:
        shutil.copyfileobj(stream, target, _CHUNK)
    if target.sha256 != known["sha256"]:
        raise JobError(f"{source}: this file is not the one that its manifest names")
