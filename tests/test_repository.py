"""What holds the repository together: versions, layers, commands and links that documents name."""

import ast
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import setuptools

from pipeline.captioning import details, parts
from pipeline.common import tables
from transforms import candidates, records
from transforms.rejects import RejectCode
from transforms.sources import names

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "trainer", "transforms")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
# Flags of Beam and of engines, which the jobs pass on.
BEAM_FLAGS = (
    "runner|flink|prism|spark|direct|env|sdk|job|parallelism|artifacts_dir"
    "|project|region|temp_location|experiments|s3|hdfs"
)
PINS = dict(
    re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
)


def _modules() -> Iterator[tuple[Path, set[str]]]:
    """Yield every module of the project with the top-level packages that it imports."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            names = set()
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module.split(".")[0])
            yield path.relative_to(ROOT), names


def _setup(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what setup.py hands to setuptools."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", given.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    return given


def _commands(document: Path) -> list[str]:
    """Return the command lines of a document's code blocks, continued lines joined."""
    text = document.read_text()
    fenced = re.findall(r"^```(?:sh|bash|console|text)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4}(\S.*(?:\n {4}.*)*)", text, re.MULTILINE)
    block = "\n".join([*fenced, *indented]).replace("\\\n", " ")
    # What is shown with its error is meant to be wrong.
    block = re.sub(r"^.*\nerror: .*$", "", block, flags=re.MULTILINE)
    return [re.sub(r"(^|\s)#.*", "", line).strip().removeprefix("$ ") for line in block.split("\n")]


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_requirement_is_pinned_as_in_constraints(monkeypatch: pytest.MonkeyPatch) -> None:
    given = _setup(monkeypatch)
    requirements = [*given["install_requires"], *given["extras_require"]["dev"]]
    assert len(requirements) > 10
    for requirement in requirements:
        name, version = requirement.split("==")
        assert PINS[name.split("[")[0].lower()] == version


def test_installed_versions_are_the_pinned_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    given = _setup(monkeypatch)
    names = [r.split("==")[0].split("[")[0] for r in given["install_requires"]]
    installed = {name: metadata.version(name) for name in names}
    assert installed == {name: PINS[name.lower()] for name in names}


def test_a_source_distribution_has_all_that_it_is_installed_from(tmp_path: Path) -> None:
    # The list that an archive is packed from; packing it takes seconds.
    command = [sys.executable, "setup.py", "--quiet", "egg_info", f"--egg-base={tmp_path}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    packed = set((tmp_path / "beamcap.egg-info" / "SOURCES.txt").read_text().splitlines())
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()]
    needed = {str(path.relative_to(ROOT)) for path in files if path.parent.name != "__pycache__"}
    needed |= {"constraints.txt", "LICENSE", "pyproject.toml", "README.md", "setup.py"}
    assert not needed - packed
    assert not {name for name in packed if name.startswith("tests/")}


def test_every_package_that_the_code_imports_is_a_requirement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = _setup(monkeypatch)
    required = [given["install_requires"], *given["extras_require"].values()]
    declared = {re.split(r"[\[=]", each)[0].lower() for group in required for each in group}
    providers = metadata.packages_distributions()
    known = {*sys.stdlib_module_names, *PACKAGES, "google"}  # google: shared by many packages
    missing = {
        f"{path} imports {name}"
        for path, names in _modules()
        for name in names - known
        if not declared & {provider.lower() for provider in providers.get(name, [])}
    }
    assert not missing


def test_layers_import_only_what_is_below_them() -> None:
    forbidden = {
        "transforms": {"pipeline", "trainer"},
        "pipeline": {"trainer"},
        "trainer": {"pipeline"},
    }
    wrong = {str(path): names & forbidden[path.parts[0]] for path, names in _modules()}
    assert not {path: names for path, names in wrong.items() if names}


def test_dockerfile_has_the_pinned_beam_and_the_tested_python() -> None:
    text = (ROOT / "Dockerfile").read_text()
    ((python, beam),) = re.findall(
        r"^FROM apache/beam_python([\d.]+)_sdk:(\S+)", text, re.MULTILINE
    )
    assert beam == PINS["apache-beam"]
    assert re.findall(r"^FROM python:([\d.]+)-", text, re.MULTILINE) == [python]
    assert f"python{python}" in (ROOT / "Makefile").read_text()
    assert "--constraint constraints.txt '.[openvino]'" in text  # The engine that is chosen here.
    assert text.rstrip().endswith('ENTRYPOINT ["/opt/apache/beam/boot"]')


def test_dockerfile_copies_what_is_there_and_what_dockerignore_lets_through() -> None:
    copies = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    sources = [source for line in copies for source in line.split()]
    assert {*PACKAGES, "constraints.txt", "setup.py"} <= set(sources)
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[1] == "*"
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignore


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert set(re.findall(r"^  make (\S+)", listed.stdout, re.MULTILINE)) == _targets()


