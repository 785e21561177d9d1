"""Running a captioner with OpenVINO, on CPUs."""

import threading
from typing import Any

from transforms.engines import onnx_files
from transforms.engines.array_engine import ArrayEngine, Arrays


class OpenVinoEngine(ArrayEngine):
    """An `Engine` of OpenVINO's compiled models, one for each part."""

    name = "openvino"

    def __init__(self, folder: str, threads: int, feature_dtype: str) -> None:
        """Load a captioner; see `transforms.engines.load`."""
        super().__init__(feature_dtype)
        import openvino

        core = openvino.Core()
        # By itself it would compute in bfloat16 where the processor can.
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
        }
        with onnx_files.opened(folder) as place:
            models = {
                part: core.read_model(str(place / f"{part}.onnx")) for part in onnx_files.PARTS
            }
            compiled = {
                part: core.compile_model(model, "CPU", settings) for part, model in models.items()
            }
        self._inputs = {
            part: {each.any_name for each in model.inputs} for part, model in models.items()
        }
        self._outputs = {
            part: [each.any_name for each in model.outputs] for part, model in models.items()
        }
        self._locks = {part: threading.Lock() for part in compiled}
        self._requests = {part: model.create_infer_request() for part, model in compiled.items()}

    def run(self, part: str, inputs: Arrays) -> Arrays:
        """See `ArrayEngine`."""
        known = {name: value for name, value in inputs.items() if name in self._inputs[part]}
        # Its own memory takes the inputs as they are; results are copies, for it writes to the
        # same place again.
        with self._locks[part]:  # A request runs once at a time, and a worker may have threads.
            results = self._requests[part].infer(known, share_inputs=True, share_outputs=False)
        return dict(zip(self._outputs[part], results.to_tuple(), strict=True))
