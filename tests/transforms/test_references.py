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
    names = Names(candidates("139", "42"))
    for name in ("val2017/000000000139.jpg", "COCO_val2014_000000000139.jpg"):
        assert [ref.key for ref in names.find(name)] == ["139"]
    assert not names.find("photo_42.jpg")
    assert not names.find("1390")
    # They name one image together, where no folders contradict each other.
    joined = join(
        candidates("139", "42"),
        [annotation(f"{name}.jpg") for name in ("COCO_val2014_000000000139", "000139", "139")]
        + [annotation("a/00042.jpg"), annotation("b/0042.jpg")],
    )
    assert {key: len(captions) for key, captions in joined.references.items()} == {"139": 3}
    assert joined.examples["references_ambiguous"] == ["a/00042.jpg", "b/0042.jpg"]


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


def test_references_of_other_images_are_left_out():
    joined = join(candidates("a/1.jpg"), [annotation("a/1.jpg", "a"), annotation("b/1.jpg", "b")])
    assert joined.references == {"a/1.jpg": ["a"]}
    assert joined.examples == {"references_without_caption": ["b/1.jpg"]}
    # Nor does a list, or a split, make them those of what it leaves.
    both = candidates("a/1.jpg", "b/1.jpg")
    joined = join(both, [annotation("b/1.jpg"), annotation("1.jpg")], only=["a/1.jpg"])
    assert joined.references == {}
    assert joined.examples["references_ambiguous"] == ["1.jpg"]
    train, dev = annotation("a/1.jpg", split="train"), annotation("b/1.jpg", split="dev")
    assert join(candidates("a/1.jpg"), [train, dev], split="dev").references == {}


def test_a_name_that_several_captions_share_lists_none():
    joined = join(candidates("a/1.jpg", "b/1.jpg"), [annotation("a/1.jpg")], only=["1.jpg"])
    assert joined.references == {}
    assert joined.examples["listed_ambiguous"] == ["1.jpg"]


def test_a_split_leaves_out_the_references_of_others():
    joined = join(
        candidates("a.jpg", "b.jpg"),
        [annotation("a.jpg", split="dev"), annotation("b.jpg", split="train")],
        split="dev",
    )
    assert list(joined.references) == ["a.jpg"]
    assert joined.counts["images_with_references"] == 1
