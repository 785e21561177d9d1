"""Decoding where it can do no harm: in a child process with limits on memory and time."""

from transforms.isolation.decoder import IsolatedDecoder, decoder
from transforms.isolation.watch import Decode, OverdueError, WatchedDecoder, around

__all__ = ["Decode", "IsolatedDecoder", "OverdueError", "WatchedDecoder", "around", "decoder"]
