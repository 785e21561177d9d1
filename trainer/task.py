"""Train a captioner on a data set.

    python -m trainer.task --dataset=dataset --output=captioner

The same command continues a training that was killed, to the same result.
"""

import sys
from collections.abc import Sequence
from typing import Any

from trainer import command_line, presets, runs
from trainer.checkpoint import CHECKPOINT
from trainer.configuration import Configuration
from transforms import captioner, commandline, files, tensorflow_start
from transforms.commandline import Exit
from transforms.dataset import Dataset, open_dataset
from transforms.engines import onnx_files
from transforms.errors import UsageError


def parser() -> commandline.Parser:
    """Return the command line of the trainer."""
    result = commandline.Parser(
        prog="python -m trainer.task", description="Train a captioner on a data set."
    )
    result.add_argument(
        "--dataset", type=files.expanded, required=True, help="folder that preprocessing wrote"
    )
    result.add_argument(
        "--output", type=files.expanded, required=True, help="folder of the captioner to write"
    )
    result.add_argument(
        "--preset",
        choices=sorted(presets.PRESETS),
        default=presets.DEFAULT,
        help=f"recipe whose values hold where a flag is not given. {presets.described()}",
    )
    result.add_argument(
        "--max_minutes",
        type=commandline.positive_amount,
        help="train no epoch that would end after these minutes",
    )
    result.add_argument(
        "--strategy",
        choices=("auto", "none", "mirrored", "multi_worker"),
        default="auto",
        help="train on one device, on all GPUs, or on several machines (by TF_CONFIG)",
    )
    result.add_argument(
        "--onnx",
        action="store_true",
        help="write ONNX files too, so that captioning with OpenVINO or ONNX Runtime need not make"
        " them at its first use; also for a captioner that is there already",
    )
    result.add_argument("--license", default="", help="licence of the captioner, for its card")
    result.add_argument(
        "--data_note", default="", help="Markdown about the data and its terms, for the card"
    )
    command_line.add_flags(result)
    return result


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the command.

    Raises:
        UsageError: wrong flags or input, before work starts.
    """
    explicit = vars(commandline.parse_strictly(parser(), argv))
    source, output = explicit.pop("dataset"), explicit.pop("output").rstrip("/")
    strategy = explicit.pop("strategy")
    preset, max_minutes = explicit.pop("preset"), explicit.pop("max_minutes")
    onnx = explicit.pop("onnx")
    licence, data_note = explicit.pop("license"), explicit.pop("data_note")
    start = explicit.get("start_from", "")
    resolved = presets.resolve(preset, explicit, runs.decoder_settings(start, output))
    dataset = open_dataset(source)
    resolved.check(dataset.grid_shape)
    command_line.refuse_idle(explicit, resolved.idle(dataset.cut))
    check_splits(dataset)
    check_references(dataset, resolved)
    if onnx:
        onnx_files.check_installed()
    tensorflow_start.start()
    from trainer import distillation, distribution, examples, export, fit, warm_start, word_vectors

    examples.check_readable(dataset.folder)
    replicas = distribution.start(strategy)
    if not replicas.chief:
        if not runs.finished(output):
            fit.fit(dataset, resolved, files.join(output, runs.WORKING), max_minutes, replicas)
        return Exit.DONE
    # What the export needs is better missed before the training than after it.
    export.load_encoder(dataset)
    captioners: dict[str, Any] = {}
    if not runs.finished(output):
        # The claim has the names in it: a wrong one would refuse the right one.
        word_vectors.check(resolved, dataset.vocabulary.tokens)
        captioners = {
            "start_from": warm_start.check(resolved, dataset),
            "teachers": distillation.check(resolved, dataset),
        }
        captioners = {flag: digests for flag, digests in captioners.items() if digests}
    if runs.claim(output, runs.identity(resolved, dataset, captioners)):
        late = {"max_minutes": max_minutes, "license": licence, "data_note": data_note}
        given = ", ".join(f"--{name}" for name, value in late.items() if value)
        unused = f"; not used any more: {given}" if given else ""
        print(f"{output}: already trained{unused}", file=sys.stderr)
        if onnx and not onnx_files.exported_with(captioner.read_manifest(output)):
            export.add_onnx(output)
        return Exit.DONE
    working = files.join(output, runs.WORKING)
    fitted = fit.fit(dataset, resolved, working, max_minutes, replicas)
    export.export(
        output,
        model=fitted.captioner,
        dataset=dataset,
        configuration=resolved,
        metrics=fitted.metrics,
        history=fitted.state.history,
        seconds=fitted.state.seconds,
        captioners=captioners,
        flags={"preset": preset, "max_minutes": max_minutes} | ({"onnx": True} if onnx else {}),
        license=licence,
        data_note=data_note,
        examples=fitted.examples,
    )
    files.delete(files.join(working, CHECKPOINT))
    if onnx:
        export.add_onnx(output)
    print(f"{output}: dev CIDEr {fitted.metrics['scores']['CIDEr']:.4f}", file=sys.stderr)
    return Exit.DONE


def check_splits(dataset: Dataset, splits: Sequence[str] = ("train", "dev")) -> None:
    """Raise UsageError where there is nothing to train on or to select by."""
    for split in splits:
        if not dataset.captions(split):
            raise UsageError(
                f"{dataset.folder}: the split {split} has no captioned images, and training needs"
                " them: preprocess more images, or other lists of the splits"
            )
    if "dev" in splits and dataset.images("dev") < 2:
        raise UsageError(
            f"{dataset.folder}: the split dev has one image, and the CIDEr of one is 0 whatever is"
            " said of it, so that no epoch would be better than another: preprocess more images,"
            " or other lists of the splits"
        )


def check_references(dataset: Dataset, resolved: Configuration) -> None:
    """Raise UsageError where a captioner would be rewarded for saying what another one said."""
    if resolved.scst_epochs and dataset.manifest.get("generated"):
        raise UsageError(
            f"{dataset.folder}: it has captions that a captioner wrote, and self-critical training"
            " wants people's alone: add --scst_epochs=0"
        )


if __name__ == "__main__":
    commandline.run(main)
