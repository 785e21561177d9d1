"""How commands end: the status, what is printed, and what is cleared up, whatever happens."""

import argparse
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import caption, evaluate, preprocess
from trainer import task, tune
from trainer.self_training import command as self_training
from transforms import commandline, files
from transforms.commandline import Parser

MAIN = """
import atexit, logging, os, signal, sys, tempfile, threading, time
from transforms import commandline
from transforms.errors import JobError, UsageError

def main(argv):
{body}

if __name__ == "__main__":
    commandline.run(main)
"""
TERMINATE = "os.kill(os.getpid(), signal.SIGTERM)\nfor _ in range(100): pass"


def command(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose main does that, as `python -m` does."""
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    (folder / "given.py").write_text(MAIN.format(body=indented))
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-m", "given"],
        cwd=folder,
        # In the C locale Python is lenient by itself.
        env={"PYTHONPATH": str(root), "TMPDIR": str(folder), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("return None", 0, ""),
        ("return commandline.Exit.TOO_MANY_REJECTS", 3, ""),
        ("raise UsageError('a\\nb')", 2, "error: a b\n"),
        ("raise UsageError('\\x1b[2J\\x9b1m日\\x7f')", 2, "error: \\x1b[2J\\x9b1m日\\x7f\n"),
        ("raise JobError('lost')", 1, "error: lost\n"),
        ("raise OSError('full')", 1, "error: full\n"),
        ("commandline.Parser('x', 'y').parse_args(['--help'])", 0, ""),
    ],
)
def test_a_command_ends_with_its_status_and_one_line(
    body: str, status: int, said: str, tmp_path: Path
) -> None:
    done = command(tmp_path, body)
    assert (done.returncode, done.stderr) == (status, said)


def test_names_that_are_no_text_are_printed_as_they_are(tmp_path: Path) -> None:
    done = command(tmp_path, "print('a\\udcff')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\udcff\n", "")


def test_help_shows_the_defaults_that_say_something() -> None:
    parser = Parser("x", "y")
    for name, default in (("a", None), ("b", ""), ("c", []), ("d", False), ("e", 0), ("f", "g")):
        parser.add_argument(f"--{name}", default=default, help=f"what {name} is")
    parser.add_argument("--h", default=7, help="default: that of i")
    shown = " ".join(parser.format_help().split())
    assert shown.count("(default: ") == 2
    assert "what e is (default: 0) --f F what f is (default: g) --h H default: that of i" in shown


@pytest.mark.parametrize(
    "parser",
    [
        caption.build_parser(),
        preprocess.build_parser(),
        evaluate.build_parser(),
        task.parser(),
        tune.parser(),
        self_training.parser(),
    ],
    ids=lambda parser: parser.prog,
)
def test_every_flag_says_what_it_is(parser: Parser) -> None:
    assert all(action.help for action in parser._actions)
    for nothing in ("None", "False", "", "[]"):
        assert f"(default: {nothing})" not in parser.format_help()


@pytest.mark.parametrize(
    ("parser", "names"),
    [
        (caption.build_parser(), "images captioner output metrics_file banned_words"),
        (preprocess.build_parser(), "images captions train_list encoder encoder_weights output"),
        (evaluate.build_parser(), "captions references dataset output images keys"),
        (task.parser(), "dataset output word_vectors start_from teachers"),
        (tune.parser(), "dataset output"),
        (self_training.parser(), "dataset unlabelled captioner output"),
    ],
    ids=lambda value: getattr(value, "prog", ""),
)
def test_a_home_that_the_shell_left_is_found(
    parser: Parser, names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    flags = [f"--{name}=~/x" for name in {*names.split(), "dataset", "output", "unlabelled"}]
    parsed, _ = parser.parse_known_args(flags)
    for name in names.split():
        found = getattr(parsed, name)
        assert found == f"{tmp_path}/x" or list(found) == [f"{tmp_path}/x"]


def test_names_that_only_begin_as_a_home_does_are_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("~.no.such.user/a", "a/~/b", "gs://bucket/~/a", ""):
        assert files.expanded(name) == name
    assert files.absolute("~.no.such.user") == str(Path.cwd() / "~.no.such.user")
    encoder = preprocess.build_parser().parse_args(["--encoder=hub:~/clip"]).encoder
    assert encoder == f"hub:{tmp_path}/clip"


def test_a_defect_shows_its_trace(tmp_path: Path) -> None:
    done = command(tmp_path, "raise ValueError('odd')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "ValueError: odd" in done.stderr


def test_a_signal_that_arrives_in_code_made_from_text_is_an_interruption_like_any_other(
    tmp_path: Path,
) -> None:
    done = command(
        tmp_path, f"signal.signal(signal.SIGTERM, signal.default_int_handler)\nexec({TERMINATE!r})"
    )
    assert done.returncode == 1, signal.Signals(-done.returncode)
    assert "error: interrupted" in done.stderr


def test_what_is_to_be_done_at_the_end_is_done(tmp_path: Path) -> None:
    body = """
folder = tempfile.TemporaryDirectory()
main.kept = folder
open(os.path.join(folder.name, "file"), "w").close()
atexit.register(print, "registered")
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
print("x" * 100_000)
"""
    done = command(tmp_path, body)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "x" * 100_000 + "\nthread\nregistered\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("tmp")] == []


def test_output_that_nobody_takes_is_a_failure(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        (tmp_path / "given.py").write_text(MAIN.format(body="    print('lost')"))
        done = subprocess.run(
            [sys.executable, "-m", "given"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=full,
            check=False,
        )
    assert done.returncode == 1


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    assert commandline.positive_amount("0.5") == 0.5
    with pytest.raises(argparse.ArgumentTypeError, match=f"{text} is"):
        commandline.positive_amount(text)
