import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer import command_line, task, tune
from trainer.command_line import refuse_idle
from trainer.configuration import Configuration
from trainer.presets import ABOUT, PRESETS, resolve
from transforms.errors import UsageError

GRID = (7, 7, 1280)
# What has no effect without something else.
SELF_CRITICAL = {
    *("scst_learning_rate", "scst_schedule", "scst_samples", "scst_baseline", "scst_temperature"),
    *("scst_dropout", "scst_cross_entropy", "scst_finetune"),
}
CUT = {"cnn_learning_rate", "finetune_from_epoch", "scst_finetune"}
TRANSFORMER = {"heads", "feed_forward"}
SUPERVISED = {
    *("learning_rate", "schedule", "warmup_steps", "word_dropout", "scheduled_sampling"),
    "teachers",
}
DROPOUT = {"dropout", "feature_dropout", "recurrent_dropout", "variational_dropout"}


@pytest.mark.parametrize(
    ("changes", "shape", "message"),
    [
        ({"attention": "soft"}, (1280,), "--features=grid"),
        ({"attention": "soft", "inject": "merge"}, GRID, "--attention=none"),
        ({}, None, "--preset=seed-lstm"),
        ({"convolutions": (8,)}, GRID, "--encoder=none"),
        ({"convolutions": (8, 8, 8), "pixels": 7}, None, "raise --pixels"),
        ({"residual": True}, GRID, "--layers=2"),
        ({"decoder": "topdown", "attention": "none"}, (1280,), "--attention=soft"),
        ({"decoder": "topdown", "inject": "merge"}, GRID, "--inject=init or par"),
        ({"decoder": "topdown", "layers": 2}, GRID, "leave out --layers"),
        ({"decoder": "transformer", "attention": "adaptive"}, GRID, "--attention=soft"),
        ({"decoder": "transformer", "inject": "par"}, GRID, "leave out --inject"),
        ({"decoder": "transformer", "heads": 7}, GRID, "--heads=7 does not divide"),
        ({"decoder": "transformer", "normalization": "layer"}, GRID, "leave out"),
        ({"decoder": "transformer", "recurrent_dropout": 0.1}, GRID, "use --dropout"),
        ({"tie": True, "hidden": 512, "embedding": 256}, GRID, "--hidden=256"),
        ({"tie": True, "hidden": 0, "embedding": 512}, GRID, "--hidden=512"),
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy(changes, shape, message):
    with pytest.raises(UsageError, match=message):
        Configuration(**changes).check(shape)


@pytest.mark.parametrize(
    ("decoder", "changes", "depth"),
    [
        ("lstm", {}, 24),
        ("gru", {"attention": "adaptive", "layers": 2}, 24),
        ("gru", {"attention": "none", "inject": "merge"}, 24),
        ("lstm", {"attention": "none", "inject": "par"}, 12),
        ("topdown", {}, 12),
        ("transformer", {}, 12),
    ],
)
def test_tied_words_are_as_wide_as_the_decoder_s_end(decoder, changes, depth):
    changes = {"decoder": decoder, "tie": True, "hidden": 0, **changes}
    model = toy.captioner(**changes, embedding=depth)
    model.configuration.check(toy.GRID)
    memory = model.prepare(toy.features(2))
    state = tf.nest.map_structure(lambda values: values[:, None], model.initial_state(memory))
    logits = model.step(tf.ones([2, 1], tf.int32), state, memory).logits
    assert logits.shape == (2, 1, toy.VOCABULARY)
    with pytest.raises(UsageError, match=f"--hidden={36 - depth}"):
        toy.configuration(**changes, embedding=36 - depth).check(toy.GRID)


@pytest.mark.parametrize(
    ("changes", "cut", "idle"),
    [
        ({}, True, {*SELF_CRITICAL, "pixels", *TRANSFORMER}),
        ({}, False, {*SELF_CRITICAL, "pixels", *TRANSFORMER, *CUT}),
        ({"scst_epochs": 1}, True, {"pixels", *TRANSFORMER}),
        ({"scst_epochs": 1}, False, {"pixels", *TRANSFORMER, *CUT}),
        (
            {"scst_epochs": 1, "cnn_learning_rate": 0.0},
            True,
            {"pixels", *TRANSFORMER, "finetune_from_epoch", "scst_finetune"},
        ),
        ({"scst_epochs": 1, "convolutions": (8,)}, False, {*TRANSFORMER, *CUT}),
        (
            {"scst_epochs": 1, "epochs": 0, "start_from": "x"},
            False,
            {"pixels", *TRANSFORMER, *CUT, *SUPERVISED, "label_smoothing", *DROPOUT},
        ),
        (
            {"scst_epochs": 1, "epochs": 0, "scst_dropout": 1.0, "scst_cross_entropy": 0.5},
            False,
            {"pixels", *TRANSFORMER, *CUT, *SUPERVISED},
        ),
        ({"scst_epochs": 1, "decoder": "transformer"}, True, {"pixels", "attention_units"}),
        ({"scst_epochs": 1, "teachers": ("x",)}, True, {"pixels", *TRANSFORMER}),
        (
            {"scst_epochs": 1, "attention": "none"},
            True,
            {"pixels", *TRANSFORMER, "attention_units"},
        ),
        ({"scst_epochs": 1, "attention": "adaptive"}, True, {"pixels", *TRANSFORMER}),
        (
            {"scst_epochs": 1, "epochs": 2, "cnn_learning_rate": 0.3},
            True,
            {"pixels", *TRANSFORMER, "cnn_learning_rate"},
        ),
        (
            {"scst_epochs": 1, "epochs": 2, "cnn_learning_rate": 0.3, "scst_finetune": True},
            True,
            {"pixels", *TRANSFORMER},
        ),
        (
            {"scst_epochs": 1, "epochs": 2, "finetune_from_epoch": 3},
            True,
            {"pixels", *TRANSFORMER, "cnn_learning_rate", "scst_finetune"},
        ),
        (
            {"scst_epochs": 1, "finetune_from_epoch": 15, "cnn_learning_rate": 0.0},
            True,
            {"pixels", *TRANSFORMER, "finetune_from_epoch", "scst_finetune"},
        ),
        (
            {"scst_epochs": 1, "dropout": 0.0},
            True,
            {"pixels", *TRANSFORMER, "variational_dropout"},
        ),
        (
            {"scst_epochs": 1, "dropout": 0.0, "feature_dropout": 0.0},
            True,
            {"pixels", *TRANSFORMER, "variational_dropout", "scst_dropout"},
        ),
        (
            {
                **{"scst_epochs": 1, "dropout": 0.0, "feature_dropout": 0.0},
                "recurrent_dropout": 0.1,
            },
            True,
            {"pixels", *TRANSFORMER, "variational_dropout"},
        ),
        (
            # Batches are normalised otherwise where there is dropout, even of nothing.
            {
                **{"scst_epochs": 1, "dropout": 0.0, "feature_dropout": 0.0},
                "normalization": "batch",
            },
            True,
            {"pixels", *TRANSFORMER, "variational_dropout"},
        ),
    ],
)
def test_flags_without_effect_are_refused_where_they_were_given(changes, cut, idle):
    configuration = Configuration(**changes)
    if not configuration.teachers:
        idle = {*idle, "distillation", "mixup"}
    assert configuration.idle(cut).keys() == idle
    for name in configuration.to_dict():
        if name in idle:
            with pytest.raises(UsageError, match=f"--{name} is for .*: leave it out"):
                refuse_idle(["units", name], configuration.idle(cut))
        else:
            refuse_idle(["units", name], configuration.idle(cut))
    # What a command line is written with is taken again.
    written = command_line.flags(Configuration(**dict.fromkeys(idle, 7) | changes), cut)
    assert not idle & {flag.split("=")[0].removeprefix("--") for flag in written}


def test_each_preset_works_with_the_data_set_it_is_for():
    recipes = dict.fromkeys(("attention-lstm", "fast", "frozen", "best"), GRID)
    shapes = {**recipes, "seed-gru": (1280,), "seed-lstm": None}
    assert shapes.keys() == PRESETS.keys()
    for name, shape in shapes.items():
        resolve(name, {}).check(shape)


def test_an_explicit_flag_wins_over_the_preset():
    assert resolve("seed-gru", {"units": 7}) == resolve("seed-gru", {}).__class__(
        **{**PRESETS["seed-gru"], "units": 7}
    )
    assert resolve("seed-gru", {}).units == 256


def test_survives_json_and_refuses_what_it_does_not_know():
    configuration = resolve("seed-lstm", {})
    assert Configuration.from_dict(configuration.to_dict()) == configuration
    with pytest.raises(UsageError, match="sparkle"):
        Configuration.from_dict({"sparkle": 1})


@pytest.mark.parametrize("parser", [task.parser(), tune.parser()], ids=lambda each: each.prog)
def test_help_says_what_each_preset_is(parser):
    assert ABOUT.keys() == PRESETS.keys()
    shown = " ".join(parser.format_help().split())
    assert "attention-lstm, the default: an LSTM" in shown
    for name, about in ABOUT.items():
        assert about in shown and f" {name}" in shown
