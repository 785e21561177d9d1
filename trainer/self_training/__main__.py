"""Train a captioner on people's captions and on its teacher's captions of other images.

    python -m trainer.self_training --dataset=labelled --unlabelled=images --output=out

The same command continues a run that was killed, to the same result.
"""

import dataclasses
import os
import sys
from collections.abc import Sequence
from typing import Any

from trainer.self_training import command
from transforms import commandline, tensorflow_start
from transforms.commandline import Exit
from transforms.dataset import open_dataset
from transforms.errors import UsageError


def main(argv: Sequence[str] | None = None) -> Exit:
    """Run the command.

    Raises:
        UsageError: wrong flags or input, before work starts.
    """
    parsed = vars(commandline.parse_strictly(command.parser(), argv))
    options, explicit = command.split(parsed)
    options = dataclasses.replace(options, output=options.output.rstrip("/"))
    if os.environ.get("TF_CONFIG"):
        # TensorFlow joins machines before it does anything else, and a teacher captions first.
        raise UsageError(
            "self-training runs on one machine, and the environment variable TF_CONFIG names a"
            " cluster: begin the command with env -u TF_CONFIG"
        )
    labelled, unlabelled = open_dataset(options.dataset), open_dataset(options.unlabelled)
    tensorflow_start.start()
    from trainer.self_training import rounds

    run = rounds.Run(options, explicit, labelled, unlabelled)
    results = run.run()
    for result in results:
        print(_row(result), file=sys.stderr)
    return Exit.DONE


def _row(result: dict[str, Any]) -> str:
    images = f", {result['images']:,} images captioned by it" if result["images"] else ""
    return f"{result['captioner']}: dev CIDEr {result['scores']['CIDEr']:.4f}{images}"


if __name__ == "__main__":
    commandline.run(main)
