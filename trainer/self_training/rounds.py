"""The rounds of self-training: caption, choose, mix, train; each step is done once.

output/
  run.json                     whose folder it is
  teacher/                     the first captioner, where none was given
  round-1/candidates/*.jsonl   captions of every unlabelled image
  round-1/dataset/             people's captions and the chosen ones
  round-1/captioner/           trained on it
  self_training.json           what each captioner scored
"""

import dataclasses
import sys
from collections import Counter
from typing import Any

from trainer import command_line, finetuning, runs, task, word_vectors
from trainer.configuration import Configuration
from trainer.examples import check_readable
from trainer.self_training import captions, mixing, selection
from trainer.self_training.command import Options
from trainer.teacher import check_encoder, checked_manifest, note_pictures
from transforms import captioner, files, manifests
from transforms import dataset as datasets
from transforms.dataset import Dataset, open_dataset
from transforms.errors import JobError, UsageError

MANIFEST = "self_training.json"
RUN = "run.json"
CONTEXT = 1000  # Images whose captions by people say which n-grams are common.


class Run:
    """One run, or the rest of one that was killed."""

    def __init__(
        self,
        options: Options,
        explicit: dict[str, Any],
        labelled: Dataset,
        unlabelled: Dataset,
    ) -> None:
        """Check everything and take the output folder.

        Args:
            options: the command's.
            explicit: fields of the student's configuration; the teacher's hold otherwise.
            labelled: people's captions, with a split dev to choose epochs by.
            unlabelled: other images.

        Raises:
            UsageError: what cannot work, or a folder of another run.
        """
        self._options, self._labelled, self._unlabelled = options, labelled, unlabelled
        task.check_splits(labelled)
        if labelled.manifest.get("generated"):
            raise UsageError(
                f"{labelled.folder}: it has captions that a captioner wrote, which would count as"
                " people's: give the data set that it was made of, and --rounds=2 for more rounds"
            )
        for folder in (options.captioner, options.output):
            if options.distillation and "," in folder:
                raise UsageError(
                    f"{folder}: a student cannot name a teacher with a comma in its folder: rename"
                    " the folder, or add --distillation=0"
                )
        check_readable(labelled.folder)
        check_encoder(labelled.folder, labelled.encoder, unlabelled)
        if not unlabelled.images("train"):
            raise UsageError(
                f"{unlabelled.folder}: its split train has no images to caption: preprocess them"
                " with --captions=none"
            )
        # A round's data set is written there.
        check_readable(options.output)
        configuration, digest, manifest = Configuration().to_dict(), "", labelled.manifest
        if options.captioner:
            manifest = checked_manifest(options.captioner, unlabelled)
            if manifest["text"]["digest"] != labelled.text["digest"]:
                raise UsageError(
                    f"{options.captioner}: its vocabulary is not that of {labelled.folder}: give"
                    " a captioner that was trained on this data set, or leave --captioner out"
                )
            configuration, digest = manifest["configuration"], captioner.digest(manifest)
            if configuration.get("word_vectors") and "word_vectors" not in explicit:
                print(
                    f"{options.captioner}: began with {configuration['word_vectors']}; students do"
                    " only where --word_vectors says where it is",
                    file=sys.stderr,
                )
        note_pictures(options.captioner or labelled.folder, manifest, unlabelled)
        # Of other files a captioner knows the names alone.
        others = {"start_from": "", "teachers": [], "word_vectors": ""}
        self._configuration = Configuration.from_dict({**configuration, **others, **explicit})
        if not self._configuration.epochs:
            raise UsageError(
                "students begin with drawn weights, and --epochs=0, which may be the teacher's,"
                " teaches them nothing: add --epochs=8 --scst_epochs=0"
            )
        self._configuration.check(labelled.grid_shape)
        if self._configuration.scst_epochs:
            raise UsageError(
                "self-critical training wants people's captions alone: add --scst_epochs=0"
            )
        command_line.refuse_idle(explicit, self._configuration.idle(labelled.cut))
        # What cannot be loaded is better said now than after the images were captioned.
        finetuning.load_rest(unlabelled)
        word_vectors.check(self._configuration, labelled.vocabulary.tokens)
        self._claim(digest)

    def run(self) -> list[dict[str, Any]]:
        """Do the rounds; returns what each captioner scored, the first teacher in front."""
        options = self._options
        teacher = options.captioner
        if not teacher:
            teacher = files.join(options.output, "teacher")
            self._train(self._labelled, teacher)
        results = [_result(teacher, None)]
        for number in range(1, options.rounds + 1):
            folder = files.join(options.output, f"round-{number}")
            results[-1]["images"] = self._unlabelled.images("train")
            mixed = self._mix(teacher, folder, number)
            student = files.join(folder, "captioner")
            self._train(mixed, student, teacher)
            teacher = student
            results.append(_result(teacher, mixed))
        best = max(results, key=lambda result: result["scores"]["CIDEr"])
        files.write_json(
            files.join(options.output, MANIFEST),
            {
                "format": "beamcap.self_training",
                "version": 1,
                "options": dataclasses.asdict(options),
                "best": best["captioner"],
                "captioners": results,
                "software": manifests.software(),
            },
        )
        return results

    def _claim(self, teacher: str) -> None:
        """Take the output folder; `teacher` is the digest of the captioner that was given."""
        options = self._options
        facts = dataclasses.asdict(options)
        # More rounds continue what fewer began; folders may move, their content counts.
        for name in ("output", "rounds", "dataset", "unlabelled", "captioner"):
            del facts[name]
        run = {
            **facts,
            "configuration": self._configuration.to_dict(),
            "dataset": self._labelled.digest,
            "unlabelled": self._unlabelled.digest,
            "captioner": teacher,
        }
        before = runs.take(options.output, files.join(options.output, RUN), run, "self-training")
        if before is None:
            return
        before["configuration"] = Configuration.completed(before.get("configuration", {}))
        before.setdefault("distillation", 0.0)  # Students of earlier versions read captions alone.
        for name, value in run.items():
            if before.get(name) != value:
                raise UsageError(
                    f"{options.output}: this belongs to a run with another {name}: give another"
                    " --output, or delete this one"
                )

    def _train(self, data: Dataset, output: str, teacher: str = "") -> None:
        configuration = self._configuration
        if teacher and (share := self._options.distillation):
            configuration = dataclasses.replace(
                configuration, teachers=(teacher,), distillation=share
            )
        flags = command_line.flags(configuration, data.cut)
        task.main([f"--dataset={data.folder}", f"--output={output}", *flags])

    def _mix(self, teacher: str, folder: str, number: int) -> Dataset:
        """Return a round's data set; one that is there is taken as it is."""
        output = files.join(folder, "dataset")
        if files.exists(files.join(output, datasets.MANIFEST)):
            return open_dataset(output)
        options = self._options
        human, keys, known = captions.human(self._labelled)
        rows = captions.generated(
            teacher,
            files.join(folder, "candidates"),
            options,
            number,
            self._labelled,
            self._unlabelled,
            human[:CONTEXT],
        )
        # What is in the labelled data set already is held out, or better captioned by people.
        fresh = [row for row in rows if row.sha256 not in known]
        words = {
            caption.text: tuple(captions.words(caption.text, self._labelled))
            for row in fresh
            for caption in row.captions
        }
        chosen = selection.choose(
            fresh,
            selection.Rules(
                keep=options.keep,
                min_confidence=options.min_confidence,
                captions=options.captions_per_image,
                caption_share=options.max_caption_share,
                ngram_share=options.max_ngram_share,
            ),
            words,
            (tuple(caption) for captions in human for caption in captions),
        )
        books = {"listed": len(rows), **chosen.books, "known": len(rows) - len(fresh)}
        if books["listed"] != sum(count for name, count in books.items() if name != "listed"):
            raise JobError(f"{folder}: the books of images do not balance: {books}")
        if not chosen.captions:
            raise UsageError(
                "no generated caption is worth keeping (images:"
                f" {selection.in_words(books)}): {selection.remedy(books)}"
            )
        _say(f"round {number}: images: {selection.in_words(books)}")
        _say(f"round {number}: {_commonest(chosen.captions)}")
        facts = {
            "weight": options.weight,
            "round": number,
            "captioner": captioner.digest(captioner.read_manifest(teacher)),
            "labelled": self._labelled.digest,
            "unlabelled": self._unlabelled.digest,
            "books": books,
            "rules": {
                name: getattr(options, name)
                for name in (
                    "keep",
                    "min_confidence",
                    "captions_per_image",
                    "max_caption_share",
                    "max_ngram_share",
                    "hypotheses",
                    "samples",
                    "sampling_seed",
                )
            },
        }
        return mixing.write(output, self._labelled, self._unlabelled, chosen.captions, facts, keys)


def _result(folder: str, data: Dataset | None) -> dict[str, Any]:
    manifest = captioner.read_manifest(folder)
    result: dict[str, Any] = {
        "captioner": folder,
        "scores": manifest["metrics"]["scores"],
        "images": 0,
    }
    if data is not None:
        result["trained_on"] = {
            "images": data.images("train"),
            "captions": data.captions("train"),
            "generated": data.manifest["generated"],
        }
    return result


def _commonest(chosen: mixing.Chosen) -> str:
    """Tell how varied the captions are."""
    counts = Counter(caption.text for captions in chosen.values() for caption in captions)
    (text, count), *_ = counts.most_common(1)
    return (
        f"{sum(counts.values()):,} captions, {len(counts):,} different ones; the commonest, of"
        f" {count:,} images: {text}"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr)
