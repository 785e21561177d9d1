"""A Python that has imported what the jobs need, and forks one for each job.

Starting a job takes seconds of imports. A test that runs dozens starts this once: the jobs run
in processes of their own all the same, and die like any other.

    python -m tests.faults.warm

reads a JSON object a line (`arguments`, `folder`, `log`, `environment`), and answers with the
process's id, then with its wait status.
"""

import gc
import importlib
import json
import os
import runpy
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# TensorFlow is imported and not used before the fork: its threads would not survive it.
IMPORTS = (
    "tensorflow",
    "apache_beam.runners.portability.fn_api_runner.fn_runner",
    "jinja2",
    "openvino",
    "PIL.ImageOps",
    "PIL.JpegImagePlugin",
    "pipeline.caption",
    "pipeline.captioning.job",
    "pipeline.common.beam_options",
    "pipeline.common.launch",
    "pipeline.preprocess",
    "pipeline.preprocessing.job",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "tfx_bsl.coders.example_coder",
    "transforms.engines.openvino_engine",
    "transforms.search.consensus",
    "transforms.search.nucleus",
)


class WarmPython:
    """The process that forks; jobs run one at a time."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it; it imports in the background.

        Args:
            environment: environment variables to add.
        """
        self._server = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=Path(__file__).parents[2],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def start(
        self, arguments: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]
    ) -> "Job":
        """Start `python -m <arguments>` in a folder and a session of its own."""
        assert self._server.stdin and self._server.stdout
        request = {
            "arguments": list(arguments),
            "folder": str(folder),
            "log": str(log),
            "environment": dict(environment),
        }
        print(json.dumps(request), file=self._server.stdin)
        return Job(int(self._server.stdout.readline()), self._server.stdout)

    def close(self) -> None:
        """End the process."""
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait()


class Job:
    """A started job, with the part of subprocess.Popen that matters here."""

    def __init__(self, pid: int, answers: Any) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._answers = answers

    def poll(self) -> int | None:
        """Return how it ended, None while it runs; a signal counts as its negative number."""
        if self.returncode is None and select.select([self._answers], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """Wait until it ends; returns how."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(int(self._answers.readline()))
        return self.returncode


def main() -> None:
    """Serve until standard input ends."""
    # As the engine does it, for OpenVINO would report its use.
    modules: dict[str, Any] = sys.modules
    modules["openvino_telemetry"] = None
    for name in IMPORTS:
        importlib.import_module(name)
    # Compiles the rules of words, for it takes a while.
    importlib.import_module("transforms.text").tokenize("a dog's", "words")
    # What is there now stays: jobs neither look through it for garbage nor copy its pages for that.
    gc.collect()
    gc.freeze()
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        child = os.fork()
        if not child:
            _run(request)
            return
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


def _run(request: dict[str, Any]) -> None:
    os.setsid()
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for target, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(source, target)
    module, *sys.argv[1:] = request["arguments"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
