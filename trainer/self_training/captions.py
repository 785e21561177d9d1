"""The captions that a round chooses from and compares with: a teacher's, and people's."""

from trainer.progress import Rate
from trainer.self_training import candidates
from trainer.self_training.command import Options
from trainer.teacher import Teacher
from transforms import files
from transforms.dataset import Dataset
from transforms.splits import SPLITS
from transforms.text import tokenize

Words = list[str]


def human(labelled: Dataset) -> tuple[list[list[Words]], set[str], set[str]]:
    """Return what people said, and of which images.

    Returns:
        For each image of train the words of its captions, then the keys and the digests of the
        images of all splits.
    """
    captions, keys, known = [], set(), set()
    for split in SPLITS:
        for record in labelled.records(split):
            keys.add(record.key)
            known.add(record.sha256)
            if split == "train" and not record.view:
                captions.append([words(each, labelled) for each in record.captions])
    return captions, keys, known


def words(caption: str, dataset: Dataset) -> Words:
    """Return a caption's words as a data set divides them."""
    return tokenize(caption, dataset.text["tokenizer"])


def generated(
    teacher: str,
    folder: str,
    options: Options,
    number: int,
    labelled: Dataset,
    unlabelled: Dataset,
    context: list[list[Words]],
) -> list[candidates.Candidates]:
    """Let a captioner caption all unlabelled images, file by file; what is done is read.

    Args:
        teacher: folder of the captioner.
        folder: for the captions, a file of them for each of the data set's.
        options: of the run.
        number: of the round.
        labelled: people's captions.
        unlabelled: the images, in its split train.
        context: words of captions by people; see `candidates.Writer`.
    """
    writer: candidates.Writer | None = None
    progress = Rate(f"round {number}: captioned", unlabelled.images("train"))
    rows: list[candidates.Candidates] = []
    for part, path in enumerate(unlabelled.files("train")):
        name = path.rsplit("/", 1)[-1].removesuffix(".tfrecord")
        place = files.join(folder, f"{name}.jsonl")
        done = files.exists(place)
        if not done:
            if writer is None:
                writer = candidates.Writer(
                    Teacher(teacher, unlabelled),
                    unlabelled,
                    context,
                    hypotheses=options.hypotheses,
                    samples=options.samples,
                    max_length=labelled.text["max_length"],
                    seed=options.sampling_seed + number,
                )
            # Views have the captions of the image that they are of.
            records = [record for record in unlabelled.file_records(path) if not record.view]
            candidates.save(place, writer.write(records, part, progress.add))
        found = list(candidates.load(place))
        if done:
            progress.skip(len(found))
        rows.extend(found)
    return rows
