"""The table of the next words' log-probabilities: what is forbidden in it, and its best places."""

import numpy as np

from transforms.search.options import SearchOptions
from transforms.search.steps import Floats, Integers
from transforms.text import END, PAD, START, UNK

COLUMNS = 128  # Words are compared in so many columns at once.


class Table:
    """Copies each step's log-probabilities and takes out what no caption may say."""

    def __init__(self, options: SearchOptions, width: int) -> None:
        """Prepare.

        Args:
            options: of the search.
            width: places per hypothesis that will be asked for at most.
        """
        self._repeat = options.no_repeat_ngram
        self._phrases = [phrase for phrase in options.banned if len(phrase) > 1]
        self._never = [PAD, START, UNK, *(p[0] for p in options.banned if len(p) == 1)]
        self._least = width
        self._first = True
        self._bias = np.zeros(0, np.float32)
        self._buffer = np.zeros((0, 0, 0), np.float32)
        self._history: Integers | None = None

    def fill(self, log_probs: Floats) -> Floats:
        """Return [B, K, V] as [B, K, W], forbidden words -inf; the next call overwrites it.

        W is V rounded up, with -inf behind the words.
        """
        images, beams, size = log_probs.shape
        if not self._bias.size:
            self._bias = np.zeros(size, np.float32)
            self._bias[self._never] = -np.inf
        if self._buffer.shape[0] < images or self._buffer.shape[1] != beams:
            whole = -(-max(size, self._least) // COLUMNS) * COLUMNS
            self._buffer = np.full((images, beams, whole), -np.inf, np.float32)
        table = self._buffer[:images]
        np.add(log_probs, self._bias, out=table[..., :size])
        if self._first and np.count_nonzero(self._bias == 0) > 1:  # More than END is allowed.
            table[..., END] = -np.inf
        self._first = False
        if self._history is not None:
            self._forbid(table, self._history)
        return table

    def advance(self, images: Integers, parents: Integers, words: Integers) -> None:
        """Note the words that were chosen, [B, K], where hypotheses' histories matter."""
        if not self._repeat and not self._phrases:
            return
        if self._history is None:
            self._history = words[..., None]
        else:
            before = self._history[images[:, None], parents]
            self._history = np.concatenate([before, words[..., None]], axis=2)

    def _forbid(self, table: Floats, history: Integers) -> None:
        length, size = history.shape[2], self._repeat
        ends = table[..., END].copy()
        if size and length >= size:
            windows = np.lib.stride_tricks.sliding_window_view(history, size, axis=2)
            ending = history[..., length - size + 1 :]
            images, beams, places = np.nonzero((windows[..., :-1] == ending[:, :, None]).all(-1))
            table[images, beams, windows[images, beams, places, -1]] = -np.inf
        for phrase in self._phrases:
            *first, last = phrase
            if length >= len(first):
                images, beams = np.nonzero((history[..., -len(first) :] == first).all(-1))
                table[images, beams, last] = -np.inf
        # An end is no repetition.
        table[..., END] = ends


def best(table: Floats, sums: Floats, count: int) -> tuple[Floats, Integers, Integers]:
    """Find the best places of each image's table.

    A pass over the table takes the best of each column (of W / 128 words); only the best
    columns are looked into. Sorting parts of the table itself is some twenty times slower.

    Args:
        table: float32 [B, K, W], W a multiple of `COLUMNS`.
        sums: float32 [B, K], added to all words of a row.
        count: places to find, at most K * W.

    Returns:
        Sums float32 [B, count], best first; rows and words, int64 [B, count]. Of equal sums the
        one that comes first in the table is first.
    """
    images, beams, whole = table.shape
    blocks = table.reshape(images, beams, -1, COLUMNS)
    columns = (blocks.max(axis=2) + sums[..., None]).reshape(images, -1)
    few = min(count, columns.shape[1])
    rows, within = np.divmod(_top(columns, few), COLUMNS)
    every = np.arange(images)[:, None]
    # [B, few, W / COLUMNS], in the table's order after sorting by place.
    values = blocks[every, rows, :, within] + sums[every, rows][..., None]
    places = (rows * whole + within)[..., None] + np.arange(0, whole, COLUMNS)
    values, places = values.reshape(images, -1), places.reshape(images, -1)
    chosen = _top(values, count)
    values, places = values[every, chosen], places[every, chosen]
    order = np.lexsort((places, -values))
    values, places = values[every, order], places[every, order]
    rows, words = np.divmod(places, whole)
    return values, rows, words


def _top(values: Floats, count: int) -> Integers:
    """Return the places of each row's `count` largest values, in no order."""
    if count == values.shape[1]:
        return np.broadcast_to(np.arange(count), values.shape)
    return np.argpartition(values, values.shape[1] - count, axis=1)[:, -count:]
