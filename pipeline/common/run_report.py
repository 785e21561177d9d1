"""What a run did, for those who watch: `run.json`, and `metrics.prom` for Prometheus.

Times and rates are here, never in a manifest: these two files differ from run to run where
everything else is the same byte for byte. The step that commits an output leaves its counts in
`run.json`; the command adds how long it took and how it ended.
"""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.common import claims, tables
from pipeline.common.books import Books
from transforms import files, manifests
from transforms.commandline import Exit
from transforms.errors import UsageError
from transforms.rejects import Reject

NAME = "run.json"
METRICS = "metrics.prom"
FORMAT = "beamcap.run"


def record(output: str, books: Books, rejects: Iterable[Reject], **facts: Any) -> None:
    """Leave the counts of a run, from the step that commits it.

    Args:
        output: of the job.
        books: of this run.
        rejects: of this run.
        facts: what else there is to tell, JSON-able.
    """
    codes = Counter(reject.code.value for reject in rejects)
    report = {"books": books.as_json(), "rejects": dict(sorted(codes.items())), **facts}
    files.write_json(files.join(output, NAME), report)


def read(output: str) -> dict[str, Any]:
    """Return the report of the last run, empty where there is none; OSError if none can be read."""
    with contextlib.suppress(ValueError):
        return json.loads(files.read_if_there(files.join(output, NAME)) or b"{}")
    return {}


def forget(output: str) -> None:
    """Remove the report of an earlier run, so that it is not taken for that of this one."""
    files.delete(files.join(output, NAME))


def close(
    output: str, job: str, status: Exit, started: float, message: str = "", metrics_file: str = ""
) -> None:
    """Complete the report of a run that has ended, and write the metrics.

    Args:
        output: of the job.
        job: its name.
        status: how it ended.
        started: when it began, in seconds since 1970.
        message: why it failed.
        metrics_file: where to write the metrics; empty for beside the output.
    """
    counts: dict[str, Any] = {}
    # That the store did not answer may be what there is to tell.
    with contextlib.suppress(OSError):
        counts = read(output)
    report, text = _told(counts, output, job, status, started, message)
    try:
        files.write_json(files.join(output, NAME), report)
    finally:
        # They may lie elsewhere, and the output's full disk be what they are to tell of.
        files.write_bytes(metrics_file or files.join(output, METRICS), text)


def refuse(output: str, job: str, error: Exception, started: float, metrics_file: str) -> None:
    """Report a command that ended before its run; into a folder of something else goes nothing.

    Args:
        output: of the job; where it is the job's, nobody else is to be at work on it.
        job: its name.
        error: why the command ended.
        started: as in `close`.
        metrics_file: likewise.
    """
    status, message = outcome(error)
    report, text = _told({}, output, job, status, started, message)
    try:
        if claims.is_of(output, job):
            metrics_file = metrics_file or files.join(output, METRICS)
            files.write_json(files.join(output, NAME), report)
    finally:
        if metrics_file:
            files.write_bytes(metrics_file, text)


def outcome(error: Exception) -> tuple[Exit, str]:
    """Return the status of a run that an error ended, and the error in one line."""
    status = Exit.WRONG_USAGE if isinstance(error, UsageError) else Exit.FAILED
    return status, " ".join(str(error).split())


def _told(
    counts: dict[str, Any], output: str, job: str, status: Exit, started: float, message: str
) -> tuple[dict[str, Any], bytes]:
    """Return the content of the report and that of the metrics."""
    seconds = time.time() - started
    done = counts.get("books", {}).get("images", {}).get("done", 0) - counts.get("resumed", 0)
    report = {
        "format": FORMAT,
        "version": 1,
        "job": job,
        "exit_status": int(status),
        "message": message,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started + seconds)),
        "seconds": round(seconds, 3),
        "images_per_second": round(done / seconds, 3) if seconds > 0 else 0.0,
        **counts,
        "software": manifests.software(),
    }
    text = prometheus(report, output, started + seconds)
    return tables.printable(report), text.encode()


def prometheus(report: Mapping[str, Any], output: str, finished: float) -> str:
    """Return a run's report in Prometheus's text format, all gauges of the last run.

    Format: https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    labels = {"command": report["job"], "output": output}
    status = report["exit_status"]
    lines: list[str] = []

    def gauge(name: str, text: str, values: Iterable[tuple[dict[str, str], float]]) -> None:
        samples = [f"beamcap_{name}{_labels({**labels, **more})} {value}" for more, value in values]
        if samples:
            lines.extend(
                [f"# HELP beamcap_{name} {text}", f"# TYPE beamcap_{name} gauge", *samples]
            )

    gauge("exit_status", "Exit status of the last run.", [({}, status)])
    gauge("success", "Whether the last run ended with status 0.", [({}, int(status == 0))])
    gauge("finished_timestamp_seconds", "When the last run ended.", [({}, round(finished, 3))])
    gauge("duration_seconds", "How long the last run took.", [({}, report["seconds"])])
    gauge(
        "images_per_second",
        "Images done by the last run in a second, from its start to its end.",
        [({}, report["images_per_second"])],
    )
    if "books" in report:
        images = {**report["books"]["images"], "missing": report["books"]["missing"]}
        gauge(
            "images",
            "Images of the last run by outcome.",
            [({"outcome": outcome}, number) for outcome, number in images.items()],
        )
        gauge(
            "rejects",
            "Rejects of the last run by code.",
            [({"code": code}, number) for code, number in report["rejects"].items()],
        )
    if "generation" in report:
        gauge("table_generation", "Generation of the table.", [({}, report["generation"])])
        gauge("table_rows", "Rows of the table.", [({}, report["rows"])])
    version = report["software"]["beamcap"]
    gauge("version_info", "Version of beamcap.", [({"version": version}, 1)])
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    def escaped(value: str) -> str:
        value = tables.printable(value)
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"
