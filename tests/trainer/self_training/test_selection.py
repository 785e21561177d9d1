import pytest

from trainer.self_training.candidates import Candidates, Caption
from trainer.self_training.selection import Rules, choose, in_words, remedy

FREE = Rules(keep=1.0, min_confidence=0.0, captions=9, caption_share=1.0, ngram_share=1.0)
HUMAN = [("a", "dog", "runs", "fast")]


def image(key, *captions):
    return Candidates(key, key, tuple(Caption(*caption) for caption in captions))


def chosen(candidates, human=HUMAN, **rules):
    words = {c.text: tuple(c.text.split()) for image in candidates for c in image.captions}
    result = choose(candidates, Rules(**{**vars(FREE), **rules}), words, human)
    assert sum(result.books.values()) == len(candidates)
    return {key: [c.text for c in captions] for key, captions in result.captions.items()}, result


def test_what_the_captioner_agrees_with_itself_on_is_kept_first():
    images = [image(f"{n}", (f"w{n}", 0.5, float(n))) for n in range(4)]
    kept, result = chosen(images, keep=0.5)
    assert kept == {"3": ["w3"], "2": ["w2"]}
    assert result.books == {
        "kept": 2,
        "unsure": 0,
        "unfinished": 0,
        "repeated": 0,
        "beyond_share": 2,
    }


def test_unsure_captions_are_left_out_and_images_with_nothing_else():
    images = [image("a", ("x", 0.1, 9.0), ("y", 0.6, 1.0)), image("b", ("z", 0.2, 9.0))]
    kept, result = chosen(images, min_confidence=0.5)
    assert kept == {"a": ["y"]}
    assert result.books["unsure"] == 1


@pytest.mark.parametrize(
    ("images", "rules", "counts", "advice"),
    [
        ([image("a"), image("b")], {}, "2 without a caption that comes to its end", "train the"),
        (
            [image("a"), image("b", ("x", 0.1, 1.0))],
            {"min_confidence": 0.2},
            "1 without a caption as sure as --min_confidence,"
            " 1 without a caption that comes to its end",
            "lower --min_confidence",
        ),
        ([image("a", ("x", 0.5, 1.0))], {"keep": 0.1}, "1 beyond the share", "raise --keep"),
        ([], {}, "", "give images that"),
    ],
)
def test_where_nothing_is_kept_the_advice_is_what_helps(images, rules, counts, advice):
    kept, result = chosen(images, **rules)
    assert not kept
    assert in_words(result.books).startswith(counts)
    assert remedy(result.books).startswith(advice)


def test_no_caption_is_said_of_more_images_than_its_share():
    images = [image(f"{n}", ("same", 0.5, 10.0 - n), (f"own {n}", 0.5, 0.1)) for n in range(10)]
    kept, _ = chosen(images, caption_share=0.2, captions=1)
    assert [texts[0] for texts in kept.values()].count("same") == 2
    # The others have their second captions.
    assert len(kept) == 10
    kept, result = chosen([image(f"{n}", ("same", 0.5, 1.0)) for n in range(10)], caption_share=0.2)
    assert list(kept) == ["0", "1"]
    assert result.books["repeated"] == 8


@pytest.mark.parametrize(("human", "allowed"), [(HUMAN, 10), ([*HUMAN, *[("b",)] * 9], 2)])
def test_four_words_in_a_row_are_not_said_much_more_often_than_by_people(human, allowed):
    images = [image(f"{n}", (f"a dog runs fast {n}", 0.5, 1.0)) for n in range(10)]
    kept, _ = chosen(images, human=human, ngram_share=0.1)
    assert len(kept) == allowed


def test_an_image_has_no_more_captions_than_asked_for():
    captions = [(f"w{n}", 0.5, 9.0 - n) for n in range(5)]
    kept, _ = chosen([image("a", *captions)], captions=3)
    assert kept == {"a": ["w0", "w1", "w2"]}
