"""A top-down decoder in PyTorch, written as such decoders usually are.

Two LSTM cells with soft attention between them (Anderson et al., 2018, arXiv:1707.07998), a loop
over the steps of padded captions, images repeated for each of their captions, keys made once for
each caption, Adam, dropout on the output, cross-entropy that leaves out padding.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from transforms.text import END, PAD

UNITS = 512
EMBEDDING = 256
ATTENTION = 512
DROPOUT = 0.5
RATE = 1e-3


class Decoder(nn.Module):
    """Features [N, P, C] and tokens [N, T] to logits [N, T, V]."""

    def __init__(self, words: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, EMBEDDING)
        self.key = nn.Linear(channels, ATTENTION)
        self.query = nn.Linear(UNITS, ATTENTION)
        self.score = nn.Linear(ATTENTION, 1)
        self.looking = nn.LSTMCell(EMBEDDING + channels + UNITS, UNITS)
        self.speaking = nn.LSTMCell(channels + UNITS, UNITS)
        self.dropout = nn.Dropout(DROPOUT)
        self.words = nn.Linear(UNITS, words)

    def prepare(self, features: torch.Tensor) -> "Memory":
        """Make the keys and the mean of each row's grid."""
        return Memory(features, self.key(features), features.mean(dim=1))

    def start(self, rows: int) -> "State":
        """Return zeros."""
        zeros = torch.zeros(rows, UNITS)
        return (zeros, zeros), (zeros, zeros)

    def step(self, tokens: torch.Tensor, state: "State", memory: "Memory") -> tuple[Any, "State"]:
        """Read one token of each row; returns the logits and the next state."""
        below, above = state
        entrance = torch.cat([self.embedding(tokens), memory.mean, above[0]], dim=1)
        below = self.looking(entrance, below)
        mixed = torch.tanh(memory.keys + self.query(below[0])[:, None])
        weights = torch.softmax(self.score(mixed), dim=1)
        seen = (weights * memory.features).sum(dim=1)
        above = self.speaking(torch.cat([seen, below[0]], dim=1), above)
        return self.words(self.dropout(above[0])), (below, above)

    def forward(self, features: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Read whole captions."""
        memory = self.prepare(features)
        state = self.start(len(tokens))
        logits = []
        for place in range(tokens.shape[1]):
            words, state = self.step(tokens[:, place], state, memory)
            logits.append(words)
        return torch.stack(logits, dim=1)


class Memory(NamedTuple):
    """What the steps share: features [N, P, C], keys [N, P, A], mean [N, C]."""

    features: torch.Tensor
    keys: torch.Tensor
    mean: torch.Tensor


State = tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
Batch = tuple[np.ndarray, np.ndarray]


class Training:
    """A decoder, its optimiser, and a step."""

    def __init__(self, words: int, channels: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.decoder = Decoder(words, channels)
        self._adam = torch.optim.Adam(self.decoder.parameters(), RATE)
        self._loss = nn.CrossEntropyLoss(ignore_index=PAD)

    def step(self, features: np.ndarray, token_ids: np.ndarray) -> tuple[float, int]:
        """Take a step.

        Args:
            features: float16 [B, rows, columns, C].
            token_ids: int32 [B, n, T].

        Returns:
            The loss, and the number of tokens that counted.
        """
        images, captions, places = token_ids.shape
        grid = torch.from_numpy(features.reshape(images, -1, features.shape[-1])).float()
        grid = grid.repeat_interleave(captions, dim=0)
        tokens = torch.from_numpy(token_ids.reshape(-1, places)).long()
        targets = tokens[:, 1:]
        self.decoder.train()
        logits = self.decoder(grid, tokens[:, :-1])
        loss = self._loss(logits.flatten(0, 1), targets.flatten())
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        return loss.item(), int((targets != PAD).sum())

    def run(self, batches: Iterator[Batch], done: Callable[[int, int], None]) -> None:
        """Take a step for each batch; `done` hears of each step's captions and tokens."""
        for features, token_ids in batches:
            # Batches are cut to their longest caption.
            longest = int((token_ids != PAD).sum(axis=2).max())
            _, tokens = self.step(features, token_ids[:, :, :longest])
            done(token_ids.shape[0] * token_ids.shape[1], tokens)

    def caption(self, features: np.ndarray, beam_width: int, length: int) -> list[list[int]]:
        """Search for captions with the project's search; returns ids without the end."""
        from transforms.search import SearchOptions, search

        self.decoder.eval()
        steps = Steps(self.decoder)
        options = SearchOptions(beam_width=beam_width)
        with torch.inference_mode():
            found = search([steps], [features], options, length)
        return [[token for token in each[0].tokens if token != END] for each in found]


class Produced(NamedTuple):
    """See `transforms.search.steps.Produced`."""

    log_probs: np.ndarray
    state: Any
    attention: None = None


class Steps:
    """The decoder as `transforms.search` runs it; rows of images and hypotheses are one axis."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def start(self, features: np.ndarray) -> tuple[Any, Any]:
        """See `transforms.search.Steps`."""
        grid = torch.from_numpy(features.reshape(len(features), -1, features.shape[-1])).float()
        state = self._decoder.start(len(grid))
        return self._decoder.prepare(grid), _map(lambda each: each[:, None], state)

    def step(self, tokens: np.ndarray, state: Any, memory: Any) -> Produced:
        """See `transforms.search.Steps`."""
        images, beams = tokens.shape
        rows = Memory(*(each.repeat_interleave(beams, dim=0) for each in memory))
        read = torch.from_numpy(np.ascontiguousarray(tokens)).long().flatten()
        logits, after = self._decoder.step(read, _map(lambda each: each.flatten(0, 1), state), rows)
        log_probs = torch.log_softmax(logits, dim=1).reshape(images, beams, -1).numpy()
        return Produced(log_probs, _map(lambda each: each.reshape(images, beams, -1), after))

    def reorder(self, state: Any, images: np.ndarray, parents: np.ndarray) -> Any:
        """See `transforms.search.Steps`."""
        rows, chosen = torch.from_numpy(images).long(), torch.from_numpy(parents).long()
        return _map(lambda each: each[rows[:, None], chosen], state)

    def keep(self, memory: Any, images: np.ndarray) -> Any:
        """See `transforms.search.Steps`."""
        return Memory(*(each[torch.from_numpy(images).long()] for each in memory))


def _map(function: Callable[[torch.Tensor], torch.Tensor], state: Any) -> Any:
    return tuple(tuple(function(each) for each in pair) for pair in state)


def profile(training: Training, features: np.ndarray, token_ids: np.ndarray) -> dict[str, float]:
    """Return the CPU seconds of a step by operation, the largest first."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    with profiler(activities=[ProfilerActivity.CPU]) as watched:
        training.step(features, token_ids)
    spent = {one.key: one.self_cpu_time_total / 1e6 for one in watched.key_averages()}
    return dict(sorted(spent.items(), key=lambda pair: -pair[1]))
