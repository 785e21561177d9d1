"""Decoding where it can do no harm: in a child process with limits on memory and time."""

from transforms.isolation.decoder import Decode, IsolatedDecoder, decoder
from transforms.isolation.watch import OverdueError, WatchedDecoder

__all__ = ["Decode", "IsolatedDecoder", "OverdueError", "WatchedDecoder", "decoder"]
