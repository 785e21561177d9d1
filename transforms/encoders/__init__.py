"""CNNs that turn images into features."""

from transforms.encoders.encoder import Encoder
from transforms.encoders.registry import check, load

__all__ = ["Encoder", "check", "load"]
