"""Each caption finds its references, and what is left out is counted."""

from transforms.annotations import Annotation
from transforms.candidates import Candidate
from transforms.references import Names, join


def annotation(name, *captions, split=None):
    return Annotation(name, captions or ("a caption",), split, "file:1")


def candidates(*keys):
    return [Candidate(key, "text") for key in keys]


def test_names_match_by_key_then_path_then_file_name_then_stem():
    joined = join(
        candidates("x/1.jpg", "y/1.jpg", "2", "deep/er/3.png"),
        [
            annotation("x/1.jpg", "exact", "twice"),
            annotation("data/y/1.jpg", "end of the path"),
            annotation("2.jpg", "stem"),
            annotation("3.png", "file name"),
            annotation("3.png", "again"),
        ],
    )
    assert joined.references == {
        "x/1.jpg": ["exact", "twice"],
        "y/1.jpg": ["end of the path"],
        "2": ["stem"],
        "deep/er/3.png": ["file name", "again"],
    }
    assert joined.counts == {
        "captions": 4,
        "images_with_references": 4,
        "evaluated": 4,
        "references": 6,
    }
    assert joined.examples == {}


def test_coco_numbers_match_coco_file_names_and_nothing_else():
    names = Names(["139", "42"])
    assert names.find("val2017/000000000139.jpg") == ["139"]
    assert names.find("COCO_val2014_000000000139.jpg") == ["139"]
    assert names.find("photo_42.jpg") == []
    assert names.find("1390") == []


def test_what_has_no_partner_is_counted_with_examples():
    joined = join(
        candidates("a.jpg", "b.jpg", "x/c.jpg", "y/c.jpg"),
        [annotation("a.jpg"), annotation("z.jpg"), annotation("c.jpg")],
    )
    assert list(joined.references) == ["a.jpg"]
    assert joined.counts == {
        "captions": 4,
        "images_with_references": 3,
        "evaluated": 1,
        "references": 1,
        "captions_without_references": 3,
        "references_ambiguous": 1,
        "references_without_caption": 1,
    }
    assert joined.examples["references_without_caption"] == ["z.jpg"]
    assert joined.examples["references_ambiguous"] == ["c.jpg"]


def test_a_list_decides_what_is_evaluated():
    joined = join(
        candidates("a.jpg", "b.jpg"),
        [annotation("a.jpg"), annotation("b.jpg"), annotation("z.jpg"), annotation("q.jpg")],
        only=["a", "q.jpg"],
    )
    assert list(joined.references) == ["a.jpg"]
    assert joined.examples == {
        "captions_not_listed": ["b.jpg"],
        "listed_without_caption": ["q.jpg"],
        "references_without_caption": ["q.jpg"],
    }


def test_a_split_leaves_out_the_references_of_others():
    joined = join(
        candidates("a.jpg", "b.jpg"),
        [annotation("a.jpg", split="dev"), annotation("b.jpg", split="train")],
        split="dev",
    )
    assert list(joined.references) == ["a.jpg"]
    assert joined.counts["images_with_references"] == 1
