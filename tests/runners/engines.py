"""The engines that the jobs are tried on: built or fetched once, and the flags that name them.

    .venv/bin/python -m tests.runners.engines prism
    .venv/bin/python -m tests.runners.engines flink

prints an engine's flags, to be put after those of a job.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "engines"
FLINK = "1.19"
WORKERS = 2


class MissingToolError(Exception):
    """A tool that an engine needs is not installed; the message names it."""


def prism() -> list[str]:
    """Return the flags of Prism, Beam's small engine in Go, with a worker process.

    Raises:
        MissingToolError: Go is not installed.
        RuntimeError: Prism cannot be fetched or built.
    """
    return [
        "--runner=PrismRunner",
        f"--prism_location={_go_install('go/cmd/prism')}",
        "--prism_log_level=warn",
        *_process_flags(),
    ]


def flink() -> list[str]:
    """Return the flags of an embedded Flink, with as many worker processes as `WORKERS`.

    Raises:
        MissingToolError: Java, Maven or Go is not installed.
        RuntimeError: the job server cannot be fetched.
    """
    return [
        "--runner=FlinkRunner",
        "--flink_master=[local]",
        f"--flink_version={FLINK}",
        f"--flink_job_server_jar={_job_server()}",
        "--job_server_jvm_properties=-Xmx1g",
        "--job_server_jvm_properties=-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        f"--parallelism={WORKERS}",
        f"--sdk_worker_parallelism={WORKERS}",
        # A stage that begins after another has ended finds the same workers.
        "--environment_cache_millis=60000",
        *_process_flags(),
    ]


ENGINES: dict[str, Callable[[], list[str]]] = {"prism": prism, "flink": flink}


def beam_version() -> str:
    """Return the version of Beam that constraints.txt pins."""
    match = re.search(r"^apache-beam==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert match, "constraints.txt pins no apache-beam"
    return match[1]


def _process_flags() -> list[str]:
    # LOOPBACK would run the workers' code in the process of the command, and hide what does not
    # survive being pickled, sent and imported elsewhere.
    settings = {
        "command": str(HERE / "worker.sh"),
        "env": {"WORKER_BOOT": _go_install("python/container"), "WORKER_PYTHON": sys.executable},
    }
    config = json.dumps(settings, separators=(",", ":"))
    return ["--environment_type=PROCESS", f"--environment_config={config}"]


def _go_install(package: str) -> str:
    """Return the path of a command of Beam's Go module, built unless it is there."""
    folder = CACHE / f"beam-{beam_version()}"
    command = folder / package.rsplit("/", 1)[-1]
    with _alone():
        if not command.exists():
            _need("go", "https://go.dev/doc/install")
            module = f"github.com/apache/beam/sdks/v2/{package}@v{beam_version()}"
            _make(["go", "install", module], GOBIN=str(folder))
    return str(command)


def _job_server() -> str:
    """Return the path of Flink's job server, put together unless it is there."""
    _need("java", "a Java runtime, 11 or newer")
    pom = HERE / "flink" / "pom.xml"
    folder = CACHE / f"flink-{hashlib.sha256(pom.read_bytes()).hexdigest()[:8]}"
    jar = folder / "job-server.jar"
    with _alone():
        if not jar.exists():
            _need("mvn", "https://maven.apache.org/install.html")
            _make(["mvn", "-B", "-q", "-f", str(pom), f"-Dfolder={folder}", "package"])
    return str(jar)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait for other processes of tests: they want the same files."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _need(tool: str, remedy: str) -> None:
    if shutil.which(tool) is None:
        raise MissingToolError(f"{tool} is not installed ({remedy})")


def _make(command: list[str], **environment: str) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    try:
        print(*ENGINES[sys.argv[1]](), sep="\n")
    except (IndexError, KeyError):
        sys.exit(f"error: name an engine: {' or '.join(ENGINES)}")
    except (MissingToolError, RuntimeError) as error:
        sys.exit(f"error: {error}")
