import io

from trainer.progress import Progress, Rate


def test_a_line_says_share_rates_time_left_loss_and_score():
    out, times = io.StringIO(), iter([0.0, 10.0, 20.0])
    progress = Progress(100, done=50, out=out, clock=lambda: next(times))
    progress.step(epoch=2, captions=300, tokens=3000, figure="loss 2.5000", score=0.1)
    assert out.getvalue() == "", "a line every 15 seconds is enough in a file"
    progress.step(epoch=2, captions=300, tokens=3000, figure="loss 2.2500", score=0.125)
    assert out.getvalue() == (
        "epoch 2  step 52/100 (52%)  30 captions/s  300 tokens/s  8:00 left"
        "  loss 2.2500  dev CIDEr 0.125\n"
    )


def test_a_rate_counts_what_an_earlier_run_did_only_as_done():
    out, times = io.StringIO(), iter([0.0, 10.0, 20.0, 30.0])
    rate = Rate("round 1: captioned", 2000, out=out, clock=lambda: next(times))
    rate.skip(1000)
    rate.add(100)
    rate.add(100)
    rate.add(100)
    assert out.getvalue() == "round 1: captioned 1,200 of 2,000 images, 10 images/s, 1:20 left\n"
