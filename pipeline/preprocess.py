"""Turn images and captions into a data set of CNN features and token ids.

python -m pipeline.preprocess --runner=DirectRunner
python -m pipeline.preprocess --images=photos --captions=captions.csv --output=dataset
"""

import argparse
import itertools
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from pipeline.common import options as flags
from pipeline.common import refusals
from pipeline.common.performance import Performance, workers
from pipeline.preprocessing.settings import Settings
from transforms import files
from transforms.commandline import Exit, Parser, count, fraction, positive, run
from transforms.errors import UsageError
from transforms.files import absolute, expanded
from transforms.splits import SPLITS
from transforms.stored import Stored

PROG = "python -m pipeline.preprocess"
SAMPLE = "out/sample"
DEFAULT_OUTPUT = "out/dataset"
AUTO = "auto"
FOLDERS = "folders"
NONE = "none"
IMAGENET = "imagenet"
IMAGE_SIZE = 224


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the job; returns its exit status.

    Raises:
        UsageError: wrong input, found before or by the plan.
        JobError: the job failed.
    """
    parser = build_parser()
    options, beam_options = flags.parse(parser, argv)
    with refusals.told("preprocess", options):
        settings = resolve(options)
    performance = Performance(options.readers, options.image_seconds, workers(beam_options))

    from pipeline.common import launch
    from pipeline.preprocessing import job
    from transforms import dataset

    return launch.start(
        launch.Job("preprocess", settings.output, settings.configuration(), dataset.MANIFEST),
        lambda pipeline, hold: job.build(pipeline, settings, performance, hold),
        lambda pipeline, path: job.build_dry_run(pipeline, settings, performance, path),
        options,
        beam_options,
    )


def build_parser() -> Parser:
    """Return the parser of the command's own flags."""
    parser = flags.job_parser(
        PROG,
        "Turn images and captions, or without --images the built-in sample, into a data set.",
        overwrite="replace a data set of another configuration",
    )
    parser.set_defaults(output=DEFAULT_OUTPUT)
    inputs = parser.add_argument_group("input")
    inputs.add_argument(
        "--captions",
        type=expanded,
        action="append",
        help="caption file; may be repeated; none for images alone, which"
        " trainer.self_training captions",
    )
    inputs.add_argument(
        "--captions_format",
        default=AUTO,
        help="auto, flickr, coco, karpathy, csv, tsv, jsonl, parquet, hf, or folders"
        " (the folder's name is the caption)",
    )
    split = parser.add_argument_group("splits")
    for name in SPLITS:
        split.add_argument(
            f"--{name}_list", type=expanded, help=f"file with the names of the {name} images"
        )
    split.add_argument(
        "--dev_fraction", type=fraction, default=0.1, help="share whose hash puts it in dev"
    )
    split.add_argument(
        "--test_fraction", type=fraction, default=0.1, help="share whose hash puts it in test"
    )
    split.add_argument("--seed", type=count, default=0, help="of the division and of drawn weights")
    words = parser.add_argument_group("text")
    words.add_argument(
        "--tokenizer",
        choices=(AUTO, "words", "jieba", "characters"),
        default=AUTO,
        help="auto chooses by the script of the captions",
    )
    words.add_argument(
        "--min_count", type=positive, default=5, help="times a word must occur in train"
    )
    words.add_argument(
        "--max_words",
        type=positive,
        default=20000,
        help="words that the vocabulary has at most, the commonest in train, beside its four"
        " reserved tokens",
    )
    words.add_argument("--max_length", type=positive, default=20, help="words of a caption kept")
    encoder = parser.add_argument_group("encoder")
    encoder.add_argument(
        "--encoder",
        type=_encoder_path,
        default="efficientnet-lite0",
        help="efficientnet-lite0, -lite1, -lite2, a name of keras.applications, a .keras file,"
        " hub: and a preset of keras-hub or the folder of one, or none to store images",
    )
    encoder.add_argument(
        "--encoder_weights", type=expanded, default=IMAGENET, help="imagenet, none, or a file"
    )
    encoder.add_argument(
        "--features",
        default="grid",
        help="grid for the last map of the CNN, pooled for its mean, or a layer such as block10"
        " of efficientnet-lite0 for the map there: the trainer can then fine-tune what is above",
    )
    encoder.add_argument(
        "--views",
        action="append",
        help="flip, crop, crop2 ...: more views of each training image to store, separated by"
        " commas; may be repeated",
    )
    encoder.add_argument(
        "--stored_like",
        type=expanded,
        metavar="FOLDER",
        help="a data set or captioner of small JPEGs: images of other sizes are scaled and"
        " compressed as its own were before they are encoded",
    )
    encoder.add_argument(
        "--dtype", choices=("float16", "float32"), default="float16", help="of the features"
    )
    encoder.add_argument(
        "--image_size",
        type=positive,
        default=IMAGE_SIZE,
        help="side of images stored by --encoder=none",
    )
    return parser


