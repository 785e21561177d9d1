import dataclasses
import re

from transforms import pages
from transforms.pages import training

EVIL = "</svg><script>alert('&')</script>"
EPOCHS = (
    training.Epoch(1, "cross-entropy", 0.1, 6.0, None, 1e-3, 4000.0, 90.0),
    training.Epoch(2, "cross-entropy", 0.4, 4.0, None, 5e-4, 4000.0, 90.0),
    training.Epoch(3, "self-critical", 0.5, 0.01, 0.3, 1e-4, 3000.0, 150.0),
)
CONTENT = training.Training(
    title=EVIL,
    facts={"Data set": EVIL},
    epochs=EPOCHS,
    best=3,
    scores={"CIDEr": 0.5, "BLEU-4": 0.2},
    floor={"CIDEr": 0.14},
    examples=(training.Example(EVIL, EVIL, EVIL),),
    command=EVIL,
)


def test_each_measure_is_drawn_where_it_means_something() -> None:
    cider, loss, reward, rate = training.plots(CONTENT)
    assert [len(plot.marks) for plot in (cider, loss, reward, rate)] == [3, 2, 1, 3]
    heights = [mark.y for mark in cider.marks]
    assert heights == sorted(heights, reverse=True)  # Up is less.
    assert [mark.kind for mark in cider.marks] == ["complete", "complete", "best"]
    assert reward.marks[0].x == cider.marks[2].x  # An epoch is at the same place in all.
    assert [tick.label for tick in loss.x_ticks] == ["1", "2", "3"]


def test_a_single_epoch_can_be_drawn() -> None:
    one = dataclasses.replace(CONTENT, epochs=EPOCHS[:1], best=1)
    assert [len(plot.marks) for plot in training.plots(one)] == [1, 1, 1]


def test_the_page_has_every_epoch_and_runs_nothing() -> None:
    page = pages.training_page(CONTENT)
    assert "<script" not in page
    # Heading, title, a fact, three of the example, the command.
    assert page.count("&lt;script&gt;") == 7
    assert page.count("<circle") == 9
    assert not re.search(r"\sstyle=", page)


def test_what_scrolls_sideways_can_be_reached_by_keyboard() -> None:
    wide = re.findall(r'<div class="wide"(.*?)>', pages.training_page(CONTENT))
    assert wide == [
        f' role="region" aria-label="{name}" tabindex="0"'
        for name in ("Captions of dev", "All epochs")
    ]
