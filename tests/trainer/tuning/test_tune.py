"""python -m trainer.tune as its users run it, on a toy."""

import dataclasses
import json
import shlex

import pytest
import tensorflow as tf

from tests.trainer import toy
from trainer import finetuning, task, tune
from trainer.configuration import Configuration
from trainer.model import Captioner
from trainer.presets import DEFAULT, resolve
from trainer.tuning import search
from trainer.tuning.objective import Outcome, Part
from transforms.commandline import Exit
from transforms.errors import JobError, UsageError

SEARCH = ["--search=learning_rate:1e-6,0.03", "--search=units:12..16"]
FLAGS = [
    "--embedding=8",
    "--hidden=16",
    "--attention=none",
    "--decoder=gru",
    "--batch_images=4",
    "--epochs=8",
    "--warmup_steps=1",
    "--averaging=0",
    "--dropout=0",
    "--feature_dropout=0",
    "--folds=2",
    "--trials=2",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy.dataset(tmp_path_factory.mktemp("toy") / "data", train=24).folder


@pytest.fixture(scope="module")
def output(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "out"
    assert tune.main([f"--dataset={data}", f"--output={folder}", *SEARCH, *FLAGS]) is Exit.DONE
    return folder


def trials(folder):
    """Return the journal without times."""
    content = json.loads((folder / "trials.json").read_text())
    for trial in content["trials"]:
        for fold in trial["folds"]:
            del fold["seconds"]
    return content["trials"]


def test_finds_what_is_plainly_better(output, data):
    rates = {trial["settings"]["learning_rate"] for trial in trials(output)}
    assert rates == {1e-6, 0.03}
    best = json.loads((output / "best.json").read_text())
    assert best["settings"]["learning_rate"] == 0.03
    assert 12 <= best["settings"]["units"] <= 16
    assert len(best["folds"]) == 2
    assert best["cider"] == pytest.approx(sum(best["folds"]) / 2)
    others = [t["value"] for t in trials(output) if t["settings"]["learning_rate"] != 0.03]
    assert best["cider"] > max(others) + 0.1


def test_the_command_line_trains_what_was_found(output, data):
    best = json.loads((output / "best.json").read_text())
    program, *flags = shlex.split(best["command"].replace("python -m ", "", 1))
    assert program == "trainer.task"
    parsed = vars(task.parser().parse_args(flags))
    assert parsed["dataset"] == data
    for name, value in best["settings"].items():
        assert parsed[name] == value
    fields = {field.name for field in dataclasses.fields(Configuration)}
    found = resolve(DEFAULT, {name: parsed[name] for name in fields & parsed.keys()})
    assert (found.decoder, found.epochs, found.averaging) == ("gru", 8, 0)


def test_the_page_shows_every_trial_and_escapes(output):
    page = (output / "tuning.html").read_text()
    assert page.count("<circle") == 3 * 2  # The history and two parameters.
    assert "learning_rate" in page
    assert "<script" not in page


def test_a_killed_search_continues_with_the_same_trials(output, data, tmp_path):
    # As a kill within the second fold of the second trial leaves it.
    content = json.loads((output / "trials.json").read_text())
    last = content["trials"][1]
    last |= {"state": "running", "folds": last["folds"][:1], "spread": None, "parameters": None}
    del content["search"]["base"]["xla"]  # An older version did not know it.
    (tmp_path / "trials.json").write_text(json.dumps(content))
    arguments = [f"--dataset={data}", f"--output={tmp_path}", *SEARCH, *FLAGS]
    assert tune.main(arguments) is Exit.DONE
    assert trials(tmp_path) == trials(output)
    with pytest.raises(UsageError, match="another search"):
        tune.main([f"--dataset={data}", f"--output={tmp_path}", *FLAGS])


def test_scores_that_were_taken_otherwise_are_not_mixed(tmp_path, monkeypatch):
    monkeypatch.setattr(search.Search, "run", lambda _: pytest.fail("the search began"))
    data = toy.dataset(tmp_path / "data", train=24, views=("flip",)).folder
    arguments = [f"--dataset={data}", f"--output={tmp_path}/out", *SEARCH, *FLAGS]
    with pytest.raises(pytest.fail.Exception):
        tune.main(arguments)
    # As of a version that judged by views too.
    content = json.loads((tmp_path / "out" / "trials.json").read_text())
    del content["search"]["judged_by"]
    (tmp_path / "out" / "trials.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"another judged_by \(that of an older version, not im"):
        tune.main(arguments)
    # Those of dev were never taken so.
    flags = [flag for flag in FLAGS if not flag.startswith("--folds")]
    with pytest.raises(pytest.fail.Exception):
        tune.main([*arguments[:1], f"--output={tmp_path}/dev", "--validation=dev", *SEARCH, *flags])
    assert "judged_by" not in (tmp_path / "dev" / "trials.json").read_text()


def test_settings_that_do_not_go_together_are_told_and_not_trained(data, tmp_path, capsys):
    arguments = [f"--dataset={data}", f"--output={tmp_path / 'out'}", "--search=layers:1,2"]
    flags = ["--validation=dev", "--trials=3", "--epochs=1", "--inject=merge", "--attention=soft"]
    with pytest.raises(UsageError, match=r"no configuration could be judged: --inject=merge"):
        tune.main([*arguments, *flags])
    assert "refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [JobError("the loss is nan"), tf.errors.ResourceExhaustedError(None, None, "out\nof memory")],
)
def test_a_trial_that_fails_is_told_and_the_search_goes_on(
    data, tmp_path, capsys, monkeypatch, error
):
    def fit(self, configuration, folder, report):
        report(0.5)
        if configuration.units == 13:
            raise error
        return Outcome(best=0.5, epoch=1, seconds=1.0, parameters=9)

    monkeypatch.setattr(Part, "fit", fit)
    flags = ["--search=units:13,14", "--validation=dev", "--trials=4"]
    assert tune.main([f"--dataset={data}", f"--output={tmp_path}", *flags]) is Exit.DONE
    found = trials(tmp_path)
    assert {(t["settings"]["units"], t["state"], t["value"]) for t in found} == {
        (13, "refused", None),
        (14, "complete", 0.5),
    }
    (message,) = {trial["message"] for trial in found if trial["state"] == "refused"}
    assert f"refused ({message})" in capsys.readouterr().err
    assert message in (tmp_path / "tuning.html").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--folds=1"], "--validation=dev"),
        (["--folds=24"], "too few for 24 folds"),
        (["--search_seed=2147483648"], "is not below 2147483648"),
        (["--search=unitz:1,2"], "--search=unitz"),
        (["--trails=3"], "did you mean --trials"),
        (["--decoder=topdown", "--attention=none"], "built around its attention"),
        (["--heads=2"], "--heads is for --decoder=transformer"),
        (["--word_vectors=typo.txt"], "--word_vectors=typo.txt: No such file"),
        (["--search=word_vectors:,typo.txt"], "--word_vectors=typo.txt: No such file"),
        (["--word_vectors=any.txt", "--search=embedding:8,16"], "leave it out of the search"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_written(data, tmp_path, flags, message):
    output = tmp_path / "out"
    with pytest.raises(UsageError, match=message):
        tune.main([f"--dataset={data}", f"--output={output}", *flags])
    assert not output.exists()


def test_trainings_begin_as_those_of_the_trainer_do(tmp_path, capsys):
    """With a CNN's upper blocks, where the data set stores the map below, and word vectors."""
    cut = toy.cut_dataset(tmp_path / "data", train=4, dev=2)
    (tmp_path / "vectors.txt").write_text("red 1 2\nball 3 4\n")
    settings = toy.configuration(
        epochs=1, embedding=2, word_vectors=str(tmp_path / "vectors.txt"), beam_width=1
    )
    outcome = Part(cut, None).fit(settings, str(tmp_path / "working"), lambda score: None)
    rest = finetuning.load_rest(cut)
    whole = Captioner(settings, len(cut.vocabulary), cut.feature_shape, rest)
    assert outcome.parameters == whole.count_params()
    assert "vectors of 2 of 12 words" in capsys.readouterr().err


def test_self_critical_training_on_generated_captions_is_refused(tmp_path):
    data = toy.dataset(tmp_path / "data", train=2, dev=2)
    manifest = data.manifest | {"generated": {"weight": 0.5}}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(manifest))
    flags = [f"--dataset={data.folder}", f"--output={tmp_path / 'out'}", "--validation=dev"]
    with pytest.raises(UsageError, match="add --scst_epochs=0"):
        tune.main([*flags, "--scst_epochs=1"])
    assert not (tmp_path / "out").exists()
