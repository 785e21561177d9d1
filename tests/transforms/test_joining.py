"""Every image and every caption has one outcome, and captions are those of the image."""

from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.annotations import Annotation
from transforms.joining import Listed, join
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef

NAMES = st.sampled_from(["1.jpg", "a/1.jpg", "b/1.jpg", "c/b/1.jpg", "1", "a/1", "1.png", "d/1"])


def images(*keys, folder="ph"):
    return [ImageRef(key, f"{folder}/{key}", 1, 0.0) for key in keys]


def notes(*names, split=None):
    return [(place, Annotation(name, (name,), split, "f")) for place, name in enumerate(names)]


def outcome(kept, lost):
    return {image.ref.key: (image.captions, image.split) for image in kept}, [
        (each.reject.key, each.reject.code.value) for each in lost
    ]


def test_captions_of_other_images_are_rejects():
    kept, lost = outcome(
        *join(
            images("001.jpg", folder="ph/beach"), notes("beach/001.jpg", "city/001.jpg"), [], False
        )
    )
    assert kept == {"001.jpg": (("beach/001.jpg",), None)}
    assert lost == [("city/001.jpg", "image_missing")]
    kept, lost = outcome(*join(images("1.jpg"), notes("x/1.jpg", "y/1.jpg"), [], False))
    assert kept == {}
    assert lost == [
        *(("x/1.jpg", "image_ambiguous"), ("y/1.jpg", "image_ambiguous")),
        ("1.jpg", "caption_missing"),
    ]


def test_captions_of_a_refused_image_fall_with_it():
    """It would be counted as listed, among the rejected, and as missing."""
    refused = [
        Reject(key, f"z#{key}", "list", RejectCode.MEMBER_UNSUPPORTED, "x")
        for key in ("z/a/1.jpg", "z/b/1.jpg", "z/b/1.jpg")
    ]
    said = notes("a/1.jpg", "a/1", "d/1.jpg", "c/1.jpg")
    kept, lost = join(images("d/1.jpg"), said, [], False, refused=refused)
    assert [image.captions for image in kept] == [("d/1.jpg",)]
    assert [(each.reject.key, each.images, each.captions) for each in lost] == [
        *(("c/1.jpg", 0, 1), ("z/a/1.jpg", 1, 2), ("z/b/1.jpg", 1, 0), ("z/b/1.jpg", 1, 0))
    ]
    assert lost[0].reject.code is RejectCode.IMAGE_MISSING


def test_of_images_of_one_key_a_data_set_has_one_at_most_and_says_why():
    both = [ImageRef("a/1.jpg", f"/{folder}/a/1.jpg", 1, 0.0) for folder in ("up", "in")]
    kept, lost = join(both, [], [], lists_given=False, uncaptioned=True)
    assert [image.ref.uri for image in kept] == ["/in/a/1.jpg"]
    assert [(each.reject.uri, each.images) for each in lost] == [("/up/a/1.jpg", 1)]
    assert "/in/a/1.jpg has the same key: write both paths in full" in lost[0].reject.message
    # No caption tells them apart.
    kept, lost = outcome(*join(both, notes("a/1.jpg"), [], lists_given=False))
    assert kept == {} and lost == [("a/1.jpg", "image_ambiguous")] * 3


def test_the_split_of_another_image_is_not_taken():
    listed = [Listed("cat/1.jpg", "train"), Listed("dog/1.jpg", "test")]
    kept, lost = outcome(*join(images("cat/1.jpg"), notes("cat/1.jpg"), listed, True))
    assert kept == {"cat/1.jpg": (("cat/1.jpg",), "train")} and not lost
    both = images("cat/1.jpg", "cow/1.jpg")
    kept, lost = outcome(*join(both, notes("cat/1.jpg", "cow/1.jpg"), listed, True))
    assert kept == {"cat/1.jpg": (("cat/1.jpg",), "train")}
    assert lost == [("cow/1.jpg", "split_missing")]
    # In one list and another, the image is held out.
    twice = [Listed("cat/1.jpg", "train"), Listed("1", "test")]
    kept, _ = outcome(*join(images("cat/1.jpg"), notes("1.jpg"), twice, True))
    assert kept == {"cat/1.jpg": (("1.jpg",), "test")}


def test_a_split_in_the_caption_file_counts_unless_there_are_lists():
    refs = images("1.jpg", "2.jpg")
    said = notes("1.jpg", split="train") + notes("2.jpg") + notes("1.jpg", split="test")
    kept, _ = outcome(*join(refs, said, [], False))
    # Named in two, an image is held out.
    assert kept == {"1.jpg": (("1.jpg", "1.jpg"), "test"), "2.jpg": (("2.jpg",), None)}
    kept, lost = outcome(*join(refs, said, [Listed("1.jpg", "train")], True))
    assert kept == {"1.jpg": (("1.jpg", "1.jpg"), "train")}
    assert lost == [("2.jpg", "split_missing")]


@settings(max_examples=50)
@given(st.sets(NAMES), st.lists(NAMES), st.lists(NAMES), st.booleans(), st.booleans())
def test_nothing_is_lost_or_doubled_and_order_does_not_matter(
    keys, names, on_lists, lists_given, uncaptioned
):
    refs, annotations = images(*keys), notes(*names)
    listed = [Listed(name, ("train", "test")[i % 2]) for i, name in enumerate(on_lists)]
    kept, lost = join(refs, annotations, listed, lists_given, uncaptioned)
    assert len(kept) + sum(each.images for each in lost) == len(refs)
    captions = sum(len(image.captions) for image in kept) + sum(each.captions for each in lost)
    assert captions == len(names)
    assert join(refs[::-1], annotations[::-1], listed[::-1], lists_given, uncaptioned) == (
        kept,
        lost,
    )