def resolve(options: argparse.Namespace) -> Settings:
    """Check every flag against the world and return what the job is to do.

    Raises:
        UsageError: the first thing that is wrong.
    """
    from transforms import annotations, encoders, sources, views

    use_sample(options)
    alone = options.captions == [NONE]
    if alone:
        # Nothing is held out of what has no captions.
        options.captions, options.captions_format = None, NONE
        options.dev_fraction = options.test_fraction = 0.0
    elif options.captions_format not in (AUTO, *annotations.FORMATS):
        raise UsageError(
            f"--captions_format={options.captions_format}: use auto or one of"
            f" {', '.join(annotations.FORMATS)}"
        )
    if options.dev_fraction + options.test_fraction >= 1:
        raise UsageError("--dev_fraction and --test_fraction leave nothing for train; lower them")
    if options.captions_format == FOLDERS and options.captions:
        raise UsageError("--captions_format=folders takes the folders' names: drop --captions")
    if options.captions_format != FOLDERS and not options.captions and not alone:
        raise UsageError(
            "--captions is missing: name the caption file, or give --captions_format=folders, or"
            " --captions=none for images alone"
        )
    if options.encoder != NONE:
        if options.image_size != IMAGE_SIZE:
            raise UsageError(
                f"--image_size={options.image_size} is for --encoder=none; {options.encoder} has a"
                " size of its own: leave it out"
            )
        encoders.check(options.encoder, options.encoder_weights, options.features)
    chosen = tuple(name for names in options.views or () for name in names.split(",") if name)
    views.check(chosen)
    lists = tuple(
        (name, absolute(path)) for name in SPLITS if (path := getattr(options, f"{name}_list"))
    )
    for name, path in lists:
        # To its end, and only for what is wrong with it to be said before work.
        deque(annotations.read_names(files.open_read, path, f"--{name}_list"), maxlen=0)
    images = tuple(absolute(spec) for spec in options.images)
    for spec in images:
        sources.check(spec, "--images")
    captions = tuple(absolute(path) for path in options.captions or ())
    captions_format, tokenizer = _check_captions(options, images, captions)
    return Settings(
        images=images,
        captions=captions,
        captions_format=captions_format,
        lists=lists,
        output=absolute(options.output),
        encoder=_encoder(options.encoder),
        weights=_weights(options.encoder_weights),
        features=options.features,
        views=chosen,
        like=_stored_like(options.stored_like),
        dtype=options.dtype,
        image_size=options.image_size,
        tokenizer=tokenizer,
        min_count=options.min_count,
        max_words=options.max_words,
        max_length=options.max_length,
        dev_fraction=options.dev_fraction,
        test_fraction=options.test_fraction,
        seed=options.seed,
        unit_size=options.unit_size,
        truncated=options.truncated,
        batch_size=options.batch_size,
    )


def _stored_like(folder: str | None) -> Stored | None:
    """Return how the images of a data set, or of a captioner's training, were stored."""
    from transforms import captioner, dataset, stored

    if folder is None:
        return None
    if files.exists(files.join(folder, captioner.MANIFEST)):
        manifest = captioner.read_manifest(folder)
    else:
        manifest = dataset.open_dataset(folder).manifest
    like = stored.of(manifest)
    if like is None:
        raise UsageError(
            f"--stored_like={folder}: its images were not stored in one way that could be"
            " imitated, or are large enough for it not to matter: leave the flag out"
        )
    return like


def _encoder_path(text: str) -> str:
    kind, colon, preset = text.partition(":")
    return f"hub:{expanded(preset)}" if kind == "hub" and colon else expanded(text)


def _encoder(name: str) -> str:
    """Return a specification that means the same on every worker."""
    kind, colon, preset = name.partition(":")
    if kind == "hub" and colon:
        return f"hub:{absolute(preset) if Path(preset).is_dir() else preset}"
    return absolute(name) if name.lower().endswith(".keras") else name.lower()


def _weights(name: str) -> str:
    """Likewise; a file or folder that is called `imagenet` or `none` is not meant."""
    return name if name in (IMAGENET, NONE) else absolute(name)


def use_sample(options: argparse.Namespace) -> None:
    """Draw the built-in sample and point the flags at it, where no images are named."""
    if options.images:
        return
    if options.captions or options.train_list or options.dev_list or options.test_list:
        raise UsageError("--images is missing: name the folder of the images")
    from transforms import sample

    print(f"no --images: drawing the built-in sample into {SAMPLE}", file=sys.stderr)
    sample.write(Path(SAMPLE))
    options.images = [f"{SAMPLE}/images"]
    options.captions = [f"{SAMPLE}/captions.token.txt"]
    for name in SPLITS:
        setattr(options, f"{name}_list", f"{SAMPLE}/{name}.txt")


def _check_captions(
    options: argparse.Namespace, images: tuple[str, ...], captions: tuple[str, ...]
) -> tuple[str, str]:
    """Return the format and the tokenizer, found from the captions where they say `auto`."""
    from transforms import annotations, sources, text

    head: list[str] = []
    formats = set()
    for path in captions:
        name, notes = annotations.check(files.open_read, path, options.captions_format)
        formats.add(name)
        head += [caption for note in notes for caption in note.captions]
    if len(formats) > 1:
        raise UsageError(
            f"--captions: the files are of different formats ({', '.join(sorted(formats))});"
            " give files of one format"
        )
    if options.captions_format == FOLDERS:
        keyed = zip(images, sources.prefixes(images), strict=True)
        refs = (ref for spec, prefix in keyed for ref in sources.list_images(spec, prefix))
        for ref in itertools.islice(refs, 1000):
            note = annotations.from_folders(ref.key)
            head += note.captions if note else ()
        if not head:
            raise UsageError(
                f"--images={' '.join(options.images)}: no image is in a folder whose name could"
                " be its caption; --captions_format=folders needs a folder for each class"
            )
    tokenizer = options.tokenizer
    if tokenizer == AUTO:
        tokenizer = text.choose_tokenizer(head)
    return (formats.pop() if formats else options.captions_format), tokenizer


if __name__ == "__main__":
    run(main)