def test_make_says_what_to_do_where_python_is_too_old(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    for name in ("constraints.txt", "setup.py", "pyproject.toml"):
        (tmp_path / name).touch()
    done = subprocess.run(
        ["make", "setup", "PYTHON="], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "error: no Python 3.11" in done.stderr
    assert "make PYTHON=/path/to/python" in done.stderr


@pytest.mark.parametrize("broken", ["", "lint", "test", "test-runners"])
def test_ci_runs_all_tests_and_fails_with_any(tmp_path: Path, broken: str) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    record = tmp_path / "record"
    (commands / "make").write_text(
        f'#!/bin/sh\ntarget=$(for last; do :; done; echo "$last")\necho "$*" >> {record}\n'
        f'echo "ran $target"\n[ "$target" != "{broken}" ]\n'
    )
    (commands / "chromium").write_text("")
    for command in commands.iterdir():
        command.chmod(0o755)
    done = subprocess.run(
        [ROOT / ".ci" / "run"],
        env={**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == bool(broken), done.stderr
    ran = set(record.read_text().splitlines()) - {"engines"}  # For which nobody waits.
    if broken == "lint":
        assert ran == {"lint"}
    else:
        assert ran == {"lint", "test", "WORKERS=1 test-runners"}
        # What runs in the background is shown too.
        assert "ran test\n" in done.stdout and "ran test-runners\n" in done.stdout


def test_license_is_the_one_that_the_package_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    given = _setup(monkeypatch)
    assert given["license"] == "Apache-2.0"
    assert f"## {given['version']} " in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_commands_and_files_that_exist(document: Path) -> None:
    for command in _commands(document):
        words = command.split()
        if words[:1] == ["make"]:
            targets = [word for word in words[1:] if "=" not in word]
            assert set(targets) <= _targets(), command
        for module in re.findall(r"-m ((?:pipeline|trainer|transforms)[\w.]*)", command):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), command
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in link:
            assert (document.parent / link).exists(), f"{document.name} links to {link}"


def _documented_flags() -> dict[str, set[str]]:
    flags: dict[str, set[str]] = {}
    for document in DOCUMENTS:
        for command in _commands(document):
            for module, rest in re.findall(r"-m ((?:pipeline|trainer)[\w.]*)(.*)", command):
                # The launcher passes what follows ` -- ` on to another command.
                used = re.findall(r"(?<=\s)(--[a-z_0-9]+)", rest.split(" -- ")[0])
                flags.setdefault(module, set()).update(used)
    return flags


@pytest.mark.parametrize(("module", "flags"), sorted(_documented_flags().items()))
def test_documented_flags_are_known_and_help_is_light(module: str, flags: set[str]) -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", module, "--help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    known = set(re.findall(r"--[a-z_0-9]+", shown.stdout))
    runners = {flag for flag in flags if re.match(f"--({BEAM_FLAGS})", flag)}
    assert flags - runners <= known
    imported = set(re.findall(r"\| +(\w+)$", shown.stderr, re.MULTILINE))
    assert "argparse" in imported
    # Each of these takes longer than a person waits for help.
    assert imported.isdisjoint({"apache_beam", "keras", "onnxruntime", "openvino", "tensorflow"})


def test_every_feature_of_a_record_is_documented() -> None:
    text = (ROOT / "docs" / "formats.md").read_text()
    for name in records.SCHEMA.names:
        assert f"| `{name}` |" in text, name


def test_every_column_of_a_table_is_documented() -> None:
    text = (ROOT / "docs" / "formats.md").read_text()
    section = text.partition("\n## captions/\n")[2].partition("\n## ")[0]
    names = [*parts.CAPTIONS_SCHEMA.names, *(field.name for field in details.FIELDS)]
    assert not [name for name in (*names, *parts.INDEX_SCHEMA.names) if f"`{name}`" not in section]
    assert not [name for name in tables.REJECTS_SCHEMA.names if f"| `{name}` |" not in text]


def test_every_name_of_a_field_of_judged_captions_is_documented() -> None:
    text = (ROOT / "docs" / "formats.md").read_text()
    section = text.partition("## Captions that are judged")[2].partition("\n## ")[0]
    for name in (*candidates.KEY_FIELDS, *candidates.CAPTION_FIELDS):
        assert f"`{name}`" in section, name


@pytest.mark.parametrize(
    ("document", "suffixes"),
    [("sources.md", names.IMAGE_SUFFIXES), ("rejects.md", names.UNSUPPORTED_SUFFIXES)],
)
def test_every_suffix_of_a_picture_is_documented(document: str, suffixes: Iterable[str]) -> None:
    text = (ROOT / "docs" / document).read_text()
    assert not [suffix for suffix in suffixes if f"`{suffix[1:]}`" not in text]


def test_the_table_of_reject_codes_is_the_enumeration() -> None:
    text = (ROOT / "docs" / "rejects.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert {(code, again) for code, again, *_ in rows} == {
        (code.value, "yes" if code.retryable else "no") for code in RejectCode
    }
    assert len(rows) == len(RejectCode)
