"""Running a captioner with OpenVINO, on CPUs."""

import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np

from transforms.engines import onnx_files, openvino_graph
from transforms.engines.array_engine import ArrayEngine, Arrays
from transforms.errors import UsageError

_PRECISION = "INFERENCE_PRECISION_HINT"


class OpenVinoEngine(ArrayEngine):
    """An `Engine` of OpenVINO's compiled models, one for each part.

    No call shares its work among cores, for they would wait for each other at every layer: each
    core encodes an image of its own, whose maps stay in its cache, and each calling thread has a
    step of its own. EfficientNet-Lite0 takes 10.7 ms of CPU an image in this way, and 14.8 ms where
    two cores share calls of 32 images; a search took 3.3 and 5.0 ms.

    In bf16 the encoder multiplies numbers of 8 bits' precision and sums them in float32, which
    some processors do by themselves.
    """

    name = "openvino"
    singly = True

    def __init__(self, folder: str, threads: int, feature_dtype: str, precision: str) -> None:
        """Load a captioner; see `transforms.engines.load`.

        Raises:
            UsageError: bf16 is asked for, and this processor does not compute in it.
        """
        super().__init__(feature_dtype)
        core = _core()
        if precision == "bf16":
            _check_bfloat16(core)
        # By itself it would compute in bfloat16 where the processor can.
        settings: dict[str, Any] = {
            _PRECISION: "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            # By itself every process would tie its threads to the same first cores, and the search
            # to the core of one of the encoder's streams.
            "ENABLE_CPU_PINNING": False,
        }
        with onnx_files.opened(folder) as place:
            models = {
                part: core.read_model(str(onnx_files.path(place, part, precision)))
                for part in onnx_files.PARTS
            }
            for model in models.values():
                openvino_graph.rewrite(model)
            _, *shape = models["encode"].inputs[0].partial_shape
            models["encode"].reshape([1, *shape])
            for part in ("encode", "prepare"):
                models[part] = _with_features(models[part], part, feature_dtype)
            hints = {"encode": {_PRECISION: "bf16"}} if precision == "bf16" else {}
            compiled = {
                part: core.compile_model(model, "CPU", settings | hints.get(part, {}))
                for part, model in models.items()
            }
        self._inputs = {
            part: {each.any_name for each in model.inputs} for part, model in models.items()
        }
        self._outputs = {
            part: [each.any_name for each in model.outputs] for part, model in models.items()
        }
        # Each core has the next image at hand when it is done with one: getting it there takes
        # Python, which may be busy.
        self._encoders = ThreadPoolExecutor(2 * threads, "encoder")
        # A request runs once at a time.
        self._idle: dict[str, SimpleQueue[Any]] = {}
        for part, model in compiled.items():
            self._idle[part] = SimpleQueue()
            for _ in range(2 * threads if part == "encode" else threads):
                self._idle[part].put(model.create_infer_request())

    def run(self, part: str, inputs: Arrays) -> Arrays:
        """See `ArrayEngine`."""
        known = {name: value for name, value in inputs.items() if name in self._inputs[part]}
        request = self._idle[part].get()
        try:
            # Its own memory takes the inputs as they are; results are copies, for it writes to the
            # same place again.
            results = request.infer(known, share_inputs=True, share_outputs=False)
            return dict(zip(self._outputs[part], results.to_tuple(), strict=True))
        finally:
            self._idle[part].put(request)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        pixels = np.ascontiguousarray(pixels)
        ones = [{"pixels": pixels[number : number + 1]} for number in range(len(pixels))]
        found = self._encoders.map(lambda one: self.run("encode", one)["features"], ones)
        return np.concatenate(list(found))


def _core() -> Any:
    """Import OpenVINO without its reports of use, which go to Google Analytics at each import.

    They come from a package that it does without where that cannot be imported. Nobody was asked,
    and a firewall that swallows them keeps a job waiting.
    """
    modules: dict[str, Any] = sys.modules
    modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino.Core()


def _check_bfloat16(core: Any) -> None:
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UsageError(
            f"{platform.node()}: its processor does not compute in bfloat16: leave out"
            " --precision=bf16"
        )


def _with_features(model: Any, part: str, dtype: str) -> Any:
    """Return a part whose features are rounded to a dtype, and of that dtype.

    It takes OpenVINO a fiftieth of numpy's time, which is a twentieth of the encoder's.
    """
    from openvino import Type, preprocess

    prepared = preprocess.PrePostProcessor(model)
    features = prepared.output() if part == "encode" else prepared.input()
    features.tensor().set_element_type(Type(np.dtype(dtype)))
    return prepared.build()
