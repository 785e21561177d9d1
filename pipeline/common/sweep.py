"""Removing what an output does not need any more."""

from pipeline.common import units
from transforms import files


def sweep(output: str, folder: str, keep: set[str]) -> None:
    """Delete data files that the manifest does not name, and what killed runs left behind.

    Args:
        output: the job's output, whose manifest has been written.
        folder: the folder of data files below it.
        keep: the data files to keep, relative to the output.
    """
    for info in list(files.list_files(output)):
        name = info.path[len(output.rstrip("/")) + 1 :]
        unnamed = name.startswith(f"{folder}/") and name not in keep
        # Markers that are left are of units that are no longer planned.
        marker = name.startswith(f"{units.JOURNAL}/") and name.endswith(units.STARTED)
        if unnamed or marker or name.rsplit("/", 1)[-1].startswith(files.TEMPORARY_PREFIX):
            files.delete(info.path)
