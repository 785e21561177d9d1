import pytest

from trainer.configuration import Configuration
from trainer.presets import PRESETS, resolve
from transforms.errors import UsageError

GRID = (7, 7, 1280)


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
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy(changes, shape, message):
    with pytest.raises(UsageError, match=message):
        Configuration(**changes).check(shape)


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
