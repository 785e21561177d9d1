import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.configuration import Configuration
from trainer.tuning import space
from transforms.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("units:128,256", space.Parameter("units", (128, 256))),
        ("decoder:lstm,gru", space.Parameter("decoder", ("lstm", "gru"))),
        ("residual:true,false", space.Parameter("residual", (True, False))),
        ("convolutions:8-16,32", space.Parameter("convolutions", ((8, 16), (32,)))),
        ("dropout:0.2..0.6", space.Parameter("dropout", low=0.2, high=0.6)),
        ("layers:1..3", space.Parameter("layers", low=1, high=3)),
        (
            "learning_rate:1e-4..3e-3:log",
            space.Parameter("learning_rate", low=1e-4, high=3e-3, log=True),
        ),
        (
            "word_vectors:../a.txt,../b.txt",
            space.Parameter("word_vectors", ("../a.txt", "../b.txt")),
        ),
    ],
)
def test_values_and_ranges_are_those_of_the_setting(text, expected):
    parameter = space.parse(text)
    assert parameter == expected
    assert parameter.whole == isinstance(expected.low, int)


@pytest.mark.parametrize(
    "text",
    [
        "units",
        "units:",
        "unitz:1,2",
        "seed:1,2",
        "start_from:a,b",
        "units:128",
        "units:128,128",
        "units:0,1",
        "units:256..128",
        "dropout:0.2..1.5",
        "dropout:0.2..0.6:lin",
        "feature_dropout:0..0.5:log",
        "decoder:lstm,transducer",
        "decoder:gru..lstm",
        "residual:yes,no",
        "convolutions:8..16",
    ],
)
def test_what_cannot_be_searched_is_named(text):
    with pytest.raises(UsageError, match=f"^--search={text.split(':')[0]}"):
        space.parse(text)


@given(st.text(max_size=30), st.sampled_from(["", "units", "dropout", "decoder", "convolutions"]))
def test_any_text_is_parsed_or_refused(text, name):
    try:
        parameter = space.parse(f"{name}:{text}")
    except UsageError:
        return
    assert len(parameter.values) > 1 or parameter.low < parameter.high


def test_a_flag_and_a_search_do_not_set_the_same():
    with pytest.raises(UsageError, match="units is set twice"):
        space.parse_all(["units:1,2"], ["units"])
    names = [parameter.name for parameter in space.parse_all([], ["units"])]
    assert names == ["layers", "dropout", "learning_rate"]


@pytest.mark.parametrize(
    ("settings", "searched", "layers"),
    [
        ({}, ["units", "layers", "dropout", "learning_rate"], 1),
        ({"decoder": "topdown"}, ["units", "dropout", "learning_rate"], 1),
        ({"residual": True}, ["units", "dropout", "learning_rate"], 2),
    ],
)
def test_what_the_other_settings_cannot_have_is_left_out(settings, searched, layers):
    base, parameters = space.narrowed(
        Configuration(**settings), space.parse_all([], []), feature_shape=(7, 7, 8)
    )
    assert [parameter.name for parameter in parameters] == searched
    assert parameters[0].values == (128, 256, 512)
    assert base.layers == layers


def test_some_of_a_setting_s_values_may_be_left():
    base = Configuration(decoder="transformer", heads=128)
    _, (units,) = space.narrowed(base, [space.parse("units:64,128,256")], (7, 7, 8))
    assert units.values == (128, 256)


def test_nothing_left_to_search_is_refused():
    topdown = Configuration(decoder="topdown")
    with pytest.raises(UsageError, match="nothing is left to search"):
        space.narrowed(topdown, [space.parse("layers:1,2")], (7, 7, 8))
    with pytest.raises(UsageError, match="leave out --layers"):
        space.narrowed(topdown, [space.parse("layers:2,3")], (7, 7, 8))


def test_what_has_an_effect_in_no_trial_is_refused():
    heads = space.parse("heads:1,2")
    transformers = space.parse("decoder:lstm,transformer")
    space.check_useful(Configuration(), [heads, transformers], ["feed_forward"], cut=False)
    with pytest.raises(UsageError, match=r"--search=heads is for --decoder=transformer"):
        space.check_useful(Configuration(), [heads], [], cut=False)
    with pytest.raises(UsageError, match=r"^--feed_forward is for --decoder=transformer"):
        space.check_useful(Configuration(), [space.parse("units:1..9")], ["feed_forward"], False)
    rates = space.parse("cnn_learning_rate:0..1")
    space.check_useful(Configuration(), [rates], ["finetune_from_epoch"], cut=True)
    late = Configuration(finetune_from_epoch=15)
    with pytest.raises(UsageError, match=r"^--cnn_learning_rate is for a --finetune_from_epoch"):
        space.check_useful(late, [space.parse("units:1..9")], ["cnn_learning_rate"], cut=True)
    epochs = space.parse("finetune_from_epoch:7..20")
    space.check_useful(Configuration(), [epochs], ["cnn_learning_rate"], cut=True)
    with pytest.raises(UsageError, match=r"^--search=finetune_from_epoch is for a --finetune_from"):
        space.check_useful(Configuration(), [space.parse("finetune_from_epoch:8..20")], [], True)
    dropout = space.parse("dropout:0,0.1,0.2")
    space.check_useful(Configuration(dropout=0.0), [dropout], ["variational_dropout"], cut=True)
    with pytest.raises(UsageError, match=r"--search=cnn_learning_rate is for data sets"):
        space.check_useful(Configuration(), [rates], [], cut=False)
