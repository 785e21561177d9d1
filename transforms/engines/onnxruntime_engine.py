"""Running a captioner with ONNX Runtime, on CPUs."""

from transforms.engines import onnx_files
from transforms.engines.array_engine import ArrayEngine, Arrays


class OnnxRuntimeEngine(ArrayEngine):
    """An `Engine` of ONNX Runtime's sessions, one for each part."""

    name = "onnxruntime"

    def __init__(self, folder: str, threads: int, feature_dtype: str) -> None:
        """Load a captioner; see `transforms.engines.load`."""
        super().__init__(feature_dtype)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait by spinning take the cores from those that decode images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        with onnx_files.opened(folder) as place:
            self._sessions = {
                part: onnxruntime.InferenceSession(
                    str(place / f"{part}.onnx"), options, providers=["CPUExecutionProvider"]
                )
                for part in onnx_files.PARTS
            }
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
        known = {name: value for name, value in inputs.items() if name in self._inputs[part]}
        values = self._sessions[part].run(self._outputs[part], known)
        return dict(zip(self._outputs[part], values, strict=True))
