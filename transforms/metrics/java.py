"""The two parts of the COCO tools that are Java programs: the PTB tokenizer and METEOR.

Both jars and their command lines are pycocoevalcap's. Its own wrappers are not used, because they
write into site-packages, pair captions with lines wrongly when a caption has a line break of
Java's kind, and wait for ever on a METEOR that died; here every process has a time limit and ends
with the call.

METEOR 1.5: Denkowski and Lavie, "Meteor Universal", WMT 2014.
"""

import importlib.util
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

# The marks that pycocoevalcap's PTBTokenizer drops.
PUNCTUATION = frozenset("'`.?!,:;-") | {"''", "``", "--", "..."}
PUNCTUATION |= {"-LRB-", "-RRB-", "-LCB-", "-RCB-"}
_UTF8 = "-Dfile.encoding=UTF-8"  # Whatever the locale: METEOR reads with the platform's default.


class JavaError(Exception):
    """Java is absent, failed or took too long; the message is one line."""


def find_java() -> str | None:
    """Return the path of the `java` command, or None where it is absent."""
    return shutil.which("java")


def ptb_tokens(captions: Sequence[str], *, timeout: float = 600.0) -> list[list[str]]:
    """Tokenize captions as the COCO metrics do: Penn Treebank words, lower-cased, no marks.

    Args:
        captions: one text each; line breaks count as blanks.
        timeout: seconds.

    Raises:
        JavaError: no `java`, or the tokenizer failed.
    """
    lines = [" ".join(caption.split()) for caption in captions]
    if not lines:
        return []
    command = [_java(), _UTF8, "-cp", str(_jar("tokenizer/stanford-corenlp-3.4.1.jar"))]
    command += ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    try:
        done = subprocess.run(
            command,
            input="\n".join(lines).encode(errors="replace"),
            capture_output=True,
            timeout=timeout,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JavaError(f"the PTB tokenizer did not finish: {error}") from error
    # With -preserveLines the output has a line for each of the input's, and one line break more.
    output = done.stdout.decode(errors="replace").split("\n")
    if done.returncode or len(output) < len(lines):
        raise JavaError(f"the PTB tokenizer failed: {_last_line(done.stderr)}")
    return [
        [word for word in line.rstrip().split(" ") if word and word not in PUNCTUATION]
        for line in output[: len(lines)]
    ]


def meteor(
    references: Sequence[Sequence[str]],
    systems: Sequence[Sequence[str]],
    *,
    timeout: float = 1800.0,
) -> list[tuple[float, list[float]]]:
    """Score the captions of one or more systems with METEOR 1.5 for English.

    Args:
        references: for each image its references, as words joined by blanks.
        systems: for each system its caption of each image, likewise. Starting the program takes
            seconds, so systems that share references are better scored together.
        timeout: seconds; the process is killed when they have passed.

    Returns:
        For each system METEOR of the corpus, and of each image, from 0 to 1.

    Raises:
        JavaError: no `java`, or METEOR failed or took too long.
    """
    command = [_java(), _UTF8, "-Xmx2G", "-jar", str(_jar("meteor/meteor-1.5.jar"))]
    command += ["-", "-", "-stdio", "-l", "en", "-norm"]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=False
            )
        except OSError as error:
            raise JavaError(f"METEOR did not start: {error}") from error
        timer = threading.Timer(timeout, process.kill)
        timer.start()
        try:
            return [_converse(process, references, candidates) for candidates in systems]
        except (OSError, ValueError) as error:
            errors.seek(0)
            reason = _last_line(errors.read()) or f"it ended early or passed {timeout:.0f} s"
            raise JavaError(f"METEOR failed: {reason}") from error
        finally:
            timer.cancel()
            process.kill()
            process.communicate()


def _converse(
    process: "subprocess.Popen[bytes]",
    references: Sequence[Sequence[str]],
    candidates: Sequence[str],
) -> tuple[float, list[float]]:
    """Speak METEOR's line protocol: SCORE for each image, then EVAL on all the statistics."""
    assert process.stdin and process.stdout

    def ask(*fields: str) -> bytes:
        assert process.stdin and process.stdout
        process.stdin.write((" ||| ".join(fields) + "\n").encode(errors="replace"))
        process.stdin.flush()
        return process.stdout.readline()

    def plain(text: str) -> str:
        return " ".join(text.replace("|||", " ").split())

    statistics = [
        ask("SCORE", *map(plain, captions), plain(candidate)).decode().strip()
        for captions, candidate in zip(references, candidates, strict=True)
    ]
    first = float(ask("EVAL", *statistics))
    scores = [first, *(float(process.stdout.readline()) for _ in statistics[1:])]
    return float(process.stdout.readline()), scores


def _java() -> str:
    java = find_java()
    if java is None:
        raise JavaError("there is no `java` command on PATH")
    return java


def _jar(name: str) -> Path:
    """Return the path of a file inside pycocoevalcap, without importing the package."""
    spec = importlib.util.find_spec("pycocoevalcap")
    for folder in (spec.submodule_search_locations if spec else None) or []:
        if (path := Path(folder) / name).is_file():
            return path
    raise JavaError(f"pycocoevalcap has no {name}: install it again")


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
