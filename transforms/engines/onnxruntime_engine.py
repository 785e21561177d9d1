"""Running a captioner with ONNX Runtime, on CPUs."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from transforms.engines import onnx_files
from transforms.engines.array_engine import ArrayEngine, Arrays


class OnnxRuntimeEngine(ArrayEngine):
    """An `Engine` of ONNX Runtime's sessions, one for each part.

    As in `OpenVinoEngine`, each core encodes an image of its own: 12.0 ms of CPU, not 14.4.
    """

    name = "onnxruntime"
    singly = True

    def __init__(self, folder: str, threads: int, feature_dtype: str, precision: str) -> None:
        """Load a captioner; see `transforms.engines.load`."""
        super().__init__(feature_dtype)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # That of the caller.
        options.inter_op_num_threads = 1
        with onnx_files.opened(folder) as place:
            self._sessions = {
                part: onnxruntime.InferenceSession(
                    str(onnx_files.path(place, part, precision)),
                    options,
                    providers=["CPUExecutionProvider"],
                )
                for part in onnx_files.PARTS
            }
        self._encoders = ThreadPoolExecutor(threads, "encoder")
        self._outputs = {
            part: [output.name for output in session.get_outputs()]
            for part, session in self._sessions.items()
        }
        self._inputs = {
            part: {each.name for each in session.get_inputs()}
            for part, session in self._sessions.items()
        }

    def run(self, part: str, inputs: Arrays) -> Arrays:
        """See `ArrayEngine`."""
        if part == "encode":
            ones = np.split(inputs["pixels"], len(inputs["pixels"]))
            found = self._encoders.map(lambda one: self._run(part, {"pixels": one}), ones)
            return {"features": np.concatenate([each["features"] for each in found])}
        return self._run(part, inputs)

    def _run(self, part: str, inputs: Arrays) -> Arrays:
        known = {name: value for name, value in inputs.items() if name in self._inputs[part]}
        values = self._sessions[part].run(self._outputs[part], known)
        return dict(zip(self._outputs[part], values, strict=True))
