"""The flags of the search: what they mean for a captioner, and which are refused."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline import caption
from pipeline.captioning.settings import Settings
from tests import captioners
from transforms import bundled
from transforms.errors import UsageError
from transforms.text import RESERVED


def settings(folder: Path, *more: str) -> Settings:
    (folder.parent / "pictures").mkdir(exist_ok=True)
    (folder.parent / "pictures" / "a.jpg").write_bytes(b"not looked into")
    flags = [f"--images={folder.parent}/pictures", "--output=out", f"--captioner={folder}"]
    return caption.resolve(caption.build_parser().parse_args([*flags, *more]))


def word(text: str) -> int:
    return len(RESERVED) + captioners.WORDS.index(text)


def test_the_captioner_gives_the_defaults(captioner_folder: Path) -> None:
    search = settings(captioner_folder).search
    assert (search.method, search.beam_width, search.length_penalty) == ("beam", 2, 0.7)
    search = settings(captioner_folder, "--search=diverse", "--beam_width=4").search
    assert (search.groups, search.beam_width) == (4, 4)
    search = settings(captioner_folder, "--search=nucleus").search
    assert (search.samples, search.temperature) == (5, 1.0)


def test_the_page_names_a_language_where_it_is_known(
    captioner_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").symlink_to(bundled.FOLDER / "zh")
    chinese = settings(tmp_path / "mine", "--engine=tensorflow")
    assert (chinese.language, settings(captioner_folder).language) == ("zh", "")
    assert "language" not in chinese.configuration()  # It shapes no row.


def test_a_captioner_may_want_another_search(captioner_folder: Path, tmp_path: Path) -> None:
    search = settings(captioner_folder, "--search=consensus").search
    assert (search.beam_width, search.samples, search.temperature) == (10, 60, 0.7)
    assert set(search.identity()) == {
        *("method", "beam_width", "length_penalty", "no_repeat_ngram", "banned", "required"),
        *("samples", "temperature", "seed"),
    }
    other = Path(shutil.copytree(captioner_folder, tmp_path / "other"))
    manifest = json.loads((other / "captioner.json").read_text())
    manifest["configuration"] |= {"search": "consensus", "beam_width": 7}
    (other / "captioner.json").write_text(json.dumps(manifest))
    search = settings(other).search
    assert (search.method, search.beam_width, search.samples) == ("consensus", 7, 60)
    assert settings(other, "--samples=9").search.samples == 9
    assert settings(other, "--search=beam").search.method == "beam"
    with pytest.raises(UsageError, match="--top_p is for --search=nucleus, not for consensus"):
        settings(other, "--top_p=0.5")
    # Older captioners have no frequencies, and say nothing of a search.
    del manifest["files"]["ngrams.txt"], manifest["configuration"]["search"]
    (other / "captioner.json").write_text(json.dumps(manifest))
    assert settings(other).search.method == "beam"
    with pytest.raises(UsageError, match=r"no ngrams\.txt, .* export it again with `python -m tra"):
        settings(other, "--search=consensus")


def test_changed_frequencies_are_refused(captioner_folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(captioner_folder, tmp_path / "other"))
    content = (other / "ngrams.txt").read_bytes()
    (other / "ngrams.txt").write_bytes(content.replace(b"least 8", b"least 4"))
    with pytest.raises(UsageError, match=r"ngrams\.txt is not the file that the manifest names"):
        settings(other, "--search=consensus")


def test_words_come_separated_by_commas_or_from_a_file(
    captioner_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = ((word("box"),), (word("red"), word("ball")))
    said = settings(captioner_folder, "--banned_words=Red ball, box,zebra").search
    assert set(said.banned) == set(expected)
    assert "no caption can have 'zebra' anyway" in capsys.readouterr().err
    (tmp_path / "words.txt").write_text("red ball\n\n BOX\n")
    listed = settings(captioner_folder, f"--required_words={tmp_path}/words.txt")
    assert set(listed.search.required) == set(expected)
    assert listed.configuration()["required_words"] == ("BOX", "red ball")
    json.dumps(listed.configuration())


def test_a_word_is_no_file_though_one_has_its_name(
    captioner_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "box").write_text("red")
    (tmp_path / "ball").mkdir()
    said = settings(captioner_folder.absolute(), "--banned_words=box", "--required_words=ball")
    assert (said.search.banned, said.search.required) == (((word("box"),),), ((word("ball"),),))
    said = settings(captioner_folder.absolute(), "--banned_words=./box")
    assert said.search.banned == ((word("red"),),)
    with pytest.raises(UsageError, match=r"\./ball: a folder: name the file of words in it"):
        settings(captioner_folder.absolute(), "--banned_words=./ball")


def test_only_what_decides_captions_makes_them_anew(captioner_folder: Path) -> None:
    def model(*more: str) -> str:
        return settings(captioner_folder, *more).model()

    assert model() == model("--beam_width=2", "--length_penalty=0.7", "--no_repeat_ngram=0")
    nucleus = model("--search=nucleus")
    assert nucleus == model("--search=nucleus", "--seed=0")
    different = [
        model(),
        nucleus,
        model("--search=nucleus", "--seed=1"),
        model("--search=greedy"),
        model("--search=consensus"),
        model("--search=consensus", "--samples=5"),
        model("--search=consensus", "--temperature=1"),
        model("--search=consensus", "--seed=1"),
        model("--beam_width=3"),
        model("--no_repeat_ngram=2"),
        model("--banned_words=red"),
        model("--required_words=red"),
        model("--details=words"),
        model(f"--captioner={captioner_folder}"),
    ]
    assert len(set(different)) == len(different)
    assert model("--details=words,attention") == model("--details=attention")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--top_p=0.5"], "--top_p is for --search=nucleus, not for beam"),
        (["--search=greedy", "--beam_width=3"], "is for --search=beam, diverse and consensus"),
        (["--search=diverse", "--beam_groups=3", "--beam_width=4"], "a multiple of 3"),
        (["--search=nucleus", "--top_p=0"], "top_p is 0.0"),
        (["--length_penalty=nan"], "length_penalty is nan"),
        (["--search=nucleus", "--required_words=red"], "required words need the search beam"),
        (["--search=consensus", "--required_words=red"], "required words need the search beam"),
        (["--search=consensus", "--top_p=0.5"], "--top_p is for --search=nucleus, not for cons"),
        (["--search=consensus", "--samples=0"], "samples"),
        (["--required_words=zebra"], "does not know 'zebra': choose words of"),
        (["--required_words=a a a a a a a"], "more than the 6 words of a caption"),
        (["--required_words=red box", "--banned_words=box"], "'red box' is in --required_words"),
        (
            ["--required_words=red box,red ball", "--no_repeat_ngram=1"],
            "no caption can have 'red ball' and 'red box' with --no_repeat_ngram=1|"
            "no caption can have 'red box' and 'red ball' with --no_repeat_ngram=1",
        ),
        (["--required_words=!"], "'!' has no words"),
        (["--banned_words=no/where.txt"], "there is no such file of words"),
        (["--details=colour"], "'colour' is none of words, attention"),
    ],
)
def test_what_cannot_be_is_refused_before_work(
    captioner_folder: Path, flags: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        settings(captioner_folder, *flags)


def test_captioners_of_different_words_cannot_work_together(
    captioner_folder: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(captioner_folder, tmp_path / "other"))
    manifest = json.loads((other / "captioner.json").read_text())
    manifest["text"]["digest"] = "0" * 64
    (other / "captioner.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="does not have the vocabulary of"):
        settings(captioner_folder, f"--captioner={other}")


def test_attention_needs_a_captioner_that_attends(captioner_folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(captioner_folder, tmp_path / "other"))
    manifest = json.loads((other / "captioner.json").read_text())
    manifest["configuration"]["attention"] = "none"
    (other / "captioner.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="has no attention"):
        settings(other, "--details=attention")
