"""Decoding where it can do no harm: in a child process with limits on memory and time."""

from transforms.isolation.decoder import IsolatedDecoder, decoder
from transforms.isolation.watch import Decoder, OverdueError, WatchedDecoder

__all__ = ["Decoder", "IsolatedDecoder", "OverdueError", "WatchedDecoder", "decoder"]
