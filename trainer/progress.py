"""Lines that say how far a training is, or the captioning of many images."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from transforms import durations

INTERVAL = 15.0  # Seconds between lines where the output is a file.


class Progress:
    """Shows rates and the time left; on a terminal it rewrites its line.

    Attributes:
        steps: of the whole training, as far as is known.
    """

    def __init__(
        self,
        steps: int,
        done: int = 0,
        *,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock.

        Args:
            steps: of the whole training, as far as is known.
            done: how many an earlier run did.
            out: where to write, by default stderr.
            clock: seconds from any point on.
        """
        self._out = sys.stderr if out is None else out
        self._live = self._out.isatty()
        self._clock = clock
        self.steps, self._done, self._first = steps, done, done
        self._start = self._shown = clock()
        self._captions = self._tokens = 0

    def step(
        self, epoch: int, captions: int, tokens: int, figure: str, score: float | None
    ) -> None:
        """Count one step and show the line if it is time.

        Args:
            epoch: counted from 1.
            captions: in the step's batch.
            tokens: likewise.
            figure: how the epoch goes so far, such as "loss 3.214".
            score: best dev CIDEr so far; None before the first.
        """
        self._done += 1
        self._captions += captions
        self._tokens += tokens
        now = self._clock()
        if now - self._shown < (0.5 if self._live else INTERVAL):
            return
        self._shown = now
        seconds = max(now - self._start, 1e-9)
        left = seconds / (self._done - self._first) * (self.steps - self._done)
        line = (
            f"epoch {epoch}  step {self._done}/{self.steps} ({self._done / self.steps:.0%})"
            f"  {self._captions / seconds:.0f} captions/s  {self._tokens / seconds:.0f} tokens/s"
            f"  {durations.clock(left)} left  {figure}"
            + ("" if score is None else f"  dev CIDEr {score:.3f}")
        )
        self._out.write(f"\r{line}\x1b[K" if self._live else f"{line}\n")
        self._out.flush()

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._out.write(f"\r\x1b[K{text}\n" if self._live else f"{text}\n")
        self._out.flush()


class Rate:
    """Says every few seconds how many of some images are done."""

    def __init__(
        self,
        what: str,
        total: int,
        *,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock.

        Args:
            what: the line's beginning, such as "captioned".
            total: images.
            out: where to write, by default stderr.
            clock: seconds from any point on.
        """
        self._what, self._total = what, total
        self._out = sys.stderr if out is None else out
        self._clock = clock
        self._done = self._skipped = 0
        self._start = self._shown = clock()

    def skip(self, images: int) -> None:
        """Count images that an earlier run did."""
        self._skipped += images

    def add(self, images: int) -> None:
        """Count images, and show the line if it is time."""
        self._done += images
        now = self._clock()
        if now - self._shown < INTERVAL:
            return
        self._shown = now
        rate = self._done / (now - self._start)
        through = self._done + self._skipped
        left = (self._total - through) / rate
        print(
            f"{self._what} {through:,} of {self._total:,} images, {rate:.0f} images/s,"
            f" {durations.clock(left)} left",
            file=self._out,
            flush=True,
        )
