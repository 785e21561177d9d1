"""pipeline.evaluate: from captions and references to a report that tells the truth."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from pipeline import evaluate
from pipeline.evaluating.report import find_images
from tests import data
from tests.pipeline.evaluating.command import ROOT, flags
from transforms import images
from transforms.candidates import Candidate
from transforms.commandline import Exit
from transforms.errors import UsageError


def test_a_report_of_a_captions_directory(world, without_java, capsys):
    assert evaluate.main(flags(world)) == Exit.DONE
    out = capsys.readouterr()
    report = json.loads((world / "report" / "report.json").read_text())
    assert report["format"] == "beamcap.report" and report["version"] == 1
    assert report["counts"] == {
        "captions": 6,
        "images_with_references": 7,
        "evaluated": 6,
        "references": 12,
        "references_without_caption": 1,
    }
    assert report["left_out"] == {"references_without_caption": ["elsewhere.jpg"]}
    assert report["configuration"]["references_format"] == "flickr"
    assert report["configuration"]["tokenizer"] == "words"
    assert list(report["metrics"]) == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"]
    assert report["metrics"].keys() == report["floor"]["metrics"].keys()
    assert report["metrics"]["CIDEr"] > report["floor"]["metrics"]["CIDEr"] > 0
    assert "METEOR is left out" in report["notes"][0]
    read = {"captions": "captions/captions.json", "references": "references.txt"}
    assert report["inputs"] == {
        name: hashlib.sha256((world / path).read_bytes()).hexdigest() for name, path in read.items()
    }
    documented = (ROOT / "docs" / "formats.md").read_text().partition("\n## report/")[2]
    assert all(f"`{name}`" in documented for name in (*report, *report["configuration"]))
    for name, facts in report["files"].items():
        content = (world / "report" / name).read_bytes()
        assert facts == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    each = [json.loads(line) for line in (world / "report/images.jsonl").read_text().splitlines()]
    assert [row["key"] for row in each] == [f"sub/{number}.jpg" for number in range(6)]
    mean = sum(row["cider"] for row in each) / 6
    assert mean == pytest.approx(report["metrics"]["CIDEr"])
    page = (world / "report" / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 6
    assert "A red ball lies." in page and "&lt;b&gt;ball&lt;/b&gt;" in page and "<b>" not in page
    assert "elsewhere.jpg" in page
    assert page.count('lang=""') == 25  # Picture, caption, two references of each; the floor.
    said = " ".join(re.sub("<[^>]*>", " ", page).split())
    for name, score in report["metrics"].items():
        assert f" {name} {score:.3f} {report['floor']['metrics'][name]:.3f} " in said
    # The table on stdout, what was left out on stderr.
    scores = (each["CIDEr"] for each in (report["metrics"], report["floor"]["metrics"]))
    assert "CIDEr   {:10.3f}{:10.3f}\n".format(*scores) in out.out
    assert "images with references, but without a caption: 1 (elsewhere.jpg)" in out.err


def test_a_report_names_the_captions_that_were_judged(world, without_java, monkeypatch):
    table, write = world / "captions" / "captions.json", evaluate.write
    judged = hashlib.sha256(table.read_bytes()).hexdigest()

    def late(*arguments):
        table.write_bytes(table.read_bytes() + b"\n")
        write(*arguments)

    monkeypatch.setattr(evaluate, "write", late)
    evaluate.main(flags(world))
    report = json.loads((world / "report" / "report.json").read_text())
    assert report["inputs"]["captions"] == judged


def test_the_same_inputs_give_the_same_bytes(world, without_java):
    evaluate.main(flags(world))
    before = {path.name: path.read_bytes() for path in (world / "report").iterdir()}
    evaluate.main(flags(world))
    assert {path.name: path.read_bytes() for path in (world / "report").iterdir()} == before


def test_a_file_of_captions_finds_its_pictures_in_a_folder(world, without_java):
    (world / "captions.csv").write_text("image,caption\n0,a red ball\n1,a green ball\n")
    changes = {"captions": world / "captions.csv", "images": world / "photos"}
    assert evaluate.main(flags(world, **changes)) == Exit.DONE
    page = (world / "report" / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2


def test_the_page_shows_each_captions_own_picture(world, without_java):
    for year, level in (("2023", 10), ("2024", 200)):
        for number in range(2):
            path = world / "archive" / year / f"IMG_{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(images.to_jpeg(np.full((30, 40, 3), level + number, np.uint8)))
    own = [f"{world}/archive/2023/IMG_{number}.jpg" for number in range(2)]
    captions = world / "captions.csv"

    def pictures(keys, uris, folder):
        rows = [f"{key},{uri},a ball" for key, uri in zip(keys, uris, strict=True)]
        captions.write_text("\n".join(["image,uri,caption", *rows]))
        references = [f"{key}#0\tA ball." for key in keys if "2024" not in key]
        (world / "references.txt").write_text("\n".join(references))
        changes = {"captions": captions, "images": world / "archive" / folder}
        evaluate.main([*flags(world, **changes), "--overwrite"])
        page = (world / "report" / "report.html").read_text()
        found = re.findall(r'data:image/jpeg;base64,([^"]+)', page)
        return [images.decode(base64.b64decode(each)).pixels.mean() for each in found]

    keys = ["2023/IMG_0.jpg", "2023/IMG_1.jpg"]
    of_2023 = [pytest.approx(10, abs=3), pytest.approx(11, abs=3)]
    assert pictures(keys, ["", ""], "") == of_2023
    assert pictures(keys, [own[0], f"{world}/gone.jpg"], "") == of_2023
    assert pictures(["1.jpg", "0.jpg"], own[::-1], "2024") == pictures(keys, own, "2024") == of_2023
    # A picture that could be another's is not shown.
    assert pictures(["IMG_0.jpg", "IMG_1.jpg"], ["", ""], "") == []
    assert pictures(["2023/IMG_0.jpg", "2024/IMG_0.jpg"], ["", ""], "2024") == []


def test_pictures_that_are_gone_do_not_stop_a_report(world, without_java):
    for path in (world / "photos" / "sub").iterdir():
        path.unlink()
    assert evaluate.main(flags(world)) == Exit.DONE
    assert (world / "report/report.html").read_text().count("could not be read") == 6


def test_a_list_of_keys_decides_what_is_evaluated(world, without_java):
    (world / "keys.txt").write_text("0.jpg\n\nsub/3.jpg\nabsent.jpg\n")
    evaluate.main(flags(world, keys=world / "keys.txt"))
    report = json.loads((world / "report" / "report.json").read_text())
    assert report["counts"]["evaluated"] == 2
    assert report["left_out"]["listed_without_caption"] == ["absent.jpg"]
    assert report["counts"]["captions_not_listed"] == 4
    content = (world / "keys.txt").read_bytes()
    assert report["inputs"]["keys"] == hashlib.sha256(content).hexdigest()


def test_names_in_a_list_are_those_of_caption_files(world, without_java):
    (world / "captions.csv").write_text("image,caption\nsub/0.jpg,a ball\nm\x85n.jpg,a ball\n")
    with (world / "references.txt").open("a") as stream:
        stream.write("\nm\x85n.jpg#0\tA ball.\n")
    (world / "keys.txt").write_text("sub\\0.jpg\nm\x85n.jpg\n")
    changes = {"captions": world / "captions.csv", "keys": world / "keys.txt"}
    evaluate.main(flags(world, **changes))
    report = json.loads((world / "report" / "report.json").read_text())
    assert report["counts"]["evaluated"] == 2
    assert "listed_without_caption" not in report["counts"]
    for content, message in (
        (b"0.jpg\ncaf\xe9.jpg\n", "line 2: not UTF-8 text: save the file as UTF-8"),
        (b"\n", "it is empty; list the images' names, one a line"),
    ):
        (world / "keys.txt").write_bytes(content)
        with pytest.raises(UsageError) as caught:
            evaluate.main(flags(world, **changes))
        assert str(caught.value) == f"--keys={world}/keys.txt: {message}"


@pytest.mark.parametrize(("tokenizer", "bleu"), [("characters", 2 / 3), ("words", 0)])
def test_a_tokenizer_that_is_named_is_taken(tokenizer, bleu, tmp_path, without_java):
    (tmp_path / "captions.csv").write_text("image,caption\n0,一只狗\n")
    (tmp_path / "references.txt").write_text("0.jpg#0\t一只猫\n")
    captions = tmp_path / "captions.csv"
    evaluate.main(flags(tmp_path, captions=captions, tokenizer=tokenizer))
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["configuration"]["tokenizer"] == tokenizer
    assert report["metrics"]["BLEU-1"] == pytest.approx(bleu, abs=1e-6)


@pytest.mark.parametrize(
    ("caption", "reference", "told"),
    [
        ("一只狗", "a dog", True),
        ("a dog", "一只狗", True),
        ("", "一只狗", False),
        ("犬", "犬がいる", False),
        ("ein Hund", "a dog", False),
    ],
)
def test_captions_in_another_script_than_their_references_are_told(
    caption, reference, told, tmp_path, without_java, capsys
):
    (tmp_path / "captions.csv").write_text(f"image,caption\n0,{caption}\n1,{caption}\n")
    (tmp_path / "references.txt").write_text(f"0.jpg#0\t{reference}\n1.jpg#0\t{reference}\n")
    evaluate.main(flags(tmp_path, captions=tmp_path / "captions.csv"))
    note = (
        f"Most captions in {tmp_path}/captions.csv (such as: {caption}) are in another script"
        f" than most references in {tmp_path}/references.txt (such as: {reference})"
    )
    notes = json.loads((tmp_path / "report" / "report.json").read_text())["notes"]
    assert any(each.startswith(note) for each in notes) is told
    assert ("are in another script" in (tmp_path / "report" / "report.html").read_text()) is told
    assert (note in capsys.readouterr().err) is told


def test_rows_of_references_that_cannot_be_read_are_told(world, without_java, capsys):
    with (world / "references.txt").open("a") as stream:
        stream.write("\njunk\n")
    evaluate.main(flags(world))
    report = json.loads((world / "report" / "report.json").read_text())
    assert report["counts"]["references_malformed"] == 1
    assert report["left_out"]["references_malformed"][0].startswith("not `name#number")
    assert "rows of references that cannot be read: 1 (not `name#number" in capsys.readouterr().err


def test_images_below_the_home_folder_are_found(world, without_java, monkeypatch):
    monkeypatch.setenv("HOME", str(world))
    (world / "captions.csv").write_text("image,caption\n0,a red ball\n")
    evaluate.main(flags(world, captions=world / "captions.csv", images="~/photos"))
    assert "data:image/jpeg;base64," in (world / "report" / "report.html").read_text()


def test_a_dry_run_reads_everything_and_writes_nothing(world, capsys):
    assert evaluate.main([*flags(world), "--dry_run"]) == Exit.DONE
    assert "6 images with 12 references, tokenizer words" in capsys.readouterr().err
    assert not (world / "report").exists()


def test_a_dry_run_refuses_an_output_that_cannot_be_written(world, monkeypatch):
    (world / "file").touch()
    # The superuser may write to any folder, whatever its permissions.
    monkeypatch.setattr(os, "access", lambda path, mode: path != world)
    for output, message in (("file/new", "/file is no folder"), ("new", "cannot be written to")):
        with pytest.raises(UsageError, match=message):
            evaluate.main([*flags(world, output=world / output), "--dry_run"])


def test_a_report_of_other_inputs_is_not_replaced_unasked(world, without_java):
    evaluate.main(flags(world))
    (world / "other.csv").write_text("image,caption\n0,a red ball\n1,a ball\n")
    other = flags(world, captions=world / "other.csv")
    with pytest.raises(UsageError, match="--overwrite"):
        evaluate.main(other)
    (world / "keys.txt").write_text("0.jpg\n1.jpg\n")
    (world / "same.txt").write_bytes((world / "references.txt").read_bytes())
    for name, file, there in (
        ("keys", "keys.txt", "without --keys"),
        ("references", "same.txt", "with --references="),
    ):
        with pytest.raises(UsageError, match=f"there is a report {there}.*--overwrite"):
            evaluate.main(flags(world, **{name: world / file}))
    with pytest.raises(UsageError, match=r"there is a report with --references=.*--overwrite"):
        evaluate.main(flags(world, references=None, dataset=world / "dataset"))
    assert evaluate.main([*other, "--overwrite"]) == Exit.DONE


def test_the_manifest_is_written_last(world, without_java, monkeypatch):
    evaluate.main(flags(world))
    write_bytes = evaluate.files.write_bytes

    def full_disk(path, content):
        if path.endswith("report.html"):
            raise OSError("no space left")
        return write_bytes(path, content)

    monkeypatch.setattr(evaluate.files, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space"):
        evaluate.main(flags(world))
    assert not (world / "report" / "report.json").exists()


def test_many_images_show_the_best_the_worst_and_some_others(tmp_path, without_java):
    names = [f"{number}.jpg" for number in range(60)]
    references = [f"{n}#0\tword{n[:-4]} thing{n[:-4]} stands there" for n in names]
    captions = [
        f"{n},word{n[:-4]} {'thing' + n[:-4] if int(n[:-4]) % 2 else 'else'} stands" for n in names
    ]
    (tmp_path / "references.txt").write_text("\n".join(references))
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption", *captions]))
    evaluate.main(flags(tmp_path, captions=tmp_path / "captions.csv"))
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("<figure>") == 36
    order = [page.index(f"<h2>{h}") for h in ("The best", "The worst", "Others, drawn by chance")]
    assert order == sorted(order)
    _, best, worst, _ = re.split("<h2>(?:The best|The worst|Others)", page)
    for part, poor in ((best, False), (worst, True)):
        said = re.findall(r'class="caption"[^>]*>(.*?)<', part)
        assert ["else" in caption for caption in said] == [poor] * 12


def test_a_number_is_that_of_a_file_however_it_is_spelled(tmp_path):
    (tmp_path / "COCO_val2014_000000000139.jpg").write_bytes(b"a picture")
    for key in ("139", "000139"):
        found = find_images(str(tmp_path), [Candidate(key, "a dog")])
        assert found[key].endswith("000000000139.jpg")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"captions": None}, "--captions is missing"),
        ({"output": None}, "--output is missing"),
        ({"captions": "absent"}, "absent"),
        ({"references": "absent.txt"}, "absent.txt: the caption file cannot be read"),
        ({"references_format": "coco"}, "not a usable coco caption file"),
        ({"images": "nowhere"}, "/nowhere: there is no folder /"),
        ({"keys": "nowhere.txt"}, "--keys=nowhere.txt"),
        ({"split": "dev"}, "has references in"),
        ({"ouput": "x"}, "unknown flag --ouput: did you mean --output?"),
        ({"tokenizer": "letters"}, "letters"),
    ],
)
def test_wrong_use_ends_before_any_work(world, changes, message):
    with pytest.raises(UsageError) as caught:
        evaluate.main(flags(world, **changes))
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (world / "report").exists()


def test_nothing_in_common_is_wrong_use(world):
    (world / "other.csv").write_text("image,caption\nzebra.jpg,a zebra\n")
    with pytest.raises(UsageError, match=r"such as zebra\.jpg.*such as 0\.jpg"):
        evaluate.main(flags(world, captions=world / "other.csv"))


@pytest.mark.parametrize("content", ["[]", '{"configuration": null}', '{"configuration": "x"}'])
def test_an_output_that_is_a_file_or_another_thing_is_refused(world, content):
    (world / "file").write_text("")
    with pytest.raises(UsageError, match="/file is no folder"):
        evaluate.main(flags(world, output=world / "file"))
    (world / "report").mkdir()
    (world / "report" / "report.json").write_text(content)
    with pytest.raises(UsageError, match="this is no report"):
        evaluate.main(flags(world))


def test_the_command_exits_with_2_and_one_line(world):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.evaluate", *flags(world, references="absent.txt")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: absent.txt") and done.stderr.count("\n") == 1


def test_coco_results_against_coco_references(tmp_path):
    folder = data.shared("coco_mini")
    coco = json.loads((folder / "captions_val2017.json").read_text())
    # The first caption of each image is judged against all five.
    first = {item["image_id"]: item["caption"] for item in reversed(coco["annotations"])}
    results = [{"image_id": image, "caption": caption} for image, caption in first.items()]
    (tmp_path / "results.json").write_text(json.dumps(results))
    changes = {
        "captions": tmp_path / "results.json",
        "references": folder / "captions_val2017.json",
        "images": folder / "val2017",
    }
    assert evaluate.main(flags(tmp_path, **changes)) == Exit.DONE
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["counts"]["evaluated"] == 79
    assert report["metrics"]["BLEU-1"] == pytest.approx(1.0)
    assert report["metrics"]["CIDEr"] > 2 > report["floor"]["metrics"]["CIDEr"]
    assert (tmp_path / "report/report.html").read_text().count("data:image/jpeg") == 36


def test_chinese_references_choose_their_tokenizer(tmp_path):
    source = data.shared("flickr8k_cn") / "flickr8kzhc.caption.txt"
    lines = source.read_text().splitlines()[:50]
    (tmp_path / "references.txt").write_text("\n".join(lines))
    first = {line.split("#")[0]: line.split(" ", 1)[1] for line in reversed(lines)}
    rows = [json.dumps({"key": k, "caption": c}, ensure_ascii=False) for k, c in first.items()]
    (tmp_path / "captions.jsonl").write_text("\n".join(rows))
    evaluate.main(flags(tmp_path, captions=tmp_path / "captions.jsonl"))
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["configuration"]["tokenizer"] == "jieba"
    assert (
        f'lang="zh">{lines[0].split(" ", 1)[1]}<' in (tmp_path / "report/report.html").read_text()
    )
    assert report["metrics"]["BLEU-4"] == pytest.approx(1.0, abs=1e-3)
    assert "METEOR" not in report["metrics"]
    assert "METEOR is left out" in report["notes"][0]
