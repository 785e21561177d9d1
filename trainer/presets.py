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
    "epochs": 15,
    "batch_images": 64,
    "learning_rate": 1e-3,
    "warmup_steps": 0,
    "schedule": "decay",
}

PRESETS: dict[str, dict[str, Any]] = {
    # An LSTM that looks at the grid; the defaults.
    "attention-lstm": {},
    # Recipes for Flickr8k; the scores are dev CIDEr, the times those of two quiet cores.
    #
    # fast    0.52 in 6 minutes, with the data set that preprocess makes by itself. Little dropout:
    #         four passes are too few to learn by heart.
    "fast": {
        "epochs": 4,
        "batch_images": 32,
        "learning_rate": 2e-3,
        "dropout": 0.2,
        "feature_dropout": 0.1,
    },
    # frozen  0.53 in 12 minutes, on the same data set as `fast`: the defaults, under a name that
    #         stays when they change.
    "frozen": {
        "epochs": 8,
        "batch_images": 32,
        "learning_rate": 2e-3,
        "dropout": 0.4,
        "feature_dropout": 0.2,
    },
    # best    0.58 in some 70 minutes, with preprocess --encoder=efficientnet-lite2
    #         --views=flip,crop; 0.565 by a beam. Slower and with more dropout: with a higher rate
    #         or less dropout it learns by heart before it has seen the views often enough.
    "best": {
        "epochs": 10,
        "batch_images": 64,
        "learning_rate": 1e-3,
        "dropout": 0.5,
        "feature_dropout": 0.3,
        "search": "consensus",
        "beam_width": 10,
    },
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


def resolve(
    preset: str, explicit: Mapping[str, Any], known: Mapping[str, Any] | None = None
) -> Configuration:
    """Return the configuration of a preset with explicit flags on top.

    Args:
        preset: its name.
        explicit: fields that were given.
        known: fields that come before the preset's; see `runs.decoder_settings`.
    """
    return Configuration(**{**PRESETS[preset], **(known or {}), **explicit})
