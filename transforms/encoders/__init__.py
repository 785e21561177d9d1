"""CNNs that turn images into features."""

from transforms.encoders.encoder import Encoder
from transforms.encoders.registry import check, describe_rest, load, load_same, rest

__all__ = ["Encoder", "check", "describe_rest", "load", "load_same", "rest"]
