"""Recipes by name: each sets defaults of flags, and an explicit flag wins.

The numbers that each reached are in docs/results.md.
"""

from collections.abc import Mapping
from typing import Any

from trainer.configuration import Configuration

# The plain models of the two articles: no attention, no label smoothing, no averaging.
_PLAIN: dict[str, Any] = {
    "attention": "none",
    "hidden": 0,
    "label_smoothing": 0.0,
    "averaging": 0.0,
    "warmup_steps": 0,
    "schedule": "decay",
}

PRESETS: dict[str, dict[str, Any]] = {
    # An LSTM that looks at the grid; the defaults.
    "attention-lstm": {},
    # Recipes for Flickr8k; the scores are dev CIDEr, the times those of two quiet cores.
    #
    # fast    0.51 in 9 minutes, with the data set that preprocess makes by itself. Little dropout:
    #         six passes are too few to learn by heart.
    "fast": {"batch_images": 32, "epochs": 6, "dropout": 0.2, "feature_dropout": 0.1},
    # frozen  0.51 in 25 minutes, on the same data set as `fast`: the defaults, under a name that
    #         stays when they change.
    "frozen": {},
    # best    0.58 in some 70 minutes, with preprocess --encoder=efficientnet-lite2
    #         --views=flip,crop: fewer epochs, as each is a pass over three views. 0.565 by a beam.
    "best": {"epochs": 10, "search": "consensus", "beam_width": 10},
    # The first article: convolutions 32-64-128 trained from the pixels with the decoder,
    # Embedding 128, LSTM 128, softmax. For data sets made with --encoder=none.
    "seed-lstm": {
        **_PLAIN,
        "decoder": "lstm",
        "units": 128,
        "embedding": 128,
        "convolutions": (32, 64, 128),
        "dropout": 0.3,
        "feature_dropout": 0.0,
    },
    # The second article: a GRU of 256 on a CNN's pooled features.
    "seed-gru": {
        **_PLAIN,
        "decoder": "gru",
        "units": 256,
        "embedding": 256,
        "dropout": 0.5,
        "feature_dropout": 0.5,
    },
}

DEFAULT = "attention-lstm"
# For --help; what each needs is in docs/training.md.
ABOUT = {
    "attention-lstm": "an LSTM that looks at the grid, the defaults of all flags",
    "fast": "the same in fewer passes, with little dropout",
    "frozen": "the recipe of docs/results.md for the data set that preprocess makes by itself",
    "best": "the recipe for a data set of efficientnet-lite2 with --views=flip,crop, its captions"
    " searched by consensus",
    "seed-lstm": "a small LSTM and convolutions trained from the pixels, for --encoder=none",
    "seed-gru": "a small GRU without attention",
}


def described() -> str:
    """Return a clause on each preset, for people."""
    return "; ".join(
        f"{name}{', the default' if name == DEFAULT else ''}: {about}"
        for name, about in ABOUT.items()
    )


def resolve(preset: str, explicit: Mapping[str, Any]) -> Configuration:
    """Return the configuration of a preset with explicit flags on top."""
    return Configuration(**{**PRESETS[preset], **explicit})
