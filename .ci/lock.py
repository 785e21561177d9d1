"""Renews constraints.txt: resolves the names that setup.py declares, and pins all they bring.

TensorFlow, Keras, Beam and tfx-bsl stay at their minor version: moving them is a change of its
own, since they depend on each other's minor version and the features' bytes depend on them.
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
HELD = {"apache-beam", "keras", "tensorflow", "tfx-bsl"}
LISTS = ("REQUIRES", "EXTRAS", "DEV", "PEERS")
PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")


def declared() -> list[str]:
    """Return the requirements that setup.py lists, without versions."""
    names = []
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in LISTS:
            value = ast.literal_eval(node.value)
            for each in value.values() if isinstance(value, dict) else [value]:
                names += each
    return names


def bounded(name: str, pins: dict[str, str]) -> str:
    """Return what to ask the resolver for."""
    bare = name.split("[")[0]
    if bare not in HELD:
        return name
    major, minor = pins[bare].split(".")[:2]
    return f"{name}=={major}.{minor}.*"


def resolve(requirements: list[str]) -> dict[str, str]:
    """Return the version of every package that the requirements bring."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    done = subprocess.run(
        [*command, "--quiet", "--report", "-", *requirements],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = {}
    for item in json.loads(done.stdout)["install"]:
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        found[name] = item["metadata"]["version"]
    return found


def main() -> None:
    """Rewrite constraints.txt and print what changed."""
    lines = CONSTRAINTS.read_text().splitlines()
    old = {match[1]: match[2] for match in map(PIN.match, lines) if match}
    new = resolve([bounded(name, old) for name in declared()])
    comments = [line for line in lines if line.startswith("#")]
    pins = [f"{name}=={version}" for name, version in sorted(new.items())]
    CONSTRAINTS.write_text("\n".join([*comments, *pins]) + "\n")
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            print(f"{name}: {old.get(name, 'absent')} -> {new.get(name, 'absent')}")


if __name__ == "__main__":
    main()
