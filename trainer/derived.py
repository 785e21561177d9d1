"""Captioners that are made of others, whole or not at all."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer import model_card
from transforms import captioner, files
from transforms.errors import UsageError


def local(output: str) -> Path:
    """Return the folder of a new captioner; raises UsageError where it is in a bucket."""
    if files.is_remote(output):
        raise UsageError(f"--output={output}: it is written to a local disk only: copy it then")
    return Path(files.absolute(output))


def check(output: Path) -> None:
    """Raise UsageError where something is in the place of a new captioner."""
    if output.exists():
        raise UsageError(f"{output}: this exists already: choose another folder")


def write(output: Path, manifest: Mapping[str, Any], contents: Mapping[str, bytes]) -> int:
    """Write a captioner beside its place and rename it.

    Args:
        output: its folder, which does not exist.
        manifest: but for `files`.
        contents: of its files, by name.

    Returns:
        Its bytes.
    """
    fresh = output.parent / f"{files.TEMPORARY_PREFIX}{output.name}"
    shutil.rmtree(fresh, ignore_errors=True)
    facts = {}
    for name, content in sorted(contents.items()):
        place = fresh / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        facts[name] = {"bytes": len(content), "sha256": digest}
    # That of a captioner which was trained long ago may have whole paths.
    portable = {"configuration": model_card.portable(manifest["configuration"]), "files": facts}
    files.write_json(str(fresh / captioner.MANIFEST), {**manifest, **portable})
    fresh.rename(output)
    return sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
