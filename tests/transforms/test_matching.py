"""A name means the closest image, and no other image's name is taken for its own."""

import random
import time
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.matching import Matcher
from transforms.rejects import RejectCode
from transforms.sources import ImageRef

MISSING, AMBIGUOUS = RejectCode.IMAGE_MISSING, RejectCode.IMAGE_AMBIGUOUS
FOLDERS = st.lists(st.sampled_from(["a", "b", "\u00e9", "e\u0301", "."]), max_size=3)
FILES = st.sampled_from(["1.jpg", "1.png", "1", "\u00e9.jpg", "e\u0301.jpg"])
NAMES = st.builds(lambda folders, file: "/".join([*folders, file]), FOLDERS, FILES)

KEYS = st.sets(NAMES, min_size=1, max_size=5)


def images(*keys, folder="/data"):
    return [ImageRef(key, f"{folder}/{key}", 1, 0.0) for key in keys]


def meant(refs, *names):
    """Return what each name means: a key, or a code."""
    found = Matcher(refs).match(names).values()
    return [each.key if isinstance(each, ImageRef) else each for each in found]


def test_the_closest_rule_that_finds_an_image_counts():
    refs = images("x/1.jpg", "y/1.jpg", "deep/er/2.png", "z/3.jpg", "z/3.png")
    assert meant(refs, "x/1.jpg", "/else/where/y/1.jpg", "er/2.png", "z/3.png") == [
        *("x/1.jpg", "y/1.jpg", "deep/er/2.png", "z/3.png")
    ]
    assert set(meant(refs, "2.png", "other/2.png", "2", "2.jpg")) == {"deep/er/2.png"}
    assert meant(refs, "1.jpg", "else/1.jpg", "3", "4.jpg") == [AMBIGUOUS] * 3 + [MISSING]
    # Without its suffix a name keeps its folders.
    assert meant(refs, "x/1", "data/y/1.png") == ["x/1.jpg", "y/1.jpg"]


def test_the_longest_key_that_a_path_ends_in_is_meant():
    refs = images("1.jpg", "sub/1.jpg", folder="/d/photos")
    assert meant(refs, "/d/photos/sub/1.jpg", "/d/photos/1.jpg") == ["sub/1.jpg", "1.jpg"]
    # Below or above? Only where the listed folder has that name can it be both.
    assert meant(images("1.jpg", "x/sub/1.jpg", folder="/d"), "sub/1.jpg") == ["x/sub/1.jpg"]
    assert meant(images("1.jpg", "x/sub/1.jpg", folder="/d/sub"), "sub/1.jpg") == [AMBIGUOUS]


def test_of_names_that_contradict_each_other_the_closest_is_the_images():
    beach = images("001.jpg", folder="ph/beach")
    assert meant(beach, "city/001.jpg", "beach/001.jpg") == [MISSING, "001.jpg"]
    assert meant(beach, "city/001.jpg", "beach/001", "x/ph/beach/001.jpg", "001.jpg") == [
        *(MISSING, "001.jpg", "001.jpg", "001.jpg")
    ]
    assert meant(beach, "city/001.jpg", "town/001.jpg", "001.jpg") == [
        *(AMBIGUOUS, AMBIGUOUS, "001.jpg")
    ]
    assert meant(beach, "city/001.jpg", "old/city/001.jpg") == ["001.jpg", "001.jpg"]
    assert meant(images("a/1.jpg"), "a/1.jpg", "b/1.jpg") == ["a/1.jpg", MISSING]
    packed = [ImageRef("001.jpg", "ph/beach.tar#001.jpg", 1, 0.0)]
    assert meant(packed, "beach.tar/001.jpg", "city.tar/001.jpg") == ["001.jpg", MISSING]


def test_names_match_in_any_normal_form_and_keys_stay_as_they_are():
    composed, decomposed = "caf\u00e9/\u00e9.jpg", "cafe\u0301/e\u0301.jpg"
    assert meant(images(decomposed), composed) == [decomposed]
    assert meant(images(composed), decomposed, "e\u0301") == [composed, composed]
    # A folder may have both.
    assert meant(images(composed, decomposed), decomposed, composed) == [decomposed, composed]


def test_many_images_of_one_file_name_are_found_at_once():
    refs = images(*(f"{number}/image.jpg" for number in range(4_000)))
    start = time.process_time()
    names = [f"photos/{number}/image.jpg" for number in range(4_000)]
    assert meant(refs, *names) == [ref.key for ref in refs]
    missing = [f"{number}/image.jpg" for number in range(4_000, 8_000)]
    assert set(meant(refs, *missing)) == {AMBIGUOUS}
    assert set(meant(images("image.jpg"), *missing)) == {AMBIGUOUS}
    assert time.process_time() - start < 5  # The square of so many takes longer by far.


@settings(max_examples=50)
@given(KEYS, st.lists(NAMES, max_size=8), st.sampled_from(["", "/a", "/b/a"]))
def test_every_name_has_one_outcome_whatever_the_order(keys, names, folder):
    refs = images(*keys, folder=folder)
    found = Matcher(refs).match(names)
    assert found.keys() == set(names)
    shuffled = random.Random(0)
    again = Matcher(shuffled.sample(refs, len(refs))).match(shuffled.sample(names, len(names)))
    assert again == found


@settings(max_examples=50)
@given(KEYS, st.lists(NAMES, max_size=8), st.sampled_from(["", "/a", "/b/a"]))
def test_a_key_means_its_own_image_whatever_the_other_names(keys, names, folder):
    refs = images(*keys, folder=folder)
    found = Matcher(refs).match([*names, *keys])
    assert [found[ref.key] for ref in refs] == refs


@settings(max_examples=50)
@given(KEYS, st.sets(NAMES, max_size=8))
def test_what_an_image_gets_does_not_contradict_its_own_name(keys, names):
    found = Matcher(images(*keys)).match([*names, *keys])
    for name, ref in found.items():
        if isinstance(ref, ImageRef):
            one, other = sorted((plain(name), plain(ref.key)), key=len)
            assert other[len(other) - len(one) :] == one


def plain(name):
    """Return folders and file name as they are compared."""
    name = unicodedata.normalize("NFC", name).removesuffix(".jpg").removesuffix(".png")
    return [part for part in name.split("/") if part != "."]
