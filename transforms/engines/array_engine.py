"""What engines have in common whose tensors are numpy's."""

import abc

import numpy as np

from transforms.engines.engine import Step
from transforms.engines.onnx_files import NEXT

Arrays = dict[str, np.ndarray]


class ArrayEngine(abc.ABC):
    """An `Engine` that runs the parts of a captioner by their names."""

    name: str
    singly = False

    def __init__(self, feature_dtype: str) -> None:
        """Set what every engine needs.

        Args:
            feature_dtype: whose precision features have in training; conversion to ONNX drops
                the casts there and back.
        """
        self._feature_dtype = np.dtype(feature_dtype)

    @abc.abstractmethod
    def run(self, part: str, inputs: Arrays) -> Arrays:
        """Run `encode`, `prepare` or `step`, as `transforms.engines.onnx_files` has made them."""

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        features = self.run("encode", {"pixels": pixels})["features"]
        return features.astype(self._feature_dtype).astype(np.float32)

    def start(self, features: np.ndarray) -> tuple[Arrays, Arrays]:
        """See `Engine`."""
        outputs = self.run("prepare", {"features": features})
        memory = {name: value for name, value in outputs.items() if name.startswith("memory_")}
        state = {name: value[:, None] for name, value in outputs.items() if name not in memory}
        return memory, state

    def step(self, tokens: np.ndarray, state: Arrays, memory: Arrays) -> Step:
        """See `Engine`."""
        outputs = self.run("step", {"tokens": tokens.astype(np.int32), **state, **memory})
        return Step(
            outputs["log_probs"],
            {name: outputs[NEXT + name] for name in state},
            outputs.get("attention"),
        )

    def reorder(self, state: Arrays, images: np.ndarray, parents: np.ndarray) -> Arrays:
        """See `Engine`."""
        return {name: value[images[:, None], parents] for name, value in state.items()}

    def keep(self, memory: Arrays, images: np.ndarray) -> Arrays:
        """See `Engine`."""
        return {name: value[images] for name, value in memory.items()}
